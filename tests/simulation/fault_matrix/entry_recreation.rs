//! Row 27: an entry is bound to the unique id of its role, and outlives it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::account::{Kind, Object};
use super::super::author::Author;
use super::super::cloudformation::{Declared, RequestType, Status};
use super::super::expected_state::{self, ENTRY};
use super::super::faults::{At, Fault, When};
use super::super::lambda::Ended;
use super::super::stack::Stack;
use super::fixtures::{GIVEN_ROLE, OPERATION, World, access, alone, but, given_role, world};
use super::rotation::SCHEDULE;

pub(super) const HOUR: Duration = Duration::from_hours(1);

/// Somebody deletes the role and makes it again, under the same name.
pub(super) fn made_again(world: &World) {
    world.someone("DeleteRole", &json!({"RoleName": "given"}));
    world.someone("CreateRole", &given_role());
}

pub(super) fn find_entry(world: &World) -> Option<Object> {
    let snapshot = world.cloud.snapshot();
    let found = snapshot.objects.into_iter().find(|(id, _)| id.kind == Kind::Entry && id.name.contains(GIVEN_ROLE));
    found.map(|found| found.1)
}

fn entry(world: &World) -> Object {
    find_entry(world).expect("the entry")
}

fn is_remembered(world: &World) -> bool {
    world.cloud.snapshot().objects.keys().any(|id| id.kind == Kind::Memory)
}

/// All that an entry is, but for what only the new one can have.
fn meant(mut entry: Object) -> Object {
    entry.made_by = Author::Someone;
    entry.facets.retain(|facet, _| facet != "bound to" && facet != "arn" && facet != "tag github-trust:role-id");
    entry
}

pub(super) fn lets_in(world: &World) -> bool {
    expected_state::lets_in(&alone(ENTRY, 1).properties, &world.cloud.snapshot())
}

#[test]
fn row_27_an_update_makes_an_entry_again_with_all_that_it_had() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ENTRY, 1)]).await, Status::CreateComplete, "{}", world.story());
        tokio::time::sleep(HOUR).await;
        let before = entry(world);
        made_again(world);
        tokio::time::sleep(HOUR).await;
        assert!(!lets_in(world), "it looks right, and lets nobody in");
        let again = but(alone(ENTRY, 1), json!({"ServiceTimeout": 600}));
        assert_eq!(stack.update(&vec![again]).await, Status::UpdateComplete, "{}", world.story());
        assert!(lets_in(world), "{}", world.story());
        assert_eq!(meant(entry(world)), meant(before), "{}", world.story());
        let changes = |world: &World| world.calls().iter().filter(|call| call.changed && call.service == "eks").count();
        let until_now = changes(world);
        let once_more = but(alone(ENTRY, 1), json!({"ServiceTimeout": 700}));
        assert_eq!(stack.update(&vec![once_more]).await, Status::UpdateComplete, "{}", world.story());
        assert_eq!(changes(world), until_now, "nothing is left to do: {}", world.story());
    });
}

/// Others give the entry as many tags as EKS allows.
fn fill_tags(world: &World) {
    let (arn, count) = {
        let state = world.cloud.state();
        let entry = &state.account.eks.clusters["prod"].entries[GIVEN_ROLE];
        (entry.arn.clone(), entry.tags.len())
    };
    let tags: BTreeMap<String, String> = (count..50).map(|index| (format!("their-{index}"), "x".to_owned())).collect();
    world.someone("TagResource", &json!({"resourceArn": arn, "tags": tags}));
}

#[test]
fn row_27_a_recreation_that_dies_is_ended_by_the_next_process() {
    for is_full in [false, true] {
        let calls = world(async |world| {
            dying(world, is_full, &[]).await;
            world.calls_of_step(OPERATION).len() as u64
        });
        for call in 1..=calls {
            for when in [When::Before, When::After] {
                world(async |world| dying(world, is_full, &[(call, when)]).await);
            }
        }
    }
}

#[test]
fn row_27_an_entry_that_would_have_too_many_tags_is_not_made_again() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ENTRY, 1)]).await, Status::CreateComplete, "{}", world.story());
        tokio::time::sleep(HOUR).await;
        fill_tags(world);
        let before = entry(world);
        made_again(world);
        tokio::time::sleep(HOUR).await;
        let tags =
            json!([{"Key": "version", "Value": "1"}, {"Key": "only-1", "Value": ""}, {"Key": "more", "Value": ""}]);
        let status = stack.update(&vec![but(alone(ENTRY, 1), json!({"Tags": tags}))]).await;
        let update = world.sent().into_iter().find(|sent| sent.kind == RequestType::Update).expect("the update");
        let (reason, _) = world.failure(&update);
        assert!(reason.contains("would have 51 tags"), "{status:?} {reason}");
        // The way back has room for all.
        assert_eq!(status, Status::UpdateRollbackComplete, "{}", world.story());
        assert_eq!(meant(entry(world)), meant(before), "{}", world.story());
    });
}

async fn dying(world: &World, is_full: bool, deaths: &[(u64, When)]) {
    let mut stack = world.stack("s");
    assert_eq!(stack.create(&vec![alone(ENTRY, 1)]).await, Status::CreateComplete, "{}", world.story());
    tokio::time::sleep(HOUR).await;
    if is_full {
        fill_tags(world);
    }
    let before = entry(world);
    made_again(world);
    tokio::time::sleep(HOUR).await;
    world.cloud.begin_step(OPERATION);
    for (call, when) in deaths {
        world.fault(At::OfStep { step: OPERATION, call: *call }, *when, Fault::Kill);
    }
    let again = but(alone(ENTRY, 1), json!({"ServiceTimeout": 3600}));
    assert_eq!(stack.update(&vec![again]).await, Status::UpdateComplete, "{deaths:?}\n{}", world.story());
    world.lambda.settle().await;
    assert!(lets_in(world), "{is_full} {deaths:?}\n{}", world.story());
    assert_eq!(meant(entry(world)), meant(before), "{is_full} {deaths:?}\n{}", world.story());
}

/// One declaration that names everything, and one that leaves out what others may add to.
fn declarations() -> [Declared; 2] {
    [alone(ENTRY, 1), but(alone(ENTRY, 1), json!({"KubernetesGroups": null, "AccessPolicies": null, "Username": null}))]
}

/// An entry of a stack, on which others have put something, and whose role was made again.
async fn outlived(world: &World, declared: &Declared) -> (Stack, Object) {
    let mut stack = world.stack("s");
    assert_eq!(stack.create(&vec![declared.clone()]).await, Status::CreateComplete, "{}", world.story());
    tokio::time::sleep(HOUR).await;
    let arn = {
        let state = world.cloud.state();
        state.account.eks.clusters["prod"].entries[GIVEN_ROLE].arn.clone()
    };
    let before = entry(world);
    let groups: Vec<&str> = before.facets["groups"].split_whitespace().chain(["theirs"]).collect();
    let of = |more: Value| {
        let mut input = json!({"clusterName": "prod", "principalArn": GIVEN_ROLE});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    world.someone("UpdateAccessEntry", &of(json!({"kubernetesGroups": groups, "username": "theirs"})));
    let policy = access("AmazonEKSAdminViewPolicy", &[])["PolicyArn"].clone();
    let scope = json!({"type": "namespace", "namespaces": ["theirs"]});
    world.someone("AssociateAccessPolicy", &of(json!({"policyArn": policy, "accessScope": scope})));
    world.someone("TagResource", &json!({"resourceArn": arn, "tags": {"owner": "them"}}));
    let before = entry(world);
    made_again(world);
    tokio::time::sleep(HOUR).await;
    assert!(!lets_in(world), "it looks right, and lets nobody in");
    world.cloud.begin_step(OPERATION);
    (stack, before)
}

pub(super) async fn run(world: &World) -> Ended {
    world.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await
}

/// The entry works, with all that it had, and nothing is left of the work.
fn healed(world: &World, before: &Object) {
    assert!(lets_in(world), "{}", world.story());
    assert_eq!(meant(entry(world)), meant(before.clone()), "{}", world.story());
    assert!(!is_remembered(world), "{}", world.story());
}

fn metrics(world: &World, name: &str) -> usize {
    let lines = world.log_lines();
    let counted = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line["emf"].as_str()?).ok());
    counted.filter(|emf| emf["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] == name).count()
}

#[test]
fn row_27_the_scheduled_run_makes_an_entry_again_with_all_it_had() {
    for declared in declarations() {
        world(async |world| {
            let (stack, before) = outlived(world, &declared).await;
            assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
            healed(world, &before);
            assert_eq!(metrics(world, "RestoredEntries"), 1);
            let line = world
                .log_lines()
                .into_iter()
                .find(|line| line["message"].as_str().unwrap_or_default().starts_with("made an access entry again"));
            let line = line.expect("a line of the log");
            assert_eq!((line["principal"].as_str(), line["cluster"].as_str()), (Some(GIVEN_ROLE), Some("prod")));
            let changes = |world: &World| world.calls().iter().filter(|call| call.changed).count();
            let until_now = changes(world);
            assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
            assert_eq!(changes(world), until_now, "nothing is left to do: {}", world.story());
            world.nothing_left_but(&[&stack]).await;
        });
    }
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Run,
    Update,
    Delete,
}

/// The number of calls in a run that heals, or in an update that does.
fn calls_of(declared: &Declared, by_schedule: bool) -> u64 {
    world(async |world| {
        let (mut stack, _) = outlived(world, declared).await;
        heal(world, &mut stack, declared, by_schedule).await;
        world.calls_of_step(OPERATION).len() as u64
    })
}

async fn heal(world: &World, stack: &mut Stack, declared: &Declared, by_schedule: bool) {
    if by_schedule {
        run(world).await;
    } else {
        stack.update(&vec![but(declared.clone(), json!({"ServiceTimeout": 3600}))]).await;
        world.lambda.settle().await;
    }
}

/// Wherever it dies, in a run or in an update, and whichever process comes next: the entry is whole, or gone with its stack.
#[test]
fn row_27_wherever_a_recreation_dies_nothing_of_the_entry_is_lost() {
    let mut points = 0;
    for (declared, by_schedule) in
        declarations().into_iter().flat_map(|declared| [(declared.clone(), true), (declared, false)])
    {
        let calls = calls_of(&declared, by_schedule);
        assert!(calls > 10, "{calls}");
        for (call, when, next) in (1..=calls).flat_map(|call| {
            [When::Before, When::After]
                .into_iter()
                .flat_map(move |when| [Next::Run, Next::Update, Next::Delete].map(|next| (call, when, next)))
        }) {
            points += 1;
            world(async |world| {
                let (mut stack, before) = outlived(world, &declared).await;
                // All three attempts of an update die: the second and the third at their first call.
                world.fault(At::OfStep { step: OPERATION, call }, when, Fault::Kill);
                if !by_schedule {
                    for later in 1..=2 {
                        world.fault(At::OfStep { step: OPERATION, call: call + later }, When::Before, Fault::Kill);
                    }
                }
                heal(world, &mut stack, &declared, by_schedule).await;
                world.cloud.begin_step(OPERATION + 1);
                tokio::time::sleep(HOUR).await;
                let kept = find_entry(world).map(|entry| entry.facets).unwrap_or_default();
                assert!(kept.contains_key("tag owner") || is_remembered(world), "{}", world.story());
                match next {
                    Next::Run => assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story()),
                    Next::Update => {
                        let again = but(declared.clone(), json!({"ServiceTimeout": 3000}));
                        assert_eq!(stack.update(&vec![again]).await, Status::UpdateComplete, "{}", world.story());
                    }
                    Next::Delete => {
                        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                        assert!(find_entry(world).is_none() && !is_remembered(world), "{}", world.story());
                        assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
                        assert!(find_entry(world).is_none() && !is_remembered(world), "{}", world.story());
                        return;
                    }
                }
                assert!(lets_in(world), "{}", world.story());
                assert!(!is_remembered(world), "{}", world.story());
                let now = entry(world);
                assert_eq!(now.facets.get("tag owner").map(String::as_str), Some("them"), "{}", world.story());
                // An update sets what it declares; a run, and one that declares none of it, keep everything.
                let all_stays =
                    declared.properties["KubernetesGroups"].is_null() || by_schedule && matches!(next, Next::Run);
                if all_stays {
                    assert_eq!(meant(now), meant(before), "{call} {when:?} {next:?}\n{}", world.story());
                }
                world.nothing_left_but(&[&stack]).await;
            });
        }
    }
    println!("making an entry again: {points} ways to die and to go on");
    assert!(points > 300, "{points}");
}

#[test]
fn row_27_a_run_beside_another_or_its_stack_loses_and_leaves_nothing() {
    for declared in declarations() {
        for offset in (0..=900).step_by(20) {
            for next in [Next::Run, Next::Update, Next::Delete] {
                world(async |world| {
                    let (mut stack, before) = outlived(world, &declared).await;
                    let later = async {
                        tokio::time::sleep(Duration::from_millis(offset)).await;
                        match next {
                            Next::Run => {
                                run(world).await;
                            }
                            Next::Update => {
                                let again = but(declared.clone(), json!({"ServiceTimeout": 3000}));
                                assert_eq!(
                                    stack.update(&vec![again]).await,
                                    Status::UpdateComplete,
                                    "{}",
                                    world.story()
                                );
                            }
                            Next::Delete => {
                                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                            }
                        }
                    };
                    tokio::join!(run(world), later);
                    world.lambda.settle().await;
                    // Where one was in the other's way, the next run sees to it.
                    tokio::time::sleep(HOUR).await;
                    assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
                    if matches!(next, Next::Delete) {
                        assert!(find_entry(world).is_none() && !is_remembered(world), "{offset} ms: {}", world.story());
                        return;
                    }
                    assert!(lets_in(world) && !is_remembered(world), "{offset} ms: {}", world.story());
                    if declared.properties["KubernetesGroups"].is_null() || matches!(next, Next::Run) {
                        assert_eq!(meant(entry(world)), meant(before), "{offset} ms: {}", world.story());
                    }
                });
            }
        }
    }
}

/// The making again was broken off, and now its role, or its whole cluster, is gone.
#[test]
fn row_27_an_entry_without_role_is_remembered_without_cluster_forgotten() {
    let [declared, _] = declarations();
    let broken_off = async |world: &World| {
        let (stack, before) = outlived(world, &declared).await;
        world.fault(At::nth("DeleteAccessEntry", 1), When::After, Fault::Kill);
        assert_eq!(run(world).await, Ended::Killed);
        assert!(find_entry(world).is_none() && is_remembered(world), "{}", world.story());
        (stack, before)
    };
    world(async |world| {
        let (_stack, before) = broken_off(world).await;
        world.someone("DeleteRole", &json!({"RoleName": "given"}));
        tokio::time::sleep(HOUR).await;
        let Ended::Returned(Err(reason)) = run(world).await else { panic!("{}", world.story()) };
        assert_eq!(
            reason,
            "the scheduled run failed for arn:aws:iam::111122223333:role/given|prod: \
             arn:aws:iam::111122223333:role/given|prod was deleted to be made again, and now there is no role \
             arn:aws:iam::111122223333:role/given. Make the role again, and the next run makes the entry again with all \
             that it had; or remove the entry from its stack"
        );
        assert_eq!(metrics(world, "FailedEntries"), 1);
        world.someone("CreateRole", &given_role());
        tokio::time::sleep(HOUR).await;
        assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
        healed(world, &before);
    });
    world(async |world| {
        let (mut stack, _) = broken_off(world).await;
        world.cloud.change_now(|account, _| account.eks.clusters.clear());
        assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
        assert!(!is_remembered(world), "{}", world.story());
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
    });
}

/// The names of more memories and clusters than one page holds.
#[test]
fn row_28_a_scheduled_run_reads_all_pages() {
    world(async |world| {
        let [declared, _] = declarations();
        let (_, before) = outlived(world, &declared).await;
        world.cloud.change_now(|account, now| {
            for index in 0..5 {
                let name = format!("a-{index}");
                account.eks.add_cluster(&name, "API", super::super::eks::Status::Active, now);
            }
            account.eks.add_cluster("b", "CONFIG_MAP", super::super::eks::Status::Active, now);
            account.eks.settings.page = 2;
            account.eks.settings.empty_pages = true;
            account.iam.settings.page = 1;
            account.secrets.page = Some(1);
        });
        assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
        healed(world, &before);
    });
}
