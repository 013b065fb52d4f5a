//! The thumbprints of the chains that the hosts of an issuer sent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use time::OffsetDateTime;

use super::certificate::{self, CertificateInfo};
use super::chain::{Chain, Verified, Verifier};
use super::{HostChains, LIMIT, ProbeError, ProbeResult, Thumbprint};

/// The time before the end of a certificate in which it is worth a warning.
const ENDING: Duration = Duration::from_hours(30 * 24);

/// Thumbprints by their digits.
type Thumbprints = BTreeMap<String, Thumbprint>;

/// The thumbprints of the chains so far.
pub(super) struct CollectedThumbprints<'a> {
    /// The verifier with public CAs, where the author gave another CA.
    public: Option<&'a Verifier>,
    /// Since 1970.
    now: Duration,
    /// Most addresses send the same chain.
    examined: Vec<Arc<Chain>>,
    tops: Thumbprints,
    expiring: Thumbprints,
    left_out: Thumbprints,
    private: bool,
    unreached: Vec<(SocketAddr, String)>,
}

impl<'a> CollectedThumbprints<'a> {
    pub(super) fn new(public: Option<&'a Verifier>, now: Duration) -> Self {
        Self {
            public,
            now,
            examined: Vec::new(),
            tops: Thumbprints::new(),
            expiring: Thumbprints::new(),
            left_out: Thumbprints::new(),
            private: false,
            unreached: Vec::new(),
        }
    }

    pub(super) fn add_all(&mut self, host: &str, chains: HostChains) {
        for chain in chains.served {
            self.add(host, &chain);
        }
        self.unreached.extend(chains.unreached);
    }

    pub(super) fn add(&mut self, host: &str, chain: &Arc<Chain>) {
        if self.examined.iter().any(|examined| Arc::ptr_eq(examined, chain)) {
            return;
        }
        self.examined.push(Arc::clone(chain));
        let Verified { tops, intermediates, strangers } = chain.examine();
        let ending = OffsetDateTime::UNIX_EPOCH + self.now + ENDING;
        let ends = |certificate: &&CertificateDer<'_>| {
            CertificateInfo::read(certificate).is_some_and(|facts| facts.not_after <= ending)
        };
        for certificate in tops.iter().chain(&intermediates).filter(ends) {
            add(&mut self.expiring, host, certificate);
        }
        for certificate in &tops {
            add(&mut self.tops, host, certificate);
        }
        for certificate in &strangers {
            add(&mut self.left_out, host, certificate);
        }
        if let Some(public) = self.public {
            self.private |= !ServerName::try_from(host).is_ok_and(|name| public.accepts(&chain.served, &name));
        }
    }
    /// Returns the result.
    ///
    /// # Errors
    /// When there are more thumbprints than IAM keeps.
    pub(super) fn into_result(self) -> Result<ProbeResult, ProbeError> {
        let Self { public: _, now: _, examined: _, tops, expiring, left_out, private, unreached } = self;
        let thumbprints: BTreeSet<Thumbprint> = tops.into_values().collect();
        if thumbprints.len() > LIMIT {
            return Err(ProbeError::TooMany { found: thumbprints });
        }
        Ok(ProbeResult {
            thumbprints,
            publicly_trusted: !private,
            expiring: expiring.into_values().collect(),
            left_out: left_out.into_values().collect(),
            unreached,
        })
    }
}

fn add(found: &mut Thumbprints, host: &str, certificate: &CertificateDer<'_>) {
    let hex = certificate::thumbprint(certificate);
    let facts = CertificateInfo::read(certificate);
    let entry = found.entry(hex.clone()).or_insert_with(|| Thumbprint {
        hex,
        subject: facts.as_ref().map(|facts| facts.subject.clone()).unwrap_or_default(),
        not_after: facts.map_or(OffsetDateTime::UNIX_EPOCH, |facts| facts.not_after),
        hosts: BTreeSet::new(),
    });
    entry.hosts.insert(host.to_owned());
}
