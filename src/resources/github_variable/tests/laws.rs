//! The worlds in which the plans of variables and secrets are checked.

use std::collections::BTreeSet;

use crate::github::ownership_by_creation::CreationWindow;
use crate::laws::{Coverage, PlanLaws, after, owner, plan_text};
use crate::owner_claim_laws;
use crate::ownership::Owner;
use crate::reconcile::Planner;
use crate::resources::github_variable::plan::{Action, VariableContent};
use crate::resources::github_variable::sealed_secret::PublicKey;
use crate::resources::github_variable::{Desired, GitHubVariables, Observed, RepositoryVisibility, Value, ValueKind};

/// The times of a request and of its call.
const ASKED: i64 = 1_000_000;
const WRITTEN: i64 = ASKED + 10;

impl PlanLaws for GitHubVariables {
    const VARIANTS: &'static [&'static str] = &["Create", "Update", "Delete"];

    fn output(_: &Action) -> i64 {
        WRITTEN
    }

    fn done(
        _: &Owner,
        desired: Option<&Desired>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        let theirs = before.is_some_and(|before| !before.ours || before.changed_by_others);
        match (desired, after) {
            (None, None) => Ok(()),
            (None, Some(_)) if theirs => Ok(()),
            (None, Some(_)) => Err("final: it is still there".into()),
            (Some(_), None) => Err("it is not there".into()),
            (Some(desired), Some(after)) => {
                let holds = match desired.kind {
                    ValueKind::Variable => after.value.as_ref() == Some(&desired.value),
                    // Nobody can read it; that it was written after it was asked for is all there is.
                    ValueKind::Secret => after.value.is_none() && after.updated > ASKED,
                };
                let ours = before.is_none_or(|before| before.ours) == after.ours;
                if holds && ours && after.visibility == desired.visibility {
                    Ok(())
                } else {
                    Err("value, visibility or owner".into())
                }
            }
        }
    }

    fn foreign(_: &Owner, observed: Option<&Observed>, deleting: bool) -> BTreeSet<String> {
        let theirs = |observed: &&Observed| !observed.ours || (deleting && observed.changed_by_others);
        // What is adopted is written; whose it is never changes.
        observed
            .filter(theirs)
            .map(|observed| if deleting { format!("{observed:?}") } else { "theirs".to_owned() })
            .into_iter()
            .collect()
    }

    fn granted(_: Option<&Observed>) -> BTreeSet<(String, String)> {
        BTreeSet::new()
    }
}

fn desires() -> Vec<Desired> {
    let key = PublicKey::read("k", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let visibilities = [
        None,
        Some(RepositoryVisibility { level: "all", selected: BTreeSet::new() }),
        Some(RepositoryVisibility { level: "selected", selected: [1, 2].into() }),
    ];
    let mut all = Vec::new();
    for kind in [ValueKind::Variable, ValueKind::Secret] {
        for value in ["a", "b"] {
            for visibility in &visibilities {
                for adopt in [false, true] {
                    all.push(Desired {
                        name: "X".into(),
                        kind,
                        value: Value::new(value),
                        visibility: visibility.clone(),
                        adopt,
                        requested: CreationWindow::at(ASKED),
                        key: key.clone().filter(|_| kind == ValueKind::Secret),
                        warning: String::new(),
                        what: "X of o/r".into(),
                    });
                }
            }
        }
    }
    all
}

#[test]
fn the_plans_of_variables_and_secrets_obey_the_laws() {
    let owner = owner("Variable");
    let mut tally = Coverage::default();
    tally.check::<GitHubVariables>(&owner, None, None, None);
    for old in desires() {
        tally.check::<GitHubVariables>(&owner, Some(&old), None, None);
        let state = after::<GitHubVariables>(&owner, Some(&old), None).expect("something");
        let earlier = Observed { updated: ASKED - 100, ..state.clone() };
        let theirs = Observed { ours: false, ..earlier.clone() };
        let value = state.value.as_ref().map(|_| Value::new("c"));
        let changed = Observed { value, changed_by_others: old.kind == ValueKind::Variable, ..earlier.clone() };
        for observed in [&state, &earlier, &theirs, &changed] {
            tally.check::<GitHubVariables>(&owner, None, Some(observed), None);
            for new in desires()
                .iter()
                .filter(|new| new.kind == old.kind && new.visibility.is_some() == old.visibility.is_some())
            {
                tally.check::<GitHubVariables>(&owner, Some(new), Some(observed), None);
            }
        }
        // There and back again.
        for new in
            desires().iter().filter(|new| new.kind == old.kind && new.visibility.is_some() == old.visibility.is_some())
        {
            tally.check::<GitHubVariables>(&owner, Some(new), Some(&state), Some(&old));
        }
    }
    tally.covered::<GitHubVariables>();
    tally.report::<GitHubVariables>();
}

#[test]
fn claims_on_variables_and_secrets_obey_the_laws() {
    let owner = owner("Variable");
    let mut worlds = vec![(None, None)];
    for old in desires().into_iter().filter(|desired| desired.visibility.is_none() && !desired.adopt) {
        let made = after::<GitHubVariables>(&owner, Some(&old), None).expect("something");
        let found = Observed { created: 0, ..made.clone() };
        for state in [None, Some(made), Some(found)] {
            worlds.push((None, state.clone()));
            let same_kind = |new: &Desired| new.kind == old.kind && new.visibility.is_none();
            worlds.extend(desires().into_iter().filter(same_kind).map(|new| (Some(new), state.clone())));
        }
    }
    owner_claim_laws::obey::<GitHubVariables>(&worlds, ASKED);
}

#[test]
fn nothing_of_others_is_written_unless_the_author_says_so() {
    let owner = owner("Variable");
    for desired in desires() {
        let state = after::<GitHubVariables>(&owner, Some(&desired), None).expect("something");
        let value = state.value.as_ref().map(|_| Value::new("theirs"));
        let theirs = Observed { ours: false, value, ..state };
        let plan = GitHubVariables::plan(&owner, Some(&desired), Some(&theirs));
        assert_eq!(plan.is_ok(), desired.adopt, "{desired:?}");
    }
}

#[test]
fn no_plan_shows_a_value() {
    for desired in desires() {
        let Desired { name: _, kind, value: _, visibility, adopt: _, requested: _, key, warning: _, what } = desired;
        let content = VariableContent { kind, value: Value::new("hunter2"), visibility, key, what };
        for action in [Action::Create(content.clone()), Action::Update(content)] {
            assert!(!format!("{action} {action:?}").contains("hunter2"), "{action}");
        }
    }
}

#[test]
fn the_plans_of_a_variable_read_well() {
    let owner = owner("Variable");
    let desires = desires();
    let [first, .., other] = &desires[..] else { panic!("several") };
    let made = after::<GitHubVariables>(&owner, Some(first), None);
    let changed = made.clone().map(|made| Observed { value: Some(Value::new("by hand")), ..made });
    insta::assert_snapshot!(plan_text::<GitHubVariables>(&owner, Some(first), None), @"create the variable");
    insta::assert_snapshot!(plan_text::<GitHubVariables>(&owner, Some(first), changed.as_ref()), @"set the variable");
    insta::assert_snapshot!(plan_text::<GitHubVariables>(&owner, Some(other), None), @"create the secret for selected repositories 1, 2, sealed with key k");
    insta::assert_snapshot!(plan_text::<GitHubVariables>(&owner, None, made.as_ref()), @"delete the variable");
}
