//! The warning about trusted workflows of other repositories. It fails no request.

use std::collections::BTreeSet;

use super::trust_declaration::{TrustDeclaration, TrustEntry};
use crate::github::name::RepositoryScope;
use crate::github::subject;

/// Returns the warning about workflows that are trusted by the name of another repository, which somebody else may take over;
/// empty if there are none.
pub(super) fn elsewhere(declaration: &TrustDeclaration) -> String {
    let found: BTreeSet<&str> = declaration.entries.iter().flat_map(of_others).collect();
    if found.is_empty() {
        return String::new();
    }
    let found: Vec<&str> = found.into_iter().collect();
    format!(
        "The role trusts workflows of other repositories by their names: {}. Whoever takes over such a name runs code in jobs \
         that the role lets in",
        found.join(", ")
    )
}

fn of_others(entry: &TrustEntry) -> impl Iterator<Item = &str> {
    let own = match &entry.scope {
        Some(RepositoryScope::Repository(own)) => own.to_string(),
        _ => String::new(),
    };
    let workflows = entry.workflows.iter().map(move |workflow| (own.clone(), workflow.as_str()));
    let in_subjects = entry.subjects.iter().filter_map(|subject| {
        let value = |name| subject::pairs(subject.as_str()).find_map(|(key, value)| value.filter(|_| key == name));
        Some((value("repo").map(subject::without_ids).unwrap_or_default(), value("job_workflow_ref")?))
    });
    workflows.chain(in_subjects).filter_map(|(own, workflow)| {
        let repository = workflow.split("/.github/").next()?;
        (!own.eq_ignore_ascii_case(repository)).then_some(repository)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::Issuer;
    use crate::iam_policy::pattern::Pattern;

    #[test]
    fn workflows_of_other_repositories_are_named_and_those_of_its_own_are_not() {
        let warned = |repository: &str, workflows: &[&str]| {
            let scope = RepositoryScope::parse(repository).ok();
            let file = |repository: &&str| format!("{repository}/.github/workflows/x.yml@refs/heads/main");
            let workflows = workflows.iter().map(file).map(|text| Pattern::written(&text)).collect();
            elsewhere(&TrustDeclaration {
                provider_arn: String::new(),
                issuer: Issuer::of_host("github.com").unwrap(),
                audience: String::new(),
                entries: vec![TrustEntry { scope, workflows, ..TrustEntry::default() }],
            })
        };
        assert_eq!(warned("o/r", &["o/r", "O/R"]), "");
        assert!(warned("o/r", &["o/r", "o/shared", "them/x"]).contains("by their names: o/shared, them/x. "));
        assert!(warned("o/*", &["o/r"]).contains("o/r"));
    }
}
