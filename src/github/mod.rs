//! GitHub: its issuers, the subjects of its tokens, its names and its REST API.

mod api_call;
pub mod claim_values;
pub mod client;
pub mod credential;
pub mod events;
mod http;
pub mod issuer;
pub mod name;
pub mod ownership_by_creation;
pub mod ownership_by_variables;
mod physical_id;
pub mod protection;
mod queries;
pub mod subject;
pub mod subject_facts;
pub mod subject_template;

pub use api_call::{ApiCall, ApiResponse, is_redirected};
pub use issuer::{Issuer, IssuerKind};
pub use physical_id::{GitHubObjectId, ObjectName};
