//! Objects at GitHub, each with the claims of its owners: a resource type of its own around another one, which decides about
//! the object alone.
//!
//! # Expected flow
//! 1. An owner writes its claim, looks again, and only then makes or changes the object.
//! 2. An owner that leaves says so in its claim, looks again, and deletes the object if it is the last. Its claim goes after that.
//! 3. An owner that comes waits for those that leave at this moment, and for an earlier one that is about to make the object.
//! 4. The stack that declared the object first decides about it, also under another logical id. Another stack that joins it has
//!    it as it is, or adopts it.
//! 5. A rollback of such a stack leaves the object as it is.
//!
//! # Guarantees
//! - The object is deleted only if every other claim has been left.
//! - Of owners that leave at the same moment one finds that it is the last.
//!
//! # Assumptions
//! - A write at GitHub is visible to every read that follows.
//! - Lambda ends each process after 15 minutes.

mod api;
mod plan;
mod sharing;

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use super::resource::{Api, Resource};
use crate::aws::CallError;
use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Fields, Request};
use crate::deployment::Deployment;
use crate::github::client::Client;
use crate::github::ownership_by_creation::CreationWindow;
use crate::github::ownership_by_variables::{ClaimKey, ClaimPlace, ClaimState, OwnerClaim, OwnerClaims, Variables};
use crate::guardrails::GuardrailCheck;
use crate::ownership::Owner;
use crate::request_origin::{Origin, RollbackCheck};

pub use sharing::ClaimSharing;

/// A resource type whose objects have claims.
pub trait Claimable: Api<Id: ClaimPlace> {
    /// The client for the claims.
    fn github(&self) -> &Client;
    /// Returns true if the object is one of the variables that are listed with the claims.
    #[must_use]
    fn is_listed(_id: &Self::Id) -> bool {
        false
    }
    /// Returns true unless the object is a choice that nobody has made.
    #[must_use]
    fn is_made(_object: &Self::Observed) -> bool {
        true
    }
    /// Reads such an object from the list.
    fn observe_listed(
        &self,
        id: &Self::Id,
        _variables: &Variables,
    ) -> impl Future<Output = Result<Option<Self::Observed>, CallError>> {
        self.observe(id)
    }
    /// Completes an observation by the variables beside the object.
    #[must_use]
    fn beside(&self, observed: Self::Observed, _variables: &Variables) -> Self::Observed {
        observed
    }
    /// Returns the memory of the time before the first claim: of an object that is there, or of one that this request makes.
    fn memory(observed: Option<&Self::Observed>, requested: CreationWindow) -> String;
    /// Completes an observation by the memories of all claims, the oldest first. `is_owner` says that one of our stack's is among
    /// them.
    #[must_use]
    fn recall(observed: Self::Observed, memories: &[&str], is_owner: bool) -> Self::Observed;
}

/// Carries out the calls for the objects of a resource type and for their claims, on behalf of one request.
#[derive(Debug)]
pub struct Claimed<R> {
    inner: R,
    owner: Owner,
    requested: CreationWindow,
    rollback: RollbackCheck,
    /// The last look found no object.
    is_absent: Cell<bool>,
    /// This request has made the object.
    has_made: Cell<bool>,
}

impl<R: Claimable> Claimed<R> {
    /// The calls for one request.
    pub fn new(inner: R, request: &Request, rollback: RollbackCheck) -> Self {
        let requested = CreationWindow::of(request, inner.github().now());
        let owner = Owner::new(&request.stack, &request.logical_id);
        Self { inner, owner, requested, rollback, is_absent: Cell::new(false), has_made: Cell::new(false) }
    }

    /// For a request of this origin.
    #[must_use]
    pub fn asked_by(self, origin: &Origin) -> Self {
        Self { rollback: self.rollback.asked_by(origin), ..self }
    }
}

/// The declaration, with the window of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDesired<D> {
    pub(crate) object: D,
    pub(crate) requested: CreationWindow,
    /// The stack rolls back, and others decide about the object.
    pub(crate) stays: bool,
}

/// The object, if there is one, and the claims on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedObject<O> {
    pub(crate) object: Option<O>,
    pub(crate) claims: OwnerClaims,
    /// This request has made the object, and completes it, also if another stack decides about it.
    pub(crate) is_made_now: bool,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ClaimedAction<A> {
    Claim { key: ClaimKey, claim: OwnerClaim, is_new: bool },
    Withdraw { key: ClaimKey },
    Object { action: A, after_claim: bool },
}

impl<A: fmt::Display> fmt::Display for ClaimedAction<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim { claim: OwnerClaim { owner, state, .. }, .. } => match state {
                ClaimState::Declares => write!(f, "record {owner} as an owner"),
                ClaimState::Leaving => write!(f, "record that {owner} leaves"),
                ClaimState::Left => write!(f, "record that {owner} has left"),
            },
            Self::Withdraw { key: _ } => f.write_str("remove the record of an owner"),
            Self::Object { action, after_claim: _ } => action.fmt(f),
        }
    }
}

impl<R: Claimable> Resource for Claimed<R> {
    const SCHEMA: ResourceSchema = R::SCHEMA;
    type Properties = R::Properties;
    const NOUN: &'static str = R::NOUN;
    const READ_LAG: Duration = R::READ_LAG;
    type Id = R::Id;
    type Spec = R::Spec;
    type Desired = ClaimedDesired<R::Desired>;
    type Observed = ClaimedObject<R::Observed>;
    type Action = ClaimedAction<R::Action>;
    type ApplyOutput = ClaimedOutput<R::ApplyOutput>;

    fn parse(fields: &mut Fields<'_, R::Properties>, deployment: &Deployment) -> Option<R::Spec> {
        R::parse(fields, deployment)
    }

    fn guardrail_checks(spec: &R::Spec) -> Vec<GuardrailCheck> {
        R::guardrail_checks(spec)
    }

    fn deletion_checks(id: &R::Id) -> Vec<GuardrailCheck> {
        R::deletion_checks(id)
    }

    fn id(owner: &Owner, spec: &R::Spec, deployment: &Deployment) -> R::Id {
        R::id(owner, spec, deployment)
    }

    fn id_from(physical_id: &str) -> Option<R::Id> {
        R::id_from(physical_id)
    }
}

/// The part of a change that only GitHub can tell: about the object, and when it was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimedOutput<T> {
    pub(crate) object: T,
    pub(crate) at: i64,
}
