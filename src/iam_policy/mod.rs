//! IAM's policy language: patterns, trust policies and their evaluation. No resource type owns it.

pub mod evaluate;
pub mod pattern;
pub mod trust_policy;
