//! A host is connected to at an address that was checked, and no handshake is accepted that rustls' own verifier would not
//! accept, but for a self-signed certificate that the author gave byte for byte ([`Verifier::is_given`]). It is webpki
//! that decides here as there; asked directly, it tells every path that it verified. What a server sent is kept, so that a
//! refusal can say which certificate was at fault.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::refused;
use super::chain::{Chain, LONGEST_CHAIN, Verifier};
use super::untrusted_certificate::UntrustedCertificate;
use super::{Endpoint, ProbeError, ProbeLimits, plain};

/// The way out: names to addresses, addresses to connections.
pub trait Network {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin;
    /// Resolves the addresses of a host.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;
    /// Returns true if the deployment itself has named the address of this host.
    fn is_given(&self, _host: &str) -> bool {
        false
    }
    /// Connects to this address and no other.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// The network that the function is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// The addresses of hosts that no name server knows, for a local AWS; `*` stands for all others. The rules for
    /// addresses hold for these too, but for that of this machine.
    pub hosts: BTreeMap<String, SocketAddr>,
}

impl System {
    fn given(&self, host: &str) -> Option<SocketAddr> {
        self.hosts.get(host).or_else(|| self.hosts.get("*")).copied()
    }
}

impl Network for System {
    type Stream = TcpStream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = self.given(host) {
            return Ok(vec![address]);
        }
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    fn is_given(&self, host: &str) -> bool {
        self.given(host).is_some()
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }
}

/// The addresses to look at: some of each family, because a function without IPv6 reaches none of those.
///
/// One address that is not allowed refuses the host: a name that stands for a public and a private address at once is
/// made to deceive.
pub(super) async fn resolve<N: Network>(
    network: &N,
    endpoint: &Endpoint,
    policy: &ProbeLimits,
) -> Result<Vec<SocketAddr>, ProbeError> {
    let Endpoint { host, port } = endpoint;
    let unresolved = |why: String| ProbeError::Unresolved { host: host.clone(), why };
    let found = tokio::time::timeout(policy.connect, network.resolve(host, *port)).await;
    let found = found.map_err(|_elapsed| unresolved("no answer in time".to_owned()))?;
    let found = found.map_err(|error| unresolved(error.to_string()))?;
    let on_this_machine = policy.private_addresses && network.is_given(host);
    for address in found.iter().filter(|address| !(on_this_machine && address.ip().is_loopback())) {
        if let Some(range) = refused(address.ip(), policy.private_addresses) {
            return Err(ProbeError::Address { host: host.clone(), address: address.ip(), range });
        }
    }
    let (v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) = found.into_iter().partition(SocketAddr::is_ipv4);
    let mut chosen = Vec::new();
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    while chosen.len() < policy.addresses {
        let before = chosen.len();
        chosen.extend(v4.next());
        chosen.extend(v6.next());
        if chosen.len() == before {
            break;
        }
    }
    chosen.truncate(policy.addresses);
    if chosen.is_empty() { Err(unresolved("it has no address".to_owned())) } else { Ok(chosen) }
}

/// The reason that one address gave no chain.
#[derive(Debug)]
pub(super) enum Failure {
    /// The address may be down; another one may do.
    Unreachable(String),
    /// The chain is not to be trusted.
    Untrusted(Box<UntrustedCertificate>),
}

impl Failure {
    fn late(what: &str, time: Duration) -> Self {
        Self::Unreachable(format!("{what} took more than {} s", time.as_secs()))
    }

    fn broken(what: &str, error: &io::Error) -> Self {
        Self::Unreachable(format!("{what} failed: {}", plain(&error.to_string())))
    }
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Accepted<S> {
    pub(super) stream: TlsStream<S>,
    pub(super) chain: Arc<Chain>,
}

/// Connects and shakes hands once.
#[derive(Debug)]
pub(super) struct Prober<'a, N> {
    pub(super) network: &'a N,
    pub(super) policy: &'a ProbeLimits,
    pub(super) verifier: &'a Verifier,
    /// The chains that were accepted at this moment; verified again, they would be again.
    pub(super) accepted: Arc<Mutex<Vec<Arc<Chain>>>>,
}

impl<N: Network> Prober<'_, N> {
    pub(super) async fn probe(&self, host: &str, address: SocketAddr) -> Result<Accepted<N::Stream>, Failure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_invalid| Failure::Unreachable("the host name is none for TLS".to_owned()))?;
        let ProbeLimits { connect, handshake, .. } = self.policy;
        let stream = tokio::time::timeout(*connect, self.network.connect(address))
            .await
            .map_err(|_elapsed| Failure::late("connecting", *connect))?
            .map_err(|error| Failure::broken("connecting", &error))?;
        let recorder = Arc::new(Recorder {
            verifier: self.verifier.clone(),
            accepted: Arc::clone(&self.accepted),
            shown: Mutex::default(),
        });
        let mut config =
            ClientConfig::builder_with_details(Arc::clone(&self.verifier.provider), Arc::new(At(self.verifier.now)))
                .with_safe_default_protocol_versions()
                .map_err(|error| Failure::Unreachable(error.to_string()))?
                .dangerous()
                .with_custom_certificate_verifier(Arc::<Recorder>::clone(&recorder))
                .with_no_client_auth();
        // A resumed session shows no certificates.
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        let shaken = tokio::time::timeout(*handshake, connector.connect(name.clone(), stream)).await;
        let shown = recorder.take();
        match shaken {
            Ok(Ok(stream)) => match shown {
                Shown::Accepted(chain) => Ok(Accepted { stream, chain }),
                Shown::Refused(_) => Err(Failure::Unreachable("the server showed no certificate".to_owned())),
            },
            Ok(Err(error)) => Err(match error.get_ref().and_then(|error| error.downcast_ref()) {
                Some(rustls::Error::InvalidCertificate(_)) => {
                    Failure::Untrusted(Box::new(self.verifier.diagnose(shown.served(), &name)))
                }
                _ => Failure::broken("the TLS handshake", &error),
            }),
            Err(_elapsed) => Err(Failure::late("the TLS handshake", *handshake)),
        }
    }
}

/// The time that a look takes place at.
#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Verifies what a server shows, and keeps it.
#[derive(Debug)]
struct Recorder {
    verifier: Verifier,
    accepted: Arc<Mutex<Vec<Arc<Chain>>>>,
    shown: Mutex<Shown>,
}

/// The result of one handshake.
#[derive(Debug)]
enum Shown {
    Accepted(Arc<Chain>),
    Refused(Vec<CertificateDer<'static>>),
}

impl Default for Shown {
    fn default() -> Self {
        Self::Refused(Vec::new())
    }
}

impl Shown {
    fn served(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Accepted(chain) => &chain.served,
            Self::Refused(served) => served,
        }
    }
}

impl Recorder {
    fn take(&self) -> Shown {
        self.shown.lock().map(|mut shown| std::mem::take(&mut *shown)).unwrap_or_default()
    }

    fn keep(&self, shown: Shown) {
        if let Ok(mut last) = self.shown.lock() {
            *last = shown;
        }
    }

    fn known(&self, name: &ServerName<'_>, served: &[CertificateDer<'_>]) -> Option<Arc<Chain>> {
        let accepted = self.accepted.lock().ok()?;
        accepted.iter().find(|chain| chain.name == *name && chain.served == served).map(Arc::clone)
    }
}

/// Converts an error to the alert for the server.
fn alert(error: webpki::Error) -> CertificateError {
    match error {
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::CertNotValidForName(_) => CertificateError::NotValidForName,
        webpki::Error::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let served = [end_entity].into_iter().chain(intermediates);
        let served: Vec<_> = served.map(|certificate| certificate.clone().into_owned()).collect();
        let chain = if let Some(chain) = self.known(server_name, &served) {
            chain
        } else {
            self.keep(Shown::Refused(served.clone()));
            if served.len() > LONGEST_CHAIN {
                return Err(CertificateError::UnknownIssuer.into());
            }
            let chain = self.verifier.verify(server_name.to_owned(), served);
            let chain = Arc::new(chain.map_err(alert)?);
            if let Ok(mut accepted) = self.accepted.lock() {
                accepted.push(Arc::clone(&chain));
            }
            chain
        };
        self.keep(Shown::Accepted(chain));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.verifier.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.verifier.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.provider.signature_verification_algorithms.supported_schemes()
    }
}
