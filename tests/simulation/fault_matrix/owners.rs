//! Many owners of one provider: those that are gone, and those for which there is no tag of their own.

use std::collections::BTreeSet;
use std::time::Duration;

use github_trust::cloudformation::StackId;
use github_trust::ownership::Owner;
use serde_json::{Value, json};

use super::super::account::Object;
use super::super::author::Author;
use super::super::cloudformation::{Declared, RequestType, Status, declared};
use super::super::expected_state::PROVIDER;
use super::super::faults::{At, Fault, When};
use super::super::lambda::Ended;
use super::fixtures::{OUR_PROVIDER, World, world};
use super::rotation::SCHEDULE;

/// More than a provider has tags.
const MANY: usize = 60;

fn provider(properties: Value) -> Vec<Declared> {
    vec![declared("Provider", PROVIDER, properties)]
}

/// A declaration that brings something of its own.
fn own(index: usize) -> Vec<Declared> {
    provider(json!({"ClientIdList": ["sts.amazonaws.com", format!("id-{index}")]}))
}

fn plain() -> Vec<Declared> {
    provider(json!({}))
}

/// A declaration that brings the same as many others.
fn same(index: usize) -> Vec<Declared> {
    if index.is_multiple_of(2) { plain() } else { provider(json!({"ClientIdList": ["sts.amazonaws.com", "acme"]})) }
}

fn shared(world: &World) -> Object {
    let objects = world.cloud.snapshot().objects;
    objects.into_iter().find(|(id, _)| id.name == OUR_PROVIDER).map(|(_, object)| object).expect("the provider")
}

fn owners(world: &World) -> usize {
    shared(world).facets.keys().filter(|facet| facet.starts_with("tag github-trust:owner:")).count()
}

async fn scheduled(world: &World) {
    let ended = world.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await;
    assert_eq!(ended, Ended::Returned(Ok(())), "{}", world.story());
}

#[test]
fn stacks_that_went_and_retained_their_provider_leave_room_for_others() {
    world(async |world| {
        for index in 0..MANY {
            let mut stack = world.stack(&format!("s-{index}"));
            let status = stack.create(&own(index % 3)).await;
            assert_eq!(status, Status::CreateComplete, "{index}: {}", world.story());
            stack.retain("Provider");
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete);
        }
        assert!(owners(world) < MANY);
    });
}

#[test]
fn the_scheduled_run_removes_the_claims_of_owners_that_are_gone_and_no_others() {
    world(async |world| {
        let mut stacks: Vec<_> = (0..6).map(|index| world.stack(&format!("s-{index}"))).collect();
        for (index, stack) in stacks.iter_mut().enumerate() {
            assert_eq!(stack.create(&own(index)).await, Status::CreateComplete);
        }
        // One stack is gone, one goes on without the provider, and one is about to be updated.
        stacks[0].retain("Provider");
        stacks[0].delete_stack().await;
        stacks[1].retain("Provider");
        world.cloud.state().account.stacks.set_status(&stacks[2].id, "UPDATE_IN_PROGRESS");
        scheduled(world).await;
        assert_eq!(owners(world), 4, "{}", world.story());
        assert!(shared(world).facets.contains_key("tag github-trust:retained-for"), "it was to stay");
        assert!(shared(world).facets.contains_key("client id id-0"), "a role may go by it");
        let calls = world.cloud.call_count();
        scheduled(world).await;
        let changes = world.calls()[calls..].iter().filter(|call| call.changing).count();
        assert_eq!(changes, 0, "{}", world.story());
    });
}

#[test]
fn a_provider_that_lost_who_made_it_is_a_failure_of_the_scheduled_run() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&own(1)).await, Status::CreateComplete);
        let maker = shared(world).facets["tag github-trust:made-by"].clone();
        let lost = json!({"OpenIDConnectProviderArn": OUR_PROVIDER, "TagKeys": ["github-trust:made-by"]});
        world.someone("UntagOpenIDConnectProvider", &lost);
        let ended = world.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await;
        let Ended::Returned(Err(reason)) = ended else { panic!("{ended:?}: {}", world.story()) };
        assert!(
            reason.contains("has lost its tag github-trust:made-by, so that nobody rotates its thumbprints"),
            "{reason}"
        );
        let back = json!([{"Key": "github-trust:made-by", "Value": maker}]);
        world.someone("TagOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": OUR_PROVIDER, "Tags": back}));
        scheduled(world).await;
    });
}

#[test]
fn a_provider_of_many_stays_and_the_scheduled_run_misses_its_maker() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&own(1)).await, Status::CreateComplete);
        let many = json!([{"Key": "github-trust:crowd:a", "Value": "c=w7zxg t="}]);
        world.someone("TagOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": OUR_PROVIDER, "Tags": many}));
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert!(shared(world).facets.contains_key("client id sts.amazonaws.com"), "{}", world.story());
        scheduled(world).await;
        let lost = json!({"OpenIDConnectProviderArn": OUR_PROVIDER, "TagKeys": ["github-trust:made-by"]});
        world.someone("UntagOpenIDConnectProvider", &lost);
        let ended = world.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await;
        let Ended::Returned(Err(reason)) = ended else { panic!("{ended:?}: {}", world.story()) };
        assert!(reason.contains("Key=github-trust:made-by,Value=unknown"), "{reason}");
    });
}

#[test]
fn pins_that_are_set_while_another_stack_joins_are_kept() {
    for delay in 0..12 {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            let pins = |pins: &[&str]| {
                provider(json!({"ThumbprintList": pins.iter().map(|pin| pin.repeat(40)).collect::<Vec<_>>()}))
            };
            assert_eq!(one.create(&pins(&["3"])).await, Status::CreateComplete);
            let (old, new) = (plain(), pins(&["1", "3", "a"]));
            let joins = async {
                tokio::time::sleep(Duration::from_millis(10 * delay)).await;
                two.create(&old).await
            };
            let ended = tokio::join!(one.update(&new), joins);
            assert_eq!(ended, (Status::UpdateComplete, Status::CreateComplete), "{}", world.story());
        });
    }
}

#[test]
fn a_claim_on_a_provider_of_others_goes_with_its_owner() {
    world(async |world| {
        let url = "https://token.actions.githubusercontent.com";
        world.someone("CreateOpenIDConnectProvider", &json!({"Url": url, "ClientIDList": ["theirs"]}));
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&plain()).await, Status::CreateComplete, "{}", world.story());
        stack.retain("Provider");
        assert_eq!(owners(world), 1);
        scheduled(world).await;
        assert_eq!(owners(world), 0, "{}", world.story());
    });
}

#[test]
fn hundreds_of_owners_share_a_provider_and_none_loses_it() {
    world(async |world| {
        let mut stacks: Vec<_> = (0..MANY).map(|index| world.stack(&format!("s-{index}"))).collect();
        for (index, stack) in stacks.iter_mut().enumerate() {
            assert_eq!(stack.create(&same(index)).await, Status::CreateComplete, "{}", world.story());
        }
        // There is room for three more sets, and for no fourth.
        let mut more: Vec<_> = (0..4).map(|index| world.stack(&format!("more-{index}"))).collect();
        for (index, stack) in more.iter_mut().enumerate() {
            let expected = if index == 3 { Status::RollbackComplete } else { Status::CreateComplete };
            assert_eq!(stack.create(&own(index)).await, expected, "{}", world.story());
        }
        let (reason, _) = world.failure(&world.last_of(RequestType::Create));
        let expected = "would have 43 tags; IAM allows 50, of which 8 are kept free. Each resource that shares it needs one; \
                        where there is no room for it, all that declare the same share one. Declare the same client ids";
        assert!(reason.contains(expected), "{reason}");
        // One that shares changes to another set that is shared, not to one without room, and back.
        let one = &mut stacks[MANY - 1];
        assert_eq!(one.update(&own(0)).await, Status::UpdateComplete, "{}", world.story());
        assert_eq!(one.update(&own(3)).await, Status::UpdateRollbackComplete, "{}", world.story());
        assert_eq!(one.update(&same(1)).await, Status::UpdateComplete, "{}", world.story());
        // Those with a claim go, and those without keep what they need.
        let mut late = stacks.split_off(MANY / 5 * 4);
        for stack in &mut stacks {
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        }
        assert!(!world.told_to_stay(OUR_PROVIDER), "an owner of the crowd has no tag of its own");
        let keeps = |ids: &[&str]| ids.iter().all(|id| shared(world).facets.contains_key(&format!("client id {id}")));
        assert!(keeps(&["sts.amazonaws.com", "acme", "id-0", "id-1", "id-2"]), "{}", world.story());
        assert_eq!(owners(world), 0);
        assert_eq!(late[0].update(&own(7)).await, Status::UpdateComplete, "there is room again: {}", world.story());
        for stack in late.iter_mut().chain(&mut more[..3]) {
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        }
        assert!(keeps(&["sts.amazonaws.com", "acme"]) && !keeps(&["id-7"]) && owners(world) == 0);
    });
}

#[test]
fn a_stack_that_shares_a_claim_while_the_last_one_leaves_is_served() {
    for seconds in [0, 1, 2, 30, 70, 120, 135, 160] {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            assert_eq!(one.create(&own(1)).await, Status::CreateComplete);
            let full: Vec<Value> = (0..40).map(|n| json!({"Key": format!("theirs-{n}"), "Value": ""})).collect();
            world.someone("TagOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": OUR_PROVIDER, "Tags": full}));
            let same = own(1);
            let comes = async {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                two.create(&same).await
            };
            let ended = tokio::join!(one.delete_stack(), comes);
            assert_eq!(ended, (Status::DeleteComplete, Status::CreateComplete), "{}", world.story());
            assert!(shared(world).facets.contains_key("client id id-1"), "{seconds}: {}", world.story());
        });
    }
}

#[test]
fn a_claim_of_a_stack_of_another_region_stays() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&own(1)).await, Status::CreateComplete);
        let id = "arn:aws:cloudformation:us-east-1:111122223333:stack/roles/5f3e2c1a";
        let owner = Owner::new(&StackId::parse(id).unwrap(), "Provider");
        let claim = json!([{"Key": format!("github-trust:owner:{}", owner.digest(16)),
                            "Value": "c=aaaaa t= i=111122223333/5f3e2c1a us-east-1/roles/Provider"}]);
        world.someone("TagOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": OUR_PROVIDER, "Tags": claim}));
        scheduled(world).await;
        assert_eq!(owners(world), 2, "{}", world.story());
    });
}

#[test]
fn a_provider_that_lost_a_claim_stays_and_the_log_names_it() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&own(1)).await, Status::CreateComplete);
        let claims: Vec<String> = shared(world)
            .facets
            .keys()
            .filter_map(|facet| facet.strip_prefix("tag "))
            .map(str::to_owned)
            .filter(|key| key.starts_with("github-trust:owner:"))
            .collect();
        world.someone(
            "UntagOpenIDConnectProvider",
            &json!({"OpenIDConnectProviderArn": OUR_PROVIDER, "TagKeys": claims}),
        );
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert_eq!(owners(world), 0);
        assert!(world.told_to_stay(OUR_PROVIDER), "{}", world.log.text());
    });
}

#[test]
fn row_09_a_stack_that_joins_waits_for_one_that_leaves_as_that_waits() {
    for dies in [false, true] {
        world(async |world| {
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            one.create(&own(1)).await;
            if dies {
                // The next attempt announces the deletion anew.
                world.fault(At::nth("DeleteOpenIDConnectProvider", 1), When::Before, Fault::Kill);
            }
            let joins = async {
                tokio::time::sleep(Duration::from_secs(30)).await;
                two.create(&own(2)).await
            };
            let (left, joined) = tokio::join!(one.delete_stack(), joins);
            assert_eq!((left, joined), (Status::DeleteComplete, Status::CreateComplete), "{}", world.story());
            let changes = |kind: RequestType| {
                let calls = world.calls_for(&world.last_of(kind)).into_iter();
                calls.filter(|call| call.changing && call.service == "iam").map(|call| call.at).collect::<Vec<_>>()
            };
            let (leaving, joining) = (changes(RequestType::Delete), changes(RequestType::Create));
            let grace = leaving[1].saturating_sub(leaving[0]);
            assert!(grace >= 2 * world.settings.iam_lag, "{grace:?}\n{}", world.story());
            assert!(joining[0] >= leaving[leaving.len() - 1], "{}", world.story());
        });
    }
}

#[test]
fn row_21_a_removal_waits_until_what_comes_before_it_is_shown() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&own(1)).await, Status::CreateComplete, "{}", world.story());
        tokio::time::sleep(Duration::from_mins(5)).await;
        world.cloud.state().account.iam.settings.change_lag = Duration::from_secs(20);
        assert_eq!(stack.update(&own(2)).await, Status::UpdateComplete, "{}", world.story());
        let calls = world.calls_for(&world.last_of(RequestType::Update)).into_iter();
        let changes: Vec<String> = calls
            .filter(|call| call.changing && call.service == "iam")
            .map(|call| format!("{} {}", call.action, call.input))
            .collect();
        let distinct: BTreeSet<&String> = changes.iter().collect();
        assert_eq!(distinct.len(), changes.len(), "{changes:#?}");
    });
}
