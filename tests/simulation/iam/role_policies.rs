//! What a role may do: managed policies attached to it, policies written into it, instance profiles it stands in.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Iam, Reply, invalid_input, limit_exceeded, malformed, no_such_entity, text};
use crate::simulation::clock::iso;
use crate::simulation::wire::{Refusal, encode};

impl Iam {
    pub(super) fn role_policy_operation(&mut self, action: &str, input: &Value, now: SystemTime) -> Reply {
        let name = text(input, "RoleName");
        match action {
            "ListAttachedRolePolicies" => {
                let role = self.shown_role(name, now)?;
                let policies = role
                    .attached
                    .iter()
                    .map(|arn| json!({"PolicyName": arn.rsplit('/').next(), "PolicyArn": arn}))
                    .collect();
                self.page(input, "AttachedPolicies", policies)
            }
            "ListRolePolicies" => {
                let names = self.shown_role(name, now)?.inline.keys().map(|name| json!(name)).collect();
                self.page(input, "PolicyNames", names)
            }
            "GetRolePolicy" => {
                let policy = text(input, "PolicyName");
                let role = self.shown_role(name, now)?;
                let document = role.inline.get(policy).ok_or_else(|| missing_policy(policy))?;
                Ok(json!({"RoleName": role.name, "PolicyName": policy, "PolicyDocument": encode(document)}))
            }
            "ListInstanceProfilesForRole" => {
                let role = self.shown_role(name, now)?;
                let profiles = self
                    .instance_profiles
                    .iter()
                    .filter(|(_, held)| held.as_deref() == Some(role.name.as_str()))
                    .map(|(profile, _)| self.describe_profile(profile, role, now))
                    .collect();
                self.page(input, "InstanceProfiles", profiles)
            }
            "RemoveRoleFromInstanceProfile" => {
                let profile = text(input, "InstanceProfileName");
                let role = self.role_to_change(name, now)?;
                match self.instance_profiles.get_mut(profile) {
                    Some(held) if held.as_deref() == Some(role.name.as_str()) => {
                        *held = None;
                        self.profile_changes += 1;
                        Ok(json!({}))
                    }
                    // Recorded answers of cloud-custodian.
                    Some(_) => Err(no_such_entity(format!("The role with name {name} cannot be found."))),
                    None => Err(no_such_entity(format!("Instance Profile {profile} cannot be found."))),
                }
            }
            _ => self.change_policies(action, input, now),
        }
    }

    fn change_policies(&mut self, action: &str, input: &Value, now: SystemTime) -> Reply {
        let mut role = self.role_to_change(text(input, "RoleName"), now)?;
        let (arn, name) = (text(input, "PolicyArn"), text(input, "PolicyName"));
        match action {
            "AttachRolePolicy" => {
                self.check_policy_exists(arn)?;
                role.attached.insert(arn.to_owned());
                let quota = self.settings.quotas.attached_policies;
                if role.attached.len() > quota {
                    return Err(limit_exceeded(format!("Cannot exceed quota for PoliciesPerRole: {quota}")));
                }
            }
            "DetachRolePolicy" => {
                if !role.attached.remove(arn) {
                    return Err(no_such_entity(format!("Policy {arn} was not found.")));
                }
            }
            "PutRolePolicy" => {
                let document = text(input, "PolicyDocument");
                check_permissions(document)?;
                role.inline.insert(name.to_owned(), document.to_owned());
                // White space does not count, and the quota is for all of a role's inline policies together.
                let size: usize = role.inline.values().map(|one| size_without_space(one)).sum();
                let quota = self.settings.quotas.inline_policies;
                if size > quota {
                    let message = format!("Maximum policy size of {quota} bytes exceeded for role {}", role.name);
                    return Err(limit_exceeded(message));
                }
            }
            "DeleteRolePolicy" => {
                if role.inline.remove(name).is_none() {
                    return Err(missing_policy(name));
                }
            }
            other => panic!("{other} is in the model and not here"),
        }
        self.write_role(role, now);
        Ok(json!({}))
    }

    /// `rosa create account-roles`: "Scope ARN: arn:… does not exist or is not attachable."
    pub(super) fn check_boundary_exists(&self, arn: &str) -> Result<(), Refusal> {
        self.check_policy_exists(arn)
            .map_err(|refusal| Refusal { message: refusal.message.replacen("Policy ", "Scope ARN: ", 1), ..refusal })
    }

    pub(super) fn check_policy_exists(&self, arn: &str) -> Result<(), Refusal> {
        if !arn.starts_with("arn:") || !arn.contains(":policy/") {
            return Err(invalid_input(format!("ARN {arn} is not valid.")));
        }
        let of_aws = format!("arn:{}:iam::aws:policy/", self.partition);
        let exists = match arn.strip_prefix(&of_aws) {
            Some(name) => !name.rsplit('/').next().unwrap_or_default().starts_with("NoSuch"),
            None => self.policies.contains(arn),
        };
        if exists { Ok(()) } else { Err(no_such_entity(format!("Policy {arn} does not exist or is not attachable."))) }
    }

    fn describe_profile(&self, profile: &str, role: &super::Role, now: SystemTime) -> Value {
        json!({
            "Path": "/",
            "InstanceProfileName": profile,
            "InstanceProfileId": "AIPAAAAAAAAAAAAAAAAAA",
            "Arn": format!("arn:{}:iam::{}:instance-profile/{profile}", self.partition, self.account),
            "CreateDate": iso(now),
            "Roles": [{
                "Path": role.path,
                "RoleName": role.name,
                "RoleId": role.id,
                "Arn": self.role_arn(role),
                "CreateDate": iso(role.created),
            }],
        })
    }
}

fn missing_policy(name: &str) -> Refusal {
    no_such_entity(format!("The role policy with name {name} cannot be found."))
}

pub(super) fn size_without_space(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// A policy that grants permissions has statements with an effect, actions and resources, and no principal.
fn check_permissions(document: &str) -> Result<(), Refusal> {
    let policy: Value = serde_json::from_str(document).map_err(|_| malformed("Syntax errors in policy."))?;
    let statements = match &policy["Statement"] {
        Value::Array(list) => list.iter().collect(),
        one @ Value::Object(_) => vec![one],
        _ => Vec::new(),
    };
    if statements.is_empty() {
        return Err(malformed("Syntax errors in policy."));
    }
    for statement in statements {
        let has = |name: &str| !statement[name].is_null();
        if has("Principal") || has("NotPrincipal") {
            return Err(malformed("Policy document should not specify a principal."));
        }
        if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
            return Err(malformed("Syntax errors in policy."));
        }
        if !has("Action") && !has("NotAction") {
            return Err(malformed("Policy statement must contain actions."));
        }
        if !has("Resource") && !has("NotResource") {
            return Err(malformed("Policy statement must contain resources."));
        }
    }
    Ok(())
}
