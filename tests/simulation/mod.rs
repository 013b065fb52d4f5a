//! A simulated AWS at the SDK's HTTP seam: the real SDK serialises, parses and retries against services that are
//! deterministic state machines, in virtual time, from one seed.
//!
//! ```text
//! random_history ─ plan ─▶ history ─▶ cloudformation/stack ─▶ lambda ─▶ function (the code under test)
//!                    ▲        │              │ answer                      │ connector, clock
//!                  shrink ◀───┤              ▼                             ▼
//!                             │      response_invariant       cloud ─ faults ─ perform ─▶ iam, eks, secrets, s3 (model)
//!                             └──── invariants, expected_state ◀─┘
//! ```
//!
//! - The services know the vendor's model (`model.json`, cut by `model.py`) and documentation, not our client;
//!   `check_transcript.py` has botocore read what they answered.
//! - The invariants know what was sent, run, called and left, and what a declaration means; they never ask the code
//!   under test, and nothing in here imports it but `function.rs`.

// A simulator offers more than any one test uses.
#![allow(dead_code)]
// Switches of a service are what they are: independent.
#![allow(clippy::struct_excessive_bools)]

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod asked_first;
pub(crate) mod author;
pub(crate) mod authorization;
pub(crate) mod calls;
pub(crate) mod changed_names;
pub(crate) mod clock;
pub(crate) mod cloud;
pub(crate) mod cloudformation;
pub(crate) mod eks;
pub(crate) mod expected_state;
pub(crate) mod faults;
pub(crate) mod function;
pub(crate) mod github;
pub(crate) mod github_settings;
pub(crate) mod grants;
pub(crate) mod hands;
pub(crate) mod hidden_repositories;
mod history;
pub(crate) mod iam;
pub(crate) mod invariants;
pub(crate) mod issuers;
pub(crate) mod lambda;
pub(crate) mod large_account;
pub(crate) mod logs;
pub(crate) mod manual_changes;
pub(crate) mod model;
pub(crate) mod other_members;
pub(crate) mod perform;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod random_history;
pub(crate) mod repairs;
pub(crate) mod response_invariant;
pub(crate) mod s3;
pub(crate) mod sdk;
pub(crate) mod secrets;
pub(crate) mod shrink;
pub(crate) mod stack;
pub(crate) mod stacks;
pub(crate) mod throttle;
pub(crate) mod wire;
pub(crate) mod world;

mod dry_run;
mod fault_matrix;
mod invariant_self_tests;
mod kill_points;
mod lambda_cfn_tests;
mod lifecycles;
mod round_trips;
mod services;
mod services_eks;
mod smoke;
