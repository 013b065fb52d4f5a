//! A host is connected to at an address that was checked, and no handshake is accepted that rustls' own verifier does not
//! accept, but for a self-signed certificate that the author gave byte for byte ([`Verifier::is_given`]). What the
//! verifier saw is kept, so that a refusal can say which certificate was at fault.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::refused;
use super::blame::Blame;
use super::chain::{LONGEST_CHAIN, Verifier};
use super::{Endpoint, LookError, Policy, plain};

/// The way out: names to addresses, addresses to connections.
pub trait Network {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin;
    /// All addresses of a host.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;
    /// Connects to this address and no other.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// The network that the function is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// Where hosts are that no name server knows, for a local AWS; `*` stands for all others. The rules for addresses hold
    /// for these too.
    pub hosts: BTreeMap<String, SocketAddr>,
}

impl Network for System {
    type Stream = TcpStream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = self.hosts.get(host).or_else(|| self.hosts.get("*")) {
            return Ok(vec![*address]);
        }
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
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
    policy: &Policy,
) -> Result<Vec<SocketAddr>, LookError> {
    let Endpoint { host, port } = endpoint;
    let unresolved = |why: String| LookError::Unresolved { host: host.clone(), why };
    let found = tokio::time::timeout(policy.connect, network.resolve(host, *port)).await;
    let found = found.map_err(|_elapsed| unresolved("no answer in time".to_owned()))?;
    let found = found.map_err(|error| unresolved(error.to_string()))?;
    for address in &found {
        if let Some(range) = refused(address.ip(), policy.private_addresses) {
            return Err(LookError::Address { host: host.clone(), address: address.ip(), range });
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

/// Why one address gave no chain.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may be down; another one may do.
    Unreachable(String),
    /// What it showed is not to be trusted.
    Untrusted(Box<Blame>),
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
    /// What the server sent, in its order.
    pub(super) served: Vec<CertificateDer<'static>>,
}

/// Connects and shakes hands once.
#[derive(Debug)]
pub(super) struct Dialler<'a, N> {
    pub(super) network: &'a N,
    pub(super) policy: &'a Policy,
    pub(super) verifier: &'a Verifier,
    pub(super) inner: Arc<WebPkiServerVerifier>,
    pub(super) provider: Arc<CryptoProvider>,
    /// What the verifier has accepted at this moment for a name; asked again, it would say the same.
    pub(super) accepted: Arc<Mutex<Vec<Chain>>>,
}

/// A server's name, and what it served.
type Chain = (ServerName<'static>, Vec<CertificateDer<'static>>);

impl<N: Network> Dialler<'_, N> {
    pub(super) async fn dial(&self, host: &str, address: SocketAddr) -> Result<Accepted<N::Stream>, Failure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_invalid| Failure::Unreachable("the host name is none for TLS".to_owned()))?;
        let Policy { connect, handshake, .. } = self.policy;
        let stream = tokio::time::timeout(*connect, self.network.connect(address))
            .await
            .map_err(|_elapsed| Failure::late("connecting", *connect))?
            .map_err(|error| Failure::broken("connecting", &error))?;
        let recorder = Arc::new(Recorder {
            inner: Arc::clone(&self.inner),
            verifier: self.verifier.clone(),
            accepted: Arc::clone(&self.accepted),
            served: Mutex::default(),
        });
        let mut config =
            ClientConfig::builder_with_details(Arc::clone(&self.provider), Arc::new(At(self.verifier.now)))
                .with_safe_default_protocol_versions()
                .map_err(|error| Failure::Unreachable(error.to_string()))?
                .dangerous()
                .with_custom_certificate_verifier(Arc::<Recorder>::clone(&recorder))
                .with_no_client_auth();
        // A resumed session shows no certificates.
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        let shaken = tokio::time::timeout(*handshake, connector.connect(name.clone(), stream)).await;
        let error = match shaken {
            Ok(Ok(stream)) => return Ok(Accepted { stream, served: recorder.take() }),
            Ok(Err(error)) => error,
            Err(_elapsed) => return Err(Failure::late("the TLS handshake", *handshake)),
        };
        Err(match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                Failure::Untrusted(Box::new(self.verifier.blame(&recorder.take(), &name)))
            }
            _ => Failure::broken("the TLS handshake", &error),
        })
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

/// Writes down what rustls' verifier is shown, and lets it decide.
#[derive(Debug)]
struct Recorder {
    inner: Arc<WebPkiServerVerifier>,
    verifier: Verifier,
    accepted: Arc<Mutex<Vec<Chain>>>,
    served: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recorder {
    fn take(&self) -> Vec<CertificateDer<'static>> {
        self.served.lock().map(|mut served| std::mem::take(&mut *served)).unwrap_or_default()
    }
}

/// The name is not looked at before this, so it still has to be.
fn only_for_being_a_ca(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else { return false };
    error.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = [end_entity].into_iter().chain(intermediates);
        let chain =
            (server_name.to_owned(), all.map(|certificate| certificate.clone().into_owned()).collect::<Vec<_>>());
        if let Ok(mut served) = self.served.lock() {
            served.clone_from(&chain.1);
        }
        if self.accepted.lock().is_ok_and(|accepted| accepted.contains(&chain)) {
            return Ok(ServerCertVerified::assertion());
        }
        if intermediates.len() >= LONGEST_CHAIN {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let verified = verified.or_else(|error| {
            if !only_for_being_a_ca(&error) || !self.verifier.is_given(end_entity) {
                return Err(error);
            }
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            Ok(ServerCertVerified::assertion())
        })?;
        if let Ok(mut accepted) = self.accepted.lock() {
            accepted.push(chain);
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
