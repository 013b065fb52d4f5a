//! A batch of items: a few at a time, in an order in which the next run can go on.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;

use crate::aws::Deadline;
use crate::error::{Error, rendered};

/// The number of items at the same time. Four calls under way keep the throttles of IAM and EKS busy, whatever they are:
/// more would only be refused more often, and the account's stacks with them, because the throttles are the account's.
pub(super) const MAX_CONCURRENT_CALLS: usize = 4;
/// The time for storing the checkpoint, taken from the work; at most an eighth of all time.
const WRAP_UP: Duration = Duration::from_secs(30);
/// The time before the end of the work in which no item begins, so that those that have begun can end; at most an eighth of
/// all time. An entry is recreated within seconds, unless a service throttles or is out of order.
const ROOM: Duration = Duration::from_mins(1);
/// The failure of an item that met a defect.
pub(super) const PANICKED: &str = "a defect of github-trust, which its log shows beside this";
/// The number of failures that are named. All of them are in the log, and Lambda keeps little of an error's text.
const NAMED: usize = 20;

/// The time of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeWindow {
    /// The time after which no call of the work starts.
    pub(super) work: Deadline,
    /// The time after which no item begins.
    last_start: Instant,
    /// The time at which items that have not ended are dropped.
    cut: Instant,
}

impl TimeWindow {
    pub(super) fn within(deadline: Deadline) -> Self {
        let left = deadline.end().saturating_duration_since(Instant::now());
        let wrap_up = WRAP_UP.min(left / 8);
        let end = deadline.end() - wrap_up;
        Self { work: Deadline::until(end), last_start: end - ROOM.min(left / 8), cut: end + wrap_up * 2 / 3 }
    }

    /// Returns true if the run is about to end.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.last_start
    }
}

/// The result of one item.
#[derive(Debug)]
pub(super) enum ItemOutcome {
    Done,
    /// The description of a failure.
    Failed(String),
    /// The time was up; the next run processes the item.
    NoTime,
}

impl ItemOutcome {
    /// A failure; near the end of the time it counts as [`Self::NoTime`], because the item may have had too little of it.
    pub(super) fn failed(window: &TimeWindow, error: &Error, describe: impl FnOnce(&str) -> String) -> Self {
        if window.is_over() { Self::NoTime } else { Self::Failed(describe(&rendered(error))) }
    }
}

/// The failures of a run: some by name, and the number of the others.
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

    /// Describes all failures in one sentence.
    pub(super) fn message(self) -> Option<String> {
        let Self { mut named, more } = self;
        if more > 0 {
            named.push(format!("and {more} more, which are in the log"));
        }
        (!named.is_empty()).then(|| format!("the scheduled run failed for {}", named.join("; ")))
    }
}

/// Processes the items, a few at a time. Returns the number of items at the beginning that are done; of those behind them,
/// some may be done, too.
pub(super) async fn run_batch<T>(
    items: &[T],
    window: &TimeWindow,
    failures: &mut Failures,
    process: impl AsyncFn(&T) -> ItemOutcome,
) -> usize {
    let mut done = vec![false; items.len()];
    let process = &process;
    let calls = items.iter().enumerate().map(|(index, item)| async move {
        let outcome = if window.is_over() {
            ItemOutcome::NoTime
        } else {
            // A defect that one item meets keeps no other item from being processed.
            let outcome = AssertUnwindSafe(process(item)).catch_unwind().await;
            outcome.unwrap_or_else(|_panic| ItemOutcome::Failed(PANICKED.to_owned()))
        };
        (index, outcome)
    });
    let mut calls = pin!(stream::iter(calls).buffer_unordered(MAX_CONCURRENT_CALLS));
    while let Ok(Some((index, outcome))) = tokio::time::timeout_at(window.cut, calls.next()).await {
        match outcome {
            ItemOutcome::Done => done[index] = true,
            ItemOutcome::Failed(failure) => {
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
                ItemOutcome::Done
            })
            .await;
            assert_eq!((done, most.get()), (100, MAX_CONCURRENT_CALLS));
        });
    }

    #[test]
    fn what_takes_long_keeps_nobody_behind_it_and_the_next_run_begins_with_it() {
        paused(async {
            let window = TimeWindow::within(Deadline::until(Instant::now() + Duration::from_mins(15)));
            let outcome = Cell::new(0);
            let items: Vec<usize> = (0..1000).collect();
            let done = run_batch(&items, &window, &mut Failures::default(), async |item| {
                outcome.set(outcome.get() + 1);
                let takes = if *item == 7 { Duration::from_hours(1) } else { Duration::from_secs(1) };
                tokio::time::sleep(takes).await;
                ItemOutcome::Done
            })
            .await;
            assert_eq!((done, outcome.get()), (7, 1000));
        });
    }

    #[test]
    fn an_item_that_panics_is_a_failure_and_the_others_are_done() {
        paused(async {
            let window = TimeWindow::within(Deadline::until(Instant::now() + Duration::from_mins(15)));
            let (mut failures, processed) = (Failures::default(), Cell::new(0));
            let items: Vec<usize> = (0..20).collect();
            let done = run_batch(&items, &window, &mut failures, async |item| {
                assert_ne!(*item, 3, "a defect");
                processed.set(processed.get() + 1);
                ItemOutcome::Done
            })
            .await;
            assert_eq!((done, processed.get()), (20, 19));
            assert_eq!(failures.message().unwrap(), format!("the scheduled run failed for {PANICKED}"));
        });
    }

    #[test]
    fn the_run_ends_before_its_time_and_says_how_far_it_came() {
        paused(async {
            let (began, time) = (Instant::now(), Duration::from_mins(15));
            let window = TimeWindow::within(Deadline::until(began + time));
            let mut failures = Failures::default();
            let items: Vec<usize> = (0..1000).collect();
            let done = run_batch(&items, &window, &mut failures, async |item| {
                tokio::time::sleep(Duration::from_secs(10)).await;
                ItemOutcome::Failed(item.to_string())
            })
            .await;
            assert_eq!(done, 4 * 81, "of 810 s");
            assert!(began.elapsed() + WRAP_UP < time);
            let told = failures.message().unwrap();
            assert!(told.ends_with("18; 19; and 304 more, which are in the log"), "{told}");
        });
    }
}
