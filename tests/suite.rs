//! Whole behaviours, in one binary: it links the SDK once.

#![allow(clippy::unwrap_used)]

mod attempts;
mod fuzz;
mod github;
mod github_variable;
mod guardrails;
mod hook;
mod hostile;
mod invocation;
mod layers;
mod mistakes;
mod origin;
mod page;
mod preview;
mod reference;
mod simulation;
mod situations;
mod thumbprints;
