//! Row 29, all over: whatever the API's own model limits is refused one below its minimum and one above its maximum, before
//! any call, and taken at both ends. The limits come from the model, not from us.

use serde_json::{Value, json};

use super::super::cloudformation::{RequestType, Status};
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::fixtures::{access, allow, alone, but, world};

/// A property at a size.
type Sized = fn(i64) -> Value;

/// A property and the shape of the model that limits it.
struct Limited {
    kind: &'static str,
    property: &'static str,
    service: &'static str,
    shape: &'static str,
    /// Where we allow less than the API: because room is kept for what we write ourselves, or because of what is known
    /// besides the model.
    stricter: Option<(i64, i64)>,
    at: Sized,
}

fn text(size: i64) -> String {
    "a".repeat(usize::try_from(size).unwrap_or_default())
}

/// With a beginning and an end, `size` characters in all where that is possible.
fn between(beginning: &str, size: i64, end: &str) -> String {
    let fixed = i64::try_from(beginning.len() + end.len()).unwrap_or_default();
    if size < fixed { text(size) } else { format!("{beginning}{}{end}", text(size - fixed)) }
}

fn tags(count: i64) -> Value {
    (0..count).map(|number| json!({"Key": format!("k{number}"), "Value": ""})).collect()
}

/// A policy document of so many characters, in the form that we write: a list of one is its item.
fn document(size: i64) -> Value {
    let of = |action: &str| {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        json!({"Version": "2012-10-17", "Statement": statement})
    };
    let empty = i64::try_from(of("s3:").to_string().len()).unwrap_or_default();
    of(&format!("s3:{}", text(size - empty)))
}

/// The characters of the shortest policy that these tests write.
const LEAST_DOCUMENT: i64 = 90;

fn of(kind: &'static str, property: &'static str, service: &'static str, shape: &'static str, at: Sized) -> Limited {
    Limited { kind, property, service, shape, stricter: None, at }
}

fn stricter(least: i64, most: i64, mut limited: Limited) -> Limited {
    limited.stricter = Some((least, most));
    limited
}

fn limited() -> Vec<Limited> {
    let mut all = vec![
        // Of one of GitHub's forms, the shortest of which is longer than the model's least.
        stricter(
            28,
            255,
            of(PROVIDER, "Url", "iam", "OpenIDConnectProviderUrlType", |size| {
                // A label of a host name has 63 characters at most.
                let labels = between("https://", size, ".ab/_services/token");
                json!(labels.replace(&"a".repeat(64), &format!("{}.", "a".repeat(63))))
            }),
        ),
        of(PROVIDER, "ClientIdList", "iam", "clientIDType", |size| json!([text(size)])),
        of(PROVIDER, "ThumbprintList", "iam", "thumbprintType", |size| json!([text(size)])),
        of(ROLE, "RoleName", "iam", "roleNameType", |size| json!(text(size))),
        of(ROLE, "Path", "iam", "pathType", |size| if size == 1 { json!("/") } else { json!(between("/", size, "/")) }),
        of(ROLE, "Description", "iam", "roleDescriptionType", |size| json!(text(size))),
        of(ROLE, "MaxSessionDuration", "iam", "roleMaxSessionDurationType", |size| json!(size)),
        of(
            ROLE,
            "Policies",
            "iam",
            "policyNameType",
            |size| json!([{"PolicyName": text(size), "PolicyDocument": allow("s3:GetObject")}]),
        ),
        // A role has room for fewer characters than the model, and no document is shorter than its braces.
        stricter(
            LEAST_DOCUMENT,
            10_240,
            of(ROLE, "Policies", "iam", "policyDocumentType", |size| {
                let short = size < LEAST_DOCUMENT;
                json!([{"PolicyName": "p", "PolicyDocument": if short { json!("") } else { document(size) }}])
            }),
        ),
    ];
    all.extend(limited_of_entries());
    for property in ["PermissionsBoundary", "ManagedPolicyArns"] {
        // The shortest ARN of a policy is longer than the model's least.
        let at: Sized = if property == "PermissionsBoundary" {
            |size| json!(between("arn:aws:iam::111122223333:policy/", size, ""))
        } else {
            |size| json!([between("arn:aws:iam::111122223333:policy/", size, "")])
        };
        all.push(stricter(34, 2048, of(ROLE, property, "iam", "arnType", at)));
    }
    for (kind, service, key, value, most) in [
        (PROVIDER, "iam", "tagKeyType", "tagValueType", 8),
        (ROLE, "iam", "tagKeyType", "tagValueType", 43),
        (ENTRY, "eks", "TagKey", "TagValue", 40),
    ] {
        let of = |shape, at| Limited { kind, property: "Tags", service, shape, stricter: None, at };
        all.push(of(key, |size| json!([{"Key": text(size), "Value": ""}])));
        all.push(of(value, |size| json!([{"Key": "k", "Value": text(size)}])));
        let list = if service == "iam" { "tagListType" } else { "TagMap" };
        all.push(stricter(0, most, of(list, tags)));
    }
    all
}

fn limited_of_entries() -> Vec<Limited> {
    vec![
        // A principal's name and path are IAM's.
        of(ENTRY, "PrincipalArn", "iam", "roleNameType", |size| {
            json!(format!("arn:aws:iam::111122223333:role/{}", text(size)))
        }),
        of(ENTRY, "PrincipalArn", "iam", "pathType", |size| {
            let path = match size {
                0 => String::new(),
                1 => "/".to_owned(),
                size => between("/", size, "/"),
            };
            json!(format!("arn:aws:iam::111122223333:role{path}given"))
        }),
        // The model has no limits for what Kubernetes knows. Namespaces are labels of RFC 1123, groups end where names do.
        stricter(1, 253, of(ENTRY, "KubernetesGroups", "eks", "String", |size| json!([text(size)]))),
        stricter(
            1,
            63,
            of(ENTRY, "AccessPolicies", "eks", "String", |size| json!([access("AmazonEKSViewPolicy", &[&text(size)])])),
        ),
        // The model has no limits for EKS' names; those of a cluster are CreateCluster's.
        stricter(1, 100, of(ENTRY, "ClusterName", "eks", "String", |size| json!(text(size)))),
        stricter(
            0,
            20,
            of(ENTRY, "AccessPolicies", "eks", "String", |size| {
                (0..size).map(|number| access(&format!("Policy{}", text(number + 1)), &[])).collect()
            }),
        ),
    ]
}

/// The least and the most that the model allows.
fn of_the_model(service: &str, shape: &str) -> (i64, Option<i64>) {
    let model: Value = serde_json::from_str(include_str!("../model.json")).unwrap();
    let shape = &model[service]["shapes"][shape];
    assert!(shape.is_object(), "the model of {service} has this shape");
    (shape["min"].as_i64().unwrap_or_default(), shape["max"].as_i64())
}

/// Whether a creation with the property at this size is refused for it, before any call.
fn is_refused(limited: &Limited, size: i64) -> bool {
    let Limited { kind, property, at, .. } = limited;
    world(async |world| {
        let declared = but(alone(kind, 1), json!({*property: at(size)}));
        let mut stack = world.stack("s");
        let status = stack.create(&vec![declared]).await;
        if status == Status::CreateComplete {
            return false;
        }
        let create = world.sent().into_iter().find(|sent| sent.kind == RequestType::Create).unwrap();
        let (reason, _) = world.failure(&create);
        if !reason.contains(&format!("`{property}")) {
            // Taken by us, and refused by a service for another reason: there is no such policy, no such cluster.
            return false;
        }
        let calls = world.calls_for(&create);
        calls.iter().all(|call| call.service == "s3")
    })
}

#[test]
fn row_29_every_limit_of_the_api_s_model_is_held_before_any_call() {
    let mut checked = 0;
    for limited in limited() {
        let Limited { kind, property, service, shape, stricter, at: _ } = &limited;
        let (least, most) = of_the_model(service, shape);
        let what = format!("{kind} `{property}` ({service} {shape})");
        let (our_least, our_most) = stricter.unwrap_or_else(|| (least, most.expect("a maximum")));
        // Beside the author's tags there are always ours.
        let enough = our_least >= least || *property == "Tags";
        assert!(enough && most.is_none_or(|most| our_most <= most), "{what}: we allow more than the API");
        for size in [Some(our_most + 1), (our_least > 0).then(|| our_least - 1)].into_iter().flatten() {
            assert!(is_refused(&limited, size), "{what} at {size} is not refused");
            checked += 1;
        }
        // What would be left out at size 0 says nothing about that size.
        for size in [our_least.max(1), our_most] {
            assert!(!is_refused(&limited, size), "{what} at {size} is refused");
            checked += 1;
        }
    }
    println!("{checked} sizes at the edges of the model");
}
