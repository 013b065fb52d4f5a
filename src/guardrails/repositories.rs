//! Guardrails about owners and repositories at GitHub: an entry names them, with the GitHub that has them.

use std::fmt;

use crate::cloudformation::StackId;
use crate::github::Issuer;
use crate::iam_policy::string_like::string_like;

/// The guardrails of owners, and of what is written at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GitHubGuardrails {
    owners: Vec<AllowedOwner>,
    writable: Vec<Writable>,
    adoption: bool,
}

impl GitHubGuardrails {
    /// Permits everything.
    pub(super) fn none() -> Self {
        Self {
            owners: AllowedOwner::read("*").into_iter().collect(),
            writable: ["*/*", "*"].into_iter().filter_map(Writable::read).collect(),
            adoption: true,
        }
    }

    /// Reads them: `list` takes a name and its default.
    pub(super) fn read(list: impl Fn(&str, &str) -> Vec<String>, allowed: impl Fn(&str) -> bool) -> Self {
        Self {
            owners: list("ALLOWED_GITHUB_OWNERS", "*").iter().filter_map(|text| AllowedOwner::read(text)).collect(),
            writable: list("WRITABLE_GITHUB_REPOSITORIES", "").iter().filter_map(|text| Writable::read(text)).collect(),
            adoption: allowed("ALLOW_GITHUB_ADOPTION"),
        }
    }

    /// Returns the reason of a refusal.
    pub(super) fn forbids_owner(&self, property: &str, issuer: &Issuer, owner: Option<&str>) -> Option<String> {
        if self.owners.iter().any(|allowed| allowed.allows(issuer, owner)) {
            return None;
        }
        let allowed = listed(&self.owners);
        Some(match owner {
            Some(owner) => {
                format!("`{property}`: the owner {owner} is not one of {allowed} (guardrail `AllowedGitHubOwners`)")
            }
            None => format!(
                "`{property}`: it does not say whose jobs it lets in, and the owner has to be one of {allowed} (guardrail \
                 `AllowedGitHubOwners`)"
            ),
        })
    }

    /// Returns the reason of a refusal.
    pub(super) fn forbids_write(&self, property: &str, target: &WriteTarget, stack: &StackId) -> Option<String> {
        if self.writable.iter().any(|allowed| allowed.allows(stack, target)) {
            return None;
        }
        let allowed = if self.writable.is_empty() { "nothing".to_owned() } else { listed(&self.writable) };
        let (name, account) = (stack.name(), stack.account());
        Some(format!(
            "`{property}`: the stack {name} of account {account} may not write to {target}, only {allowed} is written to \
             (guardrail `WritableGitHubRepositories`)"
        ))
    }

    /// Returns the reason of a refusal.
    pub(super) fn forbids_adoption(&self, what: &str) -> Option<String> {
        (!self.adoption).then(|| {
            format!(
                "`OnExisting`: {what} that no stack of this function made cannot be adopted (guardrail \
                 `AllowGitHubAdoption`)"
            )
        })
    }
}

fn listed(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An owner at GitHub, at any GitHub or at one: `octo-org`, `ghe.example.com/_services/token/octo-org`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AllowedOwner {
    text: String,
    /// The host that people see.
    host: Option<String>,
    owner: String,
}

impl AllowedOwner {
    /// Reads an entry of the list. A wildcard within a name is none: anybody can register a name that begins alike.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (host, owner) = match text.rsplit_once('/') {
            None => (None, text),
            Some((issuer, owner)) => {
                let issuer = Issuer::parse_without_scheme(issuer).or_else(|_host| Issuer::of_host(issuer)).ok()?;
                (Some(issuer.web_host()), owner)
            }
        };
        is_whole(owner).then(|| Self { text: text.to_owned(), host, owner: owner.to_owned() })
    }

    /// Returns true if the entry allows this owner. Without an owner only a wildcard does.
    pub(super) fn allows(&self, issuer: &Issuer, owner: Option<&str>) -> bool {
        self.host.as_ref().is_none_or(|host| *host == issuer.web_host())
            && (self.owner == "*" || owner.is_some_and(|owner| owner.eq_ignore_ascii_case(&self.owner)))
    }
}

impl fmt::Display for AllowedOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The target of a write at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteTarget {
    /// The GitHub.
    pub issuer: Issuer,
    /// The owner.
    pub owner: String,
    /// The name of the repository; absent for an organisation itself.
    pub repository: Option<String>,
}

impl fmt::Display for WriteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, owner, repository } = self;
        if issuer.web_host() != GITHUB {
            write!(f, "{}/", issuer.web_host())?;
        }
        match repository {
            Some(repository) => write!(f, "{owner}/{repository}"),
            None => write!(f, "the organisation {owner}"),
        }
    }
}

const GITHUB: &str = "github.com";

/// The target of a write that changes every repository of an owner.
pub const EVERY_REPOSITORY: &str = "*";

/// A repository, or an organisation's own variables, that stacks may write to: `octo-org/app`, `octo-org`,
/// `ghe.example.com/octo-org/app`, `team-a-*=octo-org/app`, `111122223333/team-a-*=octo-org/app`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Writable {
    text: String,
    account: Option<String>,
    stack: Option<String>,
    /// The host that people see.
    host: String,
    owner: String,
    repository: Option<String>,
}

impl Writable {
    /// Reads an entry of the list.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (asker, target) = match text.split_once('=') {
            Some((asker, target)) => (Some(asker), target),
            None => (None, text),
        };
        let (account, stack) = match asker.map(|asker| asker.split_once('/').ok_or(asker)) {
            None => (None, None),
            Some(Err(stack)) => (None, Some(stack)),
            Some(Ok((account, stack))) => (Some(account), Some(stack)),
        };
        let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if account.is_some_and(|account| !is_account(account))
            || stack.is_some_and(|stack| stack.is_empty() || stack.contains('/'))
        {
            return None;
        }
        let mut parts: Vec<&str> = target.split('/').collect();
        // No owner's name has a dot, and every host does.
        let host = if parts[0].contains('.') { parts.remove(0) } else { GITHUB };
        let (owner, repository) = match parts.as_slice() {
            [owner] => (*owner, None),
            [owner, repository] if !repository.is_empty() => (*owner, Some((*repository).to_owned())),
            _ => return None,
        };
        Issuer::of_host(host).ok().filter(|_| is_whole(owner))?;
        Some(Self {
            text: text.to_owned(),
            account: account.map(str::to_owned),
            stack: stack.map(str::to_owned),
            host: host.to_owned(),
            owner: owner.to_owned(),
            repository,
        })
    }

    /// Returns true if the entry lets this stack write there.
    pub(super) fn allows(&self, stack: &StackId, target: &WriteTarget) -> bool {
        let like = |pattern: &str, text: &str| string_like(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase());
        let same_repository = match (&self.repository, &target.repository) {
            // One-letter patterns such as `?` would match it, too.
            (Some(pattern), Some(all)) if all == EVERY_REPOSITORY => pattern == EVERY_REPOSITORY,
            (Some(pattern), Some(repository)) => like(pattern, repository),
            (allowed, asked) => allowed.is_none() && asked.is_none(),
        };
        self.account.as_ref().is_none_or(|account| account == stack.account())
            && self.stack.as_ref().is_none_or(|pattern| string_like(pattern, stack.name()))
            && self.host == target.issuer.web_host()
            && like(&self.owner, &target.owner)
            && same_repository
    }
}

impl fmt::Display for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns true for a name without wildcards, and for the wildcard alone.
fn is_whole(owner: &str) -> bool {
    owner == "*" || (!owner.is_empty() && !owner.contains(['*', '?']))
}

/// Returns true if one of these patterns of issuers is the GitHub's own or that of one of its enterprises.
pub(super) fn allows_host(issuers: &[String], issuer: &Issuer) -> bool {
    issuers.iter().any(|allowed| {
        let host = allowed.split('/').next().unwrap_or_default();
        string_like(allowed, &issuer.to_string()) || (issuer.web_host() == GITHUB && host == issuer.host())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(host: &str) -> Issuer {
        Issuer::of_host(host).unwrap()
    }

    #[test]
    fn an_owner_is_allowed_by_its_whole_name_at_the_github_of_the_entry() {
        for (entry, host, owner, allowed) in [
            ("*", "github.com", None, true),
            ("*", "github.com", Some("octo-org"), true),
            ("octo-org", "github.com", Some("Octo-Org"), true),
            ("octo-org", "ghe.example.com", Some("octo-org"), true),
            ("octo-org", "github.com", None, false),
            ("octo-*", "github.com", Some("octo-evil"), false),
            ("octo-?rg", "github.com", Some("octo-org"), false),
            ("ghe.example.com/_services/token/octo-org", "ghe.example.com", Some("octo-org"), true),
            ("ghe.example.com/_services/token/octo-org", "github.com", Some("octo-org"), false),
            ("ghe.example.com/_services/token/*", "ghe.example.com", None, true),
            ("ghe.example.com/octo-org", "ghe.example.com", Some("octo-org"), true),
            ("token.actions.githubusercontent.com/octo-org", "github.com", Some("octo-org"), true),
            ("token.actions.githubusercontent.com/octo-org", "ghe.example.com", Some("octo-org"), false),
            ("token.actions.githubusercontent.com/inc/octo-org", "github.com", Some("octo-org"), true),
            ("octo.ghe.com/octo-org", "octo.ghe.com", Some("octo-org"), true),
            ("https://github.com/octo-org", "github.com", Some("octo-org"), false),
            ("", "github.com", Some(""), false),
        ] {
            let allows = AllowedOwner::read(entry).is_some_and(|entry| entry.allows(&issuer(host), owner));
            assert_eq!(allows, allowed, "{entry} {host} {owner:?}");
        }
    }

    #[test]
    fn a_stack_may_write_where_an_entry_says_so_for_it() {
        let stack = StackId::parse("arn:aws:cloudformation:us-east-1:111122223333:stack/team-a-ci/1").unwrap();
        for (entry, host, target, allowed) in [
            ("octo-org/app", "github.com", "octo-org/app", true),
            ("octo-org/app", "github.com", "Octo-Org/App", true),
            ("octo-org/app", "github.com", "octo-org/apple", false),
            ("octo-org/app", "ghe.example.com", "octo-org/app", false),
            ("octo-org/app", "github.com", "octo-org", false),
            ("octo-org/team-a-*", "github.com", "octo-org/team-a-web", true),
            ("octo-org/*", "github.com", "octo-org/app", true),
            ("octo-org/*", "github.com", "octo-org", false),
            ("octo-org/*", "github.com", "octo/app", false),
            ("octo-*/app", "github.com", "octo-org/app", false),
            ("octo-org", "github.com", "octo-org", true),
            ("octo-org/*", "github.com", "octo-org/*", true),
            ("*/*", "github.com", "octo-org/*", true),
            ("team-a-*=octo-org/*", "github.com", "octo-org/*", true),
            ("octo-org/?", "github.com", "octo-org/*", false),
            ("octo-org/team-a-*", "github.com", "octo-org/*", false),
            ("octo-org", "github.com", "octo-org/*", false),
            ("octo/*", "github.com", "octo-org/*", false),
            ("octo-org", "github.com", "octo-org/app", false),
            ("*/*", "github.com", "octo-org/app", true),
            ("*", "github.com", "octo-org", true),
            ("ghe.example.com/octo-org/app", "ghe.example.com", "octo-org/app", true),
            ("ghe.example.com/octo-org/app", "github.com", "octo-org/app", false),
            ("ghe.example.com/octo-org", "ghe.example.com", "octo-org", true),
            ("team-a-*=octo-org/app", "github.com", "octo-org/app", true),
            ("team-b-*=octo-org/app", "github.com", "octo-org/app", false),
            ("team-a=octo-org/app", "github.com", "octo-org/app", false),
            ("111122223333/team-a-*=octo-org/app", "github.com", "octo-org/app", true),
            ("111122223333/*=octo-org", "github.com", "octo-org", true),
            ("999988887777/team-a-*=octo-org/app", "github.com", "octo-org/app", false),
            ("1/team-a-*=octo-org/app", "github.com", "octo-org/app", false),
            ("=octo-org/app", "github.com", "octo-org/app", false),
            ("a/b/c/d", "github.com", "b/c", false),
            ("octo-org/", "github.com", "octo-org", false),
            ("", "github.com", "octo-org/app", false),
        ] {
            let (owner, repository) =
                target.split_once('/').map_or((target, None), |(owner, name)| (owner, Some(name)));
            let (owner, repository) = (owner.to_owned(), repository.map(str::to_owned));
            let target = WriteTarget { issuer: issuer(host), owner, repository };
            let allows = Writable::read(entry).is_some_and(|entry| entry.allows(&stack, &target));
            assert_eq!(allows, allowed, "{entry} {target}");
        }
    }
}
