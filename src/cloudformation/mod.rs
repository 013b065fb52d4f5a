//! The custom resource protocol and nothing else: this module knows no kind, no AWS client and no clock.
//!
//! Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref.html>.

pub(crate) mod nearest;
pub mod properties;
pub mod property_error;
pub mod property_handle;
pub mod request;
pub mod response;
pub mod response_url;
pub mod schema;
pub mod stack;
pub mod strict_json;
pub(crate) mod synonyms;

pub use properties::Fields;
pub use property_error::PropertyError;
pub use request::{Invocation, Malformed, Request, RequestType};
pub use response::{Attributes, Outcome, Response};
pub use response_url::ResponseUrl;
pub use stack::StackId;

#[cfg(test)]
mod tests;
