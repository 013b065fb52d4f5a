//! The rules of a trust policy that IAM has, each with the GitHub that it is for. Those of a policy that somebody else wrote, or
//! changed, tell ids and nothing more.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};

use super::issuer_of;
use super::name_record::key;
use super::pinned_ids::Identity;
use crate::github::name::RepositoryScope;
use crate::iam_policy::document::{allowed_values, allows, federated, statements};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, TrustPolicy, TrustRule, told_apart};

/// A rule of a policy.
#[derive(Clone, Debug)]
pub(super) struct FoundRule {
    pub(super) host: String,
    pub(super) rule: TrustRule,
    /// False if the ids of the rule are those of several names, and nothing tells whose each of them is.
    pub(super) is_sure: bool,
}

/// Reads a policy in which each name has its own id, as this function writes it.
pub(super) fn own_policy(document: &Value) -> Option<TrustPolicy> {
    let is_one = |rule: &TrustRule, claim| rule.claims.get(&claim).is_none_or(|ids| ids.len() == 1);
    let has_own = |rule: &TrustRule| is_one(rule, Claim::RepositoryId) && is_one(rule, Claim::RepositoryOwnerId);
    TrustPolicy::read(document).filter(|policy| policy.rules().iter().all(has_own))
}

/// Returns the rules of a document with the hosts of their issuers.
pub(super) fn found_rules(document: &Value) -> Vec<FoundRule> {
    if let Some(policy) = own_policy(document) {
        let Some(issuer) = issuer_of(&policy.provider_arn) else { return Vec::new() };
        let found = |rule: &TrustRule| FoundRule { host: issuer.web_host(), rule: rule.clone(), is_sure: true };
        return policy.rules().iter().map(found).collect();
    }
    let mut found = Vec::new();
    for statement in statements(document).iter().filter(|statement| allows(statement)) {
        let hosts: BTreeSet<String> =
            federated(statement).filter_map(issuer_of).map(|issuer| issuer.web_host()).collect();
        let rules = rules_of(statement);
        let of_host = |host: &String| {
            let host = host.clone();
            rules.iter().map(move |(rule, is_sure)| FoundRule {
                host: host.clone(),
                rule: rule.clone(),
                is_sure: *is_sure,
            })
        };
        found.extend(hosts.iter().flat_map(of_host));
    }
    found
}

/// The values of a claim in a statement.
fn values(statement: &Value, claim: &str) -> BTreeSet<Pattern> {
    allowed_values(&json!({"Statement": statement}), claim).into_iter().map(Pattern::written).collect()
}

/// The rules of a statement, and if they are sure: each name with its own ids, or with all that may be its own.
fn rules_of(statement: &Value) -> Vec<(TrustRule, bool)> {
    let subjects = values(statement, "sub");
    let named =
        subjects.iter().cloned().map(TrustRule::of).chain(values(statement, "repository").into_iter().map(|name| {
            TrustRule { subject: Pattern::written("*"), claims: [(Claim::Repository, Rc::new([name].into()))].into() }
        }));
    let named: Vec<(TrustRule, Identity)> = named.map(|rule| (rule.clone(), Identity::of(&rule))).collect();
    // The ids of subjects that say no name are those of the names beside them.
    let nameless = named.iter().map(|(_, identity)| identity).filter(|identity| identity.scope.is_none());
    let said = |ids: fn(&Identity) -> &BTreeSet<u64>| -> BTreeSet<Pattern> {
        nameless.clone().flat_map(ids).map(|id| Pattern::written(&id.to_string())).collect()
    };
    let ids = &values(statement, Claim::RepositoryId.name()) | &said(|identity| &identity.repository_ids);
    let owner_ids = &values(statement, Claim::RepositoryOwnerId.name()) | &said(|identity| &identity.owner_ids);
    let (mut repositories, mut owners) = (BTreeSet::new(), BTreeSet::new());
    for (_, Identity { scope, owner_ids, repository_ids }) in &named {
        let Some(scope) = scope else { continue };
        if let RepositoryScope::Repository(repository) = scope
            && repository_ids.is_empty()
        {
            repositories.insert(key(&repository.to_string()));
        }
        if owner_ids.is_empty() {
            owners.insert(key(scope.owner()));
        }
    }
    let told = told(statement, &named, &ids);
    let users = values(statement, Claim::ActorId.name());
    let mut found = Vec::new();
    for (index, (rule, identity)) in named.iter().enumerate() {
        let (mut sure, mut unsure) = (rule.clone(), rule.clone());
        if !users.is_empty() {
            sure.claims.insert(Claim::ActorId, Rc::new(users.clone()));
        }
        if let Some(told) = &told {
            sure = TrustRule { claims: sure.claims.into_iter().chain(told[index].claims.clone()).collect(), ..sure };
        } else if identity.repository_ids.is_empty() && !ids.is_empty() {
            let is_sure = ids.len() == 1 || repositories.len() < 2;
            let place = if is_sure { &mut sure } else { &mut unsure };
            place.claims.insert(Claim::RepositoryId, Rc::new(ids.clone()));
        }
        if identity.owner_ids.is_empty() && !owner_ids.is_empty() {
            let is_sure = owner_ids.len() == 1 || owners.len() < 2;
            let place = if is_sure { &mut sure } else { &mut unsure };
            place.claims.insert(Claim::RepositoryOwnerId, Rc::new(owner_ids.clone()));
        }
        found.extend([(sure, true), (unsure, false)]);
    }
    found
}

/// The rules with the ids that the `Sid` of a statement tells, if it lists all ids.
fn told(statement: &Value, named: &[(TrustRule, Identity)], ids: &BTreeSet<Pattern>) -> Option<Vec<TrustRule>> {
    let rules = named.iter().map(|(rule, _)| rule.clone()).collect();
    let told = told_apart(statement.get("Sid")?.as_str()?, rules)?;
    let of_rule = |rule: &TrustRule| rule.claims.get(&Claim::RepositoryId).cloned().unwrap_or_default();
    let all: BTreeSet<Pattern> = told.iter().flat_map(|rule| (*of_rule(rule)).clone()).collect();
    (all == *ids).then_some(told)
}
