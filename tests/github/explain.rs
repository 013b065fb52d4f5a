//! A direct invocation tells whether a token could assume a role, by the policy that IAM has.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{ISSUER, Place, at, immutable};
use crate::simulation::function::deliver_text;
use crate::simulation::github::ids;

pub(super) async fn ask(place: &Place, claims: Value) -> Value {
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
            Guardrails::read(|name| (name == "ALLOW_EXPLAIN").then(|| "false".to_owned()));
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
        let ask = async |place: &Place, account: &str| {
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
fn a_policy_that_cannot_be_read_is_not_judged() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        let twice = place.policy().to_string().replacen("\"Condition\":", "\"Condition\":{},\"Condition\":", 1);
        place.someone("UpdateAssumeRolePolicy", &json!({"RoleName": "deploy", "PolicyDocument": twice}));
        let answer = ask(place, json!({"sub": immutable("acme/app", "ref:refs/heads/main")})).await;
        let told = "the trust policy of deploy cannot be read: it is no JSON, or a key stands twice in it";
        assert_eq!(answer["Error"], told, "{answer:#}");
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
        let twice = r#"{"Explain": {"RoleName": "deploy", "Claims": {"sub": "repo:a/b:pull_request", "sub": "x"}}}"#;
        let answer = deliver_text(&place.cloud, place.settings.clone(), twice).await;
        let error = answer["Error"].as_str().unwrap();
        assert!(error.starts_with("expected {\"Explain\"") && error.ends_with(": `Claims.sub` twice"), "{answer}");
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
/// The changes that an answer advises.
pub(super) fn changes(answer: &Value) -> Vec<&str> {
    let statements = answer["Statements"].as_array().into_iter().flatten();
    let failed = statements.flat_map(|statement| statement["Failed"].as_array().into_iter().flatten());
    failed.filter_map(|failed| failed["Change"].as_str()).collect()
}

pub(super) fn with_audience(mut claims: Value) -> Value {
    claims["aud"] = json!("sts.amazonaws.com");
    claims
}

/// Asks about a token that the role refuses, follows the advice, and asks again. Returns all advice.
pub(super) fn follow(
    template: Option<&[&str]>,
    trust: Value,
    claims: Value,
    advice: &str,
    followed: Value,
) -> Vec<String> {
    let claims = with_audience(claims);
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        place.token();
        let template = template.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
        place.github(|github| github.templates.extend(template.map(|keys| ("acme/app".to_owned(), keys))));
        let created = place.create(trust).await;
        assert!(created.succeeded, "{}", created.reason);
        let answer = ask(place, claims.clone()).await;
        assert_eq!(answer["Verdict"], "refused", "{answer:#}");
        let told: Vec<String> = changes(&answer).into_iter().map(str::to_owned).collect();
        assert!(told.iter().any(|change| change.contains(advice)), "{advice}: {answer:#}");
        let updated = place.update(followed).await;
        assert!(updated.succeeded, "{}", updated.reason);
        let answer = ask(place, claims).await;
        assert_eq!(answer["Verdict"], "admitted", "{answer:#}");
        told
    })
}

#[test]
fn an_environment_is_advised_and_not_its_twin() {
    let sub = immutable("acme/app", "environment:a%3Ab");
    let entry = |names: &[&str]| json!([{"Repository": "acme/app", "Environments": names}]);
    for (trusted, named, advice) in [
        ("prod", "a:b", "add \"a:b\" to `Environments`"),
        ("prod", "a%3Ab", "add \"a%3Ab\" to `Environments`"),
        ("a%3Ab", "a:b", "add \"a:b\" to `Environments`"),
    ] {
        let claims = json!({"sub": sub, "environment": named});
        follow(None, entry(&[trusted]), claims, advice, entry(&[trusted, named]));
    }
    at(async |place| {
        assert!(place.create(entry(&["prod"])).await.succeeded);
        let answer = ask(place, with_audience(json!({"sub": sub}))).await;
        let advice = "add \"a:b\" to `Environments` (or \"a%3Ab\", as the token's claim `environment` says)";
        assert!(changes(&answer)[0].contains(advice), "{answer:#}");
    });
}

#[test]
fn a_role_for_an_owner_is_about_its_repositories() {
    let entry = |branches: &[&str]| json!({"Repository": "acme/*", "Branches": branches});
    let owner = ids("acme/app").0.to_string();
    let claims = |sub: &str| json!({"sub": sub, "repository_owner_id": owner});
    let sub = immutable("acme/other", "ref:refs/heads/next");
    let advice = "add the branch \"next\" to `Branches` in the entry of acme/*";
    follow(None, json!([entry(&["main"])]), claims(&sub), advice, json!([entry(&["main", "next"])]));
    // One with a template of its own needs an entry of its own.
    let sub = immutable("acme/app", "ref:refs/heads/main:actor_id:7");
    let own = json!({"Repository": "acme/app", "Branches": ["main"], "Actors": ["7"]});
    let template = Some(&["repo", "context", "actor_id"][..]);
    let advice = "so add an entry for acme/app";
    follow(template, json!([entry(&["main"])]), json!({"sub": sub}), advice, json!([entry(&["main"]), own]));
}

#[test]
fn with_a_template_the_member_of_the_claim_is_named() {
    let tier = |values: &[&str]| {
        json!([{"Repository": "acme/app", "Branches": ["main"],
            "TemplateClaims": [{"Name": "repo_property_tier", "Values": values}]}])
    };
    let template = Some(&["repo", "context", "repo_property_tier"][..]);
    let sub = immutable("acme/app", "ref:refs/heads/main:repo_property_tier:silver");
    let advice = "add \"silver\" to the `Values` of `repo_property_tier` in `TemplateClaims`";
    follow(template, tier(&["gold"]), json!({"sub": sub}), advice, tier(&["gold", "silver"]));

    let by = |actors: &[&str]| json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": actors}]);
    let template = Some(&["repo", "context", "actor"][..]);
    let sub = immutable("acme/app", "ref:refs/heads/main:actor:hubot");
    let claims = json!({"sub": sub, "actor_id": ids("hubot").0.to_string()});
    follow(template, by(&["octocat"]), claims, "list the user hubot under `Actors`", by(&["octocat", "hubot"]));

    let refs = |values: &[&str]| json!([{"Repository": "acme/app", "Environments": ["prod"], "Refs": values}]);
    let template = Some(&["repo", "context", "ref"][..]);
    let sub = immutable("acme/app", "environment:prod:ref:refs/heads/next");
    let advice = "add \"refs/heads/next\" to `Refs`";
    let (main, next) = (refs(&["refs/heads/main"]), refs(&["refs/heads/main", "refs/heads/next"]));
    follow(template, main.clone(), json!({"sub": sub}), advice, next.clone());
    // Without a template it is the claim.
    let claims = json!({"sub": immutable("acme/app", "environment:prod"), "ref": "refs/heads/next"});
    let next = {
        let mut next = next;
        next[0]["Environments"] = json!(["prod"]);
        next
    };
    let claims = {
        let mut claims = claims;
        claims["environment"] = json!("prod");
        claims
    };
    follow(None, main, claims, advice, next);

    // A branch is declared together with its ref, and pull requests with the refs of all of them.
    let on = |branches: &[&str], refs: &[&str]| json!([{"Repository": "acme/app", "Branches": branches, "Refs": refs}]);
    let (before, after) = (
        on(&["release/*"], &["refs/heads/release/1"]),
        on(&["release/*", "next"], &["refs/heads/release/1", "refs/heads/next"]),
    );
    let claims = json!({"sub": immutable("acme/app", "ref:refs/heads/next"), "ref": "refs/heads/next"});
    let advice = "add the branch \"next\" to `Branches` in the entry of acme/app; if that has `Refs`, write a second entry of acme/app instead, with \"refs/heads/next\" under `Refs`";
    follow(None, before, claims, advice, after);
    let pulls = |refs: &[&str]| json!([{"Repository": "acme/app", "PullRequests": true, "Refs": refs}]);
    let claims = json!({"sub": immutable("acme/app", "pull_request"), "ref": "refs/pull/7/merge"});
    let advice = "add \"refs/pull/*/merge\" to `Refs`";
    follow(None, pulls(&["refs/heads/main"]), claims, advice, pulls(&["refs/heads/main", "refs/pull/*/merge"]));

    let pulls = |is: bool| json!([{"Repository": "acme/app", "Branches": ["main"], "PullRequests": is}]);
    let sub = immutable("acme/app", "ref:refs/pull/7/merge");
    follow(Some(&["repo", "ref"]), pulls(false), json!({"sub": sub}), "set `PullRequests: true`", pulls(true));
}

#[test]
fn a_stranger_under_a_trusted_name_is_a_stranger_in_every_condition() {
    let repository = json!([{"Repository": "acme/app", "Environments": ["prod"], "Refs": ["refs/heads/main"]}]);
    let owner = json!([{"Repository": "acme/*", "Branches": ["main"]}]);
    let (owner_id, _) = ids("acme/app");
    for (is_classic, trust, claims, told) in [
        (false, &repository, json!({"sub": "repo:acme@777/app@999:environment:prod"}), "of the name acme/app (id 999)"),
        (true, &repository, json!({"sub": "repo:acme@777/app@999:environment:prod"}), "of the name acme/app (id 999)"),
        (
            true,
            &repository,
            json!({"sub": "repo:acme/app:environment:prod", "repository_id": "999", "ref": "refs/heads/x"}),
            "of the name acme/app (id 999)",
        ),
        (
            false,
            &repository,
            json!({"sub": format!("repo:acme@{owner_id}/app@999:environment:new")}),
            "of the name acme/app (id 999)",
        ),
        (
            false,
            &owner,
            json!({"sub": "repo:acme@777/x@5:ref:refs/heads/main"}),
            "another owner of the name acme (id 777)",
        ),
        (
            false,
            &owner,
            json!({"sub": "repo:acme/x:ref:refs/heads/main", "repository_owner_id": "777"}),
            "another owner of the name acme (id 777)",
        ),
    ] {
        at(async |place| {
            place.world.settings.guardrails = Guardrails::none();
            place.token();
            place.github(|github| github.classic.extend(is_classic.then(|| "acme/app".to_owned())));
            let created = place.create(trust.clone()).await;
            assert!(created.succeeded, "{}", created.reason);
            let answer = ask(place, with_audience(claims.clone())).await;
            let changes = changes(&answer);
            assert!(!changes.is_empty() && changes.iter().all(|change| change.contains(told)), "{told}: {answer:#}");
        });
    }
}

#[test]
fn a_stranger_is_told_where_a_template_says_the_id() {
    for (keys, sub) in [
        (&["repository_owner", "context", "repository_id"][..], "repository_owner:acme:ref:refs/heads/main"),
        (&["repository", "context", "repository_id"], "repository:acme/app:ref:refs/heads/main"),
        (&["repo", "context", "repository_id"], "repo:acme/app:ref:refs/heads/main"),
    ] {
        at(async |place| {
            place.token();
            let keys = keys.iter().map(|&key| key.to_owned()).collect();
            place.github(|github| {
                github.classic.push("acme/app".into());
                github.templates.insert("acme/app".into(), keys);
            });
            let created = place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await;
            assert!(created.succeeded, "{}", created.reason);
            let sub = format!("{sub}:repository_id:999");
            let claims =
                json!({"sub": sub, "repository": "acme/app", "repository_id": "999", "repository_owner_id": "777"});
            let answer = ask(place, with_audience(claims)).await;
            let (changes, told) = (changes(&answer), "another repository of the name acme/app (id 999)");
            assert!(!changes.is_empty() && changes.iter().all(|change| change.contains(told)), "{answer:#}");
        });
    }
}

fn key(claim: &str) -> String {
    format!("{ISSUER}:{claim}")
}

/// Evaluates a policy that somebody wrote by hand.
fn of_policy(condition: &Value, deny: &Value, claims: &Value) -> Value {
    let provider = format!("arn:aws:iam::111122223333:oidc-provider/{ISSUER}");
    let statement = |effect: &str, condition: &Value| {
        json!({"Effect": effect, "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": provider},
            "Condition": condition})
    };
    let policy =
        json!({"Version": "2012-10-17", "Statement": [statement("Allow", condition), statement("Deny", deny)]});
    github_trust::explain::of_policy(&policy, &provider, claims.as_object().unwrap())
}

#[test]
fn no_advice_lets_in_somebody_whose_ids_nobody_has_declared() {
    let allow = json!({"StringEquals": {key("sub"): "repo:o/r:ref:refs/heads/main"}});
    let deny = json!({"StringEquals": {key("ref"): "refs/heads/main"}});
    let answer = of_policy(&allow, &deny, &json!({"sub": "repo:o@1/r@2:ref:refs/heads/main"}));
    let told = changes(&answer);
    assert!(
        told[0].contains("`OwnerId: 1` and `RepositoryId: 2`, if these are the ids of the repository that you mean"),
        "{answer:#}"
    );
    assert_eq!(told[1], "nothing: a Deny that does not apply refuses nobody");
    // A value that the declaration refuses is not advised.
    for (sub, told) in [
        ("repo:o/r:environment:a%3Ab🚀", "cannot be declared"),
        ("repo:o/r:ref:refs/heads/a*", "cannot be declared"),
        ("repo:o/r:ref:refs/heads/main:actor:x", "made of repo, context, actor"),
    ] {
        let answer = of_policy(&allow, &deny, &json!({"sub": sub, "environment": "a:b🚀"}));
        assert!(changes(&answer)[0].contains(told), "{told}: {answer:#}");
    }
    let tier = |value: &str| format!("repo:o/r:environment:prod:repo_property_tier:{value}");
    for (key, expected, found, told) in [
        ("sub", tier("gold"), tier("a%3Ab"), "write whole `Subjects`"),
        (
            "aud",
            "sts.amazonaws.com".to_owned(),
            "環境".to_owned(),
            "ask for the audience sts.amazonaws.com (`audience` of configure-aws-credentials)",
        ),
        ("actor", "octocat".to_owned(), "hubot".to_owned(), "list the user hubot under `Actors`"),
    ] {
        let allow = json!({"StringEquals": {format!("{ISSUER}:{key}"): expected}});
        let answer = of_policy(&allow, &deny, &json!({key: found}));
        assert!(changes(&answer)[0].contains(told), "{told}: {answer:#}");
        assert!(!answer.to_string().contains("`Audience`"), "{answer:#}");
    }
}
