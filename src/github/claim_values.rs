//! The values that GitHub gives the claims of its tokens, where they are a closed set or of one form.
//!
//! Source: <https://docs.github.com/en/actions/reference/security/oidc>, "OIDC token claims".

use super::name::{self, is_sha};

/// An id as GitHub writes it.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == text)
}

/// The values of a claim.
#[derive(Clone, Copy)]
enum Values {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Number,
    /// The hash of a commit.
    Commit,
    /// The name of an event.
    Event,
    /// A workflow file at a ref.
    Workflow,
}

/// The claims whose values are closed; those of others can be any text.
const CLAIMS: [(&str, Values); 17] = [
    ("actor_id", Values::Number),
    ("check_run_id", Values::Number),
    ("enterprise_id", Values::Number),
    ("event_name", Values::Event),
    ("job_workflow_sha", Values::Commit),
    ("ref_protected", Values::OneOf(&["true", "false"])),
    // "Valid values are branch or tag", of the variable `GITHUB_REF_TYPE`.
    // <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>
    ("ref_type", Values::OneOf(&["branch", "tag"])),
    ("repository_id", Values::Number),
    ("repository_owner_id", Values::Number),
    ("repository_visibility", Values::OneOf(&["internal", "private", "public"])),
    ("run_attempt", Values::Number),
    ("run_id", Values::Number),
    ("run_number", Values::Number),
    ("runner_environment", Values::OneOf(&["github-hosted", "self-hosted"])),
    ("sha", Values::Commit),
    ("workflow_ref", Values::Workflow),
    ("workflow_sha", Values::Commit),
];

/// Checks a value of a claim.
///
/// # Errors
/// With what GitHub sends, when that is never the value.
pub fn check(claim: &str, value: &str) -> Result<(), String> {
    let Some(values) = values(claim) else { return Ok(()) };
    let is_sent = match values {
        Values::OneOf(all) => all.contains(&value),
        Values::Number => number(value).is_some(),
        Values::Commit => is_sha(value),
        Values::Event => is_event(value),
        Values::Workflow => return name::workflow(value).map(drop),
    };
    if is_sent { Ok(()) } else { Err(sent(claim, values)) }
}

/// Checks a value of a claim that may end with a `*`.
///
/// # Errors
/// As [`check`].
pub fn check_pattern(claim: &str, pattern: &str) -> Result<(), String> {
    let beginning = pattern.trim_end_matches('*');
    let Some(values) = values(claim).filter(|_| beginning != pattern) else { return check(claim, pattern) };
    let is_sent = beginning.is_empty()
        || match values {
            Values::OneOf(all) => all.iter().any(|value| value.starts_with(beginning)),
            Values::Number => number(beginning).is_some(),
            Values::Commit => beginning.len() <= 64 && beginning.bytes().all(is_hexadecimal),
            Values::Event => is_event(beginning),
            // The wildcard stands for the rest of the file's name, or of the ref.
            Values::Workflow => {
                let is_whole = |rest: &str| name::workflow(&format!("{beginning}{rest}")).is_ok();
                if is_whole("*") || is_whole("x.yml@*") {
                    return Ok(());
                }
                return name::workflow(pattern).map(drop);
            }
        };
    if is_sent { Ok(()) } else { Err(sent(claim, values)) }
}

fn values(claim: &str) -> Option<Values> {
    CLAIMS.iter().find(|(name, _)| *name == claim).map(|(_, values)| *values)
}

/// All events have small letters and `_`.
fn is_event(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn is_hexadecimal(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

/// Describes the values that GitHub sends.
fn sent(claim: &str, values: Values) -> String {
    let values = match values {
        Values::OneOf([first @ .., last]) => format!("{} or {last}", first.join(", ")),
        Values::OneOf([]) => String::new(),
        Values::Number => "a whole number without a leading 0".to_owned(),
        Values::Commit => "a commit's whole SHA in small letters".to_owned(),
        Values::Event => "the name of an event in small letters, such as push or pull_request".to_owned(),
        Values::Workflow => "owner/name/.github/workflows/<file>@<ref>".to_owned(),
    };
    format!("a value that GitHub sends as `{claim}`: {values}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_with_closed_values_takes_those_that_github_sends() {
        let sha = "a".repeat(40);
        for (claim, sent, never) in [
            ("ref_type", vec!["branch", "tag"], vec!["Branch", "heads", ""]),
            (
                "event_name",
                vec!["push", "pull_request", "some_new_event"],
                vec!["Push", "pull-request", "issue comment"],
            ),
            ("runner_environment", vec!["github-hosted", "self-hosted"], vec!["mine", "GitHub-hosted"]),
            ("repository_visibility", vec!["internal", "private", "public"], vec!["Private", "secret"]),
            ("ref_protected", vec!["true", "false"], vec!["yes", "True"]),
            ("run_attempt", vec!["1", "12"], vec!["0", "01", "x", "-1"]),
            ("sha", vec![sha.as_str()], vec!["abc", "A"]),
            ("workflow", vec!["anything At all"], vec![]),
        ] {
            for value in sent {
                assert_eq!((check(claim, value), check_pattern(claim, value)), (Ok(()), Ok(())), "{claim} {value}");
            }
            for value in never {
                let told = check(claim, value).unwrap_err();
                assert!(told.starts_with(&format!("a value that GitHub sends as `{claim}`: ")), "{told}");
                assert!(check_pattern(claim, value).is_err() && check(claim, &format!("{value}*")).is_err(), "{value}");
            }
        }
        assert_eq!(check("ref_type", "Branch").unwrap_err(), "a value that GitHub sends as `ref_type`: branch or tag");
    }

    #[test]
    fn a_pattern_fits_some_value_that_github_sends() {
        for (claim, pattern, fits) in [
            ("repository_visibility", "p*", true),
            ("repository_visibility", "x*", false),
            ("event_name", "pull_*", true),
            ("event_name", "Pull*", false),
            ("run_number", "1*", true),
            ("run_number", "0*", false),
            ("sha", "abc*", true),
            ("sha", "ABC*", false),
            ("ref_type", "*", true),
        ] {
            assert_eq!(check_pattern(claim, pattern).is_ok(), fits, "{claim} {pattern}");
        }
    }
}
