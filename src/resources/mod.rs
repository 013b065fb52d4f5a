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

    #[test]
    fn each_word_of_another_tool_leads_to_a_property_that_exists() {
        let mut all = Vec::new();
        for resource in RESOURCES {
            objects(resource.object, &mut all);
        }
        let names = |object: &Object| object.properties.iter().map(|property| property.name).collect::<Vec<_>>();
        let known: BTreeSet<&str> = all.iter().flat_map(|object| names(object)).collect();
        for (word, ours) in SYNONYMS {
            assert_eq!(spelling(word), *word);
            assert!(ours.iter().all(|name| known.contains(name)), "{word}: {ours:?}");
            let leads = |object: &&Object| meant(word, &names(object)).is_some_and(|name| ours.contains(&name));
            assert!(all.iter().any(leads), "no object takes {word}");
        }
    }

    /// The words of the native resources, the CDK, Terraform and eksctl for what a type of ours has.
    #[test]
    fn words_of_other_tools_are_understood() {
        for (resource, words) in [
            ("Custom::GitHubOidcProvider", "url client_id_list thumbprint_list clientIds issuer removalPolicy tags"),
            (
                "Custom::GitHubRole",
                "AssumeRolePolicyDocument assume_role_policy assumedBy trust_policy inline_policy inlinePolicies name \
                 name_prefix roleName managed_policy_arns managedPolicies policy_arns attachPolicyARNs attachPolicy \
                 max_session_duration permissions_boundary permissions_boundary_arn subjects provider audiences",
            ),
            (
                "Custom::EksAccessEntry",
                "cluster cluster_name principal principal_arn principalARN rolearn kubernetes_groups kubernetesGroups groups \
                 user_name kubernetesUsername accessPolicies policy_associations accessEntryType type",
            ),
            (
                "Custom::GitHubVariable",
                "repository repo org variable_name secret_name plaintext_value environment_name selected_repository_ids \
                 visibility",
            ),
            (
                "Custom::GitHubEnvironment",
                "environment repository deployment_branch_policy wait_timer prevent_self_review reviewers",
            ),
            ("Custom::GitHubRepositoryOidc", "repository use_immutable_subject repo hostname"),
        ] {
            let schema = RESOURCES.iter().find(|schema| schema.name == resource).expect(resource);
            let names: Vec<&str> = schema.object.properties.iter().map(|property| property.name).collect();
            for word in words.split_whitespace() {
                assert!(meant(word, &names).is_some(), "{resource}: {word} has no hint among {names:?}");
            }
        }
    }
}
