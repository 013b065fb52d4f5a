//! Warnings about parts of a trust that, as far as is known, no job fits. They fail no request, because a repository can change
//! the form of its subjects.

use super::trust_declaration::{JobContext, TrustEntry};
use crate::github::facts::{SubjectFacts, SubjectFormat};
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::iam_policy::pattern::Pattern;

/// Returns the warnings about an entry.
pub(super) fn of(at: &str, entry: &TrustEntry, facts: &SubjectFacts) -> Vec<String> {
    let own = own_workflows(entry).map(|workflow| {
        format!(
            "{at}: a pull request runs the workflows of its repository at refs/pull/<number>/merge, so that {workflow} fits only if \
             it is called by that name"
        )
    });
    other_form(at, entry, facts).into_iter().chain(own).collect()
}

/// Compares the form of the trusted subjects with the one that GitHub tells.
fn other_form(at: &str, entry: &TrustEntry, facts: &SubjectFacts) -> Option<String> {
    let told = facts.told?;
    let has_ids = |text: &str| {
        let value = subject::pairs(text).find_map(|(key, value)| value.filter(|_| key == "repo"))?;
        subject::prefix(value).map(|prefix| prefix.ids.is_some())
    };
    let is_immutable = told == SubjectFormat::Immutable;
    let subjects: Vec<&str> = entry.subjects.iter().map(Pattern::as_str).collect();
    let other = subjects.into_iter().find(|text| has_ids(text).is_some_and(|has_ids| has_ids != is_immutable));
    let trusted = match other {
        Some(subject) => format!("`{subject}`"),
        None if !entry.contexts.is_empty() && !facts.forms.contains(&told) => "`SubjectFormat`".to_owned(),
        None => return None,
    };
    let with = if is_immutable { "with" } else { "without" };
    Some(format!("{at}: GitHub sends subjects {with} ids, which {trusted} does not admit"))
}

/// A workflow of the entry's repository that no pull request runs by itself.
fn own_workflows(entry: &TrustEntry) -> Option<&str> {
    let Some(RepositoryScope::Repository(own)) = &entry.scope else { return None };
    let is_own = |workflow: &str| workflow.split("/.github/").next() == Some(own.to_string().as_str());
    let mut workflows = entry.workflows.iter().map(Pattern::as_str);
    let is_elsewhere = |workflow: &str| !is_own(workflow) || workflow.contains("@refs/pull/");
    if !entry.contexts.contains(&JobContext::PullRequest) || workflows.clone().any(is_elsewhere) {
        return None;
    }
    workflows.next()
}
