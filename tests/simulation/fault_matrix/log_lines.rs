//! What is logged: enough to see what was done and to answer by hand, and no secret.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use super::super::account::{PARTITION, REGION};
use super::super::author::Author;
use super::super::cloud::Cloud;
use super::super::cloudformation::{SERVICE_TOKEN, Status};
use super::super::expected_state::ROLE;
use super::super::faults::{At, Fault, Rates, When};
use super::super::function::github_trust;
use super::super::history::Stage;
use super::super::lambda::{Ended, Function};
use super::super::logs::Log;
use super::super::plan::{Plan, Trouble};
use super::super::wire::Refusal;
use super::fixtures::{OPERATION, Operation, World, alone, but, everywhere, world};

/// Parts of a pre-signed URL, and what tokens and keys look like.
fn secrets(line: &str) -> Option<String> {
    let query = ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "AWS4-HMAC-SHA256", "Signature="];
    let path = ["%7CProvider%7C", "%7CRole%7C", "%7CEntry%7C"];
    let tokens = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "AKIA", "ASIA", "eyJhbGciOi", "Bearer "];
    let marks = query.iter().chain(&path).chain(&tokens);
    marks.copied().find(|mark| line.contains(mark)).map(str::to_owned)
}

/// The function, whose lines a history does not keep to itself.
fn overheard(cloud: &Cloud, log: &Log) -> Function {
    let (inner, log) = (github_trust(cloud), log.clone());
    let ours = Targets::new().with_target("github_trust", LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || log.clone());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(ours).with(lines));
    Rc::new(move |cloud, event, deadline| Box::pin(inner(cloud, event, deadline).with_subscriber(dispatch.clone())))
}

/// Calls of a quiet day in the log, as `service:Action`.
fn called(line: &Value) -> Option<&str> {
    (line["message"] == "called").then(|| line["call"].as_str()).flatten()
}

#[test]
fn no_line_of_any_history_contains_a_secret() {
    let log = Log::default();
    let stage = Stage::with(|cloud| overheard(cloud, &log));
    let mut lines = 0;
    for seed in 9_000..9_100 {
        let mut plan = Plan::of(seed);
        if seed % 2 == 0 {
            plan.trouble = Trouble::AtRandom(Rates { access_denied: 20, ..Rates::bad_day(20) });
        }
        // What a history answers is scanned at its end, too (I7).
        let outcome = stage.play(&plan);
        assert!(outcome.violations.iter().all(|violation| violation.invariant != "I7"), "{outcome}");
        let text = log.text();
        log.clear();
        for line in text.lines() {
            lines += 1;
            assert_eq!(secrets(line), None, "seed {seed}: {line}");
        }
    }
    assert!(lines > 5_000, "{lines} lines were read");
}

#[test]
fn no_line_about_a_request_that_is_wrong_contains_a_secret() {
    let stack = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1";
    let wrong = |world: &World, member: &str, value: Value| {
        let now = world.cloud.now();
        let key = format!("{stack}|Role|r-1");
        let url = world.cloud.state().account.s3.presign(REGION, PARTITION, &key, now, Duration::from_hours(2));
        let mut event = json!({
            "RequestType": "Create", "ServiceToken": SERVICE_TOKEN, "ResponseURL": url, "StackId": stack,
            "RequestId": "r-1", "LogicalResourceId": "Role", "ResourceType": ROLE, "ResourceProperties": {},
        });
        if value == "elsewhere" {
            event[member] = json!(url.replace("amazonaws", "evil"));
        } else {
            event[member] = value;
        }
        event
    };
    let cases = [
        ("ResponseURL", json!("elsewhere")),
        (
            "ResponseURL",
            json!("https://evil.example/%7CRole%7C?X-Amz-Signature=1&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"),
        ),
        ("ResponseURL", json!({"X-Amz-Signature": "ghp_0123456789"})),
        ("StackId", json!("ghp_0123456789")),
        ("LogicalResourceId", json!("")),
        ("RequestType", json!(["Create"])),
        ("ResourceProperties", json!([["X"]])),
        ("ResourceType", json!("Custom::Unknown")),
    ];
    for (member, value) in cases {
        world(async |world| {
            let event = wrong(world, member, value);
            let ended = world.lambda.attempt(&Author::resource(stack, "Role"), "r-1", &event.to_string()).await;
            assert_eq!(ended, Ended::Returned(Ok(())));
            assert!(!world.log.text().is_empty(), "it is logged");
            for line in world.log.text().lines() {
                assert_eq!(secrets(line), None, "{line}");
            }
        });
    }
}

#[test]
fn each_call_is_one_line_with_resource_request_id_and_duration() {
    for (kind, operation) in everywhere() {
        world(async |world| {
            let mut stack = world.stack("s");
            operation.prepare(world, &mut stack, kind).await;
            world.log.clear();
            world.fault(At::OfStep { step: OPERATION, call: 1 }, When::Before, Fault::Throttle);
            assert_eq!(operation.perform(&mut stack, kind).await, operation.done(), "{}", world.story());
            world.lambda.settle().await;
            let lines = world.log_lines();
            let mut made: Vec<String> = world
                .calls_of_step(OPERATION)
                .iter()
                .filter(|call| call.service != "s3")
                .map(|call| format!("{}:{} 00000000-0000-4000-8000-{:012x}", call.service, call.action, call.number))
                .collect();
            let calls: Vec<&Value> = lines.iter().filter(|line| called(line).is_some()).collect();
            let mut logged: Vec<String> = calls
                .iter()
                .map(|line| format!("{} {}", line["call"].as_str().unwrap(), line["request_id"].as_str().unwrap()))
                .collect();
            made.sort();
            logged.sort();
            assert_eq!(logged, made, "{}", world.log.text());
            for line in calls {
                assert!(line["resource"].as_str().is_some_and(|resource| !resource.is_empty()), "{line}");
                assert!(line["duration_ms"].as_u64().is_some_and(|duration| duration >= 20), "{line}");
                assert_eq!(line["span"]["request_id"], json!(world.last().id), "{line}");
                assert_eq!(line["span"]["logical_id"], json!(world.last().logical), "{line}");
            }
            let planned = lines.iter().position(|line| line["message"] == "planned").expect("the plan is logged");
            let changing = |line: &Value| {
                called(line)
                    .is_some_and(|call| ["Get", "List", "Describe", "GET"].iter().all(|read| !call.contains(read)))
            };
            let changed = lines.iter().position(|line| changing(line) && line["code"].is_null());
            // A shared provider's deletion is announced before it is decided.
            let announced = operation == Operation::Delete && lines[planned]["kind"] == "Custom::GitHubOidcProvider";
            assert!(announced || changed.is_none_or(|changed| planned < changed), "{}", world.log.text());
        });
    }
}

#[test]
fn a_failure_is_logged_with_its_reason() {
    world(async |world| {
        let bad = but(alone(ROLE, 1), json!({"MaxSessionDuration": 900}));
        assert_eq!(world.stack("s").create(&vec![bad]).await, Status::RollbackComplete);
        let failed = world.log_lines().into_iter().find(|line| line["message"] == "failed").expect("a line");
        assert_eq!(failed["level"], "ERROR");
        assert!(failed["reason"].as_str().unwrap().contains("`MaxSessionDuration`: expected"), "{failed}");
    });
}

#[test]
fn an_undelivered_answer_is_logged_with_how_to_give_it_by_hand() {
    world(async |world| {
        let denied = Refusal::new("AccessDenied", 403, "no");
        world.fault(At::every("PutObject"), When::Before, Fault::Refuse(denied));
        let mut stack = world.hasty_stack("s", 60);
        Operation::Create.perform(&mut stack, ROLE).await;
        world.lambda.settle().await;
        let lines = world.log_lines();
        let by_hand = |line: &&Value| line["message"].as_str().is_some_and(|text| text.contains("To answer by hand"));
        let line = lines.iter().find(by_hand).expect("such a line");
        let message = line["message"].as_str().unwrap();
        assert!(
            message.contains("curl -X PUT -H 'Content-Type:' --data-binary @answer.json \"$ResponseURL\""),
            "{message}"
        );
        assert_eq!(line["problem"], "status 403");
        // The answer as logged is the answer as it would have been sent.
        let answer: Value = serde_json::from_str(line["answer"].as_str().unwrap()).unwrap();
        let create = &world.sent()[0];
        assert_eq!(answer["RequestId"], json!(create.id));
        assert_eq!(answer["Status"], "SUCCESS");
        assert_eq!(answer["PhysicalResourceId"], "deploy");
        // Done as the line says, it is accepted.
        assert!(super::super::answer::mistakes(line["answer"].as_str().unwrap().as_bytes(), create).is_empty());
        for line in world.log.text().lines() {
            assert_eq!(secrets(line), None, "{line}");
        }
    });
}
