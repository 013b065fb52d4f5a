//! The ids that a role's trust policy pins. They are the memory of the repositories, owners and users that were trusted
//! under their names: a name can change hands, an id cannot.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::Identity;
use super::name_record::{NameRecord, is_account, key};
use super::pinned_users::PinnedUsers;
use super::trust_declaration::{Actor, TrustEntry};
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject_facts::{NamedScope, SubjectFacts};
use crate::iam_policy::trust_policy::TrustRule;

/// The ids that policies pin, by the keys of names.
#[derive(Clone, Debug, Default)]
pub(super) struct PinnedIds {
    owners: BTreeMap<String, BTreeSet<u64>>,
    repositories: BTreeMap<String, BTreeSet<u64>>,
    /// The names whose ids nothing tells: those that share a statement with all their ids, and, without an id, the owners of
    /// repositories that are pinned by their own ids.
    doubtful: BTreeMap<String, BTreeSet<u64>>,
    /// The ids of statements without names: a name that the policies do not have may have been let in by one of them.
    nameless: Identity,
    users: PinnedUsers,
}

/// A name that has another id than the pinned one, or that may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtherId {
    /// The repository, owner or user.
    pub(super) what: String,
    pub(super) known: KnownIds,
    pub(super) now: u64,
    /// The step that declares the new id.
    pub(super) remedy: String,
}

/// The ids that a name has, as far as a role tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KnownIds {
    /// One of these.
    Ids(BTreeSet<u64>),
    /// One of these, which are the ids of all users.
    OfUsers(BTreeSet<u64>),
    /// One of these, which are the ids of several names.
    OfSeveral(BTreeSet<u64>),
    /// An owner's, which the role's tags have lost.
    Lost,
    /// Perhaps one that the role's tags have forgotten.
    Forgotten,
    /// Perhaps one of these, which stand in a statement without names.
    OfNoName(BTreeSet<u64>),
}

impl PinnedIds {
    pub(super) fn add<'a>(&mut self, rules: impl IntoIterator<Item = &'a TrustRule>) {
        for rule in rules {
            self.users.add(rule);
            self.add_names(rule);
        }
    }

    /// Adds the rules of a policy that somebody else wrote, or changed, and if their ids are sure. They do not tell by which jobs a user is let in.
    pub(super) fn add_found<'a>(&mut self, found: impl IntoIterator<Item = (&'a TrustRule, bool)>) {
        for (rule, is_sure) in found {
            self.users.add_without_jobs(rule);
            if is_sure {
                self.add_names(rule);
            } else {
                self.add_doubtful(rule);
            }
        }
    }

    /// Adds the ids of rules without names, which somebody else wrote. A repository's id beside all of an owner has no name, either.
    pub(super) fn add_nameless<'a>(&mut self, rules: impl IntoIterator<Item = &'a TrustRule>) {
        for Identity { scope, owner_ids, repository_ids } in rules.into_iter().map(Identity::of) {
            if scope.is_none() {
                self.nameless.owner_ids.extend(owner_ids);
            }
            if !matches!(scope, Some(RepositoryScope::Repository(_))) {
                self.nameless.repository_ids.extend(repository_ids);
            }
        }
    }

    fn add_names(&mut self, rule: &TrustRule) {
        let Identity { scope, owner_ids, repository_ids } = Identity::of(rule);
        let Some(scope) = scope else { return };
        let owner = key(scope.owner());
        if owner_ids.is_empty() && !repository_ids.is_empty() {
            self.doubtful.entry(owner.clone()).or_default();
        }
        self.owners.entry(owner).or_default().extend(owner_ids);
        if let RepositoryScope::Repository(repository) = scope {
            self.repositories.entry(key(&repository.to_string())).or_default().extend(repository_ids);
        }
    }

    fn add_doubtful(&mut self, rule: &TrustRule) {
        let Identity { scope, owner_ids, repository_ids } = Identity::of(rule);
        let Some(scope) = scope else { return };
        let of_repository = Some((scope.name(), repository_ids)).filter(|_| scope != scope.organisation());
        for (name, ids) in [(scope.owner().to_owned(), owner_ids)].into_iter().chain(of_repository) {
            if !ids.is_empty() {
                self.doubtful.entry(key(&name)).or_default().extend(ids);
            }
        }
    }

    /// Adds the newest ids of a record for names of which the policies pin none. Where they do, the id of the record is
    /// history.
    pub(super) fn add_record(&mut self, record: &NameRecord) {
        let names: BTreeSet<&str> = record.iter().map(|(name, _)| name).collect();
        for name in names {
            let may_be = |id: &u64| self.doubtful.get(name).is_none_or(|ids| ids.is_empty() || ids.contains(id));
            let newest = record.newest(name, |_| true).filter(may_be);
            if let Some(id) = newest.filter(|_| !self.knows(name)) {
                let all = if is_account(name) { &mut self.owners } else { &mut self.repositories };
                all.entry(name.to_owned()).or_default().insert(id);
            }
        }
    }

    /// Learns an owner that nothing tells from a repository that has its id.
    pub(super) fn learn_owner(&mut self, scope: &RepositoryScope, id: Option<u64>, owner_id: Option<u64>) {
        let has_its_id = id.is_some_and(|id| self.ids(scope).contains(&id));
        if matches!(scope, RepositoryScope::Repository(_)) && has_its_id && self.doubts(scope.owner()).is_some() {
            self.owners.entry(key(scope.owner())).or_default().extend(owner_id);
        }
    }

    /// Returns the ids of which a name has one, if nothing tells which.
    pub(super) fn doubts(&self, name: &str) -> Option<&BTreeSet<u64>> {
        let name = key(name);
        self.doubtful.get(&name).filter(|_| !self.knows(&name))
    }

    /// The keys of the names of which nothing tells the ids, of those that share a statement.
    pub(super) fn untold(&self) -> impl Iterator<Item = &str> {
        let names = self.doubtful.iter().filter(|(name, ids)| !ids.is_empty() && self.doubts(name).is_some());
        names.map(|(name, _)| name.as_str())
    }

    /// Takes each id that a name may have for its own.
    pub(super) fn doubt_nothing(&mut self) {
        let untold: Vec<String> = self.untold().map(str::to_owned).collect();
        let doubtful = std::mem::take(&mut self.doubtful);
        for (name, ids) in doubtful.into_iter().filter(|(name, _)| untold.contains(name)) {
            let all = if is_account(&name) { &mut self.owners } else { &mut self.repositories };
            all.entry(name).or_default().extend(ids);
        }
    }

    pub(super) fn users(&self) -> &PinnedUsers {
        &self.users
    }

    fn of_key(&self, name: &str) -> Option<&BTreeSet<u64>> {
        if is_account(name) { self.owners.get(name) } else { self.repositories.get(name) }
    }

    /// Returns true if the name of a key has an id.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.of_key(name).is_some_and(|ids| !ids.is_empty())
    }

    /// Returns true if the name of a key has this id.
    pub(super) fn has(&self, name: &str, id: u64) -> bool {
        self.of_key(name).is_some_and(|ids| ids.contains(&id))
    }

    /// The keys of repositories and owners, each with its ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.owners.iter().chain(&self.repositories);
        all.flat_map(|(name, ids)| ids.iter().map(move |id| (name.as_str(), *id)))
    }

    pub(super) fn owner(&self, name: &str) -> BTreeSet<u64> {
        self.owners.get(&key(name)).cloned().unwrap_or_default()
    }

    pub(super) fn repository(&self, repository: &Repository) -> BTreeSet<u64> {
        self.repositories.get(&key(&repository.to_string())).cloned().unwrap_or_default()
    }

    pub(super) fn ids(&self, scope: &RepositoryScope) -> BTreeSet<u64> {
        match scope {
            RepositoryScope::Repository(repository) => self.repository(repository),
            RepositoryScope::Organisation(owner) => self.owner(owner),
        }
    }

    /// Returns the id of a repository or an owner, if there is one.
    pub(super) fn only(&self, scope: &RepositoryScope) -> Option<u64> {
        let ids = self.ids(scope);
        ids.first().copied().filter(|_| ids.len() == 1)
    }

    /// The names of an entry that have another id at GitHub than the pinned one, which the author did not declare. The rules
    /// are those that the entry leads to.
    pub(super) fn differences(
        &self,
        entry: &TrustEntry,
        facts: &SubjectFacts,
        rules: &[TrustRule],
        actors: &NameRecord,
    ) -> Vec<OtherId> {
        let mut found = Vec::new();
        // A name that is not known may have been forgotten.
        let is_cut = actors.is_cut();
        let scopes = entry.scope.iter().map(|scope| {
            let (owner_id, id) = (facts.owner_id, facts.repository_id);
            match scope {
                RepositoryScope::Repository(_) => (scope, owner_id, id),
                RepositoryScope::Organisation(_) => (scope, owner_id, None),
            }
        });
        let named = facts.named.iter().map(|(scope, NamedScope { id, owner_id, told: _ })| match scope {
            RepositoryScope::Repository(_) => (scope, *owner_id, Some(*id)),
            RepositoryScope::Organisation(_) => (scope, Some(*id), None),
        });
        let all: Vec<_> = scopes.chain(named).collect();
        // An entry has one `OwnerId` and one `RepositoryId`.
        let owners: BTreeSet<String> = all.iter().map(|(scope, ..)| key(scope.owner())).collect();
        let repositories = all.iter().filter(|(scope, ..)| matches!(scope, RepositoryScope::Repository(_))).count();
        let (is_one_owner, is_one) = (owners.len() == 1, repositories == 1);
        for (scope, owner_now, repository_now) in all {
            let (owner_ids, repository_ids) = declared_ids(entry, scope);
            if matches!(scope, RepositoryScope::Repository(_)) {
                let declared = ("RepositoryId", &repository_ids, is_one);
                found.extend(self.other(&scope.name(), declared, self.ids(scope), repository_now, is_cut));
            }
            let (owner, declared) = (scope.owner(), ("OwnerId", &owner_ids, is_one_owner));
            found.extend(self.other(owner, declared, self.owner(owner), owner_now, is_cut));
        }
        let beside = if facts.says("actor") { "beside" } else { "in place of" };
        let already = self.users.of_each(rules);
        let users = facts.users.iter().filter(|(_, id)| !entry.actors.contains(&Actor::Id(**id)));
        found.extend(users.filter_map(|(name, id)| self.other_user((name, *id), actors, &already, beside)));
        let mut told = BTreeSet::new();
        found.retain(|other| told.insert(other.what.clone()));
        found
    }

    /// Describes a user whose name another one may have taken over. The jobs of the entry let in some users already.
    fn other_user(
        &self,
        (name, now): (&str, u64),
        actors: &NameRecord,
        already: &BTreeSet<u64>,
        beside: &str,
    ) -> Option<OtherId> {
        // An owner and a user of one name are the same account.
        let known: BTreeSet<u64> = self.owner(name).into_iter().chain(self.users.named(name, actors)).collect();
        // Where nothing is known of a name, the policy's ids are those of all names.
        let is_lost = known.is_empty() && !actors.is_whole();
        let pinned = if is_lost { self.users.all().clone() } else { known };
        let is_meant = if is_lost { already.contains(&now) || pinned == [now].into() } else { pinned.contains(&now) };
        let known = match pinned {
            pinned if pinned.is_empty() => KnownIds::Forgotten,
            pinned if pinned.contains(&now) => KnownIds::OfUsers(pinned),
            pinned => KnownIds::Ids(pinned),
        };
        let is_new = known == KnownIds::Forgotten && !actors.is_cut();
        (!is_meant && !is_new).then(|| OtherId {
            what: format!("the user {name}"),
            known,
            now,
            remedy: format!("{now} {beside} {name} under `Actors`"),
        })
    }

    /// Returns true for a name that the policies do not have, and that is none of the ids of statements without names.
    fn is_other_than_nameless(&self, name: &str, now: u64) -> bool {
        let ids = self.nameless_ids(name);
        self.of_key(&key(name)).is_none() && !ids.is_empty() && !ids.contains(&now)
    }

    fn nameless_ids(&self, name: &str) -> &BTreeSet<u64> {
        if is_account(name) { &self.nameless.owner_ids } else { &self.nameless.repository_ids }
    }

    /// The id of a name that the policies do not have, if statements without names have one only.
    pub(super) fn only_nameless(&self, scope: &RepositoryScope) -> Option<u64> {
        let ids = self.nameless_ids(&scope.name());
        ids.first().copied().filter(|_| ids.len() == 1 && self.of_key(&key(&scope.name())).is_none())
    }

    /// Describes a repository or an owner that has another id than the pinned ones, or that may have.
    fn other(
        &self,
        name: &str,
        (property, declared, is_one): (&str, &BTreeSet<u64>, bool),
        pinned: BTreeSet<u64>,
        now: Option<u64>,
        is_cut: bool,
    ) -> Option<OtherId> {
        let now = now.filter(|now| !pinned.contains(now) && !declared.contains(now))?;
        let known = match self.doubts(name) {
            Some(ids) if ids.is_empty() => KnownIds::Lost,
            Some(ids) if ids.contains(&now) => KnownIds::OfSeveral(ids.clone()),
            Some(ids) => KnownIds::Ids(ids.clone()),
            None if !pinned.is_empty() => KnownIds::Ids(pinned),
            None if self.is_other_than_nameless(name, now) => KnownIds::OfNoName(self.nameless_ids(name).clone()),
            None if is_cut => KnownIds::Forgotten,
            None => return None,
        };
        let place = if is_one { String::new() } else { format!(" in an entry for {name} alone") };
        Some(OtherId { what: name.to_owned(), known, now, remedy: format!("`{property}: {now}`{place}") })
    }
}

/// The ids of an owner and a repository that an entry declares: by its members, and in the subjects about them.
pub(super) fn declared_ids(entry: &TrustEntry, scope: &RepositoryScope) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let mut owner_ids: BTreeSet<u64> = entry.owner_id.into_iter().collect();
    let mut repository_ids: BTreeSet<u64> = entry.repository_id.into_iter().collect();
    for subject in &entry.subjects {
        let written = Identity::of_subject(subject);
        // A subject without names is about the repository of its entry.
        let about = written.scope.as_ref().or(entry.scope.as_ref());
        if about.is_some_and(|about| key(about.owner()) == key(scope.owner())) {
            owner_ids.extend(written.owner_ids);
        }
        let names_repository = matches!(about, Some(RepositoryScope::Repository(_)));
        if about == Some(scope) || (!names_repository && entry.scope.as_ref() == Some(scope)) {
            repository_ids.extend(written.repository_ids);
        }
    }
    (owner_ids, repository_ids)
}

/// Ids in a sentence.
pub(super) fn listed(ids: &BTreeSet<u64>) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" or ")
}
