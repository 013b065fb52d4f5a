//! Exponential backoff with jitter.

use std::fmt;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Growing pauses with full jitter, so that many stacks which failed together do not come back together.
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
    is_announced: bool,
}

impl Backoff {
    /// Starts with a short one.
    #[must_use]
    pub fn new() -> Self {
        Self { ceiling: FIRST_PAUSE, is_announced: false }
    }

    /// The next pause: between a quarter of the ceiling and the ceiling, which doubles each time up to ten seconds.
    pub fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(LONGEST_PAUSE);
        ceiling.mul_f64(0.25 + 0.75 * fastrand::f64())
    }

    /// Logs once for what these pauses wait, and for how long at most.
    pub fn announce(&mut self, object: impl fmt::Display, reason: &str, at_most: Duration) {
        if !self.is_announced {
            self.is_announced = true;
            tracing::info!(%object, at_most_seconds = at_most.as_secs(), "waiting: {reason}");
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}
