//! The room for owners in a provider's tags. Owners that bring something have a tag each; where there is no room for more,
//! those that bring nothing share one.

use std::collections::BTreeSet;

use super::owner_stakes::{CROWD, FOUND, LEAVING, OwnerStake, OwnerStakes, PIECES, key};
use super::rotation::is_mark;
use super::{Declared, Observed};
use crate::error::Refusal;
use crate::ownership::{Owner, Tags};

/// IAM's limit.
const TAG_LIMIT: usize = 50;
/// Two for marks, one for an announcement, one for owners without a claim of their own.
const RESERVED_TAGS: usize = 4;

/// The number of tags that stay.
fn lasting<'a>(observed: &'a Observed, claimed: impl Iterator<Item = &'a String>) -> usize {
    let is_reserved = |key: &&String| is_mark(key) || *key == LEAVING || *key == CROWD || key.starts_with("aws:");
    observed.tags.keys().chain(claimed).filter(|key| !is_reserved(key)).collect::<BTreeSet<_>>().len()
}

/// Returns true if CloudFormation has to be asked for owners that are gone, before there is room for a declaration.
pub(super) fn may_lack_room(owner: &Owner, declared: &Declared, observed: &Observed) -> bool {
    // A claim, pins, the pieces of a CA, and the author's tags.
    let more = 2 + declared.ca.as_ref().map_or(0, |_| PIECES) + declared.tags.len();
    let is_full = lasting(observed, std::iter::empty()) + more > TAG_LIMIT - RESERVED_TAGS;
    let is_content = observed.tags.contains_key(CROWD) || observed.tags.contains_key(&key(owner));
    is_full && !(is_content && OwnerStake::is_plain(declared))
}

/// Returns true if a provider has room for these tags.
pub(super) fn fits(observed: &Observed, claimed: &Tags) -> bool {
    let added = claimed.keys().any(|key| !observed.tags.contains_key(key));
    !added || lasting(observed, claimed.keys()) <= TAG_LIMIT - RESERVED_TAGS
}

/// Returns true for an owner that needs no claim of its own where there is no room: it brings nothing, so that nothing has
/// to be taken away when it leaves.
pub(super) fn is_one_of_many(declared: &Declared, owner_stakes: &OwnerStakes, claimed: &Tags) -> bool {
    owner_stakes.ours.is_none() && OwnerStake::is_plain(declared) && !claimed.contains_key(FOUND)
}

/// The tag of owners without a claim of their own. All of them write the same, and nobody removes it, so that no two of them
/// overwrite each other.
pub(super) fn crowd(observed: &Observed) -> Tags {
    let is_new = !observed.tags.contains_key(CROWD);
    is_new.then(|| (CROWD.to_owned(), "true".to_owned())).into_iter().collect()
}

pub(super) fn no_room(url: &str, observed: &Observed, claimed: &Tags) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!(
            "the provider for {url} would have {} tags; IAM allows {TAG_LIMIT}, of which {RESERVED_TAGS} are kept free. \
             Each resource that shares it and declares more than the default needs one",
            lasting(observed, claimed.keys())
        ),
        remedy:
            "Declare nothing but `Url` here, declare the provider in fewer stacks and refer to its ARN, or use fewer \
                 `Tags`"
                .to_owned(),
    }
}
