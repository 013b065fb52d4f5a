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
        if text.contains(['*', '?']) {
            return expected(" without wildcards (list each repository)");
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

/// The short name of a branch; `*` and `?` may stand behind a `/`, so that `release/*` does not also mean `released`.
///
/// # Errors
/// With what is allowed.
pub fn branch(text: &str) -> Result<String, String> {
    short_ref(text, "branch", "main")?;
    match text.find(['*', '?']) {
        Some(at) if !text[..at].contains('/') => {
            Err("the name of a branch, with wildcards only behind a `/`, such as \"release/*\"".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// The short name of a tag; `*` and `?` need a literal beginning, such as `v*`.
///
/// # Errors
/// With what is allowed.
pub fn tag(text: &str) -> Result<String, String> {
    short_ref(text, "tag", "v1.0.0")?;
    literal_start(text, "tag", "v*")
}

/// The name of an environment; `*` and `?` may stand behind a separator, such as `review-*`.
///
/// # Errors
/// With what is allowed.
pub fn environment(text: &str) -> Result<String, String> {
    if text.chars().count() > 255 || text.trim() != text || text.chars().any(char::is_control) {
        return Err("the name of an environment, at most 255 characters".to_owned());
    }
    // `Production*` would also let in `Production-sandbox`, which whoever can push a workflow can make.
    match text.find(['*', '?']) {
        Some(at) if !text[..at].ends_with(['-', '_', '.', '/']) => {
            Err("the name of an environment, with wildcards only behind `-`, `_`, `.` or `/`, such as \"review-*\""
                .to_owned())
        }
        _ => Ok(text.to_owned()),
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
             refs/tags/… or a commit's whole SHA{hint}"
        ))
    };
    let Some((path, at)) = text.split_once('@') else { return expected("") };
    let Some((repository, file)) = path.split_once("/.github/workflows/") else { return expected("") };
    if path.contains(['*', '?']) {
        return expected(", with wildcards in the ref only");
    }
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != ':' && c != '/' && c != '@';
    if Repository::parse(repository).is_err() || file.is_empty() || !file.chars().all(plain) {
        return expected("");
    }
    let sha = matches!(at.len(), 40 | 64) && at.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = match (at.strip_prefix("refs/heads/"), at.strip_prefix("refs/tags/")) {
        (Some(branch), _) => self::branch(branch).map(drop),
        (_, Some(tag)) => self::tag(tag).map(drop),
        _ if sha => Ok(()),
        _ => return expected(" (a short ref is written out in the token: @refs/heads/main)"),
    };
    named.map(|()| text.to_owned()).or_else(|why| expected(&format!(" ({why})")))
}

fn literal_start(text: &str, what: &str, example: &str) -> Result<String, String> {
    if text.starts_with(['*', '?']) {
        return Err(format!(
            "the name of a {what}, with wildcards only behind a literal beginning, such as {example:?}"
        ));
    }
    Ok(text.to_owned())
}

/// <https://git-scm.com/docs/git-check-ref-format>, but for `*` and `?`, which are the author's wildcards here.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "git compares `.lock` like this")]
fn short_ref(text: &str, what: &str, example: &str) -> Result<(), String> {
    if text.starts_with("refs/") {
        return Err(format!("the short name of a {what}, such as {example:?}, without `refs/…/`"));
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
    if valid { Ok(()) } else { Err(format!("the name of a {what} as git allows it, such as {example:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_what_people_write_instead() {
        for good in ["octo-org/octo-repo", "a/b", "user_corp/.github", "o/r.js", "1/2"] {
            assert_eq!(Repository::parse(good).map(|repository| repository.to_string()), Ok(good.to_owned()));
        }
        for (bad, hint) in [
            ("octo", "with its owner"),
            ("https://github.com/o/r", "without a host"),
            ("github.com/o/r", "without a host"),
            ("git@github.com:o/r.git", "without a host"),
            ("repo:o/r", "without the prefix"),
            ("o/*", "without wildcards"),
            ("*/r", "without wildcards"),
            ("*", "without wildcards"),
            ("o/r/x", "repository"),
            ("/r", "repository"),
            ("o/", "repository"),
            ("o o/r", "repository"),
            ("o/..", "repository"),
        ] {
            let refused = Repository::parse(bad).unwrap_err();
            assert!(refused.contains(hint), "{bad}: {refused}");
        }
    }

    #[test]
    fn refs_are_checked_as_git_does_and_wildcards_need_an_anchor() {
        for good in ["main", "release/*", "release/1.?", "feature/a-b_c", "dependabot/npm/x-1.2"] {
            assert!(branch(good).is_ok(), "{good}");
        }
        for bad in ["*", "main*", "refs/heads/main", "a b", "a..b", "a:b", "/a", "a/", "a.lock", "-a", "a//b", "a~1"] {
            assert!(branch(bad).is_err(), "{bad}");
        }
        for (text, good) in [("v1", true), ("v*", true), ("*", false), ("?1", false), ("refs/tags/v1", false)] {
            assert_eq!(tag(text).is_ok(), good, "{text}");
        }
        for (text, good) in [
            ("production", true),
            ("eu: live", true),
            ("prod-*", true),
            ("Production*", false),
            ("*", false),
            (" a", false),
        ] {
            assert_eq!(environment(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn only_an_owner_with_a_star_is_a_whole_organisation() {
        assert_eq!(RepositoryScope::parse("octo-org/*"), Ok(RepositoryScope::Organisation("octo-org".to_owned())));
        assert_eq!(RepositoryScope::parse("octo-org/x").map(|scope| scope.to_string()), Ok("octo-org/x".to_owned()));
        for bad in ["*", "*/*", "octo*/*", "octo-org/x*", "/*", "octo-org*/octo-repo*"] {
            assert!(RepositoryScope::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn workflows_are_written_as_the_claim_has_them() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        for (at, good) in
            [("refs/heads/main", true), ("refs/heads/release/*", true), ("refs/tags/v*", true), (sha, true)]
                .into_iter()
                .chain([("main", false), ("v1", false), ("*", false), ("refs/heads/*", false), ("refs/tags/*", false)])
                .chain([("refs/pull/1/merge", false), ("", false), (&sha[1..], false)])
        {
            assert_eq!(workflow(&format!("o/r/.github/workflows/deploy.yml@{at}")).is_ok(), good, "{at}");
        }
        for bad in ["Deploy to production", "o/r/.github/workflows/*@refs/heads/main", "o/r@refs/heads/main"] {
            assert!(workflow(bad).is_err(), "{bad}");
        }
    }
}
