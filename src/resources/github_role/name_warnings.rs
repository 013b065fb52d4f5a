//! The warning about repositories and owners that are trusted by their names alone. It fails no request.

use std::collections::BTreeSet;

use super::pinned_ids::Identity;
use crate::github::Issuer;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy};

/// The number of names in the attribute; the log names all.
const NAMED: usize = 4;

/// Returns the warning about what a policy admits without an id; empty if there is none.
pub(super) fn of(issuer: &Issuer, policy: &TrustPolicy) -> String {
    let open = policy.rules().iter().filter_map(|rule| {
        let identity = Identity::of(rule);
        let name = identity.scope.as_ref().map_or_else(|| rule.subject.to_string(), ToString::to_string);
        (!identity.is_pinned()).then_some(name)
    });
    let open: BTreeSet<String> = open.collect();
    if open.is_empty() {
        return String::new();
    }
    tracing::warn!(names = ?open, "the role trusts names that no id pins");
    let more = match open.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more (see the function's log)"),
    };
    let remedy = if issuer.has_key(Claim::RepositoryId.name()) {
        "declare `OwnerId` and `RepositoryId`"
    } else {
        "STS reads no id in tokens of an Enterprise Server, so keep the names"
    };
    let named: Vec<String> = open.into_iter().take(NAMED).collect();
    format!(
        "The role trusts by name alone: {}{more}. Whoever takes over such a name gets in: {remedy}",
        named.join(", ")
    )
}
