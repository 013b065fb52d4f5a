//! Advice of `Explain` that is followed and lets in the next job, too.

use serde_json::{Value, json};

use super::closed_values::{entry, has_template};
use super::explain::{ask, changes, follow, with_audience};
use super::{at, immutable};

#[test]
fn advice_holds_for_the_next_pull_request_and_the_next_queue_too() {
    let file = |at: &str| format!("acme/app/.github/workflows/x.yml@{at}");
    let (main, pull) = (file("refs/heads/main"), file("refs/pull/7/merge"));
    let all = file("refs/pull/*/merge");
    let of = |workflows: &[&str]| json!([{"Repository": "acme/app", "PullRequests": true, "Workflows": workflows}]);
    let claims = json!({"sub": immutable("acme/app", "pull_request"), "job_workflow_ref": pull});
    let advice = format!("list {all:?} under `Workflows`");
    follow(None, of(&[&main]), claims, &advice, of(&[&main, &all]));
    let on = |branches: &[&str]| json!([{"Repository": "acme/app", "Branches": branches}]);
    let queue = "gh-readonly-queue/main/pr-7-0123456789abcdef0123456789abcdef01234567";
    let claims = json!({"sub": immutable("acme/app", &format!("ref:refs/heads/{queue}"))});
    let advice = "add the branch \"gh-readonly-queue/main/*\" to `Branches`";
    follow(None, on(&["main"]), claims, advice, on(&["main", "gh-readonly-queue/main/*"]));
}

#[test]
fn a_branch_or_environment_in_another_case_is_another_one() {
    let entry = |member: &str, names: &[&str]| json!([{"Repository": "acme/app", member: names}]);
    for (member, context, name) in
        [("Branches", "ref:refs/heads/Main", "Main"), ("Environments", "environment:Prod", "Prod")]
    {
        let (small, advice) = (name.to_lowercase(), format!("{name:?} to `{member}`"));
        let claims = json!({"sub": immutable("acme/app", context)});
        follow(None, entry(member, &[&small]), claims, &advice, entry(member, &[&small, name]));
    }
    at(async |place| {
        assert!(place.create(entry("Branches", &["main"])).await.succeeded);
        let claims = json!({"sub": immutable("acme/app", "environment:prod:ref:refs/heads/main")});
        let answer = ask(place, with_audience(claims)).await;
        assert!(changes(&answer)[0].contains("are made of repo, context, ref, and those"), "{answer:#}");
    });
}

#[test]
fn advice_of_a_merge_queue_holds_for_the_next_entry_of_it() {
    let (queue, next) =
        ("gh-readonly-queue/main/pr-7-0123456789abcdef0123456789abcdef01234567", "gh-readonly-queue/main/*");
    let file = |at: &str| format!("acme/app/.github/workflows/x.yml@refs/heads/{at}");
    let of = |workflows: &[String]| json!([{"Repository": "acme/app", "Branches": [next], "Workflows": workflows}]);
    let claims =
        json!({"sub": immutable("acme/app", &format!("ref:refs/heads/{queue}")), "job_workflow_ref": file(queue)});
    let advice = format!("list {:?} under `Workflows`", file(next));
    follow(None, of(&[file("main")]), claims, &advice, of(&[file("main"), file(next)]));
    let on = |refs: &[&str]| json!([{"Repository": "acme/app", "Environments": ["prod"], "Refs": refs}]);
    let (main, refs) = ("refs/heads/main", format!("refs/heads/{next}"));
    let claims = json!({"sub": immutable("acme/app", "environment:prod"), "ref": format!("refs/heads/{queue}")});
    follow(None, on(&[main]), claims, &format!("add {refs:?} to `Refs`"), on(&[main, &refs]));
}

#[test]
fn advice_about_a_template_is_no_declaration_that_is_refused() {
    at(async |place| {
        for (subject, token, advice) in [
            (
                "environment:prod:run_id:1",
                "environment:prod:run_id:2",
                "take `run_id` out of the repository's subject template",
            ),
            (
                "environment:prod:repository_owner:acme",
                "environment:prod:repository_owner:corp",
                "write `Repository: corp/…`, if corp is the owner whom you mean",
            ),
        ] {
            let trust = json!([{"Repository": "acme/app", "Subjects": [immutable("acme/app", subject)]}]);
            let created = place.create(trust).await;
            assert!(created.succeeded, "{}", created.reason);
            let answer = ask(place, with_audience(json!({"sub": immutable("acme/app", token)}))).await;
            assert!(changes(&answer)[0].contains(advice), "{answer:#}");
        }
    });
}

#[test]
fn advice_about_a_workflow_s_name_is_a_declaration_that_is_taken() {
    let of = |names: &[&str]| json!([{"Repository": "acme/app", "Branches": ["main"], "TemplateClaims": [{"Name": "workflow", "Values": names}]}]);
    for name in ["CD: x", "50%", "Is it green?"] {
        let claims = json!({"sub": immutable("acme/app", "ref:refs/heads/main"), "workflow": name});
        let advice = format!("add {name:?} to the `Values` of `workflow` in `TemplateClaims`");
        follow(None, of(&["CI"]), claims, &advice, of(&["CI", name]));
    }
    at(async |place| {
        has_template(place, &["repo", "context", "workflow_ref"]);
        let file = |at: &str| format!("acme/app/.github/workflows/x.yml@{at}");
        let requests = json!({"PullRequests": true});
        let trust = json!([entry(&requests, "workflow_ref", &[&file("refs/pull/6/merge")])]);
        assert!(place.create(trust).await.succeeded);
        let context = format!("pull_request:workflow_ref:{}", file("refs/pull/7/merge"));
        let answer = ask(place, with_audience(json!({"sub": immutable("acme/app", &context)}))).await;
        assert!(changes(&answer)[0].contains(&file("refs/pull/*/merge")), "{answer:#}");
    });
}

#[test]
fn advice_of_empty_claims_is_no_empty_value() {
    at(async |place| {
        for (subject, token, advice) in [
            (
                "ref:refs/heads/main:base_ref:dev",
                "ref:refs/heads/main:base_ref:",
                "give jobs that are not of a pull request an entry of their own, without `base_ref` in `TemplateClaims`",
            ),
            ("environment:prod", "environment:", "the job has to name an environment"),
            ("ref:refs/heads/main:workflow:CI", "ref:refs/heads/main:workflow:", "the job has no `workflow`"),
        ] {
            let trust = json!([{"Repository": "acme/app", "Subjects": [immutable("acme/app", subject)]}]);
            assert!(place.create(trust).await.succeeded);
            let answer = ask(place, with_audience(json!({"sub": immutable("acme/app", token)}))).await;
            assert!(changes(&answer)[0].contains(advice), "{answer:#}");
        }
    });
}

#[test]
fn advice_names_the_refs_of_an_entry_where_the_template_says_them_too() {
    let template = Some(&["repo", "context", "ref"][..]);
    let of = |mut entry: Value| {
        (entry["Repository"], entry["Environments"]) = (json!("acme/app"), json!(["prod"]));
        json!([entry])
    };
    let main = "refs/heads/main";
    for (context, on, add, member, value) in [
        ("ref:refs/heads/dev", "refs/heads/dev", "refs/heads/dev", "Branches", json!(["dev"])),
        ("ref:refs/tags/v1", "refs/tags/v1", "refs/tags/v1", "Tags", json!(["v1"])),
        ("pull_request", "refs/pull/7/merge", "refs/pull/*/merge", "PullRequests", json!(true)),
    ] {
        let claims = json!({"sub": immutable("acme/app", &format!("{context}:ref:{on}")), "ref": on});
        let advice = format!("if that has `Refs`, add {add:?} there, too");
        let followed = of(json!({"Refs": [main, add], member: value}));
        follow(template, of(json!({"Refs": [main]})), claims, &advice, followed);
    }
}
