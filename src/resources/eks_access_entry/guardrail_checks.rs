//! The guardrail checks of an access entry, declared or recalled.

use super::state::default_username;
use super::{EntryContent, EntryType, PolicyScope, Spec};
use crate::guardrails::{AccessEntryCheck, GuardrailCheck};

/// Returns the checks of a declared entry.
pub(super) fn of(spec: &Spec) -> Vec<GuardrailCheck> {
    let cluster = AccessEntryCheck::Cluster(spec.cluster.clone());
    let principal = AccessEntryCheck::Principal(spec.principal.clone());
    let node = (spec.entry_type != EntryType::STANDARD).then(|| AccessEntryCheck::Node(spec.entry_type.to_string()));
    let policies = spec.policies.iter().flatten().map(policy_check);
    let subject = |property, name: &String| AccessEntryCheck::KubernetesSubject { property, name: name.clone() };
    let groups = spec.groups.iter().flatten().map(|group| subject("KubernetesGroups", group));
    let username = spec.username.iter().map(|username| subject("Username", username));
    let entry = [cluster, principal].into_iter().chain(node).chain(policies).chain(groups).chain(username);
    let adoption = spec.adopt.then_some(GuardrailCheck::Adoption("access entries"));
    entry.map(GuardrailCheck::AccessEntry).chain(adoption).collect()
}

fn policy_check((arn, scope): (&String, &PolicyScope)) -> AccessEntryCheck {
    let namespaces = match scope {
        PolicyScope::Cluster => None,
        PolicyScope::Namespaces(namespaces) => Some(namespaces.iter().cloned().collect()),
    };
    AccessEntryCheck::Policy { arn: arn.clone(), namespaces }
}

impl EntryContent {
    /// The parts that a deployment may forbid. The username that EKS gives by default is not asked for.
    pub(super) fn guardrail_checks(&self) -> Vec<GuardrailCheck> {
        let cluster = AccessEntryCheck::Cluster(self.cluster.clone());
        let principal = AccessEntryCheck::Principal(self.principal.clone());
        let node = (self.entry_type != EntryType::STANDARD.0).then(|| AccessEntryCheck::Node(self.entry_type.clone()));
        let subject = |property, name: &String| AccessEntryCheck::KubernetesSubject { property, name: name.clone() };
        let groups = self.groups.iter().map(|group| subject("KubernetesGroups", group));
        let username = Some(&self.username).filter(|username| **username != default_username(&self.principal));
        let username = username.map(|username| subject("Username", username));
        let policies = self.policies.iter().map(policy_check);
        let entry = [cluster, principal].into_iter().chain(node).chain(policies).chain(groups).chain(username);
        entry.map(GuardrailCheck::AccessEntry).collect()
    }
}
