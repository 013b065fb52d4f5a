//! What a declared role asks for, in the words of the guardrails.

use crate::github::name::{Repository, Scope};
use crate::github::subject;
use crate::guardrails::Demand;

use super::declaration::{Declaration, Entry};
use super::{Settings, Spec};

/// All of it, in the order of the properties in the documentation.
pub(super) fn of(spec: &Spec) -> Vec<Demand> {
    let Spec { name: _, path, trust, settings, managed, inline, tags: _, adopt } = spec;
    let Declaration { provider_arn: _, issuer, audience: _, entries } = trust;
    let Settings { description: _, max_session, boundary } = settings;
    let mut demands = vec![Demand::Issuer { property: "ProviderArn", issuer: issuer.to_string() }];
    demands
        .extend(entries.iter().enumerate().flat_map(|(index, entry)| owners(index, entry).chain(broad(index, entry))));
    demands.push(Demand::Path(path.clone()));
    demands.extend(max_session.map(Demand::Session));
    demands.push(Demand::Boundary(boundary.clone()));
    demands.extend(managed.iter().cloned().map(Demand::ManagedPolicy));
    demands.extend(inline.keys().cloned().map(Demand::InlinePolicy));
    demands.extend(adopt.then_some(Demand::Adoption("roles")));
    demands
}

fn owners(index: usize, entry: &Entry) -> impl Iterator<Item = Demand> {
    let scope = entry.scope.iter().map(move |scope| Demand::Owner {
        property: format!("Trust[{index}].Repository"),
        owner: Some(match scope {
            Scope::Repository(repository) => repository.owner().to_owned(),
            Scope::Organisation(owner) => owner.clone(),
        }),
    });
    let subjects = entry.subjects.iter().map(move |subject| Demand::Owner {
        property: format!("Trust[{index}].Subjects"),
        owner: owner_in(subject.as_str()),
    });
    scope.chain(subjects)
}

fn broad(index: usize, entry: &Entry) -> impl Iterator<Item = Demand> {
    let demand = move |what: &String| Demand::Broad { property: format!("Trust[{index}]"), what: what.clone() };
    entry.broad.iter().map(demand)
}

/// The owner whose jobs have this subject. A workflow's owner is not: jobs of others can call it.
fn owner_in(subject: &str) -> Option<String> {
    let mut words = subject.split(':');
    while let Some(key) = words.next() {
        // A word by itself; everything else is a pair, of which the value can read like a key.
        if key == "pull_request" {
            continue;
        }
        let value = words.next()?;
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
