//! The cryptography of every connection: rustls' own of ring.

use std::sync::{Arc, LazyLock};

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, ring};

/// Made once. Of TLS 1.3 the suite comes first that everybody has to have (RFC 8446, section 9.1): its SHA-256 is in the
/// processor, while the SHA-384 of the one that rustls puts first mostly is not. Who answers chooses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = ring::default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}
