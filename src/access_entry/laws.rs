//! The worlds in which an access entry's plans are checked.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Action, default_username};
use super::{AccessEntries, Created, Desired, EntryType, Observed, Principal, Scope, Spec};
use crate::laws::{Lawful, Tally, after, owner};
use crate::owner::{Owner, Tags};
use crate::reconcile::Kind;

const PRINCIPAL: &str = "arn:aws:iam::123456789012:role/ci/deploy";
/// Tagged by somebody else.
const FOREIGN: &str = "foreign";

impl Lawful for AccessEntries {
    const VARIANTS: &'static [&'static str] =
        &["Create", "Update", "Associate", "Disassociate", "Tag", "Untag", "Delete"];

    fn variant(action: &Action) -> &'static str {
        match action {
            Action::Create { .. } => "Create",
            Action::Update { .. } => "Update",
            Action::Associate { .. } => "Associate",
            Action::Disassociate(_) => "Disassociate",
            Action::Tag { .. } => "Tag",
            Action::Untag { .. } => "Untag",
            Action::Delete { .. } => "Delete",
        }
    }

    fn receipt(action: &Action) -> Option<Created> {
        let Action::Create { shell } = action else { return None };
        let username = shell.username.clone().unwrap_or_else(|| default_username(PRINCIPAL));
        Some(Created { arn: "arn".into(), username, created: NOW })
    }

    fn done(
        owner: &Owner,
        desired: Option<&Desired>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        let ours = before.is_none_or(|before| owner.owns(&before.tags));
        let (desired, after) = match (desired, after) {
            (None, None) => return Ok(()),
            (None, Some(_)) if !ours => return Ok(()),
            (None, Some(_)) => return Err("final: the entry is still there".into()),
            (Some(_), None) => return Err("the entry is not there".into()),
            (Some(desired), Some(after)) => (desired, after),
        };
        let Desired { spec, role } = desired;
        let Spec { cluster, principal, entry_type, username, groups, policies, tags } = spec;
        let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        check(after.cluster == *cluster && after.principal == *principal, "id")?;
        check(after.entry_type == entry_type.to_string(), "type")?;
        check(owner.owns(&after.tags), "owner")?;
        if let Some(role) = role {
            check(after.tags.get("github-trust:role-id") == Some(&role.role_id), "the role's id")?;
            check(after.created >= role.created, "bound to a role that is no more")?;
        }
        let expected = username.clone().unwrap_or_else(|| default_username(PRINCIPAL));
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
        match observed {
            Some(observed) if !owner.owns(&observed.tags) => [format!("{observed:?}")].into(),
            Some(observed) if !deleting => observed.tags.get(FOREIGN).cloned().into_iter().collect(),
            _ => BTreeSet::new(),
        }
    }

    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        let Some(observed) = observed else { return BTreeSet::new() };
        let groups = observed.groups.iter().map(|group| format!("group {group}"));
        let policies = observed.policies.iter().flat_map(|(policy, scope)| {
            // What the policies allow overlaps on purpose.
            let permissions: &[&str] = if policy == "view" { &["get"] } else { &["get", "set"] };
            let places = match scope {
                Scope::Cluster => vec!["n1", "n2"],
                Scope::Namespaces(namespaces) => namespaces.iter().map(String::as_str).collect(),
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
        let (Some(desired), Some(observed)) = (desired, observed) else { return true };
        let bound = desired.role.as_ref().is_none_or(|role| role.created <= observed.created);
        bound && desired.spec.entry_type.to_string() == observed.entry_type
    }
}

fn spec(groups: Option<&[&str]>, policies: Option<&[(&str, Scope)]>) -> Spec {
    Spec {
        cluster: "prod".into(),
        principal: PRINCIPAL.into(),
        entry_type: EntryType::STANDARD,
        username: None,
        groups: groups.map(|groups| groups.iter().map(|&group| group.to_owned()).collect()),
        policies: policies
            .map(|policies| policies.iter().map(|(policy, scope)| ((*policy).to_owned(), scope.clone())).collect()),
        tags: Tags::new(),
    }
}

/// When the entries of these worlds are made.
const NOW: i64 = 1_000_000;

/// The role that the entries are for, made before them.
fn declared(spec: Spec) -> Desired {
    Desired { spec, role: Some(Principal { role_id: "AROA1".into(), created: NOW - 100 }) }
}

fn declarations() -> Vec<Desired> {
    specs().into_iter().map(declared).collect()
}

fn specs() -> Vec<Spec> {
    let in_namespace = |name: &str| Scope::Namespaces([name.to_owned()].into());
    let policies = [
        None,
        Some(vec![]),
        Some(vec![("view", Scope::Cluster)]),
        Some(vec![("view", in_namespace("n1"))]),
        Some(vec![("edit", in_namespace("n1"))]),
        Some(vec![("view", in_namespace("n2")), ("edit", in_namespace("n1"))]),
        Some(vec![("view", in_namespace("n1")), ("edit", in_namespace("n2"))]),
        Some(vec![("view", in_namespace("n2")), ("edit", Scope::Cluster)]),
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

#[test]
fn an_access_entrys_plans_obey_the_laws() {
    let (owner, stranger) = (owner("Entry"), owner("Stranger"));
    let mut tally = Tally::default();
    for old in declarations() {
        let state = after::<AccessEntries>(&owner, Some(&old), None).expect("an entry");
        let mut touched = state.clone();
        touched.tags.insert(FOREIGN.into(), "v".into());
        let mut drifted = touched.clone();
        drifted.groups.insert("by-hand".into());
        drifted.policies.insert("by-hand".into(), Scope::Cluster);
        drifted.policies.remove("view");
        if old.spec.username.is_none() {
            drifted.username = "by hand".into();
        }
        tally.check::<AccessEntries>(&owner, Some(&old), None, None);
        for observed in [&state, &touched] {
            tally.check::<AccessEntries>(&owner, None, Some(observed), None);
            tally.check::<AccessEntries>(&stranger, Some(&old), Some(observed), None);
            tally.check::<AccessEntries>(&stranger, None, Some(observed), None);
        }
        for new in declarations() {
            // A new entry has only the tags that we give it, so what others tagged goes with another type.
            let same_type = new.spec.entry_type == old.spec.entry_type;
            tally.check::<AccessEntries>(&owner, Some(&new), Some(&state), Some(&old));
            if same_type {
                tally.check::<AccessEntries>(&owner, Some(&new), Some(&touched), Some(&old));
                tally.check::<AccessEntries>(&owner, Some(&new), Some(&drifted), None);
            }
        }
    }
    tally.check::<AccessEntries>(&owner, None, None, None);
    tally.covered::<AccessEntries>();
    tally.report::<AccessEntries>();
}

#[test]
fn what_the_author_leaves_out_is_not_compared_and_what_we_set_before_is_taken_back() {
    let owner = owner("Entry");
    let old = declared(spec(Some(&["ours"]), Some(&[("view", Scope::Cluster)])));
    let mut state = after::<AccessEntries>(&owner, Some(&old), None).expect("an entry");
    state.groups.insert("by-hand".into());
    state.policies.insert("by-hand".into(), Scope::Cluster);
    let end = after::<AccessEntries>(&owner, Some(&declared(spec(None, None))), Some(state)).expect("an entry");
    assert_eq!(end.groups, ["by-hand".to_owned()].into());
    assert_eq!(end.policies, BTreeMap::from([("by-hand".to_owned(), Scope::Cluster)]));
}

/// The role is made again behind our back, and then the same or another declaration comes.
#[test]
fn an_entry_whose_role_was_made_again_is_made_again_too_and_loses_nothing() {
    let owner = owner("Entry");
    let mut tally = Tally::default();
    for old in declarations() {
        let state = after::<AccessEntries>(&owner, Some(&old), None).expect("an entry");
        // One that was made before ids were recorded.
        let mut unmarked = state.clone();
        unmarked.tags.remove("github-trust:role-id");
        for mut new in declarations().into_iter().filter(|new| new.spec.entry_type == old.spec.entry_type) {
            tally.check::<AccessEntries>(&owner, Some(&new), Some(&unmarked), None);
            new.role = Some(Principal { role_id: "AROA2".into(), created: NOW - 50 });
            for state in [&state, &unmarked] {
                let mut state = state.clone();
                state.created = NOW - 80;
                tally.check::<AccessEntries>(&owner, Some(&new), Some(&state), None);
            }
        }
        // What others put there comes back with it.
        let mut touched = state.clone();
        touched.tags.insert(FOREIGN.into(), "v".into());
        touched.groups.insert("by-hand".into());
        touched.policies.insert("by-hand".into(), Scope::Cluster);
        touched.created = NOW - 80;
        let role = Some(Principal { role_id: "AROA2".into(), created: NOW - 50 });
        let new = Desired { role, spec: spec(None, None) };
        if old.spec.entry_type == new.spec.entry_type {
            let end = after::<AccessEntries>(&owner, Some(&new), Some(touched)).expect("an entry");
            assert_eq!(end.tags.get(FOREIGN).map(String::as_str), Some("v"));
            assert!(end.groups.contains("by-hand") && end.policies.contains_key("by-hand"), "{end:?}");
        }
    }
    tally.report::<AccessEntries>();
    // IAM shows the role of before for a while: that one is older than the entry.
    let entry = after::<AccessEntries>(&owner, Some(&declared(spec(None, None))), None).expect("an entry");
    let before = Principal { role_id: "AROA0".into(), created: NOW - 5000 };
    let stale_read = Desired { role: Some(before), spec: spec(None, None) };
    let plan = AccessEntries::plan(&owner, Some(&stale_read), Some(&entry)).unwrap();
    assert!(!plan.stages().iter().flatten().any(|action| matches!(action, Action::Delete { .. })), "{plan:?}");
}
