//! Ownership of objects on AWS, as their tags record it.

mod applied_items;
pub(crate) mod found_tags;
mod hand_over;
mod owner;
mod tag_changes;
pub(crate) mod tags_property;

pub use applied_items::AppliedItems;
pub use hand_over::{HandOver, Takeover};
pub use owner::{Owner, PREFIX, Tags, authored, described, digest, owner_tags, stack_of};
pub(crate) use owner::{described_tags, native_tags};
pub use tag_changes::{KeyCase, TAG_QUOTA, TagChanges, room_for, twin};
