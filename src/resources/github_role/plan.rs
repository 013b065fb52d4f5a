//! Decisions about a role, and their order.
//!
//! A role grants pairs of a subject and a permission: everyone whom the trust admits, times everything that the policies
//! allow within the boundary. No state between two calls may grant a pair that neither the old nor the new
//! declaration grants, and a pair that both grant must not go missing. With the trust going from T₀ to T₁ and the
//! permissions from P₀ to P₁ this gives:
//!
//! | trust | order |
//! |---|---|
//! | unchanged | permissions |
//! | T₀ ⊆ T₁ | permissions, then trust |
//! | T₁ ⊆ T₀ | trust, then permissions |
//! | neither | trust to T₀ ∩ T₁, permissions, trust to T₁ |
//!
//! Within the permissions, what comes is added first, what changes is replaced next, and what goes is removed last,
//! because two policies may allow the same. (Two inline policies that swap their contents are beyond this.) A permissions
//! boundary where there was none comes before everything else: it takes permissions away that the new declaration does not
//! grant, and IAM lets the function change the trust of no role without one. A boundary that goes is removed after the
//! permissions. From one boundary to another nobody can tell which is wider; then everything that goes is removed first
//! and everything that comes is added last, so that nothing is granted too much, and what both declarations grant may be
//! away for a few calls. The same order serves a role that has no room for the old and the new managed policies together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::action::{Action, RoleCreateInput};
use super::name_record::NameRecord;
use super::{Created, Desired, GitHubRoles, Observed, RoleSettings};
use super::{attributes, effect, native};
use crate::cloudformation::Attributes;
use crate::error::{Refusal, held};
use crate::iam_policy::{document::canonical, trust_policy::TrustPolicy};
use crate::ownership::{AppliedItems, HandOver, Owner, PREFIX, TagChanges, Tags, described};
use crate::reconcile::{NativeResource, Plan, Planner};

const DEFAULT_MAX_SESSION: u32 = 3600;
/// The number of managed policies that a role may have unless AWS raises the quota.
const ATTACHED_QUOTA: usize = 10;

/// The record of the parts that we applied, in the role's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AppliedRecord {
    managed: AppliedItems<8>,
    inline: AppliedItems<8>,
    tags: AppliedItems<5>,
    settings: BTreeSet<&'static str>,
    names: NameRecord,
}

const MANAGED: &str = "github-trust:managed-policies";
const INLINE: &str = "github-trust:inline-policies";
const TAGS: &str = "github-trust:tags";
const SETTINGS: &str = "github-trust:settings";
/// The tag with the names that the policy does not hold with their ids.
pub(super) const NAMES: &str = "github-trust:names";
const ADOPTED: &str = "github-trust:adopted";
const DESCRIPTION: &str = "Description";
const MAX_SESSION: &str = "MaxSessionDuration";
const BOUNDARY: &str = "PermissionsBoundary";

impl AppliedRecord {
    fn of(desired: &Desired) -> Self {
        let RoleSettings { description, max_session, boundary } = &desired.settings;
        let settings = [
            (DESCRIPTION, description.is_some()),
            (MAX_SESSION, max_session.is_some()),
            (BOUNDARY, boundary.is_some()),
        ];
        Self {
            managed: AppliedItems::of(desired.managed.iter().map(String::as_str)),
            inline: AppliedItems::of(desired.inline.keys().map(String::as_str)),
            tags: AppliedItems::of(desired.tags.keys().map(String::as_str)),
            settings: settings.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect(),
            names: desired.names.clone(),
        }
    }

    fn read(tags: &Tags) -> Self {
        let words = tags.get(SETTINGS).map_or("", String::as_str);
        Self {
            managed: AppliedItems::read(tags.get(MANAGED)),
            inline: AppliedItems::read(tags.get(INLINE)),
            tags: AppliedItems::read(tags.get(TAGS)),
            settings: [DESCRIPTION, MAX_SESSION, BOUNDARY]
                .into_iter()
                .filter(|name| words.split(' ').any(|word| word == *name))
                .collect(),
            names: NameRecord::read(tags.get(NAMES)),
        }
    }

    fn union(&self, other: &Self) -> Self {
        let Self { managed, inline, tags, settings, names } = self;
        Self {
            names: names.union(&other.names),
            managed: managed.union(&other.managed),
            inline: inline.union(&other.inline),
            tags: tags.union(&other.tags),
            settings: settings.union(&other.settings).copied().collect(),
        }
    }

    /// The tags that keep it; what is empty needs none.
    fn write(&self) -> Tags {
        let Self { managed, inline, tags, settings, names } = self;
        let settings: Vec<&str> = settings.iter().copied().collect();
        let all = [
            (MANAGED, managed.to_string()),
            (INLINE, inline.to_string()),
            (TAGS, tags.to_string()),
            (SETTINGS, settings.join(" ")),
            (NAMES, names.to_string()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Returns true if neither a stack nor AWS owns the role.
fn is_adoptable(observed: &Observed) -> bool {
    !observed.tags.keys().any(|key| key.starts_with(PREFIX)) && !observed.path.starts_with("/aws-service-role/")
}

/// From the first call on the role is ours, and known to have been somebody else's; the ordinary difference does the
/// rest.
fn adopt(owner: &Owner, desired: &Desired, observed: &Observed) -> Plan<Action> {
    let mut claim = owner.tags();
    claim.insert(ADOPTED.to_owned(), "true".to_owned());
    claimed(claim, desired, observed)
}

/// A role that another owner let go, or that has lost its owner's tags, becomes ours by the first call.
fn claimed(claim: Tags, desired: &Desired, observed: &Observed) -> Plan<Action> {
    let mut ours = observed.clone();
    ours.tags.extend(claim.clone());
    let plan = Plan::nothing().then([Action::Tag(claim)]);
    change(desired, &ours).stages().iter().fold(plan, |plan, stage| plan.then(stage.clone()))
}

fn foreign(desired: &Desired, observed: &Observed) -> Refusal {
    match desired.hand_over.as_ref().and_then(HandOver::held) {
        Some(why) => held(&format!("the role {}", observed.name), &described(&observed.tags), why),
        None => Refusal::Foreign {
            what: format!("the role {}", observed.name),
            owner: described(&observed.tags),
            remedy: "Choose another `RoleName`, or leave it out to get a generated one; a role that nobody owns can be taken \
                     over with `OnExisting: Adopt`, and one that another stack let go with `OnExisting: TakeOver`",
        },
    }
}

fn create(owner: &Owner, desired: &Desired) -> Action {
    let tags = desired.tags.clone().into_iter().chain(owner.tags()).chain(AppliedRecord::of(desired).write()).collect();
    Action::Create {
        input: Box::new(RoleCreateInput {
            name: desired.name.clone(),
            path: desired.path.clone(),
            trust: desired.trust.clone(),
            settings: desired.settings.clone(),
            tags,
        }),
    }
}

fn delete(observed: &Observed) -> Plan<Action> {
    let Observed { managed, inline, instance_profiles, .. } = observed;
    let leave = instance_profiles.iter().cloned().map(Action::LeaveInstanceProfile);
    let detach = managed.iter().cloned().map(Action::Detach);
    let delete = inline.keys().cloned().map(Action::DeletePolicy);
    Plan::nothing().then(leave.chain(detach).chain(delete)).then([Action::Delete])
}

/// From one state of a role of ours to another.
fn change(desired: &Desired, observed: &Observed) -> Plan<Action> {
    let Desired { trust, settings, tags, .. } = desired;
    let (before, after) = (AppliedRecord::read(&observed.tags), AppliedRecord::of(desired));
    let between = before.union(&after);
    let old_trust = TrustPolicy::read(&observed.trust);
    let permissions = Permissions::between(&before, desired, observed);
    let new_boundary = settings.boundary.clone().filter(|_| observed.boundary.is_none()).map(Action::SetBoundary);

    let tags = TagChanges::new(tags, &between.write(), &after.write(), |key| before.tags.contains(key), &observed.tags);

    let mut plan = Plan::nothing().then((!tags.first.is_empty()).then_some(Action::Tag(tags.first)));
    plan = plan.then(new_boundary).then(details(&before, settings, observed));
    let to = Action::SetTrust(trust.clone());
    plan = match &old_trust {
        Some(old) if old == trust => permissions.append(plan),
        Some(old) if trust.covers(old) => permissions.append(plan).then([to]),
        Some(old) if old.covers(trust) => permissions.append(plan.then([to])),
        _ if permissions.is_empty() => plan.then([to]),
        old => {
            // What others wrote cannot be intersected with; then nobody is admitted for the moment.
            let middle = old.as_ref().map_or_else(|| trust.deny_all(), |old| old.intersection(trust));
            let narrow = (old.as_ref() != Some(&middle)).then_some(Action::SetTrust(middle));
            permissions.append(plan.then(narrow)).then([to])
        }
    };
    plan.then((!tags.remove.is_empty()).then_some(Action::Untag(tags.remove)))
        .then((!tags.last.is_empty()).then_some(Action::Tag(tags.last)))
        .then((!tags.forget.is_empty()).then_some(Action::Untag(tags.forget)))
}

/// Description and longest session go together: `UpdateRole` resets what it is not given.
fn details(before: &AppliedRecord, settings: &RoleSettings, observed: &Observed) -> Option<Action> {
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

/// The change of what the role may do, in the order of its steps, without a boundary where there was none.
struct Permissions(Vec<Vec<Action>>);

impl Permissions {
    fn between(before: &AppliedRecord, desired: &Desired, observed: &Observed) -> Self {
        let (from, to) = (observed.boundary.as_ref(), desired.settings.boundary.as_ref());
        let ours = before.settings.contains(BOUNDARY);
        let boundary = match to {
            Some(arn) if from.is_some_and(|from| from != arn) => vec![Action::SetBoundary(arn.clone())],
            None if ours && from.is_some() => vec![Action::DeleteBoundary],
            _ => Vec::new(),
        };
        let swapped = !boundary.is_empty() && to.is_some();
        let wanted = |arn: &&String| desired.managed.contains(*arn);
        let crowded = observed.managed.union(&desired.managed).count() > ATTACHED_QUOTA
            && observed.managed.iter().any(|arn| before.managed.contains(arn) && !wanted(&arn));

        let differs = |(name, document): &(&String, &Value)| {
            observed.inline.get(*name).map(canonical).as_ref() != Some(*document)
        };
        let put =
            |(name, document): (&String, &Value)| Action::PutPolicy { name: name.clone(), document: document.clone() };
        let (replaced, new): (Vec<_>, Vec<_>) =
            desired.inline.iter().filter(differs).partition(|(name, _)| observed.inline.contains_key(*name));
        let detach = observed.managed.iter().filter(|arn| before.managed.contains(arn) && !wanted(arn));
        let delete = observed.inline.keys().filter(|name| {
            let goes = before.inline.contains(name) && !desired.inline.contains_key(*name);
            goes || (swapped && replaced.iter().any(|(replaced, _)| replaced == name))
        });
        let attach = desired.managed.difference(&observed.managed).cloned().map(Action::Attach);

        let add: Vec<Action> = attach.chain(new.into_iter().map(put)).collect();
        let replace: Vec<Action> = replaced.iter().copied().map(put).collect();
        let remove: Vec<Action> =
            detach.cloned().map(Action::Detach).chain(delete.cloned().map(Action::DeletePolicy)).collect();
        Self(match (swapped, crowded) {
            (true, _) => vec![remove, boundary, add, replace],
            (false, true) => vec![remove, add, replace, boundary],
            (false, false) => vec![add, replace, remove, boundary],
        })
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    fn append(self, plan: Plan<Action>) -> Plan<Action> {
        self.0.into_iter().fold(plan, Plan::then)
    }
}

impl Planner for GitHubRoles {
    fn plan(owner: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        match (desired, observed) {
            (None, None) => Ok(Plan::nothing()),
            (None, Some(observed)) if !owner.owns(&observed.tags) => Ok(Plan::nothing()),
            // It goes back to whoever has it, as it is.
            (None, Some(observed)) if observed.tags.contains_key(ADOPTED) => {
                let ours = observed.tags.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
                Ok(Plan::nothing().then([Action::Untag(ours)]))
            }
            (None, Some(observed)) => Ok(delete(observed)),
            (Some(desired), None) => {
                // Create makes the empty input and the ordinary difference fills it, so that create cannot forget a part.
                let create = create(owner, desired);
                let input = GitHubRoles::step(None, &create, None);
                let fill = input.map_or_else(Plan::nothing, |input| change(desired, &input));
                Ok(fill.stages().iter().fold(Plan::nothing().then([create]), |plan, stage| plan.then(stage.clone())))
            }
            (Some(desired), Some(observed)) => {
                let ours = owner.owns(&observed.tags);
                let adopts = desired.adopt && is_adoptable(observed);
                let claim = desired.hand_over.as_ref().and_then(|hand_over| hand_over.claim(owner, &observed.tags));
                if !ours && !adopts && claim.is_none() {
                    return Err(foreign(desired, observed));
                }
                if observed.path != desired.path || observed.name != desired.name {
                    return Err(Refusal::Immutable {
                        what: format!("name and path of the role {}", desired.name),
                        from: format!("{}{}", observed.path, observed.name),
                        to: format!("{}{}", desired.path, desired.name),
                        remedy: "IAM cannot rename a role: change `RoleName` too, or leave it out",
                    });
                }
                Ok(match claim {
                    _ if ours => change(desired, observed),
                    Some(claim) if !adopts => claimed(claim, desired, observed),
                    _ => adopt(owner, desired, observed),
                })
            }
        }
    }

    fn step(observed: Option<Observed>, action: &Action, output: Option<Created>) -> Option<Observed> {
        if let Action::Create { input } = action {
            let RoleCreateInput { name, path, trust, settings, tags } = input.as_ref().clone();
            let Created { arn, role_id, created } = output.unwrap_or_default();
            return Some(Observed {
                name,
                arn,
                role_id,
                path,
                trust: trust.document(),
                description: settings.description.unwrap_or_default(),
                max_session: settings.max_session.unwrap_or(DEFAULT_MAX_SESSION),
                boundary: settings.boundary,
                managed: BTreeSet::new(),
                inline: BTreeMap::new(),
                instance_profiles: BTreeSet::new(),
                tags,
                created,
            });
        }
        let mut observed = observed?;
        match action.clone() {
            Action::Create { .. } => {}
            Action::SetTrust(trust) => observed.trust = trust.document(),
            Action::SetDetails { description, max_session } => {
                (observed.description, observed.max_session) = (description, max_session);
            }
            Action::SetBoundary(arn) => observed.boundary = Some(arn),
            Action::DeleteBoundary => observed.boundary = None,
            Action::Attach(arn) => {
                observed.managed.insert(arn);
            }
            Action::Detach(arn) => {
                observed.managed.remove(&arn);
            }
            Action::PutPolicy { name, document } => {
                observed.inline.insert(name, document);
            }
            Action::DeletePolicy(name) => {
                observed.inline.remove(&name);
            }
            Action::Tag(tags) => observed.tags.extend(tags),
            Action::Untag(keys) => observed.tags.retain(|key, _| !keys.contains(key)),
            Action::LeaveInstanceProfile(name) => {
                observed.instance_profiles.remove(&name);
            }
            Action::Delete => return None,
        }
        Some(observed)
    }

    fn claims(action: &Action) -> bool {
        match action {
            Action::Create { .. } => true,
            Action::Tag(tags) => Owner::of_tags(tags).is_some(),
            _ => false,
        }
    }

    fn created(observed: &Observed) -> Option<i64> {
        observed.created
    }

    fn attributes(desired: &Desired, observed: &Observed) -> Attributes {
        attributes::of(desired, observed)
    }

    fn native(desired: &Desired) -> Option<NativeResource> {
        Some(native::of(desired))
    }

    fn effect(before: Option<&Observed>, action: &Action) -> String {
        effect::of(before, action)
    }
}
