//! GitHub's REST API, as little of it as is needed: what a repository is called, which ids it has, and what its subjects
//! are made of. Every answer is bounded in size and time, and none is followed elsewhere with a credential.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::Issuer;
use super::credential::{self, Credential, Token};
use super::facts::{Account, Customization, Described};
use super::name::Repository;
use crate::retry::{Budget, Pauses, millis};

/// A repository's description has about 10 KB.
const BODY_LIMIT: usize = 1024 * 1024;
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(8);
/// How long GitHub may be out of reach or throttle before we go on without it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why something could not be found out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// 404: it is not there, or not for us to see.
    #[error("{0}")]
    Invisible(String),
    /// It has another name now.
    #[error("it was renamed or transferred, and is {0} now")]
    Renamed(String),
    /// No usable answer, and none to be expected soon.
    #[error("GitHub could not be asked: {0}")]
    Unreachable(String),
}

/// Asks.
#[derive(Debug)]
pub struct Client {
    /// Carries the requests.
    pub http: SharedHttpConnector,
    /// Holds the credential.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Where the credential is, if there is one.
    pub secret: Option<String>,
    /// Another place for all API roots, for a GitHub on this machine.
    pub api_root: Option<String>,
    /// The time of day.
    pub clock: SharedTimeSource,
    /// Until when.
    pub budget: Budget,
    /// What was read from the secret.
    pub credentials: RefCell<Option<BTreeMap<String, Credential>>>,
    /// Tokens of Apps by host.
    pub tokens: RefCell<BTreeMap<String, Token>>,
}

/// One answer.
struct Answer {
    status: u16,
    request_id: String,
    location: Option<String>,
    body: Vec<u8>,
}

impl Client {
    /// What a repository is, and what its subjects are made of where that may be asked.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn repository(
        &self,
        issuer: &Issuer,
        repository: &Repository,
    ) -> Result<(Described, Option<Customization>), Problem> {
        let token = self.token(issuer).await?;
        let path = format!("/repos/{repository}");
        let answer = self.get(issuer, &path, token.as_ref()).await?;
        let described: Described = match answer.status {
            200 => parse(&answer)?,
            301 | 302 | 307 | 308 => return Err(self.renamed(issuer, &answer, token.as_ref()).await),
            404 | 451 => return Err(Problem::Invisible(invisible(token.is_some()).to_owned())),
            status => return Err(Problem::Unreachable(refused(status))),
        };
        // "You must authenticate": without a credential there is nothing to ask.
        if token.is_none() {
            return Ok((described, None));
        }
        let answer = self.get(issuer, &format!("{path}/actions/oidc/customization/sub"), token.as_ref()).await?;
        if answer.status != 200 {
            tracing::warn!(%repository, status = answer.status, "the subject's template may not be read with this credential");
            return Ok((described, None));
        }
        let mut customization: Customization = parse(&answer)?;
        // "An organisation's template takes effect only in repositories with `use_default: false`."
        if !customization.use_default && customization.include_claim_keys.as_ref().is_none_or(Vec::is_empty) {
            let path = format!("/orgs/{}/actions/oidc/customization/sub", repository.owner());
            let answer = self.get(issuer, &path, token.as_ref()).await?;
            match answer.status {
                200 => customization.include_claim_keys = parse::<Customization>(&answer)?.include_claim_keys,
                404 => {}
                status => {
                    return Err(Problem::Unreachable(format!(
                        "the template of the organisation {} may not be read with this credential (status {status})",
                        repository.owner()
                    )));
                }
            }
        }
        Ok((described, Some(customization)))
    }

    /// The account of a user or an organisation.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn account(&self, issuer: &Issuer, name: &str) -> Result<Account, Problem> {
        let token = self.token(issuer).await?;
        let answer = self.get(issuer, &format!("/users/{}", urlencoding::encode(name)), token.as_ref()).await?;
        match answer.status {
            200 => parse(&answer),
            404 => Err(Problem::Invisible("there is no user or organisation of that name".to_owned())),
            status => Err(Problem::Unreachable(refused(status))),
        }
    }

    /// Whether there is a credential for an issuer.
    ///
    /// # Errors
    /// When the secret cannot be read.
    pub async fn has_credential(&self, issuer: &Issuer) -> Result<bool, Problem> {
        self.load().await?;
        Ok(self.credentials.borrow().as_ref().is_some_and(|all| all.contains_key(&issuer.web_host())))
    }

    /// Where a redirect leads tells the new name. It is followed once, and only within the same API.
    async fn renamed(&self, issuer: &Issuer, answer: &Answer, token: Option<&Token>) -> Problem {
        let root = self.root(issuer);
        let path = answer.location.as_deref().and_then(|location| location.strip_prefix(root.as_str()));
        let Some(path) = path.filter(|path| path.starts_with('/')) else {
            return Problem::Unreachable("it answers with a redirect to somewhere else".to_owned());
        };
        match self.get(issuer, path, token).await {
            Ok(answer) if answer.status == 200 => match parse::<Described>(&answer) {
                Ok(described) => Problem::Renamed(described.full_name),
                Err(problem) => problem,
            },
            Ok(answer) => Problem::Unreachable(refused(answer.status)),
            Err(problem) => problem,
        }
    }

    fn root(&self, issuer: &Issuer) -> String {
        self.api_root.clone().unwrap_or_else(|| issuer.api_root())
    }

    async fn load(&self) -> Result<(), Problem> {
        let Some(id) = self.secret.as_ref().filter(|_| self.credentials.borrow().is_none()) else { return Ok(()) };
        let request = self.secrets.get_secret_value().secret_id(id);
        let output = self.budget.call("secretsmanager:GetSecretValue", id, || request.clone().send()).await;
        let output =
            output.map_err(|error| Problem::Unreachable(format!("its credential could not be read: {error}")))?;
        let read = credential::read(output.secret_string().unwrap_or_default());
        let read = read.map_err(|unusable| Problem::Unreachable(format!("{unusable} ({id})")))?;
        *self.credentials.borrow_mut() = Some(read);
        Ok(())
    }

    async fn token(&self, issuer: &Issuer) -> Result<Option<Token>, Problem> {
        self.load().await?;
        let host = issuer.web_host();
        let known = self.tokens.borrow().get(&host).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let credential = self.credentials.borrow().as_ref().and_then(|all| all.get(&host).cloned());
        let token = match credential {
            None => return Ok(None),
            Some(Credential::Token(token)) => token,
            Some(Credential::App(app)) => {
                let own = app.token(self.clock.now()).map_err(|unusable| Problem::Unreachable(unusable.to_string()))?;
                let path = format!("/app/installations/{}/access_tokens", app.installation);
                let answer = self.ask(issuer, "POST", &path, Some(&own)).await?;
                if answer.status != 201 {
                    return Err(Problem::Unreachable(format!(
                        "installation {} of the GitHub App {} gets no token (status {})",
                        app.installation, app.id, answer.status
                    )));
                }
                Token::new(&parse::<Installation>(&answer)?.token)
            }
        };
        self.tokens.borrow_mut().insert(host, token.clone());
        Ok(Some(token))
    }

    async fn get(&self, issuer: &Issuer, path: &str, token: Option<&Token>) -> Result<Answer, Problem> {
        let answer = self.ask(issuer, "GET", path, token).await?;
        if answer.status == 401 {
            return Err(Problem::Unreachable("it refuses the credential (status 401): renew the secret".to_owned()));
        }
        Ok(answer)
    }

    /// Asks until there is an answer, or none is to be expected within the time.
    async fn ask(&self, issuer: &Issuer, method: &str, path: &str, token: Option<&Token>) -> Result<Answer, Problem> {
        let first = Instant::now();
        let mut pauses = Pauses::new();
        loop {
            if !self.budget.allows(Duration::ZERO) {
                return Err(Problem::Unreachable("the time was up".to_owned()));
            }
            let started = Instant::now();
            let attempt = tokio::time::timeout(ATTEMPT, self.send(&self.root(issuer), method, path, token)).await;
            let (outcome, wait) = match attempt {
                Ok(Ok((answer, wait))) => (Ok(answer), wait),
                Ok(Err(problem)) => (Err(problem), Some(Duration::ZERO)),
                Err(_elapsed) => (Err(format!("no answer within {} s", ATTEMPT.as_secs())), Some(Duration::ZERO)),
            };
            let status = outcome.as_ref().map_or(0, |answer| answer.status);
            tracing::info!(
                call = format!("github:{method} {path}"),
                resource = issuer.web_host(),
                request_id = outcome.as_ref().map_or("", |answer| answer.request_id.as_str()),
                duration_ms = millis(started.elapsed()),
                status,
                "called"
            );
            let Some(wait) = wait else { return outcome.map_err(Problem::Unreachable) };
            let pause = pauses.pause().max(wait);
            if first.elapsed() + pause > PATIENCE || !self.budget.allows(pause) {
                let problem = outcome.map_or_else(
                    |problem| problem,
                    |answer| match answer.status {
                        403 | 429 => format!("its rate limit is used up for the next {} s", wait.as_secs()),
                        status => refused(status),
                    },
                );
                return Err(Problem::Unreachable(problem));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One attempt; with how long to wait before the next, where one would help.
    async fn send(
        &self,
        root: &str,
        method: &str,
        path: &str,
        token: Option<&Token>,
    ) -> Result<(Answer, Option<Duration>), String> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{root}{path}"))
            .header(http::header::ACCEPT, "application/vnd.github+json")
            .header(http::header::USER_AGENT, concat!("github-trust/", env!("CARGO_PKG_VERSION")))
            .header("x-github-api-version", "2022-11-28");
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, token.authorization());
        }
        let request = request.body(SdkBody::empty()).ok().and_then(|request| HttpRequest::try_from(request).ok());
        let request = request.ok_or_else(|| "its address cannot be requested".to_owned())?;
        // What went wrong could show the request, credential and all, so that only its kind is passed on.
        let response = self.http.call(request).await.map_err(|error| {
            if error.is_timeout() { "the connection timed out".to_owned() } else { "the connection failed".to_owned() }
        })?;
        let wait = self.wait(&response);
        let header = |name: &'static str| response.headers().get(name).map(str::to_owned);
        let (location, request_id) = (header("location"), header("x-github-request-id").unwrap_or_default());
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut stream = ByteStream::new(response.into_body());
        while let Some(chunk) = stream.try_next().await.map_err(|_broken| "the connection ended".to_owned())? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err("its answer is larger than 1 MiB".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        Ok((Answer { status, request_id, location, body }, wait))
    }

    /// How long GitHub asks to wait, if it does: "If the `retry-after` response header is present, you should not retry
    /// until after that many seconds has elapsed. If `x-ratelimit-remaining` is `0`, until after the time in
    /// `x-ratelimit-reset`."
    /// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
    fn wait(&self, response: &HttpResponse) -> Option<Duration> {
        let number = |name: &'static str| response.headers().get(name).and_then(|value| value.parse::<u64>().ok());
        let status = response.status().as_u16();
        if status >= 500 {
            return Some(Duration::ZERO);
        }
        if status != 403 && status != 429 {
            return None;
        }
        if let Some(seconds) = number("retry-after") {
            return Some(Duration::from_secs(seconds));
        }
        if number("x-ratelimit-remaining") == Some(0) {
            let reset = UNIX_EPOCH + Duration::from_secs(number("x-ratelimit-reset").unwrap_or_default());
            return Some(reset.duration_since(self.clock.now()).unwrap_or_default());
        }
        (status == 429).then_some(Duration::ZERO)
    }
}

#[derive(Deserialize)]
struct Installation {
    token: String,
}

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, Problem> {
    serde_json::from_slice(&answer.body)
        .map_err(|_json| Problem::Unreachable("its answer is not what its documentation says".to_owned()))
}

fn refused(status: u16) -> String {
    format!("it answers with status {status}")
}

fn invisible(with_credential: bool) -> &'static str {
    if with_credential {
        "GitHub shows no such repository to the function's credential"
    } else {
        "GitHub shows no such repository to the public, and the function has no credential for it"
    }
}
