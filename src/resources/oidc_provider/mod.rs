//! `Custom::GitHubOidcProvider`: there is one provider for each issuer in an account, so stacks share it. Each owner's
//! claim is a tag of its own; who leaves takes away only what nobody else needs, and the last one out deletes only what
//! we made. Its thumbprints are verified, and follow the issuer's certificates.

mod action;
mod api;
mod effect;
mod gone_owners;
mod native_equivalent;
mod owner_stakes;
mod owner_tag_room;
mod plan;
mod properties;
pub mod rotation;
mod scheduled;
mod sharing;
#[cfg(test)]
mod tests;
pub mod thumbprint;
mod thumbprint_list;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_types::base64;

use crate::arn::{Arn, issuer_of_provider};
use crate::aws::Deadline;
use crate::cloudformation::Fields;
use crate::cloudformation::schema::ResourceSchema;
use crate::deployment::Deployment;
use crate::github::{Issuer, IssuerKind};
use crate::guardrails::GuardrailCheck;
use crate::lazy::Lazy;
use crate::metrics;
use crate::ownership::tags_property as tags;
use crate::ownership::{Owner, Tags};
use crate::reconcile::Resource;
use properties::Properties;
use rotation::{ObservedThumbprints, RotationPolicy, Timestamp};
use thumbprint::{CaCertificate, Issuers, ProbeError, ProbeResult};

pub use action::Action;
pub use scheduled::keep;

/// The audience that GitHub's official action asks for.
const DEFAULT_CLIENT_ID: &str = "sts.amazonaws.com";
/// Author's tags beside ours: one for each of about forty owners, and two for what we found and who made it.
const TAG_LIMIT: usize = 8;
/// In seconds: a little more than three times the lag of IAM's reads, and room for the calls.
const SERVICE_TIMEOUT: u32 = 240;
/// The number of client ids that the tag of one owner has room for.
const CLIENT_ID_LIMIT: usize = 20;

/// Carries out the calls for providers.
#[derive(Debug)]
pub struct OidcProviders {
    /// IAM.
    pub iam: Lazy<aws_sdk_iam::Client>,
    /// CloudFormation, which tells the owners that are gone.
    pub cloudformation: Lazy<aws_sdk_cloudformation::Client>,
    /// The place of the function.
    pub deployment: Deployment,
    /// Until when.
    pub deadline: Deadline,
    /// Shows certificates.
    pub issuers: Arc<dyn Issuers>,
    /// The clock.
    pub clock: SharedTimeSource,
    /// The time of day.
    pub now: SystemTime,
    /// The rotation of thumbprints.
    pub rotation_policy: RotationPolicy,
}

/// A provider's ARN, which is also its physical id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderArn(String);

impl ProviderArn {
    /// The issuer, without its scheme.
    #[must_use]
    pub fn issuer(&self) -> &str {
        issuer_of_provider(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ProviderArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The declaration of the author, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    issuer: Issuer,
    client_ids: BTreeSet<String>,
    pins: Option<BTreeSet<String>>,
    ca: Option<CaCertificate>,
    tags: Tags,
    share: bool,
    retain: bool,
}

/// The desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired {
    /// The declaration of a stack.
    Declared(Box<Declared>),
    /// The observed state with the thumbprints of a scheduled run.
    Maintained(Thumbprints),
    /// The observed state without the claims of owners that are gone.
    Collected(BTreeSet<String>),
}

/// The declaration of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub(crate) arn: String,
    pub(crate) url: String,
    pub(crate) client_ids: BTreeSet<String>,
    pub(crate) thumbprints: Thumbprints,
    pub(crate) use_of_thumbprints: ThumbprintUse,
    /// The author's CA, as it is stored on the provider.
    pub(crate) ca: Option<String>,
    pub(crate) tags: Tags,
    pub(crate) share: bool,
    pub(crate) retain: bool,
    /// The keys of the tags of owners that are gone, where room is short.
    pub(crate) gone: BTreeSet<String>,
}

/// The source of a provider's thumbprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thumbprints {
    /// From the author.
    Pinned(BTreeSet<String>),
    /// From the issuer's verified certificates.
    Observed(ObservedThumbprints),
    /// The certificates could not be verified, and why.
    Unknown(String),
}

/// The use of a provider's thumbprints by IAM, which verifies an issuer with its own list of public CAs first.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThumbprintUse {
    /// The issuer has certificates of a public CA: only where IAM cannot verify these by itself.
    Fallback,
    /// The issuer has certificates of a private CA: each time.
    InUse,
    /// The certificates were not probed.
    Unknown,
}

impl ThumbprintUse {
    /// The use that is known without a probe: GitHub's own hosts have certificates of a public CA.
    fn presumed(issuer: &Issuer, private_ca: bool) -> Self {
        match issuer.kind() {
            _ if private_ca => Self::InUse,
            IssuerKind::Server => Self::Unknown,
            IssuerKind::GitHub | IssuerKind::Enterprise | IssuerKind::DataResidency => Self::Fallback,
        }
    }
}

/// The observed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub(crate) arn: String,
    pub(crate) client_ids: BTreeSet<String>,
    pub(crate) thumbprints: Vec<String>,
    pub(crate) tags: Tags,
    /// The roles that trust the provider. `None` if they were not read; only a deletion reads them, and needs them.
    pub(crate) trusted_by: Option<Vec<String>>,
}

impl Resource for OidcProviders {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    type Properties = Properties;
    const NOUN: &'static str = "OIDC provider";
    const READ_LAG: Duration = Duration::MAX;
    type Id = ProviderArn;
    type Spec = Spec;
    type Desired = Desired;
    type Observed = Observed;
    type Action = Action;
    type ApplyOutput = ();

    fn parse(fields: &mut Fields<'_, Properties>, _: &Deployment) -> Option<Spec> {
        let issuer = if fields.has(Properties::URL) {
            fields.checked(Properties::URL, Issuer::parse)
        } else {
            Issuer::parse("https://token.actions.githubusercontent.com").ok()
        };
        let client_ids = if fields.has(Properties::CLIENT_ID_LIST) {
            fields.texts(Properties::CLIENT_ID_LIST, |text| Ok(text.to_owned()))
        } else {
            Some(vec![DEFAULT_CLIENT_ID.to_owned()])
        };
        let pins = fields.texts(Properties::THUMBPRINT_LIST, thumbprint);
        let ca = fields.checked(Properties::CA_CERTIFICATE, ca_certificate);
        if ca.is_some() && pins.is_some() {
            fields.invalid(
                Properties::CA_CERTIFICATE,
                "no `ThumbprintList` beside it, because pinned thumbprints are not verified",
                "both",
            );
        }
        if let Some(issuer) = issuer.as_ref().filter(|issuer| ca.is_some() && issuer.kind() != IssuerKind::Server) {
            fields.invalid(
                Properties::CA_CERTIFICATE,
                "an Enterprise Server's issuer as `Url`, because all others have certificates of public CAs",
                format_args!("{:?}", issuer.url()),
            );
        }
        let (on_existing, deletion_mode) =
            (fields.choice(Properties::ON_EXISTING), fields.choice(Properties::DELETION_MODE));
        fields.integer(Properties::SERVICE_TIMEOUT);
        let tags = tags::parse(fields, Properties::TAGS);
        Some(Spec {
            issuer: issuer?,
            client_ids: client_ids?.into_iter().collect(),
            pins: pins.map(|pins| pins.into_iter().collect()),
            ca,
            tags,
            share: on_existing? == "Share",
            retain: deletion_mode? == "Retain",
        })
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        let issuer = GuardrailCheck::Issuer { property: "Url", issuer: spec.issuer.to_string() };
        let pins = spec.pins.as_ref().map(|_| GuardrailCheck::ThumbprintPins);
        let audiences = spec.client_ids.iter().cloned().map(GuardrailCheck::Audience);
        [issuer].into_iter().chain(pins).chain(audiences).collect()
    }

    fn id(_: &Owner, spec: &Spec, deployment: &Deployment) -> ProviderArn {
        ProviderArn(deployment.iam_arn(&format!("oidc-provider/{}", spec.issuer)))
    }

    fn id_from(physical_id: &str) -> Option<ProviderArn> {
        let is_provider =
            |arn: Arn<'_>| arn.service == "iam" && arn.region.is_empty() && arn.resource_of("oidc-provider").is_some();
        Arn::parse(physical_id).is_some_and(is_provider).then(|| ProviderArn(physical_id.to_owned()))
    }
}

impl OidcProviders {
    /// Probes the certificates of the issuer; an Enterprise Server's also with the CA that another owner gave.
    async fn probe(
        &self,
        issuer: &Issuer,
        ca: Option<&CaCertificate>,
        id: &ProviderArn,
    ) -> (Thumbprints, ThumbprintUse) {
        let mut result = self.issuers.probe(issuer, ca, self.now, self.deadline).await;
        let mut private_ca = ca.is_some();
        if result.is_err()
            && ca.is_none()
            && issuer.kind() == IssuerKind::Server
            && let Ok(Some(observed)) = self.get(&id.0).await
            && let Some(ca) = ca_from_tags(&observed)
        {
            result = self.issuers.probe(issuer, Some(&ca), self.now, self.deadline).await;
            private_ca = true;
        }
        self.report(issuer, &result);
        match result {
            Ok(result) => {
                let used = if result.publicly_trusted { ThumbprintUse::Fallback } else { ThumbprintUse::InUse };
                (Thumbprints::Observed(self.observed_thumbprints(result)), used)
            }
            Err(error) => (Thumbprints::Unknown(error.to_string()), ThumbprintUse::presumed(issuer, private_ca)),
        }
    }

    fn observed_thumbprints(&self, result: ProbeResult) -> ObservedThumbprints {
        let values = result.thumbprints.into_iter().map(|thumbprint| (thumbprint.hex, thumbprint.subject));
        ObservedThumbprints {
            values: values.collect(),
            at: Timestamp::of(self.now.into()),
            rotation_policy: self.rotation_policy,
        }
    }

    /// Logs and counts the parts of a result that an operator should know.
    fn report(&self, issuer: &Issuer, result: &Result<ProbeResult, ProbeError>) {
        match result {
            Ok(ProbeResult { thumbprints, publicly_trusted, expiring, left_out, unreached }) => {
                let thumbprints: Vec<String> = thumbprints.iter().map(ToString::to_string).collect();
                tracing::info!(%issuer, ?thumbprints, publicly_trusted, "verified the issuer's certificates");
                for certificate in expiring {
                    tracing::warn!(%issuer, %certificate, "a certificate of the issuer ends within 30 days");
                }
                for certificate in left_out {
                    tracing::warn!(%issuer, %certificate, "a certificate that the issuer sends is on no verified path");
                }
                for (address, why) in unreached {
                    tracing::warn!(%issuer, %address, why, "an address of the issuer was not reached");
                }
                metrics::count("ExpiringCertificates", expiring.len(), &issuer.to_string(), self.now);
            }
            Err(error) => {
                tracing::error!(%issuer, reason = %error, "the issuer's certificates could not be verified");
                metrics::count("UnverifiedIssuers", 1, &issuer.to_string(), self.now);
            }
        }
    }
}

/// The CA that an owner gave, from the provider's tags.
fn ca_from_tags(observed: &Observed) -> Option<CaCertificate> {
    CaCertificate::from_bytes(&base64::decode(owner_stakes::stored_ca(&observed.tags)?).ok()?)
}

fn thumbprint(text: &str) -> Result<String, String> {
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(properties::THUMBPRINT_EXPECTED.to_owned())
    }
}

fn ca_certificate(text: &str) -> Result<CaCertificate, String> {
    let ca = CaCertificate::parse(text)?;
    match ca.to_bytes().len() {
        0..=CA_LIMIT => Ok(ca),
        found => Err(format!(
            "certificates of at most {CA_LIMIT} bytes together, which is what the provider's tags have room for (the \
             scheduled rotation reads them there; these have {found})"
        )),
    }
}

/// In bytes, before base64 makes four characters of three.
const CA_LIMIT: usize = owner_stakes::PIECES * owner_stakes::PIECE / 4 * 3;
