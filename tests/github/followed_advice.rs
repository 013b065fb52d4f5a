//! Advice of `Explain` that is followed and lets in the next job, too.

use serde_json::json;

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
