//! Forged events of a real resource under its real id, which CloudFormation is not changing: nothing is changed, and the
//! reason says so.

use std::time::Duration;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use crate::attempts::counted;
use crate::simulation::account::{Account, PARTITION, REGION};
use crate::simulation::cloud::Cloud;
use crate::simulation::cloudformation::{Declared, SERVICE_TOKEN, Status, declared};
use crate::simulation::eks;
use crate::simulation::function::{deliver, github_trust_with};
use crate::simulation::github::SECRET;
use crate::simulation::world::World;

/// The victim's resources, after their last update.
fn template(timeout: &str) -> Vec<Declared> {
    let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "SubjectFormat": "Both"}]);
    let mut all = vec![
        declared("Provider", "Custom::GitHubOidcProvider", json!({})),
        declared("Role", "Custom::GitHubRole", json!({"ProviderArn": {"Ref": "Provider"}, "Trust": trust})),
        declared(
            "Entry",
            "Custom::EksAccessEntry",
            json!({"ClusterName": "prod", "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]}}),
        ),
        declared(
            "Variable",
            "Custom::GitHubVariable",
            json!({"Repository": "acme/app", "Name": "AWS_ROLE_ARN", "Value": "mine"}),
        ),
        declared(
            "Environment",
            "Custom::GitHubEnvironment",
            json!({"Repository": "acme/app", "Name": "live", "Reviewers": [{"Type": "Team", "Id": 7}]}),
        ),
        declared(
            "Oidc",
            "Custom::GitHubRepositoryOidc",
            json!({"Repository": "acme/app", "UseImmutableSubject": true}),
        ),
    ];
    for resource in &mut all {
        resource.properties["ServiceTimeout"] = json!(timeout);
    }
    all
}

/// What an attacker would rather have of each resource. Every guardrail allows this.
fn wanted(logical: &str) -> Value {
    match logical {
        "Provider" => json!({"ClientIdList": ["sts.amazonaws.com", "vault"]}),
        "Role" => json!({"Trust": [{"Repository": "evil/app", "Branches": ["main"]}]}),
        "Entry" => json!({"AccessPolicies": [{
            "PolicyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "AccessScope": {"Type": "cluster"},
        }]}),
        "Variable" => json!({"Value": "evil"}),
        "Environment" => json!({"Reviewers": []}),
        _ => json!({"UseImmutableSubject": "false"}),
    }
}

fn settings() -> Settings {
    let guardrails = Guardrails::read(|name| match name {
        "WRITABLE_GITHUB_REPOSITORIES" => Some("team=acme/app".to_owned()),
        "ROLE_PATH" => Some("/".to_owned()),
        "ALLOWED_AUDIENCES" => Some("*".to_owned()),
        _ => None,
    });
    Settings { github_secret: Some(SECRET.to_owned()), guardrails, ..Settings::default() }
}

fn furnish(account: &mut Account, now: std::time::SystemTime) {
    account.eks.add_cluster("prod", "API", eks::Status::Active, now);
    account.github.secret = Some(json!({"token": "ghp_0123456789"}).to_string());
    account.github.classic.push("acme/app".to_owned());
}

/// Makes the victim's stack, and sends one forged event. Returns the fault that this met, if there is one.
async fn attacked(world: World, logical: &str, request: &str) -> Option<String> {
    let mut victim = world.stack("team");
    assert_eq!(victim.create(&template("600")).await, Status::CreateComplete, "{}", world.story());
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(victim.update(&template("900")).await, Status::UpdateComplete, "{}", world.story());
    tokio::time::sleep(Duration::from_mins(5)).await;
    let resource = victim.resource(logical).unwrap().clone();
    let mut properties = resource.properties.clone();
    for (name, value) in wanted(logical).as_object().unwrap() {
        properties[name] = value.clone();
    }
    properties["ServiceToken"] = json!(SERVICE_TOKEN);
    let (cloud, now) = (&world.cloud, world.cloud.now());
    let calls = cloud.call_count();
    let url = cloud.state().account.s3.presign(REGION, PARTITION, "forged", now, Duration::from_hours(2));
    let event = json!({
        "RequestType": request, "ResponseURL": url, "RequestId": "forged", "StackId": victim.id,
        "LogicalResourceId": logical, "PhysicalResourceId": resource.physical, "ResourceType": resource.kind,
        "ResourceProperties": properties, "OldResourceProperties": resource.properties,
    });
    deliver(cloud, world.settings.clone(), &event).await;
    let state = cloud.state();
    if let Some(call) = state.calls[calls..].iter().find(|call| call.changing) {
        return Some(format!("{request} {logical}: {call}"));
    }
    let answer: Value = serde_json::from_slice(&state.account.s3.uploads.last().unwrap().body).unwrap();
    let reason = format!(
        "CloudFormation does not wait for this request, but shows {logical} of stack team in UPDATE_COMPLETE. Nothing was \
         changed: CloudFormation did not send the event, or shows the state more than 10 s late. If a stack failed with this \
         reason, start its operation again"
    );
    let is_told = answer["Status"] == "FAILED" && answer["Reason"] == reason;
    (!is_told).then(|| format!("{request} {logical}: {answer}"))
}

#[test]
fn a_forged_event_of_any_resource_at_rest_changes_nothing() {
    let mut attacks = Vec::new();
    for resource in template("600") {
        attacks.extend(["Create", "Update", "Delete"].map(|request| (resource.logical.clone(), request)));
    }
    counted("invoker of the function", "forged events of resources at rest", attacks.len());
    let met = attacks.iter().filter_map(|(logical, request)| {
        // No invariant is checked: the first change would end the test, and tell of no other row.
        let function = |cloud: &Cloud| github_trust_with(cloud, settings());
        World::with(settings(), function, furnish, async |world| attacked(world, logical, request).await)
    });
    let met: Vec<String> = met.collect();
    assert!(met.is_empty(), "{} of {}:\n{}", met.len(), attacks.len(), met.join("\n"));
}
