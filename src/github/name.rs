//! Names as GitHub and git allow them, checked before any call, because a name that cannot exist makes a role that
//! nobody can assume, and a wildcard in the wrong place makes one that strangers can.

use std::fmt;

/// `owner/name` of one repository, in the case that GitHub has it: conditions are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    owner: String,
    name: String,
}

impl Repository {
    /// The expected form of a repository, for messages.
    pub const EXPECTED: &'static str = "\"owner/name\" of one GitHub repository";

    /// Reads `owner/name`.
    ///
    /// # Errors
    /// With what is allowed and, for the usual mistakes, a hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = |hint: &str| Err(format!("{}{hint}", Self::EXPECTED));
        if text.contains("://") || text.starts_with("github.com/") || text.starts_with("git@") {
            return expected(" without a host");
        }
        if text.starts_with("repo:") {
            return expected(" without the prefix `repo:`");
        }
        if text.contains('@') {
            return expected(" without ids: write them as `OwnerId` and `RepositoryId`");
        }
        if text.contains(['*', '?']) {
            return expected(" without wildcards (list each repository)");
        }
        if text.to_ascii_lowercase().ends_with(".git") {
            return expected(" without `.git`, which no repository's name ends in");
        }
        let Some((owner, name)) = text.split_once('/') else { return expected(" with its owner") };
        if !is_owner(owner) || !is_repository_name(name) {
            return expected("");
        }
        Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// The user or organisation.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Without its owner.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The scope of a trust entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepositoryScope {
    /// A repository.
    Repository(Repository),
    /// Every repository of an owner, now and in the future.
    Organisation(String),
}

impl RepositoryScope {
    /// Reads `owner/name` or `owner/*`.
    ///
    /// # Errors
    /// As [`Repository::parse`].
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_suffix("/*") {
            Some(owner) if is_owner(owner) => Ok(Self::Organisation(owner.to_owned())),
            _ => Repository::parse(text).map(Self::Repository),
        }
    }

    /// The user or organisation.
    #[must_use]
    pub fn owner(&self) -> &str {
        match self {
            Self::Repository(repository) => repository.owner(),
            Self::Organisation(owner) => owner,
        }
    }

    /// The name of the repository or of the owner.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Repository(repository) => repository.to_string(),
            Self::Organisation(owner) => owner.clone(),
        }
    }

    /// All repositories of its owner.
    #[must_use]
    pub fn organisation(&self) -> Self {
        Self::Organisation(self.owner().to_owned())
    }
}

impl fmt::Display for RepositoryScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(repository) => repository.fmt(f),
            Self::Organisation(owner) => write!(f, "{owner}/*"),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// A user or organisation.
///
/// # Errors
/// With what is allowed.
pub fn owner(text: &str) -> Result<String, String> {
    if is_owner(text) { Ok(text.to_owned()) } else { Err("the name of an organisation".to_owned()) }
}

/// Up to 39 letters, digits and hyphens; managed users of an enterprise also have one `_` before its short code.
fn is_owner(owner: &str) -> bool {
    let characters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=39).contains(&owner.len()) && owner.bytes().all(characters) && !owner.starts_with('-')
}

fn is_repository_name(name: &str) -> bool {
    let characters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=100).contains(&name.len()) && name.bytes().all(characters) && name != "." && name != ".."
}

/// The short name of a branch, or a pattern of `*` and `?` for several.
///
/// # Errors
/// With what is allowed.
pub fn branch(text: &str) -> Result<String, String> {
    short_ref(text, "branch", "main").map(|()| text.to_owned())
}

/// The short name of a tag, or a pattern.
///
/// # Errors
/// With what is allowed.
pub fn tag(text: &str) -> Result<String, String> {
    short_ref(text, "tag", "v1.0.0").map(|()| text.to_owned())
}

/// The name of an environment, or a pattern.
///
/// # Errors
/// With what is allowed.
pub fn environment(text: &str) -> Result<String, String> {
    if text.chars().count() > 255 || text.trim() != text || text.chars().any(char::is_control) {
        return Err("the name of an environment, at most 255 characters".to_owned());
    }
    in_policy(text).map(|()| text.to_owned())
}

/// Returns true if the subject alone does not tell an environment from others. GitHub writes `:` as `%3A` in a subject and
/// leaves `%` as it is, and a wildcard can stand for a part of that.
#[must_use]
pub fn needs_claim(environment: &str) -> bool {
    environment.trim_end_matches('*').contains([':', '%', '*', '?'])
}

/// Describes the branches of a pattern that is open: its wildcard does not stand behind a `/`, so that `release*` also fits
/// `released`.
#[must_use]
pub fn open_branch(text: &str) -> Option<String> {
    open(text, "branch", |before| before.contains('/'))
}

/// Describes the tags of a pattern without a literal beginning.
#[must_use]
pub fn open_tag(text: &str) -> Option<String> {
    open(text, "tag", |before| !before.is_empty())
}

/// Describes the environments of a pattern that is open: `Production*` also fits `Production-sandbox`, which anybody who can
/// push a workflow can make.
#[must_use]
pub fn open_environment(text: &str) -> Option<String> {
    open(text, "environment", |before| before.ends_with(['-', '_', '.', '/']))
}

fn open(text: &str, kind: &str, is_closed: impl Fn(&str) -> bool) -> Option<String> {
    let (before, _) = text.split_at(text.find(['*', '?'])?);
    match before {
        before if is_closed(before) => None,
        "" if text.bytes().all(|byte| byte == b'*') => Some(format!("every {kind}")),
        "" => Some(format!("every {kind} like `{text}`")),
        before => Some(format!("every {kind} whose name begins with `{before}`")),
    }
}

/// A ref as the claim `ref` has it, or a pattern.
///
/// # Errors
/// With what is allowed.
pub fn full_ref(text: &str) -> Result<String, String> {
    let named = match (text.strip_prefix("refs/heads/"), text.strip_prefix("refs/tags/")) {
        (Some(name), _) => branch(name).map(drop),
        (_, Some(name)) => tag(name).map(drop),
        _ if is_pull_request(text) => Ok(()),
        _ => Err("a whole ref: refs/heads/<branch>, refs/tags/<tag> or refs/pull/*/merge".to_owned()),
    };
    named.map(|()| text.to_owned())
}

fn is_pull_request(reference: &str) -> bool {
    let number = reference.strip_prefix("refs/pull/").and_then(|rest| rest.strip_suffix("/merge"));
    number
        .is_some_and(|number| number == "*" || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())))
}

/// Checks a text that becomes a part of a policy, in which IAM takes no other characters:
/// `[\u0009\u000A\u000D\u0020-\u00FF]+`.
///
/// # Errors
/// With the character that IAM refuses.
pub fn in_policy(text: &str) -> Result<(), String> {
    match text.chars().find(|c| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
        Some(other) => Err(format!(
            "characters that IAM takes in a policy, which end at U+00FF, and not {other:?} (U+{:04X})",
            u32::from(other)
        )),
        None => Ok(()),
    }
}

/// `owner/name/.github/workflows/file@ref`, as the claim `job_workflow_ref` has it.
///
/// # Errors
/// With what is allowed.
pub fn workflow(text: &str) -> Result<String, String> {
    let expected = |hint: &str| {
        Err(format!(
            "\"owner/name/.github/workflows/<file>@<ref>\" as in the claim `job_workflow_ref`, the ref being refs/heads/…, \
             refs/tags/…, refs/pull/*/merge, a commit's whole SHA or * for any{hint}"
        ))
    };
    let Some((path, at)) = split_workflow(text) else { return expected("") };
    let own = path.split_once(GITHUB_S_OWN).filter(|(_, name)| is_github_s_own(name));
    let Some((repository, file)) = path.split_once("/.github/workflows/").or(own) else { return expected("") };
    if path.contains(['*', '?']) {
        return expected(", with wildcards in the ref only");
    }
    let plain = |c: char| !c.is_control() && (!c.is_whitespace() || c == ' ') && c != ':' && c != '/';
    let is_file = own.is_some() || (file.trim() == file && !file.is_empty() && file.chars().all(plain));
    if file.contains(':') {
        return expected("; rename a file that has `:` in its name, because GitHub writes it otherwise in a subject");
    }
    if Repository::parse(repository).is_err() || !is_file {
        return expected("");
    }
    if let Err(why) = in_policy(file) {
        return expected(&format!(" ({why})"));
    }
    if own.is_none() && !has_workflow_ending(file) {
        return expected("; GitHub runs files that end in .yml or .yaml");
    }
    match full_ref(at) {
        Err(_) if !is_sha(at) && is_sha(&at.to_ascii_lowercase()) => expected(" (a SHA has small letters)"),
        Err(_) if is_sha(at) || matches!(at, "*" | "refs/*") => Ok(text.to_owned()),
        Err(_) if !at.starts_with("refs/") => expected(" (a short ref is written out in the token: @refs/heads/main)"),
        Err(why) => expected(&format!(" ({why})")),
        Ok(_) => Ok(text.to_owned()),
    }
}

/// Stands between a repository and one of GitHub's own workflows, such as `dynamic/dependabot/dependabot-updates`.
const GITHUB_S_OWN: &str = "/dynamic/";

fn is_github_s_own(name: &str) -> bool {
    let is_plain =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.split_once('/').is_some_and(|(service, workflow)| is_plain(service) && is_plain(workflow))
}

/// Splits the path of a workflow from its ref. Both can have an `@`.
#[must_use]
pub fn split_workflow(text: &str) -> Option<(&str, &str)> {
    let lower = text.to_ascii_lowercase();
    let endings = [".yml@", ".yaml@"].iter().filter_map(|ending| Some(lower.find(ending)? + ending.len() - 1));
    let at = endings.min().or_else(|| text.find('@'))?;
    Some((&text[..at], &text[at + 1..]))
}

/// The repository of a workflow.
#[must_use]
pub fn repository_of_workflow(text: &str) -> &str {
    let end = text.match_indices('/').nth(1).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

/// "You must use the file extension .yml or .yaml."
/// <https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do>
fn has_workflow_ending(file: &str) -> bool {
    let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("yml" | "yaml"))
}

/// Returns true for the hash of a commit as git writes it.
#[must_use]
pub fn is_sha(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    matches!(text.len(), 40 | 64) && text.bytes().all(is_digit)
}

/// <https://git-scm.com/docs/git-check-ref-format>, but for `*` and `?`, which are the author's wildcards here.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "git compares `.lock` like this")]
fn short_ref(text: &str, what: &str, example: &str) -> Result<(), String> {
    if text.starts_with("refs/") {
        return Err(format!("the short name of a {what}, such as {example:?}, without `refs/…/`"));
    }
    // <https://docs.github.com/en/get-started/using-git/dealing-with-special-characters-in-branch-and-tag-names>
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!(
            "the name of a {what}: GitHub takes no name of 40 hexadecimal digits, which looks like a commit"
        ));
    }
    let forbidden = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '[' | '\\' | '\u{7f}');
    let component = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let valid = !text.contains(forbidden)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !text.starts_with('-')
        && text != "@"
        && text.len() <= 244
        && text.split('/').all(component);
    in_policy(text)?;
    if valid { Ok(()) } else { Err(format!("the name of a {what} as git allows it, such as {example:?}")) }
}

#[cfg(test)]
#[path = "tests/name.rs"]
mod tests;
