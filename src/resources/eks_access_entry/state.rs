//! The observed state of an access entry: the entry itself, and the record of an entry that is being recreated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::PolicyScope;
use super::applied_record::ROLE_ID;
use crate::arn::Arn;
use crate::ownership::{PREFIX, Tags, found_tags};

/// The tag of an entry that is being recreated.
pub(super) const RESTORING: &str = "github-trust:restoring";
/// The value of that tag if another type is declared; otherwise the role was recreated.
pub(super) const TYPE_CHANGED: &str = "type";
/// The tag of an adopted entry.
pub(super) const ADOPTED: &str = "github-trust:adopted";

/// The content of an entry that has to survive its recreation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryContent {
    pub(crate) cluster: String,
    pub(crate) principal: String,
    #[serde(rename = "type")]
    pub(crate) entry_type: String,
    pub(crate) username: String,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) policies: BTreeMap<String, PolicyScope>,
    pub(crate) tags: Tags,
}

impl EntryContent {
    /// Returns true if the entry is being recreated.
    pub(super) fn is_marked(&self) -> bool {
        self.tags.contains_key(RESTORING)
    }

    pub(super) fn is_adopted(&self) -> bool {
        self.tags.contains_key(ADOPTED)
    }

    /// The same for an entry that our stack has made: there is no former state to give back.
    pub(super) fn of_ours_alone(mut self) -> Self {
        self.tags.retain(|key, _| key != ADOPTED && !found_tags::is_chunk(key));
        self
    }

    /// Returns true if no stack owns the entry.
    pub(super) fn is_adoptable(&self) -> bool {
        !self.tags.keys().any(|key| key.starts_with(PREFIX))
    }

    /// The role that the entry is bound to, as far as it was recorded: its id, and the digest of its maker.
    pub(super) fn role(&self) -> Option<String> {
        self.tags.get(ROLE_ID).cloned()
    }

    /// The unique id of that role.
    pub(super) fn role_id(&self) -> Option<&str> {
        self.tags.get(ROLE_ID)?.split(' ').next()
    }
}

/// Describes an entry.
pub(super) fn described_entry(content: &EntryContent) -> String {
    format!("the access entry of {} in cluster {}", content.principal, content.cluster)
}

/// An entry as EKS has it. The fields that only EKS can tell are `None` in a plan that has yet to create the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEntry {
    pub(crate) content: EntryContent,
    pub(crate) arn: Option<String>,
    /// In seconds since 1970.
    pub(crate) created: Option<i64>,
}

/// The record of an entry while it is recreated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecreationRecord {
    /// The content of the new entry.
    #[serde(flatten)]
    pub(crate) content: EntryContent,
    /// The record was read beside the old entry, and the old entry is deleted because of it. The deletion of an entry with an
    /// uncommitted record was decided by somebody else.
    pub(crate) committed: bool,
    /// The entry is recreated because another type is declared, and not because its role was recreated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) type_changed: bool,
    /// The process that recreates the entry.
    pub(crate) process: String,
}

/// The observed state: an entry, a record, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub(crate) entry: Option<ObservedEntry>,
    /// The record exists from before the old entry is deleted until the new one is complete.
    pub(crate) record: Option<RecreationRecord>,
}

impl Observed {
    /// Returns the state, unless there is neither entry nor record.
    pub(super) fn of(entry: Option<ObservedEntry>, record: Option<RecreationRecord>) -> Option<Self> {
        (entry.is_some() || record.is_some()).then_some(Self { entry, record })
    }

    /// The content of the entry, or of the record of one that is deleted to be made again.
    pub(super) fn content(&self) -> Option<&EntryContent> {
        let recorded = self.record.as_ref().map(|record| &record.content);
        self.entry.as_ref().map(|entry| &entry.content).or(recorded)
    }
}

/// The username that EKS gives an entry without one.
/// <https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html>
pub(super) fn default_username(principal: &str) -> String {
    let session = |arn: Arn<'_>| {
        let (Arn { partition, account, .. }, name) = (arn, arn.role_name()?);
        Some(format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"))
    };
    Arn::parse(principal).and_then(session).unwrap_or_else(|| principal.to_owned())
}
