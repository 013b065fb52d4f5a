//! Something of our own between the function and the cloud: a connector that may panic, or answer in the cloud's place.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use github_trust::app::App;
use github_trust::deployment::LogStream;
use github_trust::settings::Settings;

use super::super::cloud::Cloud;
use super::super::function::on_lambda;
use super::super::issuers::SimulatedIssuers;
use super::super::lambda;
use super::super::sdk;

/// Is shown every request, and may answer it.
type Act = Arc<dyn Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync>;

#[derive(Clone)]
struct Interposed {
    inner: SharedHttpConnector,
    act: Act,
}

impl std::fmt::Debug for Interposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interposed")
    }
}

impl HttpConnector for Interposed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match (self.act)(&request) {
            Some(response) => HttpConnectorFuture::ready(Ok(response)),
            None => self.inner.call(request),
        }
    }
}

impl HttpClient for Interposed {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// The function as `function.rs` makes it, but for its way to the cloud.
pub(super) fn through(
    cloud: &Cloud,
    act: impl Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync + 'static,
) -> lambda::Function {
    let interposed = Interposed { inner: cloud.connector(), act: Arc::new(act) };
    let client = SharedHttpClient::new(interposed.clone());
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(20)).build();
    let retries = RetryConfig::disabled();
    let iam = sdk::iam_with(cloud, &retries, &timeouts).config().to_builder().http_client(client.clone()).build();
    let eks = sdk::eks_with(cloud, &retries, &timeouts).config().to_builder().http_client(client.clone()).build();
    let secrets =
        sdk::secrets_with(cloud, &retries, &timeouts).config().to_builder().http_client(client.clone()).build();
    let cloudformation = sdk::cloudformation_with(cloud, &retries, &timeouts);
    let cloudformation = cloudformation.config().to_builder().http_client(client).build();
    on_lambda(App {
        settings: Settings {
            log: Some(LogStream { group: "github-trust".to_owned(), name: "2026/11/21/[$LATEST]0123".to_owned() }),
            ..Settings::default()
        },
        cloudformation: aws_sdk_cloudformation::Client::from_conf(cloudformation).into(),
        iam: aws_sdk_iam::Client::from_conf(iam).into(),
        eks: aws_sdk_eks::Client::from_conf(eks).into(),
        secrets: aws_sdk_secretsmanager::Client::from_conf(secrets).into(),
        issuers: Arc::new(SimulatedIssuers(cloud.clone())),
        http: SharedHttpConnector::new(interposed),
        clock: cloud.time(),
    })
}
