//! The conditions of a policy that keep subjects out: negative ones of statements that allow, and those of statements that deny.

use serde_json::Value;

use super::document::{allows, is_negative, one_or_many, statements};
use super::string_like::{covers, overlap};

/// A condition that keeps subjects out.
pub(super) struct Exclusion {
    /// The statement, where that is one that allows.
    allowing: Option<usize>,
    /// True if the subjects are kept out that no pattern fits.
    is_negated: bool,
    patterns: Vec<String>,
    /// True if nothing else has to be so.
    is_whole: bool,
}

impl Exclusion {
    /// The conditions on subjects of a policy.
    pub(super) fn all(policy: &Value) -> Vec<Self> {
        let mut all = Vec::new();
        for (place, statement) in statements(policy).iter().enumerate() {
            let allowing = Some(place).filter(|_| allows(statement));
            let conditions = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
            let pairs: Vec<(&String, &String, &Value)> = conditions
                .filter_map(|(operator, keys)| Some((operator, keys.as_object()?)))
                .flat_map(|(operator, keys)| keys.iter().map(move |(key, values)| (operator, key, values)))
                .collect();
            let is_subject = |key: &str| key.rsplit(':').next().is_some_and(|claim| claim.eq_ignore_ascii_case("sub"));
            for (operator, _, values) in pairs.iter().filter(|(_, key, _)| is_subject(key)) {
                // What a statement allows is named by its positive operators.
                if allowing.is_some() && !is_negative(operator) {
                    continue;
                }
                let patterns = one_or_many(Some(values)).iter().filter_map(Value::as_str).map(str::to_ascii_lowercase);
                all.push(Self {
                    allowing,
                    is_negated: allowing.is_none() && is_negative(operator),
                    patterns: patterns.collect(),
                    is_whole: allowing.is_some() || pairs.len() == 1,
                });
            }
        }
        all
    }

    /// Returns true if it is about what a statement allows.
    pub(super) fn holds_for(&self, statement: usize) -> bool {
        self.allowing.is_none_or(|allowing| allowing == statement)
    }

    /// Returns true if it may keep out a job with this subject.
    pub(super) fn fits(&self, subject: &str) -> bool {
        let is_like = self.patterns.iter().any(|pattern| overlap(pattern, subject));
        if self.is_negated { !self.patterns.iter().any(|pattern| covers(pattern, subject)) } else { is_like }
    }

    /// Returns true if it keeps out each job with this subject.
    pub(super) fn covers(&self, subject: &str) -> bool {
        let is_like = |like: &dyn Fn(&str) -> bool| self.patterns.iter().any(|pattern| like(pattern));
        let keeps_out = if self.is_negated {
            !is_like(&|pattern| overlap(pattern, subject))
        } else {
            is_like(&|pattern| covers(pattern, subject))
        };
        self.is_whole && keeps_out
    }
}
