//! The context of one reconciliation.

use std::time::{Duration, SystemTime};

use super::adoption::AdoptionCheck;
use super::progress::Progress;
use super::resource::Api;
use crate::aws::CallError;
use crate::aws::Deadline;
use crate::deployment::Deployment;
use crate::ownership::Owner;
use crate::request_origin::{FormerObjects, Origin};

/// The context of one reconciliation.
#[derive(Debug)]
pub struct Reconciler<'a, R: Api> {
    /// The calls of the resource type.
    pub api: &'a R,
    /// The owner of the object.
    pub owner: &'a Owner,
    /// The place of the function.
    pub deployment: &'a Deployment,
    /// The time after which no call starts.
    pub deadline: Deadline,
    /// The time by which reads of IAM may lag behind its writes.
    pub lag: Duration,
    /// The gate before the first change.
    pub origin: &'a Origin,
    /// The objects that the resource was. The scheduled run deletes nothing that it has to ask about.
    pub former: Option<&'a FormerObjects<'a>>,
    /// The time of day at which the reconciliation began.
    pub began: SystemTime,
    /// The progress for the response to a failure.
    pub progress: &'a Progress,
    /// The permissions that hold for what is adopted. The scheduled run adopts nothing.
    pub adoption: Option<AdoptionCheck<'a>>,
}

impl<R: Api> Reconciler<'_, R> {
    /// Applies one action: the only door to a change.
    pub(super) async fn apply_action(&self, id: &R::Id, action: &R::Action) -> Result<R::ApplyOutput, CallError> {
        self.origin.proven_for_change().await;
        self.api.apply(id, action).await
    }
}

/// The interval of observations while something else has to happen first.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_secs(10);
