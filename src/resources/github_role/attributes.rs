//! The attributes of a role. An answer that is too long would be a failure, for which no attribute is worth it: they are
//! shortened, and say so.

use crate::cloudformation::Attributes;
use crate::iam_policy::trust_policy::TrustPolicy;

use super::{Desired, Observed};

/// The room for subjects and warnings together, in bytes. The other parts of an answer take less than the rest of 4096.
const ROOM: usize = 2000;
/// The room for subjects, in bytes.
const ROOM_FOR_SUBJECTS: usize = 1700;

/// The attributes of a role.
pub(super) fn of(desired: &Desired, observed: &Observed) -> Attributes {
    let subjects = TrustPolicy::read(&observed.trust)
        .map(|trust| listed(&trust.subjects().into_iter().collect::<Vec<_>>()))
        .unwrap_or_default();
    [
        ("Arn", observed.arn.clone()),
        ("RoleName", observed.name.clone()),
        ("RoleId", observed.role_id.clone()),
        ("Warning", fitting(&desired.warning, size(&subjects))),
        ("Subjects", subjects),
    ]
    .into()
}

/// The size of a text in an answer, where quotes and control characters are escaped.
fn size(text: &str) -> usize {
    serde_json::Value::from(text).to_string().len()
}

/// Joins the subjects that have room, and counts the others.
fn listed(subjects: &[&str]) -> String {
    let fits = |count: &usize| size(&subjects[..*count].join(", ")) <= ROOM_FOR_SUBJECTS;
    let count = (0..=subjects.len()).rev().find(fits).unwrap_or_default();
    let shown = subjects[..count].join(", ");
    match subjects.len() - count {
        0 => shown,
        left => format!("{shown}, and {left} more, which the function's log names and `Explain` tells"),
    }
}

fn fitting(warning: &str, subjects: usize) -> String {
    const SHORT: &str = "There are warnings about what the role trusts: see the function's log";
    let fits = |text: &&str| warning.is_empty() || subjects + size(text) <= ROOM;
    [warning, SHORT].into_iter().find(fits).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_shortened_to_the_room_that_an_answer_has() {
        let subjects: Vec<String> = (0..70)
            .map(|number| format!("repo:octo-org@123456/repository-{number:02}@4567{number:02}:pull_request"))
            .collect();
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        assert_eq!(listed(&subjects[..2]), subjects[..2].join(", "));
        let text = listed(&subjects);
        assert!(text.ends_with(" more, which the function's log names and `Explain` tells"), "{text}");
        assert!(size(&text) + 100 <= ROOM, "{}", text.len());
        let quotes = format!("repo:o/r:environment:{}", "\"".repeat(255));
        assert!(size(&listed(&[quotes.as_str(); 9])) <= ROOM);
    }

    #[test]
    fn a_warning_that_has_no_room_is_told_in_short() {
        assert_eq!(fitting("w", 100), "w");
        assert_eq!(fitting("", 5000), "");
        assert!(fitting(&"w".repeat(400), 1700).starts_with("There are warnings"));
    }
}
