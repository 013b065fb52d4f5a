//! The ids that a role trusts under names, as its policy and its tags tell them. Their author does not matter.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::found_rules::{FoundRule, found_rules};
use super::name_record::NameRecord;
use super::pinned_ids::PinnedIds;
use super::pinned_users::users;
use crate::github::Issuer;
use crate::github::name::Repository;
use crate::github::subject;
use crate::ownership::Tags;

/// The ids of repositories, owners and users by their names, in any case.
#[derive(Debug, Default)]
pub(crate) struct TrustedNames {
    pinned: PinnedIds,
    users: BTreeMap<String, BTreeSet<u64>>,
}

impl TrustedNames {
    /// The names at the GitHub of an issuer in a policy and in the tags beside it.
    pub(crate) fn of(document: &Value, tags: &Tags, issuer: &Issuer) -> Self {
        let mut names = Self::default();
        for found in found_rules(document).iter().filter(|found| found.host == issuer.web_host()) {
            let FoundRule { host: _, rule, is_sure: _ } = found;
            names.pinned.add_found([found.told()]);
            if let Some(user) = subject::value(rule.subject.as_str(), "actor") {
                names.users.entry(user.to_lowercase()).or_default().extend(users(rule));
            }
        }
        let record = NameRecord::read(tags);
        names.pinned.add_record(&record);
        names.pinned.doubt_nothing();
        for user in record.accounts() {
            names.users.entry(user.to_owned()).or_default().extend(names.pinned.users().named(user, &record));
        }
        names
    }

    pub(crate) fn repository(&self, repository: &Repository) -> BTreeSet<u64> {
        self.pinned.repository(repository)
    }

    pub(crate) fn owner(&self, name: &str) -> BTreeSet<u64> {
        self.pinned.owner(name)
    }

    pub(crate) fn user(&self, name: &str) -> BTreeSet<u64> {
        self.users.get(&name.to_lowercase()).cloned().unwrap_or_default()
    }
}
