//! Rows 29 and 30: requests that are wrong, and those that ask us to answer somewhere else.

use serde_json::{Value, json};

use super::super::account::{PARTITION, REGION};
use super::super::author::Author;
use super::super::cloudformation::{RequestType, SERVICE_TOKEN, Status, strings};
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::lambda::Ended;
use super::fixtures::{KINDS, World, alone, but, world, world_with};
use super::interposed::through;

/// What a Create with these properties is refused with; nothing but the answer was sent.
fn refusal(kind: &str, changes: Value) -> String {
    world(async |world| {
        let mut stack = world.stack("s");
        let status = stack.create(&vec![but_null(alone(kind, 1), changes)]).await;
        assert_eq!(status, Status::RollbackComplete, "{}", world.story());
        let (reason, physical) = world.failure(&world.last_of(RequestType::Create));
        assert!(physical.starts_with("never-created/"), "{physical}");
        let others = world.calls().into_iter().filter(|call| !["s3", "cloudformation"].contains(&call.service)).count();
        assert_eq!(others, 0, "{}", world.story());
        reason
    })
}

/// As `but`; a null stays a null, and "absent" takes a property away.
fn but_null(
    mut declared: super::super::cloudformation::Declared,
    changes: Value,
) -> super::super::cloudformation::Declared {
    let members = declared.properties.as_object_mut().unwrap();
    let Value::Object(changes) = changes else { panic!("changes are members: {changes}") };
    for (name, value) in changes {
        if value == "absent" {
            members.remove(&name)
        } else {
            members.insert(name, value)
        };
    }
    declared
}

#[test]
fn row_29_each_mistake_is_told_exactly_and_before_any_call() {
    let issuer = "such as https://token.actions.githubusercontent.com";
    let cases = [
        (ROLE, json!({"MaxSessionDuration": 900}), "`MaxSessionDuration`: expected 3600 to 43200 seconds, found \"900\"".to_owned()),
        (ROLE, json!({"MaxSessionDuration": 43201}), "`MaxSessionDuration`: expected 3600 to 43200 seconds, found \"43201\"".to_owned()),
        (ROLE, json!({"MaxSessionDuration": "an hour"}), "`MaxSessionDuration`: expected 3600 to 43200 seconds, found \"an hour\"".to_owned()),
        (ROLE, json!({"MaxSesionDuration": 3600}), "unknown property `MaxSesionDuration`; did you mean `MaxSessionDuration`?".to_owned()),
        (ROLE, json!({"ProviderArn": "absent"}), "`ProviderArn` is required: the ARN of a GitHub OIDC provider in this account, such as !Ref of a Custom::GitHubOidcProvider".to_owned()),
        (ROLE, json!({"Trust": "absent"}), "`Trust` is required: a list of entries with `Repository` and at least one of `Branches`, `Tags`, `Environments`, `PullRequests: true`, `AnyRef: true` and `AllJobs: true`, or `Subjects`".to_owned()),
        (ROLE, json!({"Description": null}), "`Description`: expected".to_owned()),
        (ROLE, json!({"PermissionsBoundary": ""}), "`PermissionsBoundary`: expected a value (leave the property out with `!Ref AWS::NoValue`), found \"\"".to_owned()),
        (ROLE, json!({"Trust": [{"Repository": "acme/app", "PullRequests": "yes"}]}), "`Trust[0].PullRequests`: expected".to_owned()),
        (ROLE, json!({"Trust": [{"Repository": "acme/app*", "Branches": ["main"]}]}), "`Trust[0].Repository`: expected \"owner/name\" of one GitHub repository without wildcards (list each repository), found \"acme/app*\"".to_owned()),
        (PROVIDER, json!({"Url": "http://token.actions.githubusercontent.com"}), format!("`Url`: expected an https URL, {issuer}, found \"http://token.actions.githubusercontent.com\"")),
        (PROVIDER, json!({"ThumbprintList": []}), "`ThumbprintList`: expected 1 to 5 thumbprints (leave it out to have them verified and rotated), found an empty list".to_owned()),
        (PROVIDER, json!({"ThumbprintList": ["zz"]}), "`ThumbprintList[0]`: expected 40 hexadecimal digits, the SHA-1 of a certificate without colons, found \"zz\"".to_owned()),
        (PROVIDER, json!({"ClientIdLists": ["a"]}), "unknown property `ClientIdLists`; did you mean `ClientIdList`?".to_owned()),
        (ENTRY, json!({"PrincipalArn": "arn:aws:sts::111122223333:assumed-role/x/y"}), "`PrincipalArn`: expected the ARN of an IAM role or user, not of a session (write arn:aws:iam::111122223333:role/x, with its path), found \"arn:aws:sts::111122223333:assumed-role/x/y\"".to_owned()),
        (ENTRY, json!({"Type": "EC2_MACOS"}), "`Type`: expected one of STANDARD, EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, EC2, HYBRID_LINUX, HYPERPOD_LINUX, found \"EC2_MACOS\"".to_owned()),
        (ENTRY, json!({"Username": "system:masters"}), "`Username`: expected a name that does not begin with `system:`, which EKS reserves, found \"system:masters\"".to_owned()),
        (ENTRY, json!({"ClusterName": "absent"}), "`ClusterName` is required: the name of an EKS cluster, 1 to 100 letters, digits, hyphens and underscores".to_owned()),
    ];
    for (kind, change, expected) in cases {
        let reason = refusal(kind, change.clone());
        assert!(reason.starts_with(&format!("{kind}: {expected}")), "{change}: {reason}");
    }
}

#[test]
fn row_29_all_mistakes_are_told_at_once() {
    let reason = refusal(ROLE, json!({"MaxSessionDuration": 900, "Tag": "x", "ProviderArn": "absent", "Path": "x"}));
    for part in
        ["`ProviderArn` is required", "`Path`: expected", "`MaxSessionDuration`: expected", "unknown property `Tag`"]
    {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[test]
fn row_29_strings_for_numbers_and_booleans_are_read_as_what_they_say() {
    // The simulated CloudFormation makes a string of every scalar; here nothing is left to it.
    world(async |world| {
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "PullRequests": "false"}]);
        let written = but(alone(ROLE, 1), json!({"MaxSessionDuration": "7200", "Trust": trust}));
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![written]).await, Status::CreateComplete, "{}", world.story());
        let facets = &world.ours()[0].1.facets;
        assert_eq!(facets["max session"], "7200");
        assert!(!facets["trust"].contains("pull_request"), "\"false\" is not true");
    });
}

/// A request as CloudFormation would send it, and the key of its answer.
fn event(world: &World, kind: &str) -> Value {
    let stack = world.stack("s").id;
    let now = world.cloud.now();
    let key = format!("{stack}|It|r-1");
    let url = world.cloud.state().account.s3.presign(REGION, PARTITION, &key, now, std::time::Duration::from_hours(2));
    let mut properties = strings(&alone(kind, 1).properties);
    properties["ServiceToken"] = json!(SERVICE_TOKEN);
    json!({
        "RequestType": "Create", "ServiceToken": SERVICE_TOKEN, "ResponseURL": url, "StackId": stack, "RequestId": "r-1",
        "LogicalResourceId": "It", "ResourceType": kind, "ResourceProperties": properties,
    })
}

/// Delivers an event as it stands; what was answered, if anything.
async fn deliver(world: &World, event: &str) -> Option<Value> {
    let author = Author::resource("raw", "It");
    let ended = world.lambda.attempt(&author, "r-1", event).await;
    assert_eq!(ended, Ended::Returned(Ok(())), "{}", &event[..event.len().min(300)]);
    let state = world.cloud.state();
    assert!(state.account.s3.uploads.len() <= 1, "one answer");
    state.account.s3.uploads.last().map(|upload| serde_json::from_slice(&upload.body).unwrap())
}

#[test]
fn row_29_deeply_nested_and_huge_events_are_answered() {
    for kind in KINDS {
        world(async |world| {
            let mut event = event(world, kind);
            event["ResourceProperties"] = json!("HERE");
            let deep = format!("{{\"Policies\": {}{}}}", "[".repeat(200), "]".repeat(200));
            let answer = deliver(world, &event.to_string().replace("\"HERE\"", &deep)).await.unwrap();
            assert_eq!(answer["Status"], "FAILED");
            assert_eq!(answer["Reason"], "`ResourceProperties`: expected at most 127 levels of nesting, found more");
            assert_eq!(answer["PhysicalResourceId"], "never-created/r-1");
        });
        for huge in [json!("x".repeat(1 << 20)), json!(vec!["é"; 1 << 18]), json!({"x".repeat(1 << 20): "y"})] {
            world(async |world| {
                let mut event = event(world, kind);
                event["ResourceProperties"]["Tags"] = huge.clone();
                event["ResourceProperties"]["Huge"] = huge;
                let answer = deliver(world, &event.to_string()).await.unwrap();
                assert_eq!(answer["Status"], "FAILED");
                let reason = answer["Reason"].as_str().unwrap();
                let is_dense = reason == "`ResourceProperties`: it has too many values, or too long ones, to be read";
                assert!(reason.starts_with(kind) || is_dense, "{reason}");
                assert!(answer.to_string().len() <= 4096);
            });
        }
    }
}

#[test]
fn row_29_a_damaged_envelope_is_answered_wherever_it_can_be() {
    let wrong = [None, Some(Value::Null), Some(json!(7)), Some(json!([])), Some(json!({"a": "b"})), Some(json!(""))];
    let members = [
        "RequestType",
        "ServiceToken",
        "ResponseURL",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "ResourceType",
        "ResourceProperties",
        "PhysicalResourceId",
        "OldResourceProperties",
    ];
    for member in members {
        for value in &wrong {
            world(async |world| {
                let mut event = event(world, ROLE);
                event["RequestType"] = json!("Update");
                event["PhysicalResourceId"] = json!("deploy");
                event["OldResourceProperties"] = json!({});
                match value {
                    None => drop(event.as_object_mut().unwrap().remove(member)),
                    Some(value) => event[member] = value.clone(),
                }
                let answer = deliver(world, &event.to_string()).await;
                let unanswerable = ["ResponseURL", "StackId", "RequestId", "LogicalResourceId"].contains(&member);
                assert_eq!(answer.is_none(), unanswerable, "{member} {value:?}: {answer:?}");
                let status = answer.as_ref().map(|answer| answer["Status"].clone());
                let harmless = ["ServiceToken", "OldResourceProperties"].contains(&member);
                if let Some(status) = status {
                    let expected = if harmless { "SUCCESS" } else { "FAILED" };
                    assert_eq!(status, expected, "{member} {value:?}: {answer:?}");
                }
                if unanswerable {
                    assert_eq!(world.cloud.call_count(), 0, "{}", world.story());
                }
            });
        }
    }
}

#[test]
fn row_29_an_event_that_is_no_request_is_left_alone() {
    for event in ["{}", "[]", "null", "\"x\"", "7", "{\"Records\": []}"] {
        world(async |world| {
            assert_eq!(deliver(world, event).await, None);
            assert_eq!(world.cloud.call_count(), 0);
        });
    }
}

#[test]
fn row_30_no_other_host_is_contacted_and_the_log_names_it() {
    const BUCKET: &str = "cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com";
    let urls = [
        format!("http://{BUCKET}/key?X-Amz-Signature=s3cr3t"),
        format!("https://{BUCKET}:8443/key?X-Amz-Signature=s3cr3t"),
        format!("https://user:s3cr3t@{BUCKET}/key?X-Amz-Signature=s3cr3t"),
        format!("https://user@{BUCKET}/key?X-Amz-Signature=s3cr3t"),
        format!("https://{BUCKET}.evil.example/key?X-Amz-Signature=s3cr3t"),
        format!("https://evil.example/{BUCKET}?X-Amz-Signature=s3cr3t"),
        format!("https://{BUCKET}@evil.example/key?X-Amz-Signature=s3cr3t"),
        format!("https://evil.example#{BUCKET}/key?X-Amz-Signature=s3cr3t"),
        format!("https://evil.example\\{BUCKET}/key?X-Amz-Signature=s3cr3t"),
        "https://cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com/k?X-Amz-Signature=s3cr3t"
            .into(),
        "https://another-bucket.s3.eu-west-1.amazonaws.com/key?X-Amz-Signature=s3cr3t".into(),
        "https://169.254.169.254/latest/meta-data?X-Amz-Signature=s3cr3t".into(),
        "https://2852039166/key?X-Amz-Signature=s3cr3t".into(),
        "https://[::1]/key?X-Amz-Signature=s3cr3t".into(),
        "https://127.0.0.1:9001/2018-06-01/runtime?X-Amz-Signature=s3cr3t".into(),
        "file:///etc/passwd?X-Amz-Signature=s3cr3t".into(),
        "s3cr3t".into(),
    ];
    for url in urls {
        for (kind, request) in KINDS.into_iter().flat_map(|kind| ["Create", "Update", "Delete"].map(|one| (kind, one)))
        {
            world(async |world| {
                let mut event = event(world, kind);
                event["ResponseURL"] = json!(url);
                event["RequestType"] = json!(request);
                event["PhysicalResourceId"] = json!("deploy");
                assert_eq!(deliver(world, &event.to_string()).await, None);
                assert_eq!(world.cloud.call_count(), 0, "{url}\n{}", world.story());
                let log = world.log.text();
                assert!(log.contains("`ResponseURL` is not contacted") && !log.contains("s3cr3t"), "{log}");
            });
        }
    }
}

#[test]
fn row_30_a_redirect_is_not_followed() {
    let redirect = |request: &aws_smithy_runtime_api::client::orchestrator::HttpRequest| {
        if request.method() != "PUT" {
            return None;
        }
        let mut response = aws_smithy_runtime_api::client::orchestrator::HttpResponse::new(
            307.try_into().unwrap(),
            aws_smithy_types::body::SdkBody::empty(),
        );
        response.headers_mut().insert("location", "https://169.254.169.254/?X-Amz-Signature=s3cr3t");
        Some(response)
    };
    world_with(
        |cloud| through(cloud, redirect),
        async |world| {
            let mut stack = world.hasty_stack("s", 60);
            let event = event(world, ROLE);
            let author = Author::resource(&stack.id, "It");
            let ended = world.lambda.attempt(&author, "r-1", &event.to_string()).await;
            let failed = "the answer could not be delivered: status 307".to_owned();
            assert_eq!(ended, Ended::Returned(Err(failed)), "{}", world.story());
            assert!(
                world.calls().iter().all(|call| ["iam", "github", "cloudformation"].contains(&call.service)),
                "{}",
                world.story()
            );
            assert!(!world.log.text().contains("s3cr3t"));
            stack.resources.clear();
        },
    );
}

#[test]
fn row_30_the_response_bucket_is_answered_under_each_of_its_names() {
    const BUCKET: &str = "cloudformation-custom-resource-response-euwest1";
    for host in ["s3.eu-west-1.amazonaws.com", "s3-eu-west-1.amazonaws.com", "s3.amazonaws.com"] {
        world(async |world| {
            let mut event = event(world, ROLE);
            let url = event["ResponseURL"].as_str().unwrap();
            let named = url.replace(&format!("{BUCKET}.s3.eu-west-1.amazonaws.com"), &format!("{BUCKET}.{host}"));
            event["ResponseURL"] = json!(named);
            let answer = deliver(world, &event.to_string()).await;
            assert_eq!(answer.unwrap()["Status"], "SUCCESS", "{host}");
        });
    }
}
