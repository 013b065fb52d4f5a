//! Roles: names unique whatever their case, a unique id that a re-created role does not inherit, a trust policy that is
//! given back URL-encoded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::tags::{self, Tags};
use super::{Iam, Reply, already_exists, invalid_input, limit_exceeded, no_such_entity, text};
use crate::simulation::author::Author;
use crate::simulation::clock::iso;
use crate::simulation::wire::{Refusal, encode};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) trust: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session: i64,
    pub(crate) boundary: Option<String>,
    pub(crate) attached: BTreeSet<String>,
    pub(crate) inline: BTreeMap<String, String>,
    pub(crate) tags: Tags,
    pub(crate) created: SystemTime,
    pub(crate) made_by: Author,
}

impl Iam {
    pub(super) fn role_operation(&mut self, action: &str, input: &Value, author: &Author, now: SystemTime) -> Reply {
        let name = text(input, "RoleName");
        match action {
            "CreateRole" => self.create_role(input, author, now),
            "GetRole" => {
                let role = self.shown_role(name, now)?;
                Ok(json!({"Role": self.describe(role, now)}))
            }
            "ListRoles" => {
                let prefix = input["PathPrefix"].as_str().unwrap_or("/");
                let roles: Vec<Value> = self
                    .roles
                    .all_replicas(now)
                    .filter(|role| role.path.starts_with(prefix))
                    .map(|role| {
                        // "This operation does not return the following attributes": the boundary, the tags.
                        let mut role = self.describe(role, now);
                        let members = role.as_object_mut().expect("a role");
                        members.remove("PermissionsBoundary");
                        members.remove("Tags");
                        role
                    })
                    .collect();
                self.page(input, "Roles", roles)
            }
            "ListRoleTags" => {
                let tags = tags::list(&self.shown_role(name, now)?.tags);
                self.page(input, "Tags", tags)
            }
            "DeleteRole" => self.delete_role(name, now),
            _ => self.update_role(action, input, now),
        }
    }

    /// A role with all that hangs on it goes, as by somebody who clears up.
    pub(crate) fn delete_whole_role(&mut self, name: &str, now: SystemTime) {
        let visible = self.visible(false, now);
        self.roles.write(&name.to_lowercase(), None, now, visible);
    }

    fn create_role(&mut self, input: &Value, author: &Author, now: SystemTime) -> Reply {
        let name = text(input, "RoleName");
        let trust = text(input, "AssumeRolePolicyDocument");
        let boundary = input["PermissionsBoundary"].as_str().map(str::to_owned);
        let path = input["Path"].as_str().unwrap_or("/").to_owned();
        if path.starts_with("/aws-service-role/") {
            return Err(invalid_input("The path /aws-service-role/ is reserved for service-linked roles."));
        }
        self.check_trust(trust, now)?;
        if let Some(boundary) = &boundary {
            self.check_boundary_exists(boundary)?;
        }
        let tags = tags::laid_over(&Tags::new(), input, self.settings.quotas.tags)?;
        if self.roles.primary(&name.to_lowercase()).is_some() {
            return Err(already_exists(format!("Role with name {name} already exists.")));
        }
        let quota = self.settings.quotas.roles;
        if self.roles.all().count() >= quota {
            return Err(limit_exceeded(format!("Cannot exceed quota for RolesPerAccount: {quota}")));
        }
        let role = Role {
            id: format!("AROA{:A>17}", self.serial()),
            name: name.to_owned(),
            path,
            trust: trust.to_owned(),
            description: input["Description"].as_str().map(str::to_owned),
            max_session: input["MaxSessionDuration"].as_i64().unwrap_or(3600),
            boundary,
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            tags,
            created: now,
            made_by: author.clone(),
        };
        let described = self.describe(&role, now);
        self.write_role(role, now);
        Ok(json!({"Role": described}))
    }

    fn update_role(&mut self, action: &str, input: &Value, now: SystemTime) -> Reply {
        let mut role = self.role_to_change(text(input, "RoleName"), now)?;
        let mut reply = json!({});
        match action {
            "UpdateRole" => {
                let stays = |text: &&str| text.is_empty() && self.settings.empty_descriptions_stay;
                if let Some(description) = input["Description"].as_str().filter(|text| !stays(text)) {
                    role.description = Some(description.to_owned());
                }
                // "If you do not specify a value for this setting, the default value of one hour is applied."
                role.max_session = input["MaxSessionDuration"].as_i64().unwrap_or(3600);
            }
            "UpdateRoleDescription" => {
                role.description = Some(text(input, "Description").to_owned());
                reply = json!({"Role": self.describe(&role, now)});
            }
            "UpdateAssumeRolePolicy" => {
                let trust = text(input, "PolicyDocument");
                self.check_trust(trust, now)?;
                trust.clone_into(&mut role.trust);
            }
            "PutRolePermissionsBoundary" => {
                let boundary = text(input, "PermissionsBoundary");
                self.check_boundary_exists(boundary)?;
                role.boundary = Some(boundary.to_owned());
            }
            "DeleteRolePermissionsBoundary" => {
                if role.boundary.take().is_none() {
                    return Err(no_such_entity(format!(
                        "The role with name {} does not have a permissions boundary.",
                        role.name
                    )));
                }
            }
            "TagRole" => role.tags = tags::laid_over(&role.tags, input, self.settings.quotas.tags)?,
            "UntagRole" => role.tags = tags::without(&role.tags, input),
            other => panic!("{other} is in the model and not here"),
        }
        self.write_role(role, now);
        Ok(reply)
    }

    fn delete_role(&mut self, name: &str, now: SystemTime) -> Reply {
        let role = self.role_to_change(name, now)?;
        let conflict =
            |what: &str| Refusal::new("DeleteConflict", 409, format!("Cannot delete entity, must {what} first."));
        let in_profile = self.instance_profiles.values().flatten().any(|held| held.eq_ignore_ascii_case(&role.name));
        if in_profile {
            return Err(conflict("remove roles from instance profile"));
        }
        if !role.attached.is_empty() {
            return Err(conflict("detach all policies"));
        }
        if !role.inline.is_empty() {
            return Err(conflict("delete policies"));
        }
        let visible = self.visible(false, now);
        self.roles.write(&role.name.to_lowercase(), None, now, visible);
        Ok(json!({}))
    }

    pub(crate) fn role_arn(&self, role: &Role) -> String {
        format!("arn:{}:iam::{}:role{}{}", self.partition, self.account, role.path, role.name)
    }

    fn describe(&self, role: &Role, now: SystemTime) -> Value {
        // terraform-provider-aws (waitRoleARNIsNotUniqueID): seen when reading, not in the answer to CreateRole itself.
        let fresh = role.created < now && now < role.created + self.settings.odd_arn;
        let mut shown = json!({
            "Path": role.path,
            "RoleName": role.name,
            "RoleId": role.id,
            "Arn": if fresh { role.id.clone() } else { self.role_arn(role) },
            "CreateDate": iso(role.created),
            "AssumeRolePolicyDocument": encode(&role.trust),
            "MaxSessionDuration": role.max_session,
        });
        if let Some(description) = &role.description {
            shown["Description"] = json!(description);
        }
        if let Some(boundary) = &role.boundary {
            // The model says `PermissionsBoundaryPolicy`, the service answers `Policy`; no client of ours may care.
            shown["PermissionsBoundary"] = json!({
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": boundary,
            });
        }
        if !role.tags.is_empty() {
            shown["Tags"] = json!(tags::list(&role.tags));
        }
        shown
    }

    pub(super) fn shown_role(&self, name: &str, now: SystemTime) -> Result<&Role, Refusal> {
        self.roles.replica(&name.to_lowercase(), now).map(AsRef::as_ref).ok_or_else(|| missing(name))
    }

    pub(super) fn role_to_change(&self, name: &str, now: SystemTime) -> Result<Role, Refusal> {
        let key = name.to_lowercase();
        if self.settings.writes_lag && self.roles.replica(&key, now).is_none() {
            return Err(missing(name));
        }
        let role = self.roles.primary(&key).ok_or_else(|| missing(name))?;
        if role.path.starts_with("/aws-service-role/") {
            let message = format!("Cannot perform the operation on the protected role '{}'", role.name);
            return Err(Refusal::new("UnmodifiableEntity", 400, message));
        }
        Ok(role.as_ref().clone())
    }

    pub(super) fn write_role(&mut self, role: Role, now: SystemTime) {
        let key = role.name.to_lowercase();
        let created = self.roles.primary(&key).is_none();
        let visible = self.visible(created, now);
        self.roles.write(&key, Some(role), now, visible);
    }
}

fn missing(name: &str) -> Refusal {
    no_such_entity(format!("The role with name {name} cannot be found."))
}
