//! The changes of a provider.

use std::collections::BTreeSet;
use std::fmt;

use crate::ownership::Tags;
use crate::readable_list::{list, tag_list};

/// A change of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are IAM's")]
pub enum Action {
    Create { url: String, arn: String, client_ids: BTreeSet<String>, thumbprints: Vec<String>, tags: Tags },
    AddClientId(String),
    RemoveClientId(String),
    SetThumbprints { old: Vec<String>, new: Vec<String>, subjects: Vec<String> },
    Tag(Tags),
    Untag(BTreeSet<String>),
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { url, arn: _, client_ids, thumbprints, tags } => {
                let (ids, thumbprints, tags) = (list(client_ids), list(thumbprints), tag_list(tags));
                write!(f, "create a provider for {url} with client ids {ids}, thumbprints {thumbprints}, tags {tags}")
            }
            Self::AddClientId(client_id) => write!(f, "add client id {client_id}"),
            Self::RemoveClientId(client_id) => write!(f, "remove client id {client_id}"),
            Self::SetThumbprints { old, new, subjects } => {
                write!(f, "change thumbprints from {} to {}", list(old), list(new))?;
                if subjects.is_empty() { Ok(()) } else { write!(f, ", of {}", list(subjects)) }
            }
            Self::Tag(tags) => write!(f, "tag {}", tag_list(tags)),
            Self::Untag(keys) => write!(f, "untag {}", list(keys)),
            Self::Delete => f.write_str("delete the provider"),
        }
    }
}
