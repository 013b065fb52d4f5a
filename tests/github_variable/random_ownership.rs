//! Random lives of stacks that share one object at GitHub: they rename, move, declare it twice and leave, two at a moment,
//! processes die, and somebody deletes the object or makes one by hand. The three laws hold after each step. `N` says how many
//! lives, `SEED` the first.

use std::time::Duration;

use serde_json::json;

use super::ownership::{Kind, kinds, make_by_hand, remove_by_hand};
use super::{Place, at, declared, minutes, with};
use crate::simulation::cloudformation::{Status, Template};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::stack::Stack;

/// The steps of one life.
const STEPS: usize = 10;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The facts that the laws are about.
#[derive(Debug, Default)]
struct Truth {
    /// True if somebody else made the object that is there.
    made_by_others: bool,
    /// True if somebody has deleted it since the last request.
    was_deleted: bool,
    /// True if a request died in all its attempts: its owner may be left with a claim, and its object with that.
    was_unanswered: bool,
}

/// What GitHub does not say. Drawn apart, so that the rest of a life is what it was before.
fn read_otherwise(place: &Place, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0x6174);
    let mut state = place.cloud.state();
    let github = &mut state.account.github;
    github.settings.pattern_twice_is_invalid = chance.bool();
    github.settings.changing_dates_anew = chance.u8(0..4) == 0;
    (github.keeps_choices, github.refuses_switching_off) = (chance.bool(), chance.bool());
}

/// Returns true if GitHub is read so that an object of ours may stay.
fn may_stay(place: &Place) -> bool {
    let state = place.cloud.state();
    let github = &state.account.github;
    github.settings.changing_dates_anew || (github.keeps_choices && github.refuses_switching_off)
}

/// A change of one stack.
pub(super) fn changed(kind: &Kind, stack: &Stack, chance: &mut fastrand::Rng) -> Option<Template> {
    let known = stack.resources.first().map(|(logical_id, _)| logical_id.clone());
    let resource = |logical_id: &str, timeout: u32| {
        let mut properties = with(kind.properties.clone(), "ServiceTimeout", json!(timeout));
        if kind.can_adopt() {
            properties["OnExisting"] = json!("Adopt");
        }
        declared(logical_id, kind.name, properties)
    };
    match (known, chance.u32(0..5)) {
        (None, _) => Some(vec![resource("A", 3000)]),
        (Some(_), 0) => None,
        (Some(known), 1) => Some(vec![resource(if known == "A" { "B" } else { "A" }, 3000)]),
        // Two resources of one stack declare the object.
        (Some(_), 2) => Some(vec![resource("A", 3000), resource("B", 3000)]),
        (Some(known), _) => Some(vec![resource(&known, 3000 + chance.u32(1..500))]),
    }
}

/// Carries a change out.
pub(super) async fn carry_out(stack: &mut Stack, template: Option<&Template>) -> Status {
    match template {
        None => stack.delete_stack().await,
        Some(template) if stack.resources.is_empty() => stack.create(template).await,
        Some(template) => stack.update(template).await,
    }
}

/// Kills attempts of the next requests. A request that dies three times has no answer. Returns true if one can.
fn kill(place: &Place, chance: &mut fastrand::Rng) -> bool {
    let next = place.cloudformation.lambda.attempts().len() as u64 + 1;
    let (call, when) = (chance.u64(1..14), if chance.bool() { When::Before } else { When::After });
    let attempts = chance.u64(1..=3);
    for invocation in next..next + attempts {
        place.cloud.state().faults.plan(At::OfInvocation { invocation, call }, when, Fault::Kill);
    }
    attempts == 3
}

fn check(place: &Place, kind: &Kind, stacks: &[Stack], truth: &Truth, told: &str) {
    let declared = stacks.iter().any(|stack| !stack.resources.is_empty());
    let is_there = (kind.is_there)(place);
    let story = || place.cloud.story();
    assert!(!declared || truth.was_deleted || is_there, "{told}: declared, and not there: {truth:?}\n{}", story());
    let may_be_left = declared || truth.was_unanswered;
    assert!(
        may_be_left || may_stay(place) || truth.made_by_others || !is_there,
        "{told}: ours, and left: {truth:?}\n{}",
        story()
    );
    assert!(!truth.made_by_others || is_there, "{told}: of others, and deleted: {truth:?}\n{}", story());
    let claims = place.github(|github| github.claims());
    assert!(may_be_left || claims.is_empty(), "{told}: {claims:?}\n{}", story());
}

async fn live(place: &mut Place, kind: &Kind, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut stacks: Vec<Stack> = ["one", "two", "three"].map(|name| place.cloudformation.stack(name)).into();
    let mut truth = Truth::default();
    read_otherwise(place, seed);
    for step in 0..STEPS {
        let told = format!("{}, seed {seed}, step {step}", kind.name);
        match chance.u32(0..10) {
            0 => {
                remove_by_hand(place);
                truth = Truth { made_by_others: false, was_deleted: true, ..truth };
            }
            1 if !(kind.is_there)(place) && kind.can_adopt() => {
                // Within the hour of a request nobody can tell who made it.
                minutes(70).await;
                make_by_hand(place).await;
                truth = Truth { made_by_others: true, was_deleted: false, ..truth };
                minutes(5).await;
            }
            choice => {
                let may_fail = choice < 5 && kill(place, &mut chance);
                truth.was_unanswered |= may_fail;
                chance.shuffle(&mut stacks);
                let (first, rest) = stacks.split_at_mut(1);
                let (first, second) = (&mut first[0], &mut rest[0]);
                let (one, other) = (changed(kind, first, &mut chance), changed(kind, second, &mut chance));
                let later = Duration::from_millis(chance.u64(0..2000));
                let mut ends = vec![];
                if choice % 2 == 0 {
                    let second = async {
                        tokio::time::sleep(later).await;
                        carry_out(second, other.as_ref()).await
                    };
                    let (one, other) = tokio::join!(carry_out(first, one.as_ref()), second);
                    ends.extend([one, other]);
                } else {
                    ends.push(carry_out(first, one.as_ref()).await);
                }
                place.cloudformation.lambda.settle().await;
                let complete = [Status::CreateComplete, Status::UpdateComplete, Status::DeleteComplete];
                let is_complete = ends.iter().all(|end| complete.contains(end));
                assert!(may_fail || is_complete, "{told}: {ends:?}: {}", place.reason());
                place.cloud.state().faults.cease();
                for stack in &mut stacks {
                    // Such a stack can only be deleted.
                    if matches!(stack.status, Some(Status::DeleteFailed | Status::UpdateRollbackFailed)) {
                        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{told}: {}", place.reason());
                    }
                }
                let declared = stacks.iter().any(|stack| !stack.resources.is_empty());
                truth.was_deleted &= !declared || !(kind.is_there)(place);
            }
        }
        check(place, kind, &stacks, &truth, &told);
        minutes(chance.u64(1..90)).await;
    }
    for mut stack in stacks.drain(..) {
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}, seed {seed}", kind.name);
    }
    check(place, kind, &[], &truth, &format!("{}, seed {seed}, at the end", kind.name));
}

#[test]
fn in_random_lives_of_stacks_the_laws_of_ownership_hold() {
    let (first, lives) = (number("SEED", 0), number("N", 16).min(20_000));
    for seed in first..first + lives {
        let kinds = kinds();
        let kind = &kinds[usize::try_from(seed % 4).expect("few")];
        at(async |place| {
            place.cloud.state().account.github.classic.push("acme/app".to_owned());
            live(place, kind, seed).await;
        });
    }
    println!("{lives} lives, seeds from {first}");
}
