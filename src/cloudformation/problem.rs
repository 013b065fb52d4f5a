//! What is wrong with a request's properties, as its author reads it: where, what is allowed, and what was found.

use std::fmt;

/// One mistake in the properties: where, what is allowed, what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// A property that must be there is not.
    #[error("`{path}` is required: {expected}")]
    Missing {
        /// The property, from the top.
        path: String,
        /// What it should say.
        expected: String,
    },
    /// A value that is not allowed.
    #[error("`{path}`: expected {expected}, found {found}")]
    Invalid {
        /// The property, from the top.
        path: String,
        /// What is allowed.
        expected: String,
        /// What was there, cut to a readable length.
        found: String,
    },
    /// A property that this kind does not have.
    #[error("unknown property `{path}`; {}", match nearest { Some(name) => format!("did you mean `{name}`?"), None => format!("allowed are {}", known.join(", ")) })]
    Unknown {
        /// The property, from the top.
        path: String,
        /// The allowed name that looks most like it.
        nearest: Option<&'static str>,
        /// All allowed names.
        known: Vec<&'static str>,
    },
    /// A property that is read although its kind does not describe it. It cannot be left unseen: every request fails.
    #[error("`{path}` is not described as {form}: a mistake in github-trust, not in the template")]
    Undescribed {
        /// The property, from the top.
        path: String,
        /// What it is read as.
        form: &'static str,
    },
}

/// All mistakes of one request.
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
