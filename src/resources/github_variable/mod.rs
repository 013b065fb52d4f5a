//! `Custom::GitHubVariable`: a value at GitHub, such as a role's ARN, as a variable or a secret of Actions, where the workflow
//! reads it. Somebody else's value is never overwritten unless the author says so, and never deleted.

mod api;
mod declaration;
mod plan;
mod properties;
mod sealed_secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Fields, Request};
use crate::deployment::Deployment;
use crate::github::client::Client;
use crate::github::name::Repository;
use crate::github::ownership_by_creation::CreationWindow;
use crate::github::{GitHubObjectId, Issuer, ObjectName};
use crate::guardrails::GuardrailCheck;
use crate::ownership::Owner;
use crate::reconcile::Resource;
use properties::Properties;

pub use declaration::Spec;
pub use plan::Action;
pub use sealed_secret::PublicKey;

/// Carries out the calls for variables and secrets, on behalf of one request.
#[derive(Debug)]
pub struct GitHubVariables {
    github: Client,
    requested: CreationWindow,
    /// The values of both sides of the request: a variable with another value was changed by somebody else.
    declared: Vec<Value>,
}

impl GitHubVariables {
    /// The calls for one request.
    #[must_use]
    pub fn new(github: Client, request: &Request) -> Self {
        let requested = CreationWindow::of(request, github.now());
        let sides = [request.properties().ok(), request.old_properties()];
        let value = |properties: serde_json::Map<String, serde_json::Value>| {
            properties.get("Value").and_then(serde_json::Value::as_str).map(Value::new)
        };
        let declared = sides.into_iter().flatten().filter_map(value).collect();
        Self { github, requested, declared }
    }
}

/// The value of a variable or a secret. It has no text: `Secret: true` is not the only reason to keep a value private.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(String);

impl Value {
    /// Wraps a value.
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

/// The readers of a value. GitHub takes names in any case for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The workflows of one repository.
    Repository(Repository),
    /// The jobs of a repository that name this environment.
    Environment(Repository, String),
    /// Repositories of an organisation.
    Organization(String),
}

impl Location {
    /// The path of the location in the API.
    fn path(&self) -> String {
        match self {
            Self::Repository(repository) => format!("/repos/{repository}/actions"),
            Self::Environment(repository, environment) => {
                format!("/repos/{repository}/environments/{}", urlencoding::encode(environment))
            }
            Self::Organization(organization) => format!("/orgs/{organization}/actions"),
        }
    }
}

impl Location {
    fn guardrail_checks(&self, issuer: &Issuer) -> [GuardrailCheck; 3] {
        match self {
            Self::Repository(repository) | Self::Environment(repository, _) => {
                GuardrailCheck::writes("Repository", issuer, repository)
            }
            Self::Organization(organization) => GuardrailCheck::writes_to("Organization", issuer, organization, None),
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

/// The name of a variable or a secret. Its path is `repos/octo-org/octo-repo/variables/AWS_ROLE_ARN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableName {
    place: Location,
    kind: ValueKind,
    name: String,
}

/// The id of a variable or a secret.
pub type VariableId = GitHubObjectId<VariableName>;

impl ObjectName for VariableName {
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let (place, kind, name) = match parts.as_slice() {
            ["orgs", organization, kind, name] => (Location::Organization((*organization).to_owned()), kind, name),
            ["repos", owner, repository, rest @ .., kind, name] => {
                let repository = Repository::parse(&format!("{owner}/{repository}")).ok()?;
                let place = match rest {
                    [] => Location::Repository(repository),
                    ["environments", environment] => {
                        Location::Environment(repository, urlencoding::decode(environment).ok()?.into_owned())
                    }
                    _ => return None,
                };
                (place, kind, name)
            }
            _ => return None,
        };
        let kind = match *kind {
            "variables" => ValueKind::Variable,
            "secrets" => ValueKind::Secret,
            _ => return None,
        };
        declaration::name(name).ok()?;
        Some(Self { place, kind, name: (*name).to_owned() })
    }

    fn path(&self) -> String {
        let Self { place, kind, name } = self;
        let place = match place {
            Location::Repository(repository) => format!("repos/{repository}"),
            Location::Environment(repository, environment) => {
                format!("repos/{repository}/environments/{}", encode_separators(environment))
            }
            Location::Organization(organization) => format!("orgs/{organization}"),
        };
        format!("{place}/{kind}s/{name}")
    }

    fn repository(&self) -> Option<&Repository> {
        match &self.place {
            Location::Repository(repository) | Location::Environment(repository, _) => Some(repository),
            Location::Organization(_) => None,
        }
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, kind, name } = self;
        write!(f, "{kind} {name} of {place}")
    }
}

/// Encodes the name of an environment for an id. The rest of its characters stays, so that an id is short enough.
fn encode_separators(environment: &str) -> String {
    let encode = |character: char| match character {
        '/' | '%' | '@' => urlencoding::encode(&character.to_string()).into_owned(),
        other => other.to_string(),
    };
    environment.chars().map(encode).collect()
}

/// The repositories of an organisation that can read a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryVisibility {
    /// `all`, `private` or `selected`.
    level: &'static str,
    /// The ids of the selected ones.
    selected: BTreeSet<u64>,
}

/// The declaration, with the facts that only GitHub knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    name: String,
    kind: ValueKind,
    value: Value,
    visibility: Option<RepositoryVisibility>,
    adopt: bool,
    /// The window of the request.
    requested: CreationWindow,
    /// The key that seals a secret.
    key: Option<PublicKey>,
    /// The warning for the author, or an empty text.
    warning: String,
    /// The object in a sentence.
    what: String,
}

/// The variable or secret that GitHub has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Absent for a secret, which cannot be read.
    value: Option<Value>,
    visibility: Option<RepositoryVisibility>,
    /// On our clock, in seconds since 1970, as is the next.
    created: i64,
    updated: i64,
    /// The window of the request that looks.
    requested: CreationWindow,
    /// True if this resource, or one that declares it too, created it, and this one may change it.
    ours: bool,
    /// True if somebody else has changed it since, as far as is known.
    changed_by_others: bool,
    /// The object in a sentence.
    what: String,
}

impl Resource for GitHubVariables {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    type Properties = Properties;
    const NOUN: &'static str = "variable or secret";
    // GitHub shows what it has taken.
    const READ_LAG: Duration = Duration::ZERO;
    type Id = VariableId;
    type Spec = Spec;
    type Desired = Desired;
    type Observed = Observed;
    type Action = Action;
    /// The time of the call, on our clock.
    type ApplyOutput = i64;

    fn parse(fields: &mut Fields<'_, Properties>, _: &Deployment) -> Option<Spec> {
        declaration::parse(fields)
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        let adoption = spec.adopt.then_some(GuardrailCheck::GitHubAdoption("variables and secrets"));
        spec.place.guardrail_checks(&spec.issuer).into_iter().chain(adoption).collect()
    }

    fn deletion_checks(id: &VariableId) -> Vec<GuardrailCheck> {
        id.name.place.guardrail_checks(&id.issuer).into()
    }

    fn id(_: &Owner, spec: &Spec, _: &Deployment) -> VariableId {
        let Spec { issuer, place, name, kind, .. } = spec;
        VariableId::new(issuer, VariableName { place: place.clone(), kind: *kind, name: name.clone() })
    }

    fn id_from(physical_id: &str) -> Option<VariableId> {
        VariableId::parse(physical_id)
    }
}
