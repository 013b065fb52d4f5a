//! What the deployment decides, read once from the environment that the template sets.

use std::time::Duration;

/// The function's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// One origin besides CloudFormation's buckets that answers may go to, for a local AWS: `GITHUB_TRUST_RESPONSE_ORIGIN`.
    pub response_origin: Option<String>,
    /// How far IAM's reads may lag behind its writes: `GITHUB_TRUST_IAM_LAG_SECONDS`, 60 where it is not set. A local AWS
    /// has no lag.
    pub iam_lag: Duration,
}

/// IAM is "eventually consistent", mostly within seconds.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const IAM_LAG: Duration = Duration::from_mins(1);

impl Default for Settings {
    fn default() -> Self {
        Self { response_origin: None, iam_lag: IAM_LAG }
    }
}

impl Settings {
    /// Reads them by name, from the environment or from a test.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let lag = variable("GITHUB_TRUST_IAM_LAG_SECONDS").and_then(|value| value.parse().ok());
        Self {
            response_origin: variable("GITHUB_TRUST_RESPONSE_ORIGIN").filter(|value| !value.is_empty()),
            iam_lag: lag.map_or(IAM_LAG, Duration::from_secs),
        }
    }
}
