//! The names that a role trusts or trusted, with the ids that they had, recorded in a tag of the role: users, of whom the
//! policy holds ids only, and repositories and owners that are no longer in the policy. A rollback may bring them back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Ids by names in lower case: `owner/name` of a repository, or the account of an owner or user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameRecord {
    /// Absent where no version wrote a record.
    names: Option<BTreeMap<String, BTreeSet<u64>>>,
    /// True if an account had no room.
    is_cut: bool,
}

/// Begins each record, also of no names.
const BEGIN: &str = "=";
/// Ends a record that has no room for all accounts.
const CUT: &str = "+";
/// A tag takes no brackets.
const BOT: (&str, &str) = ("[bot]", "+bot");
/// The longest value of a tag.
const VALUE: usize = 256;

impl NameRecord {
    /// A record of these names.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let mut record = Self { names: Some(BTreeMap::new()), is_cut: false };
        for (name, id) in names {
            record.insert(name, id);
        }
        record
    }

    pub(crate) fn read(value: Option<&String>) -> Self {
        let Some(words) = value.and_then(|value| value.strip_prefix(BEGIN)) else { return Self::default() };
        let pairs = words.split(' ').filter_map(|word| {
            let (name, id) = word.split_once('=')?;
            Some((name.replace(BOT.1, BOT.0), id.parse().ok()?))
        });
        let pairs: Vec<(String, u64)> = pairs.collect();
        let record = Self::of(pairs.iter().map(|(name, id)| (name.as_str(), *id)));
        Self { is_cut: words.ends_with(CUT), ..record }
    }

    pub(crate) fn insert(&mut self, name: &str, id: u64) {
        self.names.get_or_insert_default().entry(name.to_lowercase()).or_default().insert(id);
    }

    /// Both together.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (name, ids) in other.iter() {
            for id in ids {
                both.insert(name, *id);
            }
        }
        both.names = both.names.or_else(|| other.names.clone());
        both.is_cut |= other.is_cut;
        both
    }

    /// The ids that a name had.
    pub(crate) fn ids(&self, name: &str) -> BTreeSet<u64> {
        let names = self.names.as_ref();
        names.and_then(|names| names.get(&name.to_lowercase())).cloned().unwrap_or_default()
    }

    /// Returns true if an account that is not recorded was not trusted as a user.
    pub(crate) fn is_whole(&self) -> bool {
        self.names.is_some() && !self.is_cut
    }

    /// The names with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<u64>)> {
        self.names.iter().flatten().map(|(name, ids)| (name.as_str(), ids))
    }

    /// The accounts with their ids.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&str, &BTreeSet<u64>)> {
        self.iter().filter(|(name, _)| is_account(name))
    }
}

pub(super) fn is_account(name: &str) -> bool {
    !name.contains('/')
}

/// The value of the tag; empty without a record.
impl fmt::Display for NameRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_none() {
            return Ok(());
        }
        let mut value = BEGIN.to_owned();
        let mut is_cut = self.is_cut;
        let repositories = self.iter().filter(|(name, _)| !is_account(name));
        for (name, ids) in self.accounts().chain(repositories) {
            for id in ids {
                let word = format!(" {}={id}", name.replace(BOT.0, BOT.1));
                if value.len() + word.len() + CUT.len() < VALUE {
                    value += &word;
                } else {
                    is_cut |= is_account(name);
                }
            }
        }
        f.write_str(&value)?;
        if is_cut { write!(f, " {CUT}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_ids_survive_the_tag() {
        let record = NameRecord::of([("acme/App", 44), ("Octocat", 11), ("dependabot[bot]", 22)]);
        assert_eq!(record.to_string(), "= dependabot+bot=22 octocat=11 acme/app=44");
        let read = NameRecord::read(Some(&record.to_string()));
        assert_eq!(read, record);
        assert_eq!((read.ids("OCTOCAT"), read.ids("dependabot[bot]")), ([11].into(), [22].into()));
        assert!(read.is_whole() && read.ids("mona").is_empty());
        assert!(!NameRecord::read(None).is_whole());
        assert_eq!(NameRecord::read(Some(&NameRecord::of([]).to_string())), NameRecord::of([]));
        let both = record.union(&NameRecord::of([("octocat", 33)]));
        assert_eq!(NameRecord::read(Some(&both.to_string())).ids("octocat"), [11, 33].into());
        assert_eq!(NameRecord::default().to_string(), "");
    }

    #[test]
    fn a_record_that_is_too_long_says_that_there_are_more_accounts() {
        let names: Vec<String> = (0..60).map(|index| format!("user-{index}")).collect();
        let value = NameRecord::of(names.iter().map(|name| (name.as_str(), 7))).to_string();
        assert!(value.len() <= 256 && !NameRecord::read(Some(&value)).is_whole(), "{value}");
        let names: Vec<String> = (0..60).map(|index| format!("owner/name-{index}")).collect();
        let value = NameRecord::of(names.iter().map(|name| (name.as_str(), 7))).to_string();
        assert!(value.len() <= 256 && NameRecord::read(Some(&value)).is_whole(), "{value}");
    }
}
