//! An entry is recreated by one process at a time: the protocol for waiting for it, and for taking over.

use super::AccessEntries;
use super::Action;
use super::Desired;
use super::Observed;
use super::RecreationRecord;
use crate::ownership::Owner;
use crate::reconcile::PendingOperation;
use crate::reconcile::Plan;
use crate::reconcile::Sharing;

/// See the module.
#[derive(Debug)]
pub enum RecreatedEntry {}

impl Sharing<AccessEntries> for RecreatedEntry {
    /// Whoever deletes an entry, or forgets one that is being made again, looks whether it has come back meanwhile.
    fn verify_after_apply(plan: &Plan<Action>) -> bool {
        plan.stages()
            .iter()
            .flatten()
            .any(|action| matches!(action, Action::DeleteRecord | Action::Delete { stale: false }))
    }

    /// Before what is remembered counts, and before the new entry is said to be whole, is looked whether both are there.
    fn needs_recheck(action: &Action) -> bool {
        match action {
            Action::SaveRecord { memory, known: _ } => memory.taken_down,
            action => matches!(action, Action::Unmark { .. }),
        }
    }

    /// Another process is making it again; that can be taken over once it has outlived its author.
    fn pending_operation(
        _: &Owner,
        desired: Option<&Desired>,
        observed: &Observed,
    ) -> Option<PendingOperation<Action>> {
        let (desired, memory) = desired.zip(observed.memory.as_ref())?;
        let taken_over = RecreationRecord { by: desired.process.clone(), ..memory.clone() };
        (memory.by != desired.process).then(|| PendingOperation {
            nonce: format!("{}{}", memory.by, memory.taken_down),
            by_us: false,
            doing: "making again",
            retract: Action::SaveRecord { memory: Box::new(taken_over), known: true },
        })
    }
}
