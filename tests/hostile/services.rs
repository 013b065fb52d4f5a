//! The Runtime API and all services on the loopback interface: those of the simulation, but for one that means no good.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::conduct::Conduct;
use super::http::{Answer, Connection, Request, now};
use crate::simulation::account::{ACCOUNT, Account, REGION};
use crate::simulation::perform;

/// The end of an invocation, as the Runtime API heard of it.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) is_error: bool,
    pub(super) body: Vec<u8>,
}

pub(super) struct State {
    pub(super) account: Account,
    pub(super) event: Option<(Vec<u8>, SystemTime)>,
    /// Bodies that the response bucket got.
    pub(super) answers: Vec<Vec<u8>>,
    pub(super) ends: Vec<End>,
    /// The service that means no good, and its conduct.
    pub(super) hostile: Option<(&'static str, Conduct)>,
    /// The number of the process, whose polls alone are answered.
    pub(super) process: u64,
    /// The number of the scenario.
    pub(super) scenario: u64,
    calls: u64,
}

pub(super) struct Services {
    state: Mutex<State>,
    moved: Condvar,
    sound: Arc<ServerConfig>,
    pub(super) port: u16,
    pub(super) tls_port: u16,
}

impl Services {
    pub(super) fn listen(account: Account, sound: &Arc<ServerConfig>) -> Arc<Self> {
        let [plain, tls] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let (event, hostile) = (None, None);
        let state =
            State { account, event, answers: Vec::new(), ends: Vec::new(), hostile, process: 0, scenario: 0, calls: 0 };
        let (state, moved, sound) = (Mutex::new(state), Condvar::new(), Arc::clone(sound));
        let services = Arc::new(Self { state, moved, sound, port: port(&plain), tls_port: port(&tls) });
        services.accept(plain, Self::serve);
        services.accept(tls, Self::shake_hands);
        services
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an event to the next poll; waits for the end of its invocation until `deadline`.
    pub(super) fn deliver(&self, event: Vec<u8>, deadline: SystemTime) -> bool {
        let mut state = self.state();
        (state.answers, state.ends) = (Vec::new(), Vec::new());
        state.event = Some((event, deadline));
        self.moved.notify_all();
        while state.ends.is_empty() {
            let Ok(left) = deadline.duration_since(SystemTime::now()) else { return false };
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Answers no poll of the present process any more.
    pub(super) fn renew_process(&self) {
        let mut state = self.state();
        state.process += 1;
        state.event = None;
        self.moved.notify_all();
    }

    fn accept(self: &Arc<Self>, listener: TcpListener, serve: fn(&Self, TcpStream)) {
        let services = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let services = Arc::clone(&services);
                let _default = stream.set_nodelay(true);
                // An answer that nobody reads must not keep a thread.
                stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
                std::thread::spawn(move || serve(&services, stream));
            }
        });
    }

    fn hostile(&self, target: &str) -> Option<(Conduct, u64)> {
        let state = self.state();
        let (is, conduct) = state.hostile.as_ref()?;
        (*is == target).then(|| (conduct.clone(), state.scenario))
    }

    fn play(&self, (conduct, scenario): (Conduct, u64), stream: &mut (impl Read + Write)) {
        let begun = Instant::now();
        conduct.play(stream, || self.state().scenario != scenario || begun.elapsed() > Duration::from_secs(20));
    }

    fn shake_hands(&self, mut stream: TcpStream) {
        let (config, conduct) = match self.hostile("tls") {
            Some((Conduct::Shows(config), _)) => (config, None),
            Some(conduct) => (Arc::clone(&self.sound), Some(conduct)),
            None => (Arc::clone(&self.sound), None),
        };
        if let Some(conduct) = conduct {
            return self.play(conduct, &mut stream);
        }
        self.serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
    }

    fn serve(&self, stream: impl Read + Write) {
        let mut connection = Connection::new(stream);
        while let Some(request) = connection.read() {
            let service = request.target.split('/').nth(1).unwrap_or_default();
            let host = request.header("host").unwrap_or_default();
            let over_tls = !host.starts_with("127.0.0.1");
            let service = if over_tls && !host.starts_with("localhost") { "issuer" } else { service };
            if service == "bucket" && request.method == "PUT" {
                self.state().answers.push(request.body.clone());
            }
            if let Some(conduct) = self.hostile(service) {
                return self.play(conduct, connection.0.get_mut());
            }
            let Some(mut answer) = self.answer(service, &request) else { return };
            if over_tls {
                // The next connection shows what certificates are shown then.
                answer.headers.push(("connection", "close".to_owned()));
            }
            if connection.write(&answer).is_none() || over_tls || request.is_last {
                return;
            }
        }
    }

    fn answer(&self, service: &str, request: &Request) -> Option<Answer> {
        let host = match service {
            "2018-06-01" => return self.runtime(request),
            "bucket" => return Some(Answer::new(200, "")),
            "issuer" => {
                let path = request.target.strip_suffix("/.well-known/openid-configuration")?;
                let issuer = format!("https://{}{path}", request.header("host")?);
                let body = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/.well-known/jwks")});
                return Some(Answer::new(200, body.to_string()));
            }
            "github" => "api.github.com".to_owned(),
            "iam" => "iam.amazonaws.com".to_owned(),
            other => format!("{other}.{REGION}.amazonaws.com"),
        };
        let path = request.target.trim_start_matches('/').trim_start_matches(service);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let mut state = self.state();
        state.calls += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", state.calls);
        let request = Request { target: path, ..request.clone() }.to(&host);
        Some(perform::answered(&mut state.account, &request, &id)?.into())
    }

    fn runtime(&self, request: &Request) -> Option<Answer> {
        let mut state = self.state();
        if !request.target.ends_with("/next") {
            let end = End { is_error: request.target.ends_with("/error"), body: request.body.clone() };
            state.ends.push(end);
            self.moved.notify_all();
            return Some(Answer { headers: json_type(), ..Answer::new(202, r#"{"status":"OK"}"#) });
        }
        let process = state.process;
        while state.event.is_none() && state.process == process {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.process != process {
            return None;
        }
        let (event, deadline) = state.event.take()?;
        let id = format!("{:08x}-e9f4-11e8-9739-2dfe598c3fcd", now() & 0xffff_ffff);
        let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:github-trust");
        let mut headers = json_type();
        headers.push(("lambda-runtime-aws-request-id", id));
        headers.push(("lambda-runtime-deadline-ms", deadline.to_string()));
        headers.push(("lambda-runtime-invoked-function-arn", arn));
        Some(Answer { status: 200, headers, body: event })
    }
}

fn json_type() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".to_owned())]
}
