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
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

use crate::first_use::Lazy;
use crate::net::root_store;
use crate::net::tls::provider;

/// The time for a connection. The caller bounds the time for a response.
const CONNECT: Duration = Duration::from_secs(3);

/// The largest answer that is read. A page of 1,000 roles, each with the longest trust policy, has some 25 MB.
const BODY_LIMIT: usize = 32 * 1024 * 1024;

#[derive(Debug)]
struct HyperConnector(Lazy<Client<HttpsConnector<Tcp>, SdkBody>>);

/// A new one, with its own pool of connections.
#[must_use]
pub fn connector() -> SharedHttpConnector {
    SharedHttpConnector::new(HyperConnector(Lazy::new(client)))
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
    Client::builder(TokioExecutor::new()).build(https)
}

impl HttpConnector for HyperConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(response) => HttpResponse::try_from(response.map(bounded))
                    .map_err(|error| ConnectorError::other(error.into(), None)),
                Err(error) if timed_out(&error) => Err(ConnectorError::timeout(error.into())),
                Err(error) => Err(ConnectorError::io(error.into())),
            }
        })
    }
}

/// A body that ends with an error where it is larger than any answer.
fn bounded(body: Incoming) -> SdkBody {
    SdkBody::from_body_1_x(Limited::new(body, BODY_LIMIT))
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
