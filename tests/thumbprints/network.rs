//! Names and addresses that lead to servers of ours. An address in a test is one that could be anybody's (203.0.113.0/24);
//! it is told apart by the rules for addresses, and then leads to a port on the loopback interface, or into memory.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use github_trust::resources::oidc_provider::thumbprint::Network;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::ISSUER;
use super::parties::Party;

/// What a server answers to a request.
#[derive(Clone)]
pub(super) enum Script {
    Answer(Vec<u8>),
    /// This, and then zeros without end; counted.
    Endless(Vec<u8>, Arc<AtomicUsize>),
    /// This, and then one byte a second.
    Drip(Vec<u8>),
}

impl Script {
    pub(super) fn json(body: &str) -> Self {
        Self::status("200 OK", "Content-Type: application/json\r\n", body)
    }

    pub(super) fn status(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Answer(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes())
    }

    pub(super) fn configuration(jwks_uri: &str) -> Self {
        Self::json(&serde_json::json!({ "issuer": ISSUER, "jwks_uri": jwks_uri }).to_string())
    }
}

/// A server with chains that it takes turns with, each sent exactly as it is.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) chains: Vec<Vec<Party>>,
    pub(super) versions: &'static [&'static SupportedProtocolVersion],
    pub(super) script: Script,
}

impl Server {
    pub(super) fn new(chain: &[&Party]) -> Self {
        Self {
            chains: vec![chain.iter().copied().cloned().collect()],
            versions: rustls::ALL_VERSIONS,
            script: Script::configuration(&format!("{ISSUER}/.well-known/jwks")),
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let certified = |chain: &Vec<Party>| {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(chain[0].key.serialize_der()));
            let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
            // Not compared with the certificate: some rows show one whose key they do not have.
            Arc::new(CertifiedKey::new(chain.iter().map(|party| party.der.clone()).collect(), key))
        };
        let turns = Turns { chains: self.chains.iter().map(certified).collect(), next: AtomicUsize::new(0) };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(self.versions).unwrap();
        TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(turns))))
    }

    /// Listens on a port of its own.
    pub(super) async fn listen(&self, on: &str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((on, 0)).await?;
        let address = listener.local_addr()?;
        let (acceptor, script) = (self.acceptor(), self.script.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), script.clone()));
            }
        });
        Ok(address)
    }
}

#[derive(Debug)]
struct Turns {
    chains: Vec<Arc<CertifiedKey>>,
    next: AtomicUsize,
}

impl ResolvesServerCert for Turns {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.chains.len();
        Some(Arc::clone(&self.chains[turn]))
    }
}

/// Whatever goes wrong here is the client's doing, and what the test is about.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, acceptor: TlsAcceptor, script: Script) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    match script {
        Script::Answer(answer) => drop(stream.write_all(&answer).await),
        Script::Endless(head, sent) => {
            let _ = stream.write_all(&head).await;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {
                sent.fetch_add(4096, Ordering::Relaxed);
            }
        }
        Script::Drip(head) => {
            let _ = stream.write_all(&head).await;
            while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    let _ = stream.shutdown().await;
}

/// Names, addresses, and where these lead.
#[derive(Debug, Default)]
pub(super) struct Loopback {
    pub(super) names: BTreeMap<String, Vec<SocketAddr>>,
    pub(super) routes: HashMap<SocketAddr, SocketAddr>,
    /// What was connected to.
    pub(super) connected: Mutex<Vec<SocketAddr>>,
}

impl Loopback {
    /// Puts a server behind an address of a host.
    pub(super) fn put(&mut self, host: &str, address: SocketAddr, server: SocketAddr) {
        self.names.entry(host.to_owned()).or_default().push(address);
        self.routes.insert(address, server);
    }
}

impl Network for Loopback {
    type Stream = TcpStream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = self.names.get(host).ok_or_else(|| io::Error::other("no such host"))?;
        Ok(found.iter().copied().filter(|address| address.port() == port).collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.connected.lock().unwrap().push(address);
        match self.routes.get(&address) {
            Some(server) => TcpStream::connect(server).await,
            None => Err(io::Error::other("nobody is there")),
        }
    }
}

/// One server, in memory: time can be virtual, because nothing outside of the runtime is waited for.
pub(super) struct InMemory {
    pub(super) server: Option<Server>,
}

impl Network for InMemory {
    type Stream = DuplexStream;

    async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([203, 0, 113, 1], port))])
    }

    async fn connect(&self, _: SocketAddr) -> io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        match &self.server {
            Some(server) => drop(tokio::spawn(serve(theirs, server.acceptor(), server.script.clone()))),
            // Takes the connection and never says anything.
            None => drop(tokio::spawn(async move {
                let _theirs = theirs;
                std::future::pending::<()>().await;
            })),
        }
        Ok(ours)
    }
}
