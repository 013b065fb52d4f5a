//! A lower bound of the size of a trust policy, known before GitHub is asked and before anything is compiled.

use std::collections::BTreeSet;

use crate::github::name::RepositoryScope;
use crate::iam_policy::pattern::Pattern;

use super::policy_limits::size_of;
use super::trust_declaration::{JobContext, TrustEntry};

/// A lower bound of the size of the policy that a declaration leads to, whatever GitHub says. Values that another one may
/// cover do not count.
pub(super) fn least_size(entries: &[TrustEntry]) -> usize {
    let may_cover = |entry: &TrustEntry| {
        let whole = entry.subjects.iter().any(Pattern::is_wild);
        whole || entry.contexts.iter().any(is_wild) || !matches!(entry.scope, Some(RepositoryScope::Repository(_)))
    };
    if entries.iter().any(may_cover) {
        return 0;
    }
    let jobs: BTreeSet<(&Option<RepositoryScope>, &JobContext)> =
        entries.iter().flat_map(|entry| entry.contexts.iter().map(|context| (&entry.scope, context))).collect();
    let contexts = jobs.iter().map(|(_, context)| size_of(&context.in_subject()));
    let scopes: BTreeSet<&RepositoryScope> = entries.iter().filter_map(|entry| entry.scope.as_ref()).collect();
    // A subject that does not name its repository has its id, or a claim with the id.
    let repositories = scopes.iter().map(|scope| scope.to_string().len().min("repository_id:1".len()));
    // An entry beside others of its repository may be covered by them.
    let are_apart = scopes.len() == entries.len();
    let narrowing = entries.iter().filter(|_| are_apart).map(TrustEntry::narrowing_size).max().unwrap_or_default();
    contexts.chain(repositories).sum::<usize>() + narrowing
}

fn is_wild(context: &JobContext) -> bool {
    *context == JobContext::AnyRef || context.in_subject().contains(['*', '?'])
}

#[cfg(test)]
#[path = "tests/policy_size.rs"]
mod tests;
