//! The place at which a run stopped early, stored for the next one in Secrets Manager, like the records of recreations. No
//! correctness depends on it: without it the next run begins anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::aws::Deadline;
use crate::aws::{CallError, ErrorKind, ignore_not_found};
use crate::ownership::digest;

/// The name of the secret. The function's role may use the names that begin like it.
const NAME: &str = "github-trust/scheduled/checkpoint";
/// The time for reading it at the beginning of a run.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The phases of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    Providers,
    Entries,
    Roles,
}

/// A place in a run: earlier phases are done, and this one up to this key. Keys are compared and not looked up: the object
/// may be gone by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) phase: Phase,
    /// An ARN; a cluster and a principal; a role's name. Empty for the beginning of the phase.
    pub(super) after: Vec<String>,
}

impl Checkpoint {
    /// Describes the place.
    pub(super) fn description(&self) -> String {
        let part = match self.phase {
            Phase::Providers => "the providers",
            Phase::Entries => "the access entries",
            Phase::Roles => "the roles",
        };
        match self.after.as_slice() {
            [] => format!("at the beginning of {part}"),
            after => format!("among {part}, after {}", after.join(" ")),
        }
    }
}

/// The store of checkpoints.
#[derive(Debug)]
pub(super) struct CheckpointStore<'a> {
    pub(super) secrets: &'a aws_sdk_secretsmanager::Client,
    pub(super) deadline: Deadline,
}

impl CheckpointStore<'_> {
    /// Reads the checkpoint of the last run.
    pub(super) async fn read(&self) -> Result<Option<Checkpoint>, CallError> {
        let action = "secretsmanager:GetSecretValue";
        let request = self.secrets.get_secret_value().secret_id(NAME);
        let until = (Instant::now() + READ_TIMEOUT).min(self.deadline.end());
        let output = match Deadline::until(until).call(action, NAME, || request.clone().send()).await {
            Ok(output) => output,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_str(output.secret_string().unwrap_or_default()).map(Some).map_err(|error| {
            CallError::of(
                ErrorKind::Invalid,
                action,
                NAME,
                "Unreadable",
                format!("it should be how far a scheduled run came, but {error}"),
            )
        })
    }

    /// Stores a checkpoint. Of two runs that stop, the last write wins.
    pub(super) async fn write(&self, cursor: &Checkpoint, is_stored: bool) -> Result<(), CallError> {
        let value = serde_json::to_string(cursor).unwrap_or_default();
        let token = digest(&[&format!("{:032x}", fastrand::u128(..)), &value], 40);
        if !is_stored {
            let description = "How far a scheduled run of github-trust came whose time was up, for the next one";
            let request = self.secrets.create_secret().name(NAME).description(description);
            let request = request.secret_string(&value).client_request_token(&token);
            match self.deadline.call("secretsmanager:CreateSecret", NAME, || request.clone().send()).await {
                // Another run has stopped at the same time.
                Err(error) if error.kind == ErrorKind::AlreadyExists => {}
                other => return other.map(drop),
            }
        }
        let request = self.secrets.put_secret_value().secret_id(NAME).secret_string(value).client_request_token(token);
        self.deadline.call("secretsmanager:PutSecretValue", NAME, || request.clone().send()).await.map(drop)
    }

    /// Deletes the checkpoint of a run that is complete.
    pub(super) async fn delete(&self) -> Result<(), CallError> {
        let request = self.secrets.delete_secret().secret_id(NAME).force_delete_without_recovery(true);
        ignore_not_found(self.deadline.call("secretsmanager:DeleteSecret", NAME, || request.clone().send()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another version has to be able to read it.
    #[test]
    fn a_cursor_reads_the_same_again() {
        let after = vec!["prod".to_owned(), "arn:aws:iam::123456789012:role/deploy".to_owned()];
        let cursor = Checkpoint { phase: Phase::Entries, after };
        let text = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), cursor);
        insta::assert_snapshot!(text, @r#"{"phase":"entries","after":["prod","arn:aws:iam::123456789012:role/deploy"]}"#);
    }
}
