//! What GitHub refuses, told in words that help; and what passes by waiting.

use std::fmt::Write as _;

use serde_json::json;

use super::{at, secret, variable, with};
use crate::simulation::cloudformation::Status;
use crate::simulation::wire::Answer;

const GET: &str = "GET /repos/acme/app/actions/variables";
const POST: &str = "POST /repos/acme/app/actions/variables";
const PUT: &str = "PUT /repos/acme/app/actions/secrets/AWS_ROLE_ARN";
const KEY: &str = "GET /repos/acme/app/actions/secrets/public-key";

fn refusal(status: u16, message: &str, headers: &[(&'static str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Answer { status, headers, body: json!({"message": message, "status": status.to_string()}).to_string() }
}

#[test]
fn each_refusal_is_told_with_what_to_do_and_leaves_nothing() {
    let mut told = String::new();
    let sso = ("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=A1B2");
    let permissions = ("x-accepted-github-permissions", "variables=write");
    let invalid = json!({"message": "Validation Failed", "errors": ["Name is too long"], "status": "422"}).to_string();
    for (name, properties, call, answer) in [
        ("wrong credential", variable("v"), GET, refusal(401, "Bad credentials", &[])),
        (
            "no permission to look",
            variable("v"),
            GET,
            refusal(403, "Resource not accessible by integration", &[permissions]),
        ),
        (
            "no permission to write",
            variable("v"),
            POST,
            refusal(403, "Resource not accessible by integration", &[permissions]),
        ),
        (
            "single sign-on",
            variable("v"),
            GET,
            refusal(
                403,
                "Resource protected by organization SAML enforcement. You must grant your OAuth token access to this organization.",
                &[sso],
            ),
        ),
        ("no repository", variable("v"), POST, refusal(404, "Not Found", &[])),
        ("no environment", with(variable("v"), "Environment", json!("staging")), "", refusal(404, "", &[])),
        ("no key", secret("hunter"), KEY, refusal(404, "Not Found", &[])),
        ("not valid", variable("v"), POST, Answer { status: 422, headers: Vec::new(), body: invalid }),
        ("not sealed well", secret("hunter"), PUT, refusal(422, "Bad request - the secret is not sealed", &[])),
        (
            "rate limit of an hour",
            variable("v"),
            POST,
            refusal(429, "API rate limit exceeded", &[("retry-after", "3000")]),
        ),
        ("out of order", variable("v"), POST, refusal(500, "Server Error", &[])),
        ("archived", variable("v"), POST, refusal(403, "Repository was archived so is read-only.", &[])),
    ] {
        at(async |place| {
            place.cloud.state().account.github.answers.insert(call.to_owned(), answer);
            assert_eq!(place.create(properties).await, Status::RollbackComplete, "{name}: {}", place.reason());
            let reason = place.reason();
            writeln!(told, "{name}\n  {reason}").unwrap();
            assert!(place.github(|github| github.items.is_empty()), "{name}");
        });
    }
    insta::assert_snapshot!(told);
}

/// Only AWS allows a call by the tags of its object, which may count late.
#[test]
fn a_write_that_github_forbids_is_not_waited_for() {
    at(async |place| {
        let permissions = ("x-accepted-github-permissions", "secrets=write");
        let forbidden = refusal(403, "Resource not accessible by integration", &[permissions]);
        place.cloud.state().account.github.answers.insert(PUT.to_owned(), forbidden);
        let before = place.cloud.now();
        assert_eq!(place.create(secret("hunter")).await, Status::RollbackComplete, "{}", place.reason());
        let waited = place.cloud.now().duration_since(before).unwrap().as_secs();
        assert!(waited < 10 && !place.reason().contains("is new"), "{waited} s: {}", place.reason());
    });
}

#[test]
fn without_a_credential_nothing_is_sent_and_the_stack_can_go() {
    at(async |place| {
        place.cloud.state().account.github.secret =
            Some(json!({"github.example.com": {"token": super::TOKEN}}).to_string());
        assert_eq!(place.create(variable("v")).await, Status::RollbackComplete);
        assert!(place.reason().contains("no credential for github.com"), "{}", place.reason());
        assert!(!place.cloud.story().contains("api.github.com") && place.changes() == 0);
    });
}

#[test]
fn a_renamed_repository_is_told_with_its_new_name() {
    at(async |place| {
        let moved = |to: &str| Answer { status: 301, headers: vec![("location", to.to_owned())], body: "{}".into() };
        let described = json!({"id": 5, "full_name": "acme/new", "owner": {"login": "acme", "id": 4}});
        {
            let mut state = place.cloud.state();
            let answers = &mut state.account.github.answers;
            answers.insert(GET.into(), moved("https://api.github.com/repositories/5/actions/variables"));
            answers.insert("GET /repos/acme/app".into(), moved("https://api.github.com/repositories/5"));
            let body = described.to_string();
            answers.insert("GET /repositories/5".into(), Answer { status: 200, headers: Vec::new(), body });
        }
        assert_eq!(place.create(variable("v")).await, Status::RollbackComplete);
        let reason = place.reason();
        assert!(
            reason.contains("acme/app was renamed or transferred, and is acme/new now: declare it by that name"),
            "{reason}"
        );
    });
}

#[test]
fn a_secondary_rate_limit_is_waited_for_as_long_as_it_asks() {
    at(async |place| {
        let limited = refusal(403, "You have exceeded a secondary rate limit", &[("retry-after", "90")]);
        place.cloud.state().account.github.answers.insert(POST.to_owned(), limited);
        let cloud = place.cloud.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(std::time::Duration::from_mins(1)).await;
            cloud.state().account.github.answers.clear();
        });
        let before = place.cloud.now();
        assert_eq!(place.create(variable("v")).await, Status::CreateComplete, "{}", place.reason());
        let waited = place.cloud.now().duration_since(before).unwrap().as_secs();
        assert!((90..100).contains(&waited), "{waited}");
    });
}

/// "Otherwise, wait for at least one minute before retrying": it is told from a lacking permission by its words.
#[test]
fn a_secondary_rate_limit_that_names_no_time_is_waited_for_a_minute() {
    for (status, message) in [
        (403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
        (429, "Too many requests"),
    ] {
        at(async |place| {
            place.cloud.state().account.github.answers.insert(POST.to_owned(), refusal(status, message, &[]));
            let cloud = place.cloud.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(std::time::Duration::from_secs(30)).await;
                cloud.state().account.github.answers.clear();
            });
            let before = place.cloud.now();
            assert_eq!(place.create(variable("v")).await, Status::CreateComplete, "{}", place.reason());
            let waited = place.cloud.now().duration_since(before).unwrap().as_secs();
            assert!((60..70).contains(&waited), "{status}: {waited}");
            let posts = place.cloud.story().matches("POST /repos/acme/app/actions/variables").count();
            assert_eq!(posts, 3, "{status}: {}", place.cloud.story());
        });
    }
    at(async |place| {
        let limited = refusal(403, "You have exceeded a secondary rate limit", &[]);
        place.cloud.state().account.github.answers.insert(POST.to_owned(), limited);
        assert_eq!(place.create(variable("v")).await, Status::RollbackComplete);
        assert!(place.reason().contains("its rate limit is used up for the next 60 s"), "{}", place.reason());
    });
}

/// Words are no contract: a refusal that gives no reason is tried once more, and then told as it is.
#[test]
fn a_refusal_without_a_reason_is_tried_once_more() {
    for (words, is_over, expected) in
        [("Etwas ging schief.", true, Status::CreateComplete), ("Etwas ging schief.", false, Status::RollbackComplete)]
    {
        at(async |place| {
            place.cloud.state().account.github.answers.insert(POST.to_owned(), refusal(403, words, &[]));
            let cloud = place.cloud.clone();
            if is_over {
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
                    cloud.state().account.github.answers.clear();
                });
            }
            let before = place.cloud.now();
            assert_eq!(place.create(variable("v")).await, expected, "{}", place.reason());
            let waited = place.cloud.now().duration_since(before).unwrap().as_secs();
            assert!((60..200).contains(&waited), "{waited}");
            assert!(is_over || place.reason().contains("was denied (403): Etwas ging schief"), "{}", place.reason());
        });
    }
}

#[test]
fn an_app_that_gets_no_token_is_told_why() {
    for (status, hint) in [
        (401, "`app_id` and `private_key` do not belong together"),
        (403, "the installation is suspended"),
        (404, "it is no installation of this App, or was removed; see `installation_id`"),
        (422, "the App does not have what is asked for"),
    ] {
        at(async |place| {
            let key = include_str!("../thumbprints/rsa_keys/1.pem");
            let app = json!({"app_id": 12, "installation_id": 34, "private_key": key});
            let call = "POST /app/installations/34/access_tokens".to_owned();
            {
                let github = &mut place.cloud.state().account.github;
                github.secret = Some(app.to_string());
                github.answers.insert(call, refusal(status, "no", &[]));
            }
            assert_eq!(place.create(variable("v")).await, Status::RollbackComplete);
            let reason = place.reason();
            let told = format!("installation 34 of the GitHub App 12 gets no token (status {status}): {hint}");
            let told = told.replace(": `app_id`", ": its `app_id`");
            assert!(reason.contains(&told), "{reason}");
            assert!(!place.log.text().contains("PRIVATE KEY") && place.changes() == 0);
        });
    }
}

#[test]
fn an_app_gets_itself_one_token_for_all_calls_of_a_request() {
    at(async |place| {
        let key = include_str!("../thumbprints/rsa_keys/1.pem");
        let app = json!({"app_id": 12, "installation_id": 34, "private_key": key});
        place.cloud.state().account.github.secret = Some(app.to_string());
        assert_eq!(place.create(secret("hunter")).await, Status::CreateComplete, "{}", place.reason());
        let asked = place.cloud.story().matches("/app/installations/34/access_tokens").count();
        assert_eq!(asked, 1, "{}", place.cloud.story());
        assert!(!place.log.text().contains("ghs_installation"));
    });
}
