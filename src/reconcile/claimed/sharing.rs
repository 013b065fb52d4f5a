//! The protocol for joining and leaving an object that has claims.

use super::plan::{makes, restated};
use super::{Claimable, Claimed, ClaimedAction, ClaimedDesired, ClaimedObject};
use crate::aws::CallError;
use crate::github::ownership_by_variables::{ClaimKey, ClaimState, OwnerClaim};
use crate::ownership::Owner;
use crate::reconcile::plan::Plan;
use crate::reconcile::resource::{DeletionIntent, PendingOperation, Sharing};

/// The protocol of this module.
#[derive(Debug)]
pub enum ClaimSharing {}

impl<R: Claimable> Sharing<Claimed<R>> for ClaimSharing {
    const ANNOUNCEMENTS_LAG: bool = false;

    async fn observe_for_delete(api: &Claimed<R>, id: &R::Id) -> Result<Option<ClaimedObject<R::Observed>>, CallError> {
        api.look(id, api.inner.github().variables_for_delete(id)).await
    }

    /// An owner that leaves may not have seen the claim when it looked.
    fn verify_after_apply(plan: &Plan<ClaimedAction<R::Action>>) -> bool {
        let joins = |claim: &OwnerClaim| claim.state == ClaimState::Declares;
        plan.actions().any(|action| matches!(action, ClaimedAction::Claim { claim, .. } if joins(claim)))
    }

    fn needs_recheck(action: &ClaimedAction<R::Action>) -> bool {
        matches!(action, ClaimedAction::Object { after_claim: true, .. })
    }

    fn deletion_intent(
        owner: &Owner,
        observed: &ClaimedObject<R::Observed>,
        _nonce: &str,
    ) -> Option<DeletionIntent<ClaimedAction<R::Action>>> {
        let ClaimedObject { object, claims, .. } = observed;
        let ours = claims.of(owner)?;
        let deletes = R::plan(owner, None, object.as_ref()).is_ok_and(|plan| !plan.is_empty());
        let announcement = || restated(owner, ours, ClaimState::Leaving);
        if !deletes {
            None
        } else if claims.others(owner).any(|(_, claim)| claim.needs_object()) {
            Some(DeletionIntent::Staying(announcement()))
        } else {
            Some(DeletionIntent::Deleting(announcement()))
        }
    }

    fn pending_operation(
        owner: &Owner,
        desired: Option<&ClaimedDesired<R::Desired>>,
        observed: &ClaimedObject<R::Observed>,
    ) -> Option<PendingOperation<ClaimedAction<R::Action>>> {
        let claims = &observed.claims;
        let leaving = claims.0.iter().find(|(_, claim)| claim.is_leaving()).map(|found| (found, "leaving"));
        let is_made = observed.object.as_ref().is_some_and(R::is_made);
        let maker = || claims.maker(owner.stack_id()).filter(|_| !is_made && makes::<R>(owner, desired, observed));
        let ((key, claim), doing) = leaving.or_else(|| maker().map(|found| (found, "making")))?;
        let retract = restated(owner, claim, ClaimState::Declares);
        Some(PendingOperation { nonce: claim.owner.clone(), by_us: *key == ClaimKey::of(owner), doing, retract })
    }
}
