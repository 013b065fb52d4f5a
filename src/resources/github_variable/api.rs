//! The calls, one for each action, and the looks before them.

use crate::ownership::Owner;
use crate::reconcile::Api;
use crate::reconcile::Exclusive;
use std::collections::BTreeSet;

use aws_smithy_types::date_time::{DateTime, Format};
use futures_util::FutureExt;
use futures_util::future::{OptionFuture, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::plan::VariableContent;
use super::{
    Action, Desired, GitHubVariables, Location, Observed, PublicKey, Spec, Value, ValueKind, VariableId, Visibility,
};
use crate::aws::{CallError, ErrorKind};
use crate::error::{Error, Refusal};
use crate::github::creation_window::CreationWindow;
use crate::github::protection::Environment;
use crate::github::{ApiCall, Issuer};

/// A variable or a secret, as far as it is read.
#[derive(Deserialize)]
struct Shown {
    value: Option<String>,
    created_at: String,
    updated_at: String,
    visibility: Option<String>,
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
struct Selected {
    repositories: Vec<Numbered>,
}

const PAGE: usize = 100;
/// How many repositories are asked for at once: GitHub asks for no more than it can bear, without a number.
const MAX_CONCURRENT_CALLS: usize = 4;

impl VariableId {
    fn issuer(&self) -> Result<Issuer, CallError> {
        Issuer::of_host(&self.host).map_err(|why| CallError {
            action: "github:GetVariable",
            resource: self.to_string(),
            kind: ErrorKind::Invalid,
            code: "Host".to_owned(),
            message: why,
            request_id: None,
            uncertain: false,
        })
    }

    /// Where all variables, or all secrets, of its place are.
    fn all(&self) -> String {
        format!("{}/{}s", self.place.path(), self.sort)
    }

    /// What it is called in a sentence.
    pub(super) fn what(&self) -> String {
        format!("{} {} of {}", self.sort, self.name, self.place)
    }

    fn call<'a>(&'a self, action: &'static str, method: &'static str, path: String, what: &'a String) -> ApiCall<'a> {
        ApiCall { action, method, path, resource: what, repository: self.place.repository(), body: None }
    }
}

impl Api for GitHubVariables {
    type Sharing = Exclusive;

    /// An Update keeps the moment of the Create, as long as what that made is there.
    async fn resolve_id(&self, id: VariableId, old: Option<&VariableId>) -> Result<VariableId, Error> {
        let id = VariableId { since: Some(self.asked), ..id };
        let known = old.filter(|old| **old == id);
        let created = match self.observe(known.unwrap_or(&id)).await {
            Ok(seen) => seen.map(|seen| seen.created),
            // Nothing was made by a function that may not even look.
            Err(error) if known.is_none() && !matches!(error.kind, ErrorKind::Denied | ErrorKind::Invalid) => {
                tracing::info!(%error, "it cannot be looked at yet");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let since = self.asked.kept(known.and_then(|known| known.since), created);
        Ok(VariableId { since: Some(since), ..known.cloned().unwrap_or(id) })
    }

    async fn resolve(&self, _: &Owner, id: &VariableId, spec: Spec) -> Result<Desired, Error> {
        self.complete(id, spec).await
    }

    /// What is there, and whether it is ours.
    async fn observe(&self, id: &VariableId) -> Result<Option<Observed>, CallError> {
        let (issuer, what) = (id.issuer()?, id.what());
        let action = match id.sort {
            ValueKind::Variable => "github:GetVariable",
            ValueKind::Secret => "github:GetSecret",
        };
        let call = id.call(action, "GET", format!("{}/{}", id.all(), id.name), &what);
        let reply = match self.github.call(&issuer, &call).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let shown: Shown = reply.json(&call)?;
        let time = |text: &str| DateTime::from_str(text, Format::DateTime).map(|time| time.secs() - reply.ahead);
        let (created, updated) =
            (time(&shown.created_at).unwrap_or_default(), time(&shown.updated_at).unwrap_or_default());
        let reach = match (&id.place, shown.visibility.as_deref()) {
            (Location::Organization(_), Some(visibility)) => Some(self.reach(id, &issuer, visibility).await?),
            _ => None,
        };
        let value = shown.value.as_deref().map(Value::new).filter(|_| id.sort == ValueKind::Variable);
        let declared = value.as_ref().is_none_or(|value| self.declared.contains(value));
        let ours = match id.since {
            // Whoever makes it at this very moment writes what is declared.
            Some(since) if since == self.asked => since.covers(created) && declared,
            Some(since) => since.covers(created),
            // Nobody can tell whose secret it is.
            None => id.sort == ValueKind::Variable && declared && self.asked.may_follow(created),
        };
        if !ours || !declared {
            let created = CreationWindow::at(created);
            tracing::info!(%id, ours, as_declared = declared, %created, "somebody else made it, or has changed it");
        }
        Ok(Some(Observed { value, reach, created, updated, ours, changed_by_others: !declared, what }))
    }

    async fn apply(&self, id: &VariableId, action: &Action) -> Result<i64, CallError> {
        let (issuer, what) = (id.issuer()?, id.what());
        let one = format!("{}/{}", id.all(), id.name);
        let (mut call, content) = match action {
            Action::Create(content) => match content.sort {
                ValueKind::Variable => (id.call("github:CreateVariable", "POST", id.all(), &what), content),
                ValueKind::Secret => (id.call("github:CreateSecret", "PUT", one, &what), content),
            },
            Action::Update(content) => match content.sort {
                ValueKind::Variable => (id.call("github:UpdateVariable", "PATCH", one, &what), content),
                ValueKind::Secret => (id.call("github:UpdateSecret", "PUT", one, &what), content),
            },
            Action::Delete { sort } => {
                let action = match sort {
                    ValueKind::Variable => "github:DeleteVariable",
                    ValueKind::Secret => "github:DeleteSecret",
                };
                let deleted = self.github.call(&issuer, &id.call(action, "DELETE", one, &what)).await;
                return crate::aws::ignore_not_found(deleted).map(|()| self.github.now());
            }
        };
        call.body = Some(body(id, content, &call)?);
        let reply = self.github.call(&issuer, &call).await?;
        if matches!(action, Action::Create(_)) && reply.status == 204 {
            // It was not there a moment ago, and has just been made by somebody else, or by this request's other attempt.
            let message = "somebody made it in the meantime".to_owned();
            let resource = what.clone();
            let code = "204".to_owned();
            let kind = ErrorKind::AlreadyExists;
            return Err(CallError {
                action: call.action,
                resource,
                kind,
                code,
                message,
                request_id: None,
                uncertain: false,
            });
        }
        Ok(self.github.now())
    }
}

impl GitHubVariables {
    async fn reach(&self, id: &VariableId, issuer: &Issuer, visibility: &str) -> Result<Visibility, CallError> {
        let known = ["all", "private", "selected"].into_iter().find(|known| *known == visibility);
        // One that GitHub will have added is none that can be declared.
        let visibility = known.unwrap_or("unknown");
        let mut selected = BTreeSet::new();
        let mut page = 1;
        if visibility != "selected" {
            return Ok(Visibility { visibility, selected });
        }
        loop {
            let what = id.what();
            let path = format!("{}/{}/repositories?per_page={PAGE}&page={page}", id.all(), id.name);
            let call = id.call("github:ListSelectedRepositories", "GET", path, &what);
            let reply = match self.github.call(issuer, &call).await {
                // 409: it is for selected repositories no more.
                Err(error) if error.kind == ErrorKind::InUse => {
                    return Ok(Visibility { visibility: "unknown", selected });
                }
                other => other?,
            };
            let repositories = reply.json::<Selected>(&call)?.repositories;
            selected.extend(repositories.iter().map(|repository| repository.id));
            if repositories.len() < PAGE {
                break;
            }
            page += 1;
        }
        Ok(Visibility { visibility, selected })
    }

    /// The declaration, with what only GitHub knows.
    pub(super) async fn complete(&self, id: &VariableId, spec: Spec) -> Result<Desired, Error> {
        let Spec { issuer, place, name, sort, value, reach, adopt } = spec;
        let (reach, warning, key) = try_join3(
            self.chosen(id, &issuer, &place, reach),
            self.warning(id, &issuer, &place),
            OptionFuture::from((sort == ValueKind::Secret).then(|| self.public_key(id, &issuer, &place)))
                .map(Option::transpose),
        )
        .await?;
        Ok(Desired { name, sort, value, reach, adopt, asked: self.asked, key, warning, what: id.what() })
    }

    /// The repositories that an organisation's variable is for, by their ids.
    async fn chosen(
        &self,
        id: &VariableId,
        issuer: &Issuer,
        place: &Location,
        reach: Option<(&'static str, Vec<String>)>,
    ) -> Result<Option<Visibility>, Error> {
        let (Some((visibility, names)), Location::Organization(organization)) = (reach, place) else { return Ok(None) };
        let asked = stream::iter(names).map(|name| async move {
            let what = format!("repository {organization}/{name}");
            let call = id.call("github:GetRepository", "GET", format!("/repos/{organization}/{name}"), &what);
            Ok::<_, Error>(self.answered::<Numbered>(issuer, &call).await?.id)
        });
        let selected = asked.buffered(MAX_CONCURRENT_CALLS).try_collect().await?;
        Ok(Some(Visibility { visibility, selected }))
    }

    /// What should be known of the environment that it is for.
    async fn warning(&self, id: &VariableId, issuer: &Issuer, place: &Location) -> Result<String, Error> {
        let Location::Environment(repository, environment) = place else { return Ok(String::new()) };
        let what = format!("environment {environment:?} of {repository}");
        let path = format!("/repos/{repository}/environments/{}", urlencoding::encode(environment));
        let call = id.call("github:GetEnvironment", "GET", path, &what);
        let warning = warning(place, &self.answered::<Environment>(issuer, &call).await?);
        if !warning.is_empty() {
            tracing::warn!(%id, warning, "an environment without protection");
        }
        Ok(warning)
    }

    async fn public_key(&self, id: &VariableId, issuer: &Issuer, place: &Location) -> Result<PublicKey, Error> {
        let what = format!("the public key of {place}");
        let call = id.call("github:GetPublicKey", "GET", format!("{}/public-key", id.all()), &what);
        let Key { key_id, key } = self.answered(issuer, &call).await?;
        let key = PublicKey::read(&key_id, &key).ok_or_else(|| Refusal::PreconditionFailed {
            what: format!("{what} is no key of 32 bytes"),
            remedy: String::new(),
        });
        Ok(key?)
    }

    /// What GitHub says to a question that nothing can be made without. A clear no is a refusal: nothing was made then.
    async fn answered<T: serde::de::DeserializeOwned>(&self, issuer: &Issuer, call: &ApiCall<'_>) -> Result<T, Error> {
        let answered = self.github.call(issuer, call).await.and_then(|reply| reply.json(call));
        answered.map_err(|error| match error.kind {
            ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Invalid => {
                Error::Refused(Refusal::PreconditionFailed { what: error.to_string(), remedy: String::new() })
            }
            _ => Error::Call(error),
        })
    }
}

/// What is sent.
fn body(id: &VariableId, content: &VariableContent, call: &ApiCall<'_>) -> Result<Json, CallError> {
    let VariableContent { sort, value, reach, key, what } = content;
    let mut body = match (sort, key) {
        (ValueKind::Variable, _) => json!({"name": id.name, "value": value.expose()}),
        (ValueKind::Secret, Some(key)) if let Some(sealed) = key.seal(value) => {
            json!({"encrypted_value": sealed, "key_id": key.id})
        }
        (ValueKind::Secret, _) => {
            let message = "it could not be sealed".to_owned();
            let (code, resource) = ("Seal".to_owned(), what.clone());
            let kind = ErrorKind::Invalid;
            return Err(CallError {
                action: call.action,
                resource,
                kind,
                code,
                message,
                request_id: None,
                uncertain: false,
            });
        }
    };
    if let Some(Visibility { visibility, selected }) = reach {
        body["visibility"] = json!(visibility);
        if *visibility == "selected" {
            body["selected_repository_ids"] = json!(selected);
        }
    }
    Ok(body)
}

/// What is to be said of an environment that a role may trust.
fn warning(place: &Location, environment: &Environment) -> String {
    if environment.is_protected() {
        return String::new();
    }
    format!(
        "{place} has no protection: whoever can push a workflow gets what is trusted in it. Restrict its branches, or require reviewers"
    )
}
