//! The warnings about names that no id pins. They fail no request.

use std::collections::BTreeSet;

use super::identity::Identity;
use super::named::named;
use crate::github::Issuer;
use crate::github::name::RepositoryScope;
use crate::github::subject::value;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy, TrustRule};

/// Returns the warnings about what a policy admits without an id.
pub(super) fn of(issuer: &Issuer, policy: &TrustPolicy) -> Vec<String> {
    let has_ids = issuer.has_key(Claim::RepositoryId.name());
    let sentence = |open: BTreeSet<String>, how: &str, who: &str, remedy: &str| {
        if open.is_empty() {
            return None;
        }
        let named = named(&open.into_iter().collect::<Vec<_>>(), ", ", ", ");
        let remedy =
            if has_ids { remedy } else { "STS reads no id in tokens of an Enterprise Server, so keep the names" };
        Some(format!("The role {how}: {named}. A person who {who}: {remedy}"))
    };
    let open =
        policy.rules().iter().map(|rule| (rule, Identity::of(rule))).filter(|(_, identity)| !identity.is_pinned());
    let (of_owners, by_name): (Vec<_>, Vec<_>) = open.partition(|(_, identity)| !identity.owner_ids.is_empty());
    let is_owner = |identity: &Identity| matches!(identity.scope, Some(RepositoryScope::Organisation(_)));
    let are_owners = by_name.iter().all(|(_, identity)| is_owner(identity));
    let name = |(rule, Identity { scope, .. }): (&TrustRule, Identity)| {
        scope.map_or_else(|| rule.subject.to_string(), |scope| scope.to_string())
    };
    let ids = if are_owners { "declare `OwnerId`" } else { "declare `OwnerId` and `RepositoryId`" };
    let by_name = by_name.into_iter().map(name).collect();
    let trusted = sentence(by_name, "trusts by name alone", "takes over such a name gets in", ids);
    let of_owners = of_owners.into_iter().map(name).collect();
    let anew = "makes a repository of such a name for that owner gets in";
    let within = sentence(of_owners, "trusts by name and by the owner's id", anew, "declare `RepositoryId`");
    let narrowing = policy.rules().iter().flat_map(narrowing).collect();
    let who = "takes over such a name fits, too";
    let narrowed = sentence(narrowing, "is narrowed by name alone", who, "declare `EnterpriseId`");
    trusted.into_iter().chain(within).chain(narrowed).collect()
}

/// The users and enterprises that a subject names without an id.
fn narrowing(rule: &TrustRule) -> impl Iterator<Item = String> {
    let text = rule.subject.as_str();
    let kinds = [("the user", "actor", Claim::ActorId), ("the enterprise", "enterprise", Claim::EnterpriseId)];
    kinds.into_iter().filter_map(move |(what, key, id)| {
        let is_pinned = rule.claims.contains_key(&id) || value(text, id.name()).is_some();
        value(text, key).filter(|_| !is_pinned).map(|name| format!("{what} {name}"))
    })
}
