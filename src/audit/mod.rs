//! The audit of an account: the roles that a token of GitHub can assume, graded by proof.

pub mod account;
pub mod admitted_repositories;
pub mod asff;
pub mod clusters;
pub mod fleet;
pub mod grade;
mod made_up_job;
mod named_in_policy;
pub mod page;
pub mod permission_groups;
pub mod report;
#[cfg(test)]
mod tests;
pub mod trust_sentences;
