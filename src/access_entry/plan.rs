//! Decisions about an access entry. The principal of an entry never changes, so whatever the order, nothing is granted
//! that neither the old nor the new declaration grants; and because two policies may allow the same, what comes is
//! associated first, what changes its scope follows, and what goes is disassociated last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Created, EntryType, Observed, Scope, Spec};
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
    Delete,
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
            Self::Delete => f.write_str("delete the entry"),
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
}

const GROUPS: &str = "github-trust:groups";
const POLICIES: &str = "github-trust:policies";
const TAGS: &str = "github-trust:tags";
const USERNAME: &str = "github-trust:username";

impl Record {
    fn of(desired: &Spec) -> Self {
        Self {
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
        }
    }

    fn union(&self, other: &Self) -> Self {
        let Self { groups, policies, tags, username } = self;
        Self {
            groups: groups.union(&other.groups),
            policies: policies.union(&other.policies),
            tags: tags.union(&other.tags),
            username: *username || other.username,
        }
    }

    fn write(&self) -> Tags {
        let Self { groups, policies, tags, username } = self;
        let username = if *username { "set" } else { "" };
        let all = [
            (GROUPS, groups.to_string()),
            (POLICIES, policies.to_string()),
            (TAGS, tags.to_string()),
            (USERNAME, username.to_owned()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Decides; see the module.
pub(super) fn plan(
    owner: &Owner,
    desired: Option<&Spec>,
    observed: Option<&Observed>,
) -> Result<Plan<Action>, Refusal> {
    match (desired, observed) {
        (None, None) => Ok(Plan::nothing()),
        (None, Some(observed)) if !owner.owns(&observed.tags) => Ok(Plan::nothing()),
        (None, Some(_)) => Ok(Plan::nothing().then([Action::Delete])),
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
            if observed.entry_type != desired.entry_type.to_string() {
                return Ok(create(owner, desired, Plan::nothing().then([Action::Delete])));
            }
            Ok(change(desired, observed))
        }
    }
}

/// Create makes the empty shell and the ordinary difference fills it, so that create cannot forget a part.
fn create(owner: &Owner, desired: &Spec, plan: Plan<Action>) -> Plan<Action> {
    let Spec { cluster, principal, entry_type, username, groups, policies: _, tags } = desired.clone();
    let tags = tags.into_iter().chain(owner.tags()).chain(Record::of(desired).write()).collect();
    let groups = groups.unwrap_or_default();
    let create = Action::Create { shell: Box::new(Shell { cluster, principal, entry_type, username, groups, tags }) };
    let shell = step(None, &create, None);
    let fill = shell.map_or_else(Plan::nothing, |shell| change(desired, &shell));
    fill.stages().iter().fold(plan.then([create]), |plan, stage| plan.then(stage.clone()))
}

/// From one state of an entry of ours to another.
fn change(desired: &Spec, observed: &Observed) -> Plan<Action> {
    let Spec { cluster: _, principal, entry_type: _, username, groups, policies, tags } = desired;
    let (before, after) = (Record::read(&observed.tags), Record::of(desired));
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
        let Created { arn, username: given } = receipt.unwrap_or_default();
        return Some(Observed {
            username: if given.is_empty() { username.unwrap_or_else(|| default_username(&principal)) } else { given },
            cluster,
            principal,
            arn,
            entry_type: entry_type.to_string(),
            groups,
            policies: BTreeMap::new(),
            tags,
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
        Action::Delete => return None,
    }
    Some(observed)
}
