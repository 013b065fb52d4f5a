//! Generated trust policies with their grades, for other evaluators: see `tests/policies/grade_proof.py`.
//!
//! The policies are such as people write and worse: several statements, denials, sets, `IfExists`, `Null`, variables of policies,
//! keys in another case, keys that STS does not have. Numbers, dates and ARNs in claims are left out, because the evaluation
//! says of them that it depends.

use std::io::Write;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{ARN, G, judge};
use crate::github::Issuer;
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};

const OTHER: &str = "arn:aws:iam::123456789012:oidc-provider/gitlab.com";
const OWNERS: [(&str, u64); 4] = [("octo-org", 1), ("Octo-Org", 9), ("octo-orgx", 8), ("a-stranger", 7)];
const NAMES: [(&str, u64); 3] = [("octo-repo", 2), ("octo-repo-2", 3), ("other", 4)];
const CONTEXTS: [&str; 6] = [
    "ref:refs/heads/main",
    "ref:refs/heads/dev",
    "ref:refs/tags/v1",
    "environment:production",
    "environment:a%3Ab",
    "pull_request",
];
const SUBJECTS: [&str; 24] = [
    "repo:octo-org/octo-repo:ref:refs/heads/main",
    "repo:octo-org/octo-repo:*",
    "repo:octo-org/octo-repo*",
    "repo:octo-org/octo-repo:pull_request",
    "repo:octo-org/octo-repo:environment:production",
    "repo:octo-org/octo-????:ref:refs/heads/*",
    "repo:octo-org/*",
    "repo:octo-org*",
    "repo:*",
    "*",
    "*:environment:production",
    "repo:OCTO-ORG/octo-repo:*",
    "repo:octo-org@1/octo-repo@2:ref:refs/heads/main",
    "repo:octo-org@1/octo-repo@2:*",
    "repo:octo-org@1/*",
    "repo:octo-org@*/octo-repo@*:*",
    "repo:octo-org@*/octo-repo@*:pull_request",
    "repo:octo-org/octo-repo:ref:refs/heads/x-${$}{y}",
    "repo:octo-org/${*}:ref:refs/heads/main",
    "repo:${aws:username}/octo-repo:*",
    "repo:${token.actions.githubusercontent.com:repository}:*",
    "repo:octo-org/octo-repo:ref:${token.actions.githubusercontent.com:ref}",
    "repo:${aws:username, 'octo-org'}/octo-repo:*",
    "job_workflow_ref:octo-org/ci/.github/workflows/d.yml@refs/heads/main",
];
const CLAIMS: [(&str, &[&str]); 13] = [
    ("repository", &["octo-org/octo-repo", "octo-org/*", "${token.actions.githubusercontent.com:repository}"]),
    ("repository_id", &["2", "3", "*"]),
    ("repository_owner_id", &["1", "9", "?"]),
    ("ref", &["refs/heads/main", "refs/heads/*", "refs/tags/v1"]),
    ("environment", &["production", "a:b", "prod*"]),
    ("actor", &["octocat", "*"]),
    ("actor_id", &["583231", "7"]),
    ("job_workflow_ref", &["octo-org/ci/.github/workflows/d.yml@refs/heads/main", "octo-org/*"]),
    ("workflow", &["deploy", "Deploy"]),
    ("enterprise_id", &["1", "77"]),
    ("repository_owner", &["octo-org", "*"]),
    ("repository_visibility", &["private"]),
    ("amr", &["authenticated"]),
];
const COMPARISONS: [&str; 6] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
];

fn one<'a, T: ?Sized>(random: &mut Rng, of: &[&'a T]) -> &'a T {
    of[random.usize(..of.len())]
}

/// One value or a list of up to three.
fn values(random: &mut Rng, of: &[&str]) -> Value {
    if random.f64() < 0.6 {
        return json!(one(random, of));
    }
    (0..random.usize(1..=3)).map(|_| json!(one(random, of))).collect()
}

fn key(random: &mut Rng, claim: &str) -> String {
    match random.u8(..20) {
        0 => format!("{}:{claim}", G.to_uppercase()),
        1 => format!("{G}:{}", claim.to_uppercase()),
        _ => format!("{G}:{claim}"),
    }
}

fn operator(random: &mut Rng, is_subject: bool) -> String {
    let comparison = match random.u8(..10) {
        0..4 if is_subject => "StringLike",
        4..7 if is_subject => "StringEquals",
        _ => one(random, &COMPARISONS),
    };
    match random.u8(..12) {
        0 => format!("{comparison}IfExists"),
        1 => format!("ForAllValues:{comparison}"),
        2 => format!("ForAnyValue:{comparison}"),
        3 => format!("ForAllValues:{comparison}IfExists"),
        _ => comparison.to_owned(),
    }
}

/// Adds a key to an operator. A key that is there already stays.
fn add(condition: &mut Map<String, Value>, operator: String, key: String, values: Value) {
    let keys = condition.entry(operator).or_insert_with(|| json!({}));
    if let Some(keys) = keys.as_object_mut() {
        keys.entry(key).or_insert(values);
    }
}

fn condition(random: &mut Rng, is_deny: bool, has_address: &mut bool) -> Value {
    let mut condition = Map::new();
    if random.f64() < if is_deny { 0.1 } else { 0.8 } {
        let audiences = ["sts.amazonaws.com", "sts.amazonaws.com", "sts.*", "vault"];
        let count = if random.u8(..5) == 0 { 4 } else { 2 };
        let wanted = values(random, &audiences[..count]);
        add(&mut condition, "StringEquals".to_owned(), key(random, "aud"), wanted);
    }
    if random.f64() < 0.85 {
        let (operator, key, subjects) = (operator(random, true), key(random, "sub"), values(random, &SUBJECTS));
        add(&mut condition, operator, key, subjects);
    }
    for _ in 0..[0, 0, 0, 1, 1, 2][random.usize(..6)] {
        let (claim, of) = CLAIMS[random.usize(..CLAIMS.len())];
        let (operator, key, values) = (operator(random, false), key(random, claim), values(random, of));
        add(&mut condition, operator, key, values);
    }
    if random.f64() < 0.08 {
        let claim = one(random, &["environment", "sub", "repository_id", "repository_owner", "amr"]);
        let key = key(random, claim);
        add(&mut condition, "Null".to_owned(), key, json!(one(random, &["true", "false"])));
    }
    if !*has_address && random.f64() < 0.08 {
        *has_address = true;
        add(&mut condition, "IpAddress".to_owned(), "aws:SourceIp".to_owned(), json!("192.0.2.0/24"));
    }
    Value::Object(condition)
}

fn statement(random: &mut Rng, is_first: bool, has_address: &mut bool) -> Value {
    let is_deny = !is_first && random.bool();
    let actions = [
        json!("sts:AssumeRoleWithWebIdentity"),
        json!("sts:AssumeRoleWithWebIdentity"),
        json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]),
        json!("sts:*"),
        json!("STS:assumerolewith*"),
        json!("sts:AssumeRole"),
    ];
    let action = &actions[random.usize(..if is_first { 5 } else { 6 })];
    let principal = match random.u8(..12) {
        0 => json!({"Federated": [OTHER, ARN]}),
        1 if !is_first => json!({"Federated": OTHER}),
        2 if is_deny => json!("*"),
        _ => json!({"Federated": ARN}),
    };
    let mut statement = json!({
        "Effect": if is_deny { "Deny" } else { "Allow" },
        "Principal": principal,
        "Action": action,
    });
    let condition = condition(random, is_deny, has_address);
    if condition != json!({}) {
        statement["Condition"] = condition;
    }
    statement
}

fn policy(random: &mut Rng) -> Value {
    let (count, mut has_address) = ([1, 1, 2, 2, 3][random.usize(..5)], false);
    let statements: Vec<Value> = (0..count).map(|index| statement(random, index == 0, &mut has_address)).collect();
    let version = if random.u8(..20) == 0 { "2008-10-17" } else { "2012-10-17" };
    json!({"Version": version, "Statement": statements})
}

/// A token of some job, not always with all claims.
fn token(random: &mut Rng) -> Map<String, Value> {
    let ((owner, owner_id), (name, id)) = (OWNERS[random.usize(..4)], NAMES[random.usize(..3)]);
    let context = one(random, &CONTEXTS);
    let prefix = if random.bool() { format!("{owner}/{name}") } else { format!("{owner}@{owner_id}/{name}@{id}") };
    let workflows =
        ["octo-org/ci/.github/workflows/d.yml@refs/heads/main", "x/y/.github/workflows/d.yml@refs/heads/main"];
    let mut claims = json!({
        "iss": format!("https://{G}"),
        "sub": format!("repo:{prefix}:{context}"),
        "aud": if random.u8(..10) == 0 { "vault" } else { "sts.amazonaws.com" },
        "repository": format!("{owner}/{name}"),
        "repository_id": id.to_string(),
        "repository_owner": owner,
        "repository_owner_id": owner_id.to_string(),
        "repository_visibility": "private",
        "ref": context.strip_prefix("ref:").unwrap_or("refs/heads/main"),
        "actor": "octocat",
        "actor_id": "583231",
        "job_workflow_ref": one(random, &workflows),
        "workflow": "deploy",
        "enterprise_id": one(random, &["1", "77"]),
    });
    if let Some(name) = context.strip_prefix("environment:") {
        claims["environment"] = json!(name.replace("%3A", ":"));
    }
    claims.as_object().cloned().unwrap_or_default()
}

/// `GRADES` names the file, `GRADED_POLICIES` the number, `GRADED_SEED` the seed: see `make trust-proof`.
#[test]
#[ignore = "only for tests/policies/grade_proof.py"]
fn generated_policies_and_grades_for_other_evaluators() {
    let number =
        |name: &str, otherwise| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let mut random = Rng::with_seed(number("GRADED_SEED", 1));
    let file = std::fs::File::create(std::env::var("GRADES").expect("the file")).expect("a file");
    let mut file = std::io::BufWriter::new(file);
    assert!(Issuer::of_host("github.com").is_ok_and(|issuer| issuer.to_string() == G));
    for _ in 0..number("GRADED_POLICIES", 100) {
        let policy = policy(&mut random);
        let findings: Vec<Value> = judge(&policy).iter().map(|finding| json!(finding)).collect();
        let tries: Vec<Value> = (0..20)
            .map(|_| {
                let claims = token(&mut random);
                let verdict = match evaluate(&policy, ARN, &TokenClaims::of(&claims)).0 {
                    Verdict::Admitted => "admitted",
                    Verdict::Refused => "refused",
                    Verdict::Depends => "depends",
                };
                json!({"claims": claims, "verdict": verdict})
            })
            .collect();
        writeln!(file, "{}", json!({"policy": policy, "provider": ARN, "findings": findings, "tries": tries}))
            .expect("a line");
    }
}
