//! The scheduled run of the providers that we made: the same plan as for a stack, with new thumbprints only.

use std::collections::BTreeSet;

use super::owner_stakes::{FOUND, MADE_BY, OwnerStakes, is_claim, is_crowd};
use super::plan::unverified;
use super::sharing::SharedProvider;
use super::{Desired, Observed, OidcProviders, ProviderArn, Thumbprints, ca_from_tags};
use crate::aws::CallError;
use crate::error::{Error, Refusal};
use crate::github::Issuer;
use crate::reconcile::{Reader, Reconciler, Sharing};

impl OidcProviders {
    /// The providers of GitHub's issuers, also those that others made, in the order of their ARNs. An account has others, such as those
    /// of EKS clusters, which this function may not even look at.
    ///
    /// # Errors
    /// When IAM does not tell.
    pub async fn list(&self) -> Result<Vec<ProviderArn>, CallError> {
        let mut arns = self.all().await?;
        arns.sort();
        let providers = arns.into_iter().map(ProviderArn);
        Ok(providers.filter(|id| Issuer::parse_without_scheme(id.issuer()).is_ok()).collect())
    }
}

/// Probes the issuer of one provider and lets its thumbprints follow, if we made it.
///
/// # Errors
/// When the issuer's certificates could not be verified, or IAM could not be told; then the provider keeps what it has.
pub async fn keep(reconciler: &Reconciler<'_, OidcProviders>, id: &ProviderArn) -> Result<(), Error> {
    let kind = reconciler.api;
    let Some(observed) = kind.observe(id).await? else { return Ok(()) };
    if SharedProvider::pending_operation(reconciler.owner, None, &observed).is_some() {
        tracing::info!(%id, "the provider is about to be deleted; left alone");
        return Ok(());
    }
    let gone = kind.gone(&observed).await;
    if !gone.is_empty() {
        reconciler.maintain(id, &Desired::Collected(gone.clone())).await?;
    }
    if !observed.tags.contains_key(MADE_BY) {
        return not_ours(id, &observed, &gone).map_err(Error::Refused);
    }
    let owner_stakes = OwnerStakes::read(reconciler.owner, &observed.tags);
    let is_pinned = !owner_stakes.others_pins.is_empty();
    let thumbprints = if is_pinned && owner_stakes.all_others_pin {
        tracing::info!(%id, "its thumbprints are pinned");
        Thumbprints::Pinned(observed.thumbprints.iter().cloned().collect())
    } else {
        match probe(kind, id, &observed).await {
            // Some owners pin because the certificates cannot be verified.
            Err(error) if is_pinned => {
                tracing::warn!(%id, %error, "some of its thumbprints are pinned; the others stay as they are");
                Thumbprints::Unknown(error.to_string())
            }
            thumbprints => thumbprints?,
        }
    };
    reconciler.maintain(id, &Desired::Maintained(thumbprints)).await?;
    Ok(())
}

/// Fails for a provider that has lost the tag of its maker: a private CA that changes would lock everybody out without a word.
/// On a provider of others, the first of our owners has written what it found there.
fn not_ours(id: &ProviderArn, observed: &Observed, gone: &BTreeSet<String>) -> Result<(), Refusal> {
    let claims = observed.tags.iter().filter(|(key, _)| is_claim(key) && !gone.contains(*key));
    let owners = claims.map(|(_, claim)| claim.rsplit(' ').next().unwrap_or_default());
    let crowd = observed.tags.keys().filter(|key| is_crowd(key)).map(|_| "unknown");
    let Some(owner) = owners.chain(crowd).next() else { return Ok(()) };
    if observed.tags.contains_key(FOUND) {
        tracing::info!(%id, "somebody else made the provider, or it has lost its tags: its thumbprints stay as they are");
        return Ok(());
    }
    Err(Refusal::PreconditionFailed {
        what: format!(
            "the provider has lost its tag {MADE_BY}, so that nobody rotates its thumbprints, and nobody deletes it"
        ),
        remedy: format!(
            "Put it back: `aws iam tag-open-id-connect-provider --open-id-connect-provider-arn {id} --tags \
             Key={MADE_BY},Value={owner}`"
        ),
    })
}

async fn probe(kind: &OidcProviders, id: &ProviderArn, observed: &Observed) -> Result<Thumbprints, Error> {
    let issuer = Issuer::parse_without_scheme(id.issuer()).map_err(|expected| {
        Error::Refused(Refusal::PreconditionFailed {
            what: format!("{id} carries our tags, but its issuer is not {expected}"),
            remedy: "Remove the tags that begin with `github-trust:`, which somebody else put there".to_owned(),
        })
    })?;
    let ca = ca_from_tags(observed);
    match kind.probe(&issuer, ca.as_ref(), id).await.0 {
        Thumbprints::Unknown(why) => Err(unverified(&issuer.url(), &why).into()),
        thumbprints => Ok(thumbprints),
    }
}
