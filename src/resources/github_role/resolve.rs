//! The trust policy of a declaration, for the tokens that GitHub really issues.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::SummaryKeyType;
use futures_util::future::join3;

use crate::aws::CallError;
use crate::error::{Error, Refusal};
use crate::github::name::RepositoryScope;
use crate::github::subject_facts::{SubjectFacts, SubjectTemplate};
use crate::ownership::Owner;

use super::GitHubRoles;
use super::lookup::{Doubt, place};
use super::match_warnings;
use super::name_record::{NameRecord, key, template_key};
use super::name_warnings;
use super::policy_limits::{LARGEST_QUOTA, SUBJECT_LIMIT};
use super::policy_size::least_size;
use super::remembered_ids::Memory;
use super::trust_declaration::{TrustDeclaration, TrustEntry};
use super::user_numbers;
use crate::iam_policy::trust_policy::{SMALLEST_QUOTA, TrustPolicy, TrustRule};

/// The trust of a role as GitHub's answers complete it.
#[derive(Debug)]
pub(super) struct ResolvedTrust {
    pub(super) policy: TrustPolicy,
    pub(super) names: NameRecord,
    /// The parts that no job fits and the names that no id pins; empty if there are none.
    pub(super) warning: String,
}

/// The entries of a declaration, compiled.
#[derive(Debug, Default)]
struct Draft {
    rules: Vec<TrustRule>,
    /// The place of each entry, and the number of rules up to its end.
    ends: Vec<(String, usize)>,
    users: Vec<(String, u64)>,
    /// The keys of owners and repositories, with their ids. Whole subjects may have an id without the name.
    scopes: BTreeSet<(String, u64)>,
    /// The templates that GitHub tells of repositories, by their template keys.
    templates: BTreeMap<String, SubjectTemplate>,
    warnings: Vec<String>,
}

impl GitHubRoles {
    /// The trust that a declaration leads to, of a role with a number of declared tags.
    pub(super) async fn trust(
        &self,
        owner: &Owner,
        role: &str,
        declaration: &TrustDeclaration,
        tags: usize,
    ) -> Result<ResolvedTrust, Error> {
        let TrustDeclaration { provider_arn, issuer, audience, entries } = declaration;
        // GitHub's rate limit is shared by all stacks, so that it is not asked about a policy that cannot be written.
        let least = least_size(entries);
        // The account's own quota is read only beyond the quota of every account.
        if least > SMALLEST_QUOTA {
            let quota = self.trust_quota().await?;
            if least > quota {
                return Err(
                    too_long("`Trust`", &format!("at least {least}"), &format!("at least {least}"), quota).into()
                );
            }
        }
        let (mut found, memory, accounts) = join3(
            self.facts_of_all(issuer, entries),
            self.memory(owner, role, issuer),
            self.accounts_of_numbers(declaration),
        )
        .await;
        let mut memory = memory?;
        for (index, (entry, found)) in entries.iter().zip(&mut found).enumerate() {
            if let Some(doubt) = user_numbers::refuse_organisation(&place(index, entry), entry, &accounts) {
                *found = Err(doubt);
            }
        }
        memory.learn_owners(entries, &found);
        let mut draft = self.draft(owner, declaration, &found, &memory).await?;
        if let Some(refusal) = self.too_long(declaration, &draft).await? {
            if !self.is_rolling_back(owner).await {
                return Err(refusal.into());
            }
            // The subjects may have got another form since the role had this trust. The former form fits.
            tracing::error!(%refusal, "the stack rolls back: the role keeps the forms of subjects that it trusts");
            let former = |(index, (entry, found)): (usize, (&TrustEntry, Result<SubjectFacts, Doubt>))| {
                memory.former_facts(issuer, entry, &place(index, entry)).map_or(found, Ok)
            };
            let found: Vec<_> = entries.iter().zip(found).enumerate().map(former).collect();
            draft = self.draft(owner, declaration, &found, &memory).await?;
            if let Some(refusal) = self.too_long(declaration, &draft).await? {
                return Err(refusal.into());
            }
        }
        let Draft { rules, users, scopes, templates, mut warnings, .. } = draft;
        let whole = TrustPolicy::of(provider_arn, audience, rules);
        tracing::info!(trust = %whole, size = whole.size(), "these may assume the role, and nobody else");
        let users = entries
            .iter()
            .any(|entry| !entry.actors.is_empty())
            .then(|| NameRecord::of(users.iter().map(|(name, id)| (name.as_str(), *id))));
        let (names, needed) = memory.names_beside(&whole, users, &scopes, &templates);
        let names = names.beside(tags);
        if needed > names.room() && !self.is_rolling_back(owner).await {
            return Err(too_many_names(needed, names.room()).into());
        }
        warnings.extend(without_record(names.unwritten_templates()));
        warnings.extend(name_warnings::of(issuer, &whole));
        warnings.extend(user_numbers::of_nobody(&accounts));
        Ok(ResolvedTrust { warning: warnings.join(". "), policy: whole, names })
    }

    /// Compiles all entries.
    async fn draft(
        &self,
        owner: &Owner,
        declaration: &TrustDeclaration,
        found: &[Result<SubjectFacts, Doubt>],
        memory: &Memory,
    ) -> Result<Draft, Error> {
        let TrustDeclaration { issuer, entries, .. } = declaration;
        let mut draft = Draft::default();
        for (index, (entry, found)) in entries.iter().zip(found).enumerate() {
            let at = place(index, entry);
            let (facts, compiled) = self.settle(owner, issuer, (entry, &at), found, memory).await?;
            draft.warnings.extend(entry.broad.iter().map(|what| format!("{at}: {what}")));
            draft.warnings.extend(match_warnings::of(&at, issuer, entry, &facts, &compiled));
            draft.users.extend(facts.users);
            let named = facts.named.iter().map(|(scope, named)| (scope, named.owner_id));
            let scopes = entry.scope.iter().map(|scope| (scope, facts.owner_id)).chain(named);
            draft.scopes.extend(scopes.filter_map(|(scope, id)| Some((scope.owner().to_lowercase(), id?))));
            let is_repository = |scope: &&RepositoryScope| matches!(scope, RepositoryScope::Repository(_));
            if let Some(name) = entry.scope.as_ref().filter(is_repository).map(RepositoryScope::name) {
                draft.scopes.extend(facts.repository_id.map(|id| (key(&name), id)));
                if facts.told.keys.is_some() {
                    draft.templates.insert(template_key(&key(&name), facts.repository_id), facts.template.clone());
                }
            }
            draft.rules.extend(compiled);
            if draft.rules.len() > SUBJECT_LIMIT {
                let found = format!("more than {LARGEST_QUOTA}");
                return Err(too_long(&at, &found, &found, LARGEST_QUOTA).into());
            }
            draft.ends.push((at, draft.rules.len()));
        }
        Ok(draft)
    }

    /// Refuses a policy that is longer than the account's quota.
    async fn too_long(&self, declaration: &TrustDeclaration, draft: &Draft) -> Result<Option<Refusal>, CallError> {
        let TrustDeclaration { provider_arn, audience, .. } = declaration;
        let size = |count: usize| TrustPolicy::of(provider_arn, audience, draft.rules[..count].iter().cloned()).size();
        let whole = size(draft.rules.len());
        if whole <= SMALLEST_QUOTA {
            return Ok(None);
        }
        let quota = self.trust_quota().await?;
        // The first entry that is too much: the policy grows with each.
        let first = draft.ends.partition_point(|(_, count)| size(*count) <= quota);
        let refusal =
            |(at, count): &(String, usize)| too_long(at, &size(*count).to_string(), &whole.to_string(), quota);
        Ok(draft.ends.get(first).map(refusal))
    }

    /// The account's quota for the length of a trust policy, in characters without white space.
    async fn trust_quota(&self) -> Result<usize, CallError> {
        self.quota(SummaryKeyType::AssumeRolePolicySizeQuota, SMALLEST_QUOTA).await
    }

    /// A quota of the account, which is at least `smallest`.
    pub(super) async fn quota(&self, key: SummaryKeyType, smallest: usize) -> Result<usize, CallError> {
        let request = self.iam.get_account_summary();
        let output = self.deadline.call("iam:GetAccountSummary", "the account", || request.clone().send()).await?;
        let quota = output.summary_map.and_then(|map| map.get(&key).copied());
        Ok(quota.and_then(|quota| usize::try_from(quota).ok()).unwrap_or(smallest))
    }
}

/// Warns of subject templates for which the tags of a role have no room.
fn without_record(templates: usize) -> Option<String> {
    (templates > 0).then(|| {
        format!(
            "`Tags`: beside them there is no room to record the subject templates of {templates} repositories. While GitHub does \
             not tell these templates, an update is refused, and after a rollback their jobs may not get in: use fewer `Tags`"
        )
    })
}

/// Refuses to forget names: somebody else may take one over before it comes back.
fn too_many_names(leaving: usize, room: usize) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!(
            "`Trust`: {leaving} repositories and owners leave the role's trust at once, and the role's tags have room to \
             remember the ids of {room}"
        ),
        remedy: format!("Take them out in several updates, at most {room} in each"),
    }
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
