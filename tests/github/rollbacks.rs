//! Rollbacks to a trust whose names have other ids by then: none fails, and none lets in anybody whom the role did not trust.

use serde_json::{Value, json};

use super::changed_names::refuses;
use super::{ISSUER, Place, at, immutable};
use crate::simulation::account::ACCOUNT;
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;
use crate::simulation::world::Request;

fn app(members: &Value) -> Value {
    let mut entry = json!({"Repository": "acme/app", "Branches": ["main"]});
    entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    entry
}

fn both(owner: u64, repository: u64) -> Value {
    app(&json!({"OwnerId": owner.to_string(), "RepositoryId": repository.to_string()}))
}

/// The names have these ids now.
fn take(place: &Place, owner: u64, repository: u64) {
    place.github(|github| github.taken = [("acme".to_owned(), owner), ("acme/app".to_owned(), repository)].into());
}

async fn becomes(place: &mut Place, trust: Value) {
    let outcome = place.update(trust.clone()).await;
    assert!(outcome.succeeded, "{trust}: {}", outcome.reason);
}

/// Rolls back to a trust that admits these subjects among others.
async fn rolls_back_to(place: &mut Place, trust: Value, prefix: &str) {
    place.rolls_back = true;
    becomes(place, trust.clone()).await;
    place.rolls_back = false;
    let subject = format!("repo:{prefix}:ref:refs/heads/main");
    assert!(place.subjects().contains(&subject), "{trust}: {}", place.policy());
}

#[test]
fn a_rollback_to_a_repository_that_is_not_shown_any_more_succeeds() {
    let (owner, id) = ids("acme/app");
    for former in [json!({"RepositoryId": id.to_string()}), json!({"OwnerId": owner.to_string()})] {
        at(async |place| {
            assert!(place.create(json!([app(&former)])).await.succeeded);
            take(place, 777, 999);
            becomes(place, json!([both(777, 999)])).await;
            place.github(|github| github.private.push("acme/app".into()));
            rolls_back_to(place, json!([app(&former)]), &format!("acme@{owner}/app@{id}")).await;
        });
    }
}

/// A second form has no room in a policy that is nearly as long as the quota.
#[test]
fn a_rollback_to_a_repository_that_left_writes_the_form_that_it_had() {
    at(async |place| {
        assert!(place.create(json!([app(&json!({}))])).await.succeeded);
        let before = place.policy();
        becomes(place, json!([{"Repository": "corp/web", "Branches": ["main"]}])).await;
        becomes(place, json!([{"Repository": "corp/web", "Branches": ["main", "dev"]}])).await;
        place.github(|github| github.private.push("acme/app".into()));
        place.rolls_back = true;
        becomes(place, json!([app(&json!({}))])).await;
        assert_eq!(place.policy(), before);
    });
}

#[test]
fn a_rollback_finds_the_newest_of_several_former_ids() {
    for former in [json!({"RepositoryId": "999"}), json!({"OwnerId": "777"})] {
        at(async |place| {
            assert!(place.create(json!([app(&json!({}))])).await.succeeded);
            take(place, 777, 999);
            becomes(place, json!([both(777, 999)])).await;
            take(place, 888, 1111);
            becomes(place, json!([both(888, 1111)])).await;
            rolls_back_to(place, json!([app(&former)]), "acme@777/app@999").await;
        });
    }
    at(async |place| {
        assert!(place.create(json!([app(&json!({"Actors": ["octocat"]}))])).await.succeeded);
        take(place, 777, 999);
        place.github(|github| github.taken.extend([("octocat".to_owned(), 555)]));
        let mut second = both(777, 999);
        second["Actors"] = json!(["octocat", "555"]);
        becomes(place, json!([second])).await;
        becomes(place, json!([{"Repository": "corp/web", "Branches": ["main"]}])).await;
        take(place, 888, 1111);
        place.github(|github| github.taken.extend([("octocat".to_owned(), 556)]));
        rolls_back_to(place, json!([app(&json!({"Actors": ["octocat"]}))]), "acme@777/app@999").await;
        assert!(place.policy().to_string().contains("actor_id\":\"555\""), "{}", place.policy());
    });
}

/// The owner before the declared one is in the role's memory, too.
#[test]
fn a_rollback_to_declared_ids_succeeds_beside_a_remembered_owner() {
    at(async |place| {
        assert!(place.create(json!([app(&json!({}))])).await.succeeded);
        take(place, 777, 999);
        place.github(|github| github.classic.push("acme/app".into()));
        let mut declared = both(777, 999);
        declared["Actors"] = json!(["octocat"]);
        becomes(place, json!([declared])).await;
        take(place, 888, 1111);
        rolls_back_to(place, json!([declared]), "acme/app").await;
    });
}

#[test]
fn a_rollback_tells_the_former_owner_though_another_entry_pins_it() {
    at(async |place| {
        let (owner, id) = ids("acme/app");
        let former = ids("acme/former");
        let body = json!({"id": former.1, "full_name": "acme/former", "owner": {"login": "acme", "id": owner},
            "created_at": "2026-08-01T00:00:00Z"});
        let answer = Answer { status: 200, headers: Vec::new(), body: body.to_string() };
        place.github(|github| drop(github.answers.insert("GET /repos/acme/former".into(), answer)));
        let other = json!({"Repository": "acme/former", "Branches": ["main"], "OwnerId": owner.to_string()});
        let alone = app(&json!({"RepositoryId": id.to_string()}));
        assert!(place.create(json!([alone, other])).await.succeeded);
        take(place, 777, 999);
        becomes(place, json!([both(777, 999), other])).await;
        rolls_back_to(place, json!([alone, other]), &format!("acme@{owner}/app@{id}")).await;
    });
}

#[test]
fn a_role_that_was_to_be_replaced_takes_nothing_from_its_replacement() {
    let web = json!({"Repository": "corp/web", "Branches": ["main"]});
    for former in [app(&json!({})), web] {
        at(async |place| {
            assert!(place.create(json!([app(&json!({}))])).await.succeeded);
            becomes(place, json!([former])).await;
            let before = place.policy();
            take(place, 777, 999);
            let replaced = json!({"Trust": [both(777, 999)], "RoleName": "other"});
            let outcome = place.request("Update", replaced).await;
            assert!(outcome.succeeded && outcome.physical_id == "other", "{}", outcome.reason);
            place.cloud.state().account.stacks.event_status = "UPDATE_ROLLBACK_IN_PROGRESS";
            let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}");
            let properties = json!({"Trust": [former], "RoleName": "deploy", "ProviderArn": provider});
            let (kind, account, logical, physical) = ("Custom::GitHubRole", ACCOUNT, "Role", Some("other"));
            let request = Request { request: "Update", kind, account, logical, physical, properties };
            let answer = place.world.request(request).await;
            assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
            assert_eq!(place.policy(), before);
            refuses(place, &json!([app(&json!({}))]), &["write `RepositoryId: 999` and `OwnerId: 777`"]).await;
            becomes(place, json!([both(777, 999)])).await;
            assert!(!place.subjects().contains(&immutable("acme/app", "ref:refs/heads/main")), "{}", place.policy());
        });
    }
}
