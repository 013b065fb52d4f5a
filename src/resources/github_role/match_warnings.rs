//! Warnings about parts of a trust that, as far as is known, no job fits. They fail no request, because a repository can change
//! the form of its subjects.

use super::pinned_ids::Identity;
use super::trust_declaration::{JobContext, TrustEntry};
use crate::github::facts::{SubjectFacts, SubjectFormat, ToldSubjects};
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::iam_policy::pattern::Pattern;

/// Returns the warnings about an entry.
pub(super) fn of(at: &str, entry: &TrustEntry, facts: &SubjectFacts) -> Vec<String> {
    let told = other_form(entry, facts).into_iter().chain(other_template(entry, facts));
    told.chain(other_refs(entry)).map(|what| format!("{at}: {what}")).collect()
}

/// The subjects that GitHub tells of the repository that a whole subject is about.
fn told_of<'a>(subject: &Pattern, entry: &TrustEntry, facts: &'a SubjectFacts) -> Option<&'a ToldSubjects> {
    match Identity::of_subject(subject).scope {
        Some(scope) if entry.scope.as_ref() != Some(&scope) => facts.named.get(&scope).map(|named| &named.told),
        _ => Some(&facts.told),
    }
}

/// Compares the form of the trusted subjects with the one that GitHub tells.
fn other_form(entry: &TrustEntry, facts: &SubjectFacts) -> Option<String> {
    let whole = entry.subjects.iter().find_map(|subject| {
        let form = told_of(subject, entry, facts)?.form?;
        let has_prefix = subject::value(subject.as_str(), "repo").is_some();
        let is_other = (form == SubjectFormat::Immutable) != subject::has_prefix_ids(subject.as_str());
        (has_prefix && is_other).then(|| (form, format!("`{subject}`")))
    });
    let declared = facts.told.form.filter(|form| !entry.contexts.is_empty() && !facts.forms.contains(form));
    let (form, trusted) = whole.or_else(|| Some((declared?, "`SubjectFormat`".to_owned())))?;
    let with = if form == SubjectFormat::Immutable { "with" } else { "without" };
    Some(format!("GitHub sends subjects {with} ids, which {trusted} does not admit"))
}

/// Compares the claims of whole subjects with those of the template that GitHub tells.
fn other_template(entry: &TrustEntry, facts: &SubjectFacts) -> Option<String> {
    entry.subjects.iter().find_map(|subject| {
        let keys = told_of(subject, entry, facts)?.keys.as_ref()?;
        let is_context = |key: &str| matches!(key, "ref" | "environment" | "pull_request");
        let is_same = |(key, told): (&str, &String)| key == told || (told == "context" && is_context(key));
        let said: Vec<&str> = subject::pairs(subject.as_str()).map(|(key, _)| key).collect();
        let fits = said.len() == keys.len() && said.into_iter().zip(keys).all(is_same);
        let is_other = !fits && !subject::spans_words(subject.as_str());
        is_other.then(|| format!("GitHub makes the subjects of {}, which `{subject}` does not fit", keys.join(", ")))
    })
}

/// Describes workflows of the entry's own repository that no job runs by itself.
fn other_refs(entry: &TrustEntry) -> Option<String> {
    let declared = match &entry.scope {
        Some(RepositoryScope::Repository(own)) => {
            let refs: Vec<Vec<Pattern>> = entry.contexts.iter().map(|context| refs(entry, context)).collect();
            let workflows: Vec<&str> = entry.workflows.iter().map(Pattern::as_str).collect();
            called_only(&own.to_string(), &refs, &workflows)
        }
        _ => None,
    };
    declared.or_else(|| entry.subjects.iter().find_map(|subject| in_subject(subject.as_str())))
}

fn in_subject(text: &str) -> Option<String> {
    let value = |key| subject::value(text, key);
    let own = value("repo").map(subject::without_ids).or_else(|| value("repository").map(str::to_owned))?;
    let is_pull_request = subject::pairs(text).any(|(key, _)| key == "pull_request");
    let on = value("ref").or(is_pull_request.then_some(PULL_REQUEST))?;
    called_only(&own, &[vec![Pattern::written(on)]], &[value("job_workflow_ref")?])
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
    let parts = |workflow: &&str| workflow.split_once('@').map(|(path, at)| (path.to_owned(), Pattern::written(at)));
    let is_own = |path: &str| path.split("/.github/").next() == Some(own);
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
