//! The schedule: everything of ours that changes without a deployment goes through the same algorithm. What fails does not
//! keep the rest from being done; then the invocation fails, so that an alarm sees it, and so that Lambda delivers the
//! event again. What the time is not enough for the next run goes on with.

mod batch;
mod checkpoint;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::app::App;
use crate::aws::Deadline;
use crate::aws::{CallError, ErrorKind};
use crate::deployment::Deployment;
use crate::error::{Error, rendered};
use crate::metrics;
use crate::ownership::Owner;
use crate::reconcile::{Progress, Reconciler};
use crate::resources::eks_access_entry::{
    self as access_entry, AccessEntries, EntryCheck, EntryId, NeedsRepair, ScheduledOutcome,
};
use crate::resources::github_role;
use crate::resources::oidc_provider::{self};
use batch::{Failures, ItemOutcome, TimeWindow, run_batch};
use checkpoint::{Checkpoint, CheckpointStore, Phase};

/// What could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfinished(String);

/// One scheduled run.
pub(crate) async fn run(app: &App, deployment: &Deployment, deadline: Deadline) -> Result<(), Unfinished> {
    let cursors = CheckpointStore { secrets: &app.secrets, deadline };
    let mut known = false;
    let began = cursors.read().await.unwrap_or_else(|error| {
        let reason = rendered(&error);
        tracing::error!(reason, "how far the last run came cannot be read; this one begins at the beginning");
        // What is there and cannot be understood goes at the end, too.
        known = error.kind == ErrorKind::Invalid;
        None
    });
    known |= began.is_some();
    if let Some(began) = &began {
        tracing::info!(from = began.told(), "going on where the last run stopped");
    }
    let mut run = Run {
        app,
        deployment,
        window: TimeWindow::within(deadline),
        failures: Failures::default(),
        known: BTreeSet::new(),
    };
    let Some(stopped) = run.all(began.as_ref()).await else {
        if known && let Err(error) = cursors.forget().await {
            let reason = rendered(&error);
            tracing::error!(reason, "where this run began could not be forgotten; the next one begins there, too");
        }
        return run.failures.told().map_or(Ok(()), |told| Err(Unfinished(told)));
    };
    metrics::count_of("StoppedRuns", 1, ("Region", &deployment.region), app.clock.now());
    let place = stopped.told();
    let goes_on = match cursors.write(&stopped, known).await {
        Ok(()) => "the next one goes on from there".to_owned(),
        Err(error) => format!("the next one begins anew, because that could not be kept: {}", rendered(&error)),
    };
    let told = format!("the scheduled run stopped {place}, because its time was up; {goes_on}");
    tracing::error!(place, "the time was up before everything was seen to");
    Err(Unfinished(run.failures.told().map_or(told.clone(), |failures| format!("{told}; {failures}"))))
}

struct Run<'a> {
    app: &'a App,
    deployment: &'a Deployment,
    window: TimeWindow,
    failures: Failures,
    /// Entries that were remembered, and seen to first.
    known: BTreeSet<String>,
}

/// Where a part of the run stopped: after the key of what is done, or nowhere.
type Stopped = Option<Vec<String>>;

impl Run<'_> {
    /// From the cursor on. Gives where it stopped, if it did.
    async fn all(&mut self, began: Option<&Checkpoint>) -> Option<Checkpoint> {
        // What was taken down lets nobody in, so that it comes first, wherever the run begins.
        let is_stopped = Box::pin(self.remembered()).await;
        let beginning = Checkpoint { phase: Phase::Providers, after: Vec::new() };
        let began = began.unwrap_or(&beginning);
        if is_stopped {
            return Some(began.clone());
        }
        for phase in [Phase::Providers, Phase::Entries, Phase::Roles] {
            let after = if phase == began.phase { began.after.as_slice() } else { &[] };
            let stopped = match phase {
                _ if phase < began.phase => None,
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

    /// A list that is not given fails its part; for want of time, the run stops.
    fn unlisted(&mut self, what: &str, error: CallError, after: &[String]) -> Stopped {
        let told = |reason: &str| {
            tracing::error!(what, reason, "a list was not given");
            format!("{what}: {reason}")
        };
        match ItemOutcome::failed(&self.window, &Error::from(error), told) {
            ItemOutcome::NoTime => Some(after.to_vec()),
            ItemOutcome::HandlerError(failure) => {
                self.failures.add(failure);
                None
            }
            ItemOutcome::Reconciled => None,
        }
    }

    /// Whether the time was up before all entries that are being made again were seen to.
    async fn remembered(&mut self) -> bool {
        let kind = self.app.entries(self.deployment.clone(), self.window.work);
        let names = match access_entry::remembered(&kind).await {
            Ok(names) => names,
            Err(error) => {
                return self.unlisted("the list of what is remembered of access entries", error, &[]).is_some();
            }
        };
        let Self { app, deployment, window, failures, known } = self;
        let known = RefCell::new(known);
        let done = run_batch(&names, window, failures, async |name| match access_entry::recalled(&kind, name).await {
            Ok(Some((id, owner))) => {
                known.borrow_mut().insert(id.to_string());
                match owner {
                    Some(owner) => keep(app, deployment, window, &kind, &NeedsRepair { id, owner }).await,
                    None => ItemOutcome::Reconciled,
                }
            }
            Ok(None) => ItemOutcome::Reconciled,
            Err(error) => ItemOutcome::failed(window, &error.into(), |reason| {
                tracing::error!(name, reason, "what is remembered of an access entry could not be read");
                format!("{name}: {reason}")
            }),
        })
        .await;
        done < names.len()
    }

    /// Thumbprints follow the certificates of their issuers.
    async fn providers(&mut self, after: &[String]) -> Stopped {
        let now = self.app.clock.now();
        let kind = self.app.providers(self.window.work);
        let owner = Owner::schedule(&self.deployment.region);
        let mut providers = match kind.list().await {
            Ok(providers) => providers,
            Err(error) => return self.unlisted("the list of providers", error, after),
        };
        providers.retain(|id| after.first().is_none_or(|after| id.to_string() > *after));
        let Self { app, deployment, window, failures, known: _ } = self;
        let done = run_batch(&providers, window, failures, async |id| {
            let progress = Progress::new(id.to_string());
            let lag = app.settings.iam_lag;
            let (kind, owner, deadline) = (&kind, &owner, window.work);
            let reconciler = Reconciler { api: kind, owner, deployment, deadline, lag, progress: &progress };
            // Boxed, as in the handler: its type would be too deep for the compiler.
            let Err(error) = Box::pin(oidc_provider::keep(&reconciler, id)).await else {
                return ItemOutcome::Reconciled;
            };
            ItemOutcome::failed(window, &error, |reason| {
                tracing::error!(%id, reason, "the provider keeps the thumbprints that it has");
                metrics::count("FailedRotations", 1, id.issuer(), now);
                format!("{id}: {reason}")
            })
        })
        .await;
        stopped(&providers, done, after, |id| vec![id.to_string()])
    }

    /// Entries whose roles were made again are made again, too.
    async fn entries(&mut self, after: &[String]) -> Stopped {
        let kind = self.app.entries(self.deployment.clone(), self.window.work);
        let roles = match access_entry::roles(&kind).await {
            Ok(roles) => roles,
            Err(error) => return self.unlisted("the list of roles", error, after),
        };
        let mut clusters = match access_entry::clusters(&kind).await {
            Ok(clusters) => clusters,
            Err(error) => return self.unlisted("the list of clusters", error, after),
        };
        clusters.retain(|cluster| after.first().is_none_or(|after| cluster >= after));
        let (ours, due) = (Cell::new(self.known.len()), Cell::new(self.known.len()));
        let mut reached = after.to_vec();
        for cluster in &clusters {
            let mut ids = match access_entry::entries(&kind, cluster, &roles).await {
                Ok(ids) => ids,
                Err(error) => {
                    if let Some(stopped) =
                        self.unlisted(&format!("the access entries of cluster {cluster}"), error, &reached)
                    {
                        return Some(stopped);
                    }
                    continue;
                }
            };
            let is_done =
                |id: &EntryId| matches!(after, [of, after] if of == cluster && id.principal() <= after.as_str());
            ids.retain(|id| !is_done(id) && !self.known.contains(&id.to_string()));
            let Self { app, deployment, window, failures, known: _ } = self;
            let done =
                run_batch(&ids, window, failures, async |id| match access_entry::look(&kind, id, &roles).await {
                    Ok(EntryCheck::Foreign) => ItemOutcome::Reconciled,
                    Ok(EntryCheck::Healthy) => {
                        ours.set(ours.get() + 1);
                        ItemOutcome::Reconciled
                    }
                    Ok(EntryCheck::NeedsRepair(entry)) => {
                        ours.set(ours.get() + 1);
                        due.set(due.get() + 1);
                        keep(app, deployment, window, &kind, &entry).await
                    }
                    Err(error) => ItemOutcome::failed(window, &error.into(), |reason| unseen(id, reason)),
                })
                .await;
            let key = |id: &EntryId| vec![id.cluster().to_owned(), id.principal().to_owned()];
            if let Some(stopped) = stopped(&ids, done, &reached, key) {
                return Some(stopped);
            }
            reached = ids.last().map_or(reached, key);
        }
        tracing::info!(entries = ours.get(), due = due.get(), "compared the access entries with their roles");
        None
    }

    /// Roles are looked at, not changed: a trust policy changes when its stack is updated.
    async fn roles(&mut self, after: &[String]) -> Stopped {
        let kind = self.app.roles(self.deployment.clone(), self.window.work);
        let comparison = github_role::Comparison::new(&kind);
        let mut names = match comparison.candidates().await {
            Ok(names) => names,
            Err(error) => return self.unlisted("the list of roles", error, after),
        };
        names.retain(|name| after.first().is_none_or(|after| name > after));
        let Self { app, deployment: _, window, failures, known: _ } = self;
        let done = run_batch(&names, window, failures, async |name| match comparison.look(name).await {
            Ok(look) if look.unknown > 0 && window.is_over() => ItemOutcome::NoTime,
            Ok(look) => {
                for drifted in &look.drifted {
                    metrics::count("DriftedRoles", 1, &drifted.issuer, app.clock.now());
                }
                ItemOutcome::Reconciled
            }
            Err(error) => ItemOutcome::failed(window, &error.into(), |reason| {
                tracing::error!(name, reason, "a role could not be compared with GitHub");
                format!("the role {name}: {reason}")
            }),
        })
        .await;
        let github_role::Counts { roles, drifted, unknown } = comparison.counts();
        tracing::info!(roles, drifted, unknown, "compared with GitHub");
        stopped(&names, done, after, |name| vec![name.clone()])
    }
}

/// Where a walk stopped: nowhere, after what is done, or where it began.
fn stopped<T>(things: &[T], done: usize, began: &[String], key: impl Fn(&T) -> Vec<String>) -> Stopped {
    let last = done.checked_sub(1).and_then(|last| things.get(last));
    (done < things.len()).then(|| last.map_or_else(|| began.to_vec(), key))
}

/// Sees to one entry.
async fn keep(
    app: &App,
    deployment: &Deployment,
    window: &TimeWindow,
    kind: &AccessEntries,
    due: &NeedsRepair,
) -> ItemOutcome {
    let NeedsRepair { id, owner } = due;
    let progress = Progress::new(id.to_string());
    let (deadline, lag) = (window.work, app.settings.iam_lag);
    let reconciler = Reconciler { api: kind, owner, deployment, deadline, lag, progress: &progress };
    match Box::pin(access_entry::keep(&reconciler, id)).await {
        Ok(ScheduledOutcome::Healthy) => ItemOutcome::Reconciled,
        Ok(ScheduledOutcome::ClusterDeleted) => {
            tracing::info!(%id, "its cluster is gone, and what was remembered of it forgotten");
            ItemOutcome::Reconciled
        }
        Err(error) => ItemOutcome::failed(window, &error, |reason| {
            metrics::count_of("FailedEntries", 1, ("Cluster", id.cluster()), app.clock.now());
            unseen(id, reason)
        }),
    }
}

fn unseen(id: &EntryId, reason: &str) -> String {
    tracing::error!(what = %id, reason, "an access entry was not seen to");
    format!("{id}: {reason}")
}
