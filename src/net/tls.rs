//! The cryptography of every connection: that of ring with another order of suites than `ring::default_provider()`.

use std::sync::{Arc, LazyLock};

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, ring};

/// The provider. The first suite of TLS 1.3 is the mandatory one (RFC 8446, section 9.1): processors have instructions for its
/// SHA-256, and most have none for the SHA-384 of the suite that rustls puts first. The server picks the suite.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = ring::default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}
