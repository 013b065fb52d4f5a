//! A lower bound of the size of a trust policy, known before GitHub is asked and before anything is compiled.

use std::collections::BTreeSet;

use crate::github::name::RepositoryScope;
use crate::iam_policy::pattern::Pattern;

use super::identity::Identity;
use super::policy_limits::size_of;
use super::trust_declaration::{JobContext, TrustEntry};

/// A lower bound of the size of the policy that a declaration leads to, whatever GitHub says. Values that another one may
/// cover do not count, and neither do contexts that others of their entry may rule out.
pub(super) fn least_size(entries: &[TrustEntry]) -> usize {
    let is_covered = |scope: &RepositoryScope| entries.iter().any(|entry| may_cover(entry, scope));
    let is_certain = |entry: &&TrustEntry| entry.refs.is_empty() && entry.template_claims.is_empty();
    let counted: Vec<(&RepositoryScope, &TrustEntry)> =
        entries.iter().filter(is_certain).filter_map(|entry| Some((entry.scope.as_ref()?, entry))).collect();
    let scopes: BTreeSet<&RepositoryScope> =
        counted.iter().map(|(scope, _)| *scope).filter(|scope| !is_covered(scope)).collect();
    let counted = || counted.iter().filter(|(scope, _)| scopes.contains(scope));
    let jobs: BTreeSet<(&RepositoryScope, &JobContext)> =
        counted().flat_map(|(scope, entry)| entry.contexts.iter().map(move |context| (*scope, context))).collect();
    let contexts = jobs.iter().map(|(_, context)| size_of(&context.in_subject()));
    // A subject that does not name its repository has its id, or a claim with the id.
    let repositories = scopes.iter().map(|scope| scope.to_string().len().min("repository_id:1".len()));
    // An entry beside others may be covered by them.
    let are_apart = scopes.len() == entries.len();
    let narrowing = entries.iter().filter(|_| are_apart).map(TrustEntry::narrowing_size).max().unwrap_or_default();
    contexts.chain(repositories).sum::<usize>() + narrowing
}

/// Returns true if a pattern of an entry may cover subjects of a repository.
fn may_cover(entry: &TrustEntry, scope: &RepositoryScope) -> bool {
    let reaches = |of: &RepositoryScope| match of {
        RepositoryScope::Repository(_) => of == scope,
        RepositoryScope::Organisation(owner) => owner == scope.owner(),
    };
    let is_of_owner = matches!(entry.scope, Some(RepositoryScope::Organisation(_)));
    let has_wild_context = is_of_owner || entry.contexts.iter().any(is_wild);
    // The subjects of another repository cover nothing here, and those of no repository anything.
    let of_subject = |subject: &Pattern| Identity::of_subject(subject).scope.or_else(|| entry.scope.clone());
    let wild = entry.subjects.iter().filter(|subject| subject.is_wild());
    has_wild_context && entry.scope.as_ref().is_some_and(reaches)
        || wild.map(of_subject).any(|of| of.as_ref().is_none_or(reaches))
}

fn is_wild(context: &JobContext) -> bool {
    *context == JobContext::AnyRef || context.in_subject().contains(['*', '?'])
}

#[cfg(test)]
#[path = "tests/policy_size.rs"]
mod tests;
