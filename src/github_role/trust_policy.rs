//! A trust policy that says exactly which subjects may assume the role, in the form that IAM keeps it.
//!
//! `StringEquals` and `StringLike` on one key in one statement are `ANDed`, so exact subjects and patterns stand in
//! statements of their own.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::subject::Subject;

/// Who may assume a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// The provider that vouches for the tokens.
    pub provider_arn: String,
    /// The audience that tokens must carry.
    pub audience: String,
    /// The subjects that are let in.
    pub subjects: BTreeSet<Subject>,
}

/// A subject that no token of GitHub's carries: all of them are `key:value` pairs.
const NOBODY: &str = "nobody";

impl TrustPolicy {
    /// The same, but admitting nobody. IAM wants a `sub` condition in any case.
    #[must_use]
    pub fn nobody(&self) -> Self {
        self.with([Subject::written(NOBODY)].into())
    }

    fn with(&self, subjects: BTreeSet<Subject>) -> Self {
        Self { provider_arn: self.provider_arn.clone(), audience: self.audience.clone(), subjects }
    }

    fn same_issuer(&self, other: &Self) -> bool {
        self.provider_arn == other.provider_arn && self.audience == other.audience
    }

    /// Whether everyone whom `other` admits is admitted by this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.same_issuer(other) && other.subjects.iter().all(|subject| self.admits(subject))
    }

    fn admits(&self, subject: &Subject) -> bool {
        self.subjects.iter().any(|own| own.covers(subject))
    }

    /// Those whom both admit.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        if !self.same_issuer(other) {
            return self.nobody();
        }
        let ours = self.subjects.iter().filter(|subject| other.admits(subject));
        let theirs = other.subjects.iter().filter(|subject| self.admits(subject));
        let both: BTreeSet<Subject> = ours.chain(theirs).cloned().collect();
        if both.is_empty() { self.nobody() } else { self.with(both) }
    }

    /// What condition keys begin with: the issuer without its scheme.
    fn key_prefix(&self) -> &str {
        self.provider_arn.split_once("oidc-provider/").map_or("", |(_, issuer)| issuer)
    }

    /// The policy as a document.
    #[must_use]
    pub fn document(&self) -> Value {
        let (patterns, exact): (Vec<_>, Vec<_>) = self.subjects.iter().partition(|subject| subject.is_pattern());
        let prefix = self.key_prefix();
        let (aud, sub) = (format!("{prefix}:aud"), format!("{prefix}:sub"));
        let values = |subjects: &[&Subject]| match subjects {
            [subject] => Value::String(subject.condition_value()),
            several => several.iter().map(|subject| subject.condition_value()).collect(),
        };
        let statement = |condition: Value| {
            json!({
                "Effect": "Allow",
                "Principal": {"Federated": self.provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": condition,
            })
        };
        let mut statements = Vec::new();
        if !exact.is_empty() {
            statements.push(statement(json!({"StringEquals": {&aud: self.audience, &sub: values(&exact)}})));
        }
        if !patterns.is_empty() {
            statements.push(statement(
                json!({"StringEquals": {&aud: self.audience}, "StringLike": {&sub: values(&patterns)}}),
            ));
        }
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    /// Reads a document, if it is one of ours to the letter; what others wrote stays a document.
    #[must_use]
    pub fn read(document: &Value) -> Option<Self> {
        let statements = document.get("Statement")?.as_array()?;
        let condition = |statement: &Value, operator: &str, end: &str| -> Vec<String> {
            let keys =
                statement.get("Condition").and_then(|condition| condition.get(operator)).and_then(Value::as_object);
            let value = keys.and_then(|keys| keys.iter().find(|(key, _)| key.ends_with(end))).map(|(_, value)| value);
            match value {
                Some(Value::String(value)) => vec![value.clone()],
                Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                _ => Vec::new(),
            }
        };
        let first = statements.first()?;
        let provider_arn = first.get("Principal")?.get("Federated")?.as_str()?.to_owned();
        let audience = condition(first, "StringEquals", ":aud").pop()?;
        let subjects = statements
            .iter()
            .flat_map(|statement| {
                let exact = condition(statement, "StringEquals", ":sub").into_iter().map(|value| (value, false));
                exact.chain(condition(statement, "StringLike", ":sub").into_iter().map(|value| (value, true)))
            })
            .map(|(value, pattern)| Subject::from_condition(&value, pattern))
            .collect();
        let policy = Self { provider_arn, audience, subjects };
        (canonical(&policy.document()) == canonical(document)).then_some(policy)
    }
}

impl fmt::Display for TrustPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, subject) in self.subjects.iter().enumerate() {
            write!(f, "{}{subject}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A policy document in the one form that equal documents share: IAM reads a list of one like the one itself, and the
/// order of a list of strings means nothing.
#[must_use]
pub fn canonical(document: &Value) -> Value {
    match document {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), canonical(value))).collect(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(canonical).collect();
            if items.iter().all(Value::is_string) {
                items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                items.dedup();
            }
            match <[Value; 1]>::try_from(items) {
                Ok([single]) => single,
                Err(items) => Value::Array(items),
            }
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";

    fn policy(subjects: &[&str]) -> TrustPolicy {
        TrustPolicy {
            provider_arn: PROVIDER.to_owned(),
            audience: "sts.amazonaws.com".to_owned(),
            subjects: subjects.iter().map(|subject| Subject::written(subject)).collect(),
        }
    }

    #[test]
    fn exact_subjects_and_patterns_stand_in_statements_of_their_own() {
        let document =
            policy(&["repo:o/r:ref:refs/heads/main", "repo:o/r:environment:prod", "repo:o/r:ref:refs/tags/v*"]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&document.document()).unwrap(), @r#"
        {
          "Statement": [
            {
              "Action": "sts:AssumeRoleWithWebIdentity",
              "Condition": {
                "StringEquals": {
                  "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                  "token.actions.githubusercontent.com:sub": [
                    "repo:o/r:environment:prod",
                    "repo:o/r:ref:refs/heads/main"
                  ]
                }
              },
              "Effect": "Allow",
              "Principal": {
                "Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
              }
            },
            {
              "Action": "sts:AssumeRoleWithWebIdentity",
              "Condition": {
                "StringEquals": {
                  "token.actions.githubusercontent.com:aud": "sts.amazonaws.com"
                },
                "StringLike": {
                  "token.actions.githubusercontent.com:sub": "repo:o/r:ref:refs/tags/v*"
                }
              },
              "Effect": "Allow",
              "Principal": {
                "Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
              }
            }
          ],
          "Version": "2012-10-17"
        }
        "#);
    }

    #[test]
    fn what_we_write_is_read_again_and_what_others_write_is_not() {
        for subjects in [&["repo:o/r:a"][..], &["repo:o/r:a", "repo:o/r:b"], &["repo:o/r:a*", "repo:o/r:b"], &["r:*"]] {
            let policy = policy(subjects);
            assert_eq!(TrustPolicy::read(&policy.document()), Some(policy));
        }
        let mut foreign = policy(&["repo:o/r:a"]).document();
        foreign["Statement"][0]["Condition"]["Bool"] = json!({"aws:SecureTransport": "true"});
        assert_eq!(TrustPolicy::read(&foreign), None);
        assert_eq!(TrustPolicy::read(&json!({})), None);
    }

    #[test]
    fn covering_and_intersection_respect_patterns_and_issuers() {
        assert!(policy(&["a/*", "b"]).covers(&policy(&["a/x", "b"])));
        assert!(!policy(&["a/x", "b"]).covers(&policy(&["a/*", "b"])));
        assert_eq!(policy(&["a/*", "b"]).intersection(&policy(&["a/x", "c"])), policy(&["a/x"]));
        assert_eq!(policy(&["a"]).intersection(&policy(&["c"])), policy(&["nobody"]));
        let other = TrustPolicy { audience: "other".into(), ..policy(&["a"]) };
        assert!(!policy(&["a"]).covers(&other));
        assert_eq!(policy(&["a"]).intersection(&other), policy(&["nobody"]));
    }

    #[test]
    fn equal_documents_are_equal() {
        let a = json!({"Statement": [{"Action": ["b", "a"], "Resource": ["*"]}]});
        let b = json!({"Statement": {"Action": ["a", "b"], "Resource": "*"}});
        assert_eq!(canonical(&a), canonical(&b));
    }
}
