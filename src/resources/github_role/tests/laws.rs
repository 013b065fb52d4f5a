//! The worlds in which a role's plans are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy, TrustRule};
use crate::laws::{Coverage, PlanLaws, after, owner};
use crate::ownership::{Owner, Tags};
use crate::reconcile::Planner;
use crate::resources::github_role::Action;
use crate::resources::github_role::declaration_record::Demands;
use crate::resources::github_role::name_record::NameRecord;
use crate::resources::github_role::permissions::ATTACHED_QUOTA;
use crate::resources::github_role::{Created, Desired, GitHubRoles, Observed, RoleSettings};

const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
/// Attached and tagged by somebody else.
const FOREIGN: &str = "foreign";

/// The permissions of each policy or boundary. They overlap on purpose.
fn allows(policy: &str) -> &'static [&'static str] {
    match policy {
        "m1" => &["p1", "p2"],
        "m2" | "d2" => &["p2", "p3"],
        "d1" | "b2" => &["p1", "p3"],
        "b1" => &["p1", "p2", "p4"],
        FOREIGN => &["p4"],
        other => panic!("{other}"),
    }
}

fn document(name: &str) -> Value {
    json!({"Statement": name})
}

impl PlanLaws for GitHubRoles {
    const VARIANTS: &'static [&'static str] = &[
        "Create",
        "SetTrust",
        "SetDetails",
        "SetBoundary",
        "DeleteBoundary",
        "Attach",
        "Detach",
        "PutPolicy",
        "DeletePolicy",
        "Tag",
        "Untag",
        "LeaveInstanceProfile",
        "GiveBack",
        "SaveDeclaration",
        "DeleteDeclaration",
        "Delete",
    ];

    fn output(action: &Action) -> Option<Created> {
        matches!(action, Action::Create { .. }).then(|| Created {
            arn: "arn".into(),
            role_id: "AROA1".into(),
            created: None,
        })
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
            (None, Some(after)) if before.is_some_and(is_adopted) => {
                let left = after.tags.keys().any(|key| key.starts_with("github-trust:"));
                return if left { Err("final: it still carries our tags".into()) } else { Ok(()) };
            }
            (None, Some(_)) => return Err("final: the role is still there".into()),
            (Some(_), None) => return Err("the role is not there".into()),
            (Some(desired), Some(after)) => (desired, after),
        };
        let Desired { name, path, trust, settings, managed, inline, tags, .. } = desired;
        let RoleSettings { description, max_session, boundary } = settings;
        let ours = |name: &&String| *name != FOREIGN;
        let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        check(after.name == *name && after.path == *path, "name and path")?;
        check(after.trust == trust.document(), "trust")?;
        check(owner.owns(&after.tags), "owner")?;
        check(tags.iter().all(|(key, value)| after.tags.get(key) == Some(value)), "tags")?;
        // What an adopted role had before, and is not declared, stays.
        let adopted = is_adopted(after);
        let same = |now: BTreeSet<&String>, declared: BTreeSet<&String>, theirs: &str| {
            declared.is_subset(&now) && now.difference(&declared).all(|extra| adopted && *extra == theirs)
        };
        let authored = after.tags.keys().filter(|key| !key.starts_with("github-trust:")).filter(ours);
        check(same(authored.collect(), tags.keys().collect(), "k"), "tags that are ours no longer")?;
        check(same(after.managed.iter().filter(ours).collect(), managed.iter().collect(), "m1"), "managed policies")?;
        let names = after.inline.keys().filter(ours).collect();
        let is_put = |(name, document)| after.inline.get(name) == Some(document);
        check(same(names, inline.keys().collect(), "i") && inline.iter().all(is_put), "inline policies")?;
        let theirs = adopted && description.is_none() && after.description == "theirs";
        check(theirs || after.description == description.clone().unwrap_or_default(), "description")?;
        let theirs = adopted && max_session.is_none() && after.max_session == 7200;
        check(theirs || after.max_session == max_session.unwrap_or(3600), "longest session")?;
        check(after.boundary == *boundary, "boundary")
    }

    fn foreign(owner: &Owner, observed: Option<&Observed>, deleting: bool) -> BTreeSet<String> {
        let Some(observed) = observed else { return BTreeSet::new() };
        // A role that was released is nobody's.
        let is_released = deleting && observed.tags.keys().all(|key| !key.starts_with("github-trust:"));
        if !(owner.owns(&observed.tags) || is_released) {
            return [format!("{observed:?}")].into();
        }
        // What others attached stays while the role lives and goes with it, unless it was theirs before.
        if deleting && owner.owns(&observed.tags) && !is_adopted(observed) {
            return BTreeSet::new();
        }
        let tag = observed.tags.get(FOREIGN).map(|value| format!("tag {value}"));
        let managed = observed.managed.get(FOREIGN).map(|_| "managed".to_owned());
        let inline = observed.inline.get(FOREIGN).map(|document| format!("inline {document}"));
        tag.into_iter().chain(managed).chain(inline).chain(observed.instance_profiles.iter().cloned()).collect()
    }

    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        let Some(observed) = observed else { return BTreeSet::new() };
        // Each subject comes with one id or another.
        let subjects = ["a", "b", "c/1", "c/2", "d"].iter().flat_map(|end| ["7", "8"].map(|id| (*end, id)));
        let trust = TrustPolicy::read(&observed.trust);
        let lets_in = |own: &TrustRule, end: &str, id: &str| {
            own.subject.covers(&Pattern::written(&format!("repo:o/r:{end}")))
                && own.claims.values().all(|ids| ids.contains(&Pattern::written(id)))
        };
        // The one document that is not ours in these worlds admits `b`.
        let admits = |end: &str, id: &str| match &trust {
            Some(trust) => trust.rules().iter().any(|own| lets_in(own, end, id)),
            None => end == "b",
        };
        let inline = observed.inline.values().filter_map(|document| document["Statement"].as_str());
        let permissions: BTreeSet<&str> =
            observed.managed.iter().map(String::as_str).chain(inline).flat_map(allows).copied().collect();
        let within = |permission: &&&str| {
            observed.boundary.as_ref().is_none_or(|boundary| allows(boundary).contains(permission))
        };
        subjects
            .filter(|(end, id)| admits(end, id))
            .flat_map(|(end, id)| {
                let permissions = permissions.iter().filter(within);
                permissions.map(move |permission| (format!("{end}#{id}"), (*permission).to_owned()))
            })
            .collect()
    }

    fn keeps_common(desired: Option<&Desired>, observed: Option<&Observed>) -> bool {
        // Until the former permissions are back, a role that is given back admits nobody.
        if desired.is_none() && observed.is_some_and(is_adopted) {
            return false;
        }
        let (Some(desired), Some(observed)) = (desired, observed) else { return true };
        let (from, to) = (&observed.boundary, &desired.settings.boundary);
        let swapped = from != to && from.is_some() && to.is_some();
        !swapped && TrustPolicy::read(&observed.trust).is_some()
    }
}

/// `a` is a subject, `a#7|8` one with either of these ids.
fn rule(text: &str) -> TrustRule {
    let (end, ids) = text.split_once('#').unwrap_or((text, ""));
    let ids: BTreeSet<Pattern> = ids.split('|').filter(|id| !id.is_empty()).map(Pattern::written).collect();
    let claims = (!ids.is_empty()).then_some((Claim::RepositoryId, Rc::new(ids)));
    TrustRule { subject: Pattern::written(&format!("repo:o/r:{end}")), claims: claims.into_iter().collect() }
}

fn is_adopted(observed: &Observed) -> bool {
    observed.tags.contains_key("github-trust:adopted")
}

pub(super) fn desired(trust: &[&str], boundary: Option<&str>, managed: &[&str], inline: &[(&str, &str)]) -> Desired {
    Desired {
        name: "role".into(),
        path: "/".into(),
        trust: TrustPolicy::of(PROVIDER, "sts.amazonaws.com", trust.iter().map(|text| rule(text))),
        settings: RoleSettings { boundary: boundary.map(str::to_owned), ..RoleSettings::default() },
        managed: managed.iter().map(|&name| name.to_owned()).collect(),
        inline: inline.iter().map(|&(name, content)| (name.to_owned(), document(content))).collect(),
        tags: Tags::new(),
        adopt: false,
        take_over: false,
        repairs: None,
        hand_over: None,
        names: NameRecord::default(),
        attached_quota: ATTACHED_QUOTA,
        warning: String::new(),
    }
}

/// Trust, boundary, managed and inline policies in all combinations.
fn grants(
    trusts: &[&[&str]],
    boundaries: &[Option<&str>],
    managed: &[&[&str]],
    inline: &[&[(&str, &str)]],
) -> Vec<Desired> {
    let mut all = Vec::new();
    for trust in trusts {
        for boundary in boundaries {
            for managed in managed {
                all.extend(inline.iter().map(|inline| desired(trust, *boundary, managed, inline)));
            }
        }
    }
    all
}

/// Every way in which two trusts can relate, and every way in which a boundary can move.
fn relations() -> Vec<Desired> {
    grants(
        &[&["a"], &["a", "b"], &["b"], &["a", "c/*"], &["c/1", "d"]],
        &[None, Some("b1"), Some("b2")],
        &[&[], &["m1"]],
        &[&[], &[("i", "d1")], &[("i", "d2")]],
    )
}

/// Every way in which the claims of two trusts can relate.
fn claims() -> Vec<Desired> {
    grants(
        &[&["a"], &["a#7"], &["a#7|8", "b"], &["a#8", "c/*#7"], &["c/1#7|8", "a#7"], &["c/*"]],
        &[None, Some("b1")],
        &[&[], &["m1"]],
        &[&[], &[("i", "d1")]],
    )
}

/// Every way in which policies that overlap can come and go.
fn policies() -> Vec<Desired> {
    grants(
        &[&["a"], &["b"]],
        &[None, Some("b1")],
        &[&[], &["m1"], &["m2"], &["m1", "m2"]],
        &[&[], &[("i", "d1")], &[("j", "d2")], &[("i", "d1"), ("j", "d2")]],
    )
}

/// Everything that the author may leave out, in all combinations, on few grants.
fn details() -> Vec<Desired> {
    let mut all = Vec::new();
    for description in [None, Some("text")] {
        for max_session in [None, Some(7200)] {
            for boundary in [None, Some("b1")] {
                for tags in [&[][..], &[("k", "v")], &[("k", "w"), ("l", "v")]] {
                    let mut desired = desired(&["a"], boundary, &["m1"], &[("i", "d1")]);
                    desired.settings.description = description.map(str::to_owned);
                    desired.settings.max_session = max_session;
                    desired.tags = tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
                    all.push(desired);
                }
            }
        }
    }
    all
}

/// A few declarations with and without `OnDrift: Repair`.
pub(super) fn repaired() -> Vec<Desired> {
    let repaired = |desired: &Desired| Desired { repairs: Some(Demands::default()), ..desired.clone() };
    let mut all = grants(&[&["a"], &["a", "b"]], &[None, Some("b1")], &[&[], &["m1"]], &[&[("i", "d1")]]);
    all.truncate(6);
    let first = all[0].clone();
    all.push(Desired { tags: [("k".to_owned(), "v".to_owned())].into(), ..first });
    all.iter().flat_map(|desired| [desired.clone(), repaired(desired)]).collect()
}

/// Somebody attached policies to the role, tagged it, and put it into an instance profile.
fn touched(mut observed: Observed) -> Observed {
    observed.managed.insert(FOREIGN.into());
    observed.inline.insert(FOREIGN.into(), document(FOREIGN));
    observed.tags.insert(FOREIGN.into(), "v".into());
    observed.instance_profiles.insert("profile".into());
    observed
}

/// Somebody changed the role by hand, each part in turn.
fn drifted(observed: &Observed) -> Vec<Observed> {
    let change = |change: fn(&mut Observed)| {
        let mut observed = observed.clone();
        change(&mut observed);
        observed
    };
    vec![
        change(|role| role.trust = json!({"Statement": []})),
        change(|role| role.managed = BTreeSet::new()),
        change(|role| role.inline = BTreeMap::from([("i".to_owned(), document("d2"))])),
        change(|role| {
            role.tags.remove("k");
        }),
    ]
}

pub(super) fn check_every_step_between(group: &[Desired], tally: &mut Coverage) {
    let (owner, stranger) = (owner("Role"), owner("Stranger"));
    for old in group {
        let state = after::<GitHubRoles>(&owner, Some(old), None).expect("a role");
        let touched = touched(state.clone());
        tally.check::<GitHubRoles>(&owner, Some(old), None, None);
        for observed in [&state, &touched] {
            tally.check::<GitHubRoles>(&owner, None, Some(observed), None);
            tally.check::<GitHubRoles>(&stranger, Some(old), Some(observed), None);
            tally.check::<GitHubRoles>(&stranger, None, Some(observed), None);
            for new in group {
                tally.check::<GitHubRoles>(&owner, Some(new), Some(observed), Some(old));
            }
        }
    }
}

#[test]
fn a_roles_grants_change_by_the_laws() {
    let mut tally = Coverage::default();
    check_every_step_between(&relations(), &mut tally);
    tally.report::<GitHubRoles>();
}

#[test]
fn a_roles_claims_change_by_the_laws() {
    let mut tally = Coverage::default();
    check_every_step_between(&claims(), &mut tally);
    tally.report::<GitHubRoles>();
}

#[test]
fn a_roles_policies_change_by_the_laws() {
    let mut tally = Coverage::default();
    check_every_step_between(&policies(), &mut tally);
    tally.report::<GitHubRoles>();
}

#[test]
fn a_roles_plans_obey_the_laws() {
    let owner = owner("Role");
    let mut tally = Coverage::default();
    let group = details();
    check_every_step_between(&group, &mut tally);
    for old in &group {
        let state = after::<GitHubRoles>(&owner, Some(old), None).expect("a role");
        for observed in drifted(&state) {
            for new in &group {
                tally.check::<GitHubRoles>(&owner, Some(new), Some(&observed), None);
            }
        }
    }
    tally.check::<GitHubRoles>(&owner, None, None, None);
    let adopting = Desired { adopt: true, ..group[0].clone() };
    let adopted = after::<GitHubRoles>(&owner, Some(&adopting), Some(foreign_role())).expect("a role");
    tally.check::<GitHubRoles>(&owner, None, Some(&adopted), None);
    check_every_step_between(&repaired()[..4], &mut tally);
    tally.covered::<GitHubRoles>();
    tally.report::<GitHubRoles>();
}

/// A role of somebody else's: with a trust, policies and tags that we did not write.
pub(super) fn foreign_role() -> Observed {
    let made = after::<GitHubRoles>(&owner("Other"), Some(&desired(&["b"], None, &[], &[])), None);
    let mut role = touched(made.expect("a role"));
    role.trust = json!({"Statement": []});
    role.tags.retain(|key, _| !key.starts_with("github-trust:"));
    role.tags.insert("k".into(), "theirs".into());
    role.managed.insert("m1".into());
    role.inline.insert("i".into(), document("d2"));
    (role.description, role.max_session) = ("theirs".into(), 7200);
    role
}

#[test]
fn an_adopted_role_keeps_its_id_changes_by_the_laws_and_is_released() {
    let owner = owner("Role");
    let found = foreign_role();
    let mut tally = Coverage::default();
    let mut details = details();
    details.truncate(12);
    let wanted = relations().into_iter().chain(details).map(|desired| Desired { adopt: true, ..desired });
    let wanted: Vec<Desired> = wanted.collect();
    for desired in &wanted {
        let plan = GitHubRoles::plan(&owner, Some(desired), Some(&found)).expect("a plan");
        let [Action::Tag(claim)] = plan.stages()[0].as_slice() else { panic!("{:?}", plan.stages()) };
        assert!(owner.owns(claim) && claim.keys().any(|key| key.starts_with("github-trust:found:")));
        let claimed = GitHubRoles::step(Some(found.clone()), &plan.stages()[0][0], None).expect("a role");
        tally.check::<GitHubRoles>(&owner, Some(desired), Some(&claimed), None);
        let adopted = after::<GitHubRoles>(&owner, Some(desired), Some(found.clone())).expect("a role");
        assert_eq!(adopted.role_id, found.role_id);
        assert!(adopted.managed.contains(FOREIGN) && adopted.inline.contains_key(FOREIGN));
        tally.check::<GitHubRoles>(&owner, None, Some(&adopted), None);
        let given_back = |role: &Observed| after::<GitHubRoles>(&owner, None, Some(role.clone()));
        assert_eq!(given_back(&adopted).as_ref(), Some(&found), "{desired:#?}");
        for other in wanted.iter().take(12) {
            tally.check::<GitHubRoles>(&owner, Some(other), Some(&adopted), None);
            let updated = after::<GitHubRoles>(&owner, Some(other), Some(adopted.clone())).expect("a role");
            tally.check::<GitHubRoles>(&owner, None, Some(&updated), None);
            assert_eq!(given_back(&updated).as_ref(), Some(&found), "{desired:#?}\n{other:#?}");
        }
    }
    tally.report::<GitHubRoles>();
}

#[test]
fn only_a_role_that_nobody_owns_is_adopted_and_only_when_asked_to() {
    let owner = owner("Role");
    let adopting = Desired { adopt: true, ..desired(&["a"], None, &[], &[]) };
    let plan = |desired: &Desired, found: &Observed| GitHubRoles::plan(&owner, Some(desired), Some(found));
    assert!(plan(&Desired { adopt: false, ..adopting.clone() }, &foreign_role()).is_err());
    let of_another_stack = after::<GitHubRoles>(&crate::laws::owner("Other"), Some(&adopting), None).expect("a role");
    assert!(plan(&adopting, &of_another_stack).is_err());
    let service_linked = Observed { path: "/aws-service-role/eks.amazonaws.com/".into(), ..foreign_role() };
    assert!(plan(&Desired { path: service_linked.path.clone(), ..adopting.clone() }, &service_linked).is_err());
    assert!(plan(&adopting, &Observed { path: "/ci/".into(), ..foreign_role() }).is_err());
    assert!(plan(&adopting, &foreign_role()).is_ok());
}

#[test]
fn a_role_with_another_path_or_case_is_refused() {
    let owner = owner("Role");
    let old = desired(&["a"], None, &[], &[]);
    let state = after::<GitHubRoles>(&owner, Some(&old), None).expect("a role");
    for new in [Desired { path: "/ci/".into(), ..old.clone() }, Desired { name: "ROLE".into(), ..old }] {
        let refusal = GitHubRoles::plan(&owner, Some(&new), Some(&state)).expect_err("a refusal").to_string();
        assert!(refusal.contains("in place"), "{refusal}");
    }
}

#[test]
fn a_crowded_role_makes_room_before_it_attaches() {
    let owner = owner("Role");
    let names = |range: std::ops::Range<u32>| range.map(|index| format!("m{index}")).collect::<BTreeSet<_>>();
    let old = Desired { managed: names(0..8), ..desired(&["a"], None, &[], &[]) };
    let new = Desired { managed: names(6..14), ..old.clone() };
    let mut state = after::<GitHubRoles>(&owner, Some(&old), None);
    let plan = GitHubRoles::plan(&owner, Some(&new), state.as_ref()).expect("a plan");
    let mut most = 0;
    for action in plan.stages().iter().flatten() {
        state = GitHubRoles::step(state, action, None);
        most = most.max(state.as_ref().map_or(0, |role| role.managed.len()));
    }
    assert_eq!(most, 8);
    assert_eq!(state.map(|role| role.managed), Some(new.managed));
}

#[test]
fn a_trust_between_two_trusts_fits_in_every_account_that_has_both() {
    let owner = owner("Role");
    let trust = |claim: Claim, count: usize| {
        let values = (0..count).map(|index| Pattern::written(&format!("value-of-some-length-{index}"))).collect();
        let claims = [(claim, Rc::new(values))].into_iter().collect();
        let subject = Pattern::written("repo:o/r:environment:prod");
        TrustPolicy::of(PROVIDER, "sts.amazonaws.com", [TrustRule { subject, claims }])
    };
    let declared =
        |trust: &TrustPolicy, managed| Desired { trust: trust.clone(), ..desired(&["a"], None, managed, &[]) };
    for (count, fits) in [(5, true), (60, false)] {
        let (old, new) = (trust(Claim::ActorId, count), trust(Claim::Environment, count));
        let both = old.intersection(&new);
        assert!(both.size() > old.size().max(new.size()));
        let state = after::<GitHubRoles>(&owner, Some(&declared(&old, &["m1"])), None);
        let plan = GitHubRoles::plan(&owner, Some(&declared(&new, &["m2"])), state.as_ref()).expect("a plan");
        let trusts = plan.stages().iter().flatten();
        let trusts = trusts.filter_map(|action| if let Action::SetTrust(trust) = action { Some(trust) } else { None });
        let trusts: Vec<&TrustPolicy> = trusts.collect();
        assert_eq!(trusts, [&if fits { both } else { old.deny_all() }, &new]);
    }
}
