//! The details of a certificate for messages: subject, issuer, and end. No decision depends on them; rustls decides. Three
//! fields need `der` only; `x509-parser` would be a second parser of whole certificates beside webpki's.

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::plain;

/// The attributes of a name that have a short form, as `openssl` writes them.
const ATTRIBUTES: [(ObjectIdentifier, &str); 7] = [
    (ObjectIdentifier::new_unwrap("2.5.4.3"), "CN"),
    (ObjectIdentifier::new_unwrap("2.5.4.5"), "serialNumber"),
    (ObjectIdentifier::new_unwrap("2.5.4.6"), "C"),
    (ObjectIdentifier::new_unwrap("2.5.4.7"), "L"),
    (ObjectIdentifier::new_unwrap("2.5.4.8"), "ST"),
    (ObjectIdentifier::new_unwrap("2.5.4.10"), "O"),
    (ObjectIdentifier::new_unwrap("2.5.4.11"), "OU"),
];

#[cfg(test)]
thread_local! {
    /// The bytes of names that were read, for the worst chains.
    pub(super) static NAMES_READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The details of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateInfo {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// Subject and issuer are the same: a root, or a server's own certificate that nobody else signed.
    pub(super) self_signed: bool,
    pub(super) not_after: OffsetDateTime,
    pub(super) not_before: OffsetDateTime,
}

impl CertificateInfo {
    /// Parses a certificate; `None` if that fails.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        read(certificate).ok()
    }
}

/// RFC 5280, section 4.1: `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }`.
fn read(certificate: &[u8]) -> der::Result<CertificateInfo> {
    let certificate = AnyRef::from_der(certificate)?;
    let tbs = AnyRef::decode(&mut SliceReader::new(certificate.value())?)?;
    let mut tbs = SliceReader::new(tbs.value())?;
    // The version is left out where it is 1.
    if AnyRef::decode(&mut tbs)?.tag() != Tag::Integer {
        AnyRef::decode(&mut tbs)?;
    }
    AnyRef::decode(&mut tbs)?;
    let issuer = AnyRef::decode(&mut tbs)?;
    let validity = AnyRef::decode(&mut tbs)?;
    let subject = AnyRef::decode(&mut tbs)?;
    let mut validity = SliceReader::new(validity.value())?;
    Ok(CertificateInfo {
        subject: name(subject)?,
        issuer: name(issuer)?,
        self_signed: subject == issuer,
        not_before: date(&mut validity)?,
        not_after: date(&mut validity)?,
    })
}

/// `Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }`.
fn name(name: AnyRef<'_>) -> der::Result<String> {
    #[cfg(test)]
    NAMES_READ.set(NAMES_READ.get() + name.value().len());
    let mut parts = Vec::new();
    let mut sets = SliceReader::new(name.value())?;
    while !sets.is_finished() {
        let mut attributes = SliceReader::new(AnyRef::decode(&mut sets)?.value())?;
        while !attributes.is_finished() {
            let mut attribute = SliceReader::new(AnyRef::decode(&mut attributes)?.value())?;
            let kind = ObjectIdentifier::decode(&mut attribute)?;
            let value = AnyRef::decode(&mut attribute)?;
            let short = ATTRIBUTES.iter().find(|(oid, _)| *oid == kind).map(|(_, short)| (*short).to_owned());
            let value = String::from_utf8_lossy(value.value());
            parts.push(format!("{}={value}", short.unwrap_or_else(|| kind.to_string())));
        }
    }
    // The author of a certificate writes this text, and it goes into logs and stack events.
    Ok(plain(&parts.join(", ")))
}

fn date(validity: &mut SliceReader<'_>) -> der::Result<OffsetDateTime> {
    let time = AnyRef::decode(validity)?;
    let since_1970 = match time.tag() {
        Tag::UtcTime => time.decode_as::<UtcTime>()?.to_unix_duration(),
        _ => time.decode_as::<GeneralizedTime>()?.to_unix_duration(),
    };
    Ok(OffsetDateTime::UNIX_EPOCH + since_1970)
}

/// IAM's thumbprint: SHA-1 of the DER, in lower-case hexadecimal. Nothing depends on SHA-1 here that IAM does not make
/// depend on it.
pub(super) fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate);
    digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};
    use time::macros::datetime;

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn names_are_written_as_openssl_does_and_all_dates_are_read() {
        let read = CertificateInfo::read(&certificate(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::CountryName, DnValue::PrintableString("US".try_into().unwrap()));
            name.push(DnType::OrganizationName, "Octo\nCorp");
            name.push(DnType::CommonName, "Grüße");
            name.push(DnType::CustomDnType(vec![1, 2, 3]), "x");
            params.not_before = datetime!(1999-12-31 23:59:59 UTC);
            params.not_after = datetime!(2051-01-02 03:04:05 UTC);
        }));
        let subject = "C=US, O=Octo\u{fffd}Corp, CN=Grüße, 1.2.3=x".to_owned();
        assert_eq!(
            read,
            Some(CertificateInfo {
                issuer: subject.clone(),
                subject,
                self_signed: true,
                not_before: datetime!(1999-12-31 23:59:59 UTC),
                not_after: datetime!(2051-01-02 03:04:05 UTC),
            })
        );
    }

    #[test]
    fn a_long_name_is_cut() {
        let read = CertificateInfo::read(&certificate(|params| {
            params.distinguished_name.push(DnType::CommonName, "x".repeat(999));
        }));
        assert_eq!(read.unwrap().subject.chars().count(), 201);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_not_read_and_never_panics(at in 0usize..400, with: u8, cut in 0usize..400) {
            let mut der = certificate(|params| params.distinguished_name.push(DnType::CommonName, "x")).to_vec();
            let last = der.len() - 1;
            der[at.min(last)] = with;
            let _ = CertificateInfo::read(&der.clone().into());
            der.truncate(cut);
            let _ = CertificateInfo::read(&der.into());
        }
    }
}
