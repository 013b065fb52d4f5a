//! The parts of a subject, one for each key of the repository's template.

use std::collections::BTreeSet;

use super::compile::Compiler;
use super::trust_declaration::JobContext;
use crate::github::Issuer;
use crate::github::name::{self, RepositoryScope};
use crate::github::subject::OF_PULL_REQUESTS_ONLY;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, prefix};
use crate::iam_policy::pattern::Pattern;

impl Compiler<'_> {
    /// Returns the parts for one key of a template, and true if they hold the repository's id.
    pub(super) fn values(
        &self,
        key: &str,
        scope: &RepositoryScope,
        form: SubjectFormat,
        context: &JobContext,
        refs: Option<&BTreeSet<Pattern>>,
    ) -> Result<(Vec<String>, bool), String> {
        match key {
            "repo" => return Ok((vec![self.prefix(scope, form)?], form == SubjectFormat::Immutable)),
            "context" => return Ok((contexts(context, refs), false)),
            _ => {}
        }
        let values: Option<Vec<String>> = match key {
            "repository" => Some(vec![scope.to_string()]),
            "repository_id" => self.facts.repository_id.map(|id| vec![id.to_string()]),
            "repository_owner" => Some(vec![scope.owner().to_owned()]),
            "repository_owner_id" => self.facts.owner_id.map(|id| vec![id.to_string()]),
            // The entry says nothing of it, so it may be anything.
            "ref" => Some(refs.map_or_else(|| vec!["*".to_owned()], texts)),
            "environment" => match context {
                JobContext::Environment(name) => Some(vec![in_subject(name)]),
                _ => None,
            },
            "job_workflow_ref" => some(&self.entry.workflows).map(texts),
            "actor_id" if !self.entry.actors.is_empty() => Some(texts(self.actor_ids()?.as_ref())),
            "actor" if !self.entry.actors.is_empty() => Some(self.actor_names()?),
            "workflow_ref" => self.entry.template_claims.get(key).map(|values| values.iter().cloned().collect()),
            "enterprise_id" => self.entry.enterprise_id.map(|id| vec![id.to_string()]),
            _ => {
                let declared = self.entry.template_claims.get(key);
                let declared = declared.map(|values| values.iter().map(|value| in_subject(value)).collect());
                let told = self.facts.told.visibility.clone().filter(|_| key == "repository_visibility");
                let is_of_others = !matches!(context, JobContext::PullRequest | JobContext::AllJobs);
                let empty = is_of_others && OF_PULL_REQUESTS_ONLY.contains(&key);
                declared.or(told.map(|visibility| vec![visibility])).or(empty.then(|| vec![String::new()]))
            }
        };
        let values = match values {
            Some(values) => values,
            None if *context == JobContext::AllJobs => vec!["*".to_owned()],
            None => return Err(lack(key, self.issuer)),
        };
        Ok((values.iter().map(|value| format!("{key}:{value}")).collect(), key == "repository_id"))
    }

    fn prefix(&self, scope: &RepositoryScope, form: SubjectFormat) -> Result<String, String> {
        let SubjectFacts { owner_id, repository_id, .. } = self.facts;
        match (scope, form) {
            (RepositoryScope::Repository(repository), _) => prefix(repository, form, *owner_id, *repository_id)
                .ok_or_else(|| "immutable subjects need both ids: add `OwnerId` and `RepositoryId`".to_owned()),
            (RepositoryScope::Organisation(owner), SubjectFormat::Classic) => Ok(format!("repo:{owner}/*")),
            (RepositoryScope::Organisation(owner), SubjectFormat::Immutable) => match owner_id {
                Some(id) => Ok(format!("repo:{owner}@{id}/*")),
                None => Err("immutable subjects need the owner's id: add `OwnerId`".to_owned()),
            },
        }
    }
}

fn contexts(context: &JobContext, refs: Option<&BTreeSet<Pattern>>) -> Vec<String> {
    match context {
        JobContext::Environment(name) => vec![format!("environment:{}", in_subject(name))],
        context if context.is_ref() => refs.into_iter().flatten().map(|name| format!("ref:{name}")).collect(),
        context => vec![context.in_subject()],
    }
}

fn some(patterns: &BTreeSet<Pattern>) -> Option<&BTreeSet<Pattern>> {
    Some(patterns).filter(|patterns| !patterns.is_empty())
}

fn texts(patterns: &BTreeSet<Pattern>) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

/// A name as GitHub writes it: a colon becomes `%3A`, so that it cannot be taken for the end of the value. Where a wildcard
/// could stand for a part of that, the claim alone tells the name.
fn in_subject(name: &str) -> String {
    let is_wild = name.contains(['*', '?']);
    if is_wild && name::needs_claim(name) { "*".to_owned() } else { name.replace(':', "%3A") }
}

fn lack(key: &str, issuer: &Issuer) -> String {
    let member = match key {
        "repository_id" => "add `RepositoryId`".to_owned(),
        "repository_owner_id" => "add `OwnerId`".to_owned(),
        "environment" => "write `Environments` in place of the others, or whole `Subjects`".to_owned(),
        "job_workflow_ref" => "add `Workflows`".to_owned(),
        "actor_id" | "enterprise_id" if !issuer.has_key(key) => "write whole `Subjects`".to_owned(),
        "actor_id" => "add `Actors`".to_owned(),
        "actor" if issuer.has_key("actor_id") => "add `Actors`".to_owned(),
        "enterprise_id" => "add `EnterpriseId`".to_owned(),
        _ => format!("add `TemplateClaims` with the `Name` {key}"),
    };
    format!("the repository's subject template needs the claim `{key}`, which the entry does not give: {member}")
}
