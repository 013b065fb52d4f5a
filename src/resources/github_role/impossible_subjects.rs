//! Parts of a subject, and claims beside it, that no job has together: GitHub makes each of the claims of one job.

use std::collections::BTreeSet;

use super::void_subjects::either;
use crate::github::claim_values::number;
use crate::github::events::{self, OF_PULL_REQUESTS};
use crate::github::name::{repository_of_workflow, split_workflow};
use crate::github::subject::{OF_PULL_REQUESTS_ONLY, pairs, prefix, value};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, Claims};

/// Describes two parts of a subject, or a part and a claim beside it, that no job has together.
pub(super) fn impossible(subject: &str, claims: &Claims) -> Option<String> {
    let Names { repositories, owners, repository_ids, owner_ids } = Names::of(subject);
    let two = |what: &str, of: &str, all: &BTreeSet<String>| match all.iter().collect::<Vec<_>>()[..] {
        [one, other, ..] => Some(format!("no {what} {of} {one} and {of} {other}")),
        _ => None,
    };
    two("job is", "of", &repositories)
        .or_else(|| two("job is", "of", &owners))
        .or_else(|| two("repository has", "id", &repository_ids))
        .or_else(|| two("owner has", "id", &owner_ids))
        .or_else(|| values(subject))
        .or_else(|| event(subject))
        .or_else(|| branches(subject))
        .or_else(|| contradiction(&refs(subject, claims)))
}

/// Describes a workflow of the run at another ref than the job is on. GitHub documents no rule for it, and examples only.
pub(super) fn at_another_ref(subject: &str, claims: &Claims) -> Option<String> {
    let workflow = value(subject, "workflow_ref")?;
    let (_, at) = split_workflow(workflow)?;
    let mut said = refs(subject, claims);
    let has_ref = said.iter().any(|said| said.is_exact);
    for said in said.iter_mut().filter(|said| said.what == "`pull_request`" && !has_ref) {
        said.refs = [Pattern::written("refs/pull/*/merge")].into();
    }
    let at = Pattern::written(at);
    let is_other = |said: &&SaidRefs| !said.refs.iter().any(|on| on.overlaps(&at));
    let other = said.iter().find(is_other)?;
    Some(format!("jobs with {} run a workflow at that ref, so that `workflow_ref:{workflow}` may fit none", other.what))
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
        let own = said("workflow_ref").map(repository_of_workflow).filter(|own| !own.contains('*'));
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

/// Describes two values of one claim. A template can say a claim beside the context that is made of it.
fn values(subject: &str) -> Option<String> {
    let said: Vec<(&str, &str)> = pairs(subject).filter_map(|(key, value)| Some((key, value?))).collect();
    for (index, (key, value)) in said.iter().enumerate() {
        let is_other = |(other, found): &&(&str, &str)| {
            other == key && !Pattern::written(value).overlaps(&Pattern::written(found))
        };
        if let Some((_, other)) = said[index + 1..].iter().find(is_other) {
            return Some(format!("no job has `{key}:{value}` and `{key}:{other}`"));
        }
    }
    let is_other = |(key, value): &&(&str, &str)| {
        *key == "environment" || (value.is_empty() && OF_PULL_REQUESTS_ONLY.contains(key))
    };
    let (key, value) = said.iter().find(is_other).filter(|_| is_of_pull_requests(subject))?;
    Some(format!("no job has `{key}:{value}` and `pull_request`"))
}

fn is_of_pull_requests(subject: &str) -> bool {
    pairs(subject).any(|(key, _)| key == "pull_request")
}

/// Describes an event whose jobs have no such context. A `ref` can also be the claim, which pull requests have, too.
fn event(subject: &str) -> Option<String> {
    let said = value(subject, "event_name")?;
    (is_of_pull_requests(subject) && !events::can_say(said, true))
        .then(|| format!("no job has `pull_request` and `event_name:{said}`"))
}

/// Describes branches of a pull request beside an event that has none, or the other way round.
fn branches(subject: &str) -> Option<String> {
    let event = value(subject, "event_name")?;
    let is_never = |said: &&(&str, &str)| said.1 != "*" && !events::can_have_base(event, !said.1.is_empty());
    let said: Vec<(&str, &str)> = said_of_pull_requests(subject).collect();
    let (key, value) = said.iter().find(is_never)?;
    Some(format!("no job has `{key}:{value}` and `event_name:{event}`"))
}

/// The claims of a subject that only jobs of pull requests have.
fn said_of_pull_requests(subject: &str) -> impl Iterator<Item = (&str, &str)> {
    pairs(subject).filter(|(key, _)| OF_PULL_REQUESTS_ONLY.contains(key)).filter_map(|(key, value)| Some((key, value?)))
}

/// Describes an event whose subjects say `pull_request`, and no ref.
pub(super) fn of_pull_requests(subject: &str) -> Option<String> {
    let said = value(subject, "event_name").filter(|said| !events::can_say(said, false))?;
    Some(format!("jobs of `event_name:{said}` have `pull_request` in the place of the ref"))
}

/// The refs that a part of a subject, or a claim beside it, leaves to a job.
struct SaidRefs {
    /// The part.
    what: String,
    refs: BTreeSet<Pattern>,
    /// True for the ref itself.
    is_exact: bool,
}

/// The refs that the parts of a subject and the claims beside it leave to a job, each for itself.
fn refs(subject: &str, claims: &Claims) -> Vec<SaidRefs> {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::written(text)).collect::<BTreeSet<_>>();
    let mut said = Vec::new();
    let mut add = |what: String, refs, is_exact| said.push(SaidRefs { what, refs, is_exact });
    for on in pairs(subject).filter(|(key, _)| *key == "ref").filter_map(|(_, on)| on) {
        add(format!("`ref:{on}`"), patterns(&[on]), true);
    }
    if is_of_pull_requests(subject) {
        add("`pull_request`".to_owned(), patterns(&OF_PULL_REQUESTS), false);
    }
    if let Some(on) = claims.get(&Claim::Ref) {
        // A colon becomes `%3A` in a subject only.
        add(format!("the ref {}", either(on)), BTreeSet::clone(on), true);
    }
    for (key, branch) in said_of_pull_requests(subject).filter(|(_, branch)| !matches!(*branch, "" | "*")) {
        add(format!("`{key}:{branch}`"), patterns(&OF_PULL_REQUESTS), false);
    }
    match value(subject, "ref_type") {
        Some(tag) if tag.starts_with('t') => add(format!("`ref_type:{tag}`"), patterns(&["refs/tags/*"]), false),
        Some(branch) if branch.starts_with('b') => {
            add(format!("`ref_type:{branch}`"), patterns(&OF_PULL_REQUESTS), false);
        }
        _ => {}
    }
    if let Some(event) = value(subject, "event_name") {
        add(format!("`event_name:{event}`"), patterns(&events::refs(event)), false);
    }
    said
}

/// Describes two parts that leave no ref to a job.
fn contradiction(said: &[SaidRefs]) -> Option<String> {
    let fits = |one: &SaidRefs, other: &SaidRefs| one.refs.iter().any(|on| other.refs.iter().any(|at| on.overlaps(at)));
    said.iter().enumerate().find_map(|(index, one)| {
        let other = said[index + 1..].iter().find(|other| !fits(one, other))?;
        Some(format!("no job has {} and {}", one.what, other.what))
    })
}
