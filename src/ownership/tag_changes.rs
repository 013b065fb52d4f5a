//! The order in which the tags of an object change.

use std::collections::BTreeSet;

use super::owner::{Tags, authored};

/// The changes of an object's tags around all other changes. New items are recorded first, and old ones forgotten last,
/// so that an interruption leaves no item without an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChanges {
    /// To set before everything else.
    pub first: Tags,
    /// To remove after everything else.
    pub remove: BTreeSet<String>,
    /// To set when all that is done, because until then the record has to name what is removed.
    pub last: Tags,
    /// To remove at the very end: records of nothing.
    pub forget: BTreeSet<String>,
}

impl TagChanges {
    /// `wanted` are the author's tags; `between` and `after` the records to keep during and after the change; `ours` tells
    /// which of the author's tags we set earlier.
    pub fn new(wanted: &Tags, between: &Tags, after: &Tags, ours: impl Fn(&str) -> bool, observed: &Tags) -> Self {
        let mut first: Tags = wanted.iter().chain(between).map(|(key, value)| (key.clone(), value.clone())).collect();
        first.retain(|key, value| observed.get(key) != Some(value));
        let mut last = after.clone();
        last.retain(|key, value| between.get(key) != Some(value));
        let superfluous = authored(observed).map(|(key, _)| key).filter(|key| ours(key) && !wanted.contains_key(*key));
        let mut remove: BTreeSet<String> = superfluous.cloned().collect();
        let mut forget: BTreeSet<String> = between.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
        if last.is_empty() {
            remove.append(&mut forget);
        }
        Self { first, remove, last, forget }
    }
}
