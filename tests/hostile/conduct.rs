//! The conduct of a server that means no good, once a request has arrived.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use serde_json::json;

use super::function::Function;

#[derive(Clone)]
pub(super) enum Conduct {
    /// Bytes, and the end of the connection.
    Says(Vec<u8>),
    /// Bytes, and silence.
    Stops(Vec<u8>),
    /// Bytes, and then another one every fifth of a second.
    Drips(Vec<u8>),
    /// Bytes, and then the others without end.
    Floods(Vec<u8>, Vec<u8>),
    /// The handshake of TLS with these certificates.
    Shows(Arc<ServerConfig>),
    /// Bytes in place of a handshake.
    Greets(Vec<u8>),
}

impl Conduct {
    /// Behaves so until the other side has gone or `is_over`.
    pub(super) fn play(&self, stream: &mut (impl Read + Write), is_over: impl Fn() -> bool) {
        let (begin, unit, pause) = match self {
            Self::Shows(_) => return,
            Self::Says(bytes) | Self::Greets(bytes) => (bytes, None, Duration::ZERO),
            Self::Stops(bytes) => (bytes, Some(&[][..]), Duration::from_millis(50)),
            Self::Drips(bytes) => (bytes, Some(&b" "[..]), Duration::from_millis(200)),
            Self::Floods(bytes, unit) => (bytes, Some(&unit[..]), Duration::from_millis(1)),
        };
        let mut say = |bytes: &[u8]| stream.write_all(bytes).and_then(|()| stream.flush()).is_ok();
        if !say(begin) {
            return;
        }
        while let Some(unit) = unit
            && !is_over()
            && say(unit)
        {
            std::thread::sleep(pause);
        }
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Conduct {
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend(body);
    Conduct::Says(bytes)
}

fn raw(text: &str) -> Conduct {
    Conduct::Says(text.as_bytes().to_vec())
}

/// Conducts by name.
pub(super) fn all() -> Vec<(String, Conduct)> {
    let mut all: Vec<(String, Conduct)> = [without_http(), bodies(), headers()].into_iter().flatten().collect();
    let garbled = "\u{1b}[31m\u{202e}<Code>🦀</Code>{\"message\": \"\u{0}no\"}".as_bytes();
    for status in [400, 401, 403, 404, 405, 408, 409, 410, 418, 422, 429, 451, 500, 502, 503, 504, 511, 599, 999] {
        all.push((format!("{status} in garbled words"), answer(&format!("{status} \u{a0}"), "", garbled)));
    }
    for (status, location) in
        [(301, ""), (302, "http://169.254.169.254/latest/"), (307, "/"), (308, "https://[::1]:1/")]
    {
        all.push((
            format!("{status} to {location:?}"),
            answer(&status.to_string(), &format!("location: {location}\r\n"), b""),
        ));
    }
    for value in ["18446744073709551615", "-1", "1e400", "", "9999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let headers = format!("retry-after: {value}\r\nx-amz-retry-after: {value}\r\n");
        all.push((format!("429, retry-after {value:?}"), answer("429", &headers, b"{}")));
    }
    for value in ["9223372036854775807", "9223372036854775808", "18446744073709551616", "-9", "soon"] {
        let headers = format!("x-ratelimit-remaining: 0\r\nx-ratelimit-reset: {value}\r\ndate: {value}\r\n");
        all.push((format!("403, x-ratelimit-reset {value:?}"), answer("403", &headers, b"{}")));
    }
    all
}

/// Payloads of hooks that are as large as any that is read, and dense with values.
pub(super) fn payloads() -> Vec<(&'static str, Conduct)> {
    let ok = |body: &str| answer("200 OK", "content-type: application/json\r\n", body.as_bytes());
    let list = |unit: &str, length: usize| format!("[{}]", vec![unit; length / (unit.len() + 1)].join(","));
    let changes = |list: &str| ok(&format!(r#"{{"template": null, "changedResources": {list}}}"#));
    let change = |trust: &str| {
        let after = format!(r#"{{"Properties": {{"Trust": {trust}}}}}"#);
        let change = json!({"logicalResourceId": "R", "resourceType": "Custom::GitHubRole", "action": "CREATE", "afterContext": after});
        change.to_string()
    };
    let template = |text: &str| ok(&json!({"template": text, "changedResources": []}).to_string());
    vec![
        ("a payload of numbers", changes(&list("0", 5_900_000))),
        ("a payload of lists", changes(&list("[0]", 5_900_000))),
        ("a payload of objects", changes(&list(r#"{"a":0}"#, 5_900_000))),
        ("a payload with a dense template", template(&list(r#"{"a":0}"#, 2_900_000))),
        ("a payload with a dense context", changes(&format!("[{}]", change(&list("[0]", 2_900_000))))),
        (
            "a payload of 500 changes",
            changes(&list(
                &change(&list(r#"{"Repository":"octo-org/octo-repo","Branches":["main"]}"#, 4000)),
                2_200_000,
            )),
        ),
        ("a payload of one long text", template(&"x".repeat(5_900_000))),
    ]
}

fn without_http() -> Vec<(String, Conduct)> {
    let table = [
        ("never answers", Conduct::Stops(Vec::new())),
        ("closes", raw("")),
        ("half a status line", raw("HTTP/1.")),
        ("half a head", raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")),
        ("stops in the head", Conduct::Stops(b"HTTP/1.1 200 OK\r\nx-amzn".to_vec())),
        ("drips", Conduct::Drips(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec())),
        ("another protocol", raw("SSH-2.0-OpenSSH_9.9\r\n")),
        ("HTTP/0.9", raw("<html>hello</html>")),
        ("HTTP/9.9", raw("HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n")),
        ("status 000", raw("HTTP/1.1 000 \r\ncontent-length: 0\r\n\r\n")),
        ("status 20x", raw("HTTP/1.1 20x OK\r\ncontent-length: 0\r\n\r\n")),
        ("endless head", Conduct::Floods(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-more: 0123456789\r\n".repeat(50))),
        ("100 without end", Conduct::Floods(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".repeat(4))),
        ("101", raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")),
        ("bytes of chance", Conduct::Says((0..4000_u32).map(|at| (at * 7919).to_le_bytes()[1]).collect())),
    ];
    table.map(|(name, conduct)| (name.to_owned(), conduct)).to_vec()
}

fn headers() -> Vec<(String, Conduct)> {
    let ok = |headers: &str| raw(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{{}}"));
    let many = (0..5000).fold(String::new(), |mut text, number| {
        let _infallible = write!(text, "x-{number}: 1\r\n");
        text
    });
    let table = [
        ("5,000 headers", ok(&many)),
        ("a header of 1 MB", ok(&format!("x-long: {}", "a".repeat(1 << 20)))),
        ("length too small", ok("content-length: 1")),
        ("length too large", ok("content-length: 1000")),
        ("negative length", ok("content-length: -2")),
        ("length of 2^64", ok("content-length: 18446744073709551616")),
        ("huge length", ok("content-length: 9223372036854775807")),
        ("two lengths", ok("content-length: 2\r\ncontent-length: 3")),
        ("length and chunks", ok("content-length: 2\r\ntransfer-encoding: chunked")),
        ("no length", ok("connection: keep-alive")),
        ("a chunk of 2^64", raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx")),
        ("garbled chunks", raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx")),
        ("a chunk cut short", raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nabc")),
        ("not gzip", ok("content-encoding: gzip\r\ncontent-length: 2")),
        ("another type", ok("content-type: text/html; charset=utf-16\r\ncontent-length: 2")),
        ("204 with a body", raw("HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n{\"a\": 1}x")),
    ];
    table.map(|(name, conduct)| (name.to_owned(), conduct)).to_vec()
}

fn bodies() -> Vec<(String, Conduct)> {
    let ok = |body: &[u8]| answer("200 OK", "content-type: application/json\r\n", body);
    let entities = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><a>&c;&c;</a>";
    // As many as the largest answer holds. A build without optimisation takes seconds to read them.
    let items = if Function::is_release() { 80_000 } else { 20_000 };
    let deep = |open: &str| ok(open.repeat(items).as_bytes());
    let members = format!(
        "<ListRolesResponse><ListRolesResult><Roles>{}</Roles></ListRolesResult></ListRolesResponse>",
        "<member/>".repeat(items)
    );
    let names = format!("{{\"clusters\":[{0}\"\"],\"accessEntries\":[{0}\"\"]}}", "\"\",".repeat(3 * items / 2));
    let table = [
        ("an empty body", ok(b"")),
        ("null", ok(b"null")),
        ("a list", ok(b"[]")),
        ("an empty object", ok(b"{}")),
        ("an empty element", ok(b"<a/>")),
        ("HTML", ok(b"<!doctype html><title>Log in</title>")),
        ("half an object", ok(b"{\"Role\": {\"Arn\": ")),
        ("half an element", ok(b"<GetRoleResponse><GetRoleResult><Role>")),
        ("bytes beyond UTF-8", ok(b"{\"full_name\": \"\xff\xfe\", \"id\": 1}")),
        ("numbers out of range", ok(br#"{"id": 1e999, "owner": {"id": -1}}"#)),
        ("members twice", ok(br#"{"id": 1, "id": "2", "id": null}"#)),
        ("deep JSON", deep("[")),
        ("deep objects", deep("{\"a\":")),
        ("deep XML", deep("<a>")),
        ("entities", ok(entities.as_bytes())),
        ("empty members", ok(members.as_bytes())),
        ("empty names", ok(names.as_bytes())),
        ("16 MB of spaces", ok(&vec![b' '; 16 << 20])),
        ("a body without end", Conduct::Floods(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'['; 1 << 16])),
        (
            "chunks without end",
            Conduct::Floods(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
                [&b"1000\r\n"[..], &[b'a'; 0x1000], b"\r\n"].concat(),
            ),
        ),
        (
            "an error without end",
            Conduct::Floods(b"HTTP/1.1 500 Oh\r\n\r\n<Error><Message>".to_vec(), vec![b'e'; 1 << 16]),
        ),
    ];
    table.map(|(name, conduct)| (name.to_owned(), conduct)).to_vec()
}
