//! The facts that GitHub gave the last time, read from the policy that IAM has: ids and format of each repository. With them, an
//! update or rollback that leaves the trust as it is succeeds while GitHub is down.

use std::collections::BTreeSet;

use crate::github::Issuer;
use crate::github::claim_values;
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat};

use super::identity::Identity;
use super::lookup::forms_of;
use super::trust_declaration::TrustEntry;
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy, TrustRule};

/// Returns the facts about the repository of an entry: with all forms that its subjects have, and with each of them alone, because
/// entries of one repository can differ in their `SubjectFormat`. Returns none if the policy does not mention the repository.
pub(super) fn facts_from_policy(policy: &TrustPolicy, issuer: &Issuer, entry: &TrustEntry) -> Vec<SubjectFacts> {
    let Some(scope) = &entry.scope else { return Vec::new() };
    let is_whole = |rule: &TrustRule| entry.subjects.contains(&rule.subject) && !entry.contexts.is_empty();
    let about = policy.rules().iter().filter(|rule| Identity::of(rule).scope.as_ref() == Some(scope));
    let (whole, mut about): (Vec<&TrustRule>, Vec<&TrustRule>) = about.partition(|rule| is_whole(rule));
    if about.is_empty() {
        about = whole;
    }
    if about.is_empty() {
        return Vec::new();
    }
    let mut facts = ids_and_forms(&about, scope);
    if facts.forms.is_empty() {
        // No subject says `repo`.
        facts.forms.extend(forms_of(issuer));
    }
    let each = facts.forms.iter().map(|form| [*form].into()).filter(|_| facts.forms.len() > 1);
    let forms = [facts.forms.clone()].into_iter().chain(each);
    forms.map(|forms: BTreeSet<SubjectFormat>| SubjectFacts { forms, ..facts.clone() }).collect()
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
        facts.forms.extend(said("repo").map(SubjectFormat::of));
        facts.told.visibility = facts.told.visibility.or_else(|| said("repository_visibility").map(str::to_owned));
    }
    if matches!(scope, RepositoryScope::Organisation(_)) {
        facts.repository_id = None;
    }
    facts
}
