//! The attributes of a role. An answer that is too long would be a failure, for which no attribute is worth it: they are
//! shortened, and say so.

use crate::cloudformation::Attributes;
use crate::iam_policy::trust_policy::TrustPolicy;

use super::{Desired, Observed};

/// The room for subjects and warnings together, in bytes. The other parts of an answer take less than the rest of 4096.
const ROOM: usize = 2000;
/// The room for warnings, in bytes. The subjects have the rest, because `Explain` tells them, too.
const ROOM_FOR_WARNINGS: usize = 1700;

/// The attributes of a role.
pub(super) fn of(desired: &Desired, observed: &Observed) -> Attributes {
    let warning = fitting(&desired.warning);
    let room = ROOM - size(&warning);
    let subjects = TrustPolicy::read(&observed.trust)
        .map(|trust| listed(&trust.subjects().into_iter().collect::<Vec<_>>(), room))
        .unwrap_or_default();
    [
        ("Arn", observed.arn.clone()),
        ("RoleName", observed.name.clone()),
        ("RoleId", observed.role_id.clone()),
        ("Warning", warning),
        ("Subjects", subjects),
    ]
    .into()
}

/// The size of a text in an answer, where quotes and control characters are escaped.
fn size(text: &str) -> usize {
    serde_json::Value::from(text).to_string().len()
}

/// Joins the subjects that have room, and counts the others.
fn listed(subjects: &[&str], room: usize) -> String {
    let shown = |count: usize| match subjects.len() - count {
        0 => subjects.join(", "),
        left if count == 0 => format!("{left}, which the function's log names and `Explain` tells"),
        left => {
            let shown = subjects[..count].join(", ");
            format!("{shown}, and {left} more, which the function's log names and `Explain` tells")
        }
    };
    (0..=subjects.len()).rev().map(shown).find(|text| size(text) <= room).unwrap_or_default()
}

/// The warnings that have room, up to the end of a sentence. Words of GitHub in them may have any number of ends.
fn fitting(warning: &str) -> String {
    const NONE: &str = "There are warnings about what the role trusts: see the function's log";
    const MORE: &str = "There are more warnings: see the function's log";
    if size(warning) <= ROOM_FOR_WARNINGS {
        return warning.to_owned();
    }
    let beginnings = warning.match_indices(". ").map(|(end, _)| format!("{}. {MORE}", &warning[..end]));
    beginnings.take_while(|text| size(text) <= ROOM_FOR_WARNINGS).last().unwrap_or_else(|| NONE.to_owned())
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
        assert_eq!(listed(&subjects[..2], ROOM), subjects[..2].join(", "));
        let text = listed(&subjects, ROOM);
        assert!(text.ends_with(" more, which the function's log names and `Explain` tells"), "{text}");
        assert!(size(&text) <= ROOM, "{}", text.len());
        let quotes = format!("repo:o/r:environment:{}", "\"".repeat(255));
        assert!(size(&listed(&[quotes.as_str(); 9], ROOM)) <= ROOM);
    }

    #[test]
    fn warnings_have_the_room_first_and_are_cut_at_a_sentence() {
        assert_eq!((fitting("w"), fitting("")), ("w".to_owned(), String::new()));
        let sentence = "w".repeat(600);
        let all = [sentence.as_str(); 4].join(". ");
        let shown = fitting(&all);
        assert!(
            shown.ends_with("w. There are more warnings: see the function's log") && size(&shown) > 1200,
            "{shown}"
        );
        assert!(fitting(&"w".repeat(4000)).starts_with("There are warnings"));
        let shown = fitting(&"w. ".repeat(300_000));
        assert!(
            shown.ends_with("w. There are more warnings: see the function's log") && size(&shown) > 1690,
            "{shown}"
        );
        let subject = "repo:octo-org@123456/octo-repo@456789:pull_request";
        let attributes = size(&shown) + size(&listed(&[subject; 70], ROOM - size(&shown)));
        assert!(attributes <= ROOM, "{attributes}");
    }
}
