//! Whatever went wrong is told with the host, the address and the certificate, because the reader sees none of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::discovery::DiscoveryProblem;
use super::untrusted_certificate::UntrustedCertificate;
use super::{LIMIT, Thumbprint};

/// The reason that a probe has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No public CA is known.
    #[error("no CA certificates were found on this system")]
    NoRoots,
    /// No address.
    #[error("{host} could not be resolved: {why}")]
    Unresolved {
        /// The host.
        host: String,
        /// The cause.
        why: String,
    },
    /// An address that is not connected to.
    #[error("{host} is at {address}, which is {range} and not connected to{}", may_be_allowed(range))]
    Address {
        /// The host.
        host: String,
        /// The address.
        address: IpAddr,
        /// The range of the address.
        range: &'static str,
    },
    /// No address gave a chain.
    #[error("{host} could not be reached: {}", tried.iter().map(|(address, why)| format!("{address}: {why}")).collect::<Vec<_>>().join("; "))]
    Unreachable {
        /// The host.
        host: String,
        /// The result of each address.
        tried: Vec<(SocketAddr, String)>,
    },
    /// A chain that is not to be trusted.
    #[error("{host} ({address}): {certificate}")]
    Untrusted {
        /// The host.
        host: String,
        /// The address.
        address: SocketAddr,
        /// The certificate at fault.
        certificate: Box<UntrustedCertificate>,
    },
    /// The issuer's configuration is not what it should be.
    #[error("{url} {problem}")]
    Discovery {
        /// The URL of the document.
        url: String,
        /// The mistake.
        problem: DiscoveryProblem,
    },
    /// More than IAM keeps.
    #[error(
        "there are {} thumbprints and IAM keeps {LIMIT}: {}. Choose with `ThumbprintList`",
        found.len(),
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    TooMany {
        /// The thumbprints.
        found: BTreeSet<Thumbprint>,
    },
    /// The probe took too long.
    #[error("looking at the certificates of {0} took too long")]
    TimeUp(String),
}

fn may_be_allowed(range: &str) -> &'static str {
    let private = ["private", "shared", "for benchmarks"].iter().any(|start| range.starts_with(start));
    if private { " unless this deployment allows private addresses" } else { "" }
}
