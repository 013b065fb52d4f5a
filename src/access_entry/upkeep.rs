//! The scheduled look at access entries: one whose role was made again is made again too, and one whose making again was
//! broken off is brought back.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use super::plan::{is_marked, is_stale};
use super::state::{Entry, Memory};
use super::{AccessEntries, Desired, EntryId, Principal, Wanted};
use crate::error::{CallError, Error, Fault, Refusal};
use crate::owner::Owner;
use crate::reconcile::{Kind, Task};

/// An entry of ours that has to be seen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: EntryId,
    /// Whose.
    pub owner: Owner,
}

/// What a look at all entries found.
#[derive(Debug, Default)]
pub struct Survey {
    /// How many are ours.
    pub entries: usize,
    /// Those to be seen to.
    pub due: Vec<Due>,
    /// What could not be looked at, and why.
    pub failures: Vec<(String, CallError)>,
}

/// How many entries are looked at at once.
const AT_ONCE: usize = 4;

/// Looks at all entries of this account's roles in all clusters of the region.
///
/// # Errors
/// When IAM, EKS or Secrets Manager does not give its list.
pub async fn survey(kind: &AccessEntries) -> Result<Survey, CallError> {
    let mut survey = Survey::default();
    let mut known = BTreeSet::new();
    for name in kind.memories().await? {
        // Forgotten between two looks, or remembered by a run that is under way.
        let Some(Memory { content, .. }) = kind.recall(&name).await? else { continue };
        let id = EntryId { principal: content.principal.clone(), cluster: content.cluster.clone() };
        known.insert(id.to_string());
        survey.entries += 1;
        survey.due.extend(Owner::of_tags(&content.tags).map(|owner| Due { id, owner }));
    }
    let roles = kind.roles().await?;
    for cluster in kind.clusters().await? {
        let principals = match kind.principals(&cluster).await {
            Ok(principals) => principals,
            // It went away between two looks, or takes no access entries.
            Err(error) if error.fault == Fault::NotFound => continue,
            Err(error) => {
                survey.failures.push((format!("the access entries of cluster {cluster}"), error));
                continue;
            }
        };
        let ids = principals.into_iter().filter_map(|principal| {
            let role = roles.get(&principal)?;
            let id = EntryId { principal, cluster: cluster.clone() };
            (!known.contains(&id.to_string())).then_some((id, role))
        });
        let mut looks =
            stream::iter(ids).map(|(id, role)| async move { (kind.entry(&id).await, id, role) }).buffered(AT_ONCE);
        while let Some((entry, id, role)) = looks.next().await {
            match entry {
                Ok(entry) => survey.see(id, role, entry.as_ref()),
                Err(error) => survey.failures.push((id.to_string(), error)),
            }
        }
    }
    Ok(survey)
}

impl Survey {
    fn see(&mut self, id: EntryId, role: &Principal, entry: Option<&Entry>) {
        let Some(entry) = entry else { return };
        let Some(owner) = Owner::of_tags(&entry.content.tags) else { return };
        self.entries += 1;
        if is_stale(role, entry) || is_marked(&entry.content) {
            self.due.push(Due { id, owner });
        }
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It works.
    Whole,
    /// Its cluster is gone.
    Gone,
}

/// Sees to one entry.
///
/// # Errors
/// When it could not be made again; what is remembered of it stays for the next run.
pub async fn keep(task: &Task<'_, AccessEntries>, id: &EntryId) -> Result<Kept, Error> {
    let kind = task.kind;
    let role = kind.role(&id.principal).await?;
    let observed = kind.observe(id).await?;
    let taken_down = |memory: &Memory| memory.taken_down;
    if observed.is_some_and(|observed| observed.entry.is_none() && observed.memory.as_ref().is_some_and(taken_down)) {
        if !kind.has_cluster(&id.cluster).await? {
            kind.forget(id).await?;
            return Ok(Kept::Gone);
        }
        if role.is_none() && kind.is_of_this_account(&id.principal) {
            return Err(Error::Refused(Refusal::Unfit {
                what: format!("{id} was deleted to be made again, and now there is no role {}", id.principal),
                remedy:
                    "Make the role again, and the next run makes the entry again with all that it had; or remove the \
                         entry from its stack"
                        .to_owned(),
            }));
        }
    }
    task.maintain(id, &Desired { wanted: Wanted::Kept, role, process: kind.process.clone() }).await?;
    Ok(Kept::Whole)
}

impl AccessEntries {
    /// All roles of the account, by their ARNs.
    async fn roles(&self) -> Result<BTreeMap<String, Principal>, CallError> {
        let (mut roles, mut marker) = (BTreeMap::new(), None);
        loop {
            let request = self.iam.list_roles().set_marker(marker);
            let page = self.budget.call("iam:ListRoles", "all roles", || request.clone().send()).await?;
            let found = page.roles.into_iter();
            roles.extend(
                found.map(|role| (role.arn, Principal { created: role.create_date.secs(), role_id: role.role_id })),
            );
            marker = page.marker.filter(|_| page.is_truncated);
            if marker.is_none() {
                return Ok(roles);
            }
        }
    }

    async fn clusters(&self) -> Result<Vec<String>, CallError> {
        let (mut clusters, mut token) = (Vec::new(), None);
        loop {
            let request = self.eks.list_clusters().set_next_token(token);
            let page = self.budget.call("eks:ListClusters", "*", || request.clone().send()).await?;
            clusters.extend(page.clusters.unwrap_or_default());
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(clusters);
            }
        }
    }

    async fn principals(&self, cluster: &str) -> Result<Vec<String>, CallError> {
        let (mut principals, mut token) = (Vec::new(), None);
        loop {
            let request = self.eks.list_access_entries().cluster_name(cluster).set_next_token(token);
            let page = self.budget.call("eks:ListAccessEntries", cluster, || request.clone().send()).await?;
            principals.extend(page.access_entries.unwrap_or_default());
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(principals);
            }
        }
    }

    async fn has_cluster(&self, cluster: &str) -> Result<bool, CallError> {
        let request = self.eks.describe_cluster().name(cluster);
        match self.budget.call("eks:DescribeCluster", cluster, || request.clone().send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.fault == Fault::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
