//! The settings of the deployment, read once from the environment that the template sets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::deployment::LogStream;
use crate::guardrails::Guardrails;
use crate::resources::oidc_provider::rotation::RotationPolicy;

/// The function's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The origin besides CloudFormation's buckets that responses may go to, for a local AWS:
    /// `GITHUB_TRUST_RESPONSE_ORIGIN`.
    pub response_origin: Option<String>,
    /// The time by which reads of IAM may lag behind its writes: `GITHUB_TRUST_IAM_LAG_SECONDS`, by default 60. A local
    /// AWS has no lag.
    pub iam_lag: Duration,
    /// The secret with the credential for GitHub: `GITHUB_TRUST_GITHUB_SECRET`.
    pub github_secret: Option<String>,
    /// The root of every GitHub's REST API, for a GitHub on this machine: `GITHUB_TRUST_GITHUB_API`.
    pub github_api_root: Option<String>,
    /// The permissions of templates: the guardrails' variables.
    pub guardrails: Guardrails,
    /// The rotation of thumbprints: `GITHUB_TRUST_THUMBPRINT_OVERLAP_DAYS`, by default 30, and
    /// `GITHUB_TRUST_THUMBPRINT_CONFIRMATION_SECONDS`, by default an hour.
    pub rotation_policy: RotationPolicy,
    /// True if issuers may be in private networks: `GITHUB_TRUST_PRIVATE_ISSUERS`, `true` or not.
    pub private_issuers: bool,
    /// The addresses of issuers that no name server knows, for a local AWS: `GITHUB_TRUST_HOSTS`, as
    /// `name=address:port`, separated by spaces; the name `*` stands for all others.
    pub hosts: BTreeMap<String, SocketAddr>,
    /// The log of this process: `AWS_LAMBDA_LOG_GROUP_NAME` and `AWS_LAMBDA_LOG_STREAM_NAME`, which Lambda sets.
    pub log: Option<LogStream>,
}

/// IAM is "eventually consistent", mostly within seconds.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const IAM_LAG: Duration = Duration::from_mins(1);

const OVERLAP_DAYS: u64 = 30;
/// In seconds.
const DAY: u64 = 24 * 60 * 60;
/// In seconds. Lambda delivers a failed event again after one and two minutes, which is no confirmation.
const CONFIRMATION_INTERVAL: u64 = 60 * 60;

/// The settings of an empty environment, but without guardrails, which have tests of their own.
impl Default for Settings {
    fn default() -> Self {
        Self { guardrails: Guardrails::none(), ..Self::read(|_| None) }
    }
}

impl Settings {
    /// Reads them by name, from the environment or from a test.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let number = |name| variable(name).and_then(|value| value.parse::<u64>().ok());
        let hosts = variable("GITHUB_TRUST_HOSTS").unwrap_or_default();
        let host = |entry: &str| {
            let (name, address) = entry.split_once('=')?;
            Some((name.to_owned(), address.parse().ok()?))
        };
        Self {
            response_origin: variable("GITHUB_TRUST_RESPONSE_ORIGIN"),
            iam_lag: number("GITHUB_TRUST_IAM_LAG_SECONDS").map_or(IAM_LAG, Duration::from_secs),
            github_secret: variable("GITHUB_TRUST_GITHUB_SECRET"),
            github_api_root: variable("GITHUB_TRUST_GITHUB_API"),
            guardrails: Guardrails::read(|name| variable(&format!("GITHUB_TRUST_{name}"))),
            rotation_policy: RotationPolicy {
                overlap: number("GITHUB_TRUST_THUMBPRINT_OVERLAP_DAYS").unwrap_or(OVERLAP_DAYS) * DAY,
                confirmation_interval: number("GITHUB_TRUST_THUMBPRINT_CONFIRMATION_SECONDS")
                    .unwrap_or(CONFIRMATION_INTERVAL),
            },
            private_issuers: variable("GITHUB_TRUST_PRIVATE_ISSUERS").is_some_and(|value| value == "true"),
            hosts: hosts.split(' ').filter_map(host).collect(),
            log: variable("AWS_LAMBDA_LOG_GROUP_NAME")
                .zip(variable("AWS_LAMBDA_LOG_STREAM_NAME"))
                .map(|(group, name)| LogStream { group, name }),
        }
    }
}
