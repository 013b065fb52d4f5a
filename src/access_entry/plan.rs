//! Decisions about an access entry. The principal of an entry never changes, so whatever the order, nothing is granted
//! that neither the old nor the new declaration grants; and because two policies may allow the same, what comes is
//! associated first, what changes its scope follows, and what goes is disassociated last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Created, Desired, EntryType, Observed, Principal, Scope, Spec};
use crate::error::Refusal;
use crate::owner::{Applied, Owner, TagChanges, Tags, described};
use crate::reconcile::Plan;

/// One change to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are EKS's")]
pub enum Action {
    Create { shell: Box<Shell> },
    Update { username: Option<String>, groups: Option<BTreeSet<String>> },
    Associate { policy: String, scope: Scope },
    Disassociate(String),
    Tag { arn: String, tags: Tags },
    Untag { arn: String, keys: BTreeSet<String> },
    Delete { stale: bool },
}

/// An entry as the one call that makes it can make it: without policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    pub(super) cluster: String,
    pub(super) principal: String,
    pub(super) entry_type: EntryType,
    pub(super) username: Option<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) tags: Tags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { shell } => {
                let Shell { cluster, principal, entry_type, username, groups, tags } = shell.as_ref();
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
        }
    }
}

/// What we applied, as tags on the entry itself say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    groups: Applied<8>,
    policies: Applied<8>,
    tags: Applied<5>,
    username: bool,
    /// The unique id of the role that the entry is bound to.
    role_id: Option<String>,
}

const ROLE_ID: &str = "github-trust:role-id";
/// In seconds: how far the clocks of IAM and EKS may be apart.
const CLOCKS: i64 = 60;
const GROUPS: &str = "github-trust:groups";
const POLICIES: &str = "github-trust:policies";
const TAGS: &str = "github-trust:tags";
const USERNAME: &str = "github-trust:username";

impl Record {
    fn of(desired: &Desired) -> Self {
        let Desired { spec: desired, role } = desired;
        Self {
            role_id: role.as_ref().map(|role| role.role_id.clone()),
            groups: Applied::of(desired.groups.iter().flatten().map(String::as_str)),
            policies: Applied::of(desired.policies.iter().flatten().map(|(policy, _)| policy.as_str())),
            tags: Applied::of(desired.tags.keys().map(String::as_str)),
            username: desired.username.is_some(),
        }
    }

    fn read(tags: &Tags) -> Self {
        Self {
            groups: Applied::read(tags.get(GROUPS)),
            policies: Applied::read(tags.get(POLICIES)),
            tags: Applied::read(tags.get(TAGS)),
            username: tags.contains_key(USERNAME),
            role_id: tags.get(ROLE_ID).cloned(),
        }
    }

    fn union(&self, other: &Self) -> Self {
        let Self { groups, policies, tags, username, role_id: _ } = self;
        Self {
            role_id: other.role_id.clone(),
            groups: groups.union(&other.groups),
            policies: policies.union(&other.policies),
            tags: tags.union(&other.tags),
            username: *username || other.username,
        }
    }

    fn write(&self) -> Tags {
        let Self { groups, policies, tags, username, role_id } = self;
        let username = if *username { "set" } else { "" };
        let all = [
            (GROUPS, groups.to_string()),
            (POLICIES, policies.to_string()),
            (TAGS, tags.to_string()),
            (USERNAME, username.to_owned()),
            (ROLE_ID, role_id.clone().unwrap_or_default()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Decides; see the module.
pub(super) fn plan(
    owner: &Owner,
    desired: Option<&Desired>,
    observed: Option<&Observed>,
) -> Result<Plan<Action>, Refusal> {
    match (desired, observed) {
        (None, None) => Ok(Plan::nothing()),
        (None, Some(observed)) if !owner.owns(&observed.tags) => Ok(Plan::nothing()),
        (None, Some(_)) => Ok(Plan::nothing().then([Action::Delete { stale: false }])),
        (Some(desired), None) => Ok(create(owner, desired, Plan::nothing())),
        (Some(desired), Some(observed)) => {
            if !owner.owns(&observed.tags) {
                return Err(Refusal::Foreign {
                    what: format!("the access entry of {} in cluster {}", observed.principal, observed.cluster),
                    owner: described(&observed.tags),
                    remedy: "A cluster has one entry for each principal: remove the other declaration, or this one",
                });
            }
            // EKS never changes the type of an entry, so another type is another entry with the same id.
            if observed.entry_type != desired.spec.entry_type.to_string() {
                return Ok(create(owner, desired, Plan::nothing().then([Action::Delete { stale: false }])));
            }
            let plan = change(desired, observed);
            if desired.role.as_ref().is_some_and(|role| is_stale(role, observed)) {
                return Ok(again(desired, observed, &plan));
            }
            Ok(plan)
        }
    }
}

/// Whether the entry is bound to another role than the one that has its ARN now. The tag is the proof; without one, an entry
/// that is older than its role is. IAM may also show the role of before, which is older than the entry.
fn is_stale(role: &Principal, observed: &Observed) -> bool {
    match observed.tags.get(ROLE_ID) {
        Some(known) => *known != role.role_id && role.created + CLOCKS >= observed.created,
        None => role.created > observed.created,
    }
}

/// The entry made again: what it would have become, with all that others have put there.
fn again(desired: &Desired, observed: &Observed, plan: &Plan<Action>) -> Plan<Action> {
    let end = plan.stages().iter().flatten().try_fold(observed.clone(), |end, action| step(Some(end), action, None));
    let Some(Observed { cluster, principal, username, groups, policies, mut tags, .. }) = end else {
        return Plan::nothing();
    };
    tags.retain(|key, _| !key.starts_with("aws:"));
    let username = (username != default_username(&principal)).then_some(username);
    let entry_type = desired.spec.entry_type;
    let shell = Box::new(Shell { cluster, principal, entry_type, username, groups, tags });
    let associate = policies.into_iter().map(|(policy, scope)| Action::Associate { policy, scope });
    Plan::nothing().then([Action::Delete { stale: true }]).then([Action::Create { shell }]).then(associate)
}

/// Create makes the empty shell and the ordinary difference fills it, so that create cannot forget a part.
fn create(owner: &Owner, desired: &Desired, plan: Plan<Action>) -> Plan<Action> {
    let Spec { cluster, principal, entry_type, username, groups, policies: _, tags } = desired.spec.clone();
    let tags = tags.into_iter().chain(owner.tags()).chain(Record::of(desired).write()).collect();
    let groups = groups.unwrap_or_default();
    let create = Action::Create { shell: Box::new(Shell { cluster, principal, entry_type, username, groups, tags }) };
    let shell = step(None, &create, None);
    let fill = shell.map_or_else(Plan::nothing, |shell| change(desired, &shell));
    fill.stages().iter().fold(plan.then([create]), |plan, stage| plan.then(stage.clone()))
}

/// From one state of an entry of ours to another.
fn change(desired: &Desired, observed: &Observed) -> Plan<Action> {
    let Spec { cluster: _, principal, entry_type: _, username, groups, policies, tags } = &desired.spec;
    let (before, mut after) = (Record::read(&observed.tags), Record::of(desired));
    if desired.role.is_none() {
        after.role_id.clone_from(&before.role_id);
    }
    let between = before.union(&after);

    let tags = TagChanges::new(tags, &between.write(), &after.write(), |key| before.tags.contains(key), &observed.tags);

    // What the author leaves out is not compared, but for what we put there when it was still declared.
    let groups = match groups {
        Some(groups) => groups.clone(),
        None => observed.groups.iter().filter(|group| !before.groups.contains(group)).cloned().collect(),
    };
    let policies: BTreeMap<String, Scope> = match policies {
        Some(policies) => policies.clone(),
        None => observed
            .policies
            .iter()
            .filter(|(policy, _)| !before.policies.contains(policy))
            .map(|(policy, scope)| (policy.clone(), scope.clone()))
            .collect(),
    };
    let username = match username {
        Some(username) => Some(username.clone()),
        None if before.username => Some(default_username(principal)),
        None => None,
    };
    let username = username.filter(|username| *username != observed.username);
    let groups = (groups != observed.groups).then_some(groups);
    let update = (username.is_some() || groups.is_some()).then_some(Action::Update { username, groups });
    let disassociate =
        observed.policies.keys().filter(|policy| !policies.contains_key(*policy)).cloned().map(Action::Disassociate);
    let associate =
        |(policy, scope): (&String, &Scope)| Action::Associate { policy: policy.clone(), scope: scope.clone() };
    let new = policies.iter().filter(|(policy, _)| !observed.policies.contains_key(*policy)).map(associate);
    let (wider, moved) = rescoped(&observed.policies, &policies);

    let arn = || observed.arn.clone();
    Plan::nothing()
        .then((!tags.first.is_empty()).then(|| Action::Tag { arn: arn(), tags: tags.first }))
        .then(new)
        .then(wider.iter().map(associate))
        .then(moved.iter().map(associate))
        .then(update)
        .then(disassociate)
        .then((!tags.remove.is_empty()).then(|| Action::Untag { arn: arn(), keys: tags.remove }))
        .then((!tags.last.is_empty()).then(|| Action::Tag { arn: arn(), tags: tags.last }))
        .then((!tags.forget.is_empty()).then(|| Action::Untag { arn: arn(), keys: tags.forget }))
}

/// The steps from old scopes to new ones. A single scope changes in one call; several could pass a namespace from one
/// policy to the other, so each is first widened by its new scope and then narrowed to it.
fn rescoped(
    from: &BTreeMap<String, Scope>,
    to: &BTreeMap<String, Scope>,
) -> (BTreeMap<String, Scope>, BTreeMap<String, Scope>) {
    let changes: BTreeMap<&String, (&Scope, &Scope)> = to
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

/// The username that EKS makes where none is given.
/// <https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html>
pub(super) fn default_username(principal: &str) -> String {
    let mut parts = principal.splitn(6, ':');
    let (partition, account, resource) = (parts.nth(1), parts.nth(2), parts.next());
    match (partition, account, resource.and_then(|resource| resource.strip_prefix("role/"))) {
        (Some(partition), Some(account), Some(role)) => {
            let name = role.rsplit('/').next().unwrap_or(role);
            format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}")
        }
        _ => principal.to_owned(),
    }
}

/// What an action does.
pub(super) fn step(observed: Option<Observed>, action: &Action, receipt: Option<Created>) -> Option<Observed> {
    if let Action::Create { shell } = action {
        let Shell { cluster, principal, entry_type, username, groups, tags } = shell.as_ref().clone();
        let receipt = receipt.unwrap_or(Created { arn: String::new(), username: String::new(), created: i64::MAX });
        let Created { arn, username: given, created } = receipt;
        return Some(Observed {
            username: if given.is_empty() { username.unwrap_or_else(|| default_username(&principal)) } else { given },
            cluster,
            principal,
            arn,
            entry_type: entry_type.to_string(),
            groups,
            policies: BTreeMap::new(),
            tags,
            created,
        });
    }
    let mut observed = observed?;
    match action.clone() {
        Action::Create { .. } => {}
        Action::Update { username, groups } => {
            if let Some(username) = username {
                observed.username = username;
            }
            if let Some(groups) = groups {
                observed.groups = groups;
            }
        }
        Action::Associate { policy, scope } => {
            observed.policies.insert(policy, scope);
        }
        Action::Disassociate(policy) => {
            observed.policies.remove(&policy);
        }
        Action::Tag { arn: _, tags } => observed.tags.extend(tags),
        Action::Untag { arn: _, keys } => observed.tags.retain(|key, _| !keys.contains(key)),
        Action::Delete { stale: _ } => return None,
    }
    Some(observed)
}
