//! AWS Identity and Access Management as its API reference and API model describe it: the Query protocol, XML answers,
//! one primary that changes apply to, and replicas that answer reads late.
//!
//! Nothing in here knows our client. Where the reference leaves a choice, [`Settings`] has a switch, and a test that
//! cares flips it both ways.

mod providers;
mod replicated;
mod role_policies;
mod roles;
mod tags;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

pub(crate) use providers::{FETCHED_THUMBPRINT, Provider};
pub(crate) use replicated::Replicated;
pub(crate) use roles::Role;
pub(crate) use trust::one_or_many;

use super::author::Author;
use super::model;
use super::wire::{Answer, Refusal, Request};

pub(crate) type Reply = Result<Value, Refusal>;

/// What differs between accounts, regions and days.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// A new object is shown to readers after at most this long; how long exactly is drawn for each …
    pub(crate) lag: Duration,
    /// … any other change after at most this long …
    pub(crate) change_lag: Duration,
    /// … unless everything takes all of it.
    pub(crate) lag_is_exact: bool,
    /// Whether changing calls, too, miss an object that readers cannot see yet.
    pub(crate) writes_lag: bool,
    /// For this long after a role's creation `GetRole` gives its unique id where its ARN should stand.
    pub(crate) odd_arn: Duration,
    /// A trust policy that names a provider younger than this is refused with "Invalid principal in policy".
    pub(crate) principal_lag: Duration,
    /// Whether the same holds for a provider that does not exist at all.
    pub(crate) principals_are_checked: bool,
    /// `UpdateRole` with an empty description changes nothing.
    pub(crate) empty_descriptions_stay: bool,
    /// The reference calls `DeleteOpenIDConnectProvider` idempotent and lists `NoSuchEntity` among its errors.
    pub(crate) deleting_a_missing_provider_fails: bool,
    /// The largest page; IAM "might return fewer results, even when there are more".
    pub(crate) page: usize,
    /// Whether a list begins with an empty page that has a marker.
    pub(crate) empty_pages: bool,
    pub(crate) quotas: Quotas,
}

#[derive(Clone, Debug)]
pub(crate) struct Quotas {
    pub(crate) providers: usize,
    pub(crate) roles: usize,
    pub(crate) attached_policies: usize,
    pub(crate) trust_policy: usize,
    pub(crate) inline_policies: usize,
    pub(crate) client_ids: usize,
    pub(crate) tags: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lag: Duration::ZERO,
            change_lag: Duration::ZERO,
            lag_is_exact: true,
            writes_lag: false,
            odd_arn: Duration::ZERO,
            principal_lag: Duration::ZERO,
            principals_are_checked: true,
            empty_descriptions_stay: false,
            deleting_a_missing_provider_fails: false,
            page: 100,
            empty_pages: false,
            quotas: Quotas {
                providers: 100,
                roles: 1000,
                attached_policies: 10,
                trust_policy: 2048,
                inline_policies: 10_240,
                client_ids: 100,
                tags: 50,
            },
        }
    }
}

/// One account's IAM.
#[derive(Clone, Debug)]
pub(crate) struct Iam {
    pub(crate) settings: Settings,
    pub(crate) partition: String,
    pub(crate) account: String,
    /// By ARN.
    pub(crate) providers: Replicated<Provider>,
    /// By name in lower case: names are unique whatever their case.
    pub(crate) roles: Replicated<Role>,
    /// Customer managed policies that exist, by ARN; those of AWS all exist but `NoSuch…`.
    pub(crate) policies: BTreeSet<String>,
    /// The users' ARNs, by name in lower case.
    pub(crate) users: BTreeMap<String, String>,
    /// The role in each instance profile.
    pub(crate) instance_profiles: BTreeMap<String, Option<String>>,
    /// Changes to what is not replicated.
    profile_changes: u64,
    random: fastrand::Rng,
    serial: u64,
}

impl Iam {
    pub(crate) fn new(partition: &str, account: &str, seed: u64) -> Self {
        Self {
            settings: Settings::default(),
            partition: partition.to_owned(),
            account: account.to_owned(),
            providers: Replicated::default(),
            roles: Replicated::default(),
            policies: BTreeSet::new(),
            users: BTreeMap::new(),
            instance_profiles: BTreeMap::new(),
            profile_changes: 0,
            random: fastrand::Rng::with_seed(seed),
            serial: 0,
        }
    }

    /// Grows with every change that changed something.
    pub(crate) fn revision(&self) -> u64 {
        self.providers.revision() + self.roles.revision() + self.profile_changes
    }

    /// The operation and its input, of a request in the Query protocol.
    pub(crate) fn parse(request: &Request) -> Result<(String, Value), Refusal> {
        super::query::parse(model::iam(), request)
    }

    /// Does one operation. A refusal has changed nothing.
    pub(crate) fn handle(&mut self, action: &str, input: &Value, author: &Author, now: SystemTime) -> Reply {
        match action {
            "GetAccountSummary" => Ok(self.summary()),
            "GetUser" => self.user(text(input, "UserName"), now),
            "ListUsers" => {
                let users = self.users.keys().map(|name| Ok(self.user(name, now)?["User"].clone()));
                self.page(input, "Users", users.collect::<Result<_, Refusal>>()?)
            }
            _ if action.contains("OpenIDConnectProvider") => self.provider_operation(action, input, author, now),
            "AttachRolePolicy"
            | "DetachRolePolicy"
            | "ListAttachedRolePolicies"
            | "ListRolePolicies"
            | "GetRolePolicy"
            | "PutRolePolicy"
            | "DeleteRolePolicy"
            | "ListInstanceProfilesForRole"
            | "RemoveRoleFromInstanceProfile" => self.role_policy_operation(action, input, now),
            _ => self.role_operation(action, input, author, now),
        }
    }

    fn summary(&self) -> Value {
        let quotas = &self.settings.quotas;
        json!({"SummaryMap": {
            "AssumeRolePolicySizeQuota": quotas.trust_policy,
            "AttachedPoliciesPerRoleQuota": quotas.attached_policies,
            "RolePolicySizeQuota": quotas.inline_policies,
            "Roles": self.roles.all().count(),
            "RolesQuota": quotas.roles,
            "Providers": self.providers.all().count(),
        }})
    }

    fn user(&self, name: &str, now: SystemTime) -> Reply {
        let missing = || no_such_entity(format!("The user with name {name} cannot be found."));
        let arn = self.users.get(&name.to_lowercase()).ok_or_else(missing)?;
        let (_, resource) = arn.split_once(":user").expect("a user");
        let (path, name) = resource.rsplit_once('/').expect("a path");
        Ok(
            json!({"User": {"Path": format!("{path}/"), "UserName": name, "UserId": "AIDA", "Arn": arn, "CreateDate": super::clock::iso(now)}}),
        )
    }

    /// When readers see a change that is made now.
    fn visible(&mut self, created: bool, now: SystemTime) -> SystemTime {
        let lag = if created { self.settings.lag } else { self.settings.change_lag };
        if lag.is_zero() || self.settings.lag_is_exact {
            return now + lag;
        }
        let milliseconds = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        now + Duration::from_millis(self.random.u64(0..=milliseconds))
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// One page of a list, and whether and where it goes on.
    fn page(&self, input: &Value, name: &str, items: Vec<Value>) -> Reply {
        let asked = input["MaxItems"].as_u64().unwrap_or(100);
        let size = usize::try_from(asked).unwrap_or(100).min(self.settings.page).max(1);
        let from = match input["Marker"].as_str() {
            None if self.settings.empty_pages => {
                return Ok(json!({name: [], "IsTruncated": true, "Marker": "AAAAAAAA-0"}));
            }
            None => 0,
            Some(marker) => marker
                .strip_prefix("AAAAAAAA-")
                .and_then(|index| index.parse().ok())
                .ok_or_else(|| Refusal::new("ValidationError", 400, "Invalid Marker."))?,
        };
        let count = items.len();
        let page: Vec<Value> = items.into_iter().skip(from).take(size).collect();
        let next = from + page.len();
        Ok(if next < count {
            json!({name: page, "IsTruncated": true, "Marker": format!("AAAAAAAA-{next}")})
        } else {
            json!({name: page, "IsTruncated": false})
        })
    }
}

/// An operation's answer as XML.
pub(crate) fn answer(action: &str, reply: &Reply, request_id: &str) -> Answer {
    super::query::answer(model::iam(), "https://iam.amazonaws.com/doc/2010-05-08/", action, reply, request_id)
}

fn invalid_input(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidInput", 400, message)
}

fn no_such_entity(message: impl Into<String>) -> Refusal {
    Refusal::new("NoSuchEntity", 404, message)
}

fn already_exists(message: impl Into<String>) -> Refusal {
    Refusal::new("EntityAlreadyExists", 409, message)
}

fn limit_exceeded(message: impl Into<String>) -> Refusal {
    Refusal::new("LimitExceeded", 409, message)
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new("MalformedPolicyDocument", 400, message)
}

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input[name].as_str().unwrap_or_default()
}

fn texts(input: &Value, name: &str) -> Vec<String> {
    input[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
