//! What the kinds that live in IAM share in talking to it.

use std::time::Duration;

use aws_sdk_iam::types::Tag;

use crate::owner::Tags;

/// IAM's reads lag behind its writes, mostly for seconds.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
pub(crate) const VISIBLE_WITHIN: Duration = Duration::from_secs(75);

/// Tags as IAM's client takes them.
pub(crate) fn tags(tags: &Tags) -> Vec<Tag> {
    // A key and a value are all that the builder asks for.
    tags.iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}

/// Tags as IAM's client gives them.
pub(crate) fn tags_of(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().map(|Tag { key, value, .. }| (key, value)).collect()
}
