//! What EKS has of an entry, and what is remembered of it while it is made again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::PolicyScope;
use crate::ownership::Tags;

/// All of an entry that has to come back when it is made again.
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

/// An entry as EKS has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEntry {
    pub(crate) content: EntryContent,
    pub(crate) arn: String,
    /// In seconds since 1970.
    pub(crate) created: i64,
}

/// What is remembered of an entry while it is made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecreationRecord {
    /// What it is to become.
    #[serde(flatten)]
    pub(crate) content: EntryContent,
    /// Whether its deletion was decided with this in mind. If not, and it is gone, somebody else has deleted it.
    pub(crate) taken_down: bool,
    /// Whether it is made again because another type was declared, and not because its role was made again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) retyped: bool,
    /// The process that is at it.
    pub(crate) by: String,
}

/// What there is under an id. One of both at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub(crate) entry: Option<ObservedEntry>,
    /// It is there from before the old one is deleted until the new one is whole.
    pub(crate) memory: Option<RecreationRecord>,
}

impl Observed {
    /// What there is, if anything.
    pub(super) fn of(entry: Option<ObservedEntry>, memory: Option<RecreationRecord>) -> Option<Self> {
        (entry.is_some() || memory.is_some()).then_some(Self { entry, memory })
    }
}
