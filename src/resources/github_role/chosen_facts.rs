//! The facts that count for an entry: those of GitHub, or those of the role's memory where GitHub does not tell them.

use std::collections::BTreeMap;

use crate::error::{Error, Refusal};
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::name::RepositoryScope;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat};
use crate::iam_policy::trust_policy::TrustRule;
use crate::ownership::Owner;

use super::GitHubRoles;
use super::compile::compile;
use super::lookup::{Doubt, by_hand, declared_facts, declared_in_any_form, forms_of};
use super::names_in_policy::{in_another_case, unsure_of_case};
use super::remembered_ids::Memory;
use super::taken_names::{free, nobody, renamed, taken_over};
use super::trust_declaration::{Actor, Format, TrustEntry};

impl GitHubRoles {
    /// Compiles an entry by the facts that count: those of GitHub, or those of the memory.
    pub(super) async fn settle(
        &self,
        owner: &Owner,
        issuer: &Issuer,
        (entry, at): (&TrustEntry, &str),
        found: &Result<SubjectFacts, Doubt>,
        memory: &Memory,
    ) -> Result<(SubjectFacts, Vec<TrustRule>), Error> {
        let refusal = match settled(issuer, (entry, at), found, memory) {
            Ok((facts, rules)) => match memory.lost_template(at, entry, &facts) {
                // Without a credential the default template is assumed.
                Some(lost) if self.github.has_credential(issuer).await != Ok(false) => lost,
                _ => return Ok((facts, rules)),
            },
            Err(refusal) => refusal,
        };
        let memory = memory.for_rollback();
        let facts = |entry: &TrustEntry| memory.facts(issuer, entry, &BTreeMap::new(), at);
        let kept = || {
            let kept = facts(entry).or_else(|| facts(&memory.with_former_ids(issuer, entry)?));
            // An author who declares all ids trusts nobody else, also if others have the names.
            let facts = kept.or_else(|| declared_in_any_form(issuer, entry))?;
            let rules = compile(issuer, entry, &facts).ok()?;
            Some((facts, rules))
        };
        match settled(issuer, (entry, at), found, &memory).ok().or_else(kept) {
            Some((facts, rules)) if self.is_rolling_back(owner).await => {
                tracing::error!(%refusal, "the stack rolls back: the role keeps the ids that it trusts");
                Ok((facts, rules))
            }
            _ => Err(refusal),
        }
    }
}

/// Compiles an entry by what GitHub says, and by the memory where it does not. Refuses names that have other ids now.
fn settled(
    issuer: &Issuer,
    (entry, at): (&TrustEntry, &str),
    found: &Result<SubjectFacts, Doubt>,
    memory: &Memory,
) -> Result<(SubjectFacts, Vec<TrustRule>), Error> {
    let mut facts = match found {
        Ok(facts) => memory.with_template(entry, facts.clone()),
        Err(Doubt::Silent(problem, told)) => without_github(issuer, (entry, at), memory, problem, told)?,
        Err(Doubt::Renamed { from, to, id }) => {
            let pinned = memory.ids.repository(from).union(&memory.others.repository(from)).copied().collect();
            return Err(renamed(at, entry, &pinned, (from, to, *id)).into());
        }
        Err(Doubt::Refused(refusal)) => return Err(refusal.clone().into()),
    };
    if let Some(known) = facts.not_shown.iter().find_map(|scope| in_another_case(scope, &memory.policies)) {
        return Err(unsure_of_case(at, "GitHub did not show a name", &known));
    }
    memory.complete(issuer, entry, &mut facts);
    let compiled = compile(issuer, entry, &facts);
    let rules = compiled.as_deref().unwrap_or_default();
    if let Some(refusal) = taken_over(at, &memory.differences(entry, &facts, rules)) {
        return Err(refusal.into());
    }
    let lack = |lack| Refusal::PreconditionFailed { what: format!("{at}: {lack}"), remedy: String::new() };
    let rules = compiled.map_err(lack)?;
    match free(at, entry, &facts, &rules).or_else(|| memory.untold(at, entry, &rules)) {
        Some(refusal) => Err(refusal.into()),
        None => Ok((facts, rules)),
    }
}

/// Returns the facts where GitHub does not answer: those of the memory, else both formats where the author gave the ids.
fn without_github(
    issuer: &Issuer,
    (entry, at): (&TrustEntry, &str),
    memory: &Memory,
    problem: &LookupError,
    told: &SubjectFacts,
) -> Result<SubjectFacts, Error> {
    let SubjectFacts { named, free, users, not_shown, .. } = told.clone();
    if let Some(known) = entry.scope.as_ref().and_then(|scope| in_another_case(scope, &memory.policies)) {
        return Err(unsure_of_case(at, &problem.to_string(), &known));
    }
    if let Some(mut facts) = memory.facts(issuer, entry, &users, at) {
        tracing::warn!(at, %problem, ?facts, "GitHub did not say; going by the trust policy that IAM has");
        facts.named.extend(named);
        return Ok(SubjectFacts { free, not_shown, ..facts });
    }
    let is_unknown = |actor: &Actor| matches!(actor, Actor::Name(name) if !users.contains_key(name));
    let forms: Option<&[SubjectFormat]> = match entry.format {
        _ if entry.actors.iter().any(is_unknown) => None,
        // Whole subjects say everything themselves.
        _ if entry.contexts.is_empty() => Some(&[]),
        Format::Classic => Some(&[SubjectFormat::Classic]),
        Format::Auto if entry.owner_id.is_some() && entry.repository_id.is_some() => Some(forms_of(issuer)),
        _ => None,
    };
    let Some(forms) = forms else {
        if let Some(owner) = entry.scope.as_ref().map(RepositoryScope::owner).filter(|owner| free.contains(*owner)) {
            return Err(nobody(at, owner).into());
        }
        return Err(Error::LookupFailed { what: format!("{at}: {problem}"), remedy: by_hand(issuer, entry) });
    };
    tracing::warn!(at, %problem, ?forms, "GitHub did not say which form and ids there are");
    let facts = SubjectFacts { users, named, free, not_shown, ..declared_facts(entry, forms.iter().copied()) };
    Ok(memory.with_template(entry, facts))
}
