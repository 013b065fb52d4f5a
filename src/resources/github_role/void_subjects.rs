//! Whole subjects that contradict the members beside them: no job has the subject and fits the claims.

use std::collections::BTreeSet;

use super::named::named;
use crate::github::events::OF_PULL_REQUESTS;
use crate::github::subject::{pairs, value};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, Claims};

/// Describes the member that a whole subject contradicts.
pub(super) fn contradiction(subject: &Pattern, claims: &Claims) -> Option<String> {
    claims.iter().find_map(|(claim, values)| {
        let member = member_of(*claim)?;
        let said = said(subject.as_str(), *claim);
        let fits = |said: &Pattern| values.iter().any(|value| said.overlaps(&as_in_subject(value)));
        (!said.is_empty() && !said.iter().any(fits)).then(|| {
            format!(
                "`Subjects`: no job with the subject `{subject}` fits `{member}` ({}), so that nobody could assume the role by it: \
                 give it an entry of its own, or take it out",
                either(values)
            )
        })
    })
}

/// Values in a sentence.
pub(super) fn either(values: &BTreeSet<Pattern>) -> String {
    named(&values.iter().map(ToString::to_string).collect::<Vec<_>>(), " or ", " or ")
}

/// The member that a claim comes from.
fn member_of(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::ActorId => Some("Actors"),
        Claim::EnterpriseId => Some("EnterpriseId"),
        Claim::JobWorkflowRef => Some("Workflows"),
        Claim::Ref => Some("Refs"),
        Claim::Workflow => Some("TemplateClaims"),
        Claim::Environment | Claim::Repository | Claim::RepositoryId | Claim::RepositoryOwnerId => None,
    }
}

/// The values of a claim of which a subject says one; none if it leaves the claim open.
fn said(subject: &str, claim: Claim) -> Vec<Pattern> {
    let is_of_pull_requests = claim == Claim::Ref && pairs(subject).any(|(key, _)| key == "pull_request");
    let open = if is_of_pull_requests { &OF_PULL_REQUESTS[..] } else { &[] };
    value(subject, claim.name())
        .map_or_else(|| open.iter().map(|text| Pattern::written(text)).collect(), |value| vec![Pattern::written(value)])
}

/// GitHub writes a colon as `%3A` in a subject.
fn as_in_subject(value: &Pattern) -> Pattern {
    Pattern::written(&value.as_str().replace(':', "%3A"))
}
