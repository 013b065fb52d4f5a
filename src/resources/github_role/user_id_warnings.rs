//! The warning about users' numbers that nobody has at GitHub. It fails no request: a number lets in nobody else, and a stack
//! has to be updated also after a user has left GitHub.

use std::collections::BTreeSet;

use futures_util::future::ready;
use futures_util::stream::{self, StreamExt};

use super::GitHubRoles;
use super::named::named;
use super::trust_declaration::{Actor, TrustDeclaration};

/// The number of users that are looked up: each is a call.
const MOST: usize = 20;

/// The number of look-ups at the same time.
const MAX_CONCURRENT_CALLS: usize = 4;

/// The users that are declared by number.
pub(super) fn numbers(declaration: &TrustDeclaration) -> BTreeSet<u64> {
    let actors = declaration.entries.iter().flat_map(|entry| &entry.actors);
    actors.filter_map(|actor| if let Actor::Id(id) = actor { Some(*id) } else { None }).collect()
}

impl GitHubRoles {
    /// Returns the warning about declared numbers of users; empty if there is none, or if GitHub does not answer.
    pub(super) async fn of_nobody(&self, declaration: &TrustDeclaration) -> String {
        let issuer = &declaration.issuer;
        let asked = stream::iter(numbers(declaration).into_iter().take(MOST)).map(|id| async move {
            let account = self.github.account_of(issuer, id).await?;
            Some(match account {
                None => Some(format!("{id}, which GitHub does not show to the function's credential")),
                Some(account) if account.is_organisation() => {
                    Some(format!("{id}, which is the organisation {}", account.login))
                }
                Some(_) => None,
            })
        });
        // Stop at the first unknown answer: GitHub does not answer at once.
        let answers = asked.buffered(MAX_CONCURRENT_CALLS).scan((), |(), answer| ready(answer));
        let found: Vec<String> = answers.filter_map(ready).collect().await;
        if found.is_empty() {
            return String::new();
        }
        format!("Under `Actors` there are numbers of no user, which no job fits: {}", named(&found, "; ", "; "))
    }
}
