//! Names beside the repository's own that are held against GitHub: organisations and the workflows of others.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{Place, at, immutable};
use crate::simulation::wire::Answer;

fn answers(place: &Place, path: &str, status: u16, body: &Value) {
    let answer = Answer { status, headers: vec![], body: body.to_string() };
    place.github(|github| drop(github.answers.insert(format!("GET {path}"), answer)));
}

#[test]
fn an_organisation_s_template_and_form_are_told_of_all_its_repositories() {
    at(async |place| {
        place.token();
        place.world.settings.guardrails = Guardrails::none();
        let keys = ["repo", "context", "job_workflow_ref"];
        let chosen = json!({"include_claim_keys": keys, "use_immutable_subject": true});
        answers(place, "/orgs/acme/actions/oidc/customization/sub", 200, &chosen);
        let all = json!({"Repository": "acme/*", "Branches": ["main"]});
        let template = "the organisation's subject template is repo, context, job_workflow_ref: jobs of the repositories that use it";
        let warned = place.create(json!([all])).await.attributes["Warning"].as_str().unwrap().to_owned();
        assert!(warned.contains(template) && !warned.contains("`SubjectFormat`"), "{warned}");
        let mut classic = all.clone();
        classic["SubjectFormat"] = json!("Classic");
        let warned = place.create(json!([classic])).await.attributes["Warning"].as_str().unwrap().to_owned();
        assert!(warned.contains("GitHub sends subjects with ids, which `SubjectFormat` does not admit"), "{warned}");
        answers(place, "/orgs/acme/actions/oidc/customization/sub", 403, &json!({}));
        let outcome = place.create(json!([all])).await;
        assert!(outcome.succeeded && !outcome.attributes["Warning"].to_string().contains("template"), "{outcome:?}");
    });
}

#[test]
fn workflows_of_repositories_that_github_calls_otherwise_are_a_warning() {
    at(async |place| {
        place.token();
        let file = "acme/CI/.github/workflows/x.yml@refs/heads/main";
        let with = json!({"Repository": "acme/app", "Branches": ["main"], "Workflows": [file]});
        let whole =
            json!({"Subjects": [immutable("acme/app", &format!("ref:refs/heads/main:job_workflow_ref:{file}"))]});
        let described = |name: &str| json!({"id": 5, "full_name": name, "owner": {"id": 6, "login": "acme"}});
        for (status, body, told) in [
            (200, described("acme/ci"), "the workflows of acme/CI: GitHub writes it acme/ci"),
            (404, json!({}), "the workflows of acme/CI: GitHub shows no such repository to the function's credential"),
        ] {
            answers(place, "/repos/acme/CI", status, &body);
            for trust in [&with, &whole] {
                let outcome = place.create(json!([trust])).await;
                let warned = outcome.attributes["Warning"].as_str().unwrap();
                assert!(outcome.succeeded && warned.contains(told), "{trust}: {outcome:?}");
            }
        }
        answers(place, "/repos/acme/CI", 200, &described("acme/CI"));
        let warned = place.create(json!([with])).await.attributes["Warning"].as_str().unwrap().to_owned();
        assert!(!warned.contains("the workflows of acme/CI"), "{warned}");
    });
}

#[test]
fn claims_that_only_pull_requests_have_are_empty_for_other_jobs() {
    at(async |place| {
        super::closed_values::has_template(place, &["repo", "context", "base_ref", "head_ref"]);
        let outcome =
            place.create(json!([{"Repository": "acme/app", "Branches": ["main"], "Environments": ["prod"]}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let with = |context: &str| immutable("acme/app", &format!("{context}:base_ref::head_ref:"));
        assert_eq!(place.subjects(), [with("environment:prod"), with("ref:refs/heads/main")]);
        let outcome = place.create(json!([{"Repository": "acme/app", "PullRequests": true}])).await;
        assert!(outcome.reason.contains("needs the claim `base_ref`"), "{}", outcome.reason);
        let outcome = place.create(json!([{"Subjects": [with("ref:refs/heads/main")]}])).await;
        assert!(outcome.succeeded && outcome.attributes["Warning"] == "", "{outcome:?}");
        let outcome = place.create(json!([{"Subjects": [with("pull_request")]}])).await;
        assert!(outcome.reason.contains("no job has `base_ref:` and `pull_request`"), "{}", outcome.reason);
    });
}
