//! Access policies on an entry: each at most once, for the whole cluster or for namespaces.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Eks, Reply, entries, invalid_parameter, not_found, text, texts};
use crate::simulation::clock::epoch;
use crate::simulation::wire::Refusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Association {
    pub(crate) scope: Scope,
    pub(crate) associated: SystemTime,
    pub(crate) modified: SystemTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Cluster,
    Namespaces(Vec<String>),
}

impl Eks {
    pub(super) fn association_operation(&mut self, action: &str, input: &Value, now: SystemTime) -> Reply {
        let (cluster, principal) = (text(input, "clusterName"), text(input, "principalArn"));
        let policy = text(input, "policyArn");
        let settings = self.settings.clone();
        let known = self.policies.iter().any(|name| self.policy_arn(name) == policy);
        let entry = self.entry(cluster, principal, action != "ListAssociatedAccessPolicies")?;
        if now < entry.created + settings.entry_lag {
            return Err(entries::missing(principal));
        }
        let automatic = entry.kind == "EC2" && policy.ends_with("/AmazonEKSAutoNodePolicy");
        if entry.kind != "STANDARD" && entry.kind != "EC2" || entry.kind == "EC2" && !policy.is_empty() && !automatic {
            // aws-controllers-k8s/community#2144
            let message = "This operation can only be performed on Access Entries with a type of \"STANDARD\".";
            return Err(Refusal::new("InvalidRequestException", 400, message));
        }
        match action {
            "ListAssociatedAccessPolicies" => {
                let policies = entry.policies.iter().map(|(arn, one)| describe(arn, one)).collect();
                let mut page = self.page(input, "associatedAccessPolicies", policies)?;
                page["clusterName"] = json!(cluster);
                page["principalArn"] = json!(principal);
                Ok(page)
            }
            "DisassociateAccessPolicy" => {
                entry
                    .policies
                    .remove(policy)
                    .ok_or_else(|| not_found("The specified policyArn could not be found."))?;
                entry.modified = now;
                self.revision += 1;
                Ok(json!({}))
            }
            _ => {
                if !known {
                    return Err(invalid_parameter(format!("The specified policyArn is invalid: {policy}")));
                }
                let scope = scope(&input["accessScope"])?;
                let before = entry.policies.get(policy).cloned();
                let after = match &before {
                    Some(one) if one.scope == scope || !settings.associating_again_changes_scope => one.clone(),
                    Some(one) => Association { scope, associated: one.associated, modified: now },
                    None => Association { scope, associated: now, modified: now },
                };
                let changed = before.as_ref() != Some(&after);
                let described = describe(policy, &after);
                if changed {
                    entry.policies.insert(policy.to_owned(), after);
                    self.revision += 1;
                }
                Ok(json!({
                    "clusterName": cluster,
                    "principalArn": principal,
                    "associatedAccessPolicy": described,
                }))
            }
        }
    }
}

fn scope(value: &Value) -> Result<Scope, Refusal> {
    let namespaces = texts(&value["namespaces"]);
    match value["type"].as_str() {
        Some("cluster") if namespaces.is_empty() => Ok(Scope::Cluster),
        Some("cluster") => {
            Err(invalid_parameter("Namespaces cannot be specified for an access scope of type cluster."))
        }
        Some("namespace") if namespaces.is_empty() => {
            Err(invalid_parameter("Namespaces must be specified for an access scope of type namespace."))
        }
        Some("namespace") => Ok(Scope::Namespaces(namespaces)),
        _ => Err(invalid_parameter("The access scope must have a type.")),
    }
}

fn describe(arn: &str, association: &Association) -> Value {
    let scope = match &association.scope {
        Scope::Cluster => json!({"type": "cluster", "namespaces": []}),
        Scope::Namespaces(names) => json!({"type": "namespace", "namespaces": names}),
    };
    json!({
        "policyArn": arn,
        "accessScope": scope,
        "associatedAt": epoch(association.associated),
        "modifiedAt": epoch(association.modified),
    })
}
