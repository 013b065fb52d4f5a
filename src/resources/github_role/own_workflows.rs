//! The case of the repository in own workflows. The claim that names them is case-sensitive.

use std::collections::BTreeSet;

use super::properties::TrustEntry as Entry;
use crate::cloudformation::Fields;
use crate::github::name::{Repository, RepositoryScope, repository_of_workflow};
use crate::github::subject::{prefix, value};
use crate::iam_policy::pattern::Pattern;

/// Refuses workflows whose repository differs from that of the entry by its case only: no job runs them.
pub(super) fn check(
    fields: &mut Fields<'_, Entry>,
    scope: Option<&RepositoryScope>,
    workflows: &BTreeSet<Pattern>,
    subjects: &BTreeSet<Pattern>,
) {
    let expected =
        |own: &str| format!("{own} in the case that the entry writes it in, because the claim is case-sensitive");
    for workflow in workflows {
        if let Some(own) = scope.and_then(|scope| in_another_case(workflow.as_str(), scope)) {
            fields.invalid(Entry::WORKFLOWS, expected(&own), format_args!("{:?}", workflow.as_str()));
        }
    }
    for subject in subjects {
        let named = scope_of(subject.as_str());
        let Some(scope) = named.as_ref().or(scope) else { continue };
        let keys = ["job_workflow_ref", "workflow_ref"];
        let mut workflows = keys.iter().filter_map(|key| value(subject.as_str(), key));
        if let Some(own) = workflows.find_map(|workflow| in_another_case(workflow, scope)) {
            fields.invalid(Entry::SUBJECTS, expected(&own), format_args!("{:?}", subject.as_str()));
        }
    }
}

/// The repository or the owner that a subject names.
fn scope_of(subject: &str) -> Option<RepositoryScope> {
    let value = |key| value(subject, key);
    let repository = value("repo").and_then(prefix).map(|prefix| prefix.repository);
    let repository = repository.or_else(|| Repository::parse(value("repository")?).ok());
    let owner = || Some(RepositoryScope::Organisation(value("repository_owner")?.to_owned()));
    repository.map(RepositoryScope::Repository).or_else(owner)
}

/// The repository or the owner of an entry, if a workflow has it in another case.
fn in_another_case(workflow: &str, scope: &RepositoryScope) -> Option<String> {
    let written = Repository::parse(repository_of_workflow(workflow)).ok()?;
    let is_other = |written: &str, own: &str| written != own && written.eq_ignore_ascii_case(own);
    match scope {
        RepositoryScope::Repository(own) if is_other(&written.to_string(), &own.to_string()) => Some(own.to_string()),
        scope => is_other(written.owner(), scope.owner()).then(|| scope.owner().to_owned()),
    }
}
