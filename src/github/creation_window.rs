//! What is ours at GitHub, which has no tags: what came into being while a request of ours to make it was alive.
//!
//! The id of what a Create makes carries the moment at which CloudFormation asked for it. Something under that name that is
//! older was there before, and something much younger was made by somebody else after ours was gone. Both times are GitHub's
//! and CloudFormation's, not ours to choose, so that an event which is delivered again finds the work of its first attempt.
//!
//! Not told apart: what somebody else makes under the same name within the hour in which the request could have made it.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// In seconds: GitHub writes whole ones, and so does CloudFormation.
const SLACK: i64 = 2;
/// In seconds: how long CloudFormation waits at most, and with it how long a request can make anything.
const LIFE: i64 = 3600;

/// When CloudFormation asked for something to be made, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CreationWindow(i64);

impl CreationWindow {
    /// A moment.
    #[must_use]
    pub fn at(seconds: i64) -> Self {
        Self(seconds)
    }

    /// As the end of an id has it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self(moment.unix_timestamp())).filter(|moment| moment.to_string() == text)
    }

    /// Whether a request of this moment can have made what came into being then.
    #[must_use]
    pub fn covers(self, created: i64) -> bool {
        (self.0 - SLACK..=self.0 + LIFE + SLACK).contains(&created)
    }

    /// Whether a request can have made it that never answered, so that no id tells its moment, and whose deletion is asked for
    /// now: CloudFormation waits an hour for an answer before it undoes things.
    #[must_use]
    pub fn may_follow(self, created: i64) -> bool {
        created >= self.0 - 2 * LIFE
    }

    /// The moment that an Update goes on with: that of the id so far, as long as what was made then is there; but its own
    /// where nothing is, or what an earlier attempt of it made.
    #[must_use]
    pub fn kept(self, old: Option<Self>, created: Option<i64>) -> Self {
        match (old, created) {
            (Some(old), Some(created)) if old.covers(created) || !self.covers(created) => old,
            _ => self,
        }
    }

    /// Whether something was written after this moment, beyond doubt.
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
    fn moments_survive_an_id() {
        let moment = CreationWindow::at(1_795_219_200);
        assert_eq!(moment.to_string(), "2026-11-21T00:00:00Z");
        assert_eq!(CreationWindow::parse("2026-11-21T00:00:00Z"), Some(moment));
        for other in ["", "2026-11-21", "2026-11-21T01:00:00+01:00", "2026-11-21T00:00:00.5Z", "yesterday"] {
            assert_eq!(CreationWindow::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_older_than_the_request_or_younger_than_its_end_is_not_its_work() {
        let asked = CreationWindow::at(10_000);
        for (created, ours) in [(9_000, false), (9_997, false), (9_998, true), (13_600, true), (13_603, false)] {
            assert_eq!(asked.covers(created), ours, "{created}");
        }
        assert!(asked.precedes(10_003) && !asked.precedes(10_002));
        assert!(asked.may_follow(2_800) && !asked.may_follow(2_799));
    }

    #[test]
    fn an_update_keeps_the_moment_of_what_is_there_and_gives_its_own_to_what_it_makes() {
        let (old, asked) = (CreationWindow::at(10_000), CreationWindow::at(90_000));
        for (created, kept) in [(Some(10_001), old), (Some(90_001), asked), (None, asked), (Some(5_000), old)] {
            assert_eq!(asked.kept(Some(old), created), kept, "{created:?}");
            assert_eq!(asked.kept(None, created), asked);
        }
    }
}
