//! The part of the simulation that is AWS and GitHub, without its virtual time and without the function.

// A simulator offers more than any one user uses; its own tests run elsewhere.
#![allow(dead_code, unused_imports)]
#![allow(clippy::struct_excessive_bools)]

#[path = "../simulation/account.rs"]
pub(crate) mod account;
#[path = "../simulation/author.rs"]
pub(crate) mod author;
#[path = "../simulation/authorization.rs"]
pub(crate) mod authorization;
#[path = "../simulation/calls.rs"]
pub(crate) mod calls;
#[path = "../simulation/clock.rs"]
pub(crate) mod clock;
#[path = "../simulation/eks/mod.rs"]
pub(crate) mod eks;
#[path = "../simulation/faults.rs"]
pub(crate) mod faults;
#[path = "../simulation/github.rs"]
pub(crate) mod github;
#[path = "../simulation/github_settings.rs"]
pub(crate) mod github_settings;
#[path = "../simulation/iam/mod.rs"]
pub(crate) mod iam;
#[path = "../simulation/large_account.rs"]
pub(crate) mod large_account;
#[path = "../simulation/model.rs"]
pub(crate) mod model;
#[path = "../simulation/perform.rs"]
pub(crate) mod perform;
#[path = "../simulation/query.rs"]
pub(crate) mod query;
#[path = "../simulation/s3.rs"]
pub(crate) mod s3;
#[path = "../simulation/secrets.rs"]
pub(crate) mod secrets;
#[path = "../simulation/stacks.rs"]
pub(crate) mod stacks;
#[path = "../simulation/wire.rs"]
pub(crate) mod wire;
