//! What the function answers CloudFormation's Lambda hooks: recorded events, change sets with their payload, native trust, and
//! a matrix of faults, after each of which the answer comes in time and blocks nothing.

mod faults;
mod public_templates;

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use futures_util::StreamExt;
use github_trust::app::App;
use github_trust::guardrails::Guardrails;
use github_trust::handler::InvocationContext;
use github_trust::hook::in_trust_policy;
use github_trust::settings::Settings;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};

use crate::simulation::account::{ACCOUNT, REGION};
use crate::simulation::cloud::Cloud;
use crate::simulation::cloudformation::SERVICE_TOKEN;
use crate::simulation::expected_state::{ENTRY, PROVIDER, ROLE};
use crate::simulation::function::function;
use crate::simulation::plan::Setting;
use crate::simulation::sdk::in_virtual_time;

const ISSUER: &str = "token.actions.githubusercontent.com";
const AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// What the bucket of payloads does.
#[derive(Clone, Debug)]
enum Bucket {
    Gives(Vec<u8>),
    Status(u16),
    Redirects,
    Hangs,
    /// A byte every second.
    Drips,
    Breaks,
    Panics,
}

/// The bucket of payloads; all other hosts are those of the simulation.
#[derive(Debug)]
struct Payloads {
    bucket: Bucket,
    others: SharedHttpConnector,
}

impl HttpConnector for Payloads {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !request.uri().contains("hooks-payload.s3.") {
            return self.others.call(request);
        }
        assert_eq!(request.method(), "GET");
        let answer_of = |status: u16, body: SdkBody| HttpResponse::new(status.try_into().unwrap(), body);
        let answer = |status: u16, body: Vec<u8>| answer_of(status, SdkBody::from(body));
        match self.bucket.clone() {
            Bucket::Gives(body) => HttpConnectorFuture::ready(Ok(answer(200, body))),
            Bucket::Status(status) => HttpConnectorFuture::ready(Ok(answer(status, b"<Error/>".to_vec()))),
            Bucket::Redirects => {
                let mut answer = answer(307, Vec::new());
                answer.headers_mut().insert("location", "https://evil.example/");
                HttpConnectorFuture::ready(Ok(answer))
            }
            Bucket::Hangs => HttpConnectorFuture::new(std::future::pending()),
            Bucket::Drips => HttpConnectorFuture::ready(Ok(answer_of(200, dripping()))),
            Bucket::Panics => panic!("a defect"),
            Bucket::Breaks => HttpConnectorFuture::ready(Err(ConnectorError::io("s3cr3t".into()))),
        }
    }
}

/// A body that comes byte by byte.
fn dripping() -> SdkBody {
    let bytes = futures_util::stream::repeat(()).then(async |()| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b" ")))
    });
    SdkBody::from_body_1_x(StreamBody::new(bytes))
}

fn event(name: &str) -> String {
    let path = format!("{}/events/hooks/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.replace("123456789012", ACCOUNT).replace("us-east-1", REGION)
}

/// The answer to an event, and the seconds until it came.
fn answered(event: &str, bucket: Bucket, prepare: impl FnOnce(&Cloud, &mut Settings)) -> (Value, u64) {
    in_virtual_time(async {
        let cloud = Cloud::new(1);
        cloud.change_now(|account, now| Setting::default().apply(account, now));
        let mut settings = Settings::default();
        prepare(&cloud, &mut settings);
        let http = SharedHttpConnector::new(Payloads { bucket, others: cloud.connector() });
        let app = App { http, ..function(&cloud, settings) };
        let began = cloud.now();
        let context = InvocationContext {
            deadline: began + Duration::from_mins(15),
            function_arn: format!("{SERVICE_TOKEN}:plan"),
        };
        let answer = app.handle(event, &context).await.expect("an answer");
        let changing = cloud.state().calls.iter().filter(|call| call.changing).count();
        assert_eq!(changing, 0, "a hook changes nothing");
        (answer, cloud.now().duration_since(began).unwrap().as_secs())
    })
}

fn asked(event: &str, bucket: Bucket) -> Value {
    answered(event, bucket, |_, _| {}).0
}

fn change(logical: &str, kind: &str, after: &Value) -> Value {
    json!({
        "logicalResourceId": logical, "resourceType": kind, "action": "CREATE", "lineNumber": 5,
        "beforeContext": null, "afterContext": json!({"Properties": after}).to_string(),
    })
}

fn payload(trust: &Value) -> Value {
    let written = json!({
        "ProviderArn": {"Ref": "Provider"}, "RoleName": "deploy", "Trust": trust,
    });
    let entry = json!({"ClusterName": "prod", "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]}});
    let template = json!({"Resources": {
        "Provider": {"Type": PROVIDER}, "Role": {"Type": ROLE, "Properties": written},
        "Entry": {"Type": ENTRY, "Properties": entry}, "Topic": {"Type": "AWS::SNS::Topic"},
    }});
    json!({"template": template.to_string(), "changedResources": [
        change("Entry", ENTRY, &json!({"ClusterName": "prod", "PrincipalArn": AFTER_APPLY, "ServiceToken": "x"})),
        change("Role", ROLE, &json!({"ProviderArn": AFTER_APPLY, "RoleName": "deploy", "Trust": trust, "ServiceToken": "x"})),
        change("Provider", PROVIDER, &json!({"ServiceToken": "x"})),
        change("Topic", "AWS::SNS::Topic", &json!({})),
    ]})
}

fn main_branch() -> Value {
    json!([{"Repository": "acme/app", "Branches": ["main"]}])
}

fn bytes(value: &Value) -> Bucket {
    Bucket::Gives(value.to_string().into_bytes())
}

#[test]
fn a_change_set_is_told_with_the_plan_of_each_of_our_resources() {
    let answer = asked(&event("change-set"), bytes(&payload(&main_branch())));
    assert_eq!(answer["hookStatus"], "SUCCESS", "{answer:#}");
    assert_eq!(answer["clientRequestToken"], "f4a1c2de-0000-4111-8222-333344445555");
    let names: Vec<&str> =
        answer["annotations"].as_array().unwrap().iter().map(|one| one["annotationName"].as_str().unwrap()).collect();
    assert_eq!(names, ["Provider", "Role", "Entry"]);
    let message = answer["message"].as_str().unwrap();
    for part in
        ["create a provider", "create the role", "let arn:aws:iam::111122223333:role/deploy into the cluster prod"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_change_set_with_a_mistake_or_a_refusal_is_not_compliant() {
    let wrong = json!([{"Repository": "acme/app", "Branchs": ["main"]}]);
    let answer = asked(&event("change-set"), bytes(&payload(&wrong)));
    assert_eq!((&answer["hookStatus"], &answer["errorCode"]), (&json!("FAILED"), &json!("NonCompliant")), "{answer:#}");
    assert!(answer["message"].as_str().unwrap().starts_with("Role (Custom::GitHubRole): it would fail"), "{answer:#}");
    let broad = json!([{"Repository": "acme/app", "AnyRef": "true"}]);
    let forbid = |_: &Cloud, settings: &mut Settings| {
        settings.guardrails = Guardrails::read(|name| (name == "ROLE_PATH").then(|| "/".to_owned()));
    };
    let (answer, _) = answered(&event("change-set"), bytes(&payload(&broad)), forbid);
    assert_eq!(answer["hookStatus"], "FAILED", "{answer:#}");
    assert!(answer["message"].as_str().unwrap().contains("(guardrail `AllowBroadTrust`)"), "{answer:#}");
}

#[test]
fn each_recorded_event_has_the_answer_of_its_table() {
    let nothing = || bytes(&json!({"changedResources": []}));
    for (name, status, message) in [
        ("resource", "FAILED", "Jobs of anybody"),
        ("cloud-control", "FAILED", "Jobs of anybody"),
        ("other-case", "FAILED", "Jobs of anybody"),
        ("stack", "SUCCESS", "Nothing to tell"),
        ("change-set", "SUCCESS", "Nothing to tell"),
        ("malformed-no-data", "SUCCESS", ""),
        ("malformed-data", "SUCCESS", ""),
        ("malformed-payload-elsewhere", "SUCCESS", "is not contacted"),
        ("malformed-stack", "SUCCESS", "is not the ARN of a stack"),
    ] {
        let answer = asked(&event(name), nothing());
        assert_eq!(answer["hookStatus"], status, "{name}: {answer:#}");
        assert!(answer["message"].as_str().unwrap().contains(message), "{name}: {answer:#}");
        assert!(!answer.to_string().contains("s3cr3t"), "{name}: {answer:#}");
        assert_eq!(answer["clientRequestToken"].is_string(), name != "malformed-no-data", "{name}: {answer:#}");
    }
}

#[test]
fn a_message_is_as_long_as_cloudformation_takes_it() {
    let trust: Vec<Value> = (0..60)
        .map(|n| json!({"Repository": format!("acme/app{n}"), "Branchs": [format!("{n}").repeat(30)]}))
        .collect();
    let answer = asked(&event("change-set"), bytes(&payload(&json!(trust))));
    assert_eq!(answer["message"].as_str().unwrap().chars().count(), 4096);
    let texts = answer["annotations"].as_array().unwrap();
    assert!(texts.iter().all(|one| one["statusMessage"].as_str().unwrap().chars().count() <= 1024));
}

fn policy(condition: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
        "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}")},
    }]})
}

#[test]
fn native_trust_that_is_too_broad_or_empty_is_found_and_no_other() {
    let sub = format!("{ISSUER}:sub");
    let like = |subjects: Value| json!({"StringLike": {sub.as_str(): subjects}});
    let equals = |subjects: Value| json!({"StringEquals": {sub.as_str(): subjects}});
    for (condition, found) in [
        (json!({}), "of anybody"),
        (json!({"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com"}}), "of anybody"),
        (like(json!("*")), "of anybody"),
        (like(json!("repo:*")), "of anybody"),
        (like(json!("repo:acme*")), "of anybody"),
        (like(json!(["repo:acme/app:ref:refs/heads/main", "repo:*/app:*"])), "of anybody"),
        (like(json!("repo:*/another-repository:*")), "of anybody"),
        (json!({"ForAllValues:StringLike": {sub.as_str(): "repo:acme/*"}}), "every repository of acme"),
        (like(json!("repo:acme/*")), "every repository of acme"),
        (like(json!("repo:acme@12/*")), "every repository of acme"),
        (like(json!("repo:acme/app:*")), "Every job of acme/app"),
        (like(json!("repo:acme@12/app@34:*")), "Every job of acme/app"),
        (equals(json!("repo:acme/app:*")), "Nobody can assume"),
        (equals(json!(["repo:acme/*", "repo:acme/app:ref:refs/heads/*"])), "Nobody can assume"),
        (equals(json!("repo:acme/app:ref:refs/heads/main")), ""),
        (like(json!("repo:acme/app:ref:refs/heads/release/*")), ""),
        (equals(json!(["repo:acme/app:*", "repo:acme/app:pull_request"])), ""),
        // A claim of the token keeps some others out, and the caller's address may.
        (
            json!({"StringLike": {sub.as_str(): "repo:*"}, "StringEquals": {format!("{ISSUER}:repository_owner_id"): "12"}}),
            "every repository of",
        ),
        (
            json!({"StringLike": {sub.as_str(): "repo:*"}, "StringEqualsIfExists": {format!("{ISSUER}:repository_id"): "12"}}),
            "Every job of",
        ),
        (json!({"StringLike": {sub.as_str(): "repo:*"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), ""),
        (json!({"StringLike": {sub.as_str(): "repo:*"}, "StringNotLike": {sub.as_str(): "repo:*"}}), ""),
    ] {
        let findings = in_trust_policy(&policy(&condition));
        match findings.first() {
            Some(finding) => assert!(!found.is_empty() && finding.what.contains(found), "{condition}: {finding:?}"),
            None => assert_eq!(found, "", "{condition}"),
        }
    }
    let others = json!({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]});
    assert_eq!(in_trust_policy(&others), []);
    let whole = in_trust_policy(&policy(&like(json!("repo:acme/app:*"))));
    assert_eq!(whole[0].instead, Some(json!([{"Repository": "acme/app", "Branches": ["main"]}])));
}

#[test]
fn a_policy_text_is_read_and_a_key_that_stands_twice_is_told() {
    let sub = format!("{ISSUER}:sub");
    let narrow = json!({"StringEquals": {sub.as_str(): "repo:acme/app:ref:refs/heads/main"}});
    let text = policy(&narrow).to_string();
    assert_eq!(in_trust_policy(&json!(text)), []);
    let wide = policy(&json!({"StringLike": {sub.as_str(): "repo:acme/app:*"}})).to_string();
    assert!(in_trust_policy(&json!(wide))[0].what.contains("Every job of acme/app"));
    let twice = text.replace("\"Condition\":", "\"Condition\":{},\"Condition\":");
    let findings = in_trust_policy(&json!(twice));
    assert_eq!(findings.len(), 1, "{twice}");
    assert!(findings[0].what.contains("`Statement[0].Condition` twice"), "{findings:?}");
}

#[test]
fn broad_trust_is_refused_or_not_by_the_choice_of_the_deployment() {
    let mut hook: Value = serde_json::from_str(&event("resource")).unwrap();
    let sub = json!({"StringLike": {format!("{ISSUER}:sub"): "repo:acme/*"}});
    hook["requestData"]["targetModel"]["resourceProperties"]["AssumeRolePolicyDocument"] = policy(&sub);
    for (allowed, status) in [("true", "SUCCESS"), ("false", "FAILED")] {
        let choose = |_: &Cloud, settings: &mut Settings| {
            settings.guardrails = Guardrails::read(|name| (name == "ALLOW_BROAD_TRUST").then(|| allowed.to_owned()));
        };
        let (answer, _) = answered(&hook.to_string(), Bucket::Hangs, choose);
        assert_eq!(answer["hookStatus"], status, "{answer:#}");
    }
}

#[test]
fn broad_trust_of_an_exempt_stack_is_told_and_refuses_nothing() {
    for (name, exemption, status) in [
        ("resource", "AllowBroadTrust:quickstart:2999-12-31", "SUCCESS"),
        ("resource", "AllowBroadTrust:quickstart:2020-12-31", "FAILED"),
        ("resource", "AllowBroadTrust:other:2999-12-31", "FAILED"),
        ("resource", "AllowBroadTrust:quickstart/Role:2999-12-31", "SUCCESS"),
        ("resource", "AllowBroadTrust:quickstart/Other:2999-12-31", "FAILED"),
        ("resource", "MaxSessionDuration:quickstart:2999-12-31", "FAILED"),
        ("cloud-control", "AllowBroadTrust:*:2999-12-31", "FAILED"),
    ] {
        let mut hook: Value = serde_json::from_str(&event(name)).unwrap();
        let sub = json!({"StringLike": {format!("{ISSUER}:sub"): "repo:acme/*"}});
        hook["requestData"]["targetModel"]["resourceProperties"]["AssumeRolePolicyDocument"] = policy(&sub);
        let exempt = |_: &Cloud, settings: &mut Settings| {
            settings.guardrails =
                Guardrails::read(|name| (name == "GUARDRAIL_EXEMPTIONS").then(|| exemption.to_owned()));
        };
        let (answer, _) = answered(&hook.to_string(), Bucket::Hangs, exempt);
        assert_eq!(answer["hookStatus"], status, "{exemption}: {answer:#}");
        let message = answer["message"].as_str().unwrap();
        let is_told = message.contains(&format!("allowed by the exemption {exemption}"));
        assert_eq!(is_told, status == "SUCCESS", "{exemption}: {answer:#}");
    }
}

#[test]
fn a_provider_whose_url_is_no_issuer_of_jobs_is_found() {
    let mut hook: Value = serde_json::from_str(&event("resource")).unwrap();
    hook["requestData"]["targetName"] = json!("AWS::IAM::OIDCProvider");
    for (url, status) in [("https://github.com", "FAILED"), ("https://token.actions.githubusercontent.com", "SUCCESS")]
    {
        hook["requestData"]["targetModel"]["resourceProperties"] = json!({"Url": url});
        assert_eq!(asked(&hook.to_string(), Bucket::Hangs)["hookStatus"], status, "{url}");
    }
}

#[test]
fn a_deployment_that_answers_no_questions_tells_no_plan() {
    let (answer, _) = answered(&event("change-set"), bytes(&payload(&main_branch())), |_, settings| {
        settings.guardrails = Guardrails::read(|name| (name == "ALLOW_EXPLAIN").then(|| "false".to_owned()));
    });
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Not evaluated: ") && message.contains("`AllowExplain`"), "{answer}");
    assert_eq!(answer.get("annotations"), None, "{answer}");
}
