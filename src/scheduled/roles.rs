//! The comparison of roles with their declarations and with GitHub. It changes no role but one that somebody changed by hand and
//! whose stack wants it to be repaired.

use super::batch::{ItemOutcome, run_batch};
use super::{Run, Stopped, stopped};
use crate::metrics;
use crate::resources::github_role::{Comparison, Counts, Repairs};

impl Run<'_> {
    pub(super) async fn roles(&mut self, after: &[String]) -> Stopped {
        let app = self.app;
        let api = app.roles(self.deployment.clone(), self.window.work);
        let once = app.roles(self.deployment.clone(), self.window.work.once());
        let comparison = Comparison::new(&api, Repairs { once: &once, guardrails: &app.settings.guardrails });
        let mut names = match comparison.candidates().await {
            Ok(names) => names,
            Err(error) => return self.unlisted("the list of roles", error, after),
        };
        names.retain(|name| after.first().is_none_or(|after| name > after));
        let Self { app: _, deployment, window, failures, repaired: _ } = self;
        let done = run_batch(&names, window, failures, async |name| match comparison.compare(name).await {
            Ok(role) if role.unknown > 0 && window.is_over() => ItemOutcome::NoTime,
            Ok(role) => {
                for drifted in &role.drifted {
                    metrics::count("DriftedRoles", 1, &drifted.issuer, app.clock.now());
                }
                if role.is_changed {
                    metrics::count_of("DriftedRoles", 1, ("Region", &deployment.region), app.clock.now());
                }
                if role.is_repaired {
                    metrics::count_of("RepairedRoles", 1, ("Region", &deployment.region), app.clock.now());
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
        let Counts { roles, drifted, unknown, changed, repaired } = comparison.counts();
        tracing::info!(
            roles,
            drifted,
            unknown,
            changed,
            repaired,
            "compared the roles with their stacks and with GitHub"
        );
        stopped(&names, done, after, |name| vec![name.clone()])
    }
}
