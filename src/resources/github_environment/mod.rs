//! `Custom::GitHubEnvironment`: an environment of a repository with its protection, so that a trust in it is worth something.
//! GitHub makes an environment without any protection for the first workflow that names it.

mod api;
mod plan;
mod properties;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Fields, Request, RequestType};
use crate::deployment::Deployment;
use crate::github::Issuer;
use crate::github::creation_window::CreationWindow;
use crate::github::name::{self as github, Repository};
use crate::github::queries::Client;
use crate::guardrails::GuardrailCheck;
use crate::ownership::Owner;
use crate::reconcile::Resource;

pub use plan::Action;

/// "You can list up to six users or teams."
const REVIEWER_LIMIT: usize = 6;
/// In minutes: 30 days.
const LONGEST_WAIT: u32 = 43_200;
/// A name is part of the physical id, which has at most 1024 bytes.
const NAME_LIMIT: usize = 600;

/// Carries out the calls for environments, on behalf of one request.
#[derive(Debug)]
pub struct GitHubEnvironments {
    github: Client,
    asked: CreationWindow,
    /// Only then it matters what else is in an environment.
    deleting: bool,
    read_plan: Cell<Foreseen>,
}

/// What the next looks will find, as far as it can be foreseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Foreseen {
    #[default]
    Nothing,
    /// Branches and tags by patterns.
    Patterns,
    /// Patterns that go with the environment, whatever they are.
    Deletion,
}

impl GitHubEnvironments {
    /// For one request; without a date of its own it was made now.
    #[must_use]
    pub fn new(github: Client, request: &Request) -> Self {
        let signed = request.response_url.signed_at().and_then(|signed| i64::try_from(signed).ok());
        let asked = CreationWindow::at(signed.unwrap_or_else(|| github.now()));
        let deleting = request.request_type().is_ok_and(|kind| kind == RequestType::Delete);
        Self { github, asked, deleting, read_plan: Cell::default() }
    }
}

/// What names one, and when it was asked for: `github.com/repos/octo-org/octo-repo/environments/live@2026-11-21T09:00:00Z`.
#[derive(Clone, Debug)]
pub struct EnvironmentId {
    host: String,
    repository: Repository,
    name: String,
    since: Option<CreationWindow>,
}

/// Two ids are of the same environment whenever it was asked for.
impl PartialEq for EnvironmentId {
    fn eq(&self, other: &Self) -> bool {
        self.unmarked().to_lowercase() == other.unmarked().to_lowercase()
    }
}

impl EnvironmentId {
    fn unmarked(&self) -> String {
        let Self { host, repository, name, since: _ } = self;
        format!("{host}/repos/{repository}/environments/{name}")
    }
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unmarked())?;
        match self.since {
            Some(since) => write!(f, "@{since}"),
            None => Ok(()),
        }
    }
}

/// A user or a team, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reviewer {
    team: bool,
    id: u64,
}

/// Branches or tags by a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefPattern {
    tag: bool,
    name: String,
}

impl fmt::Display for RefPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.tag { "tag" } else { "branch" }, self.name)
    }
}

/// Which branches and tags may deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentBranchPolicy {
    /// All of them.
    Any,
    /// Branches that are protected in the repository.
    Protected,
    /// Those of the patterns, and without patterns none.
    Custom,
}

/// What one call sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    wait_timer: u32,
    prevent_self_review: bool,
    reviewers: BTreeSet<Reviewer>,
    policy: DeploymentBranchPolicy,
}

impl Rules {
    /// Those of an environment that a workflow has named.
    const NONE: Self = Self {
        wait_timer: 0,
        prevent_self_review: false,
        reviewers: BTreeSet::new(),
        policy: DeploymentBranchPolicy::Any,
    };
}

/// What the author wrote. What is left out is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    issuer: Issuer,
    repository: Repository,
    name: String,
    wait_timer: Option<u32>,
    prevent_self_review: Option<bool>,
    reviewers: Option<BTreeSet<Reviewer>>,
    branches: Option<(DeploymentBranchPolicy, BTreeSet<RefPattern>)>,
    adopt: bool,
}

/// What GitHub has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    rules: Rules,
    /// Patterns and their ids.
    patterns: BTreeMap<RefPattern, u64>,
    /// On our clock, in seconds since 1970.
    created: i64,
    /// Whether this resource made it.
    ours: bool,
    /// Whether there are variables or secrets in it, which would go with it.
    occupied: bool,
}

/// What only GitHub can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyOutput {
    /// A pattern's id.
    id: u64,
    /// When it was done, on our clock.
    at: i64,
}

impl Resource for GitHubEnvironments {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    const NOUN: &'static str = "environment";
    const READS_LAG: bool = false;
    type Id = EnvironmentId;
    type Spec = Spec;
    type Desired = Spec;
    type Observed = Observed;
    type Action = Action;
    type ApplyOutput = ApplyOutput;

    fn parse(fields: &mut Fields<'_>, _: &Deployment) -> Option<Spec> {
        let issuer = if fields.has("Host") {
            fields.checked("Host", Issuer::of_host)
        } else {
            Issuer::of_host("github.com").ok()
        };
        let repository = fields.checked("Repository", Repository::parse);
        let name = fields.checked("Name", name);
        let wait_timer = fields.integer("WaitTimer");
        let prevent_self_review = fields.boolean("PreventSelfReview");
        let reviewers = reviewers(fields);
        if prevent_self_review == Some(true) && reviewers.as_ref().is_none_or(BTreeSet::is_empty) {
            fields.invalid("PreventSelfReview", "`Reviewers` with it", "true");
        }
        let branches = fields.object("DeploymentBranchPolicy", branches);
        let adopt = fields.choice("OnExisting") == Some("Adopt");
        let (issuer, repository, name) = (issuer?, repository?, name?);
        Some(Spec { issuer, repository, name, wait_timer, prevent_self_review, reviewers, branches, adopt })
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        let owner = Some(spec.repository.owner().to_owned());
        vec![GuardrailCheck::Owner { property: "Repository".to_owned(), owner }]
    }

    fn id(_: &Owner, spec: &Spec, _: &Deployment) -> EnvironmentId {
        let Spec { issuer, repository, name, .. } = spec;
        EnvironmentId { host: issuer.web_host(), repository: repository.clone(), name: name.clone(), since: None }
    }

    fn id_from(physical_id: &str) -> Option<EnvironmentId> {
        let marked = physical_id.rsplit_once('@').and_then(|(rest, since)| Some((rest, CreationWindow::parse(since)?)));
        let (unmarked, since) = marked.map_or((physical_id, None), |(rest, since)| (rest, Some(since)));
        let (host, rest) = unmarked.split_once("/repos/")?;
        let (repository, name) = rest.split_once("/environments/")?;
        Issuer::of_host(host).ok()?;
        let name = self::name(name).ok()?;
        let (host, repository) = (host.to_owned(), Repository::parse(repository).ok()?);
        Some(EnvironmentId { host, repository, name, since })
    }
}

const NAME_EXPECTED: &str = "the name of one environment, at most 255 characters";

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_LIMIT || text.contains(['*', '?']) {
        return Err(format!("{NAME_EXPECTED}, without wildcards"));
    }
    github::environment(text)
}

fn reviewers(fields: &mut Fields<'_>) -> Option<BTreeSet<Reviewer>> {
    let reviewers = fields.objects("Reviewers", |fields| {
        let team = fields.choice("Type").map(|kind| kind == "Team");
        let id = fields.checked("Id", |text| text.parse::<u64>().map_err(|_number| ID_EXPECTED.to_owned()));
        Some(Reviewer { team: team?, id: id? })
    })?;
    Some(reviewers.into_iter().collect())
}

const PATTERN_EXPECTED: &str = "a pattern of at most 255 characters, such as \"release/*\"";
const ID_EXPECTED: &str =
    "the id of the user or team (`gh api users/NAME --jq .id`, `gh api orgs/ORG/teams/NAME --jq .id`)";

fn branches(fields: &mut Fields<'_>) -> Option<(DeploymentBranchPolicy, BTreeSet<RefPattern>)> {
    let protected = fields.boolean("ProtectedBranches");
    let pattern = |text: &str| {
        let valid = !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if valid { Ok(text.to_owned()) } else { Err(PATTERN_EXPECTED.to_owned()) }
    };
    let mut patterns = BTreeSet::new();
    let mut custom = false;
    for (property, tag) in [("Branches", false), ("Tags", true)] {
        custom |= fields.has(property);
        let names = fields.texts(property, pattern).unwrap_or_default();
        patterns.extend(names.into_iter().map(|name| RefPattern { tag, name }));
    }
    match (protected, custom) {
        (Some(true), true) => {
            fields.invalid("ProtectedBranches", "either `ProtectedBranches: true`, or `Branches` and `Tags`", "both");
            None
        }
        (Some(true), false) => Some((DeploymentBranchPolicy::Protected, patterns)),
        (_, true) => Some((DeploymentBranchPolicy::Custom, patterns)),
        (_, false) => Some((DeploymentBranchPolicy::Any, patterns)),
    }
}
