//! The worlds in which the plans of environments are checked.

use std::collections::{BTreeMap, BTreeSet};

use crate::github::Issuer;
use crate::github::name::Repository;
use crate::laws::{Coverage, PlanLaws, after, owner, plan_text};
use crate::owner_claim_laws;
use crate::ownership::Owner;
use crate::reconcile::Planner;
use crate::resources::github_environment::plan::Action;
use crate::resources::github_environment::{
    ApplyOutput, DeploymentBranchPolicy, Desired, GitHubEnvironments, Observed, RefKind, RefPattern, Reviewer,
    ReviewerKind, Rules, Spec,
};

const WRITTEN: i64 = 1_000_000;
/// Of these only the first is protected.
const BRANCHES: [&str; 3] = ["main", "dev", "wild"];

impl PlanLaws for GitHubEnvironments {
    const VARIANTS: &'static [&'static str] = &["Create", "Set", "Add", "Remove", "Delete"];

    fn output(action: &Action) -> ApplyOutput {
        let Action::Add(pattern) = action else { return ApplyOutput { id: 0, at: WRITTEN } };
        ApplyOutput { id: pattern.name.len() as u64, at: WRITTEN }
    }

    fn done(
        _: &Owner,
        desired: Option<&Desired>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        let stays = before.is_some_and(|before| !before.ours || before.occupied || before.stricter);
        let (desired, after) = match (desired, after) {
            (None, None) => return Ok(()),
            (None, Some(_)) if stays => return Ok(()),
            (None, Some(_)) => return Err("final: it is still there".into()),
            (Some(_), None) => return Err("it is not there".into()),
            (Some(desired), Some(after)) => (&desired.spec, after),
        };
        let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let none = Rules::NONE;
        let old = before.map_or(&none, |before| &before.rules);
        check(after.rules.wait_timer == desired.wait_timer.unwrap_or(old.wait_timer), "wait")?;
        let reviewers = desired.reviewers.as_ref().unwrap_or(&old.reviewers);
        check(after.rules.reviewers == *reviewers, "reviewers")?;
        let Some((policy, patterns)) = &desired.branches else {
            return check(after.rules.policy == old.policy, "policy that is not declared");
        };
        check(after.rules.policy == *policy && after.patterns.keys().eq(patterns), "branches")
    }

    fn foreign(_: &Owner, observed: Option<&Observed>, deleting: bool) -> BTreeSet<String> {
        let stays = |observed: &&Observed| !observed.ours || observed.occupied || observed.stricter;
        observed.filter(|_| deleting).filter(stays).map(|observed| format!("{observed:?}")).into_iter().collect()
    }

    /// The branches that may deploy, with and without a review.
    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        // What is not there is made without protection by the first workflow that names it.
        let (rules, patterns) = (Rules::NONE, BTreeMap::new());
        let nothing = Observed { rules, patterns, created: 0, ours: false, occupied: false, stricter: false };
        let observed = observed.unwrap_or(&nothing);
        let admitted = BRANCHES.iter().filter(|branch| match observed.rules.policy {
            DeploymentBranchPolicy::Any => true,
            DeploymentBranchPolicy::Protected => **branch == BRANCHES[0],
            DeploymentBranchPolicy::Custom => observed.patterns.keys().any(|pattern| pattern.name == **branch),
        });
        let mut granted = BTreeSet::new();
        for branch in admitted {
            granted.insert(((*branch).to_owned(), "reviewed".to_owned()));
            if observed.rules.reviewers.is_empty() {
                granted.insert(((*branch).to_owned(), "unreviewed".to_owned()));
            }
        }
        granted
    }

    fn keeps_common(desired: Option<&Desired>, observed: Option<&Observed>) -> bool {
        // One call sets the policy, and its patterns come after it.
        let before = observed.map(|observed| observed.rules.policy);
        let custom =
            desired.is_some_and(|desired| matches!(desired.spec.branches, Some((DeploymentBranchPolicy::Custom, _))));
        !custom || before == Some(DeploymentBranchPolicy::Custom)
    }
}

fn specs() -> Vec<Desired> {
    let pattern = |name: &str| RefPattern { kind: RefKind::Branch, name: name.to_owned() };
    let branches = [
        None,
        Some((DeploymentBranchPolicy::Any, BTreeSet::new())),
        Some((DeploymentBranchPolicy::Protected, BTreeSet::new())),
        Some((DeploymentBranchPolicy::Custom, BTreeSet::new())),
        Some((DeploymentBranchPolicy::Custom, [pattern("main")].into())),
        Some((DeploymentBranchPolicy::Custom, [pattern("main"), pattern("dev")].into())),
        Some((DeploymentBranchPolicy::Custom, [pattern("wild")].into())),
    ];
    let reviewers = [None, Some(BTreeSet::new()), Some([Reviewer { kind: ReviewerKind::Team, id: Some(7) }].into())];
    let mut all = Vec::new();
    for branches in &branches {
        for reviewers in &reviewers {
            for adopt in [false, true] {
                let spec = Spec {
                    issuer: Issuer::of_host("github.com").expect("a host"),
                    repository: Repository::parse("o/r").expect("a repository"),
                    name: "live".into(),
                    wait_timer: reviewers.as_ref().map(|_| 30),
                    prevent_self_review: reviewers.as_ref().map(|reviewers: &BTreeSet<Reviewer>| !reviewers.is_empty()),
                    reviewers: reviewers.clone(),
                    branches: branches.clone(),
                    adopt,
                };
                all.push(Desired { spec, before: None, remark: "" });
            }
        }
    }
    all
}

#[test]
fn the_plans_of_environments_obey_the_laws() {
    let owner = owner("Environment");
    let mut tally = Coverage::default();
    tally.check::<GitHubEnvironments>(&owner, None, None, None);
    for old in specs() {
        tally.check::<GitHubEnvironments>(&owner, Some(&old), None, None);
        let state = after::<GitHubEnvironments>(&owner, Some(&old), None).expect("an environment");
        let theirs = Observed { ours: false, ..state.clone() };
        let occupied = Observed { occupied: true, ..state.clone() };
        let stricter = Observed { stricter: true, ..state.clone() };
        for observed in [&state, &theirs, &occupied, &stricter] {
            tally.check::<GitHubEnvironments>(&owner, None, Some(observed), None);
        }
        let whole = |desired: &Desired| desired.spec.branches.is_some() && desired.spec.reviewers.is_some();
        for new in specs() {
            tally.check::<GitHubEnvironments>(&owner, Some(&new), Some(&theirs), None);
            // What is left out stays, so that only whole declarations lead back.
            let back = whole(&old).then_some(&old);
            tally.check::<GitHubEnvironments>(&owner, Some(&new), Some(&state), back);
        }
    }
    tally.covered::<GitHubEnvironments>();
    tally.report::<GitHubEnvironments>();
}

#[test]
fn claims_on_environments_obey_the_laws() {
    let owner = owner("Environment");
    let mut worlds = vec![(None, None)];
    for old in specs().into_iter().step_by(14) {
        let made = after::<GitHubEnvironments>(&owner, Some(&old), None).expect("an environment");
        let found = Observed { created: 0, ..made.clone() };
        let occupied = Observed { occupied: true, ..made.clone() };
        for state in [None, Some(made), Some(found), Some(occupied)] {
            worlds.push((None, state.clone()));
            worlds.extend(specs().into_iter().step_by(9).map(|new| (Some(new), state.clone())));
        }
    }
    owner_claim_laws::obey::<GitHubEnvironments>(&worlds, WRITTEN);
}

#[test]
fn nothing_of_others_is_changed_unless_the_author_says_so() {
    let owner = owner("Environment");
    for old in specs() {
        let state = after::<GitHubEnvironments>(&owner, Some(&old), None).expect("an environment");
        let theirs = Observed { ours: false, ..state };
        for new in specs().into_iter().filter(|new| !new.spec.adopt) {
            if let Ok(plan) = GitHubEnvironments::plan(&owner, Some(&new), Some(&theirs)) {
                assert!(plan.is_empty(), "{plan:?}");
            }
        }
    }
}

/// No setting that somebody has made stricter by hand is made looser, whatever is declared, unless the author adopts it.
#[test]
fn what_somebody_has_made_stricter_is_not_made_looser_without_adoption() {
    let (owner, mut held) = (owner("Environment"), 0);
    let granted = |observed: &Observed| GitHubEnvironments::granted(Some(observed));
    let own = || specs().into_iter().filter(|desired| !desired.spec.adopt);
    for before in own() {
        let made = after::<GitHubEnvironments>(&owner, Some(&before), None).expect("an environment");
        for by_hand in own() {
            let by_hand = after::<GitHubEnvironments>(&owner, Some(&by_hand), None).expect("an environment");
            if !granted(&by_hand).is_subset(&granted(&made)) || granted(&by_hand) == granted(&made) {
                continue;
            }
            for new in own() {
                let new = Desired { before: Some(before.spec.clone()), ..new };
                let end = after::<GitHubEnvironments>(&owner, Some(&new), Some(by_hand.clone())).expect("one");
                let again = after::<GitHubEnvironments>(&owner, Some(&new), Some(end.clone())).expect("one");
                assert_eq!(again, end, "quiet: {new:#?}");
                let custom = |policy| policy == DeploymentBranchPolicy::Custom;
                let declared = new.spec.branches.as_ref().filter(|(policy, _)| custom(*policy));
                // An attempt that died between the policy and its patterns has left less than it declared: this one, or
                // the one that is being rolled back.
                let may_be_ours = custom(by_hand.rules.policy)
                    && match declared {
                        Some((_, patterns)) => by_hand.patterns.keys().all(|pattern| patterns.contains(pattern)),
                        None => custom(made.rules.policy) && new.spec.branches.is_some(),
                    };
                // Protected branches are neither stricter than patterns nor looser.
                let apart = made.rules.policy != DeploymentBranchPolicy::Any
                    && made.rules.policy != by_hand.rules.policy
                    && !matches!(new.spec.branches, Some((DeploymentBranchPolicy::Any, _)));
                let looser: Vec<_> = granted(&end).difference(&granted(&by_hand)).cloned().collect();
                let loosened = looser.iter().any(|pair| granted(&made).contains(pair));
                assert!(may_be_ours || apart || !loosened, "{looser:?}\n{made:#?}\n{by_hand:#?}\n{new:#?}");
                held += usize::from(!GitHubEnvironments::attributes(&new, &end)["Warning"].is_empty());
            }
        }
    }
    assert!(held > 100, "{held}");
}

/// No property declares it, so that no plan changes it, also that of an adoption.
#[test]
fn no_plan_lets_administrators_bypass_the_rules_again() {
    let owner = owner("Environment");
    for old in specs() {
        let mut barred = after::<GitHubEnvironments>(&owner, Some(&old), None).expect("an environment");
        barred.rules.bars_administrators = true;
        for new in specs() {
            for before in [None, Some(old.spec.clone())] {
                let new = Desired { before, ..new.clone() };
                let end = after::<GitHubEnvironments>(&owner, Some(&new), Some(barred.clone())).expect("one");
                assert!(end.rules.bars_administrators, "{new:#?}");
            }
        }
    }
}

/// No call can name a reviewer whom GitHub does not show.
#[test]
fn a_reviewer_who_is_not_shown_stays_unless_others_are_declared() {
    let (owner, mut refused) = (owner("Environment"), 0);
    let hidden = Reviewer { kind: ReviewerKind::User, id: None };
    for old in specs() {
        let mut found = after::<GitHubEnvironments>(&owner, Some(&old), None).expect("an environment");
        found.rules.reviewers.insert(hidden);
        for new in specs() {
            let new = Desired { before: Some(old.spec.clone()), ..new };
            let Ok(plan) = GitHubEnvironments::plan(&owner, Some(&new), Some(&found)) else {
                refused += 1;
                continue;
            };
            let names = |action: &Action| matches!(action, Action::Set(rules) if rules.reviewers.contains(&hidden));
            assert!(!plan.actions().any(names), "{plan:?}");
            let end = after::<GitHubEnvironments>(&owner, Some(&new), Some(found.clone())).expect("one");
            assert!(end.rules.reviewers.contains(&hidden) || new.spec.reviewers.is_some(), "{new:#?}");
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn a_remark_is_told_where_protected_branches_alone_may_deploy() {
    let owner = owner("Environment");
    for desired in specs() {
        let remarked = Desired { remark: "they restrict nothing", ..desired };
        let made = after::<GitHubEnvironments>(&owner, Some(&remarked), None).expect("an environment");
        let is_told = GitHubEnvironments::attributes(&remarked, &made)["Warning"].contains("they restrict nothing");
        assert_eq!(is_told, made.rules.policy == DeploymentBranchPolicy::Protected, "{remarked:#?}");
    }
}

#[test]
fn adoption_sets_the_declared_rules_after_changes_of_anybody() {
    let owner = owner("Environment");
    for before in specs() {
        for by_hand in specs() {
            let by_hand = after::<GitHubEnvironments>(&owner, Some(&by_hand), None).expect("an environment");
            for new in specs().into_iter().filter(|new| new.spec.adopt) {
                let expected = GitHubEnvironments::plan(&owner, Some(&new), Some(&by_hand)).expect("a plan");
                let new = Desired { before: Some(before.spec.clone()), ..new };
                let plan = GitHubEnvironments::plan(&owner, Some(&new), Some(&by_hand)).expect("a plan");
                assert_eq!(plan, expected);
                let end = after::<GitHubEnvironments>(&owner, Some(&new), Some(by_hand.clone())).expect("one");
                assert_eq!(GitHubEnvironments::attributes(&new, &end)["Warning"], "");
            }
        }
    }
}

#[test]
fn the_plans_of_an_environment_read_well() {
    let (owner, specs) = (owner("Environment"), specs());
    let with = |policy, is_reviewed: bool| {
        let fits = |desired: &&Desired| {
            let Spec { branches, reviewers, .. } = &desired.spec;
            branches.as_ref().is_some_and(|(found, patterns)| *found == policy && patterns.len() < 2)
                && reviewers.as_ref().is_some_and(|reviewers| reviewers.is_empty() != is_reviewed)
        };
        specs.iter().rfind(fits).expect("one")
    };
    let protected = with(DeploymentBranchPolicy::Protected, true);
    let made = after::<GitHubEnvironments>(&owner, Some(protected), None);
    let plan = |desired, observed| plan_text::<GitHubEnvironments>(&owner, desired, observed);
    insta::assert_snapshot!(plan(Some(protected), None), @r##"create the environment with a wait of 30 min, reviewers team 7 of others' runs, branches protected"##);
    insta::assert_snapshot!(plan(Some(with(DeploymentBranchPolicy::Custom, true)), made.as_ref()), @r##"
    set with a wait of 30 min, reviewers team 7 of others' runs, branches by pattern
    let branch wild deploy
    "##);
    insta::assert_snapshot!(plan(Some(with(DeploymentBranchPolicy::Any, false)), made.as_ref()), @"set with a wait of 30 min, reviewers none, branches any");
    insta::assert_snapshot!(plan(None, made.as_ref()), @"delete the environment");
}
