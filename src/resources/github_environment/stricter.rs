//! Settings that somebody has made stricter by hand. An environment of ours keeps them, unless the author adopts it: it is
//! made looser only where it is as the declaration before has made it.

use std::collections::BTreeSet;

use super::{DeploymentBranchPolicy, RefPattern, Reviewer, Rules, Spec};

/// The rules of an environment, and the patterns of its branches and tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EnvironmentSettings {
    pub(super) rules: Rules,
    pub(super) patterns: BTreeSet<RefPattern>,
}

impl EnvironmentSettings {
    /// The settings of an environment that a workflow has created.
    pub(super) const NONE: Self = Self { rules: Rules::NONE, patterns: BTreeSet::new() };

    /// The declared settings; where one is not declared, the current one.
    pub(super) fn declared(spec: &Spec, current: &Self) -> Self {
        let reviewers = spec.reviewers.clone().unwrap_or_else(|| current.rules.reviewers.clone());
        let prevent_self_review =
            spec.prevent_self_review.unwrap_or(current.rules.prevent_self_review) && !reviewers.is_empty();
        let wait_timer = spec.wait_timer.unwrap_or(current.rules.wait_timer);
        let (policy, patterns) =
            spec.branches.clone().unwrap_or_else(|| (current.rules.policy, current.patterns.clone()));
        let bars_administrators = current.rules.bars_administrators;
        Self { rules: Rules { wait_timer, prevent_self_review, reviewers, policy, bars_administrators }, patterns }
    }

    /// Returns the settings without what would loosen those of today that somebody has made stricter than `before`.
    pub(super) fn keep_stricter(self, before: &Self, today: &Self) -> Self {
        let (old, now) = (&before.rules, &today.rules);
        let (policy, patterns) = self.stricter_branches(before, today);
        let wait_timer = if now.wait_timer > old.wait_timer { now.wait_timer } else { 0 };
        let rules = Rules {
            wait_timer: self.rules.wait_timer.max(wait_timer),
            prevent_self_review: self.rules.prevent_self_review
                || (now.prevent_self_review && !old.prevent_self_review),
            reviewers: stricter_reviewers(self.rules.reviewers, &old.reviewers, &now.reviewers),
            policy,
            bars_administrators: self.rules.bars_administrators,
        };
        Self { rules, patterns }
    }

    fn stricter_branches(&self, before: &Self, today: &Self) -> (DeploymentBranchPolicy, BTreeSet<RefPattern>) {
        use DeploymentBranchPolicy::{Any, Custom};
        let declared = (self.rules.policy, self.patterns.clone());
        let kept = (today.rules.policy, today.patterns.clone());
        match (before.rules.policy, today.rules.policy, self.rules.policy) {
            // Patterns come after the policy: an attempt that died between the two has left fewer than are declared.
            (Any, Custom, Custom) if today.patterns.is_subset(&self.patterns) => declared,
            (Any, now, _) if now != Any => kept,
            (old, now, Any) if now != Any && now != old => kept,
            (Custom, Custom, Custom) if is_reduced(&self.patterns, &before.patterns, &today.patterns) => {
                let removed = &before.patterns - &today.patterns;
                (Custom, &self.patterns - &removed)
            }
            _ => declared,
        }
    }

    /// Returns the properties in which two settings differ.
    pub(super) fn differences(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let (ours, theirs) = (&self.rules, &other.rules);
        let branches = ours.policy != theirs.policy || self.patterns != other.patterns;
        [
            ("DeploymentBranchPolicy", branches),
            ("Reviewers", ours.reviewers != theirs.reviewers),
            ("PreventSelfReview", ours.prevent_self_review != theirs.prevent_self_review),
            ("WaitTimer", ours.wait_timer != theirs.wait_timer),
        ]
        .into_iter()
        .filter_map(|(property, differs)| differs.then_some(property))
    }
}

/// One reviewer is enough. So fewer are stricter, but none are not.
fn stricter_reviewers(
    declared: BTreeSet<Reviewer>,
    before: &BTreeSet<Reviewer>,
    today: &BTreeSet<Reviewer>,
) -> BTreeSet<Reviewer> {
    let is_stricter = !today.is_empty() && (before.is_empty() || is_reduced(&declared, before, today));
    if !is_stricter {
        return declared;
    }
    let removed = |reviewer: &Reviewer| !today.contains(reviewer) && (before.is_empty() || before.contains(reviewer));
    let left: BTreeSet<Reviewer> = declared.into_iter().filter(|reviewer| !removed(reviewer)).collect();
    if left.is_empty() { today.clone() } else { left }
}

/// Returns true if somebody has taken items away and added none. Items that are declared now may have been added by us.
fn is_reduced<T: Ord + Clone>(declared: &BTreeSet<T>, before: &BTreeSet<T>, today: &BTreeSet<T>) -> bool {
    let others = today - &(declared - before);
    others != *before && others.is_subset(before)
}

/// Returns true if somebody has made the rules stricter than declared. Patterns are not compared.
pub(super) fn is_stricter(rules: &Rules, spec: &Spec) -> bool {
    let today = EnvironmentSettings { rules: rules.clone(), patterns: BTreeSet::new() };
    let declared = EnvironmentSettings { patterns: BTreeSet::new(), ..EnvironmentSettings::declared(spec, &today) };
    declared.clone().keep_stricter(&declared, &today) != declared
}
