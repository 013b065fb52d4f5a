//! The parts that we applied to a role, recorded in its tags.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::declaration_record::DeclarationRecord;
use super::name_record::NameRecord;
use super::{Desired, RoleSettings};
use crate::iam_policy::document::canonical;
use crate::ownership::{AppliedItems, Owner, Tags, digest};

/// The record of the parts that we applied, in the role's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RoleRecord {
    pub(super) managed: AppliedItems<8>,
    pub(super) inline: AppliedItems<8>,
    pub(super) tags: AppliedItems<5>,
    pub(super) settings: BTreeSet<&'static str>,
    /// The digests of the declared parts, by which a change by hand shows.
    pub(super) declared: BTreeMap<&'static str, String>,
    pub(super) names: NameRecord,
}

const MANAGED: &str = "github-trust:managed-policies";
const INLINE: &str = "github-trust:inline-policies";
const TAGS: &str = "github-trust:tags";
const SETTINGS: &str = "github-trust:settings";
pub(super) const ADOPTED: &str = "github-trust:adopted";
pub(super) const DESCRIPTION: &str = "Description";
pub(super) const MAX_SESSION: &str = "MaxSessionDuration";
pub(super) const BOUNDARY: &str = "PermissionsBoundary";
pub(super) const TRUST: &str = "Trust";
pub(super) const POLICIES: &str = "Policies";
/// The declaration of a role that is repaired. Without a digest, no record of it counts.
pub(super) const ON_DRIFT: &str = "OnDrift";
/// In characters of five bits.
const DIGEST: usize = 13;

/// The digest of a part of a role that is one text.
pub(super) fn digest_of(text: &str) -> String {
    digest(&[text], DIGEST)
}

/// The digest of a trust policy.
pub(super) fn digest_of_trust(document: &Value) -> String {
    digest_of(&canonical(document).to_string())
}

/// The digest of inline policies with their names.
pub(super) fn digest_of_policies<'a>(policies: impl IntoIterator<Item = (&'a String, &'a Value)>) -> String {
    let texts = policies.into_iter().flat_map(|(name, document)| [name.clone(), canonical(document).to_string()]);
    let texts: Vec<String> = texts.collect();
    digest(&texts.iter().map(String::as_str).collect::<Vec<_>>(), DIGEST)
}

impl RoleRecord {
    pub(super) fn of(owner: &Owner, desired: &Desired) -> Self {
        let RoleSettings { description, max_session, boundary } = &desired.settings;
        let settings = [
            (DESCRIPTION, description.is_some()),
            (MAX_SESSION, max_session.is_some()),
            (BOUNDARY, boundary.is_some()),
            (ON_DRIFT, desired.repairs.is_some()),
        ];
        let declaration = DeclarationRecord::of(owner, desired).map(|record| digest_of(&record.text()));
        let inline = (!desired.inline.is_empty()).then(|| digest_of_policies(&desired.inline));
        let declared = [
            (DESCRIPTION, description.as_deref().map(digest_of)),
            (MAX_SESSION, max_session.map(|seconds| digest_of(&seconds.to_string()))),
            (BOUNDARY, boundary.as_deref().map(digest_of)),
            (POLICIES, inline),
            (TRUST, Some(digest_of_trust(&desired.trust.document()))),
            (ON_DRIFT, declaration),
        ];
        Self {
            managed: AppliedItems::of(desired.managed.iter().map(String::as_str)),
            inline: AppliedItems::of(desired.inline.keys().map(String::as_str)),
            tags: AppliedItems::of(desired.tags.keys().map(String::as_str)),
            settings: settings.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect(),
            declared: declared.into_iter().filter_map(|(name, digest)| Some((name, digest?))).collect(),
            names: desired.names.clone(),
        }
    }

    pub(super) fn read(tags: &Tags) -> Self {
        // A version that knew no digests wrote the names alone.
        let words = || tags.get(SETTINGS).map_or("", String::as_str).split(' ');
        let words =
            || words().map(|word| word.split_once('=').map_or((word, None), |(name, digest)| (name, Some(digest))));
        let declared = |part: &'static str| {
            words().find_map(|(name, digest)| digest.filter(|_| name == part)).map(|digest| (part, digest.to_owned()))
        };
        Self {
            managed: AppliedItems::read(tags.get(MANAGED)),
            inline: AppliedItems::read(tags.get(INLINE)),
            tags: AppliedItems::read(tags.get(TAGS)),
            settings: [DESCRIPTION, MAX_SESSION, BOUNDARY, ON_DRIFT]
                .into_iter()
                .filter(|name| words().any(|(word, _)| word == *name))
                .collect(),
            declared: [DESCRIPTION, MAX_SESSION, BOUNDARY, POLICIES, TRUST, ON_DRIFT]
                .into_iter()
                .filter_map(declared)
                .collect(),
            names: NameRecord::read(tags),
        }
    }

    /// The record while a role changes from the one to the other: the items of both, and what the role is to become.
    pub(super) fn union(&self, other: &Self) -> Self {
        let Self { managed, inline, tags, settings, declared, names } = self;
        let mut digests = other.declared.clone();
        // While a role changes from one declaration to another, neither is to be repaired to.
        if declared.get(ON_DRIFT) != digests.get(ON_DRIFT) {
            digests.remove(ON_DRIFT);
        }
        Self {
            declared: digests,
            names: other.names.union(names),
            managed: managed.union(&other.managed),
            inline: inline.union(&other.inline),
            tags: tags.union(&other.tags),
            settings: settings.union(&other.settings).copied().collect(),
        }
    }

    /// The same while no record of the declaration counts.
    pub(super) fn without_declaration(mut self) -> Self {
        self.declared.remove(ON_DRIFT);
        self
    }

    /// Returns true if two records tell of the same declaration, whatever names they remember.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let written = |record: &Self| Self { names: NameRecord::default(), ..record.clone() }.write();
        written(self) == written(other)
    }

    /// The same record with these names behind its own.
    pub(super) fn with_names(self, names: &NameRecord) -> Self {
        Self { names: self.names.union(names), ..self }
    }

    /// The tags that keep it; what is empty needs none.
    pub(super) fn write(&self) -> Tags {
        let Self { managed, inline, tags, settings, declared, names } = self;
        let words: BTreeSet<&str> = settings.iter().chain(declared.keys()).copied().collect();
        let word = |name: &str| declared.get(name).map_or_else(|| name.to_owned(), |digest| format!("{name}={digest}"));
        let settings: Vec<String> = words.into_iter().map(word).collect();
        let all = [
            (MANAGED, managed.to_string()),
            (INLINE, inline.to_string()),
            (TAGS, tags.to_string()),
            (SETTINGS, settings.join(" ")),
        ];
        let all = all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value));
        all.chain(names.write()).collect()
    }
}
