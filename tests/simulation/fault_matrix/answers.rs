//! Rows 15 to 17, 35 and 36: the answer comes in time, arrives, fits, and is given by a process that remembers nothing.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::cloud::Cloud;
use super::super::cloudformation::{RequestType, Status};
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::faults::{At, Fault, When};
use super::super::function::github_trust;
use super::super::lambda::{Ended, Function};
use super::super::stack::Stack;
use super::super::wire::Refusal;
use super::fixtures::{
    KINDS, LAMBDA_TIMEOUT, OPERATION, Operation, World, alone, but, everywhere, quiet_day, world, world_with,
};
use super::interposed::through;

/// The same stack, whose later requests have CloudFormation's own patience.
fn patient(world: &World, mut stack: Stack) -> Stack {
    let mut patient = world.stack(&stack.name);
    std::mem::swap(&mut patient.resources, &mut stack.resources);
    patient.status = stack.status;
    patient
}

/// Every call to IAM and EKS meets this from now on; the answer's does not.
fn everything(world: &World, fault: &Fault) {
    let actions = [
        "Get*",
        "List*",
        "Describe*",
        "Create*",
        "Update*",
        "Delete*",
        "Tag*",
        "Untag*",
        "A*",
        "D*",
        "Remove*",
        "PutR*",
    ];
    for action in actions {
        world.fault(At::every(action), When::Before, fault.clone());
    }
}

#[test]
fn row_15_when_every_call_hangs_a_failure_is_answered_in_time() {
    let hang = (Fault::Hang, "got no usable answer (TimeoutError)");
    let slow = (Fault::Slow(Duration::from_secs(15)), "time was up");
    for (kind, operation) in everywhere() {
        for (fault, words) in [&hang, &slow] {
            // A provider's deletion takes minutes, so it is not asked for in less than four.
            let shortest = if kind == PROVIDER { 240 } else { 20 };
            for patience in [None, Some(300), Some(60.max(shortest)), Some(shortest)] {
                world(async |world| {
                    let mut stack = match patience {
                        None => world.stack("s"),
                        Some(seconds) => world.hasty_stack("s", seconds),
                    };
                    operation.prepare(world, &mut stack, kind).await;
                    everything(world, fault);
                    let status = operation.perform(&mut stack, kind).await;
                    let request = world.sent().into_iter().nth(usize::from(operation != Operation::Create)).unwrap();
                    let calls = world.calls_for(&request);
                    if status == operation.done() {
                        // Slow, but there was enough time.
                        assert!(matches!(fault, Fault::Slow(_)));
                        return;
                    }
                    let (reason, _) = world.failure(&request);
                    assert!(reason.contains(words) || reason.contains("time was up"), "{reason}");
                    let began =
                        world.lambda.attempts().iter().find(|attempt| attempt.request == request.id).unwrap().began;
                    let bound = request.patience.min(began + LAMBDA_TIMEOUT);
                    let answered = calls.iter().find(|call| call.service == "s3").unwrap();
                    let beginning = world.cloud.now() - world.cloud.state().clock.elapsed();
                    let answered_at = beginning + answered.at;
                    assert!(answered_at + Duration::from_secs(5) <= bound, "{}", world.story());
                    let late = calls.iter().filter(|call| call.number > answered.number && call.service != "s3");
                    assert_eq!(late.count(), 0, "nothing is called after the answer\n{}", world.story());
                    if matches!(fault, Fault::Hang) {
                        assert!(calls.iter().all(|call| !call.changed), "{}", world.story());
                    }
                    // When the day has become quiet, what is there can be taken away.
                    world.cloud.state().faults.cease();
                    tokio::time::sleep(Duration::from_mins(5)).await;
                    let mut stack = patient(world, stack);
                    if operation != Operation::Create || status != Status::RollbackComplete {
                        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                    }
                    world.nothing_left_but(&[]).await;
                    assert!(world.ours().is_empty(), "{}", world.story());
                });
            }
        }
    }
}

#[test]
fn row_16_a_refused_answer_is_sent_again_byte_for_byte() {
    let refused = |code, status| Fault::Refuse(Refusal::new(code, status, "no"));
    let faults = [
        (When::Before, refused("AccessDenied", 403)),
        (When::Before, refused("TemporaryRedirect", 307)),
        (When::Before, Fault::ServerError),
        (When::Before, Fault::Throttle),
        (When::Before, Fault::Reset),
        (When::Before, Fault::Hang),
        (When::Before, Fault::Slow(Duration::from_secs(6))),
        (When::After, Fault::ServerError),
        (When::After, Fault::Reset),
        (When::After, Fault::Hang),
        (When::After, Fault::Slow(Duration::from_secs(6))),
    ];
    for (when, fault) in faults {
        for times in [1, 3] {
            world(async |world| {
                let at = At::Action { action: "PutObject", from: 1, to: times };
                world.fault(at, when, fault.clone());
                let mut stack = world.hasty_stack("s", 120);
                let status = Operation::Create.perform(&mut stack, ROLE).await;
                assert_eq!(status, Status::CreateComplete, "{when:?} {fault:?}\n{}", world.story());
                world.lambda.settle().await;
                let puts = world.calls().iter().filter(|call| call.service == "s3").count() as u64;
                assert_eq!(puts, times + 1, "{}", world.story());
                let answers = world.answers(&world.last());
                assert!(answers.iter().all(|answer| *answer == answers[0]), "the same bytes each time");
                assert_eq!(answers.len() as u64, if when == When::After { times + 1 } else { 1 }, "{}", world.story());
                assert_eq!(world.lambda.attempts().len(), 1);
                world.nothing_left_but(&[&stack]).await;
            });
        }
    }
}

#[test]
fn row_16_the_pauses_before_an_answer_is_sent_again_have_jitter() {
    let pauses = |seed| {
        world(async |world| {
            fastrand::seed(seed);
            world.fault(At::Action { action: "PutObject", from: 1, to: 5 }, When::Before, Fault::ServerError);
            assert_eq!(Operation::Create.perform(&mut world.stack("s"), ROLE).await, Status::CreateComplete);
            world.lambda.settle().await;
            let puts: Vec<Duration> =
                world.calls().iter().filter(|call| call.service == "s3").map(|call| call.at).collect();
            puts.windows(2).map(|two| two[1].saturating_sub(two[0])).collect::<Vec<_>>()
        })
    };
    let (one, other) = (pauses(1), pauses(2));
    assert_ne!(one, other);
    assert!(one.last() > one.first(), "they grow: {one:?}");
}

#[test]
fn row_16_an_undelivered_answer_fails_the_invocation() {
    world(async |world| {
        let denied = Refusal::new("AccessDenied", 403, "no");
        // As long as the first two attempts last.
        let outage = Duration::from_mins(20);
        world.fault(At::every("PutObject"), When::Before, Fault::Refuse(denied));
        let mut stack = world.stack("s");
        let cloud = world.cloud.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(outage).await;
            cloud.state().faults.cease();
        });
        assert_eq!(Operation::Create.perform(&mut stack, ROLE).await, Status::CreateComplete, "{}", world.story());
        world.nothing_left_but(&[&stack]).await;
        let ended: Vec<_> = world.lambda.attempts().into_iter().filter_map(|attempt| attempt.ended).collect();
        assert_eq!(
            ended,
            [Ended::Returned(Err("the answer could not be delivered: status 403".to_owned())), Ended::Returned(Ok(()))],
            "{}",
            world.story()
        );
        assert_eq!(world.ours().len(), 1);
    });
}

#[test]
fn row_17_a_huge_reason_keeps_its_head_and_the_request_id_and_fits() {
    for filling in ["é", "🦀", "\"\\", "a", "&<\u{7f}\u{85}", "日本語 "] {
        for (stack, logical) in [("s", "Role"), (&*"s".repeat(128), &*"L".repeat(255))] {
            world(async |world| {
                let huge = Refusal::new("AccessDenied", 403, filling.repeat(9000 / filling.len()));
                world.fault(At::every("CreateRole"), When::Before, Fault::Refuse(huge));
                let mut declared = alone(ROLE, 1);
                logical.clone_into(&mut declared.logical);
                let mut stack = world.stack(stack);
                assert_eq!(stack.create(&vec![declared]).await, Status::RollbackComplete, "{}", world.story());
                let create = world.last_of(RequestType::Create);
                let body = world.answers(&create).remove(0);
                assert!((4000..=4096).contains(&body.len()), "{} bytes", body.len());
                let answer: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(answer["StackId"], create.stack);
                assert_eq!(answer["RequestId"], create.id);
                assert_eq!(answer["LogicalResourceId"], create.logical);
                assert_eq!(answer["PhysicalResourceId"], format!("never-created/{}", create.id));
                let (reason, _) = world.failure(&create);
                let head = "iam:CreateRole on deploy was denied: allow it in the policy of the function's role (AccessDenied): ";
                assert!(reason.starts_with(head), "{reason}");
                assert!(reason.ends_with("(request id 00000000-0000-4000-8000-000000000005)"), "{reason}");
                assert!(reason.contains(" … "), "it says that it was cut");
            });
        }
    }
}

#[test]
fn row_17_subjects_that_do_not_fit_are_shortened_and_the_role_is_made() {
    world(async |world| {
        world.cloud.state().account.iam.settings.quotas.trust_policy = 8192;
        let branches: Vec<String> = (0..90).map(|number| format!("a-branch-with-a-long-name-{number:04}")).collect();
        let trust = json!([{"Repository": "acme/app", "Branches": branches}]);
        let mut stack = world.stack("s");
        let status = stack.create(&vec![but(alone(ROLE, 1), json!({"Trust": trust}))]).await;
        assert_eq!(status, Status::CreateComplete, "{}", world.story());
        let answers = world.answers(&world.last_of(RequestType::Create));
        let answer: Value = serde_json::from_slice(answers.last().unwrap()).unwrap();
        let subjects = answer["Data"]["Subjects"].as_str().unwrap();
        assert!(subjects.contains(" more, which the function's log names"), "{subjects}");
    });
}

/// The function, whose n-th call out of here panics.
fn panics_at(cloud: &Cloud, nth: u64, counted: Arc<AtomicU64>) -> Function {
    through(cloud, move |_| {
        let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(number != nth, "a planned panic");
        None
    })
}

#[test]
fn row_35_a_panic_at_any_call_is_answered_with_a_failure_and_the_old_id() {
    for (kind, operation) in everywhere() {
        let (calls, physical) = quiet_day(kind, operation);
        let answered = calls.iter().filter(|call| call.service != "s3").count() as u64;
        let before = if operation == Operation::Create { 0 } else { quiet_day(kind, Operation::Create).0.len() as u64 };
        for nth in 1..=answered {
            let counted = Arc::new(AtomicU64::new(0));
            world_with(
                |cloud| panics_at(cloud, before + nth, counted),
                async |world| {
                    let mut stack = world.stack("s");
                    operation.prepare(world, &mut stack, kind).await;
                    let status = operation.perform(&mut stack, kind).await;
                    assert_ne!(status, operation.done(), "{}", world.story());
                    let request = world.sent().into_iter().nth(usize::from(operation != Operation::Create)).unwrap();
                    let (reason, id) = world.failure(&request);
                    assert!(reason.starts_with("github-trust failed unexpectedly (a defect)"), "{reason}");
                    assert!(
                        reason.ends_with("/github-trust/log-events/2026$252F11$252F21$252F$255B$2524LATEST$255D0123"),
                        "{reason}"
                    );
                    if operation != Operation::Create {
                        assert_eq!(id, physical);
                    }
                    let attempts = world.lambda.attempts();
                    let ended = attempts.iter().find(|attempt| attempt.request == request.id).unwrap().ended.clone();
                    assert_eq!(ended, Some(Ended::Returned(Ok(()))), "it was answered, so it is not tried again");
                    if stack.status == Some(Status::UpdateRollbackComplete) || operation == Operation::Delete {
                        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                    }
                    world.nothing_left_but(&[]).await;
                    assert!(world.ours().is_empty(), "{kind} {operation:?} {nth}\n{}", world.story());
                },
            );
        }
    }
}

#[test]
fn row_35_an_answer_whose_sending_panicked_is_sent_again() {
    let (calls, _) = quiet_day(ROLE, Operation::Create);
    world_with(
        |cloud| panics_at(cloud, calls.len() as u64, Arc::default()),
        async |world| {
            let mut stack = world.stack("s");
            assert_eq!(Operation::Create.perform(&mut stack, ROLE).await, Status::CreateComplete, "{}", world.story());
            world.lambda.settle().await;
            assert_eq!(world.lambda.attempts().len(), 1, "{}", world.story());
        },
    );
}

#[test]
fn row_36_a_warm_process_answers_as_a_fresh_one_does() {
    let fresh =
        |_: &Cloud| -> Function { Rc::new(|cloud, event, deadline| github_trust(cloud)(cloud, event, deadline)) };
    let warm = world_with(github_trust, eventful);
    let fresh = world_with(fresh, eventful);
    assert_eq!(warm.0.len(), fresh.0.len());
    for (warm, fresh) in warm.0.iter().zip(&fresh.0) {
        assert_eq!(warm, fresh);
    }
    assert_eq!(warm.1, fresh.1, "and does the same");
}

/// A history in which every request leaves as much behind as it can: refusals, throttling, hangs, a death, two stacks.
/// What was answered, and what was changed.
async fn eventful(world: &World) -> (Vec<String>, Vec<String>) {
    let (mut one, mut two) = (world.stack("one"), world.stack("two"));
    for call in [1, 4] {
        world.fault(At::Call(call), When::Before, Fault::Throttle);
    }
    world.fault(At::nth("CreateRole", 1), When::After, Fault::Hang);
    world.fault(At::nth("AttachRolePolicy", 2), When::Before, Fault::Kill);
    world.fault(At::nth("PutRolePolicy", 4), When::Before, Fault::AccessDenied);
    let bad = but(alone(ROLE, 1), json!({"MaxSessionDuration": 900}));
    one.create(&vec![alone(PROVIDER, 1), bad]).await;
    one = world.stack("one");
    one.create(&vec![alone(PROVIDER, 1), alone(ROLE, 1), alone(ENTRY, 1)]).await;
    two.create(&vec![but(alone(PROVIDER, 1), json!({"Tags": null})), alone(ROLE, 1)]).await;
    one.update(&vec![alone(PROVIDER, 2), alone(ROLE, 2), alone(ENTRY, 2)]).await;
    one.update(&vec![alone(PROVIDER, 1), alone(ROLE, 2), alone(ENTRY, 1)]).await;
    two.delete_stack().await;
    one.delete_stack().await;
    world.nothing_left_but(&[]).await;
    let answers =
        world.cloud.state().account.s3.uploads.iter().map(|one| String::from_utf8(one.body.clone()).unwrap()).collect();
    // The one thing drawn at random that stands in a call is the announcement of a deletion.
    let changes =
        world.calls().into_iter().filter(|call| call.changing).map(|call| format!("{} {}", call.action, call.resource));
    (answers, changes.collect())
}

#[test]
fn row_36_a_request_that_was_cut_off_leaves_nothing_to_the_next_one() {
    for kind in KINDS {
        let (calls, physical) = quiet_day(kind, Operation::Create);
        let quiet = world(async |world| {
            Operation::Create.perform(&mut world.stack("two"), kind).await;
            world.answers(&world.last()).remove(0)
        });
        for call in 1..=calls.len() as u64 {
            world(async |world| {
                // The first request hangs until its process would be frozen and woken for the next one.
                world.cloud.begin_step(OPERATION);
                world.fault(At::OfStep { step: OPERATION, call }, When::Before, Fault::Hang);
                let mut one = world.hasty_stack("one", if kind == PROVIDER { 240 } else { 20 });
                Operation::Create.perform(&mut one, kind).await;
                if one.status != Some(Status::RollbackComplete) {
                    one = patient(world, one);
                    assert_eq!(one.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                }
                world.lambda.settle().await;
                let mut two = world.stack("two");
                assert_eq!(
                    Operation::Create.perform(&mut two, kind).await,
                    Status::CreateComplete,
                    "{}",
                    world.story()
                );
                assert_eq!(world.physical(&world.last()), physical);
                let answer: Value = serde_json::from_slice(&world.answers(&world.last())[0]).unwrap();
                let mut expected: Value = serde_json::from_slice(&quiet).unwrap();
                // What names this very object.
                expected["RequestId"] = answer["RequestId"].clone();
                for attribute in ["RoleId", "AccessEntryArn"] {
                    if !expected["Data"][attribute].is_null() {
                        expected["Data"][attribute] = answer["Data"][attribute].clone();
                    }
                }
                assert_eq!(answer, expected);
            });
        }
    }
}
