//! The memory of a role: who was meant by the names of its trust, as its policy and a tag of it in IAM tell.
//!
//! A name that has another id at GitHub than the one that the policy pins is refused, unless the author declares the new
//! id. The tag counts for names of which the policy pins nothing. While the stack rolls back, the pinned ids stay, so that a
//! rollback never fails for a name that changed hands.
//! Without an answer of GitHub the policy tells the facts, so that an update or rollback that leaves the trust as it is
//! succeeds while GitHub is down.

use std::collections::BTreeSet;

use futures_util::future::{OptionFuture, join};

use crate::aws::{CallError, iam};
use crate::error::{Error, Refusal};
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::facts::{NamedScope, SubjectFacts, SubjectFormat, ToldSubjects};
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject;
use crate::iam_policy::document::decode;
use crate::iam_policy::trust_policy::{TrustPolicy, TrustRule};
use crate::ownership::Owner;
use crate::request_origin::RollbackCheck;

use super::compile::compile;
use super::facts_from_policy::facts_from_policy;
use super::lookup::{Doubt, by_hand, declared_facts, forms_of, free_name, open_names, with_declared};
use super::name_record::NameRecord;
use super::pinned_ids::{OtherId, PinnedIds, declared_ids, listed};
use super::trust_declaration::{Actor, Format, TrustEntry};
use super::{GitHubRoles, RoleName, issuer_of};

/// The memory of a role.
#[derive(Debug, Default)]
pub(super) struct Memory {
    policies: Vec<TrustPolicy>,
    /// The ids of the policies.
    pinned: PinnedIds,
    /// The ids of the policies, and those in the record of names of which the policies have none.
    ids: PinnedIds,
    names: NameRecord,
    /// The ids of a role that is not ours yet: one that is taken over, adopted, or has lost its owner's tags.
    others: PinnedIds,
    names_of_others: NameRecord,
    /// The names of a policy for another GitHub, which has other ids.
    elsewhere: NameRecord,
}

impl Memory {
    /// Adds a role to the memory of the names at a GitHub.
    fn add(&mut self, owner: &Owner, role: aws_sdk_iam::types::Role, host: &str) {
        let tags = iam::tags_of(role.tags);
        let document = role.assume_role_policy_document.as_deref().and_then(decode);
        let policy = document.and_then(|document| TrustPolicy::read(&document));
        let written_for = policy.as_ref().and_then(|policy| issuer_of(&policy.provider_arn));
        let written_for = written_for.map_or_else(|| host.to_owned(), |issuer| issuer.web_host());
        let names = NameRecord::read(&tags).moved(&written_for, host);
        let is_here = written_for == host;
        // What somebody else wrote tells no facts. It only refuses other ids.
        if !owner.owns(&tags) {
            self.names_of_others = self.names_of_others.union(&names);
            if let Some(policy) = policy.filter(|_| is_here) {
                self.others.add(&policy);
            }
            return;
        }
        self.names = self.names.union(&names);
        let Some(policy) = policy else { return };
        if is_here {
            self.pinned.add(&policy);
            self.ids.add(&policy);
            self.policies.push(policy);
        } else {
            let mut pinned = PinnedIds::default();
            pinned.add(&policy);
            self.elsewhere = self.elsewhere.union(&NameRecord::of(pinned.iter()).moved(&written_for, host));
        }
    }

    /// Adds the names of tags, once all policies are known.
    fn add_records(&mut self) {
        self.ids.add_record(&self.names);
        self.others.add_record(&self.names_of_others);
    }

    /// The facts of an entry as the policy tells them.
    fn facts(&self, issuer: &Issuer, entry: &TrustEntry, at: &str) -> Option<SubjectFacts> {
        let mut facts = match &entry.scope {
            Some(scope) => {
                let in_policy = self.policies.iter().find_map(|policy| facts_from_policy(policy, entry));
                let known = in_policy.or_else(|| self.recorded(issuer, scope));
                let agrees = |facts: &SubjectFacts| with_declared(entry, facts.clone(), at).is_ok();
                known
                    .filter(agrees)
                    .or_else(|| declared_in_any_form(issuer, entry))
                    .or_else(|| said_by_subjects(entry))?
            }
            None => declared_facts(entry, []),
        };
        for actor in &entry.actors {
            if let Actor::Name(name) = actor
                && let ids = self.pinned.user(name, &self.names)
                && let (1, Some(id)) = (ids.len(), ids.first())
            {
                facts.users.insert(name.clone(), *id);
            }
        }
        self.complete(issuer, entry, &mut facts);
        with_declared(entry, facts, at).ok().filter(|facts| compile(issuer, entry, facts).is_ok())
    }

    /// The facts of a scope that is no longer in the policy, with each form that its subjects may have.
    fn recorded(&self, issuer: &Issuer, scope: &RepositoryScope) -> Option<SubjectFacts> {
        let id = self.only(scope)?;
        let (owner_id, repository_id) = match scope {
            RepositoryScope::Repository(repository) => (self.only(&repository.organisation()), Some(id)),
            RepositoryScope::Organisation(_) => (Some(id), None),
        };
        let forms = if owner_id.is_some() { forms_of(issuer) } else { &[SubjectFormat::Classic] };
        Some(SubjectFacts {
            owner_id,
            repository_id,
            forms: forms.iter().copied().collect(),
            ..SubjectFacts::default()
        })
    }

    /// An entry that declares one id of a repository only, with the other one as it was when that id left the policy.
    fn with_former_ids(&self, entry: &TrustEntry) -> Option<TrustEntry> {
        let Some(RepositoryScope::Repository(repository)) = &entry.scope else { return None };
        let former = |name: &str, pinned: &BTreeSet<u64>| {
            let ids: BTreeSet<u64> = self.names.ids(name).difference(pinned).copied().collect();
            let ids = if ids.is_empty() { pinned } else { &ids };
            ids.first().copied().filter(|_| ids.len() == 1)
        };
        let owner_id = || former(repository.owner(), &self.pinned.owner(repository.owner()));
        let repository_id = || former(&repository.to_string(), &self.pinned.repository(repository));
        (entry.owner_id.is_some() != entry.repository_id.is_some()).then(|| TrustEntry {
            owner_id: entry.owner_id.or_else(owner_id),
            repository_id: entry.repository_id.or_else(repository_id),
            ..entry.clone()
        })
    }

    /// The names that leave the policy, the owners whose ids it does not have (those of repositories without ids in their
    /// subjects), the users that it trusts by name, and the names that left it before; and the number of those that leave now,
    /// which have to be remembered, because a rollback may bring them back.
    pub(super) fn names_beside(
        &self,
        policy: &TrustPolicy,
        users: Option<NameRecord>,
        owners: &BTreeSet<(String, u64)>,
    ) -> (NameRecord, usize) {
        let mut pinned = PinnedIds::default();
        pinned.add(policy);
        let is_beside = |(name, id): &(&str, u64)| !pinned.has(name, *id);
        let leaving = NameRecord::of(self.pinned.iter().filter(is_beside)).union(&self.elsewhere);
        let owners = NameRecord::of(owners.iter().map(|(name, id)| (name.as_str(), *id)).filter(is_beside));
        let before = NameRecord::of(self.names.iter().filter(is_beside));
        let needed = leaving.iter().count();
        let mut all = leaving.union(&owners);
        if users.is_none() && !self.names.is_cut() && all.union(&before).iter().next().is_none() {
            return (NameRecord::default(), 0);
        }
        all = all.union(&users.unwrap_or_default()).union(&before);
        (all.union(&NameRecord::cut_if(self.names.is_cut())), needed)
    }

    /// The names of an entry that have another id at GitHub than the remembered one.
    fn differences(&self, entry: &TrustEntry, facts: &SubjectFacts) -> Vec<OtherId> {
        let mut found = self.ids.differences(entry, facts, &self.names);
        found.extend(self.others.differences(entry, facts, &self.names_of_others));
        found
    }

    fn only(&self, scope: &RepositoryScope) -> Option<u64> {
        self.pinned.only(scope).or_else(|| self.ids.only(scope))
    }

    /// Adds the pinned ids where GitHub told none.
    fn complete(&self, issuer: &Issuer, entry: &TrustEntry, facts: &mut SubjectFacts) {
        match &entry.scope {
            Some(scope @ RepositoryScope::Repository(_)) => {
                facts.repository_id = facts.repository_id.or_else(|| self.only(scope));
            }
            Some(scope @ RepositoryScope::Organisation(_)) => {
                facts.owner_id = facts.owner_id.or_else(|| self.only(scope));
            }
            None => {}
        }
        for scope in open_names(issuer, entry) {
            if let (false, Some(id)) = (facts.named.contains_key(&scope), self.only(&scope)) {
                facts.named.insert(scope, NamedScope { id, owner_id: None, told: ToldSubjects::default() });
            }
        }
    }
}

impl GitHubRoles {
    /// Reads the memory: of the role, and of the one that it replaces.
    pub(super) async fn memory(&self, owner: &Owner, role: &str, issuer: &Issuer) -> Result<Memory, CallError> {
        let former = self.former.borrow().clone().filter(|former| *former != RoleName(role.to_owned()));
        let former = OptionFuture::from(former.as_ref().map(|former| self.role(&former.0)));
        let (role, former) = join(self.first_look(role), former).await;
        let mut memory = Memory::default();
        for role in [role?, former.transpose()?.flatten()].into_iter().flatten() {
            memory.add(owner, role, &issuer.web_host());
        }
        memory.add_records();
        Ok(memory)
    }

    /// Compiles an entry by the facts that count: those of GitHub, or those of the memory.
    pub(super) async fn settle(
        &self,
        owner: &Owner,
        issuer: &Issuer,
        (entry, at): (&TrustEntry, &str),
        found: Result<SubjectFacts, Doubt>,
        memory: &Memory,
    ) -> Result<(SubjectFacts, Vec<TrustRule>), Error> {
        let found = match found {
            Err(Doubt::Silent(problem)) => Ok(without_github(issuer, entry, memory, &problem, at)?),
            found => found,
        };
        let refusal = match found {
            Ok(mut facts) => {
                memory.complete(issuer, entry, &mut facts);
                let others = memory.differences(entry, &facts);
                match (taken_over(at, &others).or_else(|| free(at, entry, &facts)), compile(issuer, entry, &facts)) {
                    (None, Ok(rules)) => return Ok((facts, rules)),
                    (Some(refusal), _) => refusal,
                    (None, Err(lack)) => {
                        Refusal::PreconditionFailed { what: format!("{at}: {lack}"), remedy: String::new() }
                    }
                }
            }
            Err(Doubt::Silent(problem)) => {
                Refusal::PreconditionFailed { what: format!("{at}: {problem}"), remedy: String::new() }
            }
            Err(Doubt::Renamed { from, to, id }) => renamed(at, entry, memory, (&from, &to, id)),
            Err(Doubt::Refused(refusal)) => refusal,
        };
        let kept =
            memory.facts(issuer, entry, at).or_else(|| memory.facts(issuer, &memory.with_former_ids(entry)?, at));
        let kept = kept.and_then(|facts| Some((compile(issuer, entry, &facts).ok()?, facts)));
        match kept {
            Some((rules, facts)) if self.is_rolling_back(owner).await => {
                tracing::error!(%refusal, "the stack rolls back: the role keeps the ids that it trusts");
                Ok((facts, rules))
            }
            _ => Err(refusal.into()),
        }
    }

    /// Returns true if the stack rolls back. An Update of a rollback looks like any other, also like one that was refused in
    /// another copy, for which the stack rolls back.
    pub(super) async fn is_rolling_back(&self, owner: &Owner) -> bool {
        self.origin.doubt();
        let check = RollbackCheck { client: self.cloudformation.clone(), deadline: self.deadline };
        check.is_rolling_back(owner.stack_id()).await.unwrap_or_else(|error| {
            // To keep the ids lets in nobody new.
            tracing::warn!(%error, "CloudFormation does not tell if the stack rolls back");
            true
        })
    }
}

/// The facts of an entry whose whole subjects say all ids.
fn said_by_subjects(entry: &TrustEntry) -> Option<SubjectFacts> {
    let say_all = entry.subjects.iter().all(|subject| subject::has_repository_id(subject.as_str()));
    (entry.contexts.is_empty() && say_all).then(|| declared_facts(entry, []))
}

/// The facts of an entry that declares all ids, with each form that its subjects may have.
fn declared_in_any_form(issuer: &Issuer, entry: &TrustEntry) -> Option<SubjectFacts> {
    let is_organisation = matches!(entry.scope, Some(RepositoryScope::Organisation(_)));
    let is_whole = entry.owner_id.is_some() && (is_organisation || entry.repository_id.is_some());
    is_whole.then(|| declared_facts(entry, forms_of(issuer).iter().copied()))
}

/// Refuses names that have another id now.
fn taken_over(at: &str, others: &[OtherId]) -> Option<Refusal> {
    if others.is_empty() {
        return None;
    }
    let told = others.iter().map(|OtherId { what, pinned, now, remedy: _ }| {
        if pinned.is_empty() {
            return format!(
                "the role's tags had no room for all names that it has trusted, of which {what} may be one"
            );
        }
        format!("the role trusts {what} with id {}, and GitHub shows id {now} under this name", listed(pinned))
    });
    let steps: Vec<&str> = others.iter().map(|other| other.remedy.as_str()).collect();
    let steps = steps.join(" and ");
    let remedy = if others.iter().all(|other| other.pinned.is_empty()) {
        format!("If the repository, owner or user is meant that has the name now, write {steps}")
    } else {
        format!(
            "Somebody else may have taken over the name; the role still trusts the old id only. Find out who has the name now: \
             if the new one is meant, write {steps}"
        )
    };
    Some(Refusal::PreconditionFailed { what: format!("{at}: {}", told.collect::<Vec<_>>().join("; ")), remedy })
}

/// Refuses owners in whole subjects that nobody is, unless an id tells who is meant.
fn free(at: &str, entry: &TrustEntry, facts: &SubjectFacts) -> Option<Refusal> {
    let is_open = |owner: &&String| {
        let scope = RepositoryScope::Organisation((*owner).clone());
        !facts.named.contains_key(&scope) && declared_ids(entry, &scope).0.is_empty()
    };
    facts.free.iter().find(is_open).map(|owner| nobody(at, owner))
}

fn nobody(at: &str, owner: &str) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!("{at}: {owner}: there is no user or organisation of that name"),
        remedy: "GitHub says so, and whoever registers it would be let in. Correct the name, or declare `OwnerId`"
            .to_owned(),
    }
}

/// Refuses a name that leads to another one. Who has taken over a name can also let it lead elsewhere.
fn renamed(at: &str, entry: &TrustEntry, memory: &Memory, (from, to, id): (&Repository, &str, u64)) -> Refusal {
    let pinned: BTreeSet<u64> = memory.ids.repository(from).union(&memory.others.repository(from)).copied().collect();
    let what = format!("{at}: {from} was renamed or transferred, and is {to} (id {id}) now");
    if pinned.is_empty() || pinned.contains(&id) {
        let whose = if pinned.is_empty() { "If that is the repository that you mean, write" } else { "Write" };
        let is_own = entry.scope.as_ref().is_some_and(|scope| *scope == RepositoryScope::Repository(from.clone()));
        let step = if is_own { format!("`Repository: {to}`") } else { format!("{to} in its place under `Subjects`") };
        let remedy = format!("Its tokens carry the new name. {whose} {step}");
        return Refusal::PreconditionFailed { what, remedy };
    }
    Refusal::PreconditionFailed {
        what: format!("{what}, and the role trusts id {}", listed(&pinned)),
        remedy: format!("Somebody else may have taken over the name; do not trust {to} unless you know whose it is"),
    }
}

/// Returns the facts where GitHub does not answer: those of the memory, else both formats where the author gave the ids.
fn without_github(
    issuer: &Issuer,
    entry: &TrustEntry,
    memory: &Memory,
    problem: &LookupError,
    at: &str,
) -> Result<SubjectFacts, Error> {
    if let Some(facts) = memory.facts(issuer, entry, at) {
        tracing::warn!(at, %problem, ?facts, "GitHub did not say; going by the trust policy that IAM has");
        return Ok(facts);
    }
    if let Some(owner) = entry.scope.as_ref().and_then(|scope| free_name(scope, problem)) {
        return Err(nobody(at, owner).into());
    }
    let names = entry.actors.iter().any(|actor| matches!(actor, Actor::Name(_)));
    let forms: Option<&[SubjectFormat]> = match entry.format {
        _ if names => None,
        // Whole subjects say everything themselves.
        _ if entry.contexts.is_empty() => Some(&[]),
        Format::Classic => Some(&[SubjectFormat::Classic]),
        Format::Auto if entry.owner_id.is_some() && entry.repository_id.is_some() => Some(forms_of(issuer)),
        _ => None,
    };
    let Some(forms) = forms else {
        return Err(Error::LookupFailed { what: format!("{at}: {problem}"), remedy: by_hand(issuer, entry) });
    };
    tracing::warn!(at, %problem, ?forms, "GitHub did not say which form and ids there are");
    let mut facts = declared_facts(entry, forms.iter().copied());
    memory.complete(issuer, entry, &mut facts);
    Ok(facts)
}
