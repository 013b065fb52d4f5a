//! `Custom::GitHubVariable`: a value at GitHub, such as a role's ARN, as a variable or a secret of Actions, where the workflow
//! reads it. Somebody else's value is never overwritten unless the author says so, and never deleted.

mod api;
mod declaration;
mod plan;
mod properties;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Fields, Request};
use crate::deployment::Deployment;
use crate::github::Issuer;
use crate::github::creation_window::CreationWindow;
use crate::github::name::Repository;
use crate::github::queries::Client;
use crate::guardrails::GuardrailCheck;
use crate::ownership::Owner;
use crate::reconcile::Resource;

pub use declaration::Spec;
pub use plan::Action;
pub use seal::PublicKey;

/// Carries out the calls for variables and secrets, on behalf of one request.
#[derive(Debug)]
pub struct GitHubVariables {
    github: Client,
    asked: CreationWindow,
    /// What the two sides of the request declare: a variable that holds something else was changed by somebody else.
    declared: Vec<Value>,
}

impl GitHubVariables {
    /// For one request; without a date of its own it was made now.
    #[must_use]
    pub fn new(github: Client, request: &Request) -> Self {
        let signed = request.response_url.signed_at().and_then(|signed| i64::try_from(signed).ok());
        let asked = CreationWindow::at(signed.unwrap_or_else(|| github.now()));
        let sides = [request.properties().ok(), request.old_properties()];
        let value = |properties: serde_json::Map<String, serde_json::Value>| {
            properties.get("Value").and_then(serde_json::Value::as_str).map(Value::new)
        };
        let declared = sides.into_iter().flatten().filter_map(value).collect();
        Self { github, asked, declared }
    }
}

/// What a variable or a secret holds. It never shows itself: `Secret: true` is not the only reason to keep a value to
/// oneself.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(String);

impl Value {
    /// Wraps one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(…)")
    }
}

/// Who can read it. GitHub takes names in any case for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The workflows of one repository.
    Repository(Repository),
    /// Those of its jobs that name this environment.
    Environment(Repository, String),
    /// Repositories of an organisation.
    Organization(String),
}

impl Location {
    /// Where it is in the API.
    fn path(&self) -> String {
        match self {
            Self::Repository(repository) => format!("/repos/{repository}/actions"),
            Self::Environment(repository, environment) => {
                format!("/repos/{repository}/environments/{}", urlencoding::encode(environment))
            }
            Self::Organization(organization) => format!("/orgs/{organization}/actions"),
        }
    }

    fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Repository(repository) | Self::Environment(repository, _) => Some(repository),
            Self::Organization(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(repository) => write!(f, "{repository}"),
            Self::Environment(repository, environment) => write!(f, "environment {environment:?} of {repository}"),
            Self::Organization(organization) => write!(f, "organisation {organization}"),
        }
    }
}

/// A variable, or a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Everybody who can read the place can read it.
    Variable,
    /// Only jobs can read it.
    Secret,
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "variable",
            Self::Secret => "secret",
        })
    }
}

/// What names one, and when it was asked for. Its text is
/// `github.com/repos/octo-org/octo-repo/variables/AWS_ROLE_ARN@2026-11-21T09:00:00Z`.
#[derive(Clone, Debug)]
pub struct VariableId {
    host: String,
    place: Location,
    sort: ValueKind,
    name: String,
    /// Nothing where only the properties tell of it.
    since: Option<CreationWindow>,
}

/// Two ids are of the same variable whenever it was asked for.
impl PartialEq for VariableId {
    fn eq(&self, other: &Self) -> bool {
        self.unmarked().eq_ignore_ascii_case(&other.unmarked())
    }
}

impl VariableId {
    fn unmarked(&self) -> String {
        let Self { host, place, sort, name, since: _ } = self;
        let (repos, place) = match place {
            Location::Repository(repository) => ("repos", repository.to_string()),
            Location::Environment(repository, environment) => {
                ("repos", format!("{repository}/environments/{}", marked_off(environment)))
            }
            Location::Organization(organization) => ("orgs", organization.clone()),
        };
        format!("{host}/{repos}/{place}/{sort}s/{name}")
    }

    fn parse(text: &str) -> Option<Self> {
        let (unmarked, since) = match text.rsplit_once('@') {
            Some((unmarked, since)) => (unmarked, Some(CreationWindow::parse(since)?)),
            None => (text, None),
        };
        let parts: Vec<&str> = unmarked.split('/').collect();
        let (host, place, sort, name) = match parts.as_slice() {
            [host, "orgs", organization, sort, name] => {
                (host, Location::Organization((*organization).to_owned()), sort, name)
            }
            [host, "repos", owner, repository, rest @ .., sort, name] => {
                let repository = Repository::parse(&format!("{owner}/{repository}")).ok()?;
                let place = match rest {
                    [] => Location::Repository(repository),
                    ["environments", environment] => {
                        Location::Environment(repository, urlencoding::decode(environment).ok()?.into_owned())
                    }
                    _ => return None,
                };
                (host, place, sort, name)
            }
            _ => return None,
        };
        let sort = match *sort {
            "variables" => ValueKind::Variable,
            "secrets" => ValueKind::Secret,
            _ => return None,
        };
        Issuer::of_host(host).ok()?;
        declaration::name(name).ok()?;
        Some(Self { host: (*host).to_owned(), place, sort, name: (*name).to_owned(), since })
    }
}

/// The name of an environment between slashes. What need not be encoded is not, so that an id stays short enough.
fn marked_off(environment: &str) -> String {
    let encode = |character: char| match character {
        '/' | '%' | '@' => urlencoding::encode(&character.to_string()).into_owned(),
        other => other.to_string(),
    };
    environment.chars().map(encode).collect()
}

impl fmt::Display for VariableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unmarked())?;
        match self.since {
            Some(since) => write!(f, "@{since}"),
            None => Ok(()),
        }
    }
}

/// Which of an organisation's repositories can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visibility {
    /// `all`, `private` or `selected`.
    visibility: &'static str,
    /// The ids of the selected ones.
    selected: BTreeSet<u64>,
}

/// What there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    name: String,
    sort: ValueKind,
    value: Value,
    reach: Option<Visibility>,
    adopt: bool,
    /// When this was asked for.
    asked: CreationWindow,
    /// What a secret is sealed with.
    key: Option<PublicKey>,
    /// What the author should know.
    warning: String,
    /// What it is called in a sentence.
    what: String,
}

/// What GitHub has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Nothing for a secret, which cannot be read.
    value: Option<Value>,
    reach: Option<Visibility>,
    /// On our clock, in seconds since 1970, as is the next.
    created: i64,
    updated: i64,
    /// Whether this resource made it.
    ours: bool,
    /// Whether somebody else has changed it since, as far as can be told.
    changed_by_others: bool,
    /// What it is called in a sentence.
    what: String,
}

impl Resource for GitHubVariables {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    const NOUN: &'static str = "variable or secret";
    // GitHub shows what it has taken.
    const READS_LAG: bool = false;
    type Id = VariableId;
    type Spec = Spec;
    type Desired = Desired;
    type Observed = Observed;
    type Action = Action;
    /// When it was done, on our clock.
    type ApplyOutput = i64;

    fn parse(fields: &mut Fields<'_>, _: &Deployment) -> Option<Spec> {
        declaration::parse(fields)
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        let (property, owner) = match &spec.place {
            Location::Repository(repository) | Location::Environment(repository, _) => {
                ("Repository", repository.owner())
            }
            Location::Organization(organization) => ("Organization", organization.as_str()),
        };
        vec![GuardrailCheck::Owner { property: property.to_owned(), owner: Some(owner.to_owned()) }]
    }

    fn id(_: &Owner, spec: &Spec, _: &Deployment) -> VariableId {
        let Spec { issuer, place, name, sort, .. } = spec;
        VariableId { host: issuer.web_host(), place: place.clone(), sort: *sort, name: name.clone(), since: None }
    }

    fn id_from(physical_id: &str) -> Option<VariableId> {
        VariableId::parse(physical_id)
    }
}
