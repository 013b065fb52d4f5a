//! What IAM may make of an owner's tag: it counts late, or a call on an object that is gone is denied for want of it.

use std::time::Duration;

use serde_json::json;

use super::super::answer::Verdict;
use super::super::cloudformation::{RequestType, Sent, Status};
use super::super::expected_state::{ENTRY, ROLE};
use super::super::faults::{At, Fault, When};
use super::super::invariants::lock;
use super::fixtures::{GIVEN_ROLE, OPERATION, Operation, World, alone, but, foreign_role, world};

const OWNED: [&str; 2] = [ROLE, ENTRY];
/// The last call of a Delete.
const DELETION: [(&str, &str); 2] = [(ROLE, "DeleteRole"), (ENTRY, "DeleteAccessEntry")];

/// Lets tags count only after so many calls and seconds.
fn late(world: &World, calls: u32, seconds: u64) {
    let authorization = &mut world.cloud.state().account.authorization;
    (authorization.tags_lag_calls, authorization.tags_lag) = (calls, Duration::from_secs(seconds));
}

/// Calls that were denied.
fn denied(world: &World) -> usize {
    let is_denied = |outcome: String| outcome.contains("AccessDenied");
    world.calls().iter().filter(|call| is_denied(format!("{:?}", call.outcome))).count()
}

#[test]
fn row_37_tags_that_count_after_some_calls_or_time_are_waited_for() {
    for (calls, seconds) in [(1, 0), (3, 0), (0, 5), (0, 40)] {
        for kind in OWNED {
            world(async |world| {
                late(world, calls, seconds);
                let mut stack = world.stack("s");
                assert_eq!(
                    Operation::Create.perform(&mut stack, kind).await,
                    Status::CreateComplete,
                    "{}",
                    world.story()
                );
                assert!(denied(world) > 0, "{}", world.story());
                assert_eq!(
                    Operation::Delete.perform(&mut stack, kind).await,
                    Status::DeleteComplete,
                    "{}",
                    world.story()
                );
                assert!(world.ours().is_empty());
            });
        }
    }
}

#[test]
fn row_37_tags_of_an_adopted_object_that_count_late_are_waited_for() {
    for kind in OWNED {
        world(async |world| {
            if kind == ROLE {
                world.someone("CreateRole", &foreign_role("deploy"));
            } else {
                let input = json!({"clusterName": "prod", "principalArn": GIVEN_ROLE, "tags": {"owner": "them"}});
                world.someone("CreateAccessEntry", &input);
            }
            late(world, 0, 20);
            let mut stack = world.stack("s");
            let adopting = but(alone(kind, 1), json!({"OnExisting": "Adopt"}));
            assert_eq!(stack.create(&vec![adopting]).await, Status::CreateComplete, "{}", world.story());
            assert!(denied(world) > 0, "{}", world.story());
            // The invariants know no adoption.
            lock(&world.ledger).violations.clear();
        });
    }
}

#[test]
fn row_37_what_a_failed_create_made_a_moment_ago_is_deleted_all_the_same() {
    for (kind, action) in [(ROLE, "PutRolePolicy"), (ENTRY, "AssociateAccessPolicy")] {
        world(async |world| {
            late(world, 0, 20);
            let invalid = super::super::wire::Refusal::new("InvalidParameterException", 400, "no");
            world.fault(At::every(action), When::Before, Fault::Refuse(invalid));
            let mut stack = world.stack("s");
            let status = Operation::Create.perform(&mut stack, kind).await;
            assert_eq!(status, Status::RollbackComplete, "{}", world.story());
            assert!(world.ours().is_empty(), "{}", world.story());
        });
    }
}

#[test]
fn row_37_a_denial_that_does_not_pass_is_told_with_what_was_waited_for() {
    for (kind, action, noun) in [(ROLE, "AttachRolePolicy", "role"), (ENTRY, "AssociateAccessPolicy", "access entry")] {
        world(async |world| {
            world.fault(At::every(action), When::Before, Fault::AccessDenied);
            let mut stack = world.stack("s");
            let before = world.cloud.now();
            let status = Operation::Create.perform(&mut stack, kind).await;
            assert_eq!(status, Status::RollbackComplete, "{}", world.story());
            let waited = world.cloud.now().duration_since(before).unwrap();
            assert!((45..90).contains(&waited.as_secs()), "{waited:?}");
            let (reason, _) = world.failure(&world.last_of(RequestType::Create));
            let told = format!("(the {noun} is new, and 60 seconds were waited for its tags)");
            assert!(reason.contains("was denied: allow it") && reason.contains(&told), "{reason}");
        });
    }
}

#[test]
fn row_37_slow_answers_take_nothing_from_the_wait_for_tags() {
    for (kind, action) in [(ROLE, "AttachRolePolicy"), (ENTRY, "AssociateAccessPolicy")] {
        world(async |world| {
            late(world, 0, 65);
            // The fifth call is denied 46 seconds after the first one was answered, and is answered after 61.
            world.fault(At::every(action), When::After, Fault::Slow(Duration::from_secs(15)));
            let mut stack = world.stack("s");
            let status = Operation::Create.perform(&mut stack, kind).await;
            assert_eq!(status, Status::CreateComplete, "{}", world.story());
        });
    }
}

#[test]
fn row_38_a_repeated_deletion_that_is_denied_is_a_success() {
    for (kind, action) in DELETION {
        for (fault, lag) in [(Fault::Reset, 0), (Fault::ServerError, 0), (Fault::Reset, 15)] {
            world(async |world| {
                world.cloud.state().account.authorization.gone_is_denied = true;
                let mut stack = world.stack("s");
                Operation::Delete.prepare(world, &mut stack, kind).await;
                world.cloud.state().account.iam.settings.change_lag = Duration::from_secs(lag);
                world.fault(At::nth(action, 1), When::After, fault.clone());
                let status = Operation::Delete.perform(&mut stack, kind).await;
                assert_eq!(status, Status::DeleteComplete, "{}", world.story());
                assert!(denied(world) == 1 || lag > 0, "{}", world.story());
            });
        }
    }
}

#[test]
fn row_38_what_somebody_deletes_meanwhile_is_gone_or_made_again() {
    for (kind, action) in DELETION {
        let deletion = move |world: &World, at: At| {
            world.cloud.state().change_at(at, move |account, now| {
                let someone = super::super::author::Author::Someone;
                if kind == ENTRY {
                    let input = json!({"clusterName": "prod", "principalArn": GIVEN_ROLE});
                    account.eks_as(&someone, now, "DeleteAccessEntry", &input).unwrap();
                } else {
                    account.iam.delete_whole_role("deploy", now);
                }
            });
        };
        // A denial on a new object is tried again, and reads may show an older one for a while after it is gone.
        for (age, lag) in [(0, 0), (300, 0), (300, 15)] {
            world(async |world| {
                world.cloud.state().account.authorization.gone_is_denied = true;
                let mut stack = world.stack("s");
                Operation::Delete.prepare(world, &mut stack, kind).await;
                tokio::time::sleep(Duration::from_secs(age)).await;
                world.cloud.state().account.iam.settings.change_lag = Duration::from_secs(lag);
                deletion(world, At::every(action));
                let status = Operation::Delete.perform(&mut stack, kind).await;
                assert_eq!(status, Status::DeleteComplete, "{}", world.story());
            });
        }
        for age in [0, 300] {
            world(async |world| {
                world.cloud.state().account.authorization.gone_is_denied = true;
                let mut stack = world.stack("s");
                Operation::Update.prepare(world, &mut stack, kind).await;
                tokio::time::sleep(Duration::from_secs(age)).await;
                let first = if kind == ROLE { "AttachRolePolicy" } else { "AssociateAccessPolicy" };
                deletion(world, At::nth(first, 1));
                let status = Operation::Update.perform(&mut stack, kind).await;
                assert_eq!(status, Status::UpdateComplete, "{}", world.story());
                assert!(denied(world) > 0, "{}", world.story());
                assert_eq!(world.ours().len(), 1);
            });
        }
    }
}

#[test]
fn row_38_a_change_of_an_older_object_that_is_denied_is_not_waited_for() {
    for (kind, action) in [(ROLE, "AttachRolePolicy"), (ENTRY, "AssociateAccessPolicy")] {
        world(async |world| {
            let mut stack = world.stack("s");
            Operation::Update.prepare(world, &mut stack, kind).await;
            world.fault(At::every(action), When::Before, Fault::AccessDenied);
            let before = world.cloud.now();
            let status = Operation::Update.perform(&mut stack, kind).await;
            assert_ne!(status, Status::UpdateComplete, "{}", world.story());
            assert!(world.calls_of_step(OPERATION).iter().any(|call| call.action == action));
            let failed = |sent: &Sent| matches!(sent.verdict, Some(Verdict::Failure { .. }));
            let (reason, _) = world.failure(&world.sent().into_iter().find(failed).expect("a failure"));
            assert!(!reason.contains("is new"), "{reason}");
            let waited = world.cloud.now().duration_since(before).unwrap();
            assert!(waited < Duration::from_secs(10), "{waited:?}");
        });
    }
}

#[test]
fn row_25_a_create_that_cannot_look_names_what_it_may_have_made() {
    for (kind, creation, look, last) in
        [(ROLE, "CreateRole", "GetRole", 3), (ENTRY, "CreateAccessEntry", "DescribeAccessEntry", 2)]
    {
        world(async |world| {
            world.fault(At::nth(creation, 1), When::After, Fault::Kill);
            // The looks of the second attempt.
            world.fault(At::Action { action: look, from: 2, to: last }, When::Before, Fault::AccessDenied);
            let status = Operation::Create.perform(&mut world.stack("s"), kind).await;
            assert_eq!(status, Status::RollbackComplete, "{}", world.story());
            let (_, id) = world.failure(&world.last_of(RequestType::Create));
            assert!(!id.starts_with("never-created/"), "{id}\n{}", world.story());
            assert!(world.ours().is_empty(), "{}", world.story());
        });
    }
}
