//! Whatever went wrong is told with the host, the address and the certificate, because the reader sees none of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::discovery::DiscoveryProblem;
use super::untrusted_certificate::UntrustedCertificate;
use super::{LIMIT, Thumbprint};

/// Why nothing is known.
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
        /// What kept it.
        why: String,
    },
    /// An address that is not connected to.
    #[error("{host} is at {address}, which is {range} and not connected to{}", may_be_allowed(range))]
    Address {
        /// The host.
        host: String,
        /// One of its addresses.
        address: IpAddr,
        /// What it is.
        range: &'static str,
    },
    /// No address gave a chain.
    #[error("{host} could not be reached: {}", tried.iter().map(|(address, why)| format!("{address}: {why}")).collect::<Vec<_>>().join("; "))]
    Unreachable {
        /// The host.
        host: String,
        /// What each address led to.
        tried: Vec<(SocketAddr, String)>,
    },
    /// A chain that is not to be trusted.
    #[error("{host} ({address}): {certificate}")]
    Untrusted {
        /// The host.
        host: String,
        /// Which of its addresses.
        address: SocketAddr,
        /// Which certificate.
        certificate: Box<UntrustedCertificate>,
    },
    /// The issuer's configuration is not what it should be.
    #[error("{url} {problem}")]
    Discovery {
        /// Where it was asked for.
        url: String,
        /// What was wrong.
        problem: DiscoveryProblem,
    },
    /// More than IAM keeps.
    #[error(
        "there are {} thumbprints and IAM keeps {LIMIT}: {}. Choose with `ThumbprintList`",
        found.len(),
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    TooMany {
        /// All of them.
        found: BTreeSet<Thumbprint>,
    },
    /// It took too long.
    #[error("looking at the certificates of {0} took too long")]
    TimeUp(String),
}

fn may_be_allowed(range: &str) -> &'static str {
    let private = ["private", "loopback", "shared", "for benchmarks"].iter().any(|start| range.starts_with(start));
    if private { " unless this deployment allows private addresses" } else { "" }
}
