//! What GitHub says and how it writes it: its issuers and the subjects of its tokens.

pub mod issuer;
pub mod name;

pub use issuer::{Form, Issuer};
