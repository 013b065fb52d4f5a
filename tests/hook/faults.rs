//! The matrix of faults of a hook: times, sizes, URLs and shapes. After each one there is an answer within 30 seconds, which
//! blocks nothing.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Bucket, ROLE, answered, asked, bytes, change, event, main_branch, payload};
use crate::simulation::cloud::Cloud;
use crate::simulation::faults::{At, Fault, When};

/// A fault, and the words that the answer has for it.
struct Case {
    name: String,
    event: String,
    bucket: Bucket,
    services: fn(&Cloud),
    message: &'static str,
}

fn case(name: &str, event: String, bucket: Bucket, message: &'static str) -> Case {
    Case { name: name.to_owned(), event, bucket, services: |_| {}, message }
}

fn of_bucket(name: &str, bucket: Bucket, message: &'static str) -> Case {
    case(name, event("change-set"), bucket, message)
}

fn of_services(name: &str, services: fn(&Cloud), message: &'static str) -> Case {
    Case { services, ..of_bucket(name, bytes(&payload(&main_branch())), message) }
}

fn every(cloud: &Cloud, action: &'static str, fault: Fault) {
    cloud.state().faults.plan(At::every(action), When::Before, fault);
}

/// A page after which another one comes, always.
fn endless(cloud: &Cloud) {
    for (action, list) in [
        ("ListAttachedRolePolicies", "AttachedPolicies"),
        ("ListRolePolicies", "PolicyNames"),
        ("ListRoleTags", "Tags"),
        ("ListOpenIDConnectProviderTags", "Tags"),
    ] {
        let page = format!(
            "<{action}Response><{action}Result><{list}/><IsTruncated>true</IsTruncated><Marker>m</Marker>\
             </{action}Result></{action}Response>"
        );
        every(cloud, action, Fault::Garbage(page));
    }
}

fn times() -> Vec<Case> {
    vec![
        of_bucket("a bucket that hangs", Bucket::Hangs, "did not come in time"),
        of_bucket("a bucket that drips", Bucket::Drips, "did not come in time"),
        of_services("GitHub that does not answer", |cloud| cloud.state().account.github.down = true, "not known yet"),
        of_services("IAM that hangs", |cloud| every(cloud, "*", Fault::Hang), "not known yet"),
        of_services("IAM out of order", |cloud| every(cloud, "*", Fault::ServerError), "not known yet"),
        of_services("services that throttle", |cloud| every(cloud, "*", Fault::Throttle), "not known yet"),
        of_services("services that are slow", |cloud| every(cloud, "*", Fault::Slow(LONG)), "not known yet"),
        of_services("pages without end", endless, ""),
    ]
}

const LONG: std::time::Duration = std::time::Duration::from_secs(12);

/// Text of about this length, dense with values.
fn dense(unit: &str, length: usize) -> String {
    let items = vec![unit; length / (unit.len() + 1)];
    format!("[{}]", items.join(","))
}

fn sizes() -> Vec<Case> {
    let with = |changes: &str| Bucket::Gives(format!(r#"{{"changedResources": {changes}}}"#).into_bytes());
    let context = |trust: &str| {
        let after = format!(r#"{{"Properties": {{"Trust": {trust}}}}}"#);
        json!([{"logicalResourceId": "R", "resourceType": ROLE, "action": "CREATE", "afterContext": after}]).to_string()
    };
    let template = |text: String| bytes(&json!({"template": text, "changedResources": []}));
    let many: Vec<Value> = (0..501).map(|at| change(&format!("R{at}"), ROLE, &json!({}))).collect();
    let deep = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
    let mut large: Value = serde_json::from_str(&event("resource")).unwrap();
    large["requestData"]["targetModel"]["previousResourceProperties"] = json!("x".repeat(5_900_000));
    let mut long: Value = serde_json::from_str(&event("cloud-control")).unwrap();
    let subjects: Vec<String> = (0..60_000).map(|at| format!("repo:acme/a*b*c{at}*")).collect();
    long["requestData"]["targetModel"]["resourceProperties"]["AssumeRolePolicyDocument"]["Statement"] = json!([{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},
        "Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": subjects}},
    }]);
    let dense_event = |unit: &str| {
        event("resource").replacen(
            "\"requestData\": {",
            &format!("\"requestData\": {{\"x\": {},", dense(unit, 5_900_000)),
            1,
        )
    };
    vec![
        of_bucket("a payload of 7 MB", Bucket::Gives(vec![b' '; 7_000_000]), "larger than 6000000 bytes"),
        of_bucket("dense lists", with(&dense("[0]", 5_900_000)), "too many values"),
        of_bucket("dense objects", with(&dense(r#"{"a":0}"#, 5_900_000)), "too many values"),
        of_bucket("dense numbers", with(&dense("0", 5_900_000)), "too many values"),
        of_bucket("a dense template", template(dense(r#"{"a":0}"#, 2_900_000)), "Nothing to tell"),
        of_bucket("a dense context", with(&context(&dense("[0]", 2_900_000))), "too many values"),
        of_bucket("501 changes", bytes(&json!({"changedResources": many})), "500"),
        of_bucket("a deep payload", with(&deep), "no JSON"),
        of_bucket("a deep context", with(&context(&deep)), ""),
        case("an event of 6 MB", large.to_string(), Bucket::Hangs, "Jobs of anybody"),
        case("an event of lists", dense_event("[0]"), Bucket::Hangs, "too many values"),
        case("an event of objects", dense_event(r#"{"a":0}"#), Bucket::Hangs, "too many values"),
        case("a trust policy of 6 MB", long.to_string(), Bucket::Hangs, "longer than IAM takes"),
    ]
}

fn urls() -> Vec<Case> {
    let here = "hooks-payload.s3.eu-west-1.amazonaws.com";
    let table = [
        ("http", format!("http://{here}/k?X-Amz-Signature=s3cr3t"), "https"),
        ("another port", format!("https://{here}:8443/k?X-Amz-Signature=s3cr3t"), "443"),
        ("user information", format!("https://me:s3cr3t@{here}/k?X-Amz-Signature=s3cr3t"), "user information"),
        ("no signature", format!("https://{here}/k"), "no signature"),
        ("a host that goes on", format!("https://{here}.evil.example/k?s3cr3t"), "not S3 in the region"),
        ("a host in the path", format!("https://evil.example/{here}?s3cr3t"), "not S3 in the region"),
        ("another region", "https://b.s3.us-east-1.amazonaws.com/k?s3cr3t".to_owned(), "not S3 in the region"),
        ("S3 without a region", "https://b.s3.amazonaws.com/k?s3cr3t".to_owned(), "not S3 in the region"),
        ("another partition", "https://b.s3.eu-west-1.amazonaws.com.cn/k?s3cr3t".to_owned(), "not S3 in the region"),
        ("the metadata service", "https://169.254.169.254/k?s3cr3t".to_owned(), "address"),
        ("IPv6", "https://[::1]/k?s3cr3t".to_owned(), "address"),
        ("a file", "file:///etc/passwd?s3cr3t".to_owned(), "https"),
        ("no URL", "s3cr3t".to_owned(), "`payload` is not contacted: it is not a URL"),
        ("an empty URL", String::new(), "not a URL"),
    ];
    let mut cases: Vec<Case> = table
        .into_iter()
        .map(|(name, url, message)| {
            let mut asked: Value = serde_json::from_str(&event("change-set")).unwrap();
            asked["requestData"]["payload"] = json!(url);
            // No request leaves the function.
            case(name, asked.to_string(), Bucket::Panics, message)
        })
        .collect();
    cases.push(of_bucket("a redirect", Bucket::Redirects, "status 307"));
    cases.push(of_bucket("a refusal", Bucket::Status(403), "status 403"));
    cases.push(of_bucket("a connection that breaks", Bucket::Breaks, "could not be fetched"));
    cases.push(of_bucket("a panic", Bucket::Panics, "a defect"));
    cases
}

fn shapes() -> Vec<Case> {
    let mut cases = vec![
        of_bucket("an empty payload", Bucket::Gives(Vec::new()), "no JSON"),
        of_bucket("garbage", Bucket::Gives(b"\xff\xfe{".to_vec()), "no JSON"),
        of_bucket("a list", bytes(&json!([])), "no `changedResources`"),
        of_bucket("changes that are none", bytes(&json!({"changedResources": "all"})), "no `changedResources`"),
        of_bucket(
            "changes of no shape",
            bytes(&json!({"changedResources": [1, null, {}, {"resourceType": 7}]})),
            "Nothing to tell",
        ),
        of_bucket(
            "contexts of no shape",
            bytes(&json!({"changedResources": [
                {"logicalResourceId": 1, "resourceType": "AWS::S3::Bucket", "action": [], "afterContext": "{"},
            ]})),
            "Nothing to tell",
        ),
    ];
    let of_text = |text: &str| Bucket::Gives(text.as_bytes().to_vec());
    let payload = payload(&main_branch()).to_string();
    let twice = payload.replacen("\"changedResources\":", "\"changedResources\":[],\"changedResources\":", 1);
    cases.push(of_bucket("a payload with a key twice", of_text(&twice), "the payload: `changedResources` twice"));
    let twice = payload.replacen(r#"\"Trust\":"#, r#"\"Trust\":[],\"Trust\":"#, 1);
    let told = "cannot be read: `Properties.Trust` twice";
    cases.push(of_bucket("a context with a key twice", of_text(&twice), told));
    let twice =
        event("resource").replacen("\"resourceProperties\":", "\"resourceProperties\":{},\"resourceProperties\":", 1);
    let told = "the event: `requestData.targetModel.resourceProperties` twice";
    cases.push(case("an event with a key twice", twice, Bucket::Hangs, told));
    // Each member of each event in another shape, and without it.
    for name in ["resource", "cloud-control", "stack", "change-set"] {
        let sound: Value = serde_json::from_str(&event(name)).unwrap();
        let members = sound.as_object().unwrap().keys().map(|member| format!("/{member}"));
        let data = sound["requestData"].as_object().unwrap().keys().map(|member| format!("/requestData/{member}"));
        for place in members.chain(data).filter(|place| place != "/actionInvocationPoint") {
            for value in [Value::Null, json!([]), json!({}), json!("?"), json!(7)] {
                let mut asked = sound.clone();
                *asked.pointer_mut(&place).unwrap() = value.clone();
                let mut case = case(&format!("{name}{place} {value}"), asked.to_string(), Bucket::Hangs, "");
                case.message = if ["resource", "cloud-control"].contains(&name) { "any" } else { "" };
                cases.push(case);
            }
        }
    }
    cases
}

#[test]
fn each_fault_of_a_hook_is_answered_within_30_seconds_and_blocks_nothing() {
    let cases: Vec<Case> = [times(), sizes(), urls(), shapes()].into_iter().flatten().collect();
    let count = cases.len();
    for Case { name, event, bucket, services, message } in cases {
        let began = Instant::now();
        let (answer, seconds) = answered(&event, bucket, |cloud, _| services(cloud));
        let told = answer["message"].as_str().unwrap_or_default();
        // The role of these events is refused for its trust, unless the fault hides that.
        let finds = told.contains("Jobs of anybody");
        assert_eq!(answer["hookStatus"], if finds { "FAILED" } else { "SUCCESS" }, "{name}: {answer:#}");
        assert!(message == "any" || told.contains(message), "{name}, {message}: {answer:#}");
        // Those of the world, and those of the function itself.
        assert!(seconds < 30, "{name}: {seconds} s");
        assert!(began.elapsed().as_secs() < 30, "{name}: {:?}", began.elapsed());
        assert!(!answer.to_string().contains("s3cr3t"), "{name}: {answer:#}");
    }
    println!("{count} faults");
}

#[test]
fn a_deep_declaration_is_a_mistake_of_its_author() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let change = json!({"logicalResourceId": "R", "resourceType": ROLE, "action": "CREATE",
        "afterContext": format!(r#"{{"Properties": {{"Trust": {deep}}}}}"#)});
    let answer = asked(&event("change-set"), bytes(&json!({"changedResources": [change]})));
    assert_eq!(answer["hookStatus"], "FAILED", "{answer:#}");
}
