//! The changes of a role.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::RoleSettings;
use super::declaration_record::DeclarationRecord;
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::ownership::Tags;
use crate::readable_list::{list, tag_list};

/// A change of a role.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are IAM's")]
pub enum Action {
    Create {
        input: Box<RoleCreateInput>,
    },
    SetTrust(TrustPolicy),
    SetDetails {
        description: String,
        max_session: u32,
    },
    SetBoundary(String),
    DeleteBoundary,
    Attach(String),
    Detach(String),
    PutPolicy {
        name: String,
        document: Value,
    },
    DeletePolicy(String),
    Tag(Tags),
    Untag(BTreeSet<String>),
    LeaveInstanceProfile(String),
    /// Sets a trust policy that somebody else wrote.
    RestoreTrust(Value),
    /// Gives a part of an adopted role back. What IAM refuses stays as it is, so that the role can be released.
    GiveBack(Box<Action>),
    /// Keeps the declaration of a role that is repaired.
    SaveDeclaration {
        record: Box<DeclarationRecord>,
        /// True if there probably is a former one.
        is_kept: bool,
    },
    DeleteDeclaration,
    Delete,
}

/// A role as the one call that makes it can make it: with its boundary and its owner, without permissions.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleCreateInput {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) trust: TrustPolicy,
    pub(super) settings: RoleSettings,
    pub(super) tags: Tags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { input } => {
                let RoleCreateInput { name, path, trust, settings, tags } = input.as_ref();
                let RoleSettings { description: _, max_session: _, boundary } = settings;
                let (boundary, tags) = (list(boundary), tag_list(tags));
                write!(f, "create role {path}{name} for [{trust}] with boundary {boundary}, tags {tags}")
            }
            Self::SetTrust(trust) => write!(f, "trust [{trust}]"),
            Self::SetDetails { description, max_session } => {
                write!(f, "set description {description:?} and longest session {max_session} s")
            }
            Self::SetBoundary(arn) => write!(f, "set boundary {arn}"),
            Self::DeleteBoundary => f.write_str("delete boundary"),
            Self::Attach(arn) => write!(f, "attach {arn}"),
            Self::Detach(arn) => write!(f, "detach {arn}"),
            Self::PutPolicy { name, document: _ } => write!(f, "put inline policy {name}"),
            Self::DeletePolicy(name) => write!(f, "delete inline policy {name}"),
            Self::Tag(tags) => write!(f, "tag {}", tag_list(tags)),
            Self::Untag(keys) => write!(f, "untag {}", list(keys)),
            Self::LeaveInstanceProfile(name) => write!(f, "leave instance profile {name}"),
            Self::RestoreTrust(document) => write!(f, "trust {document}"),
            Self::GiveBack(action) => write!(f, "give back: {action}"),
            Self::SaveDeclaration { record: _, is_kept: _ } => f.write_str("keep the declaration for repairs"),
            Self::DeleteDeclaration => f.write_str("delete the declaration that was kept for repairs"),
            Self::Delete => f.write_str("delete the role"),
        }
    }
}
