//! The meaning of a first read that fails.

use crate::aws::{CallError, ErrorKind};
use crate::reconcile::{Claimed, Reader};
use crate::resources::github_variable::GitHubVariables;

#[test]
fn only_a_read_that_is_forbidden_or_invalid_shows_that_nothing_was_made() {
    for (kind, is_shown) in [
        (ErrorKind::Denied, true),
        (ErrorKind::Invalid, true),
        (ErrorKind::NotFound, false),
        (ErrorKind::Throttled, false),
        (ErrorKind::TimeUp, false),
        (ErrorKind::Unknown, false),
    ] {
        let error = CallError::of(kind, "github:ListVariables", "github.com/acme/app", "", "");
        assert_eq!(Claimed::<GitHubVariables>::shows_that_nothing_was_made(&error), is_shown, "{kind:?}");
    }
}
