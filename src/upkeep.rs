//! The schedule: everything of ours that changes without a deployment goes through the same algorithm. What fails does not
//! keep the rest from being done; then the invocation fails, so that an alarm sees it.

use std::sync::Arc;

use crate::access_entry::{self, Due, Kept, Survey};
use crate::error::{Error, rendered};
use crate::github_role;
use crate::handler::Function;
use crate::metrics;
use crate::oidc_provider::{self, OidcProviders};
use crate::owner::Owner;
use crate::reconcile::{Home, Progress, Task};
use crate::retry::Budget;

/// What could not be done.
#[derive(Debug, thiserror::Error)]
#[error("the scheduled run failed for {}", .0.join("; "))]
pub struct Unfinished(Vec<String>);

/// One scheduled run.
pub(crate) async fn run(function: &Function, home: &Home, budget: Budget) -> Result<(), Unfinished> {
    let mut failures = providers(function, home, budget).await;
    failures.extend(entries(function, home, budget).await);
    failures.extend(roles(function, home, budget).await);
    if failures.is_empty() { Ok(()) } else { Err(Unfinished(failures)) }
}

/// Roles are looked at, not changed: a trust policy changes when its stack is updated.
async fn roles(function: &Function, home: &Home, budget: Budget) -> Option<String> {
    match github_role::drift(&function.roles(home.clone(), budget)).await {
        Ok(drift) => {
            for drifted in &drift.found {
                metrics::count("DriftedRoles", 1, &drifted.issuer, function.clock.now());
            }
            None
        }
        Err(error) => {
            let reason = rendered(&Error::from(error));
            tracing::error!(reason, "the roles could not be compared with GitHub");
            Some(format!("the roles: {reason}"))
        }
    }
}

/// Entries whose roles were made again are made again, too.
async fn entries(function: &Function, home: &Home, budget: Budget) -> Vec<String> {
    let kind = function.entries(home.clone(), budget);
    let Survey { entries, due, failures: unseen } = match access_entry::survey(&kind).await {
        Ok(survey) => survey,
        Err(error) => {
            let reason = rendered(&Error::from(error));
            tracing::error!(reason, "the access entries could not be listed");
            return vec![format!("the list of access entries: {reason}")];
        }
    };
    tracing::info!(entries, due = due.len(), "compared the access entries with their roles");
    let told = |what: &str, reason: &str| {
        tracing::error!(what, reason, "an access entry was not seen to");
        format!("{what}: {reason}")
    };
    let mut failures: Vec<String> =
        unseen.into_iter().map(|(what, error)| told(&what, &rendered(&Error::from(error)))).collect();
    for Due { id, owner } in due {
        let progress = Progress::new(id.to_string());
        let lag = function.settings.iam_lag;
        let task = Task { kind: &kind, owner: &owner, home, budget, lag, progress: &progress, before: "" };
        match Box::pin(access_entry::keep(&task, &id)).await {
            Ok(Kept::Whole) => {}
            Ok(Kept::Gone) => tracing::info!(%id, "its cluster is gone, and what was remembered of it forgotten"),
            Err(error) => {
                metrics::count_of("FailedEntries", 1, ("Cluster", id.cluster()), function.clock.now());
                failures.push(told(&id.to_string(), &rendered(&error)));
            }
        }
    }
    failures
}

async fn providers(function: &Function, home: &Home, budget: Budget) -> Vec<String> {
    let now = function.clock.now();
    let kind = OidcProviders {
        iam: function.iam.clone(),
        budget,
        issuers: Arc::clone(&function.issuers),
        now,
        pace: function.settings.pace,
    };
    let owner = Owner::schedule(&home.region);
    let providers = match kind.list().await {
        Ok(providers) => providers,
        Err(error) => {
            let reason = rendered(&Error::from(error));
            tracing::error!(reason, "the providers could not be listed");
            return vec![format!("the list of providers: {reason}")];
        }
    };
    let mut failures = Vec::new();
    for id in providers {
        let progress = Progress::new(id.to_string());
        let lag = function.settings.iam_lag;
        let task = Task { kind: &kind, owner: &owner, home, budget, lag, progress: &progress, before: "" };
        // Boxed, as in the handler: its type would be too deep for the compiler.
        if let Err(error) = Box::pin(oidc_provider::keep(&task, &id)).await {
            let reason = rendered(&error);
            tracing::error!(%id, reason, "the provider keeps the thumbprints that it has");
            metrics::count("FailedRotations", 1, id.issuer(), now);
            failures.push(format!("{id}: {reason}"));
        }
    }
    failures
}
