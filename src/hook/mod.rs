//! CloudFormation's Lambda hooks: change sets with our resource types are planned, and native roles and providers are held
//! against IAM's evaluation. A hook that cannot tell lets the change go on: it must never block a stack by itself.
//!
//! <https://docs.aws.amazon.com/cloudformation-cli/latest/hooks-userguide/lambda-hooks-create-lambda-function.html>

mod event;
mod native;
mod payload;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::App;
use crate::aws::Deadline;
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::guardrails::GuardrailCheck;
use crate::preview::{self, Previewed};

pub use event::{HookEvent, HookTarget};
pub use native::{Finding, in_provider, in_trust_policy};
use payload::Payload;

/// The time for an answer. CloudFormation waits 30 seconds, of which a cold start takes some.
const ANSWER: Duration = Duration::from_secs(20);
/// The length of a message, in characters: "truncated to 4096", and to 1024 for Cloud Control.
const MESSAGE: usize = 4096;
const CLOUD_CONTROL_MESSAGE: usize = 1024;
/// The length of a text in an annotation. CloudFormation documents none.
const ANNOTATION: usize = 1024;
/// The number of annotations.
const ANNOTATIONS: usize = 50;

/// Reads an event, if it is a hook's.
#[must_use]
pub fn read(event: &str) -> Option<HookEvent> {
    HookEvent::read(event)
}

/// A result for the console.
struct Annotation {
    name: String,
    status: &'static str,
    text: String,
    remedy: String,
    severity: &'static str,
}

/// Answers a hook.
pub async fn answer(app: &App, here: &Deployment, deadline: Instant, event: HookEvent) -> Value {
    let until = deadline.min(Instant::now() + ANSWER);
    let evaluating = AssertUnwindSafe(Box::pin(evaluate(app, here, until, &event))).catch_unwind();
    let annotations = match tokio::time::timeout_at(until, evaluating).await {
        Ok(Ok(annotations)) => annotations,
        Ok(Err(_panic)) => Err("a defect of the function, which its log shows".to_owned()),
        Err(_elapsed) => Err("the time was up before everything was looked up".to_owned()),
    };
    let limit = if event.target == HookTarget::CloudControl { CLOUD_CONTROL_MESSAGE } else { MESSAGE };
    let mut answer = match annotations {
        Ok(annotations) => evaluated(&annotations, limit),
        Err(why) => {
            tracing::warn!(why, "a hook was not evaluated");
            json!({"hookStatus": "SUCCESS", "message": cut(&format!("Not evaluated: {why}"), limit)})
        }
    };
    if let Some(token) = event.token {
        answer["clientRequestToken"] = token.into();
    }
    answer
}

async fn evaluate(app: &App, here: &Deployment, until: Instant, event: &HookEvent) -> Result<Vec<Annotation>, String> {
    match &event.target {
        HookTarget::ChangeSet => {
            app.settings.guardrails.check_explain(here).map_err(|refusal| refusal.to_string())?;
            let stack = StackId::parse(&event.stack_id).map_err(|error| error.to_string())?;
            if stack.region() != here.region || stack.account() != here.account {
                return Err("the stack is in another account or region".to_owned());
            }
            let origin = app.settings.response_origin.as_deref();
            let Payload { changes, template } = payload::fetch(&app.http, &event.data, here, origin).await?;
            let deadline = Deadline::until(until - LAST_LOOK);
            let previews = preview::changes(app, here, deadline, stack, changes, template).await;
            Ok(previews.iter().map(of_preview).collect())
        }
        HookTarget::Resource | HookTarget::CloudControl => of_native(app, here, event),
        HookTarget::Other => Ok(Vec::new()),
        HookTarget::Unreadable(why) => Err(format!("the event: {why}")),
    }
}

/// Holds a native role or provider against IAM's evaluation.
fn of_native(app: &App, here: &Deployment, event: &HookEvent) -> Result<Vec<Annotation>, String> {
    let properties = event.properties();
    let findings = match event.resource_type.as_str() {
        "AWS::IAM::Role" if properties.get(TRUST_POLICY).is_some_and(native::is_too_long) => {
            return Err("the trust policy is longer than IAM takes".to_owned());
        }
        "AWS::IAM::Role" => properties.get(TRUST_POLICY).map(in_trust_policy).unwrap_or_default(),
        "AWS::IAM::OIDCProvider" => in_provider(&properties),
        _ => Vec::new(),
    };
    let name = event.logical_id.as_deref().unwrap_or(&event.resource_type);
    let logical_id = event.logical_id.as_deref().unwrap_or_default();
    let guardrails = app.settings.guardrails.at(app.clock.now(), logical_id);
    // Cloud Control has no stack, which an exemption could name.
    let stack = StackId::parse(&event.stack_id).ok();
    let annotation = |finding: &Finding| {
        if finding.guardrail != Some(native::BROAD) {
            return Some(of_finding(name, finding));
        }
        let check = GuardrailCheck::Broad { property: TRUST_POLICY.to_owned(), what: finding.what.clone() };
        let exempted = stack.as_ref().map(|stack| guardrails.exempted(&[check], stack, here)).unwrap_or_default();
        match exempted.into_iter().next() {
            _ if guardrails.allows_broad_trust() => None,
            Some(text) => Some(of_exemption(name, &text)),
            None => Some(of_finding(name, finding)),
        }
    };
    Ok(findings.iter().filter_map(annotation).collect())
}

const TRUST_POLICY: &str = "AssumeRolePolicyDocument";

/// The time between the last call that may start and the answer.
const LAST_LOOK: Duration = Duration::from_secs(4);

fn of_preview(previewed: &Previewed) -> Annotation {
    let name = previewed.logical_id.clone().unwrap_or_default();
    let text = previewed.text();
    let (status, severity, remedy) = if previewed.would_fail() {
        ("FAILED", "HIGH", "Change the declaration as the reasons say".to_owned())
    } else if previewed.dry_run.physical_id.is_none() {
        ("SKIPPED", "INFORMATIONAL", String::new())
    } else {
        ("PASSED", "INFORMATIONAL", String::new())
    };
    Annotation { name, status, text, remedy, severity }
}

fn of_finding(name: &str, finding: &Finding) -> Annotation {
    let Finding { guardrail, what, instead } = finding;
    let guardrail = guardrail.map(|guardrail| format!(" (guardrail `{guardrail}`)")).unwrap_or_default();
    let remedy = instead.as_ref().map_or_else(
        || "Name the repositories and branches that are meant, or declare a `Custom::GitHubRole`".to_owned(),
        |trust| format!("Name the jobs that are meant, such as by a `Custom::GitHubRole` with `Trust: {trust}`"),
    );
    let severity = if guardrail.is_empty() { "CRITICAL" } else { "MEDIUM" };
    Annotation { name: name.to_owned(), status: "FAILED", text: format!("{what}{guardrail}"), remedy, severity }
}

fn of_exemption(name: &str, exempted: &str) -> Annotation {
    tracing::warn!(exempted, "a stack is exempt from a guardrail");
    Annotation {
        name: name.to_owned(),
        status: "PASSED",
        text: format!("exempt: {exempted}"),
        remedy: String::new(),
        severity: "INFORMATIONAL",
    }
}

fn evaluated(annotations: &[Annotation], limit: usize) -> Value {
    let failed = annotations.iter().any(|annotation| annotation.status == "FAILED");
    // Those that fail first: the message is cut at its end.
    let mut ordered: Vec<&Annotation> = annotations.iter().collect();
    ordered.sort_by_key(|annotation| annotation.status != "FAILED");
    let texts: Vec<String> = ordered
        .iter()
        .map(
            |Annotation { name: _, status: _, text, remedy, severity: _ }| {
                if remedy.is_empty() { text.clone() } else { format!("{text}\n{remedy}") }
            },
        )
        .collect();
    let message = if texts.is_empty() { "Nothing to tell".to_owned() } else { texts.join("\n") };
    let shown: Vec<Value> = ordered
        .iter()
        .take(ANNOTATIONS)
        .map(|Annotation { name, status, text, remedy, severity }| {
            let mut shown = json!({
                "annotationName": name, "status": status, "statusMessage": cut(text, ANNOTATION), "severityLevel": severity,
            });
            if !remedy.is_empty() {
                shown["remediationMessage"] = cut(remedy, ANNOTATION).into();
            }
            shown
        })
        .collect();
    let mut answer = json!({
        "hookStatus": if failed { "FAILED" } else { "SUCCESS" },
        "message": cut(&message, limit),
        "annotations": shown,
    });
    if failed {
        answer["errorCode"] = "NonCompliant".into();
    }
    answer
}

/// At most so many characters.
fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}
