//! The calls to EKS, IAM and Secrets Manager. Each action is one call; removing an absent item succeeds.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eks::types::{AccessEntry, AccessScope, AccessScopeType, AssociatedAccessPolicy, Cluster};
use futures_util::future::join3;

use super::action::{Action, EntryCreateInput};
use super::bound_role::check_role;
use super::cluster::{ClusterReadiness, knows_no_entries, readiness};
use super::sharing::RecreatedEntry;
use super::state::{EntryContent, Observed, ObservedEntry, RESTORING, TYPE_CHANGED};
use super::{AccessEntries, Created, Desired, EntryId, EntryType, PolicyScope, Spec, Wanted};
use crate::aws::{Backoff, CallError, Deadline, ErrorKind, ignore_not_found, pages};
use crate::cloudformation::nearest::nearest_few;
use crate::error::{Error, Refusal};
use crate::metrics;
use crate::ownership::{Owner, Takeover};
use crate::reconcile::{Api, Reader, Resource};
use crate::request_origin::{OwnedObject, Witness, removes};

impl Reader for AccessEntries {
    type Sharing = RecreatedEntry;

    async fn resolve(&self, _: &Owner, _: &EntryId, spec: Spec) -> Result<Desired, Error> {
        let policies = spec.policies.iter().flat_map(|policies| policies.keys());
        let (cluster, policies, role) =
            join3(self.wait_for_cluster(&spec.cluster), self.check_policies(policies), self.role(&spec.principal))
                .await;
        cluster?;
        policies?;
        // The cluster may have taken minutes.
        let role = if spec.role_id.is_some() { self.declared_role(&spec).await } else { role };
        let (wanted, process) = (Wanted::Declared(Box::new(spec)), self.process.clone());
        Ok(Desired { role: role?, wanted, process, hand_over: None })
    }

    async fn ask_about_owners(
        &self,
        owner: &Owner,
        id: &EntryId,
        desired: &mut Desired,
        observed: &Observed,
    ) -> Result<(), CallError> {
        self.ask_about_maker(desired, observed).await?;
        self.ask_about_rollback(owner, id, desired, observed).await?;
        let (Wanted::Declared(spec), Some(entry)) = (&desired.wanted, &observed.entry) else { return Ok(()) };
        let object = OwnedObject { resource_type: Self::TYPE, id: &id.to_string(), tags: &entry.content.tags };
        desired.hand_over = self.witness().hand_over(&self.deployment, owner, object, spec.take_over).await?;
        Ok(())
    }

    async fn is_left(&self, owner: &Owner, observed: &Observed) -> Result<bool, CallError> {
        let is_ours = observed.entry.as_ref().is_some_and(|entry| owner.owns(&entry.content.tags));
        Ok(is_ours && self.rollback.is_rolling_back(owner.stack_id()).await?)
    }

    async fn is_kept(&self, owner: &Owner, observed: &Observed) -> Result<bool, CallError> {
        let is_taken_over =
            |entry: &ObservedEntry| owner.owns(&entry.content.tags) && Takeover::of(&entry.content.tags).is_some();
        Ok(observed.entry.as_ref().is_some_and(is_taken_over) && !removes(&self.witness(), owner).await?)
    }

    async fn observe(&self, id: &EntryId) -> Result<Option<Observed>, CallError> {
        // At the same time: without an entry, or for a type without policies, the second call fails.
        let (entry, policies, record) = join3(self.describe(id), self.associated(id), self.read_record(id)).await;
        Ok(Observed::of(observed_entry(id, entry?, policies)?, record?))
    }
}

impl Api for AccessEntries {
    async fn apply(&self, id: &EntryId, action: &Action) -> Result<Option<Created>, CallError> {
        let Self { eks, deadline, .. } = self;
        let EntryId { principal, cluster } = id;
        match action {
            Action::Create { input } => return self.create(id, input).await,
            Action::Update { username, groups } => {
                let request = eks
                    .update_access_entry()
                    .cluster_name(cluster)
                    .principal_arn(principal)
                    .set_username(username.clone())
                    .set_kubernetes_groups(groups.as_ref().map(|groups| groups.iter().cloned().collect()));
                deadline.call("eks:UpdateAccessEntry", id, || request.clone().send()).await.map(drop)
            }
            Action::Associate { policy, scope } => self.associate(id, policy, scope).await,
            Action::Disassociate(policy) => self.disassociate(id, policy).await,
            Action::Tag { arn, tags } => {
                let arn = self.arn(id, arn.as_ref()).await?;
                let request =
                    eks.tag_resource().set_resource_arn(arn).set_tags(Some(tags.clone().into_iter().collect()));
                deadline.call("eks:TagResource", id, || request.clone().send()).await.map(drop)
            }
            Action::Untag { arn, keys } => {
                let (arn, keys) = (self.arn(id, arn.as_ref()).await?, keys.iter().cloned().collect());
                let request = eks.untag_resource().set_resource_arn(arn).set_tag_keys(Some(keys));
                ignore_not_found(deadline.call("eks:UntagResource", id, || request.clone().send()).await)
            }
            Action::Unmark { arn } => {
                let arn = self.arn(id, arn.as_ref()).await?;
                let request = eks.untag_resource().set_resource_arn(arn).tag_keys(RESTORING);
                ignore_not_found(deadline.once().call("eks:UntagResource", id, || request.clone().send()).await)
            }
            Action::GiveBack(action) => return self.give_back(id, action).await,
            Action::SaveRecord { record, exists } => self.save_record(id, record, *exists).await,
            Action::DeleteRecord => self.delete_record(id).await,
            Action::Delete { stale: _ } => {
                let request = eks.delete_access_entry().cluster_name(cluster).principal_arn(principal);
                ignore_not_found(deadline.call("eks:DeleteAccessEntry", id, || request.clone().send()).await)
            }
        }?;
        Ok(None)
    }
}

impl AccessEntries {
    /// A rollback leaves an entry as it is that must not be bound to its role, and ends a recreation as it was begun.
    async fn ask_about_rollback(
        &self,
        owner: &Owner,
        id: &EntryId,
        desired: &mut Desired,
        observed: &Observed,
    ) -> Result<(), CallError> {
        let is_ours = observed.content().is_some_and(|content| owner.owns(&content.tags));
        if !is_ours || check_role(&desired.wanted, desired.role.as_ref(), observed).is_ok() {
            return Ok(());
        }
        if !self.rollback.is_rolling_back(owner.stack_id()).await? {
            return Ok(());
        }
        if observed.entry.is_some() {
            tracing::error!(%id, "the stack rolls back: the entry stays as it is, for a role that is gone");
            (desired.wanted, desired.role) = (Wanted::Unchanged, None);
        } else if check_role(&Wanted::Unchanged, desired.role.as_ref(), observed).is_ok() {
            tracing::error!(%id, "the stack rolls back: the entry is made again for the role that its record names");
            desired.wanted = Wanted::Unchanged;
        }
        Ok(())
    }

    pub(super) fn witness(&self) -> Witness<'_> {
        Witness { client: &self.cloudformation, deadline: self.deadline, clock: &self.clock }
    }

    /// Waits while the cluster is being created. Refuses a cluster that takes no access entries.
    pub(super) async fn wait_for_cluster(&self, name: &str) -> Result<(), Error> {
        let mut backoff = Backoff::new();
        loop {
            let request = self.eks.describe_cluster().name(name);
            let cluster = match self.deadline.call("eks:DescribeCluster", name, || request.clone().send()).await {
                Ok(output) => output.cluster.unwrap_or_else(|| Cluster::builder().build()).into(),
                Err(error) if error.kind == ErrorKind::NotFound => None,
                Err(error) => return Err(error.into()),
            };
            let refusal = match readiness(name, cluster.as_ref()) {
                ClusterReadiness::Ready => return Ok(()),
                ClusterReadiness::Unfit(refusal) => return Err(refusal.into()),
                ClusterReadiness::Pending(refusal) => refusal,
            };
            let pause = backoff.pause();
            if !self.deadline.allows(pause) {
                return Err(refusal.into());
            }
            backoff.announce(name, "the cluster is not ready yet", self.deadline.left());
            tokio::time::sleep(pause).await;
        }
    }

    /// Refuses policies that EKS does not have. The list grows, so it is read and not part of this code.
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

    /// Gives a part of an adopted entry back. A part that EKS refuses stays as it is: guardrails may have become stricter. A
    /// deletion that failed would keep the stack from ever going.
    async fn give_back(&self, id: &EntryId, action: &Action) -> Result<Option<Created>, CallError> {
        use ErrorKind::{Denied, Invalid, NotFound, Propagating, Quota};
        match Box::pin(self.apply(id, action)).await {
            Err(error) if matches!(error.kind, Denied | Invalid | NotFound | Propagating | Quota) => {
                tracing::warn!(entry = %id, %action, %error, "a part of an adopted access entry could not be given back");
                Ok(None)
            }
            other => other,
        }
    }

    /// The entry without its policies.
    pub(super) async fn entry(&self, id: &EntryId) -> Result<Option<ObservedEntry>, CallError> {
        observed_entry(id, self.describe(id).await?, Ok(BTreeMap::new()))
    }
}

/// The entry from the two responses of EKS.
fn observed_entry(
    id: &EntryId,
    entry: Option<AccessEntry>,
    policies: Result<BTreeMap<String, PolicyScope>, CallError>,
) -> Result<Option<ObservedEntry>, CallError> {
    let Some(entry) = entry else { return Ok(None) };
    let standard = entry.r#type.as_deref() == Some(EntryType::STANDARD.0);
    let policies = match policies {
        Ok(policies) => policies,
        // EKS also fails like this while it does not see the role yet. The other call tells whether the entry exists.
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
    let created = entry.created_at.map(|created| created.secs());
    Ok(Some(ObservedEntry { content, arn: entry.access_entry_arn, created }))
}

impl AccessEntries {
    async fn create(&self, id: &EntryId, input: &EntryCreateInput) -> Result<Option<Created>, CallError> {
        let EntryId { principal, cluster } = id;
        let EntryCreateInput { cluster: _, principal: _, entry_type, username, groups, tags } = input;
        let standard = entry_type == EntryType::STANDARD.0;
        let request = self
            .eks
            .create_access_entry()
            .cluster_name(cluster)
            .principal_arn(principal)
            .r#type(entry_type)
            .set_username(username.clone())
            .set_kubernetes_groups(standard.then(|| groups.iter().cloned().collect()))
            .set_tags(Some(tags.clone().into_iter().collect()));
        let create =
            async |deadline: Deadline| deadline.call("eks:CreateAccessEntry", id, || request.clone().send()).await;
        let output = match create(self.deadline.soon()).await {
            Err(error) if error.kind == ErrorKind::Propagating => {
                let CallError { uncertain, .. } = self.without_principal(error, principal).await?;
                create(self.deadline)
                    .await
                    .map_err(|error| CallError { uncertain: uncertain || error.uncertain, ..error })?
            }
            other => other?,
        };
        if tags.get(RESTORING).is_some_and(|reason| reason == TYPE_CHANGED) {
            tracing::info!(%principal, cluster, "made an access entry again, with another type");
        } else if tags.contains_key(RESTORING) {
            tracing::warn!(%principal, cluster, "made an access entry again, because its role was made again");
            metrics::count_of("RestoredEntries", 1, ("Cluster", cluster), self.now);
        }
        Ok(output.access_entry.map(|entry| Created {
            arn: entry.access_entry_arn,
            username: entry.username,
            created: entry.created_at.map(|created| created.secs()),
        }))
    }

    async fn associate(&self, id: &EntryId, policy: &str, scope: &PolicyScope) -> Result<(), CallError> {
        let request = self
            .eks
            .associate_access_policy()
            .cluster_name(&id.cluster)
            .principal_arn(&id.principal)
            .policy_arn(policy)
            .access_scope(access_scope(scope));
        let call = || self.deadline.call("eks:AssociateAccessPolicy", id, || request.clone().send());
        let associated = call().await?.associated_access_policy.and_then(|policy| policy.access_scope);
        // The API reference says that a second association changes the scope. If it did not, it takes two calls.
        if associated.is_some() && observed_scope(associated) != *scope {
            self.disassociate(id, policy).await?;
            call().await?;
        }
        Ok(())
    }

    async fn disassociate(&self, id: &EntryId, policy: &str) -> Result<(), CallError> {
        let request = self
            .eks
            .disassociate_access_policy()
            .cluster_name(&id.cluster)
            .principal_arn(&id.principal)
            .policy_arn(policy);
        ignore_not_found(self.deadline.call("eks:DisassociateAccessPolicy", id, || request.clone().send()).await)
    }

    /// The ARN of the entry: as planned, or as EKS gave it to an entry that the plan has created.
    async fn arn(&self, id: &EntryId, planned: Option<&String>) -> Result<Option<String>, CallError> {
        match planned {
            Some(arn) => Ok(Some(arn.clone())),
            None => Ok(self.describe(id).await?.and_then(|entry| entry.access_entry_arn)),
        }
    }

    /// Reads entries of a cluster. A cluster may refuse it because it has none, in mode `CONFIG_MAP`, or for a while; which of both,
    /// its description tells. Returns `None` for a cluster without entries.
    pub(super) async fn read_of<T>(
        &self,
        cluster: &str,
        read: impl AsyncFn(Deadline) -> Result<T, CallError>,
    ) -> Result<Option<T>, CallError> {
        match read(self.deadline.unless_busy()).await {
            Err(error) if error.kind == ErrorKind::Busy => {
                if self.has_no_entries(cluster).await? {
                    Ok(None)
                } else {
                    read(self.deadline).await.map(Some)
                }
            }
            answer => answer.map(Some),
        }
    }

    async fn has_no_entries(&self, cluster: &str) -> Result<bool, CallError> {
        let request = self.eks.describe_cluster().name(cluster);
        match self.deadline.call("eks:DescribeCluster", cluster, || request.clone().send()).await {
            Ok(output) => Ok(output.cluster.as_ref().is_some_and(knows_no_entries)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn describe(&self, id: &EntryId) -> Result<Option<AccessEntry>, CallError> {
        let request = self.eks.describe_access_entry().cluster_name(&id.cluster).principal_arn(&id.principal);
        let look =
            async |deadline: Deadline| deadline.call("eks:DescribeAccessEntry", id, || request.clone().send()).await;
        match self.read_of(&id.cluster, look).await {
            Ok(None) => Ok(None),
            Ok(Some(output)) => {
                let entry = output.access_entry.map(Some);
                entry.ok_or_else(|| CallError::empty_answer("eks:DescribeAccessEntry", id))
            }
            // The entry or the whole cluster.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn associated(&self, id: &EntryId) -> Result<BTreeMap<String, PolicyScope>, CallError> {
        let request = self.eks.list_associated_access_policies().cluster_name(&id.cluster).principal_arn(&id.principal);
        let list = async |deadline: Deadline| {
            pages(async |token| {
                let request = request.clone().set_next_token(token);
                let page = deadline.call("eks:ListAssociatedAccessPolicies", id, || request.clone().send()).await?;
                Ok((page.associated_access_policies.unwrap_or_default(), page.next_token))
            })
            .await
        };
        let policies = self.read_of(&id.cluster, list).await?.unwrap_or_default();
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
