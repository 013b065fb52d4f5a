//! `{"Explain": {"RoleName": …, "Claims": {…}}}`: whether a token with these claims could assume a role and, if not, which
//! condition fails and what to change. It is answered by evaluating the policy that IAM has, of any author.

mod advice;
pub mod cloudtrail_event;
pub mod cloudtrail_refusals;
mod distance;
pub mod least_trust;
mod subject_differences;
#[cfg(test)]
mod tests;
mod token_job;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::aws::Deadline;
use crate::aws::{CallError, ErrorKind, iam};
use crate::cloudformation::strict_json;
use crate::deployment::Deployment;
use crate::github::Issuer;
use crate::iam_policy::document::{UNREADABLE, decode, statements};
use crate::iam_policy::evaluate::{FailedCondition, StatementReport, TokenClaims, Verdict, evaluate};
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::ownership::Tags;
use crate::resources::github_role::TrustedNames;
use distance::are_nearest;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Question {
    /// The name or the ARN of a role of the function's account.
    pub role_name: String,
    /// As in the token's payload. Without them, only what the role admits is told.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

/// Reads an event, if it is a question.
///
/// # Errors
/// With what is wrong with it.
#[must_use]
pub fn read(event: &str) -> Option<Result<Question, String>> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "Explain", borrow)]
        explain: &'a RawValue,
    }
    let Event { explain } = serde_json::from_str(event).ok()?;
    let wanted = r#"expected {"Explain": {"RoleName": "…", "Claims": {"sub": "…", "aud": "…"}}}"#;
    let explain = strict_json::read(explain.get()).map_err(|error| format!("{wanted}: {error}"));
    let question =
        explain.and_then(|explain| serde_json::from_value(explain).map_err(|error| format!("{wanted}: {error}")));
    Some(question.and_then(|question: Question| {
        check_size(json!(question.claims).to_string().len())?;
        Ok(question)
    }))
}

/// The longest token that STS takes, in characters. A policy's patterns take as many steps as they and the claims have characters,
/// multiplied. <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
const TOKEN_LIMIT: usize = 20_000;

fn check_size(size: usize) -> Result<(), String> {
    if size <= TOKEN_LIMIT {
        return Ok(());
    }
    Err(format!("expected the claims of one token, at most the {TOKEN_LIMIT} characters that STS takes, found {size}"))
}

/// The answer to an event that is neither a question nor anything else that the function knows.
#[must_use]
pub fn unknown(event: &str) -> String {
    let members: Map<String, Value> = serde_json::from_str(event).unwrap_or_default();
    let found: Vec<String> = members.keys().take(3).map(|name| format!("`{name:.40}`")).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    format!("expected a request of CloudFormation, or a question: `Explain`, `Plan` or `Render`, found {found}")
}

/// Answers.
pub async fn answer(
    client: &aws_sdk_iam::Client,
    deployment: &Deployment,
    deadline: &Deadline,
    question: &Question,
) -> Value {
    let Question { role_name, claims } = question;
    let Some(role_name) = name_of(role_name, deployment) else {
        return json!({"Error": format!("expected a role of account {}, found {role_name:?}", deployment.account)});
    };
    let (policy, tags) = match policy(client, deadline, role_name).await {
        Ok(Some((Some(policy), tags))) => (policy, tags),
        Ok(Some((None, _))) => {
            return json!({"Error": format!("the trust policy of {role_name} cannot be read: {UNREADABLE}")});
        }
        Ok(None) => return json!({"Error": format!("there is no role {role_name} in account {}", deployment.account)}),
        Err(error) => return json!({"Error": error.to_string()}),
    };
    let provider = deployment.iam_arn(&format!("oidc-provider/{}", TokenClaims::of(claims).issuer));
    let mut answer = of_role((&policy, &tags), &provider, claims);
    if answer["Verdict"] == ADMITTED {
        let audiences = TokenClaims::of(claims).claims.remove("aud").unwrap_or_default();
        let found = iam::client_ids(client, deadline, &provider).await;
        if let Some((verdict, problem)) = at_provider(&provider, &audiences, found) {
            answer["Verdict"] = json!(verdict);
            answer["Provider"] = problem;
        }
    }
    answer["RoleName"] = json!(role_name);
    answer
}

/// Returns the name of a role that is given by its name or by its ARN, unless the ARN is another account's.
fn name_of<'a>(role: &'a str, deployment: &Deployment) -> Option<&'a str> {
    match role.strip_prefix(&deployment.iam_arn("role/")) {
        Some(path) => path.rsplit('/').next(),
        None => (!role.starts_with("arn:")).then_some(role),
    }
}

const ADMITTED: &str = "admitted";
const REFUSED: &str = "refused";
const DEPENDS: &str = "depends on more than the token";

/// The verdict of a provider on a token that its role would admit, and the reason; none if it takes the token.
fn at_provider(
    arn: &str,
    audiences: &[String],
    found: Result<Option<Vec<String>>, CallError>,
) -> Option<(&'static str, Value)> {
    let problem = |found: String, change: String| json!({"Provider": arn, "Found": found, "Change": change});
    match found {
        Ok(Some(ids)) if !audiences.is_empty() && audiences.iter().all(|audience| ids.contains(audience)) => None,
        Ok(Some(ids)) if audiences.is_empty() => Some((
            DEPENDS,
            problem(format!("a provider for {}", ids.join(", ")), "the claims have no `aud`: give it, too".to_owned()),
        )),
        Ok(Some(ids)) => {
            let asked = audiences.join(", ");
            let change =
                format!("add {asked} to the `ClientIdList` of the provider, or ask for an audience that it has");
            Some((REFUSED, problem(format!("a provider that takes {} and not {asked}", ids.join(", ")), change)))
        }
        Ok(None) => {
            let change = "declare a Custom::GitHubOidcProvider for this issuer, or update the stack that has one";
            Some((REFUSED, problem("no such provider in the account".to_owned(), change.to_owned())))
        }
        Err(error) => Some((DEPENDS, problem(format!("the provider cannot be read: {error}"), String::new()))),
    }
}

/// Answers for a policy of any role. `provider` is the ARN of the token's issuer in the role's account.
#[must_use]
pub fn of_policy(policy: &Value, provider: &str, claims: &Map<String, Value>) -> Value {
    of_role((policy, &Tags::new()), provider, claims)
}

fn of_role((policy, tags): (&Value, &Tags), provider: &str, claims: &Map<String, Value>) -> Value {
    let token = TokenClaims::of(claims);
    let ours = TrustPolicy::read(policy);
    let subjects: Vec<String> = ours.iter().flat_map(TrustPolicy::rules).map(ToString::to_string).collect();
    let mut answer = json!({"Admits": subjects, "Policy": policy});
    if !claims.is_empty() {
        let (verdict, reports) = evaluate(policy, provider, &token);
        answer["Verdict"] = json!(match verdict {
            Verdict::Admitted => ADMITTED,
            Verdict::Refused => REFUSED,
            Verdict::Depends => DEPENDS,
        });
        let written = statements(policy);
        let is_allowed = reports.iter().any(|report| !report.deny && report.applies == Some(true));
        let known = names(policy, tags, &token);
        let described = |(report, is_nearest): (&StatementReport, bool)| {
            let statement = Described {
                written: &written[report.statement],
                reason_to_stay: reason_to_stay(report, is_allowed, &verdict),
                is_nearest,
            };
            described(report, &token, &known, &statement)
        };
        answer["Statements"] = reports.iter().zip(are_nearest(&reports, written, &token)).map(described).collect();
    }
    answer
}

/// Reads the claims of a token, or claims in JSON. The signature of a token is not read.
///
/// # Errors
/// When it is neither.
pub fn claims_of(text: &str) -> Result<Map<String, Value>, String> {
    check_size(text.len())?;
    let wrong = || "expected a token of three parts joined by `.`, or its claims as a JSON object".to_owned();
    let claims = if text.starts_with('{') {
        text.as_bytes().to_vec()
    } else {
        let [_, payload, _] = text.split('.').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).map_err(|_| wrong())?
    };
    let claims = String::from_utf8(claims).map_err(|_| wrong())?;
    match strict_json::read(&claims) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) | Err(_) => Err(wrong()),
    }
}

/// Returns the policy of a role, if it can be read, and its tags.
async fn policy(
    iam: &aws_sdk_iam::Client,
    deadline: &Deadline,
    role: &str,
) -> Result<Option<(Option<Value>, Tags)>, CallError> {
    let request = iam.get_role().role_name(role);
    match deadline.call("iam:GetRole", role, || request.clone().send()).await {
        Ok(output) => {
            let role = output.role;
            let encoded = role.as_ref().and_then(|role| role.assume_role_policy_document.as_deref());
            Ok(Some((encoded.and_then(decode), iam::tags_of(role.and_then(|role| role.tags)))))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names that a policy trusts at the GitHub of a token.
fn names(policy: &Value, tags: &Tags, token: &TokenClaims) -> TrustedNames {
    let issuer = Issuer::parse_without_scheme(&token.issuer);
    issuer.map_or_else(|_| TrustedNames::default(), |issuer| TrustedNames::of(policy, tags, &issuer))
}

/// The reason for which a statement that does not apply is to stay as it is.
fn reason_to_stay(report: &StatementReport, is_allowed: bool, verdict: &Verdict) -> Option<&'static str> {
    if report.deny {
        return (report.applies == Some(false)).then_some("nothing: a Deny that does not apply refuses nobody");
    }
    let reason = match verdict {
        Verdict::Admitted => "nothing: the token is let in by another statement",
        Verdict::Refused | Verdict::Depends => "nothing: another statement allows the token, and a Deny decides",
    };
    is_allowed.then_some(reason)
}

/// A statement among the others of its policy.
struct Described<'a> {
    written: &'a Value,
    reason_to_stay: Option<&'static str>,
    /// False if another one is nearer to the job.
    is_nearest: bool,
}

fn described(report: &StatementReport, token: &TokenClaims, known: &TrustedNames, among: &Described<'_>) -> Value {
    let StatementReport { statement, deny, applies, other_principal, failed } = report;
    let Described { written, reason_to_stay, is_nearest } = among;
    let of_all = failed.as_slice();
    let change = |failed: &FailedCondition| match reason_to_stay {
        Some(why) => (*why).to_owned(),
        None if failed.depends => "this does not depend on the token".to_owned(),
        None => advice::change((failed, of_all), token, known, written, *is_nearest),
    };
    let mut described = json!({
        "Statement": statement,
        "Effect": if *deny { "Deny" } else { "Allow" },
        "Applies": applies,
        "Failed": failed.iter().map(|failed| condition(failed, &change(failed))).collect::<Vec<_>>(),
    });
    if *deny && *applies == Some(true) {
        let change = advice::denied(token, known);
        described["Change"] = json!(format!("it refuses the token, whatever other statements allow: {change}"));
    }
    if let Some(principal) = other_principal {
        described["Failed"] = json!([{
            "Principal": principal,
            "Found": format!("a token of https://{}", token.issuer),
            "Change": reason_to_stay.unwrap_or(OTHER_PROVIDER),
        }]);
    }
    described
}

const OTHER_PROVIDER: &str = "the role trusts another provider: set its `ProviderArn` to the one of this issuer";

fn condition(failed: &FailedCondition, change: &str) -> Value {
    let FailedCondition { operator, key, expected, found, depends: _ } = failed;
    json!({
        "Condition": format!("{operator} {key}"),
        "Expected": expected,
        "Found": found,
        "Change": change,
    })
}
