//! Answers about policies that somebody wrote by hand.

use serde_json::{Value, json};

use super::{IDS, ISSUER, PLAIN, STS, allow, policy, provider, with};
use crate::explain::of_policy;

/// Asks about a token with these claims and the audience that the policies want.
fn answer(statements: &[Value], claims: &Value) -> Value {
    let mut claims = claims.clone();
    claims["aud"] = json!(STS);
    of_policy(&policy(statements), &provider(ISSUER), claims.as_object().expect("claims"))
}

/// The changes that an answer advises for the conditions of a statement.
fn changes(answer: &Value, statement: usize) -> Vec<&str> {
    let failed = answer["Statements"][statement]["Failed"].as_array().into_iter().flatten();
    failed.filter_map(|failed| failed["Change"].as_str()).collect()
}

fn deny(condition: &Value) -> Value {
    json!({"Effect": "Deny", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": "*", "Condition": condition})
}

#[test]
fn a_deny_that_applies_is_told_and_nothing_is_advised_beside_it() {
    let main = with(PLAIN, "ref:refs/heads/main");
    let allows = |subject: &str| allow("StringEquals", subject, &json!({}));
    let prod = allows(&with(PLAIN, "environment:prod"));
    let claims = json!({"sub": main, "actor": "octocat"});
    let decides = "nothing: another statement allows the token, and a Deny decides";
    let of_user = deny(&json!({"StringLike": {format!("{ISSUER}:actor"): "octo*"}}));
    let told = answer(&[allows(&main), prod.clone(), of_user.clone()], &claims);
    assert_eq!(told["Verdict"], "refused", "{told:#}");
    assert_eq!(changes(&told, 1), [decides]);
    assert_eq!(told["Statements"][2]["Applies"], true);
    let refuses =
        "it refuses the token, whatever other statements allow: change this `Deny`, if the job is meant to get in";
    assert_eq!(told["Statements"][2]["Change"], refuses);
    // Where no other statement allows it, the job needs both changes.
    let told = answer(&[prod.clone(), of_user], &claims);
    assert!(changes(&told, 0)[0].contains("add the branch \"main\" to `Branches`"), "{told:#}");
    assert_eq!(told["Statements"][1]["Change"], refuses);
    // The address of the caller is not known.
    let from = deny(&json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}));
    let told = answer(&[allows(&main), prod, from], &claims);
    assert_eq!(told["Verdict"], "depends on more than the token", "{told:#}");
    assert_eq!(changes(&told, 1), [decides]);
    assert_eq!(changes(&told, 2), ["this does not depend on the token"]);
    assert_eq!(told["Statements"][2]["Change"], Value::Null);
    // Neither does a Deny of another provider want a change, nor one that keeps a stranger out.
    let mut of_others = deny(&json!({}));
    of_others["Principal"] = json!({"Federated": provider("token.actions.octo.ghe.com")});
    let told = answer(&[allows(&main), of_others], &claims);
    assert_eq!(changes(&told, 1), ["nothing: a Deny that does not apply refuses nobody"]);
    let of_ids = deny(&json!({"StringNotEquals": {format!("{ISSUER}:repository_id"): "117406"}}));
    let statements = [allows(&with(IDS, "ref:refs/heads/main")), allows(&main), of_ids];
    let told = answer(&statements, &json!({"sub": main, "repository_id": "998"}));
    let change = told["Statements"][2]["Change"].as_str().unwrap_or_default();
    assert!(change.contains("another repository of the name octo-org/octo-repo (id 998)"), "{told:#}");
    assert!(!change.contains("change this"), "{told:#}");
}

#[test]
fn a_star_in_the_place_of_the_context_is_the_context() {
    let (all, dev) = (with(PLAIN, "*"), with(PLAIN, "ref:refs/heads/dev"));
    let like = |subject: &str, more: &Value| allow("StringLike", subject, more);
    let none = json!({});
    let mut but_environments = like(&all, &none);
    but_environments["Condition"]["StringNotLike"] = json!({format!("{ISSUER}:sub"): with(PLAIN, "environment:*")});
    let workflow = |at: &str| format!("job_workflow_ref:octo-org/octo-repo/.github/workflows/x.yml@refs/heads/{at}");
    for (statement, subject, change) in [
        (like(&all, &json!({"ref": "refs/heads/main"})), dev.clone(), "add \"refs/heads/dev\" to `Refs`"),
        (
            like(&with(PLAIN, "*:ref:refs/heads/main"), &none),
            with(&dev, "ref:refs/heads/dev"),
            "add \"refs/heads/dev\" to `Refs` in the entry of octo-org/octo-repo",
        ),
        (
            like(&with(PLAIN, "*:ref:refs/heads/main"), &none),
            with(PLAIN, "environment:prod:ref:refs/heads/dev"),
            "add \"refs/heads/dev\" to `Refs` in the entry of octo-org/octo-repo",
        ),
        (
            like(&with(&all, &workflow("main")), &none),
            with(PLAIN, &format!("pull_request:{}", workflow("dev"))),
            "list \"octo-org/octo-repo/.github/workflows/x.yml@refs/heads/dev\" under `Workflows` in the entry of octo-org/octo-repo",
        ),
        (
            like(&with(IDS, "*"), &none),
            dev.clone(),
            "the repository sends subjects without ids, and the policy wants them with (repo:octo-org@18724/octo-repo@117406:*): \
             update the role's stack, with `SubjectFormat: Auto` or the form that fits",
        ),
        (
            like("repo:Octo-Org/octo-repo:*", &none),
            dev.clone(),
            "only the case differs from repo:Octo-Org/octo-repo:*: write the names as GitHub does",
        ),
        (allow("StringEquals", &all, &none), dev, "write `StringLike`, or better the subjects that you mean"),
        (
            but_environments,
            with(PLAIN, "environment:prod"),
            "the policy excludes \"repo:octo-org/octo-repo:environment:prod\": change it where it is written",
        ),
    ] {
        let told = answer(&[statement], &json!({"sub": subject, "ref": "refs/heads/dev"}));
        assert_eq!(changes(&told, 0), [change], "{told:#}");
    }
}

#[test]
fn a_ref_without_a_context_in_the_subject_is_one_of_two_members() {
    let called = with(PLAIN, "job_workflow_ref:octo-org/ci/.github/workflows/x.yml@refs/heads/main");
    let statement = allow("StringEquals", &called, &json!({"ref": "refs/heads/main"}));
    let told = answer(&[statement], &json!({"sub": called, "ref": "refs/heads/dev"}));
    let change = "add the branch \"dev\" to `Branches` in the entry of octo-org/octo-repo; if that has `Refs`, write a \
                  second entry of octo-org/octo-repo instead, with \"refs/heads/dev\" under `Refs`";
    assert_eq!(changes(&told, 0), [change], "{told:#}");
}

#[test]
fn only_the_statement_that_is_nearest_to_the_job_is_to_be_changed() {
    let (main, called) = (with(PLAIN, "ref:refs/heads/main"), "octo-org/ci/.github/workflows/x.yml@refs/heads/main");
    let nearer = ["nothing: another statement is nearer to the job"];
    let allows = |subject: &str, more: &Value| allow("StringEquals", subject, more);
    let narrowed = allows(&main, &json!({"job_workflow_ref": "octo-org/ci/.github/workflows/y.yml@refs/heads/main"}));
    let prod = allows(&with(PLAIN, "environment:prod"), &json!({}));
    let told = answer(&[prod, narrowed], &json!({"sub": main, "job_workflow_ref": called}));
    assert_eq!(changes(&told, 0), nearer, "{told:#}");
    assert_eq!(changes(&told, 1), [format!("list {called:?} under `Workflows`")]);
    let old = allows("repo:octo-org/old:ref:refs/heads/main", &json!({"repository_id": "5"}));
    let own = allows(&main, &json!({"repository_id": "117406"}));
    let dev = json!({"sub": with(PLAIN, "ref:refs/heads/dev"), "repository_id": "117406"});
    let told = answer(&[old.clone(), own.clone()], &dev);
    assert_eq!(changes(&told, 0), [nearer, nearer].concat(), "{told:#}");
    assert!(changes(&told, 1)[0].contains("add the branch \"dev\" to `Branches`"), "{told:#}");
    let told = answer(&[old, own], &json!({"sub": "repo:octo-org/new:ref:refs/heads/main", "repository_id": "6"}));
    for statement in [0, 1] {
        let changes = changes(&told, statement);
        assert!(changes.iter().all(|change| change.ends_with("octo-org/new: add one")), "{told:#}");
    }
}
