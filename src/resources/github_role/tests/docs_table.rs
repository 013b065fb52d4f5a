//! The same trust as tutorials write it by hand, beside ours: the table in `docs/github-role.md`.
//! `WRITE_TABLE=1 cargo test --lib tutorials` writes it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::cloudformation::Fields;
use crate::deployment::Deployment;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat};
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::reconcile::Resource;
use crate::resources::github_role::compile::compile;
use crate::resources::github_role::{GitHubRoles, Spec};

const ISSUER: &str = "token.actions.githubusercontent.com";
const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
const BEGIN: &str = "<!-- The table is written by a test: see src/resources/github_role/tests/docs_table.rs. -->\n";
const END: &str = "<!-- The end of the table. -->\n";

/// A new repository, one that is as old as the hills, and who should not get in: others of the organisation, strangers
/// with a similar name, and somebody who has taken over a name.
const REPOSITORIES: [(&str, u64, u64, SubjectFormat); 7] = [
    ("octo-org/web", 1, 10, SubjectFormat::Immutable),
    ("octo-org/infra", 1, 20, SubjectFormat::Classic),
    ("octo-org/docs", 1, 30, SubjectFormat::Immutable),
    ("octo-org/web-fork", 1, 40, SubjectFormat::Immutable),
    ("octo-org-ci/web", 2, 50, SubjectFormat::Immutable),
    ("octo-org-ci/web-fork", 2, 60, SubjectFormat::Classic),
    ("octo-org/infra", 3, 70, SubjectFormat::Classic),
];

/// Main of one, and an environment of the other.
fn trust() -> Value {
    json!([
        {"Repository": "octo-org/web", "Branches": ["main"]},
        {"Repository": "octo-org/infra", "Environments": ["production"]},
    ])
}

fn is_meant(repository: u64, context: &str) -> bool {
    matches!((repository, context), (10, "ref:refs/heads/main") | (20, "environment:production"))
}

/// Every token of every repository.
fn tokens() -> Vec<(bool, TokenClaims)> {
    const CONTEXTS: [&str; 6] = [
        "ref:refs/heads/main",
        "ref:refs/heads/feature",
        "ref:refs/tags/v1",
        "environment:production",
        "environment:preview",
        "pull_request",
    ];
    let mut tokens = Vec::new();
    for (name, owner_id, id, form) in REPOSITORIES {
        let (owner, repository) = name.split_once('/').unwrap();
        let prefix = match form {
            SubjectFormat::Classic => name.to_owned(),
            SubjectFormat::Immutable => format!("{owner}@{owner_id}/{repository}@{id}"),
        };
        for context in CONTEXTS {
            for audience in ["sts.amazonaws.com", "https://github.com/octo-org"] {
                let mut claims = json!({"iss": format!("https://{ISSUER}"), "aud": audience,
                    "sub": format!("repo:{prefix}:{context}"), "repository_id": id.to_string(), "repository": name});
                if let Some(environment) = context.strip_prefix("environment:") {
                    claims["environment"] = json!(environment);
                }
                let meant = is_meant(id, context) && audience == "sts.amazonaws.com";
                tokens.push((meant, TokenClaims::of(claims.as_object().unwrap())));
            }
        }
    }
    tokens
}

fn policy(condition: &Value) -> Value {
    let condition = condition.to_string().replace("G:", &format!("{ISSUER}:"));
    let condition: Value = serde_json::from_str(&condition).unwrap();
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}]})
}

/// The policies as they are written by hand.
fn by_hand() -> Vec<(&'static str, Value)> {
    let aud = "sts.amazonaws.com";
    vec![
        (
            "`StringLike` on `repo:owner/name:*`, as most tutorials have it",
            policy(
                &json!({"StringEquals": {"G:aud": aud}, "StringLike": {"G:sub": ["repo:octo-org/web:*", "repo:octo-org/infra:*"]}}),
            ),
        ),
        (
            "the same for the organisation",
            policy(&json!({"StringEquals": {"G:aud": aud}, "StringLike": {"G:sub": "repo:octo-org/*"}})),
        ),
        (
            "`StringLike` without `aud`",
            policy(&json!({"StringLike": {"G:sub": ["repo:octo-org/web:*", "repo:octo-org/infra:*"]}})),
        ),
        (
            "`ForAllValues:StringLike`, as a widely used Terraform module has it",
            policy(
                &json!({"ForAllValues:StringEquals": {"G:aud": aud}, "ForAllValues:StringLike": {"G:sub": ["repo:octo-org/web:*", "repo:octo-org/infra:*"]}}),
            ),
        ),
        (
            "made fit for ids by a wildcard",
            policy(
                &json!({"StringEquals": {"G:aud": aud}, "StringLike": {"G:sub": ["repo:octo-org*/web*:ref:refs/heads/main", "repo:octo-org*/infra*:environment:production"]}}),
            ),
        ),
        (
            "exact, with names only",
            policy(
                &json!({"StringEquals": {"G:aud": aud, "G:sub": ["repo:octo-org/web:ref:refs/heads/main", "repo:octo-org/infra:environment:production"]}}),
            ),
        ),
    ]
}

fn ours() -> Value {
    let deployment = Deployment {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        role_path: "/".into(),
        role_boundary: None,
    };
    let properties = json!({"ProviderArn": PROVIDER, "Trust": trust()});
    let mut fields = Fields::of_request(properties.as_object().unwrap());
    let Spec { trust: declaration, .. } = GitHubRoles::parse(&mut fields, &deployment).unwrap();
    let compiled = declaration.entries.iter().flat_map(|entry| {
        let name = entry.scope.as_ref().unwrap().to_string();
        let (_, owner_id, id, form) = REPOSITORIES.into_iter().find(|(known, ..)| *known == name).unwrap();
        let facts = SubjectFacts {
            owner_id: Some(owner_id),
            repository_id: Some(id),
            forms: [form].into(),
            ..SubjectFacts::default()
        };
        compile(&declaration.issuer, entry, &facts).unwrap()
    });
    TrustPolicy::of(PROVIDER, &declaration.audience, compiled).document()
}

fn table() -> String {
    let tokens = tokens();
    let meant = tokens.iter().filter(|(meant, _)| *meant).count();
    let mut table =
        String::from("| written as | characters | admitted as meant | admitted wrongly |\n|---|---|---|---|\n");
    let mut rows = by_hand();
    rows.push(("**by this function**", ours()));
    for (name, policy) in rows {
        let size = policy.to_string().chars().filter(|c| !c.is_whitespace()).count();
        let admitted = |wanted: bool| {
            let admits = |token: &TokenClaims| evaluate(&policy, PROVIDER, token).0 == Verdict::Admitted;
            tokens.iter().filter(|(meant, token)| *meant == wanted && admits(token)).count()
        };
        let (right, wrong) = (admitted(true), admitted(false));
        if name.contains("this function") {
            assert_eq!((right, wrong), (meant, 0));
        }
        let _ = writeln!(table, "| {name} | {size} | {right} of {meant} | {wrong} of {} |", tokens.len() - meant);
    }
    table
}

#[test]
fn the_table_in_the_documentation_is_what_the_policies_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/github-role.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (written, after) = rest.split_once(END).expect("the end of the table");
    let table = table();
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(written == table, "the table is not what the policies do: write it with WRITE_TABLE=1\n{table}");
}
