//! The audit of an account: the roles that a token of GitHub can assume, graded by proof.

pub mod account;
pub mod grade;
mod job;
pub mod permissions;
pub mod report;
mod subject_words;
#[cfg(test)]
mod tests;
