//! The refusals of names that lead to somebody else than the role trusts, or to nobody.

use std::collections::BTreeSet;

use crate::error::Refusal;
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject_facts::SubjectFacts;
use crate::iam_policy::trust_policy::TrustRule;

use super::identity::Identity;
use super::pinned_ids::{KnownIds, OtherId, declared_ids, listed};
use super::trust_declaration::TrustEntry;

/// Refuses names that have another id now.
pub(super) fn taken_over(at: &str, others: &[OtherId]) -> Option<Refusal> {
    if others.is_empty() {
        return None;
    }
    let told = others.iter().map(|OtherId { what, known, now, remedy: _ }| match known {
        KnownIds::Forgotten => forgotten(what),
        KnownIds::OfNoName(ids) => format!(
            "a statement of the role's policy has the ids {} and no name, and GitHub shows id {now} for {what}",
            listed(ids)
        ),
        KnownIds::OfUsers(ids) => format!(
            "the role trusts the users {}, and its tags tell no longer which of them is {what}; {now} has the name now",
            listed(ids)
        ),
        KnownIds::OfSeveral(ids) => format!(
            "a statement of the role's policy has the ids {} for several names, and does not tell which of them is {what}; {now} has the \
             name now",
            listed(ids)
        ),
        KnownIds::Lost => format!(
            "the role trusts {what} by a repository's id only, and its tags tell no longer which id {what} has; {now} has the name now"
        ),
        KnownIds::Ids(ids) => {
            format!("the role trusts {what} with id {}, and GitHub shows id {now} under this name", listed(ids))
        }
    });
    let steps: Vec<&str> = others.iter().map(|other| other.remedy.as_str()).collect();
    let steps = steps.join(" and ");
    let remedy = if others.iter().any(|other| matches!(other.known, KnownIds::Ids(_))) {
        format!(
            "Somebody else may have taken over the name; the role still trusts the old id only. Find out who has the name now: \
             if the new one is meant, write {steps}"
        )
    } else {
        format!("If the repository, owner or user is meant that has the name now, write {steps}")
    };
    Some(Refusal::PreconditionFailed { what: format!("{at}: {}", told.collect::<Vec<_>>().join("; ")), remedy })
}

fn forgotten(what: &str) -> String {
    format!("the role's tags no longer hold all names that it has trusted, of which {what} may be one")
}

/// Refuses a name without its id, where GitHub does not tell it and the role may have trusted the name with another one.
pub(super) fn untold(at: &str, name: &str, is_doubtful: bool) -> Refusal {
    let (property, address) = if name.contains('/') { ("RepositoryId", "repos") } else { ("OwnerId", "users") };
    let why = if is_doubtful { format!("nothing tells which id {name} had") } else { forgotten(name) };
    Refusal::PreconditionFailed {
        what: format!("{at}: {why}, and GitHub does not tell its id"),
        remedy: format!(
            "Find out who has the name, and write the id of {name} as `{property}` in an entry for it alone (`gh api \
             {address}/{name} --jq .id`), or try again once GitHub shows it"
        ),
    }
}

/// Refuses owners that nobody is, unless an id tells who is meant.
pub(super) fn free(at: &str, entry: &TrustEntry, facts: &SubjectFacts, rules: &[TrustRule]) -> Option<Refusal> {
    let is_open = |identity: &Identity| identity.owner_ids.is_empty() && identity.repository_ids.is_empty();
    let open = rules.iter().map(Identity::of).filter(is_open).filter_map(|identity| identity.scope);
    let is_declared = |scope: &RepositoryScope| !declared_ids(entry, scope).0.is_empty();
    let mut free = open.filter(|scope| facts.free.contains(scope.owner()) && !is_declared(scope));
    free.next().map(|scope| nobody(at, scope.owner()))
}

pub(super) fn nobody(at: &str, owner: &str) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!("{at}: {owner}: there is no user or organisation of that name"),
        remedy: "GitHub says so, and a person who registers it would be let in. Correct the name, or declare `OwnerId`"
            .to_owned(),
    }
}

/// Refuses a name that leads to another one. Who has taken over a name can also let it lead elsewhere.
pub(super) fn renamed(
    at: &str,
    entry: &TrustEntry,
    pinned: &BTreeSet<u64>,
    (from, to, id): (&Repository, &str, u64),
) -> Refusal {
    let what = format!("{at}: {from} was renamed or transferred, and is {to} (id {id}) now");
    if pinned.is_empty() || pinned.contains(&id) {
        let whose = if pinned.is_empty() { "If that is the repository that you mean, write" } else { "Write" };
        let is_own = entry.scope.as_ref().is_some_and(|scope| *scope == RepositoryScope::Repository(from.clone()));
        let step = if is_own { format!("`Repository: {to}`") } else { format!("{to} in its place under `Subjects`") };
        let remedy = format!("Its tokens carry the new name. {whose} {step}");
        return Refusal::PreconditionFailed { what, remedy };
    }
    Refusal::PreconditionFailed {
        what: format!("{what}, and the role trusts id {}", listed(pinned)),
        remedy: format!("Somebody else may have taken over the name; do not trust {to} unless you know whose it is"),
    }
}
