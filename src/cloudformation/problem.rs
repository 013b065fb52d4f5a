//! Mistakes in the properties of a request: the property, the allowed values, and the value found.

use std::fmt;

/// A mistake in the properties.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// A property that must be there is not.
    #[error("`{path}` is required: {expected}")]
    Missing {
        /// The property, from the top.
        path: String,
        /// The allowed values.
        expected: String,
    },
    /// A value that is not allowed.
    #[error("`{path}`: expected {expected}, found {found}")]
    Invalid {
        /// The property, from the top.
        path: String,
        /// The allowed values.
        expected: String,
        /// The value found, cut to a readable length.
        found: String,
    },
    /// A property that this kind does not have.
    #[error("unknown property `{path}`; {}", match nearest { Some(name) => format!("did you mean `{name}`?"), None => format!("allowed are {}", known.join(", ")) })]
    Unknown {
        /// The property, from the top.
        path: String,
        /// The allowed name that looks most like it.
        nearest: Option<&'static str>,
        /// The allowed names.
        known: Vec<&'static str>,
    },
    /// A property that is read although its kind does not describe it. It cannot be left unseen: every request fails.
    #[error("`{path}` is not described as {form}: a mistake in github-trust, not in the template")]
    Undescribed {
        /// The property, from the top.
        path: String,
        /// The type that it is read as.
        form: &'static str,
    },
}

/// The mistakes of one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PropertyErrors(pub Vec<PropertyError>);

impl fmt::Display for PropertyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
