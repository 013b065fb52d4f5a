//! Names, forms and templates that change at GitHub between the steps of a history.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cloudformation::Template;
use super::expected_state::ROLE;
use super::github::{GitHub, ids};
use super::plan::{Plan, Step};
use super::wire::Answer;

pub(crate) const OWNER: &str = "acme";
pub(crate) const REPOSITORIES: [&str; 2] = ["acme/app", "acme/Infra"];
pub(crate) const USER: &str = "octocat";
/// Between the ids of those who have a name one after the other.
const HAND: u64 = 2_000_000;
const TEMPLATES: [&[&str]; 3] =
    [&["repo", "context", "repository_owner"], &["repository_owner", "context", "repository_id"], &["context"]];

/// What changes at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtGitHub {
    /// Somebody else has the name of a repository, the owner or the user; who takes the owner's has other repositories.
    Take(&'static str),
    /// The first one has the name of the owner, with the repositories, or of the user again; or, unless the owner is another
    /// one, that of a repository.
    GiveBack(&'static str),
    /// The subjects carry ids no longer, or again.
    Form(&'static str),
    /// The subjects follow this template, or none.
    Template(&'static str, Option<usize>),
    /// The repository is called otherwise, or as before.
    Rename(&'static str),
    /// GitHub tells nothing of the user or the owner, or tells of them again.
    Silence(&'static str),
    /// The repository is shown to a credential only, or again to everybody.
    Hide(&'static str),
}

fn first_id(name: &str) -> u64 {
    let (owner, repository) = ids(name);
    if name.contains('/') { repository } else { owner }
}

/// Whose id it is.
pub(crate) fn name_of(id: u64) -> Option<&'static str> {
    [OWNER, USER].into_iter().chain(REPOSITORIES).find(|name| first_id(name) % HAND == id % HAND)
}

/// Takes a name out of a list, or puts it in.
fn turn(list: &mut Vec<String>, name: &str) {
    let before = list.len();
    list.retain(|one| one != name);
    if list.len() == before {
        list.push(name.to_owned());
    }
}

impl AtGitHub {
    /// The names that have other ids then.
    fn names(self) -> Vec<&'static str> {
        match self {
            Self::Take(OWNER) | Self::GiveBack(OWNER) => [OWNER].into_iter().chain(REPOSITORIES).collect(),
            Self::Take(name) | Self::GiveBack(name) => vec![name],
            _ => Vec::new(),
        }
    }

    pub(crate) fn apply(self, github: &mut GitHub) {
        match self {
            Self::Take(_) => {
                for name in self.names() {
                    *github.taken.entry(name.to_owned()).or_insert_with(|| first_id(name)) += HAND;
                    github.given_back.remove(name);
                }
            }
            Self::GiveBack(name) if name.contains('/') && github.ids(name).0 != first_id(OWNER) => {}
            Self::GiveBack(_) => github.given_back.extend(self.names().into_iter().map(str::to_owned)),
            Self::Form(name) => turn(&mut github.classic, name),
            Self::Hide(name) => turn(&mut github.private, name),
            Self::Template(name, None) => drop(github.templates.remove(name)),
            Self::Template(name, Some(index)) => {
                let keys = TEMPLATES[index].iter().map(|&key| key.to_owned()).collect();
                github.templates.insert(name.to_owned(), keys);
            }
            Self::Silence(name) => {
                let key = format!("GET /users/{name}");
                if github.answers.remove(&key).is_none() {
                    github.answers.insert(key, Answer { status: 403, headers: Vec::new(), body: "{}".into() });
                }
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
            for_each_entry(&mut step, &mut |entry| declare(&mut dice, &ids, entry));
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
                for name in change.names() {
                    *ids.entry(name).or_default() += HAND;
                }
                steps.push((1000 + steps.len() as u64, Step::AtGitHub(change)));
            }
        }
        self.steps = steps;
        self.silence_accounts();
        self.must_not_stick = self.must_succeed;
        self.must_succeed = false;
        self
    }
}

impl Plan {
    /// GitHub stops to tell of a user or an owner, and tells again, for some seeds. It still tells of repositories.
    fn silence_accounts(&mut self) {
        let mut dice = fastrand::Rng::with_seed(self.seed ^ 0x51e7);
        if dice.u32(0..100) < 60 {
            return;
        }
        for number in 0..dice.u64(1..4) {
            let name = if dice.u32(0..4) == 0 { OWNER } else { USER };
            let place = dice.usize(0..=self.steps.len());
            self.steps.insert(place, (2000 + number, Step::AtGitHub(AtGitHub::Silence(name))));
        }
    }
}

/// The entries of the trust that a step declares.
pub(crate) fn for_each_entry(step: &mut Step, change: &mut impl FnMut(&mut Value)) {
    let template: &mut Template = match step {
        Step::Create(_, template) | Step::Update(_, template) => template,
        Step::Together(parts) => return parts.iter_mut().for_each(|part| for_each_entry(part, change)),
        _ => return,
    };
    for declared in template.iter_mut().filter(|declared| declared.kind == ROLE) {
        declared.properties["Trust"].as_array_mut().into_iter().flatten().for_each(&mut *change);
    }
}

/// Names a user in some entries, and declares in some the ids of the day.
fn declare(dice: &mut fastrand::Rng, ids: &BTreeMap<&str, u64>, entry: &mut Value) {
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
