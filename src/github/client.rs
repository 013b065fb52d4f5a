//! The client of GitHub's REST API.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use tokio::sync::OnceCell;

use super::Issuer;
use super::credential::{AccessToken, Credential};
use super::name::Repository;
use super::subject_facts::{Account, Customization, RepositoryResponse};
use crate::aws::Deadline;
use crate::lazy::Lazy;

/// The reason why a query has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// 404: absent, or invisible to us.
    #[error("{0}")]
    Invisible(String),
    /// The repository has another name now.
    #[error("it was renamed or transferred, and is {to} now")]
    Renamed {
        /// The name now.
        to: String,
        /// The id of the repository that GitHub leads to.
        id: u64,
    },
    /// No usable answer, and none to be expected soon.
    #[error("GitHub could not be asked: {0}")]
    Unreachable(String),
}

/// A client of GitHub's REST API, for one request.
#[derive(Debug)]
pub struct Client {
    /// Carries the requests.
    pub http: SharedHttpConnector,
    /// Holds the credential.
    pub secrets: Lazy<aws_sdk_secretsmanager::Client>,
    /// The secret with the credential, if there is one.
    pub secret: Option<String>,
    /// Another place for all API roots, for a GitHub on this machine.
    pub api_root: Option<String>,
    /// The time of day.
    pub clock: SharedTimeSource,
    /// The deadline of the request.
    pub deadline: Deadline,
    /// The credentials of the secret, by host.
    pub credentials: RefCell<Option<BTreeMap<String, Credential>>>,
    /// Tokens of Apps by host.
    pub tokens: RefCell<BTreeMap<String, AccessToken>>,
    /// The results so far.
    pub asked: Asked,
}

/// The results of queries, so that entries with the same query share one call, and a call can be made before its need.
#[derive(Debug, Default)]
pub struct Asked {
    pub(super) repositories: Answers<Repository, (RepositoryResponse, Option<Customization>)>,
    pub(super) accounts: Answers<String, Account>,
    /// Each is asked once, also for environments that are looked at side by side.
    pub(super) protected_branches: RefCell<BTreeMap<(Issuer, Repository), PendingAnswer>>,
}

type PendingAnswer = Rc<OnceCell<Option<bool>>>;

pub(super) type Answers<Q, A> = RefCell<BTreeMap<(Issuer, Q), Result<A, LookupError>>>;

impl Client {
    pub(super) fn root(&self, issuer: &Issuer) -> String {
        self.api_root.clone().unwrap_or_else(|| issuer.api_root())
    }

    /// Seconds since 1970 on our clock.
    #[must_use]
    pub fn now(&self) -> i64 {
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}
