//! The work for the worst trust policies of the length that IAM takes.

use serde_json::{Value, json};

use super::{G, grades, judge, policy, statement};
use crate::audit::grade::{Grade, Work};
use crate::iam_policy::string_like::STEPS;

/// The longest trust policy of IAM, in characters.
const LONGEST: usize = 8192;

fn key(claim: &str) -> String {
    format!("{G}:{claim}")
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> Value {
    (0..count).map(item).collect()
}

/// A policy with one condition beside that on the audience.
fn allow(condition: Value) -> Value {
    let mut all = json!({"StringEquals": {key("aud"): "sts.amazonaws.com"}});
    all["StringLike"] = condition;
    let policy = policy(&[statement("Allow", &all)]);
    assert!(policy.to_string().len() <= LONGEST, "{}", policy.to_string().len());
    policy
}

/// Subjects, ids, environments and workflows, each of which is tried with each of the others.
fn lists() -> Value {
    allow(json!({
        key("sub"): numbered(250, |n| format!("repo:o/{n}:*")),
        key("repository_id"): numbered(20, |n| (n + 1).to_string()),
        key("repository_owner_id"): numbered(20, |n| (n + 1).to_string()),
        key("environment"): numbered(300, |n| n.to_string()),
        key("job_workflow_ref"): numbered(5, |n| n.to_string()),
    }))
}

/// Patterns that begin to match at each letter of a long name, and never do.
fn stars() -> Value {
    allow(json!({
        key("sub"): numbered(8, |n| format!("repo:*{}b{n}", "a".repeat(400))),
        key("repository"): numbered(8, |n| format!("*{}c{n}", "a".repeat(400))),
    }))
}

/// Subjects of anybody, whom another claim keeps out.
fn strangers() -> Value {
    allow(json!({key("sub"): numbered(400, |n| format!("workflow:{n}")), key("actor_id"): "7"}))
}

#[test]
fn the_grades_of_the_longest_policies_take_bounded_work() {
    for policy in [lists(), stars(), strangers()] {
        let before = STEPS.get();
        let found = judge(&policy);
        let steps = STEPS.get() - before;
        // The last job that is tried may take more than is left, and each proof is tried once more.
        let most = Work::MOST + 10 * LONGEST * LONGEST;
        assert!(steps <= most, "{steps} steps for {:.200}", policy.to_string());
        assert!(found.len() < 2 * LONGEST, "{} findings", found.len());
    }
}

#[test]
fn a_policy_with_more_jobs_than_are_tried_is_told_so() {
    let found = grades(&lists());
    assert_eq!(found.last(), Some(&Grade::NotJudged), "{found:?}");
    let mut policy = lists();
    let open = statement("Allow", &json!({"StringLike": {key("sub"): "repo:*"}}));
    policy["Statement"].as_array_mut().unwrap().push(open);
    let found = grades(&policy);
    assert_eq!(found.first(), Some(&Grade::Open), "{found:?}");
}
