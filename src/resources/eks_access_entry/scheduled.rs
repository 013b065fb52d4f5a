//! The scheduled look at access entries: one whose role was made again is made again too, and one whose making again was
//! broken off is brought back.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Role;

use super::plan::{is_marked, is_stale};
use super::state::RecreationRecord;
use super::{AccessEntries, Desired, EntryId, Principal, Wanted};
use crate::aws::{CallError, ErrorKind, iam, pages};
use crate::error::{Error, Refusal};
use crate::ownership::Owner;
use crate::reconcile::{Api, Reconciler};

/// An entry of ours that has to be seen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsRepair {
    /// Which.
    pub id: EntryId,
    /// Whose.
    pub owner: Owner,
}

/// The account's roles by their ARNs, each in as little as tells it from another of its name. IAM's quota bounds them: at
/// most 5,000 roles, which is a megabyte or two.
#[derive(Debug)]
pub struct Roles(BTreeMap<String, Principal>);

/// What a look at an entry found.
#[derive(Debug)]
pub enum EntryCheck {
    /// None of ours, or none at all any more.
    Foreign,
    /// Ours, and well.
    Healthy,
    /// Ours, and bound to a role that is no more, or not whole.
    NeedsRepair(NeedsRepair),
}

/// The names of what is remembered: entries that were being made again when a process died, or that another one is at.
///
/// # Errors
/// When Secrets Manager does not give its list.
pub async fn remembered(kind: &AccessEntries) -> Result<Vec<String>, CallError> {
    let mut names = kind.memories().await?;
    names.sort();
    Ok(names)
}

/// The entry that is remembered under a name, and whose it is.
///
/// # Errors
/// When Secrets Manager does not give it.
pub async fn recalled(kind: &AccessEntries, name: &str) -> Result<Option<(EntryId, Option<Owner>)>, CallError> {
    // Forgotten between two looks, or remembered by a run that is under way.
    let Some(RecreationRecord { content, .. }) = kind.recall(name).await? else { return Ok(None) };
    let owner = Owner::of_tags(&content.tags);
    Ok(Some((EntryId { principal: content.principal, cluster: content.cluster }, owner)))
}

/// All roles of the account.
///
/// # Errors
/// When IAM does not give its list.
pub async fn roles(kind: &AccessEntries) -> Result<Roles, CallError> {
    kind.roles().await.map(Roles)
}

/// The clusters of the region, in the order of their names.
///
/// # Errors
/// When EKS does not give its list.
pub async fn clusters(kind: &AccessEntries) -> Result<Vec<String>, CallError> {
    let mut clusters = kind.clusters().await?;
    clusters.sort();
    Ok(clusters)
}

/// The entries of this account's roles in a cluster, in the order of their principals: at most the 3,000 that a cluster
/// can have.
///
/// # Errors
/// When EKS does not give its list.
pub async fn entries(kind: &AccessEntries, cluster: &str, roles: &Roles) -> Result<Vec<EntryId>, CallError> {
    let mut principals = match kind.principals(cluster).await {
        Ok(principals) => principals,
        // It went away between two looks, or takes no access entries.
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    principals.retain(|principal| roles.0.contains_key(principal));
    principals.sort();
    Ok(principals.into_iter().map(|principal| EntryId { principal, cluster: cluster.to_owned() }).collect())
}

/// Looks at an entry.
///
/// # Errors
/// When EKS does not show it.
pub async fn look(kind: &AccessEntries, id: &EntryId, roles: &Roles) -> Result<EntryCheck, CallError> {
    let Some(role) = roles.0.get(&id.principal) else { return Ok(EntryCheck::Foreign) };
    let Some(entry) = kind.entry(id).await? else { return Ok(EntryCheck::Foreign) };
    let Some(owner) = Owner::of_tags(&entry.content.tags) else { return Ok(EntryCheck::Foreign) };
    if is_stale(role, &entry) || is_marked(&entry.content) {
        return Ok(EntryCheck::NeedsRepair(NeedsRepair { id: id.clone(), owner }));
    }
    Ok(EntryCheck::Healthy)
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduledOutcome {
    /// It works.
    Healthy,
    /// Its cluster is gone.
    ClusterDeleted,
}

/// Sees to one entry.
///
/// # Errors
/// When it could not be made again; what is remembered of it stays for the next run.
pub async fn keep(reconciler: &Reconciler<'_, AccessEntries>, id: &EntryId) -> Result<ScheduledOutcome, Error> {
    let kind = reconciler.api;
    let role = kind.role(&id.principal).await?;
    let observed = kind.observe(id).await?;
    let taken_down = |memory: &RecreationRecord| memory.taken_down;
    if observed.is_some_and(|observed| observed.entry.is_none() && observed.memory.as_ref().is_some_and(taken_down)) {
        if !kind.has_cluster(&id.cluster).await? {
            kind.forget(id).await?;
            return Ok(ScheduledOutcome::ClusterDeleted);
        }
        if role.is_none() && kind.is_of_this_account(&id.principal) {
            return Err(Error::Refused(Refusal::PreconditionFailed {
                what: format!("{id} was deleted to be made again, and now there is no role {}", id.principal),
                remedy:
                    "Make the role again, and the next run makes the entry again with all that it had; or remove the \
                         entry from its stack"
                        .to_owned(),
            }));
        }
    }
    reconciler.maintain(id, &Desired { wanted: Wanted::ScheduledOutcome, role, process: kind.process.clone() }).await?;
    Ok(ScheduledOutcome::Healthy)
}

impl AccessEntries {
    /// All roles of the account, by their ARNs.
    async fn roles(&self) -> Result<BTreeMap<String, Principal>, CallError> {
        let principal = |role: &Role| Principal { created: role.create_date.secs(), role_id: role.role_id.clone() };
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
        pages(async |token| {
            let request = self.eks.list_access_entries().cluster_name(cluster).set_next_token(token);
            let page = self.deadline.call("eks:ListAccessEntries", cluster, || request.clone().send()).await?;
            Ok((page.access_entries.unwrap_or_default(), page.next_token))
        })
        .await
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
