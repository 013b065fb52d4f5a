//! Calls to AWS: deadlines, retries, errors, pages, and the parts of IAM that several resource types need.

mod backoff;
mod call_error;
mod deadline;
pub(crate) mod iam;
mod pages;

pub use backoff::Backoff;
pub(crate) use call_error::ignore_not_found;
pub use call_error::{CallError, ErrorKind};
pub(crate) use deadline::millis;
pub use deadline::{Deadline, PROPAGATION};
pub(crate) use pages::{marker, pages};
