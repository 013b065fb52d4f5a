//! The progress of a request, kept where a dropped or panicked reconciliation leaves it behind: the response to a failed
//! request has to name the object.

use std::cell::RefCell;
use std::fmt;

/// The id for the response to a failure, and the part of the plan that is applied.
#[derive(Debug)]
pub struct Progress {
    initial: String,
    physical_id: RefCell<String>,
    partial: RefCell<Option<String>>,
}

impl Progress {
    /// The progress of a request that has created nothing yet. A failure is answered with this id.
    #[must_use]
    pub fn new(initial: String) -> Self {
        Self { physical_id: RefCell::new(initial.clone()), initial, partial: RefCell::new(None) }
    }

    /// The id for the response to a failure.
    #[must_use]
    pub fn physical_id(&self) -> String {
        self.physical_id.borrow().clone()
    }

    /// Appends the partial result to the reason of a failure.
    #[must_use]
    pub fn failure_reason(&self, reason: &str) -> String {
        match self.partial.borrow().as_deref() {
            Some(partial) => format!("{reason}; {partial}"),
            None => reason.to_owned(),
        }
    }

    /// Records that an object may exist under this id.
    pub(super) fn set(&self, physical_id: impl fmt::Display) {
        *self.physical_id.borrow_mut() = physical_id.to_string();
    }

    /// Records that this request has created nothing.
    pub(super) fn reset(&self) {
        self.set(&self.initial);
    }

    pub(super) fn set_partial(&self, partial: Option<String>) {
        *self.partial.borrow_mut() = partial;
    }
}
