//! What is refused, with its reason and the way to allow it where there is one.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::explain::{ask, with_audience};
use super::{at, immutable};
use crate::simulation::wire::Answer;

#[test]
fn what_is_too_broad_is_refused_with_a_reason_before_anything_is_made() {
    at(async |place| {
        for (entry, reason) in [
            (json!({"Repository": "app", "Branches": ["main"]}), "with its owner"),
            (json!({"Repository": "acme*/app", "Branches": ["main"]}), "without wildcards (list each repository)"),
            (json!({"Repository": "*", "Branches": ["main"]}), "without wildcards"),
            (json!({"Repository": "repo:acme/app", "Branches": ["main"]}), "without the prefix `repo:`"),
            (json!({"Repository": "github.com/acme/app", "Branches": ["main"]}), "without a host"),
            (json!({"Repository": "https://github.com/acme/app", "Branches": ["main"]}), "without a host"),
            (json!({"Repository": "acme@1/app@2", "Branches": ["main"]}), "as `OwnerId` and `RepositoryId`"),
            (json!({"Repository": "acme@1/*", "Branches": ["main"]}), "as `OwnerId` and `RepositoryId`"),
            (json!({"Repository": "acme/app.git", "Branches": ["main"]}), "without `.git`"),
            (json!({"Repository": "acme/app", "Branches": ["環境"]}), "not '環' (U+74B0)"),
            (json!({"Repository": "acme/app", "Environments": ["live 🚀"]}), "not '🚀' (U+1F680)"),
            (
                json!({"Repository": "acme/app", "Tags": ["版"]}),
                "`Trust[0].Tags[0]`: expected characters that IAM takes",
            ),
            (json!({"Repository": "acme/app", "Tags": ["版"]}), "not '版' (U+7248)"),
            (json!({"Repository": "acme/app", "Branches": ["main"], "Refs": ["refs/tags/版"]}), "not '版' (U+7248)"),
            (
                json!({"Repository": "acme/app", "Branches": ["main"],
                    "Workflows": ["acme/app/.github/workflows/🚀.yml@refs/heads/main"]}),
                "not '🚀' (U+1F680)",
            ),
            (
                json!({"Repository": "acme/app", "Branches": ["main"],
                    "Workflows": ["acme/app/.github/workflows/x.yml@refs/heads/環境"]}),
                "not '環' (U+74B0)",
            ),
            (
                json!({"Repository": "acme/app", "Branches": ["main"],
                    "TemplateClaims": [{"Name": "repo_property_tier", "Values": ["金"]}]}),
                "not '金' (U+91D1)",
            ),
            (json!({"Subjects": ["repo:acme/app:environment:🚀"]}), "not '🚀' (U+1F680)"),
            (json!({"Subjects": ["*"]}), "not a wildcard alone"),
            (json!({"Subjects": ["environment:prod"]}), "that pins the repository"),
            (json!({"Subjects": ["repo:repo:acme/app:pull_request"]}), "with the prefix `repo:` once"),
            (json!({"Subjects": ["repo:acme/app:Environment:prod"]}), "(`environment`), and not `Environment`"),
            (json!({"Subjects": ["repo:acme*/app*:pull_request"]}), "one exact subject for each repository and form"),
            (json!({"Repository": "acme/app", "AnyRef": true}), "`AnyRef` is every branch and tag"),
            (json!({"Repository": "acme/*", "Branches": ["main"]}), "`acme/*` is every repository of acme"),
            (json!({"Subjects": ["repo:acme/app:*"]}), "every branch, tag, environment and pull request"),
            (json!({"Subjects": ["repository_owner:acme:environment:prod"]}), "it pins the owner only"),
            (json!({"Subjects": ["repo:acme/app:ref:refs/*"]}), "and every pull request where a template says `ref`"),
        ] {
            let outcome = place.create(json!([entry])).await;
            assert!(!outcome.succeeded && outcome.reason.contains(reason), "{entry}: {}", outcome.reason);
            assert!(outcome.physical_id.starts_with("never-created/"), "{}", outcome.physical_id);
        }
        assert!(!place.cloud.story().contains("iam:"), "{}", place.cloud.story());
    });
}

#[test]
fn what_iam_takes_in_no_policy_is_refused_beside_the_trust_too() {
    at(async |place| {
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
        let document = json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "a", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/環境/*"}]});
        let policies = json!([{"PolicyName": "read", "PolicyDocument": document}]);
        for (member, value, property) in
            [("Audience", json!("環境"), "`Audience`"), ("Policies", policies, "`Policies[0].PolicyDocument`")]
        {
            let mut properties = json!({"Trust": trust});
            properties[member] = value;
            let outcome = place.request("Create", properties).await;
            let told = outcome.reason.contains(property) && outcome.reason.contains("not '環' (U+74B0)");
            assert!(!outcome.succeeded && told, "{member}: {}", outcome.reason);
        }
        assert!(!place.cloud.story().contains("iam:"), "{}", place.cloud.story());
    });
}

#[test]
fn an_audience_that_iam_would_read_as_a_pattern_is_refused() {
    at(async |place| {
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
        for audience in ["*", "sts.amazonaws.co?", "sts.*", "${aws:username}"] {
            let outcome = place.request("Create", json!({"Trust": trust, "Audience": audience})).await;
            let told = outcome.reason.contains("`Audience`: expected 1 to 255 characters without `*`, `?` and `${`");
            assert!(!outcome.succeeded && told, "{audience}: {}", outcome.reason);
        }
        assert!(!place.cloud.story().contains("iam:"), "{}", place.cloud.story());
    });
}

#[test]
fn seventy_new_repositories_fit_a_raised_quota_and_an_answer() {
    at(async |place| {
        place.cloud.change_now(|account, _| account.iam.settings.quotas.trust_policy = 8192);
        let entries: Vec<Value> = (0..70)
            .map(|index| json!({"Repository": format!("acme/repository-number-{index:02}"), "Branches": ["main"]}))
            .collect();
        let outcome = place.create(json!(entries)).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects().len(), 70);
        assert!(outcome.size <= 4096, "{}", outcome.size);
        let shown = outcome.attributes["Subjects"].as_str().unwrap();
        assert!(shown.ends_with(" more, which the function's log names and `Explain` tells"), "{shown}");
        let claims = json!({"Explain": {"RoleName": "deploy"}});
        assert_eq!(place.invoke(&claims).await["Admits"].as_array().map(Vec::len), Some(70));
    });
}

#[test]
fn a_warning_has_room_beside_many_subjects() {
    at(async |place| {
        place.cloud.change_now(|account, _| account.iam.settings.quotas.trust_policy = 8192);
        let mut entries: Vec<Value> = (0..40)
            .map(|index| json!({"Repository": format!("acme/repository-number-{index:02}"), "Branches": ["main"]}))
            .collect();
        entries.extend(["app", "web", "docs", "infra"].map(
            |name| json!({"Repository": format!("acme/{name}"), "Branches": ["main"], "SubjectFormat": "Classic"}),
        ));
        let outcome = place.create(json!(entries)).await;
        assert!(outcome.succeeded && outcome.size <= 4096, "{} {}", outcome.size, outcome.reason);
        let warned = outcome.attributes["Warning"].as_str().unwrap();
        assert!(warned.contains("(acme/app): GitHub sends subjects with ids, which `SubjectFormat`"), "{warned}");
    });
}

#[test]
fn a_provider_that_is_not_there_or_of_another_account_is_told() {
    // Whether IAM refuses such a policy is documented nowhere.
    for is_checked in [true, false] {
        at(async |place| {
            place.cloud.change_now(|account, _| account.iam.settings.principals_are_checked = is_checked);
            place.someone("DeleteOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": place.provider_arn()}));
            let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
            let outcome = place.create(trust.clone()).await;
            assert!(outcome.reason.contains("declare a Custom::GitHubOidcProvider"), "{}", outcome.reason);
            // A role that was made is named, so that CloudFormation deletes it.
            assert_eq!(outcome.physical_id == "deploy", !is_checked, "{}", outcome.physical_id);
            let elsewhere = "arn:aws:iam::999988887777:oidc-provider/token.actions.githubusercontent.com";
            let outcome = place.request("Create", json!({"Trust": trust, "ProviderArn": elsewhere})).await;
            assert!(outcome.reason.contains("a GitHub OIDC provider in this account"), "{}", outcome.reason);
        });
    }
}

#[test]
fn broad_trust_is_written_where_the_deployment_allows_it() {
    at(async |place| {
        let outcome = place.create(json!([{"Repository": "acme/app", "AnyRef": true}])).await;
        assert!(outcome.reason.contains("(guardrail `AllowBroadTrust`)"), "{}", outcome.reason);
        place.world.settings.guardrails = Guardrails::none();
        assert!(place.create(json!([{"Repository": "acme/app", "AnyRef": true}])).await.succeeded);
        let any = ["ref:refs/heads/*", "ref:refs/tags/*"].map(|context| immutable("acme/app", context));
        assert_eq!(place.subjects(), any);
        let outcome = place.update(json!([{"Repository": "acme/*", "Environments": ["prod"]}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let owner = crate::simulation::github::ids("acme").0;
        assert_eq!(
            place.subjects(),
            ["repo:acme/*:environment:prod".to_owned(), format!("repo:acme@{owner}/*:environment:prod")]
        );
    });
}

/// A sibling repository with the template `repo, context, ref` has an environment before the ref.
#[test]
fn the_wildcard_of_an_owner_covers_no_context_of_another_template() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        assert!(place.create(json!([{"Repository": "acme/*", "Branches": ["main"]}])).await.succeeded);
        let owner = crate::simulation::github::ids("acme").0;
        for (context, verdict) in
            [("ref:refs/heads/main", "admitted"), ("environment:prod:ref:refs/heads/main", "refused")]
        {
            let claims =
                json!({"sub": format!("repo:acme@{owner}/z@5:{context}"), "repository_owner_id": owner.to_string()});
            let answer = ask(place, with_audience(claims)).await;
            assert_eq!(answer["Verdict"], verdict, "{answer:#}");
        }
    });
}

#[test]
fn a_subject_that_pins_a_workflow_only_needs_a_repository_beside_it() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let subject = "job_workflow_ref:acme/ci/.github/workflows/deploy.yml@refs/heads/main";
        for scope in [json!({}), json!({"Repository": "acme/*"})] {
            let mut entry = scope;
            entry["Subjects"] = json!([subject]);
            let outcome = place.create(json!([entry])).await;
            let why = "jobs of every repository on GitHub can call it";
            assert!(!outcome.succeeded && outcome.reason.contains(why), "{entry}: {}", outcome.reason);
        }
        let own = json!([{"Subjects": ["workflow_ref:acme/ci/.github/workflows/deploy.yml@refs/heads/main"]}]);
        let outcome = place.create(own).await;
        let why = "`Repository` beside a subject that names a repository in `workflow_ref` only, where no id pins it";
        assert!(!outcome.succeeded && outcome.reason.contains(why), "{}", outcome.reason);
        let (_, id) = crate::simulation::github::ids("acme/app");
        for scope in [json!({"Repository": "acme/app"}), json!({"RepositoryId": id.to_string()})] {
            let mut entry = scope;
            entry["Subjects"] = json!([subject]);
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{entry}: {}", outcome.reason);
            assert!(place.policy().to_string().contains(&format!("repository_id\":\"{id}\"")), "{}", place.policy());
        }
    });
}

#[test]
fn another_case_than_github_s_is_told_with_github_s() {
    at(async |place| {
        let described = json!({"id": 5, "full_name": "Acme/App", "owner": {"login": "Acme", "id": 4}});
        place.github(|github| {
            github.answers.insert(
                "GET /repos/acme/app".into(),
                Answer { status: 200, headers: Vec::new(), body: described.to_string() },
            );
        });
        let outcome = place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await;
        assert!(
            outcome.reason.contains(
                "`Trust[0]` (acme/app): GitHub writes it Acme/App. Subjects and conditions are case-sensitive"
            ),
            "{}",
            outcome.reason
        );
    });
}

#[test]
fn a_renamed_repository_is_told_and_no_redirect_elsewhere_is_followed() {
    at(async |place| {
        place.token();
        let moved = |location: &str| Answer {
            status: 301,
            headers: vec![("location", location.to_owned())],
            body: "{}".into(),
        };
        let described = json!({"id": 5, "full_name": "acme/new", "owner": {"login": "acme", "id": 4}});
        place.github(|github| {
            github.answers.insert("GET /repos/acme/app".into(), moved("https://api.github.com/repositories/5"));
            github.answers.insert(
                "GET /repositories/5".into(),
                Answer { status: 200, headers: Vec::new(), body: described.to_string() },
            );
            github.answers.insert("GET /repos/acme/evil".into(), moved("https://api.github.com.evil.example/x"));
        });
        let outcome = place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await;
        assert!(
            outcome.reason.contains("is acme/new (id 5) now")
                && outcome.reason.contains("write `Repository: acme/new`"),
            "{}",
            outcome.reason
        );
        let outcome = place.create(json!([{"Repository": "acme/evil", "Branches": ["main"]}])).await;
        assert!(outcome.reason.contains("redirect to somewhere else"), "{}", outcome.reason);
        assert!(!place.cloud.story().contains("evil.example"), "{}", place.cloud.story());
    });
}

#[test]
fn the_entry_that_passes_the_quota_is_named_and_a_raised_quota_is_used() {
    at(async |place| {
        let entries: Vec<Value> = (0..40)
            .map(|index| json!({"Repository": format!("acme/repository-number-{index}"), "Branches": ["main"]}))
            .collect();
        let outcome = place.create(json!(entries)).await;
        assert!(
            outcome.reason.contains("`Trust[25]` (acme/repository-number-25) takes the trust policy to 2"),
            "{}",
            outcome.reason
        );
        assert!(
            outcome.reason.contains("quota of 2048 (AssumeRolePolicySizeQuota); all entries together need"),
            "{}",
            outcome.reason
        );
        place.cloud.change_now(|account, _| account.iam.settings.quotas.trust_policy = 8192);
        assert!(place.create(json!(entries)).await.succeeded);
        assert_eq!(place.subjects().len(), 40);
    });
}
