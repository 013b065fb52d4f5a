//! A trust policy that says exactly which tokens may assume the role, in the form that IAM keeps it.
//!
//! It is a set of admissions: a subject, and the claims that have to come with it. Those that differ in nothing but the
//! subject share a statement. `StringEquals` and `StringLike` on one key in one statement are `ANDed`, so what is exact
//! and what has wildcards stand in statements of their own; and no key stands under both operators. A `*` of IAM's also
//! spans colons. `StringNotLike` on a pattern of more colons keeps it within the words of a subject.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::document::{canonical, statements};
use super::pattern::Pattern;
pub use super::shared_ids::told_apart;
use super::shared_ids::{Shared, shared};
use super::trust_rule::claims_cover;
pub use super::trust_rule::{Claim, Claims, TrustRule};
use crate::arn::issuer_of_provider;

/// The tokens that may assume a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// The provider that vouches for the tokens.
    pub provider_arn: String,
    /// The audience that tokens must carry.
    pub audience: String,
    rules: BTreeSet<TrustRule>,
}

/// The largest number of values in the rules of a policy that is read. A policy of ours has far fewer; 8,192 characters,
/// IAM's limit, can hold a million.
const READ_LIMIT: usize = 100_000;

/// The quota of every account for a trust policy, in characters without white space. AWS raises it on demand.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const SMALLEST_QUOTA: usize = 2048;

/// The operator that keeps wildcards within words.
const NOT_LIKE: &str = "StringNotLike";

/// A subject that no token of GitHub's carries: all of them are `key:value` pairs.
const NOBODY: &str = "nobody";

impl TrustPolicy {
    /// The smallest policy that admits these and no others.
    #[must_use]
    pub fn of(provider_arn: &str, audience: &str, rules: impl IntoIterator<Item = TrustRule>) -> Self {
        let mut groups: BTreeMap<Claims, BTreeSet<Pattern>> = BTreeMap::new();
        for TrustRule { subject, claims } in rules.into_iter().flat_map(TrustRule::split) {
            groups.entry(claims).or_default().insert(subject);
        }
        let mut rules = BTreeSet::new();
        for (claims, subjects) in &groups {
            // Subjects with the same claims share the comparison of claims, so that no pair of values is compared for
            // every pair of subjects.
            let wider: Vec<_> = groups
                .iter()
                .filter(|(other, _)| claims_cover(other, claims))
                .map(|(other, subjects)| (other, subjects, claims_cover(claims, other)))
                .collect();
            let is_covered = |subject: &Pattern| {
                wider.iter().any(|(other, subjects, is_same)| {
                    subjects.iter().any(|one| {
                        // Of rules that cover each other, the first one stays.
                        let is_needed = *is_same && subject.covers(one) && (subject, claims) <= (one, other);
                        one.covers(subject) && !is_needed
                    })
                })
            };
            let needed = subjects.iter().filter(|subject| !is_covered(subject));
            rules.extend(needed.map(|subject| TrustRule { subject: subject.clone(), claims: claims.clone() }));
        }
        Self { provider_arn: provider_arn.to_owned(), audience: audience.to_owned(), rules }
    }

    /// The ways in.
    #[must_use]
    pub fn rules(&self) -> &BTreeSet<TrustRule> {
        &self.rules
    }

    /// The same, but admitting nobody. IAM wants a `sub` condition in any case.
    #[must_use]
    pub fn deny_all(&self) -> Self {
        self.with([TrustRule::of(Pattern::written(NOBODY))])
    }

    fn with(&self, rules: impl IntoIterator<Item = TrustRule>) -> Self {
        Self::of(&self.provider_arn, &self.audience, rules)
    }

    fn same_issuer(&self, other: &Self) -> bool {
        self.provider_arn == other.provider_arn && self.audience == other.audience
    }

    /// Returns true if this policy admits every token that `other` admits.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let admits = |theirs: &TrustRule| self.rules.iter().any(|ours| ours.covers(theirs));
        self.same_issuer(other) && other.rules.iter().all(admits)
    }

    /// The policy for tokens that both admit.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        if !self.same_issuer(other) {
            return self.deny_all();
        }
        let pairs = self.rules.iter().flat_map(|ours| other.rules.iter().map(move |theirs| (ours, theirs)));
        let both: Vec<TrustRule> = pairs.filter_map(|(ours, theirs)| ours.intersect(theirs)).collect();
        if both.is_empty() { self.deny_all() } else { self.with(both) }
    }

    /// The policy for the moment between this one and another: for tokens that both admit. A rule of both may take more
    /// characters than the two rules. Where the account may have no room for that, the policy admits nobody.
    #[must_use]
    pub fn between(&self, other: &Self) -> Self {
        let both = self.intersection(other);
        let room = SMALLEST_QUOTA.max(self.size()).max(other.size());
        if both.size() <= room { both } else { self.deny_all() }
    }

    /// The prefix of condition keys: the issuer without its scheme.
    fn key_prefix(&self) -> &str {
        issuer_of_provider(&self.provider_arn).unwrap_or_default()
    }

    /// The policy as a document.
    #[must_use]
    pub fn document(&self) -> Value {
        let (shared, apart) = shared(&self.rules);
        let mut statements = Vec::new();
        for Shared { ids, rules } in shared {
            let values: BTreeSet<Pattern> = ids.iter().map(|id| Pattern::written(id)).collect();
            let values = Rc::new(values);
            for (mut claims, subjects) in grouped(rules.iter()) {
                claims.insert(Claim::RepositoryId, Rc::clone(&values));
                let mut statement = self.statement(&claims, &subjects);
                statement["Sid"] = json!(format!("{}x{}", statements.len(), ids.join("x")));
                statements.push(statement);
            }
        }
        statements.extend(grouped(apart.into_iter()).iter().map(|(claims, subjects)| self.statement(claims, subjects)));
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    fn statement(&self, claims: &Claims, subjects: &BTreeSet<&Pattern>) -> Value {
        let (mut equals, mut like) = (Map::new(), Map::new());
        equals.insert(format!("{}:aud", self.key_prefix()), json!(self.audience));
        let mut add = |name: &str, values: &mut dyn Iterator<Item = &Pattern>| {
            let values: Vec<&Pattern> = values.collect();
            let written = match values.as_slice() {
                [value] => Value::String(value.condition_value()),
                several => several.iter().map(|value| value.condition_value()).collect(),
            };
            let operator = if values.iter().any(|value| value.is_wild()) { &mut like } else { &mut equals };
            operator.insert(format!("{}:{name}", self.key_prefix()), written);
        };
        add("sub", &mut subjects.iter().copied());
        for (claim, values) in claims {
            add(claim.name(), &mut values.iter());
        }
        let mut condition = json!({"StringEquals": equals});
        if !like.is_empty() {
            condition["StringLike"] = Value::Object(like);
        }
        if let Some(pattern) = subjects.first().and_then(|subject| subject.too_many_words()) {
            condition[NOT_LIKE] = json!({format!("{}:sub", self.key_prefix()): pattern});
        }
        json!({
            "Effect": "Allow",
            "Principal": {"Federated": self.provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        })
    }

    /// The part of the account's quota that the policy takes: IAM does not count white space.
    #[must_use]
    pub fn size(&self) -> usize {
        self.document().to_string().chars().filter(|c| !c.is_whitespace()).count()
    }

    /// Reads a document, if it is one of ours to the letter; what others wrote stays a document.
    #[must_use]
    pub fn read(document: &Value) -> Option<Self> {
        let statements = statements(document);
        let provider_arn = statements.first()?.get("Principal")?.get("Federated")?.as_str()?;
        let prefix = issuer_of_provider(provider_arn)?;
        let mut audience = None;
        let mut rules = Vec::new();
        let mut size = 0;
        for statement in statements {
            let mut subjects = BTreeSet::new();
            let mut claims = Claims::new();
            let conditions = statement.get("Condition")?.as_object()?;
            for (operator, keys) in conditions.iter().filter(|(operator, _)| *operator != NOT_LIKE) {
                for (key, value) in keys.as_object()? {
                    let values = values(value, operator == "StringLike")?;
                    let name = key.strip_prefix(prefix)?.strip_prefix(':')?;
                    if name == "aud" {
                        audience = value.as_str();
                    } else if name == "sub" {
                        subjects.extend(values);
                    } else {
                        claims.insert(Claim::ALL.into_iter().find(|claim| claim.name() == name)?, Rc::new(values));
                    }
                }
            }
            if conditions.contains_key(NOT_LIKE) {
                subjects = subjects.into_iter().map(Pattern::kept_within_words).collect();
            }
            size += subjects.len() * (1 + claims.values().map(|values| values.len()).sum::<usize>());
            if size > READ_LIMIT {
                return None;
            }
            let read = subjects.into_iter().map(|subject| TrustRule { subject, claims: claims.clone() });
            rules.extend(match statement.get("Sid") {
                Some(sid) => told_apart(sid.as_str()?, read.collect())?,
                None => read.collect(),
            });
        }
        let policy = Self::of(provider_arn, audience?, rules);
        (canonical(&policy.document()) == canonical(document)).then_some(policy)
    }

    /// The subjects, for people.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<&str> {
        self.rules.iter().map(|rule| rule.subject.as_str()).collect()
    }
}

/// Groups the subjects that share a statement.
fn grouped<'a>(rules: impl Iterator<Item = &'a TrustRule>) -> Vec<(Claims, BTreeSet<&'a Pattern>)> {
    let mut groups: BTreeMap<_, BTreeSet<&Pattern>> = BTreeMap::new();
    for TrustRule { subject, claims } in rules {
        groups.entry((claims, subject.is_wild(), subject.too_many_words())).or_default().insert(subject);
    }
    groups.into_iter().map(|((claims, ..), subjects)| (claims.clone(), subjects)).collect()
}

fn values(value: &Value, wild: bool) -> Option<BTreeSet<Pattern>> {
    match value {
        Value::String(value) => Some([Pattern::from_condition(value, wild)].into()),
        Value::Array(values) => {
            values.iter().map(|value| Some(Pattern::from_condition(value.as_str()?, wild))).collect()
        }
        _ => None,
    }
}

impl fmt::Display for TrustPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.rules.iter().enumerate() {
            write!(f, "{}{rule}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/trust_policy.rs"]
mod tests;
