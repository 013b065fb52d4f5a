//! The job that a token is of, beside the jobs that a statement of a trust policy is about.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::github::claim_values::number;
use crate::github::name::Repository;
use crate::github::subject::{prefix, value, without_ids};
use crate::iam_policy::document::allowed_values;
use crate::iam_policy::evaluate::TokenClaims;
use crate::iam_policy::string_like::string_like;
use crate::resources::github_role::TrustedNames;

/// The job of a token, as its claims and its subject tell it.
pub(super) struct TokenJob<'a> {
    pub(super) token: &'a TokenClaims,
    pub(super) subject: &'a str,
    pub(super) repository: Option<Repository>,
    pub(super) owner_id: Option<u64>,
    pub(super) repository_id: Option<u64>,
    /// The name and the id of the user who started it.
    user: Option<&'a str>,
    user_id: Option<u64>,
}

impl<'a> TokenJob<'a> {
    pub(super) fn of(token: &'a TokenClaims) -> Self {
        let subject = claim(token, "sub").unwrap_or_default();
        let said = |claim: &str| value(subject, claim);
        let named = said("repo").and_then(prefix);
        let ids = named.as_ref().and_then(|prefix| prefix.ids);
        let id = |name: &str| claim(token, name).or_else(|| said(name)).and_then(number);
        let other = claim(token, "repository").or_else(|| said("repository"));
        Self {
            token,
            subject,
            repository: named.map(|prefix| prefix.repository).or_else(|| Repository::parse(other?).ok()),
            owner_id: ids.map(|(owner, _)| owner).or_else(|| id("repository_owner_id")),
            repository_id: ids.map(|(_, repository)| repository).or_else(|| id("repository_id")),
            user: claim(token, "actor").or_else(|| said("actor")),
            user_id: id("actor_id"),
        }
    }

    pub(super) fn claim(&self, name: &str) -> Option<&'a str> {
        claim(self.token, name)
    }
}

fn claim<'a>(token: &'a TokenClaims, name: &str) -> Option<&'a str> {
    token.claims.get(name).and_then(|values| values.first()).map(String::as_str)
}

/// The jobs that a statement is about.
pub(super) struct Trusted {
    pub(super) subjects: Vec<String>,
    /// The names that the claim `repository` is compared with, where subjects have none.
    names: Vec<String>,
    owner_ids: BTreeSet<u64>,
    repository_ids: BTreeSet<u64>,
}

impl Trusted {
    pub(super) fn of(statement: &Value) -> Self {
        let policy = json!({"Statement": statement});
        let ids = |claim: &str| allowed_values(&policy, claim).into_iter().filter_map(number).collect();
        Self {
            subjects: allowed_values(&policy, "sub").into_iter().map(|text| text.replace("${$}", "$")).collect(),
            names: allowed_values(&policy, "repository").into_iter().map(str::to_owned).collect(),
            owner_ids: ids("repository_owner_id"),
            repository_ids: ids("repository_id"),
        }
    }

    /// The subjects about the repository of a job or about all repositories of its owner, whatever their ids.
    pub(super) fn about(&self, job: &TokenJob<'_>) -> Vec<&str> {
        let Some(repository) = &job.repository else { return Vec::new() };
        let name = repository.to_string();
        let is_named = self.names.is_empty() || self.names.contains(&name);
        let is_about =
            |subject: &&str| repository_of(subject).map_or(is_named, |value| string_like(&without_ids(value), &name));
        self.subjects.iter().map(String::as_str).filter(is_about).collect()
    }

    /// The names of the trusted repositories, without ids.
    pub(super) fn repositories(&self) -> impl Iterator<Item = String> {
        let of_subjects = self.subjects.iter().filter_map(|subject| repository_of(subject)).map(without_ids);
        of_subjects.chain(self.names.iter().cloned())
    }

    /// The name under which the repository of a job is trusted, if that is another one.
    pub(super) fn former_name(&self, job: &TokenJob<'_>) -> Option<String> {
        let (id, now) = (job.repository_id?, job.repository.as_ref()?.to_string());
        let with_id = self.subjects.iter().filter(|subject| repository_id(subject) == Some(id));
        let with_id = with_id.filter_map(|subject| repository_of(subject)).map(without_ids);
        let pinned = self.repositories().filter(|_| self.repository_ids.contains(&id));
        with_id.chain(pinned).find(|name| *name != now)
    }

    /// Returns true if an id holds the names of these subjects: that of a claim beside them, or that of a job's repository in one.
    pub(super) fn is_pinned(&self, job: &TokenJob<'_>) -> bool {
        let is_own = |subject: &String| job.repository_id.is_some() && repository_id(subject) == job.repository_id;
        !self.repository_ids.is_empty() || !self.owner_ids.is_empty() || self.subjects.iter().any(is_own)
    }
}

/// Describes a job of somebody who has the name of a repository, or of an owner, whom the role trusts with another id.
pub(super) fn stranger(known: &TrustedNames, job: &TokenJob<'_>) -> Option<String> {
    let repository = job.repository.as_ref()?;
    if let Some((id, known)) = other_id(job.repository_id, &known.repository(repository)) {
        let owner = job.owner_id.map(|owner| format!("`OwnerId: {owner}` and ")).unwrap_or_default();
        return Some(format!(
            "the token is of another repository of the name {repository} (id {id}) than the role trusts (id {known}): it was \
             made again, or somebody else has taken over the name. If it is the one that you mean, write \
             {owner}`RepositoryId: {id}`"
        ));
    }
    let (id, known) = other_id(job.owner_id, &known.owner(repository.owner()))?;
    Some(format!(
        "the token is of another owner of the name {} (id {id}) than the role trusts (id {known}): somebody else has taken over \
         the name. If it is the one that you mean, write `OwnerId: {id}`",
        repository.owner()
    ))
}

/// Describes a job that somebody started who has the name of a user whom the role trusts with another id.
pub(super) fn other_user(known: &TrustedNames, job: &TokenJob<'_>, trusted: &Trusted) -> Option<String> {
    let user = job.user?;
    let (id, known) = other_id(job.user_id, &known.user(user))?;
    let is_said = trusted.subjects.iter().any(|subject| value(subject, "actor").is_some());
    let beside = if is_said { "beside" } else { "in place of" };
    Some(format!(
        "the token is of another user of the name {user} (id {id}) than the role trusts (id {known}): somebody else has taken \
         over the name. If it is the one that you mean, write {id} {beside} {user} under `Actors`"
    ))
}

/// Returns an id that is none of the known ones, and these.
fn other_id(id: Option<u64>, known: &BTreeSet<u64>) -> Option<(u64, String)> {
    let listed = || known.iter().map(u64::to_string).collect::<Vec<_>>().join(" or ");
    id.filter(|id| !known.is_empty() && !known.contains(id)).map(|id| (id, listed()))
}

/// The repository that a subject names, with ids where it has some.
pub(super) fn repository_of(subject: &str) -> Option<&str> {
    value(subject, "repo").or_else(|| value(subject, "repository"))
}

/// The id of the repository in a subject: in `OWNER@ID/NAME@ID`, or behind its claim.
fn repository_id(subject: &str) -> Option<u64> {
    let with_ids = |value: &str| number(value.split_once('/')?.1.split_once('@')?.1);
    repository_of(subject).and_then(with_ids).or_else(|| number(value(subject, "repository_id")?))
}

/// A subject without the ids of its repository.
pub(super) fn plain(subject: &str) -> String {
    match repository_of(subject) {
        Some(value) => subject.replacen(value, &without_ids(value), 1),
        None => subject.to_owned(),
    }
}
