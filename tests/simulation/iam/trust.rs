//! What IAM demands of a trust policy, above all of one that lets GitHub in.
//!
//! "Identity-provider controls for shared OIDC providers" (IAM User Guide): a policy that trusts GitHub's issuer must
//! evaluate `sub`. The check is no deeper than what is known of IAM's: it looks at the first value only, so
//! `["repo:acme/x", "*"]` passes here as it passes there.

use std::time::SystemTime;

use serde_json::Value;

use super::role_policies::size_without_space;
use super::{Iam, limit_exceeded, malformed};
use crate::simulation::wire::Refusal;

/// Issuers that many AWS customers share.
const SHARED: &str = "token.actions.githubusercontent.com";

impl Iam {
    pub(super) fn check_trust(&self, document: &str, now: SystemTime) -> Result<(), Refusal> {
        let policy: Value =
            serde_json::from_str(document).map_err(|_| malformed("This policy contains invalid Json"))?;
        let statements = one_or_many(&policy["Statement"]);
        if statements.is_empty() {
            return Err(malformed("Syntax errors in policy."));
        }
        for statement in statements {
            self.check_statement(statement, now)?;
        }
        let quota = self.settings.quotas.trust_policy;
        if size_without_space(document) > quota {
            return Err(limit_exceeded(format!("Cannot exceed quota for ACLSizePerRole: {quota}")));
        }
        Ok(())
    }

    fn check_statement(&self, statement: &Value, now: SystemTime) -> Result<(), Refusal> {
        for prohibited in ["Resource", "NotResource"] {
            if !statement[prohibited].is_null() {
                return Err(malformed(format!("Has prohibited field {prohibited}")));
            }
        }
        let actions = one_or_many(&statement["Action"]);
        if actions.is_empty() {
            return Err(malformed("Missing required field Action"));
        }
        if statement["Principal"].is_null() {
            return Err(malformed("Missing required field Principal"));
        }
        let allow = match statement["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(malformed("Missing required field Effect")),
        };
        for action in &actions {
            if !action.as_str().is_some_and(|action| action.starts_with("sts:")) {
                return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
            }
        }
        for principal in one_or_many(&statement["Principal"]["Federated"]) {
            let arn = principal.as_str().unwrap_or_default();
            let issuer = self.trusted_issuer(arn, now)?;
            let shared = issuer == SHARED || issuer.starts_with(&format!("{SHARED}/"));
            if allow && shared && !evaluates_subject(&statement["Condition"], issuer) {
                return Err(malformed(format!(
                    "Trust policy for OIDC provider {issuer} must evaluate, using StringEquals, StringLike or \
                     StringEqualsIgnoreCase, the condition key {issuer}:sub or {issuer}:job_workflow_ref with a value which is not scoped to all"
                )));
            }
        }
        Ok(())
    }

    fn trusted_issuer<'a>(&self, arn: &'a str, now: SystemTime) -> Result<&'a str, Refusal> {
        let invalid = || malformed(format!("Invalid principal in policy: \"FEDERATED\":\"{arn}\""));
        let own = format!("arn:{}:iam::{}:oidc-provider/", self.partition, self.account);
        let issuer = arn.strip_prefix(&own).ok_or_else(invalid)?;
        if self.settings.principals_are_checked {
            let provider = self.providers.primary(arn).ok_or_else(invalid)?;
            if now < provider.created + self.settings.principal_lag {
                return Err(invalid());
            }
        }
        Ok(issuer)
    }
}

fn evaluates_subject(condition: &Value, issuer: &str) -> bool {
    let keys = ["sub", "job_workflow_ref"].map(|claim| format!("{issuer}:{claim}"));
    condition.as_object().into_iter().flatten().any(|(operator, named)| {
        let operator = operator.rsplit(':').next().unwrap_or_default();
        matches!(operator, "StringEquals" | "StringLike" | "StringEqualsIgnoreCase")
            && named.as_object().into_iter().flatten().any(|(name, values)| {
                let first = one_or_many(values).first().and_then(|value| value.as_str());
                keys.iter().any(|key| name.eq_ignore_ascii_case(key))
                    && first.is_some_and(|first| !first.chars().all(|c| "*?".contains(c)))
            })
    })
}

/// IAM's grammar allows one value in place of a list of one.
pub(crate) fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}
