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
