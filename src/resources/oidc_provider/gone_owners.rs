//! Owners of a provider that are gone: their claims are removed once CloudFormation shows that they let go. A stack that goes
//! and retains its provider (`DeletionPolicy: Retain`) leaves its claim behind, and a provider has room for few.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use super::action::Action;
use super::owner_stakes::{MADE_BY, RETAINED, is_claim, keys_of, owner_of};
use super::{Observed, OidcProviders};
use crate::aws::CallError;
use crate::reconcile::Plan;
use crate::request_origin::{Hold, Witness};

/// The number of claims that CloudFormation is asked about at the same time.
const MAX_CONCURRENT_CALLS: usize = 4;

impl OidcProviders {
    /// The keys of the tags of owners that are gone.
    pub(super) async fn gone(&self, observed: &Observed) -> BTreeSet<String> {
        let claims = observed.tags.iter().filter(|(key, _)| is_claim(key));
        let asked = claims.map(|(key, value)| async move { (key, value, self.is_gone(observed, key, value).await) });
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(MAX_CONCURRENT_CALLS).collect().await;
        let mut gone = BTreeSet::new();
        for (key, value, is_gone) in answers {
            match is_gone {
                Ok(true) => {
                    tracing::info!(
                        provider = observed.arn,
                        value,
                        "an owner of the provider is gone; its claim is removed"
                    );
                    gone.extend(keys_of(key));
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(provider = observed.arn, value, %error, "an owner cannot be asked for"),
            }
        }
        gone.retain(|key| observed.tags.contains_key(key));
        gone
    }

    async fn is_gone(&self, observed: &Observed, key: &str, value: &str) -> Result<bool, CallError> {
        let Some(owner) = owner_of(key, value, &self.deployment) else { return Ok(false) };
        let witness = Witness { client: &self.cloudformation, deadline: self.deadline, clock: &self.clock };
        Ok(witness.hold(&self.deployment, &owner, &observed.arn).await? == Hold::LetGo)
    }
}

/// The provider without the claims of owners that are gone, and the changes that lead there. Their provider was to stay.
pub(super) fn collected(observed: &Observed, gone: &BTreeSet<String>) -> (Observed, Plan<Action>) {
    let mut after = observed.clone();
    let gone: BTreeSet<String> = gone.iter().filter(|key| after.tags.contains_key(*key)).cloned().collect();
    let Some(first) = gone.first() else { return (after, Plan::nothing()) };
    let words = after.tags.get(first).and_then(|claim| claim.rsplit(' ').next()).unwrap_or_default().to_owned();
    after.tags.retain(|key, _| !gone.contains(key));
    let plan = Plan::nothing().then([Action::Untag(gone)]);
    if !after.tags.contains_key(MADE_BY) || after.tags.contains_key(RETAINED) {
        return (after, plan);
    }
    after.tags.insert(RETAINED.to_owned(), words.clone());
    (after, plan.then([Action::Tag([(RETAINED.to_owned(), words)].into())]))
}
