//! CloudFormation custom resources that let GitHub Actions into AWS: IAM OIDC providers, roles with exact trust policies,
//! EKS access entries, and the role's ARN as a variable at GitHub. Each resource type observes its object, plans actions as
//! data, and applies them. `docs/architecture.md` is the map of the modules, and `docs/decisions/` says why they are so.

pub mod app;
pub mod arn;
pub mod audit;
pub mod aws;
pub mod cloudformation;
pub mod deployment;
pub mod error;
pub mod explain;
pub mod github;
pub mod guardrails;
pub mod handler;
pub mod hook;
pub mod iam_policy;
#[cfg(test)]
mod laws;
pub mod lazy;
pub mod metrics;
pub mod net;
#[cfg(test)]
mod owner_claim_laws;
pub mod ownership;
pub mod preview;
mod readable_list;
pub mod reconcile;
pub mod request_origin;
pub mod resources;
pub mod scheduled;
pub mod send_response;
pub mod settings;
