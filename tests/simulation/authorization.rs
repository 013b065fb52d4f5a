//! Authorization by tags, as the policy of the function's role has it: most changing calls are allowed only on roles and
//! entries that carry an owner's tag. AWS does not say when a new tag counts, nor what it answers for an object that is gone.
//! Tags lag elsewhere in AWS: terraform-provider-aws#27028, #32966. A role that is gone is denied: keikoproj/iam-manager#31.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::account::Account;
use super::wire::Refusal;

/// What IAM may do in either way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorization {
    /// An owner's tag counts after this long …
    pub(crate) tags_lag: Duration,
    /// … and after so many calls on its object.
    pub(crate) tags_lag_calls: u32,
    /// A call on an object that is not there is denied, because it has no tags.
    pub(crate) gone_is_denied: bool,
    /// Actions that the function's policy does not allow at all, such as `iam:AttachRolePolicy`.
    pub(crate) denied: Vec<&'static str>,
    /// By the object's serial: since when it has the tag, and how many calls were denied.
    seen: BTreeMap<String, (SystemTime, u32)>,
}

const OWNER: &str = "github-trust:stack-id";
const OF_ROLES: [&str; 10] = [
    "AttachRolePolicy",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "UntagRole",
    "UpdateAssumeRolePolicy",
    "UpdateRole",
];
const OF_ENTRIES: [&str; 5] =
    ["AssociateAccessPolicy", "DeleteAccessEntry", "DisassociateAccessPolicy", "UntagResource", "UpdateAccessEntry"];

/// An object that a call is about.
struct Object {
    serial: String,
    tagged: bool,
    created: SystemTime,
}

impl Account {
    /// Refuses a call that the function's policy does not allow on this object.
    pub(super) fn authorize(
        &mut self,
        service: &str,
        action: &str,
        input: &Value,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let guarded = match service {
            "iam" => OF_ROLES.contains(&action) || action == "TagRole" && !claims(&input["Tags"]),
            "eks" => OF_ENTRIES.contains(&action) || action == "TagResource" && input["tags"].get(OWNER).is_none(),
            _ => false,
        };
        if !guarded {
            return Ok(());
        }
        let object = if service == "iam" { self.role_of(input) } else { self.entry_of(input) };
        let rules = &mut self.authorization;
        let allowed = match object {
            None => !rules.gone_is_denied,
            Some(Object { tagged: false, .. }) => false,
            Some(Object { serial, created, .. }) => {
                let (since, denied) = rules.seen.entry(serial).or_insert((created, 0));
                let late = *since + rules.tags_lag > now || *denied < rules.tags_lag_calls;
                *denied += u32::from(late);
                !late
            }
        };
        if allowed { Ok(()) } else { Err(denial(service, action)) }
    }

    /// Refuses a call that the function's policy does not allow at all.
    pub(super) fn authorize_action(&self, service: &str, action: &str) -> Result<(), Refusal> {
        let denied = self.authorization.denied.contains(&format!("{service}:{action}").as_str());
        if denied { Err(denial(service, action)) } else { Ok(()) }
    }

    /// Notes that an object was tagged by this call.
    pub(super) fn note_tags(&mut self, service: &str, action: &str, input: &Value, now: SystemTime) {
        let object = match (service, action) {
            ("iam", "TagRole") if claims(&input["Tags"]) => self.role_of(input),
            ("eks", "TagResource") if input["tags"].get(OWNER).is_some() => self.entry_of(input),
            _ => None,
        };
        if let Some(Object { serial, .. }) = object {
            self.authorization.seen.entry(serial).or_insert((now, 0));
        }
    }

    fn role_of(&self, input: &Value) -> Option<Object> {
        let role = self.iam.roles.primary(&input["RoleName"].as_str()?.to_lowercase())?;
        Some(Object { serial: role.id.clone(), tagged: role.tags.contains_key(OWNER), created: role.created })
    }

    fn entry_of(&self, input: &Value) -> Option<Object> {
        let mut entries = self
            .eks
            .clusters
            .iter()
            .flat_map(|(name, cluster)| cluster.entries.values().map(move |entry| (name.as_str(), entry)));
        let (_, entry) = entries.find(|(cluster, entry)| match input["resourceArn"].as_str() {
            Some(arn) => entry.arn == arn,
            None => input["clusterName"] == *cluster && input["principalArn"] == entry.principal,
        })?;
        let tagged = entry.tags.contains_key(OWNER);
        Some(Object { serial: format!("entry {}", entry.serial), tagged, created: entry.created })
    }
}

fn claims(tags: &Value) -> bool {
    tags.as_array().into_iter().flatten().any(|tag| tag["Key"] == OWNER)
}

fn denial(service: &str, action: &str) -> Refusal {
    let code = if service == "eks" { "AccessDeniedException" } else { "AccessDenied" };
    let message = format!(
        "User: arn:aws:sts::111122223333:assumed-role/github-trust/github-trust is not authorized to perform: \
         {service}:{action} because no identity-based policy allows the {service}:{action} action"
    );
    Refusal::new(code, 403, message)
}
