//! Whole subjects as an author declares them, beside the other members of their entry.

use super::impossible_subjects::impossible;
use super::named::shortened;
use super::properties::TrustEntry as Entry;
use super::trust_entry::{Actor, TrustEntry};
use crate::cloudformation::Fields;
use crate::github::Issuer;
use crate::github::claim_values;
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject::{self, Breadth};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::Claims;

/// Reads the whole subjects of an entry.
pub(super) fn subjects(fields: &mut Fields<'_, Entry>, entry: &mut TrustEntry, issuer: Option<&Issuer>) {
    let is_pinned = entry.names_repository();
    let subjects =
        fields.texts(Entry::SUBJECTS, |text| subject::check(text, is_pinned).map(|reach| (text.to_owned(), reach)));
    for (text, reach) in subjects.into_iter().flatten() {
        if let Some(never) = impossible(&text, &Claims::new()) {
            fields.invalid(Entry::SUBJECTS, format!("a subject that GitHub sends: {never}"), format_args!("{text:?}"));
        }
        if let Some(other) = of_another(&text, entry) {
            fields.invalid(Entry::SUBJECTS, format!("subjects of this entry's {other}"), format_args!("{text:?}"));
        }
        if let Some(name) = issuer.and_then(|issuer| unlisted_user(&text, entry, issuer)) {
            let expected = format!(
                "the user {name} also under `Actors`, which are compared by their ids, because a user's name can change hands"
            );
            fields.invalid(Entry::SUBJECTS, expected, format_args!("{text:?}"));
        }
        match reach {
            Breadth::Broad(why) if !entry.is_on_closed_refs() => {
                entry.broad.push(format!("`{}`: {why}", shortened(&text)));
            }
            Breadth::Owners => entry.broad.push(format!(
                "`{}`: it pins the owner only, so that every repository of the owner is let in",
                shortened(&text)
            )),
            Breadth::Anybodys => fields.invalid(Entry::SUBJECTS, anybodys(&text), format_args!("{text:?} alone")),
            Breadth::Broad(_) | Breadth::Narrow => {}
        }
        entry.subjects.insert(if subject::spans_words(&text) {
            Pattern::written(&text)
        } else {
            Pattern::within_words(&text)
        });
    }
}

/// Returns the member of an entry that one of its subjects contradicts.
fn of_another(subject: &str, entry: &TrustEntry) -> Option<String> {
    let TrustEntry { scope, owner_id, repository_id, .. } = entry;
    let another = |id: &Option<u64>, found: u64| id.is_some_and(|id| id != found);
    let fits = |repository: &Repository| match scope {
        Some(RepositoryScope::Repository(own)) => own == repository,
        Some(RepositoryScope::Organisation(owner)) => owner == repository.owner(),
        None => true,
    };
    subject::pairs(subject).find_map(|(key, value)| {
        let value = value?;
        let prefix = subject::prefix(value).filter(|_| matches!(key, "repo" | "repository"));
        let (owner, id) = match (key, prefix.as_ref().and_then(|prefix| prefix.ids)) {
            (_, Some((owner, id))) => (Some(owner), Some(id)),
            ("repository_id", _) => (None, claim_values::number(value)),
            ("repository_owner_id", _) => (claim_values::number(value), None),
            _ => (None, None),
        };
        let is_owner_s = key != "repository_owner" || scope.as_ref().is_none_or(|scope| scope.owner() == value);
        if !prefix.is_none_or(|prefix| fits(&prefix.repository)) || !is_owner_s {
            return scope.as_ref().map(|scope| format!("`Repository`, {scope}"));
        }
        let owner = owner.filter(|found| another(owner_id, *found)).map(|_| "`OwnerId`".to_owned());
        owner.or_else(|| id.filter(|found| another(repository_id, *found)).map(|_| "`RepositoryId`".to_owned()))
    })
}

/// Describes the member that a subject of no repository needs beside it.
fn anybodys(subject: &str) -> &'static str {
    if subject::value(subject, "job_workflow_ref").is_some() {
        "`Repository` beside a subject that pins a workflow only: jobs of every repository on GitHub can call it"
    } else {
        "`Repository` beside a subject that names a repository in `workflow_ref` only, where no id pins it"
    }
}

/// Returns the user whom a subject names and no id tells.
fn unlisted_user<'a>(subject: &'a str, entry: &TrustEntry, issuer: &Issuer) -> Option<&'a str> {
    let value = |key| subject::value(subject, key);
    let name = value("actor").filter(|_| issuer.has_key("actor_id") && value("actor_id").is_none())?;
    let is_listed = entry.actors.iter().any(|actor| match actor {
        Actor::Name(listed) => listed == name,
        Actor::Id(_) => true,
    });
    (!is_listed).then_some(name)
}
