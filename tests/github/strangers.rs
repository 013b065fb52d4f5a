//! Explain tells somebody who has a trusted name from those who are trusted, in whatever case the name stands.

use serde_json::{Value, json};

use super::explain::{ask, changes, with_audience};
use super::{Place, at, at_issuer};
use crate::simulation::github::ids;

const MAIN: &str = "ref:refs/heads/main";

fn app() -> Value {
    json!({"Repository": "acme/app", "Branches": ["main"]})
}

/// Each advice about a token has this in it.
async fn told(place: &Place, claims: Value, told: &str) {
    let answer = ask(place, with_audience(claims)).await;
    let changes = changes(&answer);
    assert!(!changes.is_empty() && changes.iter().all(|change| change.contains(told)), "{told}: {answer:#}");
}

#[test]
fn a_stranger_in_another_case_is_a_stranger() {
    for is_classic in [false, true] {
        at(async |place| {
            place.token();
            place.github(|github| github.classic.extend(is_classic.then(|| "acme/app".to_owned())));
            assert!(place.create(json!([app()])).await.succeeded);
            let of_app = "another repository of the name Acme/App (id 999)";
            told(place, json!({"sub": format!("repo:Acme@777/App@999:{MAIN}")}), of_app).await;
            let claims =
                json!({"sub": format!("repo:Acme/App:{MAIN}"), "repository": "Acme/App", "repository_id": "999"});
            told(place, claims, of_app).await;
            let (_, id) = ids("acme/app");
            let claims = json!({"sub": format!("repo:Acme/App:{MAIN}"), "repository_id": id.to_string()});
            told(place, claims, "only the case differs from").await;
        });
    }
}

#[test]
fn another_repository_of_a_taken_owner_is_told() {
    at(async |place| {
        place.token();
        place.github(|github| github.classic.push("acme/old".into()));
        let old = json!({"Repository": "acme/old", "Branches": ["main"]});
        assert!(place.create(json!([app(), old])).await.succeeded);
        let of_acme = "another owner of the name acme (id 777)";
        told(place, json!({"sub": format!("repo:acme@777/z@5:{MAIN}")}), of_acme).await;
        let claims = json!({"sub": format!("repo:acme/z:{MAIN}"), "repository": "acme/z", "repository_id": "5",
            "repository_owner_id": "777"});
        told(place, claims, of_acme).await;
        let (owner, _) = ids("acme");
        let claims = json!({"sub": format!("repo:acme@{owner}/z@5:{MAIN}"), "repository_id": "5"});
        told(place, claims, "is about the repository acme/z: add one").await;
    });
}

#[test]
fn strangers_whom_only_the_tags_know_are_told() {
    at(async |place| {
        let web = json!({"Repository": "corp/web", "Branches": ["main"]});
        assert!(place.create(json!([app(), web])).await.succeeded);
        // Both leave the policy, and the tags remember them.
        assert!(place.update(json!([{"Repository": "umbrella/z", "Branches": ["main"]}])).await.succeeded);
        let of_app = "another repository of the name acme/app (id 999)";
        told(place, json!({"sub": format!("repo:acme@777/app@999:{MAIN}")}), of_app).await;
        let of_corp = "another owner of the name corp (id 777)";
        told(place, json!({"sub": format!("repo:corp@777/other@5:{MAIN}")}), of_corp).await;
        let (owner, id) = ids("acme/app");
        let claims = json!({"sub": format!("repo:acme@{owner}/app@{id}:{MAIN}")});
        told(place, claims, "is about the repository acme/app: add one").await;
    });
}

#[test]
fn a_user_who_took_over_a_trusted_name_is_told() {
    for keys in [None, Some(["repo", "context", "actor"].map(str::to_owned).to_vec())] {
        at(async |place| {
            place.token();
            place.github(|github| github.templates.extend(keys.clone().map(|keys| ("acme/app".to_owned(), keys))));
            let mut entry = app();
            entry["Actors"] = json!(["octocat"]);
            assert!(place.create(json!([entry])).await.succeeded);
            let user = if keys.is_some() { ":actor:octocat" } else { "" };
            let sub = place.subjects()[0].clone();
            assert!(sub.ends_with(&format!("{MAIN}{user}")), "{sub}");
            let claims = |user: &str| json!({"sub": sub, "actor": user, "actor_id": "55"});
            told(place, claims("octocat"), "another user of the name octocat (id 55)").await;
            told(place, claims("octocat"), if keys.is_some() { "55 beside octocat" } else { "55 in place of octocat" })
                .await;
            let told_of_others = "list the user 55 under `Actors`, if that is the id of the user whom you mean";
            told(place, claims("mona"), told_of_others).await;
        });
    }
}

#[test]
fn another_template_of_an_unpinned_name_is_advised_with_a_condition() {
    let template = json!({"sub": format!("repo:acme/app:{MAIN}:actor:x")});
    let server = "github.example.com/_services/token";
    at_issuer(server, async |place| {
        assert!(place.create(json!([app()])).await.succeeded);
        let mut claims = template.clone();
        claims["iss"] = json!(format!("https://{server}"));
        told(place, claims, "if this is the repository that you mean, update the role's stack").await;
    });
    at(async |place| {
        place.token();
        place.github(|github| github.classic.push("acme/app".to_owned()));
        assert!(place.create(json!([app()])).await.succeeded);
        let mut claims = template;
        claims["repository_id"] = json!(ids("acme/app").1.to_string());
        told(place, claims, ": update the role's stack").await;
    });
}

#[test]
fn another_template_of_an_id_in_a_trusted_subject_is_advised() {
    at(async |place| {
        assert!(place.create(json!([app()])).await.succeeded);
        let claims = json!({"sub": format!("{}:actor:x", place.subjects()[0])});
        told(place, claims, "those that the role trusts of repo, context: update the role's stack").await;
    });
}
