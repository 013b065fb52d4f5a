//! Declarations that are refused by themselves, and whose answer nobody takes: CloudFormation decides how long that is tried.

use std::time::Duration;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::json;

use super::late_states::{pause, template};
use super::{ROLE, tell};
use crate::simulation::account::{PARTITION, REGION};
use crate::simulation::cloudformation::{Status, declared};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::function::deliver;
use crate::simulation::world::world;

#[test]
fn a_forged_event_that_is_refused_by_itself_ends_within_a_minute() {
    tell(async |world| {
        let mut stack = world.stack("team");
        assert_eq!(stack.create(&template("one", "acme/app")).await, Status::CreateComplete, "{}", world.story());
        pause().await;
        world.fault(At::every("PutObject"), When::Before, Fault::ServerError);
        let (cloud, now) = (&world.cloud, world.cloud.now());
        let url = cloud.state().account.s3.presign(REGION, PARTITION, "forged", now, Duration::from_hours(2));
        let event = json!({
            "RequestType": "Update", "ResponseURL": url, "RequestId": "forged", "StackId": stack.id,
            "LogicalResourceId": "Role", "PhysicalResourceId": "one", "ResourceType": ROLE,
            "ResourceProperties": {"Trusst": []}, "OldResourceProperties": {},
        });
        // It returns, so that Lambda does not deliver it again.
        deliver(cloud, Settings::default(), &event).await;
        let took = cloud.now().duration_since(now).unwrap();
        assert!(took < Duration::from_mins(1), "{took:?}");
    });
}

#[test]
fn a_forged_event_of_an_account_that_is_not_served_ends_soon() {
    for kind in ["Create", "Update", "Delete"] {
        tell(async |world| {
            world.fault(At::every("PutObject"), When::Before, Fault::ServerError);
            let (cloud, now) = (&world.cloud, world.cloud.now());
            let url = cloud.state().account.s3.presign(REGION, PARTITION, "forged", now, Duration::from_hours(2));
            let event = json!({
                "RequestType": kind, "ResponseURL": url, "RequestId": "forged",
                "StackId": format!("arn:{PARTITION}:cloudformation:{REGION}:999999999999:stack/team/1"),
                "LogicalResourceId": "Role", "PhysicalResourceId": "one", "ResourceType": ROLE,
                "ResourceProperties": template("one", "acme/app")[1].properties, "OldResourceProperties": {},
            });
            deliver(cloud, Settings::default(), &event).await;
            let took = cloud.now().duration_since(now).unwrap();
            // A Delete looks for the object as long as IAM may take to show it.
            assert!(took < Duration::from_secs(90), "{kind}: {took:?}");
        });
    }
}

/// The deployment may have stopped to serve its own account. Its stacks have to be able to go all the same.
#[test]
fn the_deletion_of_a_stack_that_is_served_no_longer_is_answered() {
    let guardrails = Guardrails::read(|name| (name == "STACK_ACCOUNTS").then(|| "999999999999".to_owned()));
    let settings = Settings { guardrails, ..Settings::default() };
    world(
        settings,
        |_, _| {},
        async |world| {
            let mut stack = world.stack("team");
            // The first answer is that to the Create, which is refused.
            world.fault(At::Action { action: "PutObject", from: 2, to: 41 }, When::Before, Fault::ServerError);
            let began = world.cloud.now();
            assert_eq!(stack.create(&template("one", "acme/app")).await, Status::RollbackComplete, "{}", world.story());
            let took = world.cloud.now().duration_since(began).unwrap();
            assert!(took > Duration::from_secs(15), "{took:?}");
        },
    );
}

#[test]
fn the_answer_to_a_mistake_is_sent_for_as_long_as_its_stack_waits() {
    tell(async |world| {
        let mut stack = world.stack("team");
        let mistaken = declared("Role", ROLE, json!({"Trusst": []}));
        // Longer than the answers to events that nobody waits for.
        world.fault(At::Action { action: "PutObject", from: 1, to: 40 }, When::Before, Fault::ServerError);
        let began = world.cloud.now();
        assert_eq!(stack.create(&vec![mistaken]).await, Status::RollbackComplete, "{}", world.story());
        let took = world.cloud.now().duration_since(began).unwrap();
        assert!(took > Duration::from_secs(15), "{took:?}");
    });
}
