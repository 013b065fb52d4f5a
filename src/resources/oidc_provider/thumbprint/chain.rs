//! A path is what webpki verified, from the server's certificate up by signature; the order in which a server sends its
//! certificates means nothing. No certificate that is not on a verified path gives a thumbprint.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use super::certificate::CertificateInfo;
use super::roots::Roots;

/// Each further certificate is another signature to check; real servers send up to five.
pub(super) const LONGEST_CHAIN: usize = 16;

/// A chain as the server sent it, and every verified path through it; no path is the beginning of another one.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) name: ServerName<'static>,
    pub(super) served: Vec<CertificateDer<'static>>,
    paths: Vec<Path>,
}

type Path = Vec<CertificateDer<'static>>;

/// The certificates of an accepted chain.
#[derive(Debug, Default)]
pub(super) struct Verified {
    /// The certificates that give a thumbprint.
    pub(super) tops: Vec<CertificateDer<'static>>,
    /// The certificates above the server's own.
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    /// The certificates that were sent and are on no verified path.
    pub(super) strangers: Vec<CertificateDer<'static>>,
}

/// Verifies against one set of roots, at one time.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    pub(super) roots: Roots,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) now: UnixTime,
}

/// A CA as a certificate names it: its subject and its key.
type Ca = (Vec<u8>, Vec<u8>);

/// The check of each path.
type Each<'a> = &'a dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>;

fn ca(anchor: &TrustAnchor<'_>) -> Ca {
    (anchor.subject.to_vec(), anchor.subject_public_key_info.to_vec())
}

fn ca_of(certificate: &CertificateDer<'_>) -> Option<Ca> {
    anchor_from_trusted_cert(certificate).ok().map(|anchor| ca(&anchor))
}

impl Verifier {
    pub(super) fn new(roots: Roots, provider: Arc<CryptoProvider>, now: UnixTime) -> Self {
        Self { roots, provider, now }
    }

    /// Returns true if the author gave this server's certificate, byte for byte.
    ///
    /// What `openssl req -x509` makes is marked as a CA's, and such a one is never accepted as a server's own, by rustls
    /// neither; but here it is what the author said to trust. Its name, its dates and the server's key are still checked.
    pub(super) fn is_given(&self, certificate: &CertificateDer<'_>) -> bool {
        let valid = |facts: CertificateInfo| {
            let now = i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX);
            (facts.not_before.unix_timestamp()..=facts.not_after.unix_timestamp()).contains(&now)
        };
        self.roots.given.iter().any(|given| given == certificate)
            && CertificateInfo::read(certificate).is_some_and(valid)
    }

    /// Returns true for a root that the author gave, which is trusted whatever its signature.
    fn is_root(&self, certificate: &CertificateDer<'_>) -> bool {
        self.roots.given.iter().any(|given| given == certificate)
    }

    pub(super) fn path(
        &self,
        end: &EndEntityCert<'_>,
        others: &[CertificateDer<'_>],
        anchors: &[TrustAnchor<'_>],
        each: Option<Each<'_>>,
    ) -> Result<(), webpki::Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        end.verify_for_usage(algorithms, anchors, others, self.now, KeyUsage::server_auth(), None, each).map(drop)
    }

    /// Returns true if rustls would accept this chain for this name.
    pub(super) fn accepts(&self, served: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
        let Some((end, others)) = served.split_first() else { return false };
        EndEntityCert::try_from(end).is_ok_and(|end| {
            self.path(&end, others, &self.roots.store.roots, None).is_ok()
                && end.verify_is_valid_for_subject_name(name).is_ok()
        })
    }

    /// Verifies as rustls does, but goes on to further paths where there is one.
    pub(super) fn verify(
        &self,
        name: ServerName<'static>,
        served: Vec<CertificateDer<'static>>,
    ) -> Result<Chain, webpki::Error> {
        let (end, others) = served.split_first().ok_or(webpki::Error::UnknownIssuer)?;
        let end_entity = EndEntityCert::try_from(end)?;
        end_entity.verify_is_valid_for_subject_name(&name)?;
        let found = RefCell::new(Vec::<Path>::new());
        let each = |path: &VerifiedPath<'_>| {
            let above = path.intermediate_certificates().map(|certificate| certificate.der().into_owned());
            let path_below: Path = [end.clone()].into_iter().chain(above).collect();
            // The CA that the path ends in is part of it where the server sends the very certificate that is trusted. Another
            // certificate with its name and key is part of a path only where its own signature leads to a CA.
            let anchor = ca(path.anchor());
            let is_sent = |other: &&CertificateDer<'_>| self.is_root(other) && ca_of(other).as_ref() == Some(&anchor);
            let sent = others.iter().filter(is_sent);
            let with_anchor = sent.filter(|root| !path_below.contains(root));
            let mut found = found.borrow_mut();
            found.extend(with_anchor.map(|root| path_below.iter().chain([root]).cloned().collect()));
            found.push(path_below);
            // Not an error: it makes webpki go on to the next path.
            Err(webpki::Error::UnknownIssuer)
        };
        let ended = self.path(&end_entity, others, &self.roots.store.roots, Some(&each));
        let mut found = found.into_inner();
        match ended {
            Err(webpki::Error::CaUsedAsEndEntity) if self.is_given(end) => found.push(vec![end.clone()]),
            Err(error) if found.is_empty() => return Err(error),
            _ => {}
        }
        let longest = |path: &&Path| !found.iter().any(|other| other.len() > path.len() && other.starts_with(path));
        let paths = found.iter().filter(longest).cloned().collect();
        Ok(Chain { name, served, paths })
    }
}

impl Chain {
    /// Returns the certificates on verified paths, and those of them that give a thumbprint:
    ///
    /// - the end of every path, and its last certificate that does not sign itself;
    /// - what was sent last (what `openssl s_client -showcerts` shows last), and where that signs itself the last that
    ///   does not; if they are on a path.
    pub(super) fn examine(&self) -> Verified {
        let Self { served, paths, .. } = self;
        let is_on_path = |certificate: &CertificateDer<'_>| paths.iter().flatten().any(|other| other == certificate);
        let mut verified = Verified::default();
        for list in paths.iter().chain([served]) {
            let last = list.last();
            let below = list.iter().rev().find(|certificate| !signs_itself(certificate));
            let below = below.filter(|_| last.is_some_and(signs_itself));
            verified.tops.extend(last.into_iter().chain(below).filter(|certificate| is_on_path(certificate)).cloned());
        }
        verified.intermediates.extend(paths.iter().flat_map(|path| path.iter().skip(1)).cloned());
        verified.strangers.extend(served.iter().filter(|certificate| !is_on_path(certificate)).cloned());
        verified
    }
}

pub(super) fn signs_itself(certificate: &CertificateDer<'_>) -> bool {
    CertificateInfo::read(certificate).is_some_and(|facts| facts.self_signed)
}
