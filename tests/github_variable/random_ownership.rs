//! Random lives of stacks that share objects at GitHub: they rename, move, replace, declare an object twice and leave, two at a
//! moment; neighbours fail, processes die, services fail, repositories get new names, and somebody deletes an object or makes one by hand.
//! The three laws hold after each step. `N` says how many lives, `SEED` the first.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::declared_objects::{SORTS, Sort};
use super::{Place, at, declared, minutes, with};
use crate::simulation::cloudformation::{Resource, Status, Template};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::stack::Stack;

/// The steps of one life.
const STEPS: usize = 10;
const REPOSITORIES: [&str; 3] = ["acme/app", "acme/new", "umbrella/app"];
const COMPLETE: [Status; 3] = [Status::CreateComplete, Status::UpdateComplete, Status::DeleteComplete];
/// The resource of a template that always fails.
const FAILING: &str = "Failing";

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A claim that GitHub has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    name: &'static str,
    stack: String,
    logical_id: String,
}

/// One life, and the facts that the laws are about.
struct Life {
    sort: Sort,
    told: String,
    chance: fastrand::Rng,
    repository: &'static str,
    /// All declarations say that they may overwrite.
    adopts: bool,
    stacks: Vec<Stack>,
    /// The `ServiceTimeout` that was declared last.
    timeout: u32,
    /// The names of objects that somebody else made.
    of_others: BTreeSet<&'static str>,
    /// The names of objects that somebody has deleted since the last request.
    deleted: BTreeSet<&'static str>,
    /// The claims that a deletion which failed has left, and their objects with them.
    orphans: BTreeSet<Claim>,
    /// The contents that resources have declared for objects since these were made.
    contents: BTreeSet<(&'static str, String, String)>,
}

/// What GitHub does not say. Drawn apart, so that the rest of a life is what it was before.
fn read_otherwise(place: &Place, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0x6174);
    let mut state = place.cloud.state();
    let github = &mut state.account.github;
    github.settings.pattern_twice_is_invalid = chance.bool();
    github.settings.changing_dates_anew = chance.u8(0..4) == 0;
    (github.keeps_choices, github.refuses_switching_off) = (chance.bool(), chance.bool());
    (github.settings.resets_bypass, github.settings.refuses_bypass) = (chance.bool(), chance.bool());
}

/// Returns true if GitHub is read so that an object of ours may stay.
fn may_stay(place: &Place) -> bool {
    let state = place.cloud.state();
    let github = &state.account.github;
    github.settings.changing_dates_anew || (github.keeps_choices && github.refuses_switching_off)
}

/// The content that a declaration gives an object.
fn content(properties: &Value) -> String {
    format!("{} {}", properties["Value"], properties["WaitTimer"]).replace('"', "")
}

/// The reasons of all failures of a stack.
fn reasons(place: &Place, stack: &str) -> String {
    let state = place.cloud.state();
    let answers =
        state.account.s3.uploads.iter().filter_map(|upload| serde_json::from_slice::<Value>(&upload.body).ok());
    let failed = answers.filter(|answer| answer["Status"] == "FAILED" && answer["StackId"] == stack);
    failed.map(|answer| answer["Reason"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Carries a change out.
async fn carry_out(stack: &mut Stack, template: Option<&Template>) -> Status {
    match template {
        None => stack.delete_stack().await,
        Some(template) if stack.resources.is_empty() => stack.create(template).await,
        Some(template) => stack.update(template).await,
    }
}

impl Life {
    fn new(place: &Place, seed: u64) -> Self {
        let sort = SORTS[usize::try_from(seed % 8).expect("few")];
        Self {
            sort,
            told: format!("{sort:?}, seed {seed}"),
            chance: fastrand::Rng::with_seed(seed),
            repository: REPOSITORIES[0],
            adopts: (seed / 8).is_multiple_of(2),
            stacks: ["one", "two", "three"].map(|name| place.cloudformation.stack(name)).into(),
            timeout: 3000,
            of_others: BTreeSet::new(),
            deleted: BTreeSet::new(),
            orphans: BTreeSet::new(),
            contents: BTreeSet::new(),
        }
    }

    fn can_adopt(&self) -> bool {
        self.sort != Sort::Subjects
    }

    fn is_there(&self, place: &Place, name: &str) -> bool {
        self.sort.is_there(place, self.repository, name)
    }

    /// The name that a resource declares.
    fn name_of(&self, properties: &Value) -> &'static str {
        let names = self.sort.names();
        names.iter().find(|name| properties["Name"] == **name).unwrap_or(&names[0])
    }

    fn is_declared(&self, name: &str) -> bool {
        let mut resources = self.stacks.iter().flat_map(|stack| &stack.resources);
        resources.any(|(_, resource)| self.name_of(&resource.properties) == name)
    }

    /// Returns true if resources have declared different contents. The last one to leave deletes none that it has not declared.
    fn is_mixed(&self, name: &str) -> bool {
        let of_object = || self.contents.iter().filter(|(object, ..)| *object == name);
        of_object().any(|(_, one, content)| of_object().any(|(_, other, another)| one != other && content != another))
    }

    /// A change of one stack, and `None` for its deletion.
    fn change(&mut self, index: usize) -> Option<Template> {
        let known = self.stacks[index].resources.first();
        let known = known.map(|(logical_id, resource)| (logical_id.clone(), self.name_of(&resource.properties)));
        let names = self.sort.names();
        let drawn = names[self.chance.usize(0..names.len())];
        let version = usize::from(self.chance.u8(0..3) == 0);
        // Another one each time: CloudFormation sends no request for a resource that stays as it is.
        self.timeout += 1;
        let timeout = self.timeout;
        let (choice, fails) = (self.chance.u32(0..8), self.chance.u32(0..6) == 0);
        let resource = |logical_id: &str, name: &str| {
            let mut properties = self.sort.properties(self.repository, name, version);
            properties["ServiceTimeout"] = json!(timeout);
            if self.adopts && self.can_adopt() {
                properties["OnExisting"] = json!("Adopt");
            }
            declared(logical_id, self.sort.resource_type(), properties)
        };
        let mut template = match (known, choice) {
            (None, _) => vec![resource("A", drawn)],
            (Some(_), 0) => return None,
            (Some((known, name)), 1) => vec![resource(if known == "A" { "B" } else { "A" }, name)],
            // Two resources of one stack, with one object or two.
            (Some((_, name)), 2) => vec![resource("A", name), resource("B", name)],
            (Some((_, name)), 3) => vec![resource("A", name), resource("B", drawn)],
            // Another name is another object, and the former one goes.
            (Some((known, _)), 4) => vec![resource(&known, drawn)],
            (Some((known, name)), _) => vec![resource(&known, name)],
        };
        if fails {
            template.push(declared(FAILING, "Custom::GitHubOidcProvider", json!({"Url": "https://no.example.com"})));
        }
        Some(template)
    }

    /// Lets attempts of the next requests die, or calls of them fail.
    fn trouble(&mut self, place: &Place) {
        let next = place.cloudformation.lambda.attempts().len() as u64 + 1;
        let call = self.chance.u64(1..14);
        let when = if self.chance.bool() { When::Before } else { When::After };
        let is_death = self.chance.bool();
        let fault = match self.chance.u8(0..4) {
            _ if is_death => Fault::Kill,
            0 => Fault::Reset,
            1 => Fault::ServerError,
            2 => Fault::Throttle,
            _ => Fault::AccessDenied,
        };
        for invocation in next..next + self.chance.u64(1..=3) {
            place.cloud.state().faults.plan(At::OfInvocation { invocation, call }, when, fault.clone());
        }
    }

    /// One or two stacks change.
    async fn stacks_change(&mut self, place: &Place, choice: u32) {
        let is_troubled = choice < 5;
        if is_troubled {
            self.trouble(place);
        }
        let mut stacks = std::mem::take(&mut self.stacks);
        self.chance.shuffle(&mut stacks);
        self.stacks = stacks;
        let (one, other) = (self.change(0), self.change(1));
        let later = Duration::from_millis(self.chance.u64(0..2000));
        let (first, rest) = self.stacks.split_at_mut(1);
        let (first, second) = (&mut first[0], &mut rest[0]);
        let mut changes = vec![(0, one)];
        let mut ends = vec![];
        if choice.is_multiple_of(2) {
            let second = async {
                tokio::time::sleep(later).await;
                carry_out(second, other.as_ref()).await
            };
            let (first, second) = tokio::join!(carry_out(first, changes[0].1.as_ref()), second);
            ends.extend([first, second]);
            changes.push((1, other));
        } else {
            ends.push(carry_out(first, changes[0].1.as_ref()).await);
        }
        place.cloudformation.lambda.settle().await;
        place.cloud.state().faults.cease();
        for ((index, template), end) in changes.into_iter().zip(ends) {
            self.changed(place, index, template.as_ref(), end, is_troubled);
        }
        self.delete_what_failed(place).await;
        self.orphans_stay(place, is_troubled);
    }

    /// Compares the end of a change with what it has to be.
    fn changed(&mut self, place: &Place, index: usize, template: Option<&Template>, end: Status, is_troubled: bool) {
        let resources = template.into_iter().flatten();
        let (failing, ours): (Vec<_>, Vec<_>) = resources.partition(|declared| declared.logical == FAILING);
        let reason = reasons(place, &self.stacks[index].id);
        let is_foreign = !self.adopts && reason.contains("exists already");
        assert!(
            is_troubled || !failing.is_empty() || is_foreign || COMPLETE.contains(&end),
            "{}: {end:?}: {reason}\n{}",
            self.told,
            place.cloud.story()
        );
        let is_complete = COMPLETE.contains(&end) && !self.stacks[index].resources.is_empty();
        for declared in ours {
            let name = self.name_of(&declared.properties);
            let owner = format!("{} {}", self.stacks[index].id, declared.logical);
            self.contents.insert((name, owner, content(&declared.properties)));
            if is_complete {
                self.deleted.remove(name);
            }
        }
    }

    /// The object of a resource, if the resource leaves it after its rollback failed. CloudFormation deletes with the properties of
    /// the failed update, so that a value of the template before is nobody's. These properties may name another object.
    fn left_by_failed_rollback(&self, stack: &str, logical_id: &str, resource: &Resource) -> Option<&'static str> {
        if matches!(self.sort, Sort::Value { is_secret: true, .. }) {
            // The value of a secret cannot be read, and keeps none.
            return None;
        }
        let name = *self.sort.names().iter().find(|name| resource.physical.ends_with(*name))?;
        let (owner, sent) = (format!("{stack} {logical_id}"), content(&resource.properties));
        let mut before = self.contents.iter().filter(|(object, of, _)| *object == name && *of == owner);
        before.any(|(.., content)| *content != sent).then_some(name)
    }

    /// A stack whose deletion or rollback failed can only be deleted.
    async fn delete_what_failed(&mut self, place: &Place) {
        for index in 0..self.stacks.len() {
            let stack = &mut self.stacks[index];
            if matches!(stack.status, Some(Status::DeleteFailed | Status::UpdateRollbackFailed)) {
                let is_rollback = stack.status == Some(Status::UpdateRollbackFailed);
                let (id, resources) = (stack.id.clone(), stack.resources.clone());
                let deleted = stack.delete_stack().await;
                assert_eq!(
                    deleted,
                    Status::DeleteComplete,
                    "{}: {}\n{}",
                    self.told,
                    place.reason(),
                    place.cloud.story()
                );
                let left = |(logical_id, resource): &(String, Resource)| {
                    let name = self.left_by_failed_rollback(&id, logical_id, resource)?;
                    (self.is_there(place, name) && !self.is_declared(name)).then_some(name)
                };
                let left: Vec<_> = resources.iter().filter(|_| is_rollback).filter_map(left).collect();
                self.of_others.extend(left);
            }
        }
    }

    /// The claims whose owners declare the object no longer, but for those that have left.
    fn left_claims(&self, place: &Place) -> BTreeSet<Claim> {
        let claims = place.github(|github| {
            let of = |path: &String| serde_json::from_str::<Value>(github.value(path)?).ok();
            github.claims().iter().filter_map(of).collect::<Vec<_>>()
        });
        let mut left = BTreeSet::new();
        for claim in claims.iter().filter(|claim| claim["state"] != "left") {
            let text = |member: &str| claim[member].as_str().unwrap_or_default().to_owned();
            let object = text("object");
            // Claims on the subjects keep the name that the repository had.
            let name = self.sort.names().iter().find(|name| object.ends_with(*name)).unwrap_or(&self.sort.names()[0]);
            let logical_id = text("owner").rsplit('/').next().unwrap_or_default().to_owned();
            let stack = self.stacks.iter().find(|stack| stack.id == text("stack"));
            let declares = stack.and_then(|stack| stack.resource(&logical_id));
            if declares.is_none_or(|declares| self.name_of(&declares.properties) != *name) {
                left.insert(Claim { name, stack: text("stack"), logical_id });
            }
        }
        left
    }

    /// Only a deletion that failed leaves a claim.
    fn orphans_stay(&mut self, place: &Place, is_troubled: bool) {
        let left = self.left_claims(place);
        let more: Vec<&Claim> = left.difference(&self.orphans).collect();
        assert!(is_troubled || more.is_empty(), "{}: left: {more:?}\n{}", self.told, place.cloud.story());
        self.orphans = left;
    }

    /// A repository gets another name, and each stack declares it by that.
    async fn rename(&mut self, place: &Place) {
        let others: Vec<&'static str> = REPOSITORIES.into_iter().filter(|name| *name != self.repository).collect();
        let (old, new) = (self.repository, others[self.chance.usize(0..2)]);
        place.cloud.state().account.github.rename(old, new);
        self.repository = new;
        for index in 0..self.stacks.len() {
            let resources = &self.stacks[index].resources;
            let of_repository = |(_, resource): &(String, Resource)| resource.properties["Repository"] == old;
            if !resources.iter().any(of_repository) {
                continue;
            }
            let renamed = |(logical_id, resource): &(String, Resource)| {
                declared(logical_id, &resource.kind, with(resource.properties.clone(), "Repository", json!(new)))
            };
            let template: Template = resources.iter().map(renamed).collect();
            let end = self.stacks[index].update(&template).await;
            self.changed(place, index, Some(&template), end, false);
        }
        // A stack that has joined what another one decides about is refused under the new name, and has no way back.
        self.delete_what_failed(place).await;
        place.cloudformation.lambda.settle().await;
        self.orphans_stay(place, false);
    }

    /// The contents that resources declare.
    fn declared_contents(&self) -> BTreeSet<(&'static str, String, String)> {
        let of_stack = |stack: &Stack| {
            let of = |(logical_id, resource): &(String, Resource)| {
                let owner = format!("{} {logical_id}", stack.id);
                (self.name_of(&resource.properties), owner, content(&resource.properties))
            };
            stack.resources.iter().map(of).collect::<Vec<_>>()
        };
        self.stacks.iter().flat_map(of_stack).collect()
    }

    /// The three laws, for each object.
    fn check(&mut self, place: &Place) {
        self.contents.append(&mut self.declared_contents());
        for name in self.sort.names() {
            let (declared, is_there) = (self.is_declared(name), self.is_there(place, name));
            if !declared || is_there {
                self.deleted.remove(name);
            }
            if !is_there {
                let declared = self.declared_contents();
                self.contents.retain(|content| content.0 != *name || declared.contains(content));
            }
            if is_there && !declared && self.is_mixed(name) {
                self.of_others.insert(name);
            }
            let is_of_others = self.of_others.contains(name);
            let is_left = self.orphans.iter().any(|orphan| orphan.name == *name);
            let told = || format!("{}: {name}: {:?}\n{}", self.told, self.orphans, place.cloud.story());
            assert!(!declared || is_there || self.deleted.contains(name), "declared, and not there: {}", told());
            assert!(!is_there || declared || is_of_others || is_left || may_stay(place), "ours, and left: {}", told());
            assert!(!is_of_others || is_there, "of others, and deleted: {}", told());
        }
        let bypasses_reset = place.github(|github| github.bypasses_reset);
        assert_eq!(bypasses_reset, 0, "administrators may bypass again: {}\n{}", self.told, place.cloud.story());
        let is_over = self.orphans.is_empty() && self.sort.names().iter().all(|name| !self.is_declared(name));
        let claims = place.github(|github| github.claims());
        assert!(!is_over || claims.is_empty(), "{}: {claims:?}\n{}", self.told, place.cloud.story());
    }

    async fn step(&mut self, place: &Place) {
        let name = self.sort.names()[self.chance.usize(0..self.sort.names().len())];
        match self.chance.u32(0..11) {
            0 => {
                self.sort.remove_by_hand(place, self.repository, name);
                self.of_others.remove(name);
                self.deleted.insert(name);
            }
            1 if !self.is_there(place, name) && self.can_adopt() => {
                // Within the hour of a request nobody can tell who made it.
                minutes(70).await;
                self.sort.make_by_hand(place, self.repository, name);
                self.of_others.insert(name);
                minutes(5).await;
            }
            10 => self.rename(place).await,
            choice => self.stacks_change(place, choice).await,
        }
        self.check(place);
        minutes(self.chance.u64(1..90)).await;
    }
}

async fn live(place: &Place, seed: u64) {
    let mut life = Life::new(place, seed);
    read_otherwise(place, seed);
    let told = life.told.clone();
    for step in 0..STEPS {
        life.told = format!("{told}, step {step}");
        life.step(place).await;
    }
    for mut stack in std::mem::take(&mut life.stacks) {
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{told}: {}", place.reason());
    }
    life.told = format!("{told}, at the end");
    life.orphans_stay(place, false);
    life.check(place);
}

/// Lives in which another stack deletes an environment between two calls of one look. In the last one an update gives a resource
/// another name and another value at once, and its rollback fails.
const ONCE_WRONG: [u64; 4] = [1_834, 14_842, 19_714, 19_084];

fn live_all(seeds: impl IntoIterator<Item = u64>) {
    for seed in seeds {
        at(async |place| {
            place.cloud.state().account.github.classic.push("acme/app".to_owned());
            live(place, seed).await;
        });
    }
}

#[test]
fn lives_that_once_broke_a_law_of_ownership_break_none() {
    live_all(ONCE_WRONG);
}

#[test]
fn in_random_lives_of_stacks_the_laws_of_ownership_hold() {
    let (first, lives) = (number("SEED", 0), number("N", 16).min(20_000));
    live_all(first..first + lives);
    println!("{lives} lives, seeds from {first}");
}
