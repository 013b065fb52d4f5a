//! Objects that were made by hand are adopted within the guardrails, and given back as they were found.

use std::time::Duration;

use serde_json::{Value, json};

use super::{attach, aws, by_hand, declare, forget_violations, make_role, outcome, policy, put, role_named};
use crate::guardrails::{BOUNDARY, ENTRY, Place, deployed, role};
use crate::simulation::account::{ACCOUNT, PARTITION};
use crate::simulation::author::Author;
use crate::simulation::iam::Role;

const ALLOWED: [(&str, &str); 3] =
    [("ALLOW_ROLE_ADOPTION", "true"), ("ROLE_PATH", "/"), ("ALLOW_INLINE_POLICIES", "Always")];

fn trust_of_others() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "sts:AssumeRole"},
    ]})
}

fn adopting(changes: Value) -> Value {
    let mut properties = role(json!({"Path": "/", "PermissionsBoundary": null, "OnExisting": "Adopt"}));
    let Value::Object(changes) = changes else { panic!("changes are members") };
    properties.as_object_mut().unwrap().extend(changes);
    properties
}

/// The parts of a role that people see, without its tags of ours.
fn shown(role: &Role) -> Value {
    let trust: Value = serde_json::from_str(&role.trust).unwrap();
    let inline: Vec<Value> = role.inline.values().map(|text| serde_json::from_str(text).unwrap()).collect();
    let names: Vec<&String> = role.inline.keys().collect();
    json!({"trust": trust, "description": role.description, "session": role.max_session, "boundary": role.boundary,
           "managed": role.attached, "names": names, "inline": inline, "tags": role.tags})
}

#[test]
fn a_role_that_would_keep_what_guardrails_forbid_is_not_adopted() {
    type Change = fn(&Place);
    let forbidden: [(Change, &str); 4] = [
        (|place| attach(place, "deploy", "AdministratorAccess"), "AdministratorAccess is forbidden"),
        (|place| attach(place, "deploy", "ReadOnlyAccess"), "`AllowedManagedPolicies`"),
        (|place| put(place, "deploy", "all", &policy("*", 1)), "`AllowInlinePolicies`"),
        (
            |place| {
                let long = json!({"RoleName": "deploy", "MaxSessionDuration": 43200});
                by_hand(place, "UpdateRole", &long);
            },
            "`MaxSessionDuration`",
        ),
    ];
    for (make, expected) in forbidden {
        deployed(&ALLOWED[..2], async |place| {
            make_role(place, "deploy", &trust_of_others());
            make(place);
            let before = role_named(place, "deploy");
            let reason = declare(place, "Create", adopting(json!({})), None).await.expect_err(expected);
            assert!(reason.contains(expected) && reason.contains("adopted"), "{reason}");
            assert_eq!(role_named(place, "deploy"), before);
            assert_eq!(place.calls().1, 0, "{}", place.cloud.story());
        });
    }
}

#[test]
fn an_adopted_role_is_given_back_as_it_was_found() {
    deployed(&ALLOWED, async |place| {
        make_role(place, "deploy", &trust_of_others());
        attach(place, "deploy", "SecurityAudit");
        attach(place, "deploy", "AmazonS3ReadOnlyAccess");
        put(place, "deploy", "deploy", &policy("s3:GetObject", 10));
        put(place, "deploy", "theirs", &policy("s3:ListBucket", 10));
        let found = role_named(place, "deploy");
        let declared = adopting(json!({
            "Description": "ours", "MaxSessionDuration": 3600, "PermissionsBoundary": BOUNDARY,
            "ManagedPolicyArns": [aws("SecurityAudit"), aws("job-function/ViewOnlyAccess")],
            "Policies": [{"PolicyName": "deploy", "PolicyDocument": policy("s3:PutObject", 10)},
                         {"PolicyName": "new", "PolicyDocument": policy("s3:PutObject", 20)}],
            "Tags": [{"Key": "team", "Value": "b"}, {"Key": "new", "Value": "x"}],
        }));
        let fewer = adopting(json!({"Policies": [{"PolicyName": "theirs", "PolicyDocument": policy("s3:Get*", 1)}]}));
        for updates in [vec![], vec![fewer.clone()], vec![fewer, declared.clone()]] {
            declare(place, "Create", declared.clone(), None).await.unwrap();
            assert_ne!(shown(&role_named(place, "deploy")), shown(&found));
            let mut last = declared.clone();
            for update in updates {
                declare(place, "Update", update.clone(), Some("deploy")).await.unwrap();
                last = update;
            }
            declare(place, "Delete", last, Some("deploy")).await.unwrap();
            assert_eq!(shown(&role_named(place, "deploy")), shown(&found), "{}", place.cloud.story());
        }
        forget_violations(place);
    });
}

#[test]
fn a_role_whose_former_state_has_no_room_in_its_tags_is_not_adopted() {
    deployed(&ALLOWED, async |place| {
        make_role(place, "deploy", &trust_of_others());
        put(place, "deploy", "deploy", &policy("s3:GetObject", 9000));
        let before = role_named(place, "deploy");
        let document = json!([{"PolicyName": "deploy", "PolicyDocument": policy("s3:PutObject", 10)}]);
        let reason =
            declare(place, "Create", adopting(json!({"Policies": document})), None).await.expect_err("no room");
        assert!(reason.contains("tags") && reason.contains("given back"), "{reason}");
        assert_eq!(role_named(place, "deploy"), before);
        forget_violations(place);
    });
}

#[test]
fn an_adopted_role_keeps_room_in_its_tags_for_its_former_state() {
    deployed(&ALLOWED, async |place| {
        make_role(place, "deploy", &trust_of_others());
        put(place, "deploy", "deploy", &policy("s3:GetObject", 9000));
        declare(place, "Create", adopting(json!({})), None).await.unwrap();
        let before = role_named(place, "deploy");
        let document = json!([{"PolicyName": "deploy", "PolicyDocument": policy("s3:PutObject", 10)}]);
        let more = adopting(json!({"Policies": document}));
        let reason = declare(place, "Update", more, Some("deploy")).await.expect_err("no room");
        assert!(reason.starts_with("the role deploy cannot be changed: with its former state"), "{reason}");
        assert_eq!(role_named(place, "deploy"), before);
        forget_violations(place);
    });
}

fn principal() -> String {
    format!("arn:{PARTITION}:iam::{ACCOUNT}:role/deploy")
}

fn entry(changes: Value) -> Value {
    let mut properties = json!({"ClusterName": "prod", "PrincipalArn": principal(), "OnExisting": "Adopt"});
    let Value::Object(changes) = changes else { panic!("changes are members") };
    properties.as_object_mut().unwrap().extend(changes);
    properties
}

/// Makes an entry by hand.
fn make_entry(place: &Place, policy: &str, group: &str) {
    make_role(place, "deploy", &trust_of_others());
    place.cloud.change_now(|account, now| {
        let mut on_eks =
            |action: &str, input: &Value| account.eks_as(&Author::Someone, now, action, input).map(drop).unwrap();
        let created = json!({"clusterName": "prod", "principalArn": principal(), "kubernetesGroups": [group],
                             "username": "hand", "tags": {"Team": "a"}});
        on_eks("CreateAccessEntry", &created);
        let arn = format!("arn:aws:eks::aws:cluster-access-policy/{policy}");
        let associated = json!({"clusterName": "prod", "principalArn": principal(), "policyArn": arn,
                                "accessScope": {"type": "cluster"}});
        on_eks("AssociateAccessPolicy", &associated);
    });
}

fn shown_entry(place: &Place) -> String {
    let state = place.cloud.state();
    let entry = state.account.eks.clusters["prod"].entries[&principal()].clone();
    format!("{} {:?} {:?} {:?}", entry.username, entry.groups, entry.policies.keys(), entry.tags)
}

#[test]
fn an_entry_that_would_keep_what_guardrails_forbid_is_not_adopted() {
    let subjects = "team-*,hand";
    for (policy, group, subjects, expected) in [
        ("AmazonEKSClusterAdminPolicy", "team-a", subjects, "`AllowClusterAdmin`"),
        ("AmazonEKSViewPolicy", "platform-admins", subjects, "`AllowedKubernetesSubjects`"),
        ("AmazonEKSViewPolicy", "team-a", "team-*", "`Username`: hand is not one of team-*"),
    ] {
        let variables = [ALLOWED[0], ("ALLOWED_KUBERNETES_SUBJECTS", subjects)];
        deployed(&variables, async |place| {
            make_entry(place, policy, group);
            let before = shown_entry(place);
            let answer = place.create(ENTRY, entry(json!({}))).await;
            let reason = outcome(&answer).expect_err("a refusal");
            assert!(reason.contains(expected) && reason.contains("adopted"), "{reason}");
            assert_eq!(shown_entry(place), before);
        });
    }
}

#[test]
fn an_entry_of_a_node_is_adopted_as_one_only_and_by_its_guardrail() {
    for (declared, expected) in
        [(json!({"Type": "EC2_LINUX"}), "(guardrail `AllowClusterAdmin`)"), (json!({}), "`Type` of the entry of")]
    {
        deployed(&ALLOWED[..1], async |place| {
            make_role(place, "deploy", &trust_of_others());
            let node = json!({"clusterName": "prod", "principalArn": principal(), "type": "EC2_LINUX"});
            place.someone("CreateAccessEntry", &node);
            let before = shown_entry(place);
            let answer = place.create(ENTRY, entry(declared.clone())).await;
            let reason = outcome(&answer).expect_err("a refusal");
            assert!(reason.contains(expected), "{reason}");
            assert_eq!(shown_entry(place), before);
        });
    }
}

#[test]
fn an_adopted_entry_is_given_back_as_it_was_found() {
    deployed(&ALLOWED, async |place| {
        make_entry(place, "AmazonEKSViewPolicy", "team-a");
        let found = shown_entry(place);
        let declared = entry(json!({"KubernetesGroups": ["team-b"], "Username": "ours", "AccessPolicies": [],
                                    "Tags": [{"Key": "Team", "Value": "b"}, {"Key": "new", "Value": "x"}]}));
        let fewer = entry(json!({}));
        let id = format!("{}|prod", principal());
        for updates in [vec![], vec![fewer.clone()], vec![fewer, declared.clone()]] {
            outcome(&place.create(ENTRY, declared.clone()).await).unwrap();
            assert_ne!(shown_entry(place), found);
            for update in updates {
                outcome(&place.request("Update", ENTRY, update, Some(&id)).await).unwrap();
            }
            outcome(&place.request("Delete", ENTRY, declared.clone(), Some(&id)).await).unwrap();
            assert_eq!(shown_entry(place), found, "{}", place.cloud.story());
        }
        forget_violations(place);
    });
}

/// Makes the role of an entry anew, with another id.
fn make_role_again(place: &Place) -> String {
    by_hand(place, "DeleteRole", &json!({"RoleName": "deploy"}));
    make_role(place, "deploy", &trust_of_others());
    role_named(place, "deploy").id
}

#[test]
fn an_adopted_entry_that_follows_another_role_goes_with_its_stack() {
    let variables = [ALLOWED[0], ("ALLOWED_KUBERNETES_SUBJECTS", "team-*")];
    for is_adopted_first in [false, true] {
        deployed(&variables, async |place| {
            make_entry(place, "AmazonEKSViewPolicy", "cluster-admins");
            let id = format!("{}|prod", principal());
            let allowed = json!({"KubernetesGroups": ["team-b"], "Username": "team-b", "AccessPolicies": []});
            if is_adopted_first {
                outcome(&place.create(ENTRY, entry(allowed.clone())).await).unwrap();
            }
            tokio::time::sleep(Duration::from_hours(1)).await;
            let mut declared = entry(allowed);
            declared["RoleId"] = json!(make_role_again(place));
            let answer = if is_adopted_first {
                place.request("Update", ENTRY, declared.clone(), Some(&id)).await
            } else {
                place.create(ENTRY, declared.clone()).await
            };
            outcome(&answer).unwrap();
            let shown = shown_entry(place);
            assert!(shown.contains("team-b") && !shown.contains("github-trust:adopted"), "{shown}");
            outcome(&place.request("Delete", ENTRY, declared, Some(&id)).await).unwrap();
            let left = place.cloud.state().account.eks.clusters["prod"].entries.contains_key(&principal());
            assert!(!left, "{}", place.cloud.story());
            forget_violations(place);
        });
    }
}

#[test]
fn a_role_is_released_also_where_guardrails_became_stricter() {
    deployed(&ALLOWED, async |place| {
        make_role(place, "deploy", &trust_of_others());
        attach(place, "deploy", "SecurityAudit");
        declare(place, "Create", adopting(json!({"ManagedPolicyArns": [aws("SecurityAudit")]})), None).await.unwrap();
        let bounded = adopting(json!({"PermissionsBoundary": BOUNDARY}));
        declare(place, "Update", bounded.clone(), Some("deploy")).await.unwrap();
        assert!(role_named(place, "deploy").attached.is_empty());
        for action in ["iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary"] {
            place.cloud.state().account.authorization.denied.push(action);
        }
        declare(place, "Delete", bounded, Some("deploy")).await.unwrap();
        let told = place.log.text().matches("a part of an adopted role could not be given back").count();
        assert_eq!(told, 2, "{}", place.log.text());
        let role = role_named(place, "deploy");
        assert_eq!(role.boundary.as_deref(), Some(BOUNDARY));
        assert!(role.tags.keys().all(|key| !key.starts_with("github-trust:")), "{:?}", role.tags);
        assert!(role.attached.is_empty());
        forget_violations(place);
    });
}
