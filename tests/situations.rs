//! Situations from the field: objects that somebody made by hand, tags and quotas at their limits, and words of other tools.

mod adoption;
mod quotas;
mod readings;
mod words;

use serde_json::{Value, json};

use crate::guardrails::{Place, ROLE};
use crate::simulation::author::Author;
use crate::simulation::iam::Role;
use crate::simulation::invariants::lock;

/// Makes a role by hand.
fn make_role(place: &Place, name: &str, trust: &Value) {
    let input = json!({"RoleName": name, "Path": "/", "AssumeRolePolicyDocument": trust.to_string(),
        "Description": "by hand", "MaxSessionDuration": 7200, "Tags": [{"Key": "Team", "Value": "a"}]});
    by_hand(place, "CreateRole", &input);
}

fn by_hand(place: &Place, action: &str, input: &Value) {
    place.cloud.change_now(|account, now| {
        account.iam.handle(action, input, &Author::Someone, now).unwrap();
    });
}

fn attach(place: &Place, name: &str, policy: &str) {
    by_hand(place, "AttachRolePolicy", &json!({"RoleName": name, "PolicyArn": aws(policy)}));
}

fn put(place: &Place, name: &str, policy: &str, document: &Value) {
    let input = json!({"RoleName": name, "PolicyName": policy, "PolicyDocument": document.to_string()});
    by_hand(place, "PutRolePolicy", &input);
}

fn aws(policy: &str) -> String {
    format!("arn:aws:iam::aws:policy/{policy}")
}

/// A policy of about this many characters.
fn policy(action: &str, size: usize) -> Value {
    json!({"Statement": [{"Effect": "Allow", "Action": action, "Resource": format!("arn:aws:s3:::{}", "x".repeat(size))}]})
}

fn role_named(place: &Place, name: &str) -> Role {
    let state = place.cloud.state();
    let found = state.account.iam.roles.all().find(|(_, role)| role.name == name);
    found.map(|(_, role)| Role::clone(role)).expect("the role")
}

/// Creates or updates a role and returns the reason of a failure.
async fn declare(place: &mut Place, request: &str, properties: Value, id: Option<&str>) -> Result<(), String> {
    outcome(&place.request(request, ROLE, properties, id).await)
}

fn outcome(answer: &Value) -> Result<(), String> {
    if answer["Status"] == "SUCCESS" { Ok(()) } else { Err(answer["Reason"].as_str().unwrap_or_default().to_owned()) }
}

/// The invariants know no adoption: to them a role that somebody made by hand is touched by somebody else.
fn forget_violations(place: &Place) {
    lock(&place.world.ledger).violations.clear();
}
