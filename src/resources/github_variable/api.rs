//! The calls for variables and secrets: one for each action, and the reads before them.

use std::collections::BTreeSet;

use aws_smithy_types::date_time::{DateTime, Format};
use futures_util::FutureExt;
use futures_util::future::{OptionFuture, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::plan::VariableContent;
use super::{
    Action, Desired, GitHubVariables, Location, Observed, PublicKey, RepositoryVisibility, Spec, Value, ValueKind,
    VariableId, VariableName,
};
use crate::aws::{CallError, ErrorKind};
use crate::error::{Error, Refusal};
use crate::github::client::Client;
use crate::github::ownership_by_creation::CreationWindow;
use crate::github::ownership_by_variables::{ListedVariable, Variables};
use crate::github::protection::{Environment, Protection};
use crate::github::{ApiCall, Issuer};
use crate::ownership::Owner;
use crate::reconcile::{Api, Claimable, Exclusive, Reader};

/// A variable or a secret, as far as it is read.
#[derive(Deserialize)]
struct VariableResponse {
    value: Option<String>,
    created_at: String,
    updated_at: String,
    visibility: Option<String>,
}

impl From<&ListedVariable> for VariableResponse {
    fn from(listed: &ListedVariable) -> Self {
        let ListedVariable { name: _, value, created_at, updated_at, visibility } = listed.clone();
        Self { value: Some(value), created_at, updated_at, visibility }
    }
}

#[derive(Deserialize)]
struct Key {
    key_id: String,
    key: String,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct SelectedRepositories {
    repositories: Vec<Numbered>,
}

const PAGE: usize = 100;
/// The repositories that are read at the same time. GitHub names no number that it can bear.
const MAX_CONCURRENT_CALLS: usize = 4;

impl VariableName {
    /// The path of all variables, or all secrets, of the place.
    fn collection_path(&self) -> String {
        format!("{}/{}s", self.place.path(), self.kind)
    }

    fn item_path(&self) -> String {
        format!("{}/{}", self.collection_path(), self.name)
    }
}

impl Reader for GitHubVariables {
    type Sharing = Exclusive;

    async fn resolve(&self, _: &Owner, id: &VariableId, spec: Spec) -> Result<Desired, Error> {
        let Spec { issuer: _, place: _, name, kind, value, visibility, adopt } = spec;
        let key = OptionFuture::from((kind == ValueKind::Secret).then(|| self.public_key(id))).map(Option::transpose);
        let (visibility, warning, key) =
            try_join3(self.declared_visibility(id, visibility), self.warning(id), key).await?;
        let what = id.name.to_string();
        Ok(Desired { name, kind, value, visibility, adopt, requested: self.requested, key, warning, what })
    }

    async fn observe(&self, id: &VariableId) -> Result<Option<Observed>, CallError> {
        let action = match id.name.kind {
            ValueKind::Variable => "github:GetVariable",
            ValueKind::Secret => "github:GetSecret",
        };
        let call = id.call(action, "GET", id.name.item_path());
        let response = match self.github.call(&id.issuer, &call).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        self.observed(id, response.json(&call)?, response.ahead).await.map(Some)
    }
}

impl GitHubVariables {
    /// `ahead` is how many seconds GitHub's clock is ahead of ours.
    async fn observed(&self, id: &VariableId, shown: VariableResponse, ahead: i64) -> Result<Observed, CallError> {
        let time = |text: &str| DateTime::from_str(text, Format::DateTime).map(|time| time.secs() - ahead);
        let created = time(&shown.created_at).unwrap_or_default();
        let updated = time(&shown.updated_at).unwrap_or_default();
        let visibility = match (&id.name.place, shown.visibility.as_deref()) {
            (Location::Organization(_), Some(level)) => Some(self.visibility(id, level).await?),
            _ => None,
        };
        let value = shown.value.as_deref().map(Value::new).filter(|_| id.name.kind == ValueKind::Variable);
        let declared = value.as_ref().is_none_or(|value| self.declared.contains(value));
        if !declared {
            let created = CreationWindow::at(created);
            tracing::info!(%id, %created, "the value is another one than this request declares");
        }
        let what = id.name.to_string();
        let requested = self.requested;
        let changed_by_others = !declared;
        Ok(Observed { value, visibility, created, updated, requested, ours: false, changed_by_others, what })
    }
}

impl Claimable for GitHubVariables {
    fn github(&self) -> &Client {
        &self.github
    }

    fn is_listed(id: &VariableId) -> bool {
        id.name.kind == ValueKind::Variable && !matches!(id.name.place, Location::Environment(..))
    }

    async fn observe_listed(&self, id: &VariableId, variables: &Variables) -> Result<Option<Observed>, CallError> {
        let shown = variables.get(&id.name.name).map(VariableResponse::from);
        let observed = shown.map(|shown| self.observed(id, shown, variables.ahead));
        OptionFuture::from(observed).await.transpose()
    }

    fn memory(observed: Option<&Observed>, requested: CreationWindow) -> String {
        requested.memory(observed.is_some())
    }

    fn recall(observed: Observed, memories: &[&str], is_owner: bool) -> Observed {
        let Observed { created, requested, changed_by_others, .. } = observed;
        // An attempt of this request writes the declared value.
        let made = |window: CreationWindow| window.covers(created) && !(window == requested && changed_by_others);
        let ours = is_owner && memories.iter().filter_map(|memory| CreationWindow::parse(memory)).any(made);
        Observed { ours, ..observed }
    }
}

impl Api for GitHubVariables {
    async fn apply(&self, id: &VariableId, action: &Action) -> Result<i64, CallError> {
        let (item, collection) = (id.name.item_path(), id.name.collection_path());
        let (call, content) = match action {
            Action::Create(content) => match content.kind {
                ValueKind::Variable => (id.call("github:CreateVariable", "POST", collection), content),
                ValueKind::Secret => (id.call("github:CreateSecret", "PUT", item), content),
            },
            Action::Update(content) => match content.kind {
                ValueKind::Variable => (id.call("github:UpdateVariable", "PATCH", item), content),
                ValueKind::Secret => (id.call("github:UpdateSecret", "PUT", item), content),
            },
            Action::Delete { kind } => {
                let action = match kind {
                    ValueKind::Variable => "github:DeleteVariable",
                    ValueKind::Secret => "github:DeleteSecret",
                };
                let deleted = self.github.call(&id.issuer, &id.call(action, "DELETE", item)).await;
                return crate::aws::ignore_not_found(deleted).map(|()| self.github.now());
            }
        };
        let call = ApiCall { body: Some(body(id, content, &call)?), ..call };
        let response = self.github.call(&id.issuer, &call).await?;
        if matches!(action, Action::Create(_)) && response.status == 204 {
            // The secret was absent a moment ago. Somebody else, or another attempt of this request, has just created it.
            let message = "somebody made it in the meantime".to_owned();
            return Err(call.error(ErrorKind::AlreadyExists, "204", message));
        }
        Ok(self.github.now())
    }
}

impl GitHubVariables {
    async fn visibility(&self, id: &VariableId, level: &str) -> Result<RepositoryVisibility, CallError> {
        let known = ["all", "private", "selected"].into_iter().find(|known| *known == level);
        // Unknown levels (added by GitHub later) never match a declared one.
        let level = known.unwrap_or("unknown");
        let mut selected = BTreeSet::new();
        if level != "selected" {
            return Ok(RepositoryVisibility { level, selected });
        }
        for page in 1.. {
            let path = format!("{}/repositories?per_page={PAGE}&page={page}", id.name.item_path());
            let call = id.call("github:ListSelectedRepositories", "GET", path);
            let response = match self.github.call(&id.issuer, &call).await {
                // 409: the value is for selected repositories no more.
                Err(error) if error.kind == ErrorKind::InUse => {
                    return Ok(RepositoryVisibility { level: "unknown", selected });
                }
                other => other?,
            };
            let repositories = response.json::<SelectedRepositories>(&call)?.repositories;
            selected.extend(repositories.iter().map(|repository| repository.id));
            if repositories.len() < PAGE {
                break;
            }
        }
        Ok(RepositoryVisibility { level, selected })
    }

    /// The repositories that an organisation's variable is for, by their ids.
    async fn declared_visibility(
        &self,
        id: &VariableId,
        declared: Option<(&'static str, Vec<String>)>,
    ) -> Result<Option<RepositoryVisibility>, Error> {
        let (Some((level, names)), Location::Organization(organization)) = (declared, &id.name.place) else {
            return Ok(None);
        };
        let ids = stream::iter(names).map(|name| async move {
            let resource = format!("repository {organization}/{name}");
            let call = id.call("github:GetRepository", "GET", format!("/repos/{organization}/{name}"));
            let call = ApiCall { resource: &resource, ..call };
            Ok::<_, Error>(self.require::<Numbered>(&id.issuer, &call).await?.id)
        });
        let selected = ids.buffered(MAX_CONCURRENT_CALLS).try_collect().await?;
        Ok(Some(RepositoryVisibility { level, selected }))
    }

    /// The warning about an environment without protection, or an empty text.
    async fn warning(&self, id: &VariableId) -> Result<String, Error> {
        let place = &id.name.place;
        let Location::Environment(repository, environment) = place else { return Ok(String::new()) };
        let path = format!("/repos/{repository}/environments/{}", urlencoding::encode(environment));
        let call = ApiCall { resource: place, ..id.call("github:GetEnvironment", "GET", path) };
        let environment: Environment = self.require(&id.issuer, &call).await?;
        let lack = match self.github.protection_of(&id.issuer, repository, &environment).await {
            Protection::Protected | Protection::Absent => return Ok(String::new()),
            Protection::Open => "has no protection",
            Protection::NoProtectedBranch => {
                "is for protected branches, and no branch is protected, so that every branch may deploy"
            }
        };
        let warning = format!(
            "{place} {lack}: a person who can push a workflow gets all that is trusted in it. Restrict its branches, or require reviewers"
        );
        tracing::warn!(%id, warning, "an environment without protection");
        Ok(warning)
    }

    async fn public_key(&self, id: &VariableId) -> Result<PublicKey, Error> {
        let resource = format!("the public key of {}", id.name.place);
        let call = id.call("github:GetPublicKey", "GET", format!("{}/public-key", id.name.collection_path()));
        let call = ApiCall { resource: &resource, ..call };
        let Key { key_id, key } = self.require(&id.issuer, &call).await?;
        let key = PublicKey::read(&key_id, &key).ok_or_else(|| Refusal::PreconditionFailed {
            what: format!("{resource} is no key of 32 bytes"),
            remedy: String::new(),
        });
        Ok(key?)
    }

    /// Reads a fact that a Create needs. A clear no is a refusal: nothing was created then.
    async fn require<T: DeserializeOwned>(&self, issuer: &Issuer, call: &ApiCall<'_>) -> Result<T, Error> {
        let parsed = self.github.call(issuer, call).await.and_then(|response| response.json(call));
        parsed.map_err(|error| match error.kind {
            ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Invalid => {
                Error::Refused(Refusal::PreconditionFailed { what: error.to_string(), remedy: String::new() })
            }
            _ => Error::Call(error),
        })
    }
}

/// The body of a write.
fn body(id: &VariableId, content: &VariableContent, call: &ApiCall<'_>) -> Result<Json, CallError> {
    let VariableContent { kind, value, visibility, key, what: _ } = content;
    let mut body = match (kind, key) {
        (ValueKind::Variable, _) => json!({"name": id.name.name, "value": value.expose()}),
        (ValueKind::Secret, Some(key)) if let Some(sealed) = key.seal(value) => {
            json!({"encrypted_value": sealed, "key_id": key.id})
        }
        (ValueKind::Secret, _) => {
            return Err(call.error(ErrorKind::Invalid, "Seal", "it could not be sealed".to_owned()));
        }
    };
    if let Some(RepositoryVisibility { level, selected }) = visibility {
        body["visibility"] = json!(level);
        if *level == "selected" {
            body["selected_repository_ids"] = json!(selected);
        }
    }
    Ok(body)
}
