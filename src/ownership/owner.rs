//! Ownership is a tag that is set in the very call that makes an object. What does not carry our owner's tags is never
//! changed or deleted.
//!
//! The right to tag an object is enough to forge its ownership: see the threat model.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cloudformation::StackId;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// The prefix of our own tag keys; authors may not use it.
pub const PREFIX: &str = "github-trust:";
const STACK: &str = "github-trust:stack-id";
const LOGICAL: &str = "github-trust:logical-id";

/// Describes a change of tags by their keys. Those of our own are a record, which nobody has to read.
pub(crate) fn described_tags<'a>(verb: &str, keys: impl IntoIterator<Item = &'a String>) -> String {
    const RECORD: &str = "update this function's own tags";
    let (ours, authored): (Vec<&String>, Vec<&String>) = keys.into_iter().partition(|key| key.starts_with(PREFIX));
    let authored: Vec<&str> = authored.into_iter().map(String::as_str).collect();
    match (authored.is_empty(), ours.is_empty()) {
        (true, _) => RECORD.to_owned(),
        (false, true) => format!("{verb} the tags {}", authored.join(", ")),
        (false, false) => format!("{verb} the tags {}; {RECORD}", authored.join(", ")),
    }
}

/// Tags as native resources declare them; nothing where there are none.
pub(crate) fn native_tags(tags: &Tags) -> Option<Vec<Value>> {
    (!tags.is_empty()).then(|| tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect())
}

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
        Some(Self::new(&stack_of(tags)?, tags.get(LOGICAL)?))
    }

    /// The scheduled run in a region, which owns nothing.
    #[must_use]
    pub fn schedule(region: &str) -> Self {
        let schedule = || "schedule".to_owned();
        Self {
            stack_id: schedule(),
            stack_name: schedule(),
            region: region.to_owned(),
            logical_id: "scheduled".to_owned(),
        }
    }

    /// The ARN of the stack.
    #[must_use]
    pub fn stack_id(&self) -> &str {
        &self.stack_id
    }

    /// The name of the resource in its template.
    #[must_use]
    pub fn logical_id(&self) -> &str {
        &self.logical_id
    }

    /// The tags that say so. Two, because a stack's ARN and a logical id do not fit the 256 characters of one.
    #[must_use]
    pub fn tags(&self) -> Tags {
        [(STACK.to_owned(), self.stack_id.clone()), (LOGICAL.to_owned(), self.logical_id.clone())].into()
    }

    /// Returns true if an object with these tags belongs to this owner.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        tags.get(STACK) == Some(&self.stack_id) && tags.get(LOGICAL) == Some(&self.logical_id)
    }

    /// A name for this owner in `characters` of `a`–`z` and `2`–`7`, five bits each.
    #[must_use]
    pub fn digest(&self, characters: usize) -> String {
        digest(&[&self.stack_id, &self.logical_id], characters)
    }

    /// A name for this owner that a stack keeps when it is deleted and made again under its name.
    #[must_use]
    pub fn lasting_digest(&self, characters: usize) -> String {
        let stack = self.stack_id.rsplit_once('/').map_or(self.stack_id.as_str(), |(stack, _)| stack);
        digest(&[stack, &self.logical_id], characters)
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

/// The tags of an object that name its owner.
#[must_use]
pub fn owner_tags(tags: &Tags) -> Tags {
    let named = [STACK, LOGICAL].into_iter().filter_map(|key| tags.get_key_value(key));
    named.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The stack that an object's tags name.
#[must_use]
pub fn stack_of(tags: &Tags) -> Option<StackId> {
    StackId::parse(tags.get(STACK)?).ok()
}

/// Describes the owner of an object with these tags.
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::ownership) fn owner(logical_id: &str) -> Owner {
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
        let stack = format!("arn:aws:cloudformation:us-east-1:123456789012:stack/{}/5b1c", "s".repeat(128));
        let both_long = Owner::new(&StackId::parse(&stack).unwrap(), &"L".repeat(255)).generated_name("/", 64);
        assert_eq!(both_long.len(), 64);
        assert!(both_long.starts_with(&format!("{}-{}-", "s".repeat(24), "L".repeat(25))), "{both_long}");
        insta::assert_snapshot!(owner("DeployRole").generated_name("/", 64), @"team-a-DeployRole-6mkwfprgcokzk");
    }

    #[test]
    fn native_resources_have_the_tags_that_there_are() {
        assert_eq!(native_tags(&Tags::new()), None);
        let tags = Tags::from([("team".to_owned(), "web".to_owned())]);
        assert_eq!(native_tags(&tags), Some(vec![json!({"Key": "team", "Value": "web"})]));
    }

    #[test]
    fn digests_depend_on_where_parts_end() {
        assert_ne!(digest(&["a", "b"], 10), digest(&["c", "d"], 10));
    }
}
