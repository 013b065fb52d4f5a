//! The forms of subject under which trust policies admit the jobs of a repository.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::document::{allowed_values, allows, canonical, is_positive, statements};
use super::exclusion::Exclusion;
use super::string_like::{covers, string_like};
use crate::github::name::Repository;

/// The forms in which a policy admits jobs of a repository that it does not admit in the other form. A switch to the other
/// one locks them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnpairedForms {
    /// Some subjects are admitted with names only.
    pub classic: bool,
    /// Some subjects are admitted with ids only.
    pub immutable: bool,
}

/// A subject of a policy, as it is about a repository.
struct NamedSubject {
    /// The repository, which may have ids or wildcards.
    name: String,
    /// The rest of the subject.
    rest: String,
    /// The repository's ids that are compared, if any.
    ids: BTreeSet<String>,
    /// The other conditions of the statement: operator, key and values.
    conditions: BTreeSet<[String; 3]>,
    /// The exclusions that hold for it and that fit it, of all in the policy.
    excluded: BTreeSet<usize>,
    /// The exclusions that would fit it, wherever they stand.
    fitting: BTreeSet<usize>,
}

/// The ids of an owner and a repository, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepositoryIds {
    /// The owner's.
    pub owner: Option<u64>,
    /// The repository's.
    pub repository: Option<u64>,
}

/// Returns the forms that admit jobs of a repository by themselves. GitHub takes names in any case for the same, and so does
/// this: a role that is overlooked would be locked out.
#[must_use]
pub fn unpaired_forms(policy: &Value, repository: &Repository, ids: RepositoryIds) -> UnpairedForms {
    forms_of(&Twins::of(&named(policy)), &repository.to_string().to_ascii_lowercase(), ids)
}

/// Returns the same for the repositories of an owner: one by its name, several by their pattern.
#[must_use]
pub fn unpaired_forms_of_owner(policy: &Value, owner: &str, id: Option<u64>) -> BTreeMap<String, UnpairedForms> {
    let ids = RepositoryIds { owner: id, repository: None };
    let (all, owner) = (named(policy), owner.to_ascii_lowercase());
    let is_of_owner = |name: &String| string_like(name.split('/').next().unwrap_or_default(), &owner);
    let plain = all.iter().map(|subject| without_ids(&subject.name)).filter(is_of_owner);
    let twins = Twins::of(&all);
    plain.collect::<BTreeSet<_>>().into_iter().map(|name| (name.clone(), forms_of(&twins, &name, ids))).collect()
}

/// Returns true if a policy has subjects that name repositories.
#[must_use]
pub fn names_repositories(policy: &Value) -> bool {
    !named(policy).is_empty()
}

/// The subjects of a policy that name repositories, in lower case, without those that it excludes.
fn named(policy: &Value) -> Vec<NamedSubject> {
    let mut named = Vec::new();
    let exclusions = Exclusion::all(policy);
    for (place, statement) in statements(policy).iter().enumerate().filter(|(_, statement)| allows(statement)) {
        let alone = json!({"Statement": statement});
        let (claimed, conditions) = (allowed_values(&alone, "repository_id"), conditions_beside(statement));
        for subject in allowed_values(&alone, "sub") {
            let subject = subject.to_ascii_lowercase();
            if exclusions.iter().any(|one| one.holds_for(place) && one.covers(&subject)) {
                continue;
            }
            let indices = |fits: &dyn Fn(&Exclusion) -> bool| -> BTreeSet<usize> {
                exclusions.iter().enumerate().filter(|(_, one)| fits(one)).map(|(index, _)| index).collect()
            };
            let fitting = indices(&|one| one.fits(&subject));
            let excluded =
                indices(&|one| one.holds_for(place)).intersection(&fitting).copied().collect::<BTreeSet<_>>();
            let words: Vec<&str> = subject.split(':').collect();
            // The repository is at the beginning of a subject, or behind the keys that a template puts before it. A wildcard can
            // stand for these.
            let is_name = |at: &usize| match words[..*at].last() {
                Some(key) => *key == "repo",
                None => words[0].starts_with(['*', '?']) && words[0].contains('/'),
            };
            for at in (0..words.len()).filter(is_name) {
                let (name, behind) = (words[at], words[at + 1..].join(":"));
                let behind = if behind.is_empty() && name.ends_with('*') { "*" } else { &behind };
                let ids = claimed.iter().copied().chain(id(name)).map(str::to_owned).collect();
                let before = if at == 0 { "repo".to_owned() } else { words[..at].join(":") };
                let rest = format!("{before}:{behind}");
                let (conditions, excluded, fitting) = (conditions.clone(), excluded.clone(), fitting.clone());
                named.push(NamedSubject { name: name.to_owned(), rest, ids, conditions, excluded, fitting });
            }
        }
    }
    named
}

/// The conditions of a statement but for those that are about the subject and the ids of the repository.
fn conditions_beside(statement: &Value) -> BTreeSet<[String; 3]> {
    const NAMED: [&str; 5] = ["sub", "repository", "repository_id", "repository_owner", "repository_owner_id"];
    let mut found = BTreeSet::new();
    for (operator, keys) in statement.get("Condition").and_then(Value::as_object).into_iter().flatten() {
        let operator = if is_positive(operator) { "" } else { operator };
        for (key, values) in keys.as_object().into_iter().flatten() {
            let key = key.to_ascii_lowercase();
            if !key.rsplit(':').next().is_some_and(|claim| NAMED.contains(&claim)) {
                found.insert([operator.to_owned(), key, canonical(values).to_string()]);
            }
        }
    }
    found
}

/// The repository's id in `OWNER@ID/NAME@ID`.
fn id(name: &str) -> Option<&str> {
    let (_, id) = name.split_once('/')?.1.split_once('@')?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

fn forms_of(twins: &Twins<'_>, repository: &str, ids: RepositoryIds) -> UnpairedForms {
    let like = |matches: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..twins.named.len()).filter(|at| matches(&twins.named[*at].name)).collect()
    };
    let classic = like(&|name| string_like(name, repository));
    let immutable = like(&|name| has_ids_of(name, repository, ids));
    let is_alone = |subject: &usize, others: &[usize]| !others.iter().any(|twin| twins.has(*subject, *twin));
    UnpairedForms {
        classic: classic.iter().any(|subject| is_alone(subject, &immutable)),
        immutable: immutable.iter().any(|subject| is_alone(subject, &classic)),
    }
}

/// The pairs of subjects that admit the same jobs. Each pair is compared once, because many repositories may ask for it.
struct Twins<'a> {
    named: &'a [NamedSubject],
    /// The answers of the pairs that were compared, row by row.
    known: RefCell<Vec<Option<bool>>>,
}

impl<'a> Twins<'a> {
    fn of(named: &'a [NamedSubject]) -> Self {
        Self { named, known: RefCell::new(vec![None; named.len() * named.len()]) }
    }

    fn has(&self, subject: usize, twin: usize) -> bool {
        let place = subject * self.named.len() + twin;
        let known = self.known.borrow()[place];
        known.unwrap_or_else(|| {
            let is_twin = self.named[subject].is_twin(&self.named[twin]);
            self.known.borrow_mut()[place] = Some(is_twin);
            is_twin
        })
    }
}

impl NamedSubject {
    /// Returns true if a subject of the other form admits the same jobs, as far as the policy tells.
    fn is_twin(&self, twin: &Self) -> bool {
        let has_same_id = self.ids.is_empty() || twin.ids.is_empty() || !self.ids.is_disjoint(&twin.ids);
        let is_excluded = !twin.excluded.is_subset(&self.fitting);
        has_same_id && !is_excluded && covers(&twin.rest, &self.rest) && twin.conditions.is_subset(&self.conditions)
    }
}

/// Returns true for a name with ids that fit those of a repository. Where an id is not known, any counts as it.
fn has_ids_of(name: &str, repository: &str, ids: RepositoryIds) -> bool {
    let fits = |pattern: &str, plain: &str, id: Option<u64>| match id {
        Some(id) => string_like(pattern, &format!("{plain}@{id}")),
        None => string_like(&with_one_id(pattern), &format!("{plain}@0")),
    };
    match (name.split_once('/'), repository.split_once('/')) {
        (Some((owner, repository)), Some((of_owner, of_repository))) => {
            fits(owner, of_owner, ids.owner) && fits(repository, of_repository, ids.repository)
        }
        _ => string_like(&with_one_id(name), &format!("{}@0", repository.replace('/', "@0/"))),
    }
}

/// Removes ids and patterns of ids: `o@12/r@1*` becomes `o/r`.
fn without_ids(name: &str) -> String {
    let mut parts = name.split('@');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    plain.extend(parts.map(|part| part.trim_start_matches(is_of_id)));
    plain
}

fn is_of_id(c: char) -> bool {
    c.is_ascii_digit() || c == '?' || c == '*'
}

/// Replaces each id by 0, and each pattern of ids by a pattern that 0 matches: `o@12/r@1*` becomes `o@0/r@*`.
fn with_one_id(name: &str) -> String {
    let mut parts = name.split('@');
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(is_of_id);
        let id = match &part[..part.len() - rest.len()] {
            "" => "",
            pattern if pattern.contains('*') => "*",
            _ => "0",
        };
        replaced.extend(["@", id, rest]);
    }
    replaced
}

#[cfg(test)]
#[path = "tests/repository_forms.rs"]
mod tests;
