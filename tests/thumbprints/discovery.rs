//! What may come back instead of an `OpenID` configuration.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use github_trust::resources::oidc_provider::thumbprint::{Network, ProbeError, ProbeLimits, ProbeResult, Roots};
use serde_json::json;

use crate::attempts::counted;

use super::network::{InMemory, Loopback, Script, Server};
use super::parties::{Party, root};
use super::{HOST, ISSUER, looked};

fn server(script: Script) -> (Server, Party) {
    let ca = root("Root");
    (Server { script, ..Server::new(&[&ca.server()]) }, ca)
}

/// Over the loopback interface.
async fn asked(script: Script) -> Result<ProbeResult, ProbeError> {
    let (server, ca) = server(script);
    let mut network = Loopback::default();
    network.put(HOST, SocketAddr::from(([203, 0, 113, 1], 443)), server.listen("127.0.0.1").await.unwrap());
    looked(&network, &Roots::of([ca.der]), None, &ProbeLimits::default()).await
}

/// In memory, where time is virtual.
async fn asked_in_memory(script: Script) -> Result<ProbeResult, ProbeError> {
    let (server, ca) = server(script);
    looked(&InMemory { server: Some(server) }, &Roots::of([ca.der]), None, &ProbeLimits::default()).await
}

fn configuration(issuer: &str, jwks_uri: &str) -> Script {
    Script::json(&json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string())
}

#[tokio::test]
async fn row_33_what_is_no_configuration_of_this_issuer_is_refused() {
    let keys = format!("{ISSUER}/.well-known/jwks");
    let keys = keys.as_str();
    let rows: Vec<(&str, Script)> = vec![
        ("a redirect", Script::status("302 Found", "Location: https://elsewhere.example/\r\n", "")),
        ("a redirect to nowhere", Script::status("308 Permanent Redirect", "", "")),
        ("not found", Script::status("404 Not Found", "", "")),
        ("an error", Script::status("503 Service Unavailable", "", "")),
        ("nothing", Script::json("")),
        ("no JSON", Script::json("<html>")),
        ("no object", Script::json("[]")),
        ("a list for the issuer", Script::json(r#"{"issuer": ["a"]}"#)),
        ("two issuers", Script::json(&format!(r#"{{"issuer": "{ISSUER}", "issuer": "b"}}"#))),
        ("no issuer", Script::json(&json!({ "jwks_uri": keys }).to_string())),
        ("no keys", Script::json(&json!({ "issuer": ISSUER }).to_string())),
        ("keys that are null", Script::json(&json!({ "issuer": ISSUER, "jwks_uri": null }).to_string())),
        ("another issuer", configuration("https://github.example.org/_services/token", keys)),
        ("another path", configuration("https://github.example.com/_services/tokens", keys)),
        ("a slash more", configuration("https://github.example.com/_services/token/", keys)),
        ("upper case", configuration("https://GitHub.example.com/_services/token", keys)),
        ("http", configuration(ISSUER, "http://github.example.com/keys")),
        ("a file", configuration(ISSUER, "file:///etc/passwd")),
        ("no URL", configuration(ISSUER, "keys")),
        ("a user", configuration(ISSUER, "https://me@github.example.com/keys")),
        ("a user and a password", configuration(ISSUER, "https://me:secret@github.example.com/keys")),
        ("an address", configuration(ISSUER, "https://203.0.113.7/keys")),
        ("an address in disguise", configuration(ISSUER, "https://0xA9FEA9FE/keys")),
        ("an IPv6 address", configuration(ISSUER, "https://[::1]/keys")),
        ("a long URL", configuration(ISSUER, &format!("https://github.example.com/{}", "x".repeat(2048)))),
        ("a line break", configuration("a\r\nb\u{1b}[31m", keys)),
        ("no HTTP", Script::Answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec())),
        ("nothing at all", Script::Answer(Vec::new())),
        ("half a body", Script::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec())),
        ("a long head", Script::status("200 OK", &format!("X: {}\r\n", "x".repeat(64 * 1024)), "{}")),
        (
            "a body of 1 GB, announced",
            Script::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n".to_vec()),
        ),
    ];
    counted("owner of an issuer's name in DNS", "documents in place of a configuration", rows.len());
    let mut table = String::new();
    for (name, script) in rows {
        let error = asked(script).await.unwrap_err();
        assert!(matches!(error, ProbeError::Discovery { .. }), "{name}: {error}");
        let text = error.to_string();
        assert!(text.len() < 500 && !text.contains(['\r', '\n', '\u{1b}']), "{name}: {text:?}");
        let text = text.strip_prefix("https://github.example.com/_services/token/.well-known/openid-configuration ");
        writeln!(table, "{name}: {}", text.unwrap()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn row_33_a_body_without_end_is_not_read_to_its_end() {
    let sent = Arc::new(AtomicUsize::new(0));
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"] {
        let error = asked(Script::Endless(head.into(), Arc::clone(&sent))).await.unwrap_err();
        assert!(error.to_string().ends_with("is larger than 64 KiB"), "{error}");
    }
    // What fits into the buffers between the two.
    assert!(sent.load(Ordering::Relaxed) < 64 << 20);
}

#[tokio::test(start_paused = true)]
async fn row_33_one_byte_a_second_is_not_waited_for() {
    for head in ["HTTP/1.1 200 OK\r\nX:", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"]
    {
        let begun = tokio::time::Instant::now();
        let error = asked_in_memory(Script::Drip(head.into())).await.unwrap_err();
        assert!(error.to_string().ends_with("did not arrive within 10 s"), "{error}");
        assert_eq!(begun.elapsed().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn row_33_a_server_that_says_nothing_is_not_waited_for() {
    let network = InMemory { server: None };
    let error = looked(&network, &Roots::of([root("Root").der]), None, &ProbeLimits::default()).await.unwrap_err();
    let expected = "github.example.com could not be reached: 203.0.113.1:443: the TLS handshake took more than 5 s";
    assert_eq!(error.to_string(), expected);
}

/// Never comes back.
struct Silent;

impl Network for Silent {
    type Stream = tokio::io::DuplexStream;

    async fn resolve(&self, _: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok((1..=4).map(|last| SocketAddr::from(([203, 0, 113, last], port))).collect())
    }

    async fn connect(&self, _: SocketAddr) -> std::io::Result<Self::Stream> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn row_33_the_whole_has_an_end() {
    let roots = Roots::of([root("Root").der]);
    let policy = ProbeLimits { total: std::time::Duration::from_secs(12), ..ProbeLimits::default() };
    let error = looked(&Silent, &roots, None, &policy).await.unwrap_err();
    assert_eq!(error.to_string(), "looking at the certificates of github.example.com/_services/token took too long");
    let error = looked(&Silent, &roots, None, &ProbeLimits::default()).await.unwrap_err();
    assert_eq!(error.to_string().matches("connecting took more than 5 s").count(), 4, "{error}");
}

#[tokio::test]
async fn row_33_what_does_not_speak_tls_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut network = Loopback::default();
    network.put(HOST, SocketAddr::from(([203, 0, 113, 1], 443)), place);
    let error = looked(&network, &Roots::of([root("Root").der]), None, &ProbeLimits::default()).await.unwrap_err();
    assert!(error.to_string().contains("203.0.113.1:443: the TLS handshake failed"), "{error}");
}

#[tokio::test]
async fn row_33_more_than_is_needed_does_no_harm() {
    let keys = format!("{ISSUER}/.well-known/jwks#here");
    let body = json!({ "issuer": ISSUER, "jwks_uri": keys, "claims_supported": ["sub"], "x": { "issuer": "other" } });
    asked(Script::json(&body.to_string())).await.unwrap();
    asked_in_memory(Script::json(&body.to_string())).await.unwrap();
    let mut chunks = String::new();
    for character in body.to_string().chars() {
        write!(chunks, "1\r\n{character}\r\n").unwrap();
    }
    asked(Script::Answer(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n").into()))
        .await
        .unwrap();
}
