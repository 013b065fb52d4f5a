//! The scheduled run says which roles trust subjects that GitHub no longer issues, and changes none of them.

use serde_json::{Value, json};

use super::at;
use crate::simulation::wire::Answer;

pub(super) async fn scheduled(place: &super::Place) -> String {
    place.log.clear();
    place.invoke(&json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})).await;
    place.log.text()
}

#[test]
fn a_role_whose_subjects_have_changed_is_reported_and_left_alone() {
    at(async |place| {
        place.token();
        place.github(|github| github.classic.push("acme/app".into()));
        let trust =
            json!([{"Repository": "acme/app", "Branches": ["main"]}, {"Repository": "acme/infra", "Tags": ["v1"]}]);
        assert!(place.create(trust).await.succeeded);
        let log = scheduled(place).await;
        assert!(log.contains("\"roles\":1,\"drifted\":0,\"unknown\":0"), "{log}");
        let before = place.policy();
        place.github(|github| github.classic.clear());
        let log = scheduled(place).await;
        let line = log.lines().find(|line| line.contains("no longer fits what GitHub says")).expect(&log);
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((line["role"].as_str(), line["name"].as_str()), (Some("deploy"), Some("acme/app")));
        assert!(line["what"].as_str().unwrap().contains("its subjects begin repo:acme@"), "{line}");
        assert!(log.contains("\"drifted\":1"), "{log}");
        assert_eq!(place.policy(), before);
    });
}

#[test]
fn a_renamed_repository_is_reported_and_a_hidden_one_is_counted() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        let moved = Answer {
            status: 301,
            headers: vec![("location", "https://api.github.com/repos/acme/new".to_owned())],
            body: "{}".into(),
        };
        place.github(|github| {
            github.answers.insert("GET /repos/acme/app".into(), moved);
        });
        let log = scheduled(place).await;
        assert!(log.contains("the name leads to acme/new with id") && log.contains("somebody else may have"), "{log}");
        place.github(|github| {
            github.taken.insert("acme/new".into(), crate::simulation::github::ids("acme/app").1);
        });
        let log = scheduled(place).await;
        assert!(log.contains("it is acme/new now") && log.contains("update its stack"), "{log}");
        place.github(|github| {
            github.answers.clear();
            github.private.push("acme/app".into());
        });
        let log = scheduled(place).await;
        assert!(log.contains("\"drifted\":0,\"unknown\":1"), "{log}");
    });
}

#[test]
fn a_role_whose_repository_got_another_template_is_reported() {
    at(async |place| {
        place.token();
        let shared = "acme/shared/.github/workflows/deploy.yml@refs/heads/main";
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "Workflows": [shared]}]);
        assert!(place.create(trust.clone()).await.succeeded);
        assert!(scheduled(place).await.contains("\"drifted\":0"), "nothing has changed");
        place.github(|github| {
            let template = ["repo", "context", "job_workflow_ref"].map(str::to_owned).to_vec();
            github.templates.insert("acme/app".into(), template);
        });
        let log = scheduled(place).await;
        let expected = "its subjects are made of repo, context, job_workflow_ref, the role trusts repo, context";
        assert!(log.contains(expected), "{log}");
        // The stack's update follows, and all is well again.
        assert!(place.update(trust).await.succeeded);
        assert!(scheduled(place).await.contains("\"drifted\":0"));
    });
}

#[test]
fn a_role_whose_provider_is_gone_or_lacks_its_audience_is_reported() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        assert!(!scheduled(place).await.contains("nobody can assume a role"));
        let arn = place.provider_arn();
        let client_id = json!({"OpenIDConnectProviderArn": arn, "ClientID": "sts.amazonaws.com"});
        place.someone("RemoveClientIDFromOpenIDConnectProvider", &client_id);
        let log = scheduled(place).await;
        assert!(log.contains("its provider does not take its audience") && log.contains("UnusableRoles"), "{log}");
        place.someone("DeleteOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": arn}));
        let log = scheduled(place).await;
        assert!(log.contains("its provider is gone") && log.contains("UnusableRoles"), "{log}");
    });
}
