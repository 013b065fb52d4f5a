//! A process that dies before or after any call of a request, in one, two or all three attempts: what is ours is as declared, or
//! gone, and nothing is left of a claim. Which calls there are is read from a life without a death.

use serde_json::{Value, json};

use super::environments::{self, FIRST, SECOND};
use super::{Place, at, minutes, secret, variable, with};
use crate::simulation::cloudformation::{Disturbance, Status, Template, declared};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::lambda::Delivery;

const PATH: &str = "/repos/acme/app/actions/variables/AWS_ROLE_ARN";
const SECRET: &str = "/repos/acme/app/actions/secrets/AWS_ROLE_ARN";

/// An object at GitHub, made by a first declaration and changed by a second one.
struct Life {
    kind: &'static str,
    declarations: [Value; 2],
    shown: fn(&Place) -> Option<String>,
    expected: [&'static str; 2],
}

/// The death of the first attempts at a request.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// 0 is the Create, 1 the Update, 2 the Delete.
    request: usize,
    call: u64,
    /// The call that attempts after the first one die at.
    later: u64,
    when: When,
    attempts: u64,
}

impl Death {
    /// Kills attempts of the next request, if it is the one.
    fn strike(self, place: &Place, request: usize) {
        let next = place.cloudformation.lambda.attempts().len() as u64 + 1;
        for attempt in (0..self.attempts).filter(|_| request == self.request) {
            let call = if attempt == 0 { self.call } else { self.later };
            place.cloud.state().faults.plan(
                At::OfInvocation { invocation: next + attempt, call },
                self.when,
                Fault::Kill,
            );
        }
    }
}

impl Life {
    fn template(&self, version: usize) -> Template {
        vec![declared("It", self.kind, self.declarations[version].clone())]
    }

    /// Plays the life. Returns the numbers of calls that its first three invocations made, and of deaths.
    fn play(&self, death: Death) -> ([u64; 3], u64) {
        let mut result = Default::default();
        at(async |place| {
            place.cloud.state().account.github.classic.push("acme/app".to_owned());
            self.live(place, death).await;
            let calls = place.cloud.state().calls.clone();
            let number = |invocation| calls.iter().filter(|call| call.invocation == Some(invocation)).count() as u64;
            result = ([1, 2, 3].map(number), place.cloud.state().faults.struck.len() as u64);
        });
        result
    }

    async fn live(&self, place: &mut Place, death: Death) {
        let told = format!("{} {death:?}", self.kind);
        let may_fail = |request| death.attempts == 3 && death.request == request;
        let is_gone = |place: &Place| {
            assert_eq!(((self.shown)(place), place.github(|github| github.claims())), (None, Vec::new()), "{told}");
        };
        death.strike(place, 0);
        let status = place.stack.create(&self.template(0)).await;
        place.cloudformation.lambda.settle().await;
        // Where the third attempt had answered before it died, the stack is there.
        if may_fail(0) && status == Status::RollbackComplete {
            return is_gone(place);
        }
        assert_eq!(status, Status::CreateComplete, "{told}: {}", place.reason());
        assert_eq!((self.shown)(place).as_deref(), Some(self.expected[0]), "{told}");
        minutes(70).await;
        death.strike(place, 1);
        let status = place.stack.update(&self.template(1)).await;
        place.cloudformation.lambda.settle().await;
        let is_updated = status == Status::UpdateComplete;
        assert!(is_updated || may_fail(1), "{told}: {status:?}: {}", place.reason());
        assert_eq!((self.shown)(place).as_deref(), Some(self.expected[usize::from(is_updated)]), "{told}");
        death.strike(place, 2);
        let status = place.delete().await;
        place.cloudformation.lambda.settle().await;
        assert!(status == Status::DeleteComplete || may_fail(2), "{told}: {status:?}: {}", place.reason());
        if status != Status::DeleteComplete {
            assert_eq!(place.delete().await, Status::DeleteComplete, "{told}: {}", place.reason());
        }
        is_gone(place);
    }

    /// Plays a life for each place and number of deaths.
    fn die_everywhere(&self) {
        let (began, mut lives) = (std::time::Instant::now(), 1);
        let (calls, _) = self.play(Death { request: 0, call: 0, later: 0, when: When::Before, attempts: 0 });
        for (request, calls) in calls.into_iter().enumerate() {
            for call in 1..=calls {
                for when in [When::Before, When::After] {
                    for attempts in 1..=3 {
                        let death = Death { request, call, later: call, when, attempts };
                        let (_, mut deaths) = self.play(death);
                        lives += 1;
                        if deaths < attempts {
                            // Later attempts have fewer calls to make.
                            (_, deaths) = self.play(Death { later: 1, ..death });
                            lives += 1;
                        }
                        assert_eq!(deaths, attempts, "{} {death:?}", self.kind);
                    }
                }
            }
        }
        println!("{}: {calls:?} calls, {lives} lives in {:?}", self.kind, began.elapsed());
    }
}

fn of_value(first: Value, shown: fn(&Place) -> Option<String>) -> Life {
    let second = with(first.clone(), "Value", json!("hunter 2"));
    Life { kind: super::KIND, declarations: [first, second], shown, expected: ["hunter", "hunter 2"] }
}

#[test]
fn wherever_a_process_dies_a_variable_is_as_declared_or_gone() {
    of_value(variable("hunter"), |place| place.value(PATH)).die_everywhere();
}

#[test]
fn wherever_a_process_dies_a_secret_is_as_declared_or_gone() {
    of_value(secret("hunter"), |place| place.value(SECRET)).die_everywhere();
}

#[test]
fn wherever_a_process_dies_a_secret_of_an_environment_is_as_declared() {
    let of_environment = with(secret("hunter"), "Environment", json!("eu: live/a"));
    of_value(of_environment, |place| place.value(&format!("{}/secrets/AWS_ROLE_ARN", super::ENVIRONMENT)))
        .die_everywhere();
}

#[test]
fn wherever_a_process_dies_an_environment_is_as_declared_or_gone() {
    // A rollback leaves alone what it does not name.
    let first = with(environments::first(), "WaitTimer", json!(0));
    let first = with(first, "PreventSelfReview", json!(false));
    let declarations = [first, environments::second()].map(|rules| environments::declaration(&rules));
    let expected = [FIRST, SECOND];
    Life { kind: environments::KIND, declarations, shown: environments::shown, expected }.die_everywhere();
}

#[test]
fn wherever_a_process_dies_a_repository_is_opted_in_or_as_it_was() {
    let opted_in = json!({"Repository": "acme/app", "UseImmutableSubject": true});
    Life {
        kind: "Custom::GitHubRepositoryOidc",
        declarations: [opted_in.clone(), with(opted_in, "ServiceTimeout", json!(900))],
        shown: |place| (!place.cloud.state().account.github.opted_in.is_empty()).then(|| "opted in".to_owned()),
        expected: ["opted in"; 2],
    }
    .die_everywhere();
}

#[test]
fn the_same_event_twice_at_once_makes_one_value_and_both_answer_alike() {
    for (properties, path) in [(variable("hunter"), PATH), (secret("hunter"), SECRET)] {
        at(async |place| {
            let duplicates = vec![std::time::Duration::ZERO];
            let delivery = Delivery { duplicates, ..Delivery::default() };
            place.cloudformation.disturb("Variable", Disturbance { delivery, cancelled_after: None });
            assert_eq!(place.create(properties).await, Status::CreateComplete, "{}", place.reason());
            place.cloudformation.lambda.settle().await;
            let bodies: Vec<Vec<u8>> =
                place.cloud.state().account.s3.uploads.iter().map(|upload| upload.body.clone()).collect();
            assert!(bodies.len() == 2 && bodies[0] == bodies[1], "{}", place.reason());
            assert_eq!(place.value(path).as_deref(), Some("hunter"));
        });
    }
}

#[test]
fn a_cancelled_create_leaves_no_variable_and_takes_none_of_others() {
    for (properties, path) in [(variable("hunter"), PATH), (secret("hunter"), SECRET)] {
        for theirs in [false, true] {
            at(async |place| {
                if theirs {
                    place.by_hand(path, "theirs").await;
                }
                let seconds = std::time::Duration::from_secs;
                let delivery = Delivery { delay: seconds(2), ..Delivery::default() };
                let cancelled_after = Some(seconds(1));
                place.cloudformation.disturb("Variable", Disturbance { delivery, cancelled_after });
                assert_eq!(place.create(properties.clone()).await, Status::RollbackComplete);
                place.cloudformation.lambda.settle().await;
                // CloudFormation no longer waits for the Create when it comes.
                assert_eq!(place.value(path).as_deref(), theirs.then_some("theirs"));
            });
        }
    }
}

#[test]
fn an_event_that_comes_late_again_does_not_undo_what_came_after_it() {
    at(async |place| {
        assert_eq!(place.create(secret("hunter")).await, Status::CreateComplete);
        minutes(10).await;
        let duplicates = vec![std::time::Duration::from_mins(2)];
        let delivery = Delivery { duplicates, ..Delivery::default() };
        place.cloudformation.disturb("Variable", Disturbance { delivery, cancelled_after: None });
        assert_eq!(place.update(secret("hunter 2")).await, Status::UpdateComplete);
        minutes(1).await;
        assert_eq!(place.update(secret("hunter 3")).await, Status::UpdateComplete);
        place.cloudformation.lambda.settle().await;
        assert_eq!(place.value(SECRET).as_deref(), Some("hunter 3"));
    });
}
