//! The rotation of thumbprints: providers follow the certificates of their issuers.

use super::batch::{ItemOutcome, run_batch};
use super::{Run, Stopped, stopped};
use crate::metrics;
use crate::ownership::Owner;
use crate::reconcile::{Progress, Reconciler};
use crate::request_origin::Origin;
use crate::resources::oidc_provider;

impl Run<'_> {
    pub(super) async fn providers(&mut self, after: &[String]) -> Stopped {
        let api = self.app.providers(self.deployment.clone(), self.window.work);
        let owner = Owner::schedule(&self.deployment.region);
        let mut providers = match api.list().await {
            Ok(providers) => providers,
            Err(error) => return self.unlisted("the list of providers", error, after),
        };
        providers.retain(|id| after.first().is_none_or(|after| id.to_string() > *after));
        let Self { app, deployment, window, failures, repaired: _ } = self;
        let done = run_batch(&providers, window, failures, async |id| {
            let progress = Progress::new(id.to_string());
            let (deadline, lag, began, origin) = (window.work, app.settings.iam_lag, app.clock.now(), &Origin::own());
            let reconciler = Reconciler {
                api: &api,
                owner: &owner,
                deployment,
                deadline,
                lag,
                origin,
                began,
                progress: &progress,
                former: None,
                adoption: None,
            };
            // Boxed, as in the handler: its type would be too deep for the compiler.
            let Err(error) = Box::pin(oidc_provider::keep(&reconciler, id)).await else { return ItemOutcome::Done };
            ItemOutcome::failed(window, &error, |reason| {
                tracing::error!(%id, reason, "the provider keeps the thumbprints that it has");
                metrics::count("FailedRotations", 1, id.issuer(), app.clock.now());
                format!("{id}: {reason}")
            })
        })
        .await;
        stopped(&providers, done, after, |id| vec![id.to_string()])
    }
}
