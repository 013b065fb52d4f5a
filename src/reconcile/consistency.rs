//! A service whose reads lag behind its writes shows the next look what was before, and whoever decides by that takes for
//! done what it has to undo. So before the next look that decides, and before the answer, which brings the next request,
//! is waited until what was written is seen; but for no longer than the lag.

use std::time::Duration;

use tokio::time::Instant;

use super::{Observation, Reconciler, Resource};
use crate::aws::Backoff;

/// What came of waiting.
pub(super) struct Visibility<K: Resource> {
    /// Whether a look showed what was waited for.
    pub(super) accepted: bool,
    /// The last look.
    pub(super) last: Observation<K>,
}

impl<K: Resource> Reconciler<'_, K> {
    /// Looks until a look is accepted or the lag has passed. That none is accepted is no failure: others may be changing
    /// the same object.
    pub(super) async fn wait_until_visible(
        &self,
        id: &K::Id,
        accepted: impl Fn(Option<&K::Observed>) -> bool,
    ) -> Visibility<K> {
        let mut last = Observation::Stale;
        if !K::READS_LAG || self.lag.is_zero() {
            return Visibility { accepted: false, last };
        }
        let end = Instant::now() + self.lag;
        let mut pauses = Backoff::new();
        loop {
            match tokio::time::timeout_at(end, self.kind.observe(id)).await {
                Ok(Ok(wait_until_visible)) if accepted(wait_until_visible.as_ref()) => {
                    return Visibility { accepted: true, last: Observation::Done(wait_until_visible) };
                }
                Ok(Ok(wait_until_visible)) => last = Observation::Done(wait_until_visible),
                Ok(Err(_)) | Err(_) => {}
            }
            let pause = pauses.pause().min(end.saturating_duration_since(Instant::now()));
            if pause == Duration::ZERO || !self.deadline.allows(pause) {
                return Visibility { accepted: false, last };
            }
            tracing::info!(%id, "what was changed is not seen yet; looking again");
            tokio::time::sleep(pause).await;
        }
    }
}
