//! Exchanges at the limits of tags and policies: both states fit, and so does every moment between.

use serde_json::{Value, json};

use super::{aws, by_hand, declare, outcome, policy, role_named};
use crate::guardrails::{ENTRY, PROVIDER, Place, ROLE, deployed, role};
use crate::simulation::account::{ACCOUNT, PARTITION, REGION};
use crate::simulation::function::deliver;

const INLINE: [(&str, &str); 1] = [("ALLOW_INLINE_POLICIES", "Always")];

fn with(changes: Value) -> Value {
    let mut properties = role(json!({"PermissionsBoundary": null}));
    let Value::Object(changes) = changes else { panic!("changes are members") };
    properties.as_object_mut().unwrap().extend(changes);
    properties
}

fn tags(keys: impl IntoIterator<Item = String>) -> Value {
    keys.into_iter().map(|key| json!({"Key": key, "Value": "v"})).collect()
}

fn numbered(range: std::ops::Range<usize>) -> Value {
    tags(range.map(|index| format!("key-{index}")))
}

fn authored(place: &Place) -> Vec<String> {
    let tags = role_named(place, "deploy").tags;
    tags.into_keys().filter(|key| !key.starts_with("github-trust:")).collect()
}

#[test]
fn a_tag_whose_key_changes_its_case_only_is_there_afterwards() {
    deployed(&[], async |place| {
        let owner = |key: &str| json!({"Tags": [{"Key": key, "Value": "v"}]});
        declare(place, "Create", with(owner("Owner")), None).await.unwrap();
        declare(place, "Update", with(owner("owner")), Some("deploy")).await.unwrap();
        assert_eq!(authored(place), ["owner"]);

        let entry = |key: &str| {
            let mut entry = owner(key);
            entry["ClusterName"] = json!("prod");
            entry["PrincipalArn"] = json!(format!("arn:{PARTITION}:iam::{ACCOUNT}:role/github/deploy"));
            entry
        };
        let answer = place.create(ENTRY, entry("Owner")).await;
        outcome(&answer).unwrap();
        let id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
        outcome(&place.request("Update", ENTRY, entry("owner"), Some(&id)).await).unwrap();
        let state = format!("{:?}", place.cloud.state().account.eks.clusters["prod"].entries);
        assert!(state.contains("\"owner\"") && !state.contains("\"Owner\""), "{state}");
    });
}

#[test]
fn a_provider_s_tag_whose_key_changes_its_case_only_is_there_afterwards() {
    deployed(&[], async |place| {
        let owner = |key: &str| json!({"Tags": [{"Key": key, "Value": "v"}]});
        let answer = place.create(PROVIDER, owner("Owner")).await;
        outcome(&answer).unwrap();
        let id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
        let before = place.cloud.state().calls.len();
        outcome(&place.request("Update", PROVIDER, owner("owner"), Some(&id)).await).unwrap();
        let state = place.cloud.state();
        // IAM takes both keys for one, so that a removal afterwards would remove the new one.
        let first = state.calls[before..].iter().find(|call| call.changed).expect("a change");
        assert_eq!(first.action, "UntagOpenIDConnectProvider");
        let (_, provider) = state.account.iam.providers.all().next().expect("a provider");
        let keys: Vec<&String> = provider.tags.keys().filter(|key| !key.starts_with("github-trust:")).collect();
        assert_eq!(keys, ["owner"]);
    });
}

#[test]
fn tags_that_fit_before_and_after_are_exchanged() {
    for (old, new, others) in [(0..43, 43..86, 0), (0..20, 20..40, 20)] {
        deployed(&[], async |place| {
            declare(place, "Create", with(json!({"Tags": numbered(old)})), None).await.unwrap();
            if others > 0 {
                let theirs = tags((0..others).map(|index| format!("theirs-{index}")));
                by_hand(place, "TagRole", &json!({"RoleName": "deploy", "Tags": theirs}));
            }
            let count = new.len() + others;
            declare(place, "Update", with(json!({"Tags": numbered(new)})), Some("deploy")).await.unwrap();
            assert_eq!(authored(place).len(), count);
        });
    }
}

#[test]
fn tags_of_an_entry_that_fit_before_and_after_are_exchanged() {
    deployed(&[], async |place| {
        declare(place, "Create", with(json!({})), None).await.unwrap();
        let principal = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/github/deploy");
        let entry = |range| json!({"ClusterName": "prod", "PrincipalArn": principal, "Tags": numbered(range)});
        let answer = place.create(ENTRY, entry(0..40)).await;
        outcome(&answer).unwrap();
        let id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
        outcome(&place.request("Update", ENTRY, entry(40..80), Some(&id)).await).unwrap();
    });
}

/// A role with inline policies of these sizes.
fn inline(policies: &[(&str, usize)]) -> Value {
    let all = policies
        .iter()
        .map(|(name, size)| json!({"PolicyName": name, "PolicyDocument": policy("s3:GetObject", *size)}));
    with(json!({"Policies": all.collect::<Vec<_>>()}))
}

#[test]
fn inline_policies_that_fit_before_and_after_are_exchanged() {
    for (old, new) in [
        (vec![("old", 6900)], vec![("new", 6900)]),
        (vec![("a", 9000), ("b", 500)], vec![("a", 500), ("b", 9000)]),
        (vec![("a", 4000), ("b", 5000)], vec![("b", 100), ("c", 9000)]),
    ] {
        deployed(&INLINE, async |place| {
            declare(place, "Create", inline(&old), None).await.unwrap();
            declare(place, "Update", inline(&new), Some("deploy")).await.unwrap();
            let names: Vec<String> = role_named(place, "deploy").inline.into_keys().collect();
            assert_eq!(names, new.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_plan_tells_the_moment_that_it_gives_up_for_a_quota() {
    let exchanged = "because a role has no room for both";
    for (old, new, quota, moments) in [(0..6, 6..12, 10, 6), (0..6, 6..12, 12, 0), (0..3, 3..6, 10, 0)] {
        let own = |range: std::ops::Range<usize>| {
            let arns: Vec<String> = range.map(|index| aws(&format!("Policy{index}"))).collect();
            with(json!({"ManagedPolicyArns": arns}))
        };
        deployed(&[("ALLOWED_MANAGED_POLICIES", "arn:*:iam::aws:policy/*")], async |place| {
            place.cloud.change_now(|account, _| account.iam.settings.quotas.attached_policies = quota);
            declare(place, "Create", own(old), None).await.unwrap();
            let plan = planned(place, own(new.clone())).await;
            let told = plan.to_string().matches(exchanged).count();
            assert_eq!(told, moments * 2, "each line, and the text: {plan:#}");
            declare(place, "Update", own(new), Some("deploy")).await.unwrap();
        });
    }
}

/// The plan of an update of the role.
async fn planned(place: &Place, properties: Value) -> Value {
    let stack = format!("arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/s/1");
    let question = json!({"ResourceType": ROLE, "ResourceProperties": properties, "PhysicalResourceId": "deploy",
                          "StackId": stack, "LogicalResourceId": "It"});
    deliver(&place.cloud, place.settings.clone(), &json!({"Plan": question})).await
}

#[test]
fn a_plan_tells_the_moment_that_it_gives_up_for_inline_policies() {
    let room = "what old and new policies both allow is missing for a few calls, because a role has no room for both";
    let moves = "what moves from it to another inline policy is missing for a few calls, because IAM changes one policy at a \
                 time";
    for (old, new, moment, lines) in [
        (vec![("old", 6900)], vec![("new", 6900)], room, 1),
        (vec![("a", 9000), ("b", 500)], vec![("a", 500), ("b", 9000)], moves, 1),
        (vec![("a", 100), ("b", 200)], vec![("a", 200), ("b", 100)], moves, 2),
        // With room for both, the new one comes first.
        (vec![("a", 100), ("b", 200)], vec![("b", 300), ("c", 100)], moves, 0),
        (vec![("a", 100), ("b", 200)], vec![("a", 300), ("b", 400)], moves, 0),
    ] {
        deployed(&INLINE, async |place| {
            declare(place, "Create", inline(&old), None).await.unwrap();
            let plan = planned(place, inline(&new)).await;
            let told = |text: &str| plan.to_string().matches(text).count();
            assert_eq!(told(moment), lines * 2, "each line, and the text: {plan:#}");
            assert_eq!(told("is missing for"), lines * 2, "no other moment: {plan:#}");
        });
    }
}

#[test]
fn managed_policies_are_exchanged_beside_those_of_others() {
    let own = |range: std::ops::Range<usize>| {
        let arns: Vec<String> = range.map(|index| aws(&format!("Policy{index}"))).collect();
        with(json!({"ManagedPolicyArns": arns}))
    };
    deployed(&[("ALLOWED_MANAGED_POLICIES", "arn:*:iam::aws:policy/*")], async |place| {
        declare(place, "Create", own(0..5), None).await.unwrap();
        (0..5).for_each(|index| super::attach(place, "deploy", &format!("Theirs{index}")));
        declare(place, "Update", own(5..10), Some("deploy")).await.unwrap();
        assert_eq!(role_named(place, "deploy").attached.len(), 10);
    });
}
