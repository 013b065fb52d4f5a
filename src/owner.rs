//! Ownership is a tag that is set in the very call that makes an object. What does not carry our owner's tags is never
//! changed or deleted.
//!
//! Whoever may tag an object may forge its ownership: see the threat model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest, Sha256};

use crate::cloudformation::StackId;
use crate::gather::Gather;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// What all our own tag keys begin with; authors may not use it.
pub const PREFIX: &str = "github-trust:";
const STACK: &str = "github-trust:stack-id";
const LOGICAL: &str = "github-trust:logical-id";

/// The resource on whose behalf an object exists: a logical id in a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    stack_id: String,
    stack_name: String,
    region: String,
    logical_id: String,
}

impl Owner {
    /// The owner that a request speaks for.
    #[must_use]
    pub fn new(stack: &StackId, logical_id: &str) -> Self {
        Self {
            stack_id: stack.as_str().to_owned(),
            stack_name: stack.name().to_owned(),
            region: stack.region().to_owned(),
            logical_id: logical_id.to_owned(),
        }
    }

    /// The owner that an object's tags name.
    #[must_use]
    pub fn of_tags(tags: &Tags) -> Option<Self> {
        let stack = StackId::parse(tags.get(STACK)?).ok()?;
        Some(Self::new(&stack, tags.get(LOGICAL)?))
    }

    /// The scheduled run in a region, which owns nothing.
    #[must_use]
    pub fn schedule(region: &str) -> Self {
        let schedule = || "schedule".to_owned();
        Self {
            stack_id: schedule(),
            stack_name: schedule(),
            region: region.to_owned(),
            logical_id: "upkeep".to_owned(),
        }
    }

    /// The tags that say so. Two, because a stack's ARN and a logical id do not fit the 256 characters of one.
    #[must_use]
    pub fn tags(&self) -> Tags {
        [(STACK.to_owned(), self.stack_id.clone()), (LOGICAL.to_owned(), self.logical_id.clone())].into()
    }

    /// Whether an object with these tags is ours.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        tags.get(STACK) == Some(&self.stack_id) && tags.get(LOGICAL) == Some(&self.logical_id)
    }

    /// A name for this owner in `characters` of `a`–`z` and `2`–`7`, five bits each.
    #[must_use]
    pub fn digest(&self, characters: usize) -> String {
        digest(&[&self.stack_id, &self.logical_id], characters)
    }

    /// The name that CloudFormation would generate, but the same on every attempt: stack, logical id, and a suffix that
    /// `seed` changes, in at most `limit` characters.
    #[must_use]
    pub fn generated_name(&self, seed: &str, limit: usize) -> String {
        const SUFFIX: usize = 13;
        let room = limit - SUFFIX - 2;
        let stack: String = self.stack_name.chars().take(room / 2).collect();
        let logical: String =
            self.logical_id.chars().filter(char::is_ascii_alphanumeric).take(room - stack.len()).collect();
        format!("{stack}-{logical}-{}", digest(&[&self.stack_id, &self.logical_id, seed], SUFFIX))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.region, self.stack_name, self.logical_id)
    }
}

/// Who owns an object with these tags, for a message.
#[must_use]
pub fn described(tags: &Tags) -> String {
    match (tags.get(STACK), tags.get(LOGICAL)) {
        (Some(stack), Some(logical)) => format!("it belongs to {logical} of {stack}"),
        _ => "it carries no owner's tag".to_owned(),
    }
}

/// The tags that are neither ours nor AWS's.
pub fn authored(tags: &Tags) -> impl Iterator<Item = (&String, &String)> {
    tags.iter().filter(|(key, _)| !key.starts_with(PREFIX) && !key.starts_with("aws:"))
}

/// `characters` of base 32 over the SHA-256 of the parts. The parts are length-prefixed, so that no two lists of parts
/// read the same.
#[must_use]
pub fn digest(parts: &[&str], characters: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let bytes = hash.finalize();
    let bit = |index: usize| bytes[index / 8] >> (7 - index % 8) & 1;
    let letter = |index: usize| (0..5).fold(0_u8, |value, offset| value << 1 | bit(index * 5 + offset));
    (0..characters).map(|index| char::from(ALPHABET[usize::from(letter(index))])).collect()
}

/// What we applied to an object, in the room of one tag: a fixed number of characters for each item.
///
/// Others may attach policies to our role or tag it; what they did is not ours to undo, and the request does not say
/// reliably what we did before (`OldResourceProperties` is wrong after a skipped rollback). So it stands on the object.
///
/// `WIDTH` characters of five bits each: wide enough that a stranger's item is not taken for ours by chance. More items than
/// fit a tag like that are cut to what does, with a number that says so in front of them: while many policies are being
/// exchanged for as many others, the record names both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied<const WIDTH: usize> {
    /// None of them begins another one.
    items: BTreeSet<String>,
}

/// The longest value of a tag.
const VALUE: usize = 256;
/// Stands behind the number; no item holds it.
const CUT: char = '.';

impl<const WIDTH: usize> Applied<WIDTH> {
    /// Records these items.
    #[must_use]
    pub fn of<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self { items: items.into_iter().map(|item| digest(&[item], WIDTH)).gather() }
    }

    /// Reads a tag's value; what is not a whole item is not read.
    #[must_use]
    pub fn read(value: Option<&String>) -> Self {
        let value = value.map_or("", String::as_str);
        let cut = value.split_once(CUT).and_then(|(width, items)| Some((width.parse().ok()?, items)));
        let (width, items) = cut.filter(|(width, _)| (1..=WIDTH).contains(width)).unwrap_or((WIDTH, value));
        let items = items.as_bytes().chunks_exact(width);
        Self { items: items.filter_map(|item| String::from_utf8(item.to_vec()).ok()).gather() }
    }

    /// Whether the item was applied by us.
    #[must_use]
    pub fn contains(&self, item: &str) -> bool {
        let item = digest(&[item], WIDTH);
        // Of all items that could begin it, the last one before it is the only one that may.
        self.items.range(..=item.clone()).next_back().is_some_and(|known| item.starts_with(known.as_str()))
    }

    /// Both together.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut items: Vec<String> = self.items.union(&other.items).cloned().collect();
        // The same item may be cut in one of both only; what begins another stands right before it.
        items.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        Self { items: items.into_iter().gather() }
    }

    /// How many items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing was applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<const WIDTH: usize> fmt::Display for Applied<WIDTH> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = self.items.iter().map(String::len).min().unwrap_or(WIDTH);
        let fits = if self.items.len() * WIDTH <= VALUE { WIDTH } else { (VALUE - 2) / self.items.len() };
        let width = fits.min(shortest).max(1);
        if width < WIDTH {
            write!(f, "{width}{CUT}")?;
        }
        let cut: BTreeSet<&str> = self.items.iter().filter_map(|item| item.get(..width)).gather();
        cut.into_iter().try_for_each(|item| f.write_str(item))
    }
}

/// How the tags of an object of ours change around all other changes: first what is going to be ours is written down,
/// last what is ours no longer, so that an interruption leaves nothing that nobody answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChanges {
    /// To set before everything else.
    pub first: Tags,
    /// To remove after everything else.
    pub remove: BTreeSet<String>,
    /// To set when all that is done, because until then the record has to name what is removed.
    pub last: Tags,
    /// To remove at the very end: records of nothing.
    pub forget: BTreeSet<String>,
}

impl TagChanges {
    /// `wanted` are the author's tags; `between` and `after` the records to keep during and after the change; `ours` tells
    /// which of the author's tags we set earlier.
    pub fn new(wanted: &Tags, between: &Tags, after: &Tags, ours: impl Fn(&str) -> bool, observed: &Tags) -> Self {
        let mut first: Tags = wanted.iter().chain(between).map(|(key, value)| (key.clone(), value.clone())).gather();
        first.retain(|key, value| observed.get(key) != Some(value));
        let mut last = after.clone();
        last.retain(|key, value| between.get(key) != Some(value));
        let superfluous = authored(observed).map(|(key, _)| key).filter(|key| ours(key) && !wanted.contains_key(*key));
        let mut remove: BTreeSet<String> = superfluous.cloned().gather();
        let mut forget: BTreeSet<String> = between.keys().filter(|key| !after.contains_key(*key)).cloned().gather();
        if last.is_empty() {
            remove.append(&mut forget);
        }
        Self { first, remove, last, forget }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(logical_id: &str) -> Owner {
        let stack = StackId::parse("arn:aws:cloudformation:us-east-1:123456789012:stack/team-a/5b1c").unwrap();
        Owner::new(&stack, logical_id)
    }

    #[test]
    fn an_owner_owns_what_carries_both_of_its_tags() {
        let owner = owner("Role");
        assert!(owner.owns(&owner.tags()));
        for key in owner.tags().keys() {
            let mut tags = owner.tags();
            tags.remove(key);
            assert!(!owner.owns(&tags));
            tags.insert(key.clone(), "other".into());
            assert!(!owner.owns(&tags));
        }
    }

    #[test]
    fn generated_names_are_stable_fit_and_tell_owners_and_seeds_apart() {
        let long = owner(&"L".repeat(255));
        assert_eq!(long.generated_name("/", 64), long.generated_name("/", 64));
        assert_eq!(long.generated_name("/", 64).len(), 64);
        assert_ne!(long.generated_name("/", 64), long.generated_name("/ci/", 64));
        assert_ne!(owner("A").generated_name("/", 64), owner("B").generated_name("/", 64));
        insta::assert_snapshot!(owner("DeployRole").generated_name("/", 64), @"team-a-DeployRole-6mkwfprgcokzk");
    }

    #[test]
    fn what_was_applied_survives_the_tag() {
        let applied = Applied::<8>::of((0..32).map(|index| ["a", "b", "c", "d"][index % 4]).chain(["e"]));
        let read = Applied::read(Some(&applied.to_string()));
        assert_eq!(read, applied);
        assert!(read.contains("a") && !read.contains("f"));
        assert_eq!(Applied::read(None), Applied::<8>::default());
    }

    #[test]
    fn more_items_than_fit_a_tag_are_cut_and_known_all_the_same() {
        let names = |from: usize, to: usize| (from..to).map(|index| format!("policy-{index}")).collect::<Vec<_>>();
        let applied = |names: &[String]| Applied::<8>::of(names.iter().map(String::as_str));
        let (old, new) = (names(0, 25), names(25, 50));
        let both = applied(&old).union(&applied(&new));
        let written = both.to_string();
        assert!(written.starts_with("5.") && written.len() <= 256, "{written}");
        let read = Applied::<8>::read(Some(&written));
        assert_eq!((read.len(), read.to_string()), (50, written));
        assert!(old.iter().chain(&new).all(|name| read.contains(name)));
        assert!(!names(50, 1000).iter().any(|name| read.contains(name)));
        // An interruption, and a third declaration: those that are known by their beginnings stay known once.
        let third = read.union(&applied(&names(40, 75)));
        assert_eq!(third.len(), 75);
        assert!(names(0, 75).iter().all(|name| third.contains(name)));
        let written = third.to_string();
        assert!(written.starts_with("3.") && written.len() <= 256, "{written}");
        assert!(names(0, 75).iter().all(|name| Applied::<8>::read(Some(&written)).contains(name)));
        // As many as fit are written as ever.
        assert_eq!(applied(&names(0, 32)).to_string().len(), 256);
    }

    #[test]
    fn digests_depend_on_where_parts_end() {
        assert_ne!(digest(&["ab", "c"], 10), digest(&["a", "bc"], 10));
    }
}
