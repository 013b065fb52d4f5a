//! `Custom::EksAccessEntry`: an EKS access entry with its access policies, which lets a role or user into a cluster's
//! Kubernetes API.

mod action;
mod api;
mod applied_record;
mod bound_role;
mod cluster;
mod desired_content;
mod effect;
mod former_state;
mod guardrail_checks;
mod native_equivalent;
mod plan;
mod principal;
mod properties;
mod recreation_record;
mod refused_property;
mod scheduled;
mod sharing;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::SharedTimeSource;

use serde::{Deserialize, Serialize};

use crate::arn::Arn;
use crate::aws::Deadline;
use crate::cloudformation::Fields;
use crate::cloudformation::schema::ResourceSchema;
use crate::deployment::Deployment;
use crate::guardrails::GuardrailCheck;
use crate::lazy::Lazy;
use crate::ownership::tags_property as tags;
use crate::ownership::{HandOver, Owner, Tags};
use crate::readable_list::list;
use crate::reconcile::Resource;
use crate::request_origin::{Origin, RollbackCheck};
use properties::{AccessPolicy, AccessScope, CLUSTER_EXPECTED, POLICY_EXPECTED, PRINCIPAL_EXPECTED, Properties};

pub use action::Action;
pub use bound_role::{Principal, RoleMaker};
pub use scheduled::{
    EntryCheck, NeedsRepair, RecordedEntry, Roles, ScheduledOutcome, check_entry, clusters, entries,
    reconcile_scheduled, record_names, recorded_entry, roles,
};
pub use state::{EntryContent, Observed, ObservedEntry, RecreationRecord};

/// The number of tags that an author may declare. Of the 50 tags of an entry, ten are ours: two of its owner, five of the
/// applied record, one each of an entry that is adopted, taken over or being recreated.
const TAG_LIMIT: usize = 40;
/// The number of access policies, as in the native resource.
const POLICY_LIMIT: usize = 20;
/// The groups that the tag of a record can hold before and after a change, each told from the others.
const GROUP_LIMIT: usize = 100;
/// The namespaces of one policy. The record of an entry while it is made again is one secret of at most 65,536 bytes.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
const NAMESPACE_LIMIT: usize = 100;

/// The clients and settings of the calls for access entries.
#[derive(Debug)]
pub struct AccessEntries {
    /// EKS.
    pub eks: Lazy<aws_sdk_eks::Client>,
    /// IAM, for the unique ids of roles.
    pub iam: Lazy<aws_sdk_iam::Client>,
    /// Secrets Manager, for the records of entries that are being recreated.
    pub secrets: Lazy<aws_sdk_secretsmanager::Client>,
    /// The random id of this process. It distinguishes processes that recreate the same entry.
    pub process: String,
    /// CloudFormation, which tells if another owner has let go.
    pub cloudformation: Lazy<aws_sdk_cloudformation::Client>,
    /// The question of whether a stack rolls back.
    pub rollback: RollbackCheck,
    /// The time of day.
    pub clock: SharedTimeSource,
    /// The time of day, for metrics.
    pub now: SystemTime,
    /// The account of the function. Roles of other accounts are not read.
    pub deployment: Deployment,
    /// The deadline of the calls.
    pub deadline: Deadline,
}

impl AccessEntries {
    /// For a request of this origin.
    #[must_use]
    pub fn asked_by(self, origin: &Origin) -> Self {
        Self { rollback: self.rollback.asked_by(origin), ..self }
    }
}

/// The id of an entry: principal and cluster. Its text is the native resource's `Ref`, `<PrincipalArn>|<ClusterName>`. The
/// ARN of the entry would not do, because it changes when the entry is recreated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryId {
    pub(crate) principal: String,
    pub(crate) cluster: String,
}

impl EntryId {
    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The principal's ARN.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.principal, self.cluster)
    }
}

/// The type of an entry, as EKS names it. EKS never changes the type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryType(&'static str);

impl EntryType {
    const STANDARD: Self = Self("STANDARD");
    const ALL: [&'static str; 7] =
        ["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"];
}

impl fmt::Display for EntryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The scope of an access policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyScope {
    /// The whole cluster.
    Cluster,
    /// Namespaces; `*` is a wildcard.
    Namespaces(BTreeSet<String>),
}

impl PolicyScope {
    /// The smallest scope that includes both.
    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Namespaces(a), Self::Namespaces(b)) => Self::Namespaces(a.union(b).cloned().collect()),
            _ => Self::Cluster,
        }
    }
}

impl fmt::Display for PolicyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the whole cluster"),
            Self::Namespaces(namespaces) => write!(f, "namespaces {}", list(namespaces)),
        }
    }
}

/// The desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    pub(crate) wanted: Wanted,
    /// The role. `None` for users, for roles of other accounts, and for a role that IAM does not show yet.
    pub(crate) role: Option<Principal>,
    /// The answer of CloudFormation about an entry of another owner, or of none.
    pub(crate) hand_over: Option<HandOver>,
    /// The process that recreates the entry, if necessary.
    pub(crate) process: String,
}

/// The desired content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The content that a template declares.
    Declared(Box<Spec>),
    /// The content that the entry has, bound to the current role.
    Unchanged,
}

/// The declaration of the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub(crate) cluster: String,
    pub(crate) principal: String,
    pub(crate) role_id: Option<String>,
    pub(crate) entry_type: EntryType,
    pub(crate) username: Option<String>,
    pub(crate) groups: Option<BTreeSet<String>>,
    pub(crate) policies: Option<BTreeMap<String, PolicyScope>>,
    pub(crate) tags: Tags,
    /// An entry that nobody owns is adopted.
    pub(crate) adopt: bool,
    /// An entry that another owner let go is taken over.
    pub(crate) take_over: bool,
}

/// The facts about a new entry that only EKS can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    pub(crate) arn: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) created: Option<i64>,
}

impl Resource for AccessEntries {
    const SCHEMA: ResourceSchema = properties::SCHEMA;
    type Properties = Properties;
    const NOUN: &'static str = "access entry";
    /// EKS does not say that reads lag, nor that they do not.
    const READ_LAG: Duration = Duration::from_secs(20);
    type Id = EntryId;
    type Spec = Spec;
    type Desired = Desired;
    type Observed = Observed;
    type Action = Action;
    type ApplyOutput = Option<Created>;

    fn parse(fields: &mut Fields<'_, Properties>, deployment: &Deployment) -> Option<Spec> {
        let cluster = fields.checked(Properties::CLUSTER_NAME, cluster_name);
        let principal = fields.checked(Properties::PRINCIPAL_ARN, |text| principal_arn(text, deployment));
        let role_id = fields.text(Properties::ROLE_ID);
        if let (Some(_), Some(principal)) = (&role_id, principal.as_deref().filter(|of| !is_role_of(of, deployment))) {
            let role = format!("a role of account {} with `RoleId`, whose id can be read", deployment.account);
            fields.invalid(Properties::PRINCIPAL_ARN, role, format_args!("{principal:?}"));
        }
        let entry_type = fields.choice(Properties::TYPE).map(EntryType);
        let username = fields.checked(Properties::USERNAME, username);
        let groups = fields.texts(Properties::KUBERNETES_GROUPS, group);
        let groups = groups.map(|groups| groups.into_iter().collect::<BTreeSet<String>>());
        let policies = policies(fields, deployment);
        if let Some(entry_type) = entry_type.filter(|entry_type| *entry_type != EntryType::STANDARD) {
            if let Some(principal) = principal.as_deref().filter(|principal| !is_role_of(principal, deployment)) {
                let role =
                    format!("a role of account {} with `Type: {entry_type}`, which is for nodes", deployment.account);
                fields.invalid(Properties::PRINCIPAL_ARN, role, format_args!("{principal:?}"));
            }
            let only_standard =
                format!("to be left out with `Type: {entry_type}`, which EKS gives its own permissions");
            fields.forbid(Properties::USERNAME, &*only_standard);
            if let Some(groups) = groups.as_ref().filter(|groups| !groups.is_empty()) {
                fields.invalid(Properties::KUBERNETES_GROUPS, &*only_standard, list(groups));
            }
            let mut policies = policies.iter().flat_map(|policies| policies.keys());
            // The one exception: https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-nodepool.html
            let other = policies.find(|policy| entry_type.0 != "EC2" || !policy.ends_with(AUTO_NODE_POLICY));
            if other.is_some() && entry_type.0 == "EC2" {
                let only = format!("at most {} with `Type: EC2`", &AUTO_NODE_POLICY[1..]);
                fields.invalid(Properties::ACCESS_POLICIES, only, "another policy");
            } else if other.is_some() {
                fields.invalid(Properties::ACCESS_POLICIES, &*only_standard, "a value");
            }
        }
        // An empty list asks for what EKS gives.
        let groups = groups.filter(|groups| !groups.is_empty() || entry_type == Some(EntryType::STANDARD));
        let tags = tags::parse(fields, Properties::TAGS);
        let on_existing = fields.choice(Properties::ON_EXISTING);
        let (adopt, take_over) = (on_existing == Some("Adopt"), on_existing == Some("TakeOver"));
        Some(Spec {
            cluster: cluster?,
            principal: principal?,
            role_id,
            entry_type: entry_type?,
            username,
            groups,
            policies,
            tags,
            adopt,
            take_over,
        })
    }

    fn guardrail_checks(spec: &Spec) -> Vec<GuardrailCheck> {
        guardrail_checks::of(spec)
    }

    fn id(_: &Owner, spec: &Spec, _: &Deployment) -> EntryId {
        EntryId { principal: spec.principal.clone(), cluster: spec.cluster.clone() }
    }

    fn id_from(physical_id: &str) -> Option<EntryId> {
        // A role's path may have a bar in it, a cluster's name not.
        let (principal, cluster) = physical_id.rsplit_once('|')?;
        let valid = principal.starts_with("arn:") && cluster_name(cluster).is_ok();
        valid.then(|| EntryId { principal: principal.to_owned(), cluster: cluster.to_owned() })
    }
}

const AUTO_NODE_POLICY: &str = "/AmazonEKSAutoNodePolicy";

fn cluster_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let valid = (1..=100).contains(&text.len())
        && text.bytes().all(allowed)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if valid { Ok(text.to_owned()) } else { Err(CLUSTER_EXPECTED.to_owned()) }
}

fn principal_arn(text: &str, deployment: &Deployment) -> Result<String, String> {
    if !text.contains('/') && is_path_and_name(text) {
        return Err(format!("{PRINCIPAL_EXPECTED} (`!Ref` of a role is its name: write `!GetAtt Role.Arn`)"));
    }
    let Some(arn) = Arn::parse(text).filter(|arn| arn.region.is_empty()) else {
        return Err(PRINCIPAL_EXPECTED.to_owned());
    };
    let Arn { partition, service, region: _, account, resource } = arn;
    if service == "sts" {
        let role = match arn.resource_of("assumed-role").and_then(|session| session.split('/').next()) {
            Some(name) => format!("arn:{partition}:iam::{account}:role/{name}, with its path"),
            None => "the role's ARN, path included".to_owned(),
        };
        return Err(format!("{PRINCIPAL_EXPECTED}, not of a session (write {role})"));
    }
    if resource.starts_with("role/aws-service-role/") {
        return Err(format!(
            "{PRINCIPAL_EXPECTED} that is not a service-linked role (EKS takes none: name the role that works in the cluster)"
        ));
    }
    let named = ["role/", "user/"].iter().any(|kind| resource.strip_prefix(kind).is_some_and(is_path_and_name));
    if service != "iam" || !arn.has_account_id() || !named {
        return Err(PRINCIPAL_EXPECTED.to_owned());
    }
    if partition != deployment.partition {
        return Err(format!("{PRINCIPAL_EXPECTED} in the cluster's partition {}", deployment.partition));
    }
    Ok(text.to_owned())
}

/// "If the type of the access entry is anything other than `STANDARD`, the ARN must be in the same AWS account that your
/// cluster is in", and "for nodes, the only valid ARN is IAM roles".
/// <https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html>,
/// <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessEntry.html>
fn is_role_of(principal: &str, deployment: &Deployment) -> bool {
    principal.starts_with(&deployment.iam_arn("role/"))
}

/// The end of a role's or user's ARN: a path of printable characters where there is one, and a name, as long as IAM allows.
fn is_path_and_name(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').map_or((None, text), |(path, name)| (Some(path), name));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    let printable = |byte: u8| (b'!'..=b'~').contains(&byte);
    // With the slash before and the one behind it has 512 characters at most.
    let path = path.is_none_or(|path| (1..=510).contains(&path.len()) && path.bytes().all(printable));
    path && (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

/// <https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html>
const RESERVED: [&str; 5] = ["system:", "eks:", "aws:", "amazon:", "iam:"];

fn not_reserved(text: &str) -> Result<(), String> {
    match RESERVED.into_iter().find(|prefix| text.starts_with(prefix)) {
        Some(prefix) => Err(format!("a name that does not begin with `{prefix}`, which EKS reserves")),
        None => Ok(()),
    }
}

/// <https://docs.aws.amazon.com/eks/latest/userguide/set-custom-username.html>
fn username(text: &str) -> Result<String, String> {
    not_reserved(text)?;
    // It would be another principal's: EKS names those without a username by their ARNs.
    if text.starts_with("arn:") {
        return Err(
            "a name that does not begin with `arn:` (leave it out, and EKS takes the principal's own ARN)".to_owned()
        );
    }
    for name in ["{{SessionName}}", "{{SessionNameRaw}}"] {
        if let Some((before, _)) = text.split_once(name).filter(|(before, _)| !before.contains(':')) {
            return Err(format!("a colon before {name}, such as \"{before}:{name}\""));
        }
    }
    Ok(text.to_owned())
}

fn group(text: &str) -> Result<String, String> {
    not_reserved(text)?;
    Ok(text.to_owned())
}

fn policies(fields: &mut Fields<'_, Properties>, deployment: &Deployment) -> Option<BTreeMap<String, PolicyScope>> {
    let entries = fields.objects(Properties::ACCESS_POLICIES, |fields| {
        let arn = fields.checked(AccessPolicy::POLICY_ARN, |text| policy_arn(text, deployment));
        let scope = fields.object(AccessPolicy::ACCESS_SCOPE, scope);
        Some((arn?, scope?))
    })?;
    let mut policies = BTreeMap::new();
    for (arn, scope) in entries {
        if policies.insert(arn.clone(), scope).is_some() {
            fields.invalid(
                Properties::ACCESS_POLICIES,
                "each policy once (EKS keeps one scope for each)",
                format_args!("{arn} again"),
            );
        }
    }
    Some(policies)
}

fn scope(fields: &mut Fields<'_, AccessScope>) -> Option<PolicyScope> {
    let is_cluster = fields.choice(AccessScope::TYPE).map(|scope| scope == "cluster");
    let namespaces = fields.texts(AccessScope::NAMESPACES, |text| Ok(text.to_owned()));
    match (is_cluster?, namespaces) {
        (true, Some(namespaces)) if !namespaces.is_empty() => {
            fields.invalid(AccessScope::NAMESPACES, "nothing with `Type: cluster`", namespaces.join(", "));
            None
        }
        (true, _) => Some(PolicyScope::Cluster),
        (false, Some(namespaces)) if !namespaces.is_empty() => {
            Some(PolicyScope::Namespaces(namespaces.into_iter().collect()))
        }
        (false, _) => {
            fields.missing(AccessScope::NAMESPACES, "at least one namespace with `Type: namespace`");
            None
        }
    }
}

fn policy_arn(text: &str, deployment: &Deployment) -> Result<String, String> {
    let prefix = format!("arn:{}:eks::aws:cluster-access-policy/", deployment.partition);
    let name = text.strip_prefix(&prefix).unwrap_or(text);
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(format!("{prefix}{name}"));
    }
    Err(POLICY_EXPECTED.to_owned())
}
