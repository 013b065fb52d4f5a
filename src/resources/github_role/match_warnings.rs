//! Warnings about parts of a trust that, as far as is known, no job fits. They fail no request, because a repository can change
//! the form of its subjects.

use std::collections::{BTreeMap, BTreeSet};

use super::compile;
use super::context_refs::says;
use super::identity::Identity;
use super::impossible_subjects::{at_another_ref, of_pull_requests};
use super::named::{named, shortened};
use super::trust_declaration::{JobContext, TrustEntry};
use crate::github::Issuer;
use crate::github::events;
use crate::github::name::{RepositoryScope, repository_of_workflow, split_workflow};
use crate::github::subject::{self, OF_PULL_REQUESTS_ONLY};
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, ToldSubjects};
use crate::github::subject_template;
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::TrustRule;

/// Returns the warnings about an entry.
pub(super) fn of(
    at: &str,
    issuer: &Issuer,
    entry: &TrustEntry,
    facts: &SubjectFacts,
    rules: &[TrustRule],
) -> Vec<String> {
    let told = other_form(entry, facts).into_iter().chain(other_template(entry, facts));
    let told = told.chain(other_visibility(entry, facts)).chain(void(issuer, entry, facts));
    let at_another_ref: BTreeSet<String> =
        rules.iter().filter_map(|TrustRule { subject, claims }| at_another_ref(subject.as_str(), claims)).collect();
    let told = told.chain(template_of_organisation(entry, facts)).chain(other_workflows(facts));
    let told = told.chain(other_refs(entry)).chain(other_events(entry, facts)).chain(at_another_ref);
    told.chain(unknown_events(entry)).chain(no_push(entry, facts)).map(|what| format!("{at}: {what}")).collect()
}

/// The repository or owner that a whole subject is about. Beside `Repository`, it can be about no other one.
fn about(subject: &str, entry: &TrustEntry) -> Option<RepositoryScope> {
    match &entry.scope {
        Some(own @ RepositoryScope::Repository(_)) => Some(own.clone()),
        own => Identity::of_subject(&Pattern::written(subject)).scope.or_else(|| own.clone()),
    }
}

/// The subjects that GitHub tells of the repository that a whole subject is about.
fn told_of<'a>(subject: &str, entry: &TrustEntry, facts: &'a SubjectFacts) -> Option<&'a ToldSubjects> {
    match about(subject, entry) {
        Some(scope) if entry.scope.as_ref() != Some(&scope) => facts.named.get(&scope).map(|named| &named.told),
        _ => Some(&facts.told),
    }
}

/// Groups the whole subjects of an entry by what GitHub tells and they are not.
fn grouped<T: Ord>(
    entry: &TrustEntry,
    facts: &SubjectFacts,
    other: impl Fn(&str, &ToldSubjects) -> Option<T>,
) -> BTreeMap<T, Vec<String>> {
    let mut groups: BTreeMap<T, Vec<String>> = BTreeMap::new();
    for subject in &entry.subjects {
        let told = told_of(subject.as_str(), entry, facts);
        if let Some(what) = told.and_then(|told| other(subject.as_str(), told)) {
            groups.entry(what).or_default().push(format!("`{subject}`"));
        }
    }
    groups
}

/// A sentence about some of the trusted parts.
fn sentence(told: &str, parts: &[String], verb: &str) -> String {
    let does = if parts.len() == 1 { "does" } else { "do" };
    format!("GitHub {told}, which {} {does} not {verb}", named(parts, ", ", " and "))
}

/// Compares the form of the trusted subjects with the one that GitHub tells.
fn other_form(entry: &TrustEntry, facts: &SubjectFacts) -> Vec<String> {
    let mut groups = grouped(entry, facts, |subject, told| {
        let is_other = |form: &SubjectFormat| (*form == SubjectFormat::Immutable) != subject::has_prefix_ids(subject);
        told.form.filter(|form| subject::value(subject, "repo").is_some() && is_other(form))
    });
    let declared = facts.told.form.filter(|form| !entry.contexts.is_empty() && !facts.forms.contains(form));
    if let Some(form) = declared {
        groups.entry(form).or_default().push("`SubjectFormat`".to_owned());
    }
    let told = |form| if form == SubjectFormat::Immutable { "with" } else { "without" };
    let sentence = |(form, parts): (SubjectFormat, Vec<String>)| {
        sentence(&format!("sends subjects {} ids", told(form)), &parts, "admit")
    };
    groups.into_iter().map(sentence).collect()
}

/// Compares the claims of whole subjects with those of the template that GitHub tells.
fn other_template(entry: &TrustEntry, facts: &SubjectFacts) -> Vec<String> {
    let groups = grouped(entry, facts, |subject, told| {
        let keys = told.keys.as_ref()?;
        (!subject_template::fits(subject, keys) && !subject::spans_words(subject)).then(|| keys.join(", "))
    });
    groups.into_iter().map(|(keys, parts)| sentence(&format!("makes the subjects of {keys}"), &parts, "fit")).collect()
}

/// Tells of branches of pull requests beside contexts that jobs of other events have, too.
fn no_push(entry: &TrustEntry, facts: &SubjectFacts) -> Option<String> {
    let is_of_requests = |context: &JobContext| matches!(context, JobContext::PullRequest | JobContext::AllJobs);
    let has_values = |claim: &str| entry.template_claims.get(claim).is_some_and(|values| !values.contains(""));
    let claim = OF_PULL_REQUESTS_ONLY.into_iter().find(|claim| facts.says(claim) && has_values(claim))?;
    let others = entry.contexts.iter().find(|context| !is_of_requests(context))?;
    let is_of_requests = |event: &String| events::can_have_base(event, true);
    let events = entry.template_claims.get("event_name");
    (!events.is_some_and(|events| events.iter().all(is_of_requests))).then(|| {
        format!(
            "`TemplateClaims`: only jobs of pull requests have a `{claim}`, so that no push gets in by `{}`: give pushes an entry of \
             their own, without `{claim}` in `TemplateClaims`",
            shortened(&others.declared())
        )
    })
}

/// Compares the contexts of all repositories of an organisation with the template that it offers to them.
fn template_of_organisation(entry: &TrustEntry, facts: &SubjectFacts) -> Option<String> {
    let keys = facts
        .told
        .organisation_keys
        .as_ref()
        .filter(|keys| !entry.contexts.is_empty() && **keys != facts.template.keys())?;
    Some(format!(
        "the organisation's subject template is {}: jobs of the repositories that use it do not get in",
        keys.join(", ")
    ))
}

/// Describes the repositories of workflows that have another name at GitHub, or that it does not show.
fn other_workflows(facts: &SubjectFacts) -> impl Iterator<Item = String> {
    facts
        .workflows
        .iter()
        .map(|(name, why)| format!("the workflows of {name}: {why}, so that a job may never run them"))
}

/// Compares declared visibilities with the one that GitHub tells. It can change.
fn other_visibility(entry: &TrustEntry, facts: &SubjectFacts) -> Vec<String> {
    let claim = "repository_visibility";
    let mut groups = grouped(entry, facts, |subject, told| {
        let said = subject::value(subject, claim)?;
        let name = about(subject, entry)?;
        told.visibility.as_ref().filter(|told| *told != said).map(|told| (name.to_string(), told.clone()))
    });
    if let (Some(declared), Some(told), Some(scope)) =
        (entry.template_claims.get(claim), &facts.told.visibility, &entry.scope)
        && !declared.iter().any(|value| Pattern::written(value).covers(&Pattern::written(told)))
    {
        groups.entry((scope.to_string(), told.clone())).or_default().push("`TemplateClaims`".to_owned());
    }
    let told = |((name, told), parts): ((String, String), Vec<String>)| {
        sentence(&format!("says that {name} is {told}"), &parts, "admit")
    };
    groups.into_iter().map(told).collect()
}

/// Describes contexts that no job has: on no ref of the entry, or beside a claim that contradicts them.
fn void(issuer: &Issuer, entry: &TrustEntry, facts: &SubjectFacts) -> Vec<String> {
    compile::void(issuer, entry, facts)
        .into_iter()
        .map(|(context, why)| format!("{why}, so that `{}` lets nobody in", shortened(&context.declared())))
        .collect()
}

/// Describes workflows of the entry's own repository that no job runs by itself.
fn other_refs(entry: &TrustEntry) -> Vec<String> {
    let declared = match &entry.scope {
        Some(RepositoryScope::Repository(own)) => {
            let refs: Vec<Vec<Pattern>> = entry.contexts.iter().map(|context| refs(entry, context)).collect();
            let workflows: Vec<&str> = entry.workflows.iter().map(Pattern::as_str).collect();
            called_only(&own.to_string(), &refs, &workflows)
        }
        _ => None,
    };
    let in_subjects: BTreeSet<String> =
        entry.subjects.iter().filter_map(|subject| in_subject(subject.as_str(), entry)).collect();
    declared.into_iter().chain(in_subjects).collect()
}

fn in_subject(text: &str, entry: &TrustEntry) -> Option<String> {
    let value = |key| subject::value(text, key);
    let Some(RepositoryScope::Repository(own)) = about(text, entry) else { return None };
    let is_pull_request = subject::pairs(text).any(|(key, _)| key == "pull_request");
    let said = value("ref").or(is_pull_request.then_some(PULL_REQUEST)).map(|on| vec![Pattern::written(on)]);
    let on =
        said.or_else(|| Some(entry.refs.iter().cloned().collect()).filter(|refs: &Vec<Pattern>| !refs.is_empty()))?;
    let beside = || entry.workflows.iter().map(Pattern::as_str).collect();
    let workflows: Vec<&str> = value("job_workflow_ref").map_or_else(beside, |workflow| vec![workflow]);
    called_only(&own.to_string(), &[on], &workflows)
}

/// Describes whole subjects with a ref in the place of the context, for events whose subjects say `pull_request` there.
fn other_events(entry: &TrustEntry, facts: &SubjectFacts) -> Vec<String> {
    let groups = grouped(entry, facts, |subject, told| {
        let keys = told.keys.as_ref().filter(|keys| says(keys, "context") && !says(keys, "ref"))?;
        let has_ref = keys.len() > 1 && subject::value(subject, "ref").is_some();
        of_pull_requests(subject).filter(|_| has_ref)
    });
    let told =
        |(why, parts): (String, Vec<String>)| format!("{why}, so that {} may fit none", named(&parts, ", ", " and "));
    groups.into_iter().map(told).collect()
}

/// Describes events that GitHub does not document. It may have added them.
fn unknown_events(entry: &TrustEntry) -> Option<String> {
    let declared = entry.template_claims.get("event_name").into_iter().flatten().map(String::as_str);
    let said = entry.subjects.iter().filter_map(|subject| subject::value(subject.as_str(), "event_name"));
    let unknown: BTreeSet<&str> = declared.chain(said).filter(|event| !events::is_known(event)).collect();
    let unknown: Vec<String> = unknown.into_iter().map(|event| format!("`{event}`")).collect();
    let told = "so that a job may never have it";
    (!unknown.is_empty())
        .then(|| format!("no event that GitHub documents is called {}, {told}", named(&unknown, ", ", " or ")))
}

const PULL_REQUEST: &str = "refs/pull/*/merge";

/// The refs of the jobs of a context.
fn refs(entry: &TrustEntry, context: &JobContext) -> Vec<Pattern> {
    let own = match context {
        JobContext::Branch(name) => format!("refs/heads/{name}"),
        JobContext::Tag(name) => format!("refs/tags/{name}"),
        JobContext::PullRequest if entry.refs.is_empty() => PULL_REQUEST.to_owned(),
        JobContext::PullRequest | JobContext::AnyRef | JobContext::Environment(_) | JobContext::AllJobs => {
            "*".to_owned()
        }
    };
    let own = Pattern::written(&own);
    if entry.refs.is_empty() {
        vec![own]
    } else {
        entry.refs.iter().filter_map(|within| own.narrower(within)).collect()
    }
}

/// Describes a workflow that no job runs by itself: a job runs the workflows of its repository at its own ref.
fn called_only(own: &str, contexts: &[Vec<Pattern>], workflows: &[&str]) -> Option<String> {
    let parts = |workflow: &&str| split_workflow(workflow).map(|(path, at)| (path.to_owned(), Pattern::written(at)));
    let is_own = |path: &str| repository_of_workflow(path) == own;
    let runs = |on: &Pattern, workflow: &&str| {
        parts(workflow)
            .is_none_or(|(path, at)| !is_own(&path) || at.narrower(on).is_some() || (at.is_wild() && on.is_wild()))
    };
    let jobs = contexts.iter().filter_map(|refs| refs.first().map(|first| (first, refs)));
    let mut idle = jobs.filter(|(_, refs)| !workflows.iter().any(|workflow| refs.iter().any(|on| runs(on, workflow))));
    if let (Some((on, _)), Some(workflow)) = (idle.next(), workflows.first()) {
        return Some(format!(
            "jobs on {on} run the workflows of their repository at that ref, so that {workflow} fits only if it is called by \
             that name"
        ));
    }
    let unused = workflows.iter().find(|workflow| !contexts.iter().flatten().any(|on| runs(on, workflow)));
    unused.filter(|_| !contexts.is_empty()).and_then(parts).map(|(path, at)| {
        format!("no job of the entry is on {at}, so that {path}@{at} fits only if it is called by that name")
    })
}
