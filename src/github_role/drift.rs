//! Whether the subjects that our roles trust are still those that GitHub issues. A repository that is renamed,
//! transferred or opted in sends other subjects from one day to the next, and its jobs are then refused with a message
//! that says nothing; here it is said. Nothing is changed: the next update of the stack does that.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{CallError, Fault};
use crate::github::Issuer;
use crate::github::facts::{Facts, Form, Template, prefix};
use crate::github::name::Repository;
use crate::github::rest::Problem;
use crate::github::subject;
use crate::owner::PREFIX;

use super::recall::Words;
use super::trust_policy::TrustPolicy;
use super::{GitHubRoles, issuer_of};

/// What the scheduled run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Roles of ours that were looked at.
    pub roles: usize,
    /// Subjects that GitHub no longer issues, or new ones that a role lacks.
    pub found: Vec<Drifted>,
    /// Repositories about which GitHub did not say.
    pub unknown: usize,
}

/// A role whose trust does not fit any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drifted {
    /// Without `https://`.
    pub issuer: String,
    /// The role's name.
    pub role: String,
    /// The repository as the role's policy names it.
    pub repository: String,
    /// What is wrong.
    pub what: String,
}

/// Looks at all roles that are ours, logs what no longer fits, and gives the counts for the metrics.
///
/// # Errors
/// When IAM cannot be asked.
pub async fn drift(roles: &GitHubRoles) -> Result<Drift, CallError> {
    let mut drift = Drift::default();
    let mut asked: BTreeMap<(Issuer, Repository), Result<Said, Problem>> = BTreeMap::new();
    for (name, policy) in roles.owned().await? {
        drift.roles += 1;
        let Some(issuer) = issuer_of(&policy.provider_arn) else { continue };
        for (repository, forms) in trusted(&policy) {
            let key = (issuer.clone(), repository.clone());
            if !asked.contains_key(&key) {
                let answer = roles.github.repository(&issuer, &repository).await;
                let facts = answer.and_then(|(described, customization)| {
                    // Another case is another subject.
                    if described.full_name == repository.to_string() {
                        let facts = Facts::of(&issuer, &described, customization.as_ref());
                        Ok(Said { facts, template_is_known: customization.is_some() })
                    } else {
                        Err(Problem::Renamed(described.full_name))
                    }
                });
                asked.insert(key.clone(), facts);
            }
            let what = match &asked[&key] {
                Ok(said) => differs(&repository, &forms, said),
                Err(Problem::Renamed(to)) => Some(format!("it is {to} now")),
                Err(problem) => {
                    tracing::warn!(role = name, %repository, %problem, "GitHub did not say what the repository's subjects are");
                    drift.unknown += 1;
                    None
                }
            };
            if let Some(what) = what {
                tracing::error!(role = name, %repository, what, "a role's trust no longer fits what GitHub says: update its stack");
                let (issuer, role, repository) = (issuer.to_string(), name.clone(), repository.to_string());
                drift.found.push(Drifted { issuer, role, repository, what });
            }
        }
    }
    tracing::info!(roles = drift.roles, drifted = drift.found.len(), unknown = drift.unknown, "compared with GitHub");
    Ok(drift)
}

/// What GitHub says of a repository.
struct Said {
    facts: Facts,
    /// Without a credential, a template is not visible.
    template_is_known: bool,
}

/// What a policy's subjects of one repository are like.
#[derive(Default)]
struct Trusted {
    /// What they begin with.
    prefixes: BTreeSet<String>,
    /// The claims that they are made of, in order.
    templates: BTreeSet<Vec<String>>,
}

fn trusted(policy: &TrustPolicy) -> BTreeMap<Repository, Trusted> {
    let mut found: BTreeMap<Repository, Trusted> = BTreeMap::new();
    for admission in policy.admissions() {
        let words = Words::of(admission.subject.as_str());
        let value = words.value("repo");
        if let Some(prefix) = value.and_then(subject::prefix) {
            let trusted = found.entry(prefix.repository).or_default();
            trusted.prefixes.insert(format!("repo:{}", value.unwrap_or_default()));
            trusted.templates.insert(words.keys().into_iter().map(str::to_owned).collect());
        }
    }
    found
}

/// What GitHub issues and the role does not trust, if anything.
fn differs(repository: &Repository, trusted: &Trusted, said: &Said) -> Option<String> {
    let (Trusted { prefixes: trusted, templates }, Said { facts, template_is_known }) = (trusted, said);
    let issued: Vec<String> =
        facts.forms.iter().filter_map(|form| prefix(repository, *form, facts.owner_id, facts.repository_id)).collect();
    // Of two forms of which GitHub does not say which it is, one may be known from elsewhere.
    let fits = if facts.forms.len() == 1 {
        issued.iter().all(|prefix| trusted.contains(prefix))
    } else {
        issued.iter().any(|prefix| trusted.contains(prefix))
    };
    if fits {
        let template = match &facts.template {
            Template::Default => vec!["repo".to_owned(), "context".to_owned()],
            Template::Custom(keys) => keys.clone(),
        };
        let changed = *template_is_known && !templates.contains(&template);
        return changed.then(|| {
            let trusted: Vec<String> = templates.iter().map(|keys| keys.join(", ")).collect();
            format!("its subjects are made of {}, the role trusts {}", template.join(", "), trusted.join(" or "))
        });
    }
    let form = if facts.forms.contains(&Form::Immutable) { "with ids" } else { "without ids" };
    let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
    Some(format!("its subjects begin {} ({form}), the role trusts {}", issued.join(" or "), trusted.join(", ")))
}

impl GitHubRoles {
    /// The roles that carry an owner's tag, with the policies that are ours to the letter.
    async fn owned(&self) -> Result<Vec<(String, TrustPolicy)>, CallError> {
        let mut owned = Vec::new();
        let mut marker = None;
        loop {
            let request = self.iam.list_roles().set_marker(marker);
            let page = self.budget.call("iam:ListRoles", "all roles", || request.clone().send()).await?;
            for role in page.roles {
                // The list shows no tags, but it shows the policies: only those that could be ours are looked at.
                let listed = role.assume_role_policy_document.as_deref().map(super::api::document);
                let Some(policy) = listed.as_ref().and_then(TrustPolicy::read) else { continue };
                let request = self.iam.get_role().role_name(&role.role_name);
                let role = match self.budget.call("iam:GetRole", &role.role_name, || request.clone().send()).await {
                    Ok(output) => output.role,
                    // It went away between two looks.
                    Err(error) if error.fault == Fault::NotFound => None,
                    Err(error) => return Err(error),
                };
                if let Some(role) = role
                    && role.tags().iter().any(|tag| tag.key().starts_with(PREFIX))
                {
                    owned.push((role.role_name, policy));
                }
            }
            marker = page.marker.filter(|_| page.is_truncated);
            if marker.is_none() {
                return Ok(owned);
            }
        }
    }
}
