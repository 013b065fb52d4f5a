//! The calls. <https://docs.github.com/en/rest/actions/oidc>

use super::Spec;
use crate::error::Error;
use crate::ownership::Owner;
use crate::reconcile::Api;
use crate::reconcile::Exclusive;
use aws_sdk_iam::types::Role;
use futures_util::future::join;
use serde_json::json;

use super::{Action, CustomizationTemplate, GitHubRepositoryOidcs, Observed, OidcId, Only, Subjects};
use crate::aws::iam;
use crate::aws::{CallError, ErrorKind};
use crate::github::facts::Customization;
use crate::github::{ApiCall, Issuer, subject};
use crate::iam_policy::document::decode;
use crate::iam_policy::repository_forms::{AdmittedForms, admitted_forms};

impl OidcId {
    fn call<'a>(&'a self, action: &'static str, method: &'static str, what: &'a String) -> ApiCall<'a> {
        let path = format!("/repos/{}/actions/oidc/customization/sub", self.repository);
        ApiCall { action, method, path, resource: what, repository: Some(&self.repository), body: None }
    }

    /// Why nothing can be done to it.
    pub(super) fn invisible(&self) -> CallError {
        CallError {
            action: "github:GetOidcCustomization",
            resource: self.what(),
            kind: ErrorKind::Invalid,
            code: "404".to_owned(),
            message: format!(
                "GitHub shows no repository {} to the function's credential; check its name, and what the token or App has \
                 access to",
                self.repository
            ),
            request_id: None,
            uncertain: false,
        }
    }

    fn what(&self) -> String {
        format!("the subjects of {}", self.repository)
    }

    fn issuer(&self) -> Result<Issuer, CallError> {
        Issuer::of_host(&self.host).map_err(|why| CallError {
            action: "github:GetOidcCustomization",
            resource: self.to_string(),
            kind: ErrorKind::Invalid,
            code: "Host".to_owned(),
            message: why,
            request_id: None,
            uncertain: false,
        })
    }
}

fn form(immutable: bool) -> Subjects {
    if immutable { Subjects::Immutable } else { Subjects::Classic }
}

fn chosen(shown: &Customization) -> Subjects {
    form(shown.use_immutable_subject == Some(true))
}

impl Api for GitHubRepositoryOidcs {
    type Sharing = Exclusive;

    /// What was chosen before this resource is asked once, and the id keeps it.
    async fn resolve_id(&self, id: OidcId, old: Option<&OidcId>) -> Result<OidcId, Error> {
        if let Some(known) = old.filter(|old| **old == id) {
            return Ok(known.clone());
        }
        // Switched a moment later, it could never be switched back: nobody would know to what.
        let Some(before) = self.chosen(&id).await? else { return Err(id.invisible().into()) };
        Ok(OidcId { before: Some(before), ..id })
    }

    async fn resolve(&self, _: &Owner, _: &OidcId, spec: Spec) -> Result<Spec, Error> {
        Ok(spec)
    }

    async fn observe(&self, id: &OidcId) -> Result<Option<Observed>, CallError> {
        let seen = self.look(id).await?;
        if let Some((observed, before)) = seen.as_ref().and_then(|seen| Some((seen, seen.before?))) {
            let locked_out = observed.locked_out(before);
            if before != observed.chosen && !locked_out.is_empty() {
                tracing::warn!(%id, roles = ?locked_out, "as the roles are, a deletion leaves the repository switched");
            }
        }
        Ok(seen)
    }

    async fn apply(&self, id: &OidcId, action: &Action) -> Result<(), CallError> {
        let Action::Switch { to, template: CustomizationTemplate { use_default, keys } } = action;
        let (issuer, what) = (id.issuer()?, id.what());
        let mut call = id.call("github:SetOidcCustomization", "PUT", &what);
        let mut body = json!({"use_default": use_default, "use_immutable_subject": *to == Subjects::Immutable});
        if let Some(keys) = keys.as_ref().filter(|_| !use_default) {
            body["include_claim_keys"] = json!(keys);
        }
        call.body = Some(body);
        self.github.call(&issuer, &call).await.map(drop)
    }
}

impl GitHubRepositoryOidcs {
    pub(super) async fn look(&self, id: &OidcId) -> Result<Option<Observed>, CallError> {
        let (shown, only) = join(self.customization(id), self.only(id)).await;
        let Some(shown) = shown? else { return Ok(None) };
        let chosen = chosen(&shown);
        let Customization { use_default, include_claim_keys, use_immutable_subject: _, sub_claim_prefix } = shown;
        let prefix = sub_claim_prefix.as_deref().map(|prefix| prefix.trim_start_matches("repo:").trim_end_matches(':'));
        let sent = match prefix.and_then(subject::prefix) {
            Some(prefix) => form(prefix.ids.is_some()),
            None => chosen,
        };
        let template = CustomizationTemplate { use_default, keys: include_claim_keys };
        Ok(Some(Observed { chosen, sent, before: id.before, template, only: only? }))
    }

    /// What has been chosen for the repository.
    pub(super) async fn chosen(&self, id: &OidcId) -> Result<Option<Subjects>, CallError> {
        Ok(self.customization(id).await?.map(|shown| chosen(&shown)))
    }

    async fn customization(&self, id: &OidcId) -> Result<Option<Customization>, CallError> {
        let (issuer, what) = (id.issuer()?, id.what());
        let call = id.call("github:GetOidcCustomization", "GET", &what);
        match self.github.call(&issuer, &call).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            other => other?.json(&call).map(Some),
        }
    }

    /// The roles that name the repository in one form only. Subjects that leave the repository open match either form or none,
    /// whatever is chosen.
    async fn only(&self, id: &OidcId) -> Result<Only, CallError> {
        // A document that cannot be read lets nobody in, so that nobody is locked out.
        let forms = |role: &Role| {
            let policy = decode(role.assume_role_policy_document().unwrap_or_default())?;
            Some(admitted_forms(&policy, &id.repository))
        };
        let roles = iam::list_roles(&self.iam, &self.deadline, |role| Some((forms(&role)?, role.role_name))).await?;
        let mut only = Only::default();
        for (AdmittedForms { classic, immutable }, name) in roles.into_iter().filter(|(forms, _)| forms.is_one()) {
            if classic {
                only.classic.insert(name);
            } else if immutable {
                only.immutable.insert(name);
            }
        }
        Ok(only)
    }
}
