//! How far a run came that stopped early, kept for the next one: in Secrets Manager, where entries that are being made
//! again are kept as well. It is there only between two such runs, and nothing depends on it: without it the next run
//! begins anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::aws::Deadline;
use crate::aws::{CallError, ErrorKind, ignore_not_found};
use crate::ownership::digest;

/// Where it is. The function's role may use the names that begin like it.
const NAME: &str = "github-trust/upkeep/cursor";
/// How long is waited for it at the beginning.
const PATIENCE: Duration = Duration::from_secs(20);

/// The parts of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    Providers,
    Entries,
    Roles,
}

/// A place in a run: everything of earlier phases, and of this one all up to this key, is done. It is compared, not looked
/// for: what it names may be gone meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) phase: Phase,
    /// An ARN; a cluster and a principal; a role's name. Nothing for the phase's beginning.
    pub(super) after: Vec<String>,
}

impl Checkpoint {
    /// In words.
    pub(super) fn told(&self) -> String {
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

/// Where it is kept.
#[derive(Debug)]
pub(super) struct CheckpointStore<'a> {
    pub(super) secrets: &'a aws_sdk_secretsmanager::Client,
    pub(super) deadline: Deadline,
}

impl CheckpointStore<'_> {
    /// What the last run left.
    pub(super) async fn read(&self) -> Result<Option<Checkpoint>, CallError> {
        let action = "secretsmanager:GetSecretValue";
        let request = self.secrets.get_secret_value().secret_id(NAME);
        let until = (Instant::now() + PATIENCE).min(self.deadline.end());
        let output = match Deadline::until(until).call(action, NAME, || request.clone().send()).await {
            Ok(output) => output,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_str(output.secret_string().unwrap_or_default()).map(Some).map_err(|error| CallError {
            action,
            resource: NAME.to_owned(),
            kind: ErrorKind::Invalid,
            code: "Unreadable".to_owned(),
            message: format!("it should be how far a scheduled run came, but {error}"),
            request_id: None,
            uncertain: false,
        })
    }

    /// Leaves it to the next run. Of two runs that stop, the last one to write wins.
    pub(super) async fn write(&self, cursor: &Checkpoint, known: bool) -> Result<(), CallError> {
        let value = serde_json::to_string(cursor).unwrap_or_default();
        let token = digest(&[&format!("{:032x}", fastrand::u128(..)), &value], 40);
        if !known {
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

    /// The run that began with it has ended.
    pub(super) async fn forget(&self) -> Result<(), CallError> {
        let request = self.secrets.delete_secret().secret_id(NAME).force_delete_without_recovery(true);
        ignore_not_found(self.deadline.call("secretsmanager:DeleteSecret", NAME, || request.clone().send()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one version leaves, another one has to be able to read.
    #[test]
    fn a_cursor_reads_the_same_again() {
        let after = vec!["prod".to_owned(), "arn:aws:iam::123456789012:role/deploy".to_owned()];
        let cursor = Checkpoint { phase: Phase::Entries, after };
        let text = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), cursor);
        insta::assert_snapshot!(text, @r#"{"phase":"entries","after":["prod","arn:aws:iam::123456789012:role/deploy"]}"#);
    }
}
