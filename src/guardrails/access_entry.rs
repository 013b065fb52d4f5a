//! The guardrails of access entries: in which clusters, for which principals, and with which access policies.

use super::{any, arn_matches, one_of};
use crate::cloudformation::nearest::differs_by_at_most;
use crate::deployment::Deployment;
use crate::iam_policy::string_like::string_like;

/// A part of an access entry that a deployment may forbid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessEntryCheck {
    /// An entry in this cluster.
    Cluster(String),
    /// An entry for this role or user.
    Principal(String),
    /// An access policy, in the whole cluster or in these namespaces.
    Policy {
        /// Its ARN.
        arn: String,
        /// None for the whole cluster; `*` is a wildcard.
        namespaces: Option<Vec<String>>,
    },
    /// An access entry of this type, which is one for nodes.
    Node(String),
    /// A name that a cluster's role bindings may know.
    KubernetesSubject {
        /// The property of the name.
        property: &'static str,
        /// The group or user.
        name: String,
    },
}

/// The access entries that a deployment permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccessEntryGuardrails {
    cluster_admin: bool,
    namespaces: Vec<String>,
    clusters: Vec<String>,
    /// Empty for the principals of the function's own account.
    principals: Vec<String>,
    kubernetes_subjects: Vec<String>,
}

/// Reads everything but secrets, and changes nothing.
const READER: &str = "AmazonEKSViewPolicy";
/// Policies that let their holder act as any service account of their namespaces. Every other policy is for administrators,
/// also one that EKS adds tomorrow: some write webhooks or read every secret.
/// <https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html>
const OF_NAMESPACES: [&str; 2] = ["AmazonEKSAdminPolicy", "AmazonEKSEditPolicy"];
/// Beginnings of namespaces whose service accounts are administrators of the cluster. `template.yaml` lists them as patterns.
const SYSTEM: [&str; 5] = ["argo", "cert-manager", "crossplane", "flux", "kube-"];

/// Returns the policy that a misspelt name stands for. Other names of EKS differ by more letters.
fn misspelt(name: &str) -> Option<&'static str> {
    let is_near = |policy: &&str| differs_by_at_most(2, name, policy);
    [READER].into_iter().chain(OF_NAMESPACES).find(is_near)
}

impl AccessEntryGuardrails {
    /// Permits everything.
    pub(super) fn none() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            cluster_admin: true,
            namespaces: any(),
            clusters: any(),
            principals: vec!["arn:*:iam::*:*".to_owned()],
            kubernetes_subjects: any(),
        }
    }

    /// Reads them: `list` takes a name and its default.
    pub(super) fn read(list: impl Fn(&str, &str) -> Vec<String>, allowed: impl Fn(&str) -> bool) -> Self {
        Self {
            cluster_admin: allowed("ALLOW_CLUSTER_ADMIN"),
            namespaces: list("ALLOWED_NAMESPACES", ""),
            clusters: list("ALLOWED_CLUSTERS", "*"),
            principals: list("ALLOWED_PRINCIPALS", ""),
            kubernetes_subjects: list("ALLOWED_KUBERNETES_SUBJECTS", "*"),
        }
    }

    /// Returns the reason of a refusal.
    pub(super) fn forbids(&self, check: &AccessEntryCheck, deployment: &Deployment) -> Option<String> {
        match check {
            AccessEntryCheck::Cluster(name) => (!any(&self.clusters, |allowed| string_like(allowed, name)))
                .then(|| format!("`ClusterName`: {name} {} (guardrail `AllowedClusters`)", one_of(&self.clusters))),
            AccessEntryCheck::Principal(arn) => self.forbids_principal(arn, deployment),
            AccessEntryCheck::Policy { arn, namespaces } => self.forbids_policy(arn, namespaces.as_deref()),
            // The node that it then is, a session's name says, and the session's holder chooses that.
            AccessEntryCheck::Node(kind) => (!self.cluster_admin).then(|| {
                format!(
                    "`Type`: {kind} makes its holder a node of the cluster, who can have what runs there (guardrail \
                     `AllowClusterAdmin`)"
                )
            }),
            AccessEntryCheck::KubernetesSubject { property, name } => {
                (!any(&self.kubernetes_subjects, |allowed| string_like(allowed, name))).then(|| {
                    let allowed = one_of(&self.kubernetes_subjects);
                    format!("`{property}`: {name} {allowed} (guardrail `AllowedKubernetesSubjects`)")
                })
            }
        }
    }

    fn forbids_principal(&self, arn: &str, deployment: &Deployment) -> Option<String> {
        if self.principals.is_empty() {
            let own = format!("arn:*:iam::{}:*", deployment.account);
            return (!arn_matches(&own, arn)).then(|| {
                format!(
                    "`PrincipalArn`: {arn} is not of the account {} (guardrail `AllowedPrincipals`)",
                    deployment.account
                )
            });
        }
        (!any(&self.principals, |allowed| arn_matches(allowed, arn)))
            .then(|| format!("`PrincipalArn`: {arn} {} (guardrail `AllowedPrincipals`)", one_of(&self.principals)))
    }

    fn forbids_policy(&self, arn: &str, namespaces: Option<&[String]>) -> Option<String> {
        let name = arn.rsplit('/').next().unwrap_or_default();
        if self.cluster_admin || name == READER {
            return None;
        }
        if !OF_NAMESPACES.contains(&name) {
            if let Some(meant) = misspelt(name) {
                return Some(format!(
                    "`AccessPolicies`: {name} is not an access policy that this function knows; did you mean {meant}? \
                     (guardrail `AllowClusterAdmin`)"
                ));
            }
            let known = OF_NAMESPACES.join(" and ");
            return Some(format!(
                "`AccessPolicies`: {name} is for administrators; without them there are {READER}, and {known} in \
                 namespaces (guardrail `AllowClusterAdmin`)"
            ));
        }
        let administers = |scope: &str| {
            format!(
                "`AccessPolicies`: {name} in {scope} can make its holder an administrator of the whole cluster (guardrail \
                 `AllowClusterAdmin`)"
            )
        };
        let Some(namespaces) = namespaces else { return Some(administers("the cluster")) };
        let those = |holds: &dyn Fn(&str) -> bool| {
            let found: Vec<&str> = namespaces.iter().map(String::as_str).filter(|namespace| holds(namespace)).collect();
            (!found.is_empty()).then(|| format!("the namespaces {}", found.join(", ")))
        };
        let outside = |namespace: &str| !any(&self.namespaces, |allowed| string_like(allowed, namespace));
        those(&reaches_system).map(|scope| administers(&scope)).or_else(|| {
            let allowed = match self.namespaces.as_slice() {
                [] => "none".to_owned(),
                allowed => allowed.join(", "),
            };
            let scope = those(&outside)?;
            Some(format!(
                "`AccessPolicies`: {name} in {scope}, and it is allowed in {allowed} (guardrail `AllowedNamespaces`)"
            ))
        })
    }
}

/// Returns true if a namespace is, or a pattern may match, one of [`SYSTEM`].
fn reaches_system(namespace: &str) -> bool {
    let beginning = namespace.split_once('*').map(|(beginning, _)| beginning);
    SYSTEM
        .iter()
        .any(|system| namespace.starts_with(system) || beginning.is_some_and(|beginning| system.starts_with(beginning)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_that_are_or_may_be_those_of_the_system_are_known() {
        for reaching in ["kube-system", "kube-*", "kube-s*", "k*", "*", "*-dev", "kube*", "argocd", "argo*", "a*", "c*"]
        {
            assert!(reaches_system(reaching), "{reaching}");
        }
        for reaching in ["flux-system", "crossplane-system", "cert-manager", "cert*", "cr*-system"] {
            assert!(reaches_system(reaching), "{reaching}");
        }
        for apart in ["default", "kubeflow", "dev-*", "team-kube-system", "kubeflow-*", "app-*", "certs", "crow-*"] {
            assert!(!reaches_system(apart), "{apart}");
        }
    }

    #[test]
    fn a_misspelt_access_policy_is_answered_with_the_nearest() {
        let guardrails = AccessEntryGuardrails::read(|_, _| vec!["web".to_owned()], |_| false);
        let reason = |name: &str| {
            let arn = format!("arn:aws:eks::aws:cluster-access-policy/{name}");
            guardrails.forbids_policy(&arn, Some(&["web".to_owned()])).unwrap_or_default()
        };
        for (misspelt, meant) in [
            ("AmazonEKSAdminPolcy", "AmazonEKSAdminPolicy"),
            ("amazonEksEditPolicy", "AmazonEKSEditPolicy"),
            ("AmazonEKSVeiwPolicy", "AmazonEKSViewPolicy"),
        ] {
            let expected = format!(
                "{misspelt} is not an access policy that this function knows; did you mean {meant}? (guardrail"
            );
            assert!(reason(misspelt).contains(&expected), "{}", reason(misspelt));
        }
        // They exist, or stand for one of administrators.
        for other in [
            "AmazonEKSACKPolicy",
            "AmazonEKSAdminViewPolicy",
            "AmazonEKSArgoCDPolicy",
            "AmazonEKSAutoNodePolicy",
            "AmazonEKSClusterAdminPolcy",
            "AmazonEKSHybridPolicy",
            "AmazonEKSKROPolicy",
            "AmazonEKSNetworkingPolicy",
            "AmazonEKSPodIdentityPolicy",
            "AmazonEKSSecretAdminPolicy",
            "AmazonEKSSecretReaderPolicy",
        ] {
            assert!(reason(other).contains(&format!("{other} is for administrators")), "{}", reason(other));
        }
        assert_eq!(reason("AmazonEKSEditPolicy"), "");
    }

    /// IAM has no prefixes that a pattern may match, so its list names each of them.
    #[test]
    fn the_template_denies_the_namespaces_of_the_system_by_the_same_patterns() {
        let mut patterns = vec!["${*}*".to_owned()];
        for system in SYSTEM {
            patterns.extend((1..system.len()).map(|end| format!("{}${{*}}*", &system[..end])));
            patterns.push(format!("{system}*"));
        }
        patterns.sort();
        patterns.dedup();
        let template = include_str!("../../template.yaml");
        let (_, list) = template.split_once("ForAnyValue:StringLike:\n").expect("the list of the system's namespaces");
        let (_, list) = list.split_once('[').expect("a list");
        let (list, _) = list.split_once(']').expect("a list's end");
        let mut found: Vec<String> =
            list.split(',').map(|pattern| pattern.trim().trim_matches('"').to_owned()).collect();
        found.sort();
        assert_eq!(found, patterns);
    }
}
