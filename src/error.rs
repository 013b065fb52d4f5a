//! Errors are data. Each says its own level only; the chain is put together once, in the reason that the reader of a
//! stack event sees.

use std::error::Error as StdError;

use crate::aws::CallError;
use crate::cloudformation::Malformed;
use crate::cloudformation::properties::PropertyErrors;

/// The reason that a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is broken.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The template's author made mistakes.
    #[error("{resource_type}: {problems}")]
    Properties {
        /// The kind whose properties they are.
        resource_type: &'static str,
        /// The mistakes.
        problems: PropertyErrors,
    },
    /// No kind of that name.
    #[error("unknown resource type `{found}`; {}", match nearest { Some(name) => format!("did you mean `{name}`?"), None => format!("this function handles {}", known.join(", ")) })]
    UnknownType {
        /// The type in the template.
        found: String,
        /// The kind that looks most like it.
        nearest: Option<&'static str>,
        /// The known types.
        known: Vec<&'static str>,
    },
    /// A refusal: the observed object cannot become the desired one.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A fact from outside AWS could not be looked up.
    #[error("{what}. {remedy}")]
    LookupFailed {
        /// The unknown fact, and the reason.
        what: String,
        /// The remedy for the author.
        remedy: String,
    },
    /// The origin of the request is not proven.
    #[error(
        "CloudFormation does not wait for this request, but shows {found}. Nothing was changed: the event came again after its answer, or CloudFormation did not send it"
    )]
    NotAwaited {
        /// The state that CloudFormation shows.
        found: String,
        /// True if the state is younger than the request: the request has its answer.
        is_answered: bool,
    },
    /// A call to AWS failed for good.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A plan for something desired ended with nothing there. A law of the kinds rules this out.
    #[error("{0} is not there although everything was done to make it")]
    Vanished(String),
    /// The object changed between observation and action in each attempt.
    #[error("{attempts} attempts found the state changed by somebody else each time; the last one failed with: {last}")]
    ConflictRetriesExhausted {
        /// The number of attempts.
        attempts: u32,
        /// The error of the last attempt.
        last: CallError,
    },
}

/// A refusal: the observed object cannot, or must not, become the desired one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else's object has the name.
    #[error("{what} exists already and is not owned by this resource ({owner}); it was left untouched. {remedy}")]
    Foreign {
        /// The object.
        what: String,
        /// The owner, as far as the tags tell.
        owner: String,
        /// What the author can do.
        remedy: &'static str,
    },
    /// AWS cannot change this in place.
    #[error("{what} cannot be changed from {from:?} to {to:?} in place. {remedy}")]
    Immutable {
        /// The property and the object.
        what: String,
        /// The observed value.
        from: String,
        /// The desired value.
        to: String,
        /// What the author can do.
        remedy: &'static str,
    },
    /// The surroundings do not allow it.
    #[error("{what}{}{remedy}", if remedy.is_empty() { "" } else { ". " })]
    PreconditionFailed {
        /// The violated condition.
        what: String,
        /// What the author can do.
        remedy: String,
    },
}

/// An error and what it came from, as one sentence.
#[must_use]
pub fn rendered(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
