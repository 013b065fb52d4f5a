//! The target content of an entry, and the order of the changes that lead to it.
//!
//! The principal of an entry never changes, so no order grants more than the old and the new declaration together. Two
//! policies may allow the same, so new policies are associated first, changed scopes follow, and old policies are
//! disassociated last.

use std::collections::BTreeMap;

use super::action::Action;
use super::applied_record::{AppliedRecord, ROLE_ID, is_record};
use super::former_state::FormerEntry;
use super::state::{EntryContent, ObservedEntry, RESTORING, default_username};
use super::{EntryType, PolicyScope, Wanted};
use crate::ownership::{KeyCase, PREFIX, TagChanges, Tags, authored};
use crate::reconcile::Plan;

/// The target content of an entry of ours, and the records before, during and after the change.
pub(super) struct Target {
    pub(super) content: EntryContent,
    before: AppliedRecord,
    between: AppliedRecord,
    after: AppliedRecord,
}

impl Target {
    /// The target that starts from `base`. `role` is the record of the role that the entry is, or will be, bound to.
    pub(super) fn new(wanted: &Wanted, base: &EntryContent, role: Option<String>) -> Self {
        let before = AppliedRecord::read(&base.tags);
        let (after, content) = match wanted {
            Wanted::Declared(spec) => {
                let content = EntryContent {
                    cluster: spec.cluster.clone(),
                    principal: spec.principal.clone(),
                    entry_type: spec.entry_type.to_string(),
                    username: match &spec.username {
                        Some(username) => username.clone(),
                        None if before.username => default_username(&base.principal),
                        None => base.username.clone(),
                    },
                    // Properties that the author leaves out are not compared, except for items that we applied while they were declared.
                    groups: match &spec.groups {
                        Some(groups) => groups.clone(),
                        None => base.groups.iter().filter(|group| !before.groups.contains(group)).cloned().collect(),
                    },
                    policies: spec.policies.clone().unwrap_or_else(|| {
                        let others = base.policies.iter().filter(|(policy, _)| !before.policies.contains(policy));
                        others.map(|(policy, scope)| (policy.clone(), scope.clone())).collect()
                    }),
                    tags: authored(&base.tags)
                        .filter(|(key, _)| !before.tags.contains(key))
                        .chain(&spec.tags)
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect(),
                };
                (AppliedRecord::of(spec), content)
            }
            Wanted::Unchanged => {
                let tags = authored(&base.tags).map(|(key, value)| (key.clone(), value.clone())).collect();
                (before.clone(), EntryContent { tags, ..base.clone() })
            }
        };
        let after = AppliedRecord { role, ..after };
        let between = before.union(&after);
        let lasting = |key: &str| key.starts_with(PREFIX) && !is_record(key) && key != RESTORING;
        let owner = base.tags.iter().filter(|(key, _)| lasting(key)).map(|(key, value)| (key.clone(), value.clone()));
        let mut content = content;
        content.tags.extend(owner.chain(after.write()));
        if let (Wanted::Declared(spec), Some(found)) = (wanted, FormerEntry::read(&base.tags)) {
            content.tags.extend(found.beside(spec, base).write());
        }
        Self { content, before, between, after }
    }

    /// The target of an adopted entry that is given back. It keeps our tags for the time being.
    pub(super) fn given_back(found: &FormerEntry, content: &EntryContent) -> Self {
        let record = || AppliedRecord::read(&content.tags);
        Self { content: found.content(content), before: record(), between: record(), after: record() }
    }

    /// The same without the record of the role, which takes a tag.
    pub(super) fn without_role(mut self) -> Self {
        self.content.tags.remove(ROLE_ID);
        (self.between.role, self.after.role) = (None, None);
        self
    }

    /// Plans the changes of an observed entry.
    pub(super) fn plan_from(&self, entry: &ObservedEntry) -> Plan<Action> {
        let Self { content, before, between, after } = self;
        let ObservedEntry { content: observed, arn, created: _ } = entry;
        let wanted: Tags =
            content.tags.iter().filter(|(key, _)| !is_record(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        let (ours, case) = (|key: &str| before.tags.contains(key), KeyCase::Kept);
        let tags = TagChanges::new(&wanted, &between.write(), &after.write(), ours, &observed.tags, case);

        let username = (content.username != observed.username).then(|| content.username.clone());
        let groups = (content.groups != observed.groups).then(|| content.groups.clone());
        // EKS sets those of nodes, and nobody can change them.
        let update = content.entry_type == EntryType::STANDARD.0 && (username.is_some() || groups.is_some());
        let update = update.then_some(Action::Update { username, groups });
        let policies = &content.policies;
        let disassociate = observed
            .policies
            .keys()
            .filter(|policy| !policies.contains_key(*policy))
            .cloned()
            .map(Action::Disassociate);
        let associate = |(policy, scope): (&String, &PolicyScope)| Action::Associate {
            policy: policy.clone(),
            scope: scope.clone(),
        };
        let new = policies.iter().filter(|(policy, _)| !observed.policies.contains_key(*policy)).map(associate);
        let (wider, moved) = rescoped(&observed.policies, policies);

        Plan::nothing()
            .then((!tags.room.is_empty()).then(|| Action::Untag { arn: arn.clone(), keys: tags.room }))
            .then((!tags.first.is_empty()).then(|| Action::Tag { arn: arn.clone(), tags: tags.first }))
            .then(new)
            .then(wider.iter().map(associate))
            .then(moved.iter().map(associate))
            .then(update)
            .then(disassociate)
            .then((!tags.remove.is_empty()).then(|| Action::Untag { arn: arn.clone(), keys: tags.remove }))
            .then((!tags.last.is_empty()).then(|| Action::Tag { arn: arn.clone(), tags: tags.last }))
            .then((!tags.forget.is_empty()).then(|| Action::Untag { arn: arn.clone(), keys: tags.forget }))
    }
}

/// The steps from old scopes to new ones. A single scope changes in one call; several could pass a namespace from one
/// policy to the other, so each is first widened by its new scope and then narrowed to it.
fn rescoped(
    from: &BTreeMap<String, PolicyScope>,
    to: &BTreeMap<String, PolicyScope>,
) -> (BTreeMap<String, PolicyScope>, BTreeMap<String, PolicyScope>) {
    let changes: BTreeMap<&String, (&PolicyScope, &PolicyScope)> = to
        .iter()
        .filter_map(|(policy, new)| from.get(policy).filter(|old| *old != new).map(|old| (policy, (old, new))))
        .collect();
    let mut steps = (BTreeMap::new(), BTreeMap::new());
    for (policy, (old, new)) in &changes {
        let between = if changes.len() > 1 { old.union(new) } else { (*new).clone() };
        if between != **new {
            steps.1.insert((*policy).clone(), (*new).clone());
        }
        if between != **old {
            steps.0.insert((*policy).clone(), between);
        }
    }
    steps
}
