//! Applies a plan, stage by stage.

use std::pin::pin;

use futures_util::{StreamExt, stream};

use super::plan::Plan;
use super::reconciler::Reconciler;
use super::resource::{Api, Sharing};
use crate::aws::CallError;

/// The part of a plan that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    All,
    /// The stages before an action that is planned again right before it is applied.
    UntilRecheck,
}

/// The state that a plan has led to so far.
pub(super) struct State<R: Api> {
    pub(super) observed: Option<R::Observed>,
    /// True if this plan created the object.
    pub(super) created: bool,
    /// True if this plan changed the object.
    pub(super) changed: bool,
    /// True if this plan gave the object its owner's tags.
    pub(super) claimed: bool,
    /// The number of changes that are done, those of earlier rounds included.
    pub(super) done: usize,
}

/// The number of calls of one stage at the same time: IAM answers bursts on one object with `ConcurrentModification`.
const MAX_CONCURRENT_CALLS: usize = 4;

/// The actions of a plan that are not applied yet.
struct Remaining<'a, A> {
    actions: Vec<&'a A>,
}

impl<R: Api> Reconciler<'_, R> {
    pub(super) async fn apply(
        &self,
        id: &R::Id,
        plan: &Plan<R::Action>,
        observed: Option<R::Observed>,
        done: usize,
        is_first_round: bool,
    ) -> (State<R>, Result<Applied, CallError>) {
        // What others do during a wait for the proof is not in the plan.
        let is_old = self.origin.proven_lately().await && is_first_round;
        let mut state = State { observed, created: false, changed: false, claimed: false, done };
        let mut remaining = Remaining { actions: plan.actions().collect() };
        self.record_partial(id, &state, &remaining);
        for (index, stage) in plan.stages().iter().enumerate() {
            let needs_recheck = stage.iter().any(R::Sharing::needs_recheck);
            if needs_recheck && (index > 0 || is_old) {
                return (state, Ok(Applied::UntilRecheck));
            }
            let mut result = self.apply_stage(id, stage, &mut state, &mut remaining).await;
            if result.is_ok() && needs_recheck {
                result = self.compensate(id, stage).await;
            }
            if let Err(error) = result {
                return (state, Err(error));
            }
        }
        self.progress.set_partial(None);
        (state, Ok(Applied::All))
    }

    /// Applies all actions of a stage, a few at a time. Returns the first failure after all of them have ended.
    async fn apply_stage<'a>(
        &self,
        id: &R::Id,
        actions: &'a [R::Action],
        state: &mut State<R>,
        remaining: &mut Remaining<'a, R::Action>,
    ) -> Result<(), CallError> {
        let calls = stream::iter(actions).map(|action| async move { (action, self.apply_action(id, action).await) });
        let mut results = pin!(calls.buffered(MAX_CONCURRENT_CALLS));
        let mut failure: Option<CallError> = None;
        while let Some((action, result)) = results.next().await {
            match result {
                Ok(output) => {
                    let was_absent = state.observed.is_none();
                    state.observed = R::step(state.observed.take(), action, output);
                    state.created |= was_absent && state.observed.is_some();
                    state.changed = true;
                    state.claimed |= R::claims(action);
                    state.done += 1;
                    remaining.actions.retain(|other| !std::ptr::eq(*other, action));
                    self.record_partial(id, state, remaining);
                }
                Err(error) => {
                    if error.uncertain && state.observed.is_none() {
                        self.progress.set_partial(Some(format!("partially applied: {} {id} may exist", R::NOUN)));
                    }
                    let property = R::property(action, &error.message).map(Into::into);
                    failure = failure.or(Some(CallError { property, ..error }));
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn record_partial(&self, id: &R::Id, state: &State<R>, remaining: &Remaining<'_, R::Action>) {
        self.progress.set_partial(state.observed.is_some().then(|| partial::<R>(id, state.done, remaining)));
    }
}

/// Describes the object that a failure leaves behind: the number of changes that are done, and those that are not, as far
/// as is known.
fn partial<R: Api>(id: &R::Id, done: usize, remaining: &Remaining<'_, R::Action>) -> String {
    const NAMED: usize = 3;
    const LENGTH: usize = 80;
    let Remaining { actions } = remaining;
    let named = actions.iter().take(NAMED).map(|action| {
        let text = action.to_string();
        let cut: String = text.chars().take(LENGTH).collect();
        if cut == text { text } else { cut + "…" }
    });
    let more = actions.len().saturating_sub(NAMED);
    let named: Vec<String> = named.chain((more > 0).then(|| format!("{more} more"))).collect();
    let all = done + actions.len();
    format!("partially applied: {} {id} ({done} of {all} changes); remaining: {}", R::NOUN, named.join("; "))
}
