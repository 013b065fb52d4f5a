//! Access entries: who may be one, what may be set for which type, and the role id each is bound to.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Association, Eks, Reply, Surroundings, invalid_parameter, not_found, text, texts};
use crate::simulation::author::Author;
use crate::simulation::clock::epoch;
use crate::simulation::wire::Refusal;

const TYPES: [&str; 7] =
    ["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) serial: u64,
    pub(crate) arn: String,
    pub(crate) principal: String,
    pub(crate) kind: String,
    pub(crate) username: String,
    pub(crate) groups: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) policies: BTreeMap<String, Association>,
    /// The unique id of the role at the entry's creation. A role re-created under the same ARN is not let in.
    pub(crate) bound_to: Option<String>,
    pub(crate) created: SystemTime,
    pub(crate) modified: SystemTime,
    pub(crate) made_by: Author,
    client_token: String,
}

impl Eks {
    pub(super) fn entry_operation(&mut self, action: &str, input: &Value, around: &Surroundings<'_>) -> Reply {
        let cluster = text(input, "clusterName");
        let principal = text(input, "principalArn");
        match action {
            "CreateAccessEntry" => self.create_entry(input, around),
            "DescribeAccessEntry" => {
                let entry = self.entry(cluster, principal, false)?;
                Ok(json!({"accessEntry": describe(entry, cluster)}))
            }
            "UpdateAccessEntry" => self.update_entry(input, around.now),
            "DeleteAccessEntry" => {
                let entries = &mut self.usable_cluster(cluster, true)?.entries;
                entries.remove(principal).ok_or_else(|| missing(principal))?;
                self.revision += 1;
                Ok(json!({}))
            }
            "ListAccessEntries" => {
                let policy = input["associatedPolicyArn"].as_str().map(str::to_owned);
                let principals = self
                    .usable_cluster(cluster, false)?
                    .entries
                    .values()
                    .filter(|entry| policy.as_ref().is_none_or(|policy| entry.policies.contains_key(policy)))
                    .map(|entry| json!(entry.principal))
                    .collect();
                self.page(input, "accessEntries", principals)
            }
            other => panic!("{other} is in the model and not here"),
        }
    }

    fn create_entry(&mut self, input: &Value, around: &Surroundings<'_>) -> Reply {
        let (cluster, principal) = (text(input, "clusterName"), text(input, "principalArn"));
        let kind = input["type"].as_str().unwrap_or("STANDARD");
        let settings = self.settings.clone();
        let (serial, region) = (self.serial(), self.region.clone());
        let found = self.usable_cluster(cluster, true)?;
        if let Some(entry) = found.entries.get(principal) {
            let repeated = !entry.client_token.is_empty() && entry.client_token == text(input, "clientRequestToken");
            if repeated && settings.honours_client_tokens {
                return Ok(json!({"accessEntry": describe(entry, cluster)}));
            }
            return Err(Refusal::new(
                "ResourceInUseException",
                409,
                "The specified access entry resource is already in use on this cluster.",
            ));
        }
        if !TYPES.contains(&kind) {
            return Err(invalid_parameter(format!(
                "The specified type {kind} is invalid: valid types are {}.",
                TYPES.join(", ")
            )));
        }
        let bound_to = check_principal(principal, kind, around, settings.role_lag)?;
        check_settings(input, kind)?;
        if found.entries.len() >= settings.entries_per_cluster {
            let message = format!("Exceeded the limit of {} access entries per cluster.", settings.entries_per_cluster);
            return Err(Refusal::new("ResourceLimitExceededException", 400, message));
        }
        let (account, name) = account_and_name(principal);
        let what = if principal.contains(":user/") { "user" } else { "role" };
        let arn = format!(
            "arn:{}:eks:{region}:{}:access-entry/{cluster}/{what}/{account}/{name}/{serial:08x}-0000-4000-8000-000000000000",
            around.iam.partition, around.iam.account
        );
        let entry = Entry {
            serial,
            arn,
            principal: principal.to_owned(),
            kind: kind.to_owned(),
            username: match input["username"].as_str() {
                Some(username) => username.to_owned(),
                None => default_username(principal, kind),
            },
            groups: match kind {
                "EC2_LINUX" | "HYBRID_LINUX" | "HYPERPOD_LINUX" => vec!["system:nodes".to_owned()],
                "EC2_WINDOWS" => vec!["eks:kube-proxy-windows".to_owned(), "system:nodes".to_owned()],
                _ => texts(&input["kubernetesGroups"]),
            },
            tags: tags(&input["tags"]),
            policies: BTreeMap::new(),
            bound_to,
            created: around.now,
            modified: around.now,
            made_by: around.author.clone(),
            client_token: text(input, "clientRequestToken").to_owned(),
        };
        let described = describe(&entry, cluster);
        found.entries.insert(principal.to_owned(), entry);
        self.revision += 1;
        Ok(json!({"accessEntry": described}))
    }

    fn update_entry(&mut self, input: &Value, now: SystemTime) -> Reply {
        let (cluster, principal) = (text(input, "clusterName"), text(input, "principalArn"));
        let refuses_own = self.settings.refuses_own_usernames;
        let entry = self.entry(cluster, principal, true)?;
        let kind = entry.kind.clone();
        check_settings(input, &kind)?;
        if refuses_own && text(input, "username").starts_with("arn:") {
            return Err(invalid_parameter("The username is invalid, it cannot start with arn:."));
        }
        if kind != "STANDARD" && !(input["username"].is_null() && input["kubernetesGroups"].is_null()) {
            return Err(invalid_parameter(format!("An access entry of type {kind} cannot be updated.")));
        }
        let before = entry.clone();
        // "The list replaces": what is given takes the place of what was there, what is not given stays.
        if let Some(username) = input["username"].as_str() {
            username.clone_into(&mut entry.username);
        }
        if !input["kubernetesGroups"].is_null() {
            entry.groups = texts(&input["kubernetesGroups"]);
        }
        let changed = *entry != before;
        if changed {
            entry.modified = now;
        }
        let described = describe(entry, cluster);
        self.revision += u64::from(changed);
        Ok(json!({"accessEntry": described}))
    }

    /// An entry that is there.
    pub(super) fn entry(&mut self, cluster: &str, principal: &str, change: bool) -> Result<&mut Entry, Refusal> {
        self.usable_cluster(cluster, change)?.entries.get_mut(principal).ok_or_else(|| missing(principal))
    }

    pub(super) fn tag_operation(&mut self, action: &str, input: &Value, now: SystemTime) -> Reply {
        let arn = text(input, "resourceArn");
        let bad = |message: String| Refusal::new("BadRequestException", 400, message);
        if !arn.starts_with("arn:") || !arn.contains(":eks:") {
            return Err(bad(format!("Invalid resourceArn: {arn}")));
        }
        let entry = self
            .clusters
            .values_mut()
            .flat_map(|cluster| cluster.entries.values_mut())
            .find(|entry| entry.arn == arn)
            .ok_or_else(|| Refusal::new("NotFoundException", 404, format!("Resource not found: {arn}")))?;
        if action != "ListTagsForResource" && entry.kind.starts_with("EC2_") && self.settings.nodes_take_no_tags {
            return Err(bad(format!("An access entry of type {} cannot be tagged.", entry.kind)));
        }
        let mut tagged = entry.tags.clone();
        match action {
            "ListTagsForResource" => return Ok(json!({"tags": tagged})),
            "TagResource" => tagged.extend(tags(&input["tags"])),
            _ => tagged.retain(|key, _| !texts(&input["tagKeys"]).contains(key)),
        }
        if tagged.len() > 50 {
            return Err(bad("A resource cannot have more than 50 tags.".to_owned()));
        }
        if tagged.keys().any(|key| key.to_lowercase().starts_with("aws:")) {
            return Err(bad("Tag keys cannot begin with aws:".to_owned()));
        }
        let changed = tagged != entry.tags;
        if changed {
            entry.tags = tagged;
            entry.modified = now;
        }
        self.revision += u64::from(changed);
        Ok(json!({}))
    }
}

fn describe(entry: &Entry, cluster: &str) -> Value {
    json!({
        "clusterName": cluster,
        "principalArn": entry.principal,
        "kubernetesGroups": entry.groups,
        "accessEntryArn": entry.arn,
        "createdAt": epoch(entry.created),
        "modifiedAt": epoch(entry.modified),
        "tags": entry.tags,
        "username": entry.username,
        "type": entry.kind,
    })
}

pub(super) fn missing(principal: &str) -> Refusal {
    let _ = principal;
    not_found(
        "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.",
    )
}

fn tags(value: &Value) -> BTreeMap<String, String> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn account_and_name(principal: &str) -> (&str, &str) {
    let account = principal.split(':').nth(4).unwrap_or_default();
    (account, principal.rsplit('/').next().unwrap_or_default())
}

/// "Creating access entries" (EKS User Guide): what EKS calls somebody whom the caller did not name.
fn default_username(principal: &str, kind: &str) -> String {
    let (account, name) = account_and_name(principal);
    let partition = principal.split(':').nth(1).unwrap_or_default();
    match kind {
        "STANDARD" if principal.contains(":user/") => principal.to_owned(),
        "STANDARD" => format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"),
        "FARGATE_LINUX" | "HYBRID_LINUX" => "system:node:{{SessionName}}".to_owned(),
        _ => "system:node:{{EC2PrivateDNSName}}".to_owned(),
    }
}

/// The unique id that a principal's entry is bound to, or why it cannot have one.
fn check_principal(
    principal: &str,
    kind: &str,
    around: &Surroundings<'_>,
    lag: std::time::Duration,
) -> Result<Option<String>, Refusal> {
    let invalid = |why: &str| invalid_parameter(format!("The specified principalArn is invalid: {why}"));
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = parts[..] else {
        return Err(invalid("invalid format."));
    };
    let role = resource.strip_prefix("role/");
    if role.is_none() && !resource.starts_with("user/") {
        return Err(invalid("invalid format."));
    }
    if resource.starts_with("role/aws-service-role/") {
        return Err(invalid_parameter(
            "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role.",
        ));
    }
    if kind != "STANDARD" && role.is_none() {
        return Err(invalid("only an IAM role can have this type."));
    }
    if kind != "STANDARD" && account != around.iam.account {
        return Err(invalid("a principal of another account cannot have this type."));
    }
    // A principal of another account is taken at its word.
    if account != around.iam.account {
        return Ok(None);
    }
    let Some(role) = role else {
        let is_there = around.iam.users.values().any(|user| user == principal);
        return if is_there { Ok(None) } else { Err(invalid("invalid principal")) };
    };
    let name = role.rsplit('/').next().unwrap_or_default().to_lowercase();
    around
        .iam
        .roles
        .primary(&name)
        .filter(|found| around.iam.role_arn(found) == principal && found.created + lag <= around.now)
        .map(|found| Some(found.id.clone()))
        .ok_or_else(|| invalid("invalid principal"))
}

/// What may be set for a type, and what a user may be called.
fn check_settings(input: &Value, kind: &str) -> Result<(), Refusal> {
    let username = input["username"].as_str();
    if kind != "STANDARD" && (username.is_some() || !texts(&input["kubernetesGroups"]).is_empty()) {
        return Err(invalid_parameter(format!(
            "You cannot specify username or kubernetesGroups for an access entry of type {kind}."
        )));
    }
    for group in texts(&input["kubernetesGroups"]) {
        if ["system:", "eks:", "aws:", "amazon:", "iam:"].iter().any(|prefix| group.starts_with(prefix)) {
            return Err(invalid_parameter(format!(
                "The kubernetes group name {group} is invalid, it cannot start with system:, eks:, aws:, amazon: or iam:."
            )));
        }
    }
    let Some(username) = username else { return Ok(()) };
    let reserved = ["system:", "eks:", "aws:", "amazon:", "iam:"];
    if username.is_empty() || reserved.iter().any(|prefix| username.starts_with(prefix)) {
        return Err(invalid_parameter(format!(
            "The username {username} is invalid, it cannot start with {}.",
            reserved.join(", ")
        )));
    }
    if let Some(at) = username.find("{{SessionName")
        && !username[..at].contains(':')
    {
        return Err(invalid_parameter("The username must have a colon (:) before {{SessionName}}."));
    }
    Ok(())
}
