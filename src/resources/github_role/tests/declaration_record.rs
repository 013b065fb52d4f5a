//! The record of a declaration as JSON, and its guardrail checks.

use insta::assert_snapshot;

use super::laws::desired;
use crate::guardrails::GuardrailCheck;
use crate::laws::owner;
use crate::resources::github_role::Desired;
use crate::resources::github_role::declaration_record::{DeclarationRecord, Demands};
use crate::resources::github_role::guardrail_checks::of_kept;

fn repaired(owners: &[&str], broad: bool) -> Desired {
    let demands = Demands { owners: owners.iter().map(|&owner| owner.to_owned()).collect(), broad };
    Desired { repairs: Some(demands), ..desired(&["a"], Some("b1"), &["m1"], &[("i", "d1")]) }
}

/// The JSON may not change once there are releases: another version reads it.
#[test]
fn a_record_reads_the_same_again_as_json() {
    let (owner, declared) = (owner("Role"), repaired(&["o"], true));
    let record = DeclarationRecord::of(&owner, &declared).unwrap();
    assert_eq!(DeclarationRecord::read(&record.text()), Some(record.clone()));
    assert_eq!(record.clone().desired(declared.names.clone(), declared.attached_quota), Some(declared));
    assert_snapshot!(record.text(), @r#"{"stack":"arn:aws:cloudformation:us-east-1:123456789012:stack/laws/1","resource":"Role","name":"role","path":"/","trust":{"Statement":{"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com","token.actions.githubusercontent.com:sub":"repo:o/r:a"}},"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"}},"Version":"2012-10-17"},"demands":{"owners":["o"],"broad":true},"boundary":"b1","managed":["m1"],"inline":{"i":{"Statement":"d1"}}}"#);
    assert_eq!(DeclarationRecord::of(&owner, &desired(&["a"], None, &[], &[])), None);
}

#[test]
fn a_record_is_checked_like_the_request_that_it_was() {
    let checks = of_kept(&repaired(&["", "o"], true)).unwrap();
    let owners: Vec<_> = checks
        .iter()
        .filter_map(|check| if let GuardrailCheck::Owner { owner, .. } = check { Some(owner.as_deref()) } else { None })
        .collect();
    assert_eq!(owners, [None, Some("o")]);
    assert!(checks.iter().any(|check| matches!(check, GuardrailCheck::Broad { .. })));
    for check in [
        GuardrailCheck::Path("/".into()),
        GuardrailCheck::Boundary(Some("b1".into())),
        GuardrailCheck::ManagedPolicy("m1".into()),
        GuardrailCheck::InlinePolicy("i".into()),
        GuardrailCheck::Issuer { property: "ProviderArn", issuer: "token.actions.githubusercontent.com".into() },
    ] {
        assert!(checks.contains(&check), "{check:?}");
    }
    let narrow = of_kept(&repaired(&["o"], false)).unwrap();
    assert!(!narrow.iter().any(|check| matches!(check, GuardrailCheck::Broad { .. })));
    assert_eq!(of_kept(&desired(&["a"], None, &[], &[])), None);
}
