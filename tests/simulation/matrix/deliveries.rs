//! Rows 1 to 6 and 10: events that are cut off, come twice, come late, or overtake one another.

use std::time::Duration;

use super::super::cloudformation::{Disturbance, RequestType, Resource, Status};
use super::super::faults::{At, Fault, When};
use super::super::invariants::lock;
use super::super::lambda::{Delivery, Ended};
use super::super::meaning::ROLE;
use super::scene::{DEED, DEEDS, Deed, GIVEN_ROLE, KINDS, Scene, alone, everywhere, logical, quiet_day, scene};

fn delivered(scene: &Scene, kind: &str, delivery: Delivery) {
    scene.cloudformation.disturb(logical(kind), Disturbance { delivery, cancelled_after: None });
}

#[test]
fn row_01_a_kill_at_any_call_ends_with_the_same_id_and_one_object() {
    for kind in KINDS {
        for deed in DEEDS {
            let (calls, physical) = quiet_day(kind, deed);
            for call in 1..=calls.len() as u64 {
                for when in [When::Before, When::After] {
                    scene(async |scene| {
                        let mut stack = scene.stack("s");
                        deed.prepare(scene, &mut stack, kind).await;
                        scene.fault(At::OfStep { step: DEED, call }, when, Fault::Kill);
                        let status = deed.perform(&mut stack, kind).await;
                        assert_eq!(status, deed.done(), "{kind} {deed:?} {when:?} {call}\n{}", scene.story());
                        scene.nothing_left_but(&[&stack]).await;
                        let attempts = scene.lambda.attempts();
                        let of_request = || attempts.iter().filter(|attempt| attempt.request == scene.last().id);
                        let ended: Vec<_> = of_request().map(|attempt| attempt.ended.clone()).collect();
                        assert_eq!(ended, [Some(Ended::Killed), Some(Ended::Returned(Ok(())))], "{}", scene.story());
                        assert_eq!(scene.physical(&scene.last()), physical);
                        assert_eq!(scene.ours().len(), deed.leaves(), "{}", scene.story());
                    });
                }
            }
        }
    }
}

#[test]
fn row_02_a_create_killed_three_times_is_cleaned_up_by_its_delete() {
    for kind in KINDS {
        let (calls, _) = quiet_day(kind, Deed::Create);
        for call in 1..=calls.len() as u64 {
            for when in [When::Before, When::After] {
                scene(async |scene| {
                    let mut stack = scene.stack("s");
                    for (invocation, call) in [(1, call), (2, 1), (3, 1)] {
                        scene.fault(At::OfInvocation { invocation, call }, when, Fault::Kill);
                    }
                    let status = Deed::Create.perform(&mut stack, kind).await;
                    if (call, when) == (calls.len() as u64, When::After) {
                        // The answer has arrived before the first death, and the later ones are nobody's concern.
                        assert_eq!(status, Status::CreateComplete, "{}", scene.story());
                        return scene.nothing_left_but(&[&stack]).await;
                    }
                    assert_eq!(status, Status::RollbackComplete, "{}", scene.story());
                    let delete = scene.last_of(RequestType::Delete);
                    let invented = format!("s-{}-1A2B3C4D5E6F7", logical(kind));
                    assert_eq!(delete.physical, Some(invented.clone()), "{}", scene.story());
                    assert_eq!(scene.physical(&delete), invented, "a Delete is answered with its own id");
                    scene.nothing_left_but(&[]).await;
                    assert!(scene.ours().is_empty(), "{}", scene.story());
                });
            }
        }
    }
}

#[test]
fn row_03_the_same_event_later_changes_nothing_and_is_not_answered_again() {
    for kind in KINDS {
        for deed in DEEDS {
            scene(async |scene| {
                let mut stack = scene.stack("s");
                deed.prepare(scene, &mut stack, kind).await;
                let again = vec![Duration::from_mins(10)];
                delivered(scene, kind, Delivery { duplicates: again, ..Delivery::default() });
                assert_eq!(deed.perform(&mut stack, kind).await, deed.done(), "{}", scene.story());
                let request = scene.last();
                scene.nothing_left_but(&[&stack]).await;
                let answers = scene.answers(&request);
                assert_eq!(answers.len(), 1, "{kind} {deed:?}");
                let calls = scene.calls_for(&request);
                let (first, last) = (calls.first().unwrap().invocation, calls.last().unwrap().invocation);
                assert_ne!(first, last);
                let second = calls.iter().filter(|call| call.invocation == last);
                assert!(second.clone().all(|call| !call.changed), "{}", scene.story());
                assert_eq!(second.filter(|call| call.changing).count(), 0, "{}", scene.story());
            });
        }
    }
}

#[test]
fn row_04_one_event_in_two_processes_makes_one_object() {
    for kind in KINDS {
        for deed in DEEDS {
            for apart in [0, 15, 40, 90, 130, 250] {
                scene(async |scene| {
                    let mut stack = scene.stack("s");
                    deed.prepare(scene, &mut stack, kind).await;
                    let at_once = vec![Duration::from_millis(apart)];
                    delivered(scene, kind, Delivery { duplicates: at_once, ..Delivery::default() });
                    let status = deed.perform(&mut stack, kind).await;
                    assert_eq!(status, deed.done(), "{kind} {deed:?} {apart} ms\n{}", scene.story());
                    let request = scene.last();
                    scene.nothing_left_but(&[&stack]).await;
                    let answers = scene.answers(&request);
                    assert_eq!(answers.len(), 2);
                    assert_eq!(answers[0], answers[1], "{kind} {deed:?}");
                    assert_eq!(scene.ours().len(), deed.leaves(), "{}", scene.story());
                });
            }
        }
    }
}

#[test]
fn row_05_a_delete_beside_a_running_create_leaves_nothing() {
    for kind in KINDS {
        for half_seconds in 0..12 {
            scene(async |scene| {
                // Slow enough for a Create to be cancelled between any two of its calls.
                scene.cloud.state().latency = Duration::from_millis(300);
                let cancelled_after = Some(Duration::from_millis(500 * half_seconds));
                let delivery = Delivery::default();
                scene.cloudformation.disturb(logical(kind), Disturbance { delivery, cancelled_after });
                let mut stack = scene.stack("s");
                let status = Deed::Create.perform(&mut stack, kind).await;
                if status == Status::CreateComplete {
                    assert!(half_seconds > 3, "it was too fast to be cancelled");
                    assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", scene.story());
                } else {
                    assert_eq!(status, Status::RollbackComplete, "{}", scene.story());
                }
                scene.nothing_left_but(&[]).await;
                // The witness takes what the Create grants after the Delete was sent for something that the Delete grants.
                lock(&scene.ledger).violations.retain(|violation| violation.invariant != "I5");
                assert!(scene.ours().is_empty(), "{kind} {half_seconds}\n{}", scene.story());
            });
        }
    }
}

#[test]
fn row_06_a_delete_with_an_id_of_cloudformation_finds_what_is_ours() {
    for kind in KINDS {
        for name in ["s", "a-stack-whose-name-is-much-longer-than-what-cloudformation-takes-of-it-into-an-id"] {
            scene(async |scene| {
                let mut stack = scene.stack(name);
                assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete);
                let beginning: String = name.chars().take(24).collect();
                let invented = format!("{beginning}-{}-1A2B3C4D5E6F7", logical(kind));
                let as_if = Resource { physical: invented.clone(), ..stack.resources[0].1.clone() };
                let answer = stack.send(RequestType::Delete, &alone(kind, 1), Some(&as_if)).await;
                assert!(answer.success && answer.physical == invented, "{}", scene.story());
                assert!(scene.ours().is_empty(), "{}", scene.story());
            });
        }
    }
}

#[test]
fn row_06_a_delete_with_a_strange_id_succeeds_and_changes_nothing() {
    for kind in KINDS {
        let ids = ["nothing-of-that-name", "never-created/1", "given", GIVEN_ROLE, super::scene::GIVEN_PROVIDER];
        for id in ids.map(str::to_owned).into_iter().chain([format!("{GIVEN_ROLE}|prod"), "s-X-1A2B3C4D5E6F7".into()]) {
            scene(async |scene| {
                let stack = scene.stack("s");
                let before = scene.cloud.snapshot();
                let resource = Resource {
                    kind: kind.to_owned(),
                    physical: id.clone(),
                    properties: alone(kind, 1).properties,
                    attributes: serde_json::Value::Null,
                };
                let answer = stack.send(RequestType::Delete, &alone(kind, 1), Some(&resource)).await;
                assert!(answer.success && answer.physical == id, "{}", scene.story());
                assert_eq!(scene.cloud.snapshot(), before);
            });
        }
    }
}

#[test]
fn row_10_an_event_that_nobody_waits_for_makes_no_call() {
    // CloudFormation waits an hour, and the URL is good for two.
    for (kind, deed) in everywhere() {
        for minutes in [60, 61, 119, 120, 121, 359] {
            scene(async |scene| {
                let mut stack = scene.stack("s");
                deed.prepare(scene, &mut stack, kind).await;
                delivered(scene, kind, Delivery { delay: Duration::from_mins(minutes), ..Delivery::default() });
                let status = deed.perform(&mut stack, kind).await;
                assert_ne!(status, deed.done(), "CloudFormation has given up");
                scene.lambda.settle().await;
                let request = scene.sent()[usize::from(deed != Deed::Create)].clone();
                let began = scene.lambda.attempts().into_iter().find(|attempt| attempt.request == request.id);
                assert_eq!(began.unwrap().ended, Some(Ended::Returned(Ok(()))), "it is not tried again");
                assert!(scene.calls_for(&request).is_empty(), "{minutes} min\n{}", scene.story());
            });
        }
    }
    // A minute before, it is done.
    scene(async |scene| {
        let mut stack = scene.stack("s");
        delivered(scene, ROLE, Delivery { delay: Duration::from_mins(59), ..Delivery::default() });
        assert_eq!(Deed::Create.perform(&mut stack, ROLE).await, Status::CreateComplete, "{}", scene.story());
    });
}
