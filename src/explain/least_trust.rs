//! The `Trust` that admits the jobs that got in, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::cloudtrail_event::TokenEvent;
use crate::audit::report::counted;
use crate::error::plain;
use crate::github::name;
use crate::github::subject::{pairs, prefix};
use crate::iam_policy::document::allowed_values;
use crate::iam_policy::string_like::string_like;

/// A suggestion for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Suggestion {
    /// The property `Trust` of a `Custom::GitHubRole`.
    pub trust: Vec<Value>,
    /// The audiences that jobs asked for.
    pub audiences: BTreeSet<String>,
    /// The uses, of each subject.
    pub uses: Vec<Use>,
    /// The subjects and patterns of the role's trust policy that no job had.
    pub unused: Vec<String>,
    /// The patterns that admit more than the jobs that got in.
    pub wider: Vec<String>,
}

/// The uses of a role by one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Use {
    /// The subject.
    pub subject: String,
    /// The sessions.
    pub times: usize,
    /// The time of the last one.
    pub last: String,
}

/// Suggests a trust from the events in which a role was assumed.
#[must_use]
pub fn suggestion(arn: &str, policy: &Value, events: &[TokenEvent]) -> Suggestion {
    let mut uses: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut audiences = BTreeSet::new();
    let is_use = |event: &&TokenEvent| event.error.is_none() && event.role.as_deref() == Some(arn);
    for event in events.iter().filter(is_use) {
        let (times, last) = uses.entry(&event.subject).or_default();
        *times += 1;
        *last = (*last).max(&event.time);
        audiences.extend(Some(event.audience.clone()).filter(|audience| !audience.is_empty()));
    }
    let mut entries: BTreeMap<Repository, Jobs> = BTreeMap::new();
    let mut whole = BTreeSet::new();
    for subject in uses.keys() {
        match job(subject) {
            Some((repository, job)) => entries.entry(repository).or_default().add(job),
            None => {
                whole.insert(*subject);
            }
        }
    }
    let mut trust: Vec<Value> = entries.iter().map(|(repository, jobs)| entry(repository, jobs)).collect();
    if !whole.is_empty() {
        trust.push(json!({"Subjects": whole}));
    }
    let allowed: BTreeSet<&str> = allowed_values(policy, "sub").into_iter().collect();
    let was_met = |pattern: &str| uses.keys().any(|subject| string_like(pattern, subject));
    let (met, unmet): (BTreeSet<&str>, BTreeSet<&str>) = allowed.into_iter().partition(|pattern| was_met(pattern));
    let texts = |patterns: BTreeSet<&str>| patterns.into_iter().map(str::to_owned).collect();
    Suggestion {
        trust,
        audiences,
        unused: texts(unmet),
        wider: texts(met.into_iter().filter(|pattern| pattern.contains(['*', '?'])).collect()),
        uses: uses
            .into_iter()
            .map(|(subject, (times, last))| Use { subject: subject.to_owned(), times, last: last.to_owned() })
            .collect(),
    }
}

/// A repository with the ids of its subjects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Repository {
    name: String,
    ids: Option<(u64, u64)>,
}

/// The jobs of a repository, as members of an entry of `Trust`.
#[derive(Clone, Debug, Default)]
struct Jobs {
    branches: BTreeSet<String>,
    tags: BTreeSet<String>,
    environments: BTreeSet<String>,
    pull_requests: bool,
}

enum Job {
    Branch(String),
    Tag(String),
    Environment(String),
    PullRequest,
}

impl Jobs {
    fn add(&mut self, job: Job) {
        match job {
            Job::Branch(name) => drop(self.branches.insert(name)),
            Job::Tag(name) => drop(self.tags.insert(name)),
            Job::Environment(name) => drop(self.environments.insert(name)),
            Job::PullRequest => self.pull_requests = true,
        }
    }
}

/// The job of a subject in GitHub's own form. Returns `None` for one of another template, or with a name that no member takes.
fn job(subject: &str) -> Option<(Repository, Job)> {
    let pairs: Vec<(&str, Option<&str>)> = pairs(subject).collect();
    let [("repo", Some(repository)), (key, value)] = pairs[..] else { return None };
    let prefix = prefix(repository)?;
    let repository = Repository { name: prefix.repository.to_string(), ids: prefix.ids };
    let is_plain = |name: &String| !name.contains(['*', '?']);
    let job = match (key, value) {
        ("pull_request", None) => Job::PullRequest,
        ("environment", Some(value)) => {
            let name = value.replace("%3A", ":");
            Job::Environment(name::environment(&name).ok().filter(is_plain)?)
        }
        ("ref", Some(value)) => match (value.strip_prefix("refs/heads/"), value.strip_prefix("refs/tags/")) {
            (Some(branch), _) => Job::Branch(name::branch(branch).ok().filter(is_plain)?),
            (_, Some(tag)) => Job::Tag(name::tag(tag).ok().filter(is_plain)?),
            _ => return None,
        },
        _ => return None,
    };
    Some((repository, job))
}

fn entry(repository: &Repository, jobs: &Jobs) -> Value {
    let Jobs { branches, tags, environments, pull_requests } = jobs;
    let mut entry = Map::new();
    entry.insert("Repository".to_owned(), json!(repository.name));
    if let Some((owner, id)) = repository.ids {
        entry.insert("OwnerId".to_owned(), json!(owner.to_string()));
        entry.insert("RepositoryId".to_owned(), json!(id.to_string()));
    }
    for (member, names) in [("Branches", branches), ("Tags", tags), ("Environments", environments)] {
        if !names.is_empty() {
            entry.insert(member.to_owned(), json!(names));
        }
    }
    if *pull_requests {
        entry.insert("PullRequests".to_owned(), json!(true));
    }
    Value::Object(entry)
}

/// The members of an entry, in the order in which people read them.
const MEMBERS: [&str; 8] =
    ["Repository", "OwnerId", "RepositoryId", "Branches", "Tags", "Environments", "PullRequests", "Subjects"];

/// YAML for a template, with the uses as comments.
impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trust, audiences, uses, unused, wider } = self;
        for Use { subject, times, last } in uses {
            writeln!(f, "# {}, last {last}: {}", counted(*times, "use"), plain(subject))?;
        }
        if trust.is_empty() {
            return writeln!(f, "# No token of GitHub assumed the role in this time and in these regions.");
        }
        for pattern in unused {
            writeln!(f, "# Lost, and not used: {}", plain(pattern))?;
        }
        for pattern in wider {
            writeln!(f, "# Today also let in, and then no longer, except the above: {}", plain(pattern))?;
        }
        match audiences.iter().collect::<Vec<_>>()[..] {
            [] => {}
            [audience] if audience == "sts.amazonaws.com" => {}
            [audience] => writeln!(f, "Audience: {}", json!(audience))?,
            _ => writeln!(f, "# The jobs ask for several audiences, of which a role takes one: {}", json!(audiences))?,
        }
        writeln!(f, "Trust:")?;
        for entry in trust {
            let members = MEMBERS.iter().filter_map(|member| Some((member, entry.get(member)?)));
            for (index, (member, value)) in members.enumerate() {
                writeln!(f, "  {} {member}: {value}", if index == 0 { "-" } else { " " })?;
            }
        }
        Ok(())
    }
}
