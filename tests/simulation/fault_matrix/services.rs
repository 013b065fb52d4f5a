//! Rows 18 to 23: calls that fail and will not fail for ever.

use std::time::Duration;

use serde_json::json;

use super::super::calls::Outcome;
use super::super::cloudformation::{RequestType, Status, declared};
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::faults::{At, Fault, When};
use super::super::wire::Refusal;
use super::fixtures::{OPERATION, Operation, World, allow, alone, but, everywhere, policy, quiet_day, world};

/// Does a operation in which the first calls meet a fault, and it works all the same.
async fn succeeds(world: &World, kind: &str, operation: Operation, arrange: impl FnOnce(&World)) {
    let mut stack = world.stack("s");
    operation.prepare(world, &mut stack, kind).await;
    arrange(world);
    assert_eq!(operation.perform(&mut stack, kind).await, operation.done(), "{kind} {operation:?}\n{}", world.story());
    world.nothing_left_but(&[&stack]).await;
    assert_eq!(world.ours().len(), operation.leaves(), "{}", world.story());
}

#[test]
fn row_18_some_throttled_calls_are_made_again() {
    for (kind, operation) in everywhere() {
        for first in [1, 2, 4] {
            world(async |world| {
                succeeds(world, kind, operation, |world| {
                    for call in first..first + 8 {
                        world.fault(At::OfStep { step: OPERATION, call }, When::Before, Fault::Throttle);
                    }
                })
                .await;
            });
        }
    }
}

#[test]
fn row_18_when_every_call_is_throttled_the_failure_says_so() {
    for (kind, operation) in everywhere() {
        let gaps = |seed: u64| {
            world(async |world| {
                let mut stack = world.hasty_stack("s", 250);
                operation.prepare(world, &mut stack, kind).await;
                fastrand::seed(seed);
                for action in ["Get*", "List*", "Describe*", "Create*"] {
                    world.fault(At::every(action), When::Before, Fault::Throttle);
                }
                operation.perform(&mut stack, kind).await;
                let request = world.sent().into_iter().nth(usize::from(operation != Operation::Create)).unwrap();
                let (reason, _) = world.failure(&request);
                assert!(reason.contains("was throttled until the time was up (Throttling"), "{reason}");
                assert!(reason.contains("(request id "), "{reason}");
                let calls = world.calls_for(&request);
                assert!(calls.len() > 8 && calls.iter().all(|call| !call.changed), "{}", world.story());
                let asked = calls.iter().find(|call| call.service != "github").unwrap();
                let first = calls.iter().filter(|call| call.action == asked.action && call.resource == asked.resource);
                let at: Vec<Duration> = first.map(|call| call.at).collect();
                at.windows(2).map(|two| two[1].saturating_sub(two[0])).collect::<Vec<_>>()
            })
        };
        let (one, other) = (gaps(1), gaps(2));
        assert_ne!(one, other, "there is jitter in it");
        assert!(one[0] < Duration::from_millis(300), "the first pause is short: {one:?}");
        assert!(one.iter().any(|gap| *gap > Duration::from_secs(3)), "the pauses grow: {one:?}");
        assert!(one.iter().all(|gap| *gap < Duration::from_secs(11)), "but not without end: {one:?}");
    }
}

#[test]
fn row_19_what_a_service_did_before_it_failed_to_say_so_is_not_done_twice() {
    for (kind, operation) in everywhere() {
        let (calls, physical) = quiet_day(kind, operation);
        for call in calls.iter().filter(|call| call.changing).map(|call| call.of_step.1) {
            for fault in [Fault::ServerError, Fault::Reset, Fault::Hang, Fault::Slow(Duration::from_secs(30))] {
                world(async |world| {
                    succeeds(world, kind, operation, |world| {
                        world.fault(At::OfStep { step: OPERATION, call }, When::After, fault.clone());
                    })
                    .await;
                    assert_eq!(world.physical(&world.last()), physical);
                    read_before_writing_on(world);
                });
            }
        }
    }
}

/// Once the outcome of a creation is unknown, the same creation may be asked for again, which overwrites nothing; but
/// nothing else is changed before the object was looked at, or made.
fn read_before_writing_on(world: &World) {
    let calls = world.calls_of_step(OPERATION);
    let Some(at) = calls.iter().position(|call| call.action.starts_with("Create") && call.fault.is_some()) else {
        return;
    };
    for call in &calls[at + 1..] {
        let looked = !call.changing || call.action.starts_with("Create") && call.changed;
        if looked && call.outcome == Outcome::Done {
            return;
        }
        assert!(
            !call.changing || call.action.starts_with("Create"),
            "{call} changes what nobody has read\n{}",
            world.story()
        );
    }
}

#[test]
fn row_19_a_change_that_arrives_after_we_gave_up_on_it_does_no_harm() {
    for (kind, operation) in everywhere() {
        let (calls, _) = quiet_day(kind, operation);
        for call in calls.iter().filter(|call| call.changing).map(|call| call.of_step.1) {
            world(async |world| {
                succeeds(world, kind, operation, |world| {
                    let late = Fault::Late(Duration::from_secs(25));
                    world.fault(At::OfStep { step: OPERATION, call }, When::Before, late);
                })
                .await;
            });
        }
    }
}

#[test]
fn row_20_a_role_that_eks_does_not_see_for_ninety_seconds_is_waited_for() {
    for lag in [1, 30, 90] {
        world(async |world| {
            {
                let settings = &mut world.cloud.state().account.eks.settings;
                (settings.role_lag, settings.entry_lag) = (Duration::from_secs(lag), Duration::from_secs(lag / 3));
            }
            let mut stack = world.stack("s");
            let template = vec![
                declared("Provider", PROVIDER, json!({})),
                but(alone(ROLE, 1), json!({"ProviderArn": {"Ref": "Provider"}})),
                but(alone(ENTRY, 1), json!({"PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]}})),
            ];
            assert_eq!(stack.create(&template).await, Status::CreateComplete, "{}", world.story());
            world.nothing_left_but(&[&stack]).await;
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        });
    }
}

#[test]
fn row_20_a_provider_that_is_no_principal_yet_is_waited_for() {
    world(async |world| {
        world.cloud.state().account.iam.settings.principal_lag = Duration::from_secs(90);
        let mut stack = world.stack("s");
        let template = vec![
            declared("Provider", PROVIDER, json!({})),
            but(alone(ROLE, 1), json!({"ProviderArn": {"Ref": "Provider"}})),
        ];
        assert_eq!(stack.create(&template).await, Status::CreateComplete, "{}", world.story());
    });
}

#[test]
fn row_21_reads_that_lag_a_minute_behind_a_create_are_survived() {
    for kind in [PROVIDER, ROLE] {
        for next in [Operation::Update, Operation::Delete] {
            world(async |world| {
                {
                    let settings = &mut world.cloud.state().account.iam.settings;
                    (settings.lag, settings.odd_arn) = (Duration::from_mins(1), Duration::from_mins(1));
                }
                succeeds(world, kind, next, |_| ()).await;
            });
        }
    }
}

#[test]
fn row_21_reads_of_eks_that_lag_ten_seconds_leave_no_entry() {
    for next in [Operation::Update, Operation::Delete] {
        world(async |world| {
            world.cloud.state().account.eks.settings.read_lag = Duration::from_secs(10);
            succeeds(world, ENTRY, next, |_| ()).await;
        });
    }
}

#[test]
fn row_21_reads_of_the_state_before_are_survived_by_a_create() {
    for kind in [PROVIDER, ROLE] {
        world(async |world| {
            {
                let settings = &mut world.cloud.state().account.iam.settings;
                (settings.lag, settings.change_lag) = (Duration::from_mins(1), Duration::from_mins(1));
            }
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete, "{}", world.story());
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert_eq!(stack.update(&vec![alone(kind, 2)]).await, Status::UpdateComplete, "{}", world.story());
            // At once: everything still looks as it did before the update.
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            world.nothing_left_but(&[]).await;
            assert!(world.ours().is_empty(), "{}", world.story());
        });
    }
}

#[test]
fn row_21_a_rollback_is_not_misled_by_reads_of_the_state_before() {
    for kind in [PROVIDER, ROLE] {
        let (calls, _) = quiet_day(kind, Operation::Update);
        for (index, call) in calls.iter().enumerate().filter(|(_, call)| call.changing) {
            let nth = calls[..=index].iter().filter(|other| other.action == call.action).count() as u64;
            let action = &*call.action.clone().leak();
            world(async |world| {
                let mut stack = world.stack("s");
                Operation::Update.prepare(world, &mut stack, kind).await;
                tokio::time::sleep(Duration::from_mins(1)).await;
                let before = world.cloud.snapshot();
                world.cloud.state().account.iam.settings.change_lag = Duration::from_mins(1);
                world.fault(At::nth(action, nth), When::Before, super::fixtures::refused());
                let status = Operation::Update.perform(&mut stack, kind).await;
                assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
                assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
            });
        }
    }
}

#[test]
fn row_22_a_concurrent_modification_is_tried_again() {
    for (kind, operation) in everywhere() {
        let (calls, _) = quiet_day(kind, operation);
        for call in calls.iter().filter(|call| call.changing).map(|call| call.of_step.1) {
            world(async |world| {
                succeeds(world, kind, operation, |world| {
                    for call in call..call + 3 {
                        world.fault(At::OfStep { step: OPERATION, call }, When::Before, Fault::ConcurrentModification);
                    }
                })
                .await;
            });
        }
    }
}

#[test]
fn row_23_a_policy_attached_before_a_deletion_is_looked_up_again() {
    for what in ["policy", "inline policy", "instance profile", "all"] {
        for nth in 1..=2 {
            world(async |world| {
                let mut stack = world.stack("s");
                assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
                for nth in 1..=nth {
                    world.cloud.state().change_at(At::nth("DeleteRole", nth), move |account, now| {
                        let mut someone = |action: &str, input| {
                            account.iam_as(&super::super::author::Author::Someone, now, action, &input).unwrap();
                        };
                        if what == "policy" || what == "all" {
                            let arn = policy(&format!("Audit{nth}"));
                            someone("AttachRolePolicy", json!({"RoleName": "deploy", "PolicyArn": arn}));
                        }
                        if what == "inline policy" || what == "all" {
                            let document = allow("s3:*").to_string();
                            someone(
                                "PutRolePolicy",
                                json!({"RoleName": "deploy", "PolicyName": format!("n{nth}"), "PolicyDocument": document}),
                            );
                        }
                        if what == "instance profile" || what == "all" {
                            account.iam.instance_profiles.insert(format!("box-{nth}"), Some("deploy".to_owned()));
                        }
                    });
                }
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{what}\n{}", world.story());
                let deletions = world.calls().iter().filter(|call| call.action == "DeleteRole").count() as u64;
                assert_eq!(deletions, nth + 1, "{}", world.story());
                assert!(world.ours().is_empty());
            });
        }
    }
}

#[test]
fn row_23_a_conflict_that_does_not_pass_is_told_within_150_seconds() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
        let conflict = Refusal::new("DeleteConflict", 409, "Cannot delete entity, must detach all policies first.");
        world.fault(At::every("DeleteRole"), When::Before, Fault::Refuse(conflict));
        assert_eq!(stack.delete_stack().await, Status::DeleteFailed, "{}", world.story());
        let delete = world.last_of(RequestType::Delete);
        let calls = world.calls_for(&delete);
        let tries: Vec<Duration> =
            calls.iter().filter(|call| call.action == "DeleteRole").map(|call| call.at).collect();
        let (reason, _) = world.failure(&delete);
        let words = format!("{} attempts found the state changed by somebody else each time", tries.len());
        assert!(reason.contains(&words), "{reason}\n{}", world.story());
        let took = tries[tries.len() - 1].saturating_sub(tries[0]).as_secs();
        assert!((100..=150).contains(&took), "{took} s\n{}", world.story());
        world.cloud.state().faults.cease();
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        world.nothing_left_but(&[]).await;
    });
}
