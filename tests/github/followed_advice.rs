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
        let advice = format!("if that has `Refs`, write a second entry of acme/app instead, with {add:?} under `Refs`");
        let trust = of(json!({"Refs": [main]}));
        let followed = json!([trust[0], {"Repository": "acme/app", "Refs": [add], member: value}]);
        follow(template, trust, claims, &advice, followed);
    }
}

/// Follows the only advice that is told of a token.
fn follow_only(keys: Option<&[&str]>, members: &Value, claims: &Value, advice: &str, followed: &Value) {
    let of_app = |members: &Value| {
        let mut entries = if members.is_array() { members.clone() } else { json!([members]) };
        for entry in entries.as_array_mut().unwrap() {
            entry["Repository"] = json!("acme/app");
        }
        entries
    };
    let told = follow(keys, of_app(members), claims.clone(), advice, of_app(followed));
    let is_told = |change: &String| change == advice || change == "nothing: another statement is nearer to the job";
    assert!(told.iter().all(is_told), "{members} {claims}: {told:?}");
}

const MAIN: &str = "refs/heads/main";
const DEV: &str = "refs/heads/dev";
const PULLS: &str = "refs/pull/*/merge";

#[test]
fn a_ref_beside_a_pull_request_is_advised_as_a_ref_and_as_no_branch() {
    let requests = |refs: &str| {
        format!(
            "set `PullRequests: true`, which lets in what nobody has reviewed yet in the entry of acme/app; if that has \
             `Refs`, write a second entry of acme/app instead, with {refs:?} under `Refs`"
        )
    };
    let refs = format!("add {DEV:?} to `Refs` in the entry of acme/app");
    for (members, on, advice, followed) in [
        (
            json!({"PullRequests": true, "Refs": [PULLS]}),
            DEV,
            refs.clone(),
            json!({"PullRequests": true, "Refs": [PULLS, DEV]}),
        ),
        (
            json!({"Environments": ["prod"], "PullRequests": true, "Refs": [MAIN, PULLS]}),
            DEV,
            refs,
            json!({"Environments": ["prod"], "PullRequests": true, "Refs": [MAIN, PULLS, DEV]}),
        ),
        (json!({"Branches": ["main"]}), DEV, requests(DEV), json!({"Branches": ["main"], "PullRequests": true})),
        (
            json!({"Branches": ["main"]}),
            "refs/pull/5/merge",
            requests(PULLS),
            json!({"Branches": ["main"], "PullRequests": true}),
        ),
        (
            json!({"Environments": ["prod"], "Refs": [MAIN]}),
            DEV,
            requests(DEV),
            json!([{"Environments": ["prod"], "Refs": [MAIN]}, {"PullRequests": true, "Refs": [DEV]}]),
        ),
    ] {
        let claims = json!({"sub": immutable("acme/app", &format!("pull_request:ref:{on}")), "ref": on});
        follow_only(Some(&["repo", "context", "ref"]), &members, &claims, &advice, &followed);
    }
}

#[test]
fn a_ref_before_the_context_is_advised_as_a_ref() {
    let keys = Some(&["repo", "ref", "context"][..]);
    let on = |refs: &[&str]| json!({"Environments": ["prod"], "Refs": refs});
    let claims = json!({"sub": immutable("acme/app", &format!("ref:{DEV}:environment:prod"))});
    let advice = format!("add {DEV:?} to `Refs` in the entry of acme/app");
    follow_only(keys, &on(&[MAIN]), &claims, &advice, &on(&[MAIN, DEV]));
}

#[test]
fn of_all_jobs_on_some_refs_the_other_ref_is_advised() {
    let all = |refs: &[&str]| json!({"AllJobs": true, "Refs": refs});
    let with_ref = Some(&["repo", "context", "ref"][..]);
    let (dev, pulls) = (format!("add {DEV:?} to `Refs`"), format!("add {PULLS:?} to `Refs`"));
    let of_entry = format!("{dev} in the entry of acme/app");
    for (keys, subject, on, advice, added) in [
        (None, "ref:refs/heads/dev", DEV, &dev, DEV),
        (None, "pull_request", "refs/pull/5/merge", &pulls, PULLS),
        (with_ref, "ref:refs/heads/dev:ref:refs/heads/dev", DEV, &of_entry, DEV),
        (with_ref, "environment:prod:ref:refs/heads/dev", DEV, &of_entry, DEV),
        (with_ref, "pull_request:ref:refs/heads/dev", DEV, &of_entry, DEV),
    ] {
        let claims = json!({"sub": immutable("acme/app", subject), "ref": on});
        follow_only(keys, &all(&[MAIN]), &claims, advice, &all(&[MAIN, added]));
    }
}

#[test]
fn a_ref_without_a_context_is_advised_as_a_branch_and_as_a_ref() {
    let called = "acme/ci/.github/workflows/x.yml@refs/heads/main";
    let with = |members: &Value| {
        let mut entry = members.clone();
        if entry.is_object() {
            entry["Workflows"] = json!([called]);
        }
        entry
    };
    let subject = immutable("acme/app", &format!("job_workflow_ref:{called}"));
    let advice = format!(
        "add the branch \"dev\" to `Branches` in the entry of acme/app; if that has `Refs`, write a second entry of acme/app \
         instead, with {DEV:?} under `Refs`"
    );
    for (members, followed) in [
        (
            json!({"AllJobs": true, "Refs": [MAIN]}),
            json!([
                {"AllJobs": true, "Refs": [MAIN], "Workflows": [called]},
                {"Branches": ["dev"], "Refs": [DEV], "Workflows": [called]},
            ]),
        ),
        (json!({"Branches": ["main"]}), json!({"Branches": ["main", "dev"]})),
    ] {
        let keys = Some(&["repo", "job_workflow_ref"][..]);
        follow_only(keys, &with(&members), &json!({"sub": subject, "ref": DEV}), &advice, &with(&followed));
    }
}

#[test]
fn of_all_jobs_in_some_workflows_the_other_workflow_is_advised() {
    let file = |at: &str| format!("acme/app/.github/workflows/x.yml@refs/heads/{at}");
    let of = |workflows: &[String]| json!({"AllJobs": true, "Workflows": workflows});
    let advice = format!("list {:?} under `Workflows` in the entry of acme/app", file("dev"));
    for context in ["ref:refs/heads/dev", "environment:prod", "pull_request"] {
        let sub = immutable("acme/app", &format!("{context}:job_workflow_ref:{}", file("dev")));
        let keys = Some(&["repo", "context", "job_workflow_ref"][..]);
        follow_only(keys, &of(&[file("main")]), &json!({"sub": sub}), &advice, &of(&[file("main"), file("dev")]));
    }
}

#[test]
fn another_context_with_another_claim_is_advised_in_a_second_entry() {
    let file = |at: &str| format!("acme/app/.github/workflows/x.yml@refs/heads/{at}");
    let of = |member: &str, value: Value, at: &str| json!({member: value, "Workflows": [file(at)]});
    let sub = immutable("acme/app", &format!("environment:dev:job_workflow_ref:{}", file("dev")));
    let advice = format!(
        "the job names an environment, which then stands in place of the branch: add \"dev\" to `Environments` and list {:?} \
         under `Workflows` in a second entry of acme/app, with the other narrowing members of the first",
        file("dev")
    );
    let keys = Some(&["repo", "context", "job_workflow_ref"][..]);
    let former = of("Branches", json!(["main"]), "main");
    let followed = json!([former, of("Environments", json!(["dev"]), "dev")]);
    follow_only(keys, &former, &json!({"sub": sub}), &advice, &followed);
}

#[test]
fn another_context_on_another_ref_is_advised_in_a_second_entry() {
    let present = json!({"Environments": ["prod"], "Refs": [MAIN]});
    let sub = immutable("acme/app", "pull_request");
    let claims = json!({"sub": sub, "ref": "refs/pull/5/merge"});
    let followed = json!([present, {"PullRequests": true, "Refs": [PULLS]}]);
    let of_app = |mut entry: Value| {
        entry["Repository"] = json!("acme/app");
        entry
    };
    let followed = json!([of_app(followed[0].clone()), of_app(followed[1].clone())]);
    let second = "in a second entry of acme/app, with the other narrowing members of the first";
    let advice = &format!("which lets in what nobody has reviewed yet {second}");
    let told = follow(None, json!([of_app(present)]), claims, advice, followed);
    assert!(told.contains(&format!("add {PULLS:?} to `Refs`, {second}")), "{told:?}");
}

#[test]
fn a_job_without_the_environment_of_a_template_has_to_name_one() {
    at(async |place| {
        let trust = json!([{"Repository": "acme/app", "Subjects": [immutable("acme/app", "environment:prod:environment:prod")]}]);
        assert!(place.create(trust).await.succeeded);
        let sub = immutable("acme/app", "ref:refs/heads/dev:environment:");
        let answer = ask(place, with_audience(json!({"sub": sub}))).await;
        let changes = changes(&answer);
        assert_eq!(changes[0], "the job has to name an environment (`environment:` in the workflow)", "{answer:#}");
    });
}

#[test]
fn a_push_beside_a_declared_base_ref_is_let_in_by_its_own_entry() {
    let keys = Some(&["repo", "context", "base_ref"][..]);
    let on_main = json!({"Branches": ["main"]});
    let of_requests = entry(&on_main, "base_ref", &["main"]);
    let pushes = json!({"Repository": "acme/app", "Branches": ["main"]});
    let claims = json!({"sub": immutable("acme/app", &format!("ref:{MAIN}:base_ref:"))});
    let advice = "an entry of their own, without `base_ref` in `TemplateClaims`";
    follow(keys, json!([of_requests]), claims, advice, json!([of_requests, pushes]));
}

#[test]
fn a_job_that_differs_in_two_members_is_advised_a_second_entry_in_each_line() {
    let file = |name: &str| format!("acme/app/.github/workflows/{name}.yml@refs/heads/main");
    let present = json!({"Environments": ["prod"], "Workflows": [file("x")], "Refs": [MAIN]});
    let sub = immutable("acme/app", "environment:prod");
    let claims = json!({"sub": sub, "ref": "refs/tags/v1", "job_workflow_ref": file("y")});
    let of_app = |members: &[&Value]| {
        let entry = |members: &&Value| {
            let mut entry = (*members).clone();
            entry["Repository"] = json!("acme/app");
            entry
        };
        members.iter().map(entry).collect::<Value>()
    };
    let other = json!({"Environments": ["prod"], "Workflows": [file("y")], "Refs": ["refs/tags/v1"]});
    let second = "in a second entry of acme/app, with the other narrowing members of the first";
    let advice = format!("list {:?} under `Workflows`, {second}", file("y"));
    let told = follow(None, of_app(&[&present]), claims, &advice, of_app(&[&present, &other]));
    assert!(told.contains(&format!("add \"refs/tags/v1\" to `Refs`, {second}")), "{told:?}");
}
