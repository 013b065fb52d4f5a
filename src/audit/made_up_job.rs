//! Jobs at GitHub, and the tokens that they get.

use std::collections::BTreeMap;

use crate::github::Issuer;
use crate::iam_policy::evaluate::TokenClaims;

/// Owner and name of a repository as a policy writes them: known, or filled in where the policy has wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) owner: Result<String, String>,
    pub(super) owner_id: Option<u64>,
    pub(super) name: Result<String, String>,
    pub(super) id: Option<u64>,
}

/// A repository with its ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobRepository {
    pub(super) owner: String,
    pub(super) owner_id: u64,
    pub(super) name: String,
    pub(super) id: u64,
}

/// The trigger or environment of a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Context {
    Branch(String),
    Tag(String),
    Environment(String),
    PullRequest,
}

/// A job whose token is tried.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) repository: JobRepository,
    pub(super) context: Context,
    /// True for a subject with ids.
    pub(super) has_ids: bool,
    /// The whole subject by a template of the repository's own.
    pub(super) subject: Option<String>,
    /// The user who triggered it.
    pub(super) actor: (String, String),
    pub(super) enterprise_id: String,
    pub(super) workflow: String,
    pub(super) audience: String,
}

impl Context {
    fn subject(&self) -> String {
        match self {
            Self::Branch(name) => format!("ref:refs/heads/{}", name.replace(':', "%3A")),
            Self::Tag(name) => format!("ref:refs/tags/{}", name.replace(':', "%3A")),
            Self::Environment(name) => format!("environment:{}", name.replace(':', "%3A")),
            Self::PullRequest => "pull_request".to_owned(),
        }
    }

    fn git_ref(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
            Self::Environment(_) => "refs/heads/main".to_owned(),
            Self::PullRequest => "refs/pull/1/merge".to_owned(),
        }
    }
}

impl Job {
    /// The subject of the job's token.
    pub(super) fn subject(&self) -> String {
        let JobRepository { owner, owner_id, name, id } = &self.repository;
        self.subject.clone().unwrap_or_else(|| {
            let prefix =
                if self.has_ids { format!("{owner}@{owner_id}/{name}@{id}") } else { format!("{owner}/{name}") };
            format!("repo:{prefix}:{}", self.context.subject())
        })
    }

    /// The claims of the job's token. <https://docs.github.com/en/actions/reference/security/oidc>
    pub(super) fn token(&self, issuer: &Issuer) -> TokenClaims {
        let JobRepository { owner, owner_id, name, id } = &self.repository;
        let mut claims = BTreeMap::from([
            ("sub", self.subject()),
            ("aud", self.audience.clone()),
            ("repository", format!("{owner}/{name}")),
            ("repository_id", id.to_string()),
            ("repository_owner", owner.clone()),
            ("repository_owner_id", owner_id.to_string()),
            ("ref", self.context.git_ref()),
            ("actor", self.actor.0.clone()),
            ("actor_id", self.actor.1.clone()),
            ("enterprise_id", self.enterprise_id.clone()),
            ("job_workflow_ref", self.workflow.clone()),
            ("workflow", "deploy".to_owned()),
        ]);
        if let Context::Environment(name) = &self.context {
            claims.insert("environment", name.clone());
        }
        let claims = claims.into_iter().map(|(name, value)| (name.to_owned(), vec![value])).collect();
        TokenClaims { issuer: issuer.to_string(), claims }
    }
}
