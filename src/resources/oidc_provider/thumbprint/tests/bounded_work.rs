//! The names in the largest chains that are looked at. rustls takes no chain beyond 64 KiB.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use time::macros::datetime;

use super::certificate::NAMES_READ;
use super::chain::Verifier;
use super::roots::{CaCertificate, Roots};
use crate::net::tls;

const HOST: &str = "ghe.example.com";
/// 2026-06-01T00:00:00Z.
const NOW: u64 = 1_780_272_000;

/// A CA or a server: the parameters of its certificates, and its key.
struct Party {
    params: CertificateParams,
    key: KeyPair,
}

/// A party with a long name.
fn party(label: &str) -> Party {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("{label} {}", "x".repeat(1_900)));
    (params.not_before, params.not_after) = (datetime!(2026-01-01 00:00 UTC), datetime!(2027-01-01 00:00 UTC));
    Party { params, key: KeyPair::generate().unwrap() }
}

fn ca(number: usize) -> Party {
    let mut ca = party(&format!("CA {number}"));
    ca.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca
}

fn server() -> Party {
    let mut server = party("Server");
    server.params.subject_alt_names = vec![SanType::DnsName(HOST.try_into().unwrap())];
    server.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server
}

fn certificate(of: &Party, by: &Party, serial: u64) -> CertificateDer<'static> {
    let mut params = of.params.clone();
    params.serial_number = Some(SerialNumber::from(serial));
    let certificate = params.signed_by(&of.key, &Issuer::from_params(&by.params, &by.key));
    certificate.unwrap().der().clone()
}

fn verifier(roots: Roots) -> Verifier {
    Verifier::new(roots, tls::provider(), UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
}

/// The bytes of names that a look reads.
fn read_by(look: impl FnOnce()) -> usize {
    let before = NAMES_READ.get();
    look();
    NAMES_READ.get() - before
}

#[test]
fn the_names_of_a_chain_are_read_a_bounded_number_of_times() {
    // Each CA has two certificates, so that there are many paths.
    let cas: Vec<Party> = (0..6).map(ca).collect();
    let root = certificate(&cas[0], &cas[0], 1);
    let mut served = vec![certificate(&server(), &cas[5], 1)];
    for pair in cas.windows(2) {
        served.extend([1, 2].map(|serial| certificate(&pair[1], &pair[0], serial)));
    }
    served.push(root.clone());
    let sent: usize = served.iter().map(|certificate| certificate.len()).sum();
    assert!((40_000..65_536).contains(&sent), "{sent}");

    let name = ServerName::try_from(HOST).unwrap();
    let trusting = verifier(Roots { given: vec![root.clone()], ..Roots::of([root]) });
    let accepted = read_by(|| {
        let chain = trusting.verify(name.clone(), served.clone()).unwrap();
        assert!(!chain.examine().tops.is_empty());
    });
    // webpki checks a hundred signatures at most, which makes some sixteen paths.
    assert!(accepted > 0 && accepted <= 16 * sent, "{accepted} of {sent}");

    let other = ca(9);
    let strange = verifier(Roots::of([certificate(&other, &other, 1)]));
    let refused = read_by(|| drop(strange.diagnose(&served, &name)));
    assert!(refused > 0 && refused <= 4 * sent, "{refused} of {sent}");
}

#[test]
fn more_than_is_looked_at_is_refused_before_its_names_are_read() {
    let ca = ca(0);
    let one = certificate(&ca, &ca, 1);
    let name = ServerName::try_from(HOST).unwrap();
    let verifier = verifier(Roots::of([one.clone()]));
    // The refusal tells one subject.
    let read = read_by(|| drop(verifier.diagnose(&vec![one.clone(); 300], &name)));
    assert!(read <= one.len(), "{read}");
    let megabyte = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", "A".repeat(1_000_000));
    assert_eq!(read_by(|| assert!(CaCertificate::parse(&megabyte).is_err())), 0);
}
