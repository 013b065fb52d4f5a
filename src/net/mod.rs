//! The network: one HTTP client, one TLS provider, one store of root certificates.

pub mod http_client;
pub(crate) mod root_store;
pub(crate) mod tls;
