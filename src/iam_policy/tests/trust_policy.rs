//! Documents that are written and read again, and the worst case of reading.

use super::*;
use crate::iam_policy::pattern::COMPARISONS;

const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";

fn rule(text: &str) -> TrustRule {
    let mut words = text.split(' ');
    let subject = Pattern::written(words.next().unwrap());
    let claims = words.map(|word| {
        let (name, values) = word.split_once('=').unwrap();
        let claim = Claim::ALL.into_iter().find(|claim| claim.name() == name).unwrap();
        (claim, Rc::new(values.split('|').map(Pattern::written).collect()))
    });
    TrustRule { subject, claims: claims.collect() }
}

fn policy(rules: &[&str]) -> TrustPolicy {
    TrustPolicy::of(PROVIDER, "sts.amazonaws.com", rules.iter().map(|text| rule(text)))
}

#[test]
fn rules_that_differ_only_in_subject_share_a_statement() {
    let policy = policy(&["repo:o/r:a", "repo:o/r:b", "repo:o/r:c/*", "repo:o/s:a repository_id=7"]);
    let text = policy.document().to_string().replace(PROVIDER, "P").replace("token.actions.githubusercontent.com", "G");
    let statements: Vec<&str> =
        text.split("\"Condition\":").skip(1).map(|rest| rest.split(",\"Effect").next().unwrap()).collect();
    insta::assert_snapshot!(statements.join("\n"), @r#"
    {"StringEquals":{"G:aud":"sts.amazonaws.com","G:sub":["repo:o/r:a","repo:o/r:b"]}}
    {"StringEquals":{"G:aud":"sts.amazonaws.com"},"StringLike":{"G:sub":"repo:o/r:c/*"}}
    {"StringEquals":{"G:aud":"sts.amazonaws.com","G:repository_id":"7","G:sub":"repo:o/s:a"}}
    "#);
}

#[test]
fn one_claim_is_never_under_both_operators() {
    let policy = policy(&["repo:o/r:a job_workflow_ref=w@refs/heads/main|w@refs/heads/r/*|w@refs/heads/r/1"]);
    assert_eq!(policy.rules().len(), 2);
    let document = policy.document().to_string();
    assert!(!document.contains("r/1"), "{document}");
    assert_eq!(TrustPolicy::read(&policy.document()), Some(policy));
}

#[test]
fn what_another_admission_covers_is_left_out() {
    assert_eq!(policy(&["a/*", "a/b", "a/c ref=x"]), policy(&["a/*"]));
    assert_eq!(policy(&["a ref=x|y", "a ref=x"]), policy(&["a ref=x|y"]));
    // Rules that cover each other.
    assert_eq!(policy(&["a*", "a**"]), policy(&["a*"]));
    assert_eq!(policy(&["a ref=x*", "a ref=x*|xy*"]), policy(&["a ref=x*"]));
}

#[test]
fn what_we_write_is_read_again_and_what_others_write_is_not() {
    for rules in [
        &["repo:o/r:a"][..],
        &["repo:o/r:a", "repo:o/r:b"],
        &["repo:o/r:a*", "repo:o/r:b"],
        &["r:*"],
        &["repo:o/r:a repository_id=7 environment=x*", "repo:o/r:b ref=refs/heads/main|refs/heads/x"],
    ] {
        let policy = policy(rules);
        assert_eq!(TrustPolicy::read(&policy.document()), Some(policy));
    }
    let mut foreign = policy(&["repo:o/r:a"]).document();
    foreign["Statement"][0]["Condition"]["Bool"] = json!({"aws:SecureTransport": "true"});
    assert_eq!(TrustPolicy::read(&foreign), None);
    assert_eq!(TrustPolicy::read(&json!({})), None);
}

/// The worst document of the size that IAM stores, and the number of its values: the subjects of its statements are
/// equal, and of their lists for a claim only the last values do not cover each other.
fn largest(statements: usize) -> (Value, usize) {
    const LIMIT: usize = 8192;
    let document = |count: usize| {
        let statement = |number: usize| {
            let subjects: BTreeSet<_> = (0..count).map(|index| Pattern::written(&format!("*{index}"))).collect();
            let stars = "*".repeat(number + 1);
            let values = (1..count).map(|index| format!("{index}{stars}")).chain([format!("x{number}*")]);
            let claims = [(Claim::Ref, Rc::new(values.map(|value| Pattern::written(&value)).collect()))].into();
            policy(&[]).statement(&claims, &subjects.iter().collect())
        };
        json!({"Version": "2012-10-17", "Statement": (0..statements).map(statement).collect::<Value>()})
    };
    let fits = |count: &usize| document(*count).to_string().len() <= LIMIT;
    let count = (1..LIMIT).take_while(fits).last().unwrap();
    (document(count), statements * count * 2)
}

#[test]
fn reading_compares_each_pair_of_values_at_most_twice() {
    for statements in [2, 5, 10] {
        let (document, values) = largest(statements);
        let before = COMPARISONS.get();
        let _ = TrustPolicy::read(&document);
        let comparisons = COMPARISONS.get() - before;
        assert!(comparisons <= 2 * values * values, "{comparisons} comparisons of {values} values");
    }
}

#[test]
fn a_policy_with_more_values_than_the_limit_is_not_read() {
    let read = |count: usize| {
        let values = |prefix: &str| (0..count).map(|n| Pattern::written(&format!("{prefix}{n}"))).collect();
        let subjects: BTreeSet<Pattern> = values("s");
        let statement =
            policy(&[]).statement(&[(Claim::ActorId, Rc::new(values("")))].into(), &subjects.iter().collect());
        TrustPolicy::read(&json!({"Version": "2012-10-17", "Statement": [statement]})).is_some()
    };
    assert!(read(100));
    assert!(!read(1000));
}

#[test]
fn covering_and_intersection_respect_patterns_claims_and_issuers() {
    assert!(policy(&["a/*", "b"]).covers(&policy(&["a/x", "b"])));
    assert!(!policy(&["a/x", "b"]).covers(&policy(&["a/*", "b"])));
    assert!(policy(&["a"]).covers(&policy(&["a ref=x"])) && !policy(&["a ref=x"]).covers(&policy(&["a"])));
    assert_eq!(policy(&["a/*", "b"]).intersection(&policy(&["a/x", "c"])), policy(&["a/x"]));
    assert_eq!(
        policy(&["a ref=x|y"]).intersection(&policy(&["a ref=y|z actor_id=1"])),
        policy(&["a ref=y actor_id=1"])
    );
    assert_eq!(policy(&["a ref=x"]).intersection(&policy(&["a ref=y"])), policy(&["nobody"]));
    assert_eq!(policy(&["a"]).intersection(&policy(&["c"])), policy(&["nobody"]));
    let other = TrustPolicy { audience: "other".into(), ..policy(&["a"]) };
    assert!(!policy(&["a"]).covers(&other));
    assert_eq!(policy(&["a"]).intersection(&other), policy(&["nobody"]));
}
