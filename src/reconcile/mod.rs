//! The one algorithm: observe an object, plan actions, apply them.
//!
//! Create and Update are the same path; Delete is the path with nothing desired. The old properties of a request decide
//! nothing about an object: after a skipped rollback they are wrong.
//!
//! # Guarantees of a resource type
//! - `plan` is pure: it depends on the desired and the observed state only.
//! - `apply` carries out one action. It may look for the cause of a failure, and it may complete an action that the
//!   service carried out in part.
//! - `step` returns the state after an action. Production and the laws share it, so that a change of our own is never
//!   read back from a service whose reads may lag.

mod adoption;
mod apply;
mod claimed;
mod convergence;
mod dry_run;
mod ensure;
mod eventual_consistency;
mod plan;
mod progress;
mod reconciler;
mod request;
mod resource;
mod shared_deletion;

pub use adoption::AdoptionCheck;
pub use claimed::{ClaimSharing, Claimable, Claimed, ClaimedAction, ClaimedDesired, ClaimedObject, ClaimedOutput};
pub use dry_run::{DryRun, DryRunContext, Mistake, dry_run};
pub use ensure::Certainty;
pub use plan::Plan;
pub use progress::Progress;
pub use reconciler::Reconciler;
pub use request::{Reconciled, RequestContext, failure_id, reconcile_request};
pub use resource::{
    Api, DeletionIntent, Exclusive, NativeResource, PendingOperation, Planner, ReadHint, Reader, Resource, Sharing,
};
