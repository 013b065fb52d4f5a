//! What GitHub says and how it writes it: its issuers and the subjects of its tokens.

pub mod credential;
pub mod facts;
pub mod issuer;
pub mod name;
pub mod rest;
pub mod subject;

pub use issuer::{Form, Issuer};
