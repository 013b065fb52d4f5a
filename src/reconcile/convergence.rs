//! The loop of observe, plan and apply as a state machine: after each round, [`Round::next`] decides.
//!
//! ```text
//! Observed ─ plan ─▶ Planned ─ apply ─▶ Applied ─┬─▶ Confirmed
//!     ▲                                          ├─▶ Failed
//!     └──────────────── Retry(reason) ───────────┘
//! ```

use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::apply::{Applied, State};
use super::plan::Plan;
use super::reconciler::Reconciler;
use super::resource::{Api, Sharing};
use crate::aws::{Backoff, CallError, ErrorKind, PROPAGATION};
use crate::error::{Error, Refusal};

/// The knowledge about the state of an object.
#[derive(Debug)]
pub(super) enum Observation<R: Api> {
    /// No state that a decision may depend on.
    Stale,
    /// The state that was read a moment ago.
    Fresh(Option<R::Observed>),
}

/// The state after our last write, until it is visible.
struct Written<R: Api> {
    any: bool,
    state: Option<R::Observed>,
}

/// The reason to observe and plan again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryReason {
    /// Others may have changed the shared object at the same moment.
    Verify,
    /// The next action is planned again right before it is applied.
    Recheck,
    /// The object appeared, vanished or was attached to something between observation and action, or our read was stale.
    Conflict(ErrorKind),
    /// The owner's tags of a new object may not count yet, or the object is gone: a call on an object that is not there is
    /// denied, because it has no tags (keikoproj/iam-manager#31).
    Denied,
}

/// The decision after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The desired state is reached.
    Confirmed,
    /// Another round.
    Retry(RetryReason),
    /// The error is final.
    Failed,
}

/// The facts about a round that the next step depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The number of this round, from 1.
    pub(super) number: u32,
    /// The plan changes what others may change at the same moment.
    pub(super) is_shared: bool,
    /// The plan holds an action that is planned again right before it is applied.
    pub(super) has_recheck: bool,
}

/// The number of rounds after which a shared object is not verified again.
const MAX_VERIFICATIONS: u32 = 4;

impl Round {
    /// Decides the next step.
    pub(super) fn next(self, result: Result<Applied, ErrorKind>) -> Next {
        match result {
            Ok(Applied::All) if self.is_shared && self.number < MAX_VERIFICATIONS => Next::Retry(RetryReason::Verify),
            Ok(Applied::All) => Next::Confirmed,
            Ok(Applied::UntilRecheck) => Next::Retry(RetryReason::Recheck),
            Err(kind @ (ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::InUse)) => {
                Next::Retry(RetryReason::Conflict(kind))
            }
            Err(ErrorKind::Denied) => Next::Retry(RetryReason::Denied),
            // Others may have come to need what the action takes away, so that the same action is not simply tried again.
            Err(kind @ (ErrorKind::Busy | ErrorKind::Throttled | ErrorKind::Unknown)) if self.has_recheck => {
                Next::Retry(RetryReason::Conflict(kind))
            }
            Err(_) => Next::Failed,
        }
    }
}

/// The time and the doubts of all rounds.
struct Rounds {
    started: Instant,
    number: u32,
    backoff: Backoff,
    /// A change ended unknown, or the object was said to exist: no refusal tells that it does not.
    is_doubtful: bool,
    /// The number of changes that are done.
    done: usize,
    /// The time at which the object got its owner's tags, if it did so in these rounds.
    claimed: Option<Instant>,
    /// The time since which these rounds see the object.
    seen: Option<Instant>,
    /// The time at which the last round began to apply its plan.
    attempted: Instant,
    /// True if a denied call was made again.
    waited_for_tags: bool,
}

/// The time in which the owner's tags of an object come to count for authorization. AWS does not say how long that takes;
/// other services have let tags lag for seconds (terraform-provider-aws#27028, #32966).
const TAGS_COUNT: Duration = Duration::from_mins(1);

impl Rounds {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            number: 0,
            backoff: Backoff::new(),
            is_doubtful: false,
            done: 0,
            claimed: None,
            seen: None,
            attempted: Instant::now(),
            waited_for_tags: false,
        }
    }

    /// The pause before a call that was denied is made again; none if the object had its tags long before the call. The time
    /// that other calls of the round took tells nothing of it.
    fn pause_for_tags<R: Api>(&mut self, reconciler: &Reconciler<'_, R>, since: Instant) -> Option<Duration> {
        let pause = self.backoff.pause();
        let had_tags = self.attempted.saturating_duration_since(since);
        (had_tags + pause <= TAGS_COUNT && reconciler.deadline.allows(pause)).then_some(pause)
    }

    fn begin<R: Api>(&mut self, plan: &Plan<R::Action>, is_there: bool) -> Round {
        self.number += 1;
        self.attempted = Instant::now();
        self.seen = is_there.then(|| self.seen.unwrap_or(self.attempted));
        Round {
            number: self.number,
            is_shared: R::Sharing::verify_after_apply(plan),
            // Where announcements do not lag, an action that waits for another look takes nothing away from others.
            has_recheck: R::Sharing::ANNOUNCEMENTS_LAG && plan.actions().any(R::Sharing::needs_recheck),
        }
    }

    /// The pause before the next round; none where the time is up. Throttling says nothing about the state, so that it is
    /// waited for as long as there is time.
    fn pause<R: Api>(&mut self, reconciler: &Reconciler<'_, R>, kind: ErrorKind) -> Option<Duration> {
        let pause = self.backoff.pause();
        let is_over = self.started.elapsed() + pause > PROPAGATION && kind != ErrorKind::Throttled;
        (!is_over && reconciler.deadline.allows(pause)).then_some(pause)
    }
}

impl<R: Api> Reconciler<'_, R> {
    /// Leads from the observed to the desired state, and waits until that is visible.
    pub(super) async fn converge(
        &self,
        id: &R::Id,
        desired: Option<&R::Desired>,
        observation: Observation<R>,
    ) -> Result<Option<R::Observed>, Error> {
        let mut written = Written { any: false, state: None };
        let result = self.reconcile_until_stable(id, desired, observation, &mut written).await;
        if written.any {
            let is_visible = |observed: Option<&R::Observed>| match &result {
                Ok(_) => R::plan(self.owner, desired, observed).is_ok_and(|plan| plan.is_empty()),
                Err(_) => observed == written.state.as_ref(),
            };
            self.wait_until_visible(id, is_visible).await;
        }
        result
    }

    /// Repeats rounds of observe, plan and apply until one is confirmed or fails.
    async fn reconcile_until_stable(
        &self,
        id: &R::Id,
        desired: Option<&R::Desired>,
        mut observation: Observation<R>,
        written: &mut Written<R>,
    ) -> Result<Option<R::Observed>, Error> {
        let mut rounds = Rounds::new();
        // An object that this request has created is not read again: if it seems to be gone, it is not yet visible, or a
        // Delete has come in between. Created a second time, it would be left behind.
        let mut created = None;
        loop {
            let observed = match created.take() {
                Some(created) => Some(created),
                None => self.state_to_plan_from(id, desired, observation).await?,
            };
            if desired.is_none() && self.is_kept(id, observed.as_ref()).await? {
                return Ok(observed);
            }
            let plan = match self.plan(id, desired, observed.as_ref()) {
                Ok(plan) => plan,
                Err(refusal) => return self.left_or_refused(id, desired, observed, refusal).await,
            };
            let round = rounds.begin::<R>(&plan, observed.is_some());
            let was_absent = observed.is_none();
            let (state, result) = self.apply(id, &plan, observed, rounds.done, round.number == 1).await;
            rounds.done = state.done;
            if state.claimed {
                rounds.claimed = Some(Instant::now());
            }
            if state.changed {
                *written = Written { any: true, state: state.observed.clone() };
            }
            if let Err(error) = &result {
                rounds.is_doubtful |= error.uncertain || error.kind == ErrorKind::AlreadyExists;
                if was_absent && !state.created && !rounds.is_doubtful {
                    self.progress.reset();
                }
            }
            let next = round.next(result.as_ref().copied().map_err(|error| error.kind));
            observation = match (next, result) {
                (Next::Retry(RetryReason::Verify), _) => {
                    let is_stable = |observed: Option<&R::Observed>| {
                        R::plan(self.owner, desired, observed).is_ok_and(|plan| plan.is_empty())
                    };
                    let visibility = self.wait_until_visible(id, is_stable).await;
                    written.any &= !visibility.is_visible;
                    visibility.last
                }
                (Next::Retry(RetryReason::Recheck), _) => {
                    let is_next = |observed: Option<&R::Observed>| {
                        R::plan(self.owner, desired, observed).is_ok_and(|plan| starts_with_recheck::<R>(&plan))
                    };
                    self.wait_until_visible(id, is_next).await.last
                }
                (Next::Retry(RetryReason::Conflict(kind)), Err(error)) => {
                    created = self.pause_after_conflict(&mut rounds, kind, error, state).await?;
                    Observation::Stale
                }
                (Next::Retry(RetryReason::Denied), Err(error)) => {
                    self.look_after_denial(id, desired, &mut rounds, error, state).await?
                }
                (_, Err(error)) => return Err(error.into()),
                (_, Ok(_)) => return Ok(state.observed),
            };
        }
    }

    /// Looks at an object whose change was denied. A state that is another than the one that was planned from tells that
    /// somebody else, or a call that was never answered, came first. A new object is given time until its tags count.
    async fn look_after_denial(
        &self,
        id: &R::Id,
        desired: Option<&R::Desired>,
        rounds: &mut Rounds,
        error: CallError,
        state: State<R>,
    ) -> Result<Observation<R>, Error> {
        let since = rounds.claimed.or_else(|| rounds.seen.filter(|_| self.is_new(state.observed.as_ref())));
        let pause = since.and_then(|since| rounds.pause_for_tags(self, since));
        if let Some(pause) = pause {
            let denied = format!("{} was denied on a new object, whose tags may not count yet", error.action);
            rounds.backoff.announce(id, &denied, TAGS_COUNT);
            rounds.waited_for_tags = true;
            tokio::time::sleep(pause).await;
            // Reads may not show yet what these rounds have made.
            if rounds.claimed.is_some() {
                return Ok(Observation::Fresh(state.observed));
            }
        }
        let next = |observed: Option<&R::Observed>| {
            let plan = R::plan(self.owner, desired, observed).ok()?;
            Some(plan.actions().map(ToString::to_string).collect::<Vec<_>>())
        };
        let planned = next(state.observed.as_ref());
        // Of an object that is to be deleted, only its absence makes the denied call needless.
        let is_other = |observed: Option<&R::Observed>| match desired {
            Some(_) => next(observed) != planned,
            None => observed.is_none(),
        };
        match self.api.observe(id).await {
            Ok(observed) if pause.is_some() => return Ok(Observation::Fresh(observed)),
            Ok(observed) if is_other(observed.as_ref()) => {
                if let Some(pause) = rounds.pause(self, error.kind) {
                    tokio::time::sleep(pause).await;
                    return Ok(Observation::Fresh(observed));
                }
            }
            // Reads may still show what another copy of the request has deleted.
            Ok(_) if rounds.is_doubtful || desired.is_none() => {
                let wait = self.wait_until_visible(id, is_other).await;
                if wait.is_visible {
                    return Ok(wait.last);
                }
            }
            Ok(_) | Err(_) => {}
        }
        Err(if rounds.waited_for_tags { denied_for_long::<R>(error) } else { error }.into())
    }

    /// Returns true if the object was not there long before this reconciliation.
    fn is_new(&self, observed: Option<&R::Observed>) -> bool {
        let began = self.began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let created = observed.and_then(R::created).and_then(|created| u64::try_from(created).ok());
        created.is_some_and(|created| Duration::from_secs(created) + TAGS_COUNT > began)
    }

    /// The state to plan from, once no other process that shares the object can come in between.
    async fn state_to_plan_from(
        &self,
        id: &R::Id,
        desired: Option<&R::Desired>,
        observation: Observation<R>,
    ) -> Result<Option<R::Observed>, Error> {
        let observed = match observation {
            Observation::Fresh(observed) => observed,
            Observation::Stale => self.api.observe(id).await?,
        };
        self.await_others(id, desired, observed).await
    }

    /// Returns true if a deletion leaves the object as it is.
    async fn is_kept(&self, id: &R::Id, observed: Option<&R::Observed>) -> Result<bool, Error> {
        let Some(observed) = observed else { return Ok(false) };
        let is_kept = self.api.is_kept(self.owner, observed).await?;
        if is_kept {
            tracing::info!(%id, "the object was there before, and stays while its stack goes back");
        }
        Ok(is_kept)
    }

    /// Leaves an object as it is whose plan the guardrails refuse, while its stack goes back.
    async fn left_or_refused(
        &self,
        id: &R::Id,
        desired: Option<&R::Desired>,
        observed: Option<R::Observed>,
        refusal: Refusal,
    ) -> Result<Option<R::Observed>, Error> {
        // A plan without the guardrails shows that these refuse it.
        if let Some(forbidden) = &observed
            && R::plan(self.owner, desired, Some(forbidden)).is_ok()
            && self.api.is_left(self.owner, forbidden).await?
        {
            tracing::error!(%id, %refusal, "the stack rolls back: the object stays as it is");
            return Ok(observed);
        }
        Err(refusal.into())
    }

    /// Plans, and logs the plan.
    fn plan(
        &self,
        id: &R::Id,
        desired: Option<&R::Desired>,
        observed: Option<&R::Observed>,
    ) -> Result<Plan<R::Action>, Refusal> {
        let plan = R::plan(self.owner, desired, observed);
        // The guardrails stop no deletion.
        let adoption = self.adoption.filter(|_| desired.is_some());
        let adopted = |plan: &Plan<R::Action>| adoption.map_or(Ok(()), |check| check.check::<R>(plan, observed));
        let plan = plan.and_then(|plan| adopted(&plan).map(|()| plan)).inspect_err(|_refusal| {
            // The object belongs to another owner, or is unchanged.
            self.progress.reset();
            self.progress.set_partial(None);
        })?;
        let actions: Vec<String> = plan.actions().map(ToString::to_string).collect();
        tracing::info!(resource = %id, kind = R::TYPE, owner = %self.owner, plan = ?actions, "planned");
        if desired.is_some() && !plan.is_empty() {
            self.progress.set(id);
        }
        Ok(plan)
    }

    /// Waits before the next round. Returns the state that this request has created, which is not read again.
    async fn pause_after_conflict(
        &self,
        rounds: &mut Rounds,
        kind: ErrorKind,
        error: CallError,
        state: State<R>,
    ) -> Result<Option<R::Observed>, Error> {
        let Some(pause) = rounds.pause(self, kind) else {
            return Err(Error::ConflictRetriesExhausted { attempts: rounds.number, last: error });
        };
        tracing::info!(call = error.action, code = error.code, "the state changed; observing again");
        tokio::time::sleep(pause).await;
        Ok(state.observed.filter(|_| state.created))
    }
}

fn denied_for_long<R: Api>(error: CallError) -> CallError {
    let waited = format!("the {} is new, and {} seconds were waited for its tags", R::NOUN, TAGS_COUNT.as_secs());
    let message = if error.message.is_empty() { waited } else { format!("{} ({waited})", error.message) };
    CallError { message, ..error }
}

/// Returns true if the first stage holds an action that is planned again right before it is applied.
fn starts_with_recheck<R: Api>(plan: &Plan<R::Action>) -> bool {
    let first = plan.stages().iter().position(|stage| stage.iter().any(R::Sharing::needs_recheck));
    first.is_none_or(|first| first == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_of_a_round_leads_to_one_next_step() {
        use ErrorKind::{AlreadyExists, Busy, Denied, InUse, NotFound, Throttled, Unknown};
        let conflict = |kind| Next::Retry(RetryReason::Conflict(kind));
        for (number, is_shared, has_recheck, result, expected) in [
            (1, false, false, Ok(Applied::All), Next::Confirmed),
            (1, true, false, Ok(Applied::All), Next::Retry(RetryReason::Verify)),
            (3, true, false, Ok(Applied::All), Next::Retry(RetryReason::Verify)),
            (4, true, false, Ok(Applied::All), Next::Confirmed),
            (1, false, true, Ok(Applied::UntilRecheck), Next::Retry(RetryReason::Recheck)),
            (9, true, true, Ok(Applied::UntilRecheck), Next::Retry(RetryReason::Recheck)),
            (1, false, false, Err(AlreadyExists), conflict(AlreadyExists)),
            (9, true, false, Err(NotFound), conflict(NotFound)),
            (1, false, true, Err(InUse), conflict(InUse)),
            (1, false, false, Err(Busy), Next::Failed),
            (1, false, true, Err(Busy), conflict(Busy)),
            (1, false, false, Err(Throttled), Next::Failed),
            (1, false, true, Err(Throttled), conflict(Throttled)),
            (1, false, false, Err(Unknown), Next::Failed),
            (1, false, true, Err(Unknown), conflict(Unknown)),
            (1, true, true, Err(Denied), Next::Retry(RetryReason::Denied)),
        ] {
            let round = Round { number, is_shared, has_recheck };
            assert_eq!(round.next(result), expected, "{round:?} {result:?}");
        }
    }
}
