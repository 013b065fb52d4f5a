//! The scheduled run of the providers that we made: the same plan as for a stack, with new thumbprints only.

use super::owner_stakes::{MADE_BY, OwnerStakes};
use super::plan::unverified;
use super::sharing::SharedProvider;
use super::{Desired, Observed, OidcProviders, ProviderArn, Thumbprints, ca_from_tags};
use crate::aws::CallError;
use crate::error::{Error, Refusal};
use crate::github::Issuer;
use crate::reconcile::{Reader, Reconciler, Sharing};

impl OidcProviders {
    /// The providers of GitHub's issuers, whoever made them, in the order of their ARNs. An account has others, such as those
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
        reconciler.maintain(id, &Desired::Collected(gone)).await?;
    }
    if !observed.tags.contains_key(MADE_BY) {
        return Ok(());
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
