//! The ids of users in a role's trust policies, each for the jobs that it is let in by. Policies hold no user's name.

use std::collections::BTreeSet;

use super::name_record::NameRecord;
use crate::github::claim_values;
use crate::github::subject::{pairs, value};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustRule};

/// The ids of users, and the jobs that they trigger.
#[derive(Clone, Debug, Default)]
pub(super) struct PinnedUsers {
    by_job: Vec<(TrustRule, BTreeSet<u64>)>,
    all: BTreeSet<u64>,
}

impl PinnedUsers {
    pub(super) fn add(&mut self, rule: &TrustRule) {
        let ids: BTreeSet<u64> = users(rule).collect();
        if !ids.is_empty() {
            self.all.extend(&ids);
            self.by_job.push((of_anybody(rule), ids));
        }
    }

    pub(super) fn add_without_jobs(&mut self, rule: &TrustRule) {
        self.all.extend(users(rule));
    }

    /// The ids, whatever their jobs.
    pub(super) fn all(&self) -> &BTreeSet<u64> {
        &self.all
    }

    /// Returns the id that a name has in the policies: the newest one in a record. Another one in the policies is there by
    /// its number.
    pub(super) fn named(&self, name: &str, record: &NameRecord) -> Option<u64> {
        record.newest(name, |_| true).filter(|id| self.all.contains(id))
    }

    /// Returns the ids that are let in by each of these jobs already.
    pub(super) fn of_each(&self, rules: &[TrustRule]) -> BTreeSet<u64> {
        let mut of_rules = rules.iter().map(|rule| self.of(&of_anybody(rule)));
        let first = of_rules.next().unwrap_or_default();
        of_rules.fold(first, |all, ids| &all & &ids)
    }

    fn of(&self, job: &TrustRule) -> BTreeSet<u64> {
        self.by_job.iter().filter(|(trusted, _)| trusted.covers(job)).flat_map(|(_, ids)| ids).copied().collect()
    }
}

/// The ids of users in a rule: as a claim, or in a subject by a template.
pub(super) fn users(TrustRule { subject, claims }: &TrustRule) -> impl Iterator<Item = u64> {
    let claimed = claims.get(&Claim::ActorId).into_iter().flat_map(|values| values.iter()).map(Pattern::as_str);
    claimed.chain(value(subject.as_str(), "actor_id")).filter_map(claim_values::number)
}

/// The jobs of a rule, triggered by any user.
fn of_anybody(rule: &TrustRule) -> TrustRule {
    let TrustRule { mut subject, mut claims } = rule.clone();
    let is_user = |(key, _): &(&str, Option<&str>)| matches!(*key, "actor" | "actor_id");
    claims.remove(&Claim::ActorId);
    if pairs(rule.subject.as_str()).any(|pair| is_user(&pair)) {
        let word = |(key, value): (&str, Option<&str>)| value.map_or(key.to_owned(), |value| format!("{key}:{value}"));
        let words: Vec<String> = pairs(rule.subject.as_str()).filter(|pair| !is_user(pair)).map(word).collect();
        subject = Pattern::within_words(&words.join(":"));
    }
    TrustRule { subject, claims }
}
