//! An entry of `Trust`.

use std::collections::{BTreeMap, BTreeSet};

use super::policy_limits::size_of;
use crate::github::name::{self, RepositoryScope};
use crate::github::subject_facts::SubjectTemplate;
use crate::iam_policy::pattern::Pattern;

/// The name of a workflow: a claim of templates that STS also reads by itself.
pub(super) const WORKFLOW: &str = "workflow";

/// A repository and the jobs of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrustEntry {
    /// The repository or owner; `None` where whole subjects tell it.
    pub(crate) scope: Option<RepositoryScope>,
    pub(crate) contexts: BTreeSet<JobContext>,
    pub(crate) workflows: BTreeSet<Pattern>,
    pub(crate) actors: BTreeSet<Actor>,
    pub(crate) enterprise_id: Option<u64>,
    /// The refs that the entry is narrowed to.
    pub(crate) refs: BTreeSet<Pattern>,
    /// The values of other claims that a template is made of.
    pub(crate) template_claims: BTreeMap<String, BTreeSet<String>>,
    pub(crate) subjects: BTreeSet<Pattern>,
    pub(crate) format: Format,
    pub(crate) owner_id: Option<u64>,
    pub(crate) repository_id: Option<u64>,
    /// The broad parts of the entry, each with its reason.
    pub(crate) broad: Vec<String>,
}

/// The context of a job. An environment wins over everything else: a job that names one has no ref in its subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum JobContext {
    /// A push to a branch, or anything else that runs on it.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A deployment environment.
    Environment(String),
    /// A pull request, from the repository itself or, for some events, from a fork.
    PullRequest,
    /// Any branch or tag.
    AnyRef,
    /// Any of these.
    AllJobs,
}

impl JobContext {
    /// The context as GitHub writes it in a subject. A colon inside a value becomes `%3A`, so that it cannot be taken for
    /// the end of the value.
    pub(super) fn in_subject(&self) -> String {
        let (kind, name) = match self {
            Self::Branch(name) => ("ref:refs/heads/", name.as_str()),
            Self::Tag(name) => ("ref:refs/tags/", name.as_str()),
            Self::AnyRef => ("ref:refs/*", ""),
            Self::AllJobs => ("*", ""),
            Self::Environment(name) => ("environment:", name.as_str()),
            Self::PullRequest => ("pull_request", ""),
        };
        format!("{kind}{}", name.replace(':', "%3A"))
    }

    /// The context as its member declares it.
    pub(super) fn declared(&self) -> String {
        match self {
            Self::Branch(name) => format!("Branches: {name}"),
            Self::Tag(name) => format!("Tags: {name}"),
            Self::Environment(name) => format!("Environments: {name}"),
            Self::PullRequest => "PullRequests".to_owned(),
            Self::AnyRef => "AnyRef".to_owned(),
            Self::AllJobs => "AllJobs".to_owned(),
        }
    }

    /// Returns true for a context that is a ref.
    pub(crate) fn is_ref(&self) -> bool {
        matches!(self, Self::Branch(_) | Self::Tag(_) | Self::AnyRef)
    }
}

impl TrustEntry {
    /// Returns true for an entry whose subjects the template of a repository makes.
    pub(super) fn is_of_template(&self) -> bool {
        matches!(self.scope, Some(RepositoryScope::Repository(_))) && !self.contexts.is_empty()
    }

    /// The least template that the entry fits: the default one, with the claims that the entry gives.
    pub(super) fn least_template(&self) -> SubjectTemplate {
        let claims: Vec<String> = self.template_claims.keys().filter(|claim| *claim != WORKFLOW).cloned().collect();
        if claims.is_empty() {
            return SubjectTemplate::Default;
        }
        SubjectTemplate::Custom(SubjectTemplate::Default.keys().into_iter().chain(claims).collect())
    }

    /// Returns true if a member says the repository by name or by id.
    pub(super) fn names_repository(&self) -> bool {
        matches!(self.scope, Some(RepositoryScope::Repository(_))) || self.repository_id.is_some()
    }

    /// Returns true for refs that leave nothing open: whatever the context, only jobs on them are let in, as with `Branches`
    /// and `Tags`.
    pub(super) fn is_on_closed_refs(&self) -> bool {
        let is_closed = |name: &str| match (name.strip_prefix("refs/heads/"), name.strip_prefix("refs/tags/")) {
            (Some(branch), _) => name::open_branch(branch).is_none(),
            (_, Some(tag)) => name::open_tag(tag).is_none(),
            // Nobody has reviewed what a pull request runs.
            _ => false,
        };
        !self.refs.is_empty() && self.refs.iter().all(|name| is_closed(name.as_str()))
    }

    /// The characters of the values of the entry.
    pub(super) fn declared_size(&self) -> usize {
        let contexts = self.contexts.iter().map(|context| size_of(&context.in_subject()));
        let subjects = self.subjects.iter().map(|subject| size_of(subject.as_str()));
        let refs = self.refs.iter().map(|name| size_of(name.as_str()));
        let claims = self.template_claims.values().flatten().map(|value| size_of(value));
        contexts.chain(subjects).chain(refs).chain(claims).sum::<usize>() + self.narrowing_size()
    }

    /// The characters of the values that narrow the entry. A name leads to an id of a digit or more.
    pub(super) fn narrowing_size(&self) -> usize {
        let actors = self.actors.iter().map(|actor| match actor {
            Actor::Id(id) => size_of(&id.to_string()),
            Actor::Name(_) => size_of("1"),
        });
        self.workflows.iter().map(|workflow| size_of(workflow.as_str())).chain(actors).sum()
    }
}

/// The user who triggered a job. A name can be given up and taken by somebody else; an id cannot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Actor {
    /// A user's id.
    Id(u64),
    /// A user's name, of which the id is asked for.
    Name(String),
}

/// The declared format of subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// The format that GitHub reports.
    #[default]
    Auto,
    /// With ids.
    Immutable,
    /// Without.
    Classic,
    /// Either.
    Both,
}
