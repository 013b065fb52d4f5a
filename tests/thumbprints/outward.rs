//! The way out of calls and answers: what is not vouched for gets nothing, and what fails is told apart from what is refused.

use std::net::TcpListener;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use github_trust::net::http_client::HttpClient;

use super::network::Server;
use super::parties::root;

async fn put(url: &str) -> Result<HttpResponse, ConnectorError> {
    let request = http::Request::put(url).body(SdkBody::from("a secret")).unwrap();
    HttpClient::new().for_others().call(HttpRequest::try_from(request).unwrap()).await
}

#[tokio::test]
async fn a_server_that_no_public_ca_vouches_for_is_sent_nothing() {
    let ours = root("Nobody's").server_for("Server", &["localhost"]);
    let place = Server::new(&[&ours]).listen("127.0.0.1").await.unwrap();
    let error = put(&format!("https://localhost:{}/x", place.port())).await.unwrap_err();
    assert!(error.is_io() && !error.is_timeout(), "{error:?}");
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
}

#[tokio::test]
async fn a_port_that_nobody_listens_at_is_a_connection_that_failed() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = put(&format!("http://127.0.0.1:{port}/x")).await.unwrap_err();
    assert!(error.is_io() && !error.is_user() && !error.is_timeout(), "{error:?}");
}
