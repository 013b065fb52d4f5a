//! Each action is one call of IAM; removing what is gone already succeeds.

use aws_sdk_iam::operation::get_open_id_connect_provider::GetOpenIdConnectProviderOutput;

use super::plan::Action;
use super::{Observed, OidcProviders};
use crate::error::{CallError, Fault, gone};
use crate::iam;
use crate::retry::Pauses;

impl OidcProviders {
    pub(super) async fn get(&self, arn: &str) -> Result<Option<Observed>, CallError> {
        let request = self.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn);
        match self.budget.call("iam:GetOpenIDConnectProvider", arn, || request.clone().send()).await {
            Ok(output) => Ok(Some(observed(arn, output))),
            Err(error) if error.fault == Fault::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn carry_out(&self, arn: &str, action: &Action) -> Result<Option<Vec<String>>, CallError> {
        let Self { iam, budget } = self;
        match action {
            Action::Create { url, arn: _, client_ids, thumbprints, tags } => {
                let request = iam
                    .create_open_id_connect_provider()
                    .url(url)
                    .set_client_id_list(Some(client_ids.iter().cloned().collect()))
                    .set_thumbprint_list((!thumbprints.is_empty()).then(|| thumbprints.clone()))
                    .set_tags(Some(iam::tags(tags)));
                budget.call("iam:CreateOpenIDConnectProvider", arn, || request.clone().send()).await?;
                // IAM chooses thumbprints where none are given, and does not say which.
                return Ok(if thumbprints.is_empty() { Some(self.chosen_thumbprints(arn).await) } else { None });
            }
            Action::AddClientId(client_id) => {
                let request = iam
                    .add_client_id_to_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .client_id(client_id);
                budget.call("iam:AddClientIDToOpenIDConnectProvider", arn, || request.clone().send()).await.map(drop)
            }
            Action::RemoveClientId(client_id) => {
                let request = iam
                    .remove_client_id_from_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .client_id(client_id);
                let action = "iam:RemoveClientIDFromOpenIDConnectProvider";
                gone(budget.call(action, arn, || request.clone().send()).await)
            }
            Action::SetThumbprints(thumbprints) => {
                let request = iam
                    .update_open_id_connect_provider_thumbprint()
                    .open_id_connect_provider_arn(arn)
                    .set_thumbprint_list(Some(thumbprints.clone()));
                budget.call("iam:UpdateOpenIDConnectProviderThumbprint", arn, || request.clone().send()).await.map(drop)
            }
            Action::Tag(tags) => {
                let request = iam
                    .tag_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .set_tags(Some(iam::tags(tags)));
                budget.call("iam:TagOpenIDConnectProvider", arn, || request.clone().send()).await.map(drop)
            }
            Action::Untag(keys) => {
                let request = iam
                    .untag_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .set_tag_keys(Some(keys.iter().cloned().collect()));
                gone(budget.call("iam:UntagOpenIDConnectProvider", arn, || request.clone().send()).await)
            }
            Action::Delete => {
                let request = iam.delete_open_id_connect_provider().open_id_connect_provider_arn(arn);
                gone(budget.call("iam:DeleteOpenIDConnectProvider", arn, || request.clone().send()).await)
            }
        }?;
        Ok(None)
    }

    /// The provider is made whatever comes of this look.
    async fn chosen_thumbprints(&self, arn: &str) -> Vec<String> {
        let mut pauses = Pauses::new();
        loop {
            match self.get(arn).await {
                Ok(Some(observed)) => return observed.thumbprints,
                Err(error) => {
                    tracing::warn!(%error, "the thumbprints that IAM chose are not known");
                    return Vec::new();
                }
                Ok(None) => {}
            }
            // Made, and not yet visible.
            let pause = pauses.pause();
            if !self.budget.allows(pause) {
                return Vec::new();
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn observed(arn: &str, output: GetOpenIdConnectProviderOutput) -> Observed {
    Observed {
        arn: arn.to_owned(),
        client_ids: output.client_id_list.unwrap_or_default().into_iter().collect(),
        thumbprints: output.thumbprint_list.unwrap_or_default(),
        tags: iam::tags_of(output.tags),
    }
}
