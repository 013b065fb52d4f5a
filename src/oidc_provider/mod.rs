//! `Custom::GitHubOidcProvider`: there is one provider for each issuer in an account, so stacks share it. Each owner's
//! claim is a tag of its own; who leaves takes away only what nobody else needs, and the last one out deletes only what
//! we made.

mod api;
#[cfg(test)]
mod laws;
mod plan;
pub mod thumbprint;

use std::collections::BTreeSet;
use std::fmt;

use crate::cloudformation::{Attributes, Fields};
use crate::error::{CallError, Error, Refusal};
use crate::github::Issuer;
use crate::owner::{Owner, Tags};
use crate::reconcile::{Announced, Home, Kind, Leave, Plan};
use crate::retry::Budget;
use crate::tags;

pub use plan::Action;

/// The audience that GitHub's official action asks for.
const DEFAULT_CLIENT_ID: &str = "sts.amazonaws.com";
/// Author's tags beside ours: one for each owner, up to 40, and two for what we found and who made it.
const TAG_LIMIT: usize = 8;
/// In seconds: a little more than three times the lag of IAM's reads, and room for the calls.
const SERVICE_TIMEOUT: u32 = 240;
/// What one owner's tag has room for.
const CLIENT_ID_LIMIT: usize = 20;

/// Carries out the calls for providers.
#[derive(Debug)]
pub struct OidcProviders {
    /// IAM.
    pub iam: aws_sdk_iam::Client,
    /// Until when.
    pub budget: Budget,
}

/// A provider's ARN, which is also its physical id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderArn(String);

impl fmt::Display for ProviderArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the author wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    issuer: Issuer,
    client_ids: BTreeSet<String>,
    thumbprints: Option<Vec<String>>,
    tags: Tags,
}

/// What there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    pub(crate) arn: String,
    pub(crate) url: String,
    pub(crate) client_ids: BTreeSet<String>,
    /// Nothing where the author leaves them to IAM.
    pub(crate) thumbprints: Option<Vec<String>>,
    pub(crate) tags: Tags,
}

/// What IAM has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub(crate) arn: String,
    pub(crate) client_ids: BTreeSet<String>,
    pub(crate) thumbprints: Vec<String>,
    pub(crate) tags: Tags,
}

impl Kind for OidcProviders {
    const TYPE: &'static str = "Custom::GitHubOidcProvider";
    const NOUN: &'static str = "OIDC provider";
    const READS_LAG: bool = true;
    type Id = ProviderArn;
    type Spec = Spec;
    type Desired = Desired;
    type Observed = Observed;
    type Action = Action;
    type Receipt = Option<Vec<String>>;

    fn parse(fields: &mut Fields<'_>, _: &Home) -> Option<Spec> {
        let issuer = if fields.has("Url") {
            fields.checked("Url", Issuer::parse)
        } else {
            Issuer::parse("https://token.actions.githubusercontent.com").ok()
        };
        let client_ids = if fields.has("ClientIdList") {
            fields.texts("ClientIdList", client_id)
        } else {
            Some(vec![DEFAULT_CLIENT_ID.to_owned()])
        };
        if let Some(found) = client_ids.as_ref().map(Vec::len).filter(|found| !(1..=CLIENT_ID_LIMIT).contains(found)) {
            fields.invalid("ClientIdList", format!("1 to {CLIENT_ID_LIMIT} client ids"), found);
        }
        let thumbprints = fields.texts("ThumbprintList", thumbprint);
        if let Some(found) = thumbprints.as_ref().map(Vec::len).filter(|found| !(1..=5).contains(found)) {
            fields.invalid("ThumbprintList", "1 to 5 thumbprints (leave it out to let IAM choose)", found);
        }
        // Deleting a shared provider waits until the claims of others must have become visible.
        fields.integer(
            "ServiceTimeout",
            SERVICE_TIMEOUT..=3600,
            "seconds, because its deletion takes up to four minutes",
        );
        let tags = tags::parse(fields, TAG_LIMIT);
        Some(Spec {
            issuer: issuer?,
            client_ids: client_ids?.into_iter().collect(),
            thumbprints: thumbprints.map(normalised),
            tags,
        })
    }

    fn id(_: &Owner, spec: &Spec, home: &Home) -> ProviderArn {
        ProviderArn(format!("arn:{}:iam::{}:oidc-provider/{}", home.partition, home.account, spec.issuer))
    }

    fn id_from(physical_id: &str) -> Option<ProviderArn> {
        let mut parts = physical_id.splitn(6, ':');
        let shape = [parts.next(), parts.nth(1), parts.next(), parts.nth(1)];
        let provider = shape[3].and_then(|resource| resource.strip_prefix("oidc-provider/"));
        (shape[..3] == [Some("arn"), Some("iam"), Some("")] && provider.is_some_and(|url| !url.is_empty()))
            .then(|| ProviderArn(physical_id.to_owned()))
    }

    async fn resolve(&self, _: &Owner, id: &ProviderArn, spec: Spec) -> Result<Desired, Error> {
        let Spec { issuer, client_ids, thumbprints, tags } = spec;
        Ok(Desired { arn: id.to_string(), url: issuer.url(), client_ids, thumbprints, tags })
    }

    async fn observe(&self, id: &ProviderArn) -> Result<Option<Observed>, CallError> {
        self.get(&id.0).await
    }

    fn plan(owner: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        plan::plan(owner, desired, observed)
    }

    fn shared(plan: &Plan<Action>) -> bool {
        let joins = |action: &Action| !matches!(action, Action::Create { .. } | Action::Delete);
        plan.stages().iter().flatten().any(joins)
    }

    fn regret(owner: &Owner, action: &Action, observed: &Observed) -> Option<Action> {
        plan::regret(owner, action, observed)
    }

    fn contended(action: &Action) -> bool {
        matches!(action, Action::RemoveClientId(_))
    }

    fn announce(owner: &Owner, observed: &Observed, nonce: &str) -> Option<Leave<Action>> {
        plan::announce(owner, observed, nonce)
    }

    fn announced(owner: &Owner, observed: &Observed) -> Option<Announced<Action>> {
        plan::announced(owner, observed)
    }

    async fn apply(&self, id: &ProviderArn, action: &Action) -> Result<Option<Vec<String>>, CallError> {
        self.carry_out(&id.0, action).await
    }

    fn step(observed: Option<Observed>, action: &Action, receipt: Option<Vec<String>>) -> Option<Observed> {
        plan::step(observed, action, receipt)
    }

    fn attributes(observed: &Observed) -> Attributes {
        let issuer = observed.arn.split_once("oidc-provider/").map_or("", |(_, issuer)| issuer);
        [
            ("Arn", observed.arn.clone()),
            ("Url", format!("https://{issuer}")),
            ("Issuer", issuer.to_owned()),
            ("ThumbprintList", observed.thumbprints.join(",")),
        ]
        .into()
    }
}

fn client_id(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=255 => Ok(text.to_owned()),
        _ => Err("1 to 255 characters".to_owned()),
    }
}

fn thumbprint(text: &str) -> Result<String, String> {
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("40 hexadecimal digits, the SHA-1 of a certificate without colons".to_owned())
    }
}

/// IAM keeps a list, but means a set.
fn normalised(mut thumbprints: Vec<String>) -> Vec<String> {
    thumbprints.sort_unstable();
    thumbprints.dedup();
    thumbprints
}
