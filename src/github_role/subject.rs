//! The subject of a token says who asks: `repo:OWNER/NAME:<context>`. A subject that the author wrote without a wildcard
//! is compared to the letter; only `*` and `?` that the author wrote are patterns.
//!
//! Source: <https://docs.github.com/en/actions/reference/security/oidc#example-subject-claims>.

use std::fmt;

use crate::github::name::Repository;

/// A subject as a condition of a trust policy writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    text: String,
    pattern: bool,
}

/// What a job runs for. An environment wins over everything else: a job that names one has no ref in its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// A push to a branch, or anything else that runs on it.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A deployment environment.
    Environment(String),
    /// A pull request, from the repository itself or, for some events, from a fork.
    PullRequest,
}

impl Subject {
    /// The subject of jobs in `repository` that run for `context`, in the classic form.
    #[must_use]
    pub fn classic(repository: &Repository, context: &Context) -> Self {
        let (context, name) = match context {
            Context::Branch(name) => ("ref:refs/heads/", name.as_str()),
            Context::Tag(name) => ("ref:refs/tags/", name.as_str()),
            Context::Environment(name) => ("environment:", name.as_str()),
            Context::PullRequest => ("pull_request", ""),
        };
        // GitHub writes a colon inside a value as %3A, so that it cannot be taken for the end of the value.
        let name = name.replace(':', "%3A");
        Self::written(&format!("repo:{repository}:{context}{name}"))
    }

    /// A subject whose `*` and `?` are wildcards.
    #[must_use]
    pub fn written(text: &str) -> Self {
        Self { text: text.to_owned(), pattern: text.contains(['*', '?']) }
    }

    /// Whether it has wildcards.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.pattern
    }

    /// As a condition's value: IAM would read `${` as the beginning of a policy variable.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
    #[must_use]
    pub fn condition_value(&self) -> String {
        self.text.replace("${", "${$}{")
    }

    /// Reads a condition's value.
    #[must_use]
    pub fn from_condition(value: &str, pattern: bool) -> Self {
        Self { text: value.replace("${$}", "$"), pattern }
    }

    /// Whether every token that `other` admits is admitted by this one. A pattern is compared with a pattern as text,
    /// which can miss some, but never claims too much.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || (self.pattern && matches(self.text.as_bytes(), other.text.as_bytes()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// IAM's `StringLike`: `*` stands for any characters, `?` for one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to go on if what follows the last `*` does not fit here.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                star = Some((at_pattern + 1, at_text));
                at_pattern += 1;
            }
            Some(&byte) if byte == text[at_text] || (byte == b'?' && text[at_text] != b'*') => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => match &mut star {
                Some((resume, reached)) => {
                    *reached += 1;
                    (at_pattern, at_text) = (*resume, *reached);
                }
                None => return false,
            },
        }
    }
    pattern[at_pattern..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_read_as_github_writes_them() {
        let repository = Repository::parse("octo-org/octo-repo").unwrap();
        for (context, subject) in [
            (Context::Branch("release/*".into()), "repo:octo-org/octo-repo:ref:refs/heads/release/*"),
            (Context::Tag("v1".into()), "repo:octo-org/octo-repo:ref:refs/tags/v1"),
            (Context::Environment("eu: live".into()), "repo:octo-org/octo-repo:environment:eu%3A live"),
            (Context::PullRequest, "repo:octo-org/octo-repo:pull_request"),
        ] {
            assert_eq!(Subject::classic(&repository, &context).to_string(), subject);
        }
    }

    #[test]
    fn a_policy_variable_is_not_read_into_a_branch_name() {
        let subject = Subject::written("repo:o/r:ref:refs/heads/${aws:username}");
        assert_eq!(subject.condition_value(), "repo:o/r:ref:refs/heads/${$}{aws:username}");
        assert_eq!(Subject::from_condition(&subject.condition_value(), false), subject);
    }

    #[test]
    fn a_pattern_covers_what_it_matches_and_an_exact_subject_only_itself() {
        for (wide, narrow, covered) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", true),
            ("a/*", "a", false),
            ("a/*c", "a/bcbc", true),
            ("a/*c", "a/bcb", false),
            ("a/?", "a/b", true),
            ("a/?", "a/*", false),
            ("a/*", "a/b/*", true),
            ("a/b/*", "a/*", false),
            ("a/b", "a/*", false),
        ] {
            assert_eq!(Subject::written(wide).covers(&Subject::written(narrow)), covered, "{wide} {narrow}");
        }
    }
}
