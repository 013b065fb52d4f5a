//! The template of a repository's subjects where GitHub does not tell it: the one that the subjects of the role's policy are of.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::github::Issuer;
use crate::github::name::RepositoryScope;
use crate::github::subject_facts::{SubjectFacts, SubjectTemplate};
use crate::github::subject_template::fits;
use crate::iam_policy::trust_policy::TrustPolicy;

use super::compile::compile;
use super::facts_from_policy::{FactsInPolicy, InPolicy, facts_from_policy, template, templates_of};
use super::identity::Identity;
use super::lookup::with_declared;
use super::remembered_ids::Memory;
use super::trust_declaration::TrustEntry;

impl Memory {
    /// The facts of an entry as the policy tells them: those with the default template, if all its subjects can be of that; else
    /// those that lead to most of its rules, or those with the template that most of its subjects can be of.
    pub(super) fn in_policy(
        &self,
        issuer: &Issuer,
        entry: &TrustEntry,
        users: &BTreeMap<String, u64>,
        at: &str,
    ) -> InPolicy {
        let (mut is_there, mut told) = (false, Vec::new());
        for policy in &self.policies {
            for FactsInPolicy { facts, is_likely, fitting } in facts_from_policy(policy, entry) {
                if with_declared(entry, facts.clone(), at).is_ok() {
                    is_there = true;
                    if let Some(facts) = self.completed(issuer, entry, users, at, facts) {
                        let rules = rules_in(policy, issuer, entry, &facts);
                        told.push(Told { rules, is_likely, fitting, facts });
                    }
                }
            }
        }
        let is_default = |told: &&Told| told.is_likely && told.facts.template == SubjectTemplate::Default;
        let kept = most(told.iter().filter(is_default), |told| told.rules);
        let kept = kept.or_else(|| most(told.iter().filter(|told| told.rules > 0), |told| told.rules));
        let kept = kept.or_else(|| told.iter().find(|told| told.is_likely));
        let of_most = || most(told.iter().filter(|told| told.fitting > 0), |told| told.fitting);
        match kept {
            Some(told) => InPolicy::Known(Box::new(told.facts.clone())),
            // No rollback fails for a template.
            None if self.is_for_rollback || !is_there => InPolicy::Absent,
            None => of_most().map_or(InPolicy::Unusable, |told| InPolicy::Known(Box::new(told.facts.clone()))),
        }
    }

    /// Facts with the template of the policy, where GitHub does not tell one.
    pub(super) fn with_template(
        &self,
        issuer: &Issuer,
        entry: &TrustEntry,
        facts: SubjectFacts,
        at: &str,
    ) -> SubjectFacts {
        if !is_of_template(entry) || facts.told.keys.is_some() {
            return facts;
        }
        let template = match self.in_policy(issuer, entry, &facts.users, at) {
            InPolicy::Known(known) => known.template,
            InPolicy::Absent => self.template_by_hand(entry),
            InPolicy::Unusable => return facts,
        };
        let with_template = SubjectFacts { template, ..facts.clone() };
        let is_usable = compile(issuer, entry, &with_template).is_ok();
        if is_usable { with_template } else { facts }
    }

    /// The template that most subjects of a repository are of in a policy that somebody changed; the default one without any.
    pub(super) fn template_by_hand(&self, entry: &TrustEntry) -> SubjectTemplate {
        let about = self.by_hand.iter().filter(|rule| Identity::of(rule).scope == entry.scope);
        let about = about.filter(|rule| !entry.subjects.contains(&rule.subject));
        let subjects: Vec<&str> = about.map(|rule| rule.subject.as_str()).collect();
        let (mut most, mut found) = (0, SubjectTemplate::Default.keys());
        for keys in templates_of(&subjects) {
            let count = subjects.iter().filter(|subject| fits(subject, &keys)).count();
            if count > most {
                (most, found) = (count, keys);
            }
        }
        template(found)
    }

    /// Refuses a repository that comes back to the role, of which nothing tells the template any more.
    pub(super) fn lost_template(&self, at: &str, entry: &TrustEntry, facts: &SubjectFacts) -> Option<Error> {
        let name = entry.scope.as_ref()?.name();
        let is_told = facts.told.keys.is_some() || facts.template != SubjectTemplate::Default;
        if self.is_for_rollback || is_told || !is_of_template(entry) || !self.names.former_subjects(&name).has_template
        {
            return None;
        }
        let is_there = self.policies.iter().flat_map(TrustPolicy::rules).chain(&self.by_hand);
        let mut scopes = is_there.filter_map(|rule| Identity::of(rule).scope);
        (!scopes.any(|scope| Some(&scope) == entry.scope.as_ref())).then(|| Error::LookupFailed {
            what: format!(
                "{at}: the subjects of the repository had a template of its own when it left the role, and GitHub does not tell \
                 it now"
            ),
            remedy: "Give the function a credential that can read it (`GitHubSecretArn` of its template), or write whole `Subjects`"
                .to_owned(),
        })
    }
}

/// Returns true for an entry whose subjects the template of a repository makes.
fn is_of_template(entry: &TrustEntry) -> bool {
    matches!(entry.scope, Some(RepositoryScope::Repository(_))) && !entry.contexts.is_empty()
}

/// Facts of the policy.
struct Told {
    /// The number of its rules that they lead to.
    rules: usize,
    is_likely: bool,
    fitting: usize,
    facts: SubjectFacts,
}

/// The first of those with the largest number.
fn most<'a>(told: impl Iterator<Item = &'a Told>, number: impl Fn(&Told) -> usize) -> Option<&'a Told> {
    told.reduce(|first, next| if number(next) > number(first) { next } else { first })
}

/// The number of rules that facts lead to; 0 if the policy does not have each of them. With the default template, it may have a wider
/// one, of another entry.
fn rules_in(policy: &TrustPolicy, issuer: &Issuer, entry: &TrustEntry, facts: &SubjectFacts) -> usize {
    let rules = compile(issuer, entry, facts).unwrap_or_default();
    let part = TrustPolicy::of(&policy.provider_arn, &policy.audience, rules);
    let is_default = facts.template == SubjectTemplate::Default;
    let is_there = if is_default { policy.covers(&part) } else { part.rules().is_subset(policy.rules()) };
    if is_there { part.rules().len() } else { 0 }
}
