//! Whole subjects, held against what GitHub says of the repositories that they name.

use serde_json::{Value, json};

use super::{at, at_issuer, immutable};
use crate::simulation::github::ids;

#[test]
fn ids_in_whole_subjects_are_held_against_github() {
    at(async |place| {
        let (owner, id) = ids("acme/app");
        for (entry, told) in [
            (json!({"Subjects": ["repo:acme@1/app@2:pull_request"]}), format!("acme has id {owner}")),
            (json!({"Subjects": [format!("repo:acme@{owner}/app@2:pull_request")]}), format!("acme/app has id {id}")),
            (
                json!({"Repository": "acme/app", "Subjects": [format!("repo:acme@{owner}/app@2:pull_request")]}),
                format!("acme/app has id {id}"),
            ),
            (
                json!({"Repository": "acme/app", "Subjects": ["repository_id:2:environment:prod"]}),
                format!("acme/app has id {id}"),
            ),
            (
                json!({"Repository": "acme/app",
                    "Subjects": [format!("repository_owner_id:1:repository_id:{id}:environment:prod")]}),
                format!("acme has id {owner}"),
            ),
        ] {
            let outcome = place.create(json!([entry])).await;
            assert!(!outcome.succeeded && outcome.reason.contains(&told), "{entry}: {told}: {}", outcome.reason);
            let way = "find out who has it now, before you declare another number";
            assert!(outcome.reason.contains("`Subjects`: GitHub says that") && outcome.reason.contains(way));
            assert_eq!(place.policy(), Value::Null);
        }
        for subject in [immutable("acme/app", "pull_request"), format!("repository_id:{id}:environment:prod")] {
            let outcome = place.create(json!([{"Repository": "acme/app", "Subjects": [subject]}])).await;
            assert!(outcome.succeeded, "{subject}: {}", outcome.reason);
        }
    });
}

#[test]
fn a_whole_subject_without_an_id_is_pinned_by_a_claim() {
    at(async |place| {
        let (_, id) = ids("acme/app");
        let pin = format!(":repository_id\":\"{id}\"");
        let (classic, with_ids) = ("repo:acme/app:pull_request".to_owned(), immutable("acme/app", "pull_request"));
        for (subject, is_pinned) in [(classic, true), (with_ids, false)] {
            for beside in [json!({}), json!({"Repository": "acme/app"})] {
                let mut entry = beside.clone();
                entry["Subjects"] = json!([subject]);
                let outcome = place.create(json!([entry])).await;
                assert!(outcome.succeeded, "{entry}: {}", outcome.reason);
                assert_eq!(place.policy().to_string().contains(&pin), is_pinned, "{entry}: {}", place.policy());
            }
        }
    });
}

#[test]
fn an_enterprise_server_sends_no_ids_in_whole_subjects_either() {
    at_issuer("github.example.com/_services/token", async |place| {
        let outcome = place.create(json!([{"Subjects": ["repo:acme@1/app@2:pull_request"]}])).await;
        assert!(outcome.reason.contains("an Enterprise Server has no immutable subjects"), "{outcome:?}");
    });
}

#[test]
fn the_id_of_a_new_repository_may_stand_in_a_whole_subject() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        place.github(|github| github.taken = [("acme".to_owned(), 777), ("acme/app".to_owned(), 999)].into());
        let new = json!([{"Repository": "acme/app", "Subjects": ["repo:acme@777/app@999:pull_request"]}]);
        let outcome = place.update(new).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
    });
}

#[test]
fn a_rollback_keeps_whole_subjects_whatever_github_says_of_their_ids() {
    at(async |place| {
        let (_, id) = ids("acme/app");
        for subject in [format!("repository_id:{id}:environment:prod"), immutable("acme/app", "pull_request")] {
            place.github(|github| github.taken.clear());
            let trust = json!([{"Repository": "acme/app", "Subjects": [subject]}]);
            let outcome = place.create(trust.clone()).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            let before = place.policy();
            place.github(|github| github.taken = [("acme/app".to_owned(), 999)].into());
            place.rolls_back = true;
            let outcome = place.request("Update", json!({"Trust": trust, "Description": "former"})).await;
            assert!(outcome.succeeded, "{subject}: {}", outcome.reason);
            assert_eq!(place.policy(), before);
            place.rolls_back = false;
        }
    });
}

#[test]
fn a_repository_that_left_a_name_is_told_for_whole_subjects() {
    at(async |place| {
        let moved = crate::simulation::wire::Answer {
            status: 301,
            headers: vec![("location", "https://api.github.com/repos/acme/new".to_owned())],
            body: "{}".into(),
        };
        place.github(|github| drop(github.answers.insert("GET /repos/acme/app".into(), moved)));
        let outcome = place.create(json!([{"Subjects": [immutable("acme/app", "pull_request")]}])).await;
        assert!(outcome.reason.contains("write acme/new in its place under `Subjects`"), "{}", outcome.reason);
    });
}

#[test]
fn whole_subjects_of_another_form_or_template_are_a_warning() {
    at(async |place| {
        place.token();
        place.github(|github| {
            let keys = ["repo", "context", "ref"].map(str::to_owned).to_vec();
            github.templates.insert("acme/made".into(), keys);
            github.classic.push("acme/old".into());
        });
        for (entry, warning) in [
            (
                json!({"Subjects": ["repo:acme/app:pull_request"]}),
                "GitHub sends subjects with ids, which `repo:acme/app:pull_request` does not admit",
            ),
            (json!({"Subjects": [immutable("acme/old", "pull_request")]}), "GitHub sends subjects without ids, which"),
            (
                json!({"Subjects": [immutable("acme/made", "environment:prod")]}),
                "GitHub makes the subjects of repo, context, ref, which",
            ),
            (
                json!({"Repository": "acme/made", "Subjects": [immutable("acme/made", "environment:prod")]}),
                "GitHub makes the subjects of repo, context, ref, which",
            ),
            (json!({"Subjects": [immutable("acme/made", "environment:prod:ref:refs/heads/main")]}), ""),
            (json!({"Subjects": [immutable("acme/app", "environment:prod")]}), ""),
        ] {
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{entry}: {}", outcome.reason);
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            assert!(warned.contains(warning) && warning.is_empty() == warned.is_empty(), "{entry}: {warned}");
        }
    });
}

#[test]
fn own_workflows_that_no_job_runs_at_its_ref_are_a_warning() {
    at(async |place| {
        let own = |name: &str| format!("acme/app/.github/workflows/x.yml@{name}");
        let entry = |members: &Value, workflows: &[&str]| {
            let mut entry = members.clone();
            entry["Repository"] = json!("acme/app");
            entry["Workflows"] = workflows.iter().map(|name| own(name)).collect();
            entry
        };
        let (main, dev) = ("refs/heads/main", "refs/heads/dev");
        let on = |name: &str| {
            format!("jobs on {name} run the workflows of their repository at that ref, so that acme/app/.github")
        };
        let unused = |name: &str| format!("no job of the entry is on {name}, so that acme/app/.github");
        let prod = json!({"Environments": ["prod"]});
        for (entry, warning) in [
            (entry(&json!({"Branches": ["main"]}), &[dev]), on(main)),
            (entry(&json!({"Tags": ["v*"]}), &[main]), on("refs/tags/v*")),
            (entry(&json!({"PullRequests": true}), &[main]), on("refs/pull/*/merge")),
            (entry(&json!({"Branches": ["main"], "PullRequests": true}), &[main]), on("refs/pull/*/merge")),
            (entry(&json!({"Environments": ["prod"], "Refs": [main]}), &[dev]), on(main)),
            (entry(&json!({"Branches": ["main"]}), &[main, dev]), unused(dev)),
            (entry(&json!({"Branches": ["main"]}), &["0123456789abcdef0123456789abcdef01234567"]), on(main)),
            (entry(&json!({"Branches": ["main"]}), &[main]), String::new()),
            (entry(&json!({"Branches": ["main"]}), &["*"]), String::new()),
            (entry(&json!({"Branches": ["release/*"]}), &["refs/heads/release/*"]), String::new()),
            (entry(&prod, &[dev]), String::new()),
        ] {
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{entry}: {}", outcome.reason);
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            assert!(warned.contains(&warning) && warning.is_empty() == warned.is_empty(), "{entry}: {warned}");
        }
        let subject = immutable("acme/app", &format!("ref:{main}:job_workflow_ref:{}", own(dev)));
        let outcome = place.create(json!([{"Subjects": [subject]}])).await;
        let warned = outcome.attributes["Warning"].as_str().unwrap();
        assert!(warned.contains(&on(main)), "{warned}");
    });
}

#[test]
fn what_narrows_an_entry_narrows_its_whole_subjects_too() {
    at(async |place| {
        let entry = |members: Value| {
            let mut entry = members;
            entry["Subjects"] = json!([immutable("acme/app", "environment:prod")]);
            json!([entry])
        };
        let outcome = place.create(entry(json!({"Refs": ["refs/heads/main"]}))).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert!(place.policy().to_string().contains(r#":ref":"refs/heads/main""#), "{}", place.policy());
        let tier = json!({"TemplateClaims": [{"Name": "repo_property_tier", "Values": ["gold"]}]});
        let outcome = place.update(entry(tier)).await;
        let told = "whole `Subjects` say `repo_property_tier` themselves";
        assert!(!outcome.succeeded && outcome.reason.contains(told), "{}", outcome.reason);
    });
    at_issuer("github.example.com/_services/token", async |place| {
        let trust = json!([{"Subjects": ["repo:acme/app:environment:prod"], "Refs": ["refs/heads/main"]}]);
        let outcome = place.create(trust).await;
        let told = "`Refs`: STS reads no claim `ref` of an Enterprise Server";
        assert!(!outcome.succeeded && outcome.reason.contains(told), "{}", outcome.reason);
    });
}

#[test]
fn subjects_that_github_never_sends_are_mistakes_and_not_broad() {
    at(async |place| {
        place.world.settings.guardrails = github_trust::guardrails::Guardrails::none();
        let workflow = |repository: &str| format!("{repository}/.github/workflows/x.yml@refs/heads/main");
        let on = |rest: &str| immutable("acme/app", rest);
        for (subject, why) in [
            (on("context:prod"), "`ref:…`, `environment:…` or `pull_request` in the place of `context`"),
            (
                "repository_id:0456789:environment:prod".to_owned(),
                "a value that GitHub sends as `repository_id`: a whole number",
            ),
            (
                "repository_id:0:environment:prod".to_owned(),
                "a value that GitHub sends as `repository_id`: a whole number",
            ),
            (on("environment:prod:actor_id:x"), "a value that GitHub sends as `actor_id`: a whole number"),
            (
                on(&format!("environment:prod:sha:{}", "A".repeat(40))),
                "a value that GitHub sends as `sha`: a commit's whole SHA in small letters",
            ),
            (on("ref:refs/heads/main:ref:refs/heads/dev"), "no job has `ref:refs/heads/main` and `ref:refs/heads/dev`"),
            (on("environment:a:environment:b"), "no job has `environment:a` and `environment:b`"),
            (on("environment:prod:pull_request"), "no job has `environment:prod` and `pull_request`"),
            (on("pull_request:ref:refs/tags/v1"), "no job has `ref:refs/tags/v1` and `pull_request`"),
            (on("environment:prod:repository:them/x"), "no job is of acme/app and of them/x"),
            ("repo:acme/app:environment:prod:repository_owner:them".to_owned(), "no job is of acme and of them"),
            (
                on(&format!("environment:prod:workflow_ref:{}", workflow("them/x"))),
                "no job is of acme/app and of them/x",
            ),
            (on("environment:prod:repository_id:5"), "no repository has id"),
            (on("environment:prod:repository_owner_id:5"), "no owner has id"),
        ] {
            let outcome = place.create(json!([{"Subjects": [subject]}])).await;
            assert!(!outcome.succeeded && outcome.reason.contains(why), "{subject}: {}", outcome.reason);
            assert!(outcome.physical_id.starts_with("never-created/"), "{}", outcome.physical_id);
        }
        let (owner, id) = ids("acme/app");
        for subject in [
            on("environment:prod:environment:prod"),
            on("environment:prod:ref:refs/heads/main"),
            on("pull_request:ref:refs/heads/main"),
            on("pull_request:ref:refs/pull/*/merge"),
            on("ref:refs/heads/release/*:ref:refs/heads/*/1"),
            on(&format!("environment:prod:workflow_ref:{}", workflow("acme/app"))),
            on(&format!("environment:prod:job_workflow_ref:{}", workflow("them/x"))),
            on(&format!(
                "environment:prod:repository:acme/app:repository_owner:acme:repository_id:{id}:repository_owner_id:{owner}"
            )),
        ] {
            let outcome = place.create(json!([{"Subjects": [subject]}])).await;
            assert!(outcome.succeeded, "{subject}: {}", outcome.reason);
        }
    });
}

#[test]
fn a_subject_says_custom_properties_by_any_name_that_they_may_have() {
    at(async |place| {
        for property in ["work-space", "cost$", "team#1", "tier"] {
            let subject = immutable("acme/app", &format!("environment:prod:repo_property_{property}:x"));
            let outcome = place.create(json!([{"Subjects": [subject]}])).await;
            assert!(outcome.succeeded, "{subject}: {}", outcome.reason);
        }
        let outcome =
            place.create(json!([{"Subjects": [immutable("acme/app", "environment:prod:work-space:x")]}])).await;
        assert!(outcome.reason.contains("and not `work-space`"), "{}", outcome.reason);
    });
}

#[test]
fn each_whole_subject_that_no_job_fits_is_named() {
    at(async |place| {
        place.token();
        place.github(|github| {
            let keys = ["repo", "context", "ref"].map(str::to_owned).to_vec();
            github.templates.extend(["acme/a", "acme/b"].map(|name| (name.to_owned(), keys.clone())));
        });
        let old = |name: &str| format!("repo:acme/{name}:pull_request");
        let outcome = place.create(json!([{"Subjects": [old("x"), old("y")]}])).await;
        let warned = outcome.attributes["Warning"].as_str().unwrap();
        let told = "GitHub sends subjects with ids, which `repo:acme/x:pull_request` and `repo:acme/y:pull_request` do not admit";
        assert!(warned.contains(told), "{warned}");
        let (a, b) = (immutable("acme/a", "environment:prod"), immutable("acme/b", "environment:prod"));
        let outcome = place.create(json!([{"Subjects": [a, b]}])).await;
        let warned = outcome.attributes["Warning"].as_str().unwrap();
        let told = format!("GitHub makes the subjects of repo, context, ref, which `{a}` and `{b}` do not fit");
        assert!(warned.contains(&told), "{warned}");
        let many: Vec<String> = "abcdefgh".chars().map(|name| old(&format!("many-{name}"))).collect();
        let outcome = place.create(json!([{"Subjects": many}])).await;
        let warned = outcome.attributes["Warning"].as_str().unwrap();
        assert!(warned.contains("and 5 more (see the function's log) do not admit"), "{warned}");
        let run = |name: &str| format!("job_workflow_ref:acme/{name}/.github/workflows/x.yml@refs/heads/dev");
        let on = |name: &str| immutable(&format!("acme/{name}"), &format!("ref:refs/heads/main:{}", run(name)));
        let outcome = place.create(json!([{"Subjects": [on("x"), on("y")]}])).await;
        let warned = outcome.attributes["Warning"].as_str().unwrap();
        let told = |name: &str| format!("so that acme/{name}/.github/workflows/x.yml@refs/heads/dev fits only if");
        assert!(warned.contains(&told("x")) && warned.contains(&told("y")), "{warned}");
    });
}
