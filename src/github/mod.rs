//! What GitHub says and how it writes it: its issuers and the subjects of its tokens.

mod call;
pub mod claim;
pub mod credential;
pub mod facts;
pub mod issuer;
pub mod name;
pub mod protection;
pub mod rest;
pub mod subject;
mod transport;

pub use call::{Call, Reply};
pub use issuer::{Form, Issuer};
