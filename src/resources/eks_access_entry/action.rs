//! The actions of a plan for an access entry.

use std::collections::BTreeSet;
use std::fmt;

use super::state::{EntryContent, RecreationRecord, default_username};
use super::{EntryType, PolicyScope};
use crate::ownership::Tags;
use crate::readable_list::{list, tag_list};

/// A change of an entry. An `arn` is `None` while the plan has yet to create the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are EKS's")]
pub enum Action {
    Create {
        input: Box<EntryCreateInput>,
    },
    Update {
        username: Option<String>,
        groups: Option<BTreeSet<String>>,
    },
    Associate {
        policy: String,
        scope: PolicyScope,
    },
    Disassociate(String),
    Tag {
        arn: Option<String>,
        tags: Tags,
    },
    Untag {
        arn: Option<String>,
        keys: BTreeSet<String>,
    },
    Delete {
        stale: bool,
    },
    /// Gives a part of an adopted entry back. What EKS refuses stays as it is, so that the entry can be released.
    GiveBack(Box<Action>),
    /// Writes the record of an entry that is recreated; `exists` if it replaces another one.
    SaveRecord {
        record: Box<RecreationRecord>,
        exists: bool,
    },
    /// Removes the mark of an entry that is being recreated.
    Unmark {
        arn: Option<String>,
    },
    /// Deletes the record of an entry that is complete, or no longer wanted.
    DeleteRecord,
}

/// The input of `CreateAccessEntry`, which takes no policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryCreateInput {
    pub(super) cluster: String,
    pub(super) principal: String,
    pub(super) entry_type: String,
    pub(super) username: Option<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) tags: Tags,
}

impl EntryCreateInput {
    /// The input for an entry with this content. Only the type `STANDARD` takes a username and groups.
    pub(super) fn of(content: &EntryContent) -> Self {
        let EntryContent { cluster, principal, entry_type, username, groups, policies: _, tags } = content.clone();
        let standard = entry_type == EntryType::STANDARD.0;
        let username = (standard && username != default_username(&principal)).then_some(username);
        let groups = if standard { groups } else { BTreeSet::new() };
        Self { cluster, principal, entry_type, username, groups, tags }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { input } => {
                let EntryCreateInput { cluster, principal, entry_type, username, groups, tags } = input.as_ref();
                let (username, groups, tags) = (list(username), list(groups), tag_list(tags));
                write!(
                    f,
                    "create a {entry_type} entry for {principal} in {cluster} with username {username}, groups {groups}, tags {tags}"
                )
            }
            Self::Update { username, groups } => {
                let username = username.iter().map(|name| format!("username {name}"));
                let groups = groups.iter().map(|groups| format!("groups {}", list(groups)));
                write!(f, "set {}", list(username.chain(groups)))
            }
            Self::Associate { policy, scope } => write!(f, "associate {policy} with {scope}"),
            Self::Disassociate(policy) => write!(f, "disassociate {policy}"),
            Self::Tag { arn: _, tags } => write!(f, "tag {}", tag_list(tags)),
            Self::Untag { arn: _, keys } => write!(f, "untag {}", list(keys)),
            Self::GiveBack(action) => write!(f, "give back: {action}"),
            Self::Delete { stale: false } => f.write_str("delete the entry"),
            Self::Delete { stale: true } => f.write_str("delete the entry, which is bound to a role that is no more"),
            Self::SaveRecord { record, exists: _ } if record.committed => {
                f.write_str("note that what is remembered of the entry is to be made again")
            }
            Self::SaveRecord { record, exists: _ } => {
                let EntryContent { cluster: _, principal: _, entry_type, username, groups, policies, tags } =
                    &record.content;
                let policies = list(policies.iter().map(|(policy, scope)| format!("{policy} in {scope}")));
                let (groups, tags) = (list(groups), tag_list(tags));
                write!(
                    f,
                    "remember the {entry_type} entry with username {username}, groups {groups}, policies {policies}, tags {tags}"
                )
            }
            Self::Unmark { arn: _ } => f.write_str("note that the entry is whole again"),
            Self::DeleteRecord => f.write_str("forget what was remembered of the entry"),
        }
    }
}
