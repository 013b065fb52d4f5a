//! IAM's policy language: documents, patterns, trust policies and their evaluation. No resource type owns it.

pub mod document;
pub mod evaluate;
mod exclusion;
pub mod pattern;
pub mod repository_forms;
mod shared_ids;
pub mod string_like;
pub mod trust_policy;
mod trust_rule;
