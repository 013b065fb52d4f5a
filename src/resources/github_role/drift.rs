//! The comparison of what our roles trust with what GitHub says. A repository that is renamed, transferred or opted in
//! sends other subjects from one day to the next, and its jobs are then refused without a reason; a name that somebody
//! else takes over has another id. The comparison reports both, and changes no role.

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
use crate::github::name::{Repository, RepositoryScope};
use crate::iam_policy::document::decode;
use crate::ownership::PREFIX;

use super::applied_record::NAMES;
use super::name_record::NameRecord;
use super::pinned_ids::{PinnedIds, users};
use super::subject_difference::{CurrentSubjects, Difference, difference, other_id, trusted_subjects};
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
    /// Names under which a role trusts something else than GitHub shows.
    pub drifted: usize,
    /// Names about which GitHub did not say.
    pub unknown: usize,
}

/// A role whose trust does not fit any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drifted {
    /// Without `https://`.
    pub issuer: String,
    /// The role's name.
    pub role: String,
    /// The repository, owner or user as the role names it.
    pub name: String,
    /// The difference.
    pub what: String,
}

/// The result of comparing one role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleComparison {
    /// Subjects that GitHub no longer issues, or new ones that the role lacks.
    pub drifted: Vec<Drifted>,
    /// Names about which GitHub did not say.
    pub unknown: usize,
    /// The issuer of a role that nobody can assume, because its provider is gone or does not take its audience.
    pub unusable: Option<String>,
}

type PendingSubjects = Rc<OnceCell<Result<CurrentSubjects, LookupError>>>;

/// A comparison of roles with GitHub. It asks about a name once, however many roles trust it, and stores only the
/// answers.
pub struct Comparison<'a> {
    roles: &'a GitHubRoles,
    /// The client ids of the providers that were read.
    providers: RefCell<BTreeMap<String, Option<Vec<String>>>>,
    answers: RefCell<BTreeMap<(Issuer, RepositoryScope), PendingSubjects>>,
    silent: RefCell<BTreeMap<Issuer, usize>>,
    counts: Cell<Counts>,
}

impl<'a> Comparison<'a> {
    /// A comparison that has asked nothing yet.
    #[must_use]
    pub fn new(roles: &'a GitHubRoles) -> Self {
        Self {
            roles,
            providers: RefCell::default(),
            answers: RefCell::default(),
            silent: RefCell::default(),
            counts: Cell::default(),
        }
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
        let Some((policy, names)) = self.owned(name).await? else { return Ok(comparison) };
        if let Some(issuer) = issuer_of(&policy.provider_arn) {
            comparison.unusable = self.at_provider(name, &policy).await?.map(|()| issuer.to_string());
            let mut pinned = PinnedIds::default();
            pinned.add(&policy);
            for (scope, trusted) in trusted_subjects(&policy) {
                let answer = self.answer(&issuer, &scope).await;
                let difference = difference(&scope, &trusted, &pinned, answer.get());
                comparison.add(&issuer, name, &scope.to_string(), difference);
            }
            let trusted = users(&policy);
            for (user, ids) in names.accounts().filter(|(_, ids)| !ids.is_disjoint(&trusted)) {
                let account = self.answer(&issuer, &RepositoryScope::Organisation(user.to_owned())).await;
                let difference = match account.get() {
                    Some(Ok(current)) => {
                        other_id("the user", ids, current.facts.owner_id).map_or(Difference::None, Difference::OtherId)
                    }
                    Some(Err(error)) => Difference::Unknown(error.to_string()),
                    None => Difference::Unknown("GitHub has not answered for others before".to_owned()),
                };
                comparison.add(&issuer, name, user, difference);
            }
        }
        let Counts { roles, drifted, unknown } = self.counts.get();
        let (drifted, unknown) = (drifted + comparison.drifted.len(), unknown + comparison.unknown);
        self.counts.set(Counts { roles: roles + 1, drifted, unknown });
        Ok(comparison)
    }

    /// Logs that the provider of a role does not take the role's tokens, if that is so.
    async fn at_provider(&self, role: &str, policy: &TrustPolicy) -> Result<Option<()>, CallError> {
        let TrustPolicy { provider_arn, audience, .. } = policy;
        let known = self.providers.borrow().get(provider_arn).cloned();
        let client_ids = if let Some(known) = known {
            known
        } else {
            let found = iam::client_ids(&self.roles.iam, &self.roles.deadline, provider_arn).await?;
            self.providers.borrow_mut().insert(provider_arn.clone(), found.clone());
            found
        };
        match client_ids {
            Some(ids) if ids.contains(audience) => return Ok(None),
            Some(client_ids) => tracing::error!(
                role,
                provider_arn,
                audience,
                ?client_ids,
                "nobody can assume a role: its provider does not take its audience; add that to the provider's `ClientIdList`"
            ),
            None => tracing::error!(
                role,
                provider_arn,
                "nobody can assume a role: its provider is gone; update the stack that declares the provider"
            ),
        }
        Ok(Some(()))
    }

    /// Returns the answer of GitHub about a name; empty if its issuer is not asked any more.
    async fn answer(&self, issuer: &Issuer, scope: &RepositoryScope) -> PendingSubjects {
        let answer = Rc::clone(self.answers.borrow_mut().entry((issuer.clone(), scope.clone())).or_default());
        let is_silent = || self.silent.borrow().get(issuer).is_some_and(|times| *times >= MAX_SILENCES);
        if !answer.initialized() && !is_silent() {
            answer.get_or_init(|| self.ask(issuer, scope)).await;
        }
        answer
    }

    async fn ask(&self, issuer: &Issuer, scope: &RepositoryScope) -> Result<CurrentSubjects, LookupError> {
        // Who makes a provider must not lead the function to a host of their own.
        if !issuer.has_immutable_subjects() && self.roles.github.has_credential(issuer).await != Ok(true) {
            return Err(LookupError::Unreachable(
                "the function has no credential for this Enterprise Server".to_owned(),
            ));
        }
        let asked = Instant::now();
        let answer = match scope {
            RepositoryScope::Repository(repository) => self.subjects(issuer, repository).await,
            RepositoryScope::Organisation(owner) => self.roles.github.account(issuer, owner).await.map(|account| {
                let facts = SubjectFacts { owner_id: Some(account.id), ..SubjectFacts::default() };
                CurrentSubjects { facts, template_is_known: false }
            }),
        };
        let in_vain = matches!(answer, Err(LookupError::Unreachable(_))) && asked.elapsed() >= SLOW;
        let mut silent = self.silent.borrow_mut();
        let times = silent.entry(issuer.clone()).or_default();
        *times = if in_vain { *times + 1 } else { 0 };
        answer
    }

    async fn subjects(&self, issuer: &Issuer, repository: &Repository) -> Result<CurrentSubjects, LookupError> {
        let (described, customization) = self.roles.github.repository(issuer, repository).await?;
        // Another case is another subject.
        if described.full_name == repository.to_string() {
            let facts = SubjectFacts::of(issuer, &described, customization.as_ref());
            Ok(CurrentSubjects { facts, template_is_known: customization.is_some() })
        } else {
            Err(LookupError::Renamed { to: described.full_name, id: described.id })
        }
    }

    /// The policy of a role that carries an owner's tag, if it is ours to the letter, and the record of names.
    async fn owned(&self, name: &str) -> Result<Option<(TrustPolicy, NameRecord)>, CallError> {
        let request = self.roles.iam.get_role().role_name(name);
        let role = match self.roles.deadline.call("iam:GetRole", name, || request.clone().send()).await {
            Ok(output) => Some(iam::shown(output.role, "iam:GetRole", name)?),
            // It was deleted between two reads.
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(role) = role else { return Ok(None) };
        let tags = iam::tags_of(role.tags);
        if !tags.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let policy = role.assume_role_policy_document.as_deref().and_then(decode);
        let policy = policy.and_then(|policy| TrustPolicy::read(&policy));
        Ok(policy.map(|policy| (policy, NameRecord::read(tags.get(NAMES)))))
    }
}

impl RoleComparison {
    /// Logs a difference and counts it.
    fn add(&mut self, issuer: &Issuer, role: &str, name: &str, difference: Difference) {
        let what = match difference {
            Difference::None => return,
            Difference::OtherId(what) => {
                tracing::error!(
                    role,
                    name,
                    what,
                    "a name that a role trusts has another id at GitHub: somebody else may have taken it over, and is not let in"
                );
                what
            }
            Difference::OtherForm(what) => {
                tracing::error!(role, name, what, "a role's trust no longer fits what GitHub says: update its stack");
                what
            }
            Difference::Unknown(problem) => {
                tracing::warn!(role, name, problem, "GitHub did not say what is behind a name that a role trusts");
                self.unknown += 1;
                return;
            }
        };
        let (issuer, role, name) = (issuer.to_string(), role.to_owned(), name.to_owned());
        self.drifted.push(Drifted { issuer, role, name, what });
    }
}
