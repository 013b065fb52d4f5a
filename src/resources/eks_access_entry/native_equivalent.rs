//! The `AWS::EKS::AccessEntry` that is equivalent to a declaration.

use serde_json::{Value, json};

use super::{Desired, PolicyScope, Spec, Wanted};
use crate::ownership::native_tags;
use crate::reconcile::NativeResource;

pub(super) fn of(desired: &Desired) -> Option<NativeResource> {
    let Wanted::Declared(spec) = &desired.wanted else { return None };
    let Spec { cluster, principal, entry_type, username, groups, policies, tags, role_id: _, adopt: _, take_over: _ } =
        spec.as_ref();
    let policy = |(arn, scope): (&String, &PolicyScope)| {
        let scope = match scope {
            PolicyScope::Cluster => json!({"Type": "cluster"}),
            PolicyScope::Namespaces(namespaces) => json!({"Type": "namespace", "Namespaces": namespaces}),
        };
        json!({"PolicyArn": arn, "AccessScope": scope})
    };
    let policies = policies.as_ref().map(|policies| policies.iter().map(policy).collect::<Vec<Value>>());
    let properties = json!({
        "ClusterName": cluster,
        "PrincipalArn": principal,
        "Type": entry_type.to_string(),
        "Username": username,
        "KubernetesGroups": groups,
        "AccessPolicies": policies,
        "Tags": native_tags(tags),
    });
    Some(NativeResource { resource_type: "AWS::EKS::AccessEntry", properties })
}
