//! The order in which the tags of an object change.

use std::collections::BTreeSet;

use super::owner::{Tags, authored};

/// The changes of an object's tags around all other changes. New items are recorded first, and old ones forgotten last,
/// so that an interruption leaves no item without an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChanges {
    /// To remove before everything else: the same keys in another case, and where old and new ones do not fit together, all
    /// that go anyway.
    pub room: BTreeSet<String>,
    /// To set before everything else.
    pub first: Tags,
    /// To remove after everything else.
    pub remove: BTreeSet<String>,
    /// To set when all that is done, because until then the record has to name what is removed.
    pub last: Tags,
    /// To remove at the very end: records of nothing.
    pub forget: BTreeSet<String>,
}

/// The comparison of tag keys by a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCase {
    /// Keys that differ in case only are one key. To write one of them removes the other, and to remove one removes both.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>
    Ignored,
    /// Keys that differ in case only are two keys.
    Kept,
}

/// The number of tags that IAM and EKS allow for one object, AWS's own not counted.
pub const TAG_QUOTA: usize = 50;

impl TagChanges {
    /// `wanted` are the author's tags; `between` and `after` the records to keep during and after the change; `ours` tells
    /// which of the author's tags we set earlier.
    pub fn new(
        wanted: &Tags,
        between: &Tags,
        after: &Tags,
        ours: impl Fn(&str) -> bool,
        observed: &Tags,
        case: KeyCase,
    ) -> Self {
        let mut first: Tags = wanted.iter().chain(between).map(|(key, value)| (key.clone(), value.clone())).collect();
        first.retain(|key, value| observed.get(key) != Some(value));
        let mut last = after.clone();
        last.retain(|key, value| between.get(key) != Some(value));
        let absent = || authored(observed).map(|(key, _)| key).filter(|key| !wanted.contains_key(*key));
        let mut room: BTreeSet<String> = match case {
            KeyCase::Ignored => absent().filter(|key| twin(wanted, key).is_some()).cloned().collect(),
            KeyCase::Kept => BTreeSet::new(),
        };
        let mut remove: BTreeSet<String> = absent().filter(|key| ours(key) && !room.contains(*key)).cloned().collect();
        let counted = observed.keys().filter(|key| !key.starts_with("aws:") && !room.contains(*key));
        if counted.chain(first.keys()).collect::<BTreeSet<_>>().len() > TAG_QUOTA {
            room.append(&mut remove);
        }
        let mut forget: BTreeSet<String> = between.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
        if last.is_empty() {
            remove.append(&mut forget);
        }
        Self { room, first, remove, last, forget }
    }
}

/// Returns the author's tags to remove before a claim is written: none if there is room for both, and otherwise those that go
/// anyway.
pub fn room_for(claim: &Tags, observed: &Tags, goes: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let counted = observed.keys().filter(|key| !key.starts_with("aws:")).chain(claim.keys());
    if counted.collect::<BTreeSet<_>>().len() <= TAG_QUOTA {
        return BTreeSet::new();
    }
    authored(observed).map(|(key, _)| key).filter(|key| goes(key)).cloned().collect()
}

/// Returns the tag whose key differs from this one in its case only.
#[must_use]
pub fn twin<'a>(tags: &'a Tags, key: &str) -> Option<(&'a String, &'a String)> {
    tags.iter().find(|(other, _)| *other != key && other.to_lowercase() == key.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(keys: impl IntoIterator<Item = impl ToString>) -> Tags {
        keys.into_iter().map(|key| (key.to_string(), "v".to_owned())).collect()
    }

    /// The tags after these changes, and the most of them at any time.
    fn carried_out(changes: &TagChanges, observed: &Tags, case: KeyCase) -> (Tags, usize) {
        let mut now = observed.clone();
        let mut most = 0;
        let fold = |key: &str| if case == KeyCase::Ignored { key.to_lowercase() } else { key.to_owned() };
        let TagChanges { room, first, remove, last, forget } = changes;
        for (gone, set) in [(room, first), (remove, last), (forget, &Tags::new())] {
            now.retain(|key, _| !gone.iter().any(|gone| fold(gone) == fold(key)));
            for (key, value) in set {
                now.retain(|other, _| fold(other) != fold(key));
                now.insert(key.clone(), value.clone());
            }
            most = most.max(now.len());
        }
        (now, most)
    }

    #[test]
    fn a_tag_whose_key_changes_its_case_only_is_there_afterwards() {
        let (old, new) = (tags(["Owner"]), tags(["owner"]));
        for case in [KeyCase::Ignored, KeyCase::Kept] {
            let changes = TagChanges::new(&new, &Tags::new(), &Tags::new(), |key| key == "Owner", &old, case);
            assert_eq!(carried_out(&changes, &old, case).0, new, "{case:?}: {changes:?}");
        }
    }

    #[test]
    fn tags_that_fit_before_and_after_fit_at_every_moment() {
        for (old, new, others) in [(0..43, 43..86, 0), (0..20, 20..40, 25), (0..20, 20..40, 5)] {
            let wanted = tags(new);
            let mut observed = tags(old);
            let ours = observed.clone();
            observed.extend(tags((0..others).map(|index| format!("other-{index}"))));
            let is_ours = |key: &str| ours.contains_key(key);
            let changes = TagChanges::new(&wanted, &Tags::new(), &Tags::new(), is_ours, &observed, KeyCase::Ignored);
            let (end, most) = carried_out(&changes, &observed, KeyCase::Ignored);
            assert_eq!(end.len(), wanted.len() + others);
            assert!(most <= TAG_QUOTA, "{most} at once");
            // Where both fit together, nothing is missing for a moment.
            assert_eq!(changes.room.is_empty(), observed.len() + wanted.len() <= TAG_QUOTA);
        }
    }
}
