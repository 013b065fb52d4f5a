//! Mistakes in a template: each is answered with the property, the value and the remedy, and nothing is made.

use std::fmt::Write as _;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use crate::simulation::account::{ACCOUNT, Account};
use crate::simulation::eks::Status;
use crate::simulation::expected_state::{ENTRY, PROVIDER, ROLE};
use crate::simulation::world::{Request, world};

const ISSUER: &str = "token.actions.githubusercontent.com";
const VIEW: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

/// Properties without a mistake.
fn plain(kind: &str) -> Value {
    match kind {
        PROVIDER => json!({"Url": "https://bad-input.example/_services/token"}),
        ROLE => json!({
            "ProviderArn": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"),
            "Trust": [{"Repository": "acme/app", "Branches": ["main"]}],
        }),
        _ => json!({"ClusterName": "prod", "PrincipalArn": format!("arn:aws:iam::{ACCOUNT}:role/bad-input")}),
    }
}

/// A statement of trust with a mistake.
fn trust(changes: Value) -> Value {
    json!({"Trust": [with(json!({"Repository": "acme/app", "Branches": ["main"]}), changes)]})
}

fn scope(scope: &Value) -> Value {
    json!({"AccessPolicies": [{"PolicyArn": VIEW, "AccessScope": scope}]})
}

/// Lays changes over properties; null takes one away.
fn with(mut properties: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are members: {changes}") };
    for (name, value) in changes {
        match value {
            Value::Null => drop(properties.as_object_mut().unwrap().remove(&name)),
            value => properties[name] = value,
        }
    }
    properties
}

/// Each mistake by a title, the type, and the properties that differ from the plain ones.
fn mistakes() -> Vec<(&'static str, &'static str, Value)> {
    let mut mistakes = in_roles();
    mistakes.extend(in_providers());
    mistakes.extend(in_entries());
    mistakes
}

fn in_roles() -> Vec<(&'static str, &'static str, Value)> {
    [
        ("no provider", json!({"ProviderArn": null})),
        ("no trust", json!({"Trust": null})),
        ("a provider that is none", json!({"ProviderArn": "github"})),
        ("trust without a repository", json!({"Trust": [{"Branches": ["main"]}]})),
        ("trust in nothing of a repository", json!({"Trust": [{"Repository": "acme/app"}]})),
        ("an empty trust", json!({"Trust": []})),
        ("text for trust", json!({"Trust": "acme/app"})),
        ("a misspelt property within a list", json!({"Trust": [{"Repositry": "acme/app", "Branches": ["main"]}]})),
        ("a misspelt property", json!({"MaxSessionDuraton": 3600})),
        ("a map for a text", json!({"Description": {"a": "b"}})),
        ("a word for a number", json!({"MaxSessionDuration": "an hour"})),
        ("too short a session", json!({"MaxSessionDuration": 900})),
        ("too long a session", json!({"MaxSessionDuration": "43201"})),
        ("a word for true or false", trust(json!({"PullRequests": "maybe"}))),
        ("a repository without owner", trust(json!({"Repository": "app"}))),
        ("a repository with a wildcard", trust(json!({"Repository": "acme/a*"}))),
        ("a whole organisation", trust(json!({"Repository": "acme/*"}))),
        ("every branch", trust(json!({"AnyRef": true}))),
        ("a subject of anybody", trust(json!({"Subjects": ["*:environment:prod"]}))),
        ("a short ref of a workflow", trust(json!({"Workflows": ["a/b/.github/workflows/c.yml@main"]}))),
        ("an adoption of nobody", json!({"OnExisting": "Adopt"})),
        ("a tag of ours", json!({"Tags": [{"Key": "github-trust:stack-id", "Value": "x"}]})),
    ]
    .into_iter()
    .map(|(title, changes)| (title, ROLE, changes))
    .collect()
}

fn in_providers() -> Vec<(&'static str, &'static str, Value)> {
    [
        ("a misspelt property", json!({"ThumbprintsList": ["a".repeat(40)]})),
        ("a map for a list of texts", json!({"ClientIdList": {"a": "b"}})),
        ("six thumbprints", json!({"ThumbprintList": ["a".repeat(40), "b".repeat(40), "c".repeat(40), "d".repeat(40), "e".repeat(40), "f".repeat(40)]})),
        ("no thumbprints", json!({"ThumbprintList": []})),
        ("a thumbprint that is none", json!({"ThumbprintList": ["abc"]})),
        ("an issuer with a port", json!({"Url": "https://ghe.example:8443/_services/token"})),
        ("an issuer with a query", json!({"Url": format!("https://{ISSUER}?a=b")})),
        ("an issuer without tls", json!({"Url": format!("http://{ISSUER}")})),
        ("an issuer of somebody else", json!({"Url": "https://accounts.google.com"})),
        ("a tag of aws", json!({"Tags": [{"Key": "aws:x", "Value": "x"}]})),
    ]
    .into_iter()
    .map(|(title, changes)| (title, PROVIDER, changes))
    .collect()
}

fn in_entries() -> Vec<(&'static str, &'static str, Value)> {
    [
        ("no cluster", json!({"ClusterName": null})),
        ("no principal", json!({"PrincipalArn": null})),
        ("a policy without a scope", json!({"AccessPolicies": [{"PolicyArn": VIEW}]})),
        ("a misspelt property", json!({"KubernetesGroup": ["a"]})),
        ("an unknown type", json!({"Type": "EC2_MAC"})),
        ("a cluster that does not exist", json!({"ClusterName": "no-such-cluster"})),
        ("a reserved username", json!({"Username": "system:admin"})),
        ("a reserved group", json!({"KubernetesGroups": ["system:masters"]})),
        ("namespaces for a whole cluster", scope(&json!({"Type": "cluster", "Namespaces": ["a"]}))),
        ("an unknown scope", scope(&json!({"Type": "node"}))),
        ("groups for a node", json!({"Type": "EC2_LINUX", "KubernetesGroups": ["a"]})),
    ]
    .into_iter()
    .map(|(title, changes)| (title, ENTRY, changes))
    .collect()
}

/// As a deployment has them that says nothing of broad trust, and permits the rest of what is asked for here.
fn guardrails() -> Guardrails {
    let set = [("ROLE_PATH", "/"), ("ALLOWED_ISSUERS", "*"), ("ALLOW_ROLE_ADOPTION", "true")];
    Guardrails::read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned()))
}

#[test]
fn each_mistake_is_told_and_nothing_is_made() {
    let furnish = |account: &mut Account, now| {
        account.eks.add_cluster("prod", "API", Status::Active, now);
        account.iam.settings.principals_are_checked = false;
    };
    let settings = Settings { guardrails: guardrails(), ..Settings::default() };
    let told = world(settings, furnish, async |mut world| {
        let mut told = String::new();
        for (title, kind, changes) in mistakes() {
            let properties = with(plain(kind), changes);
            let request =
                Request { request: "Create", kind, account: ACCOUNT, logical: "It", physical: None, properties };
            let answer = world.request(request).await;
            assert_eq!(answer["Status"], "FAILED", "{title}");
            // An id that can name no object.
            assert!(answer["PhysicalResourceId"].as_str().unwrap().starts_with("never-created/"), "{title}");
            writeln!(told, "{kind}, {title}\n  {}", answer["Reason"].as_str().unwrap()).unwrap();
        }
        assert!(!world.calls().iter().any(|call| call.changed && call.service != "s3"), "{}", world.story());
        told
    });
    insta::assert_snapshot!(told);
}
