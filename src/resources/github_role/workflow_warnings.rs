//! The warnings about trusted workflows of other repositories. They fail no request.

use std::collections::{BTreeMap, BTreeSet};

use super::GitHubRoles;
use super::named::named;
use super::trust_declaration::{TrustDeclaration, TrustEntry};
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::name::{Repository, RepositoryScope, repository_of_workflow};
use crate::github::subject;

/// Returns the warning about workflows that are trusted by the name of another repository, which somebody else may take over;
/// empty if there are none.
pub(super) fn elsewhere(declaration: &TrustDeclaration) -> String {
    let found: BTreeSet<&str> = declaration.entries.iter().flat_map(of_others).collect();
    if found.is_empty() {
        return String::new();
    }
    let found: Vec<String> = found.into_iter().map(str::to_owned).collect();
    format!(
        "The role trusts workflows of other repositories by their names: {}. A person who takes over such a name runs code in jobs \
         that the role lets in",
        named(&found, ", ", ", ")
    )
}

fn of_others(entry: &TrustEntry) -> impl Iterator<Item = &str> {
    let own = match &entry.scope {
        Some(RepositoryScope::Repository(own)) => Some(own.to_string()),
        _ => None,
    };
    let workflows = entry.workflows.iter().map(|workflow| (None, workflow.as_str()));
    let in_subjects = entry.subjects.iter().filter_map(|subject| {
        let value = |key| subject::value(subject.as_str(), key);
        let named = value("repo").map(subject::without_ids).or_else(|| value("repository").map(str::to_owned));
        Some((named, value("job_workflow_ref")?))
    });
    workflows.chain(in_subjects).filter_map(move |(named, workflow)| {
        let repository = repository_of_workflow(workflow);
        let is_own = named.as_ref().or(own.as_ref()).is_some_and(|own| own.eq_ignore_ascii_case(repository));
        (!is_own).then_some(repository)
    })
}

/// The other repositories whose workflows an entry trusts.
pub(super) fn repositories(entry: &TrustEntry) -> BTreeSet<Repository> {
    of_others(entry).filter_map(|name| Repository::parse(name).ok()).collect()
}

impl GitHubRoles {
    /// The repositories of workflows that jobs may not call by these names, each with the reason.
    pub(super) async fn workflows_elsewhere(
        &self,
        issuer: &Issuer,
        entry: &TrustEntry,
    ) -> BTreeMap<Repository, String> {
        let mut found = BTreeMap::new();
        for repository in repositories(entry) {
            let why = self.other_name(issuer, &repository).await;
            found.extend(why.map(|why| (repository, why)));
        }
        found
    }

    /// Describes the other name of a repository of workflows. The claim has the name that a job calls them by, as far as is
    /// known.
    async fn other_name(&self, issuer: &Issuer, repository: &Repository) -> Option<String> {
        match self.github.repository(issuer, repository).await {
            Ok((described, _)) if described.full_name == repository.to_string() => None,
            Ok((described, _)) => Some(format!("GitHub writes it {}", described.full_name)),
            Err(LookupError::Renamed { to, .. }) => Some(format!("GitHub shows it as {to} now")),
            // Without a credential, GitHub shows no private repository.
            Err(LookupError::Invisible(_)) if self.github.has_credential(issuer).await == Ok(true) => {
                Some("GitHub shows no such repository to the function's credential".to_owned())
            }
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam_policy::pattern::Pattern;

    #[test]
    fn workflows_of_other_repositories_are_named_and_those_of_its_own_are_not() {
        let warning = |entry: TrustEntry| {
            elsewhere(&TrustDeclaration {
                provider_arn: String::new(),
                issuer: Issuer::of_host("github.com").unwrap(),
                audience: String::new(),
                entries: vec![entry],
            })
        };
        let file = |repository: &str| format!("{repository}/.github/workflows/x.yml@refs/heads/main");
        let warned = |repository: &str, workflows: &[&str]| {
            let workflows = workflows.iter().map(|workflow| Pattern::written(&file(workflow))).collect();
            warning(TrustEntry { scope: RepositoryScope::parse(repository).ok(), workflows, ..TrustEntry::default() })
        };
        let in_subject = |subject: &str, workflow: &str| {
            let subject = Pattern::written(&format!("{subject}:job_workflow_ref:{}", file(workflow)));
            let scope = RepositoryScope::parse("o/r").ok();
            warning(TrustEntry { scope, subjects: [subject].into_iter().collect(), ..TrustEntry::default() })
        };
        assert_eq!(warned("o/r", &["o/r", "O/R"]), "");
        assert!(warned("o/r", &["o/r", "o/shared", "them/x"]).contains("by their names: o/shared, them/x. "));
        assert!(warned("o/*", &["o/r"]).contains("o/r"));
        for subject in ["repo:o@1/r@2", "repository:o/r", "environment:prod"] {
            assert_eq!(in_subject(subject, "o/r"), "", "{subject}");
            assert!(in_subject(subject, "them/x").contains("them/x"), "{subject}");
        }
    }
}
