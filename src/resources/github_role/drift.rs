//! The comparison of the subjects that our roles trust with those that GitHub issues. A repository that is renamed,
//! transferred or opted in sends other subjects from one day to the next, and its jobs are then refused without a
//! reason; the comparison reports it. It changes no role: the next update of the stack does that.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::aws::{CallError, ErrorKind, iam};
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::facts::SubjectFacts;
use crate::github::name::Repository;
use crate::iam_policy::document::decode;
use crate::ownership::PREFIX;

use super::subject_difference::{CurrentSubjects, Difference, difference, trusted_subjects};
use super::{GitHubRoles, issuer_of};
use crate::iam_policy::trust_policy::TrustPolicy;

/// The time after which an unreachable GitHub counts as silent.
const SLOW: Duration = Duration::from_secs(30);
/// The number of silences in a row after which an issuer is not asked any more in this run: each would take a minute.
const MAX_SILENCES: usize = 4;

/// The counts of a scheduled run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Roles of ours that were compared.
    pub roles: usize,
    /// Repositories whose subjects a role does not trust as GitHub issues them.
    pub drifted: usize,
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
    /// The difference.
    pub what: String,
}

/// The result of comparing one role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleComparison {
    /// Subjects that GitHub no longer issues, or new ones that the role lacks.
    pub drifted: Vec<Drifted>,
    /// Repositories about which GitHub did not say.
    pub unknown: usize,
}

type PendingSubjects = Rc<OnceCell<Result<CurrentSubjects, LookupError>>>;

/// A comparison of roles with GitHub. It asks about a repository once, however many roles trust it, and stores only the
/// answers.
pub struct Comparison<'a> {
    roles: &'a GitHubRoles,
    answers: RefCell<BTreeMap<(Issuer, Repository), PendingSubjects>>,
    silent: RefCell<BTreeMap<Issuer, usize>>,
    counts: Cell<Counts>,
}

impl<'a> Comparison<'a> {
    /// A comparison that has asked nothing yet.
    #[must_use]
    pub fn new(roles: &'a GitHubRoles) -> Self {
        Self { roles, answers: RefCell::default(), silent: RefCell::default(), counts: Cell::default() }
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// The names of the roles that could be ours, in their order. The list shows no tags, but it shows the policies: only
    /// those that read like ours are looked at. They are read here page by page and dropped; IAM's quota bounds the names.
    ///
    /// # Errors
    /// When IAM does not give its list.
    pub async fn candidates(&self) -> Result<Vec<String>, CallError> {
        let could_be_ours = |policy: &str| decode(policy).is_some_and(|policy| TrustPolicy::read(&policy).is_some());
        let mut names = iam::list_roles(&self.roles.iam, &self.roles.deadline, |role| {
            role.assume_role_policy_document.as_deref().is_some_and(could_be_ours).then_some(role.role_name)
        })
        .await?;
        names.sort();
        Ok(names)
    }

    /// Compares a role, if it is ours, and logs the differences.
    ///
    /// # Errors
    /// When IAM does not show it.
    pub async fn compare(&self, name: &str) -> Result<RoleComparison, CallError> {
        let mut comparison = RoleComparison::default();
        let Some(policy) = self.owned(name).await? else { return Ok(comparison) };
        if let Some(issuer) = issuer_of(&policy.provider_arn) {
            for (repository, trusted) in trusted_subjects(&policy) {
                match difference(&repository, &trusted, self.answer(&issuer, &repository).await.get()) {
                    Difference::None => {}
                    Difference::Some(what) => {
                        tracing::error!(role = name, %repository, what, "a role's trust no longer fits what GitHub says: update its stack");
                        let (issuer, role, repository) = (issuer.to_string(), name.to_owned(), repository.to_string());
                        comparison.drifted.push(Drifted { issuer, role, repository, what });
                    }
                    Difference::Unknown(problem) => {
                        tracing::warn!(role = name, %repository, problem, "GitHub did not say what the repository's subjects are");
                        comparison.unknown += 1;
                    }
                }
            }
        }
        let Counts { roles, drifted, unknown } = self.counts.get();
        let (drifted, unknown) = (drifted + comparison.drifted.len(), unknown + comparison.unknown);
        self.counts.set(Counts { roles: roles + 1, drifted, unknown });
        Ok(comparison)
    }

    /// Returns the answer of GitHub about a repository; empty if its issuer is not asked any more.
    async fn answer(&self, issuer: &Issuer, repository: &Repository) -> PendingSubjects {
        let answer = Rc::clone(self.answers.borrow_mut().entry((issuer.clone(), repository.clone())).or_default());
        let is_silent = || self.silent.borrow().get(issuer).is_some_and(|times| *times >= MAX_SILENCES);
        if !answer.initialized() && !is_silent() {
            answer.get_or_init(|| self.ask(issuer, repository)).await;
        }
        answer
    }

    async fn ask(&self, issuer: &Issuer, repository: &Repository) -> Result<CurrentSubjects, LookupError> {
        let asked = Instant::now();
        let answer = self.roles.github.repository(issuer, repository).await;
        let in_vain = matches!(answer, Err(LookupError::Unreachable(_))) && asked.elapsed() >= SLOW;
        let mut silent = self.silent.borrow_mut();
        let times = silent.entry(issuer.clone()).or_default();
        *times = if in_vain { *times + 1 } else { 0 };
        answer.and_then(|(described, customization)| {
            // Another case is another subject.
            if described.full_name == repository.to_string() {
                let facts = SubjectFacts::of(issuer, &described, customization.as_ref());
                Ok(CurrentSubjects { facts, template_is_known: customization.is_some() })
            } else {
                Err(LookupError::Renamed(described.full_name))
            }
        })
    }

    /// The policy of a role that carries an owner's tag, if it is ours to the letter.
    async fn owned(&self, name: &str) -> Result<Option<TrustPolicy>, CallError> {
        let request = self.roles.iam.get_role().role_name(name);
        let role = match self.roles.deadline.call("iam:GetRole", name, || request.clone().send()).await {
            Ok(output) => Some(iam::shown(output.role, "iam:GetRole", name)?),
            // It was deleted between two reads.
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let ours = role.filter(|role| role.tags().iter().any(|tag| tag.key().starts_with(PREFIX)));
        let policy = ours.and_then(|role| role.assume_role_policy_document);
        Ok(policy.and_then(|policy| decode(&policy).and_then(|policy| TrustPolicy::read(&policy))))
    }
}
