//! Histories whose roles trust by other members than names and contexts: all repositories of an owner, whole subjects, ids
//! alone, formats, and what narrows an entry.

use serde_json::{Value, json};

use super::changed_names::{AtGitHub, OWNER, REPOSITORIES, USER, for_each_entry};
use super::github::GitHub;
use super::plan::{Plan, Step};

/// A workflow that many repositories call.
pub(crate) const SHARED_WORKFLOW: &str = "acme/ci/.github/workflows/deploy.yml@refs/heads/main";
/// The name of every workflow.
pub(crate) const TITLE: &str = "Deploy";

/// The members that say which jobs.
const CONTEXTS: [&str; 4] = ["Branches", "Tags", "Environments", "PullRequests"];

struct Dice(fastrand::Rng);

impl Dice {
    fn chance(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.usize(0..of.len())].clone()
    }
}

impl Plan {
    /// The same history with other members in `Trust`, for some seeds. Drawn apart, so that the rest of it is as before.
    pub(crate) fn with_other_members(mut self) -> Self {
        let mut dice = Dice(fastrand::Rng::with_seed(self.seed ^ 0x07e7));
        if dice.chance(30) {
            return self;
        }
        let changes = self.steps.iter().any(|(_, step)| matches!(step, Step::AtGitHub(_)));
        let mut github = GitHub::default();
        let mut steps = Vec::new();
        for (number, mut step) in std::mem::take(&mut self.steps) {
            for_each_entry(&mut step, &mut |entry| other_members(&mut dice, &github, entry));
            if let Step::AtGitHub(change) = &step {
                change.apply(&mut github);
            }
            steps.push((number, step));
            if changes && dice.chance(15) {
                let change = AtGitHub::GiveBack(dice.one(&[OWNER, USER, REPOSITORIES[0], REPOSITORIES[1]]));
                change.apply(&mut github);
                steps.push((2000 + steps.len() as u64, Step::AtGitHub(change)));
            }
        }
        if Dice(fastrand::Rng::with_seed(self.seed ^ 0xbac4)).chance(30) {
            steps.extend(there_and_back(&mut dice, github, &steps));
        }
        self.steps = steps;
        self.must_not_stick |= self.must_succeed;
        self.must_succeed = false;
        self
    }
}

/// A name changes hands, and the author declares the new ids. Then the first one has the name again, and the author declares
/// none.
fn there_and_back(dice: &mut Dice, mut github: GitHub, before: &[(u64, Step)]) -> Vec<(u64, Step)> {
    let last = before.iter().rev().find_map(|(_, step)| match step {
        Step::Create("one", template) | Step::Update("one", template) => Some(Step::Update("one", template.clone())),
        _ => None,
    });
    let Some(mut last) = last else { return Vec::new() };
    let name = dice.one(&[OWNER, REPOSITORIES[0], REPOSITORIES[1]]);
    AtGitHub::Take(name).apply(&mut github);
    for_each_entry(&mut last, &mut |entry| {
        let repository = entry["Repository"].as_str().filter(|name| REPOSITORIES.contains(name)).map(str::to_owned);
        if let Some((owner_id, id)) = repository.map(|name| github.ids(&name)) {
            entry["OwnerId"] = json!(owner_id.to_string());
            entry["RepositoryId"] = json!(id.to_string());
        }
    });
    let mut again = last.clone();
    for_each_entry(&mut again, &mut |entry| remove(entry, &["OwnerId", "RepositoryId"]));
    let steps = [Step::AtGitHub(AtGitHub::Take(name)), last, Step::AtGitHub(AtGitHub::GiveBack(name)), again];
    (3000..).zip(steps).collect()
}

fn other_members(dice: &mut Dice, github: &GitHub, entry: &mut Value) {
    let name = entry["Repository"].as_str().unwrap_or_default().to_owned();
    let (owner_id, id) = github.ids(&name);
    match dice.0.u32(0..100) {
        0..15 => {
            entry["Repository"] = json!(format!("{OWNER}/*"));
            remove(entry, &["RepositoryId"]);
        }
        15..50 => whole_subjects(dice, (&name, owner_id, id), entry),
        50..60 => entry["RepositoryId"] = json!(id.to_string()),
        60..65 => entry["OwnerId"] = json!(owner_id.to_string()),
        _ => {}
    }
    if dice.chance(15) {
        entry["SubjectFormat"] = json!(dice.one(&["Auto", "Classic", "Immutable", "Both"]));
    }
    if dice.chance(15) {
        let own = format!("{name}/.github/workflows/ci.yml@*");
        entry["Workflows"] = dice.one(&[json!([SHARED_WORKFLOW]), json!([own]), json!([SHARED_WORKFLOW, own])]);
    }
    if dice.chance(15) {
        entry["Refs"] = dice.one(&[
            json!(["refs/heads/main"]),
            json!(["refs/heads/*", "refs/tags/*"]),
            json!(["refs/heads/*", "refs/pull/*/merge"]),
        ]);
    }
    if dice.chance(10) {
        entry["TemplateClaims"] = json!([{"Name": "workflow", "Values": [TITLE]}]);
    }
}

/// Writes the jobs of an entry as whole subjects, in any form, and says the repository beside them, or its id, or nothing.
fn whole_subjects(dice: &mut Dice, (name, owner_id, id): (&str, u64, u64), entry: &mut Value) {
    let short = &name[OWNER.len() + 1..];
    let form = dice.one(&[
        format!("repo:{name}:C"),
        format!("repo:{OWNER}@{owner_id}/{short}@{id}:C"),
        format!("repository:{name}:C"),
        format!("repo:{name}:C:repository_owner:{OWNER}"),
        format!("repository_owner:{OWNER}:C:repository_id:{id}"),
        format!("repository_owner:{OWNER}:C"),
        "C".to_owned(),
    ]);
    let contexts = contexts(entry);
    let subjects: Vec<String> = contexts.iter().map(|context| form.replace('C', context)).collect();
    entry["Subjects"] = json!(subjects);
    match dice.0.u32(0..10) {
        0..5 => remove(entry, &["Repository"]),
        5..7 => {
            entry["RepositoryId"] = json!(id.to_string());
            remove(entry, &["Repository"]);
        }
        // The jobs are said twice.
        7 => return,
        _ => {}
    }
    remove(entry, &CONTEXTS);
}

fn remove(entry: &mut Value, members: &[&str]) {
    if let Some(all) = entry.as_object_mut() {
        all.retain(|name, _| !members.contains(&name.as_str()));
    }
}

/// The contexts that an entry names, as GitHub writes them in a subject.
fn contexts(entry: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (member, kind) in CONTEXTS.into_iter().zip(["ref:refs/heads/", "ref:refs/tags/", "environment:"]) {
        let names = entry[member].as_array().into_iter().flatten().filter_map(Value::as_str);
        found.extend(names.map(|name| format!("{kind}{name}")));
    }
    found.extend((entry["PullRequests"] == true).then(|| "pull_request".to_owned()));
    found
}
