//! The repair of access entries: an entry whose role was recreated is recreated, and an interrupted recreation is
//! completed.

use std::cell::{Cell, RefCell};

use super::batch::{ItemOutcome, TimeWindow, run_batch};
use super::{Run, Stopped, stopped};
use crate::app::App;
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::error::{Error, Refusal};
use crate::guardrails::Guardrails;
use crate::metrics;
use crate::ownership::Owner;
use crate::reconcile::{AdoptionCheck, Progress, Reconciler};
use crate::request_origin::Origin;
use crate::resources::eks_access_entry::{
    self as access_entry, AccessEntries, EntryCheck, EntryId, NeedsRepair, RecordedEntry, Roles, ScheduledOutcome,
};

impl Run<'_> {
    /// Processes the entries that have a record of a recreation. Returns true if the time was up before all were done.
    pub(super) async fn interrupted_entries(&mut self) -> bool {
        let api = self.app.entries(self.deployment.clone(), self.window.work);
        let names = match access_entry::record_names(&api).await {
            Ok(names) => names,
            Err(error) => {
                return self.unlisted("the list of what is remembered of access entries", error, &[]).is_some();
            }
        };
        let Self { app, deployment, window, failures, repaired } = self;
        let repaired = RefCell::new(repaired);
        let done =
            run_batch(&names, window, failures, async |name| match access_entry::recorded_entry(&api, name).await {
                Ok(Some(RecordedEntry { id, owner })) => {
                    repaired.borrow_mut().insert(id.to_string());
                    let Some(owner) = owner else { return ItemOutcome::Done };
                    repair(app, deployment, window, &api, &NeedsRepair { id, owner }).await
                }
                Ok(None) => ItemOutcome::Done,
                Err(error) => ItemOutcome::failed(window, &error.into(), |reason| {
                    tracing::error!(name, reason, "what is remembered of an access entry could not be read");
                    format!("{name}: {reason}")
                }),
            })
            .await;
        done < names.len()
    }

    /// Compares the entries of all clusters with their roles.
    pub(super) async fn entries(&mut self, after: &[String]) -> Stopped {
        let api = self.app.entries(self.deployment.clone(), self.window.work);
        let roles = match access_entry::roles(&api).await {
            Ok(roles) => roles,
            Err(error) => return self.unlisted("the list of roles", error, after),
        };
        let mut clusters = match access_entry::clusters(&api).await {
            Ok(clusters) => clusters,
            Err(error) => return self.unlisted("the list of clusters", error, after),
        };
        clusters.retain(|cluster| after.first().is_none_or(|after| cluster >= after));
        let counts = Counts { ours: Cell::new(self.repaired.len()), repaired: Cell::new(self.repaired.len()) };
        let mut reached = after.to_vec();
        for cluster in &clusters {
            let mut ids = match access_entry::entries(&api, cluster, &roles).await {
                Ok(ids) => ids,
                Err(error) => {
                    let list = format!("the access entries of cluster {cluster}");
                    match self.unlisted(&list, error, &reached) {
                        Some(stopped) => return Some(stopped),
                        None => continue,
                    }
                }
            };
            let is_done =
                |id: &EntryId| matches!(after, [of, after] if of == cluster && id.principal() <= after.as_str());
            ids.retain(|id| !is_done(id) && !self.repaired.contains(&id.to_string()));
            let done = self.entries_of_cluster(&api, &ids, &roles, &counts).await;
            let key = |id: &EntryId| vec![id.cluster().to_owned(), id.principal().to_owned()];
            if let Some(stopped) = stopped(&ids, done, &reached, key) {
                return Some(stopped);
            }
            reached = ids.last().map_or(reached, key);
        }
        let Counts { ours, repaired } = counts;
        tracing::info!(entries = ours.get(), due = repaired.get(), "compared the access entries with their roles");
        None
    }

    async fn entries_of_cluster(
        &mut self,
        api: &AccessEntries,
        ids: &[EntryId],
        roles: &Roles,
        counts: &Counts,
    ) -> usize {
        let Self { app, deployment, window, failures, repaired: _ } = self;
        let add = |count: &Cell<usize>| count.set(count.get() + 1);
        run_batch(ids, window, failures, async |id| match access_entry::check_entry(api, id, roles).await {
            Ok(EntryCheck::Foreign) => ItemOutcome::Done,
            Ok(EntryCheck::Healthy) => {
                add(&counts.ours);
                ItemOutcome::Done
            }
            Ok(EntryCheck::NeedsRepair(entry)) => {
                add(&counts.ours);
                add(&counts.repaired);
                repair(app, deployment, window, api, &entry).await
            }
            Err(error) => ItemOutcome::failed(window, &error.into(), |reason| failure(id, reason)),
        })
        .await
    }
}

/// The entries of ours that a run has compared.
struct Counts {
    ours: Cell<usize>,
    repaired: Cell<usize>,
}

/// Recreates one entry if it needs that.
async fn repair(
    app: &App,
    deployment: &Deployment,
    window: &TimeWindow,
    api: &AccessEntries,
    entry: &NeedsRepair,
) -> ItemOutcome {
    let NeedsRepair { id, owner } = entry;
    let progress = Progress::new(id.to_string());
    let (deadline, lag, began, origin) = (window.work, app.settings.iam_lag, app.clock.now(), &Origin::own());
    let guardrails = app.settings.guardrails.at(began, owner.logical_id());
    let stack = match permitted(&guardrails, owner, deployment) {
        Ok(stack) => stack,
        Err(error) => return not_repaired(app, window, id, &error),
    };
    // Guardrails may have become stricter, and somebody who may write secrets can have written the record.
    let adoption = Some(AdoptionCheck { guardrails: &guardrails, stack: &stack, deployment });
    let reconciler = Reconciler {
        api,
        owner,
        deployment,
        deadline,
        lag,
        origin,
        former: None,
        began,
        progress: &progress,
        adoption,
    };
    match Box::pin(access_entry::reconcile_scheduled(&reconciler, id)).await {
        Ok(ScheduledOutcome::Healthy) => ItemOutcome::Done,
        Ok(ScheduledOutcome::ClusterDeleted) => {
            tracing::info!(%id, "its cluster is gone, and what was remembered of it forgotten");
            ItemOutcome::Done
        }
        Err(error) => not_repaired(app, window, id, &error),
    }
}

/// The stack of an owner, if the deployment serves its account.
fn permitted(guardrails: &Guardrails, owner: &Owner, deployment: &Deployment) -> Result<StackId, Error> {
    let stack = StackId::parse(owner.stack_id()).map_err(|_| Refusal::PreconditionFailed {
        what: format!("the tag `github-trust:stack-id` of the entry is no stack ({})", owner.stack_id()),
        remedy: "Remove the tag, or the entry".to_owned(),
    })?;
    guardrails.check_account(stack.account(), deployment)?;
    Ok(stack)
}

fn not_repaired(app: &App, window: &TimeWindow, id: &EntryId, error: &Error) -> ItemOutcome {
    ItemOutcome::failed(window, error, |reason| {
        metrics::count_of("FailedEntries", 1, ("Cluster", id.cluster()), app.clock.now());
        failure(id, reason)
    })
}

fn failure(id: &EntryId, reason: &str) -> String {
    tracing::error!(what = %id, reason, "an access entry was not seen to");
    format!("{id}: {reason}")
}
