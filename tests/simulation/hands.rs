//! I9: a role lets in nobody under a name but those whom it trusts by that name, unless the author declares the new id.
//!
//! While the policy pins ids of a name, only these count. Otherwise all that the role ever trusted under it count.

use std::collections::{BTreeMap, BTreeSet};

use github_trust::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use serde_json::{Value, json};

use super::account::{Account, Id, Kind, Object, Snapshot};
use super::changed_names::{OWNER, REPOSITORIES, USER, name_of};
use super::cloudformation::{RequestType, Sent};
use super::expected_state::trusted_subjects_as_written;
use super::github::ids;
use super::iam::one_or_many;
use super::other_members::{SHARED_WORKFLOW, TITLE};

/// Nobody's id.
const NOBODY: u64 = 0;

/// Names with ids.
pub(crate) type Named = BTreeSet<(&'static str, u64)>;

/// The ids that a role trusts under a name.
#[derive(Clone, Default)]
struct Known {
    /// By its policy.
    pinned: BTreeSet<u64>,
    ever: BTreeSet<u64>,
}

impl Known {
    fn has(&self, id: u64) -> bool {
        let ids = if self.pinned.is_empty() { &self.ever } else { &self.pinned };
        ids.is_empty() || ids.contains(&id)
    }
}

/// Those who are trusted by each role, and those who have the names at GitHub.
#[derive(Default)]
pub(crate) struct Hands {
    known: BTreeMap<(Id, &'static str), Known>,
    /// The ids that the author of a role's policy declared.
    declared: BTreeMap<Id, Named>,
    /// The same of all its policies. The trust between two trusts has ids of the former one.
    ever_declared: BTreeMap<Id, Named>,
    /// Owner and repository under each name, the last one being today's.
    shown: BTreeMap<&'static str, Vec<(u64, u64)>>,
    users: Vec<u64>,
    /// Of each repository, whether its subjects carry ids, and their template.
    forms: BTreeMap<&'static str, (bool, Vec<String>)>,
}

/// Adds something at the end, or moves it there.
fn show<T: PartialEq>(all: &mut Vec<T>, one: T) {
    all.retain(|other| *other != one);
    all.push(one);
}

impl Hands {
    /// GitHub shows this now.
    pub(crate) fn show(&mut self, account: &Account) {
        for name in REPOSITORIES {
            show(self.shown.entry(name).or_insert_with(|| vec![ids(name)]), account.github.ids(name));
            self.forms.insert(name, account.github.form(name));
        }
        show(&mut self.users, account.github.ids(USER).0);
    }

    /// Whether GitHub sends subjects of the form that a policy has for somebody whom it admits.
    pub(crate) fn sends(&self, trust: &str, admitted: &str) -> bool {
        let mut written = trusted_subjects_as_written(trust).into_iter().filter(|(_, who)| who == admitted);
        written.any(|(subject, _)| subject.is_empty() || self.has_form_of_today(&subject))
    }

    fn has_form_of_today(&self, subject: &str) -> bool {
        let (mut keys, mut repo) = (Vec::new(), None);
        let mut words = subject.split(':');
        while let Some(key) = words.next() {
            keys.push(if ["ref", "environment", "pull_request"].contains(&key) { "context" } else { key });
            let value = if key == "pull_request" { None } else { words.next() };
            repo = repo.or(value.filter(|_| key == "repo"));
        }
        let plain =
            |text: &str| text.split('/').filter_map(|part| part.split('@').next()).collect::<Vec<_>>().join("/");
        let is_of = |name: &str| repo.is_none_or(|repo| plain(repo) == name);
        let is_so = |(has_ids, template): &(bool, Vec<String>)| {
            *template == keys && repo.is_none_or(|repo| repo.contains('@') == *has_ids)
        };
        self.forms.iter().any(|(name, form)| is_of(name) && is_so(form))
    }

    /// Somebody else changed the role, and with it its memory.
    pub(crate) fn changed_by_hand(&mut self, before: &Snapshot, after: &Snapshot) {
        for (id, role) in before.objects.iter().filter(|(id, _)| id.kind == Kind::Role) {
            let trust = |role: &Object| role.facets.get("trust").cloned();
            if after.objects.get(id).and_then(trust) != trust(role) {
                self.known.retain(|(remembered, _), _| remembered != id);
            }
        }
    }

    /// The tokens that roles have come to admit by a request, and must not. A rollback brings back those
    /// whom the role has trusted.
    pub(crate) fn strangers(&mut self, before: &Snapshot, after: &Snapshot, request: Option<&Sent>) -> Vec<String> {
        let properties = request.map(|sent| sent.properties.clone()).unwrap_or_default();
        let is = |so: fn(&Sent) -> bool| request.is_some_and(so);
        let (is_update, rolls_back) = (is(|sent| sent.kind == RequestType::Update), is(|sent| sent.rolls_back));
        let is_new = |id: &Id| id.kind == Kind::Role && !before.objects.contains_key(id);
        for (id, role) in after.objects.iter().filter(|(id, _)| is_update && is_new(id)) {
            self.inherit(id, role, before);
        }
        self.known.retain(|(id, _), _| after.objects.contains_key(id));
        let entries = one_or_many(&properties["Trust"]).into_iter();
        let declared: Named = entries.flat_map(declared_ids).filter_map(|id| Some((name_of(id)?, id))).collect();
        let mut found = Vec::new();
        for (id, role) in ours(after) {
            if before.objects.get(id).map(policy) == Some(policy(role)) {
                continue;
            }
            self.declared.insert(id.clone(), declared.clone());
            self.ever_declared.entry(id.clone()).or_default().extend(&declared);
            let admitted = self.admitted(&policy(role));
            let own = self.known.iter().filter(|((of, _), _)| rolls_back && of == id);
            let ever: Named = own
                .flat_map(|((_, name), known)| known.ever.iter().map(|id| (*name, *id)).collect::<Vec<_>>())
                .collect();
            found.extend(self.strangers_of(id, &admitted.difference(&ever).copied().collect()));
            self.remember(id, &admitted, &policy(role).to_string());
        }
        found
    }

    /// The tokens that roles have come to admit by a change at GitHub.
    pub(crate) fn new_strangers(&self, now: &Snapshot) -> Vec<String> {
        ours(now).flat_map(|(id, role)| self.strangers_of(id, &self.admitted(&policy(role)))).collect()
    }

    fn strangers_of(&self, id: &Id, admitted: &Named) -> Vec<String> {
        let of = |name| self.known.get(&(id.clone(), name)).cloned().unwrap_or_default();
        let is_declared = |one: &(&'static str, u64)| self.declared.get(id).is_some_and(|all| all.contains(one));
        let strangers = admitted.iter().filter(|(name, was)| !of(name).has(*was) && !is_declared(&(name, *was)));
        let told = |(name, was): &(&'static str, u64)| {
            let Known { pinned, ever } = of(name);
            format!("{id} admits {name} with id {was}, who was not trusted: those were {pinned:?}, of all {ever:?}")
        };
        strangers.map(told).collect()
    }

    fn remember(&mut self, id: &Id, admitted: &Named, policy: &str) {
        let declared = self.declared.get(id).cloned().unwrap_or_default();
        let ids = |all: &Named, name| all.iter().filter(|one| one.0 == name).map(|one| one.1).collect::<BTreeSet<_>>();
        for name in [OWNER, USER].into_iter().chain(REPOSITORIES) {
            let key = (id.clone(), name);
            let mut pinned = ids(admitted, name);
            // Beside an entry for all repositories of the owner, no token tells it.
            pinned.extend(ids(&declared, name).into_iter().filter(|id| policy.contains(&id.to_string())));
            // An id that the author wrote without the name is nobody's name.
            let short = name.strip_prefix(OWNER).filter(|rest| !rest.is_empty()).unwrap_or(name);
            if !policy.replace(&format!("{short}/.github"), "").contains(short) {
                let ever_declared = self.ever_declared.get(id).cloned().unwrap_or_default();
                pinned.retain(|id| !ever_declared.contains(&(name, *id)));
            }
            // A name without an id is no memory of anybody.
            if pinned.remove(&NOBODY) || (pinned.is_empty() && !self.known.contains_key(&key)) {
                continue;
            }
            let known = self.known.entry(key).or_default();
            known.ever.extend(&pinned);
            known.ever.extend(ids(&declared, name));
            pinned.retain(|id| policy.contains(&id.to_string()));
            known.pinned = pinned;
        }
    }

    /// A role that replaces another one of its resource has its memory. A Create replaces none, also where one was left. One that a rollback removes takes its own along.
    fn inherit(&mut self, id: &Id, role: &Object, before: &Snapshot) {
        let is_former = |id: &Id| before.objects.get(id).is_some_and(|former| former.made_by == role.made_by);
        let remembered = self.known.iter().filter(|((former, _), _)| is_former(former));
        let remembered: Vec<_> = remembered.map(|((_, name), known)| ((id.clone(), *name), known.clone())).collect();
        self.known.extend(remembered);
    }

    /// Names with the ids whose tokens a policy admits; nobody's id where the name is enough.
    fn admitted(&self, policy: &Value) -> Named {
        let mut found = Named::new();
        let text = policy.to_string();
        let many = [":job_workflow_ref\"", ":ref\""].map(|claim| text.contains(claim));
        for shape in subjects(policy) {
            for (name, pairs) in &self.shown {
                let fits = |owner, id, user| {
                    let job = Job { name, owner, id, user };
                    job.tokens(&shape, many).iter().any(|token| admits(policy, token))
                };
                let is_let_in =
                    |owner, id| fits(owner, id, NOBODY) || self.users.iter().any(|user| fits(owner, id, *user));
                for &(owner, id) in pairs.iter().filter(|(owner, id)| is_let_in(*owner, *id)) {
                    if !fits(owner, id, NOBODY) {
                        found
                            .extend(self.users.iter().filter(|user| fits(owner, id, **user)).map(|user| (USER, *user)));
                    }
                    if is_let_in(NOBODY, NOBODY) {
                        found.insert((if shape.contains("/*") { OWNER } else { name }, NOBODY));
                    } else {
                        // The id of a repository never changes hands. Where it is enough, its owner may have lost the name.
                        found.extend((!is_let_in(NOBODY, id)).then_some((OWNER, owner)));
                        // All repositories of an owner have no ids of their own.
                        found.extend((!is_let_in(owner, NOBODY)).then_some((*name, id)));
                    }
                }
            }
        }
        found
    }

    /// The names that the policy of a role trusts without an id.
    pub(crate) fn trusted_by_name(&self, role: &Object) -> Vec<&'static str> {
        let admitted = self.admitted(&policy(role));
        admitted.into_iter().filter(|(_, id)| *id == NOBODY).map(|(name, _)| name).collect()
    }
}

/// The ids in an entry of `Trust`.
pub(crate) fn declared_ids(entry: &Value) -> Vec<u64> {
    let texts = |name: &str| one_or_many(&entry[name]).into_iter().filter_map(Value::as_str);
    let members = ["Actors", "OwnerId", "RepositoryId"].into_iter().flat_map(texts);
    let words = texts("Subjects").flat_map(|subject| subject.split([':', '/', '@']));
    members.chain(words).filter_map(|text| text.parse().ok()).collect()
}

fn ours(snapshot: &Snapshot) -> impl Iterator<Item = (&Id, &Object)> {
    snapshot.objects.iter().filter(|(id, role)| id.kind == Kind::Role && role.made_by.is_ours())
}

fn policy(role: &Object) -> Value {
    role.facets.get("trust").and_then(|trust| serde_json::from_str(trust).ok()).unwrap_or_default()
}

fn admits(policy: &Value, claims: &Value) -> bool {
    const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    let claims = TokenClaims::of(claims.as_object().expect("claims"));
    evaluate(policy, PROVIDER, &claims).0 == Verdict::Admitted
}

/// The subjects of a policy.
fn subjects(policy: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in one_or_many(&policy["Statement"]) {
        let operators = statement["Condition"].as_object().into_iter().flatten();
        for (_, compared) in operators.filter(|(operator, _)| *operator != "StringNotLike") {
            let keys = compared.as_object().into_iter().flatten();
            for (_, value) in keys.filter(|(key, _)| key.ends_with(":sub")) {
                let texts = one_or_many(value).into_iter().filter_map(Value::as_str);
                // No token has another subject.
                found.extend(texts.filter(|text| text.contains(':') || *text == "pull_request").map(str::to_owned));
            }
        }
    }
    found
}

/// A job of a repository.
struct Job<'a> {
    name: &'a str,
    owner: u64,
    id: u64,
    user: u64,
}

impl Job<'_> {
    /// The tokens of such jobs with subjects like this one, as GitHub sends them: with workflows and refs where those count.
    fn tokens(&self, shape: &str, [many_workflows, many_refs]: [bool; 2]) -> Vec<Value> {
        let Self { name, owner, id, user } = self;
        let mut words = shape.split(':').peekable();
        let (mut said, mut refs) = (Vec::new(), vec!["refs/heads/main".to_owned(), "refs/tags/v1".to_owned()]);
        while let Some(key) = words.next() {
            if key == "pull_request" {
                refs = vec!["refs/pull/7/merge".to_owned(), "refs/heads/main".to_owned()];
                said.push(key.to_owned());
                continue;
            }
            let value = words.next().unwrap_or_default();
            let value = match key {
                "repo" if value.contains('@') => format!("{OWNER}@{owner}/{}@{id}", &name[OWNER.len() + 1..]),
                "repo" | "repository" => (*name).to_owned(),
                "repository_id" => id.to_string(),
                "repository_owner_id" => owner.to_string(),
                _ => value.to_owned(),
            };
            if key == "ref" {
                refs = vec![value.clone()];
            }
            said.push(format!("{key}:{value}"));
        }
        refs.truncate(if many_refs { 2 } else { 1 });
        let sub = said.join(":");
        let of_ref = |reference: &String| {
            let workflow = format!("{name}/.github/workflows/ci.yml@{reference}");
            let token = |called: &str| {
                json!({"sub": sub, "aud": "sts.amazonaws.com", "ref": reference, "repository": name,
                    "repository_id": id.to_string(), "repository_owner": OWNER, "repository_owner_id": owner.to_string(),
                    "actor": USER, "actor_id": user.to_string(), "workflow": TITLE, "workflow_ref": workflow,
                    "job_workflow_ref": called})
            };
            [token(&workflow)].into_iter().chain(many_workflows.then(|| token(SHARED_WORKFLOW))).collect::<Vec<_>>()
        };
        refs.iter().flat_map(of_ref).collect()
    }
}
