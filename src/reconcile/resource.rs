//! The traits of a resource type: what it is, what it decides, what it calls, and how it shares objects.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;

use super::plan::Plan;
use crate::aws::CallError;
use crate::cloudformation::property_handle::ObjectType;
use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Attributes, Fields};
use crate::deployment::Deployment;
use crate::error::{Error, Refusal};
use crate::guardrails::GuardrailCheck;
use crate::ownership::{Owner, Takeover};

/// A resource type: its types, its schema, and the ids of its objects.
pub trait Resource {
    /// The properties and attributes, as an author sees them.
    const SCHEMA: ResourceSchema;
    /// The properties of `SCHEMA`.
    type Properties: ObjectType;
    /// `Custom::…`
    const TYPE: &'static str = Self::SCHEMA.name;
    /// The name of one object in a sentence.
    const NOUN: &'static str;
    /// The time by which reads of the service may lag behind its writes. The settings may say less.
    const READ_LAG: Duration;
    /// The name of one object. Its text is the physical id, which `Ref` gives. Ids are equal if the service takes them for
    /// the same object.
    type Id: Clone + PartialEq + fmt::Display;
    /// The declaration of the author, checked.
    type Spec: PartialEq;
    /// The spec, completed by facts from outside.
    type Desired;
    /// The state of the object at the service.
    type Observed: Clone + PartialEq;
    /// A change of the object.
    type Action: fmt::Display;
    /// The part of a change that only the service can tell: the ARN, the unique id. A plan that is only shown goes by the
    /// default.
    type ApplyOutput: Default;

    /// Parses the properties that `SCHEMA` describes. Mistakes are noted in `fields`; where there are any, the result does
    /// not matter.
    fn parse(fields: &mut Fields<'_, Self::Properties>, deployment: &Deployment) -> Option<Self::Spec>;
    /// The parts of a spec that a deployment may forbid.
    fn guardrail_checks(spec: &Self::Spec) -> Vec<GuardrailCheck>;
    /// The parts of a deletion that a deployment may forbid. Where there are none, a deletion is always made.
    #[must_use]
    fn deletion_checks(_id: &Self::Id) -> Vec<GuardrailCheck> {
        Vec::new()
    }
    /// Returns the id of the object: a pure function of spec and owner, so that a repeated Create finds its own work.
    fn id(owner: &Owner, spec: &Self::Spec, deployment: &Deployment) -> Self::Id;
    /// The attributes that are known before there is an object.
    #[must_use]
    fn early_attributes(_id: &Self::Id, _spec: &Self::Spec, _deployment: &Deployment) -> Attributes {
        Attributes::new()
    }
    /// Parses a physical id, if it can be one of this type.
    fn id_from(physical_id: &str) -> Option<Self::Id>;
}

/// A resource of CloudFormation's own.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeResource {
    /// `AWS::…`
    pub resource_type: &'static str,
    /// Its properties. Those that are null are left out.
    pub properties: Value,
}

/// The decisions of a resource type. They are pure: no call, no clock, no chance.
pub trait Planner: Resource + Sized {
    /// Decides.
    ///
    /// # Errors
    /// When the observed object must not, or cannot, become the desired one.
    fn plan(
        owner: &Owner,
        desired: Option<&Self::Desired>,
        observed: Option<&Self::Observed>,
    ) -> Result<Plan<Self::Action>, Refusal>;
    /// Returns the state after an action.
    fn step(
        observed: Option<Self::Observed>,
        action: &Self::Action,
        output: Self::ApplyOutput,
    ) -> Option<Self::Observed>;
    /// Returns true for an action that gives an object its owner's tags, by which IAM allows the calls that follow.
    #[must_use]
    fn claims(_action: &Self::Action) -> bool {
        false
    }
    /// Returns true for an action of a plan by which an object has parts that no declaration names: those of an object that
    /// becomes ours, or is made again by a record.
    #[must_use]
    fn adopts(_action: &Self::Action) -> bool {
        false
    }
    /// Completes the desired state of an object that the resource had before, and that its stack had left (`Retain`).
    fn take_back(_desired: &mut Self::Desired) {}
    /// Returns the former owner of an object that an action makes ours.
    #[must_use]
    fn takes_over(_action: &Self::Action) -> Option<Takeover> {
        None
    }
    /// The parts of an object that a deployment may forbid, also those that others added.
    #[must_use]
    fn held(_observed: &Self::Observed) -> Vec<GuardrailCheck> {
        Vec::new()
    }
    /// Returns the time of the object's creation in seconds since 1970, if the service tells it.
    #[must_use]
    fn created(_observed: &Self::Observed) -> Option<i64> {
        None
    }
    /// The attributes that `Fn::GetAtt` gives.
    fn attributes(desired: &Self::Desired, observed: &Self::Observed) -> Attributes;
    /// Renders the resource of CloudFormation's own that is equivalent, where there is one.
    #[must_use]
    fn native(_desired: &Self::Desired) -> Option<NativeResource> {
        None
    }
    /// Describes an action by its effect on the state before it: what it gives and what it takes away.
    #[must_use]
    fn effect(_before: Option<&Self::Observed>, action: &Self::Action) -> String {
        action.to_string()
    }
    /// Returns the property that an action carries out, with its value, if these words of a refusal may be about it.
    #[must_use]
    fn property(_action: &Self::Action, _words: &str) -> Option<String> {
        None
    }
    /// The moment that the order of a plan gives up by an action, and why. `before` is the state before the action's stage, and
    /// `others` are the actions beside it and after it.
    #[must_use]
    fn moment(
        _before: Option<&Self::Observed>,
        _action: &Self::Action,
        _others: &[&Self::Action],
    ) -> Option<&'static str> {
        None
    }
    /// Returns true if nothing on an object tells that it is this owner's. Its deletion leaves it, and the log says so.
    #[must_use]
    fn is_unmarked(_owner: &Owner, _observed: &Self::Observed) -> bool {
        false
    }
}

/// The calls of a resource type that change nothing.
pub trait Reader: Planner {
    /// The protocol for objects that several owners or processes change at the same time.
    type Sharing: Sharing<Self>;

    /// Completes the id that spec and owner lead to, for example by the time since when the object is ours. `old` is the id
    /// of an Update.
    fn resolve_id(&self, id: Self::Id, _old: Option<&Self::Id>) -> impl Future<Output = Result<Self::Id, Error>> {
        async { Ok(id) }
    }
    /// Completes the spec.
    fn resolve(
        &self,
        owner: &Owner,
        id: &Self::Id,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<Self::Desired, Error>>;
    /// Takes a hint of the next observations, so that they can read everything at once. No decision depends on it.
    fn prefetch(&self, _hint: ReadHint<'_, Self::Spec>) {}
    /// Asks CloudFormation about the owners of an object that is there: whether it may become this owner's, or which of those
    /// that share it are gone. Completes the desired state by the answer.
    fn ask_about_owners(
        &self,
        _owner: &Owner,
        _id: &Self::Id,
        _desired: &mut Self::Desired,
        _observed: &Self::Observed,
    ) -> impl Future<Output = Result<(), CallError>> {
        async { Ok(()) }
    }
    /// Returns true if an object of this owner, which would get parts that the deployment forbids, is left as it is: its stack
    /// goes back.
    fn is_left(&self, _owner: &Owner, _observed: &Self::Observed) -> impl Future<Output = Result<bool, CallError>> {
        async { Ok(false) }
    }
    /// Returns true if a deletion leaves an object of this owner as it is: one that was there before, while its stack goes
    /// back.
    fn is_kept(&self, _owner: &Owner, _observed: &Self::Observed) -> impl Future<Output = Result<bool, CallError>> {
        async { Ok(false) }
    }
    /// Returns the id that an object has now, if this failed read tells that its place has another name.
    fn moved(&self, _id: &Self::Id, _error: &CallError) -> impl Future<Output = Option<Self::Id>> {
        async { None }
    }
    /// Returns true if this failed read tells that no request can have made the object.
    #[must_use]
    fn shows_that_nothing_was_made(_error: &CallError) -> bool {
        false
    }
    /// Reads the object.
    fn observe(&self, id: &Self::Id) -> impl Future<Output = Result<Option<Self::Observed>, CallError>>;
}

/// The calls of a resource type, also those that change something.
pub trait Api: Reader {
    /// Carries out one action.
    fn apply(&self, id: &Self::Id, action: &Self::Action)
    -> impl Future<Output = Result<Self::ApplyOutput, CallError>>;
}

/// The protocol for an object that several owners share, or that several processes change at the same time.
///
/// The service has no conditional write, and its reads lag behind its writes.
///
/// # Expected flow
/// 1. A writer that finds a [`PendingOperation`] of another process waits until it ends or is out of date.
/// 2. A resource that is about to leave writes its [`DeletionIntent`], waits twice the lag, and reads again before it decides.
/// 3. A writer that has claimed a shared object reads it again after the plan, and plans again.
/// 4. An action that takes something away is planned again right before it is applied ([`Self::needs_recheck`]), and undone
///    afterwards if others turn out to need it ([`Self::compensate`]).
///
/// # Guarantees
/// - The object is deleted only by its last owner.
/// - An owner that claims the object while another one leaves keeps the object.
///
/// # Assumptions
/// - A write is visible to every reader within the lag.
/// - Every process that changes the object follows the protocol.
///
/// # Caveats
/// - A part that two owners need may be missing for a moment before it is given back.
/// - A process that stops between intent and deletion delays others by less than four times the lag.
pub trait Sharing<R: Reader> {
    /// Others may not see an announcement at once.
    const ANNOUNCEMENTS_LAG: bool = true;

    /// Reads the object with the details that a deletion depends on.
    fn observe_for_delete(api: &R, id: &R::Id) -> impl Future<Output = Result<Option<R::Observed>, CallError>> {
        api.observe(id)
    }
    /// Returns true if others may change what this plan changes, so that the object is read again afterwards.
    #[must_use]
    fn verify_after_apply(_plan: &Plan<R::Action>) -> bool {
        false
    }
    /// Returns the action that gives back what this action took away and others need.
    fn compensate(_owner: &Owner, _action: &R::Action, _observed: &R::Observed) -> Option<R::Action> {
        None
    }
    /// Returns true if others may have come to need what this action takes away.
    fn needs_recheck(_action: &R::Action) -> bool {
        false
    }
    /// Returns the announcement that this resource is about to leave the object.
    fn deletion_intent(_owner: &Owner, _observed: &R::Observed, _nonce: &str) -> Option<DeletionIntent<R::Action>> {
        None
    }
    /// Returns the state that a deletion is decided by, from the details before its announcement was written.
    fn announced(details: R::Observed, announcement: &R::Action) -> Option<R::Observed> {
        R::step(Some(details), announcement, R::ApplyOutput::default())
    }
    /// Returns the operation on the object that another process has announced.
    fn pending_operation(
        _owner: &Owner,
        _desired: Option<&R::Desired>,
        _observed: &R::Observed,
    ) -> Option<PendingOperation<R::Action>> {
        None
    }
}

/// The protocol for objects with one owner: no hook does anything.
#[derive(Debug)]
pub enum Exclusive {}

impl<R: Reader> Sharing<R> for Exclusive {}

/// The probable result of the next observation. No decision depends on it.
#[derive(Clone, Copy, Debug)]
pub enum ReadHint<'a, S> {
    /// An object that is much like its declaration.
    Object(&'a S),
    /// Something that is to be deleted, of which only that matters which stands in the way.
    Deletion,
}

/// The announcement that a resource is about to leave an object that it shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletionIntent<A> {
    /// Deletes the object, because no other resource needs it.
    Deleting(A),
    /// Others need the object; but they may be about to leave, too, and somebody has to be the last.
    Staying(A),
}

/// An operation of another process on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingOperation<A> {
    /// Tells one announcement from the next.
    pub nonce: String,
    /// True if this resource itself is being deleted.
    pub by_us: bool,
    /// The operation as a participle: `deleting`.
    pub doing: &'static str,
    /// Takes the announcement back, or over.
    pub retract: A,
}
