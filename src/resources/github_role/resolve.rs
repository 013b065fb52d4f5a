//! The trust policy of a declaration, for the tokens that GitHub really issues.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{FutureExt, ready};
use futures_util::stream::{self, StreamExt};

use crate::aws::CallError;
use crate::error::{Error, Refusal};
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::facts::{SubjectFacts, SubjectFormat};
use crate::github::name::{Repository, RepositoryScope};
use crate::ownership::Owner;
use crate::reconcile::Reader;

use super::compile::compile;
use super::facts_from_policy::facts_from_policy;
use super::policy_limits::{LARGEST_QUOTA, SUBJECT_LIMIT};
use super::policy_size::least_size;
use super::trust_declaration::{Actor, Format, TrustDeclaration, TrustEntry};
use super::{GitHubRoles, RoleName};
use crate::iam_policy::trust_policy::{TrustPolicy, TrustRule};

/// The quota of every account, so that the real one is read only beyond it.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const SMALLEST_QUOTA: usize = 2048;
/// The number of requests to GitHub at the same time: "make requests serially instead of concurrently", it says, to
/// avoid its secondary limits; the lowest of which is for 100 at once.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const MAX_CONCURRENT_CALLS: usize = 4;

impl GitHubRoles {
    /// The trust policy that a declaration leads to.
    pub(super) async fn trust(
        &self,
        owner: &Owner,
        role: &str,
        declaration: &TrustDeclaration,
    ) -> Result<TrustPolicy, Error> {
        let TrustDeclaration { provider_arn, issuer, audience, entries } = declaration;
        // GitHub's rate limit is shared by all stacks, so that it is not asked about a policy that cannot be written.
        let least = least_size(entries);
        if least > SMALLEST_QUOTA {
            let quota = self.trust_quota().await?;
            if least > quota {
                return Err(
                    too_long("`Trust`", &format!("at least {least}"), &format!("at least {least}"), quota).into()
                );
            }
        }
        self.prefetch_facts(issuer, entries).await;
        // The policy that IAM has, read only if GitHub does not answer.
        let mut last = None;
        let mut known = BTreeMap::new();
        let mut rules: Vec<TrustRule> = Vec::new();
        let mut ends = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let at = format!(
                "`Trust[{index}]`{}",
                entry.scope.as_ref().map(|scope| format!(" ({scope})")).unwrap_or_default()
            );
            let facts = match self.facts(issuer, entry, &mut known, &at).await? {
                Ok(facts) => facts,
                Err(problem) => {
                    if last.is_none() {
                        // What somebody else wrote is no memory of ours.
                        let ours =
                            self.observe(&RoleName(role.to_owned())).await?.filter(|role| owner.owns(&role.tags));
                        last = Some(ours.and_then(|role| TrustPolicy::read(&role.trust)));
                    }
                    facts_without_github(issuer, entry, last.as_ref().and_then(Option::as_ref), &problem, &at)?
                }
            };
            let compiled = compile(issuer, entry, &facts)
                .map_err(|lack| Refusal::PreconditionFailed { what: format!("{at}: {lack}"), remedy: String::new() })?;
            rules.extend(compiled);
            if rules.len() > SUBJECT_LIMIT {
                let found = format!("more than {LARGEST_QUOTA}");
                return Err(too_long(&at, &found, &found, LARGEST_QUOTA).into());
            }
            ends.push((at, rules.len()));
        }
        let policy = |count: usize| TrustPolicy::of(provider_arn, audience, rules[..count].iter().cloned());
        let whole = policy(rules.len());
        if whole.size() > SMALLEST_QUOTA {
            let quota = self.trust_quota().await?;
            // The first entry that is too much: the policy grows with each.
            let first = ends.partition_point(|(_, count)| policy(*count).size() <= quota);
            if let Some((at, count)) = ends.get(first) {
                return Err(too_long(at, &policy(*count).size().to_string(), &whole.size().to_string(), quota).into());
            }
        }
        tracing::info!(trust = %whole, size = whole.size(), "these may assume the role, and nobody else");
        Ok(whole)
    }

    /// Asks at once everything that the entries need. Errors come up again where an answer is needed.
    async fn prefetch_facts(&self, issuer: &Issuer, entries: &[TrustEntry]) {
        let open = entries.iter().filter(|entry| facts_from_declaration(issuer, entry).is_none());
        let scopes: BTreeSet<&RepositoryScope> = open.filter_map(|entry| entry.scope.as_ref()).collect();
        let actors = entries.iter().flat_map(|entry| &entry.actors);
        let names = actors.filter_map(|actor| if let Actor::Name(name) = actor { Some(name) } else { None });
        let names: BTreeSet<&String> = names.collect();
        let several = scopes.len() + names.len() > 1;
        // An Enterprise Server shows nothing to the public.
        let shown = issuer.has_immutable_subjects() || self.github.has_credential(issuer).await == Ok(true);
        if !several || !shown || self.github.prepare(issuer).await.is_err() {
            return;
        }
        let repositories = scopes.iter().map(|scope| async move {
            match scope {
                RepositoryScope::Repository(repository) => drop(self.github.repository(issuer, repository).await),
                RepositoryScope::Organisation(owner) => drop(self.github.account(issuer, owner).await),
            }
        });
        let accounts = names.iter().map(|name| async move { drop(self.github.account(issuer, name).await) });
        let questions = repositories.map(FutureExt::boxed_local).chain(accounts.map(FutureExt::boxed_local));
        stream::iter(questions).buffer_unordered(MAX_CONCURRENT_CALLS).for_each(|()| ready(())).await;
    }

    /// Returns the facts about the repository of an entry: declared, or asked for. The inner error is the reason that
    /// they are unknown.
    async fn facts(
        &self,
        issuer: &Issuer,
        entry: &TrustEntry,
        known: &mut BTreeMap<RepositoryScope, Result<SubjectFacts, LookupError>>,
        at: &str,
    ) -> Result<Result<SubjectFacts, LookupError>, Error> {
        let mut facts = match facts_from_declaration(issuer, entry) {
            Some(facts) => facts,
            // An Enterprise Server shows nothing to the public, and its form is known.
            None if !issuer.has_immutable_subjects() && self.github.has_credential(issuer).await == Ok(false) => {
                declared_facts(entry, [SubjectFormat::Classic])
            }
            None => {
                let Some(scope) = &entry.scope else { return Ok(Ok(declared_facts(entry, []))) };
                if !known.contains_key(scope) {
                    let found = self.ask(issuer, scope, at).await?;
                    known.insert(scope.clone(), found);
                }
                match &known[scope] {
                    Ok(found) => with_declared(entry, found.clone(), at)?,
                    Err(problem) => return Ok(Err(problem.clone())),
                }
            }
        };
        for actor in &entry.actors {
            if let Actor::Name(name) = actor {
                match self.github.account(issuer, name).await {
                    Ok(account) => {
                        facts.users.insert(name.clone(), account.id);
                    }
                    Err(LookupError::Invisible(why)) => {
                        return Err(unfit(at, &format!("`Actors`: {name}: {why}")).into());
                    }
                    Err(problem) => return Ok(Err(problem)),
                }
            }
        }
        Ok(Ok(facts))
    }

    async fn ask(
        &self,
        issuer: &Issuer,
        scope: &RepositoryScope,
        at: &str,
    ) -> Result<Result<SubjectFacts, LookupError>, Error> {
        let repository = match scope {
            RepositoryScope::Repository(repository) => repository,
            RepositoryScope::Organisation(owner) => {
                return Ok(match self.github.account(issuer, owner).await {
                    Ok(account) => {
                        same_case(owner, &account.login, at)?;
                        let forms = if issuer.has_immutable_subjects() {
                            [SubjectFormat::Classic, SubjectFormat::Immutable].into()
                        } else {
                            [SubjectFormat::Classic].into()
                        };
                        Ok(SubjectFacts { owner_id: Some(account.id), forms, ..SubjectFacts::default() })
                    }
                    Err(problem) => Err(problem),
                });
            }
        };
        match self.github.repository(issuer, repository).await {
            Ok((described, customization)) => {
                same_case(&repository.to_string(), &described.full_name, at)?;
                let facts = SubjectFacts::of(issuer, &described, customization.as_ref());
                tracing::info!(%repository, ?facts, "asked GitHub");
                Ok(Ok(facts))
            }
            Err(LookupError::Renamed(to)) => Err(Refusal::PreconditionFailed {
                what: format!("{at}: {repository} was renamed or transferred, and is {to} now"),
                remedy: format!("Its tokens carry the new name: write `Repository: {to}`"),
            }
            .into()),
            Err(problem) => Ok(Err(problem)),
        }
    }
}

/// Returns the facts of an entry that declares all of them.
fn facts_from_declaration(issuer: &Issuer, entry: &TrustEntry) -> Option<SubjectFacts> {
    let ids = match entry.scope {
        Some(RepositoryScope::Repository(_)) => entry.owner_id.is_some() && entry.repository_id.is_some(),
        Some(RepositoryScope::Organisation(_)) => entry.owner_id.is_some(),
        None => return Some(declared_facts(entry, [])),
    };
    match entry.format {
        Format::Classic => Some(declared_facts(entry, [SubjectFormat::Classic])),
        Format::Immutable if ids => Some(declared_facts(entry, [SubjectFormat::Immutable])),
        Format::Both if ids => Some(declared_facts(entry, [SubjectFormat::Classic, SubjectFormat::Immutable])),
        Format::Auto if ids && matches!(entry.scope, Some(RepositoryScope::Organisation(_))) => {
            let forms: &[SubjectFormat] = if issuer.has_immutable_subjects() {
                &[SubjectFormat::Classic, SubjectFormat::Immutable]
            } else {
                &[SubjectFormat::Classic]
            };
            Some(declared_facts(entry, forms.iter().copied()))
        }
        Format::Auto | Format::Immutable | Format::Both => None,
    }
}

fn declared_facts(entry: &TrustEntry, forms: impl IntoIterator<Item = SubjectFormat>) -> SubjectFacts {
    SubjectFacts {
        owner_id: entry.owner_id,
        repository_id: entry.repository_id,
        forms: forms.into_iter().collect(),
        ..SubjectFacts::default()
    }
}

/// Combines the facts from GitHub with those that the author insists on.
fn with_declared(entry: &TrustEntry, mut facts: SubjectFacts, at: &str) -> Result<SubjectFacts, Refusal> {
    for (property, declared, found) in
        [("OwnerId", entry.owner_id, facts.owner_id), ("RepositoryId", entry.repository_id, facts.repository_id)]
    {
        if let (Some(declared), Some(found)) = (declared, found)
            && declared != found
        {
            return Err(unfit(at, &format!("`{property}`: GitHub says {found}, the template {declared}")));
        }
    }
    match entry.format {
        Format::Auto => {}
        Format::Immutable => facts.forms = [SubjectFormat::Immutable].into(),
        Format::Classic => facts.forms = [SubjectFormat::Classic].into(),
        Format::Both => facts.forms = [SubjectFormat::Classic, SubjectFormat::Immutable].into(),
    }
    Ok(facts)
}

/// Returns the facts where GitHub does not answer: those of the policy that IAM has, else both formats where the author gave
/// the ids.
fn facts_without_github(
    issuer: &Issuer,
    entry: &TrustEntry,
    last: Option<&TrustPolicy>,
    problem: &LookupError,
    at: &str,
) -> Result<SubjectFacts, Error> {
    if let Some(facts) = last.and_then(|policy| facts_from_policy(policy, entry))
        && let Ok(facts) = with_declared(entry, facts, at)
        && compile(issuer, entry, &facts).is_ok()
    {
        tracing::warn!(at, %problem, ?facts, "GitHub did not say; going by the trust policy that IAM has");
        return Ok(facts);
    }
    // Whole subjects say everything themselves.
    if entry.contexts.is_empty() && entry.actors.is_empty() {
        return Ok(declared_facts(entry, []));
    }
    let names = entry.actors.iter().any(|actor| matches!(actor, Actor::Name(_)));
    if let (Some(_), Some(_), Format::Auto, false) = (entry.owner_id, entry.repository_id, entry.format, names) {
        tracing::warn!(at, %problem, "GitHub did not say which form the subjects have; both are written");
        let forms: &[SubjectFormat] = if issuer.has_immutable_subjects() {
            &[SubjectFormat::Classic, SubjectFormat::Immutable]
        } else {
            &[SubjectFormat::Classic]
        };
        return Ok(declared_facts(entry, forms.iter().copied()));
    }
    Err(Error::LookupFailed { what: format!("{at}: {problem}"), remedy: by_hand(issuer, entry) })
}

/// Describes the way to find out by hand the facts that the function could not.
fn by_hand(issuer: &Issuer, entry: &TrustEntry) -> String {
    let host = match issuer.web_host() {
        host if host == "github.com" => String::new(),
        host => format!(" --hostname {host}"),
    };
    let mut steps = Vec::new();
    match &entry.scope {
        Some(RepositoryScope::Repository(repository)) => steps.push(for_repository(repository, &host, issuer)),
        Some(RepositoryScope::Organisation(owner)) => {
            steps.push(format!("run `gh api{host} users/{owner} --jq .id` and write it as `OwnerId`"));
        }
        None => {}
    }
    if entry.actors.iter().any(|actor| matches!(actor, Actor::Name(_))) {
        steps.push(format!("write users' ids under `Actors` (`gh api{host} users/NAME --jq .id`)"));
    }
    format!(
        "To go on without GitHub, {}. Or give the function a credential that can read it (`GitHubSecretArn` of its template)",
        steps.join("; and ")
    )
}

fn for_repository(repository: &Repository, host: &str, issuer: &Issuer) -> String {
    if !issuer.has_immutable_subjects() {
        return "write `SubjectFormat: Classic`".to_owned();
    }
    format!(
        "run `gh api{host} repos/{repository} --jq '{{OwnerId: .owner.id, RepositoryId: .id}}'` and write both; then \
         `gh api{host} repos/{repository}/actions/oidc/customization/sub --jq .sub_claim_prefix`: with ids in it, write \
         `SubjectFormat: Immutable`, otherwise `SubjectFormat: Classic`"
    )
}

fn same_case(written: &str, found: &str, at: &str) -> Result<(), Refusal> {
    if written == found {
        return Ok(());
    }
    Err(Refusal::PreconditionFailed {
        what: format!("{at}: GitHub writes it {found}"),
        remedy: "Subjects and conditions are case-sensitive: write it like that".to_owned(),
    })
}

fn unfit(at: &str, what: &str) -> Refusal {
    Refusal::PreconditionFailed { what: format!("{at}: {what}"), remedy: "Correct it, or leave it out".to_owned() }
}

fn too_long(at: &str, reached: &str, whole: &str, quota: usize) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!(
            "{at} takes the trust policy to {reached} characters, past the account's quota of {quota} \
             (AssumeRolePolicySizeQuota); all entries together need {whole}"
        ),
        remedy:
            "Give some of the entries a role of their own, or have the quota raised, up to 8192 (Service Quotas, IAM, \
                 \"Role trust policy length\")"
                .to_owned(),
    }
}

impl GitHubRoles {
    /// The account's quota for the length of a trust policy, in characters without white space.
    async fn trust_quota(&self) -> Result<usize, CallError> {
        let request = self.iam.get_account_summary();
        let output = self.deadline.call("iam:GetAccountSummary", "the account", || request.clone().send()).await?;
        let key = aws_sdk_iam::types::SummaryKeyType::AssumeRolePolicySizeQuota;
        let quota = output.summary_map.and_then(|map| map.get(&key).copied());
        Ok(quota.and_then(|quota| usize::try_from(quota).ok()).unwrap_or(SMALLEST_QUOTA))
    }
}
