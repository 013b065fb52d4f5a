//! The scheduled check of access entries: recreates an entry whose role was recreated, and ends a recreation that was
//! interrupted.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Role;

use super::bound_role::is_stale;
use super::state::RecreationRecord;
use super::{AccessEntries, Desired, EntryId, Principal, Wanted};
use crate::aws::{CallError, Deadline, ErrorKind, iam, pages};
use crate::error::{Error, Refusal};
use crate::ownership::Owner;
use crate::reconcile::{Reader, Reconciler};

/// An entry of ours that needs repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsRepair {
    /// The id of the entry.
    pub id: EntryId,
    /// The owner of the entry.
    pub owner: Owner,
}

/// The account's roles by their ARNs, with the few facts that distinguish a role from its predecessor. IAM's quota of 5,000
/// roles bounds them to a megabyte or two.
#[derive(Debug)]
pub struct Roles(BTreeMap<String, Principal>);

/// The result of checking an entry.
#[derive(Debug)]
pub enum EntryCheck {
    /// The entry is not ours, or no longer there.
    Foreign,
    /// The entry is ours, and complete.
    Healthy,
    /// The entry is ours, and incomplete or bound to a role that is no longer there.
    NeedsRepair(NeedsRepair),
}

/// Lists the names of the recreation records: of entries whose process has died, and of those that another one recreates.
///
/// # Errors
/// When the call fails.
pub async fn record_names(api: &AccessEntries) -> Result<Vec<String>, CallError> {
    let mut names = api.list_records().await?;
    names.sort();
    Ok(names)
}

/// An entry with a recreation record.
#[derive(Debug)]
pub struct RecordedEntry {
    /// The id of the entry.
    pub id: EntryId,
    /// The owner of the entry.
    pub owner: Option<Owner>,
}

/// Reads the entry with a recreation record.
///
/// # Errors
/// When the call fails.
pub async fn recorded_entry(api: &AccessEntries, name: &str) -> Result<Option<RecordedEntry>, CallError> {
    let Some(RecreationRecord { content, .. }) = api.read_record_named(name).await? else { return Ok(None) };
    let owner = Owner::of_tags(&content.tags);
    let id = EntryId { principal: content.principal, cluster: content.cluster };
    Ok(Some(RecordedEntry { id, owner }))
}

/// Lists the roles of the account.
///
/// # Errors
/// When the call fails.
pub async fn roles(api: &AccessEntries) -> Result<Roles, CallError> {
    api.roles().await.map(Roles)
}

/// Lists the clusters of the region, sorted by name.
///
/// # Errors
/// When the call fails.
pub async fn clusters(api: &AccessEntries) -> Result<Vec<String>, CallError> {
    let mut clusters = api.clusters().await?;
    clusters.sort();
    Ok(clusters)
}

/// Lists the entries of this account's roles in a cluster, sorted by principal. A cluster has at most 3,000 entries.
///
/// # Errors
/// When the call fails.
pub async fn entries(api: &AccessEntries, cluster: &str, roles: &Roles) -> Result<Vec<EntryId>, CallError> {
    let mut principals = match api.principals(cluster).await {
        Ok(principals) => principals,
        // The cluster was deleted meanwhile, or takes no access entries.
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    principals.retain(|principal| roles.0.contains_key(principal));
    principals.sort();
    Ok(principals.into_iter().map(|principal| EntryId { principal, cluster: cluster.to_owned() }).collect())
}

/// Checks an entry.
///
/// # Errors
/// When the call fails.
pub async fn check_entry(api: &AccessEntries, id: &EntryId, roles: &Roles) -> Result<EntryCheck, CallError> {
    let Some(role) = roles.0.get(&id.principal) else { return Ok(EntryCheck::Foreign) };
    let Some(entry) = api.entry(id).await? else { return Ok(EntryCheck::Foreign) };
    let Some(owner) = Owner::of_tags(&entry.content.tags) else { return Ok(EntryCheck::Foreign) };
    if is_stale(role, &entry) || entry.content.is_marked() {
        return Ok(EntryCheck::NeedsRepair(NeedsRepair { id: id.clone(), owner }));
    }
    Ok(EntryCheck::Healthy)
}

/// The result of a scheduled reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduledOutcome {
    /// The entry is complete.
    Healthy,
    /// The cluster of the entry was deleted.
    ClusterDeleted,
}

/// Repairs one entry.
///
/// # Errors
/// When the entry could not be recreated, or must not be. Its record stays for the next run.
pub async fn reconcile_scheduled(
    reconciler: &Reconciler<'_, AccessEntries>,
    id: &EntryId,
) -> Result<ScheduledOutcome, Error> {
    let api = reconciler.api;
    let role = api.role(&id.principal).await?;
    let mut desired = Desired { wanted: Wanted::Unchanged, role, process: api.process.clone(), hand_over: None };
    let observed = api.observe(id).await?;
    if let Some(observed) = &observed {
        api.ask_about_maker(&mut desired, observed).await?;
    }
    let is_committed = |record: &RecreationRecord| record.committed;
    if observed.is_some_and(|observed| observed.entry.is_none() && observed.record.as_ref().is_some_and(is_committed)) {
        if !api.has_cluster(&id.cluster).await? {
            api.delete_record(id).await?;
            return Ok(ScheduledOutcome::ClusterDeleted);
        }
        if desired.role.is_none() && api.is_of_this_account(&id.principal) {
            return Err(Error::Refused(Refusal::PreconditionFailed {
                what: format!("{id} was deleted to be made again, and now there is no role {}", id.principal),
                remedy:
                    "Make the role again, and the next run makes the entry again with all that it had; or remove the \
                         entry from its stack"
                        .to_owned(),
            }));
        }
    }
    reconciler.maintain(id, &desired).await?;
    Ok(ScheduledOutcome::Healthy)
}

impl AccessEntries {
    /// Lists the roles of the account by their ARNs.
    async fn roles(&self) -> Result<BTreeMap<String, Principal>, CallError> {
        // The list shows no tags.
        let principal =
            |role: &Role| Principal { created: role.create_date.secs(), role_id: role.role_id.clone(), maker: None };
        let roles =
            iam::list_roles(&self.iam, &self.deadline, |role| Some((role.arn.clone(), principal(&role)))).await?;
        Ok(roles.into_iter().collect())
    }

    async fn clusters(&self) -> Result<Vec<String>, CallError> {
        pages(async |token| {
            let request = self.eks.list_clusters().set_next_token(token);
            let page = self.deadline.call("eks:ListClusters", "*", || request.clone().send()).await?;
            Ok((page.clusters.unwrap_or_default(), page.next_token))
        })
        .await
    }

    async fn principals(&self, cluster: &str) -> Result<Vec<String>, CallError> {
        let list = async |deadline: Deadline| {
            pages(async |token| {
                let request = self.eks.list_access_entries().cluster_name(cluster).set_next_token(token);
                let page = deadline.call("eks:ListAccessEntries", cluster, || request.clone().send()).await?;
                Ok((page.access_entries.unwrap_or_default(), page.next_token))
            })
            .await
        };
        Ok(self.read_of(cluster, list).await?.unwrap_or_default())
    }

    async fn has_cluster(&self, cluster: &str) -> Result<bool, CallError> {
        let request = self.eks.describe_cluster().name(cluster);
        match self.deadline.call("eks:DescribeCluster", cluster, || request.clone().send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
