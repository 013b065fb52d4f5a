//! A walk through many things, a few at a time and in an order that the next run can go on in.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;

use crate::aws::Deadline;
use crate::error::{Error, rendered};

/// How many things are seen to at once, in every part of the run. Four calls under way keep the throttles of IAM and EKS
/// busy, whatever they are: more would only be refused more often, and the account's stacks with them, because the
/// throttles are the account's.
pub(super) const MAX_CONCURRENT_CALLS: usize = 4;
/// Kept from the work, for writing down how far it came; at most an eighth of the time.
const WRAP_UP: Duration = Duration::from_secs(30);
/// Nothing is begun so shortly before the end of the work, so that what is begun can be ended; at most an eighth of the
/// time. An entry is made again within seconds, unless a service throttles or is out of order.
const ROOM: Duration = Duration::from_mins(1);
/// So many failures are told by name. All of them are in the log, and Lambda keeps little of an error's text.
const NAMED: usize = 20;

/// How long the run may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeWindow {
    /// Until when calls of the work may start.
    pub(super) work: Deadline,
    /// Nothing new is begun from then on.
    last_start: Instant,
    /// What has not ended by then is left as it is.
    cut: Instant,
}

impl TimeWindow {
    pub(super) fn within(deadline: Deadline) -> Self {
        let left = deadline.end().saturating_duration_since(Instant::now());
        let wrap_up = WRAP_UP.min(left / 8);
        let end = deadline.end() - wrap_up;
        Self { work: Deadline::until(end), last_start: end - ROOM.min(left / 8), cut: end + wrap_up * 2 / 3 }
    }

    /// Whether the run is about to end.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.last_start
    }
}

/// What came of one thing.
#[derive(Debug)]
pub(super) enum ItemOutcome {
    Reconciled,
    /// It was tried, and is told.
    HandlerError(String),
    /// The time was up; the next run sees to it.
    NoTime,
}

impl ItemOutcome {
    /// A failure, unless it is for want of time. What fails when the time is almost up may have had too little of it.
    pub(super) fn failed(window: &TimeWindow, error: &Error, told: impl FnOnce(&str) -> String) -> Self {
        if window.is_over() { Self::NoTime } else { Self::HandlerError(told(&rendered(error))) }
    }
}

/// What failed in a run: as many as are told by name, and how many more.
#[derive(Debug, Default)]
pub(super) struct Failures {
    named: Vec<String>,
    more: usize,
}

impl Failures {
    pub(super) fn add(&mut self, failure: String) {
        if self.named.len() < NAMED {
            self.named.push(failure);
        } else {
            self.more += 1;
        }
    }

    /// All of them in one sentence; nothing for none.
    pub(super) fn told(self) -> Option<String> {
        let Self { mut named, more } = self;
        if more > 0 {
            named.push(format!("and {more} more, which are in the log"));
        }
        (!named.is_empty()).then(|| format!("the scheduled run failed for {}", named.join("; ")))
    }
}

/// Sees to all of them, a few at a time. Gives how many of the first are done: all, or as many as the time was enough for;
/// of those behind them some may be done, too.
pub(super) async fn run_batch<T>(
    things: &[T],
    window: &TimeWindow,
    failures: &mut Failures,
    see: impl AsyncFn(&T) -> ItemOutcome,
) -> usize {
    let mut done = vec![false; things.len()];
    let see = &see;
    let looks = things.iter().enumerate().map(|(index, thing)| async move {
        let seen = if window.is_over() { ItemOutcome::NoTime } else { see(thing).await };
        (index, seen)
    });
    let mut looks = pin!(stream::iter(looks).buffer_unordered(MAX_CONCURRENT_CALLS));
    while let Ok(Some((index, seen))) = tokio::time::timeout_at(window.cut, looks.next()).await {
        match seen {
            ItemOutcome::Reconciled => done[index] = true,
            ItemOutcome::HandlerError(failure) => {
                failures.add(failure);
                done[index] = true;
            }
            ItemOutcome::NoTime => {}
        }
    }
    done.iter().take_while(|done| **done).count()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn paused<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    #[test]
    fn a_few_are_seen_to_at_once_and_never_more() {
        paused(async {
            let window = TimeWindow::within(Deadline::until(Instant::now() + Duration::from_mins(15)));
            let (now, most) = (Cell::new(0), Cell::new(0));
            let done = run_batch(&[(); 100], &window, &mut Failures::default(), async |()| {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..100))).await;
                now.set(now.get() - 1);
                ItemOutcome::Reconciled
            })
            .await;
            assert_eq!((done, most.get()), (100, MAX_CONCURRENT_CALLS));
        });
    }

    #[test]
    fn what_takes_long_keeps_nobody_behind_it_and_the_next_run_begins_with_it() {
        paused(async {
            let window = TimeWindow::within(Deadline::until(Instant::now() + Duration::from_mins(15)));
            let seen = Cell::new(0);
            let things: Vec<usize> = (0..1000).collect();
            let done = run_batch(&things, &window, &mut Failures::default(), async |thing| {
                seen.set(seen.get() + 1);
                let takes = if *thing == 7 { Duration::from_hours(1) } else { Duration::from_secs(1) };
                tokio::time::sleep(takes).await;
                ItemOutcome::Reconciled
            })
            .await;
            assert_eq!((done, seen.get()), (7, 1000));
        });
    }

    #[test]
    fn the_run_ends_before_its_time_and_says_how_far_it_came() {
        paused(async {
            let (began, time) = (Instant::now(), Duration::from_mins(15));
            let window = TimeWindow::within(Deadline::until(began + time));
            let mut failures = Failures::default();
            let things: Vec<usize> = (0..1000).collect();
            let done = run_batch(&things, &window, &mut failures, async |thing| {
                tokio::time::sleep(Duration::from_secs(10)).await;
                ItemOutcome::HandlerError(thing.to_string())
            })
            .await;
            assert_eq!(done, 4 * 81, "of 810 s");
            assert!(began.elapsed() + WRAP_UP < time);
            let told = failures.told().unwrap();
            assert!(told.ends_with("18; 19; and 304 more, which are in the log"), "{told}");
        });
    }
}
