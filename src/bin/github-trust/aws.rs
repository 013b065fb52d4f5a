//! The person's AWS: their credentials, over the function's HTTP client, with its retries.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::http::http_client_fn;
use github_trust::aws::Deadline;
use github_trust::net::http_client::HttpClient;
use tokio::time::Instant;

pub(crate) async fn config() -> SdkConfig {
    let http = HttpClient::new().for_aws();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client_fn(move |_, _| http.clone()))
        .retry_config(RetryConfig::disabled())
        .load()
        .await
}

pub(crate) fn deadline(time: Duration) -> Deadline {
    Deadline::until(Instant::now() + time)
}
