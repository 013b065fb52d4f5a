//! The users that are declared by number, held against GitHub. A number that nobody has is a warning: it lets in nobody else, and a
//! stack has to be updated also after a user has left GitHub. An organisation triggers no job.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::ready;
use futures_util::stream::{self, StreamExt};

use super::GitHubRoles;
use super::lookup::{Doubt, no_user};
use super::named::named;
use super::trust_declaration::{Actor, TrustDeclaration, TrustEntry};
use crate::github::subject_facts::Account;

/// The number of users that are looked up, with a credential and without one: each is a call, of which the public has sixty an hour.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const MOST: [usize; 2] = [20, 5];

/// The number of look-ups at the same time.
const MAX_CONCURRENT_CALLS: usize = 4;

/// The users that are declared by number.
pub(super) fn numbers(declaration: &TrustDeclaration) -> BTreeSet<u64> {
    declaration.entries.iter().flat_map(numbers_of).collect()
}

fn numbers_of(entry: &TrustEntry) -> impl Iterator<Item = u64> {
    entry.actors.iter().filter_map(|actor| if let Actor::Id(id) = actor { Some(*id) } else { None })
}

/// The accounts of numbers, as far as GitHub told them; `None` for a number of which it shows no account.
pub(super) type Accounts = BTreeMap<u64, Option<Account>>;

impl GitHubRoles {
    /// Asks for the accounts of the declared numbers.
    pub(super) async fn accounts_of_numbers(&self, declaration: &TrustDeclaration) -> Accounts {
        let issuer = &declaration.issuer;
        let all = numbers(declaration);
        if all.is_empty() || !self.is_shown(issuer).await {
            return Accounts::new();
        }
        let has_credential = self.github.has_credential(issuer).await == Ok(true);
        let most = MOST[usize::from(!has_credential)];
        let ask = |id| async move { Some((id, self.github.account_of(issuer, id).await?)) };
        let asked = stream::iter(all.into_iter().take(most)).map(ask);
        // Stop at the first unknown answer: GitHub does not answer at once.
        let mut answers: Accounts = asked.buffered(MAX_CONCURRENT_CALLS).scan((), |(), it| ready(it)).collect().await;
        // The public does not see the users of an enterprise.
        if !has_credential {
            answers.retain(|_, account| account.is_some());
        }
        answers
    }
}

fn organisation(accounts: &Accounts, id: u64) -> Option<&Account> {
    accounts.get(&id)?.as_ref().filter(|account| account.is_organisation())
}

/// Refuses an entry for jobs of organisations alone.
pub(super) fn refuse_organisation(at: &str, entry: &TrustEntry, accounts: &Accounts) -> Option<Doubt> {
    let organisations: Vec<u64> = numbers_of(entry).filter(|id| organisation(accounts, *id).is_some()).collect();
    let id = organisations.first().copied().filter(|_| organisations.len() == entry.actors.len())?;
    let account = organisation(accounts, id)?;
    let why = format!("that is the organisation {}, and no user, so that no job is triggered by it", account.login);
    Some(Doubt::Refused(no_user(at, &id.to_string(), &why)))
}

/// The warning about numbers of organisations, and those of which GitHub shows no user.
pub(super) fn of_nobody(accounts: &Accounts) -> Vec<String> {
    let numbers = |is_meant: &dyn Fn(u64) -> bool| -> Vec<String> {
        accounts.keys().filter(|id| is_meant(**id)).map(u64::to_string).collect()
    };
    let told = |numbers: Vec<String>, why: &str| {
        (!numbers.is_empty())
            .then(|| format!("Under `Actors` there are numbers {why}: {}", named(&numbers, ", ", " and ")))
    };
    let unknown = numbers(&|id| accounts.get(&id).is_some_and(Option::is_none));
    let of_organisations = numbers(&|id| organisation(accounts, id).is_some());
    let not_shown = "of which GitHub shows no user to the function's credential, so that no job may fit them";
    [told(unknown, not_shown), told(of_organisations, "of organisations, which trigger no job")]
        .into_iter()
        .flatten()
        .collect()
}
