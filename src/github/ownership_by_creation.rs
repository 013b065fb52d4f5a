//! Ownership of objects at GitHub, which has no tags: an object is ours if it came into being while our Create could make it.
//!
//! The claim of an owner carries the moment at which CloudFormation asked for it. An older object of that name was there
//! before, and a much younger one was made by somebody else after ours was gone. Both times are GitHub's and
//! CloudFormation's, so that an event which is delivered again finds the work of its first attempt.
//!
//! Not told apart: an object that somebody else makes under the same name within the hour of the request.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cloudformation::Request;

/// In seconds: GitHub writes whole ones, and so does CloudFormation.
const SLACK: i64 = 2;
/// In seconds: the time that CloudFormation waits at most, and with it the life of a request.
const LIFE: i64 = 3600;

/// The time in which a request can create something. It begins when CloudFormation asks, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CreationWindow(i64);

impl CreationWindow {
    /// The window that begins at a moment.
    #[must_use]
    pub fn at(seconds: i64) -> Self {
        Self(seconds)
    }

    /// The moment at which it begins, in seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// The window of a request. Without a date of its own the request was made now.
    #[must_use]
    pub fn of(request: &Request, now: i64) -> Self {
        let signed = request.signed_at().and_then(|signed| i64::try_from(signed).ok());
        Self(signed.unwrap_or(now))
    }

    /// The memory of a claim: the window of an object that this request makes, or that the object was there before.
    #[must_use]
    pub fn memory(self, was_there: bool) -> String {
        if was_there { "found".to_owned() } else { self.to_string() }
    }

    /// Parses a moment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self(moment.unix_timestamp())).filter(|moment| moment.to_string() == text)
    }

    /// Returns true if the request can have created an object that exists since `created`.
    #[must_use]
    pub fn covers(self, created: i64) -> bool {
        (self.0 - SLACK..=self.0 + LIFE + SLACK).contains(&created)
    }

    /// Returns true if something was written after the beginning, beyond doubt.
    #[must_use]
    pub fn precedes(self, written: i64) -> bool {
        written > self.0 + SLACK
    }
}

impl fmt::Display for CreationWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        f.write_str(&moment.format(&Rfc3339).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_survives_its_text() {
        let moment = CreationWindow::at(1_795_219_200);
        assert_eq!(moment.to_string(), "2026-11-21T00:00:00Z");
        assert_eq!(CreationWindow::parse("2026-11-21T00:00:00Z"), Some(moment));
        for other in ["", "2026-11-21", "2026-11-21T01:00:00+01:00", "2026-11-21T00:00:00.5Z", "yesterday"] {
            assert_eq!(CreationWindow::parse(other), None, "{other}");
        }
    }

    #[test]
    fn older_and_younger_objects_are_not_of_the_request() {
        let asked = CreationWindow::at(10_000);
        for (created, ours) in [(9_000, false), (9_997, false), (9_998, true), (13_600, true), (13_603, false)] {
            assert_eq!(asked.covers(created), ours, "{created}");
        }
        assert!(asked.precedes(10_003) && !asked.precedes(10_002));
    }
}
