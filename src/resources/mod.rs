//! The resource types, side by side: none of them knows another.

pub mod eks_access_entry;
pub mod github_environment;
pub mod github_repository_oidc;
pub mod github_role;
pub mod github_variable;
pub mod oidc_provider;

use crate::cloudformation::nearest::nearest;
use crate::cloudformation::schema::ResourceSchema;
use crate::error::Error;
use crate::reconcile::Resource;

/// The resource types.
pub const RESOURCES: [ResourceSchema; 6] = [
    oidc_provider::OidcProviders::SCHEMA,
    github_role::GitHubRoles::SCHEMA,
    eks_access_entry::AccessEntries::SCHEMA,
    github_variable::GitHubVariables::SCHEMA,
    github_environment::GitHubEnvironments::SCHEMA,
    github_repository_oidc::GitHubRepositoryOidcs::SCHEMA,
];

/// The error about a type that is none of them.
pub(crate) fn unknown_type(found: &str) -> Error {
    let known = || RESOURCES.iter().map(|resource| resource.name);
    Error::UnknownType { found: found.to_owned(), nearest: nearest(found, known()), known: known().collect() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cloudformation::nearest::spelling;
    use crate::cloudformation::schema::{Object, PropertyType};
    use crate::cloudformation::synonyms::{SYNONYMS, meant};

    fn objects(object: &'static Object, found: &mut Vec<&'static Object>) {
        found.push(object);
        for property in object.properties {
            if let PropertyType::Objects(inner, _) | PropertyType::Object(inner) = property.form {
                objects(inner, found);
            }
        }
    }

    fn names(object: &Object) -> Vec<&'static str> {
        object.properties.iter().map(|property| property.name).collect()
    }

    #[test]
    fn each_word_of_another_tool_leads_to_a_property_that_exists() {
        let mut all = Vec::new();
        for resource in RESOURCES {
            objects(resource.object, &mut all);
        }
        let known: BTreeSet<&str> = all.iter().flat_map(|object| names(object)).collect();
        for (word, ours) in SYNONYMS {
            assert_eq!(spelling(word), *word);
            assert!(ours.iter().all(|name| known.contains(name)), "{word}: {ours:?}");
            let leads = |object: &&Object| meant(word, &names(object)).is_some_and(|name| ours.contains(&name));
            assert!(all.iter().any(leads), "no object takes {word}");
        }
    }

    /// The words of the native resources, the CDK, Terraform, eksctl and GitHub for what a type of ours has.
    #[test]
    fn words_of_other_tools_are_understood() {
        let lines = include_str!("words_of_other_tools.txt").lines();
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let [resource, tool, words] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("{line}") };
            let schema = RESOURCES.iter().find(|schema| schema.name == resource).expect(resource);
            let mut all = Vec::new();
            objects(schema.object, &mut all);
            let is_understood = |word: &str| all.iter().any(|object| meant(word, &names(object)).is_some());
            for word in words.split_whitespace() {
                let (word, has) = word.strip_prefix('-').map_or((word, true), |word| (word, false));
                assert_eq!(is_understood(word), has, "{resource}: {word} of {tool}");
            }
        }
    }
}
