//! The record by which a role is repaired, and the word about it in the role's tags.

use super::laws::{check_every_step_between, foreign_role, repaired};
use crate::laws::{Coverage, after, owner};
use crate::reconcile::Planner;
use crate::resources::github_role::{Action, Desired, GitHubRoles, Observed};

/// The word about repairs in a role's tags.
fn word(observed: &Observed) -> Option<String> {
    let mut words = observed.tags.get("github-trust:settings")?.split(' ');
    words.find(|word| word.starts_with("OnDrift")).map(str::to_owned)
}

#[test]
fn a_role_that_is_repaired_changes_by_the_laws() {
    let mut tally = Coverage::default();
    check_every_step_between(&repaired(), &mut tally);
    tally.report::<GitHubRoles>();
}

#[test]
fn the_record_of_a_role_counts_before_and_after_all_changes_only() {
    let owner = owner("Role");
    for (old, new) in repaired().iter().flat_map(|old| repaired().into_iter().map(move |new| (old.clone(), new))) {
        let before = after::<GitHubRoles>(&owner, Some(&old), None).expect("a role");
        let plan = GitHubRoles::plan(&owner, Some(&new), Some(&before)).expect("a plan");
        if old == new {
            assert!(plan.is_empty(), "{plan:?}");
            continue;
        }
        assert_eq!(word(&before).is_some_and(|word| word.contains('=')), old.repairs.is_some());
        // The secret holds the former declaration, the new one, or none.
        let (mut kept, mut state) = (old.repairs.as_ref().map(|_| "old"), before.clone());
        let grant =
            |role: &Observed| (role.trust.clone(), role.managed.clone(), role.inline.clone(), role.boundary.clone());
        let changed = |state: &Observed| grant(state) != grant(&before);
        for action in plan.actions() {
            match action {
                Action::SaveDeclaration { .. } => kept = Some("new"),
                Action::DeleteDeclaration => kept = None,
                _ => {}
            }
            state = GitHubRoles::step(Some(state), action, None).expect("a role");
            let counts = word(&state).is_some_and(|word| word.contains('='));
            let told = word(&state) == word(&before);
            assert!(!counts || (told && !changed(&state) && kept == Some("old")) || kept == Some("new"), "{plan:?}");
            assert!(kept.is_none() || word(&state).is_some(), "a secret that nobody knows of: {plan:?}");
        }
        assert_eq!(kept, new.repairs.as_ref().map(|_| "new"), "{plan:?}");
        assert_eq!(word(&state).is_some_and(|word| word.contains('=')), new.repairs.is_some());
        let removal = GitHubRoles::plan(&owner, None, Some(&state)).expect("a plan");
        let first = removal.stages().first().map(Vec::as_slice);
        assert_eq!(first == Some(&[Action::DeleteDeclaration][..]), new.repairs.is_some(), "{removal:?}");
    }
}

#[test]
fn a_role_that_is_interrupted_or_rolled_back_keeps_its_record_again() {
    let owner = owner("Role");
    let all = repaired();
    let (old, new) = (&all[1], &all[5]);
    let before = after::<GitHubRoles>(&owner, Some(old), None).expect("a role");
    let plan = GitHubRoles::plan(&owner, Some(new), Some(&before)).expect("a plan");
    let mut state = before.clone();
    let actions: Vec<&Action> = plan.actions().collect();
    for action in &actions[..actions.len() - 1] {
        state = GitHubRoles::step(Some(state), action, None).expect("a role");
        assert_eq!(word(&state).as_deref(), Some("OnDrift"), "after {action}");
        for desired in [old, new] {
            let next = GitHubRoles::plan(&owner, Some(desired), Some(&state)).expect("a plan");
            assert!(next.actions().any(|action| matches!(action, Action::SaveDeclaration { .. })), "after {action}");
        }
    }
}

#[test]
fn an_adopted_role_that_was_repaired_is_given_back_without_its_record() {
    let owner = owner("Role");
    for desired in repaired().into_iter().filter(|desired| desired.repairs.is_some()) {
        let adopting = Desired { adopt: true, ..desired };
        let adopted = after::<GitHubRoles>(&owner, Some(&adopting), Some(foreign_role())).expect("a role");
        let plan = GitHubRoles::plan(&owner, None, Some(&adopted)).expect("a plan");
        assert_eq!(plan.stages().first().map(Vec::as_slice), Some(&[Action::DeleteDeclaration][..]));
        assert_eq!(after::<GitHubRoles>(&owner, None, Some(adopted)), Some(foreign_role()));
    }
}
