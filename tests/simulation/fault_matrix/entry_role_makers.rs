//! Row 27, too: the resource that made a role again. An entry follows it, and no other role of the name.

use serde_json::{Value, json};

use super::super::account::Kind;
use super::super::cloudformation::Status;
use super::super::expected_state::{ENTRY, ROLE};
use super::super::faults::{At, Fault, When};
use super::super::iam::Role;
use super::super::lambda::Ended;
use super::super::stack::Stack;
use super::super::wire::Refusal;
use super::entry_recreation::{HOUR, run};
use super::fixtures::{World, alone, but, foreign_role, world};

const OUR_ROLE: &str = "arn:aws:iam::111122223333:role/deploy";

/// Returns true if EKS binds the entry of our role to the role that is there.
fn is_bound(world: &World) -> bool {
    let objects = world.cloud.snapshot().objects;
    let role = objects.keys().find(|id| id.kind == Kind::Role && id.name == "deploy").expect("the role");
    let entry = objects.iter().find(|(id, _)| id.kind == Kind::Entry && id.name.contains(OUR_ROLE)).expect("the entry");
    entry.1.facets.get("bound to") == Some(&role.serial)
}

#[test]
fn row_27_an_entry_is_made_again_for_the_stack_that_made_its_role() {
    for (is_same, is_known) in [(true, true), (true, false), (false, true)] {
        world(async |world| {
            let (mut team, mut cluster) = (world.stack("team"), world.stack("cluster"));
            let entry = but(alone(ENTRY, 1), json!({"PrincipalArn": OUR_ROLE}));
            assert_eq!(team.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete, "{}", world.story());
            assert_eq!(cluster.create(&vec![entry.clone()]).await, Status::CreateComplete, "{}", world.story());
            assert_eq!(team.delete_stack().await, Status::DeleteComplete);
            tokio::time::sleep(HOUR).await;
            let mut next = world.stack(if is_same { "team" } else { "evil" });
            assert_eq!(next.create(&vec![alone(ROLE, 2)]).await, Status::CreateComplete, "{}", world.story());
            if !is_known {
                forget_maker(world, &next);
            }
            tokio::time::sleep(HOUR).await;
            let ended = run(world).await;
            assert_eq!(is_bound(world), is_same && is_known, "{ended:?}: {}", world.story());
            if is_same {
                return;
            }
            let again = but(entry.clone(), json!({"ServiceTimeout": 600}));
            assert_eq!(cluster.update(&vec![again]).await, Status::UpdateRollbackComplete, "{}", world.story());
            let whose = "the principal is the role of eu-west-1/evil/Role now, and does not get the entry";
            assert!(world.story().contains(whose) && !is_bound(world), "{}", world.story());
            let adopting = but(entry.clone(), json!({"OnExisting": "Adopt"}));
            assert_eq!(cluster.update(&vec![adopting]).await, Status::UpdateRollbackComplete, "{}", world.story());
            let asked = but(entry, json!({"RoleId": role_id(world)}));
            assert_eq!(cluster.update(&vec![asked]).await, Status::UpdateComplete, "{}", world.story());
            assert!(is_bound(world), "{}", world.story());
        });
    }
}

/// An ordinary user has made the role with the tags of a resource.
fn forget_maker(world: &World, stack: &Stack) {
    let now = world.cloud.now();
    world.cloud.state().account.stacks.set_current((&stack.id, "Role"), "another", now);
}

fn role_id(world: &World) -> String {
    world.cloud.state().account.iam.roles.primary("deploy").expect("the role").id.clone()
}

#[test]
fn row_27_an_entry_of_a_role_made_by_hand_follows_a_declared_id_only() {
    world(async |world| {
        let mut stack = world.stack("s");
        world.someone("CreateRole", &foreign_role("deploy"));
        let entry = |more: Value| vec![but(but(alone(ENTRY, 1), json!({"PrincipalArn": OUR_ROLE})), more)];
        assert_eq!(stack.create(&entry(json!({}))).await, Status::CreateComplete, "{}", world.story());
        tokio::time::sleep(HOUR).await;
        world.someone("DeleteRole", &json!({"RoleName": "deploy"}));
        world.someone("CreateRole", &foreign_role("deploy"));
        tokio::time::sleep(HOUR).await;
        let Ended::Returned(Err(reason)) = run(world).await else { panic!("{}", world.story()) };
        let words = "was made for a role that is gone; the principal is a role that was made by hand now, and does not get \
                     the entry. If it is meant for this role, declare `RoleId: AROA";
        assert!(reason.contains(words) && !is_bound(world), "{reason}");
        let changed = entry(json!({"ServiceTimeout": 600}));
        assert_eq!(stack.update(&changed).await, Status::UpdateRollbackComplete, "{}", world.story());
        let other = entry(json!({"RoleId": "AROAEXAMPLE"}));
        assert_eq!(stack.update(&other).await, Status::UpdateRollbackComplete, "{}", world.story());
        assert!(world.story().contains("the template AROAEXAMPLE") && !is_bound(world), "{}", world.story());
        let declared = entry(json!({"RoleId": role_id(world)}));
        assert_eq!(stack.update(&declared).await, Status::UpdateComplete, "{}", world.story());
        assert!(is_bound(world), "{}", world.story());
    });
}

fn our_entry(more: Value) -> Vec<super::super::cloudformation::Declared> {
    vec![but(but(alone(ENTRY, 1), json!({"PrincipalArn": OUR_ROLE})), more)]
}

fn our_role(world: &World) -> Role {
    world.cloud.state().account.iam.roles.primary("deploy").expect("the role").as_ref().clone()
}

#[test]
fn row_27_an_entry_does_not_follow_a_role_with_copied_tags() {
    for is_retained in [false, true] {
        world(async |world| {
            let (mut team, mut cluster) = (world.stack("team"), world.stack("cluster"));
            assert_eq!(team.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete, "{}", world.story());
            assert_eq!(cluster.create(&our_entry(json!({}))).await, Status::CreateComplete, "{}", world.story());
            tokio::time::sleep(HOUR).await;
            let tags: Vec<Value> =
                our_role(world).tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            if is_retained {
                let now = world.cloud.now();
                world.cloud.state().account.stacks.skip((&team.id, "Role"), now);
            }
            remove(world);
            let mut theirs = foreign_role("deploy");
            theirs["Tags"] = json!(tags);
            world.someone("CreateRole", &theirs);
            tokio::time::sleep(HOUR).await;
            let Ended::Returned(Err(reason)) = run(world).await else { panic!("{}", world.story()) };
            assert!(
                reason.contains("the principal is a role that was made by hand now") && !is_bound(world),
                "{reason}"
            );
        });
    }
}

/// Somebody deletes our role.
fn remove(world: &World) {
    let Role { attached, inline, .. } = our_role(world);
    for policy in attached {
        world.someone("DetachRolePolicy", &json!({"RoleName": "deploy", "PolicyArn": policy}));
    }
    for policy in inline.keys() {
        world.someone("DeleteRolePolicy", &json!({"RoleName": "deploy", "PolicyName": policy}));
    }
    world.someone("DeleteRole", &json!({"RoleName": "deploy"}));
}

#[test]
fn row_27_an_entry_with_a_declared_id_follows_no_maker() {
    world(async |world| {
        let (mut team, mut cluster) = (world.stack("team"), world.stack("cluster"));
        assert_eq!(team.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete, "{}", world.story());
        let pinned = our_entry(json!({"RoleId": role_id(world)}));
        assert_eq!(cluster.create(&pinned).await, Status::CreateComplete, "{}", world.story());
        assert_eq!(team.delete_stack().await, Status::DeleteComplete);
        tokio::time::sleep(HOUR).await;
        let mut again = world.stack("team");
        assert_eq!(again.create(&vec![alone(ROLE, 2)]).await, Status::CreateComplete, "{}", world.story());
        tokio::time::sleep(HOUR).await;
        assert!(matches!(run(world).await, Ended::Returned(Err(_))) && !is_bound(world), "{}", world.story());
        let next = our_entry(json!({"RoleId": role_id(world)}));
        assert_eq!(cluster.update(&next).await, Status::UpdateComplete, "{}", world.story());
        assert!(is_bound(world), "{}", world.story());
    });
}

/// The update deletes the entry, and cannot make it again. Its rollback names the former role.
#[test]
fn row_27_a_rollback_to_a_former_id_makes_the_entry_that_was_begun() {
    world(async |world| {
        let mut cluster = world.stack("cluster");
        world.someone("CreateRole", &foreign_role("deploy"));
        let former = our_entry(json!({"RoleId": role_id(world)}));
        assert_eq!(cluster.create(&former).await, Status::CreateComplete, "{}", world.story());
        tokio::time::sleep(HOUR).await;
        world.someone("DeleteRole", &json!({"RoleName": "deploy"}));
        world.someone("CreateRole", &foreign_role("deploy"));
        tokio::time::sleep(HOUR).await;
        let no_room = Refusal::new("ResourceLimitExceededException", 400, "Too many access entries");
        world.fault(At::nth("CreateAccessEntry", 1), When::Before, Fault::Refuse(no_room));
        let next = our_entry(json!({"RoleId": role_id(world)}));
        assert_eq!(cluster.update(&next).await, Status::UpdateRollbackComplete, "{}", world.story());
        assert!(is_bound(world), "{}", world.story());
    });
}
