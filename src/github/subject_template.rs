//! The templates that a subject can be of. A subject does not tell its template: `ref:…` can stand for `ref` or for `context`.

use super::subject::{is_any, pairs};

const CONTEXT: &str = "context";

/// Returns true if a subject can be of a template.
#[must_use]
pub fn fits(subject: &str, template: &[impl AsRef<str>]) -> bool {
    let mut parts = pairs(subject);
    let is_next = |key: &str| parts.next().is_some_and(|(part, _)| stands_for(part, key));
    template.iter().map(AsRef::as_ref).all(is_next) && parts.next().is_none()
}

/// Returns the templates that a subject can be of, the likeliest first: `context` comes early in most templates. A wildcard in the
/// place of an unknown claim stays one.
pub fn templates(subject: &str) -> impl Iterator<Item = Vec<&str>> {
    let parts: Vec<&str> = pairs(subject).map(|(key, _)| key).collect();
    let needs_context = parts.contains(&"pull_request");
    let may_be = |part: &str| part == "pull_request" || (!needs_context && stands_for(part, CONTEXT));
    let places: Vec<usize> = (0..parts.len()).filter(|place| may_be(parts[*place])).collect();
    let whole = (!needs_context).then(|| parts.clone());
    let with_context = move |place: usize| {
        let mut keys = parts.clone();
        keys[place] = CONTEXT;
        keys
    };
    places.into_iter().map(with_context).chain(whole)
}

/// Returns true if a part of a subject can stand for a claim of a template.
fn stands_for(part: &str, key: &str) -> bool {
    part == key || is_any(part) || (key == CONTEXT && is_context(part))
}

/// Returns true for the first word of a context in a subject.
#[must_use]
pub fn is_context(part: &str) -> bool {
    matches!(part, "ref" | "environment" | "pull_request")
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
            ("repo:o/r:*", "repo context ref", false),
            ("repository_owner:o:repo:o/r:environment:prod", "repository_owner repo context", true),
            ("repo:o/r:environment:prod", "repo", false),
        ] {
            let template: Vec<&str> = template.split(' ').collect();
            assert_eq!(fits(subject, &template), expected, "{subject} {template:?}");
            assert!(!expected || templates(subject).any(|keys| fits(subject, &keys)), "{subject}");
        }
    }

    #[test]
    fn the_templates_of_a_subject_begin_with_an_early_context() {
        for (subject, expected) in [
            ("repo:o/r:ref:refs/heads/main", "repo context, repo ref"),
            ("repo:o/r:pull_request:ref:refs/heads/main", "repo context ref"),
            ("repo:o/r:*:ref:refs/heads/main", "repo context ref, repo * context, repo * ref"),
            ("repository_id:2:environment:prod", "repository_id context, repository_id environment"),
            ("repo:o/r:job_workflow_ref:o/r/w@refs/heads/main", "repo job_workflow_ref"),
        ] {
            let all: Vec<String> = templates(subject).map(|keys| keys.join(" ")).collect();
            assert_eq!(all.join(", "), expected, "{subject}");
        }
    }
}
