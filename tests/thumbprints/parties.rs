//! CAs and servers, as a test needs them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SanType};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use time::macros::datetime;

use super::HOST;

/// A certificate and the key in it.
#[derive(Clone)]
pub(super) struct Party {
    /// Its common name.
    pub(super) label: String,
    pub(super) der: CertificateDer<'static>,
    pub(super) key: Arc<KeyPair>,
    params: CertificateParams,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    P256,
    P384,
    Ed25519,
    /// One of three keys: ring makes none.
    Rsa(usize),
}

pub(super) fn key(kind: Kind) -> Arc<KeyPair> {
    let rsa = [include_str!("rsa_keys/1.pem"), include_str!("rsa_keys/2.pem"), include_str!("rsa_keys/3.pem")];
    Arc::new(match kind {
        Kind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        Kind::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        Kind::Ed25519 => KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        Kind::Rsa(number) => {
            let der = rustls::pki_types::pem::PemObject::from_pem_slice(rsa[number].as_bytes()).unwrap();
            KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).unwrap()
        }
    })
}

pub(super) const BEGIN: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
pub(super) const END: OffsetDateTime = datetime!(2027-01-01 00:00 UTC);
/// Before and after the moment of the tests.
pub(super) const EARLIER: OffsetDateTime = datetime!(2026-05-31 23:59:59 UTC);
pub(super) const LATER: OffsetDateTime = datetime!(2026-06-01 00:00:01 UTC);

fn issue(label: &str, key: Arc<KeyPair>, signer: Option<&Party>, change: impl FnOnce(&mut CertificateParams)) -> Party {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, label);
    (params.not_before, params.not_after) = (BEGIN, END);
    change(&mut params);
    let certificate = match signer {
        None => params.self_signed(&*key),
        Some(signer) => params.signed_by(&*key, &Issuer::from_params(&signer.params, &*signer.key)),
    };
    Party { label: label.to_owned(), der: certificate.unwrap().der().clone(), key, params }
}

fn ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn server(params: &mut CertificateParams, hosts: &[&str]) {
    params.subject_alt_names = hosts.iter().map(|host| SanType::DnsName((*host).try_into().unwrap())).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

pub(super) fn root(label: &str) -> Party {
    root_by(label, key(Kind::P256))
}

pub(super) fn root_by(label: &str, key: Arc<KeyPair>) -> Party {
    issue(label, key, None, ca)
}

/// A server that signed its own certificate.
pub(super) fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Party {
    issue("Server", key(Kind::P256), None, |params| {
        server(params, &[HOST]);
        change(params);
    })
}

impl Party {
    pub(super) fn ca(&self, label: &str) -> Party {
        self.ca_with(label, key(Kind::P256), |_| {})
    }

    pub(super) fn ca_with(&self, label: &str, key: Arc<KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Party {
        issue(label, key, Some(self), |params| {
            ca(params);
            change(params);
        })
    }

    /// The same CA's certificate, signed by another one; what tells them apart is not in the name.
    pub(super) fn also_signed_by(&self, other: &Party) -> Party {
        let mut party = other.ca_with(&self.label, Arc::clone(&self.key), |_| {});
        party.label = format!("{} by {}", self.label, other.label);
        party
    }

    pub(super) fn server(&self) -> Party {
        self.server_with(key(Kind::P256), |_| {})
    }

    pub(super) fn server_for(&self, label: &str, hosts: &[&str]) -> Party {
        issue(label, key(Kind::P256), Some(self), |params| server(params, hosts))
    }

    pub(super) fn server_with(&self, key: Arc<KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Party {
        issue("Server", key, Some(self), |params| {
            server(params, &[HOST]);
            change(params);
        })
    }

    /// With its last byte changed: the signature's.
    pub(super) fn forged(&self) -> Party {
        let mut der = self.der.to_vec();
        *der.last_mut().unwrap() ^= 1;
        Party { der: der.into(), ..self.clone() }
    }

    pub(super) fn with_der(&self, der: &[u8]) -> Party {
        Party { der: der.to_vec().into(), ..self.clone() }
    }

    pub(super) fn with_key_of(&self, other: &Party) -> Party {
        Party { key: Arc::clone(&other.key), ..self.clone() }
    }

    pub(super) fn pem(&self) -> String {
        pem(&self.der)
    }

    pub(super) fn thumbprint(&self) -> String {
        thumbprint(&self.der)
    }
}

pub(super) fn pem(der: &[u8]) -> String {
    let coded = base64(der);
    let lines: Vec<&str> = coded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(chunk.get(i).copied().unwrap_or_default()));
        (0..4).map(move |i| (bits >> (18 - 6 * i)) & 63).enumerate().map({
            let length = chunk.len();
            move |(i, digit)| if i <= length { char::from(ALPHABET[digit]) } else { '=' }
        })
    };
    bytes.chunks(3).flat_map(group).collect()
}

pub(super) fn thumbprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
