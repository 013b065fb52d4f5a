//! The work of guardrails for the longest values that are accepted, and the longest lists of patterns that a deployment can have. A
//! value of a megabyte is refused before it is compared.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::cloudformation::{Fields, StackId};
use crate::deployment::Deployment;
use crate::guardrails::{GuardrailCheck, Guardrails};
use crate::iam_policy::string_like::STEPS;
use crate::reconcile::Resource;
use crate::resources::eks_access_entry::AccessEntries;
use crate::resources::github_role::GitHubRoles;
use crate::resources::github_variable::GitHubVariables;
use crate::resources::oidc_provider::OidcProviders;

/// The longest list of patterns: the variables of a function's environment have 4 KB together.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const PATTERNS: usize = 4096;

type Checks = fn(&Value) -> Result<Vec<GuardrailCheck>, String>;

/// A property that guardrails compare with patterns.
struct Case {
    name: &'static str,
    checks: Checks,
    /// The number of its texts, and the length of the longest that are accepted.
    size: (usize, usize),
    /// Makes a declaration of so many texts that begin with this one.
    properties: fn(usize, &str) -> Value,
}

fn case(name: &'static str, checks: Checks, size: (usize, usize), properties: fn(usize, &str) -> Value) -> Case {
    Case { name, checks, size, properties }
}

fn deployment() -> Deployment {
    Deployment {
        partition: "aws".to_owned(),
        region: "us-east-1".to_owned(),
        account: "111122223333".to_owned(),
        role_path: "/".to_owned(),
        role_boundary: None,
    }
}

/// The checks of a declaration, or its mistakes.
fn checks<R: Resource>(properties: &Value) -> Result<Vec<GuardrailCheck>, String> {
    let mut fields = Fields::of_request(properties.as_object().unwrap());
    let spec = R::parse(&mut fields, &deployment());
    fields.finish().map_err(|mistakes| mistakes.to_string())?;
    Ok(R::guardrail_checks(&spec.unwrap()))
}

/// Some texts that are almost the same.
fn numbered(count: usize, text: &str) -> Value {
    (0..count).map(|number| format!("{text}{number:02}")).collect()
}

fn with(mut properties: Value, name: &str, value: Value) -> Value {
    properties[name] = value;
    properties
}

fn entry(name: &str, value: Value) -> Value {
    with(json!({"ClusterName": "prod", "PrincipalArn": "arn:aws:iam::111122223333:role/r"}), name, value)
}

fn role(name: &str, value: Value) -> Value {
    let role = json!({
        "ProviderArn": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
        "Trust": [{"Repository": "octo-org/app", "Branches": ["main"]}],
    });
    with(role, name, value)
}

fn cases() -> Vec<Case> {
    vec![
        case("ClusterName", checks::<AccessEntries>, (1, 100), |_, text| entry("ClusterName", json!(text))),
        case("PrincipalArn", checks::<AccessEntries>, (1, 510), |_, text| {
            entry("PrincipalArn", json!(format!("arn:aws:iam::111122223333:role/{text}/{}", "a".repeat(64))))
        }),
        case("Username", checks::<AccessEntries>, (1, 2048), |_, text| entry("Username", json!(text))),
        case("KubernetesGroups", checks::<AccessEntries>, (100, 251), |count, text| {
            entry("KubernetesGroups", numbered(count, text))
        }),
        case("Namespaces", checks::<AccessEntries>, (100, 61), |count, text| {
            let scope = json!({"Type": "namespace", "Namespaces": numbered(count, text)});
            entry("AccessPolicies", json!([{"PolicyArn": "AmazonEKSEditPolicy", "AccessScope": scope}]))
        }),
        case("PolicyArn", checks::<AccessEntries>, (1, 2048), |_, text| {
            entry("AccessPolicies", json!([{"PolicyArn": text, "AccessScope": {"Type": "cluster"}}]))
        }),
        case("ManagedPolicyArns", checks::<GitHubRoles>, (25, 2013), |count, text| {
            role("ManagedPolicyArns", numbered(count, &format!("arn:aws:iam::111122223333:policy/{text}")))
        }),
        case("ProviderArn", checks::<GitHubRoles>, (1, 63), |_, text| {
            let issuer = format!("{text}.example/_services/token");
            role("ProviderArn", json!(format!("arn:aws:iam::111122223333:oidc-provider/{issuer}")))
        }),
        case(
            "ClientIdList",
            checks::<OidcProviders>,
            (20, 253),
            |count, text| json!({"ClientIdList": numbered(count, text)}),
        ),
        case(
            "Url",
            checks::<OidcProviders>,
            (1, 63),
            |_, text| json!({"Url": format!("https://{text}.example/_services/token")}),
        ),
        case(
            "Repository",
            checks::<GitHubVariables>,
            (1, 100),
            |_, text| json!({"Repository": format!("octo-org/{text}"), "Name": "X", "Value": "v"}),
        ),
    ]
}

/// Guardrails whose lists are full of patterns that begin to match at each letter of a text of this length, and never do.
fn guardrails(length: usize) -> Guardrails {
    let pattern = format!("*{}b", "a".repeat(length / 2));
    let full = |item: String| vec![item.clone(); 1 + PATTERNS / (item.len() + 1)].join(",");
    let variable = |name: &str| match name {
        "ALLOWED_PRINCIPALS" | "ALLOWED_MANAGED_POLICIES" | "FORBIDDEN_MANAGED_POLICIES" => {
            Some(full(format!("arn:*:iam::*:{pattern}")))
        }
        "WRITABLE_GITHUB_REPOSITORIES" => Some(full(format!("*=octo-org/{pattern}"))),
        "GUARDRAIL_EXEMPTIONS" => Some(full(format!("AllowedAudiences:{pattern}/*a:2027-03-31"))),
        _ if name.starts_with("ALLOWED_") => Some(full(pattern.clone())),
        _ => None,
    };
    Guardrails::read(variable).at(SystemTime::UNIX_EPOCH, &"a".repeat(length))
}

#[test]
fn the_longest_values_take_pattern_times_text_steps_at_most() {
    let name = "a".repeat(128);
    let stack = StackId::parse(&format!("arn:aws:cloudformation:us-east-1:111122223333:stack/{name}/1")).unwrap();
    for Case { name, checks, size: (count, longest), properties } in cases() {
        let properties = properties(count, &"a".repeat(longest));
        let checks = checks(&properties).unwrap_or_else(|mistakes| panic!("{name}: {mistakes}"));
        let before = STEPS.get();
        let refused = guardrails(longest).check(&checks, &stack, &deployment());
        let steps = STEPS.get() - before;
        // One list allows, one forbids, and one exempts.
        let most = 3 * 2 * PATTERNS * properties.to_string().len();
        assert!(refused.is_err() && steps > 0 && steps <= most, "{name}: {steps} steps of {most}");
    }
}

#[test]
fn a_value_of_a_megabyte_is_refused_before_it_is_compared() {
    let before = STEPS.get();
    for Case { name, checks, size: (count, longest), properties } in cases() {
        for length in [longest + 1, 1_000_000 / count] {
            let mistakes = checks(&properties(count, &"a".repeat(length))).map(drop).unwrap_err();
            assert!(mistakes.len() < 20_000, "{name}: {} bytes", mistakes.len());
        }
    }
    assert_eq!(STEPS.get(), before);
}
