//! `Custom::GitHubRepositoryOidc`: opts a repository, or an organisation, in to subjects that carry ids, and out again when the
//! stack goes. A switch that would lock out a workflow of this account is not made.

mod api;
mod plan;
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::aws::Deadline;
use crate::cloudformation::Fields;
use crate::cloudformation::schema::ResourceSchema;
use crate::deployment::Deployment;
use crate::github::client::Client;
use crate::github::name::{self, Repository};
use crate::github::subject_facts::{FormatChoice, SubjectFormat};
use crate::github::{GitHubObjectId, Issuer, ObjectName};
use crate::guardrails::{EVERY_REPOSITORY, GuardrailCheck};
use crate::lazy::Lazy;
use crate::ownership::Owner;
use crate::reconcile::Resource;
use properties::Properties;

pub use plan::Action;

/// Carries out the calls, on behalf of one request.
#[derive(Debug)]
pub struct GitHubRepositoryOidcs {
    /// GitHub.
    pub github: Client,
    /// IAM, for the roles that trust the repository.
    pub iam: Lazy<aws_sdk_iam::Client>,
    /// The deadline of the request.
    pub deadline: Deadline,
    /// The account of the function.
    pub account: String,
}

/// A customization of subjects. Its path is `repos/octo-org/octo-repo/oidc` or `orgs/octo-org/oidc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidcCustomization {
    /// That of one repository.
    Repository(Repository),
    /// That of an organisation, for its repositories without a choice of their own.
    Organization(String),
}

/// The id of a customization.
pub type OidcId = GitHubObjectId<OidcCustomization>;

impl ObjectName for OidcCustomization {
    fn parse(path: &str) -> Option<Self> {
        let place = path.strip_suffix("/oidc")?;
        match place.strip_prefix("orgs/") {
            Some(owner) => name::owner(owner).ok().map(Self::Organization),
            None => Repository::parse(place.strip_prefix("repos/")?).ok().map(Self::Repository),
        }
    }

    fn path(&self) -> String {
        format!("{}/oidc", self.place())
    }

    fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Repository(repository) => Some(repository),
            Self::Organization(_) => None,
        }
    }
}

impl fmt::Display for OidcCustomization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the subjects of {}", self.whose())
    }
}

impl OidcCustomization {
    /// The beginning of its paths.
    fn place(&self) -> String {
        match self {
            Self::Repository(repository) => format!("repos/{repository}"),
            Self::Organization(owner) => format!("orgs/{owner}"),
        }
    }

    /// Whose subjects they are, in a sentence.
    fn whose(&self) -> String {
        match self {
            Self::Repository(repository) => repository.to_string(),
            Self::Organization(owner) => format!("the organisation {owner}"),
        }
    }

    fn noun(&self) -> String {
        match self {
            Self::Repository(repository) => format!("repository {repository}"),
            Self::Organization(owner) => format!("organisation {owner}"),
        }
    }

    /// The checks of a switch. That of an organisation changes the tokens of every repository.
    fn checks(&self, issuer: &Issuer) -> Vec<GuardrailCheck> {
        match self {
            Self::Repository(repository) => GuardrailCheck::writes("Repository", issuer, repository).into(),
            Self::Organization(owner) => {
                GuardrailCheck::writes_to("Organization", issuer, owner, Some(EVERY_REPOSITORY)).into()
            }
        }
    }
}

/// The declaration of the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    issuer: Issuer,
    name: OidcCustomization,
    format: SubjectFormat,
}

/// The customization that GitHub has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The choice that somebody has made, if anybody.
    chosen: FormatChoice,
    /// The format of the tokens. New repositories send ids even if the classic format is chosen.
    sent: SubjectFormat,
    /// The choice before this resource, and before those that declare one too.
    before: Option<FormatChoice>,
    /// True if others declare a choice, and this resource does not yet.
    chosen_by_others: bool,
    /// The template, which the same call sets.
    template: CustomizationTemplate,
    /// Roles of this account that trust jobs of the repository in one form only.
    only: Only,
    /// Roles and accounts beyond this one that the variables of Actions name.
    elsewhere: BTreeSet<String>,
}

/// The template for subjects that is set in the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomizationTemplate {
    /// As GitHub shows it: a call that sets more than GitHub has said could change the template.
    use_default: Option<bool>,
    keys: Option<Vec<String>>,
}

/// The names of roles, by the only form in which they trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    classic: BTreeSet<String>,
    immutable: BTreeSet<String>,
}

impl Observed {
    /// The roles that a switch would lock out. Without a choice, the format may be either.
    fn locked_out(&self, to: FormatChoice) -> &BTreeSet<String> {
        match (to, self.sent) {
            (FormatChoice::Made(SubjectFormat::Classic), _) | (FormatChoice::Unset, SubjectFormat::Immutable) => {
                &self.only.immutable
            }
            (FormatChoice::Made(SubjectFormat::Immutable), _) | (FormatChoice::Unset, SubjectFormat::Classic) => {
                &self.only.classic
            }
        }
    }
}

impl Resource for GitHubRepositoryOidcs {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    type Properties = Properties;
    const NOUN: &'static str = "form of subjects of";
    const READ_LAG: Duration = Duration::ZERO;
    type Id = OidcId;
    type Spec = Spec;
    type Desired = Spec;
    type Observed = Observed;
    type Action = Action;
    type ApplyOutput = ();

    fn parse(fields: &mut Fields<'_, Properties>, _: &Deployment) -> Option<Spec> {
        let issuer = if fields.has(Properties::HOST) {
            fields.checked(Properties::HOST, Issuer::of_host)
        } else {
            Issuer::of_host("github.com").ok()
        };
        if issuer.as_ref().is_some_and(|issuer| !issuer.has_immutable_subjects()) {
            fields.invalid(
                Properties::HOST,
                "github.com or GHE.com: an Enterprise Server has no ids in its subjects",
                "a server",
            );
        }
        let name = customization(fields);
        let is_immutable = fields.boolean(Properties::USE_IMMUTABLE_SUBJECT)?;
        let format = if is_immutable { SubjectFormat::Immutable } else { SubjectFormat::Classic };
        Some(Spec { issuer: issuer?, name: name?, format })
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        spec.name.checks(&spec.issuer)
    }

    fn deletion_checks(id: &OidcId) -> Vec<GuardrailCheck> {
        id.name.checks(&id.issuer)
    }

    fn id(_: &Owner, spec: &Spec, _: &Deployment) -> OidcId {
        let Spec { issuer, name, format: _ } = spec;
        OidcId::new(issuer, name.clone())
    }

    fn id_from(physical_id: &str) -> Option<OidcId> {
        OidcId::parse(physical_id)
    }
}

fn customization(fields: &mut Fields<'_, Properties>) -> Option<OidcCustomization> {
    let repository = fields.checked(Properties::REPOSITORY, Repository::parse);
    let organization = fields.checked(Properties::ORGANIZATION, name::owner);
    match (fields.has(Properties::REPOSITORY), fields.has(Properties::ORGANIZATION)) {
        (true, true) => fields.invalid(Properties::ORGANIZATION, "either `Repository` or `Organization`", "both"),
        (false, false) => {
            fields.invalid(Properties::REPOSITORY, "\"owner/name\", or `Organization` in its place", "neither");
        }
        (true, false) => return repository.map(OidcCustomization::Repository),
        (false, true) => return organization.map(OidcCustomization::Organization),
    }
    None
}
