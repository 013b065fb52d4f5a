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
        "CloudFormation does not wait for this request, but shows {found}. Nothing was changed: CloudFormation did not send the event, or shows the state more than 10 s late. If a stack failed with this reason, start its operation again"
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

/// Refuses an object that another stack has not let go. The owner is described by the tags of the object.
#[must_use]
pub fn held(what: &str, owner: &str, why: &str) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!("{what} cannot be taken over: {owner}, and {why}; it was left untouched"),
        remedy: "Take it out of that stack with `DeletionPolicy: Retain`, in a deployment before this one; of a stack that is \
                 gone elsewhere, remove the object's tags that begin with `github-trust:`, and adopt it"
            .to_owned(),
    }
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
    plain(&text)
}

/// A text that may hold words of others, without characters that break a line, hide, or turn the reading direction.
#[must_use]
pub fn plain(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let printable = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_hidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_others_break_no_line_and_turn_no_text() {
        let words = "a\u{1b}[31mb\u{202e}c\nd\u{200b}e\u{feff}f\u{e0041}";
        let error = CallError::of(crate::aws::ErrorKind::Invalid, "iam:CreateRole", "r", "X", words);
        let expected = "iam:CreateRole on r failed (X): a\u{fffd}[31mb\u{fffd}c d\u{fffd}e\u{fffd}f\u{fffd}";
        assert_eq!(rendered(&error), expected);
        assert_eq!(plain("Ä 漢字 🎉 e\u{301}"), "Ä 漢字 🎉 e\u{301}");
    }
}
