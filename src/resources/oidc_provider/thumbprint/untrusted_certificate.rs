//! The certificate at fault in a refused chain and the reason, so that the operator of the server knows what to replace.

use std::fmt;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use super::certificate::CertificateInfo;
use super::chain::{LONGEST_CHAIN, Verifier, signs_itself};
use super::{plain, written};

/// A certificate may be for hundreds of names.
const NAMES_SHOWN: usize = 10;

/// The fault of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// Its time is over.
    #[error("expired on {}", written(*not_after))]
    Expired {
        /// The end.
        not_after: OffsetDateTime,
    },
    /// Its time has not begun.
    #[error("is not valid before {}", written(*not_before))]
    NotYetValid {
        /// The beginning.
        not_before: OffsetDateTime,
    },
    /// The certificate is for another host.
    #[error("is not for {expected} but for {}", if found.is_empty() { "no host name".to_owned() } else { found.join(", ") })]
    WrongName {
        /// The host that we connected to.
        expected: String,
        /// The names in it.
        found: Vec<String>,
    },
    /// The path ends outside of what is trusted.
    #[error(
        "is signed by {issuer:?}, which the server did not send and which is no trusted CA (for a private CA, give its \
         certificate as `CaCertificate`)"
    )]
    UnknownCa {
        /// The signer.
        issuer: String,
    },
    /// The path ends in a certificate that signs itself and is not trusted.
    #[error("signs itself and is no trusted CA (if it is your own, give it as `CaCertificate`)")]
    SelfSigned,
    /// Somebody else signed it than it says, or it was changed.
    #[error("has a signature that is not {issuer:?}'s")]
    BadSignature {
        /// The expected signer.
        issuer: String,
    },
    /// The certificate signed another one without being a CA.
    #[error("is used as a CA's but is none")]
    NotACa,
    /// The server's own certificate is a CA's.
    #[error("is the server's own but a CA's")]
    CaForServer,
    /// More CAs below it than it allows.
    #[error("allows fewer CAs below it than there are")]
    PathTooLong,
    /// A CA above it does not allow the name.
    #[error("has a name that {issuer:?} may not sign")]
    NameNotPermitted {
        /// The CA that signed it.
        issuer: String,
    },
    /// The certificate is not for a server.
    #[error("is not for TLS servers")]
    WrongPurpose,
    /// More intermediate CAs than are looked at.
    #[error("has more than 6 CAs above it")]
    TooDeep,
    /// More certificates than are looked at.
    #[error("is one too many: at most {LONGEST_CHAIN} are looked at")]
    TooMany,
    /// Not a certificate of X.509, version 3.
    #[error("cannot be read ({0})")]
    Unreadable(String),
    /// The server showed a certificate that is not its own.
    #[error("is not the server's own: it does not hold the private key")]
    KeyNotHeld,
    /// Anything else.
    #[error("was not accepted ({0})")]
    Other(String),
}

/// The certificate at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntrustedCertificate {
    /// The place in what the server sent, from 1.
    pub place: usize,
    /// The number of certificates that the server sent.
    pub sent: usize,
    /// The subject.
    pub subject: String,
    /// The fault.
    pub problem: CertificateProblem,
}

impl fmt::Display for UntrustedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, sent, subject, problem } = self;
        write!(f, "certificate {place} of {sent} ({subject:?}) {problem}")
    }
}

impl Verifier {
    /// Returns the certificate of a refused chain that is at fault, which rustls does not tell.
    pub(super) fn diagnose(&self, served: &[CertificateDer<'_>], name: &ServerName<'_>) -> UntrustedCertificate {
        let (place, problem) = self.fault(served, name);
        let subject = served.get(place).and_then(CertificateInfo::read).map(|info| info.subject);
        UntrustedCertificate { place: place + 1, sent: served.len(), subject: subject.unwrap_or_default(), problem }
    }

    /// Returns the place of the certificate at fault, and its problem.
    fn fault(&self, served: &[CertificateDer<'_>], name: &ServerName<'_>) -> (usize, CertificateProblem) {
        if served.len() > LONGEST_CHAIN {
            return (LONGEST_CHAIN, CertificateProblem::TooMany);
        }
        let Some((first, others)) = served.split_first() else {
            return (0, CertificateProblem::Unreadable("none was sent".to_owned()));
        };
        let end = match EndEntityCert::try_from(first) {
            Ok(end) => end,
            Err(error) => return (0, CertificateProblem::Unreadable(plain(&format!("{error:?}")))),
        };
        let of_server = || match end.verify_is_valid_for_subject_name(name) {
            Err(error) => problem(&error, issuer(first)),
            Ok(()) => CertificateProblem::KeyNotHeld,
        };
        if self.is_given(first) {
            return (0, of_server());
        }
        let top = match self.top_of_path(served, &end) {
            Ok(top) => top,
            Err(fault) => return fault,
        };
        let issuer = issuer(&served[top]);
        match self.path(&end, others, &self.roots.store.roots, None) {
            // Somebody else's root may have the same name.
            Err(webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey)
                if signs_itself(&served[top]) =>
            {
                (top, CertificateProblem::SelfSigned)
            }
            Err(webpki::Error::UnknownIssuer) => (top, CertificateProblem::UnknownCa { issuer }),
            Err(error) => (top, problem(&error, issuer)),
            Ok(()) => (0, of_server()),
        }
    }

    /// Walks the path upwards and takes each CA in turn for trusted. Returns the place of the last certificate that is reached.
    ///
    /// # Errors
    /// The fault of a certificate whose CAs are there and none of which can be reached.
    fn top_of_path(
        &self,
        served: &[CertificateDer<'_>],
        end: &EndEntityCert<'_>,
    ) -> Result<usize, (usize, CertificateProblem)> {
        let subjects: Vec<Option<String>> =
            served.iter().map(|certificate| CertificateInfo::read(certificate).map(|info| info.subject)).collect();
        let mut path = vec![0];
        let mut top = 0;
        loop {
            let signer = issuer(&served[top]);
            let candidates = (1..served.len()).filter(|place| {
                subjects[*place].as_ref() == Some(&signer) && path.iter().all(|below| served[*below] != served[*place])
            });
            let mut failure = None;
            let mut next = None;
            for place in candidates {
                let reached = anchor_from_trusted_cert(&served[place])
                    .and_then(|anchor| self.path(end, &served[1..], std::slice::from_ref(&anchor), None));
                match reached {
                    Ok(()) => next = next.or(Some(place)),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            match (next, failure) {
                (Some(place), _) => {
                    path.push(place);
                    top = place;
                }
                (None, Some(error)) => return Err((top, problem(&error, signer))),
                (None, None) => return Ok(top),
            }
        }
    }
}

fn issuer(certificate: &CertificateDer<'_>) -> String {
    CertificateInfo::read(certificate).map(|info| info.issuer).unwrap_or_default()
}

fn problem(error: &webpki::Error, issuer: String) -> CertificateProblem {
    let date = |time: &UnixTime| OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_secs(time.as_secs());
    match error {
        webpki::Error::CertExpired { not_after, .. } => CertificateProblem::Expired { not_after: date(not_after) },
        webpki::Error::CertNotValidYet { not_before, .. } => {
            CertificateProblem::NotYetValid { not_before: date(not_before) }
        }
        webpki::Error::CertNotValidForName(context) => CertificateProblem::WrongName {
            expected: plain(&context.expected.to_str()),
            // `DnsName("example.com")`, `IpAddress(127.0.0.1)`
            found: context.presented.iter().take(NAMES_SHOWN).map(|name| plain(inner(name))).collect(),
        },
        webpki::Error::UnknownIssuer => CertificateProblem::UnknownCa { issuer },
        webpki::Error::InvalidSignatureForPublicKey => CertificateProblem::BadSignature { issuer },
        webpki::Error::EndEntityUsedAsCa => CertificateProblem::NotACa,
        webpki::Error::CaUsedAsEndEntity => CertificateProblem::CaForServer,
        webpki::Error::PathLenConstraintViolated => CertificateProblem::PathTooLong,
        webpki::Error::NameConstraintViolation => CertificateProblem::NameNotPermitted { issuer },
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateProblem::WrongPurpose,
        webpki::Error::MaximumPathDepthExceeded => CertificateProblem::TooDeep,
        webpki::Error::BadDer
        | webpki::Error::BadDerTime
        | webpki::Error::TrailingData(_)
        | webpki::Error::UnsupportedCertVersion => CertificateProblem::Unreadable(plain(&format!("{error:?}"))),
        other => CertificateProblem::Other(plain(&format!("{other:?}"))),
    }
}

fn inner(debug: &str) -> &str {
    let inner = debug.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(debug);
    inner.trim_matches('"')
}
