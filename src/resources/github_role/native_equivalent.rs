//! The `AWS::IAM::Role` that is equivalent to a declaration.

use serde_json::{Value, json};

use super::{Desired, RoleSettings};
use crate::ownership::native_tags;
use crate::reconcile::NativeResource;

pub(super) fn of(desired: &Desired) -> NativeResource {
    let Desired { name, path, trust, settings, managed, inline, tags, .. } = desired;
    let RoleSettings { description, max_session, boundary } = settings;
    let policy = |(name, document): (&String, &Value)| json!({"PolicyName": name, "PolicyDocument": document});
    let policies: Vec<Value> = inline.iter().map(policy).collect();
    let properties = json!({
        "RoleName": name,
        "Path": path,
        "AssumeRolePolicyDocument": trust.document(),
        "Description": description,
        "MaxSessionDuration": max_session,
        "PermissionsBoundary": boundary,
        "ManagedPolicyArns": (!managed.is_empty()).then_some(managed),
        "Policies": (!policies.is_empty()).then_some(policies),
        "Tags": native_tags(tags),
    });
    NativeResource { resource_type: "AWS::IAM::Role", properties }
}
