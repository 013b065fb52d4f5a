//! A request is understood, sent to the service that its host names, and answered in that service's form.

use std::time::{Duration, SystemTime};

use super::account::Account;
use super::author::Author;
use super::calls::Outcome;
use super::wire::{Answer, Refusal, Request};
use super::{eks, iam, model, s3, secrets, stacks};

/// A request, understood.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) service: &'static str,
    pub(super) action: String,
    pub(super) input: Result<serde_json::Value, Refusal>,
}

impl Parsed {
    pub(super) fn read(request: &Request) -> Self {
        let service = service(request);
        let (action, input) = match service {
            "iam" => understood(iam::Iam::parse(request), || {
                super::wire::form(&request.text())
                    .into_iter()
                    .find(|(key, _)| key == "Action")
                    .map_or_else(String::new, |(_, action)| action)
            }),
            "eks" => understood(eks::Eks::parse(request), || format!("{} {}", request.method, request.path)),
            "cloudformation" => understood(super::query::parse(model::cloudformation(), request), String::new),
            "s3" => ("PutObject".to_owned(), Ok(serde_json::json!({"key": request.path}))),
            "github" => (format!("{} {}", request.method, request.path), Ok(serde_json::Value::Null)),
            "secretsmanager" => understood(secrets::Secrets::parse(request), || {
                request.header("x-amz-target").unwrap_or_default().to_owned()
            }),
            _ => (format!("{} {}", request.method, request.authority), Ok(serde_json::Value::Null)),
        };
        Self { service, action, input }
    }

    pub(super) fn changes(&self) -> bool {
        !["s3", "elsewhere"].contains(&self.service)
            && !["Get", "List", "Describe", "GET "].iter().any(|reading| self.action.starts_with(reading))
            && !self.action.ends_with("/access_tokens")
    }

    pub(super) fn resource(&self) -> String {
        let Ok(input) = &self.input else { return String::new() };
        let names = [
            "RoleName",
            "OpenIDConnectProviderArn",
            "Url",
            "principalArn",
            "resourceArn",
            "name",
            "Name",
            "SecretId",
            "LogicalResourceId",
            "StackName",
            "key",
        ];
        names.iter().find_map(|name| input[*name].as_str()).unwrap_or_default().to_owned()
    }
}

fn understood(
    parsed: Result<(String, serde_json::Value), Refusal>,
    action: impl FnOnce() -> String,
) -> (String, Result<serde_json::Value, Refusal>) {
    match parsed {
        Ok((action, input)) => (action, Ok(input)),
        Err(refusal) => (action(), Err(refusal)),
    }
}

fn service(request: &Request) -> &'static str {
    let host = request.authority.as_str();
    if request.scheme != "https" {
        "elsewhere"
    } else if host == "iam.amazonaws.com" || host.starts_with("iam.") && host.ends_with(".amazonaws.com.cn") {
        "iam"
    } else if host.starts_with("eks.") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")) {
        "eks"
    } else if host == "cloudformation.eu-west-1.amazonaws.com" {
        "cloudformation"
    } else if super::github::is_api(host, &request.path) {
        "github"
    } else if host.starts_with("secretsmanager.") && host.ends_with(".amazonaws.com") {
        "secretsmanager"
    } else if host.starts_with("cloudformation-custom-resource-response-") && !host.contains(':') {
        "s3"
    } else {
        "elsewhere"
    }
}

/// Answers one request of somebody who is not told apart, at the time of day.
pub(crate) fn answered(account: &mut Account, request: &Request, request_id: &str) -> Option<Answer> {
    let parsed = Parsed::read(request);
    perform(account, &parsed, request, (&Author::Someone, None), SystemTime::now(), request_id)
}

pub(super) fn perform(
    account: &mut Account,
    parsed: &Parsed,
    request: &Request,
    (author, invocation): (&Author, Option<u64>),
    now: SystemTime,
    request_id: &str,
) -> Option<Answer> {
    account.eks.settle(now);
    if parsed.service == "s3" {
        return Some(s3::answer(&account.s3.handle(request, invocation, now), request_id));
    }
    if parsed.service == "github" {
        return account.github.handle(request, request_id, now);
    }
    if let Ok(input) = &parsed.input
        && input["SecretId"] == super::github::SECRET
    {
        return Some(account.github.secret());
    }
    let known = match parsed.service {
        "iam" => model::iam(),
        "eks" => model::eks(),
        "cloudformation" => model::cloudformation(),
        "secretsmanager" => model::secrets(),
        _ => return None,
    };
    let input = parsed.input.clone().and_then(|input| check_signature(request, parsed.service, now).map(|()| input));
    let reply = input.and_then(|input| {
        account.authorize_action(parsed.service, &parsed.action)?;
        if author.is_ours() {
            account.authorize(parsed.service, &parsed.action, &input, now)?;
        }
        let reply = match parsed.service {
            "iam" => account.iam_as(author, now, &parsed.action, &input),
            "cloudformation" => account.stacks.handle(&parsed.action, &input, now),
            "secretsmanager" => account.secrets.handle(&parsed.action, &input, author, now),
            _ => account.eks_as(author, now, &parsed.action, &input),
        }?;
        account.note_tags(parsed.service, &parsed.action, &input, now);
        Ok(reply)
    });
    if let Err(refusal) = &reply {
        check_code(known, &parsed.action, refusal);
    }
    Some(match parsed.service {
        "iam" => iam::answer(&parsed.action, &reply, request_id),
        "cloudformation" => stacks::answer(&parsed.action, &reply, request_id),
        "secretsmanager" => secrets::answer(&reply, request_id),
        _ => eks::answer(&reply, request_id),
    })
}

/// A fault's words in the form of the service that was asked.
pub(super) fn refuse(request: &Request, refusal: Refusal, number: u64) -> Answer {
    let request_id = format!("00000000-0000-4000-8000-{number:012x}");
    match service(request) {
        "iam" => iam::answer("", &Err(refusal), &request_id),
        "cloudformation" => stacks::answer("", &Err(refusal), &request_id),
        "s3" => s3::answer(&Err(refusal), &request_id),
        "github" => super::github::refused(&refusal, &request_id),
        "secretsmanager" => secrets::answer(&Err(refusal), &request_id),
        _ => eks::answer(&Err(refusal), &request_id),
    }
}

/// Services of the Query protocol have error codes without the suffix `Exception`.
fn is_query(service: &str) -> bool {
    ["iam", "cloudformation"].contains(&service)
}

/// Requests are signed, and not long ago: a signature by another clock than the simulated one is found here.
fn check_signature(request: &Request, service: &str, now: SystemTime) -> Result<(), Refusal> {
    if request.header("authorization").is_none() {
        let code = if is_query(service) { "MissingAuthenticationToken" } else { "MissingAuthenticationTokenException" };
        return Err(Refusal::new(code, 403, "Request is missing Authentication Token"));
    }
    let signed = request.header("x-amz-date").and_then(super::clock::from_compact);
    let fresh = signed.is_some_and(|signed| {
        let apart = now.duration_since(signed).or_else(|early| Ok::<_, ()>(early.duration()));
        apart.is_ok_and(|apart| apart < Duration::from_mins(5))
    });
    if fresh {
        return Ok(());
    }
    let code = if is_query(service) { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
    let message =
        format!("Signature expired: {} is not within 5 minutes", request.header("x-amz-date").unwrap_or_default());
    Err(Refusal::new(code, 403, message))
}

/// Errors that every operation can answer, though no operation lists them ("Common errors" of both references), and the
/// one that the services are known to answer beyond their models (terraform-provider-aws#34371).
pub(crate) const UNLISTED: [&str; 14] = [
    "ValidationError",
    "ValidationException",
    "InvalidAction",
    "Throttling",
    "ThrottlingException",
    "AccessDenied",
    "AccessDeniedException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "UnknownOperationException",
    "SerializationException",
    "ConcurrentModification",
];

/// No refusal is an invention: the model lists its code for this operation, with this status.
fn check_code(service: &model::Service, action: &str, refusal: &Refusal) {
    if UNLISTED.contains(&refusal.code) {
        return;
    }
    let listed = service.operations.get(action).and_then(|known| known.errors.get(refusal.code));
    // Quirks that are documented elsewhere than in the operation's list.
    let quirk = matches!(
        (action, refusal.code),
        ("CreateRole" | "PutRolePermissionsBoundary", "NoSuchEntity")
            | (
                "AssociateAccessPolicy"
                    | "DisassociateAccessPolicy"
                    | "ListAssociatedAccessPolicies"
                    | "ListAccessPolicies"
                    | "DescribeCluster"
                    | "DeleteAccessEntry"
                    | "DescribeAccessEntry",
                "InvalidParameterException"
            )
    );
    assert!(
        quirk || listed == Some(&refusal.status),
        "{action} does not answer {} with status {}",
        refusal.code,
        refusal.status
    );
}

pub(super) fn outcome(answer: &Answer) -> Outcome {
    if answer.status == 0 {
        return Outcome::Broken;
    }
    if answer.status < 300 {
        return Outcome::Done;
    }
    let code = answer
        .headers
        .iter()
        .find(|(name, _)| *name == "x-amzn-errortype")
        .map(|(_, code)| code.clone())
        .or_else(|| Some(answer.body.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned()))
        .unwrap_or_default();
    Outcome::Refused { code, status: answer.status }
}
