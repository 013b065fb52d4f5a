//! The comparison of the subjects that our roles trust with those that GitHub issues. A repository that is renamed,
//! transferred or opted in sends other subjects from one day to the next, and its jobs are then refused without a
//! reason; the comparison reports it. It changes no role: the next update of the stack does that.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::aws::{CallError, ErrorKind, iam};
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::facts::{SubjectFacts, SubjectFormat, SubjectTemplate, prefix};
use crate::github::name::Repository;
use crate::github::subject;
use crate::iam_policy::document::decode;
use crate::ownership::PREFIX;

use super::facts_from_policy::SubjectPairs;
use super::{GitHubRoles, issuer_of};
use crate::iam_policy::trust_policy::TrustPolicy;

/// An answer that took so long was waited for in vain.
const SLOW: Duration = Duration::from_secs(30);
/// An issuer that so many repositories were asked about in vain is not asked about any more in this run: each would take a
/// minute.
const SILENT: usize = 4;

/// The counts of a scheduled run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Roles of ours that were looked at.
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

/// A comparison of roles with GitHub. A repository is asked about once, however many roles trust it; of what GitHub says
/// only what is compared is kept, and of a role nothing.
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

    /// Looks at a role, if it is ours, and logs what no longer fits.
    ///
    /// # Errors
    /// When IAM does not show it.
    pub async fn look(&self, name: &str) -> Result<RoleComparison, CallError> {
        let mut look = RoleComparison::default();
        let Some(policy) = self.owned(name).await? else { return Ok(look) };
        if let Some(issuer) = issuer_of(&policy.provider_arn) {
            for (repository, forms) in trusted(&policy) {
                let what = match self.answer(&issuer, &repository).await.get() {
                    Some(Ok(said)) => differs(&repository, &forms, said),
                    Some(Err(LookupError::Renamed(to))) => Some(format!("it is {to} now")),
                    problem => {
                        let problem = problem.and_then(|answer| answer.as_ref().err()).map(ToString::to_string);
                        let problem = problem.as_deref().unwrap_or("GitHub has not answered for others before");
                        tracing::warn!(role = name, %repository, problem, "GitHub did not say what the repository's subjects are");
                        look.unknown += 1;
                        None
                    }
                };
                if let Some(what) = what {
                    tracing::error!(role = name, %repository, what, "a role's trust no longer fits what GitHub says: update its stack");
                    let (issuer, role, repository) = (issuer.to_string(), name.to_owned(), repository.to_string());
                    look.drifted.push(Drifted { issuer, role, repository, what });
                }
            }
        }
        let Counts { roles, drifted, unknown } = self.counts.get();
        let (drifted, unknown) = (drifted + look.drifted.len(), unknown + look.unknown);
        self.counts.set(Counts { roles: roles + 1, drifted, unknown });
        Ok(look)
    }

    /// Returns the answer of GitHub about a repository; empty if its issuer is not asked any more.
    async fn answer(&self, issuer: &Issuer, repository: &Repository) -> PendingSubjects {
        let answer = Rc::clone(self.answers.borrow_mut().entry((issuer.clone(), repository.clone())).or_default());
        let is_silent = || self.silent.borrow().get(issuer).is_some_and(|times| *times >= SILENT);
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
            Ok(output) => output.role,
            // It went away between two looks.
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let ours = role.filter(|role| role.tags().iter().any(|tag| tag.key().starts_with(PREFIX)));
        let policy = ours.and_then(|role| role.assume_role_policy_document);
        Ok(policy.and_then(|policy| decode(&policy).and_then(|policy| TrustPolicy::read(&policy))))
    }
}

/// The subjects of a repository as GitHub issues them.
struct CurrentSubjects {
    facts: SubjectFacts,
    /// Without a credential, a template is not visible.
    template_is_known: bool,
}

/// The subjects of one repository in a policy.
#[derive(Default)]
struct Trusted {
    /// The beginnings of the subjects.
    prefixes: BTreeSet<String>,
    /// The claims that they are made of, in order.
    templates: BTreeSet<Vec<String>>,
}

fn trusted(policy: &TrustPolicy) -> BTreeMap<Repository, Trusted> {
    let mut found: BTreeMap<Repository, Trusted> = BTreeMap::new();
    for rule in policy.rules() {
        let words = SubjectPairs::of(rule.subject.as_str());
        let value = words.value("repo");
        if let Some(prefix) = value.and_then(subject::prefix) {
            let trusted = found.entry(prefix.repository).or_default();
            trusted.prefixes.insert(format!("repo:{}", value.unwrap_or_default()));
            trusted.templates.insert(words.keys().into_iter().map(str::to_owned).collect());
        }
    }
    found
}

/// Describes the subjects that GitHub issues and the role does not trust.
fn differs(repository: &Repository, trusted: &Trusted, said: &CurrentSubjects) -> Option<String> {
    let (Trusted { prefixes: trusted, templates }, CurrentSubjects { facts, template_is_known }) = (trusted, said);
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
            SubjectTemplate::Default => vec!["repo".to_owned(), "context".to_owned()],
            SubjectTemplate::Custom(keys) => keys.clone(),
        };
        let changed = *template_is_known && !templates.contains(&template);
        return changed.then(|| {
            let trusted: Vec<String> = templates.iter().map(|keys| keys.join(", ")).collect();
            format!("its subjects are made of {}, the role trusts {}", template.join(", "), trusted.join(" or "))
        });
    }
    let form = if facts.forms.contains(&SubjectFormat::Immutable) { "with ids" } else { "without ids" };
    let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
    Some(format!("its subjects begin {} ({form}), the role trusts {}", issued.join(" or "), trusted.join(", ")))
}
