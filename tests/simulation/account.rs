//! One AWS account: services that see each other, and one picture of everything that is in them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use super::author::Author;
use super::authorization::Authorization;
use super::eks::{Eks, Scope, Status};
use super::github::GitHub;
use super::iam::Iam;
use super::s3::S3;
use super::secrets::Secrets;
use super::stacks::Stacks;

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const PARTITION: &str = "aws";

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) iam: Iam,
    pub(crate) eks: Eks,
    pub(crate) s3: S3,
    pub(crate) secrets: Secrets,
    pub(crate) stacks: Stacks,
    pub(crate) authorization: Authorization,
    /// Errors come in other words; code and status stay.
    pub(crate) garbles: Option<&'static str>,
    /// Not of AWS, but what the function asks beside it.
    pub(crate) github: GitHub,
}

impl Account {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            iam: Iam::new(PARTITION, ACCOUNT, seed),
            eks: Eks::new(PARTITION, REGION, ACCOUNT),
            s3: S3::default(),
            garbles: None,
            secrets: Secrets::default(),
            stacks: Stacks::default(),
            authorization: Authorization::default(),
            github: GitHub::default(),
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.iam.revision() + self.eks.revision() + self.secrets.revision()
    }

    /// Does an operation of IAM as somebody: for worlds that have a past, and for those who change it by hand.
    pub(crate) fn iam_as(
        &mut self,
        author: &Author,
        now: SystemTime,
        action: &str,
        input: &serde_json::Value,
    ) -> super::iam::Reply {
        self.iam.handle(action, input, author, now)
    }

    /// Does an operation of EKS as somebody.
    pub(crate) fn eks_as(
        &mut self,
        author: &Author,
        now: SystemTime,
        action: &str,
        input: &serde_json::Value,
    ) -> super::iam::Reply {
        let Self { iam, eks, .. } = self;
        let around = super::eks::Surroundings { iam, author, now };
        eks.handle(action, input, &around)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut objects = BTreeMap::new();
        self.add_providers(&mut objects);
        self.add_roles(&mut objects);
        self.add_entries(&mut objects);
        self.add_secrets(&mut objects);
        Snapshot { objects }
    }

    fn add_providers(&self, objects: &mut BTreeMap<Id, Object>) {
        for (arn, provider) in self.iam.providers.all() {
            let mut facets = Facets::default();
            facets.set("url", &provider.url);
            facets.set("thumbprints", provider.thumbprints.join(" "));
            for id in &provider.client_ids {
                facets.set(format!("client id {}", id.name), "");
            }
            facets.tags(&provider.tags);
            objects.insert(
                Id { kind: Kind::Provider, serial: provider.serial.to_string(), name: arn.to_owned() },
                Object { made_by: provider.made_by.clone(), facets: facets.0 },
            );
        }
    }

    fn add_roles(&self, objects: &mut BTreeMap<Id, Object>) {
        for (_, role) in self.iam.roles.all() {
            let mut facets = Facets::default();
            facets.set("arn", self.iam.role_arn(role));
            facets.set("trust", &role.trust);
            facets.set("description", role.description.as_deref().unwrap_or_default());
            facets.set("max session", role.max_session.to_string());
            facets.set("boundary", role.boundary.as_deref().unwrap_or_default());
            for arn in &role.attached {
                facets.set(format!("attached {arn}"), "");
            }
            for (name, document) in &role.inline {
                facets.set(format!("inline {name}"), document);
            }
            for (profile, held) in &self.iam.instance_profiles {
                if held.as_deref() == Some(role.name.as_str()) {
                    facets.set(format!("instance profile {profile}"), "");
                }
            }
            facets.tags(&role.tags);
            objects.insert(
                Id { kind: Kind::Role, serial: role.id.clone(), name: role.name.clone() },
                Object { made_by: role.made_by.clone(), facets: facets.0 },
            );
        }
    }

    fn add_entries(&self, objects: &mut BTreeMap<Id, Object>) {
        for (cluster, about) in &self.eks.clusters {
            for entry in about.entries.values() {
                let mut facets = Facets::default();
                facets.set("type", &entry.kind);
                facets.set("username", &entry.username);
                facets.set("groups", entry.groups.join(" "));
                facets.set("bound to", entry.bound_to.as_deref().unwrap_or_default());
                for (arn, association) in &entry.policies {
                    let scope = match &association.scope {
                        Scope::Cluster => "cluster".to_owned(),
                        Scope::Namespaces(names) => format!("namespaces {}", names.join(" ")),
                    };
                    facets.set(format!("policy {arn}"), scope);
                }
                facets.tags(&entry.tags);
                objects.insert(
                    Id {
                        kind: Kind::Entry,
                        serial: entry.serial.to_string(),
                        name: format!("{cluster} {}", entry.principal),
                    },
                    Object { made_by: entry.made_by.clone(), facets: facets.0 },
                );
            }
        }
    }

    fn add_secrets(&self, objects: &mut BTreeMap<Id, Object>) {
        for (name, secret) in &self.secrets.secrets {
            let mut facets = Facets::default();
            facets.set("value", secret.value());
            objects.insert(
                Id { kind: Kind::Memory, serial: secret.serial.to_string(), name: name.clone() },
                Object { made_by: secret.made_by.clone(), facets: facets.0 },
            );
        }
    }

    /// Whether a cluster is there and takes changes.
    pub(crate) fn cluster_is_active(&self, name: &str) -> bool {
        self.eks.clusters.get(name).is_some_and(|cluster| cluster.status == Status::Active)
    }
}

#[derive(Default)]
struct Facets(BTreeMap<String, String>);

impl Facets {
    fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    fn tags(&mut self, tags: &BTreeMap<String, String>) {
        for (key, value) in tags {
            self.set(format!("tag {key}"), value);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Provider,
    Role,
    Entry,
    /// What is kept of an entry while it is made again.
    Memory,
}

/// An object, told apart from one of the same name that was there before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) kind: Kind,
    pub(crate) serial: String,
    /// A provider's ARN, a role's name, an entry's cluster and principal.
    pub(crate) name: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} (#{})", self.kind, self.name, self.serial)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) made_by: Author,
    pub(crate) facets: BTreeMap<String, String>,
}

/// Everything that is in an account, taken apart so that two of them can be held against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) objects: BTreeMap<Id, Object>,
}

impl Snapshot {
    /// What would have to be said to turn this into the other, one sentence each.
    pub(crate) fn changes_to(&self, other: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let ids: std::collections::BTreeSet<&Id> = self.objects.keys().chain(other.objects.keys()).collect();
        for id in ids {
            let change = |facet: Option<&str>, before: Option<&str>, after: Option<&str>| Change {
                id: id.clone(),
                facet: facet.map(str::to_owned),
                before: before.map(str::to_owned),
                after: after.map(str::to_owned),
            };
            match (self.objects.get(id), other.objects.get(id)) {
                (None, Some(_)) => changes.push(change(None, None, Some(""))),
                (Some(_), None) => changes.push(change(None, Some(""), None)),
                (Some(before), Some(after)) => {
                    let names: std::collections::BTreeSet<&String> =
                        before.facets.keys().chain(after.facets.keys()).collect();
                    for name in names {
                        let (was, is) = (before.facets.get(name), after.facets.get(name));
                        if was != is {
                            changes.push(change(Some(name), was.map(String::as_str), is.map(String::as_str)));
                        }
                    }
                }
                (None, None) => {}
            }
        }
        changes
    }

    /// Only what these hold for.
    pub(crate) fn only(&self, keep: impl Fn(&Id, &Object) -> bool) -> Self {
        Self {
            objects: self
                .objects
                .iter()
                .filter(|(id, object)| keep(id, object))
                .map(|(id, object)| (id.clone(), object.clone()))
                .collect(),
        }
    }
}

/// One difference between two pictures; without a facet the object itself came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: Id,
    pub(crate) facet: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.facet, &self.before, &self.after) {
            (None, None, _) => write!(f, "{} appeared", self.id),
            (None, _, None) => write!(f, "{} went away", self.id),
            (Some(facet), Some(before), Some(after)) => write!(f, "{}: {facet} {before:?} → {after:?}", self.id),
            (Some(facet), None, _) => write!(f, "{}: {facet} added", self.id),
            (Some(facet), _, None) => write!(f, "{}: {facet} removed", self.id),
            (None, Some(_), Some(_)) => write!(f, "{} changed", self.id),
        }
    }
}
