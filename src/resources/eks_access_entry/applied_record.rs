//! The items that we applied to an entry, recorded in its tags.

use crate::ownership::{AppliedItems, Tags};

use super::Spec;

/// The items that we applied to an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AppliedRecord {
    pub(super) groups: AppliedItems<8>,
    pub(super) policies: AppliedItems<8>,
    pub(super) tags: AppliedItems<5>,
    pub(super) username: bool,
    /// The role that the entry is bound to: its unique id, and the digest of its maker.
    pub(super) role: Option<String>,
}

pub(super) const ROLE_ID: &str = "github-trust:role-id";
/// The keys of the tags of a record.
const KEYS: [&str; 5] = [GROUPS, POLICIES, TAGS, USERNAME, ROLE_ID];
const GROUPS: &str = "github-trust:groups";
const POLICIES: &str = "github-trust:policies";
const TAGS: &str = "github-trust:tags";
const USERNAME: &str = "github-trust:username";

impl AppliedRecord {
    /// The record of a declaration, without the role.
    pub(super) fn of(spec: &Spec) -> Self {
        Self {
            role: None,
            groups: AppliedItems::of(spec.groups.iter().flatten().map(String::as_str)),
            policies: AppliedItems::of(spec.policies.iter().flatten().map(|(policy, _)| policy.as_str())),
            tags: AppliedItems::of(spec.tags.keys().map(String::as_str)),
            username: spec.username.is_some(),
        }
    }

    pub(super) fn read(tags: &Tags) -> Self {
        Self {
            groups: AppliedItems::read(tags.get(GROUPS)),
            policies: AppliedItems::read(tags.get(POLICIES)),
            tags: AppliedItems::read(tags.get(TAGS)),
            username: tags.contains_key(USERNAME),
            role: tags.get(ROLE_ID).cloned(),
        }
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let Self { groups, policies, tags, username, role: _ } = self;
        Self {
            role: other.role.clone(),
            groups: groups.union(&other.groups),
            policies: policies.union(&other.policies),
            tags: tags.union(&other.tags),
            username: *username || other.username,
        }
    }

    pub(super) fn write(&self) -> Tags {
        let Self { groups, policies, tags, username, role } = self;
        let username = if *username { "set" } else { "" };
        let all = [
            (GROUPS, groups.to_string()),
            (POLICIES, policies.to_string()),
            (TAGS, tags.to_string()),
            (USERNAME, username.to_owned()),
            (ROLE_ID, role.clone().unwrap_or_default()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Returns true if the tag is part of a record.
pub(super) fn is_record(key: &str) -> bool {
    KEYS.contains(&key)
}
