//! The comparison of roles with their declarations and with GitHub. It changes no role: a role changes when its stack is
//! updated.

use super::batch::{ItemOutcome, run_batch};
use super::{Run, Stopped, stopped};
use crate::metrics;
use crate::resources::github_role::{Comparison, Counts};

impl Run<'_> {
    pub(super) async fn roles(&mut self, after: &[String]) -> Stopped {
        let api = self.app.roles(self.deployment.clone(), self.window.work);
        let comparison = Comparison::new(&api);
        let mut names = match comparison.candidates().await {
            Ok(names) => names,
            Err(error) => return self.unlisted("the list of roles", error, after),
        };
        names.retain(|name| after.first().is_none_or(|after| name > after));
        let Self { app, deployment, window, failures, repaired: _ } = self;
        let done = run_batch(&names, window, failures, async |name| match comparison.compare(name).await {
            Ok(role) if role.unknown > 0 && window.is_over() => ItemOutcome::NoTime,
            Ok(role) => {
                for drifted in &role.drifted {
                    metrics::count("DriftedRoles", 1, &drifted.issuer, app.clock.now());
                }
                if role.is_changed {
                    metrics::count_of("DriftedRoles", 1, ("Region", &deployment.region), app.clock.now());
                }
                if let Some(issuer) = &role.unusable {
                    metrics::count("UnusableRoles", 1, issuer, app.clock.now());
                }
                ItemOutcome::Done
            }
            Err(error) => ItemOutcome::failed(window, &error.into(), |reason| {
                tracing::error!(name, reason, "a role could not be compared");
                format!("the role {name}: {reason}")
            }),
        })
        .await;
        let Counts { roles, drifted, unknown, changed } = comparison.counts();
        tracing::info!(roles, drifted, unknown, changed, "compared the roles with their stacks and with GitHub");
        stopped(&names, done, after, |name| vec![name.clone()])
    }
}
