//! Cold start: settings, clients, run.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn};
use github_trust::handler::{Context, Function};
use github_trust::metrics;
use github_trust::oidc_provider::thumbprint::{Internet, Policy, System};
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log();
    let function = function().await;
    let function = &function;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let (now, deadline) =
            (SystemTime::now(), SystemTime::UNIX_EPOCH + Duration::from_millis(event.context.deadline));
        let context = Context {
            // `cargo lambda watch` gives a deadline of 1970.
            deadline: if deadline < now { now + LONGEST } else { deadline },
            function_arn: event.context.invoked_function_arn.clone(),
        };
        function.handle(event.payload.get(), &context).await.map_err(Error::from)
    }))
    .await
}

/// JSON, one line an event, and only our own: the libraries' lines could show what must not be logged.
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

/// One TLS configuration and one connection pool serve the SDK's clients and the answers.
async fn function() -> Function {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(20))
        .build();
    let connector =
        Connector::builder().connector_settings(settings).tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build();
    let http = SharedHttpConnector::new(connector);
    let shared = http.clone();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client_fn(move |_, _| shared.clone()))
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .region(EnvironmentVariableRegionProvider::new())
        // `retry` does it: it sees every attempt, has more time, and keeps no budget from one request to the next.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(20)).build())
        .load()
        .await;
    let settings = Settings::read(|name| std::env::var(name).ok());
    let policy = Policy { private_addresses: settings.private_issuers, ..Policy::default() };
    let network = System { hosts: settings.hosts.clone() };
    Function {
        settings,
        issuers: Arc::new(Internet { network, policy }),
        iam: aws_sdk_iam::Client::new(&config),
        eks: aws_sdk_eks::Client::new(&config),
        secrets: aws_sdk_secretsmanager::Client::new(&config),
        http,
        clock: SharedTimeSource::new(SystemTimeSource::new()),
    }
}
