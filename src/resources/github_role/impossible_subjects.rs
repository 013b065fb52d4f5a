//! Whole subjects that contradict themselves: GitHub makes each of the claims of one job.

use std::collections::BTreeSet;

use super::void_subjects::OF_PULL_REQUESTS;
use crate::github::claim_values::is_known_event;
use crate::github::claim_values::number;
use crate::github::subject::{pairs, prefix, value};
use crate::iam_policy::pattern::Pattern;

/// Describes two parts of a subject that no job has together.
pub(super) fn impossible(subject: &str) -> Option<String> {
    let Names { repositories, owners, repository_ids, owner_ids } = Names::of(subject);
    let two = |what: &str, of: &str, all: &BTreeSet<String>| match all.iter().collect::<Vec<_>>()[..] {
        [one, other, ..] => Some(format!("no {what} {of} {one} and {of} {other}")),
        _ => None,
    };
    two("job is", "of", &repositories)
        .or_else(|| two("job is", "of", &owners))
        .or_else(|| two("repository has", "id", &repository_ids))
        .or_else(|| two("owner has", "id", &owner_ids))
        .or_else(|| contexts(subject))
        .or_else(|| ref_type(subject))
        .or_else(|| event(subject))
}

/// The names and ids that a subject has of its repository and owner.
#[derive(Default)]
struct Names {
    repositories: BTreeSet<String>,
    owners: BTreeSet<String>,
    repository_ids: BTreeSet<String>,
    owner_ids: BTreeSet<String>,
}

impl Names {
    fn of(subject: &str) -> Self {
        let said = |key| value(subject, key);
        let named = said("repo").and_then(prefix);
        let ids = named.as_ref().and_then(|prefix| prefix.ids);
        // The run's own workflow, and not the one that a job calls.
        let own = said("workflow_ref").and_then(|workflow| workflow.split("/.github/").next());
        let others = [said("repository"), own].into_iter().flatten().map(str::to_owned);
        let repositories: BTreeSet<String> =
            named.iter().map(|prefix| prefix.repository.to_string()).chain(others).collect();
        let of_repositories = repositories.iter().filter_map(|name| name.split('/').next());
        let owners = of_repositories.chain(said("repository_owner")).map(str::to_owned).collect();
        let id = |first: Option<u64>, key| {
            let all = first.into_iter().chain(said(key).and_then(number));
            all.map(|id| id.to_string()).collect()
        };
        Self {
            repository_ids: id(ids.map(|(_, id)| id), "repository_id"),
            owner_ids: id(ids.map(|(owner, _)| owner), "repository_owner_id"),
            repositories,
            owners,
        }
    }
}

/// Describes a ref of another type than the subject says.
fn ref_type(subject: &str) -> Option<String> {
    let said = value(subject, "ref_type")?;
    let is_pull_request = pairs(subject).any(|(key, _)| key == "pull_request");
    let tags = Pattern::written("refs/tags/*");
    let is_other = |on: &Pattern| if said.starts_with('t') { !tags.overlaps(on) } else { tags.covers(on) };
    let mut refs = pairs(subject).filter(|(key, _)| *key == "ref").filter_map(|(_, value)| value);
    let other = refs.find(|on| !said.starts_with('*') && is_other(&Pattern::written(on)));
    let other = other.map(|on| format!("ref:{on}"));
    let other = other.or_else(|| (is_pull_request && said.starts_with('t')).then(|| "pull_request".to_owned()));
    other.map(|other| format!("no job has `{other}` and `ref_type:{said}`"))
}

/// Describes an event that is not one of pull requests beside their context.
fn event(subject: &str) -> Option<String> {
    let said = value(subject, "event_name")?;
    let of_pull_requests = Pattern::written("pull_request*");
    let is_pull_request = pairs(subject).any(|(key, _)| key == "pull_request");
    let is_other = is_known_event(said) && !of_pull_requests.overlaps(&Pattern::written(said));
    (is_pull_request && is_other).then(|| format!("no job has `pull_request` and `event_name:{said}`"))
}

/// Describes two contexts that exclude each other. A template can say a claim beside the context that is made of it.
fn contexts(subject: &str) -> Option<String> {
    let said: Vec<(&str, &str)> = pairs(subject).filter_map(|(key, value)| Some((key, value?))).collect();
    let overlap = |one: &str, other: &str| Pattern::written(one).overlaps(&Pattern::written(other));
    let is_pull_request = pairs(subject).any(|(key, _)| key == "pull_request");
    for (index, (key, value)) in said.iter().enumerate() {
        let others = said[index + 1..].iter().filter(|(other, _)| other == key);
        if let Some((_, other)) = others.into_iter().find(|(_, other)| !overlap(value, other)) {
            return Some(format!("no job has `{key}:{value}` and `{key}:{other}`"));
        }
        let is_of_pull_requests = match *key {
            "environment" => false,
            "ref" => OF_PULL_REQUESTS.iter().any(|of| overlap(of, value)),
            _ => true,
        };
        if is_pull_request && !is_of_pull_requests {
            return Some(format!("no job has `{key}:{value}` and `pull_request`"));
        }
    }
    None
}
