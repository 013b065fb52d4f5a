//! Decisions about an access entry: whose it is, whether it has to be made again, and what is done in which order.
//!
//! An entry is made again by deleting it first, since EKS has no other way. So that nothing is lost between the two halves,
//! the entry as it is to become is remembered outside of EKS before the old one is deleted, and forgotten when the new one is
//! whole; until then the new one carries a mark.
//!
//! One process does it at a time: making the memory is a call that only one can win, and the others wait until it is gone,
//! or has outlived its author. Whoever deletes the resource meanwhile does not wait, and must not meet the entry again. So what is remembered counts only once it was seen beside
//! the old entry, and the mark is taken away only while it is seen beside the new one; a deletion forgets it before it
//! deletes, and looks again afterwards. An entry with a mark and no memory is one that came back after its deletion.

use super::AccessEntries;
use crate::cloudformation::Attributes;
use crate::reconcile::Planner;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::applied_record::{AppliedRecord, ROLE_ID};
use super::state::{EntryContent, Observed, ObservedEntry, RecreationRecord};
use super::target::Target;
use super::{Created, Desired, EntryType, PolicyScope, Principal, Spec, Wanted};
use crate::arn::Arn;
use crate::error::Refusal;
use crate::ownership::{Owner, PREFIX, Tags, described};
use crate::reconcile::Plan;

/// One change to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are EKS's")]
pub enum Action {
    Create {
        shell: Box<EntryCreateInput>,
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
        arn: String,
        tags: Tags,
    },
    Untag {
        arn: String,
        keys: BTreeSet<String>,
    },
    Delete {
        stale: bool,
    },
    /// Keeps what an entry is to become again; `known` where something is kept already.
    SaveRecord {
        memory: Box<RecreationRecord>,
        known: bool,
    },
    /// Takes away the mark of an entry that is being made again.
    Unmark {
        arn: String,
    },
    /// The entry is whole, or not wanted any more.
    DeleteRecord,
}

/// An entry as the one call that makes it can make it: without policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryCreateInput {
    pub(super) cluster: String,
    pub(super) principal: String,
    pub(super) entry_type: String,
    pub(super) username: Option<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) tags: Tags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { shell } => {
                let EntryCreateInput { cluster, principal, entry_type, username, groups, tags } = shell.as_ref();
                write!(
                    f,
                    "create a {entry_type} entry for {principal} in {cluster} with username {username:?}, groups {groups:?}, tags {tags:?}"
                )
            }
            Self::Update { username, groups } => write!(f, "set username {username:?}, groups {groups:?}"),
            Self::Associate { policy, scope } => write!(f, "associate {policy} with {scope}"),
            Self::Disassociate(policy) => write!(f, "disassociate {policy}"),
            Self::Tag { arn: _, tags } => write!(f, "tag {tags:?}"),
            Self::Untag { arn: _, keys } => write!(f, "untag {keys:?}"),
            Self::Delete { stale: false } => f.write_str("delete the entry"),
            Self::Delete { stale: true } => f.write_str("delete the entry, which is bound to a role that is no more"),
            Self::SaveRecord { memory, known: _ } if memory.taken_down => {
                f.write_str("note that what is remembered of the entry is to be made again")
            }
            Self::SaveRecord { memory, known: _ } => {
                let EntryContent { cluster: _, principal: _, entry_type, username, groups, policies, tags } =
                    &memory.content;
                write!(
                    f,
                    "remember the {entry_type} entry with username {username:?}, groups {groups:?}, policies {policies:?}, tags {tags:?}"
                )
            }
            Self::Unmark { arn: _ } => f.write_str("note that the entry is whole again"),
            Self::DeleteRecord => f.write_str("forget what was remembered of the entry"),
        }
    }
}

/// On an entry that is being made again.
pub(super) const RESTORING: &str = "github-trust:restoring";
/// What the mark says where not its role was made again, but another type is declared.
pub(super) const RETYPED: &str = "type";
/// On an entry that somebody else made.
pub(super) const ADOPTED: &str = "github-trust:adopted";
/// In seconds: how far the clocks of IAM and EKS may be apart.
const CLOCKS: i64 = 60;

fn foreign(content: &EntryContent) -> Refusal {
    let adoptable = is_adoptable(content);
    Refusal::Foreign {
        what: format!("the access entry of {} in cluster {}", content.principal, content.cluster),
        owner: described(&content.tags),
        remedy: if adoptable {
            "A cluster has one entry for each principal: remove the other declaration, or this one; an entry that nobody \
             owns can be taken over with `OnExisting: Adopt`"
        } else {
            "A cluster has one entry for each principal: remove the other declaration, or this one"
        },
    }
}

/// Whether no stack owns it.
fn is_adoptable(content: &EntryContent) -> bool {
    !content.tags.keys().any(|key| key.starts_with(PREFIX))
}

/// From what is there to nothing, or back to who had it.
fn absent(owner: &Owner, entry: Option<&ObservedEntry>, memory: Option<&RecreationRecord>) -> Plan<Action> {
    let ours = entry.filter(|entry| owner.owns(&entry.content.tags));
    let is_adopted = |tags: &Tags| tags.contains_key(ADOPTED);
    let handed_back = |content: &EntryContent, arn: &str| Action::Untag {
        arn: arn.to_owned(),
        keys: content.tags.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect(),
    };
    let kept = Desired { wanted: Wanted::ScheduledOutcome, role: None, process: String::new() };
    match (ours, memory) {
        // Who handed it over gets it whole.
        (None, Some(memory)) if memory.taken_down && entry.is_none() && is_adopted(&memory.content.tags) => {
            restored(&kept, memory).then([handed_back(&memory.content, "")])
        }
        (Some(entry), memory) if is_adopted(&entry.content.tags) => {
            let whole = memory.map_or_else(Plan::nothing, |memory| repair(&kept, entry, Some(memory)));
            whole.then([handed_back(&entry.content, &entry.arn)])
        }
        // Forgotten first: whoever is about to make it again sees then that it is not wanted any more.
        (ours, memory) => Plan::nothing()
            .then(memory.map(|_| Action::DeleteRecord))
            .then(ours.map(|_| Action::Delete { stale: false })),
    }
}

/// From an entry of ours to what is desired.
fn present(
    desired: &Desired,
    entry: &ObservedEntry,
    memory: Option<&RecreationRecord>,
) -> Result<Plan<Action>, Refusal> {
    let tags = &entry.content.tags;
    // Another type is another entry with the same id.
    let retyped = match &desired.wanted {
        // Its owner deleted it while it was being made again.
        Wanted::ScheduledOutcome if is_marked(&entry.content) && memory.is_none() => {
            return Ok(Plan::nothing().then([Action::Delete { stale: false }]));
        }
        Wanted::Declared(spec) if entry.content.entry_type != spec.entry_type.to_string() => {
            if tags.contains_key(ADOPTED) {
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
    if stale.is_none() && !retyped {
        return Ok(repair(desired, entry, memory));
    }
    // Where it is both, it is the role that somebody should look at.
    let retyped = retyped && stale.is_none();
    let bound = tags.get(ROLE_ID).cloned();
    let now = desired.role.as_ref().map(|role| role.role_id.clone());
    let role_id = if stale.is_some() { now } else { bound.or(now) };
    let goal = Target::new(desired, &of_type(desired, base(entry, memory)), role_id);
    let same = memory.filter(|memory| memory.content == goal.content && memory.retyped == retyped);
    let remember = |taken_down: bool, known: bool| {
        let (content, by) = (goal.content.clone(), desired.process.clone());
        Action::SaveRecord { memory: Box::new(RecreationRecord { content, taken_down, retyped, by }), known }
    };
    let plan = Plan::nothing()
        .then(same.is_none().then(|| remember(false, memory.is_some())))
        .then(same.is_none_or(|same| !same.taken_down).then(|| remember(true, true)))
        .then([Action::Delete { stale: stale.is_some() }]);
    Ok(plan.followed_by(recreate(&goal.content, retyped)))
}

/// What an entry of another type keeps of one: what others have tagged it with. EKS gives the types for nodes their username
/// and groups, and takes them for no other.
fn of_type(desired: &Desired, content: EntryContent) -> EntryContent {
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

/// From an entry that is bound to its role to what is desired.
fn repair(desired: &Desired, entry: &ObservedEntry, memory: Option<&RecreationRecord>) -> Plan<Action> {
    let known = entry.content.tags.get(ROLE_ID).cloned();
    let role_id = known.or_else(|| desired.role.as_ref().map(|role| role.role_id.clone()));
    let marked = is_marked(&entry.content);
    let goal = Target::new(desired, &base(entry, memory), role_id);
    let other = memory.filter(|_| marked).and_then(|memory| overruled(desired, memory, &goal));
    Plan::nothing()
        .then(other)
        .followed_by(goal.reached_from(entry))
        .then(marked.then(|| Action::Unmark { arn: entry.arn.clone() }))
        .then(memory.map(|_| Action::DeleteRecord))
}

/// From what is remembered of an entry to what is desired.
fn restored(desired: &Desired, memory: &RecreationRecord) -> Plan<Action> {
    let content = of_type(desired, memory.content.clone());
    let known = desired.role.as_ref().map(|role| role.role_id.clone());
    let role_id = known.or_else(|| content.tags.get(ROLE_ID).cloned());
    let goal = Target::new(desired, &content, role_id);
    Plan::nothing().then(overruled(desired, memory, &goal)).followed_by(recreate(&goal.content, memory.retyped))
}

/// A declaration overrules what is remembered, and says so first, lest a scheduled run that is under way brings back what
/// is not wanted any more.
fn overruled(desired: &Desired, memory: &RecreationRecord, goal: &Target) -> Option<Action> {
    let overrules = matches!(desired.wanted, Wanted::Declared(_)) && goal.content != memory.content;
    overrules.then(|| {
        let (content, by) = (goal.content.clone(), desired.process.clone());
        let memory = RecreationRecord { content, taken_down: true, retyped: memory.retyped, by };
        Action::SaveRecord { memory: Box::new(memory), known: true }
    })
}

/// Whether it is being made again.
pub(super) fn is_marked(content: &EntryContent) -> bool {
    content.tags.contains_key(RESTORING)
}

/// What has to be kept of what is there: an entry that carries the mark is only half of what it was.
fn base(entry: &ObservedEntry, memory: Option<&RecreationRecord>) -> EntryContent {
    match memory.filter(|_| is_marked(&entry.content)) {
        Some(memory) => joined(&memory.content, &entry.content),
        None => entry.content.clone(),
    }
}

/// What EKS has, and what is remembered beside it. What we had applied and do not answer for any more stays away.
fn joined(memory: &EntryContent, entry: &EntryContent) -> EntryContent {
    let (then, now) = (AppliedRecord::read(&memory.tags), AppliedRecord::read(&entry.tags));
    let mut joined = entry.clone();
    let groups = memory.groups.iter().filter(|group| !then.groups.contains(group) || now.groups.contains(group));
    joined.groups.extend(groups.cloned());
    let mut policies = memory.policies.clone();
    policies.retain(|policy, _| !then.policies.contains(policy) || now.policies.contains(policy));
    policies.append(&mut joined.policies);
    joined.policies = policies;
    let mut tags = memory.tags.clone();
    tags.retain(|key, _| !key.starts_with(PREFIX) && (!then.tags.contains(key) || now.tags.contains(key)));
    tags.append(&mut joined.tags);
    joined.tags = tags;
    joined
}

/// The tag is the proof that the entry is bound to another role than the one that has its ARN now; without one, an entry
/// that is older than its role is. IAM may also show the role of before, which is older than the entry.
pub(super) fn is_stale(role: &Principal, entry: &ObservedEntry) -> bool {
    match entry.content.tags.get(ROLE_ID) {
        Some(known) => *known != role.role_id && role.created + CLOCKS >= entry.created,
        None => role.created > entry.created,
    }
}

/// The entry made again, with a mark until it is whole, which also says why.
fn recreate(content: &EntryContent, retyped: bool) -> Plan<Action> {
    let mut shell = EntryCreateInput::of(content);
    let why = if retyped { RETYPED } else { "true" };
    shell.tags.insert(RESTORING.to_owned(), why.to_owned());
    let kept = Desired { wanted: Wanted::ScheduledOutcome, role: None, process: String::new() };
    filled(shell, |shell| Target::new(&kept, content, content.tags.get(ROLE_ID).cloned()).reached_from(shell))
        .then([Action::Unmark { arn: String::new() }])
        .then([Action::DeleteRecord])
}

/// Create makes the empty shell and the ordinary difference fills it, so that create cannot forget a part.
fn created(owner: &Owner, desired: &Desired, spec: &Spec) -> Plan<Action> {
    let Spec { cluster, principal, entry_type, username, groups, policies: _, tags, adopt: _ } = spec.clone();
    let role_id = desired.role.as_ref().map(|role| role.role_id.clone());
    let record = AppliedRecord { role_id: role_id.clone(), ..AppliedRecord::of(spec) };
    let tags = tags.into_iter().chain(owner.tags()).chain(record.write()).collect();
    let (entry_type, groups) = (entry_type.to_string(), groups.unwrap_or_default());
    let shell = EntryCreateInput { cluster, principal, entry_type, username, groups, tags };
    filled(shell, |shell| Target::new(desired, &shell.content, role_id).reached_from(shell))
}

fn filled(shell: EntryCreateInput, fill: impl FnOnce(&ObservedEntry) -> Plan<Action>) -> Plan<Action> {
    let create = Action::Create { shell: Box::new(shell) };
    let made = AccessEntries::step(None, &create, None).and_then(|made| made.entry);
    let fill = made.map_or_else(Plan::nothing, |made| fill(&made));
    Plan::nothing().then([create]).followed_by(fill)
}

impl EntryCreateInput {
    /// Only an entry of type STANDARD is told its username and groups.
    fn of(content: &EntryContent) -> Self {
        let EntryContent { cluster, principal, entry_type, username, groups, policies: _, tags } = content.clone();
        let standard = entry_type == EntryType::STANDARD.0;
        let username = (standard && username != default_username(&principal)).then_some(username);
        let groups = if standard { groups } else { BTreeSet::new() };
        Self { cluster, principal, entry_type, username, groups, tags }
    }
}

/// The username that EKS makes where none is given.
/// <https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html>
pub(super) fn default_username(principal: &str) -> String {
    let session = |arn: Arn<'_>| {
        let (Arn { partition, account, .. }, name) = (arn, arn.role_name()?);
        Some(format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"))
    };
    Arn::parse(principal).and_then(session).unwrap_or_else(|| principal.to_owned())
}

fn made(shell: &EntryCreateInput, output: Option<Created>) -> ObservedEntry {
    let EntryCreateInput { cluster, principal, entry_type, username, groups, tags } = shell.clone();
    let output = output.unwrap_or(Created { arn: String::new(), username: String::new(), created: i64::MAX });
    let Created { arn, username: given, created } = output;
    let username = if given.is_empty() { username.unwrap_or_else(|| default_username(&principal)) } else { given };
    let content = EntryContent { cluster, principal, entry_type, username, groups, policies: BTreeMap::new(), tags };
    ObservedEntry { content, arn, created }
}

impl Planner for AccessEntries {
    fn plan(owner: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        let (entry, memory) =
            observed.map_or((None, None), |Observed { entry, memory }| (entry.as_ref(), memory.as_ref()));
        let ours = |tags: &Tags| owner.owns(tags);
        let our_memory = memory.filter(|memory| ours(&memory.content.tags));
        let Some(desired) = desired else { return Ok(absent(owner, entry, our_memory)) };
        match (&desired.wanted, entry) {
            (_, Some(entry)) if ours(&entry.content.tags) => present(desired, entry, memory),
            // Somebody has made another one: what is remembered has no place any more.
            (Wanted::ScheduledOutcome, Some(_)) => Ok(Plan::nothing().then(our_memory.map(|_| Action::DeleteRecord))),
            (Wanted::ScheduledOutcome, None) => Ok(match our_memory {
                Some(memory) if memory.taken_down => restored(desired, memory),
                memory => Plan::nothing().then(memory.map(|_| Action::DeleteRecord)),
            }),
            (Wanted::Declared(spec), Some(entry)) => {
                if !(spec.adopt && is_adoptable(&entry.content)) {
                    return Err(foreign(&entry.content));
                }
                // From the first call on it is ours, and known to have been somebody else's.
                let mut claim = owner.tags();
                claim.insert(ADOPTED.to_owned(), "true".to_owned());
                let mut claimed = entry.clone();
                claimed.content.tags.extend(claim.clone());
                let plan = Plan::nothing().then([Action::Tag { arn: entry.arn.clone(), tags: claim }]);
                Ok(plan.followed_by(present(desired, &claimed, memory)?))
            }
            (Wanted::Declared(spec), None) => match (memory, our_memory) {
                (Some(memory), None) if memory.taken_down => Err(foreign(&memory.content)),
                (_, Some(memory)) if memory.taken_down => Ok(restored(desired, memory)),
                (_, memory) => Ok(created(owner, desired, spec).then(memory.map(|_| Action::DeleteRecord))),
            },
        }
    }

    fn step(observed: Option<Observed>, action: &Action, output: Option<Created>) -> Option<Observed> {
        let Observed { mut entry, mut memory } = observed.unwrap_or(Observed { entry: None, memory: None });
        let mut change = |change: &mut dyn FnMut(&mut EntryContent)| {
            if let Some(entry) = &mut entry {
                change(&mut entry.content);
            }
        };
        match action {
            Action::Create { shell } => entry = Some(made(shell, output)),
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
            Action::SaveRecord { memory: kept, known: _ } => memory = Some(kept.as_ref().clone()),
            Action::DeleteRecord => memory = None,
        }
        Observed::of(entry, memory)
    }

    fn attributes(_: &Self::Desired, observed: &Observed) -> Attributes {
        let Some(ObservedEntry { content, arn, created: _ }) = &observed.entry else { return Attributes::new() };
        [
            ("AccessEntryArn", arn.clone()),
            ("PrincipalArn", content.principal.clone()),
            ("Username", content.username.clone()),
        ]
        .into()
    }
}
