//! What a kind of resource is, and what it decides: a plan.

use std::fmt;
use std::future::Future;

use crate::aws::CallError;
use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Attributes, Fields};
use crate::deployment::Deployment;
use crate::error::{Error, Refusal};
use crate::guardrails::GuardrailCheck;
use crate::ownership::Owner;

/// Independent actions go together; one stage ends before the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<A> {
    stages: Vec<Vec<A>>,
}

impl<A> Plan<A> {
    /// Nothing to do.
    #[must_use]
    pub fn nothing() -> Self {
        Self { stages: Vec::new() }
    }

    /// Then do all of these, in any order.
    #[must_use]
    pub fn then(mut self, actions: impl IntoIterator<Item = A>) -> Self {
        let stage: Vec<A> = actions.into_iter().collect();
        if !stage.is_empty() {
            self.stages.push(stage);
        }
        self
    }

    /// Then do all of the other plan.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.stages.extend(other.stages);
        self
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The stages in order.
    #[must_use]
    pub fn stages(&self) -> &[Vec<A>] {
        &self.stages
    }
}

/// A kind of resource.
pub trait Resource {
    /// Its properties and attributes, as an author sees them.
    const RESOURCE: ResourceSchema;
    /// `Custom::…`
    const TYPE: &'static str = Self::RESOURCE.name;
    /// What one object is called in a sentence.
    const NOUN: &'static str;
    /// Whether reads of the service lag behind its writes.
    const READS_LAG: bool;
    /// What names one object of this kind; its text is the physical id, which `Ref` gives.
    type Id: Clone + PartialEq + fmt::Display;
    /// What the author wrote, checked.
    type Spec;
    /// The spec, completed by what only the outside world knows.
    type Desired;
    /// What AWS has now.
    type Observed: Clone + PartialEq;
    /// One change.
    type Action: fmt::Display;
    /// What only the service can tell about a change: the ARN, the unique id.
    type ApplyOutput;

    /// Reads the properties that `RESOURCE` describes. Mistakes are noted in `fields`; where there are any, what is returned does not matter.
    fn parse(fields: &mut Fields<'_>, deployment: &Deployment) -> Option<Self::Spec>;
    /// What of it a deployment may forbid.
    fn guardrail_checks(spec: &Self::Spec) -> Vec<GuardrailCheck>;
    /// The object's id: a pure function of spec and owner, so that a repeated Create finds its own work.
    fn id(owner: &Owner, spec: &Self::Spec, deployment: &Deployment) -> Self::Id;
    /// The id that a physical id stands for, if it can be one of ours.
    fn id_from(physical_id: &str) -> Option<Self::Id>;
    /// Whether the service takes two ids for the same object, though they differ.
    fn is_same_object(a: &Self::Id, b: &Self::Id) -> bool {
        a == b
    }
    /// The id to go on under, where it says more than spec and owner do, such as since when the object is ours. `old` is the
    /// one of an Update.
    fn resolve_id(&self, id: Self::Id, _old: Option<&Self::Id>) -> impl Future<Output = Result<Self::Id, CallError>> {
        async { Ok(id) }
    }
    /// Completes the spec.
    fn resolve(
        &self,
        owner: &Owner,
        id: &Self::Id,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<Self::Desired, Error>>;
    /// Hears what the next looks will find, so that they can ask for all of it at once.
    fn prefetch(&self, _what: ReadHint<'_, Self::Spec>) {}
    /// Looks at what is there.
    fn observe(&self, id: &Self::Id) -> impl Future<Output = Result<Option<Self::Observed>, CallError>>;
    /// Looks at what is there as closely as a deletion asks for.
    fn observe_for_delete(&self, id: &Self::Id) -> impl Future<Output = Result<Option<Self::Observed>, CallError>> {
        self.observe(id)
    }
    /// Where objects are shared: whether a plan changes what others may be changing at the same moment, so that it is
    /// looked at again afterwards.
    #[must_use]
    fn verify_after_apply(_plan: &Plan<Self::Action>) -> bool {
        false
    }
    /// Where objects are shared: what makes good for an action that took away what others turn out to need.
    fn compensate(_owner: &Owner, _action: &Self::Action, _observed: &Self::Observed) -> Option<Self::Action> {
        None
    }
    /// Where objects are shared: whether others may have come to need what this action takes away, so that it is decided
    /// again right before.
    fn needs_recheck(_action: &Self::Action) -> bool {
        false
    }
    /// Where objects are shared: how others are told, before a deletion is planned, that this resource is about to leave.
    fn deletion_intent(
        _owner: &Owner,
        _observed: &Self::Observed,
        _nonce: &str,
    ) -> Option<DeletionIntent<Self::Action>> {
        None
    }
    /// What another process has announced that it is doing to the object.
    fn pending_operation(
        _owner: &Owner,
        _desired: Option<&Self::Desired>,
        _observed: &Self::Observed,
    ) -> Option<PendingOperation<Self::Action>> {
        None
    }
    /// Looks for what keeps an object from being made although none is seen under its id.
    fn find_conflict(&self, _id: &Self::Id) -> impl Future<Output = Result<Option<Refusal>, CallError>> {
        async { Ok(None) }
    }
    /// Decides.
    ///
    /// # Errors
    /// When what is there must not, or cannot, become what is desired.
    fn plan(
        owner: &Owner,
        desired: Option<&Self::Desired>,
        observed: Option<&Self::Observed>,
    ) -> Result<Plan<Self::Action>, Refusal>;
    /// Carries out one action by one call.
    fn apply(&self, id: &Self::Id, action: &Self::Action)
    -> impl Future<Output = Result<Self::ApplyOutput, CallError>>;
    /// What an action does.
    fn step(
        observed: Option<Self::Observed>,
        action: &Self::Action,
        output: Self::ApplyOutput,
    ) -> Option<Self::Observed>;
    /// What `Fn::GetAtt` gives.
    fn attributes(desired: &Self::Desired, observed: &Self::Observed) -> Attributes;
}

/// What a look will probably find. Nothing is decided by it.
#[derive(Clone, Copy, Debug)]
pub enum ReadHint<'a, S> {
    /// An object that is much like its declaration.
    Object(&'a S),
    /// Something that is to be deleted, of which only that matters which stands in the way.
    Deletion,
}

/// How others are told that a resource is about to leave what it shares with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletionIntent<A> {
    /// It takes the object with it, because nobody else needs it.
    Deleting(A),
    /// Others need the object; but they may be about to leave, too, and somebody has to be the last.
    Staying(A),
}

/// What another process is doing to an object, so that it has to be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingOperation<A> {
    /// Tells one announcement from the next.
    pub nonce: String,
    /// Whether this resource itself is being deleted.
    pub by_us: bool,
    /// What it is doing: `deleting`.
    pub doing: &'static str,
    /// Takes the announcement back, or over.
    pub retract: A,
}
