//! A direct invocation tells whether a token could assume a role, by the policy that IAM has.

use serde_json::{Value, json};

use super::{ISSUER, at, immutable};

async fn ask(place: &super::Place, claims: Value) -> Value {
    place.invoke(&json!({"Explain": {"RoleName": "deploy", "Claims": claims}})).await
}

#[test]
fn a_token_that_is_let_in_and_why_others_are_not() {
    at(async |place| {
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
        assert!(place.create(trust).await.succeeded);
        let sub = immutable("acme/app", "ref:refs/heads/main");
        let answer = ask(place, json!({"sub": sub, "aud": "sts.amazonaws.com"})).await;
        assert_eq!(answer["Verdict"], "admitted", "{answer:#}");
        assert_eq!(answer["Admits"], json!([sub]));
        for (claims, change) in [
            (json!({"sub": sub, "aud": "https://github.com/acme"}), "ask for the audience sts.amazonaws.com"),
            (json!({"sub": "repo:acme/app:ref:refs/heads/main"}), "the repository sends subjects without ids"),
            (json!({"sub": immutable("acme/app", "ref:refs/heads/next")}), "add the branch \"next\" to `Branches`"),
            (json!({"sub": immutable("acme/app", "environment:prod")}), "the job names an environment"),
            (json!({"sub": immutable("acme/app", "pull_request")}), "`PullRequests: true`"),
            (json!({"sub": immutable("acme/other", "pull_request")}), "no entry of `Trust` is about the repository"),
            (json!({"sub": sub.to_uppercase()}), "only the case differs from"),
            (json!({"sub": sub, "iss": "https://token.actions.acme.ghe.com"}), "the role trusts another provider"),
        ] {
            let answer = ask(place, claims.clone()).await;
            assert_eq!(answer["Verdict"], "refused", "{answer:#}");
            assert!(answer["Statements"].to_string().contains(&change.replace('"', "\\\"")), "{change}: {answer:#}");
        }
    });
}

#[test]
fn a_deployment_that_explains_nothing_reads_nothing() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        place.world.settings.guardrails =
            github_trust::guardrails::Guardrails::read(|name| (name == "ALLOW_EXPLAIN").then(|| "false".to_owned()));
        let calls = place.cloud.state().calls.len();
        let answer = ask(place, json!({})).await;
        assert!(answer["Error"].as_str().is_some_and(|why| why.contains("`AllowExplain`")), "{answer}");
        assert_eq!(place.cloud.state().calls.len(), calls);
    });
}

#[test]
fn a_role_is_asked_about_by_its_arn_as_a_workflow_has_it() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        let ask = async |place: &super::Place, account: &str| {
            let arn = format!("arn:aws:iam::{account}:role/github/deploy");
            place.invoke(&json!({"Explain": {"RoleName": arn}})).await
        };
        let answer = ask(place, "111122223333").await;
        assert_eq!(answer["RoleName"], "deploy", "{answer:#}");
        let answer = ask(place, "444455556666").await;
        let expected =
            "expected a role of account 111122223333, found \"arn:aws:iam::444455556666:role/github/deploy\"";
        assert_eq!(answer["Error"], expected);
    });
}

#[test]
fn it_is_the_policy_that_iam_has_that_is_evaluated() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        let theirs = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{ISSUER}")},
            "Condition": {"StringLike": {format!("{ISSUER}:sub"): "repo:acme*"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]});
        place.cloud.change_now(|account, now| {
            let input = json!({"RoleName": "deploy", "PolicyDocument": theirs.to_string()});
            let someone = crate::simulation::author::Author::Someone;
            account.iam_as(&someone, now, "UpdateAssumeRolePolicy", &input).unwrap();
        });
        let answer = ask(place, json!({"sub": "repo:acme-evil/x:pull_request"})).await;
        assert_eq!(answer["Verdict"], "depends on more than the token", "{answer:#}");
        assert_eq!(answer["Policy"], theirs);
        assert_eq!(answer["Admits"], json!([]));
    });
}

#[test]
fn a_question_that_cannot_be_read_or_a_role_that_is_not_there_is_told() {
    at(async |place| {
        let answer = ask(place, json!({})).await;
        assert_eq!(answer["Error"], "there is no role deploy in account 111122223333");
        let answer = place.invoke(&json!({"Explian": {"RoleName": "deploy"}})).await;
        assert!(
            answer["Error"].as_str().unwrap().contains("`Explain`, `Plan` or `Render`, found `Explian`"),
            "{answer}"
        );
        for wrong in
            [json!({"Explain": {}}), json!({"Explain": "deploy"}), json!({"Explain": {"RoleName": "x", "Claim": {}}})]
        {
            let answer = place.invoke(&wrong).await;
            assert!(answer["Error"].as_str().unwrap().starts_with("expected {\"Explain\""), "{answer}");
        }
    });
}

#[test]
fn a_provider_that_is_gone_or_takes_other_tokens_lets_nobody_in() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        let claims = json!({"sub": immutable("acme/app", "ref:refs/heads/main"), "aud": "sts.amazonaws.com"});
        assert_eq!(ask(place, claims.clone()).await["Verdict"], "admitted");
        let arn = place.provider_arn();
        let client_id = json!({"OpenIDConnectProviderArn": arn, "ClientID": "sts.amazonaws.com"});
        place.someone("RemoveClientIDFromOpenIDConnectProvider", &client_id);
        let answer = ask(place, claims.clone()).await;
        assert_eq!(answer["Verdict"], "refused", "{answer:#}");
        let change = "add sts.amazonaws.com to the `ClientIdList` of the provider, or ask for an audience that it has";
        assert_eq!(answer["Provider"]["Change"], change, "{answer:#}");
        place.someone("DeleteOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": arn}));
        let answer = ask(place, claims).await;
        assert_eq!(answer["Verdict"], "refused", "{answer:#}");
        assert_eq!(answer["Provider"]["Found"], "no such provider in the account", "{answer:#}");
    });
}
