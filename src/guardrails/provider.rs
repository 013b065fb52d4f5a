//! The guardrails of OIDC providers, which stacks share.

use super::{any, one_of};
use crate::iam_policy::string_like::string_like;

/// What a stack may do to a provider that others rely on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProviderGuardrails {
    thumbprint_pins: bool,
    audiences: Vec<String>,
}

const AUDIENCES: &str = "sts.amazonaws.com";

impl ProviderGuardrails {
    /// Permits everything.
    pub(super) fn none() -> Self {
        Self { thumbprint_pins: true, audiences: vec!["*".to_owned()] }
    }

    /// Reads them: `list` takes a name and its default.
    pub(super) fn read(list: impl Fn(&str, &str) -> Vec<String>, allowed: impl Fn(&str) -> bool) -> Self {
        Self { thumbprint_pins: allowed("ALLOW_THUMBPRINT_PINS"), audiences: list("ALLOWED_AUDIENCES", AUDIENCES) }
    }

    /// Returns the reason of a refusal.
    pub(super) fn forbids_pins(&self) -> Option<String> {
        (!self.thumbprint_pins).then(|| {
            "`ThumbprintList`: thumbprints that nobody verifies stand in for those of every stack that shares the provider \
             (guardrail `AllowThumbprintPins`)"
                .to_owned()
        })
    }

    /// Returns the reason of a refusal.
    pub(super) fn forbids_audience(&self, audience: &str) -> Option<String> {
        (!any(&self.audiences, |allowed| string_like(allowed, audience)))
            .then(|| format!("`ClientIdList`: {audience} {} (guardrail `AllowedAudiences`)", one_of(&self.audiences)))
    }
}
