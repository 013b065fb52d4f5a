//! Limits that follow from the largest size of a trust policy. No list of a declaration, and no number of subjects, is larger
//! than what the largest policy has room for.

/// The largest quota that IAM grants for a trust policy, in characters without white space.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub(super) const LARGEST_QUOTA: usize = 8192;
/// The quotes around a value in a list, and the comma behind it.
const AROUND: usize = 3;
/// The largest number of subjects, at the length of a short one.
pub(super) const SUBJECT_LIMIT: usize = room_for("repo:a/b:c");

/// The number of values that a trust policy has room for, none of them shorter than this one.
pub(super) const fn room_for(shortest: &str) -> usize {
    LARGEST_QUOTA / (shortest.len() + AROUND)
}

/// The characters of a value in a list. IAM does not count white space.
pub(super) fn size_of(value: &str) -> usize {
    value.chars().filter(|c| !c.is_whitespace()).count() + AROUND
}
