//! Calls that change something at GitHub, or read what is about to be changed. Their failures have the form of AWS's, with a
//! hint for the reader: GitHub's own words are often no more than "Not Found".

use std::fmt::Display;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Issuer;
use super::client::{Client, LookupError};
use super::http::{GitHubRequest, GitHubResponse, NoResponseKind};
use super::name::Repository;
use super::queries::is_redirect;
use crate::aws::{CallError, ErrorKind};

/// A call. It has no `Debug`, because its body may hold a value.
pub struct ApiCall<'a> {
    /// The name of the call in a message: `github:CreateVariable`.
    pub action: &'static str,
    /// `GET`, `PUT` …
    pub method: &'static str,
    /// Behind the API's root.
    pub path: String,
    /// The object in a message.
    pub resource: &'a dyn Display,
    /// The repository that the object is in. Its new name is in the message if it was renamed.
    pub repository: Option<&'a Repository>,
    /// The body of the request.
    pub body: Option<Value>,
}

impl ApiCall<'_> {
    /// The error of this call.
    #[must_use]
    pub fn error(&self, kind: ErrorKind, code: impl Into<String>, message: String) -> CallError {
        CallError::of(kind, self.action, self.resource, code.into(), message)
    }
}

/// The response to a call that was carried out.
pub struct ApiResponse {
    /// 200, 201, 204.
    pub status: u16,
    /// The seconds by which GitHub's clock is ahead of ours.
    pub ahead: i64,
    body: Vec<u8>,
}

impl ApiResponse {
    /// Parses the body.
    ///
    /// # Errors
    /// When the body is not what GitHub documents.
    pub fn json<T: DeserializeOwned>(&self, call: &ApiCall<'_>) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|_json| {
            let message = "GitHub's answer is not what its documentation says".to_owned();
            call.error(ErrorKind::Invalid, self.status.to_string(), message)
        })
    }
}

/// Returns true if a call failed because its place has another name now.
#[must_use]
pub fn is_redirected(error: &CallError) -> bool {
    error.code.parse().is_ok_and(is_redirect)
}

impl Client {
    /// Makes a call. GitHub shows nothing that can be changed to the public, so that it needs a credential.
    ///
    /// # Errors
    /// When the call is not carried out, or its outcome is unknown.
    pub async fn call(&self, issuer: &Issuer, call: &ApiCall<'_>) -> Result<ApiResponse, CallError> {
        let token = self.token(issuer).await.map_err(|problem| {
            let message = format!("without a credential for {} it cannot be made: {problem}", issuer.web_host());
            call.error(ErrorKind::Denied, "NoCredential", message)
        })?;
        let Some(token) = token else {
            let message = format!(
                "the function has no credential for {}; give it one that may write there (`GitHubSecretArn` of its template)",
                issuer.web_host()
            );
            return Err(call.error(ErrorKind::Denied, "NoCredential", message));
        };
        let body = call.body.as_ref().map(ToString::to_string);
        let request = GitHubRequest::patient(call.method, &call.path, body.as_ref().map(String::as_bytes));
        let answer = match self.ask(issuer, &request, Some(&token)).await {
            Ok(answer) => answer,
            Err(no_response) => {
                let kind = match no_response.kind {
                    NoResponseKind::TimeUp => ErrorKind::TimeUp,
                    NoResponseKind::Throttled => ErrorKind::Throttled,
                    NoResponseKind::Broken => ErrorKind::Unknown,
                };
                let error = call.error(kind, "GitHub", no_response.what);
                return Err(CallError { uncertain: no_response.uncertain, ..error });
            }
        };
        if (200..300).contains(&answer.status) {
            let ahead = answer.date.map_or(0, |date| date - self.now());
            return Ok(ApiResponse { status: answer.status, ahead, body: answer.body });
        }
        let (kind, message) = match (answer.status, call.repository) {
            (status, Some(repository)) if is_redirect(status) => {
                match self.new_name(issuer, repository, Some(&token)).await {
                    LookupError::Renamed { to, id: _ } => (
                        ErrorKind::Invalid,
                        format!("{repository} was renamed or transferred, and is {to} now: declare it by that name"),
                    ),
                    problem => (ErrorKind::Invalid, problem.to_string()),
                }
            }
            _ => diagnose(call, &answer, &issuer.web_host()),
        };
        let request_id = Some(answer.request_id).filter(|id| !id.is_empty()).map(Into::into);
        let error = call.error(kind, answer.status.to_string(), message);
        Err(CallError { request_id, uncertain: answer.uncertain, ..error })
    }
}

/// The body of GitHub's errors, as far as it is read.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Option<Value>,
}

/// The kind of a refusal, and its message with a hint.
fn diagnose(call: &ApiCall<'_>, answer: &GitHubResponse, host: &str) -> (ErrorKind, String) {
    let error: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut words = error.message;
    if let Some(errors) = error.errors.filter(|_| call.body.is_some()) {
        words = format!("{words} {errors}");
    }
    // Bounded, because it may be anything.
    let words: String = words.chars().take(400).collect();
    let words = words.trim_end_matches('.').to_owned();
    let with = |hint: &str| if words.is_empty() { hint.to_owned() } else { format!("{words}: {hint}") };
    match answer.status {
        401 => (
            ErrorKind::Denied,
            with("the credential is wrong, expired or revoked; renew the secret that `GitHubSecretArn` names"),
        ),
        403 if answer.sso => (
            ErrorKind::Denied,
            with(&format!(
                "the organisation demands single sign-on; authorise the token for it (https://{host}/settings/tokens, Configure SSO) or use a GitHub App"
            )),
        ),
        // https://docs.github.com/en/repositories/archiving-a-github-repository/archiving-repositories
        403 if words.contains("archived") => (
            ErrorKind::Denied,
            with("no credential can change it; unarchive the repository, or take this out of the stack"),
        ),
        403 => {
            let wanted = answer.permissions.as_deref().map_or_else(String::new, |wanted| format!(" ({wanted})"));
            (
                ErrorKind::Denied,
                with(&format!(
                    "the credential lacks a permission for this{wanted}; docs/github-variable.md lists them"
                )),
            )
        }
        404 => (
            // What is made under a name that GitHub does not show will not be shown later either.
            if matches!(call.method, "POST" | "PUT") { ErrorKind::Invalid } else { ErrorKind::NotFound },
            with(
                "it is not there, or the credential may not see it; check the names, and what the token or App has access to",
            ),
        ),
        409 if call.method == "POST" => (ErrorKind::AlreadyExists, with("somebody made it in the meantime")),
        409 => (ErrorKind::InUse, with("another change is in progress")),
        _ => (ErrorKind::Invalid, words),
    }
}
