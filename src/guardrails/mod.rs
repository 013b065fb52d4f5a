//! The permissions of this deployment, whatever a template asks for. The team that deploys the function sets them by
//! parameters of its template. They are checked here before any call, and the function's own policy repeats them as far
//! as IAM can, so that a mistake in this code cannot pass it.
//!
//! Guardrails know no kind: a kind says in their words what its declaration asks for. They only refuse, and change nothing
//! of what was asked for. They do not hold for a deletion in AWS, which grants nothing; a deletion at GitHub takes away what
//! protects others, and is not made where they forbid it. A template that asks for no more than what is there already is not
//! refused, so that stricter guardrails do not keep a stack from rolling back.

mod access_entry;
mod exemption;
mod managed_policy;
mod provider;
mod repositories;

use crate::arn::parts;
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::error::Refusal;
use crate::github::Issuer;
use crate::github::name::Repository;
use crate::iam_policy::string_like::string_like;

use access_entry::AccessEntryGuardrails;
use exemption::Exemption;
use provider::ProviderGuardrails;
use repositories::{GitHubGuardrails, allows_host};

pub use access_entry::AccessEntryCheck;
pub(crate) use exemption::guardrail_of;
pub(crate) use managed_policy::did_you_mean;
pub use repositories::{EVERY_REPOSITORY, WriteTarget};

/// A part of a declaration that a deployment may forbid. The texts are those of the template's author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardrailCheck {
    /// A role in this path.
    Path(String),
    /// A role with this permissions boundary, or with none.
    Boundary(Option<String>),
    /// Trust in jobs of this owner at GitHub; nothing where it cannot be told whose jobs they are.
    Owner {
        /// The property.
        property: String,
        /// The GitHub that has the owner.
        issuer: Issuer,
        /// The owner's name.
        owner: Option<String>,
    },
    /// A write at GitHub.
    Write {
        /// Where it is asked for.
        property: &'static str,
        /// The repository or organisation.
        target: WriteTarget,
    },
    /// Calls to the GitHub that issues these tokens.
    Host(Issuer),
    /// The adoption of objects at GitHub, such as environments, that somebody else created.
    GitHubAdoption(&'static str),
    /// Trust in more than most people mean, such as a whole organisation.
    Broad {
        /// Where it is asked for.
        property: String,
        /// The jobs that it lets in.
        what: String,
    },
    /// Tokens of this issuer (without `https://`).
    Issuer {
        /// Where it is asked for.
        property: &'static str,
        /// The issuer.
        issuer: String,
    },
    /// A managed policy.
    ManagedPolicy(String),
    /// An inline policy of this name, which may allow anything.
    InlinePolicy(String),
    /// Sessions of this many seconds.
    Session(u32),
    /// Thumbprints of the author, which nobody verifies.
    ThumbprintPins,
    /// An audience that a provider lets tokens be for.
    Audience(String),
    /// The adoption of objects, such as roles, that somebody else created.
    Adoption(&'static str),
    /// The take-over of an object that another stack had, or that does not tell whose it is.
    TakeOver(&'static str),
    /// A part of an access entry.
    AccessEntry(AccessEntryCheck),
}

impl GuardrailCheck {
    /// The checks of a write to a repository.
    #[must_use]
    pub fn writes(property: &'static str, issuer: &Issuer, repository: &Repository) -> [Self; 3] {
        Self::writes_to(property, issuer, repository.owner(), Some(repository.name()))
    }

    /// The checks of a write to a repository, or to an organisation itself.
    #[must_use]
    pub fn writes_to(property: &'static str, issuer: &Issuer, owner: &str, repository: Option<&str>) -> [Self; 3] {
        let (issuer, owner, repository) = (issuer.clone(), owner.to_owned(), repository.map(str::to_owned));
        [
            Self::Host(issuer.clone()),
            Self::Owner { property: property.to_owned(), issuer: issuer.clone(), owner: Some(owner.clone()) },
            Self::Write { property, target: WriteTarget { issuer, owner, repository } },
        ]
    }
}

/// The inline policies that roles may have. Their contents are not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inline {
    /// Any.
    Always,
    /// Permitted if the deployment demands a permissions boundary, which then limits them.
    WithBoundary,
    /// None.
    Never,
}

/// The permissions of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guardrails {
    role_path: String,
    boundary: Option<String>,
    github: GitHubGuardrails,
    providers: ProviderGuardrails,
    explain: bool,
    issuers: Vec<String>,
    broad_trust: bool,
    managed: Vec<String>,
    forbidden: Vec<String>,
    inline: Inline,
    max_session_duration: u32,
    adoption: bool,
    access_entries: AccessEntryGuardrails,
    accounts: Vec<String>,
    contact: Option<String>,
    exemptions: Vec<Exemption>,
    /// The exemptions of this moment and resource.
    in_force: Vec<Exemption>,
}

/// The value without a parameter, which is also the default of the parameter.
const ROLE_PATH: &str = "/github/";
/// Elsewhere the same owner's name is somebody else's.
const ISSUERS: &str = "token.actions.githubusercontent.com,token.actions.githubusercontent.com/*";
const MANAGED: &str = "arn:*:iam::aws:policy/*";
/// Where no boundary limits what a policy leads to: policies that lead to no other permissions, neither to the function nor
/// to what it goes by, and to no code of others. A test of the template computes it from AWS's documents.
const MANAGED_WITHOUT_BOUNDARY: &str = "arn:*:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly,\
                                        arn:*:iam::aws:policy/AmazonS3ReadOnlyAccess,\
                                        arn:*:iam::aws:policy/AWSCloudFormationReadOnlyAccess,\
                                        arn:*:iam::aws:policy/SecurityAudit,\
                                        arn:*:iam::aws:policy/job-function/ViewOnlyAccess";
/// Policies that change permissions, assume any role, or change or ask the function. The first also stands for its
/// namesakes with a suffix.
const FORBIDDEN: &str = "arn:*:iam::aws:policy/AdministratorAccess*,\
                         arn:*:iam::aws:policy/AIDevOpsAgentActionsPolicy,\
                         arn:*:iam::aws:policy/AmazonDynamoDBFullAccesswithDataPipeline,\
                         arn:*:iam::aws:policy/AmazonSageMakerJobFullAccess,\
                         arn:*:iam::aws:policy/AWSCodeDeployRoleForECS,\
                         arn:*:iam::aws:policy/AWSLambda_FullAccess,\
                         arn:*:iam::aws:policy/AWSLambdaInvocation-DynamoDB,\
                         arn:*:iam::aws:policy/BedrockAgentCoreFullAccess,\
                         arn:*:iam::aws:policy/IAMFullAccess,arn:*:iam::aws:policy/PowerUserAccess,\
                         arn:*:iam::aws:policy/SageMakerStudio*,\
                         arn:*:iam::aws:policy/job-function/DataScientist,\
                         arn:*:iam::aws:policy/job-function/SystemAdministrator,\
                         arn:*:iam::aws:policy/service-role/AWSLambdaRole";
/// In seconds. A job on GitHub's own runners lasts six hours at most.
/// <https://docs.github.com/en/actions/reference/limits>
const MAX_SESSION_DURATION: u32 = 6 * 60 * 60;

impl Guardrails {
    /// Permits everything, for tests of the code behind the guardrails.
    #[must_use]
    pub fn none() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            role_path: "/".to_owned(),
            boundary: None,
            github: GitHubGuardrails::none(),
            providers: ProviderGuardrails::none(),
            explain: true,
            issuers: any(),
            broad_trust: true,
            managed: vec!["arn:*:*:*:*:*".to_owned()],
            forbidden: Vec::new(),
            inline: Inline::Always,
            max_session_duration: u32::MAX,
            adoption: true,
            access_entries: AccessEntryGuardrails::none(),
            accounts: Vec::new(),
            contact: None,
            exemptions: Vec::new(),
            in_force: Vec::new(),
        }
    }

    /// Reads them by the names of their variables in the environment, without `GITHUB_TRUST_`. What is missing, or cannot be
    /// read, is what a deployment forbids that says nothing.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let list = |name: &str, default: &str| -> Vec<String> {
            let text = variable(name).unwrap_or_else(|| default.to_owned());
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let allowed = |name: &str| variable(name).as_deref() == Some("true");
        let boundary = variable("ROLE_PERMISSIONS_BOUNDARY");
        let managed = if boundary.is_some() { MANAGED } else { MANAGED_WITHOUT_BOUNDARY };
        Self {
            role_path: variable("ROLE_PATH").unwrap_or_else(|| ROLE_PATH.to_owned()),
            boundary,
            github: GitHubGuardrails::read(list, allowed),
            providers: ProviderGuardrails::read(list, allowed),
            explain: variable("ALLOW_EXPLAIN").is_none_or(|text| text == "true"),
            issuers: list("ALLOWED_ISSUERS", ISSUERS),
            broad_trust: allowed("ALLOW_BROAD_TRUST"),
            managed: list("ALLOWED_MANAGED_POLICIES", managed),
            forbidden: list("FORBIDDEN_MANAGED_POLICIES", FORBIDDEN),
            inline: match variable("ALLOW_INLINE_POLICIES").as_deref() {
                Some("Always") => Inline::Always,
                Some("Never") => Inline::Never,
                _ => Inline::WithBoundary,
            },
            max_session_duration: variable("MAX_SESSION_DURATION")
                .and_then(|text| text.parse().ok())
                .unwrap_or(MAX_SESSION_DURATION),
            adoption: allowed("ALLOW_ROLE_ADOPTION"),
            access_entries: AccessEntryGuardrails::read(list, allowed),
            accounts: list("STACK_ACCOUNTS", ""),
            contact: variable("GUARDRAIL_CONTACT"),
            exemptions: list("GUARDRAIL_EXEMPTIONS", "").iter().filter_map(|text| Exemption::read(text)).collect(),
            in_force: Vec::new(),
        }
    }

    /// The path of roles whose declaration names none.
    #[must_use]
    pub fn role_path(&self) -> &str {
        &self.role_path
    }

    /// The permissions boundary of roles whose declaration names none.
    #[must_use]
    pub fn role_boundary(&self) -> Option<&str> {
        self.boundary.as_deref()
    }

    /// Returns true if trust in more than most people mean is allowed.
    #[must_use]
    pub fn allows_broad_trust(&self) -> bool {
        self.broad_trust
    }

    /// Checks that the function may answer questions about roles.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_explain(&self, deployment: &Deployment) -> Result<(), Refusal> {
        if self.explain {
            return Ok(());
        }
        let what = "this function answers no questions of those who may invoke it (guardrail `AllowExplain`)";
        Err(self.refusal(what, deployment))
    }

    /// Checks everything that the declaration of a stack asks for.
    ///
    /// # Errors
    /// With all that is forbidden, the guardrails that forbid it, and who can change them.
    pub fn check(
        &self,
        guardrail_checks: &[GuardrailCheck],
        stack: &StackId,
        deployment: &Deployment,
    ) -> Result<(), Refusal> {
        let forbidden = self.forbidden(guardrail_checks, stack, deployment);
        if forbidden.is_empty() { Ok(()) } else { Err(self.refusal(&forbidden.join("; "), deployment)) }
    }

    /// The reasons against the parts of a declaration, each with the exemption that allows it.
    fn reasons(
        &self,
        guardrail_checks: &[GuardrailCheck],
        stack: &StackId,
        deployment: &Deployment,
    ) -> impl Iterator<Item = (String, Option<&Exemption>)> {
        guardrail_checks.iter().filter_map(|check| {
            let reason = self.forbids(check, stack, deployment)?;
            Some((reason, self.exemption(check, stack)))
        })
    }

    /// Returns the reasons for which the declaration of a stack is refused, each with its guardrail.
    #[must_use]
    pub fn forbidden(
        &self,
        guardrail_checks: &[GuardrailCheck],
        stack: &StackId,
        deployment: &Deployment,
    ) -> Vec<String> {
        self.reasons(guardrail_checks, stack, deployment)
            .filter_map(|(reason, exemption)| {
                let Some(exemption) = exemption else { return Some(reason) };
                tracing::warn!(reason, %exemption, "a stack is exempt from a guardrail");
                None
            })
            .collect()
    }

    /// Checks the account of the stack that asks.
    ///
    /// # Errors
    /// When its stacks may not use this function.
    pub fn check_account(&self, account: &str, deployment: &Deployment) -> Result<(), Refusal> {
        let own = self.accounts.is_empty() && account == deployment.account;
        if own || self.accounts.iter().any(|allowed| allowed == account) {
            return Ok(());
        }
        let allowed = match self.accounts.as_slice() {
            [] => format!("its own account {} only", deployment.account),
            accounts => accounts.join(", "),
        };
        let what = format!(
            "the stack is in account {account}, but this function serves the stacks of {allowed} (guardrail \
             `StackAccounts`); to make something in the account of the stack, deploy github-trust there and use its \
             service token"
        );
        Err(self.refusal(&what, deployment))
    }

    /// The refusal of a forbidden demand, with the way to permit it.
    #[must_use]
    pub fn refusal(&self, what: &str, deployment: &Deployment) -> Refusal {
        let Deployment { region, account, .. } = deployment;
        let contact = self.contact.as_deref().map(|contact| format!(" ({contact})")).unwrap_or_default();
        Refusal::PreconditionFailed {
            what: what.to_owned(),
            remedy: format!(
                "Guardrails are parameters of the stack that deploys github-trust in account {account}, region \
                 {region}: who may update that stack can change them{contact}"
            ),
        }
    }

    /// Returns the reason of a refusal.
    fn forbids(&self, demand: &GuardrailCheck, stack: &StackId, deployment: &Deployment) -> Option<String> {
        match demand {
            GuardrailCheck::Path(path) => (!path.starts_with(&self.role_path))
                .then(|| format!("`Path`: {path} is not below {} (guardrail `RolePath`)", self.role_path)),
            GuardrailCheck::Boundary(found) => self.boundary.as_ref().filter(|boundary| found.as_ref() != Some(*boundary)).map(
                |boundary| {
                    let found = found.as_ref().map_or_else(|| "none".to_owned(), |found| format!("{found:?}"));
                    format!(
                        "`PermissionsBoundary`: roles need {boundary} (guardrail `RolePermissionsBoundary`), found {found}"
                    )
                },
            ),
            GuardrailCheck::Owner { property, issuer, owner } => self.github.forbids_owner(property, issuer, owner.as_deref()),
            GuardrailCheck::Write { property, target } => self.github.forbids_write(property, target, stack),
            GuardrailCheck::Host(issuer) => (!allows_host(&self.issuers, issuer)).then(|| {
                let (host, allowed) = (issuer.web_host(), one_of(&self.issuers));
                format!("`Host`: the issuer {issuer} of {host} {allowed} (guardrail `AllowedIssuers`)")
            }),
            GuardrailCheck::GitHubAdoption(what) => self.github.forbids_adoption(what),
            GuardrailCheck::ThumbprintPins => self.providers.forbids_pins(),
            GuardrailCheck::Audience(audience) => self.providers.forbids_audience(audience),
            GuardrailCheck::Broad { property, what } => {
                (!self.broad_trust).then(|| format!("`{property}`: {what} (guardrail `AllowBroadTrust`)"))
            }
            GuardrailCheck::Issuer { property, issuer } => (!any(&self.issuers, |allowed| string_like(allowed, issuer))).then(|| {
                format!("`{property}`: the issuer {issuer} {} (guardrail `AllowedIssuers`)", one_of(&self.issuers))
            }),
            GuardrailCheck::ManagedPolicy(arn) if any(&self.forbidden, |forbidden| arn_matches(forbidden, arn)) => {
                Some(format!("`ManagedPolicyArns`: {arn} is forbidden (guardrail `ForbiddenManagedPolicies`)"))
            }
            GuardrailCheck::ManagedPolicy(arn) => (!any(&self.managed, |allowed| arn_matches(allowed, arn))).then(|| {
                let meant = did_you_mean(arn, self.managed.iter().map(String::as_str));
                let meant = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
                format!("`ManagedPolicyArns`: {arn} {}{meant} (guardrail `AllowedManagedPolicies`)", one_of(&self.managed))
            }),
            GuardrailCheck::InlinePolicy(name) => self.forbids_inline(name),
            GuardrailCheck::Session(seconds) => (*seconds > self.max_session_duration).then(|| {
                format!(
                    "`MaxSessionDuration`: {seconds} seconds are more than {} (guardrail `MaxSessionDuration`)",
                    self.max_session_duration
                )
            }),
            GuardrailCheck::Adoption(what) => (!self.adoption).then(|| {
                format!(
                    "`OnExisting`: {what} that no stack of this function made cannot be adopted (guardrail \
                     `AllowRoleAdoption`)"
                )
            }),
            GuardrailCheck::TakeOver(noun) => (!self.adoption).then(|| {
                format!(
                    "the {noun} has no tag `github-trust:stack-id` of this stack, and cannot be taken over; if this stack made \
                     it, give it the tag back (guardrail `AllowRoleAdoption`)"
                )
            }),
            GuardrailCheck::AccessEntry(check) => self.access_entries.forbids(check, deployment),
        }
    }

    fn forbids_inline(&self, name: &str) -> Option<String> {
        match self.inline {
            Inline::Always => None,
            Inline::WithBoundary if self.boundary.is_some() => None,
            Inline::WithBoundary => Some(format!(
                "`Policies`: the inline policy {name} could allow anything, because this deployment sets no permissions \
                 boundary (guardrails `AllowInlinePolicies` and `RolePermissionsBoundary`)"
            )),
            Inline::Never => {
                Some(format!("`Policies`: the inline policy {name} is forbidden (guardrail `AllowInlinePolicies`)"))
            }
        }
    }
}

fn one_of(allowed: &[String]) -> String {
    format!("is not one of {}", allowed.join(", "))
}

fn any<'a>(items: &'a [String], holds: impl Fn(&'a str) -> bool) -> bool {
    items.iter().any(|item| holds(item))
}

/// IAM's `ArnLike`, which compares each of the six parts by itself.
fn arn_matches(pattern: &str, arn: &str) -> bool {
    let (Some(pattern), Some(arn)) = (parts(pattern), parts(arn)) else { return false };
    pattern.into_iter().zip(arn).all(|(pattern, part)| string_like(pattern, part))
}

#[cfg(test)]
mod tests {
    mod bounded_work;

    use super::*;

    #[test]
    fn a_wildcard_in_an_arn_ends_where_its_part_does() {
        let arn = "arn:aws:iam::111122223333:policy/aws:policy/x";
        assert!(arn_matches("arn:*:iam::*:policy/*", arn));
        assert!(!arn_matches("arn:*:iam::aws:policy/*", arn));
        assert!(!arn_matches("arn:*", arn));
    }
}
