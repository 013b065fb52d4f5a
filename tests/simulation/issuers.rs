//! What issuers show, as far as the function looks: certificates that verify, or a reason why none does. How chains are
//! verified is tested with real servers, in `thumbprints`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures_util::future::LocalBoxFuture;
use github_trust::aws::Deadline;
use github_trust::github::Issuer;
use github_trust::resources::oidc_provider::thumbprint::{CaCertificate, Issuers, ProbeError, ProbeResult, Thumbprint};
use time::OffsetDateTime;

use super::cloud::Cloud;
use super::iam::FETCHED_THUMBPRINT;

/// What every issuer of a cloud shows.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) thumbprints: BTreeSet<String>,
    /// Issuers whose URL contains this cannot be verified.
    pub(crate) broken: Option<String>,
    pub(crate) publicly_trusted: bool,
    /// When a certificate ends.
    pub(crate) not_after: OffsetDateTime,
    /// How often somebody looked.
    pub(crate) looks: usize,
    /// When each look began.
    pub(crate) began: Vec<Duration>,
    /// Something that happens elsewhere while somebody looks.
    pub(crate) lasts: Duration,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            thumbprints: [FETCHED_THUMBPRINT.to_owned()].into(),
            broken: None,
            publicly_trusted: true,
            not_after: OffsetDateTime::UNIX_EPOCH + time::Duration::days(365 * 100),
            looks: 0,
            began: Vec::new(),
            lasts: Duration::from_millis(100),
        }
    }
}

#[derive(Debug)]
pub(crate) struct SimulatedIssuers(pub(crate) Cloud);

impl Issuers for SimulatedIssuers {
    fn probe<'a>(
        &'a self,
        issuer: &'a Issuer,
        _: Option<&'a CaCertificate>,
        _: SystemTime,
        _: Deadline,
    ) -> LocalBoxFuture<'a, Result<ProbeResult, ProbeError>> {
        let shown = {
            let mut state = self.0.state();
            state.issuers.looks += 1;
            let began = state.clock.elapsed();
            state.issuers.began.push(began);
            state.issuers.clone()
        };
        Box::pin(async move {
            tokio::time::sleep(shown.lasts).await;
            if shown.broken.is_some_and(|broken| issuer.url().contains(&broken)) {
                return Err(ProbeError::TimeUp(issuer.to_string()));
            }
            let thumbprint = |hex: String| Thumbprint {
                subject: format!("CN=Intermediate {}", &hex[..2]),
                hex,
                not_after: shown.not_after,
                hosts: [issuer.host().to_owned()].into(),
            };
            Ok(ProbeResult {
                thumbprints: shown.thumbprints.into_iter().map(thumbprint).collect(),
                publicly_trusted: shown.publicly_trusted,
                expiring: Vec::new(),
                left_out: Vec::new(),
                unreached: Vec::new(),
            })
        })
    }
}
