//! The facts that GitHub gave the last time, read from the policy that IAM has: ids, format and template of each
//! repository. With them, an update or rollback that leaves the trust as it is succeeds while GitHub is down.

use std::collections::BTreeSet;

use crate::github::claim_values;
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, SubjectTemplate};
use crate::github::subject_template::{fits, templates};

use super::identity::Identity;
use super::trust_declaration::TrustEntry;
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy, TrustRule};

/// The facts about the repository of an entry, with a template that its subjects may be of.
#[derive(Clone, Debug)]
pub(super) struct FactsInPolicy {
    pub(super) facts: SubjectFacts,
    /// True if all subjects of the repository can be of the template, and it says the repository or its owner, as most do.
    pub(super) is_likely: bool,
}

/// The largest number of templates that are tried: a template has few claims.
const MOST: usize = 16;

/// Returns the facts about the repository of an entry, for each template that its subjects may be of: the default one first, then
/// the likeliest. Returns none if the policy does not mention the repository.
pub(super) fn facts_from_policy(policy: &TrustPolicy, entry: &TrustEntry) -> Vec<FactsInPolicy> {
    let Some(scope) = &entry.scope else { return Vec::new() };
    let about = policy.rules().iter().filter(|rule| Identity::of(rule).scope.as_ref() == Some(scope));
    let about: Vec<&TrustRule> = about.collect();
    if about.is_empty() {
        return Vec::new();
    }
    let facts = ids_and_forms(&about, scope);
    let default = SubjectTemplate::Default.keys();
    let mut tried = vec![default.clone()];
    // A role trusts the repositories of an owner by the default template.
    if matches!(scope, RepositoryScope::Repository(_)) {
        for keys in about.iter().flat_map(|rule| templates(rule.subject.as_str())) {
            let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
            if tried.len() < MOST && !tried.contains(&keys) {
                tried.push(keys);
            }
        }
    }
    let with_template = |keys: Vec<String>| FactsInPolicy {
        is_likely: keys.iter().any(|key| key.starts_with("repo"))
            && about.iter().all(|rule| fits(rule.subject.as_str(), &keys)),
        facts: SubjectFacts {
            template: if keys == default { SubjectTemplate::Default } else { SubjectTemplate::Custom(keys) },
            ..facts.clone()
        },
    };
    tried.into_iter().map(with_template).collect()
}

/// The ids, the forms and the visibility of a repository, as the rules about it say them.
fn ids_and_forms(about: &[&TrustRule], scope: &RepositoryScope) -> SubjectFacts {
    let mut facts = SubjectFacts::default();
    for TrustRule { subject, claims } in about {
        let identity = Identity::of_subject(subject);
        let one = |claim| claims.get(&claim).filter(|values| values.len() == 1)?.first().map(Pattern::as_str);
        let pinned = |claim| one(claim).and_then(claim_values::number);
        let only = |ids: &BTreeSet<u64>| ids.first().copied();
        facts.owner_id =
            facts.owner_id.or_else(|| only(&identity.owner_ids)).or_else(|| pinned(Claim::RepositoryOwnerId));
        facts.repository_id =
            facts.repository_id.or_else(|| only(&identity.repository_ids)).or_else(|| pinned(Claim::RepositoryId));
        let said = |key| subject::value(subject.as_str(), key);
        facts.forms.extend(said("repo").map(|value| match value.contains('@') {
            true => SubjectFormat::Immutable,
            false => SubjectFormat::Classic,
        }));
        facts.told.visibility = facts.told.visibility.or_else(|| said("repository_visibility").map(str::to_owned));
    }
    if facts.forms.is_empty() {
        // The template has no `repo`, so that both forms are the same.
        facts.forms.insert(SubjectFormat::Classic);
    }
    if matches!(scope, RepositoryScope::Organisation(_)) {
        facts.repository_id = None;
    }
    facts
}
