//! The property that a refusal of EKS is about.

use super::action::Action;
use crate::ownership::authored;

/// Returns the property that an action carries out, with its value.
pub(super) fn of(action: &Action) -> Option<String> {
    match action {
        Action::Associate { policy, scope: _ } => {
            Some(format!("`AccessPolicies`: {}", policy.rsplit('/').next().unwrap_or_default()))
        }
        Action::Tag { arn: _, tags } => authored(tags).next().map(|_| "`Tags`".to_owned()),
        _ => None,
    }
}
