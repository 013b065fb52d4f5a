//! The public CAs that the operating system knows, read once, when the first connection needs them. Amazon Linux keeps them
//! up to date without a deployment of ours; a list compiled in would grow old. `rustls-native-certs` takes 8 million
//! instructions more for the same bundle, so that it reads unusual settings only.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use memchr::memchr;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// The bundles of Amazon Linux and of Debian.
const BUNDLES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];
/// A bundle has some 200 KiB, so that it is read in a few pieces and never held.
const PIECE: usize = 32 * 1024;
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// The public CAs.
pub(crate) fn store() -> Arc<RootCertStore> {
    static STORE: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| Arc::new(read(|name| std::env::var(name).ok())));
    Arc::clone(&STORE)
}

fn read(variable: impl Fn(&str) -> Option<String>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    // A directory of certificates is for the library, as is whatever else is unusual.
    if variable("SSL_CERT_DIR").is_none() {
        let named = variable("SSL_CERT_FILE");
        let bundles = named.as_deref().map_or(&BUNDLES[..], |_| &[]);
        let mut bundles = named.iter().map(String::as_str).chain(bundles.iter().copied());
        if let Some(bundle) = bundles.find_map(|path| File::open(Path::new(path)).ok()) {
            let add = |certificate: CertificateDer<'_>| store.add_parsable_certificates([certificate]);
            // What cannot be read to its end is not used, as if it were not there.
            if certificates(BufReader::with_capacity(PIECE, bundle), add).is_err() {
                store = RootCertStore::empty();
            }
        }
    }
    if store.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "public CA certificates could not be read");
        }
        store.add_parsable_certificates(found.certs);
    }
    store
}

/// Gives each certificate of a bundle to `each`. The library takes 8 million instructions to read one, and every cold start
/// reads it.
fn certificates<T>(mut bundle: impl BufRead, mut each: impl FnMut(CertificateDer<'_>) -> T) -> io::Result<()> {
    let (mut text, mut inside) = (Vec::new(), false);
    loop {
        let before = text.len();
        if read_line(&mut bundle, &mut text)? == 0 {
            return Ok(());
        }
        let line = text[before..].trim_ascii_end();
        let length = line.len();
        // Where files were put together without a last line end, one line ends a certificate and begins another.
        let ends = line.starts_with(END);
        let begins = line == BEGIN || ends && line.ends_with(BEGIN);
        text.truncate(before + length);
        if ends && inside {
            text.truncate(before);
            if let Ok(certificate) = base64_simd::forgiving_decode_inplace(&mut text) {
                each(CertificateDer::from(&*certificate));
            }
        }
        inside = begins || inside && !ends;
        if begins || !inside {
            text.clear();
        }
    }
}

/// Reads a line as `read_until` does, which is slower: it searches for the end without the processor's vectors.
fn read_line(bundle: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<usize> {
    let before = text.len();
    loop {
        let piece = bundle.fill_buf()?;
        let end = memchr(b'\n', piece);
        let taken = end.map_or(piece.len(), |end| end + 1);
        text.extend_from_slice(&piece[..taken]);
        bundle.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(text.len() - before);
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::base64;

    use super::*;

    fn read_all(bundle: &str) -> Vec<CertificateDer<'static>> {
        let mut found = Vec::new();
        certificates(bundle.as_bytes(), |certificate| found.push(certificate.into_owned())).unwrap();
        found
    }

    fn pem(names: &[&str]) -> String {
        let certificate = |name: &&str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, *name);
            let text = base64::encode(params.self_signed(&key).unwrap().der());
            let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
        };
        names.iter().map(certificate).collect()
    }

    #[test]
    fn a_bundle_is_read_as_the_library_reads_it() {
        use rustls::pki_types::pem::PemObject;
        let bundle = format!("# Actalis\r\n{}\n# another\n{}", pem(&["a"]).replace('\n', "\r\n"), pem(&["b", "c"]));
        let ours = read_all(&bundle);
        let theirs: Vec<_> = CertificateDer::pem_slice_iter(bundle.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(ours.len(), 3);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        let whole = pem(&["a"]);
        for (bundle, found) in [
            (String::new(), 0),
            (format!("{begin}\n!!!\n{end}\n{whole}{begin}\ncut off"), 1),
            (format!("{begin}\nTUlJ\n{whole}{end}\n"), 1),
            (format!("{end}\n{}", whole.replace(end, "").trim_end()), 0),
            (whole.trim_end().to_owned(), 1),
            (whole.trim_end().repeat(3), 3),
            (whole.replace('\n', " \n "), 0),
            (whole.replace("\nM", "\n \tM"), 1),
            (format!("{}\nTUlJ", whole.trim_end().repeat(2)), 2),
            (whole.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), 0),
            (format!("{whole}a comment that ends in {begin}\nTUlJ\n{end}\n"), 1),
        ] {
            assert_eq!(read_all(&bundle).len(), found, "{bundle}");
        }
    }

    #[test]
    fn this_machine_s_cas_are_those_that_the_library_finds() {
        let named = std::env::var("SSL_CERT_FILE").is_ok() || std::env::var("SSL_CERT_DIR").is_ok();
        if !named && BUNDLES.iter().any(|path| Path::new(path).exists()) {
            let mut theirs = RootCertStore::empty();
            theirs.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let subjects = |store: &RootCertStore| {
                let mut subjects: Vec<_> = store.subjects().iter().map(|name| name.as_ref().to_vec()).collect();
                subjects.sort();
                subjects.dedup();
                subjects
            };
            assert_eq!(subjects(&read(|_| None)), subjects(&theirs));
        }
    }
}
