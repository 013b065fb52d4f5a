//! The state of a role before its adoption, as far as the declaration touches it, and the way back.
//!
//! It stands in the role's tags, so that the call that claims the role also remembers it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::Action;
use super::applied_record::{BOUNDARY, DESCRIPTION, MAX_SESSION, ON_DRIFT, RoleRecord};
use super::permissions::{ATTACHED_QUOTA, Permissions, PolicyTarget, details};
use super::{Desired, Observed, RoleSettings};
use crate::iam_policy::document::canonical;
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::ownership::{KeyCase, PREFIX, TagChanges, Tags, found_tags, twin};
use crate::reconcile::Plan;

/// The parts of a role before we changed them. A part that is absent was never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FormerRole {
    trust: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u32>,
    /// Empty where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    boundary: Option<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    managed: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    inline: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

impl FormerRole {
    /// The parts that a declaration is about to change for the first time.
    pub(super) fn of(desired: &Desired, observed: &Observed) -> Self {
        let found = Self { trust: observed.trust.clone(), ..Self::default() };
        found.beside(desired, &RoleRecord::default(), observed)
    }

    /// The same with those that this declaration changes for the first time. What we applied before is not what was found.
    pub(super) fn beside(mut self, desired: &Desired, before: &RoleRecord, observed: &Observed) -> Self {
        let RoleSettings { description, max_session, boundary } = &desired.settings;
        let first = |name, declared: bool| declared && !before.settings.contains(name);
        if first(DESCRIPTION, description.is_some()) && self.description.is_none() {
            self.description = Some(observed.description.clone());
        }
        if first(MAX_SESSION, max_session.is_some()) && self.session.is_none() {
            self.session = Some(observed.max_session);
        }
        if first(BOUNDARY, boundary.is_some()) && self.boundary.is_none() {
            self.boundary = Some(observed.boundary.clone().unwrap_or_default());
        }
        let managed = desired.managed.intersection(&observed.managed).filter(|arn| !before.managed.contains(arn));
        self.managed.extend(managed.cloned());
        for (name, document) in observed.inline.iter().filter(|(name, _)| desired.inline.contains_key(*name)) {
            if !before.inline.contains(name) {
                self.inline.entry(name.clone()).or_insert_with(|| document.clone());
            }
        }
        for key in desired.tags.keys().filter(|key| !before.tags.contains(key)) {
            let there = observed.tags.get_key_value(key).or_else(|| twin(&observed.tags, key));
            if let Some((key, value)) = there.filter(|(key, _)| !before.tags.contains(key)) {
                self.tags.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        self
    }

    /// The number of its characters.
    pub(super) fn size(&self) -> usize {
        serde_json::to_string(self).unwrap_or_default().len()
    }

    pub(super) fn write(&self) -> Tags {
        found_tags::write(self)
    }

    pub(super) fn read(tags: &Tags) -> Option<Self> {
        found_tags::read(tags)
    }
}

/// The number of tags that a former state takes.
pub(super) fn chunks(keys: &BTreeSet<&String>) -> usize {
    keys.iter().filter(|key| found_tags::is_chunk(key)).count()
}

/// Gives an adopted role back: with the parts that it had before, and without our tags. Where those parts are not recorded,
/// it stays as it is.
pub(super) fn release(observed: &Observed) -> Plan<Action> {
    let ours = observed.tags.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
    let back = FormerRole::read(&observed.tags).map_or_else(Plan::nothing, |found| give_back(&found, observed));
    Plan::nothing().then(forgotten_declaration(observed)).followed_by(back).then([Action::Untag(ours)])
}

/// The deletion of the record by which a role was repaired. It comes before the tags that tell of it are gone.
pub(super) fn forgotten_declaration(observed: &Observed) -> Option<Action> {
    RoleRecord::read(&observed.tags).settings.contains(ON_DRIFT).then_some(Action::DeleteDeclaration)
}

fn give_back(found: &FormerRole, observed: &Observed) -> Plan<Action> {
    let before = RoleRecord::read(&observed.tags);
    let ours = |name| before.settings.contains(name);
    let settings = RoleSettings {
        description: found.description.clone(),
        max_session: found.session,
        boundary: match &found.boundary {
            Some(boundary) if ours(BOUNDARY) || observed.boundary.is_none() => {
                Some(boundary.clone()).filter(|boundary| !boundary.is_empty())
            }
            _ => observed.boundary.clone(),
        },
    };
    // What is declared to the last, and not there, somebody else has taken away.
    let managed = found.managed.iter().filter(|arn| observed.managed.contains(*arn) || !before.managed.contains(arn));
    let managed: BTreeSet<String> = managed.cloned().collect();
    let inline = found.inline.iter();
    let inline = inline.filter(|(name, _)| observed.inline.contains_key(*name) || !before.inline.contains(name));
    let inline: BTreeMap<String, Value> = inline.map(|(name, document)| (name.clone(), document.clone())).collect();
    let boundary = settings.boundary.as_ref();
    let target = PolicyTarget { managed: &managed, inline: &inline, boundary, attached_quota: ATTACHED_QUOTA };
    let permissions = Permissions::between(&before, &target, observed);
    let new_boundary = settings.boundary.clone().filter(|_| observed.boundary.is_none()).map(Action::SetBoundary);
    let none = Tags::new();
    let is_ours = |key: &str| before.tags.contains(key);
    let tags = TagChanges::new(&found.tags, &none, &none, is_ours, &observed.tags, KeyCase::Ignored);
    let room: BTreeSet<String> = tags.room.into_iter().chain(tags.remove).collect();

    let mut plan = Plan::nothing().then(new_boundary).then(details(&before, &settings, observed));
    let trust = Some(&found.trust).filter(|trust| !trust.is_null() && canonical(trust) != canonical(&observed.trust));
    plan = match (trust, TrustPolicy::read(&observed.trust)) {
        (Some(trust), Some(_)) if permissions.is_empty() => plan.then([Action::RestoreTrust(trust.clone())]),
        (Some(trust), Some(old)) => {
            // What others wrote cannot be intersected with; then nobody is admitted for the moment.
            let middle = TrustPolicy::read(trust).map_or_else(|| old.deny_all(), |theirs| old.between(&theirs));
            let narrow = (middle != old).then_some(Action::SetTrust(middle));
            permissions.append(plan.then(narrow)).then([Action::RestoreTrust(trust.clone())])
        }
        // A trust that is not ours any more, somebody else has written meanwhile.
        _ => permissions.append(plan),
    };
    plan = plan
        .then((!room.is_empty()).then_some(Action::Untag(room)))
        .then((!tags.first.is_empty()).then_some(Action::Tag(tags.first)));
    let stages = plan.stages().iter();
    stages.fold(Plan::nothing(), |plan, stage| {
        plan.then(stage.iter().map(|action| Action::GiveBack(Box::new(action.clone()))))
    })
}
