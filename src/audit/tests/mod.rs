mod beside_others;
mod bounded_work;
mod generated_policies;

use serde_json::{Value, json};

use super::grade::{AuditFinding, Grade, Provider, Work, grade};
use crate::github::Issuer;
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};

const ARN: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
const G: &str = "token.actions.githubusercontent.com";

fn provider() -> Provider {
    Provider { arn: ARN.to_owned(), client_ids: ["sts.amazonaws.com".to_owned()].into() }
}

fn statement(effect: &str, condition: &Value) -> Value {
    json!({
        "Effect": effect,
        "Principal": {"Federated": ARN},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    })
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A policy with the usual audience and one condition on the subject.
fn with_subject(operator: &str, subjects: &[&str]) -> Value {
    let mut condition = json!({"StringEquals": {format!("{G}:aud"): "sts.amazonaws.com"}});
    condition[operator][format!("{G}:sub")] = json!(subjects);
    policy(&[statement("Allow", &condition)])
}

fn judge(policy: &Value) -> Vec<AuditFinding> {
    let issuer = Issuer::of_host("github.com").expect("an issuer");
    let findings = grade(policy, ARN, &issuer, Some(&provider()), &Work::default());
    for finding in findings.iter().filter(|finding| !finding.proof.is_empty()) {
        let claims = finding.proof.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let (verdict, _) = evaluate(policy, ARN, &TokenClaims::of(&claims));
        let proves = verdict == if finding.depends { Verdict::Depends } else { Verdict::Admitted };
        assert!(proves, "{finding:?} does not prove itself for {policy}");
    }
    findings
}

fn grades(policy: &Value) -> Vec<Grade> {
    judge(policy).iter().map(|finding| finding.grade).collect()
}

#[test]
fn subjects_are_graded_by_the_jobs_that_they_let_in() {
    use Grade::{Dead, Exact, NamesOnly, Open, Organisation, PullRequest, Repository, WildcardId};
    for (operator, subjects, expected) in [
        ("StringLike", &["*"][..], &[Open][..]),
        ("StringLike", &["repo:*"], &[Open]),
        ("StringLike", &["repo:octo-org*"], &[Open]),
        ("StringLike", &["repo:octo-org*/octo-repo:*"], &[Open]),
        ("StringLike", &["repo:*/octo-repo:ref:refs/heads/main"], &[Open]),
        ("StringLike", &["*:ref:refs/heads/main"], &[Open]),
        ("StringLike", &["*:environment:production"], &[Open]),
        ("StringLike", &["repo:octo-org/*"], &[Organisation, NamesOnly]),
        ("StringLike", &["repo:octo-org/*:ref:refs/heads/main"], &[Organisation, NamesOnly]),
        ("StringLike", &["repo:octo-org@123456/*:ref:refs/heads/main"], &[Organisation]),
        ("StringLike", &["repo:octo-org/octo-*:*"], &[Organisation, NamesOnly]),
        ("StringLike", &["repo:octo-org@*/octo-repo@*:*"], &[WildcardId, Repository]),
        ("StringLike", &["repo:octo-org@*/octo-repo@*:ref:refs/heads/main"], &[WildcardId]),
        ("StringLike", &["repo:octo-org/octo-repo:*"], &[NamesOnly, Repository]),
        ("StringLike", &["repo:octo-org/octo-repo*"], &[Organisation, NamesOnly]),
        ("StringEquals", &["repo:octo-org/octo-repo:ref:refs/heads/main"], &[NamesOnly]),
        ("StringEquals", &["repo:octo-org/octo-repo:pull_request"], &[NamesOnly, PullRequest]),
        ("StringEquals", &["repo:octo-org@1/octo-repo@2:pull_request"], &[PullRequest]),
        ("StringEquals", &["repo:octo-org@1/octo-repo@2:ref:refs/heads/main"], &[Exact]),
        ("StringEquals", &["repo:octo-org@1/octo-repo@2:environment:prod%3Aeu"], &[Exact]),
        ("StringLike", &["repo:octo-org@1/octo-repo@2:ref:refs/heads/release/*"], &[Exact]),
        ("StringLike", &["repo:octo-org@1/octo-repo@2:ref:refs/heads/*"], &[Exact]),
        ("StringLike", &["repo:octo-org@1/octo-repo@2:*"], &[Repository]),
        ("StringEquals", &["repo:octo-org/octo-repo:*"], &[Dead]),
        ("StringLike", &["repo:octo-org/octo-repo.git:*"], &[Dead]),
        ("StringLike", &["repo:octo-org@1/octo-repo.git@2:*", "repo:octo-org//heads/main"], &[Dead]),
        ("StringLike", &["repo:octo-org/octo-repo.git:*", "repo:octo-org@1/octo-repo@2:*"], &[Repository]),
        ("StringLike", &["repo:${aws:username}/octo-repo:*"], &[Grade::NotJudged]),
        ("StringEquals", &["job_workflow_ref:octo-org/x/.github/workflows/x.yml@refs/heads/main"], &[Open]),
    ] {
        assert_eq!(grades(&with_subject(operator, subjects)), expected, "{operator} {subjects:?}");
    }
}

#[test]
fn other_claims_denials_and_absent_conditions_count() {
    use Grade::{Dead, Exact, NamesOnly, Open, Organisation};
    let key = |claim: &str| format!("{G}:{claim}");
    let audience = json!({key("aud"): "sts.amazonaws.com"});
    let main = "repo:octo-org/octo-repo:ref:refs/heads/main";
    let allow = |condition: Value| statement("Allow", &condition);
    for (statements, expected) in [
        (vec![allow(json!({"StringEquals": audience}))], &[Open][..]),
        (vec![allow(json!({}))], &[Open]),
        (vec![allow(json!({"StringEquals": {key("sub"): main, key("repository_id"): "5"}}))], &[Exact]),
        (
            vec![allow(json!({"StringEquals": {key("repository"): "octo-org/octo-repo"}}))],
            &[NamesOnly, Grade::Repository],
        ),
        (vec![allow(json!({"StringEquals": {key("repository_id"): "5"}}))], &[Grade::Repository]),
        (vec![allow(json!({"StringEquals": {key("repository_owner_id"): "7"}}))], &[Organisation]),
        (
            vec![allow(
                json!({"StringLike": {key("sub"): "repo:octo-org/*"}, "StringEquals": {key("repository_id"): "5"}}),
            )],
            &[Grade::Repository],
        ),
        (vec![allow(json!({"StringEquals": {key("actor_id"): "7"}}))], &[Grade::NotJudged]),
        (vec![allow(json!({"StringEquals": {key("ref"): "refs/heads/main"}}))], &[Open]),
        (vec![allow(json!({"StringEquals": {key("environment"): "production"}}))], &[Open]),
        (vec![allow(json!({"StringNotEquals": {key("sub"): main}}))], &[Open]),
        (vec![allow(json!({"StringLikeIfExists": {key("sub"): main}}))], &[NamesOnly]),
        (vec![allow(json!({"ForAllValues:StringLike": {key("sub"): main}}))], &[NamesOnly]),
        (vec![allow(json!({"StringEquals": {key("repo_property_tier"): "x", key("sub"): main}}))], &[Dead]),
        (vec![allow(json!({"StringEquals": {key("aud"): "vault", key("sub"): main}}))], &[Dead]),
        (
            vec![
                allow(json!({"StringLike": {key("sub"): "repo:octo-org@1/*"}})),
                statement("Deny", &json!({"StringNotLike": {key("sub"): "repo:octo-org@1/octo-repo@2:*"}})),
            ],
            &[Grade::Repository][..],
        ),
        (
            vec![
                allow(json!({"StringEquals": {key("aud"): "vault", key("sub"): main}})),
                allow(json!({"StringLike": {key("sub"): "repo:octo-org@1/*"}})),
            ],
            &[Organisation],
        ),
        (
            vec![allow(json!({"StringLike": {key("sub"): "repo:*"}, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))],
            &[Open],
        ),
    ] {
        assert_eq!(grades(&policy(&statements)), expected, "{statements:?}");
    }
}

#[test]
fn a_provider_that_is_not_there_lets_nobody_in() {
    let issuer = Issuer::of_host("github.com").expect("an issuer");
    let policy = with_subject("StringLike", &["repo:octo-org/*"]);
    let findings = grade(&policy, ARN, &issuer, None, &Work::default());
    assert_eq!(findings[0].grade, Grade::Dead);
    assert!(findings[0].sentence.contains("the account has no provider"), "{findings:?}");
}
