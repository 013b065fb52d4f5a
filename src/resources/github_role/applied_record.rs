//! The parts that we applied to a role, recorded in its tags.

use std::collections::BTreeSet;

use super::name_record::NameRecord;
use super::{Desired, RoleSettings};
use crate::ownership::{AppliedItems, Tags};

/// The record of the parts that we applied, in the role's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RoleRecord {
    pub(super) managed: AppliedItems<8>,
    pub(super) inline: AppliedItems<8>,
    pub(super) tags: AppliedItems<5>,
    pub(super) settings: BTreeSet<&'static str>,
    pub(super) names: NameRecord,
}

const MANAGED: &str = "github-trust:managed-policies";
const INLINE: &str = "github-trust:inline-policies";
const TAGS: &str = "github-trust:tags";
const SETTINGS: &str = "github-trust:settings";
/// The tag with the names that the policy does not hold with their ids.
pub(super) const NAMES: &str = "github-trust:names";
pub(super) const ADOPTED: &str = "github-trust:adopted";
pub(super) const DESCRIPTION: &str = "Description";
pub(super) const MAX_SESSION: &str = "MaxSessionDuration";
pub(super) const BOUNDARY: &str = "PermissionsBoundary";

impl RoleRecord {
    pub(super) fn of(desired: &Desired) -> Self {
        let RoleSettings { description, max_session, boundary } = &desired.settings;
        let settings = [
            (DESCRIPTION, description.is_some()),
            (MAX_SESSION, max_session.is_some()),
            (BOUNDARY, boundary.is_some()),
        ];
        Self {
            managed: AppliedItems::of(desired.managed.iter().map(String::as_str)),
            inline: AppliedItems::of(desired.inline.keys().map(String::as_str)),
            tags: AppliedItems::of(desired.tags.keys().map(String::as_str)),
            settings: settings.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect(),
            names: desired.names.clone(),
        }
    }

    pub(super) fn read(tags: &Tags) -> Self {
        let words = tags.get(SETTINGS).map_or("", String::as_str);
        Self {
            managed: AppliedItems::read(tags.get(MANAGED)),
            inline: AppliedItems::read(tags.get(INLINE)),
            tags: AppliedItems::read(tags.get(TAGS)),
            settings: [DESCRIPTION, MAX_SESSION, BOUNDARY]
                .into_iter()
                .filter(|name| words.split(' ').any(|word| word == *name))
                .collect(),
            names: NameRecord::read(tags.get(NAMES)),
        }
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let Self { managed, inline, tags, settings, names } = self;
        Self {
            names: names.union(&other.names),
            managed: managed.union(&other.managed),
            inline: inline.union(&other.inline),
            tags: tags.union(&other.tags),
            settings: settings.union(&other.settings).copied().collect(),
        }
    }

    /// The tags that keep it; what is empty needs none.
    pub(super) fn write(&self) -> Tags {
        let Self { managed, inline, tags, settings, names } = self;
        let settings: Vec<&str> = settings.iter().copied().collect();
        let all = [
            (MANAGED, managed.to_string()),
            (INLINE, inline.to_string()),
            (TAGS, tags.to_string()),
            (SETTINGS, settings.join(" ")),
            (NAMES, names.to_string()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}
