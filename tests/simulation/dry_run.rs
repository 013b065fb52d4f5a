//! A plan is honest and harmless: right before each request of a random lifecycle without faults, `{"Plan": …}` says what the
//! request then does, and no call of it, of `{"Render": …}` or of a hook changes anything.
//!
//! `DRY_RUNS` in the environment says how many lifecycles.

use std::rc::Rc;

use github_trust::settings::Settings;

use super::asked_first::{Seen, asked_first, lifecycles};
use super::history::Stage;
use super::plan::{Plan, Setting, Step, Trouble};

/// The lifecycle of a seed, without faults and with nobody's hands in between.
fn quiet(seed: u64) -> Plan {
    let mut plan = Plan::of(seed).with_repairs();
    let Setting { page, empty_pages, deleting_a_missing_provider_fails, provider_of_others, .. } = plan.setting;
    let rolls_back_replacements_by_update = plan.setting.rolls_back_replacements_by_update;
    plan.setting = Setting {
        page,
        empty_pages,
        deleting_a_missing_provider_fails,
        provider_of_others,
        rolls_back_replacements_by_update,
        ..Setting::default()
    };
    plan.trouble = Trouble::None;
    plan.steps.retain(|(_, step)| !matches!(step, Step::Disturb(..)));
    plan
}

/// The same with one stack at a time.
fn in_turn(mut plan: Plan) -> Plan {
    for (_, step) in &mut plan.steps {
        if let Step::Together(steps) = step {
            *step = steps.swap_remove(0);
        }
    }
    plan
}

fn stage() -> (Stage, Rc<Seen>) {
    let seen = Rc::new(Seen::default());
    let stage = Stage::with(|cloud| asked_first(cloud, Settings::default(), &seen));
    seen.log.replace(stage.log());
    (stage, seen)
}

#[test]
fn a_plan_says_what_the_request_then_does_and_changes_nothing() {
    let (stage, seen) = stage();
    let count = lifecycles();
    for seed in 1..=count {
        stage.play(&in_turn(quiet(seed)));
        seen.check(&format!("seed {seed}"));
    }
    assert_eq!(seen.overtaken.get(), 0);
    println!("{}", seen.report(&format!("{count} lifecycles")));
}

/// Where nothing is changed between the plan and the request, the plan holds while another stack is at work, too.
#[test]
fn a_plan_holds_beside_other_stacks_until_they_change_something() {
    let (stage, seen) = stage();
    let count = lifecycles();
    let plans = (1..).map(quiet).filter(|plan| plan.steps.iter().any(|(_, step)| matches!(step, Step::Together(_))));
    for plan in plans.take(usize::try_from(count).unwrap()) {
        stage.play(&plan);
        seen.check(&format!("seed {}", plan.seed));
    }
    assert!(seen.overtaken.get() > 0);
    println!("{}", seen.report(&format!("{count} lifecycles of two stacks at once")));
}
