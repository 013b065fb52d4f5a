//! The template of a repository's subjects where GitHub does not tell it: the one that the role's tags record.

use crate::error::Error;
use crate::github::subject_facts::{SubjectFacts, SubjectTemplate};
use crate::github::subject_template::fits;
use crate::iam_policy::trust_policy::{TrustPolicy, TrustRule};

use super::identity::Identity;
use super::name_record::NameRecord;
use super::remembered_ids::Memory;
use super::trust_declaration::TrustEntry;

impl Memory {
    /// The template that the tags record, or the default one. Returns none if the tags may have lost it: no subject of the
    /// repository is of the default one.
    pub(super) fn template(&self, entry: &TrustEntry) -> Option<SubjectTemplate> {
        let Some(scope) = entry.scope.as_ref().filter(|_| entry.is_of_template()) else {
            return Some(SubjectTemplate::Default);
        };
        let id = entry.repository_id.or_else(|| self.only(scope));
        let recorded = |names: &NameRecord| names.template(&scope.name(), id).cloned();
        if let Some(keys) = recorded(&self.names).or_else(|| recorded(&self.names_of_others)) {
            return Some(SubjectTemplate::Custom(keys));
        }
        // Subjects that somebody else wrote tell no template.
        if self.is_changed {
            return Some(SubjectTemplate::Default);
        }
        let rules = self.policies.iter().flat_map(TrustPolicy::rules);
        let is_about = |rule: &&TrustRule| {
            let Identity { scope: named, repository_ids, .. } = Identity::of(rule);
            let is_same =
                entry.repository_id.is_none_or(|id| repository_ids.is_empty() || repository_ids.contains(&id));
            named.as_ref() == Some(scope) && is_same && !entry.subjects.contains(&rule.subject)
        };
        let mut about = rules.filter(is_about).peekable();
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
        let is_lost = facts.told.keys.is_none() && self.template(entry).is_none();
        is_lost.then(|| Error::LookupFailed {
            what: format!(
                "{at}: the subjects that the role trusts are not of the default template, and neither GitHub nor the role's tags \
                 tell which one it is"
            ),
            remedy: "Give the function a credential that can read it (`GitHubSecretArn` of its template), or write whole `Subjects`"
                .to_owned(),
        })
    }
}
