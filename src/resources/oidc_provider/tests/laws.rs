//! The worlds in which a provider's plans are checked: one provider, several owners, with and without somebody who was
//! there before.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use crate::error::Refusal;
use crate::laws::{Coverage, PlanLaws, after, owner};
use crate::ownership::{Owner, Tags};
use crate::reconcile::Plan;
use crate::reconcile::Planner;
use crate::resources::oidc_provider::Action;
use crate::resources::oidc_provider::owner_stakes::{PIECE, PIECES, RETAINED, stored_ca};
use crate::resources::oidc_provider::rotation::{ObservedThumbprints, RotationPolicy, Timestamp, is_mark};
use crate::resources::oidc_provider::{Declared, Desired, Observed, OidcProviders, ThumbprintUse, Thumbprints};

const ARN: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
/// Client id and tag of the provider's maker before us, and of later additions by hand.
const FOREIGN: &str = "foreign";

/// The claims of those who stay.
fn owner_stakes(tags: &Tags) -> BTreeSet<&String> {
    let stays =
        |(key, value): &(&String, &String)| key.starts_with("github-trust:owner:") && !value.starts_with("going ");
    tags.iter().filter(stays).map(|(key, _)| key).collect()
}

/// The claims that many have together.
fn crowds(tags: &Tags) -> Vec<(&String, &String)> {
    tags.iter().filter(|(key, _)| key.starts_with("github-trust:crowd:")).collect()
}

fn claim(owner: &Owner) -> String {
    format!("github-trust:owner:{}", owner.digest(16))
}

fn check(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn is_as_declared(owner: &Owner, declared: &Declared, after: &Observed) -> Result<(), String> {
    let Declared { arn, url: _, client_ids, thumbprints, use_of_thumbprints: _, ca, tags, share: _, .. } = declared;
    check(after.arn == *arn, "arn")?;
    let is_one_of_many = !crowds(&after.tags).is_empty();
    check(is_one_of_many || after.tags.contains_key(&claim(owner)), "claim")?;
    check(client_ids.is_subset(&after.client_ids), "client ids")?;
    let ours = after.tags.contains_key("github-trust:made-by");
    let list: BTreeSet<String> = after.thumbprints.iter().cloned().collect();
    let pins = pins(&after.tags);
    check((1..=5).contains(&list.len()), "one to five thumbprints")?;
    check(
        !ours || pins.is_empty() || !all_pin(&after.tags) || pins == list,
        "if all owners pin, the pins are the list",
    )?;
    check(!ours || pins.is_subset(&list), "each pin is in the list")?;
    if let Thumbprints::Pinned(wanted) = thumbprints {
        check(wanted.is_subset(&list), "what we pin is in the list")?;
    }
    check(!ours || ca.is_none() || stored_ca(&after.tags).is_some(), "a CA for the schedule")?;
    check(tags.iter().all(|(key, value)| after.tags.get(key) == Some(value)), "tags")?;
    // An owner who is alone with a provider of ours has exactly what it asks for.
    let owners = after.tags.keys().filter(|key| key.starts_with("github-trust:owner:")).count();
    let alone = owners == 1 && !is_one_of_many && after.tags.contains_key("github-trust:made-by");
    let ours = |name: &&String| *name != FOREIGN;
    check(!alone || after.client_ids.iter().filter(ours).eq(client_ids), "client ids that nobody needs")
}

impl PlanLaws for OidcProviders {
    const VARIANTS: &'static [&'static str] =
        &["Create", "AddClientId", "RemoveClientId", "SetThumbprints", "Tag", "Untag", "Delete"];

    fn output(_: &Action) {}

    fn observed_for_delete(mut observed: Observed) -> Observed {
        observed.trusted_by.get_or_insert_default();
        observed
    }

    fn done(
        owner: &Owner,
        desired: Option<&Desired>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        match (desired, after) {
            (Some(Desired::Collected(_)), _) => Ok(()),
            (None, None) => {
                let others =
                    before.is_some_and(|before| owner_stakes(&before.tags).iter().any(|key| **key != claim(owner)));
                check(
                    before.is_none_or(|before| before.trusted_by.as_ref().is_some_and(Vec::is_empty)),
                    "final: deleted although a role trusts it",
                )?;
                check(
                    before.is_none_or(|before| !before.tags.contains_key(RETAINED)),
                    "final: deleted although retained",
                )?;
                check(!others, "final: deleted although others need it")?;
                check(
                    before.is_none_or(|before| crowds(&before.tags).is_empty()),
                    "final: deleted although many need it",
                )?;
                check(before.is_none_or(|before| before.tags.contains_key("github-trust:made-by")), "final: not ours")
            }
            (None, Some(after)) => {
                check(!after.tags.contains_key(&claim(owner)), "final: the claim is still there")?;
                let ours = after.tags.contains_key("github-trust:made-by");
                let claimed = before.is_some_and(|before| before.tags.contains_key(&claim(owner)));
                let trusted_by = before.and_then(|before| before.trusted_by.as_ref());
                let many = crowds(&after.tags);
                check(before.is_none_or(|before| crowds(&before.tags) == many), "final: a shared claim is gone")?;
                let retained = after.tags.contains_key(RETAINED) || !many.is_empty();
                let wanted = trusted_by.is_some_and(|roles| !roles.is_empty()) || retained;
                check(
                    wanted || !(ours && claimed && owner_stakes(&after.tags).is_empty()),
                    "final: the last one out leaves ours behind",
                )
            }
            (Some(Desired::Maintained(_)), None) => check(before.is_none(), "a scheduled look deleted"),
            (Some(Desired::Declared(_)), None) => Err("the provider is not there".into()),
            (Some(Desired::Maintained(_)), Some(after)) => {
                let before = before.ok_or("a scheduled look made a provider")?;
                let others = |tags: &Tags| {
                    tags.iter().filter(|(key, _)| !is_mark(key)).map(|(k, v)| (k.clone(), v.clone())).collect::<Tags>()
                };
                check(others(&before.tags) == others(&after.tags), "a scheduled look changed a claim")?;
                check(before.client_ids == after.client_ids, "a scheduled look changed client ids")
            }
            (Some(Desired::Declared(declared)), Some(after)) => is_as_declared(owner, declared, after),
        }
    }

    fn foreign(owner: &Owner, observed: Option<&Observed>, deleting: bool) -> BTreeSet<String> {
        let Some(observed) = observed else { return BTreeSet::new() };
        let ours = observed.tags.contains_key("github-trust:made-by");
        let alone = owner_stakes(&observed.tags) == BTreeSet::from([&claim(owner)]);
        if deleting && ours && alone {
            return BTreeSet::new();
        }
        let staying = owner_stakes(&observed.tags);
        let others = observed.tags.iter().filter(|(key, _)| staying.contains(key) && **key != claim(owner));
        let tags =
            observed.tags.get_key_value(FOREIGN).into_iter().chain(others).map(|(key, value)| format!("{key}={value}"));
        let client_ids = observed.client_ids.get(FOREIGN).cloned();
        let thumbprints = (!ours).then(|| observed.thumbprints.join(","));
        tags.chain(client_ids).chain(thumbprints).collect()
    }

    /// An audience lets tokens in; nothing else of a provider grants anything.
    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        observed.into_iter().flat_map(|provider| &provider.client_ids).map(|id| (id.clone(), "assume".into())).collect()
    }
}

pub(super) fn desired(client_ids: &[&str], pins: Option<&[&str]>, tags: &[(&str, &str)]) -> Desired {
    Desired::Declared(Box::new(declared(client_ids, pins, tags)))
}

fn declared(client_ids: &[&str], pins: Option<&[&str]>, tags: &[(&str, &str)]) -> Declared {
    let pinned = |list: &[&str]| Thumbprints::Pinned(list.iter().map(|&item| item.to_owned()).collect());
    Declared {
        arn: ARN.into(),
        url: "https://token.actions.githubusercontent.com".into(),
        client_ids: client_ids.iter().map(|&id| id.to_owned()).collect(),
        thumbprints: pins.map_or_else(|| seen(&["v1"], 0), pinned),
        use_of_thumbprints: ThumbprintUse::Fallback,
        ca: None,
        tags: tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        share: true,
        retain: false,
        gone: BTreeSet::new(),
    }
}

/// A look on some day.
pub(super) fn seen(values: &[&str], day: i64) -> Thumbprints {
    let at = Timestamp::of(OffsetDateTime::UNIX_EPOCH + Duration::days(20_000 + day));
    let rotation_policy = RotationPolicy { overlap: 30 * 24 * 60 * 60, confirmation_interval: 60 * 60 };
    Thumbprints::Observed(ObservedThumbprints {
        values: values.iter().map(|&value| (value.to_owned(), String::new())).collect(),
        at,
        rotation_policy,
    })
}

fn pins(tags: &Tags) -> BTreeSet<String> {
    let pins = tags.iter().filter(|(key, _)| key.starts_with("github-trust:pins:"));
    pins.flat_map(|(_, value)| value.split(' ')).map(str::to_owned).collect()
}

fn all_pin(tags: &Tags) -> bool {
    let mut owners = tags.keys().filter(|key| key.starts_with("github-trust:owner:"));
    owners.all(|key| tags.contains_key(&key.replace(":owner:", ":pins:")))
}

/// Made by hand, before any of us came.
pub(super) fn foreign() -> Observed {
    Observed {
        arn: ARN.into(),
        client_ids: [FOREIGN.to_owned(), "a".to_owned()].into(),
        thumbprints: vec!["t0".into()],
        tags: [(FOREIGN.to_owned(), "v".to_owned())].into(),
        trusted_by: None,
    }
}

fn declarations() -> Vec<Desired> {
    let mut all = Vec::new();
    for client_ids in [&["a"][..], &["b"], &["a", "b"]] {
        for thumbprints in [None, Some(&["t1"][..]), Some(&["t1", "t2"])] {
            for tags in [&[][..], &[("k", "v")], &[("k", "v"), ("l", "v")]] {
                all.push(desired(client_ids, thumbprints, tags));
            }
        }
    }
    all
}

/// Every state that some of the others leave, from nothing and from a foreign provider.
fn companies(others: &[Owner]) -> Vec<Option<Observed>> {
    let joined = |state: Option<Observed>, owner: &Owner, declaration: &Desired| {
        after::<OidcProviders>(owner, Some(declaration), state)
    };
    let mut states = vec![None, Some(foreign())];
    let first = [desired(&["a"], None, &[]), desired(&["b"], None, &[("k", "v")]), desired(&["a", "b"], None, &[])];
    let mut more = Vec::new();
    for start in [None, Some(foreign())] {
        for one in &first {
            let alone = joined(start.clone(), &others[0], one);
            for two in &first {
                more.push(joined(alone.clone(), &others[1], two));
            }
            more.push(alone);
        }
    }
    states.extend(more);
    // One whose other owner has told that it leaves.
    let mut left = joined(None, &others[0], &first[0]).expect("a provider");
    let going = left.tags[&claim(&others[0])].clone();
    left.tags.insert(claim(&others[0]), format!("going {going}"));
    states.push(Some(left));
    // One that we made, whose claims are gone: nobody's, and nobody's to delete.
    let mut orphan = joined(None, &others[0], &first[0]).expect("a provider");
    orphan.tags.retain(|key, _| !key.starts_with("github-trust:owner:"));
    orphan.client_ids = [FOREIGN.to_owned()].into();
    states.push(Some(orphan));
    states
}

#[test]
fn a_providers_plans_obey_the_laws() {
    let us = owner("Provider");
    let others = [owner("Other"), owner("Third")];
    let mut tally = Coverage::default();
    for company in companies(&others) {
        tally.check::<OidcProviders>(&us, None, company.as_ref(), None);
        for old in declarations() {
            tally.check::<OidcProviders>(&us, Some(&old), company.as_ref(), None);
            if OidcProviders::plan_is_refused(&us, &old, company.as_ref()) {
                continue;
            }
            let state = after::<OidcProviders>(&us, Some(&old), company.clone()).expect("a provider");
            tally.check::<OidcProviders>(&us, None, Some(&state), None);
            let mut touched = state.clone();
            touched.client_ids.insert(FOREIGN.into());
            touched.tags.insert(FOREIGN.into(), "v".into());
            for new in declarations() {
                // Pins of all owners replace what was seen; pins beside others' stay for the overlap.
                let restores = if is_pinned(&new) { is_pinned(&old) && all_pin(&state.tags) } else { true };
                let previous = restores.then_some(&old);
                tally.check::<OidcProviders>(&us, Some(&new), Some(&state), previous);
                tally.check::<OidcProviders>(&us, Some(&new), Some(&touched), previous);
            }
        }
    }
    tally.covered::<OidcProviders>();
    tally.report::<OidcProviders>();
}

fn client_ids(desired: &Desired) -> BTreeSet<String> {
    if let Desired::Declared(declared) = desired { declared.client_ids.clone() } else { BTreeSet::new() }
}

fn is_pinned(desired: &Desired) -> bool {
    matches!(desired, Desired::Declared(declared) if matches!(declared.thumbprints, Thumbprints::Pinned(_)))
}

impl OidcProviders {
    fn plan_for(owner: &Owner, desired: &Desired, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        OidcProviders::plan(owner, Some(desired), observed)
    }

    fn plan_is_refused(owner: &Owner, desired: &Desired, observed: Option<&Observed>) -> bool {
        Self::plan_for(owner, desired, observed).is_err()
    }
}

/// Three owners come in every order and leave in every order; after each step everyone who is there has its client id.
#[test]
fn three_owners_share_a_provider_in_every_order() {
    let owners = [owner("A"), owner("B"), owner("C")];
    let declarations = [desired(&["a"], None, &[]), desired(&["b"], None, &[]), desired(&["a", "b"], None, &[])];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for start in [None, Some(foreign())] {
        for coming in orders {
            for leaving in orders {
                let mut state = start.clone();
                let mut present = BTreeSet::new();
                let check = |state: &Option<Observed>, present: &BTreeSet<usize>| {
                    let needed: BTreeSet<String> =
                        present.iter().flat_map(|&index: &usize| client_ids(&declarations[index])).collect();
                    let found = start.as_ref().map(|start| start.client_ids.clone()).unwrap_or_default();
                    let expected: BTreeSet<String> = needed.union(&found).cloned().collect();
                    let have = state.as_ref().map(|state| state.client_ids.clone()).unwrap_or_default();
                    assert_eq!(have, expected, "{coming:?} {leaving:?} {present:?}");
                };
                for index in coming {
                    state = after::<OidcProviders>(&owners[index], Some(&declarations[index]), state);
                    present.insert(index);
                    check(&state, &present);
                }
                for index in leaving {
                    state = after::<OidcProviders>(&owners[index], None, state);
                    present.remove(&index);
                    check(&state, &present);
                }
                assert_eq!(state, start, "what was there before is as it was");
            }
        }
    }
}

/// A scheduled look at every state that some owners leave, on several days, with every set of values shown.
#[test]
fn a_scheduled_look_obeys_the_laws() {
    let schedule = Owner::schedule("us-east-1");
    let mut tally = Coverage::default();
    let mut states = companies(&[owner("A"), owner("B")]);
    for pins in [&["t1"][..], &["t1", "t2"]] {
        states.push(after::<OidcProviders>(&owner("C"), Some(&desired(&["a"], Some(pins), &[])), None));
    }
    // What looks of other days have left, marks and all.
    for values in [&["v1", "v2"][..], &["v2"], &["v2", "v3", "v4", "v5", "v6"]] {
        for day in [1, 40] {
            let look = Desired::Maintained(seen(values, day));
            let more: Vec<_> =
                states.iter().map(|state| after::<OidcProviders>(&schedule, Some(&look), state.clone())).collect();
            states.extend(more);
        }
    }
    for state in &states {
        for values in [&["v1"][..], &["v2"], &["v1", "v3"], &["v4", "v5", "v6", "v7", "v8"]] {
            for day in [40, 41, 80] {
                let look = Desired::Maintained(seen(values, day));
                tally.check::<OidcProviders>(&schedule, Some(&look), state.as_ref(), None);
            }
        }
        let nothing = Desired::Maintained(Thumbprints::Unknown("an expired certificate".into()));
        tally.check::<OidcProviders>(&schedule, Some(&nothing), state.as_ref(), None);
    }
    println!("{} states", states.len());
    tally.report::<OidcProviders>();
}

/// An owner that retains, one that gives a CA, and roles that still trust the provider, in every order of two.
#[test]
fn what_is_retained_or_still_trusted_stays_and_everything_else_goes() {
    let change = |change: fn(&mut Declared)| {
        let mut declared = declared(&["a"], None, &[("k", "v")]);
        change(&mut declared);
        Desired::Declared(Box::new(declared))
    };
    let kinds = [
        change(|_| {}),
        change(|declared| declared.retain = true),
        change(|declared| declared.ca = Some("A".repeat(700))),
        change(|declared| declared.ca = Some("B".repeat(100))),
        change(|declared| declared.thumbprints = Thumbprints::Pinned(["t1".to_owned()].into())),
    ];
    let (one, two) = (owner("One"), owner("Two"));
    let mut tally = Coverage::default();
    for start in [None, Some(foreign())] {
        for first in &kinds {
            if OidcProviders::plan_is_refused(&one, first, start.as_ref()) {
                continue;
            }
            let alone = after::<OidcProviders>(&one, Some(first), start.clone());
            tally.check::<OidcProviders>(&one, None, alone.as_ref(), None);
            let of_unread = OidcProviders::plan(&one, None, alone.as_ref()).unwrap();
            assert!(!of_unread.actions().any(|action| *action == Action::Delete), "the roles were not read");
            let mut trusted = alone.clone();
            trusted.as_mut().unwrap().trusted_by = Some(vec!["deploy".into()]);
            tally.check::<OidcProviders>(&one, None, trusted.as_ref(), None);
            for second in &kinds {
                if OidcProviders::plan_is_refused(&two, second, alone.as_ref()) {
                    continue;
                }
                tally.check::<OidcProviders>(&one, Some(second), alone.as_ref(), None);
                let both = after::<OidcProviders>(&two, Some(second), alone.clone());
                tally.check::<OidcProviders>(&two, Some(second), alone.as_ref(), None);
                tally.check::<OidcProviders>(&one, None, both.as_ref(), None);
                let left = after::<OidcProviders>(&one, None, both.clone());
                tally.check::<OidcProviders>(&two, None, left.as_ref(), None);
                let end = after::<OidcProviders>(&two, None, left);
                match end.as_ref() {
                    None => assert!(start.is_none()),
                    Some(end) if start.is_none() => {
                        assert!(end.tags.contains_key(RETAINED) && owner_stakes(&end.tags).is_empty(), "{end:?}");
                    }
                    end => assert_eq!(end, start.as_ref(), "what was there before is as it was"),
                }
            }
        }
    }
    tally.report::<OidcProviders>();
}

/// The words that somebody reads at night.
#[test]
fn what_cannot_be_done_to_a_provider_is_told() {
    let (us, other) = (owner("Provider"), owner("Other"));
    let theirs = after::<OidcProviders>(&other, Some(&desired(&["a"], Some(&["t1", "t2", "t3"]), &[])), None);
    let tagged = after::<OidcProviders>(&other, Some(&desired(&["a"], None, &[("team", "a")])), None);
    let with = |change: fn(&mut Declared)| {
        let mut declared = declared(&["a"], None, &[]);
        change(&mut declared);
        Desired::Declared(Box::new(declared))
    };
    let unknown =
        || Thumbprints::Unknown("github.test (203.0.113.1): certificate 1 of 2 (CN=Server) is expired".into());
    let crowded = || {
        let mut crowded = foreign();
        crowded.tags.extend((0..46).map(|n| (format!("tag-{n}"), String::new())));
        Some(crowded)
    };
    let mut told = String::new();
    for (desired, observed) in [
        (with(|declared| declared.share = false), theirs.clone()),
        (with(|declared| declared.share = false), Some(foreign())),
        (desired(&["a"], Some(&["t4", "t5", "t6"]), &[]), theirs.clone()),
        (Desired::Declared(Box::new(Declared { thumbprints: unknown(), ..declared(&["a"], None, &[]) })), None),
        (
            Desired::Declared(Box::new(Declared {
                thumbprints: unknown(),
                ca: Some("C".into()),
                ..declared(&["a"], None, &[])
            })),
            theirs.clone(),
        ),
        (desired(&["a"], Some(&["t9"]), &[]), Some(foreign())),
        (desired(&["a"], None, &[(FOREIGN, "other")]), Some(foreign())),
        (desired(&["a"], None, &[("Team", "b")]), tagged),
        (desired(&["a"], None, &[]), crowded()),
    ] {
        told += &OidcProviders::plan_for(&us, &desired, observed.as_ref()).unwrap_err().to_string();
        told += "\n";
    }
    insta::assert_snapshot!(told);
}

#[test]
fn tags_of_a_provider_that_fit_before_and_after_change_places() {
    let (us, swaps) = (owner("Provider"), 8);
    let named = |name: &str| (0..swaps).map(|n| format!("{name}-{n}")).collect::<Vec<_>>();
    let declaring = |keys: &[String]| desired(&["a"], None, &keys.iter().map(|key| (&**key, "v")).collect::<Vec<_>>());
    for others in [2, 30] {
        let mut crowded = foreign();
        crowded.tags.extend((1..others).map(|n| (format!("theirs-{n}"), String::new())));
        let before = after::<OidcProviders>(&us, Some(&declaring(&named("old"))), Some(crowded)).unwrap();
        let plan = OidcProviders::plan_for(&us, &declaring(&named("new")), Some(&before)).unwrap();
        let mut now = Some(before.clone());
        for action in plan.actions() {
            now = OidcProviders::step(now, action, ());
            let count = now.as_ref().unwrap().tags.len();
            assert!(count <= 50, "{count} tags after {action}");
        }
        let now = now.unwrap();
        assert!(named("new").iter().all(|key| now.tags.contains_key(key)));
        assert_eq!(now.tags.len(), before.tags.len(), "{others} tags of others");
    }
}

#[test]
fn a_ca_and_pins_that_go_make_room_for_tags() {
    let us = owner("Provider");
    let ca = Declared { ca: Some("x".repeat(PIECE * PIECES)), ..declared(&["a"], None, &[]) };
    for (old, new) in [(ca, PIECES), (declared(&["a"], Some(&["p"]), &[]), 1)] {
        let mut before = after::<OidcProviders>(&us, Some(&Desired::Declared(Box::new(old))), None).unwrap();
        // Eight of the fifty are kept free.
        before.tags.extend((before.tags.len()..42).map(|n| (format!("theirs-{n}"), String::new())));
        let keys: Vec<String> = (0..new).map(|n| format!("new-{n}")).collect();
        let wanted = desired(&["a"], None, &keys.iter().map(|key| (&**key, "v")).collect::<Vec<_>>());
        let plan = OidcProviders::plan_for(&us, &wanted, Some(&before)).unwrap();
        let mut now = Some(before);
        for action in plan.actions() {
            now = OidcProviders::step(now, action, ());
            let count = now.as_ref().unwrap().tags.len();
            assert!(count <= 50, "{count} tags after {action}");
        }
        assert!(keys.iter().all(|key| now.as_ref().unwrap().tags.contains_key(key)));
    }
}

/// A provider of another owner that has room for no more claims.
fn full(other: &Owner) -> Observed {
    let mut full = after::<OidcProviders>(other, Some(&desired(&["a"], None, &[("k", "v")])), None).unwrap();
    full.tags.extend((full.tags.len()..42).map(|n| (format!("theirs-{n}"), String::new())));
    full
}

/// The owners also change what they bring, so that each of them has brought everything.
#[test]
fn owners_that_bring_the_same_share_a_claim_that_nobody_takes() {
    let (one, two, other) = (owner("One"), owner("Two"), owner("Other"));
    let (tag, mut tally) = (("k", "v"), Coverage::default());
    let sets = [
        desired(&["sts.amazonaws.com"], None, &[]),
        desired(&["sts.amazonaws.com", "b"], None, &[]),
        desired(&["c"], None, &[]),
        desired(&["c"], None, &[tag]),
        desired(&["d", "a"], None, &[tag]),
    ];
    let mut state = Some(full(&other));
    let with_a_tag = desired(&["c"], None, &[("new", "")]);
    assert!(OidcProviders::plan_is_refused(&one, &with_a_tag, state.as_ref()), "the room that is kept is for claims");
    for (index, set) in sets.iter().enumerate() {
        for owner in [&one, &two] {
            tally.check::<OidcProviders>(owner, Some(set), state.as_ref(), None);
            state = after::<OidcProviders>(owner, Some(set), state);
            assert_eq!(crowds(&state.as_ref().unwrap().tags).len(), index + 1, "{set:?}");
        }
    }
    let refused = |set: &Desired| OidcProviders::plan_is_refused(&one, set, state.as_ref());
    assert!(refused(&desired(&["e"], None, &[])), "no room for another set");
    assert!(refused(&desired(&["c"], Some(&["t1"]), &[])), "pins are one owner's");
    assert!(OidcProviders::plan_for(&one, &sets[0], state.as_ref()).unwrap().is_empty(), "the way back is open");
    // Owners with a claim leave, owners without get one, and leave, too.
    let many: Vec<_> = crowds(&state.as_ref().unwrap().tags).into_iter().map(|(key, _)| key.clone()).collect();
    for leaving in [&one, &other] {
        tally.check::<OidcProviders>(leaving, None, state.as_ref(), None);
        state = after::<OidcProviders>(leaving, None, state);
    }
    let late = desired(&["e"], None, &[]);
    tally.check::<OidcProviders>(&two, Some(&late), state.as_ref(), None);
    state = after::<OidcProviders>(&two, Some(&late), state);
    assert!(state.as_ref().unwrap().tags.contains_key(&claim(&two)), "there is room again");
    tally.check::<OidcProviders>(&two, None, state.as_ref(), None);
    let end = after::<OidcProviders>(&two, None, state).unwrap();
    assert_eq!(end.client_ids, BTreeSet::from(["a", "b", "c", "d", "sts.amazonaws.com"].map(str::to_owned)));
    assert!(many.iter().all(|key| end.tags.contains_key(key)) && end.tags.contains_key("k"));
    tally.report::<OidcProviders>();
}

/// Those who retain share the claim of those who do not; the tag is the same for all who bring the same.
#[test]
fn all_who_bring_the_same_write_the_same_tag() {
    let (one, two, other) = (owner("One"), owner("Two"), owner("Other"));
    let retaining = Declared { retain: true, ..declared(&["b", "a"], None, &[]) };
    let first =
        after::<OidcProviders>(&one, Some(&Desired::Declared(Box::new(retaining))), Some(full(&other))).unwrap();
    let second = after::<OidcProviders>(&two, Some(&desired(&["a", "b"], None, &[])), Some(full(&other))).unwrap();
    assert_eq!(first, second);
    let [(key, value)] = crowds(&first.tags)[..] else { panic!("{first:?}") };
    insta::assert_snapshot!(format!("{key}={value}"), @"github-trust:crowd:lpzvfiip62lcvguk=c=hmmw7lrjvq t=");
}

/// An owner that joins, or declares the same again, does not depend on an issuer that is out of order.
#[test]
fn an_unverified_issuer_changes_nothing_of_a_provider_that_exists() {
    let (us, other) = (owner("Provider"), owner("Other"));
    let down = Desired::Declared(Box::new(Declared {
        thumbprints: Thumbprints::Unknown("down".into()),
        ..declared(&["a"], None, &[])
    }));
    for before in [after::<OidcProviders>(&other, Some(&desired(&["a"], None, &[])), None), Some(foreign())] {
        let joined = after::<OidcProviders>(&us, Some(&down), before.clone()).unwrap();
        assert_eq!(joined.thumbprints, before.unwrap().thumbprints);
    }
}

/// The server has got a certificate of the new CA, the stack has followed, and then something else in it fails.
#[test]
fn a_rollback_to_the_previous_ca_is_accepted_without_a_verified_look() {
    let us = owner("Provider");
    let with = |ca: &str, thumbprints| {
        Desired::Declared(Box::new(Declared { ca: Some(ca.into()), thumbprints, ..declared(&["a"], None, &[]) }))
    };
    let old = after::<OidcProviders>(&us, Some(&with("OLD", seen(&["v1"], 0))), None);
    let new = after::<OidcProviders>(&us, Some(&with("NEW", seen(&["v2"], 1))), old).unwrap();
    assert_eq!(new.thumbprints, ["v1", "v2"], "at once, because the author has asked for it");
    assert_eq!(stored_ca(&new.tags).as_deref(), Some("NEW"));
    let down = || Thumbprints::Unknown("signed by an unknown CA".into());
    let back = after::<OidcProviders>(&us, Some(&with("OLD", down())), Some(new.clone())).unwrap();
    assert_eq!((back.thumbprints, stored_ca(&back.tags).as_deref()), (new.thumbprints.clone(), Some("OLD")));
    assert!(OidcProviders::plan_is_refused(&us, &with("THIRD", down()), Some(&new)), "one that never verified is not");
}

#[test]
fn what_a_stack_no_longer_pins_stays_until_the_overlap_is_over() {
    let (us, schedule) = (owner("Provider"), Owner::schedule("us-east-1"));
    let pinned = after::<OidcProviders>(&us, Some(&desired(&["a"], Some(&["t1"]), &[])), None);
    let mut state = after::<OidcProviders>(&us, Some(&desired(&["a"], None, &[])), pinned);
    assert_eq!(state.as_ref().unwrap().thumbprints, ["t1", "v1"]);
    for (day, expected) in [(1, &["t1", "v1"][..]), (29, &["t1", "v1"]), (30, &["v1"])] {
        state = after::<OidcProviders>(&schedule, Some(&Desired::Maintained(seen(&["v1"], day))), state);
        assert_eq!(state.as_ref().unwrap().thumbprints, expected, "day {day}");
    }
    let tags = &state.as_ref().unwrap().tags;
    assert!(!tags.keys().any(|key| is_mark(key)), "nothing is left to remember: {tags:?}");
}
