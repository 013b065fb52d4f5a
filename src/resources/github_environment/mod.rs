//! `Custom::GitHubEnvironment`: an environment of a repository with its protection, so that a trust in it is worth something.
//! GitHub makes an environment without any protection for the first workflow that names it.

mod api;
mod plan;
mod properties;
mod stricter;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Fields, Request, RequestType};
use crate::deployment::Deployment;
use crate::github::client::Client;
use crate::github::name::{self as github, Repository};
use crate::github::{GitHubObjectId, Issuer, ObjectName};
use crate::guardrails::GuardrailCheck;
use crate::ownership::Owner;
use crate::reconcile::Resource;
use properties::Properties;

pub use plan::Action;

/// "You can list up to six users or teams."
const REVIEWER_LIMIT: usize = 6;
/// The patterns of one environment. Each of them is a call to GitHub, whose rate limit is shared by all stacks.
const PATTERN_LIMIT: usize = 100;
/// In minutes: 30 days.
const LONGEST_WAIT: u32 = 43_200;
/// A name is part of the physical id, which has at most 1024 bytes.
const NAME_LIMIT: usize = 600;

/// Carries out the calls for environments, on behalf of one request.
#[derive(Debug)]
pub struct GitHubEnvironments {
    github: Client,
    /// True for a Delete. Only then the content of an environment matters.
    deleting: bool,
    /// The declaration that the environment is as, if nobody has changed it: that of the last Create or Update.
    before: Option<Spec>,
    prefetch: Cell<Prefetch>,
}

/// The parts that the next observations will probably need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Prefetch {
    #[default]
    Nothing,
    /// Branches and tags by patterns.
    Patterns,
    /// Patterns that go with the environment, whatever they are.
    Deletion,
}

impl GitHubEnvironments {
    /// The calls for one request.
    #[must_use]
    pub fn new(github: Client, request: &Request) -> Self {
        let deleting = request.request_type().is_ok_and(|kind| kind == RequestType::Delete);
        let properties = if deleting { request.properties().ok() } else { request.old_properties() };
        let before = properties.and_then(|properties| {
            let mut fields = Fields::of_request(&properties);
            declaration(&mut fields).filter(|_| fields.finish().is_ok())
        });
        Self { github, deleting, before, prefetch: Cell::default() }
    }
}

/// The name of an environment. Its path is `repos/octo-org/octo-repo/environments/live`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentName {
    repository: Repository,
    name: String,
}

/// The id of an environment.
pub type EnvironmentId = GitHubObjectId<EnvironmentName>;

impl ObjectName for EnvironmentName {
    fn parse(path: &str) -> Option<Self> {
        let (repository, name) = path.strip_prefix("repos/")?.split_once("/environments/")?;
        Some(Self { repository: Repository::parse(repository).ok()?, name: self::name(name).ok()? })
    }

    fn path(&self) -> String {
        format!("repos/{}/environments/{}", self.repository, self.name)
    }

    fn repository(&self) -> Option<&Repository> {
        Some(&self.repository)
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment {:?} of {}", self.name, self.repository)
    }
}

/// The type of a reviewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReviewerKind {
    /// A user.
    User,
    /// The members of a team.
    Team,
}

impl ReviewerKind {
    fn of(text: &str) -> Self {
        if text == "Team" { Self::Team } else { Self::User }
    }
}

/// A user or a team, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reviewer {
    kind: ReviewerKind,
    /// Absent where GitHub does not show the reviewer. No call can set such a one.
    id: Option<u64>,
}

impl fmt::Display for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id } = self;
        let kind = match kind {
            ReviewerKind::User => "user",
            ReviewerKind::Team => "team",
        };
        match id {
            Some(id) => write!(f, "{kind} {id}"),
            None => write!(f, "a {kind} who is not shown"),
        }
    }
}

/// The type of a git ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefKind {
    /// `refs/heads/…`
    Branch,
    /// `refs/tags/…`
    Tag,
}

impl fmt::Display for RefKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Branch => "branch",
            Self::Tag => "tag",
        })
    }
}

/// Branches or tags by a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefPattern {
    kind: RefKind,
    name: String,
}

impl fmt::Display for RefPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// The branches and tags that may deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentBranchPolicy {
    /// Every branch and tag.
    Any,
    /// Branches that are protected in the repository.
    Protected,
    /// Branches and tags of the patterns. Without patterns there are none.
    Custom,
}

impl fmt::Display for DeploymentBranchPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Protected => "protected",
            Self::Custom => "by pattern",
        })
    }
}

/// The rules that one call sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    wait_timer: u32,
    prevent_self_review: bool,
    reviewers: BTreeSet<Reviewer>,
    policy: DeploymentBranchPolicy,
    /// True if GitHub shows that administrators may not bypass the rules. No property declares it, so that it stays.
    bars_administrators: bool,
}

impl Rules {
    /// The rules of an environment that a workflow has created.
    const NONE: Self = Self {
        wait_timer: 0,
        prevent_self_review: false,
        reviewers: BTreeSet::new(),
        policy: DeploymentBranchPolicy::Any,
        bars_administrators: false,
    };
}

/// The declaration of the author. Omitted parts are not compared.
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

impl Spec {
    fn id(&self) -> EnvironmentId {
        let name = EnvironmentName { repository: self.repository.clone(), name: self.name.clone() };
        EnvironmentId::new(&self.issuer, name)
    }
}

/// The declaration, with the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    spec: Spec,
    /// Absent where this request is the first for the environment.
    before: Option<Spec>,
    /// The remark about `ProtectedBranches`, or an empty text.
    remark: &'static str,
}

/// The environment that GitHub has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    rules: Rules,
    /// Patterns and their ids.
    patterns: BTreeMap<RefPattern, u64>,
    /// On our clock, in seconds since 1970.
    created: i64,
    /// True if this resource, or one that declares it too, created it, and this one may change it.
    ours: bool,
    /// True if there are variables or secrets in it, which a deletion would delete.
    occupied: bool,
    /// True if somebody has made it stricter than it is declared. Only a deletion looks.
    stricter: bool,
}

/// The facts that only GitHub can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyOutput {
    /// The id of a pattern.
    id: u64,
    /// The time of the call, on our clock.
    at: i64,
}

impl Resource for GitHubEnvironments {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    type Properties = Properties;
    const NOUN: &'static str = "environment";
    const READ_LAG: Duration = Duration::ZERO;
    type Id = EnvironmentId;
    type Spec = Spec;
    type Desired = Desired;
    type Observed = Observed;
    type Action = Action;
    type ApplyOutput = ApplyOutput;

    fn parse(fields: &mut Fields<'_, Properties>, _: &Deployment) -> Option<Spec> {
        declaration(fields)
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        let checks = GuardrailCheck::writes("Repository", &spec.issuer, &spec.repository);
        checks.into_iter().chain(spec.adopt.then_some(GuardrailCheck::GitHubAdoption("environments"))).collect()
    }

    fn deletion_checks(id: &EnvironmentId) -> Vec<GuardrailCheck> {
        GuardrailCheck::writes("Repository", &id.issuer, &id.name.repository).into()
    }

    fn id(_: &Owner, spec: &Spec, _: &Deployment) -> EnvironmentId {
        spec.id()
    }

    fn id_from(physical_id: &str) -> Option<EnvironmentId> {
        EnvironmentId::parse(physical_id)
    }
}

fn declaration(fields: &mut Fields<'_, Properties>) -> Option<Spec> {
    let issuer = if fields.has(Properties::HOST) {
        fields.checked(Properties::HOST, Issuer::of_host)
    } else {
        Issuer::of_host("github.com").ok()
    };
    let repository = fields.checked(Properties::REPOSITORY, Repository::parse);
    let name = fields.checked(Properties::NAME, name);
    let wait_timer = fields.integer(Properties::WAIT_TIMER);
    let prevent_self_review = fields.boolean(Properties::PREVENT_SELF_REVIEW);
    let reviewers = reviewers(fields);
    if prevent_self_review == Some(true) && reviewers.as_ref().is_none_or(BTreeSet::is_empty) {
        fields.invalid(Properties::PREVENT_SELF_REVIEW, "`Reviewers` with it", "true");
    }
    let branches = fields.object(Properties::DEPLOYMENT_BRANCH_POLICY, branches);
    let adopt = fields.choice(Properties::ON_EXISTING) == Some("Adopt");
    let (issuer, repository, name) = (issuer?, repository?, name?);
    Some(Spec { issuer, repository, name, wait_timer, prevent_self_review, reviewers, branches, adopt })
}

const NAME_EXPECTED: &str = "the name of one environment, at most 255 characters";

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_LIMIT || text.contains(['*', '?']) {
        return Err(format!("{NAME_EXPECTED}, without wildcards"));
    }
    github::environment(text)
}

fn reviewers(fields: &mut Fields<'_, Properties>) -> Option<BTreeSet<Reviewer>> {
    let reviewers = fields.objects(Properties::REVIEWERS, |fields| {
        let kind = fields.choice(properties::Reviewer::TYPE).map(ReviewerKind::of);
        let id = fields
            .checked(properties::Reviewer::ID, |text| text.parse::<u64>().map_err(|_number| ID_EXPECTED.to_owned()));
        Some(Reviewer { kind: kind?, id: Some(id?) })
    })?;
    Some(reviewers.into_iter().collect())
}

const PATTERN_EXPECTED: &str = "a pattern of at most 255 characters, such as \"release/*\"";
const ID_EXPECTED: &str =
    "the id of the user or team (`gh api users/NAME --jq .id`, `gh api orgs/ORG/teams/NAME --jq .id`)";

fn branches(
    fields: &mut Fields<'_, properties::DeploymentBranchPolicy>,
) -> Option<(DeploymentBranchPolicy, BTreeSet<RefPattern>)> {
    use properties::DeploymentBranchPolicy as Patterns;
    let protected = fields.boolean(Patterns::PROTECTED_BRANCHES);
    let pattern = |text: &str| {
        let valid = !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if valid { Ok(text.to_owned()) } else { Err(PATTERN_EXPECTED.to_owned()) }
    };
    let mut patterns = BTreeSet::new();
    let mut custom = false;
    for (property, kind) in [(Patterns::BRANCHES, RefKind::Branch), (Patterns::TAGS, RefKind::Tag)] {
        custom |= fields.has(property);
        let names = fields.texts(property, pattern).unwrap_or_default();
        patterns.extend(names.into_iter().map(|name| RefPattern { kind, name }));
    }
    match (protected, custom) {
        (Some(true), true) => {
            fields.invalid(
                Patterns::PROTECTED_BRANCHES,
                "either `ProtectedBranches: true`, or `Branches` and `Tags`",
                "both",
            );
            None
        }
        (Some(true), false) => Some((DeploymentBranchPolicy::Protected, patterns)),
        (_, true) => Some((DeploymentBranchPolicy::Custom, patterns)),
        (_, false) => Some((DeploymentBranchPolicy::Any, patterns)),
    }
}
