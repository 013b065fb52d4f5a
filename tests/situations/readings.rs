//! Answers of AWS that no public source tells, in each way in which they may be.

use serde_json::{Value, json};

use super::{declare, make_role, outcome, role_named};
use crate::guardrails::{ENTRY, Place, deployed, role};
use crate::simulation::account::{ACCOUNT, PARTITION};

/// An entry for a role that somebody has made.
fn entry(place: &Place, changes: Value) -> Value {
    let exists = place.cloud.state().account.iam.roles.all().any(|(_, role)| role.name == "node");
    if !exists {
        let principal = json!({"Service": "ec2.amazonaws.com"});
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
        make_role(place, "node", &json!({"Version": "2012-10-17", "Statement": [statement]}));
    }
    let principal = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/node");
    let mut entry = json!({"ClusterName": "prod", "PrincipalArn": principal});
    let Value::Object(changes) = changes else { panic!("changes are members") };
    entry.as_object_mut().unwrap().extend(changes);
    entry
}

/// Creates an entry and updates it.
async fn changed(place: &mut Place, first: Value, second: Value) -> Result<(), String> {
    let first = entry(place, first);
    let answer = place.create(ENTRY, first).await;
    outcome(&answer).expect("a new entry");
    let id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
    let second = entry(place, second);
    outcome(&place.request("Update", ENTRY, second, Some(&id)).await)
}

#[test]
fn a_description_that_iam_does_not_empty_stays_and_fails_nothing() {
    for stays in [false, true] {
        deployed(&[], async |place| {
            place.cloud.change_now(|account, _| account.iam.settings.empty_descriptions_stay = stays);
            let properties =
                |description: Value| role(json!({"PermissionsBoundary": null, "Description": description}));
            declare(place, "Create", properties(json!("ours")), None).await.unwrap();
            declare(place, "Update", properties(Value::Null), Some("deploy")).await.unwrap();
            let left = role_named(place, "deploy").description.unwrap_or_default();
            assert_eq!(left, if stays { "ours" } else { "" });
        });
    }
}

#[test]
fn a_secret_that_may_not_be_looked_for_is_told_with_its_action() {
    for is_denied in [false, true] {
        deployed(&[], async |place| {
            place.cloud.change_now(|account, _| account.secrets.missing_is_denied = is_denied);
            let declared = entry(place, json!({"KubernetesGroups": ["a"]}));
            let made = outcome(&place.create(ENTRY, declared).await);
            let reason = made.err().unwrap_or_default();
            assert_eq!(reason.contains("secretsmanager:GetSecretValue"), is_denied, "{reason}");
            assert_eq!(reason.contains("allow it in the policy of the function's role"), is_denied, "{reason}");
        });
    }
}

#[test]
fn a_username_that_does_not_go_back_to_the_default_is_told() {
    for is_refused in [false, true] {
        deployed(&[], async |place| {
            place.cloud.change_now(|account, _| account.eks.settings.refuses_own_usernames = is_refused);
            let updated = changed(place, json!({"Username": "ci"}), json!({})).await;
            let reason = updated.err().unwrap_or_default();
            assert_eq!(reason.contains("it cannot start with arn:"), is_refused, "{reason}");
        });
    }
}

#[test]
fn a_node_that_takes_no_tags_later_is_told() {
    for is_refused in [false, true] {
        deployed(&[("ALLOW_CLUSTER_ADMIN", "true")], async |place| {
            place.cloud.change_now(|account, _| account.eks.settings.nodes_take_no_tags = is_refused);
            let tagged = |team: &str| json!({"Type": "EC2_LINUX", "Tags": [{"Key": "team", "Value": team}]});
            let updated = changed(place, tagged("a"), tagged("b")).await;
            let reason = updated.err().unwrap_or_default();
            assert_eq!(reason.contains("cannot be tagged"), is_refused, "{reason}");
        });
    }
}
