//! OIDC providers: one per URL, at most five thumbprints, and a list of audiences that several parties may add to.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::tags::{self, Tags};
use super::{Iam, Reply, already_exists, invalid_input, limit_exceeded, no_such_entity, text, texts};
use crate::simulation::author::Author;
use crate::simulation::clock::iso;
use crate::simulation::wire::Refusal;

/// What IAM fetches by itself where a creation names no thumbprint.
pub(crate) const FETCHED_THUMBPRINT: &str = "6938fd4d98bab03faadb97b34396831e3780aea1";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// Tells two providers of the same URL apart, one after the other; IAM shows it to nobody.
    pub(crate) serial: u64,
    /// Without its scheme, as IAM keeps it.
    pub(crate) url: String,
    pub(crate) client_ids: Vec<ClientId>,
    pub(crate) thumbprints: Vec<String>,
    pub(crate) tags: Tags,
    pub(crate) created: SystemTime,
    pub(crate) made_by: Author,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientId {
    pub(crate) name: String,
    pub(crate) added_by: Author,
}

impl Iam {
    pub(super) fn provider_operation(
        &mut self,
        action: &str,
        input: &Value,
        author: &Author,
        now: SystemTime,
    ) -> Reply {
        let arn = text(input, "OpenIDConnectProviderArn");
        match action {
            "CreateOpenIDConnectProvider" => self.create_provider(input, author, now),
            "ListOpenIDConnectProviders" => {
                let arns: Vec<Value> = self
                    .providers
                    .all_replicas(now)
                    .map(|provider| json!({"Arn": self.provider_arn(&provider.url)}))
                    .collect();
                Ok(json!({"OpenIDConnectProviderList": arns}))
            }
            "GetOpenIDConnectProvider" => {
                let provider = self.shown_provider(arn, now)?;
                let client_ids: Vec<&str> = provider.client_ids.iter().map(|id| id.name.as_str()).collect();
                Ok(json!({
                    "Url": provider.url,
                    "ClientIDList": client_ids,
                    "ThumbprintList": provider.thumbprints,
                    "CreateDate": iso(provider.created),
                    "Tags": tags::list(&provider.tags),
                }))
            }
            "ListOpenIDConnectProviderTags" => {
                let tags = tags::list(&self.shown_provider(arn, now)?.tags);
                self.page(input, "Tags", tags)
            }
            "DeleteOpenIDConnectProvider" => {
                self.check_arn(arn)?;
                if self.providers.primary(arn).is_none() && self.settings.deleting_a_missing_provider_fails {
                    return Err(missing(arn));
                }
                let visible = self.visible(false, now);
                self.providers.write(arn, None, now, visible);
                Ok(json!({}))
            }
            _ => self.change_provider(action, input, author, now),
        }
    }

    /// Changes a provider that exists.
    fn change_provider(&mut self, action: &str, input: &Value, author: &Author, now: SystemTime) -> Reply {
        let arn = text(input, "OpenIDConnectProviderArn");
        self.check_arn(arn)?;
        if self.settings.writes_lag && self.providers.replica(arn, now).is_none() {
            return Err(missing(arn));
        }
        let mut provider = self.providers.primary(arn).ok_or_else(|| missing(arn))?.as_ref().clone();
        match action {
            "UpdateOpenIDConnectProviderThumbprint" => {
                provider.thumbprints = thumbprints(texts(input, "ThumbprintList"))?;
                if provider.thumbprints.is_empty() {
                    return Err(invalid_input("Thumbprint list must contain at least one entry."));
                }
            }
            "AddClientIDToOpenIDConnectProvider" => {
                let name = text(input, "ClientID");
                if !provider.client_ids.iter().any(|id| id.name == name) {
                    provider.client_ids.push(ClientId { name: name.to_owned(), added_by: author.clone() });
                }
                self.check_client_ids(&provider)?;
            }
            "RemoveClientIDFromOpenIDConnectProvider" => {
                provider.client_ids.retain(|id| id.name != text(input, "ClientID"));
            }
            "TagOpenIDConnectProvider" => {
                provider.tags = tags::laid_over(&provider.tags, input, self.settings.quotas.tags)?;
            }
            "UntagOpenIDConnectProvider" => provider.tags = tags::without(&provider.tags, input),
            other => panic!("{other} is in the model and not here"),
        }
        let visible = self.visible(false, now);
        self.providers.write(arn, Some(provider), now, visible);
        Ok(json!({}))
    }

    fn create_provider(&mut self, input: &Value, author: &Author, now: SystemTime) -> Reply {
        let url = text(input, "Url");
        let stored = stored_url(url)?;
        let arn = self.provider_arn(&stored);
        if self.providers.primary(&arn).is_some() {
            return Err(already_exists(format!("Provider with url {url} already exists.")));
        }
        if self.providers.all().count() >= self.settings.quotas.providers {
            let quota = self.settings.quotas.providers;
            return Err(limit_exceeded(format!("Cannot exceed quota for OpenIdConnectProvidersPerAccount: {quota}")));
        }
        let mut thumbprints = thumbprints(texts(input, "ThumbprintList"))?;
        if thumbprints.is_empty() {
            thumbprints.push(FETCHED_THUMBPRINT.to_owned());
        }
        let mut client_ids: Vec<ClientId> = Vec::new();
        for name in texts(input, "ClientIDList") {
            if !client_ids.iter().any(|id| id.name == name) {
                client_ids.push(ClientId { name, added_by: author.clone() });
            }
        }
        let provider = Provider {
            serial: self.serial(),
            url: stored,
            client_ids,
            thumbprints,
            tags: tags::laid_over(&Tags::new(), input, self.settings.quotas.tags)?,
            created: now,
            made_by: author.clone(),
        };
        self.check_client_ids(&provider)?;
        let tags = tags::list(&provider.tags);
        let visible = self.visible(true, now);
        self.providers.write(&arn, Some(provider), now, visible);
        Ok(json!({"OpenIDConnectProviderArn": arn, "Tags": tags}))
    }

    pub(crate) fn provider_arn(&self, url: &str) -> String {
        format!("arn:{}:iam::{}:oidc-provider/{url}", self.partition, self.account)
    }

    fn shown_provider(&self, arn: &str, now: SystemTime) -> Result<&Provider, Refusal> {
        self.check_arn(arn)?;
        self.providers.replica(arn, now).map(AsRef::as_ref).ok_or_else(|| missing(arn))
    }

    fn check_arn(&self, arn: &str) -> Result<(), Refusal> {
        let prefix = format!("arn:{}:iam::{}:oidc-provider/", self.partition, self.account);
        if arn.starts_with(&prefix) { Ok(()) } else { Err(invalid_input(format!("Invalid ARN: {arn}"))) }
    }

    fn check_client_ids(&self, provider: &Provider) -> Result<(), Refusal> {
        let quota = self.settings.quotas.client_ids;
        if provider.client_ids.len() > quota {
            return Err(limit_exceeded(format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {quota}")));
        }
        Ok(())
    }
}

fn missing(arn: &str) -> Refusal {
    no_such_entity(format!("OpenIDConnect Provider not found for arn {arn}"))
}

/// "The URL must begin with https://"; a path is allowed, a query and a port are not.
fn stored_url(url: &str) -> Result<String, Refusal> {
    let invalid = || invalid_input(format!("Invalid Open ID Connect Provider URL: {url}"));
    let rest = url.strip_prefix("https://").ok_or_else(invalid)?;
    let host = rest.split('/').next().unwrap_or_default();
    let fits = !host.is_empty()
        && host.contains('.')
        && !host.contains([':', '@'])
        && !rest.contains(['?', '#', ' '])
        && rest.is_ascii();
    if fits { Ok(rest.trim_end_matches('/').to_owned()) } else { Err(invalid()) }
}

fn thumbprints(list: Vec<String>) -> Result<Vec<String>, Refusal> {
    if list.len() > 5 {
        return Err(invalid_input("Thumbprint list must contain fewer than 5 entries."));
    }
    if list.iter().any(|one| !one.chars().all(|c| c.is_ascii_hexdigit())) {
        return Err(invalid_input("Invalid thumbprint: it must be 40 hexadecimal digits."));
    }
    Ok(list)
}
