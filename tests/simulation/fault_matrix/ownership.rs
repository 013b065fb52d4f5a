//! Rows 7 to 9 and 13: what is ours, what is not, and what is shared.

use serde_json::{Value, json};

use super::super::account::{Kind, Snapshot};
use super::super::cloudformation::{Declared, RequestType, Status, declared};
use super::super::eks;
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::faults::{At, Fault, When};
use super::fixtures::{
    GIVEN_ISSUER, GIVEN_PROVIDER, GIVEN_ROLE, KINDS, OPERATION, OUR_PROVIDER, Operation, World, alone, but,
    foreign_role, quiet_day, world,
};

/// Somebody else's object where `alone` would make ours.
fn foreign(world: &World, kind: &str) {
    match kind {
        PROVIDER => {
            let url = "https://token.actions.githubusercontent.com";
            let input = json!({"Url": url, "ClientIDList": ["theirs"], "ThumbprintList": ["9".repeat(40)], "Tags": [{"Key": "owner", "Value": "them"}]});
            world.someone("CreateOpenIDConnectProvider", &input);
        }
        ROLE => world.someone("CreateRole", &foreign_role("deploy")),
        _ => {
            let input = json!({"clusterName": "prod", "principalArn": GIVEN_ROLE, "type": "STANDARD", "tags": {"owner": "them"}});
            world.someone("CreateAccessEntry", &input);
        }
    }
}

#[test]
fn row_07_a_failed_create_and_its_delete_leave_what_was_there_before() {
    for kind in KINDS {
        world(async |world| {
            foreign(world, kind);
            let before = world.cloud.snapshot();
            let mut stack = world.stack("s");
            assert_eq!(
                Operation::Create.perform(&mut stack, kind).await,
                Status::RollbackComplete,
                "{}",
                world.story()
            );
            let (_, physical) = world.failure(&world.last_of(RequestType::Create));
            assert!(physical.starts_with("never-created/"), "nothing was made: {physical}");
            assert_eq!(world.last_of(RequestType::Delete).physical, Some(physical));
            assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
        });
    }
}

#[test]
fn row_07_a_create_that_failed_half_way_is_removed_by_its_delete() {
    for kind in [ROLE, ENTRY] {
        let (calls, physical) = quiet_day(kind, Operation::Create);
        let changing = calls.iter().filter(|call| call.changing).skip(1);
        for call in changing {
            world(async |world| {
                let theirs = world.theirs();
                let mut stack = world.stack("s");
                Operation::Create.prepare(world, &mut stack, kind).await;
                world.fault(
                    At::OfStep { step: OPERATION, call: call.of_step.1 },
                    When::Before,
                    super::fixtures::refused(),
                );
                let status = Operation::Create.perform(&mut stack, kind).await;
                assert_eq!(status, Status::RollbackComplete, "{}", world.story());
                assert_eq!(world.failure(&world.last_of(RequestType::Create)).1, physical);
                assert_eq!(world.last_of(RequestType::Delete).physical, Some(physical.clone()));
                world.nothing_left_but(&[]).await;
                assert!(world.ours().is_empty(), "{}", world.story());
                assert_eq!(world.theirs(), theirs);
            });
        }
    }
}

#[test]
fn row_07_a_failed_join_leaves_a_provider_of_others_as_it_was() {
    let sharing = but(alone(PROVIDER, 1), json!({"ThumbprintList": null}));
    for nth in 1..=2 {
        world(async |world| {
            foreign(world, PROVIDER);
            let before = world.cloud.snapshot();
            let at = At::nth("AddClientIDToOpenIDConnectProvider", nth);
            world.fault(at, When::Before, Fault::AccessDenied);
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![sharing.clone()]).await, Status::RollbackComplete, "{}", world.story());
            assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
        });
    }
}

#[test]
fn row_08_a_foreign_role_or_entry_is_refused_and_never_touched() {
    let role = "the role deploy exists already and is not owned by this resource (it carries no owner's tag); it was left \
                untouched. Choose another `RoleName`, or leave it out to get a generated one; a role that nobody owns can be \
                taken over with `OnExisting: Adopt`, and one that another stack let go with `OnExisting: TakeOver`";
    let entry = format!(
        "the access entry of {GIVEN_ROLE} in cluster prod exists already and is not owned by this resource (it carries no \
         owner's tag); it was left untouched. A cluster has one entry for each principal: remove the other declaration, or \
         this one; an entry that nobody owns can be taken over with `OnExisting: Adopt`"
    );
    for (kind, expected) in [(ROLE, role), (ENTRY, entry.as_str())] {
        world(async |world| {
            foreign(world, kind);
            let before = world.cloud.snapshot();
            let mut stack = world.stack("s");
            Operation::Create.perform(&mut stack, kind).await;
            assert_eq!(world.failure(&world.last_of(RequestType::Create)).0, expected);
            // Whatever CloudFormation may ask afterwards, under whatever id.
            for physical in ["deploy".to_owned(), format!("{GIVEN_ROLE}|prod"), "s-Role-1A2B3C4D5E6F7".to_owned()] {
                let mut resource = stack.resources.first().map_or_else(
                    || super::super::cloudformation::Resource {
                        kind: kind.to_owned(),
                        physical: String::new(),
                        properties: alone(kind, 1).properties,
                        attributes: Value::Null,
                    },
                    |(_, resource)| resource.clone(),
                );
                resource.physical = physical;
                let answer = stack.send(RequestType::Delete, &alone(kind, 1), Some(&resource)).await;
                assert!(answer.success, "{}", world.story());
            }
            assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
        });
    }
}

#[test]
fn row_08_what_another_stack_owns_is_refused_and_its_owner_named() {
    for kind in [ROLE, ENTRY] {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            assert_eq!(Operation::Create.perform(&mut one, kind).await, Status::CreateComplete);
            let before = world.cloud.snapshot();
            assert_eq!(Operation::Create.perform(&mut two, kind).await, Status::RollbackComplete, "{}", world.story());
            let (reason, _) = world.failure(&world.last_of(RequestType::Create));
            let owner = format!("(it belongs to {} of {})", super::fixtures::logical(kind), one.id);
            assert!(reason.contains(&owner) && reason.contains("it was left untouched"), "{reason}");
            assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
            world.nothing_left_but(&[&one]).await;
        });
    }
}

#[test]
fn row_08_a_provider_of_others_is_shared_and_given_back_as_it_was() {
    world(async |world| {
        foreign(world, PROVIDER);
        let before = world.cloud.snapshot();
        let mut stack = world.stack("s");
        let sharing = but(alone(PROVIDER, 1), json!({"ThumbprintList": null}));
        assert_eq!(stack.create(&vec![sharing]).await, Status::CreateComplete, "{}", world.story());
        let shared = world.cloud.snapshot();
        let (_, provider) = shared.objects.iter().find(|(id, _)| id.name == OUR_PROVIDER).unwrap();
        assert!(provider.facets.contains_key("client id id-1") && provider.facets.contains_key("client id theirs"));
        assert!(provider.facets.keys().any(|facet| facet.starts_with("tag github-trust:owner:")), "it is recorded");
        assert!(!provider.facets.contains_key("tag github-trust:made-by"), "and not claimed");
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
    });
    world(async |world| {
        foreign(world, PROVIDER);
        Operation::Create.perform(&mut world.stack("s"), PROVIDER).await;
        let (reason, _) = world.failure(&world.last_of(RequestType::Create));
        let expected = format!(
            "the provider of https://token.actions.githubusercontent.com was made by somebody else and has other \
             thumbprints ({}) than `ThumbprintList`. Leave `ThumbprintList` out to share the provider as it is, or, if this function made it, \
             put the tag `github-trust:made-by` back that it has lost",
            "9".repeat(40)
        );
        assert_eq!(reason, expected);
    });
}

fn provider(own: &str) -> Declared {
    declared("Provider", PROVIDER, json!({"ClientIdList": ["sts.amazonaws.com", own]}))
}

fn client_ids(snapshot: &Snapshot) -> Vec<String> {
    let provider = snapshot.objects.iter().find(|(id, _)| id.name == OUR_PROVIDER);
    let ids = provider.into_iter().flat_map(|(_, provider)| provider.facets.keys());
    ids.filter_map(|facet| facet.strip_prefix("client id ")).map(str::to_owned).collect()
}

#[test]
fn row_09_a_leaving_stack_takes_its_own_and_the_last_the_provider() {
    for first_to_go in ["one", "two"] {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            assert_eq!(one.create(&vec![provider("one")]).await, Status::CreateComplete);
            assert_eq!(two.create(&vec![provider("two")]).await, Status::CreateComplete, "{}", world.story());
            assert_eq!(client_ids(&world.cloud.snapshot()), ["one", "sts.amazonaws.com", "two"]);
            let (mut goes, mut stays) = if first_to_go == "one" { (one, two) } else { (two, one) };
            assert_eq!(goes.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            let mut left = vec![stays.name.clone(), "sts.amazonaws.com".to_owned()];
            left.sort();
            assert_eq!(client_ids(&world.cloud.snapshot()), left, "{}", world.story());
            assert_eq!(stays.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            assert!(world.ours().is_empty(), "{}", world.story());
        });
    }
}

#[test]
fn row_09_two_stacks_that_leave_a_shared_provider_at_once_leave_nothing() {
    for (seconds, lag) in [0, 1, 30, 59, 61, 130, 200].into_iter().flat_map(|seconds| [(seconds, 0), (seconds, 60)]) {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            one.create(&vec![provider("one")]).await;
            two.create(&vec![provider("two")]).await;
            tokio::time::sleep(std::time::Duration::from_mins(2)).await;
            world.cloud.state().account.iam.settings.change_lag = std::time::Duration::from_secs(lag);
            let later = async {
                tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
                two.delete_stack().await
            };
            let (a, b) = tokio::join!(one.delete_stack(), later);
            assert_eq!((a, b), (Status::DeleteComplete, Status::DeleteComplete), "{}", world.story());
            world.nothing_left_but(&[]).await;
            assert!(world.ours().is_empty(), "{seconds} s, lag {lag} s: {}", world.story());
        });
    }
}

#[test]
fn row_09_two_stacks_that_leave_at_once_give_a_provider_back() {
    world(async |world| {
        foreign(world, PROVIDER);
        let before = world.theirs();
        let (mut one, mut two) = (world.stack("one"), world.stack("two"));
        one.create(&vec![provider("ours")]).await;
        two.create(&vec![provider("ours")]).await;
        let (a, b) = tokio::join!(one.delete_stack(), two.delete_stack());
        assert_eq!((a, b), (Status::DeleteComplete, Status::DeleteComplete), "{}", world.story());
        assert_eq!(world.theirs(), before, "{}", world.story());
    });
}

#[test]
fn row_09_a_stack_that_joins_while_the_last_one_leaves_has_its_provider() {
    for seconds in [0, 1, 2, 30, 70, 120, 135, 160] {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            one.create(&vec![provider("one")]).await;
            let joins = async {
                tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
                two.create(&vec![provider("two")]).await
            };
            let (left, joined) = tokio::join!(one.delete_stack(), joins);
            assert_eq!((left, joined), (Status::DeleteComplete, Status::CreateComplete), "{}", world.story());
            world.nothing_left_but(&[&two]).await;
            assert!(client_ids(&world.cloud.snapshot()).contains(&"two".to_owned()), "{}", world.story());
        });
    }
}

#[test]
fn row_09_the_last_owner_leaves_a_provider_that_a_role_still_trusts() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![provider("id")]).await, Status::CreateComplete);
        let mut theirs = foreign_role("theirs");
        let trust = theirs["AssumeRolePolicyDocument"].as_str().unwrap();
        theirs["AssumeRolePolicyDocument"] =
            json!(trust.replace("githubusercontent.com/octo", "githubusercontent.com"));
        world.someone("CreateRole", &theirs);
        let status = stack.delete_stack().await;
        let left = world.ours();
        assert!(left.iter().any(|(id, _)| id.name == OUR_PROVIDER), "{status:?}\n{}", world.story());
        assert!(
            left[0].1.facets.keys().all(|facet| !facet.starts_with("tag github-trust:owner:")),
            "nobody owns it: {left:?}"
        );
    });
}

#[test]
fn row_13_a_replacement_keeps_the_new_object_and_removes_the_old_one() {
    let cases = [
        (PROVIDER, json!({"Url": "https://token.actions.githubusercontent.com/acme"})),
        (ROLE, json!({"RoleName": "deploy-2"})),
        (ROLE, json!({"RoleName": null})),
        (ENTRY, json!({"PrincipalArn": "arn:aws:iam::111122223333:role/given-2"})),
        (ENTRY, json!({"ClusterName": "stage"})),
    ];
    for (kind, change) in cases {
        world(async |world| {
            world.someone("CreateRole", &foreign_role("given-2"));
            world.cloud.change_now(|account, now| account.eks.add_cluster("stage", "API", eks::Status::Active, now));
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
            let old = stack.resources[0].1.physical.clone();
            assert_eq!(
                stack.update(&vec![but(alone(kind, 2), change)]).await,
                Status::UpdateComplete,
                "{}",
                world.story()
            );
            let delete = world.last_of(RequestType::Delete);
            assert_eq!(delete.physical, Some(old.clone()));
            assert_ne!(stack.resources[0].1.physical, old);
            world.nothing_left_but(&[&stack]).await;
            assert_eq!(world.ours().len(), 1, "{}", world.story());
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            assert!(world.ours().is_empty());
        });
    }
}

#[test]
fn row_13_names_that_differ_in_case_are_two_where_aws_has_two() {
    let cases = [
        (
            PROVIDER,
            json!({"Url": GIVEN_ISSUER.replace("octo", "acme")}),
            json!({"Url": GIVEN_ISSUER.replace("octo", "ACME")}),
        ),
        (ENTRY, json!({}), json!({"ClusterName": "Prod"})),
    ];
    for (kind, before, after) in cases {
        world(async |world| {
            world.cloud.change_now(|account, now| account.eks.add_cluster("Prod", "API", eks::Status::Active, now));
            let mut stack = world.stack("s");
            assert_eq!(
                stack.create(&vec![but(alone(kind, 1), before)]).await,
                Status::CreateComplete,
                "{}",
                world.story()
            );
            assert_eq!(
                stack.update(&vec![but(alone(kind, 1), after)]).await,
                Status::UpdateComplete,
                "{}",
                world.story()
            );
            assert_eq!(world.last_of(RequestType::Delete).resource_type, kind, "the old one went");
            world.nothing_left_but(&[&stack]).await;
            let ours = world.ours();
            assert_eq!(ours.len(), 1, "{}", world.story());
            assert!(ours[0].0.name.contains("ACME") || ours[0].0.name.contains("Prod"), "{}", world.story());
        });
    }
}

#[test]
fn row_13_a_role_s_name_in_another_case_is_refused_and_the_role_stays() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
        let before = world.cloud.snapshot();
        let status = stack.update(&vec![but(alone(ROLE, 2), json!({"RoleName": "Deploy"}))]).await;
        assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
        let update = world.sent().into_iter().find(|sent| sent.kind == RequestType::Update).unwrap();
        let (reason, physical) = world.failure(&update);
        assert_eq!(physical, "deploy");
        assert_eq!(
            reason,
            "the name of deploy cannot be changed from \"deploy\" to \"Deploy\" in place. AWS takes both for the same \
             name; choose one that differs in more than case"
        );
        assert_eq!(world.cloud.snapshot(), before);
        assert!(world.sent().iter().all(|sent| sent.kind != RequestType::Delete), "nobody was told to delete it");
        world.nothing_left_but(&[&stack]).await;
        assert_eq!(world.ours().iter().filter(|(id, _)| id.kind == Kind::Role).count(), 1);
        assert!(world.theirs().objects.keys().any(|id| id.name == GIVEN_PROVIDER));
    });
}
