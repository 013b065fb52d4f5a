//! Rows 11, 12 and 14: updates that fail, go back, or find another world than the last one left.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::account::Object;
use super::super::cloudformation::{RequestType, Status, declared, strings};
use super::super::eks;
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::faults::{At, Fault, When};
use super::super::plan::ManualChange;
use super::fixtures::{KINDS, OPERATION, Operation, World, alone, but, quiet_day, world};

fn state(world: &World) -> Vec<Object> {
    world.ours().into_iter().map(|(_, object)| object).collect()
}

#[test]
fn row_11_an_update_that_fails_at_any_change_is_rolled_back_whole() {
    for kind in KINDS {
        let (calls, physical) = quiet_day(kind, Operation::Update);
        let changing: Vec<u64> = calls.iter().filter(|call| call.changing).map(|call| call.of_step.1).collect();
        assert!(changing.len() > 2, "there is something to fail at");
        for call in changing {
            world(async |world| {
                let mut stack = world.stack("s");
                Operation::Update.prepare(world, &mut stack, kind).await;
                let before = state(world);
                world.fault(At::OfStep { step: OPERATION, call }, When::Before, Fault::AccessDenied);
                let status = Operation::Update.perform(&mut stack, kind).await;
                assert_eq!(status, Status::UpdateRollbackComplete, "{kind} {call}\n{}", world.story());
                let update = world.sent().into_iter().find(|sent| sent.kind == RequestType::Update).unwrap();
                assert_eq!(world.failure(&update).1, physical);
                world.nothing_left_but(&[&stack]).await;
                assert_eq!(state(world), before, "{kind} {call}\n{}", world.story());
            });
        }
    }
}

#[test]
fn row_11_a_failed_replacement_leaves_the_old_object_alone() {
    for kind in [ROLE, ENTRY] {
        let change = if kind == ROLE { json!({"RoleName": "deploy-2"}) } else { json!({"ClusterName": "stage"}) };
        let actions = if kind == ROLE {
            ["AttachRolePolicy", "PutRolePolicy"]
        } else {
            ["CreateAccessEntry", "AssociateAccessPolicy"]
        };
        for action in actions {
            world(async |world| {
                world
                    .cloud
                    .change_now(|account, now| account.eks.add_cluster("stage", "API", eks::Status::Active, now));
                let mut stack = world.stack("s");
                Operation::Update.prepare(world, &mut stack, kind).await;
                let (before, old) = (state(world), stack.resources[0].1.physical.clone());
                world.fault(At::every(action), When::Before, Fault::AccessDenied);
                let status = stack.update(&vec![but(alone(kind, 2), change.clone())]).await;
                assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
                let update = world.sent().into_iter().find(|sent| sent.kind == RequestType::Update).unwrap();
                assert_eq!(world.failure(&update).1, old);
                world.nothing_left_but(&[&stack]).await;
                assert_eq!(state(world), before, "{}", world.story());
            });
        }
    }
}

/// The properties of a recorded event, in this account.
fn recorded(file: &str) -> Value {
    let path = format!("{}/events/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap().replace("123456789012", "111122223333");
    // The witnesses know no wildcards.
    let text = text.replace("us-east-1", "eu-west-1").replace("release/*", "release/1").replace("v*", "v1");
    let event: Value = serde_json::from_str(&text).unwrap();
    let mut properties = event["ResourceProperties"].clone();
    properties.as_object_mut().unwrap().remove("ServiceToken");
    properties
}

/// What the recorded properties refer to.
fn surroundings(world: &World) {
    world.cloud.change_now(|account, now| {
        account.iam.policies.insert("arn:aws:iam::111122223333:policy/ci-boundary".to_owned());
        account.eks.add_cluster("demo", "API", eks::Status::Active, now);
    });
    world.someone("CreateRole", &super::fixtures::foreign_role("quickstart-Role-lbtijc6toaud6"));
}

#[test]
fn row_12_a_rollback_to_properties_once_accepted_is_accepted() {
    let kinds = [(PROVIDER, "oidc-provider"), (ROLE, "role"), (ENTRY, "access-entry")];
    for (kind, file) in kinds {
        for version in ["create", "update"] {
            world(async |world| {
                surroundings(world);
                let mut stack = world.stack("quickstart");
                let mut template = vec![declared("It", kind, recorded(&format!("{file}-{version}")))];
                if kind == ROLE {
                    template.insert(0, declared("Provider", PROVIDER, json!({})));
                }
                assert_eq!(stack.create(&template).await, Status::CreateComplete, "{}", world.story());
                let before = state(world);
                let mut update = template.clone();
                let tags = json!([{"Key": "new", "Value": "yes"}]);
                update.last_mut().unwrap().properties["Tags"] = tags;
                update.push(declared("Fails", ROLE, json!({})));
                assert_eq!(stack.update(&update).await, Status::UpdateRollbackComplete, "{}", world.story());
                assert_eq!(state(world), before, "{}", world.story());
                world.nothing_left_but(&[&stack]).await;
            });
        }
    }
}

#[test]
fn row_12_old_properties_that_this_version_does_not_know_change_nothing() {
    for kind in KINDS {
        world(async |world| {
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            let old = [json!({"Vanished": "long ago"}), json!([1]), Value::Null, strings(&alone(kind, 2).properties)];
            for (index, old) in old.into_iter().enumerate() {
                stack.resources[0].1.properties = if old.is_object() { old } else { json!({"Trust": old}) };
                let version = 1 + (index as u64 + 1) % 2;
                let status = stack.update(&vec![alone(kind, version)]).await;
                assert_eq!(status, Status::UpdateComplete, "{}", world.story());
                world.nothing_left_but(&[&stack]).await;
            }
        });
    }
}

#[test]
fn row_14_the_next_update_repairs_what_was_changed_by_hand() {
    use ManualChange as M;
    let role: &[M] = &[
        M::AttachPolicy,
        M::DetachPolicies,
        M::WriteInlinePolicy,
        M::OpenTrust,
        M::TagRole,
        M::PutIntoInstanceProfile,
        M::DeleteRole,
    ];
    let entry: &[M] = &[M::DeleteEntry, M::DisassociatePolicies, M::ChangeGroups];
    let provider: &[M] = &[M::AddClientId, M::RemoveClientIds];
    for (kind, manual_changes) in [(ROLE, role), (ENTRY, entry), (PROVIDER, provider)] {
        for manual_change in manual_changes {
            // An update that changes as little as possible, and one that changes everything.
            let little = but(alone(kind, 1), json!({"Tags": [{"Key": "touched", "Value": "yes"}]}));
            for next in [little, alone(kind, 2)] {
                world(async |world| {
                    let mut stack = world.stack("s");
                    assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                    world.cloud.change_now(|account, now| manual_change.apply(account, now));
                    let status = stack.update(&vec![next.clone()]).await;
                    assert_eq!(status, Status::UpdateComplete, "{manual_change:?}\n{}", world.story());
                    // That it is as declared, and that what others added is still there, the witnesses say (I4, I3).
                    let added: bool = world.ours().iter().any(|(_, object)| {
                        object
                            .facets
                            .iter()
                            .any(|(facet, value)| facet.contains("by-hand") || value.contains("by-hand"))
                    });
                    let theirs = matches!(
                        manual_change,
                        M::WriteInlinePolicy | M::TagRole | M::PutIntoInstanceProfile | M::AddClientId
                    );
                    assert_eq!(added, theirs, "{manual_change:?}\n{}", world.story());
                    assert!(!format!("{:?}", world.ours()).contains("repo:mallory"), "{}", world.story());
                    assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                    assert!(world.ours().is_empty(), "{}", world.story());
                });
            }
        }
    }
}

#[test]
fn row_14_after_a_skipped_rollback_an_update_goes_by_what_it_observes() {
    for (kind, action) in
        [(ROLE, "TagRole"), (ENTRY, "UpdateAccessEntry"), (PROVIDER, "UpdateOpenIDConnectProviderThumbprint")]
    {
        let quiet = quiet_day(kind, Operation::Update).0;
        let on_the_way = quiet.iter().filter(|call| call.action == action).count() as u64;
        for again in [1, 2] {
            world(async |world| {
                let mut stack = world.stack("s");
                assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                let fails = declared("Fails", ROLE, json!({}));
                // The update itself works; whatever is to be undone of it does not.
                let at = At::Action { action, from: on_the_way + 1, to: u64::MAX };
                world.fault(at, When::Before, Fault::AccessDenied);
                let status = stack.update(&vec![alone(kind, 2), fails]).await;
                assert_eq!(status, Status::UpdateRollbackFailed, "{}", world.story());
                let status = stack.continue_rollback(&[super::fixtures::logical(kind)]).await;
                assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
                world.cloud.state().faults.cease();
                // CloudFormation believes in version 1; what is there is something else.
                let next = but(alone(kind, again), json!({"Tags": [{"Key": "next", "Value": "yes"}]}));
                assert_eq!(stack.update(&vec![next]).await, Status::UpdateComplete, "{}", world.story());
                world.nothing_left_but(&[&stack]).await;
                assert_eq!(world.ours().len(), 1);
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                assert!(world.ours().is_empty());
            });
        }
    }
}

#[test]
fn row_14_a_change_during_a_slow_lookup_is_seen() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
        let other = json!([{"Repository": "acme/app", "Branches": ["other"]}]);
        world.fault(At::every("GET /repos/*"), When::Before, Fault::Slow(Duration::from_secs(8)));
        let by_hand = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            world.someone("UpdateRole", &json!({"RoleName": "deploy", "MaxSessionDuration": 7200}));
        };
        let update = vec![but(alone(ROLE, 1), json!({"Trust": other}))];
        let (status, ()) = tokio::join!(stack.update(&update), by_hand);
        assert_eq!(status, Status::UpdateComplete, "{}", world.story());
        let roles: Vec<_> = world.cloud.state().account.iam.roles.all().map(|(_, role)| role.clone()).collect();
        let role = roles.iter().find(|role| role.name == "deploy");
        assert_eq!(role.map(|role| role.max_session), Some(3600), "{}", world.story());
    });
}
