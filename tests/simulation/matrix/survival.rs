//! Row 27: an entry is bound to the unique id of its role, and outlives it.

use serde_json::json;

use super::super::account::{Kind, Object};
use super::super::cloudformation::Status;
use super::super::faults::{At, Fault, When};
use super::super::meaning::{self, ENTRY};
use super::scene::{DEED, GIVEN_ROLE, Scene, alone, but, foreign_role, scene};

/// Somebody deletes the role and makes it again, under the same name.
fn made_again(scene: &Scene) {
    scene.someone("DeleteRole", &json!({"RoleName": "given"}));
    scene.someone("CreateRole", &foreign_role("given"));
}

fn entry(scene: &Scene) -> Object {
    let snapshot = scene.cloud.snapshot();
    let found = snapshot.objects.into_iter().find(|(id, _)| id.kind == Kind::Entry && id.name.contains(GIVEN_ROLE));
    found.expect("the entry").1
}

/// All that an entry is, but for what only the new one can have.
fn meant(mut entry: Object) -> Object {
    entry.facets.retain(|facet, _| facet != "bound to" && facet != "arn" && facet != "tag github-trust:role-id");
    entry
}

fn lets_in(scene: &Scene) -> bool {
    meaning::lets_in(&alone(ENTRY, 1).properties, &scene.cloud.snapshot())
}

#[test]
fn row_27_the_next_update_makes_an_entry_again_whose_role_was_made_again_with_all_that_it_had() {
    scene(async |scene| {
        let mut stack = scene.stack("s");
        assert_eq!(stack.create(&vec![alone(ENTRY, 1)]).await, Status::CreateComplete, "{}", scene.story());
        tokio::time::sleep(std::time::Duration::from_hours(1)).await;
        let before = entry(scene);
        made_again(scene);
        tokio::time::sleep(std::time::Duration::from_hours(1)).await;
        assert!(!lets_in(scene), "it looks right, and lets nobody in");
        let again = but(alone(ENTRY, 1), json!({"ServiceTimeout": 600}));
        assert_eq!(stack.update(&vec![again]).await, Status::UpdateComplete, "{}", scene.story());
        assert!(lets_in(scene), "{}", scene.story());
        assert_eq!(meant(entry(scene)), meant(before), "{}", scene.story());
        let changes = |scene: &Scene| scene.calls().iter().filter(|call| call.changed && call.service == "eks").count();
        let until_now = changes(scene);
        let once_more = but(alone(ENTRY, 1), json!({"ServiceTimeout": 700}));
        assert_eq!(stack.update(&vec![once_more]).await, Status::UpdateComplete, "{}", scene.story());
        assert_eq!(changes(scene), until_now, "nothing is left to do: {}", scene.story());
    });
}

#[test]
fn row_27_a_process_that_dies_while_it_makes_an_entry_again_is_followed_by_one_that_ends_the_work() {
    let calls = scene(async |scene| {
        dying(scene, &[]).await;
        scene.calls_of_step(DEED).len() as u64
    });
    for call in 1..=calls {
        for when in [When::Before, When::After] {
            scene(async |scene| dying(scene, &[(call, when)]).await);
        }
    }
}

async fn dying(scene: &Scene, deaths: &[(u64, When)]) {
    let mut stack = scene.stack("s");
    assert_eq!(stack.create(&vec![alone(ENTRY, 1)]).await, Status::CreateComplete, "{}", scene.story());
    tokio::time::sleep(std::time::Duration::from_hours(1)).await;
    let before = entry(scene);
    made_again(scene);
    tokio::time::sleep(std::time::Duration::from_hours(1)).await;
    scene.cloud.begin_step(DEED);
    for (call, when) in deaths {
        scene.fault(At::OfStep { step: DEED, call: *call }, *when, Fault::Kill);
    }
    let again = but(alone(ENTRY, 1), json!({"ServiceTimeout": 3600}));
    assert_eq!(stack.update(&vec![again]).await, Status::UpdateComplete, "{deaths:?}\n{}", scene.story());
    scene.lambda.settle().await;
    assert!(lets_in(scene), "{deaths:?}\n{}", scene.story());
    assert_eq!(meant(entry(scene)), meant(before), "{deaths:?}\n{}", scene.story());
}
