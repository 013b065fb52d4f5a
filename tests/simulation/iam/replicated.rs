//! Eventual consistency: a change is done at once for its author, and later for readers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

#[derive(Clone, Debug)]
struct Version<T> {
    visible: SystemTime,
    value: Option<Arc<T>>,
}

/// Objects by key, each with the versions that readers may still be shown.
#[derive(Clone, Debug)]
pub(crate) struct Replicated<T> {
    objects: BTreeMap<String, VecDeque<Version<T>>>,
    revision: u64,
}

impl<T> Default for Replicated<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), revision: 0 }
    }
}

impl<T: Clone + PartialEq> Replicated<T> {
    /// The present state, which readers may not see yet.
    pub(crate) fn primary(&self, key: &str) -> Option<&Arc<T>> {
        self.objects.get(key)?.back()?.value.as_ref()
    }

    /// What a reader is shown.
    pub(crate) fn replica(&self, key: &str, now: SystemTime) -> Option<&Arc<T>> {
        let versions = self.objects.get(key)?;
        versions.iter().rev().find(|version| version.visible <= now)?.value.as_ref()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Arc<T>)> {
        self.objects.keys().filter_map(|key| Some((key.as_str(), self.primary(key)?)))
    }

    pub(crate) fn all_replicas(&self, now: SystemTime) -> impl Iterator<Item = &Arc<T>> {
        self.objects.keys().filter_map(move |key| self.replica(key, now))
    }

    /// Readers see versions in the order in which they were written, so none becomes visible before its predecessor.
    pub(crate) fn write(&mut self, key: &str, value: Option<T>, now: SystemTime, visible: SystemTime) {
        if self.primary(key).map(AsRef::as_ref) == value.as_ref() {
            return;
        }
        self.revision += 1;
        let versions = self.objects.entry(key.to_owned()).or_default();
        let visible = versions.back().map_or(visible, |last| last.visible.max(visible));
        // Of what everybody can see by now, only the newest can still be shown.
        while versions.len() > 1 && versions[1].visible <= now {
            versions.pop_front();
        }
        versions.push_back(Version { visible, value: value.map(Arc::new) });
    }

    /// Grows with every change that changed something.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_reader_sees_a_change_late_and_never_out_of_order() {
        let at = |second| UNIX_EPOCH + Duration::from_secs(second);
        let mut store = Replicated::default();
        store.write("a", Some(1), at(0), at(60));
        assert_eq!(store.primary("a").map(|a| **a), Some(1));
        assert_eq!(store.replica("a", at(59)), None);
        store.write("a", Some(2), at(10), at(11));
        assert_eq!(store.replica("a", at(59)), None, "not before its predecessor");
        assert_eq!(store.replica("a", at(60)).map(|a| **a), Some(2));
        store.write("a", None, at(70), at(100));
        assert_eq!(store.replica("a", at(99)).map(|a| **a), Some(2));
        assert_eq!(store.replica("a", at(100)), None);
        assert_eq!(store.revision(), 3);
        store.write("a", None, at(110), at(110));
        assert_eq!(store.revision(), 3, "nothing changed");
    }
}
