//! Cold start: settings, clients, run.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use github_trust::app::App;
use github_trust::handler::InvocationContext;
use github_trust::lazy::Lazy;
use github_trust::metrics;
use github_trust::net::http_client::HttpClient;
use github_trust::resources::oidc_provider::thumbprint::{Internet, ProbeLimits, System};
use github_trust::settings::Settings;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Lambda's longest time-out.
const LONGEST: Duration = Duration::from_mins(15);
/// The time for one attempt at a call: an attempt that hangs leaves time for another one.
const ATTEMPT: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log();
    let function = &function();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let (now, deadline) =
            (SystemTime::now(), SystemTime::UNIX_EPOCH + Duration::from_millis(event.context.deadline));
        let context = InvocationContext {
            // `cargo lambda watch` gives a deadline of 1970.
            deadline: if deadline < now { now + LONGEST } else { deadline },
            function_arn: event.context.invoked_function_arn.clone(),
        };
        function.handle(event.payload.get(), &context).await.map_err(Error::from)
    }))
    .await
}

/// Writes JSON, one line an event, and only our own events: those of libraries could show secrets.
fn log() {
    let ours = tracing_subscriber::filter::Targets::new().with_target("github_trust", LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false);
    let lines = lines.with_filter(filter_fn(|metadata| metadata.target() != metrics::TARGET));
    tracing_subscriber::registry().with(ours).with(lines).with(Metrics).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// CloudWatch takes a metric only from a line that is nothing else.
struct Metrics;

impl<S: Subscriber> Layer<S> for Metrics {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if event.metadata().target() == metrics::TARGET {
            event.record(&mut Metrics);
        }
    }
}

impl Visit for Metrics {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "emf" {
            println!("{value}");
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Builds the clients. The SDK and the responses share a TLS configuration and a connection pool. The environment that
/// Lambda sets is the only configuration: no profile, no other source of credentials.
fn function() -> App {
    let settings = Settings::read(|name| std::env::var(name).ok());
    let policy = ProbeLimits { private_addresses: settings.private_issuers, ..ProbeLimits::default() };
    let network = System { hosts: settings.hosts.clone() };
    let http = HttpClient::new();
    let clients = http.for_aws();
    let config = Lazy::new(move || sdk(clients));
    let (cloudformation, eks, secrets) = (config.clone(), config.clone(), config.clone());
    App {
        settings,
        issuers: Arc::new(Internet { network, policy }),
        cloudformation: Lazy::new(move || aws_sdk_cloudformation::Client::new(&cloudformation)),
        iam: Lazy::new(move || aws_sdk_iam::Client::new(&config)),
        eks: Lazy::new(move || aws_sdk_eks::Client::new(&eks)),
        secrets: Lazy::new(move || aws_sdk_secretsmanager::Client::new(&secrets)),
        http: http.for_others(),
        clock: SharedTimeSource::new(SystemTimeSource::new()),
    }
}

fn sdk(http: SharedHttpConnector) -> SdkConfig {
    let region = std::env::var("AWS_REGION").ok().map(Region::new);
    let set = |name| std::env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .identity_cache(IdentityCache::lazy().build())
        .http_client(http_client_fn(move |_, _| http.clone()))
        .time_source(SystemTimeSource::new())
        .sleep_impl(TokioSleep::new())
        // `retry` does it: it sees every attempt, has more time, and keeps no budget from one request to the next.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build())
        .service_config(Endpoints)
        .use_fips(set("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(set("AWS_USE_DUALSTACK_ENDPOINT"));
    config.set_endpoint_url(std::env::var("AWS_ENDPOINT_URL").ok());
    config.build()
}

/// `AWS_ENDPOINT_URL_IAM` and the like, for a local AWS.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
#[derive(Debug)]
struct Endpoints;

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        std::env::var(format!("{}_{service}", key.env())).ok()
    }
}
