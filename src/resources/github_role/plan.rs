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
//! | neither | trust to T₀ ∩ T₁, or to nobody if the account may have no room for that; permissions; trust to T₁ |
//!
//! Within the permissions, what comes is added first, what changes is replaced next, and what goes is removed last,
//! because two policies may allow the same. (Two inline policies that swap their contents are beyond this.) A permissions
//! boundary where there was none comes before everything else: it takes permissions away that the new declaration does not
//! grant, and IAM lets the function change the trust of no role without one. A boundary that goes is removed after the
//! permissions. From one boundary to another nobody can tell which is wider; then everything that goes is removed first
//! and everything that comes is added last, so that nothing is granted too much, and what both declarations grant may be
//! away for a few calls. The same order serves a role that has no room for the old and the new managed policies together.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, RoleCreateInput};
use super::applied_record::{ADOPTED, ON_DRIFT, RoleRecord};
use super::declaration_record::DeclarationRecord;
use super::former_state::{self, FormerRole};
use super::name_record::NameRecord;
use super::permissions::{DEFAULT_MAX_SESSION, Permissions, PolicyTarget, details};
use super::{Created, Desired, GitHubRoles, Observed, guardrail_checks};
use super::{attributes, effect, native_equivalent, refused_property};
use crate::cloudformation::Attributes;
use crate::error::{Refusal, held};
use crate::guardrails::GuardrailCheck;
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::ownership::{HandOver, KeyCase, Owner, PREFIX, TAG_QUOTA, TagChanges, Tags, Takeover, described, room_for};
use crate::reconcile::{NativeResource, Plan, Planner};

/// Returns true if neither a stack nor AWS owns the role.
fn is_adoptable(observed: &Observed) -> bool {
    !observed.tags.keys().any(|key| key.starts_with(PREFIX)) && !observed.path.starts_with("/aws-service-role/")
}

/// From the first call on the role is ours, and known to have been somebody else's; the ordinary difference does the
/// rest.
fn adopt(owner: &Owner, desired: &Desired, observed: &Observed) -> Plan<Action> {
    let mut claim = owner.tags();
    claim.insert(ADOPTED.to_owned(), "true".to_owned());
    claim.extend(FormerRole::of(desired, observed).write());
    claimed(owner, claim, desired, observed)
}

/// A role that another owner let go, or that has lost its owner's tags, becomes ours by the first call.
fn claimed(owner: &Owner, claim: Tags, desired: &Desired, observed: &Observed) -> Plan<Action> {
    let recorded = RoleRecord::read(&observed.tags).tags;
    let goes = |key: &str| recorded.contains(key) && !desired.tags.contains_key(key);
    let room = room_for(&claim, &observed.tags, goes);
    let mut ours = observed.clone();
    ours.tags.retain(|key, _| !room.contains(key));
    ours.tags.extend(claim.clone());
    let plan = Plan::nothing().then((!room.is_empty()).then_some(Action::Untag(room))).then([Action::Tag(claim)]);
    change(owner, desired, &ours).stages().iter().fold(plan, |plan, stage| plan.then(stage.clone()))
}

fn foreign(desired: &Desired, observed: &Observed) -> Refusal {
    match desired.hand_over.as_ref().and_then(HandOver::held) {
        Some(why) => held(&format!("the role {}", observed.name), &described(&observed.tags), why),
        None => Refusal::Foreign {
            what: format!("the role {}", observed.name),
            owner: described(&observed.tags),
            remedy: if desired.hand_over == Some(HandOver::Replaced) {
                "CloudFormation shows a role of this name as this resource's, but this one has not the trust policy that was \
                 written: somebody made it again, or changed it and took its tags. Delete it and update the stack, or continue \
                 its rollback: it is made anew. To keep it, skip the resource (`aws cloudformation continue-update-rollback \
                 --resources-to-skip`), then declare `OnExisting: Adopt`"
            } else {
                "Choose another `RoleName`, or leave it out to get a generated one; a role that nobody owns can be taken \
                     over with `OnExisting: Adopt`, and one that another stack let go with `OnExisting: TakeOver`"
            },
        },
    }
}

fn create(owner: &Owner, desired: &Desired) -> Action {
    let record = RoleRecord::of(owner, desired).without_declaration();
    let tags = desired.tags.clone().into_iter().chain(owner.tags()).chain(record.write()).collect();
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
    Plan::nothing()
        .then(former_state::forgotten_declaration(observed))
        .then(leave.chain(detach).chain(delete))
        .then([Action::Delete])
}

/// The change of the record by which a role is repaired. The tags have its digest before and after all changes, and not
/// between.
fn declaration(owner: &Owner, desired: &Desired, before: &RoleRecord, after: &RoleRecord) -> Option<Action> {
    match DeclarationRecord::of(owner, desired) {
        Some(record) if before.declared.get(ON_DRIFT) != after.declared.get(ON_DRIFT) => {
            Some(Action::SaveDeclaration { record: Box::new(record), is_kept: before.declared.contains_key(ON_DRIFT) })
        }
        None if before.settings.contains(ON_DRIFT) => Some(Action::DeleteDeclaration),
        _ => None,
    }
}

/// From one state of a role of ours to another.
fn change(owner: &Owner, desired: &Desired, observed: &Observed) -> Plan<Action> {
    let Desired { trust, settings, tags, .. } = desired;
    let (before, after) = (RoleRecord::read(&observed.tags), RoleRecord::of(owner, desired));
    // A part that is declared for the first time is remembered before it changes.
    let found = FormerRole::read(&observed.tags).map(|found| found.beside(desired, &before, observed).write());
    let kept = |record: &RoleRecord| record.write().into_iter().chain(found.clone().unwrap_or_default()).collect();
    let old_trust = TrustPolicy::read(&observed.trust);
    let target = PolicyTarget {
        managed: &desired.managed,
        inline: &desired.inline,
        boundary: settings.boundary.as_ref(),
        attached_quota: desired.attached_quota,
    };
    let permissions = Permissions::between(&before, &target, observed);
    let new_boundary = settings.boundary.clone().filter(|_| observed.boundary.is_none()).map(Action::SetBoundary);

    let middle = middle(old_trust.as_ref(), trust).filter(|_| !permissions.is_empty());
    // The middle policy may pin none of the ids, and the role may have to stay with it.
    let pinned = middle.as_ref().map(|_| NameRecord::pinned(&observed.trust, &trust.provider_arn)).unwrap_or_default();
    let (between, kept): (Tags, Tags) = (kept(&before.union(&after).with_names(&pinned)), kept(&after));
    let ours = |key: &str| before.tags.contains(key);
    let tags = TagChanges::new(tags, &between, &kept, ours, &observed.tags, KeyCase::Ignored);

    let mut plan = Plan::nothing().then((!tags.room.is_empty()).then_some(Action::Untag(tags.room)));
    plan = plan.then((!tags.first.is_empty()).then_some(Action::Tag(tags.first)));
    plan = plan.then(new_boundary).then(details(&before, settings, observed));
    let to = Action::SetTrust(trust.clone());
    plan = match (&old_trust, middle) {
        (Some(old), _) if old == trust => permissions.append(plan),
        (Some(old), None) if trust.covers(old) => permissions.append(plan).then([to]),
        (Some(old), Some(middle)) if *old == middle => permissions.append(plan).then([to]),
        (_, Some(middle)) => permissions.append(plan.then([Action::SetTrust(middle)])).then([to]),
        (_, None) => permissions.append(plan.then([to])),
    };
    plan.then(declaration(owner, desired, &before, &after))
        .then((!tags.remove.is_empty()).then_some(Action::Untag(tags.remove)))
        .then((!tags.last.is_empty()).then_some(Action::Tag(tags.last)))
        .then((!tags.forget.is_empty()).then_some(Action::Untag(tags.forget)))
}

/// The trust while permissions change, where neither trust covers the other.
fn middle(old: Option<&TrustPolicy>, new: &TrustPolicy) -> Option<TrustPolicy> {
    match old {
        Some(old) if new.covers(old) || old.covers(new) => None,
        Some(old) => Some(old.between(new)),
        // A policy that others wrote has no intersection. Then nobody is admitted for the moment.
        None => Some(new.deny_all()),
    }
}

/// Refuses a plan by which an adopted role would have more tags than IAM allows: its former state is among them.
fn has_room(desired: &Desired, observed: &Observed, plan: &Plan<Action>) -> Result<(), Refusal> {
    let mut tags: BTreeSet<&String> = observed.tags.keys().filter(|key| !key.starts_with("aws:")).collect();
    let mut most = tags.clone();
    for action in plan.actions() {
        match action {
            Action::Tag(set) => tags.extend(set.keys()),
            Action::Untag(keys) => tags.retain(|key| !keys.contains(*key)),
            _ => {}
        }
        if tags.len() > most.len() {
            most.clone_from(&tags);
        }
    }
    if most.len() <= TAG_QUOTA {
        return Ok(());
    }
    let (verb, former) = match FormerRole::read(&observed.tags) {
        Some(found) => ("changed", found.beside(desired, &RoleRecord::read(&observed.tags), observed)),
        None => ("adopted", FormerRole::of(desired, observed)),
    };
    Err(Refusal::PreconditionFailed {
        what: format!(
            "the role {} cannot be {verb}: with its former state, which is kept in its tags so that it can be given back, \
             it would have {} tags, and IAM allows {TAG_QUOTA} ({} for {} characters of that state)",
            observed.name,
            most.len(),
            former_state::chunks(&most),
            former.size(),
        ),
        remedy: "Leave the inline policies out that it has already, so that they stay and need not be kept, use fewer \
                 `Tags`, or make a new role"
            .to_owned(),
    })
}

impl Planner for GitHubRoles {
    fn plan(owner: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        match (desired, observed) {
            (None, None) => Ok(Plan::nothing()),
            (None, Some(observed)) if !owner.owns(&observed.tags) => Ok(Plan::nothing()),
            (None, Some(observed)) if observed.tags.contains_key(ADOPTED) => Ok(former_state::release(observed)),
            (None, Some(observed)) => Ok(delete(observed)),
            (Some(desired), None) => {
                // Create makes the empty input and the ordinary difference fills it, so that create cannot forget a part.
                let create = create(owner, desired);
                let input = GitHubRoles::step(None, &create, None);
                let fill = input.map_or_else(Plan::nothing, |input| change(owner, desired, &input));
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
                let plan = match claim {
                    Some(claim) if !adopts => claimed(owner, claim, desired, observed),
                    _ if ours => change(owner, desired, observed),
                    _ => adopt(owner, desired, observed),
                };
                if adopts || observed.tags.contains_key(ADOPTED) {
                    has_room(desired, observed, &plan)?;
                }
                Ok(plan)
            }
        }
    }

    fn adopts(action: &Action) -> bool {
        matches!(action, Action::Tag(tags) if tags.contains_key(ADOPTED))
    }

    fn take_back(desired: &mut Desired) {
        desired.hand_over = Some(HandOver::Retained);
    }

    fn takes_over(action: &Action) -> Option<Takeover> {
        let Action::Tag(tags) = action else { return None };
        Takeover::of(tags)
    }

    fn held(observed: &Observed) -> Vec<GuardrailCheck> {
        guardrail_checks::held(observed)
    }

    fn step(observed: Option<Observed>, action: &Action, output: Option<Created>) -> Option<Observed> {
        if let Action::GiveBack(action) = action {
            return GitHubRoles::step(observed, action, output);
        }
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
            Action::Create { .. }
            | Action::GiveBack(_)
            | Action::SaveDeclaration { .. }
            | Action::DeleteDeclaration => {}
            Action::RestoreTrust(trust) => observed.trust = trust,
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

    fn property(action: &Action, words: &str) -> Option<String> {
        refused_property::of(action, words)
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
        Some(native_equivalent::of(desired))
    }

    fn effect(before: Option<&Observed>, action: &Action) -> String {
        effect::of(before, action)
    }

    fn moment(before: Option<&Observed>, action: &Action, others: &[&Action]) -> Option<&'static str> {
        effect::moment(before, action, others)
    }

    fn is_unmarked(owner: &Owner, observed: &Observed) -> bool {
        !owner.owns(&observed.tags)
    }
}
