//! Native roles and providers: trust that lets GitHub in too broadly, or lets nobody in. A finding is proven by IAM's
//! evaluation of the policy with a token that somebody can have; without such a proof there is none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::arn::issuer_of_provider;
use crate::audit::grade::{AuditFinding, Grade, Provider, Work, grade};
use crate::cloudformation::strict_json::{self, JsonError};
use crate::github::Issuer;
use crate::github::subject::without_ids;
use crate::iam_policy::document::{allowed_values, providers};

/// A finding about a native resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The guardrail by which a deployment may allow it; none for what nobody means.
    pub guardrail: Option<&'static str>,
    /// The finding in words.
    pub what: String,
    /// The `Trust` to write instead, where the policy tells it.
    pub instead: Option<Value>,
}

/// Finds what a trust policy lets in beyond what people mean, or that it lets nobody in. Cloud Control gives a policy as an
/// object or as the text of one.
#[must_use]
pub fn in_trust_policy(policy: &Value) -> Vec<Finding> {
    match policy.as_str().map(strict_json::read) {
        None | Some(Err(JsonError::Syntax(_))) => in_document(policy),
        Some(Ok(policy)) => in_document(&policy),
        // IAM takes none of this length.
        Some(Err(JsonError::Large)) => Vec::new(),
        Some(Err(twice @ JsonError::Twice(_))) => {
            let what = format!(
                "`AssumeRolePolicyDocument` has {twice}: one of the two is dropped, and it may be the narrower one"
            );
            vec![Finding { guardrail: None, what, instead: None }]
        }
    }
}

/// The longest trust policy that IAM takes, in characters that are no white space.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const POLICY: usize = 8192;

/// Returns true for a trust policy that IAM would not take.
pub(super) fn is_too_long(policy: &Value) -> bool {
    let text = policy.as_str().map_or_else(|| Cow::Owned(policy.to_string()), Cow::Borrowed);
    text.chars().filter(|c| !c.is_whitespace()).nth(POLICY).is_some()
}

fn in_document(policy: &Value) -> Vec<Finding> {
    // The template may make the provider, or an earlier one has: the policy's own audiences count as the provider's.
    let usual = "sts.amazonaws.com".to_owned();
    let client_ids = allowed_values(policy, "aud").into_iter().map(str::to_owned).chain([usual]).collect();
    let mut provider = Provider { arn: String::new(), client_ids };
    let (mut findings, work) = (Vec::new(), Work::default());
    for (arn, issuer) in github_providers(policy) {
        provider.arn.clone_from(&arn);
        let graded = grade(policy, &arn, &issuer, Some(&provider), &work);
        findings.extend(graded.iter().find_map(|found| finding(policy, found)));
    }
    findings
}

/// The finding that a grade leads to. Names without ids are left to the audit: most roles that are right today have them.
fn finding(policy: &Value, found: &AuditFinding) -> Option<Finding> {
    // A condition on more than the token, such as an address, may keep the others out.
    let guardrail = match found.grade {
        _ if found.depends => return None,
        Grade::Open | Grade::Dead => None,
        Grade::Organisation | Grade::Repository => Some(BROAD),
        _ => return None,
    };
    let proof =
        found.proof.get("sub").map(|subject| format!(" One of them has the subject {subject:?}.")).unwrap_or_default();
    Some(Finding { guardrail, what: format!("{}{proof}", found.sentence), instead: instead(policy) })
}

/// Finds out that no token of GitHub's has the URL of a provider as its issuer.
#[must_use]
pub fn in_provider(properties: &Map<String, Value>) -> Vec<Finding> {
    /// Hosts of GitHub that issue no tokens to jobs.
    const NO_ISSUERS: [&str; 4] =
        ["github.com", "api.github.com", "actions.githubusercontent.com", "vstoken.actions.githubusercontent.com"];
    let url = properties.get("Url").and_then(Value::as_str).unwrap_or_default();
    let host = url.trim_start_matches("https://").split('/').next().unwrap_or_default();
    let what = format!(
        "nobody is let in by the provider for {url}: GitHub issues the tokens of jobs as \
         https://token.actions.githubusercontent.com"
    );
    let finding = Finding { guardrail: None, what, instead: None };
    NO_ISSUERS.contains(&host).then_some(finding).into_iter().collect()
}

/// The providers of GitHub that a policy trusts.
fn github_providers(policy: &Value) -> BTreeMap<String, Issuer> {
    let of = |arn: &str| Some((arn.to_owned(), Issuer::parse_without_scheme(issuer_of_provider(arn)?).ok()?));
    providers(policy).filter_map(of).collect()
}

/// The `Trust` for the repositories, branches, tags and environments that the policy names without a wildcard before
/// them.
fn instead(policy: &Value) -> Option<Value> {
    let entries: Vec<Value> = allowed_values(policy, "sub").into_iter().filter_map(entry).collect();
    (!entries.is_empty()).then_some(Value::Array(entries))
}

/// The guardrail for broad trust.
pub(super) const BROAD: &str = "AllowBroadTrust";

/// The entry of `Trust` for a subject of a named repository.
fn entry(subject: &str) -> Option<Value> {
    let subject = without_ids(subject);
    let (repository, context) = subject.strip_prefix("repo:")?.split_once(':')?;
    if repository.contains(['*', '?']) || !repository.contains('/') {
        return None;
    }
    Some(if let Some(branch) = context.strip_prefix("ref:refs/heads/").filter(|branch| *branch != "*") {
        json!({"Repository": repository, "Branches": [branch]})
    } else if let Some(tag) = context.strip_prefix("ref:refs/tags/").filter(|tag| *tag != "*") {
        json!({"Repository": repository, "Tags": [tag]})
    } else if let Some(environment) = context.strip_prefix("environment:").filter(|name| !name.contains('*')) {
        json!({"Repository": repository, "Environments": [environment]})
    } else {
        json!({"Repository": repository, "Branches": ["main"]})
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam_policy::string_like::STEPS;

    #[test]
    fn a_policy_longer_than_iam_takes_is_known_without_a_comparison() {
        let before = STEPS.get();
        let spaced = json!(format!("{{{}\"Statement\": []}}", " ".repeat(1_000_000)));
        let written = |length: usize| json!({"Statement": "x".repeat(length)});
        assert!(!is_too_long(&spaced) && !is_too_long(&written(8_000)));
        assert!(is_too_long(&written(8_192)) && is_too_long(&json!("x".repeat(1_000_000))));
        assert_eq!(STEPS.get(), before);
    }
}
