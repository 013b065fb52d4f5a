//! Rows 1 to 6 and 10: events that are cut off, come twice, come late, or overtake one another.

use std::time::Duration;

use serde_json::json;

use super::super::cloudformation::{Disturbance, RequestType, Resource, Status};
use super::super::expected_state::ROLE;
use super::super::faults::{At, Fault, When};
use super::super::invariants::lock;
use super::super::lambda::{Delivery, Ended};
use super::fixtures::{
    GIVEN_ROLE, KINDS, OPERATION, OPERATIONS, Operation, World, alone, but, everywhere, logical, quiet_day, world,
};

fn delivered(world: &World, kind: &str, delivery: Delivery) {
    world.cloudformation.disturb(logical(kind), Disturbance { delivery, cancelled_after: None });
}

#[test]
fn row_01_a_kill_at_any_call_ends_with_the_same_id_and_one_object() {
    for kind in KINDS {
        for operation in OPERATIONS {
            let (calls, physical) = quiet_day(kind, operation);
            for call in 1..=calls.len() as u64 {
                for when in [When::Before, When::After] {
                    world(async |world| {
                        let mut stack = world.stack("s");
                        operation.prepare(world, &mut stack, kind).await;
                        world.fault(At::OfStep { step: OPERATION, call }, when, Fault::Kill);
                        let status = operation.perform(&mut stack, kind).await;
                        assert_eq!(status, operation.done(), "{kind} {operation:?} {when:?} {call}\n{}", world.story());
                        world.nothing_left_but(&[&stack]).await;
                        let attempts = world.lambda.attempts();
                        let of_request = || attempts.iter().filter(|attempt| attempt.request == world.last().id);
                        let ended: Vec<_> = of_request().map(|attempt| attempt.ended.clone()).collect();
                        assert_eq!(ended, [Some(Ended::Killed), Some(Ended::Returned(Ok(())))], "{}", world.story());
                        assert_eq!(world.physical(&world.last()), physical);
                        assert_eq!(world.ours().len(), operation.leaves(), "{}", world.story());
                    });
                }
            }
        }
    }
}

#[test]
fn row_02_a_create_killed_three_times_is_cleaned_up_by_its_delete() {
    for kind in KINDS {
        let (calls, _) = quiet_day(kind, Operation::Create);
        for call in 1..=calls.len() as u64 {
            for when in [When::Before, When::After] {
                world(async |world| {
                    let mut stack = world.stack("s");
                    for (invocation, call) in [(1, call), (2, 1), (3, 1)] {
                        world.fault(At::OfInvocation { invocation, call }, when, Fault::Kill);
                    }
                    let status = Operation::Create.perform(&mut stack, kind).await;
                    if (call, when) == (calls.len() as u64, When::After) {
                        // The answer has arrived before the first death, and the later ones are nobody's concern.
                        assert_eq!(status, Status::CreateComplete, "{}", world.story());
                        return world.nothing_left_but(&[&stack]).await;
                    }
                    assert_eq!(status, Status::RollbackComplete, "{}", world.story());
                    let delete = world.last_of(RequestType::Delete);
                    let invented = format!("s-{}-1A2B3C4D5E6F7", logical(kind));
                    assert_eq!(delete.physical, Some(invented.clone()), "{}", world.story());
                    assert_eq!(world.physical(&delete), invented, "a Delete is answered with its own id");
                    // The Create may make something for five minutes more.
                    let calls = world.calls_for(&delete);
                    let watched = calls[calls.len() - 1].at.saturating_sub(calls[0].at);
                    assert!(watched < Duration::from_secs(308), "{watched:?}\n{}", world.story());
                    world.nothing_left_but(&[]).await;
                    assert!(world.ours().is_empty(), "{}", world.story());
                });
            }
        }
    }
}

#[test]
fn row_02_a_replacement_killed_three_times_is_removed_by_its_rollback() {
    for is_denied in [false, true] {
        world(async |world| {
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
            world.fault(At::nth("CreateRole", 1), When::After, Fault::Kill);
            for invocation in [3, 4] {
                world.fault(At::OfInvocation { invocation, call: 1 }, When::Before, Fault::Kill);
            }
            if is_denied {
                world.fault(At::every("DeleteRole"), When::Before, Fault::AccessDenied);
            }
            let mut status = stack.update(&vec![but(alone(ROLE, 1), json!({"RoleName": "deploy-2"}))]).await;
            let rollback = world.last_of(RequestType::Update);
            if is_denied {
                assert_eq!(status, Status::UpdateRollbackFailed, "{}", world.story());
                assert_eq!(world.failure(&rollback).1, "deploy", "{}", world.story());
                world.cloud.state().faults.cease();
                status = stack.continue_rollback(&[]).await;
            }
            assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
            let calls = world.calls_for(&rollback);
            let took = calls[calls.len() - 1].at.saturating_sub(calls[0].at);
            assert!(is_denied || took < Duration::from_secs(10), "{took:?}\n{}", world.story());
            world.nothing_left_but(&[&stack]).await;
            assert_eq!(world.ours().len(), 1, "{}", world.story());
        });
    }
}

#[test]
fn row_03_the_same_event_later_changes_nothing_and_is_not_answered_again() {
    for kind in KINDS {
        for operation in OPERATIONS {
            world(async |world| {
                let mut stack = world.stack("s");
                operation.prepare(world, &mut stack, kind).await;
                let again = vec![Duration::from_mins(10)];
                delivered(world, kind, Delivery { duplicates: again, ..Delivery::default() });
                assert_eq!(operation.perform(&mut stack, kind).await, operation.done(), "{}", world.story());
                let request = world.last();
                world.nothing_left_but(&[&stack]).await;
                let answers = world.answers(&request);
                assert_eq!(answers.len(), 1, "{kind} {operation:?}");
                let calls = world.calls_for(&request);
                let (first, last) = (calls.first().unwrap().invocation, calls.last().unwrap().invocation);
                assert_ne!(first, last);
                let second = calls.iter().filter(|call| call.invocation == last);
                assert!(second.clone().all(|call| !call.changed), "{}", world.story());
                assert_eq!(second.filter(|call| call.changing).count(), 0, "{}", world.story());
            });
        }
    }
}

#[test]
fn row_04_one_event_in_two_processes_makes_one_object() {
    for kind in KINDS {
        for operation in OPERATIONS {
            for apart in [0, 15, 40, 90, 130, 250] {
                world(async |world| {
                    let mut stack = world.stack("s");
                    operation.prepare(world, &mut stack, kind).await;
                    let at_once = vec![Duration::from_millis(apart)];
                    delivered(world, kind, Delivery { duplicates: at_once, ..Delivery::default() });
                    let status = operation.perform(&mut stack, kind).await;
                    assert_eq!(status, operation.done(), "{kind} {operation:?} {apart} ms\n{}", world.story());
                    let request = world.last();
                    world.nothing_left_but(&[&stack]).await;
                    let answers = world.answers(&request);
                    assert_eq!(answers.len(), 2);
                    assert_eq!(answers[0], answers[1], "{kind} {operation:?}");
                    assert_eq!(world.ours().len(), operation.leaves(), "{}", world.story());
                });
            }
        }
    }
}

#[test]
fn row_05_a_delete_beside_a_running_create_leaves_nothing() {
    for kind in KINDS {
        for half_seconds in 0..12 {
            world(async |world| {
                // Slow enough for a Create to be cancelled between any two of its calls.
                world.cloud.state().latency = Duration::from_millis(300);
                let cancelled_after = Some(Duration::from_millis(500 * half_seconds));
                let delivery = Delivery::default();
                world.cloudformation.disturb(logical(kind), Disturbance { delivery, cancelled_after });
                let mut stack = world.stack("s");
                let status = Operation::Create.perform(&mut stack, kind).await;
                if status == Status::CreateComplete {
                    assert!(half_seconds > 3, "it was too fast to be cancelled");
                    assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                } else {
                    assert_eq!(status, Status::RollbackComplete, "{}", world.story());
                }
                world.nothing_left_but(&[]).await;
                // The witness takes what the Create grants after the Delete was sent for something that the Delete grants.
                lock(&world.ledger).violations.retain(|violation| violation.invariant != "I5");
                assert!(world.ours().is_empty(), "{kind} {half_seconds}\n{}", world.story());
            });
        }
    }
}

#[test]
fn row_06_a_delete_with_an_id_of_cloudformation_finds_what_is_ours() {
    for kind in KINDS {
        for name in ["s", "a-stack-whose-name-is-much-longer-than-what-cloudformation-takes-of-it-into-an-id"] {
            world(async |world| {
                let mut stack = world.stack(name);
                assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                world.cloud.state().account.stacks.forget_events(&stack.id);
                let beginning: String = name.chars().take(24).collect();
                let invented = format!("{beginning}-{}-1A2B3C4D5E6F7", logical(kind));
                let as_if = Resource { physical: invented.clone(), ..stack.resources[0].1.clone() };
                let answer = stack.send(RequestType::Delete, &alone(kind, 1), Some(&as_if)).await;
                assert!(answer.success && answer.physical == invented, "{}", world.story());
                assert!(world.ours().is_empty(), "{}", world.story());
            });
        }
    }
}

#[test]
fn row_06_a_delete_with_a_strange_id_succeeds_and_changes_nothing() {
    for kind in KINDS {
        let ids = ["nothing-of-that-name", "never-created/1", "given", GIVEN_ROLE, super::fixtures::GIVEN_PROVIDER];
        for id in ids.map(str::to_owned).into_iter().chain([format!("{GIVEN_ROLE}|prod"), "s-X-1A2B3C4D5E6F7".into()]) {
            world(async |world| {
                let stack = world.stack("s");
                let before = world.cloud.snapshot();
                let resource = Resource {
                    kind: kind.to_owned(),
                    physical: id.clone(),
                    properties: alone(kind, 1).properties,
                    attributes: serde_json::Value::Null,
                };
                let answer = stack.send(RequestType::Delete, &alone(kind, 1), Some(&resource)).await;
                assert!(answer.success && answer.physical == id, "{}", world.story());
                assert_eq!(world.cloud.snapshot(), before);
            });
        }
    }
}

#[test]
fn row_10_an_event_that_nobody_waits_for_makes_no_call() {
    // CloudFormation waits an hour, and the URL is good for two.
    for (kind, operation) in everywhere() {
        for minutes in [60, 61, 119, 120, 121, 359] {
            world(async |world| {
                let mut stack = world.stack("s");
                operation.prepare(world, &mut stack, kind).await;
                delivered(world, kind, Delivery { delay: Duration::from_mins(minutes), ..Delivery::default() });
                let status = operation.perform(&mut stack, kind).await;
                assert_ne!(status, operation.done(), "CloudFormation has given up");
                world.lambda.settle().await;
                let request = world.sent()[usize::from(operation != Operation::Create)].clone();
                let began = world.lambda.attempts().into_iter().find(|attempt| attempt.request == request.id);
                assert_eq!(began.unwrap().ended, Some(Ended::Returned(Ok(()))), "it is not tried again");
                assert!(world.calls_for(&request).is_empty(), "{minutes} min\n{}", world.story());
            });
        }
    }
    // A minute before, it is done.
    world(async |world| {
        let mut stack = world.stack("s");
        delivered(world, ROLE, Delivery { delay: Duration::from_mins(59), ..Delivery::default() });
        assert_eq!(Operation::Create.perform(&mut stack, ROLE).await, Status::CreateComplete, "{}", world.story());
    });
}
