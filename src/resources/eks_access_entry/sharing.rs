//! The [`Sharing`] of an entry that is being recreated: one process recreates it at a time. The others wait for it, or take
//! over from a process that has died.

use super::action::Action;
use super::state::{Observed, RecreationRecord};
use super::{AccessEntries, Desired};
use crate::ownership::Owner;
use crate::reconcile::{PendingOperation, Plan, Sharing};

/// The protocol of the recreation of an entry.
#[derive(Debug)]
pub enum RecreatedEntry {}

impl Sharing<AccessEntries> for RecreatedEntry {
    /// Returns true for the deletion of an entry or of its record: another process may have recreated the entry meanwhile.
    fn verify_after_apply(plan: &Plan<Action>) -> bool {
        plan.stages()
            .iter()
            .flatten()
            .any(|action| matches!(action, Action::DeleteRecord | Action::Delete { stale: false }))
    }

    /// Returns true before the record is committed and before the mark is removed: both need entry and record to be there.
    fn needs_recheck(action: &Action) -> bool {
        match action {
            Action::SaveRecord { record, exists: _ } => record.committed,
            action => matches!(action, Action::Unmark { .. }),
        }
    }

    /// Returns the recreation by another process, with the record that takes it over.
    fn pending_operation(
        _: &Owner,
        desired: Option<&Desired>,
        observed: &Observed,
    ) -> Option<PendingOperation<Action>> {
        let (desired, record) = desired.zip(observed.record.as_ref())?;
        let taken_over = RecreationRecord { process: desired.process.clone(), ..record.clone() };
        (record.process != desired.process).then(|| PendingOperation {
            nonce: format!("{}{}", record.process, record.committed),
            by_us: false,
            doing: "making again",
            retract: Action::SaveRecord { record: Box::new(taken_over), exists: true },
        })
    }
}
