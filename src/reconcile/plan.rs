//! A plan: actions as data.

/// Actions in stages. The actions of a stage are independent of each other; a stage ends before the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<A> {
    stages: Vec<Vec<A>>,
}

impl<A> Plan<A> {
    /// The plan without actions.
    #[must_use]
    pub fn nothing() -> Self {
        Self { stages: Vec::new() }
    }

    /// Appends a stage of actions in any order.
    #[must_use]
    pub fn then(mut self, actions: impl IntoIterator<Item = A>) -> Self {
        let stage: Vec<A> = actions.into_iter().collect();
        if !stage.is_empty() {
            self.stages.push(stage);
        }
        self
    }

    /// Appends the stages of another plan.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.stages.extend(other.stages);
        self
    }

    /// Returns true if there are no actions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The stages in order.
    #[must_use]
    pub fn stages(&self) -> &[Vec<A>] {
        &self.stages
    }

    /// The stages in order, for another plan.
    #[must_use]
    pub fn into_stages(self) -> Vec<Vec<A>> {
        self.stages
    }

    /// The actions in order.
    pub fn actions(&self) -> impl Iterator<Item = &A> {
        self.stages.iter().flatten()
    }
}
