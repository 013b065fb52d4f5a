//! Events that CloudFormation did not send, or for which it no longer waits: nothing is changed.

mod at_rest;
mod dead_urls;
mod former_objects;
mod late_states;

use std::time::Duration;

use github_trust::settings::Settings;
use serde_json::{Value, json};

use crate::attempts::counted;
use crate::simulation::account::{ACCOUNT, PARTITION, REGION};
use crate::simulation::cloud::Cloud;
use crate::simulation::cloudformation::{Declared, SERVICE_TOKEN, Status, declared};
use crate::simulation::function::github_trust;
use crate::simulation::stack::Stack;
use crate::simulation::world::{World, world};

const PROVIDER: &str = "Custom::GitHubOidcProvider";
const ROLE: &str = "Custom::GitHubRole";

fn template() -> Vec<Declared> {
    let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
    vec![
        declared("Provider", PROVIDER, json!({})),
        declared("Role", ROLE, json!({"ProviderArn": {"Ref": "Provider"}, "Trust": trust})),
    ]
}

struct Attack<'a> {
    name: &'static str,
    request: &'static str,
    kind: &'static str,
    stack: &'a str,
    logical: &'static str,
    physical: &'a str,
}

/// The properties that let the attacker in.
fn properties() -> Value {
    let provider = format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com");
    json!({
        "ServiceToken": SERVICE_TOKEN,
        "ProviderArn": provider,
        "Trust": [{"Repository": "evil/app", "Branches": ["main"]}],
    })
}

/// Invokes the function with an event of the attacker's. Returns the answers, and whether anything was changed.
async fn invoke(cloud: &Cloud, attack: &Attack<'_>) -> (Vec<Value>, bool) {
    let now = cloud.now();
    let (before, calls) = (cloud.snapshot(), cloud.call_count());
    let uploads = cloud.state().account.s3.uploads.len();
    // The URL is of the stack's own region, so that the StackId alone is left to refuse.
    let mut parts = attack.stack.split(':').skip(1);
    let (partition, region) = (parts.next().unwrap_or(PARTITION), parts.nth(1).unwrap_or(REGION));
    let url = cloud.state().account.s3.presign(region, partition, attack.name, now, Duration::from_hours(2));
    let event = json!({
        "RequestType": attack.request, "ResponseURL": url, "RequestId": attack.name, "StackId": attack.stack,
        "LogicalResourceId": attack.logical, "PhysicalResourceId": attack.physical, "ResourceType": attack.kind,
        "ResourceProperties": properties(), "OldResourceProperties": properties(),
    });
    github_trust(cloud)(cloud, event.to_string(), now + Duration::from_mins(15)).await.unwrap();
    let state = cloud.state();
    let changed = state.calls[calls..].iter().any(|call| call.changing) || state.account.snapshot() != before;
    let answers =
        state.account.s3.uploads[uploads..].iter().map(|upload| serde_json::from_slice(&upload.body).unwrap());
    (answers.collect(), changed)
}

/// An account that the deployment does not serve.
const OTHER: &str = "999988887777";

fn attacks<'a>(victim: &'a Stack, others: &'a [String]) -> Vec<Attack<'a>> {
    let role = &*victim.resource("Role").unwrap().physical;
    let attack =
        |name, request, kind, logical, physical| Attack { name, request, kind, stack: &victim.id, logical, physical };
    let environment = "github.com/repos/acme/app/environments/production";
    let mut attacks = vec![
        attack("opens the trust of a role", "Update", ROLE, "Role", role),
        attack("deletes a role", "Delete", ROLE, "Role", role),
        attack("deletes a provider", "Delete", PROVIDER, "Provider", &victim.resource("Provider").unwrap().physical),
        attack("creates a role again", "Create", ROLE, "Role", role),
        attack("creates another role", "Create", ROLE, "Other", role),
        attack("deletes an old role", "Delete", ROLE, "Role", "team-Role-before"),
        attack("deletes another team's environment", "Delete", "Custom::GitHubEnvironment", "Production", environment),
        attack("takes a role for an entry", "Update", "Custom::EksAccessEntry", "Role", role),
        attack(
            "switches the form of subjects",
            "Delete",
            "Custom::GitHubRepositoryOidc",
            "Role",
            "github.com/repos/acme/app/oidc",
        ),
        attack("changes the role under another id", "Update", ROLE, "Role", "OrganizationAccountAccessRole"),
        attack("changes the role as a provider", "Update", PROVIDER, "Role", role),
        attack("changes a resource that is not there", "Update", ROLE, "Other", role),
        attack("deletes a resource that is not there", "Delete", ROLE, "Other", role),
        attack(
            "deletes a variable",
            "Delete",
            "Custom::GitHubVariable",
            "Role",
            "github.com/repos/acme/app/actions/variables/A",
        ),
        attack("makes an entry", "Create", "Custom::EksAccessEntry", "Role", role),
        attack("has a type of its own", "Update", "Custom::Other", "Role", role),
    ];
    for stack in others {
        for request in ["Create", "Update", "Delete"] {
            attacks.push(Attack {
                name: "names another stack",
                request,
                kind: ROLE,
                stack,
                logical: "Role",
                physical: role,
            });
        }
    }
    attacks
}

fn tell(story: impl AsyncFnOnce(World)) {
    world(Settings::default(), |_, _| {}, story);
}

#[test]
fn an_event_that_cloudformation_did_not_send_changes_nothing() {
    tell(async |world| {
        let mut victim = world.stack("team");
        let cloud = world.cloud;
        let created = victim.create(&template()).await;
        assert_eq!(created, Status::CreateComplete, "{}", cloud.story());
        // Known to CloudFormation, without that resource: at rest, and while it changes.
        let [unknown, changing] =
            ["other", "mine"].map(|name| format!("arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/1"));
        for stack in [&unknown, &changing] {
            cloud.state().account.stacks.set_driven(stack);
        }
        cloud.state().account.stacks.set_status(&changing, "UPDATE_IN_PROGRESS");
        let region = unknown.replace(REGION, "eu-central-1");
        let partition = unknown.replace("arn:aws:", "arn:aws-us-gov:");
        let account = unknown.replace(ACCOUNT, OTHER);
        let others = [unknown, changing, region.clone(), partition.clone(), account.clone()];
        let attacks = attacks(&victim, &others);
        counted("invoker of the function", "forged events", attacks.len());
        for attack in attacks {
            // Later than what CloudFormation shows.
            tokio::time::sleep(Duration::from_mins(1)).await;
            let (answers, changed) = invoke(&cloud, &attack).await;
            let Attack { name, request, stack, .. } = attack;
            assert!(!changed, "{request} {name} {stack}: {}", cloud.story());
            // What another account's stack deletes is its own, and there is none: no guardrail keeps it from ending.
            let ends = request == "Delete" && stack == account;
            assert!(
                answers.iter().all(|answer| (answer["Status"] == "SUCCESS") == ends),
                "{request} {name} {stack}: {answers:?}"
            );
            assert!(![&region, &partition].contains(&&stack.to_owned()) || answers.is_empty(), "{name}: {answers:?}");
        }
    });
}

#[test]
fn an_event_that_comes_again_after_its_stack_is_gone_is_ignored() {
    tell(async |world| {
        let mut stack = world.stack("team");
        assert_eq!(stack.create(&template()).await, Status::CreateComplete, "{}", world.story());
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        let events = world.cloudformation.events();
        let cloud = world.cloud;
        let uploads = cloud.state().account.s3.uploads.len();
        for event in events {
            tokio::time::sleep(Duration::from_mins(1)).await;
            let deadline = cloud.now() + Duration::from_mins(15);
            github_trust(&cloud)(&cloud, event.clone(), deadline).await.unwrap();
            assert!(cloud.snapshot().objects.is_empty(), "{event}");
        }
        assert_eq!(cloud.state().account.s3.uploads.len(), uploads, "nobody waits for an answer");
    });
}
