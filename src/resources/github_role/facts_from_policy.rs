//! The facts that GitHub gave the last time, read from the policy that IAM has: ids, format and template of each
//! repository. With them, an update or rollback that leaves the trust as it is succeeds while GitHub is down.

use std::collections::BTreeSet;

use crate::github::claim_values;
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, SubjectTemplate};
use crate::github::subject_template::{fits, templates};

use super::identity::Identity;
use super::trust_declaration::{TrustEntry, WORKFLOW};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy, TrustRule};

/// The facts about the repository of an entry, with a template that its subjects may be of.
#[derive(Clone, Debug)]
pub(super) struct FactsInPolicy {
    pub(super) facts: SubjectFacts,
    /// True if all subjects of the repository can be of the template.
    pub(super) is_likely: bool,
    /// The number of subjects that can be of the template.
    pub(super) fitting: usize,
}

/// The facts of an entry in the policies of a role.
pub(super) enum InPolicy {
    Known(Box<SubjectFacts>),
    /// They mention the repository, and no facts about it lead to a trust policy.
    Unusable,
    Absent,
}

/// The largest number of templates that are tried: a template has few claims.
const MOST: usize = 16;

/// Returns the facts about the repository of an entry, for each template and form that its subjects may be of, the likeliest first.
/// Returns none if the policy does not mention the repository.
pub(super) fn facts_from_policy(policy: &TrustPolicy, entry: &TrustEntry) -> Vec<FactsInPolicy> {
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
    let facts = ids_and_forms(&about, scope);
    let subjects: Vec<&str> = about.iter().map(|rule| rule.subject.as_str()).collect();
    // A role trusts the repositories of an owner by the default template.
    let is_repository = matches!(scope, RepositoryScope::Repository(_));
    let tried = if is_repository { templates_of(&subjects) } else { vec![SubjectTemplate::Default.keys()] };
    // Entries of one repository can differ in their `SubjectFormat`.
    let each = facts.forms.iter().map(|form| [*form].into()).filter(|_| facts.forms.len() > 1);
    let forms: Vec<BTreeSet<SubjectFormat>> = [facts.forms.clone()].into_iter().chain(each).collect();
    let mut told = Vec::new();
    for keys in tried {
        // A template that says neither the repository nor its owner is rare.
        let is_of_repository = keys.iter().any(|key| key.starts_with("repo"));
        let fitting = about.iter().filter(|rule| is_of_repository && is_of(rule, &keys)).count();
        let is_likely = fitting == about.len();
        let with_forms = |forms: &BTreeSet<SubjectFormat>| SubjectFacts {
            template: template(keys.clone()),
            forms: forms.clone(),
            ..facts.clone()
        };
        told.extend(forms.iter().map(with_forms).map(|facts| FactsInPolicy { facts, is_likely, fitting }));
    }
    told
}

/// Returns true if a template can make the subject of a rule. Beside a context, no claim tells the environment.
fn is_of(TrustRule { subject, claims }: &TrustRule, keys: &[String]) -> bool {
    let text = subject.as_str();
    let says_other = keys.iter().any(|key| key == "context") && subject::value(text, "ref").is_some();
    fits(text, keys) && !(says_other && claims.contains_key(&Claim::Environment))
}

/// The templates that some of these subjects may be of: the default one first, then the likeliest.
pub(super) fn templates_of(subjects: &[&str]) -> Vec<Vec<String>> {
    let mut tried = vec![SubjectTemplate::Default.keys()];
    for keys in subjects.iter().flat_map(|subject| templates(subject)) {
        let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        if tried.len() < MOST && !tried.contains(&keys) {
            tried.push(keys);
        }
    }
    tried
}

pub(super) fn template(keys: Vec<String>) -> SubjectTemplate {
    if keys == SubjectTemplate::Default.keys() { SubjectTemplate::Default } else { SubjectTemplate::Custom(keys) }
}

/// The template for a rollback to an entry about whose repository nothing is told: the default one, with the claims that the entry
/// gives.
pub(super) fn template_for_rollback(entry: &TrustEntry) -> SubjectTemplate {
    let claims = entry.template_claims.keys().filter(|claim| *claim != WORKFLOW).cloned();
    template(SubjectTemplate::Default.keys().into_iter().chain(claims).collect())
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
    if facts.forms.is_empty() {
        // The template has no `repo`, so that both forms are the same.
        facts.forms.insert(SubjectFormat::Classic);
    }
    if matches!(scope, RepositoryScope::Organisation(_)) {
        facts.repository_id = None;
    }
    facts
}
