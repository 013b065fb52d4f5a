//! The difference between what a role trusts and what GitHub says of it: ids, and the form of subjects.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::Identity;
use super::pinned_ids::{PinnedIds, listed};
use crate::github::client::LookupError;
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, prefix};
use crate::github::subject_template::fits;
use crate::iam_policy::trust_policy::TrustPolicy;

/// The subjects of one repository in a policy.
#[derive(Default)]
pub(super) struct TrustedSubjects {
    /// The beginnings of the subjects.
    prefixes: BTreeSet<String>,
    subjects: BTreeSet<String>,
}

/// Returns the subjects that a policy trusts, by repository or owner.
pub(super) fn trusted_subjects(policy: &TrustPolicy) -> BTreeMap<RepositoryScope, TrustedSubjects> {
    let mut found: BTreeMap<RepositoryScope, TrustedSubjects> = BTreeMap::new();
    for rule in policy.rules() {
        let Some(scope) = Identity::of(rule).scope else { continue };
        let trusted = found.entry(scope).or_default();
        let text = rule.subject.as_str();
        trusted.prefixes.extend(subject::value(text, "repo").map(|value| format!("repo:{value}")));
        trusted.subjects.insert(text.to_owned());
    }
    found
}

/// The result of comparing one name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The role trusts what GitHub issues.
    None,
    /// The name has another id than the pinned one, in words. The role lets in nobody under it.
    OtherId(String),
    /// The subjects have another form, in words.
    OtherForm(String),
    /// No id tells if the name still means the same repository, in words.
    Unpinned(String),
    /// GitHub did not tell, and the reason.
    Unknown(String),
}

/// Compares what a role trusts under a name with the answer of GitHub; `None` if GitHub was not asked.
pub(super) fn difference(
    scope: &RepositoryScope,
    trusted: &TrustedSubjects,
    pinned: &PinnedIds,
    answer: Option<&Result<SubjectFacts, LookupError>>,
) -> Difference {
    let current = match answer {
        Some(Ok(current)) => current,
        Some(Err(LookupError::Renamed { to, id })) => {
            let known = pinned.ids(scope);
            return if known.is_empty() {
                Difference::Unpinned(format!("it is {to} (id {id}) now"))
            } else if known.contains(id) {
                Difference::OtherForm(format!("it is {to} now"))
            } else {
                Difference::OtherId(format!("the name leads to {to} with id {id}, the role trusts {}", listed(&known)))
            };
        }
        Some(Err(error)) => return Difference::Unknown(error.to_string()),
        None => return Difference::Unknown("GitHub has not answered for others before".to_owned()),
    };
    let SubjectFacts { owner_id, repository_id, .. } = current;
    let others: Vec<String> = match scope {
        RepositoryScope::Repository(repository) => vec![
            other_id("the repository", &pinned.repository(repository), *repository_id),
            other_id("its owner", &pinned.owner(repository.owner()), *owner_id),
        ],
        RepositoryScope::Organisation(owner) => vec![other_id("the owner", &pinned.owner(owner), *owner_id)],
    }
    .into_iter()
    .flatten()
    .collect();
    if !others.is_empty() {
        return Difference::OtherId(others.join(", "));
    }
    match scope {
        RepositoryScope::Repository(repository) => {
            let is_pinned = !pinned.ids(scope).is_empty();
            match difference_of(repository, trusted, current) {
                None => Difference::None,
                Some(what) if is_pinned => Difference::OtherForm(what),
                Some(what) => Difference::Unpinned(what),
            }
        }
        RepositoryScope::Organisation(_) => Difference::None,
    }
}

/// Describes an id that is not among the pinned ones.
pub(super) fn other_id(what: &str, pinned: &BTreeSet<u64>, now: Option<u64>) -> Option<String> {
    let now = now.filter(|now| !pinned.is_empty() && !pinned.contains(now))?;
    Some(format!("{what} has id {now}, the role trusts {}", listed(pinned)))
}

/// Describes the subjects that GitHub issues and the role does not trust.
fn difference_of(repository: &Repository, trusted: &TrustedSubjects, facts: &SubjectFacts) -> Option<String> {
    let TrustedSubjects { prefixes: trusted, subjects } = trusted;
    let issued: Vec<String> =
        facts.forms.iter().filter_map(|form| prefix(repository, *form, facts.owner_id, facts.repository_id)).collect();
    // If GitHub does not tell which of two formats it is, one of them suffices.
    let has_prefix = if trusted.is_empty() {
        // The template has no `repo`.
        true
    } else if facts.forms.len() == 1 {
        issued.iter().all(|prefix| trusted.contains(prefix))
    } else {
        issued.iter().any(|prefix| trusted.contains(prefix))
    };
    if has_prefix {
        let is_of = |keys: &&Vec<String>| subjects.iter().any(|subject| fits(subject, keys));
        let template = facts.told.keys.as_ref().filter(|keys| !is_of(keys))?;
        return Some(format!("its subjects are made of {}, and none that the role trusts is", template.join(", ")));
    }
    let form = if facts.forms.contains(&SubjectFormat::Immutable) { "with ids" } else { "without ids" };
    let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
    Some(format!("its subjects begin {} ({form}), the role trusts {}", issued.join(" or "), trusted.join(", ")))
}
