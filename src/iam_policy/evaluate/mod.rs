//! The evaluation of a trust policy with a token: IAM's rules, applied to the document that IAM has, of any author.
//! A rule that depends on more than the token, such as the address of the caller, is not guessed: the result is then
//! that it depends.
//!
//! Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html>.

mod condition;

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{federated, names_action, statements};
use crate::github::Issuer;
pub use condition::FailedCondition;
use condition::{ConditionContext, evaluate_all};

/// The claims of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaims {
    /// Without `https://`.
    pub issuer: String,
    /// A claim has one value or, as `aud` may, several.
    pub claims: BTreeMap<String, Vec<String>>,
}

impl TokenClaims {
    /// Reads claims as a token's payload has them. Without `iss` it is one of github.com.
    #[must_use]
    pub fn of(claims: &serde_json::Map<String, Value>) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        let values = |value: &Value| match value {
            Value::Array(items) => items.iter().filter_map(text).collect(),
            single => text(single).into_iter().collect::<Vec<_>>(),
        };
        let claims: BTreeMap<String, Vec<String>> = claims
            .iter()
            .map(|(name, value)| (name.clone(), values(value)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        let issuer = claims.get("iss").and_then(|values| values.first()).map_or(GITHUB, String::as_str);
        let issuer = issuer.trim_start_matches("https://").trim_end_matches('/').to_owned();
        Self { issuer, claims }
    }

    /// Converts the claims to condition keys in lower case, as STS does. A claim that STS does not know has no key.
    fn context(&self) -> ConditionContext {
        let github = Issuer::parse_without_scheme(&self.issuer);
        let has_key = |name: &str| github.as_ref().is_ok_and(|issuer| issuer.has_key(name));
        let known = |name: &str| matches!(name, "aud" | "sub" | "amr") || has_key(name);
        let key = |name: &str| format!("{}:{name}", self.issuer).to_lowercase();
        let own = self.claims.iter().filter(|(name, _)| known(name));
        ConditionContext {
            issuer: self.issuer.to_lowercase(),
            keys: own.map(|(name, values)| (key(name), values.clone())).collect(),
        }
    }
}

const GITHUB: &str = "token.actions.githubusercontent.com";

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token is let in.
    Admitted,
    /// The token is refused.
    Refused,
    /// The result depends on more than the token.
    Depends,
}

/// The evaluation of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementReport {
    /// Counted from 0.
    pub statement: usize,
    /// True for `Deny`.
    pub deny: bool,
    /// True if the statement applies; `None` if that depends on more than the token.
    pub applies: Option<bool>,
    /// The principal that it is about, where the token is of another.
    pub other_principal: Option<String>,
    /// The conditions that are not met, or that cannot be told.
    pub failed: Vec<FailedCondition>,
}

/// Evaluates a policy for `sts:AssumeRoleWithWebIdentity` with a token. `provider_arn` is the ARN that the token's issuer
/// has as a provider in the role's account.
#[must_use]
pub fn evaluate(policy: &Value, provider_arn: &str, token: &TokenClaims) -> (Verdict, Vec<StatementReport>) {
    evaluated(policy, provider_arn, token, true)
}

/// Evaluates a policy as [`evaluate`] does, without the conditions that are not met.
#[must_use]
pub fn verdict(policy: &Value, provider_arn: &str, token: &TokenClaims) -> Verdict {
    evaluated(policy, provider_arn, token, false).0
}

fn evaluated(
    policy: &Value,
    provider_arn: &str,
    token: &TokenClaims,
    is_told: bool,
) -> (Verdict, Vec<StatementReport>) {
    let variables = policy.get("Version").and_then(Value::as_str) == Some("2012-10-17");
    let context = token.context();
    let reports: Vec<StatementReport> = statements(policy)
        .iter()
        .enumerate()
        .map(|(index, statement)| report((index, statement), provider_arn, &context, variables, is_told))
        .collect();
    let any = |deny: bool, applies: Option<bool>| {
        reports.iter().any(|report| report.deny == deny && report.applies == applies)
    };
    let verdict = if any(true, Some(true)) {
        Verdict::Refused
    } else if any(false, Some(true)) {
        if any(true, None) { Verdict::Depends } else { Verdict::Admitted }
    } else if any(false, None) {
        Verdict::Depends
    } else {
        Verdict::Refused
    };
    (verdict, reports)
}

fn report(
    (index, statement): (usize, &Value),
    provider_arn: &str,
    context: &ConditionContext,
    variables: bool,
    is_told: bool,
) -> StatementReport {
    let deny = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
    let failed =
        StatementReport { statement: index, deny, applies: Some(false), other_principal: None, failed: Vec::new() };
    if !names_action(statement, "sts:AssumeRoleWithWebIdentity") {
        return failed;
    }
    match principal(statement, provider_arn) {
        Some(true) => {}
        Some(false) => {
            return StatementReport { other_principal: federated(statement).next().map(str::to_owned), ..failed };
        }
        None => return StatementReport { applies: None, ..failed },
    }
    let (applies, conditions) = evaluate_all(statement.get("Condition"), context, variables, is_told);
    StatementReport { applies, failed: conditions, ..failed }
}

/// Returns true if a statement is about tokens of this provider.
fn principal(statement: &Value, provider_arn: &str) -> Option<bool> {
    // IAM does not let a trust policy say `NotPrincipal` with `Allow`, and warns of it with `Deny`.
    let principal = statement.get("Principal")?;
    if principal.as_str() == Some("*") {
        return Some(true);
    }
    Some(federated(statement).any(|arn| arn == provider_arn))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_that_are_numbers_or_booleans_are_compared_as_text() {
        let claims = json!({"aud": ["a", 8], "flag": true, "list": [], "none": null, "repository_id": 7});
        let TokenClaims { issuer, claims } = TokenClaims::of(claims.as_object().unwrap());
        let read: Vec<(&str, String)> =
            claims.iter().map(|(name, values)| (name.as_str(), values.join(" and "))).collect();
        assert_eq!(issuer, GITHUB);
        let expected = [("aud", "a and 8"), ("flag", "true"), ("repository_id", "7")];
        assert_eq!(read, expected.map(|(name, values)| (name, values.to_owned())));
    }

    #[test]
    fn a_statement_without_a_principal_depends_on_more_than_the_token() {
        let token = TokenClaims { issuer: GITHUB.to_owned(), claims: BTreeMap::new() };
        for (principal, expected) in [
            (json!({"Principal": "*"}), (Verdict::Admitted, Some(true))),
            (json!({"Principal": {"Federated": "arn"}}), (Verdict::Admitted, Some(true))),
            (json!({"Principal": {"Federated": "other"}}), (Verdict::Refused, Some(false))),
            (json!({"NotPrincipal": "*"}), (Verdict::Depends, None)),
        ] {
            let mut statement = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity"});
            statement.as_object_mut().unwrap().extend(principal.as_object().unwrap().clone());
            let (verdict, reports) = evaluate(&json!({"Statement": statement}), "arn", &token);
            assert_eq!((verdict, reports[0].applies), expected, "{principal}");
        }
    }
}
