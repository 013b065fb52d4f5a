//! Honest requests whose resource and events CloudFormation shows late.

use std::time::Duration;

use serde_json::json;

use super::{PROVIDER, ROLE, tell};
use crate::simulation::answer::Verdict;
use crate::simulation::cloudformation::{Declared, RequestType, Sent, Status, declared};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::world::World;

pub(super) fn template(name: &str, repository: &str) -> Vec<Declared> {
    let trust = json!([{"Repository": repository, "Branches": ["main"]}]);
    vec![
        declared("Provider", PROVIDER, json!({})),
        declared("Role", ROLE, json!({"ProviderArn": {"Ref": "Provider"}, "Trust": trust, "RoleName": name})),
    ]
}

pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_mins(2)).await;
}

/// A role comes, changes, is replaced and goes.
async fn life(world: &World) -> [Status; 4] {
    let mut stack = world.stack("team");
    let created = stack.create(&template("one", "acme/app")).await;
    pause().await;
    let updated = stack.update(&template("one", "acme/site")).await;
    pause().await;
    let replaced = stack.update(&template("two", "acme/site")).await;
    pause().await;
    [created, updated, replaced, stack.delete_stack().await]
}

fn is_refused(sent: &Sent) -> bool {
    !sent.verdict.as_ref().is_some_and(Verdict::is_success)
}

/// The pauses between two looks are random.
#[test]
fn a_state_that_is_shown_within_ten_seconds_is_acted_on() {
    for (seconds, seed) in [5, 9].into_iter().flat_map(|seconds| (0..20).map(move |seed| (seconds, seed))) {
        tell(async |world| {
            fastrand::seed(seed);
            world.cloud.state().account.stacks.lag = Duration::from_secs(seconds);
            world.cloudformation.between.set(Duration::from_secs(3));
            let ended = life(&world).await;
            let complete =
                [Status::CreateComplete, Status::UpdateComplete, Status::UpdateComplete, Status::DeleteComplete];
            let sent = world.sent();
            let refused: Vec<&Sent> = sent.iter().filter(|sent| is_refused(sent)).collect();
            assert!(refused.is_empty(), "{seconds} s, seed {seed}: {:?} {:?}", refused[0].kind, refused[0].verdict);
            assert_eq!(ended, complete, "{seconds} s, seed {seed}");
            assert!(world.cloud.snapshot().objects.is_empty(), "{}", world.story());
        });
    }
}

#[test]
fn a_look_that_takes_long_is_not_the_last_one() {
    tell(async |world| {
        let lag = Duration::from_secs(9);
        world.cloud.state().account.stacks.lag = lag;
        world.fault(At::nth("DescribeStackResource", 1), When::After, Fault::Slow(lag * 2));
        let mut stack = world.stack("team");
        assert_eq!(stack.create(&template("one", "acme/app")).await, Status::CreateComplete, "{}", world.story());
    });
}

/// A clean-up deletes the former role: the second call of its proof needs the answer of the first.
#[test]
fn the_proof_of_a_clean_up_takes_one_call_more() {
    tell(async |world| {
        let mut stack = world.stack("team");
        stack.create(&template("one", "acme/app")).await;
        pause().await;
        assert_eq!(stack.update(&template("two", "acme/app")).await, Status::UpdateComplete, "{}", world.story());
        pause().await;
        let proof = |sent: &Sent| {
            let calls = world.calls_for(sent).into_iter().map(|call| call.action);
            calls.filter(|action| action.starts_with("DescribeStack")).collect::<Vec<_>>()
        };
        let clean_up = world.last_of(RequestType::Delete);
        assert_eq!(proof(&clean_up), ["DescribeStackResource", "DescribeStackEvents"], "{}", world.story());
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        let of_role = world.sent().into_iter().rfind(|sent| sent.resource_type == ROLE).unwrap();
        assert_eq!(proof(&of_role), ["DescribeStackResource"], "{}", world.story());
        assert_eq!(world.calls_for(&clean_up).len(), world.calls_for(&of_role).len() + 1, "{}", world.story());
    });
}

#[test]
fn a_state_that_is_shown_after_fifteen_seconds_fails_its_stack() {
    tell(async |world| {
        world.cloud.state().account.stacks.lag = Duration::from_secs(15);
        world.cloudformation.between.set(Duration::from_secs(30));
        let mut stack = world.stack("team");
        assert_eq!(stack.create(&template("one", "acme/app")).await, Status::DeleteFailed, "{}", world.story());
        let sent = world.sent().into_iter().next().unwrap();
        let (reason, _) = world.failure(&sent);
        assert!(reason.contains("shows no resource Provider in stack arn:"), "{reason}");
        assert!(
            reason.contains("or shows the state more than 10 s late. If a stack failed with this reason"),
            "{reason}"
        );
        world.cloud.state().account.stacks.lag = Duration::from_secs(5);
        pause().await;
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert!(world.cloud.snapshot().objects.is_empty(), "{}", world.story());
    });
}

#[test]
fn an_object_that_only_an_old_event_names_is_found() {
    tell(async |world| {
        let mut stack = world.stack("team");
        let has = |name: &str| world.cloud.snapshot().objects.keys().any(|id| id.name == name);
        assert_eq!(stack.create(&template("one", "acme/app")).await, Status::CreateComplete, "{}", world.story());
        pause().await;
        let old = stack.resource("Role").unwrap().clone();
        let replacement = stack.resolved(&template("two", "acme/app")[1]);
        let replaced = stack.send(RequestType::Update, &replacement, Some(&old)).await;
        assert!(replaced.success && has("one") && has("two"), "{}", world.story());
        pause().await;
        // The newest event of the former role is no. 150. That of its Delete is not visible yet.
        let now = world.cloud.now();
        world.cloud.state().account.stacks.note_others(&stack.id, 149 - 1, now);
        tokio::time::sleep(Duration::from_mins(40)).await;
        {
            let stacks = &mut world.cloud.state().account.stacks;
            stacks.lag = Duration::from_mins(30);
            stacks.set_status(&stack.id, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS");
        }
        let former = declared("Role", ROLE, old.properties.clone());
        let deleted = stack.send(RequestType::Delete, &former, Some(&old)).await;
        assert!(deleted.success, "{}", deleted.reason);
        assert!(!has("one") && has("two"), "{}", world.story());
        let calls = world.calls_for(&world.last());
        assert_eq!(calls.iter().filter(|call| call.action == "DescribeStackEvents").count(), 2, "{}", world.story());
    });
}
