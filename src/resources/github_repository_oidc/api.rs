//! The calls for the subjects of a repository. <https://docs.github.com/en/rest/actions/oidc>

use std::collections::BTreeSet;

use aws_sdk_iam::types::Role;
use futures_util::future::join;
use serde_json::{Value, json};

use super::{Action, CustomizationTemplate, GitHubRepositoryOidcs, Observed, OidcCustomization, OidcId, Only, Spec};
use crate::arn::Arn;
use crate::aws::{CallError, ErrorKind, iam};
use crate::error::Error;
use crate::github::ApiCall;
use crate::github::client::Client;
use crate::github::ownership_by_creation::CreationWindow;
use crate::github::ownership_by_variables::Variables;
use crate::github::subject_facts::{Customization, FormatChoice, SubjectFormat};
use crate::iam_policy::document::decode;
use crate::iam_policy::repository_forms::{
    RepositoryIds, UnpairedForms, names_repositories, unpaired_forms, unpaired_forms_of_owner,
};
use crate::ownership::Owner;
use crate::reconcile::{Api, Claimable, Exclusive, Reader};

impl OidcId {
    fn read_call(&self) -> ApiCall<'_> {
        self.customization_call("github:GetOidcCustomization", "GET")
    }

    fn customization_call(&self, action: &'static str, method: &'static str) -> ApiCall<'_> {
        self.call(action, method, format!("/{}/actions/oidc/customization/sub", self.name.place()))
    }
}

impl Reader for GitHubRepositoryOidcs {
    type Sharing = Exclusive;

    async fn resolve(&self, _: &Owner, _: &OidcId, spec: Spec) -> Result<Spec, Error> {
        Ok(spec)
    }

    async fn observe(&self, id: &OidcId) -> Result<Option<Observed>, CallError> {
        let (customization, only) = join(self.customization(id), self.only(id)).await;
        let Some(customization) = customization? else { return Ok(None) };
        let chosen = customization.choice();
        let sent = customization.prefix_format().unwrap_or(customization.chosen_format());
        let Customization { use_default, include_claim_keys: keys, .. } = customization;
        let template = CustomizationTemplate { use_default, keys };
        let (before, chosen_by_others) = (None, false);
        let elsewhere = BTreeSet::new();
        Ok(Some(Observed { chosen, sent, before, chosen_by_others, template, only: only?, elsewhere }))
    }
}

impl Claimable for GitHubRepositoryOidcs {
    fn github(&self) -> &Client {
        &self.github
    }

    fn beside(&self, observed: Observed, variables: &Variables) -> Observed {
        Observed { elsewhere: elsewhere(&self.account, variables.values()), ..observed }
    }

    fn is_made(observed: &Observed) -> bool {
        observed.chosen != FormatChoice::Unset
    }

    fn memory(observed: Option<&Observed>, _: CreationWindow) -> String {
        observed.map_or(FormatChoice::Unset, |observed| observed.chosen).to_string()
    }

    fn recall(observed: Observed, memories: &[&str], is_owner: bool) -> Observed {
        let made = [SubjectFormat::Classic, SubjectFormat::Immutable].map(FormatChoice::Made);
        let mut choices = [FormatChoice::Unset].into_iter().chain(made);
        let before = memories.first().and_then(|memory| choices.find(|choice| choice.to_string() == **memory));
        if let Some(before) = before.filter(|before| is_owner && *before != observed.chosen) {
            let roles = observed.locked_out(before);
            if !roles.is_empty() {
                tracing::warn!(?roles, "as the roles are, a deletion leaves the subjects switched");
            }
        }
        Observed { before, chosen_by_others: !is_owner && !memories.is_empty(), ..observed }
    }
}

impl Api for GitHubRepositoryOidcs {
    async fn apply(&self, id: &OidcId, action: &Action) -> Result<(), CallError> {
        let Action::Switch { to, template: CustomizationTemplate { use_default, keys } } = action;
        let mut body = json!({});
        let use_default = use_default.filter(|_| matches!(id.name, OidcCustomization::Repository(_)));
        if let Some(use_default) = use_default {
            body["use_default"] = json!(use_default);
        }
        if let Some(keys) = keys.as_ref().filter(|_| use_default != Some(true)) {
            body["include_claim_keys"] = json!(keys);
        }
        if let FormatChoice::Made(format) = to {
            body["use_immutable_subject"] = json!(*format == SubjectFormat::Immutable);
        }
        self.set(id, &body).await?;
        // GitHub documents no way to take a choice back. If it keeps the member that is left out, the choice is `false`, which
        // is what it was for the repository's own tokens.
        if *to == FormatChoice::Unset
            && self.customization(id).await?.is_some_and(|now| now.choice() != FormatChoice::Unset)
        {
            tracing::warn!(%id, "GitHub keeps the choice of the subjects; it is `false` now, and was unset before");
            body["use_immutable_subject"] = json!(false);
            match self.set(id, &body).await {
                // Roles trust both forms, or the switch would not be taken back: nobody is locked out.
                Err(error) if error.kind == ErrorKind::Invalid => {
                    tracing::warn!(%id, %error, "GitHub does not take the choice of the subjects back; it stays");
                }
                set => set?,
            }
        }
        Ok(())
    }
}

/// The roles of other accounts that texts name, and the other accounts of which they name no role.
fn elsewhere<'a>(account: &str, texts: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let is_around = |c: char| c.is_whitespace() || "\"'`,;()[]{}<>".contains(c);
    let words: BTreeSet<&str> = texts.flat_map(|text| text.split(is_around)).collect();
    let arns = words.iter().copied().filter_map(Arn::parse);
    let arns: Vec<Arn<'_>> = arns.filter(|arn| arn.has_account_id() && arn.account != account).collect();
    let is_role = |arn: &&Arn<'_>| arn.service == "iam" && arn.resource_of("role").is_some();
    let roles: BTreeSet<String> = arns.iter().filter(is_role).map(ToString::to_string).collect();
    let with_roles: BTreeSet<&str> = arns.iter().filter(is_role).map(|arn| arn.account).collect();
    let numbers =
        words.iter().copied().filter(|word| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit()));
    let others = arns.iter().map(|arn| arn.account).chain(numbers);
    let others = others.filter(|other| *other != account && !with_roles.contains(other));
    others.map(|other| format!("account {other}")).chain(roles).collect()
}

impl GitHubRepositoryOidcs {
    async fn set(&self, id: &OidcId, body: &Value) -> Result<(), CallError> {
        let call = ApiCall { body: Some(body.clone()), ..id.customization_call("github:SetOidcCustomization", "PUT") };
        self.github.call(&id.issuer, &call).await.map(drop)
    }

    async fn customization(&self, id: &OidcId) -> Result<Option<Customization>, CallError> {
        let call = id.read_call();
        match self.github.call(&id.issuer, &call).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            other => other?.json(&call).map(Some),
        }
    }

    /// The ids of the repository, or of the organisation, as far as GitHub tells them.
    async fn ids(&self, id: &OidcId) -> RepositoryIds {
        let ids = match &id.name {
            OidcCustomization::Repository(repository) => {
                let described = self.github.repository(&id.issuer, repository).await.ok();
                described.map(|(described, _)| (Some(described.owner.id), Some(described.id)))
            }
            OidcCustomization::Organization(owner) => {
                self.github.account(&id.issuer, owner).await.ok().map(|account| (Some(account.id), None))
            }
        };
        let (owner, repository) = ids.unwrap_or_default();
        RepositoryIds { owner, repository }
    }

    /// The roles that admit jobs of the repository, or of one of the organisation, in one form only. Subjects that leave the repository open
    /// match either form or none, whatever is chosen. A repository with a choice of its own counts, too.
    async fn only(&self, id: &OidcId) -> Result<Only, CallError> {
        // A document that cannot be read tells no form.
        let policy = |role: Role| {
            let policy = decode(role.assume_role_policy_document().unwrap_or_default())?;
            names_repositories(&policy).then_some((role.role_name, policy))
        };
        let policies = iam::list_roles(&self.iam, &self.deadline, policy);
        let (ids, policies) = join(Box::pin(self.ids(id)), policies).await;
        let mut only = Only::default();
        for (role, policy) in policies? {
            let forms: Vec<(String, UnpairedForms)> = match &id.name {
                OidcCustomization::Repository(repository) => vec![(role, unpaired_forms(&policy, repository, ids))],
                OidcCustomization::Organization(owner) => {
                    let all = unpaired_forms_of_owner(&policy, owner, ids.owner).into_iter();
                    all.map(|(name, forms)| (format!("{role} ({name})"), forms)).collect()
                }
            };
            for (name, UnpairedForms { classic, immutable }) in forms {
                only.classic.extend(classic.then(|| name.clone()));
                only.immutable.extend(immutable.then_some(name));
            }
        }
        Ok(only)
    }
}
