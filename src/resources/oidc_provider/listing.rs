//! The list of a provider's thumbprints, pinned or rotated.

use std::collections::BTreeSet;

use super::action::Action;
use super::rotation::{RotationState, is_mark, rotate};
use super::{Observed, Thumbprints};
use crate::ownership::Tags;

/// The desired thumbprints of a provider of ours, and the marks of their rotation.
pub(super) struct Listing {
    list: BTreeSet<String>,
    marks: Tags,
    /// The subjects of the certificates.
    subjects: Vec<String>,
}

impl Listing {
    pub(super) fn pinned(list: BTreeSet<String>) -> Self {
        Self { list, marks: Tags::new(), subjects: Vec::new() }
    }

    /// As long as an owner pins, the list is the pinned one; otherwise it follows the issuer's certificates.
    pub(super) fn new(observed: &Observed, pins: BTreeSet<String>, thumbprints: &Thumbprints, at_once: bool) -> Self {
        let listed: BTreeSet<String> = observed.thumbprints.iter().map(|item| item.to_ascii_lowercase()).collect();
        if !pins.is_empty() {
            return Self::pinned(pins);
        }
        let marks = RotationState::read(&observed.tags);
        let Thumbprints::Observed(latest) = thumbprints else {
            return Self { list: listed, marks: marks.write(), subjects: Vec::new() };
        };
        let (list, marks) = rotate(&listed, &marks, latest, at_once);
        Self { list, marks: marks.write(), subjects: latest.values.values().cloned().collect() }
    }

    pub(super) fn change(&self, observed: &Observed) -> Option<Action> {
        let listed: BTreeSet<String> = observed.thumbprints.iter().map(|item| item.to_ascii_lowercase()).collect();
        (self.list != listed).then(|| Action::SetThumbprints {
            old: observed.thumbprints.clone(),
            new: self.list.iter().cloned().collect(),
            subjects: self.subjects.clone(),
        })
    }

    /// Returns the marks to set and the marks to remove; both after the list, so that an interruption forgets nothing.
    pub(super) fn tag_changes(&self, observed: &Observed) -> (Tags, BTreeSet<String>) {
        let set = self.marks.iter().filter(|(key, value)| observed.tags.get(*key) != Some(value));
        let gone = observed.tags.keys().filter(|key| is_mark(key) && !self.marks.contains_key(*key));
        (set.map(|(key, value)| (key.clone(), value.clone())).collect(), gone.cloned().collect())
    }
}
