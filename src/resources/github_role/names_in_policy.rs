//! The names of repositories and owners as a role's policies have them, to the letter.

use std::collections::BTreeSet;

use super::identity::Identity;
use super::name_record::key;
use crate::error::Error;
use crate::github::name::RepositoryScope;
use crate::iam_policy::trust_policy::TrustPolicy;

/// Returns the name as the policies have it, if they have it in another case only.
pub(super) fn in_another_case(scope: &RepositoryScope, policies: &[TrustPolicy]) -> Option<String> {
    let trusted = policies.iter().flat_map(TrustPolicy::rules).filter_map(|rule| Identity::of(rule).scope);
    let name = |trusted: RepositoryScope| match scope {
        RepositoryScope::Repository(_) => trusted.name(),
        RepositoryScope::Organisation(_) => trusted.owner().to_owned(),
    };
    let known: BTreeSet<String> = trusted.map(name).filter(|known| key(known) == key(&scope.name())).collect();
    known.first().cloned().filter(|_| !known.contains(&scope.name()))
}

/// Refuses a name in another case, about which GitHub does not answer: nobody may have it.
pub(super) fn unsure_of_case(at: &str, problem: &str, known: &str) -> Error {
    let remedy = "Subjects and conditions are case-sensitive: write it like that, or try again once GitHub answers";
    Error::LookupFailed { what: format!("{at}: {problem}, and the role trusts {known}"), remedy: remedy.to_owned() }
}
