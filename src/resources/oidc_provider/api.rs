//! Each action is one call of IAM; removing what is gone already succeeds.

use std::collections::BTreeSet;

use aws_sdk_iam::operation::get_open_id_connect_provider::GetOpenIdConnectProviderOutput;
use aws_smithy_types::base64;
use serde_json::json;

use super::action::Action;
use super::owner_tag_room::may_lack_room;
use super::sharing::SharedProvider;
use super::{Declared, Desired, Observed, OidcProviders, ProviderArn, Spec, ThumbprintUse, Thumbprints};
use crate::aws::iam;
use crate::aws::{CallError, ErrorKind, ignore_not_found};
use crate::error::Error;
use crate::iam_policy::document::{decode, trusts_provider};
use crate::metrics;
use crate::ownership::Owner;
use crate::reconcile::{Api, Reader};

impl Reader for OidcProviders {
    type Sharing = SharedProvider;

    /// A probe that fails is no failure yet: the observed state decides that.
    async fn resolve(&self, _: &Owner, id: &ProviderArn, spec: Spec) -> Result<Desired, Error> {
        let Spec { issuer, client_ids, pins, ca, tags, share, retain } = spec;
        let (thumbprints, use_of_thumbprints) = match pins {
            Some(pins) => (Thumbprints::Pinned(pins), ThumbprintUse::presumed(&issuer, false)),
            None => self.probe(&issuer, ca.as_ref(), id).await,
        };
        Ok(Desired::Declared(Box::new(Declared {
            arn: id.to_string(),
            url: issuer.url(),
            client_ids,
            thumbprints,
            use_of_thumbprints,
            ca: ca.map(|ca| base64::encode(ca.to_bytes())),
            tags,
            share,
            retain,
            gone: BTreeSet::new(),
        })))
    }

    async fn ask_about_owners(
        &self,
        owner: &Owner,
        _: &ProviderArn,
        desired: &mut Desired,
        observed: &Observed,
    ) -> Result<(), CallError> {
        if let Desired::Declared(declared) = desired
            && may_lack_room(owner, declared, observed)
        {
            declared.gone = self.gone(observed).await;
        }
        Ok(())
    }

    async fn observe(&self, id: &ProviderArn) -> Result<Option<Observed>, CallError> {
        self.get(&id.0).await
    }
}

impl Api for OidcProviders {
    async fn apply(&self, id: &ProviderArn, action: &Action) -> Result<(), CallError> {
        let arn = id.0.as_str();
        let Self { iam, deadline, .. } = self;
        match action {
            Action::Create { url, arn: _, client_ids, thumbprints, tags } => {
                let request = iam
                    .create_open_id_connect_provider()
                    .url(url)
                    .set_client_id_list(Some(client_ids.iter().cloned().collect()))
                    .set_thumbprint_list(Some(thumbprints.clone()))
                    .set_tags(Some(iam::tags(tags)));
                deadline.call("iam:CreateOpenIDConnectProvider", arn, || request.clone().send()).await.map(drop)
            }
            Action::AddClientId(client_id) => {
                let request = iam
                    .add_client_id_to_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .client_id(client_id);
                deadline.call("iam:AddClientIDToOpenIDConnectProvider", arn, || request.clone().send()).await.map(drop)
            }
            Action::RemoveClientId(client_id) => {
                let request = iam
                    .remove_client_id_from_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .client_id(client_id);
                let action = "iam:RemoveClientIDFromOpenIDConnectProvider";
                ignore_not_found(deadline.once().call(action, arn, || request.clone().send()).await)
            }
            Action::SetThumbprints { old, new, subjects } => {
                let request = iam
                    .update_open_id_connect_provider_thumbprint()
                    .open_id_connect_provider_arn(arn)
                    .set_thumbprint_list(Some(new.clone()));
                let action = "iam:UpdateOpenIDConnectProviderThumbprint";
                deadline.call(action, arn, || request.clone().send()).await?;
                self.report_rotation(id, old, new, subjects);
                Ok(())
            }
            Action::Tag(tags) => {
                let request = iam
                    .tag_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .set_tags(Some(iam::tags(tags)));
                deadline.call("iam:TagOpenIDConnectProvider", arn, || request.clone().send()).await.map(drop)
            }
            Action::Untag(keys) => {
                let request = iam
                    .untag_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .set_tag_keys(Some(keys.iter().cloned().collect()));
                ignore_not_found(deadline.call("iam:UntagOpenIDConnectProvider", arn, || request.clone().send()).await)
            }
            Action::Delete => {
                let request = iam.delete_open_id_connect_provider().open_id_connect_provider_arn(arn);
                ignore_not_found(deadline.call("iam:DeleteOpenIDConnectProvider", arn, || request.clone().send()).await)
            }
        }
    }
}

impl OidcProviders {
    pub(super) async fn get(&self, arn: &str) -> Result<Option<Observed>, CallError> {
        let request = self.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn);
        match self.deadline.call("iam:GetOpenIDConnectProvider", arn, || request.clone().send()).await {
            Ok(output) => Ok(Some(observed(arn, output))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn report_rotation(&self, id: &ProviderArn, old: &[String], new: &[String], subjects: &[String]) {
        tracing::info!(provider = %id, ?old, ?new, ?subjects, "rotated the thumbprints");
        let details =
            [("Provider", json!(id.0)), ("Old", json!(old)), ("New", json!(new)), ("Subjects", json!(subjects))];
        let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        metrics::count_with("RotatedThumbprints", 1, id.issuer(), self.now, details);
    }

    /// The names of the roles that name the provider as a principal.
    pub(super) async fn roles_that_trust(&self, arn: &str) -> Result<Vec<String>, CallError> {
        // A document that cannot be read counts as one that trusts: the provider is then not deleted.
        let trusts = |policy: &str| decode(policy).is_none_or(|policy| trusts_provider(&policy, arn));
        iam::list_roles(&self.iam, &self.deadline, |role| {
            role.assume_role_policy_document.as_deref().is_some_and(trusts).then_some(role.role_name)
        })
        .await
    }

    /// The ARNs of all providers of the account.
    pub(super) async fn all(&self) -> Result<Vec<String>, CallError> {
        let request = self.iam.list_open_id_connect_providers();
        let page = self.deadline.call("iam:ListOpenIDConnectProviders", "*", || request.clone().send()).await?;
        Ok(page.open_id_connect_provider_list.unwrap_or_default().into_iter().filter_map(|entry| entry.arn).collect())
    }
}

fn observed(arn: &str, output: GetOpenIdConnectProviderOutput) -> Observed {
    Observed {
        arn: arn.to_owned(),
        client_ids: output.client_id_list.unwrap_or_default().into_iter().collect(),
        thumbprints: output.thumbprint_list.unwrap_or_default(),
        tags: iam::tags_of(output.tags),
        trusted_by: None,
    }
}
