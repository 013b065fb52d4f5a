//! Objects whose id CloudFormation was not told, or was told by a request that failed: they are found and deleted.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::cloudformation::{RequestType, Resource, Status};
use super::super::expected_state::ROLE;
use super::super::faults::{At, Fault, When};
use super::fixtures::{KINDS, World, alone, but, refused, world};

/// Reads show a new object after exactly this time.
fn reads_lag(world: &World, lag: Duration) {
    let settings = &mut world.cloud.state().account.iam.settings;
    (settings.lag, settings.lag_is_exact) = (lag, true);
}

#[test]
fn row_06_what_a_copy_of_a_failed_create_made_is_deleted() {
    for kind in KINDS {
        world(async |world| {
            let stack = world.stack("s");
            let declared = alone(kind, 1);
            assert!(stack.send(RequestType::Create, &declared, None).await.success, "{}", world.story());
            world.cloud.state().account.stacks.forget_events(&stack.id);
            let resource = Resource {
                kind: kind.to_owned(),
                physical: "never-created/1".to_owned(),
                properties: declared.properties.clone(),
                attributes: Value::Null,
            };
            let answer = stack.send(RequestType::Delete, &declared, Some(&resource)).await;
            assert!(answer.success, "{}", world.story());
            assert!(world.ours().is_empty(), "{}", world.story());
        });
    }
}

#[test]
fn row_21_a_role_of_a_create_that_never_answered_is_found_when_reads_show_it() {
    world(async |world| {
        let hour = Duration::from_hours(1);
        reads_lag(world, hour + Duration::from_secs(30));
        world.fault(At::nth("CreateRole", 1), When::After, Fault::Kill);
        for invocation in [2, 3] {
            world.fault(At::OfInvocation { invocation, call: 1 }, When::Before, Fault::Kill);
        }
        let stack = world.stack("s");
        let declared = alone(ROLE, 1);
        assert!(stack.send(RequestType::Create, &declared, None).await.silent, "{}", world.story());
        let resource = Resource {
            kind: ROLE.to_owned(),
            physical: "deploy".to_owned(),
            properties: declared.properties.clone(),
            attributes: Value::Null,
        };
        let answer = stack.send(RequestType::Delete, &declared, Some(&resource)).await;
        assert!(answer.success, "{}", world.story());
        assert!(world.ours().is_empty(), "{}", world.story());
    });
}

#[test]
fn row_21_a_role_that_is_there_although_no_read_shows_it_has_its_id() {
    world(async |world| {
        reads_lag(world, Duration::from_mins(3));
        world.fault(At::nth("CreateRole", 1), When::After, Fault::Kill);
        world.fault(At::Action { action: "CreateRole", from: 3, to: u64::MAX }, When::Before, refused());
        let stack = world.stack("s");
        let answer = stack.send(RequestType::Create, &alone(ROLE, 1), None).await;
        assert!(!answer.success && answer.physical == "deploy", "{}: {}", answer.physical, world.story());
    });
}

#[test]
fn row_18_a_look_up_that_is_throttled_leaves_the_id_of_an_earlier_attempt() {
    world(async |world| {
        world.cloud.state().account.iam.settings.quotas.trust_policy = 8192;
        let branches: Vec<String> = (0..90).map(|number| format!("a-branch-with-a-long-name-{number:04}")).collect();
        let trust = json!([{"Repository": "acme/app", "Branches": branches}]);
        world.fault(At::nth("CreateRole", 1), When::After, Fault::Kill);
        let of_later_attempts = At::Action { action: "GetAccountSummary", from: 3, to: u64::MAX };
        world.fault(of_later_attempts, When::Before, Fault::Throttle);
        let mut stack = world.stack("s");
        let status = stack.create(&vec![but(alone(ROLE, 1), json!({"Trust": trust}))]).await;
        assert_eq!(status, Status::RollbackComplete, "{}", world.story());
        let (_, id) = world.failure(&world.last_of(RequestType::Create));
        assert_eq!(id, "deploy", "{}", world.story());
        assert!(world.ours().is_empty(), "{}", world.story());
    });
}
