//! The state of an entry before its adoption, as far as the declaration touches it, in the entry's tags.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::applied_record::AppliedRecord;
use super::{EntryContent, PolicyScope, Spec};
use crate::ownership::{Tags, found_tags};

/// The parts of an entry before we changed them. A part that is absent was never declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FormerEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<BTreeMap<String, PolicyScope>>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

impl FormerEntry {
    /// The same with the parts that a declaration names for the first time.
    pub(super) fn beside(mut self, spec: &Spec, content: &EntryContent) -> Self {
        let before = AppliedRecord::read(&content.tags);
        if spec.username.is_some() && !before.username {
            self.username.get_or_insert_with(|| content.username.clone());
        }
        if spec.groups.is_some() {
            self.groups.get_or_insert_with(|| content.groups.clone());
        }
        if spec.policies.is_some() {
            self.policies.get_or_insert_with(|| content.policies.clone());
        }
        let tags = content.tags.iter().filter(|(key, _)| spec.tags.contains_key(*key) && !before.tags.contains(key));
        for (key, value) in tags {
            self.tags.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self
    }

    /// The content that an adopted entry is given back with. What others added since stays.
    pub(super) fn content(&self, now: &EntryContent) -> EntryContent {
        let before = AppliedRecord::read(&now.tags);
        let mut content = now.clone();
        content.tags.retain(|key, _| !before.tags.contains(key));
        content.tags.extend(self.tags.clone());
        if let Some(username) = &self.username {
            content.username.clone_from(username);
        }
        if let Some(groups) = &self.groups {
            content.groups.retain(|group| !before.groups.contains(group));
            content.groups.extend(groups.iter().cloned());
        }
        if let Some(policies) = &self.policies {
            content.policies.retain(|policy, _| !before.policies.contains(policy));
            content.policies.extend(policies.clone());
        }
        content
    }

    pub(super) fn write(&self) -> Tags {
        found_tags::write(self)
    }

    pub(super) fn read(tags: &Tags) -> Option<Self> {
        found_tags::read(tags)
    }
}
