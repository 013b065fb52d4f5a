//! One call that changes something at GitHub, or looks at what is about to be changed. Its failures are told like those of
//! AWS, with what the reader can do: GitHub's own words are often no more than "Not Found".

use std::fmt::Display;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Issuer;
use super::name::Repository;
use super::rest::{Client, Problem};
use super::transport::{Answer, Ask, Kind};
use crate::error::{CallError, Fault};

/// One call. It has no `Debug`, because its body may hold a value.
pub struct Call<'a> {
    /// What it is called in a message: `github:CreateVariable`.
    pub action: &'static str,
    /// `GET`, `PUT` …
    pub method: &'static str,
    /// Behind the API's root.
    pub path: String,
    /// What it is about, for a message.
    pub resource: &'a dyn Display,
    /// The repository that it is in, whose new name is told if it was renamed.
    pub repository: Option<&'a Repository>,
    /// What is sent.
    pub body: Option<Value>,
}

/// An answer that says yes.
pub struct Reply {
    /// 200, 201, 204.
    pub status: u16,
    /// How many seconds GitHub's clock is ahead of ours.
    pub ahead: i64,
    body: Vec<u8>,
}

impl Reply {
    /// The body.
    ///
    /// # Errors
    /// When it is not what GitHub documents.
    pub fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|_json| {
            let message = "GitHub's answer is not what its documentation says".to_owned();
            failed(call, Fault::Invalid, self.status.to_string(), message)
        })
    }
}

impl Client {
    /// Makes a call. GitHub shows nothing that can be changed to the public, so that it needs a credential.
    ///
    /// # Errors
    /// When it is not carried out, or nobody knows whether it was.
    pub async fn call(&self, issuer: &Issuer, call: &Call<'_>) -> Result<Reply, CallError> {
        let token = self.token(issuer).await.map_err(|problem| {
            let message = format!("without a credential for {} it cannot be made: {problem}", issuer.web_host());
            failed(call, Fault::Denied, "NoCredential".to_owned(), message)
        })?;
        let Some(token) = token else {
            let message = format!(
                "the function has no credential for {}; give it one that may write there (`GitHubSecretArn` of its template)",
                issuer.web_host()
            );
            return Err(failed(call, Fault::Denied, "NoCredential".to_owned(), message));
        };
        let body = call.body.as_ref().map(ToString::to_string);
        let ask = Ask::patient(call.method, &call.path, body.as_ref().map(String::as_bytes));
        let answer = match self.ask(issuer, &ask, Some(&token)).await {
            Ok(answer) => answer,
            Err(silence) => {
                let fault = match silence.kind {
                    Kind::TimeUp => Fault::TimeUp,
                    Kind::Throttled => Fault::Throttled,
                    Kind::Broken => Fault::Unknown,
                };
                let error = failed(call, fault, "GitHub".to_owned(), silence.what);
                return Err(CallError { uncertain: silence.uncertain, ..error });
            }
        };
        if (200..300).contains(&answer.status) {
            let ahead = answer.date.map_or(0, |date| date - self.now());
            return Ok(Reply { status: answer.status, ahead, body: answer.body });
        }
        let (fault, message) = match (answer.status, call.repository) {
            (301 | 302 | 307 | 308, Some(repository)) => match self.new_name(issuer, repository, Some(&token)).await {
                Problem::Renamed(name) => (
                    Fault::Invalid,
                    format!("{repository} was renamed or transferred, and is {name} now: declare it by that name"),
                ),
                problem => (Fault::Invalid, problem.to_string()),
            },
            _ => told(call, &answer, &issuer.web_host()),
        };
        let request_id = Some(answer.request_id).filter(|id| !id.is_empty());
        let error = failed(call, fault, answer.status.to_string(), message);
        Err(CallError { request_id, uncertain: answer.uncertain, ..error })
    }
}

/// GitHub's body of an error, as far as it is read.
#[derive(Default, Deserialize)]
struct Complaint {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Option<Value>,
}

/// What a refusal means, and what to do about it.
fn told(call: &Call<'_>, answer: &Answer, host: &str) -> (Fault, String) {
    let complaint: Complaint = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut words = complaint.message;
    if let Some(errors) = complaint.errors.filter(|_| call.body.is_some()) {
        words = format!("{words} {errors}");
    }
    // Bounded, because it may be anything.
    let words: String = words.chars().take(400).collect();
    let words = words.trim_end_matches('.').to_owned();
    let with = |hint: &str| if words.is_empty() { hint.to_owned() } else { format!("{words}: {hint}") };
    match answer.status {
        401 => (
            Fault::Denied,
            with("the credential is wrong, expired or revoked; renew the secret that `GitHubSecretArn` names"),
        ),
        403 if answer.sso => (
            Fault::Denied,
            with(&format!(
                "the organisation demands single sign-on; authorise the token for it (https://{host}/settings/tokens, Configure SSO) or use a GitHub App"
            )),
        ),
        // https://docs.github.com/en/repositories/archiving-a-github-repository/archiving-repositories
        403 if words.contains("archived") => (
            Fault::Denied,
            with("no credential can change it; unarchive the repository, or take this out of the stack"),
        ),
        403 => {
            let wanted = answer.permissions.as_deref().map_or_else(String::new, |wanted| format!(" ({wanted})"));
            (
                Fault::Denied,
                with(&format!(
                    "the credential lacks a permission for this{wanted}; docs/github-variable.md lists them"
                )),
            )
        }
        404 => (
            // What is made under a name that GitHub does not show will not be shown later either.
            if matches!(call.method, "POST" | "PUT") { Fault::Invalid } else { Fault::NotFound },
            with(
                "it is not there, or the credential may not see it; check the names, and what the token or App has access to",
            ),
        ),
        409 if call.method == "POST" => (Fault::AlreadyExists, with("somebody made it in the meantime")),
        409 => (Fault::InUse, with("another change is in progress")),
        _ => (Fault::Invalid, words),
    }
}

fn failed(call: &Call<'_>, fault: Fault, code: String, message: String) -> CallError {
    let resource = call.resource.to_string();
    CallError { action: call.action, resource, fault, code, message, request_id: None, uncertain: false }
}
