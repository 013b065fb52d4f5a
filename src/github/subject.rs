//! Whole subjects as an author writes them for a template that the function cannot know: the parts of a job that they pin.
//! A subject that leaves the repository open admits strangers.
//!
//! A subject is a row of `key:value`; no value contains a colon, because GitHub writes `%3A` there. The default form
//! begins with `repo:OWNER/NAME` and goes on with `ref:…`, `environment:…` or the bare word `pull_request`.

use std::collections::BTreeSet;

use super::claim_values::{self, number};
use super::name::{self, Repository};

/// The breadth of a whole subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Certain jobs of a repository.
    Narrow,
    /// More jobs of a repository than most people mean, and which.
    Broad(String),
    /// Jobs of every repository of an owner.
    Owners,
    /// Jobs of every repository on GitHub.
    Anybodys,
}

/// Checks a whole subject. `is_pinned` says that a claim beside it pins the repository.
///
/// # Errors
/// With what is allowed, when it could be the subject of a stranger's token, or of no token at all.
pub fn check(text: &str, is_pinned: bool) -> Result<Breadth, String> {
    let expected = |hint: &str| Err(format!("a whole subject such as \"repo:owner/name:ref:refs/heads/main\"{hint}"));
    if text.chars().all(|c| c == '*' || c == '?') {
        return expected(", not a wildcard alone, which admits every workflow on GitHub");
    }
    if text.contains("://") || text.contains("github.com/") {
        return expected(" without a host");
    }
    if text.chars().any(char::is_control) || text.trim() != text || text.len() > 1024 {
        return expected("");
    }
    name::in_policy(text)?;
    let mut pinned = Pinned::default();
    let mut has_prefix = false;
    let mut all = pairs(text).peekable();
    while let Some((key, value)) = all.next() {
        if key == "pull_request" {
            pinned.parts.insert(Part::Context);
            pinned.has_closed_context = true;
            continue;
        }
        // Behind a repository, a wildcard in the place of everything else.
        if is_any(key) && all.peek().is_none() && pinned.has(Part::Repository) && !pinned.has(Part::Context) {
            return Ok(Breadth::Broad(EVERY_JOB.to_owned()));
        }
        // A custom property may have `-`, `$` and `#` in its name.
        let is_key = !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$' | b'#'));
        let may_be_empty = OF_PULL_REQUESTS_ONLY.contains(&key);
        let Some(value) = value.filter(|value| is_key && (may_be_empty || !value.is_empty())) else {
            return expected(", that is `key:value` pairs joined by `:`, with wildcards in values only");
        };
        if key == "context" {
            return Err("`ref:…`, `environment:…` or `pull_request` in the place of `context`, which no subject says"
                .to_owned());
        }
        claim(key)?;
        if key == "repo" && (std::mem::replace(&mut has_prefix, true) || value == "repo") {
            return expected(" with the prefix `repo:` once");
        }
        pinned.add(key, value)?;
    }
    pinned.breadth(is_pinned).map_or_else(
        || {
            expected(
                " that pins the repository (`repo`, `repository`, `repository_id`), the owner or the workflow \
                 (`job_workflow_ref`): this one can be the subject of anybody's token",
            )
        },
        Ok,
    )
}

const EVERY_JOB: &str = "every branch, tag, environment and pull request of the repository is let in";

/// The claims of GitHub's tokens that a subject can be made of, beside those of custom properties.
/// <https://token.actions.githubusercontent.com/.well-known/openid-configuration>, `claims_supported`
const CLAIMS: [&str; 31] = [
    "actor",
    "actor_id",
    "base_ref",
    "check_run_id",
    "context",
    "enterprise",
    "enterprise_id",
    "environment",
    "environment_node_id",
    "event_name",
    "head_ref",
    "issuer_scope",
    "job_workflow_ref",
    "job_workflow_sha",
    "ref",
    "ref_protected",
    "ref_type",
    "repo",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "run_attempt",
    "run_id",
    "run_number",
    "runner_environment",
    "sha",
    "workflow",
    "workflow_ref",
    "workflow_sha",
];

/// The claims that only jobs of pull requests have. They are empty in the tokens of others, and so in their subjects.
/// <https://docs.github.com/en/actions/concepts/security/openid-connect#understanding-the-oidc-token>, the example
pub const OF_PULL_REQUESTS_ONLY: [&str; 2] = ["base_ref", "head_ref"];

/// Checks the name of a claim.
///
/// # Errors
/// With what is allowed.
pub fn claim(name: &str) -> Result<(), String> {
    if CLAIMS.contains(&name) || name.strip_prefix("repo_property_").is_some_and(|property| !property.is_empty()) {
        return Ok(());
    }
    let lower = name.to_ascii_lowercase();
    let hint = if CLAIMS.contains(&lower.as_str()) { format!(" (`{lower}`)") } else { String::new() };
    Err(format!("claims that GitHub's tokens have{hint}, and not `{name}`, which no token's subject has"))
}

/// The value of a claim, which is compared by itself: a `?` is itself, and a `*` at the end a wildcard.
///
/// # Errors
/// With what is allowed.
pub fn claim_value(text: &str) -> Result<String, String> {
    let is_mixed = text.contains('?') && text.contains('*');
    if is_mixed || text.trim_end_matches('*').contains('*') || text.chars().any(char::is_control) {
        return Err("a value with a `*` at its end only, and then without `?`".to_owned());
    }
    name::in_policy(text).map(|()| text.to_owned())
}

/// The value of a claim that only the subject tells.
///
/// # Errors
/// With what is allowed.
pub fn template_value(text: &str) -> Result<String, String> {
    if name::needs_claim(text) {
        return Err("a value without `:`, `%` and `?`, with a `*` at its end only: GitHub writes `:` as `%3A` in a \
                    subject, so that two values can have one subject; whole `Subjects` say such a value"
            .to_owned());
    }
    claim_value(text)
}

/// The value of `workflow_ref`, which has no colon, so that a wildcard in its ref stands for a part of that only.
///
/// # Errors
/// As [`template_value`].
pub fn workflow_value(text: &str) -> Result<String, String> {
    name::workflow(text).ok().filter(|_| !text.contains('%')).map_or_else(|| template_value(text), Ok)
}

/// A part of a job that a subject can pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Owner,
    Repository,
    Workflow,
    /// A branch, a tag, an environment or pull requests.
    Context,
}

/// The parts of a job that a subject pins.
#[derive(Default)]
struct Pinned {
    parts: BTreeSet<Part>,
    /// The names of an open pattern, which pins nothing.
    open: Option<String>,
    /// True if one of several contexts is closed: a job fits all of them.
    has_closed_context: bool,
}

impl Pinned {
    /// Adds the part that a pair pins.
    fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        claim_values::check(key, value)?;
        let part = match key {
            "repo" => repo_value(value).map(|()| Part::Repository)?,
            "repository" => Repository::parse(value).map(|_| Part::Repository)?,
            "repository_id" => Part::Repository,
            "repository_owner_id" => Part::Owner,
            "repository_owner" if !value.contains(['*', '?']) => Part::Owner,
            "job_workflow_ref" | "workflow_ref" => {
                name::workflow(value)?;
                let (_, reference) = name::split_workflow(value).unwrap_or_default();
                if open_ref(reference).is_some() {
                    return Ok(());
                }
                Part::Workflow
            }
            "ref" => {
                if value != "refs/*" {
                    name::full_ref(value)?;
                }
                self.add_context(open_ref(value));
                Part::Context
            }
            "environment" if name::needs_claim(value) => {
                return Err(
                    "this environment under `Environments`: more than one name is written like that in a subject, \
                     and there its claim is pinned, too"
                        .to_owned(),
                );
            }
            "environment" => {
                name::environment(value)?;
                self.add_context(name::open_environment(value));
                Part::Context
            }
            _ if value.contains(['*', '?']) => {
                return Err(format!("no wildcard in the value of `{key}`, which could then be anything"));
            }
            _ => return Ok(()),
        };
        self.parts.insert(part);
        Ok(())
    }

    fn add_context(&mut self, open: Option<String>) {
        self.has_closed_context |= open.is_none();
        self.open = self.open.take().or(open);
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    fn breadth(self, is_pinned: bool) -> Option<Breadth> {
        let broad = |why: &str| Some(Breadth::Broad(why.to_owned()));
        if self.has(Part::Repository) || is_pinned {
            return match &self.open {
                _ if self.has(Part::Workflow) => Some(Breadth::Narrow),
                Some(names) if !self.has_closed_context => broad(&format!("{names} of the repository is let in")),
                _ if self.has(Part::Context) => Some(Breadth::Narrow),
                _ => broad(EVERY_JOB),
            };
        }
        if self.has(Part::Owner) {
            return Some(Breadth::Owners);
        }
        self.has(Part::Workflow).then_some(Breadth::Anybodys)
    }
}

/// Describes the refs of an open pattern.
fn open_ref(reference: &str) -> Option<String> {
    match (reference.strip_prefix("refs/heads/"), reference.strip_prefix("refs/tags/")) {
        (Some(branch), _) => name::open_branch(branch),
        (_, Some(tag)) => name::open_tag(tag),
        _ => matches!(reference, "*" | "refs/*")
            .then(|| "every branch and tag (and every pull request where a template says `ref`)".to_owned()),
    }
}

/// Returns true if a `*` of a subject stands in the place of whole words.
#[must_use]
pub fn spans_words(subject: &str) -> bool {
    pairs(subject).any(|(key, _)| is_any(key))
}

/// Returns true if a subject has ids beside the names of owner and repository.
#[must_use]
pub fn has_prefix_ids(subject: &str) -> bool {
    value(subject, "repo").and_then(prefix).is_some_and(|prefix| prefix.ids.is_some())
}

/// Returns true if a subject carries the id of its repository.
#[must_use]
pub fn has_repository_id(subject: &str) -> bool {
    has_prefix_ids(subject) || value(subject, "repository_id").and_then(number).is_some()
}

/// Splits a subject into `key:value` pairs. `pull_request` and a wildcard in the place of a pair are words by themselves, and a
/// key at the end has no value.
pub fn pairs(subject: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut words = subject.split(':');
    std::iter::from_fn(move || {
        let key = words.next()?;
        Some((key, if key == "pull_request" || is_any(key) { None } else { words.next() }))
    })
}

/// Returns true for a wildcard in the place of a pair, or of several.
#[must_use]
pub fn is_any(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte == b'*')
}

/// Returns the first value of a key in a subject.
#[must_use]
pub fn value<'a>(subject: &'a str, key: &str) -> Option<&'a str> {
    pairs(subject).find_map(|(found, value)| value.filter(|_| found == key))
}

/// Removes the ids of the immutable form: `o@1/r@2` becomes `o/r`.
#[must_use]
pub fn without_ids(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('@') {
        plain.push_str(before);
        rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == behind.len() {
            plain.push('@');
        }
    }
    plain + rest
}

/// `OWNER/NAME` or `OWNER@ID/NAME@ID`.
fn repo_value(value: &str) -> Result<(), String> {
    if value.contains(['*', '?']) {
        return Err(
            "one exact subject for each repository and form: a pattern that catches several also catches those of \
             other owners (for a whole organisation write `Repository: owner/*`)"
                .to_owned(),
        );
    }
    if prefix(value).is_none() {
        return Err("`repo:owner/name` or `repo:owner@id/name@id`".to_owned());
    }
    Ok(())
}

/// The value behind `repo:` in a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// Owner and name.
    pub repository: Repository,
    /// The owner's and the repository's id, in the immutable form.
    pub ids: Option<(u64, u64)>,
}

/// Reads `OWNER/NAME` or `OWNER@ID/NAME@ID`.
#[must_use]
pub fn prefix(value: &str) -> Option<Prefix> {
    let (owner, name) = value.split_once('/')?;
    let (repository, ids) = match (owner.split_once('@'), name.split_once('@')) {
        (None, None) => (value.to_owned(), None),
        (Some((owner, owner_id)), Some((name, id))) => {
            (format!("{owner}/{name}"), Some((number(owner_id)?, number(id)?)))
        }
        _ => return None,
    };
    Some(Prefix { repository: Repository::parse(&repository).ok()?, ids })
}

#[cfg(test)]
#[path = "tests/subject.rs"]
mod tests;
