//! GitHub's REST API and the secret that opens it, as far as they are asked.
//!
//! By default every repository exists, is public and was made after GitHub had changed the form of subjects, so that
//! its subjects carry ids. The ids follow from the names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use aws_smithy_types::date_time::{DateTime, Format};
use serde_json::{Value, json};

use super::github_settings::Settings;
use super::wire::{Answer, Refusal, Request};

pub(crate) const API: &str = "api.github.com";
/// github.com's, one of GHE.com, or an Enterprise Server's.
pub(crate) fn is_api(host: &str, path: &str) -> bool {
    host == API || (host.starts_with("api.") && host.ends_with(".ghe.com")) || path.starts_with("/api/v3/")
}

pub(crate) const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:github";

const REQUEST_ID: &str = "x-github-request-id";

#[derive(Clone, Debug, Default)]
pub(crate) struct GitHub {
    /// Answers by method and path, before all rules.
    pub(crate) answers: BTreeMap<String, Answer>,
    /// Repositories whose subjects carry no ids, as a permitted caller sees them.
    pub(crate) classic: Vec<String>,
    /// Repositories and organisations that have opted in to subjects with ids.
    pub(crate) opted_in: Vec<String>,
    /// Repositories and organisations that have opted out of them.
    pub(crate) opted_out: Vec<String>,
    /// A choice that a request leaves out stays. GitHub documents neither this nor that it is unset then.
    pub(crate) keeps_choices: bool,
    /// `use_immutable_subject: false` is refused. GitHub documents neither this nor that it is taken for a new repository.
    pub(crate) refuses_switching_off: bool,
    /// Repositories and their templates, as a permitted caller sees them.
    pub(crate) templates: BTreeMap<String, Vec<String>>,
    /// `use_default` of a repository is not shown. GitHub describes it as required.
    pub(crate) hides_use_default: bool,
    /// A request without `use_default` is refused. GitHub describes it as required.
    pub(crate) demands_use_default: bool,
    /// Repositories of which no branch is protected.
    pub(crate) unprotected: Vec<String>,
    /// Repositories that are shown with a credential only.
    pub(crate) private: Vec<String>,
    /// What the secret holds.
    pub(crate) secret: Option<String>,
    /// Repositories and owners whose names changed hands, with their ids now.
    pub(crate) taken: BTreeMap<String, u64>,
    /// The new names of repositories that were renamed or transferred.
    pub(crate) renamed: BTreeMap<String, String>,
    /// Those of them that the first one has again.
    pub(crate) given_back: BTreeSet<String>,
    /// Nobody is there.
    pub(crate) down: bool,
    /// Variables, secrets, environments.
    pub(crate) settings: Settings,
    /// Host and credential of each request, as sent.
    pub(crate) credentials: Vec<(String, String)>,
}

/// The ids of an owner and a repository.
pub(crate) fn ids(repository: &str) -> (u64, u64) {
    let number = |text: &str| text.bytes().fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_003) + 1000;
    (number(repository.split('/').next().unwrap_or_default()), number(repository))
}

/// What the subjects of a repository begin with behind `repo:`.
pub(crate) fn immutable(repository: &str) -> String {
    let (owner, name) = repository.split_once('/').unwrap_or((repository, ""));
    let (owner_id, id) = ids(repository);
    format!("{owner}@{owner_id}/{name}@{id}")
}

impl GitHub {
    /// Somebody renames or transfers a repository. What is set in it goes with it.
    pub(crate) fn rename(&mut self, old: &str, new: &str) {
        self.taken.insert(new.to_owned(), self.ids(old).1);
        self.renamed.remove(new);
        self.renamed.insert(old.to_owned(), new.to_owned());
        let lists = [&mut self.classic, &mut self.opted_in, &mut self.opted_out, &mut self.unprotected];
        lists.into_iter().flatten().filter(|one| *one == old).for_each(|one| new.clone_into(one));
        self.settings.rename(old, new);
    }

    /// The answer to a former name, and to the address that it leads to.
    /// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects>
    fn redirected(&self, method: &str, path: &[&str]) -> Option<Answer> {
        if let ["repositories", number] = path {
            let is_it = |new: &&String| self.ids(new).1.to_string() == *number && !self.renamed.contains_key(*new);
            let (status, body) = self.repository(self.renamed.values().find(is_it)?, &[], true);
            return Some(Answer { status, headers: Vec::new(), body: body.to_string() });
        }
        let ["repos", owner, name, rest @ ..] = path else { return None };
        let id = self.ids(self.renamed.get(&format!("{owner}/{name}"))?).1.to_string();
        let path: Vec<&str> = ["repositories", &id].into_iter().chain(rest.iter().copied()).collect();
        let headers = vec![("location", format!("https://{API}/{}", path.join("/")))];
        Some(Answer { status: if method == "GET" { 301 } else { 307 }, headers, body: "{}".to_owned() })
    }

    /// Nothing where nobody is there.
    pub(crate) fn handle(&mut self, request: &Request, request_id: &str, now: SystemTime) -> Option<Answer> {
        let credential = request.header("authorization").unwrap_or_default().to_owned();
        self.credentials.push((request.authority.clone(), credential));
        if self.down {
            return None;
        }
        let key = format!("{} {}", request.method, request.path);
        if let Some(answer) = self.answers.get(&key) {
            return Some(answer.clone());
        }
        let known = request.header("authorization").is_some();
        let path = request.path.strip_prefix("/api/v3").unwrap_or(&request.path);
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if let Some(redirected) = self.redirected(&request.method, &path) {
            return Some(redirected);
        }
        let (status, body) = match (request.method.as_str(), path.as_slice()) {
            ("GET", ["repos", owner, name, rest @ ..])
                if !["environments", "actions"].contains(rest.first().unwrap_or(&""))
                    || rest.get(1) == Some(&"oidc") =>
            {
                self.repository(&format!("{owner}/{name}"), rest, known)
            }
            ("GET", ["user", number]) if known => {
                (200, json!({"login": format!("user-{number}"), "id": number.parse::<u64>().ok()}))
            }
            ("GET", ["users", name]) => (200, json!({"login": name, "id": self.ids(name).0})),
            _ if let Some(answered) = self.settings.handle(request, &path, known, now) => answered,
            ("PUT", ["repos", owner, name, "actions", "oidc", "customization", "sub"]) if known => {
                self.choose(format!("{owner}/{name}"), &request.text())
            }
            ("PUT", ["orgs", owner, "actions", "oidc", "customization", "sub"]) if known => {
                self.choose((*owner).to_owned(), &request.text())
            }
            ("GET", ["orgs", owner, "actions", "oidc", "customization", "sub"]) if known => {
                let mut body = json!({"include_claim_keys": self.template_of(owner)});
                if let Some(choice) = self.choice(owner) {
                    body["use_immutable_subject"] = json!(choice);
                }
                (200, body)
            }
            ("POST", ["app", "installations", _, "access_tokens"]) if known => {
                (201, json!({"token": "ghs_installation"}))
            }
            _ => not_found(),
        };
        let date = httpdate(now);
        let headers = vec![(REQUEST_ID, request_id.to_owned()), ("date", date)];
        Some(Answer { status, headers, body: body.to_string() })
    }

    /// Somebody sets the subjects of a repository or an organisation.
    fn choose(&mut self, whose: String, body: &str) -> (u16, Value) {
        let wanted: Value = serde_json::from_str(body).unwrap_or_default();
        let choice = wanted["use_immutable_subject"].as_bool();
        if choice == Some(false) && self.refuses_switching_off {
            return (422, json!({"message": "Validation Failed"}));
        }
        if self.demands_use_default && whose.contains('/') && wanted["use_default"].is_null() {
            return (422, json!({"message": "Invalid request.\n\n\"use_default\" wasn't supplied."}));
        }
        if choice.is_some() || !self.keeps_choices {
            self.opted_in.retain(|one| *one != whose);
            self.opted_out.retain(|one| *one != whose);
        }
        if let Some(keys) = wanted["include_claim_keys"].as_array().filter(|_| !whose.contains('/')) {
            let keys = keys.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            self.templates.insert(whose.clone(), keys);
        }
        if wanted["use_default"] == false && wanted["include_claim_keys"].is_null() {
            let template = self.template_of(whose.split('/').next().unwrap_or_default());
            self.templates.insert(whose.clone(), template);
        }
        match choice {
            Some(true) => self.opted_in.push(whose),
            Some(false) => self.opted_out.push(whose),
            None => {}
        }
        (201, json!({}))
    }

    fn choice(&self, whose: &str) -> Option<bool> {
        let has = |list: &[String]| list.iter().any(|one| one == whose);
        has(&self.opted_in).then_some(true).or_else(|| has(&self.opted_out).then_some(false))
    }

    fn template_of(&self, owner: &str) -> Vec<String> {
        self.templates.get(owner).cloned().unwrap_or_else(|| vec!["repo".to_owned(), "context".to_owned()])
    }

    /// True if the subjects of a repository carry ids by a choice, its own or its organisation's.
    fn is_opted_in(&self, repository: &str) -> bool {
        let owner = repository.split('/').next().unwrap_or_default();
        self.choice(repository).or_else(|| self.choice(owner)) == Some(true)
    }

    /// Whether the subjects of a repository carry ids, and their template.
    pub(crate) fn form(&self, repository: &str) -> (bool, Vec<String>) {
        let is_classic = self.classic.iter().any(|one| one == repository) && !self.is_opted_in(repository);
        let by_default = || vec!["repo".to_owned(), "context".to_owned()];
        (!is_classic, self.templates.get(repository).cloned().unwrap_or_else(by_default))
    }

    /// The ids of an owner and a repository now.
    pub(crate) fn ids(&self, repository: &str) -> (u64, u64) {
        let (owner_id, id) = ids(repository);
        let owner = repository.split('/').next().unwrap_or_default();
        let taken = |name: &str| self.taken.get(name).copied().filter(|_| !self.given_back.contains(name));
        let now = |name: &str, first: u64| taken(name).unwrap_or(first);
        (now(owner, owner_id), now(repository, id))
    }

    /// What the subjects of a repository begin with behind `repo:`, where they carry ids.
    pub(crate) fn immutable(&self, repository: &str) -> String {
        let (owner, name) = repository.split_once('/').unwrap_or((repository, ""));
        let (owner_id, id) = self.ids(repository);
        format!("{owner}@{owner_id}/{name}@{id}")
    }

    fn repository(&self, repository: &str, rest: &[&str], known: bool) -> (u16, Value) {
        let has = |list: &[String]| list.iter().any(|one| one == repository);
        let (owner_id, id) = self.ids(repository);
        if has(&self.private) && !known {
            return not_found();
        }
        let template = self.templates.get(repository);
        match rest {
            [] => {
                let owner = repository.split('/').next();
                let created = if has(&self.classic) { "2020-02-02T02:02:02Z" } else { "2026-08-01T00:00:00Z" };
                (
                    200,
                    json!({"id": id, "full_name": repository, "owner": {"login": owner, "id": owner_id},
                        "created_at": created, "visibility": "public"}),
                )
            }
            ["actions", "oidc", "customization", "sub"] if known => {
                let (has_ids, _) = self.form(repository);
                let prefix = if has_ids { self.immutable(repository) } else { repository.to_owned() };
                let mut body = json!({"use_default": template.is_none(), "sub_claim_prefix": format!("repo:{prefix}")});
                if let Some(choice) = self.choice(repository) {
                    body["use_immutable_subject"] = json!(choice);
                }
                if let Some(keys) = template {
                    body["include_claim_keys"] = json!(keys);
                }
                if self.hides_use_default
                    && let Some(members) = body.as_object_mut()
                {
                    members.remove("use_default");
                }
                (200, body)
            }
            ["branches"] if has(&self.unprotected) => (200, json!([])),
            ["branches"] => (200, json!([{"name": "main", "protected": true}])),
            _ => not_found(),
        }
    }

    /// Secrets Manager.
    pub(crate) fn secret(&self) -> Answer {
        let (status, body) = match &self.secret {
            Some(secret) => (200, json!({"ARN": SECRET, "Name": "github", "SecretString": secret})),
            None => (
                400,
                json!({"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."}),
            ),
        };
        Answer {
            status,
            headers: vec![("content-type", "application/x-amz-json-1.1".to_owned())],
            body: body.to_string(),
        }
    }
}

/// A fault as a caller of GitHub sees it.
pub(crate) fn refused(refusal: &Refusal, request_id: &str) -> Answer {
    let body = json!({"message": refusal.message, "status": refusal.status.to_string()}).to_string();
    Answer { status: refusal.status, headers: vec![(REQUEST_ID, request_id.to_owned())], body }
}

fn not_found() -> (u16, Value) {
    (404, json!({"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}))
}

fn httpdate(now: SystemTime) -> String {
    DateTime::from(now).fmt(Format::HttpDate).expect("a date")
}
