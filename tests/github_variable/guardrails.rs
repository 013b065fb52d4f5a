//! What stacks may not do at GitHub: each test performs an attack, by a stack or by a forged event, and nothing is changed.

use std::time::Duration;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::{Place, guarded, minutes, variable, with};
use crate::simulation::account::{ACCOUNT, PARTITION, REGION};
use crate::simulation::cloudformation::{SERVICE_TOKEN, Status, declared};
use crate::simulation::function::deliver;
use crate::simulation::github::SECRET;

const ENVIRONMENT: &str = "Custom::GitHubEnvironment";
const OIDC: &str = "Custom::GitHubRepositoryOidc";
const PRODUCTION: &str = "/repos/acme/app/environments/production";
const ROLE_ARN: &str = "/repos/acme/app/actions/variables/AWS_ROLE_ARN";

fn guardrails(variables: &[(&str, &str)]) -> Guardrails {
    Guardrails::read(|name| variables.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned()))
}

/// Somebody's environment, which only protected branches deploy to.
async fn production(place: &Place) -> Value {
    let now = place.cloud.now();
    place.github(|github| github.environment(PRODUCTION, true, now));
    minutes(5).await;
    set(place)
}

fn set(place: &Place) -> Value {
    place.github(|github| github.environments[PRODUCTION].set.clone())
}

fn stripped() -> Value {
    json!({
        "Repository": "acme/app", "Name": "production", "OnExisting": "Adopt",
        "DeploymentBranchPolicy": {"ProtectedBranches": "false"}, "Reviewers": [{"Type": "User", "Id": "666"}],
    })
}

#[test]
fn a_stack_cannot_strip_an_environment_of_another_team() {
    for (variables, guardrail) in [
        (vec![], "WritableGitHubRepositories"),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme/other")], "WritableGitHubRepositories"),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "platform-*=acme/app")], "WritableGitHubRepositories"),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme/app")], "AllowGitHubAdoption"),
    ] {
        guarded(guardrails(&variables), async |place| {
            let before = production(place).await;
            let template = vec![declared("Environment", ENVIRONMENT, stripped())];
            assert_eq!(place.stack.create(&template).await, Status::RollbackComplete, "{variables:?}");
            assert!(place.reason().contains(&format!("(guardrail `{guardrail}`)")), "{}", place.reason());
            assert_eq!((set(place), place.changes()), (before, 0));
        });
    }
}

#[test]
fn a_stack_cannot_redirect_a_variable_of_another_team() {
    let redirected = with(variable("mine"), "OnExisting", json!("Adopt"));
    for (variables, guardrail) in [
        (vec![], "WritableGitHubRepositories"),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme")], "WritableGitHubRepositories"),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "ghe.example.com/acme/app")], "WritableGitHubRepositories"),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "999988887777/team=acme/app")], "WritableGitHubRepositories"),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme/*")], "AllowGitHubAdoption"),
    ] {
        guarded(guardrails(&variables), async |place| {
            place.by_hand(ROLE_ARN, "theirs").await;
            assert_eq!(place.create(redirected.clone()).await, Status::RollbackComplete, "{variables:?}");
            assert!(place.reason().contains(&format!("(guardrail `{guardrail}`)")), "{}", place.reason());
            assert_eq!(place.value(ROLE_ARN).as_deref(), Some("theirs"));
        });
    }
}

#[test]
fn a_stack_cannot_set_a_variable_of_a_whole_organisation() {
    let everywhere = json!({"Organization": "acme", "Visibility": "all", "Name": "REGION", "Value": "mine"});
    for writable in ["", "acme/*", "acme/app", "platform=acme", "*/*"] {
        guarded(guardrails(&[("WRITABLE_GITHUB_REPOSITORIES", writable)]), async |place| {
            assert_eq!(place.create(everywhere.clone()).await, Status::RollbackComplete, "{writable}");
            assert!(place.reason().contains("`Organization`: "), "{}", place.reason());
            assert_eq!(place.changes(), 0);
        });
    }
    guarded(guardrails(&[("WRITABLE_GITHUB_REPOSITORIES", "acme")]), async |place| {
        assert_eq!(place.create(everywhere.clone()).await, Status::CreateComplete, "{}", place.reason());
    });
}

#[test]
fn a_stack_cannot_switch_the_subjects_of_another_team() {
    let switch = json!({"Repository": "acme/app", "UseImmutableSubject": true});
    for writable in ["", "acme/other", "acme", "another=acme/app"] {
        guarded(guardrails(&[("WRITABLE_GITHUB_REPOSITORIES", writable)]), async |place| {
            place.cloud.state().account.github.classic.push("acme/app".to_owned());
            let template = vec![declared("Oidc", OIDC, switch.clone())];
            assert_eq!(place.stack.create(&template).await, Status::RollbackComplete, "{writable}");
            assert!(place.reason().contains("(guardrail `WritableGitHubRepositories`)"), "{}", place.reason());
            assert!(place.cloud.state().account.github.opted_in.is_empty());
        });
    }
}

/// The switch of an organisation changes the tokens of every repository.
#[test]
fn only_who_writes_to_every_repository_switches_an_organisation() {
    let switch = json!({"Organization": "acme", "UseImmutableSubject": true});
    for (writable, is_allowed) in
        [("acme", false), ("acme/app", false), ("acme/?", false), ("another=acme/*", false), ("acme/*", true)]
    {
        guarded(guardrails(&[("WRITABLE_GITHUB_REPOSITORIES", writable)]), async |place| {
            let status = place.stack.create(&vec![declared("Oidc", OIDC, switch.clone())]).await;
            assert_eq!(status == Status::CreateComplete, is_allowed, "{writable}: {}", place.reason());
            assert_eq!(place.cloud.state().account.github.opted_in.len(), usize::from(is_allowed), "{writable}");
            assert!(is_allowed || place.reason().contains("`Organization`: the stack team"), "{}", place.reason());
        });
    }
}

#[test]
fn a_stack_writes_to_the_repositories_that_are_its_own() {
    let own = format!("{ACCOUNT}/te*m=acme/app");
    for writable in ["acme/app", "ACME/APP", "*/*", "github.com/acme/a*", "team=acme/*", own.as_str()] {
        guarded(guardrails(&[("WRITABLE_GITHUB_REPOSITORIES", writable)]), async |place| {
            assert_eq!(place.create(variable("v")).await, Status::CreateComplete, "{writable}: {}", place.reason());
            assert_eq!(place.delete().await, Status::DeleteComplete);
            assert_eq!(place.value(ROLE_ARN), None, "{writable}");
        });
    }
}

#[test]
fn a_host_whose_issuer_is_not_allowed_is_not_written_to() {
    let elsewhere = with(variable("v"), "Host", json!("ghe.example.com"));
    for issuers in [None, Some("token.actions.octo.ghe.com")] {
        let mut variables = vec![("WRITABLE_GITHUB_REPOSITORIES", "ghe.example.com/acme/app")];
        variables.extend(issuers.map(|issuers| ("ALLOWED_ISSUERS", issuers)));
        guarded(guardrails(&variables), async |place| {
            assert_eq!(place.create(elsewhere.clone()).await, Status::RollbackComplete);
            assert!(place.reason().contains("`Host`: ") && place.reason().contains("`AllowedIssuers`"));
        });
    }
    // An enterprise's own issuer stands for github.com.
    let enterprise = [
        ("WRITABLE_GITHUB_REPOSITORIES", "acme/app"),
        ("ALLOWED_ISSUERS", "token.actions.githubusercontent.com/acme-inc"),
    ];
    guarded(guardrails(&enterprise), async |place| {
        assert_eq!(place.create(variable("v")).await, Status::CreateComplete, "{}", place.reason());
    });
}

/// Sends a Delete that CloudFormation never sent. Returns the answer.
async fn forged(place: &Place, variables: &[(&str, &str)], account: &str, kind: &str, id: &str) -> Value {
    let stack = format!("arn:{PARTITION}:cloudformation:{REGION}:{account}:stack/team/1");
    let properties = json!({"ServiceToken": SERVICE_TOKEN});
    sent(place, variables, &stack, json!({"RequestType": "Delete", "ResourceType": kind}), properties, id).await
}

/// Sends an event of an invoker's. Returns the answer.
async fn sent(
    place: &Place,
    variables: &[(&str, &str)],
    stack: &str,
    mut event: Value,
    properties: Value,
    id: &str,
) -> Value {
    let now = place.cloud.now();
    let url = place.cloud.state().account.s3.presign(REGION, PARTITION, "forged", now, Duration::from_hours(2));
    event["ResponseURL"] = json!(url);
    event["RequestId"] = json!("forged");
    if event["LogicalResourceId"].is_null() {
        event["LogicalResourceId"] = json!("It");
    }
    event["StackId"] = json!(stack);
    event["PhysicalResourceId"] = json!(id);
    event["OldResourceProperties"] = properties.clone();
    event["ResourceProperties"] = properties;
    let guardrails = guardrails(variables);
    let settings = Settings { github_secret: Some(SECRET.to_owned()), guardrails, ..Settings::default() };
    deliver(&place.cloud, settings, &event).await;
    let state = place.cloud.state();
    serde_json::from_slice(&state.account.s3.uploads.last().expect("an answer").body).unwrap()
}

#[test]
fn a_forged_deletion_leaves_an_environment_and_answers() {
    const OTHER: &str = "999988887777";
    for (variables, account) in [
        (vec![], ACCOUNT),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme/other")], ACCOUNT),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme/app"), ("ALLOWED_GITHUB_OWNERS", "octo-org")], ACCOUNT),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme/app")], OTHER),
        (vec![("WRITABLE_GITHUB_REPOSITORIES", "acme/app"), ("ALLOWED_ISSUERS", "*.ghe.com")], ACCOUNT),
    ] {
        guarded(guardrails(&variables), async |place| {
            let before = production(place).await;
            let id = "github.com/repos/acme/app/environments/production";
            let answer = forged(place, &variables, account, ENVIRONMENT, id).await;
            assert_eq!(answer["Status"], "SUCCESS", "{answer}");
            assert_eq!((set(place), place.changes()), (before, 0), "{variables:?} {account}");
            assert!(place.log.text().contains("the guardrails of today forbid to change it"), "{}", place.log.text());
        });
    }
}

#[test]
fn stricter_guardrails_leave_what_a_stack_made_and_let_it_end() {
    for (kind, properties) in [
        (super::KIND, variable("v")),
        (ENVIRONMENT, json!({"Repository": "acme/app", "Name": "live"})),
        (OIDC, json!({"Repository": "acme/app", "UseImmutableSubject": true})),
    ] {
        guarded(guardrails(&[("WRITABLE_GITHUB_REPOSITORIES", "acme/app")]), async |place| {
            place.cloud.state().account.github.classic.push("acme/app".to_owned());
            let template = vec![declared("It", kind, properties.clone())];
            assert_eq!(place.stack.create(&template).await, Status::CreateComplete, "{}", place.reason());
            let made = || (place.changes(), place.cloud.state().account.github.opted_in.clone());
            let before = made();
            assert_ne!(before, (0, Vec::new()), "{kind}");
            let (id, stack) = (place.stack.resource("It").unwrap().physical.clone(), place.stack.id.clone());
            let now = place.cloud.now();
            place.cloud.state().account.stacks.begin((&stack, "It"), kind, &id, "Delete", now);
            let event = json!({"RequestType": "Delete", "ResourceType": kind, "LogicalResourceId": "It"});
            let answer = sent(place, &[], &stack, event, properties.clone(), &id).await;
            assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(id)));
            assert_eq!(made(), before, "{kind}");
        });
    }
}

#[test]
fn an_id_that_no_stack_has_had_is_refused_while_the_stack_changes() {
    let writable = [("WRITABLE_GITHUB_REPOSITORIES", "acme/app")];
    for request in ["Delete", "Update"] {
        guarded(guardrails(&writable), async |place| {
            let before = production(place).await;
            let id = "github.com/repos/acme/app/environments/production";
            // The invoker's own stack, which CloudFormation is changing. Its resource is another environment.
            let stack = place.stack.id.clone();
            {
                let (now, mut state) = (place.cloud.now(), place.cloud.state());
                state.account.stacks.set_driven(&stack);
                state.account.stacks.set_status(&stack, "UPDATE_IN_PROGRESS");
                let other = "github.com/repos/acme/app/environments/mine";
                state.account.stacks.begin((&stack, "It"), ENVIRONMENT, other, "Update", now);
            }
            let mut properties = stripped();
            properties.as_object_mut().unwrap().remove("OnExisting");
            properties["ServiceToken"] = json!(SERVICE_TOKEN);
            let event = json!({"RequestType": request, "ResourceType": ENVIRONMENT});
            let answer = sent(place, &writable, &stack, event, properties, id).await;
            assert_eq!(answer["Status"], "FAILED", "{request}: {answer}");
            let reason = answer["Reason"].as_str().unwrap();
            // Without a claim it is somebody else's, before CloudFormation is asked.
            let refusals = ["no event of stack team in which It is github.com/", "is not owned by this resource"];
            assert!(refusals.iter().any(|refusal| reason.contains(refusal)), "{reason}");
            assert_eq!((set(place), place.changes()), (before, 0), "{request}");
        });
    }
}
