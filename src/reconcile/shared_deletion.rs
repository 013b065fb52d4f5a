//! Objects that stacks share. The service has no call that depends on what is there, and its reads lag behind its writes;
//! so whoever is about to take something away says so and gives the others time, and whoever has claimed something looks
//! whether it is still there.

use std::time::Duration;

use super::{DeletionIntent, PendingOperation, Reconciler, Resource, WATCH};
use crate::aws::{CallError, ErrorKind};
use crate::error::{Error, Refusal};

impl<K: Resource> Reconciler<'_, K> {
    /// What is there, once nobody who shares it can come in between.
    pub(super) async fn uncontended(
        &self,
        id: &K::Id,
        desired: Option<&K::Desired>,
        observed: Option<K::Observed>,
    ) -> Result<Option<K::Observed>, Error> {
        match (desired, observed) {
            (_, None) => Ok(None),
            (Some(desired), Some(observed)) => self.await_other_writer(id, desired, observed).await,
            (None, Some(observed)) => self.await_deletion_grace(id, observed).await,
        }
    }

    /// How long an announced deletion waits: whoever claims the object without having seen the announcement does so
    /// within one lag after it, and the claim is seen within another.
    fn notice(&self) -> Duration {
        self.lag * 2 + self.lag / 6
    }

    /// What is there, once others have had time to claim what is about to be deleted, and once of all who leave at the
    /// same moment one knows that it is the last.
    async fn await_deletion_grace(&self, id: &K::Id, observed: K::Observed) -> Result<Option<K::Observed>, Error> {
        let nonce = format!("{:016x}", fastrand::u64(..));
        let mut observed = observed;
        // Whoever has told that it leaves may find that all others have told the same.
        for told in [false, true] {
            let (announcement, notice, deleting) = match K::deletion_intent(self.owner, &observed, &nonce) {
                Some(DeletionIntent::Deleting(announcement)) => (announcement, self.notice(), true),
                Some(DeletionIntent::Staying(announcement)) if !told => (announcement, self.lag, false),
                Some(DeletionIntent::Staying(_)) | None => break,
            };
            if !self.deadline.allows(notice) {
                return Err(Error::Refused(Refusal::PreconditionFailed {
                    what: format!(
                        "{id} is shared, and others have {} s to be heard before it is left, which is more than there is",
                        notice.as_secs()
                    ),
                    remedy: "Raise `ServiceTimeout`, or leave it out".to_owned(),
                }));
            }
            match self.kind.apply(id, &announcement).await {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            tracing::info!(%id, action = %announcement, "waiting for others who share it");
            tokio::time::sleep(notice).await;
            if deleting {
                return Ok(self.kind.observe_for_delete(id).await?);
            }
            match self.kind.observe(id).await? {
                Some(seen) => observed = seen,
                None => return Ok(None),
            }
        }
        Ok(Some(observed))
    }

    /// What is there, once nobody else is about to delete it, or to make it again.
    async fn await_other_writer(
        &self,
        id: &K::Id,
        desired: &K::Desired,
        observed: K::Observed,
    ) -> Result<Option<K::Observed>, Error> {
        let mut observed = Some(observed);
        let mut since: Option<(String, tokio::time::Instant)> = None;
        loop {
            let pending_operation =
                observed.as_ref().and_then(|observed| K::pending_operation(self.owner, Some(desired), observed));
            let Some(PendingOperation { nonce, by_us, doing, retract }) = pending_operation else {
                return Ok(observed);
            };
            let now = tokio::time::Instant::now();
            let first = match since.take() {
                Some((seen, first)) if seen == nonce => first,
                _ => now,
            };
            // Whoever announced it has died on the way.
            if now - first > self.notice() + self.lag {
                self.kind.apply(id, &retract).await?;
                return Ok(observed);
            }
            if !self.deadline.allows(WATCH) {
                return Err(Error::Refused(Refusal::PreconditionFailed {
                    what: format!("another process was still {doing} {id} when the time was up"),
                    remedy: "Try again when that has ended".to_owned(),
                }));
            }
            tracing::info!(%id, doing, "another process is at it; waiting for that to end");
            since = Some((nonce, first));
            tokio::time::sleep(WATCH).await;
            observed = self.kind.observe(id).await?;
            // Our own Delete has overtaken us: this is an event that came once more, and nobody waits for it.
            if by_us && observed.is_none() {
                return Err(Error::Refused(Refusal::PreconditionFailed {
                    what: format!("this resource was deleted, and {id} with it"),
                    remedy: "Nothing is to be done".to_owned(),
                }));
            }
        }
    }

    /// Looks at what contended actions took away, and gives back what others have claimed meanwhile.
    pub(super) async fn compensate(&self, id: &K::Id, stage: &[K::Action]) -> Result<(), CallError> {
        let Some(observed) = self.kind.observe(id).await? else { return Ok(()) };
        for action in stage.iter().filter_map(|action| K::compensate(self.owner, action, &observed)) {
            self.kind.apply(id, &action).await?;
        }
        Ok(())
    }
}
