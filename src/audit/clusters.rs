//! The access entries of roles, on every cluster of the region. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eks::Client;
use aws_sdk_eks::types::AuthenticationMode;
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::aws::{CallError, Deadline, ErrorKind, pages};

/// The number of roles, and of access entries, that are read at the same time.
pub(super) const MAX_CONCURRENT_CALLS: usize = 4;

/// The access of a role to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClusterAccess {
    /// The name of the cluster.
    pub cluster: String,
    /// The groups of Kubernetes.
    pub groups: Vec<String>,
    /// The access policies.
    pub policies: Vec<AccessPolicy>,
}

impl ClusterAccess {
    /// The policies and the groups.
    #[must_use]
    pub fn words(&self) -> String {
        let groups = self.groups.iter().map(|group| format!("group {group}"));
        let all: Vec<String> = self.policies.iter().map(AccessPolicy::words).chain(groups).collect();
        if all.is_empty() { "nothing yet".to_owned() } else { all.join("; ") }
    }
}

/// An access policy of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccessPolicy {
    /// Its ARN.
    pub arn: String,
    /// The namespaces that it is for; none is the whole cluster.
    pub namespaces: Vec<String>,
}

impl AccessPolicy {
    fn words(&self) -> String {
        let name = self.arn.rsplit('/').next().unwrap_or_default();
        let scope =
            if self.namespaces.is_empty() { "the whole cluster".to_owned() } else { self.namespaces.join(", ") };
        format!("{name} in {scope}")
    }
}

/// Reads the entries of these roles, by ARN.
///
/// # Errors
/// When EKS does not answer, or denies a call.
pub(super) async fn access(
    eks: &Client,
    deadline: &Deadline,
    roles: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Vec<ClusterAccess>>, CallError> {
    let clusters: Vec<String> = pages(async |token| {
        let request = eks.list_clusters().set_next_token(token);
        let page = deadline.call("eks:ListClusters", "*", || request.clone().send()).await?;
        Ok((page.clusters.unwrap_or_default(), page.next_token))
    })
    .await?;
    let mut found = BTreeMap::<String, Vec<ClusterAccess>>::new();
    for cluster in clusters {
        let principals = principals(eks, deadline, &cluster).await?;
        let ours = principals.into_iter().filter(|arn| roles.contains(&**arn)).map(async |principal| {
            let access = entry(eks, deadline, &cluster, &principal).await?;
            Ok::<_, CallError>((principal, access))
        });
        let entries: Vec<_> = stream::iter(ours).buffered(MAX_CONCURRENT_CALLS).try_collect().await?;
        for (principal, access) in entries {
            found.entry(principal).or_default().extend(access);
        }
    }
    Ok(found)
}

/// The principals of a cluster; none for a cluster that knows no entries.
async fn principals(eks: &Client, deadline: &Deadline, cluster: &str) -> Result<Vec<String>, CallError> {
    let request = eks.describe_cluster().name(cluster);
    let shown = match deadline.call("eks:DescribeCluster", cluster, || request.clone().send()).await {
        Ok(shown) => shown.cluster,
        // It was deleted a moment ago.
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mode = shown.and_then(|cluster| cluster.access_config?.authentication_mode);
    if mode == Some(AuthenticationMode::ConfigMap) {
        return Ok(Vec::new());
    }
    pages(async |token| {
        let request = eks.list_access_entries().cluster_name(cluster).set_next_token(token);
        let page = deadline.call("eks:ListAccessEntries", cluster, || request.clone().send()).await?;
        Ok((page.access_entries.unwrap_or_default(), page.next_token))
    })
    .await
}

async fn entry(
    eks: &Client,
    deadline: &Deadline,
    cluster: &str,
    principal: &str,
) -> Result<Option<ClusterAccess>, CallError> {
    let request = eks.describe_access_entry().cluster_name(cluster).principal_arn(principal);
    let shown = deadline.call("eks:DescribeAccessEntry", principal, || request.clone().send());
    let policies = pages(async |token| {
        let request = eks.list_associated_access_policies().cluster_name(cluster).principal_arn(principal);
        let request = request.set_next_token(token);
        let page = deadline.call("eks:ListAssociatedAccessPolicies", principal, || request.clone().send()).await?;
        Ok((page.associated_access_policies.unwrap_or_default(), page.next_token))
    });
    let (shown, policies) = match try_join(shown, policies).await {
        Ok((shown, policies)) => (shown.access_entry, policies),
        // It was deleted a moment ago.
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let groups = shown.and_then(|entry| entry.kubernetes_groups).unwrap_or_default();
    let policies = policies.into_iter().map(|policy| AccessPolicy {
        arn: policy.policy_arn.unwrap_or_default(),
        namespaces: policy.access_scope.and_then(|scope| scope.namespaces).unwrap_or_default(),
    });
    Ok(Some(ClusterAccess { cluster: cluster.to_owned(), groups, policies: policies.collect() }))
}
