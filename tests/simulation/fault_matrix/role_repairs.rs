//! Roles that somebody changed by hand, and whose stack wants them to be repaired by the scheduled run.

use std::time::Duration;

use serde_json::json;

use super::super::account::{Kind, Object};
use super::super::author::Author;
use super::super::cloudformation::{Declared, Status};
use super::super::expected_state::ROLE;
use super::super::faults::{At, Fault, When};
use super::super::lambda::Ended;
use super::super::stack::Stack;
use super::fixtures::{OPERATION, World, alone, but, policy, world};
use super::rotation::SCHEDULE;

fn repaired(version: u64) -> Vec<Declared> {
    vec![but(alone(ROLE, version), json!({"OnDrift": "Repair"}))]
}

fn role(world: &World) -> Object {
    let objects = world.cloud.snapshot().objects;
    let mut roles = objects.into_iter().filter(|(id, _)| id.kind == Kind::Role && id.name == "deploy");
    roles.next().map(|(_, role)| role).expect("the role")
}

async fn run(world: &World) -> Ended {
    world.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await
}

/// A role that somebody has changed in many parts, and as it was declared.
async fn changed(world: &World) -> (Stack, Object) {
    let mut stack = world.stack("s");
    assert_eq!(stack.create(&repaired(1)).await, Status::CreateComplete, "{}", world.story());
    world.lambda.settle().await;
    tokio::time::sleep(Duration::from_mins(2)).await;
    let before = role(world);
    let wider = before.facets["trust"].replace("branch-1", "branch-9");
    let name = json!("deploy");
    world.someone("UpdateAssumeRolePolicy", &json!({"RoleName": name, "PolicyDocument": wider}));
    world.someone("DetachRolePolicy", &json!({"RoleName": name, "PolicyArn": policy("ReadOnlyAccess")}));
    world.someone("DeleteRolePolicy", &json!({"RoleName": name, "PolicyName": "both"}));
    world.someone("DeleteRolePermissionsBoundary", &json!({"RoleName": name}));
    assert_ne!(role(world).facets, before.facets);
    world.cloud.begin_step(OPERATION);
    (stack, before)
}

#[test]
fn row_14_the_scheduled_run_repairs_a_role_whose_stack_wants_that() {
    world(async |world| {
        let (mut stack, before) = changed(world).await;
        assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
        assert_eq!(role(world).facets, before.facets, "{}", world.story());
        world.nothing_left_but(&[&stack]).await;
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        world.nothing_left_but(&[]).await;
    });
}

#[test]
fn row_14_wherever_a_repair_dies_the_next_run_or_update_ends_it() {
    let calls = world(async |world| {
        let _ = changed(world).await;
        run(world).await;
        world.calls_of_step(OPERATION).len() as u64
    });
    assert!(calls > 20, "{calls}");
    let points = (1..=calls).flat_map(|call| [When::Before, When::After].map(|when| (call, when)));
    for (call, when) in points {
        for by_update in [false, true] {
            world(async |world| {
                let (mut stack, before) = changed(world).await;
                world.fault(At::OfStep { step: OPERATION, call }, when, Fault::Kill);
                run(world).await;
                world.cloud.begin_step(OPERATION + 1);
                if by_update {
                    let again: Vec<Declared> =
                        repaired(1).into_iter().map(|one| but(one, json!({"ServiceTimeout": 3000}))).collect();
                    assert_eq!(stack.update(&again).await, Status::UpdateComplete, "{}", world.story());
                } else {
                    assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
                }
                // The names of the policy between two calls are remembered until the next Update.
                let mut now = role(world).facets;
                now.remove("tag github-trust:names");
                assert_eq!(now, before.facets, "{call} {when:?}: {}", world.story());
                world.nothing_left_but(&[&stack]).await;
            });
        }
    }
}
