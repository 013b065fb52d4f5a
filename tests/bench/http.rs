//! The part of HTTP/1.1 that the measured clients speak: bodies with a length or in chunks, connections that stay open.
//! Not hyper's server: a runtime wakes threads on the two cores that the measured process needs, and a thread for each
//! connection sleeps until its own request comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use super::simulation::wire;

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// When it had arrived whole, in nanoseconds since 1970.
    pub(crate) at: u64,
    /// Whether the client closes the connection then.
    pub(crate) is_last: bool,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same as the simulation knows requests, sent to that host.
    pub(crate) fn to(&self, authority: &str) -> wire::Request {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        wire::Request {
            method: self.method.clone(),
            url: format!("https://{authority}{}", self.target),
            scheme: "https".to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: wire::form(query),
            headers: self.headers.iter().cloned().collect(),
            body: self.body.clone(),
            sized: self.header("content-length").is_some(),
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
}

impl From<wire::Answer> for Answer {
    fn from(wire::Answer { status, headers, body }: wire::Answer) -> Self {
        Self { status, headers, body: body.into_bytes() }
    }
}

pub(crate) struct Connection<S: Read + Write>(pub(crate) BufReader<S>);

impl<S: Read + Write> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next request; nothing when the connection is at its end.
    pub(crate) fn read(&mut self) -> Option<Request> {
        let first = self.line()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Request { method, target, headers, body: Vec::new(), at: 0, is_last: false };
        if request.header("expect").is_some() {
            self.0.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
            self.0.get_mut().flush().ok()?;
        }
        if let Some(length) = request.header("content-length") {
            request.body = self.bytes(length.parse().ok()?)?;
        } else if request.header("transfer-encoding").is_some() {
            loop {
                let length = usize::from_str_radix(self.line()?.trim(), 16).ok()?;
                request.body.extend(self.bytes(length)?);
                self.line()?;
                if length == 0 {
                    break;
                }
            }
        }
        request.at = now();
        request.is_last = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Some(request)
    }

    /// In one piece, so that nothing waits for its second half.
    pub(crate) fn write(&mut self, answer: &Answer) -> Option<()> {
        let mut text = format!("HTTP/1.1 {} Answered\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            text.extend([*name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend(&answer.body);
        let stream = self.0.get_mut();
        stream.write_all(&bytes).and_then(|()| stream.flush()).ok()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).ok()? == 0 {
            return None;
        }
        line.truncate(line.trim_end().len());
        Some(line)
    }

    fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}
