//! The refs of jobs: what the subject, the claims beside it and the event leave of them.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::closed_values::{entry, has_template};
use super::{at, immutable};

/// An entry for `acme/app` with these members.
fn of_app(members: &Value) -> Value {
    let mut entry = members.clone();
    entry["Repository"] = json!("acme/app");
    entry
}

#[test]
fn a_ref_beside_the_subject_that_contradicts_it_is_refused() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let (main, tag) = (json!(["refs/heads/main"]), json!(["refs/tags/v1"]));
        for (claim, value, members, why) in [
            (
                "ref_type",
                "tag",
                json!({"Environments": ["prod"], "Refs": main}),
                "the ref refs/heads/main and `ref_type:tag`",
            ),
            (
                "ref_type",
                "branch",
                json!({"Environments": ["prod"], "Refs": tag}),
                "the ref refs/tags/v1 and `ref_type:branch`",
            ),
            ("ref_type", "tag", json!({"AllJobs": true, "Refs": main}), "the ref refs/heads/main and `ref_type:tag`"),
            (
                "event_name",
                "schedule",
                json!({"AllJobs": true, "Refs": tag}),
                "the ref refs/tags/v1 and `event_name:schedule`",
            ),
            (
                "event_name",
                "pull_request",
                json!({"Environments": ["prod"], "Refs": tag}),
                "the ref refs/tags/v1 and `event_name:pull_request`",
            ),
        ] {
            has_template(place, &["repo", "context", claim]);
            let whole = immutable("acme/app", &format!("environment:prod:{claim}:{value}"));
            let whole = json!({"Subjects": [whole], "Refs": members["Refs"]});
            for trust in [entry(&members, claim, &[value]), of_app(&whole)] {
                let outcome = place.create(json!([trust])).await;
                let told = format!("no job has {why}, so that nobody could assume the role");
                assert!(!outcome.succeeded && outcome.reason.contains(&told), "{trust}: {}", outcome.reason);
            }
            let fitting = if value == "tag" { "branch" } else { "tag" };
            if claim == "ref_type" {
                assert!(place.create(json!([entry(&members, claim, &[value, fitting])])).await.succeeded);
            }
        }
    });
}

#[test]
fn events_that_never_have_the_context_are_refused() {
    at(async |place| {
        has_template(place, &["repo", "context", "event_name"]);
        let (main, tags, requests) =
            (json!({"Branches": ["main"]}), json!({"Tags": ["v*"]}), json!({"PullRequests": true}));
        for (members, event, why) in [
            (&main, "pull_request", "jobs of `event_name:pull_request` have `pull_request` in the place of the ref"),
            (&main, "pull_request_review", "have `pull_request` in the place of the ref"),
            (&main, "merge_group", "no job has `ref:refs/heads/main` and `event_name:merge_group`"),
            (&main, "release", "no job has `ref:refs/heads/main` and `event_name:release`"),
            (&tags, "schedule", "no job has `ref:refs/tags/v*` and `event_name:schedule`"),
            (&tags, "pull_request_target", "no job has `ref:refs/tags/v*` and `event_name:pull_request_target`"),
            (&tags, "status", "no job has `ref:refs/tags/v*` and `event_name:status`"),
            (&tags, "page_build", "no job has `ref:refs/tags/v*` and `event_name:page_build`"),
            (&tags, "image_version", "no job has `ref:refs/tags/v*` and `event_name:image_version`"),
            (&requests, "pull_request_target", "no job has `pull_request` and `event_name:pull_request_target`"),
            (&requests, "deployment", "no job has `pull_request` and `event_name:deployment`"),
            (&requests, "deployment_status", "no job has `pull_request` and `event_name:deployment_status`"),
        ] {
            let outcome = place.create(json!([entry(members, "event_name", &[event])])).await;
            assert!(!outcome.succeeded && outcome.reason.contains(why), "{event}: {}", outcome.reason);
            // Another event of the list lets somebody in.
            let other = if *members == requests { "pull_request" } else { "push" };
            let outcome = place.create(json!([entry(members, "event_name", &[event, other])])).await;
            assert!(outcome.succeeded && place.subjects().len() == 1, "{event}: {outcome:?}");
            assert!(place.subjects()[0].ends_with(&format!(":event_name:{other}")), "{}", place.policy());
        }
        let queue = json!({"Branches": ["gh-readonly-queue/main/*"]});
        assert!(place.create(json!([entry(&queue, "event_name", &["merge_group"])])).await.succeeded);
        let whole = immutable("acme/app", "ref:refs/tags/v1:event_name:pull_request_target");
        let reason = place.create(json!([{"Subjects": [whole]}])).await.reason;
        assert!(reason.contains("no job has `ref:refs/tags/v1` and `event_name:pull_request_target`"), "{reason}");
        // A `ref` can be the claim, and a pull request that was merged is on a branch.
        has_template(place, &["repo", "ref", "event_name"]);
        let outcome = place.create(json!([entry(&main, "event_name", &["pull_request"])])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let outcome = place.create(json!([entry(&tags, "event_name", &["pull_request"])])).await;
        assert!(outcome.reason.contains("no job has `ref:refs/tags/v*` and `event_name:pull_request`"), "{outcome:?}");
        // The event tells that it is one.
        let merged = json!({"PullRequests": true, "Refs": ["refs/heads/main"]});
        let outcome = place.create(json!([entry(&merged, "event_name", &["pull_request"])])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), [immutable("acme/app", "ref:refs/heads/main:event_name:pull_request")]);
        let outcome = place.create(json!([entry(&merged, "event_name", &["pull_request", "push"])])).await;
        assert!(outcome.reason.contains("no job is on refs/pull/*/merge and on refs/heads/main"), "{outcome:?}");
    });
}

#[test]
fn branches_of_a_pull_request_beside_jobs_that_have_none_are_refused() {
    let claims = |members: &Value, values: &[(&str, &str)]| {
        let mut entry = of_app(members);
        entry["TemplateClaims"] = values.iter().map(|(name, value)| json!({"Name": name, "Values": [value]})).collect();
        json!([entry])
    };
    at(async |place| {
        let (main, tag) = (json!({"Branches": ["main"]}), json!({"Tags": ["v1"]}));
        let prod = json!({"Environments": ["prod"]});
        let on_tag = json!({"Environments": ["prod"], "Refs": ["refs/tags/v1"]});
        for claim in ["base_ref", "head_ref"] {
            has_template(place, &["repo", "context", claim]);
            for (members, on) in [(&tag, "`ref:refs/tags/v1`"), (&on_tag, "the ref refs/tags/v1")] {
                let outcome = place.create(claims(members, &[(claim, "main")])).await;
                let told = format!("no job has {on} and `{claim}:main`");
                assert!(!outcome.succeeded && outcome.reason.contains(&told), "{members}: {}", outcome.reason);
                assert!(place.create(claims(members, &[])).await.succeeded);
            }
            let whole = immutable("acme/app", &format!("ref:refs/tags/v1:{claim}:main"));
            assert!(!place.create(json!([{"Subjects": [whole]}])).await.succeeded);
            for members in [&main, &prod] {
                assert!(place.create(claims(members, &[(claim, "main")])).await.succeeded);
            }
        }
        has_template(place, &["repo", "context", "base_ref", "event_name"]);
        for (members, base, event) in [
            (&main, "main", "push"),
            (&prod, "main", "schedule"),
            (&prod, "", "pull_request"),
            (&main, "", "pull_request_target"),
        ] {
            let all = [("event_name", event), ("base_ref", base)];
            let outcome = place.create(claims(members, &all[..if base.is_empty() { 1 } else { 2 }])).await;
            let told = format!("no job has `base_ref:{base}` and `event_name:{event}`");
            assert!(!outcome.succeeded && outcome.reason.contains(&told), "{event}: {}", outcome.reason);
        }
        for (members, base, event) in [(&main, "main", "pull_request_target"), (&prod, "*", "push")] {
            let outcome = place.create(claims(members, &[("event_name", event), ("base_ref", base)])).await;
            assert!(outcome.succeeded, "{event}: {}", outcome.reason);
        }
    });
}

#[test]
fn whole_subjects_that_may_fit_no_event_or_workflow_are_a_warning() {
    at(async |place| {
        let warned = |outcome: &super::Outcome| outcome.attributes["Warning"].as_str().unwrap_or_default().to_owned();
        has_template(place, &["repo", "context", "event_name"]);
        let whole = immutable("acme/app", "ref:refs/heads/main:event_name:pull_request");
        for trust in [json!({"Subjects": [whole]}), of_app(&json!({"Subjects": [whole]}))] {
            let outcome = place.create(json!([trust])).await;
            let told = format!("in the place of the ref, so that `{whole}` may fit none");
            assert!(outcome.succeeded && warned(&outcome).contains(&told), "{outcome:?}");
        }
        has_template(place, &["repo", "ref", "event_name"]);
        let outcome = place.create(json!([{"Subjects": [whole]}])).await;
        assert!(outcome.succeeded && !warned(&outcome).contains("in the place of the ref"), "{outcome:?}");
        has_template(place, &["repo", "context"]);
        let workflow = |at: &str| format!("acme/app/.github/workflows/x.yml@{at}");
        let (main, dev) = ("refs/heads/main", "refs/heads/dev");
        for (context, members, own, other) in [
            ("ref:refs/heads/main", json!({}), main, dev),
            ("environment:prod", json!({"Refs": [main]}), main, dev),
            ("pull_request", json!({}), "refs/pull/*/merge", main),
        ] {
            for (at, is_other) in [(own, false), (other, true)] {
                let mut entry = of_app(&members);
                entry["Subjects"] = json!([immutable("acme/app", context)]);
                entry["Workflows"] = json!([workflow(at)]);
                let outcome = place.create(json!([entry])).await;
                assert!(outcome.succeeded, "{}", outcome.reason);
                let told = warned(&outcome).contains("fits only if it is called by that name");
                assert_eq!(told, is_other, "{context} {at}: {}", warned(&outcome));
            }
        }
    });
}

#[test]
fn a_workflow_at_another_ref_than_the_job_is_a_warning() {
    at(async |place| {
        let workflow = |at: &str| format!("acme/app/.github/workflows/x.yml@{at}");
        has_template(place, &["repo", "context", "workflow_ref"]);
        let (main, requests) = (json!({"Branches": ["main"]}), json!({"PullRequests": true}));
        let on_main = json!({"Environments": ["prod"], "Refs": ["refs/heads/main"]});
        for (members, at, context, what) in [
            (&main, "refs/heads/dev", "ref:refs/heads/main", "`ref:refs/heads/main`"),
            (&on_main, "refs/heads/dev", "environment:prod", "the ref refs/heads/main"),
            (&requests, "refs/heads/main", "pull_request", "`pull_request`"),
        ] {
            let mut whole =
                json!({"Subjects": [immutable("acme/app", &format!("{context}:workflow_ref:{}", workflow(at)))]});
            if members["Refs"].is_array() {
                whole["Refs"] = members["Refs"].clone();
            }
            for trust in [entry(members, "workflow_ref", &[&workflow(at)]), of_app(&whole)] {
                let outcome = place.create(json!([trust])).await;
                let warned = outcome.attributes["Warning"].as_str().unwrap_or_default();
                let told =
                    format!("jobs with {what} run a workflow at that ref, so that `workflow_ref:{}`", workflow(at));
                assert!(outcome.succeeded && warned.contains(&told), "{trust}: {outcome:?}");
            }
        }
        for (members, at) in [(&main, "refs/heads/main"), (&main, "*"), (&requests, "refs/pull/*/merge")] {
            let outcome = place.create(json!([entry(members, "workflow_ref", &[&workflow(at)])])).await;
            assert_eq!(outcome.attributes["Warning"], "", "{at}: {}", outcome.reason);
        }
        for never in ["foo", &workflow("main"), "acme/app/.github/workflows/x@refs/heads/main"] {
            let outcome = place.create(json!([entry(&main, "workflow_ref", &[never])])).await;
            let path = "`Trust[0].TemplateClaims[0].Values[0]`: expected \"owner/name/.github/workflows/<file>@<ref>\"";
            assert!(outcome.reason.contains(path), "{never}: {}", outcome.reason);
        }
        let files = entry(&main, "workflow_ref", &["acme/app/.github/workflows/deploy*"]);
        assert!(place.create(json!([files])).await.succeeded);
    });
}

#[test]
fn a_branch_or_tag_that_looks_like_a_commit_is_refused() {
    at(async |place| {
        for name in ["a".repeat(40), "0123456789ABCDEF0123456789abcdef01234567".to_owned()] {
            let on = format!("refs/heads/{name}");
            for members in
                [json!({"Branches": [name]}), json!({"Tags": [name]}), json!({"Environments": ["e"], "Refs": [on]})]
            {
                let outcome = place.create(json!([of_app(&members)])).await;
                let told = "GitHub takes no name of 40 hexadecimal digits, which looks like a commit";
                assert!(!outcome.succeeded && outcome.reason.contains(told), "{members}: {}", outcome.reason);
            }
        }
        let commit = format!("acme/app/.github/workflows/x.yml@{}", "a".repeat(40));
        assert!(place.create(json!([of_app(&json!({"Branches": ["main"], "Workflows": [commit]}))])).await.succeeded);
    });
}

#[test]
fn workflows_of_github_s_own_and_files_with_an_at_are_taken() {
    at(async |place| {
        place.token();
        for workflow in [
            "acme/app/dynamic/dependabot/dependabot-updates@refs/heads/main",
            "acme/app/.github/workflows/a@b.yml@refs/heads/main",
        ] {
            let outcome = place.create(json!([of_app(&json!({"Branches": ["main"], "Workflows": [workflow]}))])).await;
            assert!(outcome.succeeded && outcome.attributes["Warning"] == "", "{workflow}: {outcome:?}");
            let claim = format!(":job_workflow_ref\":\"{workflow}\"");
            assert!(place.policy().to_string().contains(&claim), "{}", place.policy());
        }
        for never in ["acme/app/dynamic/dependabot@refs/heads/main", "acme/app/dynamic/*/x@refs/heads/main"] {
            assert!(
                !place.create(json!([of_app(&json!({"Branches": ["main"], "Workflows": [never]}))])).await.succeeded
            );
        }
    });
}

#[test]
fn whole_subjects_that_refs_close_need_nobody_s_leave() {
    at(async |place| {
        place.token();
        let main = json!(["refs/heads/main"]);
        for context in ["ref:refs/heads/*", "*", "environment:*"] {
            let members = json!({"Subjects": [immutable("acme/app", context)], "Refs": main});
            let outcome = place.create(json!([of_app(&members)])).await;
            assert!(outcome.succeeded, "{context}: {}", outcome.reason);
            let open = json!({"Subjects": [immutable("acme/app", context)], "Refs": ["refs/heads/*"]});
            let outcome = place.create(json!([of_app(&open)])).await;
            assert!(outcome.reason.contains("(guardrail `AllowBroadTrust`)"), "{context}: {}", outcome.reason);
        }
        let owner = json!([{"Subjects": ["repository_owner:acme:environment:prod"], "Refs": main}]);
        let outcome = place.create(owner).await;
        assert!(outcome.reason.contains("every repository of the owner is let in"), "{}", outcome.reason);
    });
}

#[test]
fn an_organisation_is_no_user() {
    at(async |place| {
        let answer = json!({"login": "acme", "id": 453_966, "type": "Organization"}).to_string();
        let answer = crate::simulation::wire::Answer { status: 200, headers: vec![], body: answer };
        place.github(|github| drop(github.answers.insert("GET /users/acme".into(), answer)));
        let outcome = place.create(json!([of_app(&json!({"Branches": ["main"], "Actors": ["acme"]}))])).await;
        let told = "`Actors`: acme: that is an organisation, and no user, so that no job is triggered by it";
        assert!(!outcome.succeeded && outcome.reason.contains(told), "{}", outcome.reason);
    });
}

#[test]
fn a_name_in_another_case_is_not_taken_for_the_trusted_one_unasked() {
    at(async |place| {
        let app = |name: &str| json!([{"Repository": name, "Branches": ["main"]}]);
        assert!(place.create(app("acme/app")).await.succeeded);
        let before = place.policy();
        place.github(|github| github.down = true);
        let outcome = place.update(app("Acme/App")).await;
        assert!(!outcome.succeeded, "{}", place.policy());
        assert!(outcome.reason.contains("the role trusts acme/app"), "{}", outcome.reason);
        let outcome = place.update(json!([{"Repository": "ACME/*", "Branches": ["main"]}])).await;
        assert!(!outcome.succeeded, "{}", place.policy());
        let (owner, id) = crate::simulation::github::ids("acme/app");
        for format in ["Auto", "Classic", "Immutable", "Both"] {
            let mut declared = app("Acme/App");
            (declared[0]["OwnerId"], declared[0]["RepositoryId"]) = (json!(owner.to_string()), json!(id.to_string()));
            declared[0]["SubjectFormat"] = json!(format);
            let outcome = place.update(declared).await;
            assert!(outcome.reason.contains("the role trusts acme/app"), "{format}: {outcome:?}");
        }
        for subject in ["repo:Acme/App:pull_request", "repository:Acme/App:environment:prod"] {
            let outcome = place.update(json!([{"Subjects": [subject]}])).await;
            assert!(outcome.reason.contains("the role trusts acme/app"), "{subject}: {outcome:?}");
        }
        assert_eq!(place.policy(), before);
        assert!(place.update(app("acme/app")).await.succeeded);
        place.rolls_back = true;
        assert!(place.update(app("Acme/App")).await.succeeded);
    });
}
