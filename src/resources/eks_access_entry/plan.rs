//! Decisions about an access entry: its owner, whether it has to be recreated, and the order of its changes.
//!
//! # Recreation
//! EKS cannot change the role or the type of an entry, so the entry is deleted and created again. To lose nothing in
//! between:
//! 1. A [`RecreationRecord`] with the content of the new entry is saved outside of EKS. Only one process can create it; the
//!    others wait until it is gone, or take it over from a process that has died ([`Sharing`](crate::reconcile::Sharing)).
//! 2. The record is committed, once it was read beside the old entry.
//! 3. The old entry is deleted, and the new one is created with a mark.
//! 4. The mark is removed, once the complete entry was read beside the record. Then the record is deleted.
//!
//! The mark takes a tag. If there is no room for it, the id of the role is written when the mark is gone. An entry that would
//! have too many tags even so is not deleted.
//!
//! A Delete of the resource does not wait: it deletes the record first, then the entry, and reads again afterwards. An entry
//! with a mark and without a record came back after its deletion.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, EntryCreateInput};
use super::applied_record::{AppliedRecord, ROLE_ID};
use super::bound_role::{check_declared_role, check_role, is_stale};
use super::desired_content::Target;
use super::former_state::FormerEntry;
use super::state::{
    ADOPTED, EntryContent, Observed, ObservedEntry, RESTORING, RecreationRecord, TYPE_CHANGED, default_username,
    described_entry,
};
use super::{AccessEntries, Created, Desired, Principal, Spec, Wanted};
use super::{effect, native_equivalent, refused_property};
use crate::cloudformation::Attributes;
use crate::error::{Refusal, held};
use crate::guardrails::GuardrailCheck;
use crate::ownership::{HandOver, Owner, PREFIX, TAG_QUOTA, Tags, Takeover, described, room_for};
use crate::reconcile::{NativeResource, Plan, Planner};

fn foreign(content: &EntryContent) -> Refusal {
    Refusal::Foreign {
        what: described_entry(content),
        owner: described(&content.tags),
        remedy: if content.is_adoptable() {
            "A cluster has one entry for each principal: remove the other declaration, or this one; an entry that nobody \
             owns can be taken over with `OnExisting: Adopt`"
        } else {
            "A cluster has one entry for each principal: remove the other declaration, or this one; an entry that another \
             stack let go can be taken over with `OnExisting: TakeOver`"
        },
    }
}

/// Plans the deletion of an entry of ours, or the release of an adopted one.
fn plan_absent(owner: &Owner, entry: Option<&ObservedEntry>, record: Option<&RecreationRecord>) -> Plan<Action> {
    let ours = entry.filter(|entry| owner.owns(&entry.content.tags));
    // The record first: a process that is about to recreate the entry then sees that it is no longer wanted.
    let plan = Plan::nothing().then(record.map(|_| Action::DeleteRecord));
    match ours {
        Some(entry) if entry.content.is_adopted() => {
            let keys = entry.content.tags.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
            plan.followed_by(give_back(entry)).then([Action::Untag { arn: entry.arn.clone(), keys }])
        }
        ours => plan.then(ours.map(|_| Action::Delete { stale: false })),
    }
}

/// Gives the parts of an adopted entry back that were declared. Where they are not recorded, it stays as it is.
fn give_back(entry: &ObservedEntry) -> Plan<Action> {
    let Some(found) = FormerEntry::read(&entry.content.tags) else { return Plan::nothing() };
    let plan = Target::given_back(&found, &entry.content).plan_from(entry);
    let stages = plan.stages().iter();
    stages.fold(Plan::nothing(), |plan, stage| {
        plan.then(stage.iter().map(|action| Action::GiveBack(Box::new(action.clone()))))
    })
}

/// Plans the adoption of an entry that nobody owns.
fn adopt(
    owner: &Owner,
    desired: &Desired,
    spec: &Spec,
    entry: &ObservedEntry,
    record: Option<&RecreationRecord>,
) -> Result<Plan<Action>, Refusal> {
    // The first call makes the entry ours, marks it as adopted, and remembers what it was.
    let mut claim = owner.tags();
    claim.insert(ADOPTED.to_owned(), "true".to_owned());
    claim.extend(FormerEntry::default().beside(spec, &entry.content).write());
    let mut claimed = entry.clone();
    claimed.content.tags.extend(claim.clone());
    let plan = Plan::nothing().then([Action::Tag { arn: entry.arn.clone(), tags: claim }]);
    let plan = plan.followed_by(plan_present(desired, &claimed, record)?);
    let added = plan.actions().filter_map(|action| match action {
        Action::Tag { arn: _, tags } => Some(tags.keys()),
        _ => None,
    });
    let count = added.flatten().chain(entry.content.tags.keys()).collect::<BTreeSet<_>>().len();
    if count <= TAG_QUOTA {
        return Ok(plan);
    }
    Err(Refusal::PreconditionFailed {
        what: format!(
            "the access entry of {} in cluster {} cannot be adopted: with its former state, which is kept in its tags so \
             that it can be given back, it would have {count} tags, and EKS allows {TAG_QUOTA}",
            spec.principal, spec.cluster
        ),
        remedy: "Leave `AccessPolicies` or `KubernetesGroups` out, so that they stay and need not be kept, or use fewer `Tags`"
            .to_owned(),
    })
}

/// Plans the changes of an entry that becomes ours by the first call.
fn take_over(
    desired: &Desired,
    spec: &Spec,
    entry: &ObservedEntry,
    record: Option<&RecreationRecord>,
    claim: Tags,
) -> Result<Plan<Action>, Refusal> {
    let recorded = AppliedRecord::read(&entry.content.tags).tags;
    let goes = |key: &str| recorded.contains(key) && !spec.tags.contains_key(key);
    let keys = room_for(&claim, &entry.content.tags, goes);
    let mut claimed = entry.clone();
    claimed.content.tags.retain(|key, _| !keys.contains(key));
    claimed.content.tags.extend(claim.clone());
    let plan = Plan::nothing()
        .then((!keys.is_empty()).then(|| Action::Untag { arn: entry.arn.clone(), keys }))
        .then([Action::Tag { arn: entry.arn.clone(), tags: claim }]);
    Ok(plan.followed_by(plan_present(desired, &claimed, record)?))
}

/// Plans the changes of an entry of ours.
fn plan_present(
    desired: &Desired,
    entry: &ObservedEntry,
    record: Option<&RecreationRecord>,
) -> Result<Plan<Action>, Refusal> {
    let type_changed = match &desired.wanted {
        // Its owner deleted it while it was being recreated.
        Wanted::Unchanged if entry.content.is_marked() && record.is_none() => {
            return Ok(Plan::nothing().then([Action::Delete { stale: false }]));
        }
        Wanted::Declared(spec) if entry.content.entry_type != spec.entry_type.to_string() => {
            if entry.content.is_adopted() {
                return Err(Refusal::Immutable {
                    what: format!("`Type` of the entry of {} in cluster {}", spec.principal, spec.cluster),
                    from: entry.content.entry_type.clone(),
                    to: spec.entry_type.to_string(),
                    remedy: "EKS never changes the type of an entry, and one that was taken over is not made again: \
                             declare the type that it has",
                });
            }
            true
        }
        _ => false,
    };
    let stale = desired.role.as_ref().filter(|role| is_stale(role, entry));
    if stale.is_none() && !type_changed {
        return Ok(repair(desired, entry, record));
    }
    let current = desired.role.as_ref().map(Principal::remembered);
    let role = if stale.is_some() { current } else { entry.content.role().or(current) };
    // The former state of an adopted entry was that of an entry for the role before.
    let content = content_of_type(desired, merge_record(entry, record)).of_ours_alone();
    let target = Target::new(&desired.wanted, &content, role);
    check_tags(&target.content)?;
    // If both have changed, the role is the reason to report.
    let type_changed = type_changed && stale.is_none();
    let matching = record.filter(|record| record.content == target.content && record.type_changed == type_changed);
    let save = |committed: bool, exists: bool| {
        let (content, process) = (target.content.clone(), desired.process.clone());
        Action::SaveRecord { record: Box::new(RecreationRecord { content, committed, type_changed, process }), exists }
    };
    let plan = Plan::nothing()
        .then(matching.is_none().then(|| save(false, record.is_some())))
        .then(matching.is_none_or(|matching| !matching.committed).then(|| save(true, true)))
        .then([Action::Delete { stale: stale.is_some() }]);
    Ok(plan.followed_by(recreate(&target.content, type_changed)))
}

/// Refuses to make an entry again with more tags than EKS allows: it would be deleted, and not come back.
fn check_tags(content: &EntryContent) -> Result<(), Refusal> {
    let count = content.tags.len();
    if count <= TAG_QUOTA {
        return Ok(());
    }
    Err(Refusal::PreconditionFailed {
        what: format!(
            "{} has to be made again, and would have {count} tags; EKS allows {TAG_QUOTA}, so it is left as it is",
            described_entry(content)
        ),
        remedy: "Use fewer `Tags`, or take tags of others from the entry".to_owned(),
    })
}

/// The part of the content that an entry of the declared type can keep: the tags of others. EKS gives the types for nodes
/// their username and groups, and takes them for no other.
fn content_of_type(desired: &Desired, content: EntryContent) -> EntryContent {
    match &desired.wanted {
        Wanted::Declared(spec) if content.entry_type != spec.entry_type.to_string() => EntryContent {
            entry_type: spec.entry_type.to_string(),
            username: default_username(&content.principal),
            groups: BTreeSet::new(),
            policies: BTreeMap::new(),
            ..content
        },
        _ => content,
    }
}

/// Plans the changes of an entry that is bound to its role.
fn repair(desired: &Desired, entry: &ObservedEntry, record: Option<&RecreationRecord>) -> Plan<Action> {
    let current = desired.role.as_ref().map(Principal::remembered);
    // IAM may show the previous role, which the entry is bound to no longer.
    let is_bound = desired.role.as_ref().is_some_and(|role| entry.content.role_id() == Some(role.role_id.as_str()));
    let role = if is_bound { current } else { entry.content.role().or(current) };
    let target = Target::new(&desired.wanted, &merge_record(entry, record), role);
    let marked = record.filter(|_| entry.content.is_marked());
    Plan::nothing()
        .then(marked.and_then(|record| overrule(desired, record, &target)))
        .followed_by(complete(target, entry, record))
}

/// Leads an entry to its target, and ends its recreation.
fn complete(target: Target, entry: &ObservedEntry, record: Option<&RecreationRecord>) -> Plan<Action> {
    fill(target, entry).then(record.map(|_| Action::DeleteRecord))
}

/// Leads an entry to its target, and takes its mark away. Where the mark leaves no room for all tags, the role's id waits
/// until it is gone. Until then dates tell whether the entry is bound to its role.
fn fill(target: Target, entry: &ObservedEntry) -> Plan<Action> {
    if !entry.content.is_marked() {
        return target.plan_from(entry);
    }
    let unmark = Action::Unmark { arn: entry.arn.clone() };
    let tags = &target.content.tags;
    match tags.get(ROLE_ID).filter(|_| !has_room_for_mark(tags)).cloned() {
        None => target.plan_from(entry).then([unmark]),
        Some(role) => {
            let tags = Tags::from([(ROLE_ID.to_owned(), role)]);
            let last = Action::Tag { arn: entry.arn.clone(), tags };
            target.without_role().plan_from(entry).then([unmark]).then([last])
        }
    }
}

fn has_room_for_mark(tags: &Tags) -> bool {
    tags.len() < TAG_QUOTA
}

/// Plans the new entry from the record of the old one.
fn restore(desired: &Desired, record: &RecreationRecord) -> Plan<Action> {
    let content = content_of_type(desired, record.content.clone()).of_ours_alone();
    let current = desired.role.as_ref().map(Principal::remembered);
    let target = Target::new(&desired.wanted, &content, current.or(content.role()));
    Plan::nothing().then(overrule(desired, record, &target)).followed_by(recreate(&target.content, record.type_changed))
}

/// Replaces a record that differs from the declaration, so that a scheduled run in progress does not bring back what is no
/// longer wanted.
fn overrule(desired: &Desired, record: &RecreationRecord, target: &Target) -> Option<Action> {
    let overrules = matches!(desired.wanted, Wanted::Declared(_)) && target.content != record.content;
    overrules.then(|| {
        let (content, process) = (target.content.clone(), desired.process.clone());
        let record = RecreationRecord { content, committed: true, type_changed: record.type_changed, process };
        Action::SaveRecord { record: Box::new(record), exists: true }
    })
}

/// The content to start from. An entry that is being recreated has only a part of it, and its record has the rest.
fn merge_record(entry: &ObservedEntry, record: Option<&RecreationRecord>) -> EntryContent {
    match record.filter(|_| entry.content.is_marked()) {
        Some(record) => merge(&record.content, &entry.content),
        None => entry.content.clone(),
    }
}

/// The content of the entry, with the recorded items that it lacks. Items that we applied before and do not own any more are
/// left out.
fn merge(recorded: &EntryContent, entry: &EntryContent) -> EntryContent {
    let (then, now) = (AppliedRecord::read(&recorded.tags), AppliedRecord::read(&entry.tags));
    let mut merged = entry.clone();
    let groups = recorded.groups.iter().filter(|group| !then.groups.contains(group) || now.groups.contains(group));
    merged.groups.extend(groups.cloned());
    let mut policies = recorded.policies.clone();
    policies.retain(|policy, _| !then.policies.contains(policy) || now.policies.contains(policy));
    policies.append(&mut merged.policies);
    merged.policies = policies;
    let mut tags = recorded.tags.clone();
    tags.retain(|key, _| !key.starts_with(PREFIX) && (!then.tags.contains(key) || now.tags.contains(key)));
    tags.append(&mut merged.tags);
    merged.tags = tags;
    merged
}

/// Creates the entry again, with a mark until it is complete. The mark also holds the reason.
fn recreate(content: &EntryContent, type_changed: bool) -> Plan<Action> {
    let mut input = EntryCreateInput::of(content);
    if !has_room_for_mark(&input.tags) {
        input.tags.remove(ROLE_ID);
    }
    let reason = if type_changed { TYPE_CHANGED } else { "true" };
    input.tags.insert(RESTORING.to_owned(), reason.to_owned());
    create_and_fill(input, |entry| fill(Target::new(&Wanted::Unchanged, content, content.role()), entry))
        .then([Action::DeleteRecord])
}

fn create(owner: &Owner, desired: &Desired, spec: &Spec) -> Plan<Action> {
    let Spec { cluster, principal, entry_type, username, groups, tags, .. } = spec.clone();
    let role = desired.role.as_ref().map(Principal::remembered);
    let record = AppliedRecord { role: role.clone(), ..AppliedRecord::of(spec) };
    let tags = tags.into_iter().chain(owner.tags()).chain(record.write()).collect();
    let (entry_type, groups) = (entry_type.to_string(), groups.unwrap_or_default());
    let input = EntryCreateInput { cluster, principal, entry_type, username, groups, tags };
    create_and_fill(input, |entry| Target::new(&desired.wanted, &entry.content, role).plan_from(entry))
}

/// Creates the entry without policies, and adds the rest as to any other entry, so that a creation forgets nothing.
fn create_and_fill(input: EntryCreateInput, fill: impl FnOnce(&ObservedEntry) -> Plan<Action>) -> Plan<Action> {
    let fill = fill(&created_entry(&input, None));
    Plan::nothing().then([Action::Create { input: Box::new(input) }]).followed_by(fill)
}

/// The state after a creation. A plan does not know the output yet.
fn created_entry(input: &EntryCreateInput, output: Option<Created>) -> ObservedEntry {
    let EntryCreateInput { cluster, principal, entry_type, username, groups, tags } = input.clone();
    let Created { arn, username: given, created } = output.unwrap_or_default();
    let username = given.or(username).unwrap_or_else(|| default_username(&principal));
    let content = EntryContent { cluster, principal, entry_type, username, groups, policies: BTreeMap::new(), tags };
    ObservedEntry { content, arn, created }
}

impl Planner for AccessEntries {
    fn plan(owner: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        let (entry, record) =
            observed.map_or((None, None), |Observed { entry, record }| (entry.as_ref(), record.as_ref()));
        let ours = |tags: &Tags| owner.owns(tags);
        let our_record = record.filter(|record| ours(&record.content.tags));
        let Some(desired) = desired else { return Ok(plan_absent(owner, entry, our_record)) };
        let check_role = || observed.map_or(Ok(()), |now| check_role(&desired.wanted, desired.role.as_ref(), now));
        let hand_over = desired.hand_over.as_ref();
        let claim = |entry: &ObservedEntry| hand_over.and_then(|hand_over| hand_over.claim(owner, &entry.content.tags));
        match (&desired.wanted, entry) {
            (_, Some(entry)) if ours(&entry.content.tags) && claim(entry).is_none() => {
                check_role()?;
                plan_present(desired, entry, record)
            }
            // Somebody else has created an entry, so that the recorded one has no place any more.
            (Wanted::Unchanged, Some(_)) => Ok(Plan::nothing().then(our_record.map(|_| Action::DeleteRecord))),
            (Wanted::Unchanged, None) => Ok(match our_record {
                Some(record) if record.committed => {
                    check_role()?;
                    restore(desired, record)
                }
                record => Plan::nothing().then(record.map(|_| Action::DeleteRecord)),
            }),
            (Wanted::Declared(spec), Some(entry)) => {
                // The first call makes the entry ours, and marks it as adopted or taken over.
                check_role()?;
                if spec.adopt && entry.content.is_adoptable() {
                    return adopt(owner, desired, spec, entry, record);
                }
                let Some(claim) = claim(entry) else {
                    let held_by = |why| held(&described_entry(&entry.content), &described(&entry.content.tags), why);
                    return Err(hand_over.and_then(HandOver::held).map_or_else(|| foreign(&entry.content), held_by));
                };
                take_over(desired, spec, entry, record, claim)
            }
            (Wanted::Declared(spec), None) => match (record, our_record) {
                (Some(record), None) if record.committed => Err(foreign(&record.content)),
                (_, Some(record)) if record.committed => {
                    check_role()?;
                    Ok(restore(desired, record))
                }
                (_, record) => check_declared_role(spec, desired.role.as_ref())
                    .map(|()| create(owner, desired, spec).then(record.map(|_| Action::DeleteRecord))),
            },
        }
    }

    /// The record of an entry that is made again has parts that no declaration names, too.
    fn adopts(action: &Action) -> bool {
        match action {
            Action::Tag { arn: _, tags } => tags.contains_key(ADOPTED),
            Action::Unmark { arn: _ } => true,
            _ => false,
        }
    }

    fn take_back(desired: &mut Desired) {
        desired.hand_over = Some(HandOver::Retained);
    }

    fn takes_over(action: &Action) -> Option<Takeover> {
        let Action::Tag { arn: _, tags } = action else { return None };
        Takeover::of(tags)
    }

    fn is_unmarked(owner: &Owner, observed: &Observed) -> bool {
        let Observed { entry, record } = observed;
        let contents = entry.iter().map(|entry| &entry.content).chain(record.iter().map(|record| &record.content));
        entry.is_some() && !contents.into_iter().any(|content| owner.owns(&content.tags))
    }

    fn held(observed: &Observed) -> Vec<GuardrailCheck> {
        observed.entry.as_ref().map(|entry| entry.content.guardrail_checks()).unwrap_or_default()
    }

    fn step(observed: Option<Observed>, action: &Action, output: Option<Created>) -> Option<Observed> {
        if let Action::GiveBack(action) = action {
            return AccessEntries::step(observed, action, output);
        }
        let Observed { mut entry, mut record } = observed.unwrap_or(Observed { entry: None, record: None });
        let mut change = |change: &mut dyn FnMut(&mut EntryContent)| {
            if let Some(entry) = &mut entry {
                change(&mut entry.content);
            }
        };
        match action {
            Action::GiveBack(_) => {}
            Action::Create { input } => entry = Some(created_entry(input, output)),
            Action::Update { username, groups } => change(&mut |content| {
                if let Some(username) = username {
                    content.username.clone_from(username);
                }
                if let Some(groups) = groups {
                    content.groups.clone_from(groups);
                }
            }),
            Action::Associate { policy, scope } => change(&mut |content| {
                content.policies.insert(policy.clone(), scope.clone());
            }),
            Action::Disassociate(policy) => change(&mut |content| {
                content.policies.remove(policy);
            }),
            Action::Tag { arn: _, tags } => change(&mut |content| content.tags.extend(tags.clone())),
            Action::Untag { arn: _, keys } => change(&mut |content| content.tags.retain(|key, _| !keys.contains(key))),
            Action::Unmark { arn: _ } => change(&mut |content| {
                content.tags.remove(RESTORING);
            }),
            Action::Delete { stale: _ } => entry = None,
            Action::SaveRecord { record: saved, exists: _ } => record = Some(saved.as_ref().clone()),
            Action::DeleteRecord => record = None,
        }
        Observed::of(entry, record)
    }

    fn property(action: &Action, _words: &str) -> Option<String> {
        refused_property::of(action)
    }

    fn claims(action: &Action) -> bool {
        match action {
            Action::Create { .. } => true,
            Action::Tag { arn: _, tags } => Owner::of_tags(tags).is_some(),
            _ => false,
        }
    }

    fn created(observed: &Observed) -> Option<i64> {
        observed.entry.as_ref()?.created
    }

    fn attributes(_: &Self::Desired, observed: &Observed) -> Attributes {
        let Some(ObservedEntry { content, arn, created: _ }) = &observed.entry else { return Attributes::new() };
        let attributes = [("PrincipalArn", content.principal.clone()), ("Username", content.username.clone())];
        attributes.into_iter().chain(arn.clone().map(|arn| ("AccessEntryArn", arn))).collect()
    }

    fn native(desired: &Desired) -> Option<NativeResource> {
        native_equivalent::of(desired)
    }

    fn effect(before: Option<&Observed>, action: &Action) -> String {
        effect::of(before, action)
    }
}
