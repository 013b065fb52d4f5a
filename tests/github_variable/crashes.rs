//! A process that dies before or after any call to GitHub, in one, two or all three attempts: what is ours is as declared, or
//! gone, and what is not is as it was.

use serde_json::{Value, json};

use super::{Place, at, minutes, secret, variable, with};
use crate::simulation::cloudformation::{Disturbance, Status};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::lambda::Delivery;

const PATH: &str = "/repos/acme/app/actions/variables/AWS_ROLE_ARN";
const SECRET: &str = "/repos/acme/app/actions/secrets/AWS_ROLE_ARN";

/// Kills so many attempts of the next request, each at its n-th call.
fn kill(place: &Place, call: u64, when: When, attempts: u64) {
    let mut state = place.cloud.state();
    let next = place.cloudformation.lambda.attempts().len() as u64 + 1;
    for attempt in 0..attempts {
        state.faults.plan(At::OfInvocation { invocation: next + attempt, call }, when, Fault::Kill);
    }
}

/// One life with deaths in one of its requests.
fn life(properties: &Value, updated: &Value, path: &str, request: &str, (call, when, attempts): (u64, When, u64)) {
    at(async |place| {
        let told = format!("{request} of {path}: {attempts} deaths {when:?} call {call}");
        if request == "Create" {
            kill(place, call, when, attempts);
        }
        let status = place.create(properties.clone()).await;
        if request == "Create" && attempts == 3 {
            // Where the third attempt had answered before it died, the stack is there.
            if status == Status::RollbackComplete {
                assert!(place.value(path).is_none() && place.github(|github| github.claims()).is_empty(), "{told}");
                return;
            }
        }
        assert_eq!(status, Status::CreateComplete, "{told}: {}", place.reason());
        assert_eq!(place.value(path).as_deref(), Some("hunter"), "{told}");
        minutes(70).await;
        if request == "Update" {
            kill(place, call, when, attempts);
        }
        let status = place.update(updated.clone()).await;
        let expected = if status == Status::UpdateComplete { "hunter 2" } else { "hunter" };
        assert!(attempts == 3 || status == Status::UpdateComplete, "{told}: {status:?}: {}", place.reason());
        place.cloudformation.lambda.settle().await;
        assert_eq!(place.value(path).as_deref(), Some(expected), "{told}");
        if request == "Delete" {
            kill(place, call, when, attempts);
        }
        let status = place.delete().await;
        place.cloudformation.lambda.settle().await;
        if status != Status::DeleteComplete {
            assert_eq!(place.delete().await, Status::DeleteComplete, "{told}: {}", place.reason());
        }
        assert_eq!((place.value(path), place.github(|github| github.claims())), (None, Vec::new()), "{told}");
    });
}

#[test]
fn wherever_a_process_dies_a_value_is_as_declared_or_gone() {
    let environment = |properties: Value| with(properties, "Environment", json!("eu: live/a"));
    let mut lives = 0;
    for (properties, path) in [
        (variable("hunter"), PATH.to_owned()),
        (secret("hunter"), SECRET.to_owned()),
        (environment(secret("hunter")), format!("{}/secrets/AWS_ROLE_ARN", super::ENVIRONMENT)),
    ] {
        let updated = with(properties.clone(), "Value", json!("hunter 2"));
        for request in ["Create", "Update", "Delete"] {
            for call in 1..=11 {
                for when in [When::Before, When::After] {
                    for attempts in 1..=3 {
                        life(&properties, &updated, &path, request, (call, when, attempts));
                        lives += 1;
                    }
                }
            }
        }
    }
    println!("{lives} lives");
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
