//! The roots of a chain: a public CA, or, where the author gave one, that one and no other.

use std::sync::Arc;

use der::{Reader, SliceReader};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use webpki::anchor_from_trusted_cert;

use super::certificate::CertificateInfo;
use crate::net::root_store;

/// More than one private CA is in use only while one replaces the other.
const CA_LIMIT: usize = 5;
/// A CloudFormation request has room for 4096 bytes of properties at the least; certificates are 1 to 2 KiB each.
const PEM_LIMIT: usize = 16 * 1024;

/// The certificates of an author's own CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    certificates: Vec<CertificateDer<'static>>,
}

impl CaCertificate {
    /// Reads one to five certificates in PEM.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = |what: &str| Err(format!("{what}, each between BEGIN CERTIFICATE and END CERTIFICATE"));
        if text.len() > PEM_LIMIT {
            return expected("certificates in PEM of at most 16 KiB together");
        }
        if text.contains("PRIVATE KEY-----") {
            return expected("certificates in PEM and no private key (this one is in the template now: replace it)");
        }
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let Ok(mut certificates) = certificates else { return expected("certificates in PEM") };
        certificates.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        certificates.dedup();
        if !(1..=CA_LIMIT).contains(&certificates.len()) {
            return expected("1 to 5 certificates in PEM");
        }
        let readable =
            |certificate| CertificateInfo::read(certificate).is_some() && anchor_from_trusted_cert(certificate).is_ok();
        if !certificates.iter().all(readable) {
            return expected("X.509 certificates in PEM");
        }
        Ok(Self { certificates })
    }

    /// The certificates one after the other, in DER, which says itself where each ends.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.certificates.iter().flat_map(|certificate| certificate.iter().copied()).collect()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = SliceReader::new(bytes).ok()?;
        let mut certificates = Vec::new();
        while !reader.is_finished() {
            let certificate = CertificateDer::from(reader.tlv_bytes().ok()?.to_vec());
            anchor_from_trusted_cert(&certificate).ok()?;
            certificates.push(certificate);
        }
        (1..=CA_LIMIT).contains(&certificates.len()).then_some(Self { certificates })
    }
}

/// The roots of a chain.
#[derive(Clone, Debug)]
pub struct Roots {
    pub(super) store: Arc<RootCertStore>,
    /// The certificates that an author gave, which are trusted also as a server's own.
    pub(super) given: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// The public CAs.
    #[must_use]
    pub fn public() -> Self {
        Self { store: root_store::store(), given: Vec::new() }
    }

    /// The roots of these public CAs.
    #[must_use]
    pub fn of(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates);
        Self { store: Arc::new(store), given: Vec::new() }
    }
}

impl From<&CaCertificate> for Roots {
    fn from(ca: &CaCertificate) -> Self {
        Self { given: ca.certificates.clone(), ..Self::of(ca.certificates.iter().cloned()) }
    }
}
