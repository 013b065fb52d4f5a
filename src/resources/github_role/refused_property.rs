//! The property that a refusal of IAM is about.

use super::action::Action;
use crate::guardrails::did_you_mean;
use crate::ownership::authored;

/// Policies of AWS that roles of pipelines often have.
const COMMON: [&str; 12] = [
    "arn:*:iam::aws:policy/AdministratorAccess",
    "arn:*:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser",
    "arn:*:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly",
    "arn:*:iam::aws:policy/AmazonS3FullAccess",
    "arn:*:iam::aws:policy/AmazonS3ReadOnlyAccess",
    "arn:*:iam::aws:policy/AWSCloudFormationFullAccess",
    "arn:*:iam::aws:policy/AWSCloudFormationReadOnlyAccess",
    "arn:*:iam::aws:policy/CloudFrontFullAccess",
    "arn:*:iam::aws:policy/PowerUserAccess",
    "arn:*:iam::aws:policy/ReadOnlyAccess",
    "arn:*:iam::aws:policy/SecurityAudit",
    "arn:*:iam::aws:policy/job-function/ViewOnlyAccess",
];

/// Returns the property that an action carries out, with its value, if these words may be about it.
pub(super) fn of(action: &Action, words: &str) -> Option<String> {
    let boundary = |arn: &String| format!("`PermissionsBoundary`: {}", with_suggestion(arn, words));
    match action {
        Action::Create { input } => input.settings.boundary.as_ref().filter(|arn| words.contains(*arn)).map(boundary),
        Action::SetBoundary(arn) => Some(boundary(arn)),
        Action::Attach(arn) => Some(format!("`ManagedPolicyArns`: {}", with_suggestion(arn, words))),
        Action::PutPolicy { name, document: _ } => Some(format!("`Policies`: {name}")),
        Action::SaveDeclaration { .. } | Action::DeleteDeclaration => Some("`OnDrift`".to_owned()),
        Action::Tag(tags) => authored(tags).next().map(|_| "`Tags`".to_owned()),
        _ => None,
    }
}

/// The ARN of a managed policy, and the policy that is meant where IAM says that there is none of this name.
fn with_suggestion(arn: &str, words: &str) -> String {
    let meant = did_you_mean(arn, COMMON).filter(|_| words.contains("does not exist"));
    meant.map_or_else(|| arn.to_owned(), |meant| format!("{arn} ({meant})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_managed_policy_that_is_missing_is_named_with_the_one_meant() {
        let missing = "Policy arn:p does not exist or is not attachable.";
        let aws = |name: &str| format!("arn:aws:iam::aws:policy/{name}");
        for (found, words, meant) in [
            ("ReadOnlyAcess", missing, Some("ReadOnlyAccess")),
            ("ViewOnlyAccess", missing, Some("job-function/ViewOnlyAccess")),
            ("AmazonEC2ReadOnlyAcess", missing, None),
            ("ReadOnlyAcess", "Cannot exceed quota for PoliciesPerRole: 10", None),
        ] {
            let meant = meant.map(|meant| format!(" (did you mean {}?)", aws(meant))).unwrap_or_default();
            let expected = format!("`ManagedPolicyArns`: {}{meant}", aws(found));
            assert_eq!(of(&Action::Attach(aws(found)), words), Some(expected), "{found}");
        }
    }
}
