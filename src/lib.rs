//! CloudFormation custom resources that let GitHub Actions into AWS: IAM OIDC providers, roles with exact trust policies,
//! EKS access entries, and the role's ARN as a variable at GitHub.
//!
//! Four words and one algorithm:
//!
//! - **Spec**: what the template's author wrote, parsed and checked. No network.
//! - **Desired**: the spec, completed by what only the outside world knows.
//! - **Observed**: what AWS has now, or nothing.
//! - **Plan**: a list of actions, pure data, that leads from observed to desired.
//!
//! ```text
//! event ─ classify ─ parse ─▶ Spec ─ id ─ resolve ─▶ Desired ─┐
//!                              observe(id) ─▶ Option<Observed> ─┴▶ plan ─▶ [Action] ─▶ apply each
//!                                                                             ▼
//!            Outcome { physical id, attributes | reason } ─▶ answer ≤ 4096 bytes ─▶ PUT, once
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`handler`] | one invocation, one answer |
//! | [`cloudformation`] | the custom resource protocol, and nothing else |
//! | [`reconcile`] | the one algorithm, and what a kind is |
//! | [`oidc_provider`], [`github_role`], [`access_entry`], [`github_variable`], … | the kinds |
//! | [`github`] | how GitHub names things, and what it says when asked |
//! | [`guardrails`] | what this deployment permits, whatever a template asks for |
//! | [`explain`] | whether a token could assume a role, and why not |
//! | [`owner`] | what is ours, and how an object says so |
//! | [`upkeep`] | the schedule |
//! | [`connector`], [`later`], [`metrics`], [`retry`], [`deliver`], [`error`], [`settings`] | what the name says |

pub mod app;
pub mod arn;
pub mod aws;
pub mod cloudformation;
pub mod deployment;
pub mod error;
pub mod explain;
pub mod github;
pub mod guardrails;
pub mod handler;
pub mod iam_policy;
#[cfg(test)]
mod laws;
pub mod lazy;
pub mod metrics;
pub mod net;
pub mod ownership;
pub mod reconcile;
pub mod resources;
pub mod respond;
pub mod scheduled;
pub mod settings;
