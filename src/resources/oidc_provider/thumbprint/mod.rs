//! The thumbprints of certificates that were verified a moment ago: name, dates and signatures, against public CAs or
//! against the author's own. A certificate that cannot be verified refuses the whole probe, and the caller keeps its list.
//!
//! IAM asks the issuer for its configuration and the host of `jwks_uri` for the keys, so both hosts are probed; each at
//! several addresses and several times, because a host's edges may send different chains.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html>.

mod address;
mod certificate;
mod chain;
mod collected;
mod discovery;
mod error;
mod probe;
mod roots;
mod untrusted_certificate;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::future::{LocalBoxFuture, join};
use futures_util::stream;
use rustls::pki_types::UnixTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;
use url::Url;

use crate::aws::Deadline;
use crate::github::Issuer;
use crate::net::tls;
use chain::{Chain, Verifier};
use collected::CollectedThumbprints;
use probe::{Accepted, Failure, Prober};

pub use discovery::DiscoveryProblem;
pub use error::ProbeError;
pub use probe::{Network, System};
pub use roots::{CaCertificate, Roots};
pub use untrusted_certificate::{CertificateProblem, UntrustedCertificate};

/// The number of thumbprints that IAM keeps.
pub const LIMIT: usize = 5;
/// The number of handshakes with a host at the same time: those of four addresses, three times each.
const MAX_CONCURRENT_CALLS: usize = 12;
/// No text from outside is longer than this in a message.
const TEXT_LIMIT: usize = 200;

/// The limits of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeLimits {
    /// True if a host may be in a private network.
    pub private_addresses: bool,
    /// The number of addresses of a host that are probed.
    pub addresses: usize,
    /// The number of probes of each address.
    pub attempts: usize,
    /// The time for resolving a host, and for connecting to it.
    pub connect: Duration,
    /// The time for a TLS handshake.
    pub handshake: Duration,
    /// The time for the configuration, from the request to its last byte.
    pub fetch: Duration,
    /// The time for a whole probe.
    pub total: Duration,
}

impl Default for ProbeLimits {
    fn default() -> Self {
        Self {
            private_addresses: false,
            addresses: 4,
            attempts: 3,
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            fetch: Duration::from_secs(10),
            total: Duration::from_mins(1),
        }
    }
}

/// The context of a probe.
#[derive(Debug)]
pub struct ProbeContext<'a, N> {
    /// The way out.
    pub network: &'a N,
    /// The public CAs.
    pub public: &'a Roots,
    /// The limits.
    pub policy: &'a ProbeLimits,
    /// The time that certificates have to be valid at.
    pub now: SystemTime,
    /// Until when, if that is earlier than the policy says.
    pub deadline: Deadline,
}

/// A certificate, by its thumbprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thumbprint {
    /// As IAM takes it: 40 hexadecimal digits, in lower case.
    pub hex: String,
    /// The subject of the certificate.
    pub subject: String,
    /// The end of the certificate.
    pub not_after: OffsetDateTime,
    /// The hosts that sent it.
    pub hosts: BTreeSet<String>,
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hex, subject, not_after, hosts } = self;
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        write!(f, "{hex} ({subject:?}, until {}, sent by {})", written(*not_after), hosts.join(" and "))
    }
}

/// The result of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// The thumbprints, one to five.
    pub thumbprints: BTreeSet<Thumbprint>,
    /// True if every chain also ends in a public CA. IAM then uses thumbprints only where it cannot verify by itself.
    pub publicly_trusted: bool,
    /// Intermediates that end within 30 days, and what of the thumbprints does.
    pub expiring: Vec<Thumbprint>,
    /// The certificates that were sent but are on no verified path, and so give no thumbprint.
    pub left_out: Vec<Thumbprint>,
    /// Addresses that gave no chain while another address of the same host did, and why.
    pub unreached: Vec<(SocketAddr, String)>,
}

/// The way to the certificates of issuers.
pub trait Issuers: fmt::Debug {
    /// Probes the certificates of an issuer; see [`probe_issuer`].
    fn probe<'a>(
        &'a self,
        issuer: &'a Issuer,
        ca: Option<&'a CaCertificate>,
        now: SystemTime,
        deadline: Deadline,
    ) -> LocalBoxFuture<'a, Result<ProbeResult, ProbeError>>;
}

/// The issuers in the network that the function is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Internet {
    /// The network.
    pub network: System,
    /// The limits.
    pub policy: ProbeLimits,
}

impl Issuers for Internet {
    fn probe<'a>(
        &'a self,
        issuer: &'a Issuer,
        ca: Option<&'a CaCertificate>,
        now: SystemTime,
        deadline: Deadline,
    ) -> LocalBoxFuture<'a, Result<ProbeResult, ProbeError>> {
        let Self { network, policy } = self;
        Box::pin(async move {
            let public = Roots::public();
            probe_issuer(issuer, ca, &ProbeContext { network, public: &public, policy, now, deadline }).await
        })
    }
}

/// A host, and the port that TLS is spoken at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Endpoint {
    host: String,
    port: u16,
}

/// Probes the certificates of an issuer.
///
/// With `ca`, only chains that end in it are accepted; without, only those that end in a public CA.
///
/// # Errors
/// When anything could not be verified.
pub async fn probe_issuer<N: Network>(
    issuer: &Issuer,
    ca: Option<&CaCertificate>,
    context: &ProbeContext<'_, N>,
) -> Result<ProbeResult, ProbeError> {
    let end = (Instant::now() + context.policy.total).min(context.deadline.end());
    let time_up = |_elapsed| Err(ProbeError::TimeUp(issuer.to_string()));
    tokio::time::timeout_at(end, probe_hosts(issuer, ca, context)).await.unwrap_or_else(time_up)
}

async fn probe_hosts<N: Network>(
    issuer: &Issuer,
    ca: Option<&CaCertificate>,
    context: &ProbeContext<'_, N>,
) -> Result<ProbeResult, ProbeError> {
    let ProbeContext { network, public, policy, now, deadline: _ } = context;
    let provider = tls::provider();
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let at = UnixTime::since_unix_epoch(since_1970);
    let verifier = |roots: &Roots| Verifier::new(roots.clone(), Arc::clone(&provider), at);
    // Only where chains end in an author's CA it is a question whether they end in a public one, too.
    let of_public = ca.map(|_| verifier(public));
    let verifier = ca.map_or_else(|| verifier(public), |ca| verifier(&Roots::from(ca)));
    if verifier.roots.store.is_empty() {
        return Err(ProbeError::NoRoots);
    }
    let prober = Prober { network: *network, policy, verifier: &verifier, accepted: Arc::new(Mutex::default()) };
    let mut collected = CollectedThumbprints::new(of_public.as_ref(), since_1970);

    let issuers = Endpoint { host: issuer.host().to_owned(), port: 443 };
    let addresses = probe::resolve(*network, &issuers, policy).await?;
    // The host is probed whatever its configuration says.
    let (discovered, chains) =
        join(discover(issuer, &issuers, &addresses, &prober), probe_all(&issuers, &addresses, 1, &prober)).await;
    let (keys, chain) = discovered?;
    collected.add(&issuers.host, &chain);
    collected.add_all(&issuers.host, chains?);
    if keys != issuers {
        let addresses = probe::resolve(*network, &keys, policy).await?;
        let chains = probe_all(&keys, &addresses, 0, &prober).await?;
        if chains.served.is_empty() {
            return Err(ProbeError::Unreachable { host: keys.host, tried: chains.unreached });
        }
        collected.add_all(&keys.host, chains);
    }
    collected.into_result()
}

/// Asks the first address that answers for the host of the keys. Returns the chain that the address sent, too.
async fn discover<N: Network>(
    issuer: &Issuer,
    at: &Endpoint,
    addresses: &[SocketAddr],
    prober: &Prober<'_, N>,
) -> Result<(Endpoint, Arc<Chain>), ProbeError> {
    let text = format!("{}/.well-known/openid-configuration", issuer.url());
    let discovery = |problem| ProbeError::Discovery { url: text.clone(), problem };
    let url = Url::parse(&text).map_err(|error| discovery(DiscoveryProblem::Http(error.to_string())))?;
    let mut tried = Vec::new();
    for address in addresses {
        match prober.probe(&at.host, *address).await {
            Ok(Accepted { stream, chain }) => {
                let keys = discovery::ask(stream, &url, &issuer.url(), prober.policy).await.map_err(discovery)?;
                return Ok((keys, chain));
            }
            Err(Failure::Unreachable(why)) => tried.push((*address, why)),
            Err(Failure::Untrusted(certificate)) => {
                return Err(ProbeError::Untrusted { host: at.host.clone(), address: *address, certificate });
            }
        }
    }
    Err(ProbeError::Unreachable { host: at.host.clone(), tried })
}

/// Probes each address several times, the first one `done` times fewer. An address that cannot be reached may be down, or of a
/// family that this network has no way to. An address whose chain cannot be verified refuses the whole probe.
async fn probe_all<N: Network>(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    done: usize,
    prober: &Prober<'_, N>,
) -> Result<HostChains, ProbeError> {
    let host = &endpoint.host;
    let attempts = |index| prober.policy.attempts.max(1).saturating_sub(if index == 0 { done } else { 0 });
    let attempts = addresses.iter().enumerate().flat_map(|(index, address)| vec![*address; attempts(index)]);
    let results: Vec<_> = stream::iter(attempts)
        .map(|address| async move { (address, prober.probe(host, address).await) })
        .buffered(MAX_CONCURRENT_CALLS)
        .collect()
        .await;
    let mut chains = HostChains::default();
    for (address, result) in results {
        match result {
            Ok(accepted) => chains.served.push(accepted.chain),
            Err(Failure::Unreachable(_)) if chains.unreached.iter().any(|(known, _)| *known == address) => {}
            Err(Failure::Unreachable(why)) => chains.unreached.push((address, why)),
            Err(Failure::Untrusted(certificate)) => {
                return Err(ProbeError::Untrusted { host: host.clone(), address, certificate });
            }
        }
    }
    Ok(chains)
}

/// The chains of all addresses of a host.
#[derive(Default)]
struct HostChains {
    served: Vec<Arc<Chain>>,
    unreached: Vec<(SocketAddr, String)>,
}

/// A date as people and machines read it.
fn written(date: OffsetDateTime) -> String {
    date.format(&Rfc3339).unwrap_or_else(|_unprintable| date.to_string())
}

/// Text from outside, so that it can neither break a line nor fill a message.
fn plain(text: &str) -> String {
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut plain = crate::error::plain(&text.chars().take(TEXT_LIMIT).map(printable).collect::<String>());
    if text.chars().nth(TEXT_LIMIT).is_some() {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
#[path = "tests/bounded_work.rs"]
mod tests;
