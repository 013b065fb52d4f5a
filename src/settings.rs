//! What the deployment decides, read once from the environment that the template sets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::guardrails::Guardrails;
use crate::resources::oidc_provider::rotation::RotationPolicy;

/// The function's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// One origin besides CloudFormation's buckets that answers may go to, for a local AWS: `GITHUB_TRUST_RESPONSE_ORIGIN`.
    pub response_origin: Option<String>,
    /// How far IAM's reads may lag behind its writes: `GITHUB_TRUST_IAM_LAG_SECONDS`, 60 where it is not set. A local AWS
    /// has no lag.
    pub iam_lag: Duration,
    /// The secret with the credential for GitHub: `GITHUB_TRUST_GITHUB_SECRET`.
    pub github_secret: Option<String>,
    /// One place for every GitHub's REST API, for a GitHub on this machine: `GITHUB_TRUST_GITHUB_API`.
    pub github_api_root: Option<String>,
    /// What templates may ask for: the guardrails' variables.
    pub guardrails: Guardrails,
    /// How fast thumbprints follow: `GITHUB_TRUST_THUMBPRINT_OVERLAP_DAYS`, 30 where it is not set, and
    /// `GITHUB_TRUST_LOOKS_APART_SECONDS`, an hour.
    pub rotation_policy: RotationPolicy,
    /// Whether issuers may be in private networks: `GITHUB_TRUST_PRIVATE_ISSUERS`, `true` or not.
    pub private_issuers: bool,
    /// Where issuers are that no name server knows, for a local AWS: `GITHUB_TRUST_HOSTS`, as `name=address:port`,
    /// separated by spaces; the name `*` stands for all others.
    pub hosts: BTreeMap<String, SocketAddr>,
}

/// IAM is "eventually consistent", mostly within seconds.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const IAM_LAG: Duration = Duration::from_mins(1);

const OVERLAP_DAYS: u64 = 30;
/// In seconds.
const DAY: u64 = 24 * 60 * 60;
/// In seconds. Lambda delivers a failed event again after one and two minutes, which is no second look.
const APART: u64 = 60 * 60;

/// Those of an environment that sets nothing, but without guardrails: they are tried by themselves.
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
                confirmation_interval: number("GITHUB_TRUST_LOOKS_APART_SECONDS").unwrap_or(APART),
            },
            private_issuers: variable("GITHUB_TRUST_PRIVATE_ISSUERS").is_some_and(|value| value == "true"),
            hosts: hosts.split(' ').filter_map(host).collect(),
        }
    }
}
