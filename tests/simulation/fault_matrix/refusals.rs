//! Rows 24 to 26 and 28: quotas, denials, clusters that take no entries, and lists in pages.

use std::time::Duration;

use serde_json::json;

use super::super::account::Snapshot;
use super::super::calls::Call;
use super::super::cloudformation::{RequestType, Status};
use super::super::eks;
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::faults::{At, Fault, When};
use super::super::wire::OTHER_WORDS;
use super::fixtures::{
    GIVEN_ROLE, KINDS, OPERATION, Operation, access, allow, alone, but, everywhere, policy, quiet_day, world,
};

#[test]
fn row_24_a_quota_is_named_with_its_value_and_what_was_made_is_undone() {
    type Arrange = fn(&mut super::super::account::Account);
    let two_policies = json!({"ManagedPolicyArns": [policy("ReadOnlyAccess"), policy("PowerUserAccess")]});
    let cases: [(&str, serde_json::Value, Arrange, &str); 5] = [
        (PROVIDER, json!({}), |account| account.iam.settings.quotas.providers = 1, "iam:CreateOpenIDConnectProvider"),
        (
            ROLE,
            json!({}),
            |account| account.iam.settings.quotas.roles = 1,
            "Cannot exceed quota for RolesPerAccount: 1",
        ),
        (
            ROLE,
            two_policies,
            |account| account.iam.settings.quotas.attached_policies = 1,
            "iam:AttachRolePolicy on deploy passes a quota of the account (LimitExceeded): Cannot exceed quota for PoliciesPerRole: 1",
        ),
        (
            ROLE,
            json!({}),
            |account| account.iam.settings.quotas.trust_policy = 100,
            "passes a quota of the account (LimitExceeded): Cannot exceed quota for ACLSizePerRole: 100",
        ),
        (
            ENTRY,
            json!({}),
            |account| account.eks.settings.entries_per_cluster = 0,
            "Exceeded the limit of 0 access entries per cluster.",
        ),
    ];
    for (kind, change, arrange, expected) in cases {
        world(async |world| {
            let before: Snapshot = world.cloud.snapshot();
            arrange(&mut world.cloud.state().account);
            let mut stack = world.stack("s");
            let status = stack.create(&vec![but(alone(kind, 1), change)]).await;
            assert_eq!(status, Status::RollbackComplete, "{}", world.story());
            let (reason, _) = world.failure(&world.last_of(RequestType::Create));
            assert!(reason.contains("passes a quota of the account") && reason.contains(expected), "{reason}");
            let creations = world.calls_for(&world.sent()[0]);
            assert!(creations.iter().filter(|call| call.action.starts_with("Create")).count() <= 1, "not tried again");
            world.nothing_left_but(&[]).await;
            assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
        });
    }
}

#[test]
fn row_24_a_quota_met_by_an_update_leaves_the_state_of_before() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete);
        let before = world.cloud.snapshot();
        world.cloud.state().account.iam.settings.quotas.attached_policies = 1;
        let more = json!({"ManagedPolicyArns": [policy("ReadOnlyAccess"), policy("PowerUserAccess")]});
        let status = stack.update(&vec![but(alone(ROLE, 2), more)]).await;
        assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
        let update = world.sent().into_iter().find(|sent| sent.kind == RequestType::Update).unwrap();
        assert!(world.failure(&update).0.contains("Cannot exceed quota for PoliciesPerRole: 1"));
        assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
    });
}

#[test]
fn row_25_a_denied_call_is_told_by_action_and_resource_and_made_once() {
    for (kind, operation) in everywhere() {
        let (calls, _) = quiet_day(kind, operation);
        let first_change = calls.iter().find(|call| call.changing).map(|call| call.number);
        // Where there is no entry, what is associated with it does not matter; nor does a look at what has been done.
        let matters = |call: &&Call| {
            // What GitHub denies is told in other words: tests/github/lookup.rs.
            !["s3", "github"].contains(&call.service)
                && (call.changing || Some(call.number) < first_change)
                && (operation != Operation::Create || call.action != "ListAssociatedAccessPolicies")
                // The audiences that a provider takes are a warning only.
                && (kind != ROLE || call.action != "GetOpenIDConnectProvider")
                // What is denied on an object that is new is tried again: row 37.
                && (operation != Operation::Create || Some(call.number) <= first_change)
        };
        for call in calls.iter().filter(matters) {
            world(async |world| {
                let mut stack = world.stack("s");
                operation.prepare(world, &mut stack, kind).await;
                let at = At::OfStep { step: OPERATION, call: call.of_step.1 };
                world.fault(at, When::Before, Fault::AccessDenied);
                let status = operation.perform(&mut stack, kind).await;
                assert_ne!(status, operation.done(), "{call}\n{}", world.story());
                let request = world.sent().into_iter().nth(usize::from(operation != Operation::Create)).unwrap();
                let (reason, _) = world.failure(&request);
                let action = format!("{}:{} on ", call.service, call.action);
                let (property, denied) = reason.split_at(reason.find(&action).unwrap_or_default());
                assert!(denied.starts_with(&action), "{reason}");
                assert!(property.is_empty() || property.starts_with('`') && property.ends_with(": "), "{reason}");
                assert!(
                    reason.contains("was denied: allow it in the policy of the function's role (AccessDenied"),
                    "{reason}"
                );
                let known = [
                    "deploy",
                    "given",
                    "prod",
                    "of stack s",
                    "*",
                    "token.actions.githubusercontent.com",
                    "github-trust/access-entry/",
                ];
                let resource = denied[action.len()..].split(" was denied").next().unwrap();
                assert!(known.iter().any(|name| resource.contains(name)), "{reason}");
                let denied = world.calls_for(&request).into_iter().filter(|call| call.fault.is_some());
                assert_eq!(denied.count(), 1, "{}", world.story());
            });
        }
    }
}

#[test]
fn row_25_a_delete_denied_half_way_fails_and_works_once_allowed() {
    for kind in KINDS {
        let (calls, physical) = quiet_day(kind, Operation::Delete);
        // When all is done it is only seen that it is.
        let last_change = calls.iter().filter(|call| call.changing).map(|call| call.number).max();
        for call in calls.iter().filter(|call| Some(call.number) <= last_change) {
            world(async |world| {
                let mut stack = world.stack("s");
                Operation::Delete.prepare(world, &mut stack, kind).await;
                let at = At::OfStep { step: OPERATION, call: call.of_step.1 };
                world.fault(at, When::Before, Fault::AccessDenied);
                assert_eq!(stack.delete_stack().await, Status::DeleteFailed, "{call}\n{}", world.story());
                let (_, id) = world.failure(&world.last());
                assert_eq!(id, physical, "it can be asked for again");
                assert_eq!(world.ours().len(), 1);
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                world.nothing_left_but(&[]).await;
                assert!(world.ours().is_empty());
            });
        }
    }
}

#[test]
fn row_25_a_failure_half_way_says_what_it_left_behind() {
    let cases = [
        (
            ROLE,
            Operation::Create,
            "AttachRolePolicy",
            "partially applied: role deploy (3 of 4 changes); remaining: attach arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
        (ROLE, Operation::Update, "UpdateAssumeRolePolicy", "changes); remaining: trust ["),
        (ROLE, Operation::Delete, "DeleteRolePolicy", "partially applied: role deploy ("),
        (ROLE, Operation::Delete, "DeleteRole", "changes); remaining: delete the role"),
        (ENTRY, Operation::Create, "AssociateAccessPolicy", "partially applied: access entry arn:"),
        (PROVIDER, Operation::Delete, "DeleteOpenIDConnectProvider", "partially applied: OIDC provider arn:"),
    ];
    for (kind, operation, action, left) in cases {
        world(async |world| {
            let mut stack = world.stack("s");
            operation.prepare(world, &mut stack, kind).await;
            world.fault(At::every(action), When::Before, Fault::AccessDenied);
            operation.perform(&mut stack, kind).await;
            let requests = world.sent();
            let failed =
                requests.iter().find(|sent| sent.verdict.as_ref().is_some_and(|verdict| !verdict.is_success()));
            let (reason, _) = world.failure(failed.expect("a failure"));
            assert!(reason.contains("was denied") && reason.contains(action) && reason.contains(left), "{reason}");
        });
    }
}

#[test]
fn row_26_a_cluster_that_is_being_created_is_waited_for() {
    world(async |world| {
        let ready = Duration::from_mins(9);
        world.cloud.change_now(|account, now| {
            account.eks.add_cluster("prod", "API", eks::Status::Creating, now);
            account.eks.clusters.get_mut("prod").unwrap().becomes = Some((now + ready, Some(eks::Status::Active)));
        });
        let mut stack = world.stack("s");
        assert_eq!(Operation::Create.perform(&mut stack, ENTRY).await, Status::CreateComplete, "{}", world.story());
        assert!(world.cloud.state().clock.elapsed() > ready);
    });
}

#[test]
fn row_26_a_cluster_being_updated_takes_an_entry_as_soon_as_it_can() {
    for (mode, status, lasts) in [
        ("API", eks::Status::Updating, 0),
        // Its mode is what changes.
        ("CONFIG_MAP", eks::Status::Updating, 240),
        ("API", eks::Status::Locked, 30),
    ] {
        world(async |world| {
            world.cloud.change_now(|account, now| {
                account.eks.add_cluster("prod", mode, status, now);
            });
            let before = world.cloud.now();
            let cloud = world.cloud.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_secs(lasts)).await;
                cloud.change_now(|account, _| {
                    let cluster = account.eks.clusters.get_mut("prod").unwrap();
                    cluster.mode = "API_AND_CONFIG_MAP";
                    if lasts > 0 {
                        cluster.status = eks::Status::Active;
                    }
                });
            });
            let mut stack = world.stack("s");
            assert_eq!(Operation::Create.perform(&mut stack, ENTRY).await, Status::CreateComplete, "{}", world.story());
            let waited = world.cloud.now().duration_since(before).unwrap();
            assert!(waited >= Duration::from_secs(lasts), "{mode}: {waited:?}");
        });
    }
}

#[test]
fn row_26_a_cluster_without_access_entries_fails_in_clear_words() {
    let cases = [
        (
            Some(("CONFIG_MAP", eks::Status::Updating)),
            "the EKS cluster \"prod\" was still being updated when the time was up, and had authentication mode CONFIG_MAP, \
             which knows no access entries. Wait for its update, and see that its mode becomes API_AND_CONFIG_MAP or API",
        ),
        (
            Some(("API", eks::Status::Creating)),
            "the EKS cluster \"prod\" was still being created when the time was up. Let this resource depend on the \
             cluster, or raise `ServiceTimeout`",
        ),
        (
            Some(("API", eks::Status::Deleting)),
            "the EKS cluster \"prod\" is DELETING. It takes no access entries any more",
        ),
        (
            Some(("CONFIG_MAP", eks::Status::Active)),
            "the EKS cluster \"prod\" has authentication mode CONFIG_MAP, which knows no access entries. Change it: aws eks \
             update-cluster-config --name prod --access-config authenticationMode=API_AND_CONFIG_MAP",
        ),
        (
            None,
            "`ClusterName`: there is no EKS cluster \"prod\" in this account and region. Check the name and the region of \
             the stack",
        ),
    ];
    for (cluster, expected) in cases {
        world(async |world| {
            world.cloud.change_now(|account, now| match cluster {
                Some((mode, status)) => account.eks.add_cluster("prod", mode, status, now),
                None => drop(account.eks.clusters.remove("prod")),
            });
            let mut stack = world.hasty_stack("s", 120);
            let status = Operation::Create.perform(&mut stack, ENTRY).await;
            assert_eq!(status, Status::RollbackComplete, "{}", world.story());
            let (reason, physical) = world.failure(&world.last_of(RequestType::Create));
            assert_eq!(reason, expected);
            assert!(physical.starts_with("never-created/"), "{physical}");
            assert!(world.calls().iter().all(|call| !call.changing), "{}", world.story());
        });
    }
}

#[test]
fn row_26_a_delete_succeeds_when_the_cluster_is_gone_or_knows_no_entries() {
    for what in ["gone", "config map", "config map, in other words"] {
        world(async |world| {
            let mut stack = world.stack("s");
            assert_eq!(Operation::Create.perform(&mut stack, ENTRY).await, Status::CreateComplete);
            world.cloud.change_now(|account, _| {
                account.garbles = what.ends_with("words").then_some(OTHER_WORDS[0]);
                if what == "gone" {
                    account.eks.clusters.remove("prod");
                } else {
                    account.eks.clusters.get_mut("prod").unwrap().mode = "CONFIG_MAP";
                }
            });
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{what}\n{}", world.story());
        });
    }
}

#[test]
fn row_26_a_cluster_that_refuses_reads_for_a_while_keeps_its_entries() {
    for (operation, lasts, expected) in [
        (Operation::Delete, 30, Status::DeleteComplete),
        (Operation::Update, 30, Status::UpdateComplete),
        (Operation::Delete, 3600, Status::DeleteFailed),
    ] {
        for garbles in [None, Some(OTHER_WORDS[0])] {
            world(async |world| {
                let mut stack = world.stack("s");
                operation.prepare(world, &mut stack, ENTRY).await;
                world.cloud.change_now(|account, now| {
                    account.garbles = garbles;
                    let cluster = account.eks.clusters.get_mut("prod").unwrap();
                    cluster.status = eks::Status::Locked;
                    cluster.becomes = Some((now + Duration::from_secs(lasts), Some(eks::Status::Active)));
                });
                let status = operation.perform(&mut stack, ENTRY).await;
                assert_eq!(status, expected, "{lasts} {garbles:?}: {}", world.story());
                tokio::time::sleep(Duration::from_hours(1)).await;
                if expected == Status::DeleteFailed {
                    assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                }
                assert_eq!(world.ours().len(), operation.leaves(), "{lasts} {garbles:?}: {}", world.story());
            });
        }
    }
}

#[test]
fn row_26_a_delete_succeeds_once_its_cluster_is_gone() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(Operation::Create.perform(&mut stack, ENTRY).await, Status::CreateComplete);
        world.cloud.change_now(|account, now| {
            let cluster = account.eks.clusters.get_mut("prod").unwrap();
            cluster.status = eks::Status::Deleting;
            cluster.becomes = Some((now + Duration::from_mins(6), None));
        });
        assert_eq!(stack.delete_stack().await, Status::DeleteFailed, "{}", world.story());
        let (reason, _) = world.failure(&world.last());
        assert!(reason.contains("The cluster prod is in the DELETING state."), "{reason}");
        tokio::time::sleep(Duration::from_mins(6)).await;
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
    });
}

#[test]
fn row_28_all_pages_of_more_than_a_hundred_associations_are_read() {
    for (page, empty_pages) in [(100, false), (100, true), (7, true), (1, false)] {
        world(async |world| {
            {
                let account = &mut world.cloud.state().account;
                (account.eks.settings.page, account.eks.settings.empty_pages) = (page, empty_pages);
                account.eks.policies.extend((0..120).map(|number| format!("Policy{number}")));
            }
            let mut stack = world.stack("s");
            let last = json!({"AccessPolicies": [access("Policy119", &[])]});
            let template = vec![but(alone(ENTRY, 1), last.clone())];
            assert_eq!(stack.create(&template).await, Status::CreateComplete, "{}", world.story());
            for number in 0..119 {
                let arn = format!("arn:aws:eks::aws:cluster-access-policy/Policy{number}");
                let input = json!({"clusterName": "prod", "principalArn": GIVEN_ROLE, "policyArn": arn, "accessScope": {"type": "cluster"}});
                world.someone("AssociateAccessPolicy", &input);
            }
            let status = stack.update(&vec![but(alone(ENTRY, 2), last)]).await;
            assert_eq!(status, Status::UpdateComplete, "{}", world.story());
            let entry = &world.ours()[0].1;
            let policies: Vec<&String> = entry.facets.keys().filter(|facet| facet.starts_with("policy ")).collect();
            assert_eq!(policies, ["policy arn:aws:eks::aws:cluster-access-policy/Policy119"]);
        });
    }
}

#[test]
fn row_28_all_pages_of_what_hangs_on_a_role_are_read() {
    for (page, empty_pages) in [(100, true), (3, true), (1, false)] {
        world(async |world| {
            {
                let settings = &mut world.cloud.state().account.iam.settings;
                (settings.page, settings.empty_pages) = (page, empty_pages);
                (settings.quotas.attached_policies, settings.quotas.inline_policies) = (20, 100_000);
            }
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete, "{}", world.story());
            for number in 0..110 {
                let document = allow("s3:ListBucket").to_string();
                let name = format!("theirs-{number}");
                world.someone(
                    "PutRolePolicy",
                    &json!({"RoleName": "deploy", "PolicyName": name, "PolicyDocument": document}),
                );
            }
            for number in 0..15 {
                let arn = policy(&format!("Theirs{number}"));
                world.someone("AttachRolePolicy", &json!({"RoleName": "deploy", "PolicyArn": arn}));
            }
            assert_eq!(stack.update(&vec![alone(ROLE, 2)]).await, Status::UpdateComplete, "{}", world.story());
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            let deletions = world.calls().iter().filter(|call| call.action == "DeleteRole").count();
            assert_eq!(deletions, 1, "nothing was overlooked");
            assert!(world.ours().is_empty());
        });
    }
}
