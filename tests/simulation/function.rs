//! The function under test, bound to a simulated cloud: the same SDK clients as in production, but for their connector,
//! their clock and their retry budget.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use github_trust::app::App;
use github_trust::handler::InvocationContext;
use github_trust::settings::Settings;

use super::cloud::Cloud;
use super::cloudformation::SERVICE_TOKEN;
use super::issuers::SimulatedIssuers;
use super::lambda;
use super::sdk;

/// As in `main.rs`.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Lambda's longest time-out.
const LONGEST: Duration = Duration::from_mins(15);

/// Clients are made once and serve every history of this cloud, as a warm process's serve every event.
pub(crate) fn github_trust(cloud: &Cloud) -> lambda::Function {
    github_trust_with(cloud, Settings::default())
}

/// The same with other settings of the deployment.
pub(crate) fn github_trust_with(cloud: &Cloud, settings: Settings) -> lambda::Function {
    on_lambda(function(cloud, settings))
}

/// The function as Lambda calls it.
pub(crate) fn on_lambda(app: App) -> lambda::Function {
    let function = Rc::new(app);
    Rc::new(move |cloud: &Cloud, event: String, deadline: SystemTime| {
        let now = cloud.now();
        cloud.state().account.stacks.begin_event(&event, now);
        let function = Rc::clone(&function);
        Box::pin(async move {
            let context = InvocationContext { deadline, function_arn: SERVICE_TOKEN.to_owned() };
            function.handle(&event, &context).await.map(drop).map_err(|error| error.to_string())
        })
    })
}

/// Gives an event of a test's own making to the function.
pub(crate) async fn deliver(cloud: &Cloud, settings: Settings, event: &serde_json::Value) -> serde_json::Value {
    deliver_text(cloud, settings, &event.to_string()).await
}

/// The same with the text of an event.
pub(crate) async fn deliver_text(cloud: &Cloud, settings: Settings, event: &str) -> serde_json::Value {
    let now = cloud.now();
    cloud.state().account.stacks.begin_event(event, now);
    let context = InvocationContext { deadline: now + LONGEST, function_arn: SERVICE_TOKEN.to_owned() };
    function(cloud, settings).handle(event, &context).await.expect("an event that is not delivered again")
}

pub(crate) fn function(cloud: &Cloud, settings: Settings) -> App {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let retries = RetryConfig::disabled();
    App {
        settings,
        cloudformation: sdk::cloudformation_with(cloud, &retries, &timeouts).into(),
        iam: sdk::iam_with(cloud, &retries, &timeouts).into(),
        eks: sdk::eks_with(cloud, &retries, &timeouts).into(),
        secrets: sdk::secrets_with(cloud, &retries, &timeouts).into(),
        issuers: Arc::new(SimulatedIssuers(cloud.clone())),
        http: cloud.connector(),
        clock: cloud.time(),
    }
}
