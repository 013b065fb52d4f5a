//! Every call that left the function, in order.

use std::fmt;
use std::time::Duration;

use super::author::Author;
use super::faults::{Fault, When};

#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Counts all calls of a history, from one.
    pub(crate) number: u64,
    /// The invocation that made it, and the how-manieth of its calls it is.
    pub(crate) invocation: Option<u64>,
    pub(crate) of_invocation: u64,
    /// On whose behalf, and for which of CloudFormation's requests.
    pub(crate) author: Author,
    pub(crate) request: Option<String>,
    /// Whether its event was delivered more than once, with no error to blame.
    pub(crate) duplicated: bool,
    /// The step of the history it falls into, and the how-manieth of that step it is.
    pub(crate) of_step: (u64, u64),
    /// Since the history's beginning.
    pub(crate) at: Duration,
    /// `iam`, `eks`, `s3`, or the host of whatever else was contacted.
    pub(crate) service: &'static str,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) input: serde_json::Value,
    /// Whether calls of this action are there to change something.
    pub(crate) changing: bool,
    /// Whether this one did.
    pub(crate) changed: bool,
    pub(crate) fault: Option<(When, Fault)>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has not come back yet, or never did.
    Pending,
    Done,
    Refused {
        code: String,
        status: u16,
    },
    Broken,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} {:>8.2}s ", self.number, self.at.as_secs_f64())?;
        if let Some(invocation) = self.invocation {
            write!(f, "[{invocation}.{}] ", self.of_invocation)?;
        }
        write!(f, "{}:{} {}", self.service, self.action, self.resource)?;
        match &self.outcome {
            Outcome::Pending => write!(f, " → nothing")?,
            Outcome::Done => write!(f, " → {}", if self.changed { "changed" } else { "ok" })?,
            Outcome::Refused { code, status } => write!(f, " → {status} {code}")?,
            Outcome::Broken => write!(f, " → connection lost")?,
        }
        if let Some((when, fault)) = &self.fault {
            write!(f, " ({when:?}: {})", fault.name())?;
        }
        Ok(())
    }
}
