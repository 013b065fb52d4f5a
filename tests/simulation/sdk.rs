//! The real SDK's clients on a simulated cloud, for the simulation's own tests.

use std::future::Future;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use futures_util::future::LocalBoxFuture;

use super::account::REGION;
use super::cloud::Cloud;

// The SDK keeps its budget of retries in a static that all clients of a region share, so a history's retries would
// depend on the histories before it.
macro_rules! own_budget {
    ($sdk:ident) => {
        $sdk::config::retry::RetryPartition::custom("simulation")
            .token_bucket($sdk::config::retry::TokenBucket::unlimited())
            .build()
    };
}

macro_rules! config {
    ($sdk:ident, $cloud:expr, $retries:expr, $timeouts:expr) => {
        $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new(REGION))
            .credentials_provider(Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "simulation"))
            // The cache draws a random time for its next refresh, which would make a history depend on those before it.
            .identity_cache($sdk::config::IdentityCache::no_cache())
            .http_client($cloud.client())
            .time_source($cloud.time())
            .retry_config($retries.clone())
            .retry_partition(own_budget!($sdk))
            .timeout_config($timeouts.clone())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .build()
    };
}

pub(crate) fn iam_with(cloud: &Cloud, retries: &RetryConfig, timeouts: &TimeoutConfig) -> aws_sdk_iam::Client {
    aws_sdk_iam::Client::from_conf(config!(aws_sdk_iam, cloud, retries, timeouts))
}

pub(crate) fn eks_with(cloud: &Cloud, retries: &RetryConfig, timeouts: &TimeoutConfig) -> aws_sdk_eks::Client {
    aws_sdk_eks::Client::from_conf(config!(aws_sdk_eks, cloud, retries, timeouts))
}

pub(crate) fn cloudformation_with(
    cloud: &Cloud,
    retries: &RetryConfig,
    timeouts: &TimeoutConfig,
) -> aws_sdk_cloudformation::Client {
    aws_sdk_cloudformation::Client::from_conf(config!(aws_sdk_cloudformation, cloud, retries, timeouts))
}

pub(crate) fn secrets_with(
    cloud: &Cloud,
    retries: &RetryConfig,
    timeouts: &TimeoutConfig,
) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::from_conf(config!(aws_sdk_secretsmanager, cloud, retries, timeouts))
}

fn ten_seconds() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(10)).build()
}

pub(crate) fn iam(cloud: &Cloud) -> aws_sdk_iam::Client {
    iam_with(cloud, &RetryConfig::standard(), &ten_seconds())
}

pub(crate) fn eks(cloud: &Cloud) -> aws_sdk_eks::Client {
    eks_with(cloud, &RetryConfig::standard(), &ten_seconds())
}

/// Runs something in a runtime of its own whose time is paused.
/// The future is boxed, so that the runtime is compiled once and not once a test.
pub(crate) fn in_virtual_time<T>(future: impl Future<Output = T>) -> T {
    let future: LocalBoxFuture<'_, T> = Box::pin(future);
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(future)
}

pub(crate) fn simulate<T, F: Future<Output = T>>(test: impl FnOnce(Cloud) -> F) -> T {
    in_virtual_time(async {
        let cloud = Cloud::new(1);
        test(cloud).await
    })
}
