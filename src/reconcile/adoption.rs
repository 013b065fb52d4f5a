//! The guardrails of an adoption, of a take-over and of an object that is made again: it comes with parts that no declaration
//! names.

use super::plan::Plan;
use super::resource::Planner;
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::error::Refusal;
use crate::guardrails::{GuardrailCheck, Guardrails};
use crate::ownership::Takeover;

/// The permissions that hold for the objects that a stack adopts, takes over or makes again.
#[derive(Clone, Copy, Debug)]
pub struct AdoptionCheck<'a> {
    /// The permissions of the deployment.
    pub guardrails: &'a Guardrails,
    /// The stack.
    pub stack: &'a StackId,
    /// The place of the function.
    pub deployment: &'a Deployment,
}

impl AdoptionCheck<'_> {
    /// Refuses a plan that leads to an object with parts of others that the deployment forbids.
    pub(super) fn check<R: Planner>(
        &self,
        plan: &Plan<R::Action>,
        observed: Option<&R::Observed>,
    ) -> Result<(), Refusal> {
        let takeover = plan.actions().find_map(R::takes_over);
        if takeover == Some(Takeover::Others) {
            self.guardrails.check(&[GuardrailCheck::TakeOver(R::NOUN)], self.stack, self.deployment)?;
        }
        if takeover.is_none() && !plan.actions().any(R::adopts) {
            return Ok(());
        }
        let step = |state, action| R::step(state, action, R::ApplyOutput::default());
        let end = plan.actions().fold(observed.cloned(), step);
        let held = end.as_ref().map(R::held).unwrap_or_default();
        let forbidden = self.guardrails.forbidden(&held, self.stack, self.deployment);
        if forbidden.is_empty() {
            return Ok(());
        }
        let what = format!(
            "the {} that is to be adopted, taken over or made again would keep what this deployment forbids, and is left as \
             it is: {}; take that away first, or make a new one",
            R::NOUN,
            forbidden.join("; ")
        );
        Err(self.guardrails.refusal(&what, self.deployment))
    }
}
