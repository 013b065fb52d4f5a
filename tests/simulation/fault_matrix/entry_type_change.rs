//! Row 27, beyond entries for people: entries of nodes, which EKS gives a name and groups that nobody may set; and entries
//! that are made again because another type is declared.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::super::account::{Kind, Object};
use super::super::author::Author;
use super::super::cloudformation::{Declared, Status};
use super::super::expected_state::{self, ENTRY};
use super::super::faults::{At, Fault, When};
use super::super::lambda::Ended;
use super::super::stack::Stack;
use super::fixtures::{GIVEN_ROLE, OPERATION, World, access, alone, but, given_role, world};
use super::rotation::SCHEDULE;

const HOUR: Duration = Duration::from_hours(1);

fn of_type(kind: &str) -> Declared {
    let policies = if kind == "EC2" { json!([access("AmazonEKSAutoNodePolicy", &[])]) } else { json!(null) };
    let entry = alone(ENTRY, 1);
    if kind == "STANDARD" {
        return entry;
    }
    but(entry, json!({"Type": kind, "Username": null, "KubernetesGroups": null, "AccessPolicies": policies}))
}

fn found(world: &World) -> Option<Object> {
    let snapshot = world.cloud.snapshot();
    let found = snapshot.objects.into_iter().find(|(id, _)| id.kind == Kind::Entry && id.name.contains(GIVEN_ROLE));
    found.map(|found| found.1)
}

/// Another entry has another one.
fn arn(world: &World) -> String {
    let state = world.cloud.state();
    state.account.eks.clusters["prod"].entries[GIVEN_ROLE].arn.clone()
}

fn remembered(world: &World) -> bool {
    world.cloud.snapshot().objects.keys().any(|id| id.kind == Kind::Memory)
}

/// All that an entry is, but for what only the new one can have.
fn meant(entry: Option<Object>) -> Object {
    let mut entry = entry.expect("the entry");
    entry.made_by = Author::Someone;
    entry.facets.retain(|facet, _| facet != "bound to" && facet != "tag github-trust:role-id");
    entry
}

/// A stack with an entry of this type, which somebody else has tagged.
async fn tagged(world: &World, kind: &str) -> Stack {
    let mut stack = world.stack("s");
    assert_eq!(stack.create(&vec![of_type(kind)]).await, Status::CreateComplete, "{kind}: {}", world.story());
    tokio::time::sleep(HOUR).await;
    world.someone("TagResource", &json!({"resourceArn": arn(world), "tags": {"owner": "them"}}));
    world.cloud.begin_step(OPERATION);
    stack
}

#[test]
fn row_27_the_scheduled_run_makes_the_entries_of_nodes_again_in_one_go() {
    for kind in ["EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"] {
        world(async |world| {
            let stack = tagged(world, kind).await;
            let before = found(world);
            world.someone("DeleteRole", &json!({"RoleName": "given"}));
            world.someone("CreateRole", &given_role());
            tokio::time::sleep(HOUR).await;
            let ended = world.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await;
            assert_eq!(ended, Ended::Returned(Ok(())), "{kind}: {}", world.story());
            assert!(
                expected_state::lets_in(&of_type(kind).properties, &world.cloud.snapshot()),
                "{kind}: {}",
                world.story()
            );
            assert_eq!(meant(found(world)), meant(before), "{kind}: {}", world.story());
            assert!(!remembered(world), "{kind}: {}", world.story());
            world.nothing_left_but(&[&stack]).await;
        });
    }
}

/// Nothing to see for an alarm on roles that were made again.
#[test]
fn row_27_another_type_is_another_entry_with_the_tags_of_others() {
    for (old, new) in
        [("STANDARD", "EC2_LINUX"), ("EC2_LINUX", "STANDARD"), ("EC2_LINUX", "EC2"), ("EC2", "EC2_WINDOWS")]
    {
        world(async |world| {
            let mut stack = tagged(world, old).await;
            // As many tags as leave room for the records of any type.
            let count =
                found(world).expect("the entry").facets.keys().filter(|facet| facet.starts_with("tag ")).count();
            let more: BTreeMap<String, &str> = (count..46).map(|index| (format!("their-{index}"), "x")).collect();
            world.someone("TagResource", &json!({"resourceArn": arn(world), "tags": more}));
            let before = arn(world);
            assert_eq!(stack.update(&vec![of_type(new)]).await, Status::UpdateComplete, "{}", world.story());
            let after = found(world).expect("the entry");
            assert_eq!(after.facets["tag owner"], "them", "{old} {new}: {}", world.story());
            assert_eq!(
                after.facets.get("tag their-45").map(String::as_str),
                Some("x"),
                "{old} {new}: {}",
                world.story()
            );
            assert_ne!(arn(world), before);
            assert!(
                !after.facets.contains_key("tag github-trust:restoring") && !remembered(world),
                "{}",
                world.story()
            );
            let log = world.log.text();
            assert!(log.contains("made an access entry again, with another type") && !log.contains("RestoredEntries"));
            world.nothing_left_but(&[&stack]).await;
        });
    }
}

/// Wherever it dies, once or for good: the entry is there with what others put on it, of the new type or of the old one.
#[test]
fn row_27_wherever_a_change_of_type_dies_nothing_of_the_entry_is_lost() {
    let calls = world(async |world| {
        let mut stack = tagged(world, "STANDARD").await;
        stack.update(&vec![of_type("EC2_LINUX")]).await;
        world.calls_of_step(OPERATION).len() as u64
    });
    let mut points = 0;
    for (call, when) in (1..=calls).flat_map(|call| [When::Before, When::After].map(|when| (call, when))) {
        for deaths in [1, 3] {
            points += 1;
            world(async |world| {
                let mut stack = tagged(world, "STANDARD").await;
                world.fault(At::OfStep { step: OPERATION, call }, when, Fault::Kill);
                for later in 1..deaths {
                    world.fault(At::OfStep { step: OPERATION, call: call + later }, When::Before, Fault::Kill);
                }
                let status = stack.update(&vec![of_type("EC2_LINUX")]).await;
                world.lambda.settle().await;
                world.cloud.begin_step(OPERATION + 1);
                tokio::time::sleep(HOUR).await;
                let kept = found(world).map(|entry| entry.facets).unwrap_or_default();
                assert!(kept.contains_key("tag owner") || remembered(world), "{}", world.story());
                let ended = world.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await;
                assert_eq!(ended, Ended::Returned(Ok(())), "{}", world.story());
                let (kind, of) = match status {
                    Status::UpdateComplete => ("EC2_LINUX", "EC2_WINDOWS"),
                    _ => ("STANDARD", "EC2_LINUX"),
                };
                let entry = found(world).expect("the entry").facets;
                assert_eq!((entry["type"].as_str(), entry["tag owner"].as_str()), (kind, "them"), "{}", world.story());
                // And it goes on from there.
                assert_eq!(stack.update(&vec![of_type(of)]).await, Status::UpdateComplete, "{}", world.story());
                assert_eq!(found(world).expect("the entry").facets["tag owner"], "them", "{}", world.story());
                assert!(!remembered(world), "{}", world.story());
                world.nothing_left_but(&[&stack]).await;
            });
        }
    }
    println!("changing an entry's type: {points} ways to die and to go on");
    assert!(points > 40, "{points}");
}
