//! Requests to GitHub's REST API. Each response is bounded in size and time; a failure that passes by itself is
//! retried, as long as GitHub asks for and there is time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::date_time::{DateTime, Format};
use tokio::time::Instant;

use super::Issuer;
use super::client::Client;
use super::credential::AccessToken;
use crate::aws::{Backoff, millis};

/// A repository's description has about 10 KB.
const BODY_LIMIT: usize = 1024 * 1024;
/// The time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(8);
/// The time for which GitHub may be out of reach before the request goes on without it.
const PATIENCE: Duration = Duration::from_secs(90);
/// The same where nothing goes on without it, and where GitHub asks to wait: a secondary rate limit does so for a minute or
/// more, and the next attempt may meet it again.
const LONG_PATIENCE: Duration = Duration::from_mins(5);
/// "Otherwise, wait for at least one minute before retrying."
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>
const UNTOLD: Duration = Duration::from_mins(1);
/// Words of a 403 that another attempt does not change.
const FINAL_WORDS: [&str; 8] = [
    "not accessible",
    "must have admin",
    "archived",
    "suspended",
    "forbids access",
    "protected by organization",
    "ip allow list",
    "upgrade to",
];
/// The time for a request that only a remark depends on.
const BRIEF_PATIENCE: Duration = Duration::from_secs(5);

/// A request. It has no `Debug`, because its body may hold a value.
pub(super) struct GitHubRequest<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) body: Option<&'a [u8]>,
    pub(super) patience: Duration,
}

impl<'a> GitHubRequest<'a> {
    /// A request that only a remark depends on.
    pub(super) fn brief(method: &'a str, path: &'a str) -> Self {
        Self { method, path, body: None, patience: BRIEF_PATIENCE }
    }

    /// A request that has a substitute.
    pub(super) fn short(method: &'a str, path: &'a str) -> Self {
        Self { method, path, body: None, patience: PATIENCE }
    }

    /// A request that has no substitute.
    pub(super) fn patient(method: &'a str, path: &'a str, body: Option<&'a [u8]>) -> Self {
        Self { method, path, body, patience: LONG_PATIENCE }
    }
}

/// A response.
pub(super) struct GitHubResponse {
    pub(super) status: u16,
    pub(super) request_id: String,
    pub(super) body: Vec<u8>,
    /// GitHub's own clock, in seconds since 1970.
    pub(super) date: Option<i64>,
    /// The permissions that would do, where GitHub says so.
    pub(super) permissions: Option<String>,
    /// True if single sign-on is missing.
    pub(super) sso: bool,
    /// True if an earlier attempt may have been carried out.
    pub(super) uncertain: bool,
    pub(super) location: Option<String>,
}

/// No answer that can be used.
pub(super) struct NoResponse {
    pub(super) what: String,
    pub(super) kind: NoResponseKind,
    /// True if an attempt may have been carried out.
    pub(super) uncertain: bool,
}

/// The reason that there is no response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NoResponseKind {
    TimeUp,
    Throttled,
    Broken,
}

impl Client {
    /// Asks until there is an answer, or none is to be expected within the time.
    pub(super) async fn ask(
        &self,
        issuer: &Issuer,
        ask: &GitHubRequest<'_>,
        token: Option<&AccessToken>,
    ) -> Result<GitHubResponse, NoResponse> {
        let first = Instant::now();
        let mut pauses = Backoff::new();
        let mut uncertain = false;
        let mut unclear_once = false;
        loop {
            if !self.deadline.allows(Duration::ZERO) {
                return Err(NoResponse { what: "the time was up".to_owned(), kind: NoResponseKind::TimeUp, uncertain });
            }
            let started = Instant::now();
            let end = (started + ATTEMPT).min(self.deadline.cut());
            let attempt = tokio::time::timeout_at(end, self.send(&self.root(issuer), ask, token)).await;
            let (outcome, wait) = match attempt {
                Ok(Ok((answer, wait))) => (Ok(answer), wait),
                Ok(Err(problem)) => (Err(problem), Some(Duration::ZERO)),
                Err(_elapsed) => (Err(format!("no answer within {} s", ATTEMPT.as_secs())), Some(Duration::ZERO)),
            };
            let status = outcome.as_ref().map_or(0, |answer| answer.status);
            uncertain |= status == 0 || status >= 500;
            tracing::info!(
                call = format!("github:{} {}", ask.method, ask.path),
                resource = issuer.web_host(),
                request_id = outcome.as_ref().map_or("", |answer| answer.request_id.as_str()),
                duration_ms = millis(started.elapsed()),
                status,
                "called"
            );
            // Only where nothing goes on without an answer.
            let is_last = unclear_once || ask.patience != LONG_PATIENCE || !self.deadline.allows(UNTOLD);
            if wait.is_none() && !is_last && outcome.as_ref().is_ok_and(is_unclear) {
                unclear_once = true;
                tokio::time::sleep(UNTOLD).await;
                continue;
            }
            let Some(wait) = wait else {
                let broken = |what| NoResponse { what, kind: NoResponseKind::Broken, uncertain };
                return outcome.map(|answer| GitHubResponse { uncertain, ..answer }).map_err(broken);
            };
            let pause = pauses.pause().max(wait);
            // A client that is told to wait will be answered.
            let limited = matches!(status, 403 | 429) && ask.patience == PATIENCE;
            let patience = if limited { LONG_PATIENCE } else { ask.patience };
            if is_too_long(first.elapsed(), pause, patience) || !self.deadline.allows(pause) {
                let (what, kind) = match status {
                    403 | 429 => (
                        format!("its rate limit is used up for the next {} s", wait.as_secs()),
                        NoResponseKind::Throttled,
                    ),
                    _ => (
                        outcome.map_or_else(|problem| problem, |answer| refused(answer.status)),
                        NoResponseKind::Broken,
                    ),
                };
                return Err(NoResponse { what, kind, uncertain });
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes one attempt. An error carries the pause before the next attempt, where one would help.
    async fn send(
        &self,
        root: &str,
        ask: &GitHubRequest<'_>,
        token: Option<&AccessToken>,
    ) -> Result<(GitHubResponse, Option<Duration>), String> {
        let mut request = http::Request::builder()
            .method(ask.method)
            .uri(format!("{root}{}", ask.path))
            .header(http::header::ACCEPT, "application/vnd.github+json")
            .header(http::header::USER_AGENT, concat!("github-trust/", env!("CARGO_PKG_VERSION")))
            .header("x-github-api-version", "2022-11-28");
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, token.authorization());
        }
        let body = match ask.body {
            Some(body) => {
                request = request.header(http::header::CONTENT_TYPE, "application/json");
                SdkBody::from(body)
            }
            None => SdkBody::empty(),
        };
        let request = request.body(body).ok().and_then(|request| HttpRequest::try_from(request).ok());
        let request = request.ok_or_else(|| "its address cannot be requested".to_owned())?;
        // What went wrong could show the request, credential and all, so that only its kind is passed on.
        let response = self.http.call(request).await.map_err(|error| {
            if error.is_timeout() { "the connection timed out".to_owned() } else { "the connection failed".to_owned() }
        })?;
        let asked_to_wait = wait(&response, self.clock.now());
        let header = |name: &'static str| response.headers().get(name).map(str::to_owned);
        let date = header("date").and_then(|date| DateTime::from_str(&date, Format::HttpDate).ok());
        let answer = GitHubResponse {
            status: response.status().as_u16(),
            request_id: header("x-github-request-id").unwrap_or_default(),
            body: Vec::new(),
            date: date.map(|date| date.secs()),
            permissions: header("x-accepted-github-permissions"),
            sso: header("x-github-sso").is_some_and(|sso| sso.starts_with("required")),
            uncertain: false,
            location: header("location"),
        };
        let mut body = Vec::new();
        let mut stream = ByteStream::new(response.into_body());
        while let Some(chunk) = stream.try_next().await.map_err(|_broken| "the connection ended".to_owned())? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err("its answer is larger than 1 MiB".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        let wait = asked_to_wait.or_else(|| limited(answer.status, &body).then_some(UNTOLD));
        Ok((GitHubResponse { body, ..answer }, wait))
    }
}

/// Returns true if a pause does not fit into the rest of the patience. The pause is GitHub's, and may be any number.
fn is_too_long(elapsed: Duration, pause: Duration, patience: Duration) -> bool {
    elapsed.saturating_add(pause) > patience
}

/// The time that GitHub asks to wait, if it does: "If the `retry-after` response header is present, you should not retry
/// until after that many seconds has elapsed. If `x-ratelimit-remaining` is `0`, until after the time in
/// `x-ratelimit-reset`."
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
fn wait(response: &HttpResponse, now: SystemTime) -> Option<Duration> {
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
        // Seconds since 1970. The number is GitHub's, and may be too large for a `SystemTime`.
        let reset = Duration::from_secs(number("x-ratelimit-reset").unwrap_or_default());
        return Some(reset.saturating_sub(now.duration_since(UNIX_EPOCH).unwrap_or_default()));
    }
    None
}

/// Returns true if a refusal without these headers is a secondary rate limit. Only its words tell it from a lacking
/// permission.
fn limited(status: u16, body: &[u8]) -> bool {
    let says_so = || String::from_utf8_lossy(body).to_ascii_lowercase().contains("secondary rate limit");
    status == 429 || (status == 403 && says_so())
}

/// Returns true if a refusal names no reason that another attempt leaves as it is. It may be a secondary rate limit in other
/// words.
fn is_unclear(answer: &GitHubResponse) -> bool {
    let words = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let has_reason =
        answer.permissions.is_some() || answer.sso || FINAL_WORDS.iter().any(|reason| words.contains(reason));
    answer.status == 403 && !has_reason
}

pub(super) fn refused(status: u16) -> String {
    format!("it answers with status {status}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&'static str, &'static str)]) -> HttpResponse {
        let mut response = HttpResponse::new(403.try_into().unwrap(), SdkBody::empty());
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        response
    }

    #[test]
    fn a_reset_beyond_all_clocks_is_waited_for_without_a_panic() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (reset, expected) in [("1060", 60), ("900", 0), ("9223372036854775808", 9_223_372_036_854_774_808)] {
            let response = refused(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)]);
            assert_eq!(wait(&response, now), Some(Duration::from_secs(expected)), "{reset}");
        }
    }

    #[test]
    fn a_pause_of_all_seconds_is_longer_than_any_patience() {
        let response = refused(&[("retry-after", "18446744073709551615")]);
        let pause = wait(&response, UNIX_EPOCH).unwrap();
        assert!(is_too_long(Duration::from_secs(1), pause, LONG_PATIENCE));
        assert!(!is_too_long(Duration::from_secs(1), Duration::from_mins(1), LONG_PATIENCE));
    }
}
