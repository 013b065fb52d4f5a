//! What the kinds that live in IAM share in talking to it.

use aws_sdk_iam::types::Tag;

use crate::ownership::Tags;

/// Tags as IAM's client takes them.
pub(crate) fn tags(tags: &Tags) -> Vec<Tag> {
    // A key and a value are all that the builder asks for.
    tags.iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}

/// Tags as IAM's client gives them.
pub(crate) fn tags_of(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().map(|Tag { key, value, .. }| (key, value)).collect()
}
