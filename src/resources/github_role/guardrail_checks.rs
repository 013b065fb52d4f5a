//! The guardrail checks of a declared role.

use crate::github::Issuer;
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject;
use crate::guardrails::GuardrailCheck;

use super::declaration_record::Demands;
use super::trust_declaration::{TrustDeclaration, TrustEntry};
use super::{Desired, Observed, RoleSettings, Spec, issuer_of};

/// Returns the checks in the order of the properties in the documentation.
pub(super) fn of(spec: &Spec) -> Vec<GuardrailCheck> {
    let Spec { name: _, path, trust, settings, managed, inline, tags: _, adopt, take_over: _, repairs: _ } = spec;
    let TrustDeclaration { provider_arn: _, issuer, audience: _, entries } = trust;
    let RoleSettings { description: _, max_session, boundary } = settings;
    let mut guardrail_checks = vec![GuardrailCheck::Issuer { property: "ProviderArn", issuer: issuer.to_string() }];
    guardrail_checks.extend(
        entries.iter().enumerate().flat_map(|(index, entry)| owners(index, issuer, entry).chain(broad(index, entry))),
    );
    guardrail_checks.push(GuardrailCheck::Path(path.clone()));
    guardrail_checks.extend(max_session.map(GuardrailCheck::Session));
    guardrail_checks.push(GuardrailCheck::Boundary(boundary.clone()));
    guardrail_checks.extend(managed.iter().cloned().map(GuardrailCheck::ManagedPolicy));
    guardrail_checks.extend(inline.keys().cloned().map(GuardrailCheck::InlinePolicy));
    guardrail_checks.extend(adopt.then_some(GuardrailCheck::Adoption("roles")));
    guardrail_checks
}

/// The demands of a declared trust that its policy does not tell.
pub(super) fn demands(trust: &TrustDeclaration) -> Demands {
    let TrustDeclaration { provider_arn: _, issuer, audience: _, entries } = trust;
    let owner = |check| match check {
        GuardrailCheck::Owner { owner, .. } => Some(owner.unwrap_or_default()),
        _ => None,
    };
    let owners = entries.iter().flat_map(|entry| owners(0, issuer, entry)).filter_map(owner).collect();
    Demands { owners, broad: entries.iter().any(|entry| !entry.broad.is_empty()) }
}

/// Returns the checks of a declaration that was kept; none if its issuer is not one.
pub(super) fn of_kept(desired: &Desired) -> Option<Vec<GuardrailCheck>> {
    let Desired { path, trust, settings, managed, inline, repairs, .. } = desired;
    let RoleSettings { description: _, max_session, boundary } = settings;
    let Demands { owners, broad } = repairs.as_ref()?;
    let issuer = issuer_of(&trust.provider_arn)?;
    let property = || "Trust".to_owned();
    let mut checks = vec![GuardrailCheck::Issuer { property: "ProviderArn", issuer: issuer.to_string() }];
    checks.extend(owners.iter().map(|owner| GuardrailCheck::Owner {
        property: property(),
        issuer: issuer.clone(),
        owner: Some(owner.clone()).filter(|owner| !owner.is_empty()),
    }));
    let what = || "it lets in more than most people mean".to_owned();
    checks.extend(broad.then(|| GuardrailCheck::Broad { property: property(), what: what() }));
    checks.push(GuardrailCheck::Path(path.clone()));
    checks.extend(max_session.map(GuardrailCheck::Session));
    checks.push(GuardrailCheck::Boundary(boundary.clone()));
    checks.extend(managed.iter().cloned().map(GuardrailCheck::ManagedPolicy));
    checks.extend(inline.keys().cloned().map(GuardrailCheck::InlinePolicy));
    Some(checks)
}

/// Returns the checks of the parts that a role has, also those that others gave to it. Trust is not among them: an adoption replaces it.
pub(super) fn held(observed: &Observed) -> Vec<GuardrailCheck> {
    let Observed { path, max_session, boundary, managed, inline, .. } = observed;
    let settings = [
        GuardrailCheck::Path(path.clone()),
        GuardrailCheck::Session(*max_session),
        GuardrailCheck::Boundary(boundary.clone()),
    ];
    let managed = managed.iter().cloned().map(GuardrailCheck::ManagedPolicy);
    settings.into_iter().chain(managed).chain(inline.keys().cloned().map(GuardrailCheck::InlinePolicy)).collect()
}

fn owners(index: usize, issuer: &Issuer, entry: &TrustEntry) -> impl Iterator<Item = GuardrailCheck> {
    let scope = entry.scope.iter().map(move |scope| GuardrailCheck::Owner {
        property: format!("Trust[{index}].Repository"),
        issuer: issuer.clone(),
        owner: Some(match scope {
            RepositoryScope::Repository(repository) => repository.owner().to_owned(),
            RepositoryScope::Organisation(owner) => owner.clone(),
        }),
    });
    let subjects = entry.subjects.iter().map(move |subject| GuardrailCheck::Owner {
        property: format!("Trust[{index}].Subjects"),
        issuer: issuer.clone(),
        owner: owner_in(subject.as_str()),
    });
    scope.chain(subjects)
}

fn broad(index: usize, entry: &TrustEntry) -> impl Iterator<Item = GuardrailCheck> {
    let demand = move |what: &String| GuardrailCheck::Broad { property: format!("Trust[{index}]"), what: what.clone() };
    entry.broad.iter().map(demand)
}

/// The owner whose jobs have this subject. A workflow's owner is not: jobs of others can call it.
fn owner_in(subject: &str) -> Option<String> {
    // `pull_request` is a word by itself. Every other word is a pair, of which the value can read like a key.
    for (key, value) in subject::pairs(subject).filter(|(key, _)| *key != "pull_request") {
        let value = value?;
        let owner = match key {
            "repo" => subject::prefix(value).map(|prefix| prefix.repository.owner().to_owned()),
            "repository" => Repository::parse(value).ok().map(|repository| repository.owner().to_owned()),
            "repository_owner" => Some(value.to_owned()),
            _ => None,
        };
        if owner.is_some() {
            return owner;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_its_owner_or_none() {
        for (subject, owner) in [
            ("repo:octo-org/app:ref:refs/heads/main", Some("octo-org")),
            ("repo:octo-org@7/app@9:environment:prod", Some("octo-org")),
            ("environment:prod:repository_owner:octo-org", Some("octo-org")),
            ("repository:octo-org/app:pull_request", Some("octo-org")),
            ("pull_request:repository_owner:octo-org", Some("octo-org")),
            ("repository_id:42:environment:prod", None),
            ("environment:pull_request:repository_owner:octo:repository_id:42", Some("octo")),
            ("environment:repository_owner:octo:x:repository_id:42", None),
            ("job_workflow_ref:octo-org/app/.github/workflows/x.yml@refs/heads/main", None),
        ] {
            assert_eq!(owner_in(subject).as_deref(), owner, "{subject}");
        }
    }
}
