//! Forged requests about an object that a resource was before it was replaced: only while CloudFormation deletes such objects
//! is one deleted.

use std::time::Duration;

use github_trust::settings::Settings;
use serde_json::json;

use super::ROLE;
use super::late_states::{pause, template};
use crate::attempts::counted;
use crate::simulation::account::{PARTITION, REGION};
use crate::simulation::cloudformation::{RequestType, Resource, Status};
use crate::simulation::function::{deliver, github_trust};
use crate::simulation::stack::Stack;
use crate::simulation::world::World;

/// The newest status of the former object, the status of its stack, and whether it is deleted.
const CASES: [(&str, &str, bool); 9] = [
    ("UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", false),
    ("UPDATE_COMPLETE", "UPDATE_COMPLETE", false),
    ("UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", true),
    // The stack goes back to the former object.
    ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_IN_PROGRESS", false),
    ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", true),
    ("UPDATE_COMPLETE", "DELETE_IN_PROGRESS", true),
    ("DELETE_SKIPPED", "UPDATE_IN_PROGRESS", false),
    ("DELETE_SKIPPED", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", false),
    ("DELETE_SKIPPED", "DELETE_IN_PROGRESS", false),
];

/// A stack whose role `one` has become `two`, and the resource before.
async fn replaced(world: &World) -> (Stack, Resource) {
    let mut stack = world.stack("team");
    assert_eq!(stack.create(&template("one", "acme/app")).await, Status::CreateComplete, "{}", world.story());
    pause().await;
    let old = stack.resource("Role").unwrap().clone();
    let two = stack.resolved(&template("two", "acme/app")[1]);
    assert!(stack.send(RequestType::Update, &two, Some(&old)).await.success, "{}", world.story());
    pause().await;
    (stack, old)
}

#[test]
fn a_former_object_is_deleted_only_while_cloudformation_deletes_such() {
    counted(
        "invoker of the function",
        "forged deletions of former objects",
        CASES.iter().filter(|case| !case.2).count(),
    );
    for (status, stack_status, is_deleted) in CASES {
        // No invariant is checked: a forged deletion that is done breaks one.
        World::with(
            Settings::default(),
            github_trust,
            |_, _| {},
            async |world| {
                let (stack, old) = replaced(&world).await;
                let (cloud, now) = (&world.cloud, world.cloud.now());
                let url = {
                    let account = &mut cloud.state().account;
                    account.stacks.note_object((&stack.id, "Role"), ROLE, "one", status, now);
                    account.stacks.set_status(&stack.id, stack_status);
                    account.s3.presign(REGION, PARTITION, "forged", now, Duration::from_hours(2))
                };
                let event = json!({
                    "RequestType": "Delete", "ResponseURL": url, "RequestId": "forged", "StackId": stack.id,
                    "LogicalResourceId": "Role", "PhysicalResourceId": "one", "ResourceType": ROLE,
                    "ResourceProperties": old.properties,
                });
                deliver(cloud, Settings::default(), &event).await;
                let is_there = cloud.snapshot().objects.keys().any(|id| id.name == "one");
                assert_eq!(!is_there, is_deleted, "{status}, {stack_status}: {}", world.story());
            },
        );
    }
}

/// A forged request, the id that it names, the object that its properties lead to, and the status of that object.
const BY_PROPERTIES: [(&str, &str, &str, &str); 3] = [
    // The resource is `two`; its stack has left `one`.
    ("Update", "two", "one", "DELETE_SKIPPED"),
    // The resource was `gone` before.
    ("Update", "gone", "two", "UPDATE_COMPLETE"),
    ("Delete", "two", "one", "DELETE_SKIPPED"),
];

#[test]
fn no_object_of_a_resource_is_deleted_by_the_properties_of_a_request() {
    counted("invoker of the function", "forged properties of former objects", BY_PROPERTIES.len());
    for (request, named, led_to, status) in BY_PROPERTIES {
        World::with(
            Settings::default(),
            github_trust,
            |_, _| {},
            async |world| {
                let (stack, _) = replaced(&world).await;
                let (cloud, now) = (&world.cloud, world.cloud.now());
                if request == "Delete" {
                    world.someone("DeleteRole", &json!({"RoleName": "two"}));
                }
                let url = {
                    let account = &mut cloud.state().account;
                    let mut note = |id: &str, status: &str| {
                        account.stacks.note_object((&stack.id, "Role"), ROLE, id, status, now);
                    };
                    note(led_to, status);
                    note("gone", "DELETE_COMPLETE");
                    account.stacks.begin((&stack.id, "Role"), ROLE, "two", request, now);
                    let stack_status = if request == "Delete" { "DELETE_IN_PROGRESS" } else { "UPDATE_IN_PROGRESS" };
                    account.stacks.set_status(&stack.id, stack_status);
                    account.s3.presign(REGION, PARTITION, "forged", now, Duration::from_hours(2))
                };
                let properties = |name: &str| stack.resolved(&template(name, "acme/app")[1]).properties;
                let (new, old) = if request == "Delete" { (led_to, led_to) } else { (named, led_to) };
                let event = json!({
                    "RequestType": request, "ResponseURL": url, "RequestId": "forged", "StackId": stack.id,
                    "LogicalResourceId": "Role", "PhysicalResourceId": named, "ResourceType": ROLE,
                    "ResourceProperties": properties(new), "OldResourceProperties": properties(old),
                });
                let names = || cloud.snapshot().objects.into_keys().map(|id| id.name).collect::<Vec<_>>();
                let before = names();
                deliver(cloud, Settings::default(), &event).await;
                assert_eq!(names(), before, "{request} {named}: {}", world.story());
            },
        );
    }
}
