//! The templates that a subject fits. A subject does not tell its template: `ref:…` can stand for `ref` or for `context`.

use super::subject::{is_any, pairs};

const CONTEXT: &str = "context";

/// Returns true if a subject can be of a template. A wildcard at the end stands for all parts that are left.
#[must_use]
pub fn fits(subject: &str, template: &[impl AsRef<str>]) -> bool {
    let parts: Vec<Part<'_>> = pairs(subject).collect();
    let is_open = parts.last().is_some_and(|(key, _)| is_any(key)) && parts.len() <= template.len();
    let keys = template.iter().map(AsRef::as_ref);
    (is_open || parts.len() == template.len()) && parts.iter().zip(keys).all(|(part, key)| stands_for(part, key))
}

/// A part of a subject: its key, and the value of that.
type Part<'a> = (&'a str, Option<&'a str>);

/// Returns true if a part of a subject can stand for a claim of a template.
fn stands_for(part: &Part<'_>, key: &str) -> bool {
    part.0 == key || is_any(part.0) || (key == CONTEXT && is_context(part))
}

/// Returns true for a context. That of a pull request says no ref.
fn is_context((key, value): &Part<'_>) -> bool {
    match *key {
        "ref" => value.is_some_and(|value| !value.starts_with("refs/pull/")),
        "environment" | "pull_request" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_fits_each_template_that_can_make_it() {
        for (subject, template, expected) in [
            ("repo:o/r:ref:refs/heads/main", "repo context", true),
            ("repo:o/r:ref:refs/heads/main", "repo ref", true),
            ("repo:o/r:ref:refs/heads/main", "repo environment", false),
            ("repo:o/r:pull_request:ref:refs/heads/main", "repo context ref", true),
            ("repo:o/r:pull_request:ref:refs/heads/main", "repo ref context", false),
            ("repo:o/r:*:ref:refs/heads/main", "repo context ref", true),
            ("repo:o/r:*:ref:refs/heads/main", "repo job_workflow_ref context", true),
            ("repo:o/r:*", "repo context", true),
            ("repo:o/r:*", "repo context ref", true),
            ("repo:o/r:*", "repo", false),
            ("repo:o/r:ref:refs/pull/*/merge", "repo context", false),
            ("repo:o/r:ref:refs/pull/*/merge", "repo ref", true),
            ("repository_owner:o:repo:o/r:environment:prod", "repository_owner repo context", true),
            ("repo:o/r:environment:prod", "repo", false),
        ] {
            let template: Vec<&str> = template.split(' ').collect();
            assert_eq!(fits(subject, &template), expected, "{subject} {template:?}");
        }
    }
}
