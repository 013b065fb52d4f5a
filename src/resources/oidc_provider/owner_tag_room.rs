//! The room for owners in a provider's tags. An owner has a tag of its own; where there is no room for more, those that bring
//! the same share one.

use std::collections::BTreeSet;

use super::owner_stakes::{FOUND, LEAVING, OwnerStake, OwnerStakes, PIECES, is_crowd, key};
use super::rotation::is_mark;
use super::{Declared, Observed};
use crate::error::Refusal;
use crate::ownership::{Owner, Tags};

/// IAM's limit.
const TAG_LIMIT: usize = 50;
/// The tags that owners without a claim of their own share: one for all that bring the same.
const CROWD_TAGS: usize = 5;
/// Two for marks, one for an announcement.
const PASSING_TAGS: usize = 3;
const RESERVED_TAGS: usize = PASSING_TAGS + CROWD_TAGS;

/// The number of tags that stay, without this many of the shared ones.
fn lasting<'a>(observed: &'a Observed, claimed: impl Iterator<Item = &'a String>, shared: usize) -> usize {
    let passes = |key: &&String| is_mark(key) || *key == LEAVING || key.starts_with("aws:");
    let stay: BTreeSet<&String> = observed.tags.keys().chain(claimed).filter(|key| !passes(key)).collect();
    stay.len() - stay.iter().filter(|key| is_crowd(key)).count().min(shared)
}

/// Returns true if CloudFormation has to be asked for owners that are gone, before there is room for a declaration.
pub(super) fn may_lack_room(owner: &Owner, declared: &Declared, observed: &Observed) -> bool {
    // A claim, pins, the pieces of a CA, and the author's tags.
    let more = 2 + declared.ca.as_ref().map_or(0, |_| PIECES) + declared.tags.len();
    let is_full = lasting(observed, std::iter::empty(), CROWD_TAGS) + more > TAG_LIMIT - RESERVED_TAGS;
    let is_there = |tag: &String| observed.tags.contains_key(tag);
    let is_content = OwnerStake::shared_tag(declared).is_some_and(|(tag, _)| is_there(&tag) || is_there(&key(owner)));
    is_full && !(is_content && declared.tags.keys().all(is_there))
}

/// Returns true if a provider has room for these tags. The room that is kept for shared ones is theirs only.
pub(super) fn fits(observed: &Observed, claimed: &Tags) -> bool {
    let added: Vec<&String> = claimed.keys().filter(|key| !observed.tags.contains_key(*key)).collect();
    let kept = if added.iter().all(|key| is_crowd(key)) { 0 } else { CROWD_TAGS };
    added.is_empty() || lasting(observed, claimed.keys(), kept) + kept <= TAG_LIMIT - PASSING_TAGS
}

/// The tags of an owner for whose claim there is no room: its author's, and one that all who bring the same write, so that no
/// two of them overwrite each other. Nobody removes it, so that its client ids and tags stay.
pub(super) fn crowd_tags(
    declared: &Declared,
    observed: &Observed,
    owner_stakes: &OwnerStakes,
    claimed: &Tags,
) -> Option<Tags> {
    let has_to_claim = owner_stakes.ours.is_some() || claimed.contains_key(FOUND);
    let shared = OwnerStake::shared_tag(declared).filter(|_| !has_to_claim)?;
    let mut tags: Tags = declared.tags.clone().into_iter().chain([shared]).collect();
    tags.retain(|key, value| observed.tags.get(key) != Some(value));
    fits(observed, &tags).then_some(tags)
}

pub(super) fn no_room(url: &str, observed: &Observed, claimed: &Tags) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!(
            "the provider for {url} would have {} tags; IAM allows {TAG_LIMIT}, of which {RESERVED_TAGS} are kept free. \
             Each resource that shares it needs one; where there is no room for it, all that declare the same share one",
            lasting(observed, claimed.keys(), CROWD_TAGS)
        ),
        remedy: "Declare the same client ids and tags as other stacks, without `ThumbprintList` and `CaCertificate`, \
                 use fewer `Tags`, or refer to the provider's ARN instead of declaring it"
            .to_owned(),
    }
}
