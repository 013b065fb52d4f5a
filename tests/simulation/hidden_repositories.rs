//! Histories in which GitHub shows repositories only to a credential.

use super::changed_names::{AtGitHub, REPOSITORIES};
use super::plan::{Plan, Step};

impl Plan {
    /// The same history with repositories that are hidden for a while, for some seeds. Drawn apart, so that the rest of it is
    /// as before.
    pub(crate) fn with_hidden_repositories(mut self) -> Self {
        let mut dice = fastrand::Rng::with_seed(self.seed ^ 0x41dd);
        if dice.u32(0..100) < 60 {
            return self;
        }
        let mut steps = Vec::new();
        for (number, step) in std::mem::take(&mut self.steps) {
            if dice.u32(0..100) < 25 {
                let change = AtGitHub::Hide(REPOSITORIES[dice.usize(0..2)]);
                steps.push((4000 + steps.len() as u64, Step::AtGitHub(change)));
            }
            steps.push((number, step));
        }
        self.steps = steps;
        self.must_not_stick |= self.must_succeed;
        self.must_succeed = false;
        self
    }
}
