//! Histories in which authors want changes by hand to be repaired.

use serde_json::json;

use super::cloudformation::Template;
use super::expected_state::ROLE;
use super::plan::{ManualChange, Plan, Step};

impl Plan {
    /// The same history with roles that are repaired, for some seeds. Drawn apart, so that the rest of it is as before. The
    /// declaration of a role that somebody else deletes stays, so that nobody does that here.
    pub(crate) fn with_repairs(mut self) -> Self {
        let mut dice = fastrand::Rng::with_seed(self.seed ^ 0x0d21);
        let deletes =
            |step: &Step| matches!(step, Step::Someone(ManualChange::DeleteRole | ManualChange::RecreateRole));
        if dice.u32(0..100) < 60 || self.steps.iter().any(|(_, step)| deletes(step)) {
            return self;
        }
        for (_, step) in &mut self.steps {
            repair_some(step, &mut dice);
        }
        self
    }
}

fn repair_some(step: &mut Step, dice: &mut fastrand::Rng) {
    match step {
        Step::Create(_, template) | Step::Update(_, template) => repair_roles(template, dice),
        Step::Together(steps) => steps.iter_mut().for_each(|step| repair_some(step, dice)),
        _ => {}
    }
}

fn repair_roles(template: &mut Template, dice: &mut fastrand::Rng) {
    for declared in template.iter_mut().filter(|declared| declared.kind == ROLE) {
        match dice.u32(0..10) {
            0..6 => declared.properties["OnDrift"] = json!("Repair"),
            6 => declared.properties["OnDrift"] = json!("Report"),
            _ => {}
        }
    }
}
