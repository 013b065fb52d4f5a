//! Managed policies whose names are misspelt.

use crate::arn::parts;
use crate::cloudformation::nearest::differs_by_at_most;

/// The question for the allowed policies whose names differ from that of an ARN by one letter, or by their path or case only.
/// Names of AWS that exist differ by more.
pub(crate) fn did_you_mean<'a>(arn: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let [_, partition, _, _, account, resource] = parts(arn)?;
    let name = name(resource);
    let meant: Vec<String> = allowed
        .into_iter()
        .filter_map(parts)
        .map(|[.., of, resource]| (if of.contains('*') { account } else { of }, resource))
        .filter(|(_, resource)| !resource.contains(['*', '?']) && differs_by_at_most(1, name, self::name(resource)))
        .map(|(account, resource)| format!("arn:{partition}:iam::{account}:{resource}"))
        .collect();
    (!meant.is_empty()).then(|| format!("did you mean {}?", meant.join(" or ")))
}

/// The name without its path.
fn name(resource: &str) -> &str {
    resource.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_managed_policy_is_answered_with_the_allowed_one() {
        let allowed = [
            "arn:*:iam::aws:policy/AmazonS3ReadOnlyAccess",
            "arn:*:iam::aws:policy/job-function/ViewOnlyAccess",
            "arn:aws:iam::111122223333:policy/team/*",
            "arn:*:iam::*:policy/deploy",
        ];
        for (arn, meant) in [
            ("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAcess", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"),
            ("arn:aws-cn:iam::aws:policy/amazonS3readonlyaccess", "arn:aws-cn:iam::aws:policy/AmazonS3ReadOnlyAccess"),
            ("arn:aws:iam::aws:policy/ViewOnlyAccess", "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"),
            ("arn:aws:iam::111122223333:policy/delpoy", "arn:aws:iam::111122223333:policy/deploy"),
            // They exist.
            ("arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess", ""),
            ("arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess", ""),
            ("arn:aws:iam::111122223333:policy/teams/x", ""),
        ] {
            let expected = (!meant.is_empty()).then(|| format!("did you mean {meant}?"));
            assert_eq!(did_you_mean(arn, allowed), expected, "{arn}");
        }
    }
}
