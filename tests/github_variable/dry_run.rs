//! A plan of an object at GitHub is honest and harmless, as those of objects in AWS are
//! (`tests/simulation/dry_run.rs`, which says how many lives).

use std::rc::Rc;
use std::time::Duration;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::ownership::{Kind, kinds, make_by_hand, remove_by_hand};
use super::{ENVIRONMENT, KIND, Place, TOKEN, at, declared, minutes, template, variable, with};
use crate::simulation::account::Account;
use crate::simulation::asked_first::{Seen, asked_first, lifecycles};
use crate::simulation::cloudformation::{Status, Template};
use crate::simulation::function::deliver;
use crate::simulation::github::SECRET;
use crate::simulation::stack::Stack;
use crate::simulation::world::World;

/// The steps of one life.
const STEPS: usize = 10;

/// The same kind with other properties.
fn varied(kind: &Kind, chance: &mut fastrand::Rng) -> Kind {
    let mut properties = kind.properties.clone();
    match kind.name {
        "Custom::GitHubEnvironment" => {
            let branches = [json!(["main"]), json!(["main", "next"]), json!(["release/*"])];
            properties["DeploymentBranchPolicy"] = match chance.usize(0..4) {
                3 => json!({"ProtectedBranches": "true"}),
                branch => json!({"Branches": branches[branch]}),
            };
            if chance.bool() {
                properties["WaitTimer"] = json!(chance.u32(1..3).to_string());
            }
        }
        "Custom::GitHubRepositoryOidc" => {}
        _ => properties["Value"] = Value::from(["hunter1", "hunter2"][chance.usize(0..2)]),
    }
    Kind { properties, ..*kind }
}

/// A change of one stack.
fn changed(kind: &Kind, stack: &Stack, chance: &mut fastrand::Rng) -> Option<Template> {
    let known = stack.resources.first().map(|(logical_id, _)| logical_id.clone());
    let resource = |logical_id: &str, timeout: u32| {
        let mut properties = with(kind.properties.clone(), "ServiceTimeout", json!(timeout));
        if kind.can_adopt() {
            properties["OnExisting"] = json!("Adopt");
        }
        declared(logical_id, kind.name, properties)
    };
    match (known, chance.u32(0..5)) {
        (None, _) => Some(vec![resource("A", 3000)]),
        (Some(_), 0) => None,
        (Some(known), 1) => Some(vec![resource(if known == "A" { "B" } else { "A" }, 3000)]),
        // Two resources of one stack declare the object.
        (Some(_), 2) => Some(vec![resource("A", 3000), resource("B", 3000)]),
        (Some(known), _) => Some(vec![resource(&known, 3000 + chance.u32(1..500))]),
    }
}

/// Carries a change out.
async fn carry_out(stack: &mut Stack, template: Option<&Template>) -> Status {
    match template {
        None => stack.delete_stack().await,
        Some(template) if stack.resources.is_empty() => stack.create(template).await,
        Some(template) => stack.update(template).await,
    }
}

async fn live(place: &mut Place, kind: &Kind, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut stacks: Vec<Stack> = ["one", "two", "three"].map(|name| place.cloudformation.stack(name)).into();
    for _ in 0..STEPS {
        match chance.u32(0..10) {
            0 => remove_by_hand(place),
            1 => make_by_hand(place).await,
            _ => {
                let kind = if chance.bool() {
                    varied(kind, &mut chance)
                } else {
                    Kind { properties: kind.properties.clone(), ..*kind }
                };
                let stack = &mut stacks[chance.usize(0..3)];
                let mut template = changed(&kind, stack, &mut chance);
                if chance.u32(0..10) < 4 {
                    let resources = template.iter_mut().flatten();
                    resources.for_each(|one| drop(one.properties.as_object_mut().unwrap().remove("OnExisting")));
                }
                carry_out(stack, template.as_ref()).await;
                place.cloudformation.lambda.settle().await;
            }
        }
        minutes(chance.u64(1..90)).await;
    }
}

#[test]
fn a_plan_of_an_object_at_github_says_what_the_request_then_does() {
    let seen = Rc::new(Seen::default());
    let lives = lifecycles();
    let settings =
        Settings { github_secret: Some(SECRET.to_owned()), guardrails: Guardrails::none(), ..Settings::default() };
    for seed in 1..=lives {
        let kind = &kinds()[usize::try_from(seed % 4).expect("few")];
        let furnish = |account: &mut Account, now| {
            account.github.secret = Some(json!({"token": TOKEN}).to_string());
            account.github.settings.reviewed_environment(ENVIRONMENT, now);
            account.github.classic.push("acme/app".to_owned());
        };
        let function = |cloud: &_| asked_first(cloud, settings.clone(), &seen);
        World::with(settings.clone(), function, furnish, async |world| {
            seen.log.replace(world.log.clone());
            let stack = world.stack("none");
            let mut place = Place { world, stack };
            live(&mut place, kind, seed).await;
            let log = place.log.text();
            assert!(
                ![TOKEN, "hunter"].iter().any(|secret| log.contains(secret)) || kind.properties["Secret"] != true,
                "{log}"
            );
        });
        seen.check(&format!("{}, seed {seed}", kind.name));
    }
    println!("{}", seen.report(&format!("{lives} lives")));
}

#[test]
fn a_plan_of_a_deletion_keeps_to_the_guardrails_of_today() {
    at(async |place| {
        assert_eq!(place.create(variable("v")).await, Status::CreateComplete, "{}", place.reason());
        let question = json!({"Plan": {"RequestType": "Delete", "ResourceType": KIND, "ResourceProperties": variable("v"),
            "StackId": place.stack.id, "LogicalResourceId": "Variable", "PhysicalResourceId": place.physical()}});
        for writable in ["acme/app", "acme/other"] {
            let variable = |name: &str| (name == "WRITABLE_GITHUB_REPOSITORIES").then(|| writable.to_owned());
            let settings = Settings { guardrails: Guardrails::read(variable), ..place.settings.clone() };
            let answer = deliver(&place.cloud, settings, &question).await;
            let resource = &answer["Resources"][0];
            let is_forbidden = resource["Refusals"].to_string().contains("WritableGitHubRepositories");
            assert_eq!(is_forbidden, writable == "acme/other", "{answer:#}");
            let leaves = "record that eu-west-1/team/Variable leaves";
            let actions = [leaves, "delete the variable", "remove the record of an owner"];
            let expected = if is_forbidden { json!([]) } else { json!(actions) };
            assert_eq!(resource["Actions"], expected, "{answer:#}");
        }
    });
}

#[test]
fn a_plan_tells_that_another_owner_is_leaving_at_this_moment() {
    at(async |place| {
        let mut other = place.cloudformation.stack("other");
        assert_eq!(place.create(variable("v")).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(other.create(&template(variable("v"))).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        let question = json!({"Plan": {"ResourceType": KIND, "ResourceProperties": variable("v"),
            "StackId": place.cloudformation.stack("third").id, "LogicalResourceId": "It"}});
        let asked = async {
            let mut told = Vec::new();
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let answer = deliver(&place.cloud, place.settings.clone(), &question).await;
                told.push(answer["Resources"][0]["NotKnownYet"].to_string());
            }
            told
        };
        let (left, told) = tokio::join!(other.delete_stack(), asked);
        assert_eq!(left, Status::DeleteComplete);
        assert!(told.iter().any(|one| one.contains("another process is leaving")), "{told:?}");
        assert_eq!(told.last().unwrap(), "[]");
    });
}
