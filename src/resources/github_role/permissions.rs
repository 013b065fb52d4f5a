//! The change of what a role may do, in the order of its steps, and of its details.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::INLINE_SIZE;
use super::action::Action;
use super::applied_record::{BOUNDARY, DESCRIPTION, MAX_SESSION, RoleRecord};
use super::{Observed, RoleSettings, inline_size};
use crate::iam_policy::document::canonical;
use crate::reconcile::Plan;

/// The number of managed policies that a role may have unless AWS raises the quota.
pub(super) const ATTACHED_QUOTA: usize = 10;

pub(super) const DEFAULT_MAX_SESSION: u32 = 3600;

/// The policies that a role comes to have, beside those of others.
pub(super) struct PolicyTarget<'a> {
    pub(super) managed: &'a BTreeSet<String>,
    pub(super) inline: &'a BTreeMap<String, Value>,
    pub(super) boundary: Option<&'a String>,
    /// The number of managed policies that a role of the account may have.
    pub(super) attached_quota: usize,
}

/// The steps of a change, without a boundary where there was none.
pub(super) struct Permissions(Vec<Vec<Action>>);

impl Permissions {
    pub(super) fn between(before: &RoleRecord, target: &PolicyTarget<'_>, observed: &Observed) -> Self {
        let (from, to) = (observed.boundary.as_ref(), target.boundary);
        let ours = before.settings.contains(BOUNDARY);
        let boundary = match to {
            Some(arn) if from.is_some_and(|from| from != arn) => vec![Action::SetBoundary(arn.clone())],
            None if ours && from.is_some() => vec![Action::DeleteBoundary],
            _ => Vec::new(),
        };
        let swapped = !boundary.is_empty() && to.is_some();
        let inline = InlineChanges::between(before, target, observed, swapped);
        let goes = |arn: &&String| before.managed.contains(arn) && !target.managed.contains(*arn);
        let detach: Vec<Action> = observed.managed.iter().filter(goes).cloned().map(Action::Detach).collect();
        let attach: Vec<Action> = target.managed.difference(&observed.managed).cloned().map(Action::Attach).collect();
        let crowded = observed.managed.len() + attach.len() > target.attached_quota && !attach.is_empty();

        let InlineChanges { new, mut smaller, mut larger, delete, crowded: inline_crowded } = inline;
        if swapped {
            let (remove, replace) = (detach.into_iter().chain(delete), smaller.into_iter().chain(larger));
            let add = attach.into_iter().chain(new);
            return Self(vec![remove.collect(), boundary, add.collect(), replace.collect()]);
        }
        // What goes makes room for what comes, and what shrinks for what grows; but only where there is none.
        let (room, detach) = if crowded { (detach, Vec::new()) } else { (Vec::new(), detach) };
        let (inline_room, delete) = if inline_crowded { (delete, Vec::new()) } else { (Vec::new(), delete) };
        let (new, last) = if inline_crowded { (Vec::new(), new) } else { (new, Vec::new()) };
        if !inline_crowded {
            smaller.append(&mut larger);
        }
        let join = |some: Vec<Action>, others: Vec<Action>| some.into_iter().chain(others).collect();
        Self(vec![join(room, inline_room), join(attach, new), smaller, larger, last, join(detach, delete), boundary])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    pub(super) fn append(self, plan: Plan<Action>) -> Plan<Action> {
        self.0.into_iter().fold(plan, Plan::then)
    }
}

/// The changes of inline policies.
struct InlineChanges {
    new: Vec<Action>,
    smaller: Vec<Action>,
    larger: Vec<Action>,
    delete: Vec<Action>,
    /// True if what comes has no room before something has gone.
    crowded: bool,
}

impl InlineChanges {
    fn between(before: &RoleRecord, target: &PolicyTarget<'_>, observed: &Observed, swapped: bool) -> Self {
        let differs = |(name, document): &(&String, &Value)| {
            observed.inline.get(*name).map(canonical) != Some(canonical(document))
        };
        let put = |(name, document): &(&String, &Value)| Action::PutPolicy {
            name: (*name).clone(),
            document: (*document).clone(),
        };
        let old = |name: &String| observed.inline.get(name).map_or(0, inline_size);
        let (replaced, new): (Vec<_>, Vec<_>) =
            target.inline.iter().filter(differs).partition(|(name, _)| observed.inline.contains_key(*name));
        let (larger, smaller): (Vec<_>, Vec<_>) =
            replaced.iter().copied().partition(|(name, document)| inline_size(document) > old(name));
        let delete = observed.inline.keys().filter(|name| {
            let goes = before.inline.contains(name) && !target.inline.contains_key(*name);
            goes || (swapped && replaced.iter().any(|(replaced, _)| replaced == name))
        });
        let grown: usize = larger.iter().map(|(name, document)| inline_size(document) - old(name)).sum();
        let come: usize = new.iter().map(|(_, document)| inline_size(document)).sum();
        let there: usize = observed.inline.values().map(inline_size).sum();
        let puts = |policies: &[(&String, &Value)]| policies.iter().map(put).collect();
        Self {
            crowded: there + come + grown > INLINE_SIZE,
            delete: delete.cloned().map(Action::DeletePolicy).collect(),
            new: puts(&new),
            smaller: puts(&smaller),
            larger: puts(&larger),
        }
    }
}

/// Description and longest session go together: `UpdateRole` resets what it is not given.
pub(super) fn details(before: &RoleRecord, settings: &RoleSettings, observed: &Observed) -> Option<Action> {
    let RoleSettings { description, max_session, boundary: _ } = settings;
    let ours = |name| before.settings.contains(name);
    let description = match description {
        Some(description) => description.clone(),
        None if ours(DESCRIPTION) => String::new(),
        None => observed.description.clone(),
    };
    let max_session = match max_session {
        Some(seconds) => *seconds,
        None if ours(MAX_SESSION) => DEFAULT_MAX_SESSION,
        None => observed.max_session,
    };
    let same = description == observed.description && max_session == observed.max_session;
    (!same).then_some(Action::SetDetails { description, max_session })
}
