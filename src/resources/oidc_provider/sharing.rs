//! A provider is shared by all stacks of an account: the protocol for joining and leaving it.

use super::Action;
use super::Desired;
use super::Observed;
use super::OidcProviders;
use super::ProviderArn;
use super::owner_stakes::{DIGEST, LEAVING, OwnerStakes, going, key};
use super::plan::{deletes, is_last};
use super::thumbprint_list::with_pins;
use crate::aws::CallError;
use crate::ownership::Owner;
use crate::reconcile::DeletionIntent;
use crate::reconcile::PendingOperation;
use crate::reconcile::Plan;
use crate::reconcile::Planner;
use crate::reconcile::Sharing;
use futures_util::future::join;

/// See the module.
#[derive(Debug)]
pub enum SharedProvider {}

impl Sharing<OidcProviders> for SharedProvider {
    async fn observe_for_delete(api: &OidcProviders, id: &ProviderArn) -> Result<Option<Observed>, CallError> {
        let (observed, trusted_by) = join(api.get(&id.0), api.roles_that_trust(&id.0)).await;
        let Some(mut observed) = observed? else { return Ok(None) };
        let trusted_by = trusted_by?;
        if !trusted_by.is_empty() {
            tracing::warn!(%id, roles = ?trusted_by, "roles still trust the provider, so it will not be deleted");
        }
        observed.trusted_by = Some(trusted_by);
        Ok(Some(observed))
    }

    fn verify_after_apply(plan: &Plan<Action>) -> bool {
        let joins = |action: &Action| !matches!(action, Action::Create { .. } | Action::Delete);
        plan.stages().iter().flatten().any(joins)
    }

    /// Gives back a client id, or pins, that somebody claimed while we removed it, or replaced the list.
    fn compensate(owner: &Owner, action: &Action, observed: &Observed) -> Option<Action> {
        let others = OwnerStakes::of_those_who_stay(owner, &observed.tags);
        match action {
            Action::RemoveClientId(client_id) => {
                let is_missing = others.others_need(client_id) && !observed.client_ids.contains(client_id);
                is_missing.then(|| Action::AddClientId(client_id.clone()))
            }
            Action::SetThumbprints { .. } => with_pins(observed, &others.others_pins),
            _ => None,
        }
    }

    /// A call that sets the thumbprints takes away those that it does not name.
    fn needs_recheck(action: &Action) -> bool {
        matches!(action, Action::RemoveClientId(_) | Action::SetThumbprints { .. })
    }

    /// Tells others that we are about to leave. IAM has no change that depends on what is there, and its reads lag behind its
    /// writes; so who joins has to hear of a deletion, and of all who leave at the same moment one has to know that it is the
    /// last.
    fn deletion_intent(owner: &Owner, observed: &Observed, nonce: &str) -> Option<DeletionIntent<Action>> {
        if is_last(owner, observed) {
            let leaving = format!("{} {nonce}", owner.digest(DIGEST));
            return Some(DeletionIntent::Deleting(Action::Tag([(LEAVING.to_owned(), leaving)].into())));
        }
        let claim = observed
            .tags
            .get(&key(owner))
            .filter(|_| !OwnerStakes::of_those_who_stay(owner, &observed.tags).others.is_empty())?;
        Some(DeletionIntent::Staying(Action::Tag([(key(owner), going(claim))].into())))
    }

    fn announced(details: Observed, announcement: &Action) -> Option<Observed> {
        let trusted_by = details.trusted_by.clone();
        OidcProviders::step(Some(details), announcement, ()).map(|observed| Observed { trusted_by, ..observed })
    }

    /// The announcement of a deletion, and how to take it back.
    fn pending_operation(owner: &Owner, _: Option<&Desired>, observed: &Observed) -> Option<PendingOperation<Action>> {
        let nonce = observed.tags.get(LEAVING)?.clone();
        let by_us = deletes(owner, observed);
        Some(PendingOperation { nonce, by_us, doing: "deleting", retract: Action::Untag([LEAVING.to_owned()].into()) })
    }
}
