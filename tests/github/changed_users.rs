//! A user's name that changes hands, where the new id is trusted already: by its number, for other jobs.

use serde_json::{Value, json};

use super::changed_names::refuses;
use super::{Place, at};
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;

fn on(branch: &str, actors: &[&str]) -> Value {
    json!({"Repository": "acme/app", "Branches": [branch], "Actors": actors})
}

fn lose_tags(place: &Place) {
    place.someone("UntagRole", &json!({"RoleName": "deploy", "TagKeys": ["github-trust:names"]}));
}

fn taken(place: &Place) {
    place.github(|github| github.taken = [("octocat".to_owned(), 555)].into());
}

#[test]
fn a_number_of_other_jobs_is_no_excuse_where_the_tags_are_lost() {
    let trust = json!([on("main", &["octocat"]), on("dev", &["555"])]);
    at(async |place| {
        assert!(place.create(trust.clone()).await.succeeded);
        lose_tags(place);
        taken(place);
        let users = format!("the role trusts the users 555 or {}", ids("octocat").0);
        let parts =
            [users.as_str(), "tell no longer which of them is the user octocat", "write 555 in place of octocat"];
        refuses(place, &trust, &parts).await;
        refuses(place, &json!([on("main", &["octocat"])]), &parts).await;
        // Whom the same jobs let in is known.
        place.github(|github| github.taken.clear());
        assert!(place.update(trust).await.succeeded);
        taken(place);
        refuses(place, &json!([on("main", &["octocat"])]), &["write 555 in place of octocat"]).await;
    });
    at(async |place| {
        assert!(place.create(json!([on("main", &["octocat"]), on("dev", &["hubot"])])).await.succeeded);
        lose_tags(place);
        // For a new job, any of them may be meant.
        let new = json!([on("next", &["octocat"])]);
        refuses(place, &new, &["tell no longer which of them is the user octocat"]).await;
        assert!(place.update(json!([on("next", &[&ids("octocat").0.to_string()])])).await.succeeded);
    });
}

/// GitHub does not answer about users.
fn silence(place: &Place) {
    for user in ["octocat", "hubot", "mona"] {
        let silent = Answer { status: 403, headers: vec![], body: "{}".into() };
        place.github(|github| drop(github.answers.insert(format!("GET /users/{user}"), silent)));
    }
}

async fn becomes(place: &mut Place, trust: Value) {
    let outcome = place.update(trust).await;
    assert!(outcome.succeeded, "{}", outcome.reason);
}

#[test]
fn without_answer_and_tags_no_user_gets_the_jobs_of_another() {
    for (named, numbered) in [("dev", "main"), ("main", "dev")] {
        at(async |place| {
            let trust = json!([on(named, &["octocat"]), on(numbered, &["555"])]);
            assert!(place.create(trust.clone()).await.succeeded);
            let before = place.policy();
            lose_tags(place);
            silence(place);
            // Nobody knows whose the ids of the policy are.
            for branch in [named, "next"] {
                let outcome = place.update(json!([on(branch, &["octocat"]), on(numbered, &["555"])])).await;
                assert!(outcome.reason.contains("write users' ids under `Actors`"), "{}", outcome.reason);
                assert_eq!(place.policy(), before);
            }
            place.rolls_back = true;
            let outcome = place.request("Update", json!({"Trust": trust, "Description": "other"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            assert_eq!(place.policy(), before);
        });
    }
}

#[test]
fn without_answer_nobody_stays_under_the_name_of_another() {
    for tag in [None, Some("=1+ hubot=".to_owned() + &ids("hubot").0.to_string()), Some("=2. ".to_owned())] {
        at(async |place| {
            let trust = |other: &str| json!([on("main", &["hubot", other])]);
            assert!(place.create(trust("octocat")).await.succeeded);
            let before = place.policy();
            lose_tags(place);
            if let Some(value) = &tag {
                let tags = json!([{"Key": "github-trust:names", "Value": value}]);
                place.someone("TagRole", &json!({"RoleName": "deploy", "Tags": tags}));
            }
            silence(place);
            let outcome = place.update(trust("mona")).await;
            assert!(!outcome.succeeded, "{}", place.policy());
            assert_eq!(place.policy(), before);
            // A rollback keeps both.
            place.rolls_back = true;
            let outcome = place.request("Update", json!({"Trust": trust("octocat"), "Description": "other"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            assert_eq!(place.policy(), before);
        });
    }
}

#[test]
fn a_former_id_that_is_declared_for_other_jobs_is_no_excuse() {
    at(async |place| {
        taken(place);
        assert!(place.create(json!([on("main", &["octocat"])])).await.succeeded);
        place.github(|github| github.taken.clear());
        let today = ids("octocat").0.to_string();
        assert!(place.update(json!([on("main", &["octocat", &today])])).await.succeeded);
        let trust = json!([on("main", &["octocat"]), on("dev", &["555"])]);
        assert!(place.update(trust.clone()).await.succeeded);
        taken(place);
        let told = format!("the role trusts the user octocat with id {today}");
        refuses(place, &trust, &[&told, "write 555 in place of octocat"]).await;
        let log = super::drift::scheduled(place).await;
        assert!(log.contains("\"drifted\":1") && log.contains("the user has id 555"), "{log}");
    });
}

#[test]
fn a_policy_changed_by_hand_excuses_no_number_of_other_jobs() {
    let on_ref = |branch: &str, actor: &str| json!({"Repository": "acme/app", "Environments": ["prod"], "Refs": [format!("refs/heads/{branch}")], "Actors": [actor]});
    let trust = json!([on_ref("main", "octocat"), on_ref("dev", "555")]);
    at(async |place| {
        assert!(place.create(trust.clone()).await.succeeded);
        lose_tags(place);
        let mut policy = place.policy();
        policy["Statement"][0]["Sid"] = json!("ByHand");
        place.someone("UpdateAssumeRolePolicy", &json!({"RoleName": "deploy", "PolicyDocument": policy.to_string()}));
        taken(place);
        refuses(place, &trust, &["write 555 in place of octocat"]).await;
    });
}

#[test]
fn an_id_that_a_name_had_before_its_newest_is_no_excuse() {
    at(async |place| {
        taken(place);
        assert!(place.create(json!([on("main", &["octocat"])])).await.succeeded);
        place.github(|github| github.taken.clear());
        let today = ids("octocat").0.to_string();
        becomes(place, json!([on("main", &["octocat", &today])])).await;
        // By its number, and no longer by the name.
        becomes(place, json!([on("main", &["555"])])).await;
        taken(place);
        let trust = json!([on("main", &["555"]), on("dev", &["octocat"])]);
        let told = format!("the role trusts the user octocat with id {today}");
        refuses(place, &trust, &[&told, "write 555 in place of octocat"]).await;
    });
}
