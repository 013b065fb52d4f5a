//! The declaration of a role that is repaired (`OnDrift: Repair`), kept in a secret of its own. Nothing in it is secret, but only
//! the function may write it: a repair gives permissions without a request.
//!
//! The record counts while the role's tags hold its digest. Secrets Manager takes 64 KB in one call. Trust, policies and tags
//! of a role have at most some 50,000 characters.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name_record::NameRecord;
use super::{Desired, GitHubRoles, Observed, RoleSettings};
use crate::aws::{CallError, ErrorKind, ignore_not_found};
use crate::iam_policy::document::canonical;
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::ownership::{Owner, Tags, digest};

/// The prefix of the names. The function's role may use no others.
const PREFIX: &str = "github-trust/role/";

/// The demands of a declared trust that its policy does not tell, for guardrails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Demands {
    /// The owners at GitHub whose jobs are let in. Empty for one that cannot be told.
    pub(super) owners: BTreeSet<String>,
    /// True if the declaration lets in more than most people mean.
    pub(super) broad: bool,
}

/// The declaration of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclarationRecord {
    stack: String,
    resource: String,
    name: String,
    path: String,
    trust: Value,
    demands: Demands,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boundary: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    managed: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    inline: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

impl DeclarationRecord {
    /// The record of a declaration; none of a role that is not repaired.
    pub(super) fn of(owner: &Owner, desired: &Desired) -> Option<Self> {
        let Desired { name, path, trust, settings, managed, inline, tags, repairs, .. } = desired;
        let RoleSettings { description, max_session, boundary } = settings.clone();
        Some(Self {
            stack: owner.stack_id().to_owned(),
            resource: owner.logical_id().to_owned(),
            name: name.clone(),
            path: path.clone(),
            trust: canonical(&trust.document()),
            demands: repairs.clone()?,
            description,
            session: max_session,
            boundary,
            managed: managed.clone(),
            inline: inline.iter().map(|(name, document)| (name.clone(), canonical(document))).collect(),
            tags: tags.clone(),
        })
    }

    /// The text in the secret.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text of a secret.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns true if this is the declaration of a role that has this owner.
    pub(super) fn is_of(&self, owner: &Owner, role: &Observed) -> bool {
        let Self { stack, resource, name, path, .. } = self;
        let is_owners = stack == owner.stack_id() && resource == owner.logical_id();
        is_owners && *name == role.name && *path == role.path
    }

    /// The desired state, with the names that the role remembers, in an account with a quota for attached policies; none if this
    /// version does not write such a trust policy.
    pub(super) fn desired(self, names: NameRecord, attached_quota: usize) -> Option<Desired> {
        let Self { stack: _, resource: _, name, path, trust, demands, .. } = self;
        let Self { description, session, boundary, managed, inline, tags, .. } = self;
        Some(Desired {
            name,
            path,
            trust: TrustPolicy::read(&trust)?,
            settings: RoleSettings { description, max_session: session, boundary },
            managed,
            inline,
            tags,
            adopt: false,
            take_over: false,
            repairs: Some(demands),
            hand_over: None,
            names,
            attached_quota,
            warning: String::new(),
        })
    }
}

/// The name of the secret of a role. IAM does not distinguish the case of role names.
fn secret_of(role: &str) -> String {
    format!("{PREFIX}{}", digest(&[&role.to_lowercase()], 26))
}

impl GitHubRoles {
    /// Keeps the declaration of a role. `is_kept` is true if there probably is a former one.
    pub(super) async fn save_declaration(&self, record: &DeclarationRecord, is_kept: bool) -> Result<(), CallError> {
        let (secret, text) = (secret_of(&record.name), record.text());
        // A token of the text alone would not bring a former declaration back: Secrets Manager ignores a version that it has.
        let token = digest(&[&format!("{:032x}", fastrand::u128(..)), &text], 40);
        if is_kept {
            match self.put_secret(&secret, &text, &token).await {
                Err(error) if error.kind == ErrorKind::NotFound => {}
                other => return other,
            }
        }
        let description = format!("The declaration of the role {}, by which github-trust repairs it", record.name);
        let request = self.secrets.create_secret().name(&secret).description(description);
        let request = request.secret_string(&text).client_request_token(&token);
        match self.deadline.call("secretsmanager:CreateSecret", &secret, || request.clone().send()).await {
            Err(error) if error.kind == ErrorKind::AlreadyExists => self.put_secret(&secret, &text, &token).await,
            other => other.map(drop),
        }
    }

    async fn put_secret(&self, secret: &str, text: &str, token: &str) -> Result<(), CallError> {
        let request = self.secrets.put_secret_value().secret_id(secret).secret_string(text).client_request_token(token);
        self.deadline.call("secretsmanager:PutSecretValue", secret, || request.clone().send()).await.map(drop)
    }

    /// Reads the text of the record of a role.
    pub(super) async fn kept_declaration(&self, role: &str) -> Result<Option<String>, CallError> {
        let secret = secret_of(role);
        let request = self.secrets.get_secret_value().secret_id(&secret);
        match self.deadline.call("secretsmanager:GetSecretValue", &secret, || request.clone().send()).await {
            Ok(output) => Ok(Some(output.secret_string.unwrap_or_default())),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the record of a role.
    pub(super) async fn delete_declaration(&self, role: &str) -> Result<(), CallError> {
        let secret = secret_of(role);
        let request = self.secrets.delete_secret().secret_id(&secret).force_delete_without_recovery(true);
        ignore_not_found(self.deadline.call("secretsmanager:DeleteSecret", &secret, || request.clone().send()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_roles_that_differ_in_case_only_have_one_record() {
        assert_eq!(secret_of("Deploy"), secret_of("deploy"));
        assert_ne!(secret_of("deploy"), secret_of("deploy-2"));
    }
}
