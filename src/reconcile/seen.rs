//! A service whose reads lag behind its writes shows the next look what was before, and whoever decides by that takes for
//! done what it has to undo. So before the next look that decides, and before the answer, which brings the next request,
//! is waited until what was written is seen; but for no longer than the lag.

use std::time::Duration;

use tokio::time::Instant;

use super::{Kind, Look, Task};
use crate::retry::Pauses;

/// What came of waiting.
pub(super) struct Seen<K: Kind> {
    /// Whether a look showed what was waited for.
    pub(super) accepted: bool,
    /// The last look.
    pub(super) last: Look<K>,
}

impl<K: Kind> Task<'_, K> {
    /// Looks until a look is accepted or the lag has passed. That none is accepted is no failure: others may be changing
    /// the same object.
    pub(super) async fn seen(&self, id: &K::Id, accepted: impl Fn(Option<&K::Observed>) -> bool) -> Seen<K> {
        let mut last = Look::Due;
        if !K::READS_LAG || self.lag.is_zero() {
            return Seen { accepted: false, last };
        }
        let end = Instant::now() + self.lag;
        let mut pauses = Pauses::new();
        loop {
            match tokio::time::timeout_at(end, self.kind.observe(id)).await {
                Ok(Ok(seen)) if accepted(seen.as_ref()) => return Seen { accepted: true, last: Look::Done(seen) },
                Ok(Ok(seen)) => last = Look::Done(seen),
                Ok(Err(_)) | Err(_) => {}
            }
            let pause = pauses.pause().min(end.saturating_duration_since(Instant::now()));
            if pause == Duration::ZERO || !self.budget.allows(pause) {
                return Seen { accepted: false, last };
            }
            tracing::info!(%id, "what was changed is not seen yet; looking again");
            tokio::time::sleep(pause).await;
        }
    }
}
