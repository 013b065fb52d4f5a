//! The one algorithm: look at what is there, decide what to do as a list of actions, do it.
//!
//! Create and Update are the same path, Delete is the path with nothing desired. What was asked before is never asked:
//! after a skipped rollback it would be wrong.
//!
//! # What a kind must guarantee
//! - `plan` is pure: it sees what is desired and what is observed, and nothing else.
//! - `apply` makes no choices: one action, one call.
//! - `step` says what an action does to the world that `plan` sees. It is the same function that the laws are checked
//!   with, so production never looks again at what it has just changed, and eventual consistency cannot mislead it.

mod consistency;
mod resource;
mod shared_deletion;

use crate::deployment::Deployment;
use std::cell::RefCell;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join;
use futures_util::{StreamExt, stream};

use crate::aws::{Backoff, Deadline, PROPAGATION};
use crate::aws::{CallError, ErrorKind};
use crate::cloudformation::Attributes;
use crate::error::{Error, Refusal};
use crate::ownership::Owner;

pub use resource::{DeletionIntent, PendingOperation, Plan, ReadHint, Resource};

/// What may be there under which id, and how far it is, kept where a dropped or panicked reconciliation leaves it behind:
/// the answer to a failed request must name it.
#[derive(Debug)]
pub struct Progress {
    physical_id: RefCell<String>,
    left: RefCell<Option<String>>,
}

impl Progress {
    /// Nothing of this request exists yet; a failure would be answered with this id.
    #[must_use]
    pub fn new(physical_id: String) -> Self {
        Self { physical_id: RefCell::new(physical_id), left: RefCell::new(None) }
    }

    /// The id for a failure's answer.
    #[must_use]
    pub fn physical_id(&self) -> String {
        self.physical_id.borrow().clone()
    }

    /// The reason of a failure, and what the failure leaves behind.
    #[must_use]
    pub fn failure_reason(&self, reason: &str) -> String {
        match self.left.borrow().as_deref() {
            Some(left) => format!("{reason}; {left}"),
            None => reason.to_owned(),
        }
    }

    fn set(&self, physical_id: impl fmt::Display) {
        *self.physical_id.borrow_mut() = physical_id.to_string();
    }

    fn set_partial(&self, left: Option<String>) {
        *self.left.borrow_mut() = left;
    }
}

/// One reconciliation's surroundings.
#[derive(Debug)]
pub struct Reconciler<'a, K: Resource> {
    /// Carries out the calls.
    pub kind: &'a K,
    /// On whose behalf.
    pub owner: &'a Owner,
    /// Where.
    pub deployment: &'a Deployment,
    /// Until when.
    pub deadline: Deadline,
    /// How far IAM's reads may lag behind its writes.
    pub lag: Duration,
    /// What may exist by now.
    pub progress: &'a Progress,
    /// The id for the answer to a failure that made nothing.
    pub before: &'a str,
}

/// How far a plan was applied.
enum Applied {
    All,
    /// Up to an action that needs a fresh look.
    UpToContended,
}

/// What a plan led to so far.
struct State<K: Resource> {
    observed: Option<K::Observed>,
    /// Whether this request made it.
    made: bool,
    /// Whether this plan has changed it.
    changed: bool,
}

/// What our changes led to, if there were any.
struct Written<K: Resource> {
    any: bool,
    state: Option<K::Observed>,
}

/// What is known of what is there.
enum Observation<K: Resource> {
    /// Nothing that could be decided by.
    Stale,
    /// What a look has just shown.
    Done(Option<K::Observed>),
}

/// How long a look counts that was made while other things were found out, which may have taken long.
const FRESH: Duration = Duration::from_secs(5);
/// How often a shared object is looked at until nothing is left to do.
const SETTLED: u32 = 4;
/// How often is looked meanwhile.
const WATCH: Duration = Duration::from_secs(10);
/// How many calls of one stage are under way at once: IAM answers bursts on one object with `ConcurrentModification`.
const MAX_CONCURRENT_CALLS: usize = 4;

impl<K: Resource> Reconciler<'_, K> {
    /// Creates or updates. `physical_id` is the one of an Update.
    ///
    /// # Errors
    /// When it cannot be done; [`Progress`] then holds the id to answer with.
    pub async fn ensure_present(&self, spec: K::Spec, physical_id: Option<&str>) -> Result<(K::Id, Attributes), Error> {
        let id = K::id(self.owner, &spec, self.deployment);
        let old = physical_id.and_then(K::id_from);
        if let Some(old) = old.as_ref().filter(|old| **old != id && K::is_same_object(old, &id)) {
            return Err(Error::Refused(Refusal::Immutable {
                what: format!("the name of {old}"),
                from: old.to_string(),
                to: id.to_string(),
                remedy: "AWS takes both for the same name; choose one that differs in more than case",
            }));
        }
        let id = self.kind.resolve_id(id, old.as_ref()).await?;
        // From here on an earlier attempt at the same request may have made something, whatever stops this one.
        self.progress.set(&id);
        if physical_id.is_some() {
            self.kind.prefetch(ReadHint::Object(&spec));
        }
        let asked = tokio::time::Instant::now();
        // Neither needs the other, and each is a call at least.
        let (desired, observed) = join(self.kind.resolve(self.owner, &id, spec), self.kind.observe(&id)).await;
        let desired = match desired {
            Ok(desired) => desired,
            Err(error) => {
                // What cannot be wanted was not made by an earlier attempt either.
                if matches!(error, Error::Refused(_)) {
                    self.progress.set(self.before);
                }
                return Err(error);
            }
        };
        let look = if asked.elapsed() > FRESH { Ok(Observation::Stale) } else { observed.map(Observation::Done) };
        let converged = match look {
            Ok(look) => self.converge(&id, Some(&desired), look).await,
            Err(error) => Err(error.into()),
        };
        match converged {
            Ok(Some(observed)) => Ok((id, K::attributes(&desired, &observed))),
            Ok(None) => Err(Error::Vanished(id.to_string())),
            Err(error) => {
                // A replacement that failed half way: take the new object away again, so that the answer can name the
                // old one. Where that fails too, the answer names the new one and CloudFormation deletes it.
                let replacing = physical_id.is_some_and(|old| old != id.to_string());
                if replacing && self.progress.physical_id() == id.to_string() {
                    tracing::info!(%id, "the replacement failed; its object is taken away again");
                    if self.ensure_absent(&id).await.is_ok() {
                        self.progress.set(physical_id.unwrap_or_default());
                    }
                }
                Err(error)
            }
        }
    }

    /// Brings what is there to what is desired, without anybody waiting for an answer. Gives what there is then.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn maintain(&self, id: &K::Id, desired: &K::Desired) -> Result<Option<K::Observed>, Error> {
        self.converge(id, Some(desired), Observation::Stale).await
    }

    /// Deletes what is ours under this id. What is not there, or not ours, is a success; but what is not there may be
    /// not yet visible, so that it is looked for as long as the service may take to show it.
    ///
    /// # Errors
    /// When something of ours is left.
    pub async fn ensure_absent(&self, id: &K::Id) -> Result<(), Error> {
        self.kind.prefetch(ReadHint::Deletion);
        let first = tokio::time::Instant::now();
        let visible_within = if K::READS_LAG { self.lag } else { Duration::ZERO };
        let mut pauses = Backoff::new();
        loop {
            let observed = self.kind.observe(id).await?;
            if observed.is_some() {
                return self.converge(id, None, Observation::Done(observed)).await.map(|_| ());
            }
            // The last look comes when all of the lag has passed.
            let lag_left = visible_within.saturating_sub(first.elapsed());
            let pause = pauses.pause().min(lag_left);
            if lag_left.is_zero() || !self.deadline.allows(pause) {
                return Ok(());
            }
            tracing::info!(%id, "nothing is there to delete; looking again, because it may not be visible yet");
            tokio::time::sleep(pause).await;
        }
    }

    /// Deletes what is ours under this id, and what a Create that never answered may still make within this time: it can
    /// be under way in another process, or come again after its process was killed.
    ///
    /// # Errors
    /// When something of ours is left.
    pub async fn absent_for(&self, id: &K::Id, time: Duration) -> Result<(), Error> {
        self.kind.prefetch(ReadHint::Deletion);
        let end = tokio::time::Instant::now() + time;
        loop {
            self.converge(id, None, Observation::Stale).await?;
            if tokio::time::Instant::now() + WATCH > end || !self.deadline.allows(WATCH) {
                return Ok(());
            }
            tracing::info!(%id, "its Create never answered and may still be under way; looking again");
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Deletes what is ours under an id that was answered as never created: the event may have come twice at once, and only
    /// one of the two have failed. Whoever was not allowed to make it may not be allowed to look either; that is no failure.
    ///
    /// # Errors
    /// When something of ours is left.
    pub async fn absent_after_all(&self, id: &K::Id) -> Result<(), Error> {
        self.kind.prefetch(ReadHint::Deletion);
        match self.kind.observe(id).await {
            Ok(None) => Ok(()),
            Ok(observed) => self.converge(id, None, Observation::Done(observed)).await.map(|_| ()),
            Err(error) => {
                tracing::warn!(%id, %error, "it was never created, as far as is known, and cannot be looked at");
                Ok(())
            }
        }
    }

    /// Leads from what is observed to what is desired, and waits until that is seen.
    async fn converge(
        &self,
        id: &K::Id,
        desired: Option<&K::Desired>,
        look: Observation<K>,
    ) -> Result<Option<K::Observed>, Error> {
        let mut written = Written { any: false, state: None };
        let result = self.reach(id, desired, look, &mut written).await;
        if written.any {
            let done = |seen: Option<&K::Observed>| match &result {
                Ok(_) => K::plan(self.owner, desired, seen).is_ok_and(|plan| plan.is_empty()),
                Err(_) => seen == written.state.as_ref(),
            };
            self.wait_until_visible(id, done).await;
        }
        result
    }

    /// Observe, plan, apply; and again from the start where the world turned out to be another than we saw. `written` is
    /// what it is after our last change, as long as that has not been seen.
    async fn reach(
        &self,
        id: &K::Id,
        desired: Option<&K::Desired>,
        mut look: Observation<K>,
        written: &mut Written<K>,
    ) -> Result<Option<K::Observed>, Error> {
        let started = tokio::time::Instant::now();
        let mut pauses = Backoff::new();
        let mut attempts = 0;
        let mut made = None;
        let mut doubtful = false;
        let before = self.before.to_owned();
        loop {
            attempts += 1;
            // What this request has made is not looked at again: if it seems to be gone, it is not yet visible, or a
            // Delete has come in between; made a second time, it would be left behind.
            let observed = match (made.take(), std::mem::replace(&mut look, Observation::Stale)) {
                (Some(made), _) => Some(made),
                (None, Observation::Done(observed)) => self.uncontended(id, desired, observed).await?,
                (None, Observation::Stale) => self.uncontended(id, desired, self.kind.observe(id).await?).await?,
            };
            let plan = match K::plan(self.owner, desired, observed.as_ref()) {
                Ok(plan) => plan,
                Err(refusal) => {
                    // What is there is not ours, or is what it was.
                    self.progress.set(&before);
                    self.progress.set_partial(None);
                    return Err(refusal.into());
                }
            };
            self.log(id, &plan);
            let unseen = observed.is_none();
            if desired.is_some() && !plan.is_empty() {
                self.progress.set(id);
            }
            let (state, result) = self.apply(id, &plan, observed).await;
            if state.changed {
                *written = Written { any: true, state: state.observed.clone() };
            }
            let error = match result {
                // Somebody may have taken away, at the same moment, what we have just claimed.
                Ok(Applied::All) if K::verify_after_apply(&plan) && attempts < SETTLED => {
                    let planned = |seen: Option<&K::Observed>| K::plan(self.owner, desired, seen);
                    let seen =
                        self.wait_until_visible(id, |seen| planned(seen).is_ok_and(|plan| plan.is_empty())).await;
                    written.any &= !seen.accepted;
                    look = seen.last;
                    continue;
                }
                Ok(Applied::All) => return Ok(state.observed),
                Ok(Applied::UpToContended) => {
                    let next = |seen: Option<&K::Observed>| K::plan(self.owner, desired, seen);
                    let seen = self
                        .wait_until_visible(id, |seen| next(seen).is_ok_and(|plan| up_to_contended::<K>(&plan) == 0))
                        .await;
                    look = seen.last;
                    continue;
                }
                Err(error) => error,
            };
            // Once a creation ended unknown, or the object was said to exist, no refusal tells that it does not.
            doubtful |= error.uncertain || error.kind == ErrorKind::AlreadyExists;
            if unseen && !state.made && !doubtful {
                self.progress.set(&before);
            }
            // Something appeared, vanished or was attached between looking and acting, or our look was stale.
            let changed = match error.kind {
                ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::InUse => true,
                // What others may have come to object to is not simply tried again.
                ErrorKind::Busy | ErrorKind::Throttled | ErrorKind::Unknown => {
                    plan.stages().iter().flatten().any(K::needs_recheck)
                }
                _ => false,
            };
            if error.kind == ErrorKind::AlreadyExists
                && attempts > 1
                && let Some(refusal) = self.kind.find_conflict(id).await?
            {
                self.progress.set(&before);
                self.progress.set_partial(None);
                return Err(refusal.into());
            }
            let pause = pauses.pause();
            if !changed {
                return Err(error.into());
            }
            // Throttling says nothing about the state: it is waited for as long as there is time.
            let is_over = started.elapsed() + pause > PROPAGATION && error.kind != ErrorKind::Throttled;
            if is_over || !self.deadline.allows(pause) {
                return Err(Error::ConflictRetriesExhausted { attempts, last: error });
            }
            tracing::info!(call = error.action, code = error.code, "the state changed; looking again");
            tokio::time::sleep(pause).await;
            made = state.observed.filter(|_| state.made);
        }
    }

    async fn apply(
        &self,
        id: &K::Id,
        plan: &Plan<K::Action>,
        observed: Option<K::Observed>,
    ) -> (State<K>, Result<Applied, CallError>) {
        let mut state = State { observed, made: false, changed: false };
        let mut open: Vec<&K::Action> = plan.stages().iter().flatten().collect();
        let all = open.len();
        self.progress.set_partial(state.observed.is_some().then(|| left_behind::<K>(id, &open, all)));
        for (index, stage) in plan.stages().iter().enumerate() {
            if index > 0 && stage.iter().any(K::needs_recheck) {
                return (state, Ok(Applied::UpToContended));
            }
            let mut results = pin!(
                stream::iter(stage)
                    .map(|action| async move { (action, self.kind.apply(id, action).await) })
                    .buffered(MAX_CONCURRENT_CALLS)
            );
            let mut failure: Option<CallError> = None;
            while let Some((action, result)) = results.next().await {
                match result {
                    Ok(output) => {
                        let ensure_absent = state.observed.is_none();
                        state.observed = K::step(state.observed, action, output);
                        state.made |= ensure_absent && state.observed.is_some();
                        state.changed = true;
                        open.retain(|other| !std::ptr::eq(*other, action));
                        self.progress.set_partial(state.observed.is_some().then(|| left_behind::<K>(id, &open, all)));
                    }
                    Err(error) => {
                        if error.uncertain && state.observed.is_none() {
                            self.progress.set_partial(Some(format!("{} {id} may be left behind", K::NOUN)));
                        }
                        failure = failure.or(Some(error));
                    }
                }
            }
            if let Some(failure) = failure {
                return (state, Err(failure));
            }
            if stage.iter().any(K::needs_recheck)
                && let Err(error) = self.compensate(id, stage).await
            {
                return (state, Err(error));
            }
        }
        self.progress.set_partial(None);
        (state, Ok(Applied::All))
    }

    fn log(&self, id: &K::Id, plan: &Plan<K::Action>) {
        let actions: Vec<String> = plan.stages().iter().flatten().map(ToString::to_string).collect();
        tracing::info!(resource = %id, kind = K::TYPE, owner = %self.owner, plan = ?actions, "planned");
    }
}

/// How many stages of a plan come before one whose actions others may have come to object to.
fn up_to_contended<K: Resource>(plan: &Plan<K::Action>) -> usize {
    plan.stages().iter().position(|stage| stage.iter().any(K::needs_recheck)).unwrap_or_default()
}

/// What a failure leaves behind: the object, how much of what was to be done to it is done, and what is not, as far as it
/// is known.
fn left_behind<K: Resource>(id: &K::Id, open: &[&K::Action], all: usize) -> String {
    const NAMED: usize = 3;
    const LENGTH: usize = 80;
    let named = open.iter().take(NAMED).map(|action| {
        let text = action.to_string();
        let cut: String = text.chars().take(LENGTH).collect();
        if cut == text { text } else { cut + "…" }
    });
    let more = open.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("{more} more"));
    let named: Vec<String> = named.chain(more).collect();
    format!(
        "left behind: {} {id}, on which {} of {all} changes are done; not done, or not known to be: {}",
        K::NOUN,
        all - open.len(),
        named.join("; ")
    )
}
