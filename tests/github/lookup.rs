//! Known is written exactly; ids without a form lead to both; what cannot be known fails and says what to do.

use serde_json::json;

use super::{at, at_issuer, immutable};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::wire::Answer;

const MAIN: &str = "ref:refs/heads/main";

fn app() -> serde_json::Value {
    json!([{"Repository": "acme/app", "Branches": ["main"]}])
}

#[test]
fn a_new_public_repository_has_its_ids_without_any_credential() {
    at(async |place| {
        let outcome = place.create(app()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), [immutable("acme/app", MAIN)]);
        assert_eq!(outcome.attributes["Subjects"], immutable("acme/app", MAIN));
    });
}

#[test]
fn an_old_public_repository_has_both_forms_pinned_by_its_id() {
    at(async |place| {
        place.github(|github| github.classic.push("acme/app".into()));
        assert!(place.create(app()).await.succeeded);
        assert_eq!(place.subjects(), [format!("repo:acme/app:{MAIN}"), immutable("acme/app", MAIN)]);
        let id = crate::simulation::github::ids("acme/app").1.to_string();
        assert!(place.policy().to_string().contains(&format!(":repository_id\":\"{id}\"")), "{}", place.policy());
    });
}

#[test]
fn with_a_credential_the_form_is_known_and_no_other_is_written() {
    at(async |place| {
        place.token();
        place.github(|github| github.classic.push("acme/app".into()));
        assert!(place.create(app()).await.succeeded);
        assert_eq!(place.subjects(), [format!("repo:acme/app:{MAIN}")]);
    });
}

#[test]
fn a_private_repository_needs_a_credential_or_the_author_is_told() {
    at(async |place| {
        place.github(|github| github.private.push("acme/app".into()));
        let outcome = place.create(app()).await;
        assert!(!outcome.succeeded);
        for part in [
            "`Trust[0]` (acme/app): GitHub shows no such repository to the public",
            "gh api repos/acme/app --jq '{OwnerId: .owner.id, RepositoryId: .id}'",
            "gh api repos/acme/app/actions/oidc/customization/sub --jq .sub_claim_prefix",
            "`SubjectFormat: Immutable`",
            "`GitHubSecretArn`",
        ] {
            assert!(outcome.reason.contains(part), "{part}: {}", outcome.reason);
        }
        assert_eq!(place.subjects(), Vec::<String>::new());
        place.token();
        assert!(place.create(app()).await.succeeded);
        assert_eq!(place.subjects(), [immutable("acme/app", MAIN)]);
    });
}

#[test]
fn what_the_author_writes_is_not_asked_for() {
    at(async |place| {
        place.github(|github| github.down = true);
        for (format, subjects) in [
            ("Immutable", vec![format!("repo:acme@1/app@2:{MAIN}")]),
            ("Classic", vec![format!("repo:acme/app:{MAIN}")]),
            ("Both", vec![format!("repo:acme/app:{MAIN}"), format!("repo:acme@1/app@2:{MAIN}")]),
            // GitHub is asked, and does not answer.
            ("Auto", vec![format!("repo:acme/app:{MAIN}"), format!("repo:acme@1/app@2:{MAIN}")]),
        ] {
            let entry = json!({"Repository": "acme/app", "Branches": ["main"], "OwnerId": "1", "RepositoryId": "2", "SubjectFormat": format, "Actors": ["33"]});
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{format}: {}", outcome.reason);
            assert_eq!(place.subjects(), subjects, "{format}");
        }
    });
}

#[test]
fn ids_that_github_contradicts_are_refused() {
    at(async |place| {
        let outcome =
            place.create(json!([{"Repository": "acme/app", "Branches": ["main"], "RepositoryId": "2"}])).await;
        assert!(outcome.reason.contains("`RepositoryId`: GitHub says"), "{}", outcome.reason);
    });
}

#[test]
fn a_custom_template_is_followed_and_what_it_needs_is_asked_of_the_author() {
    at(async |place| {
        place.token();
        let keys = ["repo", "context", "job_workflow_ref"].map(str::to_owned).to_vec();
        place.github(|github| {
            github.templates.insert("acme/app".into(), keys);
        });
        let outcome = place.create(app()).await;
        assert!(!outcome.succeeded);
        let lack = "`Trust[0]` (acme/app): the repository's subject template needs the claim `job_workflow_ref`, which the entry does not give: add `Workflows`";
        assert!(outcome.reason.contains(lack), "{}", outcome.reason);
        let workflow = "acme/ci/.github/workflows/deploy.yml@refs/heads/main";
        let entry = json!({"Repository": "acme/app", "Branches": ["main"], "Workflows": [workflow]});
        assert!(place.create(json!([entry])).await.succeeded);
        assert_eq!(place.subjects(), [immutable("acme/app", &format!("{MAIN}:job_workflow_ref:{workflow}"))]);
        assert!(!place.policy().to_string().contains(":job_workflow_ref\":"), "the subject says it already");
    });
}

#[test]
fn an_organisation_s_template_counts_where_the_repository_opted_in() {
    at(async |place| {
        place.token();
        let answer = |body: serde_json::Value| Answer { status: 200, headers: Vec::new(), body: body.to_string() };
        let own = json!({"use_default": false, "sub_claim_prefix": "repo:acme/app"});
        let organisations = json!({"include_claim_keys": ["repository_owner", "repo", "context"]});
        place.github(|github| {
            github.answers.insert("GET /repos/acme/app/actions/oidc/customization/sub".into(), answer(own));
            github.answers.insert("GET /orgs/acme/actions/oidc/customization/sub".into(), answer(organisations));
        });
        assert!(place.create(app()).await.succeeded);
        assert_eq!(place.subjects(), [format!("repository_owner:acme:repo:acme/app:{MAIN}")]);
    });
}

#[test]
fn without_use_default_the_default_template_counts() {
    at(async |place| {
        place.token();
        let answer = |body: serde_json::Value| Answer { status: 200, headers: Vec::new(), body: body.to_string() };
        let own = json!({"sub_claim_prefix": "repo:acme/app"});
        let organisations = json!({"include_claim_keys": ["repository_owner", "repo", "context"]});
        place.github(|github| {
            github.answers.insert("GET /repos/acme/app/actions/oidc/customization/sub".into(), answer(own));
            github.answers.insert("GET /orgs/acme/actions/oidc/customization/sub".into(), answer(organisations));
        });
        assert!(place.create(app()).await.succeeded);
        assert_eq!(place.subjects(), [format!("repo:acme/app:{MAIN}")]);
    });
}

#[test]
fn a_github_app_gets_itself_a_token_and_no_secret_is_logged() {
    at(async |place| {
        let key = include_str!("../thumbprints/rsa_keys/1.pem");
        place.secret(&json!({"app_id": 12, "installation_id": 34, "private_key": key}));
        place.github(|github| github.private.push("acme/app".into()));
        let outcome = place.create(app()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let story = place.cloud.story();
        assert_eq!(story.matches("POST /app/installations/34/access_tokens").count(), 1, "{story}");
        assert_eq!(story.matches("GetSecretValue").count(), 1, "{story}");
        let log = place.log.text();
        assert!(!log.contains("ghs_") && !log.contains("PRIVATE") && !log.contains("eyJ"), "{log}");
    });
}

#[test]
fn a_token_that_is_refused_or_no_token_is_told_without_showing_it() {
    at(async |place| {
        place.token();
        let refused = Answer { status: 401, headers: Vec::new(), body: "{}".into() };
        place.github(|github| {
            github.answers.insert("GET /repos/acme/app".into(), refused);
        });
        let outcome = place.create(app()).await;
        assert!(
            outcome.reason.contains("it refuses the credential (status 401): renew the secret"),
            "{}",
            outcome.reason
        );
        place.secret(&json!("ghp_0123456789"));
        let outcome = place.create(app()).await;
        assert!(outcome.reason.contains("the secret is not {\"token\": …}"), "{}", outcome.reason);
        assert!(!outcome.reason.contains("ghp_") && !place.log.text().contains("ghp_"), "{}", place.log.text());
    });
}

#[test]
fn a_rate_limit_that_ends_soon_is_waited_for_a_long_one_is_told() {
    at(async |place| {
        let limited = |header: &'static str, value: String| Answer {
            status: 403,
            headers: vec![("x-ratelimit-remaining", "0".to_owned()), (header, value)],
            body: "{}".into(),
        };
        let reset = |place: &super::Place, seconds: u64| {
            let now = place.cloud.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            limited("x-ratelimit-reset", (now + seconds).to_string())
        };
        let long = reset(place, 3000);
        place.github(|github| {
            github.answers.insert("GET /repos/acme/app".into(), long);
        });
        let outcome = place.create(app()).await;
        assert!(outcome.reason.contains("its rate limit is used up for the next"), "{}", outcome.reason);
        // The next one is used up for ten seconds; the answer after that is an ordinary one.
        place.github(|github| github.answers.clear());
        place.cloud.state().faults.plan(At::nth("GET /repos/acme/app", 1), When::Before, Fault::Throttle);
        assert!(place.create(app()).await.succeeded);
    });
}

#[test]
fn an_unchanged_trust_and_a_rollback_need_no_github() {
    at(async |place| {
        place.github(|github| github.classic.push("acme/infra".into()));
        place.token();
        let both = json!([
            {"Repository": "acme/app", "Branches": ["main"], "Actors": ["octocat"]},
            {"Repository": "acme/infra", "Environments": ["prod"]},
        ]);
        assert!(place.create(both.clone()).await.succeeded);
        let before = place.policy();
        place.github(|github| github.down = true);
        let outcome = place.update(both.clone()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.policy(), before);
        // What is known of a repository serves for its other branches, too.
        let outcome = place.update(json!([{"Repository": "acme/app", "Branches": ["main", "next"]}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), [immutable("acme/app", MAIN), immutable("acme/app", "ref:refs/heads/next")]);
        // Another repository is not guessed at.
        let outcome = place.update(json!([{"Repository": "acme/other", "Branches": ["main"]}])).await;
        assert!(outcome.reason.contains("GitHub could not be asked: the connection failed"), "{}", outcome.reason);
        assert_eq!(outcome.physical_id, "deploy");
        assert_eq!(place.subjects().len(), 2);
    });
}

#[test]
fn what_somebody_else_s_role_trusts_is_no_memory_of_ours() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        place.cloud.change_now(|account, now| {
            let someone = crate::simulation::author::Author::Someone;
            let input = json!({"RoleName": "deploy", "TagKeys": ["github-trust:stack-id", "github-trust:logical-id"]});
            account.iam_as(&someone, now, "UntagRole", &input).unwrap();
        });
        place.github(|github| github.down = true);
        let outcome = place.request("Create", json!({"Trust": app(), "OnExisting": "Adopt"})).await;
        assert!(outcome.reason.contains("GitHub could not be asked"), "{}", outcome.reason);
    });
}

#[test]
fn a_custom_template_is_remembered_by_the_policy_too() {
    at(async |place| {
        place.token();
        let keys = ["repo", "context", "job_workflow_ref"].map(str::to_owned).to_vec();
        place.github(|github| {
            github.templates.insert("acme/app".into(), keys);
        });
        let workflow = "acme/ci/.github/workflows/deploy.yml@refs/heads/main";
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "Environments": ["prod"], "Workflows": [workflow]}]);
        assert!(place.create(trust.clone()).await.succeeded);
        let before = place.policy();
        place.github(|github| github.down = true);
        let outcome = place.update(trust).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.policy(), before);
    });
}

#[test]
fn each_github_is_asked_at_its_own_place_with_its_own_credential() {
    for (issuer, host, token, form) in [
        ("token.actions.githubusercontent.com", "api.github.com", "Bearer one", true),
        ("token.actions.githubusercontent.com/acme", "api.github.com", "Bearer one", true),
        ("token.actions.acme.ghe.com", "api.acme.ghe.com", "Bearer two", true),
        ("github.example.com/_services/token", "github.example.com", "Bearer three", false),
    ] {
        at_issuer(issuer, async |place| {
            let token_of = |token: &str| json!({"token": token});
            place.secret(&json!({
                "github.com": token_of("one"), "acme.ghe.com": token_of("two"), "github.example.com": token_of("three"),
            }));
            let outcome = place.create(app()).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            let subject = if form { immutable("acme/app", MAIN) } else { format!("repo:acme/app:{MAIN}") };
            assert_eq!(place.subjects(), [subject]);
            let asked = place.cloud.state().account.github.credentials.clone();
            assert_eq!(asked, vec![(host.to_owned(), token.to_owned()); 2]);
        });
    }
}

#[test]
fn an_enterprise_server_without_a_credential_is_not_asked() {
    at_issuer("github.example.com/_services/token", async |place| {
        let outcome = place.create(app()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), [format!("repo:acme/app:{MAIN}")]);
        assert!(!place.policy().to_string().contains("repository_id"));
        assert!(!place.cloud.story().contains("GET /"), "{}", place.cloud.story());
        let workflow = "acme/ci/.github/workflows/deploy.yml@refs/heads/main";
        for (member, value, reason) in [
            ("Workflows", json!([workflow]), "STS reads no claim `job_workflow_ref` of an Enterprise Server"),
            ("EnterpriseId", json!("5"), "STS reads no claim `enterprise_id` of an Enterprise Server"),
            ("Actors", json!(["5"]), "STS reads no claim `actor_id` of an Enterprise Server"),
            ("SubjectFormat", json!("Immutable"), "an Enterprise Server has no immutable subjects"),
            ("Environments", json!(["a:b"]), "two environments can have one subject"),
        ] {
            let mut entry = json!({"Repository": "acme/app", "Branches": ["main"]});
            entry[member] = value;
            let outcome = place.update(json!([entry])).await;
            assert!(!outcome.succeeded && outcome.reason.contains(reason), "{member}: {}", outcome.reason);
        }
    });
}
