//! The facts that GitHub gave the last time, read from the policy that IAM has: ids, format and template of each
//! repository. With them, an update or rollback that leaves the trust as it is succeeds while GitHub is down.

use std::collections::BTreeSet;

use crate::github::claim_values;
use crate::github::facts::{SubjectFacts, SubjectFormat, SubjectTemplate};
use crate::github::name::RepositoryScope;
use crate::github::subject;

use super::trust_declaration::TrustEntry;
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy, TrustRule};

/// Returns the facts about the repository of an entry; `None` if the policy does not mention it.
pub(crate) fn facts_from_policy(policy: &TrustPolicy, entry: &TrustEntry) -> Option<SubjectFacts> {
    let scope = entry.scope.as_ref()?;
    let mut facts = SubjectFacts::default();
    let mut templates: BTreeSet<Vec<&str>> = BTreeSet::new();
    for TrustRule { subject, claims } in policy.rules() {
        let named = subject::value(subject.as_str(), "repo");
        let Some((owner_id, repository_id)) = named.and_then(|value| ids(value, scope)) else { continue };
        facts.forms.insert(if owner_id.is_some() { SubjectFormat::Immutable } else { SubjectFormat::Classic });
        let one = |claim| claims.get(&claim).filter(|values| values.len() == 1)?.first().map(Pattern::as_str);
        let pinned = |claim| one(claim).and_then(claim_values::number);
        facts.owner_id = facts.owner_id.or(owner_id).or(pinned(Claim::RepositoryOwnerId));
        facts.repository_id = facts.repository_id.or(repository_id).or(pinned(Claim::RepositoryId));
        templates.insert(template_of(subject.as_str()));
    }
    let mut templates = templates.into_iter();
    let keys = templates.next()?;
    // Subjects of several makes are not of one template.
    if templates.next().is_some() {
        return None;
    }
    if keys != ["repo", "context"] {
        facts.template = SubjectTemplate::Custom(keys.into_iter().map(str::to_owned).collect());
    }
    Some(facts)
}

/// The ids of owner and repository behind `repo:`, if it is about the same ones.
fn ids(value: &str, scope: &RepositoryScope) -> Option<(Option<u64>, Option<u64>)> {
    match scope {
        RepositoryScope::Repository(repository) => {
            let prefix = subject::prefix(value).filter(|prefix| prefix.repository == *repository)?;
            Some(prefix.ids.map_or((None, None), |(owner, repository)| (Some(owner), Some(repository))))
        }
        RepositoryScope::Organisation(owner) => {
            let rest = value.strip_suffix("/*")?.strip_prefix(owner.as_str())?;
            match rest.strip_prefix('@') {
                Some(id) => Some((Some(claim_values::number(id)?), None)),
                None => rest.is_empty().then_some((None, None)),
            }
        }
    }
}

/// The template of a subject. `ref` and `environment` behind the repository are the parts of `context`.
pub(super) fn template_of(subject: &str) -> Vec<&str> {
    let is_context = |index, key| index == 1 && matches!(key, "ref" | "environment" | "pull_request" | "*");
    let name = |(index, (key, _))| if is_context(index, key) { "context" } else { key };
    subject::pairs(subject).enumerate().map(name).collect()
}
