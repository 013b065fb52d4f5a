//! The protocol of [`Sharing`]: a process that is about to take something away announces it and gives the
//! others time, and a process that has claimed something checks that it is still there.

use std::time::Duration;

use tokio::time::Instant;

use super::reconciler::{Reconciler, WATCH_INTERVAL};
use super::resource::{Api, DeletionIntent, PendingOperation, Sharing};
use crate::aws::{CallError, ErrorKind};
use crate::error::{Error, Refusal};

impl<R: Api> Reconciler<'_, R> {
    /// Returns the state once no other process that shares the object can come in between.
    pub(super) async fn await_others(
        &self,
        id: &R::Id,
        desired: Option<&R::Desired>,
        observed: Option<R::Observed>,
    ) -> Result<Option<R::Observed>, Error> {
        match (desired, observed) {
            (_, None) => Ok(None),
            (Some(desired), Some(observed)) => self.await_other_writer(id, desired, observed).await,
            (None, Some(observed)) => self.await_deletion_grace(id, observed).await,
        }
    }

    /// The grace period of an announced deletion: a process that has not seen the announcement claims the object within one
    /// lag after it, and its claim is visible within another one.
    fn grace_period(&self) -> Duration {
        let lag = self.lag_of_announcements();
        lag * 2 + lag / 6
    }

    fn lag_of_announcements(&self) -> Duration {
        if R::Sharing::ANNOUNCEMENTS_LAG { self.lag } else { Duration::ZERO }
    }

    /// Announces the deletion, and returns the state after the grace period. If several owners leave at the same moment, one
    /// of them finds that it is the last.
    async fn await_deletion_grace(&self, id: &R::Id, mut observed: R::Observed) -> Result<Option<R::Observed>, Error> {
        let nonce = grace_nonce();
        // An owner that has announced that it leaves may find that all others have announced the same.
        for has_announced in [false, true] {
            let (announcement, pause, is_deletion) = match R::Sharing::deletion_intent(self.owner, &observed, &nonce) {
                Some(DeletionIntent::Deleting(announcement)) => (announcement, self.grace_period(), true),
                Some(DeletionIntent::Staying(announcement)) if !has_announced => {
                    (announcement, self.lag_of_announcements(), false)
                }
                Some(DeletionIntent::Staying(_)) | None => break,
            };
            if !self.deadline.allows(pause) {
                return Err(no_time_for_grace(&id.to_string(), pause).into());
            }
            match self.apply_action(id, &announcement).await {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            let at_most_seconds = pause.as_secs();
            tracing::info!(%id, action = %announcement, at_most_seconds, "waiting: other owners may come or go");
            tokio::time::sleep(pause).await;
            if is_deletion {
                return Ok(R::Sharing::observe_for_delete(self.api, id).await?);
            }
            match self.api.observe(id).await? {
                Some(now) => observed = now,
                None => return Ok(None),
            }
        }
        Ok(Some(observed))
    }

    /// Returns the state once no other process is deleting or recreating the object.
    async fn await_other_writer(
        &self,
        id: &R::Id,
        desired: &R::Desired,
        observed: R::Observed,
    ) -> Result<Option<R::Observed>, Error> {
        let mut observed = Some(observed);
        let mut since: Option<(String, Instant)> = None;
        loop {
            let pending =
                observed.as_ref().and_then(|now| R::Sharing::pending_operation(self.owner, Some(desired), now));
            let Some(PendingOperation { nonce, by_us, doing, retract }) = pending else { return Ok(observed) };
            let now = Instant::now();
            let first = match since.take() {
                Some((known, first)) if known == nonce => first,
                _ => now,
            };
            // The process that announced it has died. Where announcements do not lag, the announcement itself tells.
            if R::Sharing::ANNOUNCEMENTS_LAG && now - first > self.grace_period() + self.lag {
                self.apply_action(id, &retract).await?;
                return Ok(observed);
            }
            if !self.deadline.allows(WATCH_INTERVAL) {
                return Err(Error::Refused(Refusal::PreconditionFailed {
                    what: format!(
                        "another process was still {doing} {id} when the time was up, after {} seconds",
                        (now - first).as_secs()
                    ),
                    remedy: "Try again when that has ended".to_owned(),
                }));
            }
            if first == now {
                let at_most_seconds = self.deadline.left().as_secs();
                tracing::info!(%id, at_most_seconds, "waiting: another process is {doing} it");
            }
            since = Some((nonce, first));
            tokio::time::sleep(WATCH_INTERVAL).await;
            observed = self.api.observe(id).await?;
            // Our own Delete has overtaken this event, which came twice, and nobody waits for its response.
            if by_us && observed.is_none() {
                return Err(Error::Refused(Refusal::PreconditionFailed {
                    what: format!("this resource was deleted, and {id} with it"),
                    remedy: "Nothing is to be done".to_owned(),
                }));
            }
        }
    }

    /// Gives back the parts that a stage took away and others have claimed meanwhile.
    pub(super) async fn compensate(&self, id: &R::Id, stage: &[R::Action]) -> Result<(), CallError> {
        let Some(observed) = self.api.observe(id).await? else { return Ok(()) };
        for action in stage.iter().filter_map(|action| R::Sharing::compensate(self.owner, action, &observed)) {
            self.apply_action(id, &action).await?;
        }
        Ok(())
    }
}

/// Tells one announcement from the next.
pub(super) fn grace_nonce() -> String {
    format!("{:016x}", fastrand::u64(..))
}

fn no_time_for_grace(id: &str, pause: Duration) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!(
            "{id} is shared: before it is left, the function waits {} s for its other owners, and has less time than that",
            pause.as_secs()
        ),
        remedy: "Raise `ServiceTimeout`, or leave it out".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_announcement_has_a_nonce_of_its_own() {
        assert_ne!(grace_nonce(), grace_nonce());
    }
}
