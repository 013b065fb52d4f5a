//! The rules of a trust policy that IAM has, each with the GitHub that it is for. Those of a policy that somebody else wrote, or
//! changed, tell ids and nothing more.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};

use super::identity::{Identity, has_exact_names};
use super::issuer_of;
use super::name_record::key;
use crate::github::Issuer;
use crate::github::name::RepositoryScope;
use crate::iam_policy::document::{allowed_values, allows, federated, names_action, spared_values, statements};
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

impl FoundRule {
    pub(super) fn told(&self) -> (&TrustRule, bool) {
        (&self.rule, self.is_sure)
    }
}

/// Reads a policy in which each name has its own id, as this function writes it.
pub(super) fn own_policy(document: &Value) -> Option<TrustPolicy> {
    let is_one = |rule: &TrustRule, claim| rule.claims.get(&claim).is_none_or(|ids| ids.len() == 1);
    let has_own = |rule: &TrustRule| {
        let has_ids = is_one(rule, Claim::RepositoryId) && is_one(rule, Claim::RepositoryOwnerId);
        has_ids && has_exact_names(rule.subject.as_str())
    };
    TrustPolicy::read(document).filter(|policy| policy.rules().iter().all(has_own))
}

/// The statements of a policy that let in tokens of GitHub. Somebody may have added others to those of this function.
pub(super) fn own_part(document: &Value) -> Value {
    let is_own = |statement: &&Value| allows(statement) && federated(statement).any(|arn| issuer_of(arn).is_some());
    let own: Vec<&Value> = statements(document).iter().filter(is_own).collect();
    json!({"Version": document["Version"], "Statement": own})
}

/// Returns the rules of a document with the hosts of their issuers.
pub(super) fn found_rules(document: &Value) -> Vec<FoundRule> {
    if let Some(policy) = own_policy(document) {
        let Some(issuer) = issuer_of(&policy.provider_arn) else { return Vec::new() };
        let found = |rule: &TrustRule| FoundRule { host: issuer.web_host(), rule: rule.clone(), is_sure: true };
        return policy.rules().iter().map(found).collect();
    }
    let document = &with_texts(document);
    let allowed: BTreeSet<String> =
        statements(document).iter().filter(|statement| allows(statement)).flat_map(hosts).collect();
    let mut found = Vec::new();
    for statement in statements(document).iter().filter(|statement| allows(statement) || denies_others(statement)) {
        // A denial is of what the statements beside it allow.
        let hosts = if allows(statement) { hosts(statement) } else { allowed.clone() };
        let mut rules = rules_of(statement, document);
        if !allows(statement) {
            rules = rules.into_iter().filter_map(|(rule, is_sure)| Some((of_denial(rule)?, is_sure))).collect();
        }
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

/// A rule of a denial, which lets in no name. It tells ids: of a repository without one, those of the owner.
fn of_denial(rule: TrustRule) -> Option<TrustRule> {
    let Identity { scope, owner_ids, repository_ids } = Identity::of(&rule);
    let has_user = rule.claims.contains_key(&Claim::ActorId);
    match scope {
        Some(scope @ RepositoryScope::Repository(_)) if repository_ids.is_empty() && !has_user => {
            let owner_id = owner_ids.first()?;
            Some(TrustRule::of(Pattern::written(&format!("repo:{}@{owner_id}/*", scope.owner()))))
        }
        _ => Some(rule).filter(|_| !owner_ids.is_empty() || !repository_ids.is_empty() || has_user),
    }
}

/// The hosts of the issuers that a statement is about. One for any provider is about those of its condition keys.
fn hosts(statement: &Value) -> BTreeSet<String> {
    let named: BTreeSet<String> = federated(statement).filter_map(issuer_of).map(|issuer| issuer.web_host()).collect();
    let is_any = statement.get("Principal").is_some_and(|principal| principal == "*")
        || federated(statement).any(|arn| arn.contains(['*', '?']));
    if !named.is_empty() || !is_any {
        return named;
    }
    let conditions = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    let keys = conditions.filter_map(|(_, keys)| keys.as_object()).flatten();
    let issuers = keys.filter_map(|(key, _)| Issuer::parse_without_scheme(key.rsplit_once(':')?.0).ok());
    issuers.map(|issuer| issuer.web_host()).collect()
}

/// The same document with numbers as texts, as which IAM compares them.
fn with_texts(document: &Value) -> Value {
    match document {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(items) => items.iter().map(with_texts).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), with_texts(value))).collect(),
        other => other.clone(),
    }
}

/// The values of a claim that a statement lets in, or that a denial spares.
fn values(statement: &Value, claim: &str) -> BTreeSet<Pattern> {
    let alone = json!({"Statement": statement});
    allowed_values(&alone, claim).into_iter().chain(spared_values(&alone, claim)).map(Pattern::written).collect()
}

/// The values of a claim that the denials of a document spare.
fn spared(document: &Value, claim: &str) -> BTreeSet<Pattern> {
    let denials = statements(document).iter().filter(|statement| denies_others(statement));
    denials.flat_map(|statement| values(statement, claim)).collect()
}

/// The values that a statement lets in and the denials beside it spare. Where these have none in common, those of the statement.
fn both(allowed: BTreeSet<Pattern>, spared: BTreeSet<Pattern>) -> BTreeSet<Pattern> {
    let common = &allowed & &spared;
    match (allowed.is_empty(), common.is_empty()) {
        (true, _) => spared,
        (false, true) => allowed,
        (false, false) => common,
    }
}

/// Returns true for a denial of all jobs but some: it compares one key, and nothing else has to be so.
fn denies_others(statement: &Value) -> bool {
    let conditions = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    let keys = conditions.filter_map(|(_, keys)| keys.as_object()).map(serde_json::Map::len).sum::<usize>();
    !allows(statement) && keys == 1 && names_action(statement, "sts:AssumeRoleWithWebIdentity")
}

/// The rules of a statement, and if they are sure: each name with its own ids, or with all that may be its own.
fn rules_of(statement: &Value, document: &Value) -> Vec<(TrustRule, bool)> {
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
    let all = |claim: Claim, said: BTreeSet<Pattern>| {
        both(&values(statement, claim.name()) | &said, spared(document, claim.name()))
    };
    let claimed = |claim: Claim| all(claim, BTreeSet::new());
    let ids = all(Claim::RepositoryId, said(|identity| &identity.repository_ids));
    let owner_ids = all(Claim::RepositoryOwnerId, said(|identity| &identity.owner_ids));
    let users = claimed(Claim::ActorId);
    let (repository_id, owner_id) = (claimed(Claim::RepositoryId), claimed(Claim::RepositoryOwnerId));
    // The claim names the repository of each job, whatever its subject says.
    let is_claimed = named.iter().any(|(rule, _)| rule.claims.contains_key(&Claim::Repository));
    let with_name: Vec<_> =
        named.iter().filter(|(_, identity)| identity.scope.is_some() || !is_claimed).cloned().collect();
    let nameless = of_no_name(&with_name, &repository_id, &owner_id, &users);
    let repositories = Pool::of(&named, repository_of, ids);
    let owners = Pool::of(&named, owner_of, owner_ids);
    let told = told(statement, &named, &repositories.claimed);
    let mut found = vec![(nameless, true)];
    for (index, (rule, identity)) in named.iter().enumerate() {
        // Its ids are those of the claimed name.
        if identity.scope.is_none() && is_claimed {
            continue;
        }
        let (mut sure, mut unsure) = (rule.clone(), rule.clone());
        if !users.is_empty() {
            sure.claims.insert(Claim::ActorId, Rc::new(users.clone()));
        }
        if owners.is_open(owner_of(identity)) {
            owners.add(Claim::RepositoryOwnerId, &mut sure, &mut unsure);
        }
        if repositories.is_open(repository_of(identity)) {
            match &told {
                Some(told) => sure.claims.extend(told[index].claims.clone()),
                None => repositories.add(Claim::RepositoryId, &mut sure, &mut unsure),
            }
        }
        found.extend([(sure, true), (unsure, false)]);
    }
    found
}

/// The ids of a statement that are of none of its names, as a rule without names.
fn of_no_name(
    named: &[(TrustRule, Identity)],
    ids: &BTreeSet<Pattern>,
    owner_ids: &BTreeSet<Pattern>,
    users: &BTreeSet<Pattern>,
) -> TrustRule {
    let has =
        |of: fn(&Identity) -> Own<'_>| !named.is_empty() && named.iter().all(|(_, identity)| of(identity).is_some());
    let claims = [
        (Claim::RepositoryId, ids, has(repository_of)),
        (Claim::RepositoryOwnerId, owner_ids, has(owner_of)),
        (Claim::ActorId, users, false),
    ];
    let claims = claims.into_iter().filter(|(_, ids, has_name)| !has_name && !ids.is_empty());
    TrustRule {
        subject: Pattern::written("*"),
        claims: claims.map(|(claim, ids, _)| (claim, Rc::new(ids.clone()))).collect(),
    }
}

/// The key of a name, with its own ids.
type Own<'a> = Option<(String, &'a BTreeSet<u64>)>;

fn repository_of(identity: &Identity) -> Own<'_> {
    let scope = identity.scope.as_ref().filter(|scope| matches!(scope, RepositoryScope::Repository(_)))?;
    Some((key(&scope.name()), &identity.repository_ids))
}

fn owner_of(identity: &Identity) -> Own<'_> {
    identity.scope.as_ref().map(|scope| (key(scope.owner()), &identity.owner_ids))
}

/// The ids that a statement lists, and the names that have none of their own.
struct Pool {
    claimed: BTreeSet<Pattern>,
    /// Those of no name that has its own.
    ids: BTreeSet<Pattern>,
    names: BTreeSet<String>,
}

impl Pool {
    fn of(rules: &[(TrustRule, Identity)], of: fn(&Identity) -> Own<'_>, claimed: BTreeSet<Pattern>) -> Self {
        let all = || rules.iter().filter_map(|(_, identity)| of(identity));
        let own: BTreeSet<String> = all().filter(|(_, ids)| !ids.is_empty()).map(|(name, _)| name).collect();
        let names = all().map(|(name, _)| name).filter(|name| !own.contains(name)).collect();
        let of_others: BTreeSet<Pattern> =
            all().flat_map(|(_, ids)| ids.iter().map(|id| Pattern::written(&id.to_string()))).collect();
        let ids = &claimed - &of_others;
        Self { ids: if ids.is_empty() { claimed.clone() } else { ids }, claimed, names }
    }

    fn is_open(&self, name: Own<'_>) -> bool {
        !self.ids.is_empty() && name.is_some_and(|(name, _)| self.names.contains(&name))
    }

    /// Adds the ids to a rule, which is sure where they can be of no other name.
    fn add(&self, claim: Claim, sure: &mut TrustRule, unsure: &mut TrustRule) {
        let is_sure = self.ids.len() == 1 || self.names.len() == 1;
        let rule = if is_sure { sure } else { unsure };
        rule.claims.insert(claim, Rc::new(self.ids.clone()));
    }
}

/// The rules with the ids that the `Sid` of a statement tells, if it lists all ids.
fn told(statement: &Value, named: &[(TrustRule, Identity)], ids: &BTreeSet<Pattern>) -> Option<Vec<TrustRule>> {
    let rules = named.iter().map(|(rule, _)| rule.clone()).collect();
    let told = told_apart(statement.get("Sid")?.as_str()?, rules)?;
    let of_rule = |rule: &TrustRule| rule.claims.get(&Claim::RepositoryId).cloned().unwrap_or_default();
    let all: BTreeSet<Pattern> = told.iter().flat_map(|rule| (*of_rule(rule)).clone()).collect();
    (all == *ids).then_some(told)
}
