//! Repositories without ids in their subjects, in one statement. Each would need a statement of its own, for its id; but
//! repositories that are let in for the same jobs share a list of subjects and a list of ids.
//!
//! A token with the name of one and the id of another is let in then. Its repository is declared by that id for just these
//! jobs, and now has the other one's name. The `Sid` keeps the ids in the order of the names, so that each id is known to be
//! of its name when the policy is read.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::pattern::Pattern;
use super::trust_rule::{Claim, Claims, TrustRule};
use crate::github::name::Repository;
use crate::github::subject;

/// Repositories that are let in for the same jobs.
pub(super) struct Shared {
    /// The ids, in the order of the names.
    pub(super) ids: Vec<String>,
    /// The rules, without the ids.
    pub(super) rules: Vec<TrustRule>,
}

/// The jobs of a repository: its subjects without its name, and the claims without its id.
type Jobs = BTreeSet<(String, Claims)>;

/// Finds the repositories that are let in for the same jobs, and returns the other rules.
pub(super) fn shared(rules: &BTreeSet<TrustRule>) -> (Vec<Shared>, Vec<&TrustRule>) {
    let mut names: BTreeMap<&str, BTreeSet<Repository>> = BTreeMap::new();
    let mut ids: BTreeMap<Repository, BTreeSet<&str>> = BTreeMap::new();
    let mut jobs: BTreeMap<Repository, Jobs> = BTreeMap::new();
    for rule in rules {
        let Some((name, id)) = repository(&rule.subject).zip(own_id(rule)) else { continue };
        names.entry(id).or_default().insert(name.clone());
        ids.entry(name.clone()).or_default().insert(id);
        jobs.entry(name).or_default().insert((unnamed(rule.subject.as_str()), without_id(rule)));
    }
    // A name of two ids, or an id of two names, stays by itself.
    let is_one = |name: &Repository| ids[name].len() == 1 && ids[name].iter().all(|id| names[id].len() == 1);
    let mut alike: BTreeMap<&Jobs, Vec<&Repository>> = BTreeMap::new();
    for (name, jobs) in jobs.iter().filter(|(name, _)| is_one(name)) {
        alike.entry(jobs).or_default().push(name);
    }
    let groups: Vec<Vec<&Repository>> = alike.into_values().filter(|group| group.len() > 1).collect();
    let place = |rule: &TrustRule| {
        let name = repository(&rule.subject).filter(|_| own_id(rule).is_some())?;
        groups.iter().position(|group| group.binary_search(&&name).is_ok())
    };
    let of_group = |group: &Vec<&Repository>| {
        let ids = group.iter().flat_map(|name| &ids[*name]).map(|id| (*id).to_owned()).collect();
        Shared { ids, rules: Vec::new() }
    };
    let mut found: Vec<Shared> = groups.iter().map(of_group).collect();
    let mut apart = Vec::new();
    for rule in rules {
        match place(rule) {
            Some(index) => {
                let rule = TrustRule { subject: rule.subject.clone(), claims: without_id(rule) };
                found[index].rules.push(rule);
            }
            None => apart.push(rule),
        }
    }
    (found, apart)
}

/// Gives the rules of a shared statement the ids of their repositories again, if its `Sid` has one for each name.
#[must_use]
pub fn told_apart(sid: &str, rules: Vec<TrustRule>) -> Option<Vec<TrustRule>> {
    let names: BTreeSet<Repository> = rules.iter().filter_map(|rule| repository(&rule.subject)).collect();
    let ids: Vec<&str> = sid.split('x').skip(1).collect();
    if names.len() != ids.len() {
        return None;
    }
    let ids: BTreeMap<Repository, &str> = names.into_iter().zip(ids).collect();
    let told = |mut rule: TrustRule| {
        let id = Pattern::written(ids.get(&repository(&rule.subject)?)?);
        rule.claims.insert(Claim::RepositoryId, Rc::new([id].into()));
        Some(rule)
    };
    rules.into_iter().map(told).collect()
}

/// The one id that a rule pins by a claim.
fn own_id(rule: &TrustRule) -> Option<&str> {
    rule.claims.get(&Claim::RepositoryId).filter(|ids| ids.len() == 1)?.first().map(Pattern::as_str)
}

fn without_id(rule: &TrustRule) -> Claims {
    rule.claims
        .iter()
        .filter(|(claim, _)| **claim != Claim::RepositoryId)
        .map(|(claim, values)| (*claim, Rc::clone(values)))
        .collect()
}

/// The repository that a subject names.
fn repository(pattern: &Pattern) -> Option<Repository> {
    subject::value(pattern.as_str(), "repo").and_then(subject::prefix).map(|prefix| prefix.repository)
}

/// A subject without the name and the ids of its repository.
fn unnamed(text: &str) -> String {
    let pairs = subject::pairs(text).map(|(key, value)| match (key, value) {
        ("repo", Some(value)) => format!("repo:{}", value.contains('@')),
        (key, Some(value)) => format!("{key}:{value}"),
        (key, None) => key.to_owned(),
    });
    pairs.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
#[path = "tests/shared_ids.rs"]
mod tests;
