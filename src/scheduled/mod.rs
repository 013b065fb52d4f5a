//! The scheduled run: objects of ours that change without a deployment go through the same algorithm as requests.
//!
//! A failure of one object does not keep the others from being processed. In the end it fails the invocation, so that an
//! alarm sees it and Lambda delivers the event again. The next run goes on where the time of this one was up.

mod batch;
mod checkpoint;
mod entries;
mod providers;
mod roles;

use std::collections::BTreeSet;

use crate::app::App;
use crate::aws::{CallError, Deadline, ErrorKind};
use crate::deployment::Deployment;
use crate::error::{Error, rendered};
use crate::metrics;
use batch::{Failures, ItemOutcome, TimeWindow};
use checkpoint::{Checkpoint, CheckpointStore, Phase};

/// The failure of a run that is not complete.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfinished(String);

/// Carries out a scheduled run.
pub(crate) async fn run(app: &App, deployment: &Deployment, deadline: Deadline) -> Result<(), Unfinished> {
    let store = CheckpointStore { secrets: &app.secrets, deadline };
    let (start, is_stored) = match store.read().await {
        Ok(checkpoint) => (checkpoint.clone(), checkpoint.is_some()),
        Err(error) => {
            let reason = rendered(&error);
            tracing::error!(reason, "how far the last run came cannot be read; this one begins at the beginning");
            // A checkpoint that cannot be parsed is deleted at the end, too.
            (None, error.kind == ErrorKind::Invalid)
        }
    };
    if let Some(start) = &start {
        tracing::info!(from = start.description(), "going on where the last run stopped");
    }
    let window = TimeWindow::within(deadline);
    let mut run = Run { app, deployment, window, failures: Failures::default(), repaired: BTreeSet::new() };
    let stopped = run.phases(start.as_ref()).await;
    let mut messages = Vec::new();
    if let Some(stopped) = &stopped {
        messages.push(stop(app, deployment, &store, stopped, is_stored).await);
    } else if is_stored && let Err(error) = store.delete().await {
        let reason = rendered(&error);
        tracing::error!(reason, "where this run began could not be forgotten; the next one begins there, too");
    }
    messages.extend(run.failures.message());
    if messages.is_empty() { Ok(()) } else { Err(Unfinished(messages.join("; "))) }
}

/// Stores the place at which a run stopped. Returns the message for the failure of the invocation.
async fn stop(
    app: &App,
    deployment: &Deployment,
    store: &CheckpointStore<'_>,
    stopped: &Checkpoint,
    is_stored: bool,
) -> String {
    metrics::count_of("StoppedRuns", 1, ("Region", &deployment.region), app.clock.now());
    let place = stopped.description();
    let next = match store.write(stopped, is_stored).await {
        Ok(()) => "the next one goes on from there".to_owned(),
        Err(error) => format!("the next one begins anew, because that could not be kept: {}", rendered(&error)),
    };
    tracing::error!(place, "the time was up before everything was seen to");
    format!("the scheduled run stopped {place}, because its time was up; {next}")
}

/// The state of a run.
struct Run<'a> {
    app: &'a App,
    deployment: &'a Deployment,
    window: TimeWindow,
    failures: Failures,
    /// The access entries that had a record of a recreation. They are processed first.
    repaired: BTreeSet<String>,
}

/// The key after which a phase stopped; `None` for a phase that is complete.
type Stopped = Option<Vec<String>>;

impl Run<'_> {
    /// Processes all phases from a checkpoint on. Returns the place at which it stopped.
    async fn phases(&mut self, start: Option<&Checkpoint>) -> Option<Checkpoint> {
        let beginning = Checkpoint { phase: Phase::Providers, after: Vec::new() };
        let start = start.unwrap_or(&beginning);
        // An entry that is deleted and not yet recreated lets nobody in, so that it comes first, wherever the run begins.
        if Box::pin(self.interrupted_entries()).await {
            return Some(start.clone());
        }
        for phase in [Phase::Providers, Phase::Entries, Phase::Roles] {
            let after = if phase == start.phase { start.after.as_slice() } else { &[] };
            let stopped = match phase {
                _ if phase < start.phase => None,
                Phase::Providers => Box::pin(self.providers(after)).await,
                Phase::Entries => Box::pin(self.entries(after)).await,
                Phase::Roles => Box::pin(self.roles(after)).await,
            };
            if let Some(after) = stopped {
                return Some(Checkpoint { phase, after });
            }
        }
        None
    }

    /// A list that cannot be read fails its phase. Near the end of the time, the run stops instead.
    fn unlisted(&mut self, list: &str, error: CallError, after: &[String]) -> Stopped {
        let failure = |reason: &str| {
            tracing::error!(what = list, reason, "a list was not given");
            format!("{list}: {reason}")
        };
        match ItemOutcome::failed(&self.window, &Error::from(error), failure) {
            ItemOutcome::NoTime => Some(after.to_vec()),
            ItemOutcome::Failed(failure) => {
                self.failures.add(failure);
                None
            }
            ItemOutcome::Done => None,
        }
    }
}

/// The place at which a batch stopped: after the last item that is done, or where it began.
fn stopped<T>(items: &[T], done: usize, start: &[String], key: impl Fn(&T) -> Vec<String>) -> Stopped {
    let last = done.checked_sub(1).and_then(|last| items.get(last));
    (done < items.len()).then(|| last.map_or_else(|| start.to_vec(), key))
}
