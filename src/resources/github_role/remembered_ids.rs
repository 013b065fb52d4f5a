//! The memory of a role: who was meant by the names of its trust, as its policy and a tag of it in IAM tell.
//!
//! A name that has another id at GitHub than the one that the policy pins is refused, unless the author declares the new
//! id. The tag counts for names of which the policy pins nothing. While the stack rolls back, the pinned ids stay, so that a
//! rollback never fails for a name that changed hands.
//! Without an answer of GitHub the policy tells the facts, so that an update or rollback that leaves the trust as it is
//! succeeds while GitHub is down.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::Role;
use futures_util::future::{OptionFuture, join};

use crate::aws::{CallError, iam};
use crate::github::Issuer;
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::github::subject_facts::{NamedScope, SubjectFacts, SubjectFormat, ToldSubjects};
use crate::iam_policy::document::decode;
use crate::iam_policy::trust_policy::{TrustPolicy, TrustRule};
use crate::ownership::Owner;

use super::applied_record::{RoleRecord, TRUST, digest_of_trust};
use super::compile::compile;
use super::facts_from_policy::facts_from_policy;
use super::found_rules::{FoundRule, found_rules, own_part, own_policy};
use super::identity::Identity;
use super::lookup::{declared_facts, declared_in_any_form, forms_of, open_names, with_declared};
use super::name_record::{NameRecord, is_account, key};
use super::pinned_ids::{OtherId, PinnedIds};
use super::trust_declaration::{Actor, TrustEntry};
use super::{GitHubRoles, RoleName};

/// The memory of a role.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) policies: Vec<TrustPolicy>,
    /// The rules of a policy that somebody changed by hand.
    pub(super) by_hand: Vec<TrustRule>,
    /// True if a policy is not as this function wrote it.
    pub(super) is_changed: bool,
    /// The ids of the policies.
    pub(super) pinned: PinnedIds,
    /// The ids of the policies, and those in the record of names of which the policies have none.
    pub(super) ids: PinnedIds,
    pub(super) names: NameRecord,
    /// The ids of a role that is not ours yet: one that is taken over, adopted, or has lost its owner's tags.
    pub(super) others: PinnedIds,
    pub(super) names_of_others: NameRecord,
    /// The names of a policy for another GitHub, which has other ids.
    pub(super) elsewhere: NameRecord,
    /// True for a rollback, which no doubt about a name stops.
    pub(super) is_for_rollback: bool,
}

impl Memory {
    /// Adds a role to the memory of the names at a GitHub.
    fn add(&mut self, owner: &Owner, role: Role, host: &str) {
        let tags = iam::tags_of(role.tags);
        let document = role.assume_role_policy_document.as_deref().and_then(decode).unwrap_or_default();
        let mut rules: BTreeMap<String, Vec<FoundRule>> = BTreeMap::new();
        for found in found_rules(&document) {
            rules.entry(found.host.clone()).or_default().push(found);
        }
        let is_here = rules.is_empty() || rules.contains_key(host);
        let written_for = rules.keys().next().filter(|_| !is_here).map_or(host, String::as_str);
        let names = NameRecord::read(&tags).moved(written_for, host);
        let here = rules.get(host).map(Vec::as_slice).unwrap_or_default();
        let policy = own_policy(&document);
        let written = RoleRecord::read(&tags).declared.remove(TRUST);
        let is_as_written = written.is_some_and(|digest| digest == digest_of_trust(&document));
        let add = |ids: &mut PinnedIds, found: &[FoundRule]| {
            if policy.is_some() {
                ids.add(found.iter().map(|found| &found.rule));
            } else {
                ids.add_found(found.iter().map(FoundRule::told));
            }
            // Subjects of an author can have no names, too.
            let is_of_others = |rule: &&TrustRule| !is_as_written || rule.subject.is_wild();
            ids.add_nameless(found.iter().map(|found| &found.rule).filter(is_of_others));
        };
        // The role of somebody else tells no facts. It only refuses other ids.
        if !owner.owns(&tags) {
            self.names_of_others = self.names_of_others.union(&names);
            add(&mut self.others, here);
            // Another author may have written ids without names in the form of this function's subjects.
            self.others.add_nameless(here.iter().map(|found| &found.rule));
            return;
        }
        self.is_changed |= !is_as_written;
        self.names = self.names.union(&names);
        add(&mut self.pinned, here);
        add(&mut self.ids, here);
        let policy = policy.or_else(|| own_policy(&own_part(&document)));
        if policy.is_none() {
            self.by_hand.extend(here.iter().map(|found| found.rule.clone()));
        }
        self.policies.extend(policy.filter(|_| is_here));
        for (written_for, rules) in rules.iter().filter(|(written_for, _)| *written_for != host) {
            let mut pinned = PinnedIds::default();
            pinned.add_found(rules.iter().map(FoundRule::told));
            let names = NameRecord::of(pinned.iter()).moved(written_for, host);
            let is_cut = NameRecord::cut_if(pinned.untold().next().is_some());
            self.elsewhere = self.elsewhere.union(&names).union(&is_cut);
        }
    }

    /// Adds the names of tags, once all policies are known.
    fn add_records(&mut self) {
        self.ids.add_record(&self.names);
        self.others.add_record(&self.names_of_others);
    }

    /// The facts of an entry as the policy tells them, for a rollback.
    pub(super) fn former_facts(&self, issuer: &Issuer, entry: &TrustEntry, at: &str) -> Option<SubjectFacts> {
        self.for_rollback().facts(issuer, entry, &BTreeMap::new(), at)
    }

    /// The facts of an entry as the policy tells them.
    pub(super) fn facts(
        &self,
        issuer: &Issuer,
        entry: &TrustEntry,
        users: &BTreeMap<String, u64>,
        at: &str,
    ) -> Option<SubjectFacts> {
        let complete = |facts: SubjectFacts| self.completed(issuer, entry, users, at, facts);
        let Some(scope) = &entry.scope else { return complete(declared_facts(entry, [])) };
        let agrees = |facts: &SubjectFacts| with_declared(entry, facts.clone(), at).is_ok();
        let in_policy = |policy| {
            facts_from_policy(policy, issuer, entry).into_iter().filter(agrees).map(move |facts| (policy, facts))
        };
        let told: Vec<(&TrustPolicy, SubjectFacts)> = self.policies.iter().flat_map(in_policy).collect();
        let is_told = !told.is_empty();
        let known = told.into_iter().filter_map(|(policy, facts)| Some((policy, complete(facts)?)));
        let known = known.map(|(policy, facts)| (rules_in(policy, issuer, entry, &facts), facts));
        if let Some((_, facts)) = known.reduce(|first, next| if next.0 > first.0 { next } else { first }) {
            return Some(facts);
        }
        if is_told && !self.is_for_rollback {
            return None;
        }
        let recorded = self.recorded(issuer, scope).filter(agrees);
        let known =
            recorded.or_else(|| declared_in_any_form(issuer, entry)).or_else(|| self.said_by_subjects(entry))?;
        complete(known)
    }

    /// Facts with the template that the role records, the ids that the memory has, and the users.
    fn completed(
        &self,
        issuer: &Issuer,
        entry: &TrustEntry,
        users: &BTreeMap<String, u64>,
        at: &str,
        mut facts: SubjectFacts,
    ) -> Option<SubjectFacts> {
        self.complete(issuer, entry, &mut facts);
        let mut templates = vec![self.template(entry).unwrap_or_default()];
        if self.is_for_rollback {
            templates.push(entry.least_template());
        }
        let mut each = templates.into_iter().map(|template| SubjectFacts { template, ..facts.clone() });
        each.find_map(|facts| self.with_users(issuer, entry, users, at, facts))
    }

    /// Facts with the users, if they lead to a policy.
    fn with_users(
        &self,
        issuer: &Issuer,
        entry: &TrustEntry,
        users: &BTreeMap<String, u64>,
        at: &str,
        mut facts: SubjectFacts,
    ) -> Option<SubjectFacts> {
        // The ids of the policy may be those of other names, whom the author has taken out.
        if self.is_for_rollback && !self.names.is_whole() {
            facts.users = self.recalled_users(issuer, entry, &facts);
        }
        for actor in &entry.actors {
            if let Actor::Name(name) = actor
                && let Some(id) = self.id_of_user(name)
            {
                facts.users.insert(name.clone(), id);
            }
        }
        facts.users.extend(users.clone());
        with_declared(entry, facts, at).ok().filter(|facts| compile(issuer, entry, facts).is_ok())
    }

    /// The newest id of a user in the record. A rollback keeps the newest that the policy has.
    fn id_of_user(&self, name: &str) -> Option<u64> {
        let kept = self.names.newest(name, |id| self.pinned.users().all().contains(&id));
        kept.filter(|_| self.is_for_rollback).or_else(|| self.names.newest(name, |_| true))
    }

    /// Pairs the names of users that are not recorded with the ids that the policy lets in by the same jobs, and that neither the
    /// author declares nor the record has.
    fn recalled_users(&self, issuer: &Issuer, entry: &TrustEntry, facts: &SubjectFacts) -> BTreeMap<String, u64> {
        let names = entry.actors.iter().filter_map(|actor| match actor {
            Actor::Name(name) => Some(name.clone()),
            Actor::Id(_) => None,
        });
        // The jobs are the same for any ids.
        let users: BTreeMap<String, u64> = names.zip(1..).collect();
        let rules = compile(issuer, entry, &SubjectFacts { users: users.clone(), ..facts.clone() }).unwrap_or_default();
        let ids = self.pinned.users().of_each(&rules);
        let is_recorded = |id: u64| self.names.iter().any(|(name, known)| known == id && is_account(name));
        let is_unnamed = |id: &u64| !entry.actors.contains(&Actor::Id(*id)) && !is_recorded(*id);
        let unnamed: Vec<u64> = ids.into_iter().filter(is_unnamed).collect();
        let unknown: Vec<String> = users.into_keys().filter(|name| self.names.ids(name).is_empty()).collect();
        // Which id is whose does not matter: all of them are let in.
        if unnamed.len() == unknown.len() { unknown.into_iter().zip(unnamed).collect() } else { BTreeMap::new() }
    }

    /// The facts of an entry of whole subjects that say all ids, or whose repository is known by its owner only.
    fn said_by_subjects(&self, entry: &TrustEntry) -> Option<SubjectFacts> {
        let say_all = || entry.subjects.iter().all(|subject| subject::has_repository_id(subject.as_str()));
        let knows_owner = || entry.scope.as_ref().is_some_and(|scope| self.only(&scope.organisation()).is_some());
        (entry.contexts.is_empty() && (say_all() || knows_owner())).then(|| declared_facts(entry, []))
    }

    /// The facts of a scope that is no longer in the policy, or in one that somebody changed, with the form that its subjects had,
    /// or each that they may have. A rollback goes by the form that is there, so that it needs no more room, and by the owner's id
    /// where nothing tells the repository's.
    fn recorded(&self, issuer: &Issuer, scope: &RepositoryScope) -> Option<SubjectFacts> {
        let owner_id = self.only(&scope.organisation());
        let repository_id = self.only(scope).filter(|_| matches!(scope, RepositoryScope::Repository(_)));
        let is_unknown = self.ids.ids(scope).is_empty();
        let by_owner = (self.is_for_rollback && is_unknown) || matches!(scope, RepositoryScope::Organisation(_));
        repository_id.or(owner_id.filter(|_| by_owner))?;
        let is_whole = owner_id.is_some() && (repository_id.is_some() || *scope == scope.organisation());
        let forms = if is_whole { forms_of(issuer) } else { &[SubjectFormat::Classic] };
        let in_policy = || self.is_for_rollback.then(|| self.formats().remove(&key(&scope.name()))).flatten();
        let had = self.names.format(&scope.name()).or_else(in_policy).filter(|format| forms.contains(format));
        let about = self.by_hand.iter().filter(|rule| Identity::of(rule).scope.as_ref() == Some(scope));
        let mut subjects = about.map(|rule| rule.subject.as_str());
        let visibility =
            subjects.find_map(|subject| subject::value(subject, "repository_visibility")).map(str::to_owned);
        Some(SubjectFacts {
            told: ToldSubjects { visibility, ..ToldSubjects::default() },
            owner_id,
            repository_id,
            is_remembered: repository_id.is_some(),
            forms: had.map_or_else(|| forms.iter().copied().collect(), |format| [format].into()),
            ..SubjectFacts::default()
        })
    }

    /// An entry that declares one id of a repository only, with the other one as it was when that id left the policy.
    pub(super) fn with_former_ids(&self, issuer: &Issuer, entry: &TrustEntry) -> Option<TrustEntry> {
        let scope = entry.scope.as_ref().filter(|scope| matches!(scope, RepositoryScope::Repository(_)))?;
        let told = self.policies.iter().flat_map(|policy| facts_from_policy(policy, issuer, entry)).next();
        let now = told.unwrap_or_default();
        let former = |scope: &RepositoryScope, now: Option<u64>| {
            let pinned = self.pinned.ids(scope);
            let left = self.names.newest(&scope.name(), |id| !pinned.contains(&id));
            left.or_else(|| pinned.iter().copied().find(|id| Some(*id) != now)).or(now)
        };
        (entry.owner_id.is_some() != entry.repository_id.is_some()).then(|| TrustEntry {
            owner_id: entry.owner_id.or_else(|| former(&scope.organisation(), now.owner_id)),
            repository_id: entry.repository_id.or_else(|| former(scope, now.repository_id)),
            ..entry.clone()
        })
    }

    /// The names of an entry that have another id at GitHub than the remembered one.
    pub(super) fn differences(&self, entry: &TrustEntry, facts: &SubjectFacts, rules: &[TrustRule]) -> Vec<OtherId> {
        let mut found = self.ids.differences(entry, facts, rules, &self.names);
        found.extend(self.others.differences(entry, facts, rules, &self.names_of_others));
        found
    }

    /// The id of a scope in the policy, or the newest one in the record.
    pub(super) fn only(&self, scope: &RepositoryScope) -> Option<u64> {
        let ids = self.ids.ids(scope);
        let newest = || self.names.newest(&scope.name(), |id| ids.contains(&id));
        let nameless = || self.ids.only_nameless(scope).filter(|_| self.is_for_rollback);
        self.pinned.only(scope).or_else(newest).or_else(|| self.ids.only(scope)).or_else(nameless)
    }

    /// The id that the policy has beside the whole subjects of an entry, if there is one only.
    fn beside_subjects(&self, entry: &TrustEntry, scope: &RepositoryScope) -> Option<u64> {
        let rules = self.policies.iter().flat_map(TrustPolicy::rules);
        let same = rules.filter(|rule| entry.subjects.contains(&rule.subject)).map(Identity::of);
        let of_scope = same.filter(|identity| identity.scope.as_ref() == Some(scope));
        let is_owner = *scope == scope.organisation();
        let ids: BTreeSet<u64> =
            of_scope.flat_map(|known| if is_owner { known.owner_ids } else { known.repository_ids }).collect();
        ids.first().copied().filter(|_| ids.len() == 1)
    }

    /// Adds the pinned ids where nobody declares any and GitHub told none.
    pub(super) fn complete(&self, issuer: &Issuer, entry: &TrustEntry, facts: &mut SubjectFacts) {
        // The remembered repository is that of the remembered owner.
        let is_same_owner = |scope: &RepositoryScope| {
            let known = self.ids.ids(&scope.organisation());
            entry.owner_id.is_none_or(|id| known.is_empty() || known.contains(&id))
        };
        let repository_id = |scope: &RepositoryScope| self.only(scope).filter(|_| is_same_owner(scope));
        let told = |facts: &SubjectFacts, scope: &RepositoryScope| facts.named.get(scope).map(|named| named.id);
        if let Some(scope) = &entry.scope {
            let owner = scope.organisation();
            let declared = facts.owner_id.or(entry.owner_id);
            facts.owner_id = declared.or_else(|| told(facts, &owner)).or_else(|| self.only(&owner));
            if scope != &owner {
                facts.repository_id = facts.repository_id.or(entry.repository_id);
                let remembered = repository_id(scope).filter(|_| facts.repository_id.is_none());
                facts.is_remembered |= remembered.is_some();
                facts.repository_id = facts.repository_id.or(remembered);
            }
        }
        for scope in open_names(issuer, entry) {
            let owner = scope.organisation();
            let is_declared = if scope == owner { entry.owner_id } else { entry.repository_id }.is_some();
            if is_declared || facts.named.contains_key(&scope) {
                continue;
            }
            let known = || if scope == owner { self.only(&scope) } else { repository_id(&scope) };
            let id = self.beside_subjects(entry, &scope).or_else(known);
            let (scope, id) = match id {
                Some(id) => (scope, Some(id)),
                None if facts.named.contains_key(&owner) => continue,
                None => (owner.clone(), self.only(&owner)),
            };
            let named = id.map(|id| NamedScope { id, owner_id: None, told: ToldSubjects::default() });
            facts.named.extend(named.map(|named| (scope, named)));
        }
    }
}

impl GitHubRoles {
    /// Reads the memory: of the role, or of the one that it replaces. If both are there, a rollback comes back to the role, which
    /// does not trust whom its replacement was to trust.
    pub(super) async fn memory(&self, owner: &Owner, role: &str, issuer: &Issuer) -> Result<Memory, CallError> {
        let former = self.former.borrow().clone().filter(|former| *former != RoleName(role.to_owned()));
        let former = OptionFuture::from(former.as_ref().map(|former| self.role(&former.0)));
        let (role, former) = join(self.first_look(role), former).await;
        let is_ours = |role: &Role| owner.owns(&iam::tags_of(role.tags.clone()));
        let roles = match (role?, former.transpose()?.flatten()) {
            (Some(role), Some(former)) if is_ours(&role) && is_ours(&former) => {
                [Some(if self.is_rolling_back(owner).await { role } else { former }), None]
            }
            (role, former) => [role, former],
        };
        let mut memory = Memory::default();
        for role in roles.into_iter().flatten() {
            memory.add(owner, role, &issuer.web_host());
        }
        memory.add_records();
        Ok(memory)
    }

    /// Returns true if the stack rolls back.
    pub(super) async fn is_rolling_back(&self, owner: &Owner) -> bool {
        self.rollback.is_rolling_back(owner.stack_id()).await.unwrap_or_else(|error| {
            // To keep the ids lets in nobody new.
            tracing::warn!(%error, "CloudFormation does not tell if the stack rolls back");
            true
        })
    }
}

/// The number of rules that facts lead to; 0 if the policy does not have each of them, or a wider one.
fn rules_in(policy: &TrustPolicy, issuer: &Issuer, entry: &TrustEntry, facts: &SubjectFacts) -> usize {
    let rules = compile(issuer, entry, facts).unwrap_or_default();
    let part = TrustPolicy::of(&policy.provider_arn, &policy.audience, rules);
    if policy.covers(&part) { part.rules().len() } else { 0 }
}
