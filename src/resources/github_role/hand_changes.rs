//! Changes that somebody made to a role by hand: the differences from its last declaration, of which the role's tags hold the
//! digests. Policies and tags that others added are theirs, as in an update.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_sdk_iam::types::Role;
use serde_json::Value;

use super::api::observed;
use super::applied_record::{
    BOUNDARY, DESCRIPTION, MAX_SESSION, POLICIES, RoleRecord, TRUST, digest_of, digest_of_policies, digest_of_trust,
};
use super::{DEFAULT_MAX_SESSION, Observed};
use crate::aws::iam;
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::ownership::Owner;

/// A part of a role that is not as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HandChange {
    /// The subjects that the policy admits now; `None` for a policy that no version of this function wrote.
    Trust(Option<Vec<String>>),
    /// The boundary now.
    Boundary(Option<String>),
    /// The number of managed policies that are gone, and of those that were declared.
    Managed(usize, usize),
    /// The number of inline policies that are gone.
    InlineGone(usize),
    InlineContent,
    Description,
    MaxSession(u32),
}

/// Compares a role of ours with the record of its declaration. A part without a digest is not compared.
pub(super) fn hand_changes(observed: &Observed) -> Vec<HandChange> {
    let record = RoleRecord::read(&observed.tags);
    let is_other = |part: &str, now: &dyn Fn() -> String| record.declared.get(part).is_some_and(|then| *then != now());
    let mut changes = Vec::new();
    if is_other(TRUST, &|| digest_of_trust(&observed.trust)) {
        let admitted = |policy: TrustPolicy| policy.subjects().into_iter().map(str::to_owned).collect();
        changes.push(HandChange::Trust(TrustPolicy::read(&observed.trust).map(admitted)));
    }
    if is_other(BOUNDARY, &|| digest_of(observed.boundary.as_deref().unwrap_or_default())) {
        changes.push(HandChange::Boundary(observed.boundary.clone()));
    }
    let attached = observed.managed.iter().filter(|arn| record.managed.contains(arn)).count();
    if attached < record.managed.len() {
        changes.push(HandChange::Managed(record.managed.len() - attached, record.managed.len()));
    }
    let inline: Vec<_> = observed.inline.iter().filter(|(name, _)| record.inline.contains(name)).collect();
    if inline.len() < record.inline.len() {
        changes.push(HandChange::InlineGone(record.inline.len() - inline.len()));
    } else if is_other(POLICIES, &|| digest_of_policies(inline.iter().copied())) {
        changes.push(HandChange::InlineContent);
    }
    if is_other(DESCRIPTION, &|| digest_of(&observed.description)) {
        changes.push(HandChange::Description);
    }
    let session = if observed.max_session == 0 { DEFAULT_MAX_SESSION } else { observed.max_session };
    if is_other(MAX_SESSION, &|| digest_of(&session.to_string())) {
        changes.push(HandChange::MaxSession(session));
    }
    changes
}

/// Tells the changes that somebody made by hand to a role, with its managed and inline policies. A role without an owner has
/// none.
#[must_use]
pub fn changes_by_hand(role: Role, managed: BTreeSet<String>, inline: BTreeMap<String, Value>) -> Vec<String> {
    if Owner::of_tags(&iam::tags_of(role.tags.clone())).is_none() {
        return Vec::new();
    }
    let arn = role.arn.clone();
    let changes = hand_changes(&observed(role, managed, inline, BTreeSet::new(), arn));
    changes.iter().map(ToString::to_string).collect()
}

impl fmt::Display for HandChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust(None) => f.write_str("its trust policy has a form that no stack writes"),
            Self::Trust(Some(admitted)) if admitted.is_empty() => f.write_str("its trust policy admits nobody"),
            Self::Trust(Some(admitted)) => write!(f, "its trust policy was changed and admits {}", admitted.join(", ")),
            Self::Boundary(None) => f.write_str("its permissions boundary is gone"),
            Self::Boundary(Some(arn)) => write!(f, "its permissions boundary is {arn}"),
            Self::Managed(gone, declared) => write!(f, "{gone} of its {declared} managed policies are detached"),
            Self::InlineGone(gone) => write!(f, "{gone} of its inline policies are gone"),
            Self::InlineContent => f.write_str("its inline policies have another content"),
            Self::Description => f.write_str("its description is another one"),
            Self::MaxSession(seconds) => write!(f, "its longest session is {seconds} seconds"),
        }
    }
}
