//! The names and ids of a rule of a trust policy, of any author.

use std::collections::BTreeSet;

use crate::github::claim_values;
use crate::github::name::{self, Repository, RepositoryScope};
use crate::github::subject;
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustRule};

/// The names and ids of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// The repository or owner that the rule names.
    pub(super) scope: Option<RepositoryScope>,
    pub(super) owner_ids: BTreeSet<u64>,
    pub(super) repository_ids: BTreeSet<u64>,
}

impl Identity {
    pub(super) fn of(rule: &TrustRule) -> Self {
        let text = rule.subject.as_str();
        let said = |key: &str| subject::value(text, key);
        let claimed = |claim| rule.claims.get(&claim).into_iter().flat_map(|values| values.iter()).map(Pattern::as_str);
        let repo = said("repo").map(|value| whole_id(value, text)).or_else(|| behind_wildcard(text));
        let repo = repo.map(NamedIds::read).unwrap_or_default();
        let others = said("repository").into_iter().chain(claimed(Claim::Repository).next()).map(NamedIds::read);
        let scopes: Vec<RepositoryScope> = [repo.clone()].into_iter().chain(others).filter_map(|it| it.scope).collect();
        let is_repository = |scope: &&RepositoryScope| matches!(scope, RepositoryScope::Repository(_));
        let owner = || said("repository_owner").filter(|name| name::owner(name).is_ok()).map(str::to_owned);
        let numbers = |word: &str, claim, known: Option<u64>| {
            let all = said(word).into_iter().chain(claimed(claim)).filter_map(claim_values::number);
            all.chain(known).collect()
        };
        Self {
            scope: scopes
                .iter()
                .find(is_repository)
                .or(scopes.first())
                .cloned()
                .or_else(|| owner().map(RepositoryScope::Organisation)),
            owner_ids: numbers("repository_owner_id", Claim::RepositoryOwnerId, repo.owner_id),
            repository_ids: numbers("repository_id", Claim::RepositoryId, repo.repository_id),
        }
    }

    /// Reads a whole subject.
    pub(super) fn of_subject(subject: &Pattern) -> Self {
        Self::of(&TrustRule::of(subject.clone()))
    }

    /// Returns true if an id tells the repository, or the owner where the rule is about all of the owner's.
    pub(super) fn is_pinned(&self) -> bool {
        let of_owner = !matches!(self.scope, Some(RepositoryScope::Repository(_))) && !self.owner_ids.is_empty();
        of_owner || !self.repository_ids.is_empty()
    }
}

/// The names and ids behind `repo:`, of which a pattern leaves some open: `OWNER@ID/NAME@*` tells the repository and its owner's id,
/// `OWNER@ID/*` and `OWNER@ID/NAME-*@*` tell the owner and its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NamedIds {
    scope: Option<RepositoryScope>,
    owner_id: Option<u64>,
    repository_id: Option<u64>,
}

impl NamedIds {
    fn read(value: &str) -> Self {
        if let Some(id) = id_behind_wildcard(value) {
            return Self { repository_id: Some(id), ..Self::default() };
        }
        let (owner, name) = value.split_once('/').unwrap_or((value, "*"));
        let ((owner, owner_id), (name, repository_id)) = (with_id(owner), with_id(name));
        let repository = Repository::parse(&format!("{owner}/{name}")).ok().map(RepositoryScope::Repository);
        let organisation = || name::owner(owner).ok().map(RepositoryScope::Organisation);
        Self { scope: repository.or_else(organisation), owner_id, repository_id }
    }
}

/// Returns true if the names in a subject are as this function writes them: without wildcards, but for all repositories of an owner.
pub(super) fn has_exact_names(text: &str) -> bool {
    match subject::value(text, "repo") {
        Some(value) => {
            let owner = value.strip_suffix("/*").map(with_id);
            subject::prefix(value).is_some() || owner.is_some_and(|(name, _)| name::owner(name).is_ok())
        }
        None => behind_wildcard(text).is_none(),
    }
}

/// The last id of a value whose wildcard may span the owner and a slash.
fn id_behind_wildcard(value: &str) -> Option<u64> {
    let (before, id) = value.rsplit_once('@').filter(|_| !value.contains('/'))?;
    claim_values::number(id).filter(|_| before.is_empty() || before.contains(['*', '?']))
}

/// A name with its id, if that is a number.
fn with_id(part: &str) -> (&str, Option<u64>) {
    part.split_once('@').map_or((part, None), |(name, id)| (name, claim_values::number(id)))
}

/// The value behind `repo:`, without a wildcard in the place of the rest of the subject.
fn whole_id<'a>(value: &'a str, text: &str) -> &'a str {
    if value.contains('@') && text.ends_with(value) { value.trim_end_matches(['*', '?']) } else { value }
}

/// The names of a subject with a wildcard in its first word, if ids are beside them.
fn behind_wildcard(text: &str) -> Option<&str> {
    let is_open = text.split(':').next().is_some_and(|key| key.contains(['*', '?']));
    let names = |word| whole_id(&word[start_of_names(word)..], text);
    let has_id = |word: &&str| word.split('/').any(|part| with_id(part).1.is_some());
    text.split(':').filter(|_| is_open).map(names).find(has_id)
}

/// The place behind the last wildcard before the first id.
fn start_of_names(word: &str) -> usize {
    let before = word.split('@').next().unwrap_or_default();
    before.rfind(['*', '?']).map_or(0, |wildcard| wildcard + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_subject_are_read_also_beside_wildcards() {
        let repository = |text: &str| Some(RepositoryScope::Repository(Repository::parse(text).unwrap()));
        let owner = |text: &str| Some(RepositoryScope::Organisation(text.to_owned()));
        for (text, scope, owner_id, repository_id) in [
            ("repo:o@1/r@2:ref:refs/heads/main", repository("o/r"), Some(1), Some(2)),
            ("repo:o/r:*", repository("o/r"), None, None),
            ("repo:o@1/r@*:ref:refs/heads/main", repository("o/r"), Some(1), None),
            ("repo:o@*/r@2:*", repository("o/r"), None, Some(2)),
            ("repo:o@1/r*:*", owner("o"), Some(1), None),
            ("repo:o@1/r-*@*:*", owner("o"), Some(1), None),
            ("repo:o@1/*@*:*", owner("o"), Some(1), None),
            ("repo:o@1/*:*", owner("o"), Some(1), None),
            ("repo:o@1*/r@2:*", repository("o/r"), None, Some(2)),
            ("repo:o*", None, None, None),
            ("repo:o@*@2:*", None, None, Some(2)),
            ("repo:*@2:*", None, None, Some(2)),
            ("*@2:*", None, None, Some(2)),
            ("repo:*@1/r@2:*", None, Some(1), Some(2)),
            ("repo:*/r@2:*", None, None, Some(2)),
            ("*o@1/r@2:*", repository("o/r"), Some(1), Some(2)),
            ("rep?:o@1/r@2:*", repository("o/r"), Some(1), Some(2)),
            ("repo*o@1/r@2:*", repository("o/r"), Some(1), Some(2)),
            ("repo:o@1/r@2*", repository("o/r"), Some(1), Some(2)),
            ("repo:o@*/r@2*", repository("o/r"), None, Some(2)),
            ("repo:o@1*", owner("o"), Some(1), None),
            ("repo:o/r*", owner("o"), None, None),
            ("repository_owner:o:repository_owner_id:1:*", owner("o"), Some(1), None),
            ("job_workflow_ref:o/r/.github/workflows/w.yml@refs/heads/main", None, None, None),
        ] {
            let found = Identity::of_subject(&Pattern::written(text));
            assert_eq!(found.scope, scope, "{text}");
            assert_eq!(found.owner_ids, owner_id.into_iter().collect(), "{text}");
            assert_eq!(found.repository_ids, repository_id.into_iter().collect(), "{text}");
        }
    }
}
