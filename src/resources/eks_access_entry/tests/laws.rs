//! The worlds in which an access entry's plans are checked.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Refusal;
use crate::laws::{Coverage, PlanLaws, after, owner};
use crate::ownership::{Owner, Tags};
use crate::reconcile::{Plan, Planner};
use crate::resources::eks_access_entry::action::Action;
use crate::resources::eks_access_entry::state::{ADOPTED, RESTORING, default_username};
use crate::resources::eks_access_entry::{
    AccessEntries, Created, Desired, EntryContent, EntryType, Observed, PolicyScope, Principal, RoleMaker, Spec, Wanted,
};

const PRINCIPAL: &str = "arn:aws:iam::123456789012:role/ci/deploy";
/// Tagged by somebody else.
const FOREIGN: &str = "foreign";

impl PlanLaws for AccessEntries {
    const VARIANTS: &'static [&'static str] = &[
        "Create",
        "Update",
        "Associate",
        "Disassociate",
        "Tag",
        "Untag",
        "Delete",
        "SaveRecord",
        "Unmark",
        "DeleteRecord",
        "GiveBack",
    ];

    fn output(action: &Action) -> Option<Created> {
        let Action::Create { input } = action else { return None };
        let username = input.username.clone().unwrap_or_else(|| username_of(&input.entry_type));
        Some(Created { arn: Some("arn".into()), username: Some(username), created: Some(NOW) })
    }

    fn done(
        owner: &Owner,
        desired: Option<&Desired>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        if let Some(before) = before.filter(|before| is_theirs(owner, before)) {
            return if after == Some(before) { Ok(()) } else { Err("what is not ours was touched".into()) };
        }
        if after.is_some_and(|after| after.record.is_some()) {
            return Err("something is still remembered".into());
        }
        let after = after.and_then(|after| after.entry.as_ref());
        let ours = |content: &EntryContent| content.tags.keys().any(|key| key.starts_with("github-trust:"));
        let (desired, after) = match (desired, after) {
            (None, None) if !before.is_some_and(is_adopted) => return Ok(()),
            (None, Some(after)) if before.is_some_and(is_adopted) && !ours(&after.content) => return Ok(()),
            (None, _) => return Err("final: the entry is still there, or not given back".into()),
            (Some(Desired { wanted: Wanted::Unchanged, .. }), None) if before.is_none() => return Ok(()),
            (Some(_), None) => return Err("the entry is not there".into()),
            (Some(desired), Some(after)) => (desired, after),
        };
        let Desired { wanted, role, .. } = desired;
        let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        check(owner.owns(&after.content.tags), "owner")?;
        check(!after.content.tags.contains_key(RESTORING), "still marked")?;
        if let Some(role) = role {
            check(after.content.tags.get("github-trust:role-id") == Some(&role.remembered()), "the role's id")?;
            check(after.created >= Some(role.created), "bound to a role that is no more")?;
        }
        let after = &after.content;
        let Wanted::Declared(spec) = wanted else { return Ok(()) };
        let Spec {
            cluster,
            principal,
            entry_type,
            username,
            groups,
            policies,
            tags,
            role_id: _,
            adopt: _,
            take_over: _,
        } = spec.as_ref();
        check(after.cluster == *cluster && after.principal == *principal, "id")?;
        check(after.entry_type == entry_type.to_string(), "type")?;
        let expected = username.clone().unwrap_or_else(|| username_of(&after.entry_type));
        check(after.username == expected || (username.is_none() && after.username == "by hand"), "username")?;
        let by_hand = |name: &str| name.ends_with("by-hand");
        match groups {
            Some(groups) => check(after.groups == *groups, "groups")?,
            None => check(after.groups.iter().all(|group| by_hand(group)), "groups that are ours no longer")?,
        }
        match policies {
            Some(policies) => check(after.policies == *policies, "policies")?,
            None => check(after.policies.keys().all(|policy| by_hand(policy)), "policies that are ours no longer")?,
        }
        check(tags.iter().all(|(key, value)| after.tags.get(key) == Some(value)), "tags")?;
        let left = after.tags.keys().filter(|key| !key.starts_with("github-trust:") && *key != FOREIGN);
        check(left.eq(tags.keys()), "tags that are ours no longer")
    }

    fn foreign(owner: &Owner, observed: Option<&Observed>, deleting: bool) -> BTreeSet<String> {
        let Some(observed) = observed else { return BTreeSet::new() };
        let contents: Vec<&EntryContent> = contents(observed).collect();
        let released =
            |content: &EntryContent| deleting && !content.tags.keys().any(|key| key.starts_with("github-trust:"));
        let (ours, theirs): (Vec<&EntryContent>, Vec<&EntryContent>) =
            contents.into_iter().partition(|content| owner.owns(&content.tags) || released(content));
        let kept = ours.iter().filter(|content| !deleting || released(content) || content.tags.contains_key(ADOPTED));
        let tags = kept.filter_map(|content| content.tags.get(FOREIGN).cloned());
        tags.chain(theirs.iter().map(|content| format!("{content:?}"))).collect()
    }

    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        let Some(observed) = observed.and_then(|observed| observed.entry.as_ref()) else { return BTreeSet::new() };
        let observed = &observed.content;
        let groups = observed.groups.iter().map(|group| format!("group {group}"));
        let policies = observed.policies.iter().flat_map(|(policy, scope)| {
            // What the policies allow overlaps on purpose.
            let permissions: &[&str] = if policy == "view" { &["get"] } else { &["get", "set"] };
            let places = match scope {
                PolicyScope::Cluster => vec!["n1", "n2"],
                PolicyScope::Namespaces(namespaces) => namespaces.iter().map(String::as_str).collect(),
            };
            places
                .into_iter()
                .flat_map(|place| permissions.iter().map(move |verb| format!("{verb} in {place}")))
                .collect::<Vec<_>>()
        });
        groups.chain(policies).map(|permission| (PRINCIPAL.to_owned(), permission)).collect()
    }

    fn keeps_common(desired: Option<&Desired>, observed: Option<&Observed>) -> bool {
        // Another type can only be had by another entry, and one whose role is no more grants nothing.
        let Some((desired, entry)) = desired.zip(observed.and_then(|observed| observed.entry.as_ref())) else {
            return true;
        };
        let bound = desired.role.as_ref().is_none_or(|role| Some(role.created) <= entry.created);
        let Wanted::Declared(spec) = &desired.wanted else { return bound };
        bound && spec.entry_type.to_string() == entry.content.entry_type
    }
}

/// The username that EKS makes.
fn username_of(entry_type: &str) -> String {
    match entry_type {
        "STANDARD" => default_username(PRINCIPAL),
        _ => "system:node:{{EC2PrivateDNSName}}".to_owned(),
    }
}

fn contents(observed: &Observed) -> impl Iterator<Item = &EntryContent> {
    let Observed { entry, record } = observed;
    entry.iter().map(|entry| &entry.content).chain(record.iter().map(|record| &record.content))
}

/// Neither the entry nor what is remembered is the owner's.
fn is_theirs(owner: &Owner, observed: &Observed) -> bool {
    !contents(observed).any(|content| owner.owns(&content.tags))
}

fn is_adopted(observed: &Observed) -> bool {
    contents(observed).any(|content| content.tags.contains_key(ADOPTED))
}

pub(super) fn spec(groups: Option<&[&str]>, policies: Option<&[(&str, PolicyScope)]>) -> Spec {
    Spec {
        cluster: "prod".into(),
        principal: PRINCIPAL.into(),
        role_id: None,
        entry_type: EntryType::STANDARD,
        username: None,
        groups: groups.map(|groups| groups.iter().map(|&group| group.to_owned()).collect()),
        policies: policies
            .map(|policies| policies.iter().map(|(policy, scope)| ((*policy).to_owned(), scope.clone())).collect()),
        tags: Tags::new(),
        adopt: false,
        take_over: false,
    }
}

/// The time at which the entries of these worlds are created.
pub(super) const NOW: i64 = 1_000_000;

/// The resource that makes all their roles.
fn maker() -> Option<RoleMaker> {
    RoleMaker::of_tags(&owner("Role").tags())
}

/// The role that the entries are for, made before them.
pub(super) fn declared(spec: Spec) -> Desired {
    let role = Some(Principal { role_id: "AROA1".into(), created: NOW - 100, maker: maker() });
    Desired { wanted: Wanted::Declared(Box::new(spec)), role, process: "p".into(), hand_over: None }
}

fn declarations() -> Vec<Desired> {
    specs().into_iter().map(declared).collect()
}

fn specs() -> Vec<Spec> {
    let in_namespace = |name: &str| PolicyScope::Namespaces([name.to_owned()].into());
    let policies = [
        None,
        Some(vec![]),
        Some(vec![("view", PolicyScope::Cluster)]),
        Some(vec![("view", in_namespace("n1"))]),
        Some(vec![("edit", in_namespace("n1"))]),
        Some(vec![("view", in_namespace("n2")), ("edit", in_namespace("n1"))]),
        Some(vec![("view", in_namespace("n1")), ("edit", in_namespace("n2"))]),
        Some(vec![("view", in_namespace("n2")), ("edit", PolicyScope::Cluster)]),
    ];
    let mut all = Vec::new();
    for groups in [None, Some(&[][..]), Some(&["g1"]), Some(&["g1", "g2"])] {
        all.extend(policies.iter().map(|policies| spec(groups, policies.as_deref())));
    }
    for username in [None, Some("ci")] {
        for tags in [&[][..], &[("k", "v")], &[("k", "w"), ("l", "v")]] {
            for policies in &policies[..3] {
                let mut spec = spec(None, policies.as_deref());
                spec.username = username.map(str::to_owned);
                spec.tags = tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
                all.push(spec);
            }
        }
    }
    for name in ["EC2_LINUX", "FARGATE_LINUX"] {
        let entry_type = EntryType(name);
        all.push(Spec { entry_type, ..spec(None, None) });
    }
    all
}

fn type_of(desired: &Desired) -> Option<EntryType> {
    match &desired.wanted {
        Wanted::Declared(spec) => Some(spec.entry_type),
        Wanted::Unchanged => None,
    }
}

/// The same, with another entry.
fn changed(observed: &Observed, change: impl FnOnce(&mut EntryContent)) -> Observed {
    let mut changed = observed.clone();
    change(&mut changed.entry.as_mut().expect("an entry").content);
    changed
}

fn touch(content: &mut EntryContent) {
    content.tags.insert(FOREIGN.into(), "v".into());
}

fn by_hand(content: &mut EntryContent) {
    touch(content);
    content.groups.insert("by-hand".into());
    content.policies.insert("by-hand".into(), PolicyScope::Cluster);
}

/// The entry is of then, and its role of a later moment.
pub(super) fn outlived(observed: &Observed) -> Observed {
    let mut outlived = observed.clone();
    outlived.entry.as_mut().expect("an entry").created = Some(NOW - 80);
    outlived
}

pub(super) fn new_role() -> Principal {
    Principal { role_id: "AROA2".into(), created: NOW - 50, maker: maker() }
}

fn content(observed: &Observed) -> &EntryContent {
    &observed.entry.as_ref().expect("an entry").content
}

/// Every state that a plan passes, the last one included.
fn passed(owner: &Owner, desired: &Desired, observed: &Observed) -> Vec<Option<Observed>> {
    let plan = AccessEntries::plan(owner, Some(desired), Some(observed)).expect("no refusal");
    let mut states = vec![Some(observed.clone())];
    for action in plan.stages().iter().flatten() {
        let state = states.last().cloned().flatten();
        states.push(AccessEntries::step(state, action, AccessEntries::output(action)));
    }
    states
}

#[test]
fn an_access_entrys_plans_obey_the_laws() {
    let (owner, stranger) = (owner("Entry"), owner("Stranger"));
    let mut tally = Coverage::default();
    for old in declarations() {
        let state = after::<AccessEntries>(&owner, Some(&old), None).expect("an entry");
        let touched = changed(&state, touch);
        let drifted = changed(&state, |content| {
            by_hand(content);
            content.policies.remove("view");
            if matches!(&old.wanted, Wanted::Declared(spec) if spec.username.is_none()) {
                content.username = "by hand".into();
            }
        });
        tally.check::<AccessEntries>(&owner, Some(&old), None, None);
        for observed in [&state, &touched] {
            tally.check::<AccessEntries>(&owner, None, Some(observed), None);
            tally.check::<AccessEntries>(&stranger, Some(&old), Some(observed), None);
            tally.check::<AccessEntries>(&stranger, None, Some(observed), None);
        }
        for new in declarations() {
            // What others tagged comes along to an entry of another type; what they set there, that type may not have.
            tally.check::<AccessEntries>(&owner, Some(&new), Some(&state), Some(&old));
            tally.check::<AccessEntries>(&owner, Some(&new), Some(&touched), Some(&old));
            if type_of(&new) == type_of(&old) {
                tally.check::<AccessEntries>(&owner, Some(&new), Some(&drifted), None);
            }
        }
    }
    tally.check::<AccessEntries>(&owner, None, None, None);
    let stale = outlived(&after::<AccessEntries>(&owner, Some(&declared(spec(None, None))), None).expect("an entry"));
    let kept = Desired { wanted: Wanted::Unchanged, role: Some(new_role()), process: "p".into(), hand_over: None };
    tally.check::<AccessEntries>(&owner, Some(&kept), Some(&stale), None);
    let adopting = taking(declared(spec(None, Some(&[("view", PolicyScope::Cluster)]))));
    let theirs = found(&after::<AccessEntries>(&stranger, Some(&adopting), None).expect("an entry"));
    let adopted = after::<AccessEntries>(&owner, Some(&adopting), Some(theirs)).expect("an entry");
    tally.check::<AccessEntries>(&owner, None, Some(&adopted), None);
    tally.covered::<AccessEntries>();
    tally.report::<AccessEntries>();
}

#[test]
fn a_property_left_out_is_not_compared_and_ours_is_taken_back() {
    let owner = owner("Entry");
    let old = declared(spec(Some(&["ours"]), Some(&[("view", PolicyScope::Cluster)])));
    let state = changed(&after::<AccessEntries>(&owner, Some(&old), None).expect("an entry"), by_hand);
    let end = after::<AccessEntries>(&owner, Some(&declared(spec(None, None))), Some(state)).expect("an entry");
    assert_eq!(content(&end).groups, ["by-hand".to_owned()].into());
    assert_eq!(content(&end).policies, BTreeMap::from([("by-hand".to_owned(), PolicyScope::Cluster)]));
}

/// The role is made again behind our back, and then the same or another declaration comes.
#[test]
fn an_entry_whose_role_was_made_again_is_made_again_too_and_loses_nothing() {
    let owner = owner("Entry");
    let mut tally = Coverage::default();
    let kept = Desired { wanted: Wanted::Unchanged, role: Some(new_role()), process: "p".into(), hand_over: None };
    for old in declarations() {
        let state = after::<AccessEntries>(&owner, Some(&old), None).expect("an entry");
        // One that was made before ids were recorded.
        let unmarked = changed(&state, |content| {
            content.tags.remove("github-trust:role-id");
        });
        for mut new in declarations().into_iter().filter(|new| type_of(new) == type_of(&old)) {
            tally.check::<AccessEntries>(&owner, Some(&new), Some(&unmarked), None);
            new.role = Some(new_role());
            for state in [&state, &unmarked] {
                tally.check::<AccessEntries>(&owner, Some(&new), Some(&outlived(state)), None);
            }
        }
        // Not even one of nodes, whose name and groups are EKS' own, is told what nobody may tell it.
        let of_nodes = type_of(&old) != Some(EntryType::STANDARD);
        let again = AccessEntries::plan(&owner, Some(&kept), Some(&outlived(&state))).expect("no refusal");
        let updates = |action: &Action| matches!(action, Action::Update { .. });
        assert!(!of_nodes || !again.stages().iter().flatten().any(updates), "{again:?}");
        if of_nodes {
            continue;
        }
        // What others put there comes back with it, and what is declared too.
        let touched = outlived(&changed(&state, by_hand));
        let end = after::<AccessEntries>(&owner, Some(&kept), Some(touched.clone())).expect("an entry");
        let same = |end: &Observed| {
            let mut content = content(end).clone();
            let role = kept.role.as_ref().expect("a role").remembered();
            content.tags.insert("github-trust:role-id".into(), role.replace("AROA2", "AROA1"));
            content
        };
        assert_eq!(same(&end), *content(&touched));
        tally.check::<AccessEntries>(&owner, Some(&kept), Some(&touched), None);
        let undeclared = Desired { role: Some(new_role()), ..declared(spec(None, None)) };
        let end = after::<AccessEntries>(&owner, Some(&undeclared), Some(touched)).expect("an entry");
        assert_eq!(content(&end).tags.get(FOREIGN).map(String::as_str), Some("v"));
        assert!(content(&end).groups.contains("by-hand") && content(&end).policies.contains_key("by-hand"), "{end:?}");
    }
    tally.report::<AccessEntries>();
    // IAM shows the role of before for a while: that one is older than the entry.
    let entry = after::<AccessEntries>(&owner, Some(&declared(spec(None, None))), None).expect("an entry");
    let before = Principal { role_id: "AROA0".into(), created: NOW - 5000, maker: maker() };
    let stale_read = Desired { role: Some(before), ..declared(spec(None, None)) };
    let plan = AccessEntries::plan(&owner, Some(&stale_read), Some(&entry)).unwrap();
    assert!(plan.is_empty(), "{plan:?}");
}

/// Whatever moment the making again is broken off at, and whatever comes next: the schedule, any declaration, the deletion.
#[test]
fn an_entry_that_is_half_made_again_loses_nothing_whatever_comes_next() {
    let (owner, stranger) = (owner("Entry"), owner("Stranger"));
    let mut tally = Coverage::default();
    let kept = Desired { wanted: Wanted::Unchanged, role: Some(new_role()), process: "p".into(), hand_over: None };
    let unseen = Desired { wanted: Wanted::Unchanged, role: None, process: "p".into(), hand_over: None };
    let declarations: Vec<Desired> = declarations()
        .into_iter()
        .filter(|desired| type_of(desired) == Some(EntryType::STANDARD))
        .map(|desired| Desired { role: Some(new_role()), ..desired })
        .collect();
    for (index, old) in declarations.iter().enumerate() {
        let old = Desired { role: declared(spec(None, None)).role, ..old.clone() };
        let whole = after::<AccessEntries>(&owner, Some(&old), None).expect("an entry");
        let stale = outlived(&changed(&whole, by_hand));
        for first in [&kept, &declarations[(index * 7 + 3) % declarations.len()]] {
            for state in passed(&owner, first, &stale).into_iter().flatten() {
                // Without the mark there has to be the whole entry, and without the entry the whole record.
                let entry = state.entry.as_ref().map(|entry| &entry.content);
                let whole = entry
                    .filter(|content| !content.tags.contains_key(RESTORING))
                    .or(state.record.as_ref().map(|record| &record.content));
                let whole = whole.expect("one of both is whole");
                let is_kept = |declared: bool| {
                    declared || (whole.groups.contains("by-hand") && whole.policies.contains_key("by-hand"))
                };
                let lists =
                    matches!(&first.wanted, Wanted::Declared(spec) if spec.groups.is_some() || spec.policies.is_some());
                assert!(is_kept(lists) && whole.tags.contains_key(FOREIGN), "{state:#?}");
                tally.check::<AccessEntries>(&owner, Some(&kept), Some(&state), None);
                tally.check::<AccessEntries>(&owner, None, Some(&state), None);
                tally.check::<AccessEntries>(&stranger, None, Some(&state), None);
                tally.check::<AccessEntries>(&stranger, Some(first), Some(&state), None);
                if state.entry.is_none() {
                    tally.check::<AccessEntries>(&owner, Some(&unseen), Some(&state), None);
                }
                for next in declarations.iter().step_by(5) {
                    tally.check::<AccessEntries>(&owner, Some(next), Some(&state), None);
                }
                let marked = state.entry.filter(|entry| entry.content.tags.contains_key(RESTORING));
                if let Some(entry) = marked {
                    // Its owner deleted the resource meanwhile.
                    let back = Observed { entry: Some(entry), record: None };
                    let plan = AccessEntries::plan(&owner, Some(&kept), Some(&back)).expect("no refusal");
                    assert_eq!(plan, Plan::nothing().then([Action::Delete { stale: false }]));
                }
            }
        }
    }
    tally.report::<AccessEntries>();
}

/// The same declaration, which is meant for this role.
fn meant_for(desired: Desired, role: Option<&Principal>) -> Desired {
    let Wanted::Declared(spec) = desired.wanted else { return desired };
    let role_id = role.map(|role| role.role_id.clone());
    Desired { wanted: Wanted::Declared(Box::new(Spec { role_id, ..*spec })), ..desired }
}

/// Somebody else made the entry, and hands it over.
/// The same declaration, which adopts.
fn taking(desired: Desired) -> Desired {
    match desired.wanted.clone() {
        Wanted::Declared(spec) => {
            Desired { wanted: Wanted::Declared(Box::new(Spec { adopt: true, ..*spec })), ..desired }
        }
        Wanted::Unchanged => desired,
    }
}

/// An entry that somebody made by hand.
fn found(observed: &Observed) -> Observed {
    changed(observed, |content| {
        content.tags.clear();
        content.groups.clear();
        content.policies.clear();
        if content.entry_type == EntryType::STANDARD.0 {
            content.username = "by hand".into();
            by_hand(content);
        }
    })
}

#[test]
fn an_entry_is_adopted_only_on_demand_and_is_given_back() {
    let (owner, stranger) = (owner("Entry"), owner("Stranger"));
    let mut tally = Coverage::default();
    for old in declarations() {
        let theirs = found(&after::<AccessEntries>(&stranger, Some(&old), None).expect("an entry"));
        tally.check::<AccessEntries>(&owner, None, Some(&theirs), None);
        for new in declarations() {
            let refused = AccessEntries::plan(&owner, Some(&new), Some(&theirs));
            assert!(matches!(refused, Err(Refusal::Foreign { .. })), "{refused:?}");
            let new = taking(new);
            if type_of(&new) != type_of(&old) {
                let refused = AccessEntries::plan(&owner, Some(&new), Some(&theirs));
                assert!(matches!(refused, Err(Refusal::Immutable { .. })), "{refused:?}");
                continue;
            }
            for role in [new.role.clone(), Some(new_role())] {
                let new = Desired { role: role.clone(), ..meant_for(new.clone(), role.as_ref()) };
                let theirs = if role == Some(new_role()) { outlived(&theirs) } else { theirs.clone() };
                for state in passed(&owner, &new, &theirs).into_iter().flatten().skip(1) {
                    tally.check::<AccessEntries>(&owner, Some(&new), Some(&state), None);
                    tally.check::<AccessEntries>(&owner, None, Some(&state), None);
                    // One that was made again for another role is the stack's own.
                    if state.entry.as_ref().is_some_and(|entry| entry.content.is_adopted()) {
                        let back = after::<AccessEntries>(&owner, None, Some(state));
                        assert_eq!(back.and_then(|back| back.entry), theirs.entry);
                    }
                }
            }
        }
    }
    let of_a_stack = after::<AccessEntries>(&stranger, Some(&declared(spec(None, None))), None).expect("an entry");
    assert!(AccessEntries::plan(&owner, Some(&taking(declared(spec(None, None)))), Some(&of_a_stack)).is_err());
    tally.report::<AccessEntries>();
}
