//! The one way out, for the SDK's calls, for GitHub and for the answers: hyper over rustls, HTTP/1.1 only, and made when
//! the first request needs it. The SDK's own connector does the same with HTTP/2 and a second store of public CAs in it,
//! which took 8 of 53 million instructions of a cold start.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::{LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

use crate::lazy::Lazy;
use crate::net::root_store;
use crate::net::tls::provider;

/// The time for a connection. The caller bounds the time for a response.
const CONNECT: Duration = Duration::from_secs(3);

/// The largest answer of AWS that is read, in bytes. The parser of the SDK makes up to 40 times of it. Lists come in smaller
/// pages where a page is larger.
const AWS_BODY_LIMIT: usize = 768 * 1024;
/// The largest body of others, in bytes: the payload of a hook. Its reader and the one of GitHub's answers have limits below it.
const BODY_LIMIT: usize = 6_000_000;

/// The largest head, in bytes. No more than that is read of a connection at a time, so that a server which sends without end
/// keeps nothing else from its turn.
const HEAD_LIMIT: usize = 32 * 1024;

type Pool = Lazy<Client<HttpsConnector<Tcp>, SdkBody>>;

/// The HTTP client. Its clones and connectors share one pool of connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Pool);

impl Default for HttpClient {
    fn default() -> Self {
        Self(Lazy::new(client))
    }
}

impl HttpClient {
    /// Creates a client, with its own pool of connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The connector of the SDK.
    #[must_use]
    pub fn for_aws(&self) -> SharedHttpConnector {
        self.connector(AWS_BODY_LIMIT)
    }

    /// The connector for GitHub, for responses and for payloads.
    #[must_use]
    pub fn for_others(&self) -> SharedHttpConnector {
        self.connector(BODY_LIMIT)
    }

    fn connector(&self, body_limit: usize) -> SharedHttpConnector {
        SharedHttpConnector::new(HyperConnector { pool: self.0.clone(), body_limit })
    }
}

#[derive(Debug)]
struct HyperConnector {
    pool: Pool,
    /// A body ends with an error where it is larger.
    body_limit: usize,
}

fn client() -> Client<HttpsConnector<Tcp>, SdkBody> {
    let tls = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    // It fails only for a provider without suites.
    let tls = tls.unwrap_or_else(|_| ClientConfig::builder());
    let tls = tls.with_root_certificates(root_store::store()).with_no_client_auth();
    let mut tcp = Tcp::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).http1_max_buf_size(HEAD_LIMIT).build(https)
}

impl HttpConnector for HyperConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let (answer, limit) = (self.pool.request(request), self.body_limit);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(response) => HttpResponse::try_from(response.map(|body| bounded(body, limit)))
                    .map_err(|error| ConnectorError::other(error.into(), None)),
                Err(error) if timed_out(&error) => Err(ConnectorError::timeout(error.into())),
                Err(error) => Err(ConnectorError::io(error.into())),
            }
        })
    }
}

fn bounded(body: Incoming, limit: usize) -> SdkBody {
    SdkBody::from_body_1_x(Limited::new(body, limit))
}

/// Returns true if an answer ended because it is larger than the limit.
pub(crate) fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns true if the connection timed out.
fn timed_out(error: &hyper_util::client::legacy::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
