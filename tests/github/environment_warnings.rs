//! A trust in an environment that nothing protects lets in all who can push a workflow: it is said, and fails nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Place, at};
use crate::simulation::wire::Answer;

const LIVE: &str = "/repos/acme/app/environments/live";

fn trust(environments: &[&str]) -> Value {
    json!([{"Repository": "acme/app", "Environments": environments}])
}

fn environment(place: &Place, path: &str, protected: bool) {
    let now = place.cloud.now();
    place.github(|github| github.settings.environment(path, protected, now));
}

#[test]
fn a_role_that_trusts_an_open_environment_warns_of_it() {
    at(async |place| {
        place.token();
        environment(place, LIVE, false);
        environment(place, "/repos/acme/app/environments/stage", true);
        let outcome = place.create(trust(&["live", "stage", "new", "review-*"])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(
            outcome.attributes["Warning"],
            "The role trusts, without protection: environment \"live\" of acme/app; environment \"new\" of acme/app, which \
             is not there yet; whatever environment is called like \"review-*\". A person who can push a workflow can assume it: \
             restrict the branches of the environment, or require reviewers"
        );
        assert!(place.log.text().contains("the role trusts environments without protection"), "{}", place.log.text());
        environment(place, LIVE, true);
        let outcome = place.update(trust(&["live", "stage"])).await;
        assert_eq!((outcome.succeeded, &outcome.attributes["Warning"]), (true, &json!("")));
    });
}

#[test]
fn without_a_credential_or_an_answer_nothing_is_said_and_nothing_waits() {
    at(async |place| {
        environment(place, LIVE, false);
        let outcome = place.create(trust(&["live"])).await;
        assert_eq!((outcome.succeeded, &outcome.attributes["Warning"]), (true, &json!("")));
        assert!(!place.cloud.story().contains("/environments/"), "{}", place.cloud.story());
    });
    for status in [401, 403, 429, 500] {
        at(async |place| {
            place.token();
            let refused = Answer { status, headers: Vec::new(), body: "{}".into() };
            place.github(|github| {
                for name in ["live", "stage"] {
                    github.answers.insert(format!("GET /repos/acme/app/environments/{name}"), refused.clone());
                }
            });
            let before = place.cloud.now();
            let outcome = place.create(trust(&["live", "stage"])).await;
            assert_eq!((outcome.succeeded, &outcome.attributes["Warning"]), (true, &json!("")), "{status}");
            let waited = place.cloud.now().duration_since(before).unwrap();
            assert!(waited < Duration::from_secs(15), "{status}: {waited:?}");
        });
    }
}

#[test]
fn a_role_that_trusts_protected_branches_of_none_warns_of_it() {
    at(async |place| {
        place.token();
        place.github(|github| github.unprotected.push("acme/app".to_owned()));
        for name in ["live", "stage", "test"] {
            environment(place, &format!("/repos/acme/app/environments/{name}"), true);
        }
        let outcome = place.create(trust(&["live", "stage", "test"])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let warning = outcome.attributes["Warning"].as_str().unwrap();
        assert!(warning.contains("environment \"live\" of acme/app, where no branch is protected"), "{warning}");
        let story = place.cloud.story();
        assert_eq!(story.matches("GET /repos/acme/app/branches").count(), 1, "{story}");
        place.github(|github| github.unprotected.clear());
        let outcome = place.update(trust(&["live", "stage"])).await;
        assert_eq!((outcome.succeeded, &outcome.attributes["Warning"]), (true, &json!("")));
    });
}

#[test]
fn protected_branches_of_which_github_says_nothing_are_no_warning() {
    for status in [401, 403, 404, 429, 500] {
        at(async |place| {
            place.token();
            environment(place, LIVE, true);
            let refused = Answer { status, headers: Vec::new(), body: "{}".into() };
            place.github(|github| drop(github.answers.insert("GET /repos/acme/app/branches".to_owned(), refused)));
            let before = place.cloud.now();
            let outcome = place.create(trust(&["live"])).await;
            assert_eq!((outcome.succeeded, &outcome.attributes["Warning"]), (true, &json!("")), "{status}");
            let waited = place.cloud.now().duration_since(before).unwrap();
            assert!(waited < Duration::from_secs(15), "{status}: {waited:?}");
            let line = "GitHub does not tell if a branch is protected";
            assert!(place.log.text().contains(line), "{}", place.log.text());
        });
    }
}

#[test]
fn a_remark_never_makes_an_answer_too_long() {
    at(async |place| {
        place.token();
        let names: Vec<String> =
            (0..16).map(|number| format!("environment-with-a-name-{number:02}-{}", "x".repeat(30))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let outcome = place.create(trust(&names)).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let subjects = outcome.attributes["Subjects"].as_str().unwrap().len();
        let warning = outcome.attributes["Warning"].as_str().unwrap().len();
        assert!(subjects > 1000 && subjects + warning <= 2000 && outcome.size <= 4096, "{subjects} {warning}");
        let warning = outcome.attributes["Warning"].as_str().unwrap();
        assert!(warning.starts_with("The role trusts, without protection: environment"), "{warning}");
        assert!(place.log.text().contains("the role trusts environments without protection"));
    });
}
