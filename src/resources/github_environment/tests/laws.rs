//! The worlds in which the plans of environments are checked.

use std::collections::{BTreeMap, BTreeSet};

use crate::github::Issuer;
use crate::github::name::Repository;
use crate::laws::{Coverage, PlanLaws, after, owner};
use crate::ownership::Owner;
use crate::reconcile::Planner;
use crate::resources::github_environment::plan::Action;
use crate::resources::github_environment::{
    ApplyOutput, DeploymentBranchPolicy, GitHubEnvironments, Observed, RefKind, RefPattern, Reviewer, ReviewerKind,
    Rules, Spec,
};

const WRITTEN: i64 = 1_000_000;
/// Of these only the first is protected.
const BRANCHES: [&str; 3] = ["main", "dev", "wild"];

impl PlanLaws for GitHubEnvironments {
    const VARIANTS: &'static [&'static str] = &["Create", "Set", "Add", "Remove", "Delete"];

    fn variant(action: &Action) -> &'static str {
        match action {
            Action::Create(_) => "Create",
            Action::Set(_) => "Set",
            Action::Add(_) => "Add",
            Action::Remove { .. } => "Remove",
            Action::Delete => "Delete",
        }
    }

    fn output(action: &Action) -> ApplyOutput {
        let Action::Add(pattern) = action else { return ApplyOutput { id: 0, at: WRITTEN } };
        ApplyOutput { id: pattern.name.len() as u64, at: WRITTEN }
    }

    fn done(
        _: &Owner,
        desired: Option<&Spec>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        let stays = before.is_some_and(|before| !before.ours || before.occupied);
        let (desired, after) = match (desired, after) {
            (None, None) => return Ok(()),
            (None, Some(_)) if stays => return Ok(()),
            (None, Some(_)) => return Err("final: it is still there".into()),
            (Some(_), None) => return Err("it is not there".into()),
            (Some(desired), Some(after)) => (desired, after),
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
        let stays = |observed: &&Observed| !observed.ours || observed.occupied;
        observed.filter(|_| deleting).filter(stays).map(|observed| format!("{observed:?}")).into_iter().collect()
    }

    /// The branches that may deploy, with and without a review.
    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        // What is not there is made without protection by the first workflow that names it.
        let nothing =
            Observed { rules: Rules::NONE, patterns: BTreeMap::new(), created: 0, ours: false, occupied: false };
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

    fn keeps_common(desired: Option<&Spec>, observed: Option<&Observed>) -> bool {
        // One call sets the policy, and its patterns come after it.
        let before = observed.map(|observed| observed.rules.policy);
        let custom =
            desired.is_some_and(|desired| matches!(desired.branches, Some((DeploymentBranchPolicy::Custom, _))));
        !custom || before == Some(DeploymentBranchPolicy::Custom)
    }
}

fn specs() -> Vec<Spec> {
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
    let reviewers = [None, Some(BTreeSet::new()), Some([Reviewer { kind: ReviewerKind::Team, id: 7 }].into())];
    let mut all = Vec::new();
    for branches in &branches {
        for reviewers in &reviewers {
            for adopt in [false, true] {
                all.push(Spec {
                    issuer: Issuer::of_host("github.com").expect("a host"),
                    repository: Repository::parse("o/r").expect("a repository"),
                    name: "live".into(),
                    wait_timer: reviewers.as_ref().map(|_| 30),
                    prevent_self_review: reviewers.as_ref().map(|reviewers: &BTreeSet<Reviewer>| !reviewers.is_empty()),
                    reviewers: reviewers.clone(),
                    branches: branches.clone(),
                    adopt,
                });
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
        for observed in [&state, &theirs, &occupied] {
            tally.check::<GitHubEnvironments>(&owner, None, Some(observed), None);
        }
        let whole = |spec: &Spec| spec.branches.is_some() && spec.reviewers.is_some();
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
fn nothing_of_others_is_changed_unless_the_author_says_so() {
    let owner = owner("Environment");
    for old in specs() {
        let state = after::<GitHubEnvironments>(&owner, Some(&old), None).expect("an environment");
        let theirs = Observed { ours: false, ..state };
        for new in specs().into_iter().filter(|new| !new.adopt) {
            if let Ok(plan) = GitHubEnvironments::plan(&owner, Some(&new), Some(&theirs)) {
                assert!(plan.is_empty(), "{plan:?}");
            }
        }
    }
}
