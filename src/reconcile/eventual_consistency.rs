//! Reads of IAM are eventually consistent. Before the next decision, and before the response, which brings the next
//! request, our own writes have to be visible; but no wait is longer than the lag.

use std::time::Duration;

use tokio::time::Instant;

use super::convergence::Observation;
use super::reconciler::Reconciler;
use super::resource::Api;
use crate::aws::Backoff;

/// The result of a wait.
pub(super) struct Wait<R: Api> {
    /// A read showed the expected state.
    pub(super) is_visible: bool,
    /// The last state that was read.
    pub(super) last: Observation<R>,
}

impl<R: Api> Reconciler<'_, R> {
    /// Observes until the state is as expected or the lag has passed. An unexpected state is no failure: others may be
    /// changing the same object.
    pub(super) async fn wait_until_visible(
        &self,
        id: &R::Id,
        is_expected: impl Fn(Option<&R::Observed>) -> bool,
    ) -> Wait<R> {
        let mut last = Observation::Stale;
        let lag = self.lag.min(R::READ_LAG);
        if lag.is_zero() {
            return Wait { is_visible: false, last };
        }
        let end = Instant::now() + lag;
        let mut backoff = Backoff::new();
        loop {
            match tokio::time::timeout_at(end, self.api.observe(id)).await {
                Ok(Ok(observed)) if is_expected(observed.as_ref()) => {
                    return Wait { is_visible: true, last: Observation::Fresh(observed) };
                }
                Ok(Ok(observed)) => last = Observation::Fresh(observed),
                Ok(Err(_)) | Err(_) => {}
            }
            let pause = backoff.pause().min(end.saturating_duration_since(Instant::now()));
            if pause == Duration::ZERO || !self.deadline.allows(pause) {
                return Wait { is_visible: false, last };
            }
            backoff.announce(id, "the change is not visible yet", lag);
            tokio::time::sleep(pause).await;
        }
    }
}
