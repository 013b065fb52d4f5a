//! The difference between the subjects that a role trusts and those that GitHub issues.

use std::collections::{BTreeMap, BTreeSet};

use super::facts_from_policy::SubjectPairs;
use crate::github::client::LookupError;
use crate::github::facts::{SubjectFacts, SubjectFormat, SubjectTemplate, prefix};
use crate::github::name::Repository;
use crate::github::subject;
use crate::iam_policy::trust_policy::TrustPolicy;

/// The subjects of a repository as GitHub issues them.
pub(super) struct CurrentSubjects {
    pub(super) facts: SubjectFacts,
    /// Without a credential, a template is not visible.
    pub(super) template_is_known: bool,
}

/// The subjects of one repository in a policy.
#[derive(Default)]
pub(super) struct TrustedSubjects {
    /// The beginnings of the subjects.
    prefixes: BTreeSet<String>,
    /// The claims that they are made of, in order.
    templates: BTreeSet<Vec<String>>,
}

/// Returns the subjects that a policy trusts, by repository.
pub(super) fn trusted_subjects(policy: &TrustPolicy) -> BTreeMap<Repository, TrustedSubjects> {
    let mut found: BTreeMap<Repository, TrustedSubjects> = BTreeMap::new();
    for rule in policy.rules() {
        let words = SubjectPairs::of(rule.subject.as_str());
        let value = words.value("repo");
        if let Some(prefix) = value.and_then(subject::prefix) {
            let trusted = found.entry(prefix.repository).or_default();
            trusted.prefixes.insert(format!("repo:{}", value.unwrap_or_default()));
            trusted.templates.insert(words.keys().into_iter().map(str::to_owned).collect());
        }
    }
    found
}

/// The result of comparing the subjects of one repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The role trusts the subjects that GitHub issues.
    None,
    /// The difference, in words.
    Some(String),
    /// GitHub did not tell the subjects, and the reason.
    Unknown(String),
}

/// Compares the subjects that a role trusts with the answer of GitHub; `None` if GitHub was not asked.
pub(super) fn difference(
    repository: &Repository,
    trusted: &TrustedSubjects,
    answer: Option<&Result<CurrentSubjects, LookupError>>,
) -> Difference {
    match answer {
        Some(Ok(current)) => difference_of(repository, trusted, current).map_or(Difference::None, Difference::Some),
        Some(Err(LookupError::Renamed(to))) => Difference::Some(format!("it is {to} now")),
        Some(Err(error)) => Difference::Unknown(error.to_string()),
        None => Difference::Unknown("GitHub has not answered for others before".to_owned()),
    }
}

/// Describes the subjects that GitHub issues and the role does not trust.
fn difference_of(repository: &Repository, trusted: &TrustedSubjects, current: &CurrentSubjects) -> Option<String> {
    let TrustedSubjects { prefixes: trusted, templates } = trusted;
    let CurrentSubjects { facts, template_is_known } = current;
    let issued: Vec<String> =
        facts.forms.iter().filter_map(|form| prefix(repository, *form, facts.owner_id, facts.repository_id)).collect();
    // If GitHub does not tell which of two formats it is, one of them suffices.
    let fits = if facts.forms.len() == 1 {
        issued.iter().all(|prefix| trusted.contains(prefix))
    } else {
        issued.iter().any(|prefix| trusted.contains(prefix))
    };
    if fits {
        let template = match &facts.template {
            SubjectTemplate::Default => vec!["repo".to_owned(), "context".to_owned()],
            SubjectTemplate::Custom(keys) => keys.clone(),
        };
        let changed = *template_is_known && !templates.contains(&template);
        return changed.then(|| {
            let trusted: Vec<String> = templates.iter().map(|keys| keys.join(", ")).collect();
            format!("its subjects are made of {}, the role trusts {}", template.join(", "), trusted.join(" or "))
        });
    }
    let form = if facts.forms.contains(&SubjectFormat::Immutable) { "with ids" } else { "without ids" };
    let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
    Some(format!("its subjects begin {} ({form}), the role trusts {}", issued.join(" or "), trusted.join(", ")))
}
