//! What is set at GitHub for workflows: variables, secrets and environments, by the place they are in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;
use std::time::SystemTime;

use crypto_box::SecretKey;
use serde_json::{Value, json};

use super::clock::iso;
use super::wire::{Request, decode};

/// A variable or a secret.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// A secret's, opened.
    pub(crate) value: String,
    pub(crate) visibility: Option<String>,
    pub(crate) selected: Vec<u64>,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
}

/// An environment, as a PUT has set it, and the patterns of its branches by their ids.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Environment {
    pub(crate) set: Value,
    pub(crate) patterns: BTreeMap<u64, (String, String)>,
    pub(crate) created: SystemTime,
    /// Administrators may bypass the rules.
    pub(crate) admins_bypass: bool,
}

impl Environment {
    /// The answer to a GET. These reviewers are shown without their account.
    fn shown(&self, hidden: &BTreeSet<u64>) -> Value {
        let Self { set, patterns: _, created, admins_bypass } = self;
        let mut rules = Vec::new();
        if set["wait_timer"].as_u64() > Some(0) {
            rules.push(json!({"id": 1, "type": "wait_timer", "wait_timer": set["wait_timer"]}));
        }
        let reviewers = set["reviewers"].as_array().cloned().unwrap_or_default();
        if !reviewers.is_empty() {
            let shown = |one: &Value| {
                let is_hidden = one["id"].as_u64().is_some_and(|id| hidden.contains(&id));
                if is_hidden {
                    return json!({"type": one["type"]});
                }
                json!({"type": one["type"], "reviewer": {"id": one["id"]}})
            };
            let shown: Vec<Value> = reviewers.iter().map(shown).collect();
            let own = &set["prevent_self_review"];
            rules.push(json!({"id": 2, "type": "required_reviewers", "prevent_self_review": own, "reviewers": shown}));
        }
        let policy = &set["deployment_branch_policy"];
        if policy.is_object() {
            rules.push(json!({"id": 3, "type": "branch_policy"}));
        }
        json!({"id": 1, "created_at": iso(*created), "protection_rules": rules, "deployment_branch_policy": policy,
            "can_admins_bypass": admins_bypass})
    }
}

#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// By the path that shows them.
    pub(crate) items: BTreeMap<String, Item>,
    /// Environments by `/repos/…/environments/…`.
    pub(crate) environments: BTreeMap<String, Environment>,
    /// Repositories that are not there.
    pub(crate) gone: Vec<String>,
    /// A pattern that is there already is answered with 422; @octokit/openapi says 303.
    pub(crate) pattern_twice_is_invalid: bool,
    /// A PUT without `can_admins_bypass` lets administrators bypass the rules. GitHub documents neither this nor that it stays.
    pub(crate) resets_bypass: bool,
    /// A PUT with `can_admins_bypass` is refused, as by older servers.
    pub(crate) refuses_bypass: bool,
    /// Requests that let administrators bypass the rules again, and need not have done so.
    pub(crate) bypasses_reset: u64,
    /// Reviewers that are shown without their account.
    pub(crate) hidden_reviewers: BTreeSet<u64>,
    /// A variable that is changed has a new `created_at`.
    pub(crate) changing_dates_anew: bool,
    /// The lists of variables in whose midst the variable `A00` goes and `Z99` comes.
    pub(crate) restless_lists: u32,
    /// How many changes there were, without those of claims.
    pub(crate) changes: u64,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.items)
    }
}

const KEY: [u8; 32] = [7; 32];
static PUBLIC_KEY: LazyLock<String> =
    LazyLock::new(|| aws_smithy_types::base64::encode(SecretKey::from(KEY).public_key().to_bytes()));

fn unseal(sealed: &Value) -> Option<String> {
    let sealed = aws_smithy_types::base64::decode(sealed.as_str()?).ok()?;
    String::from_utf8(SecretKey::from(KEY).unseal(&sealed).ok()?).ok()
}

fn not_found() -> (u16, Value) {
    (404, json!({"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}))
}

impl Settings {
    /// Somebody sets one by hand.
    pub(crate) fn set(&mut self, path: &str, value: &str, now: SystemTime) {
        let organisation = path.starts_with("/orgs/");
        let item = self.items.entry(path.to_owned()).or_insert_with(|| Item {
            value: String::new(),
            visibility: organisation.then(|| "all".to_owned()),
            selected: Vec::new(),
            created: now,
            updated: now,
        });
        value.clone_into(&mut item.value);
        item.updated = now;
    }

    /// What is set in a repository goes with it to its new name.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        fn moved<T>(all: &mut BTreeMap<String, T>, old: &str, new: &str) {
            let rename = |path: String| path.strip_prefix(old).map(|rest| format!("{new}{rest}")).unwrap_or(path);
            *all = std::mem::take(all).into_iter().map(|(path, one)| (rename(path), one)).collect();
        }
        let (old, new) = (format!("/repos/{old}/"), format!("/repos/{new}/"));
        moved(&mut self.items, &old, &new);
        moved(&mut self.environments, &old, &new);
    }

    /// Somebody makes an environment by hand, for protected branches or without any protection.
    pub(crate) fn environment(&mut self, path: &str, protected: bool, now: SystemTime) {
        let policy = protected.then(|| json!({"protected_branches": true, "custom_branch_policies": false}));
        let set = json!({"wait_timer": 10, "deployment_branch_policy": policy});
        let patterns = BTreeMap::new();
        self.environments.insert(path.to_owned(), Environment { set, patterns, created: now, admins_bypass: true });
    }

    /// Somebody makes an environment that a team reviews.
    pub(crate) fn reviewed_environment(&mut self, path: &str, now: SystemTime) {
        self.environment(path, false, now);
        let reviewers = json!([{"type": "Team", "id": 1}]);
        self.environments.get_mut(path).expect("an environment").set["reviewers"] = reviewers;
    }

    fn count(&mut self, at: &str) {
        self.changes += u64::from(!at.contains("TRUST_OWNER_"));
    }

    /// The variables by which owners claim objects.
    pub(crate) fn claims(&self) -> Vec<String> {
        self.items.keys().filter(|path| path.contains("/TRUST_OWNER_")).cloned().collect()
    }

    pub(crate) fn value(&self, path: &str) -> Option<&str> {
        self.items.get(path).map(|item| item.value.as_str())
    }

    fn put_secret(&mut self, at: &str, body: &Value, now: SystemTime) -> (u16, Value) {
        let Some(value) = unseal(&body["encrypted_value"]) else {
            return (422, json!({"message": "Bad request - the secret is not sealed", "status": "422"}));
        };
        let new = !self.items.contains_key(at);
        self.set(at, &value, now);
        self.write(at, Some(&value), body, now);
        if new { (201, json!({})) } else { (204, Value::Null) }
    }

    /// Nothing where it is none of its paths.
    pub(super) fn handle(
        &mut self,
        request: &Request,
        path: &[&str],
        known: bool,
        now: SystemTime,
    ) -> Option<(u16, Value)> {
        let (place, rest) = match path {
            ["repos", owner, name, "environments", environment, rest @ ..] => {
                let at = format!("/repos/{owner}/{name}/environments/{}", decode(environment));
                let body = serde_json::from_slice(&request.body).unwrap_or_default();
                if known && request.method == "PUT" && rest.is_empty() {
                    return Some(self.put_environment(&at, body, now));
                }
                if !known || !self.environments.contains_key(&at) {
                    return Some(not_found());
                }
                if rest.is_empty() || rest[0] == "deployment-branch-policies" {
                    return Some(self.at_environment(&at, request, rest, &body));
                }
                (at, rest)
            }
            ["repos", owner, name, "actions", rest @ ..] if rest.first() != Some(&"oidc") => {
                (format!("/repos/{owner}/{name}/actions"), rest)
            }
            ["orgs", organisation, "actions", rest @ ..] if rest.first() != Some(&"oidc") => {
                (format!("/orgs/{organisation}/actions"), rest)
            }
            _ => return None,
        };
        if !known || self.gone.iter().any(|gone| place.starts_with(&format!("/repos/{gone}/"))) {
            return Some(not_found());
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        Some(match (request.method.as_str(), rest) {
            ("GET", [sort]) => self.list(&format!("{place}/{sort}/"), sort, request, now),
            ("GET", ["secrets", "public-key"]) => (200, json!({"key_id": "568250167242549743", "key": *PUBLIC_KEY})),
            ("GET", [_, name, "repositories"]) => self.selected(&format!("{place}/{}/{name}", rest[0]), request),
            ("GET", [sort, name]) => self.show(&format!("{place}/{sort}/{name}"), name, *sort == "variables"),
            ("POST", ["variables"]) => {
                self.create(&format!("{place}/variables/{}", body["name"].as_str()?), &body, now)
            }
            ("PATCH", ["variables", name]) => {
                self.write(&format!("{place}/variables/{name}"), body["value"].as_str(), &body, now)
            }
            ("PUT", ["secrets", name]) => self.put_secret(&format!("{place}/secrets/{name}"), &body, now),
            ("DELETE", [sort, name]) => {
                self.count(name);
                match self.items.remove(&format!("{place}/{sort}/{name}")) {
                    Some(_) => (204, Value::Null),
                    None => not_found(),
                }
            }
            _ => not_found(),
        })
    }

    fn put_environment(&mut self, at: &str, set: Value, now: SystemTime) -> (u16, Value) {
        let policy = &set["deployment_branch_policy"];
        if policy.is_object() && policy["protected_branches"] == policy["custom_branch_policies"] {
            return (422, json!({"message": "Validation Failed"}));
        }
        let bypass = set["can_admins_bypass"].as_bool();
        if self.refuses_bypass && bypass.is_some() {
            return (422, json!({"message": "Invalid request.\n\n\"can_admins_bypass\" is not a permitted key."}));
        }
        self.changes += 1;
        let new = Environment { set: Value::Null, patterns: BTreeMap::new(), created: now, admins_bypass: true };
        let environment = self.environments.entry(at.to_owned()).or_insert(new);
        let is_reset = self.resets_bypass && bypass.is_none() && !environment.admins_bypass;
        self.bypasses_reset += u64::from(is_reset && !self.refuses_bypass);
        environment.admins_bypass = bypass.unwrap_or(environment.admins_bypass || is_reset);
        if policy["custom_branch_policies"] != true {
            environment.patterns.clear();
        }
        environment.set = set;
        (200, json!({"id": 1}))
    }

    fn at_environment(&mut self, at: &str, request: &Request, rest: &[&str], body: &Value) -> (u16, Value) {
        let writes = request.method != "GET";
        self.changes += u64::from(writes);
        let pattern_twice = if self.pattern_twice_is_invalid { 422 } else { 303 };
        let Some(environment) = self.environments.get_mut(at) else { return not_found() };
        let Environment { set, patterns, .. } = environment;
        match (request.method.as_str(), rest) {
            ("GET", []) => (200, environment.shown(&self.hidden_reviewers)),
            ("DELETE", []) => {
                self.environments.remove(at);
                self.items.retain(|path, _| !path.starts_with(&format!("{at}/")));
                (204, Value::Null)
            }
            ("GET", ["deployment-branch-policies"]) => {
                let shown =
                    |(id, (kind, name)): (&u64, &(String, String))| json!({"id": id, "name": name, "type": kind});
                let shown: Vec<Value> = patterns.iter().map(shown).collect();
                (200, json!({"total_count": shown.len(), "branch_policies": shown}))
            }
            ("POST", ["deployment-branch-policies"]) => {
                if set["deployment_branch_policy"]["custom_branch_policies"] != true {
                    return not_found();
                }
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                let pattern = (text("type"), text("name"));
                if patterns.values().any(|known| *known == pattern) {
                    return (pattern_twice, json!({"message": "Validation Failed"}));
                }
                let id = patterns.keys().max().unwrap_or(&100) + 1;
                patterns.insert(id, pattern);
                (200, json!({"id": id, "name": body["name"], "type": body["type"]}))
            }
            ("DELETE", ["deployment-branch-policies", id]) => match patterns.remove(&id.parse().unwrap_or_default()) {
                Some(_) => (204, Value::Null),
                None => not_found(),
            },
            _ => not_found(),
        }
    }

    fn show(&self, at: &str, name: &str, variable: bool) -> (u16, Value) {
        let Some(item) = self.items.get(at) else { return not_found() };
        let mut shown = json!({"name": name, "created_at": iso(item.created), "updated_at": iso(item.updated)});
        if variable {
            shown["value"] = json!(item.value);
        }
        if let Some(visibility) = &item.visibility {
            shown["visibility"] = json!(visibility);
        }
        (200, shown)
    }

    /// "The number of results per page (max 30)" of variables.
    fn list(&mut self, all: &str, sort: &str, request: &Request, now: SystemTime) -> (u16, Value) {
        let number = |name: &str| request.parameter(name).and_then(|value| value.parse::<usize>().ok());
        let (page, size) = (number("page").unwrap_or(1), number("per_page").unwrap_or(10).min(30));
        let is_disturbed = page == 1 && self.restless_lists > 0;
        let (goes, comes) = (format!("{all}A00"), format!("{all}Z99"));
        if is_disturbed {
            self.restless_lists -= 1;
            self.set(&goes, "x", now);
            self.items.remove(&comes);
        }
        let names: Vec<&str> = self.items.keys().filter_map(|path| path.strip_prefix(all)).collect();
        let shown = names.iter().skip((page - 1) * size).take(size);
        let shown: Vec<Value> =
            shown.map(|name| self.show(&format!("{all}{name}"), name, sort == "variables").1).collect();
        let listed = json!({"total_count": names.len(), sort: shown});
        if is_disturbed {
            self.items.remove(&goes);
            self.set(&comes, "x", now);
        }
        (200, listed)
    }

    fn selected(&self, at: &str, request: &Request) -> (u16, Value) {
        let Some(item) = self.items.get(at) else { return not_found() };
        let number = |name: &str| request.parameter(name).and_then(|value| value.parse::<usize>().ok()).unwrap_or(1);
        let (page, size) = (number("page"), number("per_page"));
        let ids = item.selected.iter().skip((page - 1) * size).take(size);
        let repositories: Vec<Value> = ids.map(|id| json!({"id": id})).collect();
        (200, json!({"total_count": item.selected.len(), "repositories": repositories}))
    }

    fn create(&mut self, at: &str, body: &Value, now: SystemTime) -> (u16, Value) {
        if self.items.contains_key(at) {
            return (409, json!({"message": "Already exists - Variable already exists", "status": "409"}));
        }
        let Some(value) = body["value"].as_str() else { return (422, json!({"message": "Invalid request."})) };
        self.set(at, value, now);
        self.write(at, Some(value), body, now);
        (201, json!({}))
    }

    fn write(&mut self, at: &str, value: Option<&str>, body: &Value, now: SystemTime) -> (u16, Value) {
        self.count(at);
        let Some(item) = self.items.get_mut(at) else { return not_found() };
        if let Some(value) = value {
            value.clone_into(&mut item.value);
        }
        if let Some(visibility) = body["visibility"].as_str() {
            item.visibility = Some(visibility.to_owned());
            item.selected =
                body["selected_repository_ids"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        }
        if self.changing_dates_anew {
            item.created = now;
        }
        item.updated = now;
        (204, Value::Null)
    }
}
