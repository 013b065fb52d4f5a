//! Names of which a role's memory does not tell the ids: those that leave the policy, those that were forgotten, and those that share
//! a statement with the ids of others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::found_rules::{FoundRule, found_rules};
use super::identity::Identity;
use super::issuer_of;
use super::lookup::Doubt;
use super::name_record::{NameRecord, key, template_key};
use super::pinned_ids::{PinnedIds, declared_ids};
use super::remembered_ids::Memory;
use super::taken_names::untold;
use super::trust_declaration::TrustEntry;
use crate::error::Refusal;
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, SubjectTemplate};
use crate::iam_policy::trust_policy::{TrustPolicy, TrustRule};

impl Memory {
    /// The names that leave the policy, the owners and repositories whose ids it does not have beside their names, the users that
    /// it trusts by name, and the names that left it before; and the number of those that leave now, which have to be remembered,
    /// because a rollback may bring them back.
    pub(super) fn names_beside(
        &self,
        policy: &TrustPolicy,
        users: Option<NameRecord>,
        scopes: &BTreeSet<(String, u64)>,
        templates: &BTreeMap<String, SubjectTemplate>,
    ) -> (NameRecord, usize) {
        let mut pinned = PinnedIds::default();
        pinned.add(policy.rules());
        let is_beside = |(name, id): &(&str, u64)| !pinned.has(name, *id);
        // A name of which nothing tells the id leaves without it.
        let is_forgotten = self.pinned.untold().any(|name| !pinned.knows(name));
        let is_cut = NameRecord::cut_if(is_forgotten || self.names.is_cut() || self.elsewhere.is_cut());
        let leaving = NameRecord::of(self.pinned.iter().filter(is_beside)).union(&self.elsewhere);
        let scopes = NameRecord::of(scopes.iter().map(|(name, id)| (name.as_str(), *id)).filter(is_beside));
        let before = NameRecord::of(self.names.iter().filter(is_beside));
        let is_empty = users.is_none() && !is_cut.is_cut();
        let now = scopes.union(&users.unwrap_or_default());
        let names = leaving.union(&now).union(&before);
        let templates = self.templates_beside(policy, templates, &names);
        if is_empty && names.iter().next().is_none() {
            return (NameRecord::default().with_templates(templates), 0);
        }
        // An id that leaves is older than the one that its name has now.
        let leaves = |(name, _): &(&str, u64)| leaving.iter().any(|(left, _)| left == *name);
        let leaving = NameRecord::of(now.iter().filter(leaves)).union(&leaving);
        let needed = leaving.iter().count();
        let present = leaving.union(&now);
        let first = present.iter().count();
        let names = present.union(&before).union(&is_cut);
        (names.with_formats(self.formats()).with_templates(templates).with_first(first), needed)
    }

    /// The formats that repositories have in the policies, or had when they left.
    pub(super) fn formats(&self) -> BTreeMap<String, SubjectFormat> {
        let mut known = self.names.formats().clone();
        for (name, format) in formats(self.policies.iter().flat_map(TrustPolicy::rules).chain(&self.by_hand)) {
            known.remove(&name);
            known.extend(format.map(|format| (name, format)));
        }
        known
    }

    /// The templates of the repositories of a policy and of those that left: those that GitHub tells, else the recorded ones.
    fn templates_beside(
        &self,
        policy: &TrustPolicy,
        told: &BTreeMap<String, SubjectTemplate>,
        names: &NameRecord,
    ) -> BTreeMap<String, Vec<String>> {
        let mut there: BTreeSet<String> =
            names.iter().flat_map(|(name, id)| [name.to_owned(), template_key(name, Some(id))]).collect();
        for Identity { scope, repository_ids, .. } in policy.rules().iter().map(Identity::of) {
            let Some(scope) = scope else { continue };
            let ids = repository_ids.into_iter().map(Some).chain([None]);
            there.extend(ids.map(|id| template_key(&key(&scope.name()), id)));
        }
        let mut templates = self.names_of_others.templates().clone();
        templates.extend(self.names.templates().clone());
        templates.retain(|name, _| there.contains(name));
        for (name, template) in told {
            match template {
                SubjectTemplate::Default => drop(templates.remove(name)),
                SubjectTemplate::Custom(keys) => drop(templates.insert(name.clone(), keys.clone())),
            }
        }
        templates
    }

    /// The same for a rollback: each id that a name may have is taken for its own, and the ids of users for those of the names.
    pub(super) fn for_rollback(&self) -> Self {
        let mut memory = Self { is_for_rollback: true, ..self.clone() };
        for ids in [&mut memory.pinned, &mut memory.ids, &mut memory.others] {
            ids.doubt_nothing();
        }
        memory
    }

    /// Learns owners from their repositories that GitHub shows with the trusted ids.
    pub(super) fn learn_owners(&mut self, entries: &[TrustEntry], found: &[Result<SubjectFacts, Doubt>]) {
        for (entry, found) in entries.iter().zip(found) {
            let Ok(facts) = found else { continue };
            let own = entry.scope.iter().map(|scope| (scope, facts.repository_id, facts.owner_id));
            let named = facts.named.iter().map(|(scope, named)| (scope, Some(named.id), named.owner_id));
            for (scope, id, owner_id) in own.chain(named) {
                // The record tells an owner that the policy does not.
                if self.ids.doubts(scope.owner()).is_none() && self.others.doubts(scope.owner()).is_none() {
                    continue;
                }
                for ids in [&mut self.pinned, &mut self.ids, &mut self.others] {
                    ids.learn_owner(scope, id, owner_id);
                }
            }
        }
    }

    /// Refuses names without ids, which the role may have trusted with ids that nothing tells.
    pub(super) fn untold(&self, at: &str, entry: &TrustEntry, rules: &[TrustRule]) -> Option<Refusal> {
        if self.is_for_rollback {
            return None;
        }
        let is_open = |name: &str| {
            let mut trusted = self.policies.iter().flat_map(TrustPolicy::rules).map(Identity::of);
            trusted.any(|known| !known.is_pinned() && known.scope.is_some_and(|scope| key(&scope.name()) == key(name)))
        };
        let open = rules.iter().map(Identity::of).filter(|identity| !identity.is_pinned());
        open.filter_map(|identity| Some((identity.scope?, identity.owner_ids))).find_map(|(scope, pinned)| {
            let (owner_ids, repository_ids) = declared_ids(entry, &scope);
            let is_repository = matches!(scope, RepositoryScope::Repository(_));
            let declared = if is_repository { repository_ids } else { owner_ids.clone() };
            if !declared.is_empty() || is_open(&scope.name()) {
                return None;
            }
            let (name, owner) = (scope.name(), scope.owner());
            let has_owner = !pinned.is_empty() || !owner_ids.is_empty();
            let of = |ids: &PinnedIds, names: &NameRecord| {
                if ids.doubts(&name).is_some() || ids.ids(&scope).len() > 1 {
                    Some(untold(at, &name, true))
                } else if !has_owner && ids.doubts(owner).is_some() {
                    Some(untold(at, owner, true))
                } else {
                    (names.is_cut() && ids.ids(&scope).is_empty()).then(|| untold(at, &name, false))
                }
            };
            of(&self.ids, &self.names).or_else(|| of(&self.others, &self.names_of_others))
        })
    }
}

impl NameRecord {
    /// The names that a trust policy pins at the GitHub of a provider.
    pub(super) fn pinned(document: &Value, provider_arn: &str) -> Self {
        let Some(host) = issuer_of(provider_arn).map(|issuer| issuer.web_host()) else { return Self::default() };
        let found: Vec<FoundRule> = found_rules(document).into_iter().filter(|found| found.host == host).collect();
        let mut pinned = PinnedIds::default();
        pinned.add_found(found.iter().map(FoundRule::told));
        let is_cut = Self::cut_if(pinned.untold().next().is_some());
        let formats = formats(found.iter().map(|found| &found.rule));
        let formats = formats.into_iter().filter_map(|(name, format)| Some((name, format?))).collect();
        Self::of(pinned.iter()).with_formats(formats).union(&is_cut)
    }
}

/// The format of the subjects of each repository, by its key. Those in both formats have none.
fn formats<'a>(rules: impl Iterator<Item = &'a TrustRule>) -> BTreeMap<String, Option<SubjectFormat>> {
    let mut found: BTreeMap<String, BTreeSet<SubjectFormat>> = BTreeMap::new();
    for rule in rules {
        let Some(RepositoryScope::Repository(repository)) = Identity::of(rule).scope else { continue };
        let formats = found.entry(key(&repository.to_string())).or_default();
        formats.extend(subject::value(rule.subject.as_str(), "repo").map(SubjectFormat::of));
    }
    let only = |formats: &BTreeSet<SubjectFormat>| formats.first().copied().filter(|_| formats.len() == 1);
    found.into_iter().map(|(name, formats)| (name, only(&formats))).collect()
}
