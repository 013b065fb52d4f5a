//! The cases in which eksctl refuses an access entry, and those in which it takes one
//! (`pkg/apis/eksctl.io/v1alpha5/access_entry_validation_test.go`), held against our parser.

use serde_json::{Value, json};

use crate::cloudformation::Fields;
use crate::deployment::Deployment;
use crate::reconcile::Resource;
use crate::resources::eks_access_entry::AccessEntries;

pub(super) const ROLE: &str = "arn:aws:iam::111122223333:role/role-1";
const VIEW: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

/// The mistakes of these properties, in the words of the stack event.
pub(super) fn problems(more: &Value) -> String {
    problems_in("aws", more)
}

pub(super) fn problems_in(partition: &str, more: &Value) -> String {
    let mut properties = json!({"ClusterName": "prod", "PrincipalArn": ROLE.replacen("aws", partition, 1)});
    let members = properties.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let deployment = Deployment {
        partition: partition.to_owned(),
        region: "eu-west-1".to_owned(),
        account: "111122223333".to_owned(),
        role_path: "/".to_owned(),
        role_boundary: None,
    };
    let mut fields = Fields::of_request(members);
    AccessEntries::parse(&mut fields, &deployment);
    fields.finish().err().map(|problems| problems.to_string()).unwrap_or_default()
}

pub(super) fn policy(arn: &str, scope: &Value) -> Value {
    json!([{"PolicyArn": arn, "AccessScope": scope}])
}

#[test]
fn what_eksctl_refuses_is_refused_before_any_call() {
    let cluster = json!({"Type": "cluster"});
    let default = json!({"Type": "namespace", "Namespaces": ["default"]});
    let cases = [
        ("empty principal ARN", json!({"PrincipalArn": ""}), "`PrincipalArn`"),
        ("empty policy ARN", json!({"AccessPolicies": [{"AccessScope": cluster}]}), "`AccessPolicies[0].PolicyArn`"),
        ("empty accessScope.type", json!({"AccessPolicies": [{"PolicyArn": VIEW}]}), "`AccessPolicies[0].AccessScope`"),
        ("invalid type", json!({"Type": "ec2_linux"}), "one of STANDARD, EC2_LINUX"),
        (
            "kubernetesGroups set for non-standard access entry type",
            json!({"Type": "FARGATE_LINUX", "KubernetesGroups": ["dummy"]}),
            "`KubernetesGroups`: expected to be left out with `Type: FARGATE_LINUX`",
        ),
        (
            "kubernetesUsername set for non-standard access entry type (Fargate)",
            json!({"Type": "FARGATE_LINUX", "Username": "dummy"}),
            "`Username`: expected to be left out with `Type: FARGATE_LINUX`",
        ),
        (
            "kubernetesUsername set for non-standard access entry type (hybrid)",
            json!({"Type": "HYBRID_LINUX", "Username": "dummy"}),
            "`Username`: expected to be left out with `Type: HYBRID_LINUX`",
        ),
        (
            "accessPolicies set for non-standard access entry type (hybrid)",
            json!({"Type": "HYBRID_LINUX", "AccessPolicies": policy(VIEW, &default)}),
            "`AccessPolicies`: expected to be left out with `Type: HYBRID_LINUX`",
        ),
        (
            "accessPolicies set for non-standard access entry type (Fargate)",
            json!({"Type": "FARGATE_LINUX", "AccessPolicies": policy(VIEW, &default)}),
            "`AccessPolicies`: expected to be left out with `Type: FARGATE_LINUX`",
        ),
        (
            "invalid accessScope.type",
            json!({"AccessPolicies": policy(VIEW, &json!({"Type": "resource"}))}),
            "expected cluster or namespace, found \"resource\"",
        ),
        (
            "namespaces set for cluster access scope",
            json!({"AccessPolicies": policy(VIEW, &json!({"Type": "cluster", "Namespaces": ["kube-system"]}))}),
            "expected nothing with `Type: cluster`",
        ),
        (
            "no namespaces set for namespace access scope",
            json!({"AccessPolicies": policy(VIEW, &json!({"Type": "namespace"}))}),
            "at least one namespace with `Type: namespace`",
        ),
        // eksctl takes any policy for nodes; EKS knows one.
        (
            "another policy than that of auto mode for EC2",
            json!({"Type": "EC2", "AccessPolicies": policy(VIEW, &cluster)}),
            "at most AmazonEKSAutoNodePolicy with `Type: EC2`",
        ),
    ];
    for (case, properties, expected) in cases {
        let found = problems(&properties);
        assert!(found.contains(expected), "{case}: {found:?} does not say {expected:?}");
    }
}

#[test]
fn what_eksctl_takes_is_taken() {
    let cluster = json!({"Type": "cluster"});
    let auto = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy";
    for properties in [
        json!({"AccessPolicies": policy(VIEW, &cluster)}),
        json!({}),
        json!({"Type": "EC2_LINUX"}),
        json!({"Type": "STANDARD", "KubernetesGroups": ["dummy", "dummy"], "Username": "dummy"}),
        json!({"AccessPolicies": policy(VIEW, &json!({"Type": "namespace", "Namespaces": ["default"]}))}),
        json!({"Type": "EC2", "AccessPolicies": policy(auto, &cluster)}),
    ] {
        assert_eq!(problems(&properties), "", "{properties}");
    }
}
