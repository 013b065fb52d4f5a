//! Mistakes are answered with the place and the remedy.

use std::time::Duration;

use serde_json::{Value, json};

use super::{declare, make_role, outcome};
use crate::guardrails::{BOUNDARY, ENTRY, PROVIDER, Place, ROLE, deployed, role};
use crate::simulation::account::{ACCOUNT, PARTITION};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::wire::Refusal;

fn with(changes: Value) -> Value {
    let mut properties = role(json!({"PermissionsBoundary": null}));
    let Value::Object(changes) = changes else { panic!("changes are members") };
    properties.as_object_mut().unwrap().extend(changes);
    properties
}

async fn reason(place: &mut Place, properties: Value) -> String {
    declare(place, "Create", properties, None).await.expect_err("a mistake")
}

#[test]
fn a_policy_text_with_a_key_twice_is_refused_with_its_place() {
    let twice = r#"{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {
        "StringEquals": {"aws:PrincipalOrgID": "o-1"}, "StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}]}"#;
    deployed(&[("ALLOW_INLINE_POLICIES", "Always")], async |place| {
        let policies = json!([{"PolicyName": "p", "PolicyDocument": twice}]);
        let reason = reason(place, with(json!({"Policies": policies}))).await;
        assert!(reason.contains("`Policies[0].PolicyDocument`"), "{reason}");
        assert!(reason.contains("`Statement[0].Condition.StringEquals` twice"), "{reason}");
        let broken = json!([{"PolicyName": "p", "PolicyDocument": "{\"Statement\": [}"}]);
        let reason = declare(place, "Create", with(json!({"Policies": broken})), None).await.expect_err("no JSON");
        assert!(reason.contains("`Policies[0].PolicyDocument`") && reason.contains("line 1 column"), "{reason}");
    });
}

#[test]
fn a_principal_that_is_not_there_is_answered_soon_with_the_nearest() {
    let entry = |principal: &str| json!({"ClusterName": "prod", "PrincipalArn": principal});
    let arn = |rest: &str| format!("arn:{PARTITION}:iam::{ACCOUNT}:{rest}");
    for (principal, nearest) in [
        (arn("role/deploy"), Some(arn("role/ci/deploy"))),
        (arn("role/ci/Deploy"), Some(arn("role/ci/deploy"))),
        (arn("role/ci/deplyo"), Some(arn("role/ci/deploy"))),
        (arn("role/other"), None),
        (arn("user/alice"), Some(arn("user/people/alice"))),
        (arn("user/people/Alice"), Some(arn("user/people/alice"))),
        (arn("user/people/alcie"), Some(arn("user/people/alice"))),
        (arn("user/other"), None),
        // The same name in the other kind.
        (arn("user/deploy"), None),
        (arn("role/alice"), None),
    ] {
        deployed(&[], async |place| {
            super::by_hand(
                place,
                "CreateRole",
                &json!({"RoleName": "deploy", "Path": "/ci/", "AssumeRolePolicyDocument":
                    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service":
                        "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}).to_string()}),
            );
            let alice = arn("user/people/alice");
            place.cloud.change_now(|account, _| account.iam.users.insert("alice".to_owned(), alice.clone()));
            let before = place.cloud.now();
            let answer = place.create(ENTRY, entry(&principal)).await;
            let waited = place.cloud.now().duration_since(before).unwrap();
            let reason = outcome(&answer).expect_err("no such principal");
            let kind = if principal.contains(":user/") { "user" } else { "role" };
            println!("{waited:?}: {reason}");
            assert!(reason.contains(&format!("there is no {kind} {principal}")), "{reason}");
            assert_eq!(reason.contains("did you mean"), nearest.is_some(), "{reason}");
            if let Some(nearest) = &nearest {
                assert!(reason.contains(nearest.as_str()), "{reason}");
            }
            assert!(waited < Duration::from_secs(20), "{waited:?}: {reason}");
        });
    }
}

#[test]
fn a_principal_of_another_account_is_waited_for() {
    deployed(&[("ALLOWED_PRINCIPALS", "arn:*:iam::*:*")], async |place| {
        let refusal =
            Refusal::new("InvalidParameterException", 400, "The specified principalArn is invalid: invalid principal");
        place.fault(At::every("CreateAccessEntry"), When::Before, Fault::Refuse(refusal));
        let before = place.cloud.now();
        let other = format!("arn:{PARTITION}:iam::999988887777:role/deploy");
        let answer = place.create(ENTRY, json!({"ClusterName": "prod", "PrincipalArn": other})).await;
        let waited = place.cloud.now().duration_since(before).unwrap();
        let reason = outcome(&answer).expect_err("no such principal");
        assert!(reason.contains("did not see a new object in time"), "{reason}");
        assert!((100..160).contains(&waited.as_secs()), "{waited:?}: {reason}");
    });
}

#[test]
fn a_provider_that_is_not_there_is_answered_soon() {
    deployed(&[], async |place| {
        place.cloud.change_now(|account, _| account.iam.settings.principals_are_checked = true);
        let before = place.cloud.now();
        let reason = reason(place, with(json!({}))).await;
        let waited = place.cloud.now().duration_since(before).unwrap();
        assert!(reason.contains("there is no provider"), "{reason}");
        assert!(waited < Duration::from_secs(20), "{waited:?}: {reason}");
    });
}

#[test]
fn words_of_other_tools_are_answered_with_ours() {
    let answers = [
        (ROLE, json!({"AssumeRolePolicyDocument": {}}), "unknown property `AssumeRolePolicyDocument`; use `Trust`"),
        (
            ROLE,
            json!({"Trust": [{"Repo": "octo-org/app", "Branch": "main"}]}),
            "Custom::GitHubRole: unknown property `Trust[0].Branch`; use `Branches`; unknown property `Trust[0].Repo`; use \
             `Repository`",
        ),
        (
            ROLE,
            json!({"Trust": [{"Repository": "octo-org/app", "Environment": "production"}]}),
            "Custom::GitHubRole: unknown property `Trust[0].Environment`; use `Environments`",
        ),
        (ROLE, json!({"Tags": {"Team": "a"}}), "`Tags`: expected a list of `Key` and `Value`"),
        (
            ENTRY,
            json!({"Tags": {"Team": "a"}}),
            "`Tags`: expected a list of `Key` and `Value`, found an object with the member Team",
        ),
        (
            ROLE,
            json!({"Policies": {"read": {}}}),
            "`Policies`: expected a list of `PolicyName` and `PolicyDocument`, found an object with the member read",
        ),
        (
            ENTRY,
            json!({"AccessPolicies": {"view": {}}}),
            "`AccessPolicies`: expected a list of access policies, found an object with the member view",
        ),
        (
            PROVIDER,
            json!({"Tags": {"Team": "a"}}),
            "`Tags`: expected a list of `Key` and `Value`, found an object with the member Team",
        ),
        (ROLE, json!({"max_session_duration": 3600}), "use `MaxSessionDuration`"),
        (ENTRY, json!({"kubernetes_groups": ["a"]}), "use `KubernetesGroups`"),
        (ENTRY, json!({"policy_associations": []}), "use `AccessPolicies`"),
    ];
    for (kind, changes, expected) in answers {
        deployed(&[], async |place| {
            let mut properties = if kind == ROLE { with(json!({})) } else { json!({}) };
            properties.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            let reason = outcome(&place.create(kind, properties).await).expect_err("a mistake");
            assert!(reason.contains(expected), "{reason}");
            assert!(!reason.contains("`Trust[0]") || !reason.contains("is required"), "{reason}");
        });
    }
}

#[test]
fn empty_lists_are_taken_for_node_types() {
    deployed(&[("ALLOW_CLUSTER_ADMIN", "true")], async |place| {
        make_role(
            place,
            "node",
            &json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service":
                "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}),
        );
        let principal = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/node");
        let entry = json!({"ClusterName": "prod", "PrincipalArn": principal, "Type": "EC2_LINUX",
                           "KubernetesGroups": [], "AccessPolicies": []});
        outcome(&place.create(ENTRY, entry).await).unwrap();
    });
}

#[test]
fn what_remains_of_many_changes_is_told_by_three_and_a_number() {
    deployed(&[("ALLOWED_MANAGED_POLICIES", "arn:*:iam::aws:policy/*")], async |place| {
        let missing: Value = (0..5).map(|at| json!(format!("arn:aws:iam::aws:policy/NoSuch{at}"))).collect();
        let reason = reason(place, with(json!({"ManagedPolicyArns": missing}))).await;
        assert!(reason.contains("(1 of 6 changes); remaining: attach ") && reason.contains("; 2 more"), "{reason}");
    });
}

#[test]
fn a_refusal_of_aws_begins_with_the_property_and_its_value() {
    const MISSING: &str = "arn:aws:iam::aws:policy/NoSuchAccess";
    let inline = json!([{"PolicyName": "own", "PolicyDocument": {"Statement": []}}]);
    let tags = json!([{"Key": "Team", "Value": "a"}]);
    for (denied, changes, expected) in [
        (
            "",
            json!({"ManagedPolicyArns": [MISSING]}),
            format!("`ManagedPolicyArns`: {MISSING}: iam:AttachRolePolicy on deploy failed (NoSuchEntity)"),
        ),
        (
            "iam:AttachRolePolicy",
            json!({"ManagedPolicyArns": ["arn:aws:iam::aws:policy/SecurityAudit"]}),
            "`ManagedPolicyArns`: arn:aws:iam::aws:policy/SecurityAudit: iam:AttachRolePolicy on deploy was denied"
                .to_owned(),
        ),
        (
            "iam:PutRolePolicy",
            json!({"Policies": inline}),
            "`Policies`: own: iam:PutRolePolicy on deploy was denied".to_owned(),
        ),
        (
            "iam:PutRolePermissionsBoundary",
            json!({"PermissionsBoundary": BOUNDARY}),
            format!("`PermissionsBoundary`: {BOUNDARY}: iam:PutRolePermissionsBoundary on deploy was denied"),
        ),
        ("iam:TagRole", json!({"Tags": tags}), "`Tags`: iam:TagRole on deploy was denied".to_owned()),
    ] {
        deployed(
            &[("ALLOW_INLINE_POLICIES", "Always"), ("ALLOWED_MANAGED_POLICIES", "arn:*:iam::aws:policy/*")],
            async |place| {
                declare(place, "Create", with(json!({})), None).await.unwrap();
                place.cloud.state().account.authorization.denied.extend((!denied.is_empty()).then_some(denied));
                let reason = declare(place, "Update", with(changes), Some("deploy")).await.expect_err("a refusal");
                assert!(reason.starts_with(&expected), "{reason}");
            },
        );
    }
}

#[test]
fn a_boundary_that_is_missing_is_named_where_the_role_is_made() {
    deployed(&[], async |place| {
        let missing = format!("arn:{PARTITION}:iam::{ACCOUNT}:policy/none");
        let reason = reason(place, with(json!({"PermissionsBoundary": missing}))).await;
        assert!(
            reason.starts_with(&format!("`PermissionsBoundary`: {missing}: iam:CreateRole on deploy failed")),
            "{reason}"
        );
    });
}

#[test]
fn an_access_policy_that_eks_refuses_is_named_with_its_property() {
    deployed(&[], async |place| {
        declare(place, "Create", with(json!({})), None).await.unwrap();
        place.cloud.state().account.authorization.denied.push("eks:AssociateAccessPolicy");
        let policies = json!([{"PolicyArn": "AmazonEKSViewPolicy", "AccessScope": {"Type": "cluster"}}]);
        let principal = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/github/deploy");
        let entry = json!({"ClusterName": "prod", "PrincipalArn": principal, "AccessPolicies": policies});
        let reason = outcome(&place.create(ENTRY, entry).await).expect_err("a refusal");
        assert!(reason.starts_with("`AccessPolicies`: AmazonEKSViewPolicy: eks:AssociateAccessPolicy on "), "{reason}");
    });
}

#[test]
fn a_client_id_that_iam_refuses_is_named_with_its_property() {
    deployed(&[("ALLOWED_AUDIENCES", "*")], async |place| {
        let of = |ids: &[&str]| json!({"Url": "https://token.actions.githubusercontent.com", "ClientIdList": ids});
        let answer = place.create(PROVIDER, of(&["sts.amazonaws.com"])).await;
        outcome(&answer).unwrap();
        place.cloud.state().account.authorization.denied.push("iam:AddClientIDToOpenIDConnectProvider");
        let id = answer["PhysicalResourceId"].as_str();
        let update = of(&["sts.amazonaws.com", "vault"]);
        let reason = outcome(&place.request("Update", PROVIDER, update, id).await).expect_err("a refusal");
        assert!(reason.starts_with("`ClientIdList`: vault: iam:AddClientIDToOpenIDConnectProvider on "), "{reason}");
    });
}
