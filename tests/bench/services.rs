//! What the measured functions talk to, as one process: the Runtime API of Lambda, IAM, EKS and Secrets Manager over plain
//! HTTP, and over TLS the issuer, GitHub's API and the bucket that takes the answers. All of it on the loopback interface.
//!
//! AWS is the one of the simulation, so that every request is checked against the vendor's model and changes what the
//! next one sees. `measure.py` starts this process and leads it with lines of JSON:
//!
//! | line | does |
//! |---|---|
//! | `{"do": "renew", "delay_ms": 50}` | a new account; each call of a service takes that long |
//! | `{"do": "multiply", "providers": 100, "roles": 1000, "clusters": 3, "stale": 20}` | makes the account large; reports `multiplied` |
//! | `{"do": "begin", "event": {…}}` | another process is measured from now on, with this event for its first poll; reports `begun` |
//! | `{"do": "invoke", "event": {…}}` | gives an event to the next poll |
//! | `{"do": "go"}` | lets the answer that was reported be accepted |
//!
//! It reports twice for each event, with what it has seen since the last report: `answered`, when an answer has arrived
//! whole, which is not accepted before `go`; and `idle`, when the function polls and there is no event. Nothing is written
//! in between, so that nobody is woken while a function works.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)]

mod aws;
mod certificates;
mod http;
mod runtime_api;
mod simulation;
mod stage;
mod web;

use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use stage::Stage;

/// What `measure.py` takes for "that port is not ours to take".
const PORT_REFUSED: i32 = 3;

/// What a request to one of the ports is answered with.
type Answers = fn(&Stage, &http::Request) -> http::Answer;

fn main() {
    // `cargo bench` adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let usage = "services <directory for certificates> <port for TLS, 443 where that is allowed>";
    let directory = PathBuf::from(arguments.next().expect(usage));
    let tls_port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect(usage);
    let certificates = certificates::Certificates::issue();
    let (root, bundle) = (directory.join("root.pem"), directory.join("made-up.pem"));
    std::fs::write(&root, &certificates.root).expect("the root certificate can be written");
    std::fs::write(&bundle, &certificates.bundle).expect("the bundle can be written");

    let stage = Arc::new(Stage::new());
    let plain = |answers| plain(&stage, answers);
    let places = json!({
        "runtime": plain(runtime_api::answer),
        "iam": plain(aws::iam),
        "eks": plain(aws::eks),
        "cloudformation": plain(aws::cloudformation),
        "secretsmanager": plain(aws::secrets),
        "tls": tls(&stage, certificates.server, tls_port),
        "root": root,
        "made_up_bundle": bundle,
    });
    stage::say(&places);
    for line in std::io::stdin().lock().lines() {
        stage.follow(&line.expect("lines of text"));
    }
}

/// Listens for plain HTTP at a port of its own; gives the address.
fn plain(stage: &Arc<Stage>, answers: Answers) -> String {
    let stage = Arc::clone(stage);
    listen(0, move |stream| serve(&stage, stream, answers))
}

fn tls(stage: &Arc<Stage>, config: Arc<ServerConfig>, port: u16) -> String {
    let stage = Arc::clone(stage);
    listen(port, move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        serve(&stage, StreamOwned::new(connection, stream), web::answer);
    })
}

/// A thread for each connection.
fn listen(port: u16, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|error| {
        eprintln!("services: 127.0.0.1:{port}: {error}");
        std::process::exit(PORT_REFUSED);
    });
    let address = listener.local_addr().expect("an address");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            // An answer is written in one piece, which nothing should hold back.
            let _default = stream.set_nodelay(true);
            std::thread::spawn(move || serve(stream));
        }
    });
    address.to_string()
}

/// One connection, which stays open as long as the other side wants.
fn serve(stage: &Stage, stream: impl Read + Write, answers: Answers) {
    let mut connection = http::Connection::new(stream);
    while let Some(request) = connection.read() {
        let answer = answers(stage, &request);
        if connection.write(&answer).is_none() || request.is_last {
            return;
        }
    }
}
