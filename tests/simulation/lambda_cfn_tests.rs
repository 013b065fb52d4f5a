//! Lambda and CloudFormation, rehearsed with handlers of a few lines.

use std::rc::Rc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use github_trust::settings::Settings;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::answer::{self, Verdict};
use super::author::Author;
use super::cloud::Cloud;
use super::cloudformation::{CloudFormation, Declared, Disturbance, RequestType, Status};
use super::faults::{At, Fault, When};
use super::lambda::{Delivery, Ended, Function, Lambda, Running};
use super::world::World;

/// Runs a story with a handler, which is given the event and may answer.
fn rehearse<F: Future<Output = ()>>(
    handler: impl Fn(Cloud, Value) -> Running + 'static,
    story: impl FnOnce(Cloud, CloudFormation) -> F,
) {
    let function: Function =
        Rc::new(move |cloud, event, _deadline| handler(cloud.clone(), serde_json::from_str(&event).unwrap()));
    World::with(
        Settings::default(),
        |_| Rc::clone(&function),
        |_, _| {},
        async |world| {
            let lambda = Lambda::new(&world.cloud, &function, Duration::from_mins(5));
            story(world.cloud.clone(), CloudFormation::new(&world.cloud, &lambda)).await;
        },
    );
}

async fn put(cloud: &Cloud, event: &Value, body: &Value) -> Result<(), String> {
    let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
    request.set_method("PUT").unwrap();
    request.set_uri(event["ResponseURL"].as_str().unwrap()).unwrap();
    request.headers_mut().insert("content-type", "");
    let response = cloud.connector().call(request).await.map_err(|error| format!("{error:?}"))?;
    let text = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
    if response.status().is_success() { Ok(()) } else { Err(text) }
}

fn answered(event: &Value, status: &str, physical: &str) -> Value {
    json!({
        "Status": status, "Reason": "because", "PhysicalResourceId": physical, "Data": {"Arn": "arn"},
        "StackId": event["StackId"], "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
    })
}

/// Does what it is asked, under an id that is the property `Name`; fails where `Fail` is set.
fn obedient(cloud: Cloud, event: Value) -> Running {
    Box::pin(async move {
        let status = if event["ResourceProperties"]["Fail"] == "true" { "FAILED" } else { "SUCCESS" };
        let name = match event["RequestType"].as_str() {
            Some("Delete") => event["PhysicalResourceId"].as_str(),
            _ => event["ResourceProperties"]["Name"].as_str(),
        };
        put(&cloud, &event, &answered(&event, status, name.unwrap())).await
    })
}

fn thing(logical: &str, properties: Value) -> Declared {
    Declared { logical: logical.to_owned(), kind: "Custom::Thing".to_owned(), properties }
}

fn told(cloudformation: &CloudFormation) -> Vec<String> {
    let tell = |sent: &super::cloudformation::Sent| {
        format!("{:?} {} {}", sent.kind, sent.logical, sent.physical.as_deref().unwrap_or("-"))
    };
    cloudformation.sent().iter().map(tell).collect()
}

#[test]
fn a_failed_creation_is_followed_by_a_delete_with_the_answered_id() {
    rehearse(obedient, |_, cloudformation| async move {
        let mut stack = cloudformation.stack("s");
        let template = vec![
            thing("A", json!({"Name": "a"})),
            thing("B", json!({"Name": {"Ref": "A"}, "Fail": true, "Of": {"Fn::GetAtt": ["A", "Arn"]}})),
        ];
        assert_eq!(stack.create(&template).await, Status::DeleteFailed, "it fails its Delete, too");
        assert_eq!(told(&cloudformation), ["Create A -", "Create B -", "Delete B a"]);
        assert_eq!(cloudformation.sent()[1].properties, json!({"Name": "a", "Fail": true, "Of": "arn"}));
    });
}

#[test]
fn an_update_that_changes_the_id_is_a_replacement_and_is_cleaned_up() {
    rehearse(obedient, |_, cloudformation| async move {
        let mut stack = cloudformation.stack("s");
        let template = |a: &str, b: &str| vec![thing("A", json!({"Name": a})), thing("B", json!({"Name": b}))];
        stack.create(&template("a", "b")).await;
        assert_eq!(stack.update(&template("a2", "b")).await, Status::UpdateComplete);
        assert_eq!(told(&cloudformation)[2..], ["Update A a", "Delete A a"]);
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete);
        assert_eq!(told(&cloudformation)[4..], ["Delete B b", "Delete A a2"]);
    });
}

#[test]
fn an_update_is_rolled_back_by_an_update_a_replacement_by_a_delete() {
    for by_update in [false, true] {
        rehearse(obedient, |_, mut cloudformation| async move {
            cloudformation.rolls_back_replacements_by_update = by_update;
            let mut stack = cloudformation.stack("s");
            let template = |a: &str, fail: bool| {
                vec![thing("A", json!({"Name": a})), thing("B", json!({"Name": "b", "Fail": fail}))]
            };
            stack.create(&template("a", false)).await;
            assert_eq!(stack.update(&template("a2", true)).await, Status::UpdateRollbackComplete);
            let back: &[&str] = if by_update { &["Update A a2"] } else { &[] };
            let expected = [&["Update A a", "Update B b", "Update B b"], back, &["Delete A a2"]].concat();
            assert_eq!(told(&cloudformation)[2..], expected);
            assert_eq!(stack.resource("A").unwrap().physical, "a");
        });
    }
}

#[test]
fn a_rollback_that_fails_can_be_continued_without_the_resource_that_fails() {
    rehearse(obedient, |_, cloudformation| async move {
        let mut stack = cloudformation.stack("s");
        stack.create(&vec![thing("A", json!({"Name": "a", "Fail": false}))]).await;
        // By hand, so that the way back fails, too.
        stack.resources[0].1.properties = json!({"Name": "a", "Fail": true, "Old": true});
        let update = vec![thing("A", json!({"Name": "a", "Fail": true}))];
        assert_eq!(stack.update(&update).await, Status::UpdateRollbackFailed);
        assert_eq!(stack.continue_rollback(&[]).await, Status::UpdateRollbackFailed);
        assert_eq!(stack.continue_rollback(&["A"]).await, Status::UpdateRollbackComplete);
        assert_eq!(stack.resource("A").unwrap().properties["Old"], true);
    });
}

#[test]
fn an_event_is_tried_three_times_after_one_and_two_minutes() {
    let failing = |_, _| -> Running { Box::pin(async { Err("no".to_owned()) }) };
    rehearse(failing, |cloud, cloudformation| async move {
        let mut stack = cloudformation.stack("s");
        assert_eq!(stack.create(&vec![thing("A", json!({"Name": "a"}))]).await, Status::DeleteFailed);
        let attempts = cloudformation.lambda.attempts();
        assert_eq!(attempts.len(), 6);
        let pauses: Vec<u64> =
            attempts.windows(2).map(|two| two[1].began.duration_since(two[0].began).unwrap().as_secs()).collect();
        assert_eq!(pauses[..2], [60, 120]);
        assert_eq!(cloudformation.sent()[0].verdict, Some(Verdict::Silence));
        assert!(
            cloudformation.sent()[1].physical.as_deref().is_some_and(|id| id.starts_with("s-A-")),
            "an invented id"
        );
        assert_eq!(cloud.state().clock.elapsed().as_secs(), 7200, "CloudFormation waited an hour, twice");
    });
}

#[test]
fn a_killed_invocation_is_tried_again_and_a_hanging_one_ends() {
    rehearse(obedient, |cloud, cloudformation| async move {
        cloud.state().faults.plan(At::OfInvocation { invocation: 1, call: 1 }, When::Before, Fault::Kill);
        cloud.state().faults.plan(At::OfInvocation { invocation: 2, call: 1 }, When::Before, Fault::Hang);
        let mut stack = cloudformation.stack("s");
        assert_eq!(stack.create(&vec![thing("A", json!({"Name": "a"}))]).await, Status::CreateComplete);
        let ended: Vec<_> =
            cloudformation.lambda.attempts().into_iter().map(|attempt| attempt.ended.unwrap()).collect();
        assert_eq!(ended[..2], [Ended::Killed, Ended::TimedOut]);
        assert_eq!(cloud.state().clock.elapsed().as_secs(), 60 + 300 + 120);
    });
}

#[test]
fn an_event_comes_twice_and_a_delete_comes_beside_a_create() {
    let slow = |cloud: Cloud, event: Value| -> Running {
        Box::pin(async move {
            let pause = if event["RequestType"] == "Create" { 30 } else { 0 };
            sleep(Duration::from_secs(pause)).await;
            obedient(cloud, event).await
        })
    };
    rehearse(slow, |cloud, cloudformation| async move {
        let duplicates = vec![Duration::ZERO, Duration::from_secs(5)];
        let delivery = Delivery { delay: Duration::from_secs(1), duplicates };
        cloudformation.disturb("A", Disturbance { delivery, cancelled_after: Some(Duration::from_secs(10)) });
        let mut stack = cloudformation.stack("s");
        assert_eq!(stack.create(&vec![thing("A", json!({"Name": "a"}))]).await, Status::RollbackComplete);
        assert_eq!(cloudformation.lambda.attempts().len(), 4);
        assert!(cloudformation.lambda.is_busy(), "the Creates still run");
        sleep(Duration::from_mins(1)).await;
        assert!(!cloudformation.lambda.is_busy());
        assert_eq!(cloud.state().account.s3.uploads.len(), 4);
    });
}

#[test]
fn an_answer_must_keep_the_protocol_and_come_before_the_url_expires() {
    rehearse(obedient, |cloud, cloudformation| async move {
        let stack = cloudformation.stack("s");
        let declared = thing("A", json!({"Name": "a"}));
        stack.send(RequestType::Create, &declared, None).await;
        let sent = &cloudformation.sent()[0];
        let body = |change: fn(&mut Value)| {
            let request = json!({"StackId": sent.stack, "RequestId": sent.id, "LogicalResourceId": sent.logical});
            let mut body = answered(&request, "FAILED", "a");
            change(&mut body);
            body.to_string().into_bytes()
        };
        assert!(answer::mistakes(&body(|_| {}), sent).is_empty());
        let wrong: [fn(&mut Value); 5] = [
            |body| body["RequestId"] = json!("x"),
            |body| body["PhysicalResourceId"] = json!(""),
            |body| body["Reason"] = Value::Null,
            |body| body["Status"] = json!("DONE"),
            |body| body["Reason"] = json!("x".repeat(5000)),
        ];
        for change in wrong {
            assert_eq!(answer::mistakes(&body(change), sent).len(), 1);
            assert!(matches!(answer::judge(&body(change), sent), Verdict::Failure { physical: None, .. }));
        }
        let event = json!({"ResponseURL": sent.url, "StackId": sent.stack});
        let forged = json!({"ResponseURL": sent.url.replace("X-Amz-Signature=0", "X-Amz-Signature=1")});
        assert!(put(&cloud, &forged, &json!({})).await.unwrap_err().contains("SignatureDoesNotMatch"));
        put(&cloud, &event, &json!({})).await.unwrap();
        sleep(Duration::from_hours(3)).await;
        assert!(put(&cloud, &event, &json!({})).await.unwrap_err().contains("Request has expired"));
        let elsewhere = json!({"ResponseURL": "https://example.com/x"});
        assert!(put(&cloud, &elsewhere, &json!({})).await.unwrap_err().contains("ConnectionRefused"));
    });
}

#[test]
fn the_author_of_a_call_is_known_by_the_invocation_that_runs() {
    let making = |cloud: Cloud, event: Value| -> Running {
        Box::pin(async move {
            let iam = super::sdk::iam(&cloud);
            let url = format!("https://{}.example", event["ResourceProperties"]["Name"].as_str().unwrap());
            iam.create_open_id_connect_provider().url(url).send().await.map_err(|error| error.to_string())?;
            obedient(cloud, event).await
        })
    };
    rehearse(making, |cloud, cloudformation| async move {
        let (one, two) = (cloudformation.stack("one"), cloudformation.stack("two"));
        let (a, b) = (thing("A", json!({"Name": "a"})), thing("B", json!({"Name": "b"})));
        tokio::join!(one.send(RequestType::Create, &a, None), two.send(RequestType::Create, &b, None));
        let authors: Vec<Author> = cloud.snapshot().objects.into_values().map(|object| object.made_by).collect();
        assert_eq!(authors, [Author::resource(&one.id, "A"), Author::resource(&two.id, "B")]);
        assert_eq!(cloud.calls_of(1), 2);
    });
}
