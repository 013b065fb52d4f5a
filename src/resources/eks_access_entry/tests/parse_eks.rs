//! Declarations that EKS documents as invalid, beside those of eksctl: refused before any call.

use serde_json::{Value, json};

use super::parse_eksctl::{ROLE, policy, problems, problems_in};
use crate::resources::eks_access_entry::EntryType;

const USER: &str = "arn:aws:iam::111122223333:user/ci/me";
const ELSEWHERE: &str = "arn:aws:iam::444455556666:role/node";

/// Each refused with these words, and nothing else in the declaration is at fault.
fn refused(cases: &[(Value, &str)]) {
    for (properties, expected) in cases {
        let found = problems(properties);
        assert!(found.contains(expected), "{properties}: {found:?} does not say {expected:?}");
        assert!(!found.contains("; "), "{properties}: one mistake, and {found:?}");
    }
}

#[test]
fn a_principal_is_a_role_or_user_and_usual_mistakes_have_hints() {
    for good in [
        ROLE,
        USER,
        ELSEWHERE,
        "arn:aws:iam::111122223333:role/a/b/c/deploy",
        "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef",
    ] {
        assert_eq!(problems(&json!({"PrincipalArn": good})), "", "{good}");
    }
    let of = |arn: &str, hint| (json!({"PrincipalArn": arn}), hint);
    refused(&[
        of(
            "arn:aws:sts::111122223333:assumed-role/deploy/GitHubActions",
            "not of a session (write arn:aws:iam::111122223333:role/deploy, with its path)",
        ),
        of("arn:aws:sts::111122223333:federated-user/me", "not of a session (write the role's ARN, path included)"),
        of(
            "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
            "not a service-linked role (EKS takes none",
        ),
        of("arn:aws-cn:iam::111122223333:role/deploy", "in the cluster's partition aws"),
        of("arn:aws:iam::111122223333:root", "the ARN of an IAM role or user"),
        of("arn:aws:iam::111122223333:group/admins", "the ARN of an IAM role or user"),
        of("arn:aws:iam::111122223333:role/", "the ARN of an IAM role or user"),
        of("arn:aws:iam::111122223333:role//deploy", "the ARN of an IAM role or user"),
        of("arn:aws:iam::111122223333:role/ci/", "the ARN of an IAM role or user"),
        of("arn:aws:iam::111122223333:role/a b", "the ARN of an IAM role or user"),
        of("arn:aws:iam::11112222333:role/deploy", "the ARN of an IAM role or user"),
        of("arn:aws:iam:eu-west-1:111122223333:role/deploy", "the ARN of an IAM role or user"),
        of("deploy", "the ARN of an IAM role or user (`!Ref` of a role is its name: write `!GetAtt Role.Arn`)"),
        of("role/ci/deploy", "the ARN of an IAM role or user, found"),
        of("*", "the ARN of an IAM role or user"),
    ]);
}

#[test]
fn nodes_are_roles_of_the_cluster_s_account() {
    for kind in EntryType::ALL {
        for (principal, for_nodes) in [(ROLE, true), (USER, false), (ELSEWHERE, false)] {
            let found = problems(&json!({"Type": kind, "PrincipalArn": principal}));
            let expected = format!("a role of account 111122223333 with `Type: {kind}`, which is for nodes");
            if for_nodes || kind == "STANDARD" {
                assert_eq!(found, "", "{kind} {principal}");
            } else {
                assert!(found.contains(&expected), "{kind} {principal}: {found:?}");
            }
        }
    }
}

#[test]
fn names_that_eks_reserves_are_refused_for_groups_and_users() {
    for prefix in ["system:", "eks:", "aws:", "amazon:", "iam:"] {
        for (name, value) in [
            ("Username", json!(format!("{prefix}x"))),
            ("KubernetesGroups", json!(["deployers", format!("{prefix}x")])),
            ("KubernetesGroups", json!([format!("{prefix}masters")])),
        ] {
            refused(&[(json!({name: value}), &format!("a name that does not begin with `{prefix}`"))]);
        }
    }
    for good in ["systems:x", "my:system:x", "deployers", "AWS"] {
        assert_eq!(problems(&json!({"Username": good, "KubernetesGroups": [good]})), "", "{good}");
    }
}

#[test]
fn a_session_s_name_needs_a_colon_before_it_also_raw() {
    for name in ["{{SessionName}}", "{{SessionNameRaw}}"] {
        for bad in [name.to_owned(), format!("ci-{name}"), format!("{name}:ci")] {
            let hint = format!("a colon before {name}");
            refused(&[(json!({"Username": bad}), &hint)]);
        }
        for good in [format!("ci:{name}"), format!("ci:a-{name}"), "ci".to_owned()] {
            assert_eq!(problems(&json!({"Username": good})), "", "{good}");
        }
    }
}

#[test]
fn a_policy_stands_once_by_any_of_its_names_in_every_partition() {
    let cluster = json!({"Type": "cluster"});
    for partition in ["aws", "aws-cn", "aws-us-gov", "aws-iso"] {
        let arn = format!("arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSViewPolicy");
        for good in ["AmazonEKSViewPolicy", &arn] {
            assert_eq!(problems_in(partition, &json!({"AccessPolicies": policy(good, &cluster)})), "", "{good}");
        }
        let twice = json!({"AccessPolicies": [
            {"PolicyArn": "AmazonEKSViewPolicy", "AccessScope": cluster},
            {"PolicyArn": arn, "AccessScope": {"Type": "namespace", "Namespaces": ["web"]}},
        ]});
        let found = problems_in(partition, &twice);
        assert!(found.contains("each policy once (EKS keeps one scope for each)"), "{found:?}");
    }
    for bad in
        ["arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", "arn:aws:iam::aws:policy/x", "View Policy"]
    {
        refused(&[(json!({"AccessPolicies": policy(bad, &cluster)}), "an access policy of EKS")]);
    }
}

#[test]
fn twenty_policies_are_taken_and_one_more_is_not() {
    let of = |count: usize| -> Value {
        let policies =
            (0..count).map(|number| json!({"PolicyArn": format!("P{number}"), "AccessScope": {"Type": "cluster"}}));
        json!({"AccessPolicies": policies.collect::<Vec<_>>()})
    };
    assert_eq!(problems(&of(20)), "");
    refused(&[(of(21), "at most 20 policies")]);
}
