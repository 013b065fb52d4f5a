//! The calls for claims, beside those for the object.

use futures_util::future::try_join;

use super::{ClaimSharing, Claimable, Claimed, ClaimedAction, ClaimedDesired, ClaimedObject, ClaimedOutput};
use crate::aws::{CallError, ErrorKind};
use crate::error::{Error, Refusal};
use crate::github::is_redirected;
use crate::github::ownership_by_variables::{ClaimPlace, Variables};
use crate::ownership::Owner;
use crate::reconcile::resource::{Api, Planner, ReadHint, Reader};

impl<R: Claimable> Reader for Claimed<R> {
    type Sharing = ClaimSharing;

    /// The case of a name is that of the Create.
    async fn resolve_id(&self, id: R::Id, old: Option<&R::Id>) -> Result<R::Id, Error> {
        // If no credential is available, the next call reports it.
        let _ = self.inner.github().prepare(id.issuer()).await;
        Ok(old.filter(|old| **old == id).cloned().unwrap_or(id))
    }

    async fn resolve(&self, owner: &Owner, id: &R::Id, spec: R::Spec) -> Result<Self::Desired, Error> {
        let object = self.inner.resolve(owner, id, spec).await?;
        Ok(ClaimedDesired { object, requested: self.requested, stays: false })
    }

    /// A rollback must not fail for an object about which others decide.
    async fn ask_about_owners(
        &self,
        owner: &Owner,
        _: &R::Id,
        desired: &mut Self::Desired,
        observed: &Self::Observed,
    ) -> Result<(), CallError> {
        let plan = Self::plan(owner, Some(desired), Some(observed));
        if let Err(refusal @ Refusal::Foreign { .. }) = plan {
            let answer = self.rollback.is_rolling_back(owner.stack_id()).await;
            desired.stays = answer.unwrap_or_else(|error| {
                tracing::warn!(%error, "CloudFormation does not tell if the stack rolls back");
                false
            });
            if desired.stays {
                tracing::error!(%refusal, "the stack rolls back: the object stays as it is");
            }
        }
        Ok(())
    }

    fn prefetch(&self, hint: ReadHint<'_, R::Spec>) {
        self.inner.prefetch(hint);
    }

    async fn observe(&self, id: &R::Id) -> Result<Option<Self::Observed>, CallError> {
        self.look(id, self.inner.github().variables(id)).await
    }

    async fn moved(&self, id: &R::Id, error: &CallError) -> Option<R::Id> {
        let repository = id.repository().filter(|_| is_redirected(error))?;
        let name = self.inner.github().renamed_to(id.issuer(), repository).await?;
        id.in_repository(&name)
    }

    /// A function that may not even read has made nothing.
    fn shows_that_nothing_was_made(error: &CallError) -> bool {
        matches!(error.kind, ErrorKind::Denied | ErrorKind::Invalid)
    }
}

impl<R: Claimable> Claimed<R> {
    /// Reads the object, and the variables beside it by this call.
    pub(super) async fn look(
        &self,
        id: &R::Id,
        variables: impl Future<Output = Result<Variables, CallError>>,
    ) -> Result<Option<ClaimedObject<R::Observed>>, CallError> {
        let github = self.inner.github();
        let _ = github.prepare(id.issuer()).await;
        let (object, claims) = if R::is_listed(id) {
            let variables = variables.await?;
            (self.inner.observe_listed(id, &variables).await?, variables.claims(id))
        } else {
            let (object, variables) = try_join(self.inner.observe(id), variables).await?;
            (object.map(|object| self.inner.beside(object, &variables)), variables.claims(id))
        };
        let is_owner = claims.are_of_stack(self.owner.stack_id());
        let object = object.map(|object| R::recall(object, &claims.memories(), is_owner));
        self.is_absent.set(object.is_none());
        let is_made_now = self.has_made.get();
        Ok((object.is_some() || !claims.0.is_empty()).then_some(ClaimedObject { object, claims, is_made_now }))
    }
}

impl<R: Claimable> Api for Claimed<R> {
    async fn apply(&self, id: &R::Id, action: &Self::Action) -> Result<Self::ApplyOutput, CallError> {
        let github = self.inner.github();
        match action {
            ClaimedAction::Claim { key, claim, is_new } => {
                let at = github.set_claim(id, key, claim, *is_new).await?;
                Ok(ClaimedOutput { at, ..ClaimedOutput::default() })
            }
            ClaimedAction::Withdraw { key } => {
                github.remove_claim(id, key).await?;
                Ok(ClaimedOutput::default())
            }
            ClaimedAction::Object { action, after_claim: _ } => {
                let object = self.inner.apply(id, action).await?;
                if self.is_absent.take() {
                    self.has_made.set(true);
                }
                Ok(ClaimedOutput { object, at: 0 })
            }
        }
    }
}
