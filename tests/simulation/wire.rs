//! What travels: one HTTP request in, one HTTP answer out, with nothing of any service in it.

use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

/// A request as it would stand on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// `https://host/path?query`, as sent.
    pub(crate) url: String,
    pub(crate) scheme: String,
    /// Host and, where given, port and user information.
    pub(crate) authority: String,
    /// Still percent-encoded, because an ARN in a path contains slashes.
    pub(crate) path: String,
    /// Decoded, in the order sent.
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether its length was known beforehand, so that it could be announced.
    pub(crate) sized: bool,
}

impl Request {
    /// Everything but the body.
    pub(crate) fn head(request: &HttpRequest) -> Self {
        let url = request.uri().to_owned();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
        let (authority, path_and_query) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        Self {
            method: request.method().to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: form(query),
            headers: request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: Vec::new(),
            sized: request.body().content_length().is_some(),
            url,
        }
    }

    /// Takes the body off the connection. The SDK watches that: a body that nobody reads is a stalled upload to it.
    pub(crate) async fn with_body(mut self, body: SdkBody) -> Result<Self, ConnectorError> {
        let body = ByteStream::new(body).collect().await;
        self.body = body.map_err(|broken| ConnectorError::user(broken.into()))?.to_vec();
        Ok(self)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An answer as it would stand on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The same with the words of another error, or of none: code and status stay.
    pub(crate) fn in_other_words(mut self, words: &str) -> Self {
        if self.status < 400 {
            return self;
        }
        if let Ok(serde_json::Value::Object(mut body)) = serde_json::from_str(&self.body) {
            for name in ["message", "Message"] {
                if let Some(text) = body.get_mut(name) {
                    *text = words.into();
                }
            }
            self.body = serde_json::Value::Object(body).to_string();
        } else if let (Some(start), Some(end)) = (self.body.find("<Message>"), self.body.find("</Message>")) {
            self.body.replace_range(start + "<Message>".len()..end, words);
        }
        self
    }

    pub(crate) fn into_response(self) -> HttpResponse {
        let status = self.status.try_into().expect("a status of HTTP");
        let mut response = HttpResponse::new(status, SdkBody::from(self.body));
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Words of errors that say nothing.
pub(crate) const OTHER_WORDS: [&str; 4] = [
    "Etwas ging schief.",
    "",
    "要求を処理できませんでした。",
    "An error occurred. Try again, or contact your administrator with the id of the request.",
];

/// A service's "no": its code, its HTTP status and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into() }
    }
}

/// `a=1&b=x%20y`, decoded.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Percent-decoding.
pub(crate) fn decode(text: &str) -> String {
    urlencoding::decode(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// RFC 3986 percent-encoding, as `GetRole` applies it to a trust policy.
pub(crate) fn encode(text: &str) -> String {
    urlencoding::encode(text).into_owned()
}

/// Text as it stands between XML tags.
pub(crate) fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // What XML would fold into a line feed or a space when it is read.
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}
