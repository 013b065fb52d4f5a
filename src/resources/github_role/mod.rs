//! `Custom::GitHubRole`: an IAM role that exactly the named repositories, branches, tags, environments or pull requests
//! can assume. Its trust never widens and its permissions never grow beyond what the old or the new declaration grants,
//! not even for the moment between two calls.

mod action;
mod api;
mod applied_record;
mod attributes;
mod chosen_facts;
mod compile;
mod context_refs;
mod declaration_record;
mod declared_subjects;
mod drift;
mod effect;
mod environment_warnings;
mod facts_from_policy;
mod former_state;
mod found_rules;
mod guardrail_checks;
mod hand_changes;
mod identity;
mod impossible_subjects;
mod lookup;
mod match_warnings;
mod name_record;
mod name_warnings;
mod named;
mod names_in_policy;
mod native_equivalent;
mod own_workflows;
mod permissions;
mod pinned_ids;
mod pinned_users;
mod pins;
mod plan;
mod policy_limits;
mod policy_size;
mod properties;
mod provider;
mod refused_property;
mod remembered_ids;
mod remembered_template;
mod repair;
mod resolve;
mod subject_difference;
mod subject_parts;
mod taken_names;
#[cfg(test)]
mod tests;
mod trust_declaration;
mod trust_entry;
mod trusted_names;
mod unknown_ids;
mod user_numbers;
mod void_subjects;
mod workflow_warnings;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use aws_sdk_iam::types::Role;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::arn::{Arn, issuer_of_provider};
use crate::aws::Deadline;
use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Attributes, Fields};
use crate::deployment::Deployment;
use crate::github::Issuer;
use crate::github::client::Client;
use crate::github::name;
use crate::guardrails::GuardrailCheck;
use crate::iam_policy::document::canonical;
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::lazy::Lazy;
use crate::ownership::tags_property as tags;
use crate::ownership::{HandOver, Owner, Tags};
use crate::reconcile::Resource;
use crate::request_origin::{Origin, RollbackCheck};
use api::ReadPlan;
use declaration_record::Demands;
use name_record::NameRecord;
use permissions::DEFAULT_MAX_SESSION;
use properties::{DESCRIPTION_EXPECTED, PATH_EXPECTED, POLICY_ARN_EXPECTED, PROVIDER_EXPECTED, Policy, Properties};
use trust_declaration::TrustDeclaration;

pub use action::Action;
pub use drift::{Comparison, Counts, Drifted, RoleComparison};
pub use hand_changes::changes_by_hand;
pub use repair::Repairs;
pub(crate) use trusted_names::TrustedNames;

const AUDIENCE_EXPECTED: &str = "1 to 255 characters without `*`, `?` and `${`";
/// The audience that GitHub's official action asks for.
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// IAM's, in characters.
const NAME_LIMIT: usize = 64;
/// IAM's, in characters.
const POLICY_NAME_LIMIT: usize = 128;
/// Of the 50 tags of a role, at least 7 are ours.
const TAG_LIMIT: usize = 43;
/// The largest quota that AWS grants for attached managed policies.
const MANAGED_LIMIT: usize = 25;
/// IAM's quota for all inline policies of a role together, which it does not raise.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const INLINE_SIZE: usize = 10_240;
/// The number of names that one tag can record.
const INLINE_LIMIT: usize = 32;

/// Carries out the calls for roles.
#[derive(Debug)]
pub struct GitHubRoles {
    /// CloudFormation, which tells if a stack rolls back.
    pub cloudformation: Lazy<aws_sdk_cloudformation::Client>,
    /// IAM.
    pub iam: Lazy<aws_sdk_iam::Client>,
    /// The place of the function.
    pub deployment: Deployment,
    /// Until when.
    pub deadline: Deadline,
    /// GitHub.
    pub github: Client,
    /// Secrets Manager, which holds the declarations of roles that are repaired.
    pub secrets: Lazy<aws_sdk_secretsmanager::Client>,
    rollback: RollbackCheck,
    read_plan: RefCell<ReadPlan>,
    /// The role of an Update.
    former: RefCell<Option<RoleName>>,
    /// The first look at the role, which two questions share.
    first_look: OnceCell<(String, Option<Role>)>,
    /// True if IAM has shown the provider that the role trusts, and false if it has shown that there is none.
    provider_shown: Cell<Option<bool>>,
}

impl GitHubRoles {
    /// For one request, or one scheduled run.
    #[must_use]
    pub fn new(
        cloudformation: Lazy<aws_sdk_cloudformation::Client>,
        iam: Lazy<aws_sdk_iam::Client>,
        deployment: Deployment,
        deadline: Deadline,
        github: Client,
        secrets: Lazy<aws_sdk_secretsmanager::Client>,
    ) -> Self {
        let (read_plan, former, first_look, provider_shown) = Default::default();
        let rollback = RollbackCheck::new(cloudformation.clone(), deadline);
        Self {
            cloudformation,
            iam,
            deployment,
            deadline,
            github,
            secrets,
            rollback,
            read_plan,
            former,
            first_look,
            provider_shown,
        }
    }

    /// For a request of this origin.
    #[must_use]
    pub fn asked_by(self, origin: &Origin) -> Self {
        Self { rollback: self.rollback.asked_by(origin), ..self }
    }
}

/// A role's name, which is also its physical id.
#[derive(Clone, Debug)]
pub struct RoleName(String);

/// IAM: "Role names are not distinguished by case."
impl PartialEq for RoleName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The declaration of the author, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    name: Option<String>,
    path: String,
    trust: TrustDeclaration,
    settings: RoleSettings,
    managed: BTreeSet<String>,
    inline: BTreeMap<String, Value>,
    tags: Tags,
    adopt: bool,
    take_over: bool,
    repairs: bool,
}

/// The settings that the author may leave out. A setting that is left out stays as it is, unless we set it before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoleSettings {
    pub(crate) description: Option<String>,
    pub(crate) max_session: Option<u32>,
    pub(crate) boundary: Option<String>,
}

/// The desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) trust: TrustPolicy,
    pub(crate) settings: RoleSettings,
    pub(crate) managed: BTreeSet<String>,
    pub(crate) inline: BTreeMap<String, Value>,
    pub(crate) tags: Tags,
    /// True if a role of that name without an owner is adopted.
    pub(crate) adopt: bool,
    /// True if a role of that name that another owner let go is taken over.
    pub(crate) take_over: bool,
    /// The part of the declaration that only its text tells, of a role that the scheduled run repairs.
    pub(crate) repairs: Option<Demands>,
    /// The answer of CloudFormation about a role of another owner, or of none.
    pub(crate) hand_over: Option<HandOver>,
    /// The names that the policy does not hold with their ids.
    pub(crate) names: NameRecord,
    /// The number of managed policies that a role of the account may have.
    pub(crate) attached_quota: usize,
    /// The warning for the author.
    pub(crate) warning: String,
}

/// The observed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) role_id: String,
    pub(crate) path: String,
    pub(crate) trust: Value,
    pub(crate) description: String,
    pub(crate) max_session: u32,
    pub(crate) boundary: Option<String>,
    pub(crate) managed: BTreeSet<String>,
    pub(crate) inline: BTreeMap<String, Value>,
    pub(crate) instance_profiles: BTreeSet<String>,
    pub(crate) tags: Tags,
    /// In seconds since 1970.
    pub(crate) created: Option<i64>,
}

/// The part of a new role that only IAM can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    pub(crate) arn: String,
    pub(crate) role_id: String,
    pub(crate) created: Option<i64>,
}

impl Resource for GitHubRoles {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    type Properties = Properties;
    const NOUN: &'static str = "role";
    const READ_LAG: Duration = Duration::MAX;
    type Id = RoleName;
    type Spec = Spec;
    type Desired = Desired;
    type Observed = Observed;
    type Action = Action;
    type ApplyOutput = Option<Created>;

    fn parse(fields: &mut Fields<'_, Properties>, deployment: &Deployment) -> Option<Spec> {
        let provider_arn = fields.checked(Properties::PROVIDER_ARN, |text| provider_arn(text, deployment));
        let audience = if fields.has(Properties::AUDIENCE) {
            fields.checked(Properties::AUDIENCE, audience)
        } else {
            Some(DEFAULT_AUDIENCE.to_owned())
        };
        let issuer = provider_arn.as_deref().and_then(issuer_of);
        let entries = trust_declaration::entries(fields, issuer.as_ref());
        let name = fields.checked(Properties::ROLE_NAME, |text| iam_name(text, NAME_LIMIT));
        let path = if fields.has(Properties::PATH) {
            fields.checked(Properties::PATH, path)
        } else {
            Some(deployment.role_path.clone())
        };
        let boundary = if fields.has(Properties::PERMISSIONS_BOUNDARY) {
            fields.checked(Properties::PERMISSIONS_BOUNDARY, policy_arn)
        } else {
            deployment.role_boundary.clone()
        };
        let settings = RoleSettings {
            description: fields.checked(Properties::DESCRIPTION, description),
            max_session: fields.integer(Properties::MAX_SESSION_DURATION),
            boundary,
        };
        let managed: BTreeSet<String> =
            fields.texts(Properties::MANAGED_POLICY_ARNS, policy_arn).unwrap_or_default().into_iter().collect();
        let inline = inline_policies(fields);
        let tags = tags::parse(fields, Properties::TAGS);
        let on_existing = fields.choice(Properties::ON_EXISTING);
        let on_drift = fields.choice(Properties::ON_DRIFT);
        let (adopt, take_over) = (on_existing == Some("Adopt"), on_existing == Some("TakeOver"));
        if (adopt || take_over) && !fields.has(Properties::ROLE_NAME) {
            fields.invalid(
                Properties::ON_EXISTING,
                format!("{} together with the `RoleName` of that role", on_existing.unwrap_or_default()),
                "no `RoleName`",
            );
        }
        let trust =
            TrustDeclaration { provider_arn: provider_arn?, issuer: issuer?, audience: audience?, entries: entries? };
        let repairs = on_drift == Some("Repair");
        Some(Spec { name, path: path?, trust, settings, managed, inline, tags, adopt, take_over, repairs })
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        guardrail_checks::of(spec)
    }

    fn id(owner: &Owner, spec: &Spec, _: &Deployment) -> RoleName {
        // Another path needs another role, so a generated name depends on it.
        RoleName(spec.name.clone().unwrap_or_else(|| owner.generated_name(&spec.path, NAME_LIMIT)))
    }

    fn early_attributes(id: &RoleName, spec: &Spec, deployment: &Deployment) -> Attributes {
        [("Arn", deployment.iam_arn(&format!("role{}{id}", spec.path)))].into()
    }

    fn id_from(physical_id: &str) -> Option<RoleName> {
        iam_name(physical_id, NAME_LIMIT).ok().map(RoleName)
    }
}

/// IAM reads a policy variable in the value of any condition.
fn audience(text: &str) -> Result<String, String> {
    if text.contains(['*', '?']) || text.contains("${") {
        return Err(AUDIENCE_EXPECTED.to_owned());
    }
    name::in_policy(text).map(|()| text.to_owned())
}

fn inline_policies(fields: &mut Fields<'_, Properties>) -> BTreeMap<String, Value> {
    let policies = fields.objects(Properties::POLICIES, |fields| {
        let name = fields.checked(Policy::POLICY_NAME, |text| iam_name(text, POLICY_NAME_LIMIT));
        let document = canonical(&fields.document(Policy::POLICY_DOCUMENT)?);
        if let Err(expected) = name::in_policy(&document.to_string()) {
            fields.invalid(Policy::POLICY_DOCUMENT, expected, "one in it");
        }
        Some((name?, document))
    });
    let mut by_name: BTreeMap<String, Value> = BTreeMap::new();
    for (name, document) in policies.unwrap_or_default() {
        if by_name.keys().any(|other| other.eq_ignore_ascii_case(&name)) {
            fields.invalid(Properties::POLICIES, "each `PolicyName` once", format_args!("{name:?} again"));
        }
        by_name.insert(name, document);
    }
    let size = by_name.values().map(inline_size).sum();
    if !(0..=INLINE_SIZE).contains(&size) {
        fields.invalid(Properties::POLICIES, format!("at most {INLINE_SIZE} characters together"), size);
    }
    by_name
}

/// The characters of an inline policy that count for IAM's quota, which counts no white space.
fn inline_size(document: &Value) -> usize {
    document.to_string().split_whitespace().map(str::len).sum()
}

fn provider_arn(text: &str, deployment: &Deployment) -> Result<String, String> {
    let prefix = deployment.iam_arn("oidc-provider/");
    let issuer = text.strip_prefix(&prefix).ok_or_else(|| format!("{PROVIDER_EXPECTED} ({prefix}…)"))?;
    Issuer::parse_without_scheme(issuer).map(|issuer| format!("{prefix}{issuer}"))
}

fn issuer_of(provider_arn: &str) -> Option<Issuer> {
    Issuer::parse_without_scheme(issuer_of_provider(provider_arn)?).ok()
}

fn iam_name(text: &str, limit: usize) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (1..=limit).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("1 to {limit} letters, digits and _+=,.@-"))
}

fn path(text: &str) -> Result<String, String> {
    let slashes = text.starts_with('/') && text.ends_with('/');
    if slashes && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) {
        return Ok(text.to_owned());
    }
    Err(PATH_EXPECTED.to_owned())
}

/// IAM's model: `[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*`.
fn description(text: &str) -> Result<String, String> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    if text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(DESCRIPTION_EXPECTED.to_owned())
}

fn policy_arn(text: &str) -> Result<String, String> {
    let is_policy = |arn: Arn<'_>| {
        let is_of_account = arn.account == "aws" || arn.has_account_id();
        let is_iam = arn.partition.starts_with("aws") && arn.service == "iam" && arn.region.is_empty();
        is_iam && is_of_account && arn.resource_of("policy").is_some()
    };
    if Arn::parse(text).is_some_and(is_policy) { Ok(text.to_owned()) } else { Err(POLICY_ARN_EXPECTED.to_owned()) }
}
