//! Objects that change their owner: taken over from a stack that let go, or given back after they lost their owner's tags.

use std::collections::BTreeMap;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::super::account::{Id, Kind, Object};
use super::super::cloudformation::{Declared, RequestType, Status, declared};
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::function::github_trust_with;
use super::super::invariants::lock;
use super::super::stack::Stack;
use super::fixtures::{GIVEN_ROLE, World, access, alone, but, foreign_role, logical, policy, world, world_with};

const KINDS: [&str; 2] = [ROLE, ENTRY];

fn taking_over(kind: &str, version: u64) -> Declared {
    but(alone(kind, version), json!({"OnExisting": "TakeOver"}))
}

fn named(name: &str, declared: Declared) -> Declared {
    Declared { logical: name.to_owned(), ..declared }
}

/// A resource that fails, so that its stack goes back.
fn failing() -> Declared {
    declared("Failing", PROVIDER, json!({"Url": "https://no.example.com"}))
}

fn object(world: &World, kind: &str) -> (Id, Object) {
    let wanted = if kind == ROLE { Kind::Role } else { Kind::Entry };
    let snapshot = world.cloud.snapshot();
    let found = snapshot.objects.into_iter().find(|(id, object)| id.kind == wanted && object.made_by.is_ours());
    found.unwrap_or_else(|| panic!("no {kind}\n{}", world.story()))
}

fn owner(object: &Object) -> (String, String) {
    let tag = |name: &str| object.facets.get(&format!("tag github-trust:{name}")).cloned().unwrap_or_default();
    (tag("stack-id"), tag("logical-id"))
}

fn no_object(world: &World) {
    assert!(world.ours().is_empty(), "{}", world.story());
}

#[test]
fn what_a_stack_let_go_is_taken_over_as_it_is_and_goes_with_its_new_owner() {
    for kind in KINDS {
        for is_gone in [false, true] {
            world(async |world| {
                let (mut one, mut two) = (world.stack("one"), world.stack("two"));
                assert_eq!(one.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                let (id, _) = object(world, kind);
                one.retain(logical(kind));
                if is_gone {
                    assert_eq!(one.delete_stack().await, Status::DeleteComplete);
                }
                let status = two.create(&vec![named("Other", taking_over(kind, 2))]).await;
                assert_eq!(status, Status::CreateComplete, "{}", world.story());
                let (same, taken) = object(world, kind);
                assert_eq!((same, owner(&taken)), (id, (two.id.clone(), "Other".to_owned())), "it was not made again");
                assert_eq!(two.update(&vec![named("Other", alone(kind, 1))]).await, Status::UpdateComplete);
                assert_eq!(two.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                no_object(world);
            });
        }
    }
}

#[test]
fn another_logical_id_of_the_same_stack_takes_over_what_was_let_go() {
    for kind in KINDS {
        world(async |world| {
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            stack.retain(logical(kind));
            let status = stack.update(&vec![named("Other", taking_over(kind, 1))]).await;
            assert_eq!(status, Status::UpdateComplete, "{}", world.story());
            assert_eq!(owner(&object(world, kind).1).1, "Other");
        });
    }
}

#[test]
fn what_a_stack_still_holds_is_refused_and_the_way_out_is_told() {
    for kind in KINDS {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            assert_eq!(one.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            let before = world.cloud.snapshot();
            assert_eq!(two.create(&vec![taking_over(kind, 2)]).await, Status::RollbackComplete, "{}", world.story());
            let (reason, _) = world.failure(&world.last_of(RequestType::Create));
            let held = format!(
                "cannot be taken over: it belongs to {} of {}, and CloudFormation shows it there, in CREATE_COMPLETE; it was \
                 left untouched. Take it out of that stack with `DeletionPolicy: Retain`",
                logical(kind),
                one.id
            );
            assert!(reason.contains(&held), "{reason}");
            assert_eq!(world.cloud.snapshot(), before);
        });
    }
}

#[test]
fn what_a_stack_elsewhere_or_a_rollback_may_need_is_not_taken_over() {
    world(async |world| {
        let mut two = world.stack("two");
        let given = but(taking_over(ROLE, 1), json!({"RoleName": "given"}));
        assert_eq!(two.create(&vec![given]).await, Status::RollbackComplete, "{}", world.story());
        let (reason, _) = world.failure(&world.last_of(RequestType::Create));
        let elsewhere =
            "its stack is in account 111122223333, region us-east-1, which CloudFormation here knows nothing of";
        assert!(reason.contains(elsewhere), "{reason}");
    });
    for kind in KINDS {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            assert_eq!(one.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            let now = world.cloud.now();
            world.cloud.state().account.stacks.set_current((&one.id, logical(kind)), "own", now);
            world.cloud.state().account.stacks.set_status(&one.id, "UPDATE_ROLLBACK_FAILED");
            let before = world.cloud.snapshot();
            assert_eq!(two.create(&vec![taking_over(kind, 2)]).await, Status::RollbackComplete, "{}", world.story());
            let (reason, _) = world.failure(&world.last_of(RequestType::Create));
            let needed = "the stack is in UPDATE_ROLLBACK_FAILED, and a rollback could need it again";
            assert!(reason.contains(needed), "{reason}");
            assert_eq!(world.cloud.snapshot(), before);
        });
    }
}

#[test]
fn what_nobody_asked_to_take_over_stays_with_its_former_owner() {
    for kind in KINDS {
        for on_existing in [json!("Fail"), json!("Adopt")] {
            world(async |world| {
                let (mut one, mut two) = (world.stack("one"), world.stack("two"));
                assert_eq!(one.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                one.retain(logical(kind));
                let before = world.cloud.snapshot();
                let asks = but(alone(kind, 2), json!({"OnExisting": on_existing}));
                assert_eq!(two.create(&vec![asks]).await, Status::RollbackComplete, "{}", world.story());
                let (reason, _) = world.failure(&world.last_of(RequestType::Create));
                assert!(reason.contains("with `OnExisting: TakeOver`"), "{reason}");
                assert_eq!(world.cloud.snapshot(), before);
            });
        }
    }
}

#[test]
fn what_a_failed_stack_had_taken_over_stays_and_the_next_one_takes_it() {
    for kind in KINDS {
        world(async |world| {
            let (mut one, mut two, mut three) = (world.stack("one"), world.stack("two"), world.stack("three"));
            assert_eq!(one.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            let (id, _) = object(world, kind);
            one.retain(logical(kind));
            let status = two.create(&vec![taking_over(kind, 2), failing()]).await;
            assert_eq!(status, Status::RollbackComplete, "{}", world.story());
            assert_eq!(object(world, kind).0, id, "it was there before the stack");
            two.delete_stack().await;
            assert_eq!(three.create(&vec![taking_over(kind, 2)]).await, Status::CreateComplete, "{}", world.story());
            assert_eq!(three.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            no_object(world);
        });
    }
}

#[test]
fn an_update_that_took_over_and_failed_leaves_both_objects() {
    world(async |world| {
        let (mut one, mut two) = (world.stack("one"), world.stack("two"));
        assert_eq!(one.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
        one.retain("Role");
        let own = but(alone(ROLE, 1), json!({"RoleName": "own"}));
        assert_eq!(two.create(&vec![own]).await, Status::CreateComplete);
        let status = two.update(&vec![taking_over(ROLE, 2), failing()]).await;
        assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
        let mut names: Vec<String> = world.ours().into_iter().map(|(id, _)| id.name).collect();
        names.sort();
        assert_eq!(names, ["deploy", "own"], "{}", world.story());
    });
}

/// Guardrails that allow all that these rows declare, with more settings.
fn all_but_adoption(more: &[(&str, &str)]) -> Guardrails {
    let set = [
        ("ROLE_PATH", "/"),
        ("ALLOW_INLINE_POLICIES", "Always"),
        ("ALLOWED_MANAGED_POLICIES", "arn:*:iam::aws:policy/*"),
        ("ALLOWED_OWNERS", "*"),
        ("ALLOWED_ISSUERS", "*"),
        ("ALLOWED_PRINCIPALS", "arn:*:iam::*:*"),
    ];
    let all = || set.iter().chain(more);
    Guardrails::read(|name| all().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned()))
}

#[test]
fn what_is_taken_over_is_held_to_the_guardrails_of_an_adoption() {
    let guardrails = all_but_adoption(&[("ALLOW_ROLE_ADOPTION", "true")]);
    for (kind, expected) in [(ROLE, "AdministratorAccess is forbidden"), (ENTRY, "`AllowClusterAdmin`")] {
        let settings = Settings { guardrails: guardrails.clone(), ..Settings::default() };
        world_with(
            |cloud| github_trust_with(cloud, settings),
            async |world| {
                let (mut one, mut two) = (world.stack("one"), world.stack("two"));
                let first = but(alone(kind, 1), json!({"AccessPolicies": null}));
                assert_eq!(one.create(&vec![first]).await, Status::CreateComplete, "{}", world.story());
                one.retain(logical(kind));
                if kind == ROLE {
                    let attached = json!({"RoleName": "deploy", "PolicyArn": policy("AdministratorAccess")});
                    world.someone("AttachRolePolicy", &attached);
                } else {
                    let admin = access("AmazonEKSClusterAdminPolicy", &[])["PolicyArn"].clone();
                    let associated = json!({"clusterName": "prod", "principalArn": GIVEN_ROLE, "policyArn": admin,
                                        "accessScope": {"type": "cluster"}});
                    world.someone("AssociateAccessPolicy", &associated);
                }
                let before = world.cloud.snapshot();
                let asks = but(taking_over(kind, 1), json!({"AccessPolicies": null}));
                let status = two.create(&vec![named("Other", asks.clone())]).await;
                assert_eq!(status, Status::RollbackComplete, "{}", world.story());
                let (reason, _) = world.failure(&world.last_of(RequestType::Create));
                assert!(reason.contains(expected) && reason.contains("taken over"), "{reason}");
                assert_eq!(world.cloud.snapshot(), before);
                if kind == ROLE {
                    let detached = json!({"RoleName": "deploy", "PolicyArn": policy("AdministratorAccess")});
                    world.someone("DetachRolePolicy", &detached);
                    two.delete_stack().await;
                    let mut three = world.stack("three");
                    assert_eq!(
                        three.create(&vec![named("Other", asks)]).await,
                        Status::CreateComplete,
                        "{}",
                        world.story()
                    );
                }
            },
        );
    }
}

#[test]
fn what_a_stack_left_and_declares_again_stays_when_it_goes_back() {
    for kind in KINDS {
        world(async |world| {
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            let (id, _) = object(world, kind);
            stack.retain(logical(kind));
            let status = stack.update(&vec![alone(kind, 2), failing()]).await;
            assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
            assert_eq!(object(world, kind).0, id, "it was there before the update: {}", world.story());
            assert_eq!(stack.update(&vec![alone(kind, 2)]).await, Status::UpdateComplete, "{}", world.story());
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            no_object(world);
        });
    }
}

#[test]
fn what_a_stack_left_stays_when_its_new_declaration_is_refused() {
    for (kind, refused) in [
        (ROLE, json!({"MaxSessionDuration": 43200})),
        (ENTRY, json!({"AccessPolicies": [access("AmazonEKSClusterAdminPolicy", &[])]})),
    ] {
        let settings = Settings { guardrails: all_but_adoption(&[]), ..Settings::default() };
        world_with(
            |cloud| github_trust_with(cloud, settings),
            async |world| {
                let mut stack = world.stack("s");
                let declared =
                    if kind == ROLE { alone(kind, 1) } else { but(alone(kind, 1), json!({"AccessPolicies": null})) };
                assert_eq!(stack.create(&vec![declared.clone()]).await, Status::CreateComplete, "{}", world.story());
                let before = object(world, kind);
                stack.retain(logical(kind));
                let status = stack.update(&vec![but(declared, refused)]).await;
                assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
                assert_eq!(object(world, kind), before, "{}", world.story());
            },
        );
    }
}

/// A world in which nothing is adopted.
fn without_adoption(story: impl AsyncFn(&World)) {
    let guardrails = all_but_adoption(&[("ALLOW_CLUSTER_ADMIN", "true")]);
    let settings = Settings { guardrails, ..Settings::default() };
    world_with(|cloud| github_trust_with(cloud, settings), story);
}

#[test]
fn what_another_stack_let_go_is_taken_over_where_adoption_is_allowed() {
    for kind in KINDS {
        without_adoption(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            let status = one.create(&vec![alone(kind, 1)]).await;
            assert_eq!(status, Status::CreateComplete, "{}", world.story());
            one.retain(logical(kind));
            let before = world.cloud.snapshot();
            assert_eq!(two.create(&vec![taking_over(kind, 1)]).await, Status::RollbackComplete, "{}", world.story());
            let (reason, _) = world.failure(&world.last_of(RequestType::Create));
            assert!(reason.contains("(guardrail `AllowRoleAdoption`)"), "{reason}");
            assert_eq!(world.cloud.snapshot(), before);
            let own = one.update(&vec![named("Other", taking_over(kind, 1))]).await;
            assert_eq!(own, Status::UpdateComplete, "{}", world.story());
        });
    }
}

/// A person who deploys a stack can let a function of theirs answer any physical id, and CloudFormation shows it as the stack's.
#[test]
fn an_object_without_any_tag_of_ours_is_nobody_s_by_its_name() {
    for kind in KINDS {
        without_adoption(async |world| {
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete, "{}", world.story());
            strip(world, kind, true);
            let before = world.cloud.snapshot();
            let change = if kind == ROLE { json!({"Description": "new"}) } else { json!({"Username": "new"}) };
            let status = stack.update(&vec![but(alone(kind, 1), change.clone())]).await;
            assert_eq!(status, Status::UpdateRollbackFailed, "{}", world.story());
            let (reason, _) = world.failure(&world.last_of(RequestType::Update));
            assert!(reason.contains("give it the tag back (guardrail `AllowRoleAdoption`)"), "{reason}");
            assert_eq!(world.cloud.snapshot(), before);
        });
    }
}

#[test]
fn what_has_as_many_tags_as_allowed_is_taken_over_where_some_go() {
    for kind in KINDS {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            let many = |count: usize| -> Value {
                (0..count).map(|index| json!({"Key": format!("key-{index}"), "Value": "v"})).collect()
            };
            assert_eq!(one.create(&vec![but(alone(kind, 1), json!({"Tags": many(1)}))]).await, Status::CreateComplete);
            let tags =
                |world: &World| object(world, kind).1.facets.keys().filter(|key| key.starts_with("tag ")).count();
            let full = but(alone(kind, 1), json!({"Tags": many(33)}));
            assert_eq!(one.update(&vec![full]).await, Status::UpdateComplete, "{}", world.story());
            let theirs = |index: usize| format!("theirs-{index}");
            if kind == ROLE {
                let more: Value = (tags(world)..50).map(|index| json!({"Key": theirs(index), "Value": ""})).collect();
                world.someone("TagRole", &json!({"RoleName": "deploy", "Tags": more}));
            } else {
                let more: BTreeMap<String, &str> = (tags(world)..50).map(|index| (theirs(index), "")).collect();
                let arn = world.cloud.state().account.eks.clusters["prod"].entries[GIVEN_ROLE].arn.clone();
                world.someone("TagResource", &json!({"resourceArn": arn, "tags": more}));
            }
            assert_eq!(tags(world), 50);
            one.retain(logical(kind));
            let fewer = but(taking_over(kind, 1), json!({"Tags": many(10)}));
            let status = two.create(&vec![named("Other", fewer)]).await;
            assert_eq!(status, Status::CreateComplete, "{}", world.story());
            assert!(tags(world) < 40 && owner(&object(world, kind).1).1 == "Other");
        });
    }
}

/// Takes tags from the object of a stack, as a tag policy or a person does.
fn strip(world: &World, kind: &str, is_all: bool) {
    let (id, object) = object(world, kind);
    let tags = object.facets.keys().filter_map(|facet| facet.strip_prefix("tag github-trust:"));
    let lost = tags.filter(|tag| is_all || ["stack-id", "logical-id"].contains(tag));
    let keys: Vec<String> = lost.map(|tag| format!("github-trust:{tag}")).collect();
    if kind == ROLE {
        world.someone("UntagRole", &json!({"RoleName": id.name, "TagKeys": keys}));
    } else {
        world.cloud.change_now(|account, _| {
            let entry = account.eks.clusters.get_mut("prod").and_then(|cluster| cluster.entries.get_mut(GIVEN_ROLE));
            entry.expect("the entry").tags.retain(|key, _| !keys.contains(key));
        });
    }
}

#[test]
fn an_object_without_its_owner_s_tags_gets_them_back_by_an_update() {
    for kind in KINDS {
        for is_all in [false, true] {
            world(async |world| {
                let mut stack = world.stack("s");
                assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                strip(world, kind, is_all);
                // Without the record, nobody knows which of the object's parts the stack had applied.
                let change = if kind == ROLE { json!({"Description": "new"}) } else { json!({"Username": "new"}) };
                let changed = but(alone(kind, 1), change);
                let status = stack.update(&vec![changed]).await;
                assert_eq!(status, Status::UpdateComplete, "{kind}, {is_all}: {}", world.story());
                assert_eq!(owner(&object(world, kind).1), (stack.id.clone(), logical(kind).to_owned()));
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                no_object(world);
            });
        }
    }
}

#[test]
fn an_object_without_its_owner_s_tags_stays_and_the_log_names_it() {
    for kind in KINDS {
        for is_all in [false, true] {
            world(async |world| {
                let mut stack = world.stack("s");
                assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                strip(world, kind, is_all);
                let (id, _) = object(world, kind);
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                assert_eq!(object(world, kind).0, id);
                let physical = world.last().physical.expect("the id of the object");
                assert!(world.told_to_stay(&physical), "{}", world.log.text());
            });
        }
    }
}

#[test]
fn an_object_without_owner_s_tags_is_no_other_resource_s() {
    for kind in KINDS {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            assert_eq!(one.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            strip(world, kind, false);
            let before = world.cloud.snapshot();
            assert_eq!(two.create(&vec![taking_over(kind, 2)]).await, Status::RollbackComplete, "{}", world.story());
            assert_eq!(world.cloud.snapshot(), before);
        });
    }
}

/// A stack whose rollback failed, because somebody made its role again by hand.
async fn made_again_by_hand(world: &World) -> Stack {
    let mut stack = world.stack("s");
    assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
    strip(world, ROLE, true);
    let trust = foreign_role("deploy")["AssumeRolePolicyDocument"].clone();
    let any = trust.as_str().expect("a policy").replace("StringEquals", "StringLike");
    world.someone("UpdateAssumeRolePolicy", &json!({"RoleName": "deploy", "PolicyDocument": any}));
    let before = world.cloud.snapshot();
    let changed = but(alone(ROLE, 1), json!({"Description": "new"}));
    assert_eq!(stack.update(&vec![changed]).await, Status::UpdateRollbackFailed, "{}", world.story());
    assert_eq!(world.cloud.snapshot(), before);
    let (reason, _) = world.failure(&world.last_of(RequestType::Update));
    assert!(reason.contains("continue its rollback") && reason.contains("--resources-to-skip"), "{reason}");
    stack
}

#[test]
fn a_role_that_somebody_made_again_by_hand_is_not_the_resource_s_own() {
    world(async |world| {
        let mut stack = made_again_by_hand(world).await;
        // The first way out: delete it, and continue the rollback.
        for policy in ["both", "only-1"] {
            world.someone("DeleteRolePolicy", &json!({"RoleName": "deploy", "PolicyName": policy}));
        }
        let attached = json!({"RoleName": "deploy", "PolicyArn": policy("ReadOnlyAccess")});
        world.someone("DetachRolePolicy", &attached);
        world.someone("DeleteRole", &json!({"RoleName": "deploy"}));
        assert_eq!(stack.continue_rollback(&[]).await, Status::UpdateRollbackComplete, "{}", world.story());
        assert_eq!(owner(&object(world, ROLE).1), (stack.id.clone(), "Role".to_owned()));
    });
    world(async |world| {
        let mut stack = made_again_by_hand(world).await;
        // The second one: keep it, and adopt it.
        let status = stack.continue_rollback(&["Role"]).await;
        assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
        let adopting = but(alone(ROLE, 1), json!({"OnExisting": "Adopt"}));
        assert_eq!(stack.update(&vec![adopting]).await, Status::UpdateComplete, "{}", world.story());
        assert_eq!(owner(&object(world, ROLE).1), (stack.id.clone(), "Role".to_owned()));
    });
}

#[test]
fn an_entry_that_somebody_made_again_by_hand_is_taken_back_as_an_adoption() {
    let made_again = async |world: &World| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ENTRY, 1)]).await, Status::CreateComplete, "{}", world.story());
        let place = json!({"clusterName": "prod", "principalArn": GIVEN_ROLE});
        world.someone("DeleteAccessEntry", &place);
        let mut by_hand = place;
        by_hand["kubernetesGroups"] = json!(["theirs"]);
        world.someone("CreateAccessEntry", &by_hand);
        let status = stack.update(&vec![but(alone(ENTRY, 1), json!({"Username": "new"}))]).await;
        (stack, status)
    };
    world(async |world| {
        let (stack, status) = made_again(world).await;
        assert_eq!(status, Status::UpdateComplete, "{}", world.story());
        let entry = world.cloud.state().account.eks.clusters["prod"].entries[GIVEN_ROLE].clone();
        assert_eq!(entry.tags.get("github-trust:stack-id"), Some(&stack.id));
        assert!(entry.groups.contains(&"group-1".to_owned()), "{entry:?}");
        // The invariants know no adoption.
        lock(&world.ledger).violations.clear();
    });
    without_adoption(async |world| {
        let (_, status) = made_again(world).await;
        assert_eq!(status, Status::UpdateRollbackFailed, "{}", world.story());
        let (reason, _) = world.failure(&world.last_of(RequestType::Update));
        assert!(reason.contains("give it the tag back (guardrail `AllowRoleAdoption`)"), "{reason}");
    });
}
