//! A root, an intermediate and a server's certificate, as public CAs issue them: ECDSA over P-256.

use std::sync::Arc;

use aws_smithy_types::base64;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// Names that the server has certificates for.
const HOSTS: [&str; 2] = ["localhost", "token.actions.githubusercontent.com"];

/// Public CAs in a made-up bundle, and about how many bytes more each certificate has there than here, because most have
/// RSA keys.
const PUBLIC: usize = 140;
const LARGER: usize = 700;
/// Nobody's: <https://oid-base.com/get/2.999>.
const COMMENT: [u64; 3] = [2, 999, 1];

pub(crate) struct Certificates {
    /// In PEM.
    pub(crate) root: String,
    /// As many made-up CAs as there are public ones, and the root behind them: what a client reads that must find the same
    /// on every machine.
    pub(crate) bundle: String,
    pub(crate) server: Arc<ServerConfig>,
}

impl Certificates {
    pub(crate) fn issue() -> Self {
        let (root, root_key) = (ca("github-trust bench root"), key());
        let (intermediate, intermediate_key) = (ca("github-trust bench intermediate"), key());
        let (server, server_key) = (server(), key());
        let root_certificate = root.self_signed(&root_key).expect("a root");
        let root = Issuer::from_params(&root, &root_key);
        let intermediate_certificate = intermediate.signed_by(&intermediate_key, &root).expect("an intermediate");
        let intermediate = Issuer::from_params(&intermediate, &intermediate_key);
        let certificate = server.signed_by(&server_key, &intermediate).expect("a certificate");
        let chain = vec![certificate.der().clone(), intermediate_certificate.der().clone()];
        let root = pem(root_certificate.der());
        Self { bundle: public() + &root, root, server: config(chain, &server_key) }
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::days(1), now + Duration::days(365));
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn public() -> String {
    let one = |number| {
        let mut params = ca(&format!("Made-up Public CA {number:03}"));
        params.custom_extensions = vec![CustomExtension::from_oid_content(&COMMENT, vec![0; LARGER])];
        pem(params.self_signed(&key()).expect("a root").der())
    };
    (0..PUBLIC).map(one).collect()
}

fn server() -> CertificateParams {
    let name = |host: &str| SanType::DnsName(host.try_into().expect("a host name"));
    let mut params = named(HOSTS[0]);
    params.subject_alt_names = HOSTS.into_iter().map(name).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// In lines of 64 characters, which is what OpenSSL reads.
fn pem(der: &CertificateDer<'_>) -> String {
    let text = base64::encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn config(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("a certificate with its key"))
}
