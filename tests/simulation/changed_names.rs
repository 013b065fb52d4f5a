//! Names, forms and templates that change at GitHub between the steps of a history, and I9: no token of another id than the
//! first one under its name gets in, unless its id was declared.

use std::collections::{BTreeMap, BTreeSet};

use github_trust::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use serde_json::{Value, json};

use super::account::{Account, Id, Kind, Object, Snapshot};
use super::author::Author;
use super::cloudformation::{Sent, Template};
use super::expected_state::{ROLE, trusted_subjects_as_written};
use super::github::ids;
use super::iam::one_or_many;
use super::plan::{Plan, Step};
use super::wire::Answer;

const OWNER: &str = "acme";
const REPOSITORIES: [&str; 2] = ["acme/app", "acme/Infra"];
const USER: &str = "octocat";
/// Between the ids of those who have a name one after the other.
const HAND: u64 = 2_000_000;
const TEMPLATES: [&[&str]; 3] =
    [&["repo", "context", "repository_owner"], &["repository_owner", "context", "repository_id"], &["context"]];

/// What changes at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtGitHub {
    /// Somebody else has the name of a repository, the owner or the user; who takes the owner's has other repositories.
    Take(&'static str),
    /// The subjects carry ids no longer, or again.
    Form(&'static str),
    /// The subjects follow this template, or none.
    Template(&'static str, Option<usize>),
    /// The repository is called otherwise, or as before.
    Rename(&'static str),
}

fn first_id(name: &str) -> u64 {
    let (owner, repository) = ids(name);
    if name.contains('/') { repository } else { owner }
}

/// Whose id it is.
pub(crate) fn name_of(id: u64) -> Option<&'static str> {
    [OWNER, USER].into_iter().chain(REPOSITORIES).find(|name| first_id(name) % HAND == id % HAND)
}

impl AtGitHub {
    fn takes(self) -> Vec<&'static str> {
        match self {
            Self::Take(OWNER) => [OWNER].into_iter().chain(REPOSITORIES).collect(),
            Self::Take(name) => vec![name],
            _ => Vec::new(),
        }
    }

    pub(crate) fn apply(self, account: &mut Account) {
        let github = &mut account.github;
        for name in self.takes() {
            *github.taken.entry(name.to_owned()).or_insert_with(|| first_id(name)) += HAND;
        }
        match self {
            Self::Take(_) => {}
            Self::Form(name) => {
                let before = github.classic.len();
                github.classic.retain(|one| one != name);
                if github.classic.len() == before {
                    github.classic.push(name.to_owned());
                }
            }
            Self::Template(name, None) => drop(github.templates.remove(name)),
            Self::Template(name, Some(index)) => {
                let keys = TEMPLATES[index].iter().map(|&key| key.to_owned()).collect();
                github.templates.insert(name.to_owned(), keys);
            }
            Self::Rename(name) => {
                let key = format!("GET /repos/{name}");
                if github.answers.remove(&key).is_none() {
                    let location = ("location", "https://api.github.com/repos/acme/moved".to_owned());
                    github.taken.insert("acme/moved".to_owned(), github.ids(name).1);
                    let moved = Answer { status: 301, headers: vec![location], body: "{}".into() };
                    github.answers.insert(key, moved);
                }
            }
        }
    }
}

impl Plan {
    /// The same history with a GitHub that changes, for some seeds.
    pub(crate) fn with_a_changing_github(mut self) -> Self {
        let mut dice = fastrand::Rng::with_seed(self.seed ^ 0x4ead);
        if dice.u32(0..100) < 40 {
            return self;
        }
        self.setting.credential = dice.bool();
        let mut ids: BTreeMap<&str, u64> =
            [OWNER, USER].into_iter().chain(REPOSITORIES).map(|name| (name, first_id(name))).collect();
        let mut steps = Vec::new();
        for (number, mut step) in std::mem::take(&mut self.steps) {
            declare(&mut dice, &ids, &mut step);
            steps.push((number, step));
            while dice.u32(0..100) < 45 {
                let repository = REPOSITORIES[dice.usize(0..2)];
                let change = match dice.u32(0..10) {
                    0..3 => AtGitHub::Take(repository),
                    3 => AtGitHub::Take(OWNER),
                    4 => AtGitHub::Take(USER),
                    5..7 => AtGitHub::Form(repository),
                    7 => AtGitHub::Template(repository, None),
                    8 => AtGitHub::Template(repository, Some(dice.usize(0..TEMPLATES.len()))),
                    _ => AtGitHub::Rename(repository),
                };
                for name in change.takes() {
                    *ids.entry(name).or_default() += HAND;
                }
                steps.push((1000 + steps.len() as u64, Step::AtGitHub(change)));
            }
        }
        self.steps = steps;
        self.must_not_stick = self.must_succeed;
        self.must_succeed = false;
        self
    }
}

/// Names a user in some entries, and declares in some the ids of the day.
fn declare(dice: &mut fastrand::Rng, ids: &BTreeMap<&str, u64>, step: &mut Step) {
    let template: &mut Template = match step {
        Step::Create(_, template) | Step::Update(_, template) => template,
        Step::Together(parts) => return parts.iter_mut().for_each(|part| declare(dice, ids, part)),
        _ => return,
    };
    for declared in template.iter_mut().filter(|declared| declared.kind == ROLE) {
        for entry in declared.properties["Trust"].as_array_mut().into_iter().flatten() {
            let repository = entry["Repository"].as_str().unwrap_or_default().to_owned();
            match dice.u32(0..10) {
                0..2 => entry["Actors"] = json!([USER]),
                2 => entry["Actors"] = json!([ids[USER].to_string()]),
                _ => {}
            }
            if dice.u32(0..10) < 3 {
                entry["OwnerId"] = json!(ids[OWNER].to_string());
                entry["RepositoryId"] = json!(ids[repository.as_str()].to_string());
            }
        }
    }
}

/// Who was trusted first under each name by each role, and what the author of its resource declared.
#[derive(Default)]
pub(crate) struct Hands {
    first: BTreeMap<(Id, &'static str), u64>,
    declared: BTreeSet<(Author, &'static str, u64)>,
    /// Owner and repository under each name, the last one being today's.
    shown: BTreeMap<&'static str, Vec<(u64, u64)>>,
    users: Vec<u64>,
    /// Of each repository, whether its subjects carry ids, and their template.
    forms: BTreeMap<&'static str, (bool, Vec<String>)>,
}

impl Hands {
    /// GitHub shows this now.
    pub(crate) fn show(&mut self, account: &Account) {
        for name in REPOSITORIES {
            let known = self.shown.entry(name).or_insert_with(|| vec![ids(name)]);
            let now = account.github.ids(name);
            if known.last() != Some(&now) {
                known.push(now);
            }
            self.forms.insert(name, account.github.form(name));
        }
        let user = account.github.ids(USER).0;
        if self.users.last() != Some(&user) {
            self.users.push(user);
        }
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

    pub(crate) fn sent(&mut self, sent: &Sent) {
        let author = Author::resource(&sent.stack, &sent.logical);
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
        for entry in one_or_many(&sent.properties["Trust"]) {
            let actors = one_or_many(&entry["Actors"]);
            let ids = actors.into_iter().chain([&entry["OwnerId"], &entry["RepositoryId"]]).filter_map(number);
            let known = ids.filter_map(|id| Some((author.clone(), name_of(id)?, id)));
            self.declared.extend(known);
        }
    }

    /// Somebody else changed the role, and with it its memory.
    pub(crate) fn changed_by_hand(&mut self, before: &Snapshot, after: &Snapshot) {
        for (id, role) in before.objects.iter().filter(|(id, _)| id.kind == Kind::Role) {
            let trust = |role: &Object| role.facets.get("trust").cloned();
            if after.objects.get(id).and_then(trust) != trust(role) {
                self.first.retain(|(remembered, _), _| remembered != id);
            }
        }
    }

    /// The tokens that roles have come to admit and must not.
    pub(crate) fn strangers(&mut self, before: &Snapshot, after: &Snapshot) -> Vec<String> {
        let mut found = Vec::new();
        let trust = |role: &Object| role.facets.get("trust").cloned().unwrap_or_default();
        for (id, role) in after.objects.iter().filter(|(id, _)| !before.objects.contains_key(id)) {
            self.inherit(id, role, before);
        }
        self.first.retain(|(id, _), _| after.objects.contains_key(id));
        for (id, role) in after.objects.iter().filter(|(id, role)| id.kind == Kind::Role && role.made_by.is_ours()) {
            if before.objects.get(id).map(trust).as_ref() == Some(&trust(role)) {
                continue;
            }
            let policy: Value = serde_json::from_str(&trust(role)).unwrap_or_default();
            for (name, was) in self.admitted(&policy) {
                let is_declared = self.declared.contains(&(role.made_by.clone(), name, was));
                // A user's id that the author wrote is nobody's name.
                if name == USER && is_declared {
                    continue;
                }
                let first = *self.first.entry((id.clone(), name)).or_insert(was);
                if was != first && !is_declared {
                    found.push(format!("{id} admits {name} with id {was}, who was not trusted: that was {first}"));
                }
            }
        }
        found
    }

    /// A role that replaces another one of its resource has its memory. One that a rollback removes takes its own along.
    fn inherit(&mut self, id: &Id, role: &Object, before: &Snapshot) {
        let is_former = |id: &Id| before.objects.get(id).is_some_and(|former| former.made_by == role.made_by);
        let remembered = self.first.iter().filter(|((former, _), _)| is_former(former));
        let remembered: Vec<_> = remembered.map(|((_, name), first)| ((id.clone(), *name), *first)).collect();
        self.first.extend(remembered);
    }

    /// Names with the ids whose tokens a policy admits, those of today first.
    fn admitted(&self, policy: &Value) -> Vec<(&'static str, u64)> {
        let mut found = Vec::new();
        for (sub, by_claim) in subjects(policy) {
            for (name, pairs) in &self.shown {
                for (owner, repository) in pairs.iter().rev() {
                    let sub = with_ids(&sub, *owner, *repository);
                    let own = [format!("{OWNER}@{owner}/{}@", &name[5..]), format!("{name}:")];
                    if !by_claim && !own.iter().any(|own| sub.contains(own)) {
                        continue;
                    }
                    let admits = |user: u64| {
                        admits(
                            policy,
                            &json!({"sub": sub, "aud": "sts.amazonaws.com", "repository": name,
                                "repository_id": repository.to_string(), "repository_owner_id": owner.to_string(),
                                "actor_id": user.to_string()}),
                        )
                    };
                    let is_for_all = admits(0);
                    let users: Vec<u64> = self.users.iter().rev().copied().filter(|user| admits(*user)).collect();
                    if is_for_all || !users.is_empty() {
                        found.extend([(OWNER, *owner), (*name, *repository)]);
                    }
                    if !is_for_all {
                        found.extend(users.into_iter().map(|user| (USER, user)));
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|one| seen.insert(*one));
        found
    }
}

fn admits(policy: &Value, claims: &Value) -> bool {
    const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    let claims = TokenClaims::of(claims.as_object().expect("claims"));
    evaluate(policy, PROVIDER, &claims).0 == Verdict::Admitted
}

/// The subjects of a policy, each with whether the repository is named by a claim or by the subject alone.
fn subjects(policy: &Value) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for statement in one_or_many(&policy["Statement"]) {
        for operator in statement["Condition"].as_object().into_iter().flat_map(|all| all.values()) {
            let keys = operator.as_object().into_iter().flatten();
            for (_, value) in keys.filter(|(key, _)| key.ends_with(":sub")) {
                let texts = one_or_many(value).into_iter().filter_map(Value::as_str);
                // No token has another subject.
                let texts = texts.filter(|text| text.contains(':') || *text == "pull_request");
                found.extend(texts.map(|text| (text.to_owned(), !text.contains("repo:"))));
            }
        }
    }
    found
}

/// The subject that another repository of that name has.
fn with_ids(sub: &str, owner: u64, repository: u64) -> String {
    let words = sub.split(':').map(|word| match word.split_once('/') {
        Some((of, name)) if of.starts_with("acme@") => {
            format!("acme@{owner}/{}@{repository}", name.split('@').next().unwrap_or_default())
        }
        _ => word.to_owned(),
    });
    let mut words: Vec<String> = words.collect();
    for at in 1..words.len() {
        if words[at - 1] == "repository_id" {
            words[at] = repository.to_string();
        }
    }
    words.join(":")
}
