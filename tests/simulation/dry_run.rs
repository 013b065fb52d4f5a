//! A plan is honest and harmless: right before each request of a random lifecycle without faults, `{"Plan": …}` says what the
//! request then does, and no call of it changes anything.
//!
//! `DRY_RUNS` in the environment says how many lifecycles.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::SystemTime;

use github_trust::handler::InvocationContext;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::cloudformation::SERVICE_TOKEN;
use super::function::function;
use super::history::Stage;
use super::lambda::Function;
use super::logs::Log;
use super::plan::{Plan, Setting, Step, Trouble};

/// What was seen at the requests of a lifecycle.
#[derive(Default)]
struct Seen {
    log: OnceCell<Log>,
    requests: RefCell<usize>,
    /// By the number of actions of the dry run.
    actions: RefCell<usize>,
    refused: RefCell<usize>,
    wrong: RefCell<Vec<String>>,
}

/// The question about the request that follows.
fn question(event: &Value) -> Value {
    let names = [
        "RequestType",
        "ResourceType",
        "ResourceProperties",
        "OldResourceProperties",
        "PhysicalResourceId",
        "StackId",
        "LogicalResourceId",
    ];
    let members = names.iter().filter(|name| !event[**name].is_null());
    json!({"Plan": members.map(|name| ((*name).to_owned(), event[*name].clone())).collect::<serde_json::Map<_, _>>()})
}

/// The plans in log lines with this message, each as its actions.
fn plans(lines: &str, message: &str) -> Vec<String> {
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).map(|line| line["plan"].as_str().unwrap().to_owned()).collect()
}

/// The function, which is asked before it is told.
fn asked_first(cloud: &Cloud, seen: &Rc<Seen>) -> Function {
    let app = Rc::new(function(cloud, Settings::default()));
    let seen = Rc::clone(seen);
    Rc::new(move |cloud: &Cloud, event: String, deadline: SystemTime| {
        let (app, seen, cloud) = (Rc::clone(&app), Rc::clone(&seen), cloud.clone());
        let now = cloud.now();
        cloud.state().account.stacks.begin_event(&event, now);
        Box::pin(async move {
            let context = InvocationContext { deadline, function_arn: SERVICE_TOKEN.to_owned() };
            let log = seen.log.get().expect("a log");
            let changes = || {
                let state = cloud.state();
                state.calls.iter().filter(|call| call.changing && call.service != "s3").count()
            };
            let (begin, before) = (log.text().len(), changes());
            let parsed: Value = serde_json::from_str(&event).unwrap();
            let answer =
                app.handle(&question(&parsed).to_string(), &context).await.map_err(|error| error.to_string())?;
            let (middle, between) = (log.text().len(), changes());
            let result = app.handle(&event, &context).await.map(drop).map_err(|error| error.to_string());
            let text = log.text();
            let (dry_run, planned) = (plans(&text[begin..middle], "dry run"), plans(&text[middle..], "planned"));
            let resource = &answer["Resources"][0];
            let counted = |name: &str| resource[name].as_array().map_or(0, Vec::len);
            *seen.requests.borrow_mut() += 1;
            *seen.actions.borrow_mut() += counted("Actions");
            let refused = counted("Mistakes") + counted("Refusals") + counted("NotKnownYet") > 0;
            *seen.refused.borrow_mut() += usize::from(refused);
            let wrong = |what: String| {
                seen.wrong.borrow_mut().push(format!("{what}\n{parsed:#}\n{answer:#}\n{dry_run:#?}\n{planned:#?}"));
            };
            if between != before {
                wrong(format!("{} changing calls of a plan", between - before));
            }
            let first = planned.iter().find(|plan| *plan != "[]").or(planned.first());
            match (dry_run.first(), first) {
                (one, other) if one == other => {}
                // A Delete of what is not there plans nothing.
                (Some(one), None) if one == "[]" => {}
                (None, None) if refused => {}
                (one, other) => wrong(format!("dry run {one:?}, planned {other:?}")),
            }
            let made = changes() - between;
            if made != counted("Actions") {
                wrong(format!("the dry run has {} actions, made {made} changing calls", counted("Actions")));
            }
            result
        })
    })
}

/// The lifecycle of a seed, without faults and with nobody in between.
fn quiet(seed: u64) -> Plan {
    let mut plan = Plan::of(seed);
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
    for (_, step) in &mut plan.steps {
        if let Step::Together(steps) = step {
            *step = steps.swap_remove(0);
        }
    }
    plan
}

#[test]
fn a_plan_says_what_the_request_then_does_and_changes_nothing() {
    let count = std::env::var("DRY_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let seen = Rc::new(Seen::default());
    let stage = Stage::with(|cloud| asked_first(cloud, &seen));
    assert!(seen.log.set(stage.log()).is_ok());
    for seed in 1..=count {
        stage.play(&quiet(seed));
        let wrong = seen.wrong.borrow();
        assert!(wrong.is_empty(), "seed {seed}: {} wrong:\n{}", wrong.len(), wrong[0]);
    }
    println!(
        "{count} lifecycles, {} requests with {} actions, {} of them refused or not known",
        seen.requests.borrow(),
        seen.actions.borrow(),
        seen.refused.borrow()
    );
}
