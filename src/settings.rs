//! What the deployment decides, read once from the environment that the template sets.

/// The function's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// One origin besides CloudFormation's buckets that answers may go to, for a local AWS: `GITHUB_TRUST_RESPONSE_ORIGIN`.
    pub response_origin: Option<String>,
}

impl Settings {
    /// Reads them by name, from the environment or from a test.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self { response_origin: variable("GITHUB_TRUST_RESPONSE_ORIGIN").filter(|value| !value.is_empty()) }
    }
}
