//! The discovery of an issuer: one small document, over a connection that is already verified. Any other response (a
//! redirect, another issuer, a body without end) is refused.

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use url::{Host, Url};

use super::{Endpoint, ProbeLimits, plain};

/// The document has a few hundred bytes.
const BODY_LIMIT: usize = 64 * 1024;
const HEAD_LIMIT: usize = 16 * 1024;
const URL_LIMIT: usize = 2048;

/// The mistake in an issuer's `openid-configuration`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryProblem {
    /// The server points elsewhere.
    #[error("redirects to {to:?} (status {status}), which is not followed")]
    Redirect {
        /// The status.
        status: u16,
        /// The target.
        to: String,
    },
    /// Another status than 200.
    #[error("was answered with status {0}")]
    Status(u16),
    /// The body does not end.
    #[error("is larger than 64 KiB")]
    TooLarge,
    /// The response does not arrive.
    #[error("did not arrive within {0} s")]
    TooSlow(u64),
    /// The answer is no HTTP.
    #[error("could not be read: {0}")]
    Http(String),
    /// Not the JSON of such a document.
    #[error("is not the JSON of an OpenID configuration: {0}")]
    Json(String),
    /// The document is of another issuer.
    #[error("is of another issuer: {0:?}")]
    OtherIssuer(String),
    /// No issuer.
    #[error("has no `issuer`")]
    NoIssuer,
    /// No keys.
    #[error("has no `jwks_uri`")]
    NoJwksUri,
    /// The keys are at a place that is not looked at.
    #[error("has a `jwks_uri` that is not {expected}: {found:?}")]
    JwksUri {
        /// The allowed values.
        expected: &'static str,
        /// The value in the document.
        found: String,
    },
}

#[derive(Deserialize)]
struct Configuration {
    issuer: Option<String>,
    jwks_uri: Option<String>,
}

/// Asks for the document and says where the keys are.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    url: &Url,
    issuer: &str,
    policy: &ProbeLimits,
) -> Result<Endpoint, DiscoveryProblem> {
    let body = tokio::time::timeout(policy.fetch, fetch(stream, url)).await;
    let body = body.unwrap_or_else(|_elapsed| Err(DiscoveryProblem::TooSlow(policy.fetch.as_secs())))?;
    read(&body, issuer)
}

async fn fetch<S: AsyncRead + AsyncWrite + Unpin>(stream: S, url: &Url) -> Result<Bytes, DiscoveryProblem> {
    let http = |error: hyper::Error| DiscoveryProblem::Http(plain(&error.to_string()));
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_LIMIT).handshake(TokioIo::new(stream)).await.map_err(http)?;
    let request = Request::get(url.path())
        .header(HOST, url.host_str().unwrap_or_default())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("github-trust/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| DiscoveryProblem::Http(error.to_string()))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(http)?;
        head(&response)?;
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            if error.is::<LengthLimitError>() {
                DiscoveryProblem::TooLarge
            } else {
                DiscoveryProblem::Http(plain(&error.to_string()))
            }
        })
    };
    // The connection has to be driven for the exchange to go on; when it ends first, the exchange learns of it.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        body = exchange => body,
        () = driven => Err(DiscoveryProblem::Http("the connection ended".to_owned())),
    }
}

fn head<B>(response: &Response<B>) -> Result<(), DiscoveryProblem> {
    let text = |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let status = response.status();
    if status.is_redirection() {
        let to = plain(&text(LOCATION).unwrap_or_default());
        return Err(DiscoveryProblem::Redirect { status: status.as_u16(), to });
    }
    if status != StatusCode::OK {
        return Err(DiscoveryProblem::Status(status.as_u16()));
    }
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(DiscoveryProblem::TooLarge);
    }
    Ok(())
}

/// `OpenID` Connect Discovery 1.0, section 4.3: "The issuer value returned MUST be identical to the Issuer URL that was
/// used as the prefix".
fn read(body: &[u8], issuer: &str) -> Result<Endpoint, DiscoveryProblem> {
    // serde would take a list for a struct.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(DiscoveryProblem::Json("it does not begin as an object".to_owned()));
    }
    let document: Configuration =
        serde_json::from_slice(body).map_err(|error| DiscoveryProblem::Json(plain(&error.to_string())))?;
    let found = document.issuer.ok_or(DiscoveryProblem::NoIssuer)?;
    if found != issuer {
        return Err(DiscoveryProblem::OtherIssuer(plain(&found)));
    }
    let found = document.jwks_uri.ok_or(DiscoveryProblem::NoJwksUri)?;
    let refused = |expected| DiscoveryProblem::JwksUri { expected, found: plain(&found) };
    if found.len() > URL_LIMIT {
        return Err(refused("a URL of at most 2048 bytes"));
    }
    let url = Url::parse(&found).map_err(|_invalid| refused("a URL"))?;
    if url.scheme() != "https" {
        return Err(refused("an https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("a URL without user information"));
    }
    match url.host() {
        // A port is part of where the keys are. IAM asks there, so the certificate there is what matters.
        Some(Host::Domain(host)) => {
            Ok(Endpoint { host: host.to_owned(), port: url.port_or_known_default().unwrap_or(443) })
        }
        _ => Err(refused("a URL with a host name")),
    }
}
