//! The public CAs that the operating system knows, read once, when the first connection needs them. Amazon Linux keeps them
//! up to date without a deployment of ours; a list compiled in would grow old.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use aws_smithy_types::base64;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// Where Amazon Linux keeps them in one file, and where Debian does.
const BUNDLES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// All of them.
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
        if let Some(text) = bundles.find_map(|path| std::fs::read(Path::new(path)).ok()) {
            store.add_parsable_certificates(certificates(&String::from_utf8_lossy(&text)));
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

/// The certificates of a bundle. The library takes 8 million instructions to read one, and every cold start reads it.
fn certificates(bundle: &str) -> impl Iterator<Item = CertificateDer<'static>> {
    let blocks = bundle.split(BEGIN).skip(1).filter_map(|block| Some(block.split_once(END)?.0));
    blocks.filter_map(|block| {
        let mut text = String::with_capacity(block.len());
        text.extend(block.lines().map(str::trim));
        base64::decode(text).ok().map(CertificateDer::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(names: &[&str]) -> String {
        let certificate = |name: &&str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, *name);
            let text = base64::encode(params.self_signed(&key).unwrap().der());
            let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
            format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
        };
        names.iter().map(certificate).collect()
    }

    #[test]
    fn a_bundle_is_read_as_the_library_reads_it() {
        use rustls::pki_types::pem::PemObject;
        let bundle = format!("# Actalis\r\n{}\n# another\n{}", pem(&["a"]).replace('\n', "\r\n"), pem(&["b", "c"]));
        let ours: Vec<_> = certificates(&bundle).collect();
        let theirs: Vec<_> = CertificateDer::pem_slice_iter(bundle.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(ours.len(), 3);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        let broken = format!("{BEGIN}\n!!!\n{END}\n{}{BEGIN}\ncut off", pem(&["a"]));
        assert_eq!(certificates(&broken).count(), 1);
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
