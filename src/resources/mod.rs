//! The resource types, side by side: none of them knows another.

pub mod eks_access_entry;
pub mod github_environment;
pub mod github_repository_oidc;
pub mod github_role;
pub mod github_variable;
pub mod oidc_provider;
