//! A trust policy that somebody else wrote, or changed: the ids in it are a memory of the names, too.

use serde_json::{Value, json};

use super::changed_names::refuses;
use super::{Place, at, immutable};
use crate::simulation::author::Author;
use crate::simulation::github::ids;

const MAIN: &str = "ref:refs/heads/main";
const ISSUER: &str = "token.actions.githubusercontent.com";

fn app() -> Value {
    json!([{"Repository": "acme/app", "Branches": ["main"]}])
}

/// Somebody writes another policy, made from the one that is there.
fn rewrite(place: &Place, change: impl FnOnce(&mut Value)) {
    let mut policy = place.policy();
    change(&mut policy);
    place.someone("UpdateAssumeRolePolicy", &json!({"RoleName": "deploy", "PolicyDocument": policy.to_string()}));
}

fn add_sid(policy: &mut Value) {
    policy["Statement"][0]["Sid"] = json!("GitHub");
}

fn add_statement(policy: &mut Value) {
    let human =
        json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"});
    policy["Statement"].as_array_mut().unwrap().push(human);
}

fn like_any(policy: &mut Value) {
    let condition = json!({"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com"},
        "ForAnyValue:StringLike": {format!("{ISSUER}:sub"): [format!("repo:{}:*", crate::simulation::github::immutable("acme/app"))]}});
    policy["Statement"][0]["Condition"] = condition;
}

fn by_claims(policy: &mut Value) {
    let (owner, id) = ids("acme/app");
    let condition = json!({"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com", format!("{ISSUER}:sub"): "pull_request",
        format!("{ISSUER}:repository"): "acme/app", format!("{ISSUER}:repository_owner_id"): owner.to_string(),
        format!("{ISSUER}:repository_id"): [id.to_string()]}});
    policy["Statement"][0]["Condition"] = condition;
}

const CHANGES: [fn(&mut Value); 4] = [add_sid, add_statement, like_any, by_claims];

fn taken(place: &Place) {
    place.github(|github| github.taken = [("acme".to_owned(), 777), ("acme/app".to_owned(), 999)].into());
}

#[test]
fn ids_count_whatever_somebody_wrote_beside_them() {
    for change in CHANGES {
        at(async |place| {
            assert!(place.create(app()).await.succeeded);
            rewrite(place, change);
            taken(place);
            let told = format!("the role trusts acme/app with id {}", ids("acme/app").1);
            refuses(place, &app(), &[&told, "write `RepositoryId: 999` and `OwnerId: 777`"]).await;
            place.rolls_back = true;
            let outcome = place.request("Update", json!({"Trust": app(), "Description": "more"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            assert!(place.subjects().contains(&immutable("acme/app", MAIN)), "{}", place.policy());
            assert!(!place.policy().to_string().contains("999"), "{}", place.policy());
        });
    }
}

#[test]
fn names_that_leave_a_changed_policy_are_remembered() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        rewrite(place, add_sid);
        assert!(place.update(json!([{"Repository": "corp/web", "Branches": ["main"]}])).await.succeeded);
        taken(place);
        refuses(place, &app(), &["write `RepositoryId: 999` and `OwnerId: 777`"]).await;
    });
}

#[test]
fn a_role_of_others_is_a_memory_in_whatever_form() {
    for change in CHANGES {
        for existing in ["Adopt", "TakeOver"] {
            at(async |place| {
                assert!(place.create(app()).await.succeeded);
                rewrite(place, change);
                place.cloud.change_now(|account, now| {
                    let keys = ["github-trust:stack-id", "github-trust:logical-id"];
                    account
                        .iam_as(&Author::Someone, now, "UntagRole", &json!({"RoleName": "deploy", "TagKeys": keys}))
                        .unwrap();
                });
                taken(place);
                let before = place.policy();
                let outcome = place.request("Create", json!({"Trust": app(), "OnExisting": existing})).await;
                assert!(!outcome.succeeded, "{existing}: {}", place.policy());
                assert!(outcome.reason.contains("write `RepositoryId: 999` and `OwnerId: 777`"), "{}", outcome.reason);
                assert_eq!(place.policy(), before);
            });
        }
    }
}
