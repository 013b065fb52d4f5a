//! The statements of a policy that are nearest to a job. The role may do already what would meet the conditions of another one.

use serde_json::Value;

use super::subject_differences::{OtherParts, fits};
use super::token_job::{TokenJob, Trusted, plain};
use crate::iam_policy::evaluate::{StatementReport, TokenClaims};

/// The distance of the subjects of a statement from that of a job, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// None, or the form only.
    Trusted,
    /// The number of other parts, and if the context is one of them.
    OtherParts(usize, bool),
    OtherTemplate,
    OtherRepository,
}

impl Distance {
    fn of(report: &StatementReport, statement: &Value, token: &TokenClaims) -> Self {
        let fails = |claim: &str| report.failed.iter().any(|failed| failed.key.rsplit(':').next() == Some(claim));
        if ["repository", "repository_id", "repository_owner_id"].into_iter().any(fails) {
            return Self::OtherRepository;
        }
        if !fails("sub") {
            return Self::Trusted;
        }
        let (job, trusted) = (TokenJob::of(token), Trusted::of(statement));
        let (about, subject) = (trusted.about(&job), plain(job.subject));
        if about.iter().any(|other| fits(&plain(other), &subject)) {
            return Self::Trusted;
        }
        match OtherParts::nearest(job.subject, &about).map(|other| other.distance()) {
            Some((parts, has_context)) => Self::OtherParts(parts, has_context),
            None if about.is_empty() => Self::OtherRepository,
            None => Self::OtherTemplate,
        }
    }
}

/// Returns for each report if no other statement that allows is nearer to the job of a token.
pub(super) fn are_nearest(reports: &[StatementReport], written: &[Value], token: &TokenClaims) -> Vec<bool> {
    // One for another action has no condition that fails.
    let is_compared = |report: &StatementReport| {
        !report.deny && report.other_principal.is_none() && (report.applies != Some(false) || !report.failed.is_empty())
    };
    let distance =
        |report: &StatementReport| is_compared(report).then(|| Distance::of(report, &written[report.statement], token));
    let distances: Vec<Option<Distance>> = reports.iter().map(distance).collect();
    let least = distances.iter().flatten().min();
    distances.iter().map(|distance| distance.is_none() || distance.as_ref() == least).collect()
}
