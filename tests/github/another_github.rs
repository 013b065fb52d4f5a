//! A role that moves to another GitHub, which has other ids, and one that is of another one from the beginning.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::changed_names::refuses;
use super::explain::{ask, with_audience};
use super::{at, at_issuer, immutable};
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;

#[test]
fn a_role_that_moves_to_another_github_takes_no_ids_along() {
    const ENTERPRISE: &str = "token.actions.acme.ghe.com";
    const SERVER: &str = "github.example.com/_services/token";
    for (issuer, secret) in [(ENTERPRISE, "acme.ghe.com"), (SERVER, "github.example.com")] {
        for is_shown in [true, false] {
            at(async |place| {
                place.world.settings.guardrails = Guardrails::none();
                place.secret(&json!({"github.com": {"token": "one"}, secret: {"token": "two"}}));
                let provider = json!({"Url": format!("https://{issuer}"), "ClientIDList": ["sts.amazonaws.com"]});
                place.someone("CreateOpenIDConnectProvider", &provider);
                let there = json!(format!("arn:aws:iam::111122223333:oidc-provider/{issuer}"));
                let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": ["octocat"]}]);
                assert!(place.create(trust.clone()).await.succeeded);
                let before = place.policy();
                place.github(|github| {
                    github.taken =
                        [("acme".to_owned(), 777), ("acme/app".to_owned(), 999), ("octocat".to_owned(), 5)].into();
                });
                let mut moved = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
                if !is_shown {
                    let hidden = || Answer { status: 404, headers: Vec::new(), body: "{}".into() };
                    place.github(|github| {
                        for root in ["", "/api/v3"] {
                            github.answers.insert(format!("GET {root}/repos/acme/app"), hidden());
                        }
                    });
                } else if issuer == ENTERPRISE {
                    moved[0]["Actors"] = json!(["octocat"]);
                }
                let outcome = place.request("Update", json!({"Trust": moved, "ProviderArn": there})).await;
                let policy = place.policy();
                if is_shown {
                    assert!(outcome.succeeded, "{issuer}: {}", outcome.reason);
                    assert!(policy.to_string().contains(issuer), "{policy}");
                    assert!(!policy.to_string().contains(&ids("acme/app").1.to_string()), "{policy}");
                } else {
                    assert!(!outcome.succeeded, "{issuer}: {policy}");
                    assert!(outcome.reason.contains("GitHub shows no such repository"), "{}", outcome.reason);
                    assert_eq!(policy, before);
                    return;
                }
                // The way back: github.com's names have their old ids.
                let parts = ["acme/app with id", "`RepositoryId: 999`", "5 in place of octocat"];
                refuses(place, &trust, &parts).await;
                place.rolls_back = true;
                let outcome = place.update(trust).await;
                assert!(outcome.succeeded, "{issuer}: {}", outcome.reason);
                assert!(!place.policy().to_string().contains("999"), "{}", place.policy());
            });
        }
    }
}

#[test]
fn an_enterprise_on_ghe_com_with_an_issuer_of_its_own_lives_a_life() {
    const ISSUER: &str = "token.actions.octocorp.ghe.com/octo-ent";
    at_issuer(ISSUER, async |place| {
        place.secret(&json!({"octocorp.ghe.com": {"token": "ghp_0123456789"}}));
        let outcome = place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), [immutable("acme/app", "ref:refs/heads/main")]);
        let policy = place.policy().to_string();
        let names = [format!("oidc-provider/{ISSUER}\""), format!("\"{ISSUER}:sub\""), format!("\"{ISSUER}:aud\"")];
        assert!(names.iter().all(|name| policy.contains(name)), "{policy}");
        let claims = json!({"iss": format!("https://{ISSUER}"), "sub": immutable("acme/app", "ref:refs/heads/main")});
        let answer = ask(place, with_audience(claims)).await;
        assert_eq!(answer["Verdict"], "admitted", "{answer:#}");
        let other = json!({"iss": "https://token.actions.octocorp.ghe.com", "sub": immutable("acme/app", "ref:refs/heads/main")});
        let answer = ask(place, with_audience(other)).await;
        assert_eq!(answer["Verdict"], "refused", "{answer:#}");
        let outcome = place.update(json!([{"Repository": "acme/app", "Environments": ["a:b"]}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert!(
            place.policy().to_string().contains(&format!("\"{ISSUER}:environment\":\"a:b\"")),
            "{}",
            place.policy()
        );
        let outcome =
            place.request("Delete", json!({"Trust": [{"Repository": "acme/app", "Branches": ["main"]}]})).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.policy(), Value::Null);
    });
}
