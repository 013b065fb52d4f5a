//! Claims whose values are closed, and subjects that contradict themselves once the template is known.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{Place, at, immutable};

pub(super) fn has_template(place: &mut Place, keys: &[&str]) {
    place.token();
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    place.github(|github| {
        github.templates.insert("acme/app".into(), keys);
    });
}

/// An entry for `acme/app` with these members, and one claim of its template.
pub(super) fn entry(members: &Value, claim: &str, values: &[&str]) -> Value {
    let mut entry = members.clone();
    entry["Repository"] = json!("acme/app");
    entry["TemplateClaims"] = json!([{"Name": claim, "Values": values}]);
    entry
}

#[test]
fn values_that_github_never_sends_are_refused_with_those_that_it_sends() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let on_main = json!({"Branches": ["main"]});
        for (claim, never, sent) in [
            ("ref_type", "Branch", "branch or tag"),
            ("event_name", "Push", "the name of an event in small letters"),
            ("runner_environment", "mine", "github-hosted or self-hosted"),
            ("repository_visibility", "Private", "internal, private or public"),
            ("ref_protected", "yes", "true or false"),
            ("sha", "ABC", "a commit's whole SHA in small letters"),
            ("workflow_sha", "abc", "a commit's whole SHA in small letters"),
            ("job_workflow_sha", "main", "a commit's whole SHA in small letters"),
            ("run_id", "007", "a whole number without a leading 0"),
            ("run_number", "x", "a whole number without a leading 0"),
            ("run_attempt", "0", "a whole number without a leading 0"),
            ("check_run_id", "1x", "a whole number without a leading 0"),
        ] {
            has_template(place, &["repo", "context", claim]);
            let told = format!("expected a value that GitHub sends as `{claim}`: {sent}");
            let whole = immutable("acme/app", &format!("ref:refs/heads/main:{claim}:{never}"));
            for (entry, path) in [
                (entry(&on_main, claim, &[never]), "`Trust[0].TemplateClaims[0].Values[0]`"),
                (json!({"Subjects": [whole]}), "`Trust[0].Subjects[0]`"),
            ] {
                let outcome = place.create(json!([entry])).await;
                let reason = &outcome.reason;
                assert!(!outcome.succeeded && reason.contains(&told) && reason.contains(path), "{entry}: {reason}");
                assert!(reason.contains(never), "{reason}");
                assert_eq!(place.policy(), Value::Null);
            }
        }
        has_template(place, &["repo", "context", "event_name"]);
        let outcome = place.create(json!([entry(&on_main, "event_name", &["push", "workflow_*"])])).await;
        assert!(outcome.succeeded && outcome.attributes["Warning"] == "", "{outcome:?}");
    });
}

#[test]
fn claims_of_a_template_that_contradict_each_context_are_refused() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let workflow = "them/x/.github/workflows/x.yml@refs/heads/main";
        for (claim, value, members, why) in [
            ("ref_type", "tag", json!({"Branches": ["main"]}), "no job has `ref:refs/heads/main` and `ref_type:tag`"),
            ("ref_type", "branch", json!({"Tags": ["v1"]}), "no job has `ref:refs/tags/v1` and `ref_type:branch`"),
            ("ref_type", "tag", json!({"PullRequests": true}), "no job has `pull_request` and `ref_type:tag`"),
            ("event_name", "push", json!({"PullRequests": true}), "no job has `pull_request` and `event_name:push`"),
            ("workflow_ref", workflow, json!({"Branches": ["main"]}), "no job is of acme/app and of them/x"),
        ] {
            has_template(place, &["repo", "context", claim]);
            let outcome = place.create(json!([entry(&members, claim, &[value])])).await;
            let told = format!("{why}, so that nobody could assume the role");
            assert!(!outcome.succeeded && outcome.reason.contains(&told), "{members}: {}", outcome.reason);
        }
    });
}

#[test]
fn subjects_of_a_template_that_no_job_has_are_not_written() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let both = json!({"Branches": ["main"], "Tags": ["v1"]});
        let (main, tag) = (
            immutable("acme/app", "ref:refs/heads/main:ref_type:branch"),
            immutable("acme/app", "ref:refs/tags/v1:ref_type:tag"),
        );
        for (values, subjects, warning) in [
            (&["branch", "tag"][..], vec![main, tag.clone()], ""),
            (
                &["tag"],
                vec![tag],
                "no job has `ref:refs/heads/main` and `ref_type:tag`, so that `Branches: main` lets nobody in",
            ),
        ] {
            has_template(place, &["repo", "context", "ref_type"]);
            let outcome = place.create(json!([entry(&both, "ref_type", values)])).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            assert_eq!(place.subjects(), subjects);
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            assert!(warned.ends_with(warning) && warned.is_empty() == warning.is_empty(), "{warned}");
        }
        has_template(place, &["repo", "context", "ref"]);
        let outcome = place.create(json!([{"Repository": "acme/app", "AnyRef": true}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let on = |refs: &str| immutable("acme/app", &format!("ref:refs/{refs}/*:ref:refs/{refs}/*"));
        assert_eq!(place.subjects(), [on("heads"), on("tags")]);
    });
}

#[test]
fn an_event_that_github_does_not_document_is_a_warning() {
    at(async |place| {
        has_template(place, &["repo", "context", "event_name"]);
        let whole = immutable("acme/app", "ref:refs/heads/main:event_name:pushed");
        for trust in [entry(&json!({"Branches": ["main"]}), "event_name", &["pushed"]), json!({"Subjects": [whole]})] {
            let outcome = place.create(json!([trust])).await;
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            assert!(warned.contains("no event that GitHub documents is called `pushed`"), "{trust}: {outcome:?}");
        }
    });
}

#[test]
fn subjects_that_name_no_repository_are_held_against_that_of_the_entry() {
    at(async |place| {
        place.token();
        let workflow = "job_workflow_ref:acme/app/.github/workflows/x.yml@refs/heads/dev";
        let calls = format!("ref:refs/heads/main:{workflow}");
        for (subject, told) in [
            (
                "repository_owner:acme:environment:prod",
                "GitHub makes the subjects of repo, context, which `repository_owner:",
            ),
            (
                "repository_owner:acme:environment:prod:repository_visibility:private",
                "GitHub says that acme/app is public,",
            ),
            (&calls, "jobs on refs/heads/main run the workflows of their repository at that ref"),
        ] {
            let outcome = place.create(json!([{"Repository": "acme/app", "Subjects": [subject]}])).await;
            assert!(outcome.succeeded, "{subject}: {}", outcome.reason);
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            assert!(warned.contains(told), "{subject}: {warned}");
        }
        has_template(place, &["repository_owner", "context"]);
        let subject = "repository_owner:acme:environment:prod";
        let outcome = place.create(json!([{"Repository": "acme/app", "Subjects": [subject]}])).await;
        assert_eq!(outcome.attributes["Warning"], "");
    });
}

#[test]
fn long_names_leave_a_warning_its_room_in_the_answer() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        place.token();
        place.cloud.state().account.iam.settings.quotas.trust_policy = 8192;
        let long = |name: char| name.to_string().repeat(200);
        let called = |name: char| format!("acme/ci/.github/workflows/{}.yml@refs/heads/main", long(name));
        let subject = |name: char| {
            let environment = format!("environment:{}", "\"".repeat(255));
            format!("repo:acme/app:{environment}:job_workflow_ref:{}", called(name))
        };
        let subjects: Vec<String> = "abcd".chars().map(subject).collect();
        let outcome = place.create(json!([{"Repository": "acme/app", "Subjects": subjects}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let warned = outcome.attributes["Warning"].as_str().unwrap();
        assert!(
            warned.starts_with("`Trust[0]` (acme/app): GitHub sends subjects with ids, which `repo:acme/app:"),
            "{warned}"
        );
        assert!(
            warned.contains("…") && warned.contains("and 1 more (see the function's log) do not admit"),
            "{warned}"
        );
        let branches: Vec<String> = "efgh".chars().map(|name| format!("refs/heads/{}", long(name))).collect();
        let trust = json!([{"Repository": "acme/app", "Branches": ["main", long('e')], "Refs": branches}]);
        let warned = place.create(trust).await.attributes["Warning"].as_str().unwrap().to_owned();
        assert!(
            warned.ends_with("so that `Branches: main` lets nobody in") && warned.contains("and 1 more"),
            "{warned}"
        );
        let workflows: Vec<String> =
            (0..10).map(|number| format!("acme/{}{number}/.github/workflows/x.yml@*", "r".repeat(90))).collect();
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "Workflows": workflows}]);
        let warned = place.create(trust).await.attributes["Warning"].as_str().unwrap().to_owned();
        assert!(
            warned.starts_with("The role trusts workflows of other repositories by their names: acme/r"),
            "{warned}"
        );
        assert!(warned.contains("and 7 more (see the function's log)"), "{warned}");
    });
}

#[test]
fn what_refs_or_another_context_close_needs_nobody_s_leave() {
    at(async |place| {
        place.token();
        let main = json!(["refs/heads/main"]);
        for members in [
            json!({"AllJobs": true, "Refs": main}),
            json!({"Environments": ["*"], "Refs": main}),
            json!({"Branches": ["*"], "Refs": ["refs/heads/release/*"]}),
            json!({"AnyRef": true, "Refs": ["refs/tags/v*", "refs/heads/main"]}),
            json!({"Subjects": [immutable("acme/app", "environment:prod:ref:refs/heads/*")]}),
            json!({"Subjects": [immutable("acme/app", "environment:*:ref:refs/heads/main")]}),
        ] {
            let mut entry = members.clone();
            entry["Repository"] = json!("acme/app");
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
        }
        for members in [
            json!({"AllJobs": true, "Refs": ["refs/pull/*/merge"]}),
            json!({"AllJobs": true, "Refs": ["refs/heads/main", "refs/heads/*"]}),
            json!({"Environments": ["*"], "Refs": ["refs/tags/*"]}),
            json!({"Subjects": [immutable("acme/app", "environment:*:ref:refs/heads/*")]}),
            json!({"Subjects": [immutable("acme/app", "environment:*")]}),
        ] {
            let mut entry = members.clone();
            entry["Repository"] = json!("acme/app");
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.reason.contains("(guardrail `AllowBroadTrust`)"), "{members}: {}", outcome.reason);
        }
    });
}

#[test]
fn pushes_beside_the_base_ref_of_pull_requests_are_a_warning() {
    at(async |place| {
        has_template(place, &["repo", "context", "base_ref"]);
        for (members, warned) in [(json!({"Branches": ["main"]}), true), (json!({"PullRequests": true}), false)] {
            let outcome = place.create(json!([entry(&members, "base_ref", &["main"])])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
            let warning = outcome.attributes["Warning"].as_str().unwrap_or_default();
            assert_eq!(warning.contains("so that no push gets in by `Branches: main`"), warned, "{members}: {warning}");
        }
    });
}
