//! Exponential backoff with jitter.

use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Growing pauses with full jitter, so that many stacks which failed together do not come back together.
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    /// Starts with a short one.
    #[must_use]
    pub fn new() -> Self {
        Self { ceiling: FIRST_PAUSE }
    }

    /// The next pause: between a quarter of the ceiling and the ceiling, which doubles each time up to ten seconds.
    pub fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(LONGEST_PAUSE);
        ceiling.mul_f64(0.25 + 0.75 * fastrand::f64())
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}
