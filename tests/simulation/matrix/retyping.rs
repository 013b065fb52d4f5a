//! Row 27, beyond entries for people: entries of nodes, which EKS gives a name and groups that nobody may set; and entries
//! that are made again because another type is declared.

use std::time::Duration;

use serde_json::json;

use super::super::account::{Kind, Object};
use super::super::author::Author;
use super::super::cloudformation::{Declared, Status};
use super::super::faults::{At, Fault, When};
use super::super::lambda::Ended;
use super::super::meaning::{self, ENTRY};
use super::super::stack::Stack;
use super::rotation::SCHEDULE;
use super::scene::{DEED, GIVEN_ROLE, Scene, access, alone, but, foreign_role, scene};

const HOUR: Duration = Duration::from_hours(1);

fn of_type(kind: &str) -> Declared {
    let policies = if kind == "EC2" { json!([access("AmazonEKSAutoNodePolicy", &[])]) } else { json!(null) };
    let entry = alone(ENTRY, 1);
    if kind == "STANDARD" {
        return entry;
    }
    but(entry, json!({"Type": kind, "Username": null, "KubernetesGroups": null, "AccessPolicies": policies}))
}

fn found(scene: &Scene) -> Option<Object> {
    let snapshot = scene.cloud.snapshot();
    let found = snapshot.objects.into_iter().find(|(id, _)| id.kind == Kind::Entry && id.name.contains(GIVEN_ROLE));
    found.map(|found| found.1)
}

/// Another entry has another one.
fn arn(scene: &Scene) -> String {
    let state = scene.cloud.state();
    state.account.eks.clusters["prod"].entries[GIVEN_ROLE].arn.clone()
}

fn remembered(scene: &Scene) -> bool {
    scene.cloud.snapshot().objects.keys().any(|id| id.kind == Kind::Memory)
}

/// All that an entry is, but for what only the new one can have.
fn meant(entry: Option<Object>) -> Object {
    let mut entry = entry.expect("the entry");
    entry.made_by = Author::Someone;
    entry.facets.retain(|facet, _| facet != "bound to" && facet != "tag github-trust:role-id");
    entry
}

/// A stack with an entry of this type, which somebody else has tagged.
async fn tagged(scene: &Scene, kind: &str) -> Stack {
    let mut stack = scene.stack("s");
    assert_eq!(stack.create(&vec![of_type(kind)]).await, Status::CreateComplete, "{kind}: {}", scene.story());
    tokio::time::sleep(HOUR).await;
    scene.someone("TagResource", &json!({"resourceArn": arn(scene), "tags": {"owner": "them"}}));
    scene.cloud.begin_step(DEED);
    stack
}

#[test]
fn row_27_the_scheduled_run_makes_the_entries_of_nodes_again_in_one_go() {
    for kind in ["EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"] {
        scene(async |scene| {
            let stack = tagged(scene, kind).await;
            let before = found(scene);
            scene.someone("DeleteRole", &json!({"RoleName": "given"}));
            scene.someone("CreateRole", &foreign_role("given"));
            tokio::time::sleep(HOUR).await;
            let ended = scene.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await;
            assert_eq!(ended, Ended::Returned(Ok(())), "{kind}: {}", scene.story());
            assert!(meaning::lets_in(&of_type(kind).properties, &scene.cloud.snapshot()), "{kind}: {}", scene.story());
            assert_eq!(meant(found(scene)), meant(before), "{kind}: {}", scene.story());
            assert!(!remembered(scene), "{kind}: {}", scene.story());
            scene.nothing_left_but(&[&stack]).await;
        });
    }
}

/// Nothing to see for an alarm on roles that were made again.
#[test]
fn row_27_another_type_is_another_entry_with_the_tags_of_others() {
    for (old, new) in
        [("STANDARD", "EC2_LINUX"), ("EC2_LINUX", "STANDARD"), ("EC2_LINUX", "EC2"), ("EC2", "EC2_WINDOWS")]
    {
        scene(async |scene| {
            let mut stack = tagged(scene, old).await;
            let before = arn(scene);
            assert_eq!(stack.update(&vec![of_type(new)]).await, Status::UpdateComplete, "{}", scene.story());
            let after = found(scene).expect("the entry");
            assert_eq!(after.facets["tag owner"], "them", "{old} {new}: {}", scene.story());
            assert_ne!(arn(scene), before);
            assert!(
                !after.facets.contains_key("tag github-trust:restoring") && !remembered(scene),
                "{}",
                scene.story()
            );
            let log = scene.log.text();
            assert!(log.contains("made an access entry again, with another type") && !log.contains("RestoredEntries"));
            scene.nothing_left_but(&[&stack]).await;
        });
    }
}

/// Wherever it dies, once or for good: the entry is there with what others put on it, of the new type or of the old one.
#[test]
fn row_27_wherever_a_change_of_type_dies_nothing_of_the_entry_is_lost() {
    let calls = scene(async |scene| {
        let mut stack = tagged(scene, "STANDARD").await;
        stack.update(&vec![of_type("EC2_LINUX")]).await;
        scene.calls_of_step(DEED).len() as u64
    });
    let mut points = 0;
    for (call, when) in (1..=calls).flat_map(|call| [When::Before, When::After].map(|when| (call, when))) {
        for deaths in [1, 3] {
            points += 1;
            scene(async |scene| {
                let mut stack = tagged(scene, "STANDARD").await;
                scene.fault(At::OfStep { step: DEED, call }, when, Fault::Kill);
                for later in 1..deaths {
                    scene.fault(At::OfStep { step: DEED, call: call + later }, When::Before, Fault::Kill);
                }
                let status = stack.update(&vec![of_type("EC2_LINUX")]).await;
                scene.lambda.settle().await;
                scene.cloud.begin_step(DEED + 1);
                tokio::time::sleep(HOUR).await;
                let kept = found(scene).map(|entry| entry.facets).unwrap_or_default();
                assert!(kept.contains_key("tag owner") || remembered(scene), "{}", scene.story());
                let ended = scene.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await;
                assert_eq!(ended, Ended::Returned(Ok(())), "{}", scene.story());
                let (kind, of) = match status {
                    Status::UpdateComplete => ("EC2_LINUX", "EC2_WINDOWS"),
                    _ => ("STANDARD", "EC2_LINUX"),
                };
                let entry = found(scene).expect("the entry").facets;
                assert_eq!((entry["type"].as_str(), entry["tag owner"].as_str()), (kind, "them"), "{}", scene.story());
                // And it goes on from there.
                assert_eq!(stack.update(&vec![of_type(of)]).await, Status::UpdateComplete, "{}", scene.story());
                assert_eq!(found(scene).expect("the entry").facets["tag owner"], "them", "{}", scene.story());
                assert!(!remembered(scene), "{}", scene.story());
                scene.nothing_left_but(&[&stack]).await;
            });
        }
    }
    println!("changing an entry's type: {points} ways to die and to go on");
    assert!(points > 40, "{points}");
}
