//! Each action is one call of EKS; removing what is gone already succeeds.

use super::Desired;
use super::Spec;
use super::Wanted;
use super::sharing::RecreatedEntry;
use crate::ownership::Owner;
use crate::reconcile::Api;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eks::types::{
    AccessEntry, AccessScope, AccessScopeType, AssociatedAccessPolicy, AuthenticationMode, ClusterStatus,
};
use futures_util::future::join3;

use super::plan::{Action, EntryCreateInput, RESTORING, RETYPED};
use super::state::{EntryContent, Observed, ObservedEntry};
use super::{AccessEntries, Created, EntryId, EntryType, PolicyScope, Principal, is_role_of};
use crate::arn::Arn;
use crate::aws::Backoff;
use crate::aws::{CallError, ErrorKind, ignore_not_found, pages};
use crate::cloudformation::properties::nearest_few;
use crate::error::{Error, Refusal};
use crate::metrics;

impl Api for AccessEntries {
    type Sharing = RecreatedEntry;

    async fn resolve(&self, _: &Owner, _: &EntryId, spec: Spec) -> Result<Desired, Error> {
        let policies = spec.policies.iter().flat_map(|policies| policies.keys());
        let (cluster, policies, role) =
            join3(self.wait_for_cluster(&spec.cluster), self.check_policies(policies), self.role(&spec.principal))
                .await;
        cluster?;
        policies?;
        Ok(Desired { role: role?, wanted: Wanted::Declared(Box::new(spec)), process: self.process.clone() })
    }

    async fn observe(&self, id: &EntryId) -> Result<Option<Observed>, CallError> {
        // All at once; where there is no entry, or one of a type without policies, the second call tells nothing.
        let (entry, policies, memory) = join3(self.describe(id), self.associated(id), self.remembered(id)).await;
        Ok(Observed::of(whole(id, entry?, policies)?, memory?))
    }

    async fn apply(&self, id: &EntryId, action: &Action) -> Result<Option<Created>, CallError> {
        let Self { eks, iam: _, secrets: _, process: _, now, deployment: _, deadline } = self;
        let EntryId { principal, cluster } = id;
        match action {
            Action::Create { shell } => {
                let EntryCreateInput { cluster: _, principal: _, entry_type, username, groups, tags } = shell.as_ref();
                let standard = entry_type == EntryType::STANDARD.0;
                let request = eks
                    .create_access_entry()
                    .cluster_name(cluster)
                    .principal_arn(principal)
                    .r#type(entry_type)
                    .set_username(username.clone())
                    .set_kubernetes_groups(standard.then(|| groups.iter().cloned().collect()))
                    .set_tags(Some(tags.clone().into_iter().collect()));
                let output = deadline.call("eks:CreateAccessEntry", id, || request.clone().send()).await?;
                if tags.get(RESTORING).is_some_and(|why| why == RETYPED) {
                    tracing::info!(%principal, cluster, "made an access entry again, with another type");
                } else if tags.contains_key(RESTORING) {
                    tracing::warn!(%principal, cluster, "made an access entry again, because its role was made again");
                    metrics::count_of("RestoredEntries", 1, ("Cluster", cluster), *now);
                }
                return Ok(output.access_entry.map(|entry| Created {
                    arn: entry.access_entry_arn.unwrap_or_default(),
                    username: entry.username.unwrap_or_default(),
                    created: entry.created_at.map_or(i64::MAX, |created| created.secs()),
                }));
            }
            Action::Update { username, groups } => {
                let request = eks
                    .update_access_entry()
                    .cluster_name(cluster)
                    .principal_arn(principal)
                    .set_username(username.clone())
                    .set_kubernetes_groups(groups.as_ref().map(|groups| groups.iter().cloned().collect()));
                deadline.call("eks:UpdateAccessEntry", id, || request.clone().send()).await.map(drop)
            }
            Action::Associate { policy, scope } => {
                let request = eks
                    .associate_access_policy()
                    .cluster_name(cluster)
                    .principal_arn(principal)
                    .policy_arn(policy)
                    .access_scope(access_scope(scope));
                let call = || deadline.call("eks:AssociateAccessPolicy", id, || request.clone().send());
                let associated = call().await?.associated_access_policy.and_then(|policy| policy.access_scope);
                // The API reference says that associating again changes the scope. If it did not, it takes two calls.
                if associated.is_some() && observed_scope(associated) != *scope {
                    let request = eks
                        .disassociate_access_policy()
                        .cluster_name(cluster)
                        .principal_arn(principal)
                        .policy_arn(policy);
                    ignore_not_found(
                        deadline.call("eks:DisassociateAccessPolicy", id, || request.clone().send()).await,
                    )?;
                    call().await?;
                }
                Ok(())
            }
            Action::Disassociate(policy) => {
                let request =
                    eks.disassociate_access_policy().cluster_name(cluster).principal_arn(principal).policy_arn(policy);
                ignore_not_found(deadline.call("eks:DisassociateAccessPolicy", id, || request.clone().send()).await)
            }
            Action::Tag { arn, tags } => {
                let request = eks.tag_resource().resource_arn(arn).set_tags(Some(tags.clone().into_iter().collect()));
                deadline.call("eks:TagResource", id, || request.clone().send()).await.map(drop)
            }
            Action::Untag { arn, keys } => {
                let keys = keys.iter().cloned().collect();
                let request = eks.untag_resource().resource_arn(arn).set_tag_keys(Some(keys));
                ignore_not_found(deadline.call("eks:UntagResource", id, || request.clone().send()).await)
            }
            Action::Unmark { arn } => {
                let request = eks.untag_resource().resource_arn(arn).tag_keys(RESTORING);
                ignore_not_found(deadline.once().call("eks:UntagResource", id, || request.clone().send()).await)
            }
            Action::SaveRecord { memory, known } => self.remember(id, memory, *known).await,
            Action::DeleteRecord => self.forget(id).await,
            Action::Delete { stale: _ } => {
                let request = eks.delete_access_entry().cluster_name(cluster).principal_arn(principal);
                ignore_not_found(deadline.call("eks:DeleteAccessEntry", id, || request.clone().send()).await)
            }
        }?;
        Ok(None)
    }
}

impl AccessEntries {
    /// Waits while the cluster is being made; refuses one that takes no access entries.
    pub(super) async fn wait_for_cluster(&self, cluster: &str) -> Result<(), Error> {
        let unfit = |what: String, remedy: String| Err(Error::Refused(Refusal::PreconditionFailed { what, remedy }));
        let mut pauses = Backoff::new();
        loop {
            let request = self.eks.describe_cluster().name(cluster);
            let output = match self.deadline.call("eks:DescribeCluster", cluster, || request.clone().send()).await {
                Ok(output) => output,
                Err(error) if error.kind == ErrorKind::NotFound => {
                    return unfit(
                        format!("`ClusterName`: there is no EKS cluster {cluster:?} in this account and region"),
                        "Check the name and the region of the stack".to_owned(),
                    );
                }
                Err(error) => return Err(error.into()),
            };
            let description = output.cluster;
            let status = description.as_ref().and_then(|cluster| cluster.status.clone());
            let mode =
                description.and_then(|cluster| cluster.access_config).and_then(|access| access.authentication_mode);
            match status {
                Some(ClusterStatus::Creating | ClusterStatus::Pending) => {
                    let pause = pauses.pause();
                    if !self.deadline.allows(pause) {
                        return unfit(
                            format!("the EKS cluster {cluster:?} was still being created when the time was up"),
                            "Let this resource depend on the cluster, or raise `ServiceTimeout`".to_owned(),
                        );
                    }
                    tokio::time::sleep(pause).await;
                }
                // What is changed may be just that: a cluster shows its old mode until the update is done.
                Some(ClusterStatus::Updating) if mode == Some(AuthenticationMode::ConfigMap) => {
                    let pause = pauses.pause();
                    if !self.deadline.allows(pause) {
                        return unfit(
                            format!(
                                "the EKS cluster {cluster:?} was still being updated when the time was up, and had \
                                 authentication mode CONFIG_MAP, which knows no access entries"
                            ),
                            "Wait for its update, and see that its mode becomes API_AND_CONFIG_MAP or API".to_owned(),
                        );
                    }
                    tokio::time::sleep(pause).await;
                }
                Some(status @ (ClusterStatus::Deleting | ClusterStatus::Failed)) => {
                    return unfit(
                        format!("the EKS cluster {cluster:?} is {}", status.as_str()),
                        "It takes no access entries any more".to_owned(),
                    );
                }
                _ if mode == Some(AuthenticationMode::ConfigMap) => {
                    return unfit(
                        format!(
                            "the EKS cluster {cluster:?} has authentication mode CONFIG_MAP, which knows no access entries"
                        ),
                        format!(
                            "Change it: aws eks update-cluster-config --name {cluster} --access-config authenticationMode=API_AND_CONFIG_MAP"
                        ),
                    );
                }
                _ => return Ok(()),
            }
        }
    }

    /// Refuses policies that EKS does not have. The list grows, so it is asked for and never written down.
    pub(super) async fn check_policies(&self, wanted: impl Iterator<Item = &String>) -> Result<(), Error> {
        let mut wanted = wanted.peekable();
        if wanted.peek().is_none() {
            return Ok(());
        }
        let known: BTreeSet<String> = pages(async |token| {
            let request = self.eks.list_access_policies().set_next_token(token);
            let page = self.deadline.call("eks:ListAccessPolicies", "*", || request.clone().send()).await?;
            let arns = page.access_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.arn);
            Ok((arns.collect(), page.next_token))
        })
        .await?
        .into_iter()
        .collect();
        let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let names: Vec<String> = known.iter().map(|arn| name(arn)).collect();
        let unknown: Vec<&str> = wanted.filter(|policy| !known.contains(*policy)).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut near = Vec::new();
        for likely in unknown.iter().flat_map(|policy| nearest_few(&name(policy), names.iter().map(String::as_str))) {
            if !near.contains(&likely) {
                near.push(likely);
            }
        }
        Err(Error::Refused(Refusal::PreconditionFailed {
            what: format!("`AccessPolicies`: EKS has no access policy {}", unknown.join(", ")),
            remedy: match near.as_slice() {
                [] => format!("It has {}", names.join(", ")),
                near => format!("Did you mean {}?", near.join(" or ")),
            },
        }))
    }

    /// The role as it is now, if it is one of this account.
    pub(super) async fn role(&self, principal: &str) -> Result<Option<Principal>, CallError> {
        let Some(name) = self.is_of_this_account(principal).then(|| Arn::parse(principal)?.role_name()).flatten()
        else {
            return Ok(None);
        };
        let request = self.iam.get_role().role_name(name);
        match self.deadline.call("iam:GetRole", name, || request.clone().send()).await {
            Ok(output) => {
                Ok(output.role.map(|role| Principal { created: role.create_date.secs(), role_id: role.role_id }))
            }
            // Whether there is one, EKS says.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a principal is of the account whose roles can be looked at.
    pub(super) fn is_of_this_account(&self, principal: &str) -> bool {
        is_role_of(principal, &self.deployment)
    }

    /// The entry alone.
    pub(super) async fn entry(&self, id: &EntryId) -> Result<Option<ObservedEntry>, CallError> {
        whole(id, self.describe(id).await?, Ok(BTreeMap::new()))
    }
}

/// What EKS says of an entry in two answers.
fn whole(
    id: &EntryId,
    entry: Option<AccessEntry>,
    policies: Result<BTreeMap<String, PolicyScope>, CallError>,
) -> Result<Option<ObservedEntry>, CallError> {
    let Some(entry) = entry else { return Ok(None) };
    let standard = entry.r#type.as_deref() == Some(EntryType::STANDARD.0);
    let policies = match policies {
        Ok(policies) => policies,
        // EKS says so also while it does not see the role yet; whether the entry is there, the other call has said.
        Err(error) if error.kind == ErrorKind::NotFound => BTreeMap::new(),
        Err(error) if error.kind == ErrorKind::Invalid && !standard => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    let content = EntryContent {
        cluster: id.cluster.clone(),
        principal: id.principal.clone(),
        entry_type: entry.r#type.unwrap_or_default(),
        username: entry.username.unwrap_or_default(),
        groups: entry.kubernetes_groups.unwrap_or_default().into_iter().collect(),
        policies,
        tags: entry.tags.unwrap_or_default().into_iter().collect(),
    };
    let created = entry.created_at.map_or(i64::MAX, |created| created.secs());
    Ok(Some(ObservedEntry { content, arn: entry.access_entry_arn.unwrap_or_default(), created }))
}

impl AccessEntries {
    async fn describe(&self, id: &EntryId) -> Result<Option<AccessEntry>, CallError> {
        let request = self.eks.describe_access_entry().cluster_name(&id.cluster).principal_arn(&id.principal);
        match self.deadline.call("eks:DescribeAccessEntry", id, || request.clone().send()).await {
            Ok(output) => Ok(output.access_entry),
            // The entry or the whole cluster.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn associated(&self, id: &EntryId) -> Result<BTreeMap<String, PolicyScope>, CallError> {
        let policies = pages(async |token| {
            let request = self
                .eks
                .list_associated_access_policies()
                .cluster_name(&id.cluster)
                .principal_arn(&id.principal)
                .set_next_token(token);
            let page = self.deadline.call("eks:ListAssociatedAccessPolicies", id, || request.clone().send()).await?;
            Ok((page.associated_access_policies.unwrap_or_default(), page.next_token))
        })
        .await?;
        let scope = |policy: AssociatedAccessPolicy| Some((policy.policy_arn?, observed_scope(policy.access_scope)));
        Ok(policies.into_iter().filter_map(scope).collect())
    }
}

fn access_scope(scope: &PolicyScope) -> AccessScope {
    match scope {
        PolicyScope::Cluster => AccessScope::builder().r#type(AccessScopeType::Cluster).build(),
        PolicyScope::Namespaces(namespaces) => AccessScope::builder()
            .r#type(AccessScopeType::Namespace)
            .set_namespaces(Some(namespaces.iter().cloned().collect()))
            .build(),
    }
}

fn observed_scope(scope: Option<AccessScope>) -> PolicyScope {
    match scope {
        Some(AccessScope { r#type: Some(AccessScopeType::Namespace), namespaces, .. }) => {
            PolicyScope::Namespaces(namespaces.unwrap_or_default().into_iter().collect())
        }
        _ => PolicyScope::Cluster,
    }
}
