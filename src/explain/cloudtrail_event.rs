//! CloudTrail's events of `AssumeRoleWithWebIdentity`: a token that STS took, or refused.
//!
//! `userIdentity.principalId` is `PROVIDER:AUDIENCE:SUBJECT`, also in the event of a refused token. Such an event may name
//! no role: `requestParameters` is then null.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::arn::issuer_of_provider;
use crate::github::Issuer;
use crate::github::subject::{pairs, prefix};

/// Reads the events of a file: the answer of `aws cloudtrail lookup-events`, or a log that CloudTrail delivered.
///
/// # Errors
/// When it is neither.
pub fn events_of(text: &str) -> Result<Vec<TokenEvent>, String> {
    let expected = "expected the output of `aws cloudtrail lookup-events`, or a file of CloudTrail with `Records`";
    let file: Value = serde_json::from_str(text).map_err(|error| format!("{expected}: {error}"))?;
    let list = |name: &str| file.get(name).and_then(Value::as_array);
    let events: Vec<Value> = match (list("Events"), list("Records")) {
        (Some(events), _) => events
            .iter()
            .filter_map(|event| serde_json::from_str(event.get("CloudTrailEvent")?.as_str()?).ok())
            .collect(),
        (None, Some(records)) => records.clone(),
        (None, None) => return Err(expected.to_owned()),
    };
    Ok(events.iter().filter_map(TokenEvent::read).collect())
}

/// Reads a period such as `30m`, `1h` or `90d`.
///
/// # Errors
/// With what is allowed.
pub fn period(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a number with m, h or d, such as 1h, at most 90d, found {text:?}");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    let period = Duration::from_secs(number.saturating_mul(minutes).saturating_mul(60));
    // CloudTrail has no older events.
    Some(period).filter(|period| *period <= Duration::from_hours(90 * 24)).ok_or_else(expected)
}

/// A token of GitHub that was shown to STS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenEvent {
    /// The provider's ARN; empty where STS did not get as far as that.
    pub provider: String,
    /// The subject of the token; empty like that.
    pub subject: String,
    /// The audience of the token; empty like that.
    pub audience: String,
    /// The error's code and message; none for a token that was taken.
    pub error: Option<(String, String)>,
    /// The ARN of the role, where the event names it.
    pub role: Option<String>,
    /// By UTC, as ISO 8601.
    pub time: String,
}

impl TokenEvent {
    /// Reads an event. Returns `None` for one that is not about a token of GitHub.
    #[must_use]
    pub fn read(event: &Value) -> Option<Self> {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("/eventName") != "AssumeRoleWithWebIdentity" {
            return None;
        }
        let provider = text("/userIdentity/identityProvider");
        let principal = text("/userIdentity/principalId");
        let subject = text("/userIdentity/userName");
        // Without an identity only the client tells that it is a job of GitHub.
        let is_of_github = match issuer_of_provider(&provider) {
            Some(issuer) => Issuer::parse_without_scheme(issuer).is_ok(),
            None => provider.is_empty() && text("/userAgent").contains("github-actions"),
        };
        if !is_of_github {
            return None;
        }
        let audience = principal.strip_prefix(&provider).and_then(|rest| rest.strip_prefix(':'));
        let audience = audience.and_then(|rest| rest.strip_suffix(&subject)).and_then(|rest| rest.strip_suffix(':'));
        let error = Some(text("/errorCode")).filter(|code| !code.is_empty());
        Some(Self {
            audience: audience.unwrap_or_default().to_owned(),
            error: error.map(|code| (code, text("/errorMessage"))),
            role: Some(text("/requestParameters/roleArn")).filter(|arn| !arn.is_empty()),
            time: text("/eventTime"),
            provider,
            subject,
        })
    }

    /// The claims of the token, as far as the event tells them: a subject is made of claims.
    #[must_use]
    pub fn claims(&self) -> Map<String, Value> {
        let issuer = issuer_of_provider(&self.provider).unwrap_or_default();
        let mut claims: Map<String, Value> =
            [("iss", format!("https://{issuer}")), ("aud", self.audience.clone()), ("sub", self.subject.clone())]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
        for (key, value) in pairs(&self.subject) {
            let Some(value) = value else { continue };
            // GitHub writes a colon of a value like that.
            let value = value.replace("%3A", ":");
            let Some(repository) = (key == "repo").then(|| prefix(&value)).flatten() else {
                claims.entry(key).or_insert_with(|| json!(value));
                continue;
            };
            claims.insert("repository".to_owned(), json!(repository.repository.to_string()));
            claims.insert("repository_owner".to_owned(), json!(repository.repository.owner()));
            if let Some((owner, id)) = repository.ids {
                claims.insert("repository_owner_id".to_owned(), json!(owner.to_string()));
                claims.insert("repository_id".to_owned(), json!(id.to_string()));
            }
        }
        claims
    }
}
