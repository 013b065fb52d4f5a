//! The rules of a trust policy that IAM has, each with the GitHub that it is for. Those of a policy that somebody else wrote, or
//! changed, tell ids and nothing more.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};

use super::issuer_of;
use crate::iam_policy::document::{allowed_values, allows, federated, statements};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, Claims, TrustPolicy, TrustRule};

/// Returns the rules of a document with the hosts of their issuers.
pub(super) fn found_rules(document: &Value) -> Vec<(String, TrustRule)> {
    if let Some(policy) = TrustPolicy::read(document) {
        let Some(issuer) = issuer_of(&policy.provider_arn) else { return Vec::new() };
        return policy.rules().iter().map(|rule| (issuer.web_host(), rule.clone())).collect();
    }
    let mut found = Vec::new();
    for statement in statements(document).iter().filter(|statement| allows(statement)) {
        let hosts: BTreeSet<String> =
            federated(statement).filter_map(issuer_of).map(|issuer| issuer.web_host()).collect();
        let rules = rules_of(statement);
        found.extend(hosts.iter().flat_map(|host| rules.iter().map(|rule| (host.clone(), rule.clone()))));
    }
    found
}

/// The rules of a statement: each name in it with all ids in it.
fn rules_of(statement: &Value) -> Vec<TrustRule> {
    let policy = json!({"Statement": statement});
    let values = |name: &str| allowed_values(&policy, name).into_iter().map(Pattern::written).collect::<BTreeSet<_>>();
    let of_claim = |claim: Claim| Some((claim, values(claim.name()))).filter(|(_, values)| !values.is_empty());
    let ids = [Claim::ActorId, Claim::RepositoryId, Claim::RepositoryOwnerId].into_iter().filter_map(of_claim);
    let ids: Claims = ids.map(|(claim, values)| (claim, Rc::new(values))).collect();
    let by_subject = values("sub").into_iter().map(|subject| TrustRule { subject, claims: ids.clone() });
    let by_name = values(Claim::Repository.name()).into_iter().map(|name| {
        let mut claims = ids.clone();
        claims.insert(Claim::Repository, Rc::new([name].into()));
        TrustRule { subject: Pattern::written("*"), claims }
    });
    by_subject.chain(by_name).collect()
}
