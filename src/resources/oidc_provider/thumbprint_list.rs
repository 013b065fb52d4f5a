//! The list of a provider's thumbprints, pinned or rotated.

use std::collections::BTreeSet;

use super::action::Action;
use super::rotation::{LIMIT, RotationState, is_mark, rotate};
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
    /// The list of a provider whose owners all pin.
    pub(super) fn pinned(list: BTreeSet<String>) -> Self {
        Self { list, marks: Tags::new(), subjects: Vec::new() }
    }

    /// Follows the issuer's certificates, and adds the pins of some owners.
    pub(super) fn new(observed: &Observed, pins: &BTreeSet<String>, thumbprints: &Thumbprints, at_once: bool) -> Self {
        let verified: BTreeSet<String> = listed(observed).difference(pins).cloned().collect();
        let marks = RotationState::read(&observed.tags).without(pins);
        let room = LIMIT.saturating_sub(pins.len());
        let (verified, marks, subjects) = match thumbprints {
            Thumbprints::Observed(latest) if room > 0 => {
                let at_once = at_once || verified.is_empty();
                let (verified, marks) = rotate(&verified, &marks, &latest.without(pins), room, at_once);
                (verified, marks, latest.values.values().cloned().collect())
            }
            _ => (verified, marks, Vec::new()),
        };
        Self { list: pins.iter().chain(&verified).take(LIMIT).cloned().collect(), marks: marks.write(), subjects }
    }

    pub(super) fn change(&self, observed: &Observed) -> Option<Action> {
        (self.list != listed(observed)).then(|| Action::SetThumbprints {
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

/// Adds pins to the list as it is; none where all are there or IAM has no room for them.
pub(super) fn with_pins(observed: &Observed, pins: &BTreeSet<String>) -> Option<Action> {
    let list: BTreeSet<String> = listed(observed).union(pins).cloned().collect();
    (list.len() <= LIMIT).then(|| Listing::pinned(list).change(observed)).flatten()
}

/// Returns the thumbprints that IAM has.
pub(super) fn listed(observed: &Observed) -> BTreeSet<String> {
    observed.thumbprints.iter().map(|item| item.to_ascii_lowercase()).collect()
}
