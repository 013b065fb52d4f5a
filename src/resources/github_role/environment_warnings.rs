//! Warnings about trusted environments without protection. They fail no request.

use futures_util::future::ready;
use futures_util::stream::{self, StreamExt};

use crate::github::name::{Repository, RepositoryScope};
use crate::github::protection::Protection;

use super::GitHubRoles;
use super::named::named;
use super::trust_declaration::{JobContext, TrustDeclaration};

/// The number of environments that are looked up: each is a call.
const MOST: usize = 20;

/// The number of look-ups at the same time.
const MAX_CONCURRENT_CALLS: usize = 4;

/// An environment that is trusted.
enum Trusted<'a> {
    /// By its name.
    One(&'a Repository, &'a str),
    /// Whatever a pattern fits.
    Pattern(&'a str),
}

/// The environments that a declaration trusts.
fn trusted(declaration: &TrustDeclaration) -> Vec<Trusted<'_>> {
    let mut trusted = Vec::new();
    for entry in &declaration.entries {
        for context in &entry.contexts {
            let JobContext::Environment(name) = context else { continue };
            match &entry.scope {
                _ if name.contains(['*', '?']) => trusted.push(Trusted::Pattern(name)),
                Some(RepositoryScope::Repository(repository)) => trusted.push(Trusted::One(repository, name)),
                _ => {}
            }
        }
    }
    trusted
}

/// Returns true if GitHub is asked about an environment.
pub(super) fn asks_github(declaration: &TrustDeclaration) -> bool {
    trusted(declaration).iter().any(|trusted| matches!(trusted, Trusted::One(..)))
}

impl GitHubRoles {
    /// Returns the warning about the environments that the role trusts; empty if there is none, or if GitHub does not
    /// answer.
    pub(super) async fn unprotected(&self, declaration: &TrustDeclaration) -> String {
        let issuer = &declaration.issuer;
        let asked = stream::iter(trusted(declaration).into_iter().take(MOST)).map(|trusted| async move {
            match trusted {
                Trusted::Pattern(name) => Some(Some(format!("whatever environment is called like {name:?}"))),
                Trusted::One(repository, name) => {
                    let unprotected = match self.github.protection(issuer, repository, name).await? {
                        Protection::Protected => None,
                        Protection::Open => Some(format!("environment {name:?} of {repository}")),
                        Protection::NoProtectedBranch => {
                            Some(format!("environment {name:?} of {repository}, where no branch is protected"))
                        }
                        Protection::Absent => {
                            Some(format!("environment {name:?} of {repository}, which is not there yet"))
                        }
                    };
                    Some(unprotected)
                }
            }
        });
        // Stop at the first unknown answer: the credential lacks the permission.
        let answers = asked.buffered(MAX_CONCURRENT_CALLS).scan((), |(), answer| ready(answer));
        let found: Vec<String> = answers.filter_map(ready).collect().await;
        if found.is_empty() {
            return String::new();
        }
        tracing::warn!(environments = ?found, "the role trusts environments without protection");
        warning(&found)
    }
}

fn warning(found: &[String]) -> String {
    format!(
        "The role trusts, without protection: {}. A person who can push a workflow can assume it: restrict the branches of the \
         environment, or require reviewers",
        named(found, "; ", "; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let found: Vec<String> = (1..=6).map(|number| format!("environment \"e{number}\" of o/r")).collect();
        assert!(!warning(&found[..3]).contains("more"));
        let text = warning(&found);
        assert!(text.contains("\"e3\"") && !text.contains("\"e4\"") && text.contains("and 3 more"), "{text}");
    }
}
