//! Certificates of a server: one that is sound, and those that no client takes.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};

use super::ISSUER;

pub(super) struct Certificates {
    pub(super) root: String,
    pub(super) sound: Arc<ServerConfig>,
    pub(super) unsound: Vec<(&'static str, Arc<ServerConfig>)>,
}

impl Certificates {
    pub(super) fn issue() -> Self {
        let (root, key) = (ca("root"), key());
        let certificate = root.self_signed(&key).unwrap();
        let root = Issuer::from_params(&root, &key);
        let sound = signed(&server(), &root);
        let days = |from: i64, to: i64| {
            let now = OffsetDateTime::now_utc();
            let mut server = server();
            (server.not_before, server.not_after) = (now + Duration::days(from), now + Duration::days(to));
            server
        };
        let mut elsewhere = server();
        elsewhere.subject_alt_names = vec![rcgen::SanType::DnsName("elsewhere.example".try_into().unwrap())];
        let mut client = server();
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (stranger, stranger_key) = (ca("root"), self::key());
        let by_stranger = signed(&server(), &Issuer::from_params(&stranger, &stranger_key));
        let own = self::key();
        let self_signed = server().self_signed(&own).unwrap().der().clone();
        let mut forged = sound.0[0].to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let mut long = sound.0.clone();
        long.extend((0..300).map(|_| certificate.der().clone()));
        let mut large = server();
        let comment = rcgen::CustomExtension::from_oid_content(&[2, 999, 1], vec![4; 60_000]);
        large.custom_extensions = vec![comment];
        let again = || private(&sound.1);
        let unsound = vec![
            ("expired", config(signed(&days(-9, -1), &root))),
            ("not yet valid", config(signed(&days(1, 9), &root))),
            ("of another host", config(signed(&elsewhere, &root))),
            ("for clients", config(signed(&client, &root))),
            ("of a stranger", config(by_stranger)),
            ("self-signed", config((vec![self_signed], private(&own.serialize_der().try_into().unwrap())))),
            ("forged", config((vec![forged.into()], again()))),
            (
                "with another's key",
                config((sound.0.clone(), private(&self::key().serialize_der().try_into().unwrap()))),
            ),
            ("300 certificates", config((long, again()))),
            ("60 KB", config(signed(&large, &root))),
            ("no certificate", config((vec![vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff].into()], again()))),
        ];
        let text = aws_smithy_types::base64::encode(certificate.der());
        let root = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        Self { root, sound: config(sound), unsound }
    }
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn private(key: &PrivateKeyDer<'static>) -> PrivateKeyDer<'static> {
    key.clone_key()
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::days(1), now + Duration::days(9));
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn server() -> CertificateParams {
    let mut params = named("server");
    let name = |host: &str| rcgen::SanType::DnsName(host.try_into().unwrap());
    params.subject_alt_names = ["localhost", ISSUER].map(name).to_vec();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn signed(params: &CertificateParams, by: &Issuer<'_, &KeyPair>) -> Chain {
    let key = key();
    let certificate = params.signed_by(&key, by).unwrap();
    (vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
}

/// The certificates are sent as they are.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn config((chain, key): Chain) -> Arc<ServerConfig> {
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let certified = Always(Arc::new(CertifiedKey::new(chain, key)));
    Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(certified)))
}
