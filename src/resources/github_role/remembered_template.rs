//! The template of a repository's subjects where GitHub does not tell it: the one that the role's tags record.

use crate::error::Error;
use crate::github::name::RepositoryScope;
use crate::github::subject_facts::{SubjectFacts, SubjectTemplate};
use crate::github::subject_template::fits;
use crate::iam_policy::trust_policy::TrustPolicy;

use super::identity::Identity;
use super::name_record::NameRecord;
use super::remembered_ids::Memory;
use super::trust_declaration::{TrustEntry, WORKFLOW};

impl Memory {
    /// The template that the tags record, or the default one. Returns none if the tags may have lost it: no subject of the
    /// repository is of the default one.
    pub(super) fn template(&self, entry: &TrustEntry) -> Option<SubjectTemplate> {
        let Some(scope) = entry.scope.as_ref().filter(|_| is_of_template(entry)) else {
            return Some(SubjectTemplate::Default);
        };
        let recorded = |names: &NameRecord| names.template(&scope.name()).cloned();
        if let Some(keys) = recorded(&self.names).or_else(|| recorded(&self.names_of_others)) {
            return Some(SubjectTemplate::Custom(keys));
        }
        let rules = self.policies.iter().flat_map(TrustPolicy::rules).chain(&self.by_hand);
        let mut about = rules.filter(|rule| Identity::of(rule).scope.as_ref() == Some(scope)).peekable();
        let default = SubjectTemplate::Default.keys();
        let is_default = about.peek().is_none() || about.any(|rule| fits(rule.subject.as_str(), &default));
        is_default.then_some(SubjectTemplate::Default)
    }

    /// Facts with the recorded template, where GitHub does not tell one.
    pub(super) fn with_template(&self, entry: &TrustEntry, facts: SubjectFacts) -> SubjectFacts {
        if facts.told.keys.is_some() {
            return facts;
        }
        SubjectFacts { template: self.template(entry).unwrap_or_default(), ..facts }
    }

    /// Refuses a repository of which neither GitHub nor the role tells the template.
    pub(super) fn lost_template(&self, at: &str, entry: &TrustEntry, facts: &SubjectFacts) -> Option<Error> {
        let is_lost = facts.told.keys.is_none() && self.template(entry).is_none() && !self.is_for_rollback;
        is_lost.then(|| Error::LookupFailed {
            what: format!(
                "{at}: the role's subjects are of a template of the repository's own, which the role's tags have lost, and GitHub \
                 does not tell it now"
            ),
            remedy: "Give the function a credential that can read it (`GitHubSecretArn` of its template), or write whole `Subjects`"
                .to_owned(),
        })
    }
}

/// The template for a rollback to an entry that the recorded one does not fit: the default one, with the claims that the entry
/// gives.
pub(super) fn template_for_rollback(entry: &TrustEntry) -> SubjectTemplate {
    let claims: Vec<String> = entry.template_claims.keys().filter(|claim| *claim != WORKFLOW).cloned().collect();
    if claims.is_empty() {
        return SubjectTemplate::Default;
    }
    SubjectTemplate::Custom(SubjectTemplate::Default.keys().into_iter().chain(claims).collect())
}

/// Returns true for an entry whose subjects the template of a repository makes.
pub(super) fn is_of_template(entry: &TrustEntry) -> bool {
    matches!(entry.scope, Some(RepositoryScope::Repository(_))) && !entry.contexts.is_empty()
}
