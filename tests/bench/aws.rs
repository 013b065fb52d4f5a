//! IAM, EKS, CloudFormation and Secrets Manager, each at a port of its own.

use super::http::{Answer, Request};
use super::simulation::account::REGION;
use super::simulation::perform::answered;
use super::stage::Stage;

/// IAM takes no issuer whose host has no dot, and the peers find no other host than `localhost` on this machine.
const LOCALHOST: (&str, &str) = ("%2F%2Flocalhost%2F", "%2F%2Flocalhost.example%2F");

pub(crate) fn iam(stage: &Stage, request: &Request) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default();
    let what = format!("iam:{action}");
    let request = Request { body: body.replace(LOCALHOST.0, LOCALHOST.1).into_bytes(), ..request.clone() };
    service(stage, &request, &what, "iam.amazonaws.com")
}

pub(crate) fn cloudformation(stage: &Stage, request: &Request) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default();
    service(stage, request, &format!("cloudformation:{action}"), &format!("cloudformation.{REGION}.amazonaws.com"))
}

pub(crate) fn eks(stage: &Stage, request: &Request) -> Answer {
    let what = format!("eks:{} {}", request.method, request.target);
    service(stage, request, &what, &format!("eks.{REGION}.amazonaws.com"))
}

pub(crate) fn secrets(stage: &Stage, request: &Request) -> Answer {
    let what = request.header("x-amz-target").unwrap_or_default().to_owned();
    service(stage, request, &what, &format!("secretsmanager.{REGION}.amazonaws.com"))
}

fn service(stage: &Stage, request: &Request, what: &str, authority: &str) -> Answer {
    stage.call(what, request, |account, id| {
        answered(account, &request.to(authority), id).map_or_else(|| Answer::new(500, "nobody is there"), Into::into)
    })
}
