//! The comparison of our roles with their declarations, and of what they trust with what GitHub says. A repository that is
//! renamed, transferred or opted in sends other subjects from one day to the next, and its jobs are then refused without a
//! reason; a name that somebody else takes over has another id. The comparison reports both. It changes no role but one that
//! somebody changed by hand and whose stack wants it to be repaired.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::aws::{CallError, iam};
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject_facts::SubjectFacts;
use crate::iam_policy::document::{decode, providers};
use crate::ownership::Owner;
use crate::request_origin::{is_in_progress, stack_status};

use super::hand_changes::hand_changes;
use super::name_record::NameRecord;
use super::pinned_ids::PinnedIds;
use super::repair::{self, Repaired, Repairs};
use super::subject_difference::{Difference, difference, other_id, trusted_subjects};
use super::{GitHubRoles, Observed, issuer_of};
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
    /// Roles that somebody changed by hand, and that are left as they are.
    pub changed: usize,
    /// Roles that somebody changed by hand, and that were repaired.
    pub repaired: usize,
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
    /// True if somebody changed the role by hand, and it is left as it is.
    pub is_changed: bool,
    /// True if somebody changed the role by hand, and it was repaired.
    pub is_repaired: bool,
    /// The issuer of a role that nobody can assume, because its provider is gone or does not take its audience.
    pub unusable: Option<String>,
}

type PendingSubjects = Rc<OnceCell<Result<SubjectFacts, LookupError>>>;

/// A comparison of roles with GitHub. It asks about a name once, however many roles trust it, and stores only the
/// answers.
pub struct Comparison<'a> {
    roles: &'a GitHubRoles,
    repairs: Repairs<'a>,
    /// The client ids of the providers that were read.
    providers: RefCell<BTreeMap<String, Option<Vec<String>>>>,
    answers: RefCell<BTreeMap<(Issuer, RepositoryScope), PendingSubjects>>,
    silent: RefCell<BTreeMap<Issuer, usize>>,
    counts: Cell<Counts>,
}

impl<'a> Comparison<'a> {
    /// A comparison that has asked nothing yet.
    #[must_use]
    pub fn new(roles: &'a GitHubRoles, repairs: Repairs<'a>) -> Self {
        Self {
            roles,
            repairs,
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

    /// The names of the roles that could be ours, in their order. The list shows no tags, but it shows paths and policies: the
    /// roles below the deployment's path are looked at, and those that trust a federated provider. The policies are read
    /// here page by page and dropped; IAM's quota bounds the names. One that cannot be read could be ours, too.
    ///
    /// # Errors
    /// When IAM does not give its list.
    pub async fn candidates(&self) -> Result<Vec<String>, CallError> {
        let path = &self.roles.deployment.role_path;
        let federated = |policy: &str| decode(policy).is_none_or(|policy| providers(&policy).next().is_some());
        let mut names = iam::list_roles(&self.roles.iam, &self.roles.deadline, |role| {
            let could_be_ours = (path != "/" && role.path.starts_with(path))
                || role.assume_role_policy_document.as_deref().is_some_and(federated);
            could_be_ours.then_some(role.role_name)
        })
        .await?;
        names.sort();
        Ok(names)
    }

    /// Compares a role, if it is ours, and logs the differences. Repairs it if its stack asks for that.
    ///
    /// # Errors
    /// When IAM does not show it, or a call of a repair fails.
    pub async fn compare(&self, name: &str) -> Result<RoleComparison, CallError> {
        let mut comparison = RoleComparison::default();
        let Some((owner, mut observed)) = self.roles.owned(name).await? else { return Ok(comparison) };
        if let Some(repaired) = self.by_hand(&owner, &observed, &mut comparison).await? {
            observed = repaired;
        }
        if let Some(policy) = TrustPolicy::read(&observed.trust)
            && let Some(issuer) = issuer_of(&policy.provider_arn)
        {
            comparison.unusable = self.at_provider(name, &policy).await?.map(|()| issuer.to_string());
            self.at_github(&observed, &issuer, &policy, &mut comparison).await;
        }
        let Counts { roles, drifted, unknown, changed, repaired } = self.counts.get();
        let (drifted, unknown) = (drifted + comparison.drifted.len(), unknown + comparison.unknown);
        let changed = changed + usize::from(comparison.is_changed);
        let repaired = repaired + usize::from(comparison.is_repaired);
        self.counts.set(Counts { roles: roles + 1, drifted, unknown, changed, repaired });
        Ok(comparison)
    }

    /// Compares the names that a role trusts with GitHub.
    async fn at_github(&self, role: &Observed, issuer: &Issuer, policy: &TrustPolicy, comparison: &mut RoleComparison) {
        let mut pinned = PinnedIds::default();
        pinned.add(policy.rules());
        for (scope, trusted) in trusted_subjects(policy) {
            let answer = self.answer(issuer, &scope).await;
            let mut difference = difference(&scope, &trusted, &pinned, answer.get());
            if let Some(Err(LookupError::Invisible(_))) = answer.get() {
                // Of a private repository, the owner is known.
                let owner = self.answer(issuer, &scope.organisation()).await;
                let now = owner.get().and_then(|answer| answer.as_ref().ok()?.owner_id);
                let other = other_id("its owner", &pinned.owner(scope.owner()), now);
                difference = other.map_or(difference, Difference::OtherId);
            }
            comparison.add(issuer, &role.name, &scope.to_string(), difference);
        }
        let names = NameRecord::read(&role.tags);
        for user in names.accounts() {
            // The others are of a time before.
            let Some(id) = pinned.users().named(user, &names) else { continue };
            let account = self.answer(issuer, &RepositoryScope::Organisation(user.to_owned())).await;
            let difference = match account.get() {
                Some(Ok(current)) => {
                    other_id("the user", &[id].into(), current.owner_id).map_or(Difference::None, Difference::OtherId)
                }
                Some(Err(error)) => Difference::Unknown(error.to_string()),
                None => Difference::Unknown("GitHub has not answered for others before".to_owned()),
            };
            comparison.add(issuer, &role.name, user, difference);
        }
    }

    /// Logs the changes that somebody made by hand. Returns the state of a role that was repaired.
    async fn by_hand(
        &self,
        owner: &Owner,
        role: &Observed,
        comparison: &mut RoleComparison,
    ) -> Result<Option<Observed>, CallError> {
        let changes: Vec<String> = hand_changes(role).iter().map(ToString::to_string).collect();
        if changes.is_empty() {
            return Ok(None);
        }
        let (stack, changes, name) = (owner.stack_id(), changes.join("; "), &role.name);
        if !repair::is_wanted(role) {
            comparison.is_changed = !self.is_at_work(owner).await;
            if comparison.is_changed {
                tracing::error!(
                    role = name,
                    stack,
                    changes,
                    "a role is not as its stack declared it: somebody changed it by hand; update the stack, with another \
                     `ServiceTimeout` of the role if nothing else changes"
                );
            }
            return Ok(None);
        }
        match Box::pin(self.repairs.repair(self.roles, owner, role.clone())).await? {
            Repaired::Done(repaired) => {
                comparison.is_repaired = true;
                tracing::warn!(role = name, stack, changes, "a role that somebody changed by hand was repaired");
                Ok(Some(*repaired))
            }
            Repaired::Overtaken => Ok(None),
            Repaired::Left(why) => {
                comparison.is_changed = true;
                tracing::error!(
                    role = name,
                    stack,
                    changes,
                    why,
                    "a role is not as its stack declared it: somebody changed it by hand, and it was not repaired"
                );
                Ok(None)
            }
        }
    }

    /// Returns true if a stack is about to change its role. The stack of another region does not show; then the role is told of.
    async fn is_at_work(&self, owner: &Owner) -> bool {
        let GitHubRoles { cloudformation, deadline, .. } = self.roles;
        let status = stack_status(cloudformation, deadline, owner.stack_id()).await;
        matches!(status, Ok(Some(status)) if is_in_progress(&status))
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

    async fn ask(&self, issuer: &Issuer, scope: &RepositoryScope) -> Result<SubjectFacts, LookupError> {
        // Who makes a provider must not lead the function to a host of their own.
        if !issuer.has_immutable_subjects() && self.roles.github.has_credential(issuer).await != Ok(true) {
            return Err(LookupError::Unreachable(
                "the function has no credential for this Enterprise Server".to_owned(),
            ));
        }
        let asked = Instant::now();
        let answer = match scope {
            RepositoryScope::Repository(repository) => self.subjects(issuer, repository).await,
            RepositoryScope::Organisation(owner) => self
                .roles
                .github
                .account(issuer, owner)
                .await
                .map(|account| SubjectFacts { owner_id: Some(account.id), ..SubjectFacts::default() }),
        };
        let in_vain = matches!(answer, Err(LookupError::Unreachable(_))) && asked.elapsed() >= SLOW;
        let mut silent = self.silent.borrow_mut();
        let times = silent.entry(issuer.clone()).or_default();
        *times = if in_vain { *times + 1 } else { 0 };
        answer
    }

    async fn subjects(&self, issuer: &Issuer, repository: &Repository) -> Result<SubjectFacts, LookupError> {
        let (described, customization) = self.roles.github.repository(issuer, repository).await?;
        // Another case is another subject.
        if described.full_name == repository.to_string() {
            Ok(SubjectFacts::of(issuer, &described, customization.as_ref()))
        } else {
            Err(LookupError::Renamed { to: described.full_name, id: described.id })
        }
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
            Difference::Unpinned(what) => {
                tracing::error!(
                    role,
                    name,
                    what,
                    "a role's trust no longer fits what GitHub says, and pins no id: find out who has the name now"
                );
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
