//! Amazon EKS' access entries as its API reference and API model describe them: REST with JSON, the principal's ARN
//! percent-encoded in the path, one entry per cluster and principal, bound to a role's unique id that nobody is shown.

mod associations;
mod entries;
mod rest;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

pub(crate) use associations::{Association, Scope};
pub(crate) use entries::Entry;
pub(crate) use rest::answer;

use super::author::Author;
use super::clock::epoch;
use super::iam::Iam;
use super::wire::Refusal;

type Reply = Result<Value, Refusal>;

/// What differs between clusters, accounts and days.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// A role younger than this is an "invalid principal" to EKS.
    pub(crate) role_lag: Duration,
    /// An entry younger than this "could not be found" by the operations on its policies.
    pub(crate) entry_lag: Duration,
    /// The time for which reads show the entries as they were before the last change.
    pub(crate) read_lag: Duration,
    /// Whether a creation that is repeated with its client token answers like the first.
    pub(crate) honours_client_tokens: bool,
    /// The reference says that associating again changes the scope; nobody has seen it promised.
    pub(crate) associating_again_changes_scope: bool,
    /// A username that begins with `arn:` is refused, as EKS' own of a role does.
    pub(crate) refuses_own_usernames: bool,
    /// Entries of nodes take no tags after their creation.
    pub(crate) nodes_take_no_tags: bool,
    pub(crate) page: usize,
    pub(crate) empty_pages: bool,
    pub(crate) entries_per_cluster: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            role_lag: Duration::ZERO,
            entry_lag: Duration::ZERO,
            read_lag: Duration::ZERO,
            honours_client_tokens: true,
            associating_again_changes_scope: true,
            refuses_own_usernames: false,
            nodes_take_no_tags: false,
            page: 100,
            empty_pages: false,
            entries_per_cluster: 3000,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Creating,
    Active,
    /// Takes access entries.
    Updating,
    /// Takes none until it is done.
    Locked,
    Deleting,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating | Self::Locked => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) status: Status,
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub(crate) mode: &'static str,
    /// What becomes of it, and when; `None` is gone.
    pub(crate) becomes: Option<(SystemTime, Option<Status>)>,
    /// By the principal's ARN.
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) created: SystemTime,
}

/// The entries of each cluster, by the principals' ARNs.
type AllEntries = BTreeMap<String, BTreeMap<String, Entry>>;

/// One account's EKS in one region.
#[derive(Clone, Debug)]
pub(crate) struct Eks {
    pub(crate) settings: Settings,
    partition: String,
    region: String,
    account: String,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// Names of the access policies that this region offers.
    pub(crate) policies: Vec<String>,
    revision: u64,
    serial: u64,
    /// The entries of each cluster before the last change, and when that was.
    earlier: Option<(SystemTime, AllEntries)>,
}

/// What an operation may look at besides EKS itself.
pub(crate) struct Surroundings<'a> {
    pub(crate) iam: &'a Iam,
    pub(crate) author: &'a Author,
    pub(crate) now: SystemTime,
}

impl Eks {
    pub(crate) fn new(partition: &str, region: &str, account: &str) -> Self {
        let policies = include_str!("../../local_aws/emulator/access_policies.txt").lines();
        Self {
            settings: Settings::default(),
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            clusters: BTreeMap::new(),
            policies: policies.map(str::to_owned).collect(),
            earlier: None,
            revision: 0,
            serial: 0,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn add_cluster(&mut self, name: &str, mode: &'static str, status: Status, now: SystemTime) {
        let cluster = Cluster { status, mode, becomes: None, entries: BTreeMap::new(), created: now };
        self.clusters.insert(name.to_owned(), cluster);
    }

    /// Lets the clusters become what they were to become by now.
    pub(crate) fn settle(&mut self, now: SystemTime) {
        self.clusters.retain(|_, cluster| match cluster.becomes {
            Some((at, next)) if at <= now => {
                cluster.becomes = None;
                if let Some(status) = next {
                    cluster.status = status;
                }
                next.is_some()
            }
            _ => true,
        });
    }

    /// Does one operation. A refusal has changed nothing.
    pub(crate) fn handle(&mut self, action: &str, input: &Value, around: &Surroundings<'_>) -> Reply {
        let reads = ["Describe", "List"].iter().any(|verb| action.starts_with(verb));
        if self.settings.read_lag.is_zero() {
            return self.operate(action, input, around);
        }
        if reads {
            let late = self.earlier.clone().filter(|(changed, _)| around.now < *changed + self.settings.read_lag);
            let Some((_, earlier)) = late else { return self.operate(action, input, around) };
            let now = self.exchange_entries(earlier);
            let reply = self.operate(action, input, around);
            self.exchange_entries(now);
            return reply;
        }
        let (revision, before) = (self.revision, self.all_entries());
        let reply = self.operate(action, input, around);
        if self.revision != revision {
            self.earlier = Some((around.now, before));
        }
        reply
    }

    fn all_entries(&self) -> AllEntries {
        self.clusters.iter().map(|(name, cluster)| (name.clone(), cluster.entries.clone())).collect()
    }

    /// Puts these entries into the clusters, and returns those that were there.
    fn exchange_entries(&mut self, mut entries: AllEntries) -> AllEntries {
        let before = self.all_entries();
        for (name, cluster) in &mut self.clusters {
            cluster.entries = entries.remove(name).unwrap_or_default();
        }
        before
    }

    fn operate(&mut self, action: &str, input: &Value, around: &Surroundings<'_>) -> Reply {
        match action {
            "DescribeCluster" => self.describe_cluster(text(input, "name")),
            "ListClusters" => {
                let names = self.clusters.keys().map(|name| json!(name)).collect();
                self.page(input, "clusters", names)
            }
            "ListAccessPolicies" => {
                let policies =
                    self.policies.iter().map(|name| json!({"name": name, "arn": self.policy_arn(name)})).collect();
                self.page(input, "accessPolicies", policies)
            }
            "AssociateAccessPolicy" | "DisassociateAccessPolicy" | "ListAssociatedAccessPolicies" => {
                self.association_operation(action, input, around.now)
            }
            "TagResource" | "UntagResource" | "ListTagsForResource" => self.tag_operation(action, input, around.now),
            _ => self.entry_operation(action, input, around),
        }
    }

    fn describe_cluster(&self, name: &str) -> Reply {
        let cluster = self.clusters.get(name).ok_or_else(|| no_cluster(name))?;
        Ok(json!({"cluster": {
            "name": name,
            "arn": self.cluster_arn(name),
            "createdAt": epoch(cluster.created),
            "version": "1.34",
            "status": cluster.status.name(),
            "accessConfig": {"authenticationMode": cluster.mode},
        }}))
    }

    fn cluster_arn(&self, name: &str) -> String {
        format!("arn:{}:eks:{}:{}:cluster/{name}", self.partition, self.region, self.account)
    }

    pub(crate) fn policy_arn(&self, name: &str) -> String {
        format!("arn:{}:eks::aws:cluster-access-policy/{name}", self.partition)
    }

    /// A cluster whose entries can be read or, where `change`, written.
    fn usable_cluster(&mut self, name: &str, change: bool) -> Result<&mut Cluster, Refusal> {
        let cluster = self.clusters.get_mut(name).ok_or_else(|| no_cluster(name))?;
        if cluster.mode == "CONFIG_MAP" {
            return Err(invalid_request(
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
            ));
        }
        let usable = match cluster.status {
            Status::Active | Status::Updating => true,
            Status::Deleting => !change,
            Status::Creating | Status::Locked => false,
        };
        if !usable {
            let status = cluster.status.name();
            return Err(invalid_request(format!("The cluster {name} is in the {status} state.")));
        }
        Ok(cluster)
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn page(&self, input: &Value, name: &str, items: Vec<Value>) -> Reply {
        let asked = input["maxResults"].as_u64().unwrap_or(100);
        let size = usize::try_from(asked).unwrap_or(100).min(self.settings.page).max(1);
        let from = match input["nextToken"].as_str() {
            None if self.settings.empty_pages => return Ok(json!({name: [], "nextToken": "page-0"})),
            None => 0,
            Some(token) => token
                .strip_prefix("page-")
                .and_then(|index| index.parse().ok())
                .ok_or_else(|| invalid_parameter("The nextToken is not valid."))?,
        };
        let count = items.len();
        let page: Vec<Value> = items.into_iter().skip(from).take(size).collect();
        let next = from + page.len();
        Ok(if next < count { json!({name: page, "nextToken": format!("page-{next}")}) } else { json!({name: page}) })
    }
}

fn no_cluster(name: &str) -> Refusal {
    not_found(format!("No cluster found for name: {name}."))
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new("ResourceNotFoundException", 404, message)
}

fn invalid_parameter(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterException", 400, message)
}

fn invalid_request(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidRequestException", 400, message)
}

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input[name].as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
