//! The two doors: [`Reconciler::ensure_present`] and [`Reconciler::ensure_absent`].

use std::time::Duration;

use futures_util::future::join;
use tokio::time::Instant;

use super::convergence::Observation;
use super::reconciler::{Reconciler, WATCH_INTERVAL};
use super::resource::{Api, ReadHint};
use crate::aws::Backoff;
use crate::cloudformation::Attributes;
use crate::error::Error;

/// The knowledge about an object that is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// CloudFormation was told this id. The object may not be visible yet.
    Answered,
    /// The Create never answered. It may still be under way, or Lambda may deliver its event again.
    Unanswered,
    /// The Create answered that it created nothing. Its event may have come twice, and only one of the two have failed.
    NeverCreated,
    /// A replacement whose every attempt died may have left the object.
    Leftover,
}

/// The age up to which an observation counts that was made while other facts were looked up.
const FRESH: Duration = Duration::from_secs(5);
/// The time after the Delete of a resource whose Create never answered in which that Create may still make something:
/// Lambda delivers an event again one minute, and then two minutes, after its process failed.
const UNANSWERED_CREATE: Duration = Duration::from_mins(5);

impl<R: Api> Reconciler<'_, R> {
    /// Creates or updates an object. `physical_id` is the id of an Update.
    ///
    /// # Errors
    /// When it cannot be done; [`Progress`](super::Progress) then holds the id for the response.
    pub async fn ensure_present(&self, spec: R::Spec, physical_id: Option<&str>) -> Result<(R::Id, Attributes), Error> {
        let id = R::id(self.owner, &spec, self.deployment);
        let old = physical_id.and_then(R::id_from);
        let id = self.api.resolve_id(id, old.as_ref()).await?;
        // From here on, an earlier attempt at the same request may have created the object.
        self.progress.set(&id);
        if physical_id.is_some() {
            self.api.prefetch(ReadHint::Object(&spec));
        }
        let (mut desired, observation) = self.look_up(&id, spec).await?;
        let is_known = old.is_some_and(|old| old == id);
        let converged = match observation {
            Ok(observation) => self.converge_owned(&id, &mut desired, observation, is_known).await,
            Err(error) => {
                if matches!(&error, Error::Call(call) if !is_known && R::shows_that_nothing_was_made(call)) {
                    self.progress.reset();
                }
                Err(error)
            }
        };
        match converged {
            Ok(Some(observed)) => Ok((id, R::attributes(&desired, &observed))),
            Ok(None) => Err(Error::Vanished(id.to_string())),
            Err(error) => {
                self.undo_replacement(&id, physical_id).await;
                Err(error)
            }
        }
    }

    /// Resolves the spec and observes the object at the same time: neither needs the other, and each is at least one call.
    async fn look_up(&self, id: &R::Id, spec: R::Spec) -> Result<(R::Desired, Result<Observation<R>, Error>), Error> {
        let started = Instant::now();
        let (desired, observed) = join(self.api.resolve(self.owner, id, spec), self.api.observe(id)).await;
        let desired = desired.inspect_err(|error| {
            // A declaration that is refused was not carried out by an earlier attempt either.
            if matches!(error, Error::Refused(_)) {
                self.progress.reset();
            }
        })?;
        let observation = if started.elapsed() > FRESH {
            Ok(Observation::Stale)
        } else {
            observed.map(Observation::Fresh).map_err(Error::from)
        };
        Ok((desired, observation))
    }

    /// Asks about the owners of an object that is there, and brings it to the desired state. `is_known` is true for the
    /// object that the resource is.
    async fn converge_owned(
        &self,
        id: &R::Id,
        desired: &mut R::Desired,
        observation: Observation<R>,
        is_known: bool,
    ) -> Result<Option<R::Observed>, Error> {
        let observed = match observation {
            Observation::Fresh(observed) => observed,
            Observation::Stale => self.api.observe(id).await?,
        };
        if let Some(observed) = &observed {
            self.api.ask_about_owners(self.owner, id, desired, observed).await?;
        }
        if !is_known && self.is_of_stack(id, observed.as_ref()).await? {
            R::take_back(desired);
        }
        self.converge(id, Some(desired), Observation::Fresh(observed)).await
    }

    /// Deletes the new object of a replacement that failed half way, so that the response can name the old one. If that
    /// fails too, the response names the new one, and CloudFormation deletes it.
    async fn undo_replacement(&self, id: &R::Id, physical_id: Option<&str>) {
        let Some(old) = physical_id.filter(|old| *old != id.to_string()) else { return };
        if self.progress.physical_id() == id.to_string() {
            tracing::info!(%id, "the replacement failed; its object is deleted again");
            if self.ensure_absent(id, Certainty::Answered).await.is_ok() {
                self.progress.set(old);
            }
        }
    }

    /// Brings an object to the desired state without a request. Returns the state then.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn maintain(&self, id: &R::Id, desired: &R::Desired) -> Result<Option<R::Observed>, Error> {
        self.converge(id, Some(desired), Observation::Stale).await
    }

    /// Deletes the object of this owner under this id. No object, or an object of another owner, is a success. Returns true
    /// if there was an object.
    ///
    /// # Errors
    /// When an object of this owner is left.
    pub async fn ensure_absent(&self, id: &R::Id, certainty: Certainty) -> Result<bool, Error> {
        self.api.prefetch(ReadHint::Deletion);
        match certainty {
            Certainty::Answered => self.delete_when_visible(id).await,
            Certainty::Unanswered => self.delete_repeatedly(id, UNANSWERED_CREATE).await.map(|()| true),
            Certainty::Leftover => self.delete_repeatedly(id, Duration::ZERO).await.map(|()| true),
            Certainty::NeverCreated => self.delete_if_observed(id).await.map(|()| true),
        }
    }

    /// Looks for the object as long as the service may take to show it. Returns true if there was one.
    async fn delete_when_visible(&self, id: &R::Id) -> Result<bool, Error> {
        let first = Instant::now();
        let visible_within = self.lag.min(R::READ_LAG);
        let mut backoff = Backoff::new();
        loop {
            let observed = self.api.observe(id).await?;
            if let Some(observed) = &observed {
                self.tell_unmarked(id, observed);
            }
            if observed.is_some() {
                return self.converge(id, None, Observation::Fresh(observed)).await.map(|_| true);
            }
            // The last observation is made after the whole lag.
            let lag_left = visible_within.saturating_sub(first.elapsed());
            let pause = backoff.pause().min(lag_left);
            if lag_left.is_zero() || !self.deadline.allows(pause) {
                return Ok(false);
            }
            backoff.announce(id, "no object to delete is there, and it may not be visible yet", visible_within);
            tokio::time::sleep(pause).await;
        }
    }

    /// Tells of an object that a deletion leaves because nothing on it tells that it is this owner's.
    fn tell_unmarked(&self, id: &R::Id, observed: &R::Observed) {
        if R::is_unmarked(self.owner, observed) {
            let (owner, kind) = (self.owner, R::TYPE);
            tracing::warn!(%id, kind, %owner, "no tag of this resource is on the object, which may be somebody else's: it stays");
        }
    }

    /// Deletes whatever appears under the id within this time.
    async fn delete_repeatedly(&self, id: &R::Id, time: Duration) -> Result<(), Error> {
        let end = Instant::now() + time;
        let mut backoff = Backoff::new();
        loop {
            let observed = self.api.observe(id).await?;
            if self.is_left_alone(id, observed.as_ref()).await? {
                return Ok(());
            }
            self.converge(id, None, Observation::Fresh(observed)).await?;
            if Instant::now() + WATCH_INTERVAL > end || !self.deadline.allows(WATCH_INTERVAL) {
                return Ok(());
            }
            backoff.announce(id, "its Create never answered and may still be under way", time);
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    /// Deletes the object if it is visible. A function that was not allowed to create it may not be allowed to read it
    /// either; that is no failure.
    async fn delete_if_observed(&self, id: &R::Id) -> Result<(), Error> {
        match self.api.observe(id).await {
            Ok(None) => Ok(()),
            Ok(observed) if self.is_left_alone(id, observed.as_ref()).await? => Ok(()),
            Ok(observed) => self.converge(id, None, Observation::Fresh(observed)).await.map(drop),
            Err(error) => {
                tracing::warn!(%id, %error, "it was never created, as far as is known, and cannot be read");
                Ok(())
            }
        }
    }

    /// Returns true if no failed request has made this object, which only properties lead to.
    async fn is_left_alone(&self, id: &R::Id, observed: Option<&R::Observed>) -> Result<bool, Error> {
        let is_of_stack = self.is_of_stack(id, observed).await?;
        if is_of_stack {
            tracing::warn!(%id, "the object stays: CloudFormation shows that the resource had it before");
        }
        Ok(is_of_stack)
    }

    /// Returns true if CloudFormation knows an object of this owner, which is not the one that the resource is.
    async fn is_of_stack(&self, id: &R::Id, observed: Option<&R::Observed>) -> Result<bool, Error> {
        let is_ours = observed.is_some() && R::plan(self.owner, None, observed).is_ok_and(|plan| !plan.is_empty());
        let Some(former) = self.former.filter(|_| is_ours) else { return Ok(false) };
        Ok(former.keep(&id.to_string()).await?)
    }
}
