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
mod tests {
    use serde_json::json;

    use super::super::string_like::STEPS;
    use super::*;

    #[test]
    fn the_repositories_of_an_owner_are_told_with_the_form_of_each() {
        const CLASSIC: UnpairedForms = UnpairedForms { classic: true, immutable: false };
        const IMMUTABLE: UnpairedForms = UnpairedForms { classic: false, immutable: true };
        const BOTH: UnpairedForms = UnpairedForms { classic: false, immutable: false };
        const EACH: UnpairedForms = UnpairedForms { classic: true, immutable: true };
        for (subjects, expected) in [
            (&["repo:O/r:pull_request", "repo:p/r:pull_request"][..], &[("o/r", CLASSIC)][..]),
            (&["repo:o/r:x", "repo:o@1/s@2:x"], &[("o/r", CLASSIC), ("o/s", IMMUTABLE)]),
            (&["repo:o/r:x", "repo:o@1/r@2:x"], &[("o/r", BOTH)]),
            (&["repo:o/r:x", "repo:o@1/r@2:y"], &[("o/r", EACH)]),
            (&["repo:o/r:x", "repo:o@1/r@2:*"], &[("o/r", IMMUTABLE)]),
            (&["repo:o/*:x", "repo:o@1/r@2:x"], &[("o/*", CLASSIC), ("o/r", BOTH)]),
            (&["repo:o/*:x", "repo:o@1/*:x"], &[("o/*", BOTH)]),
            (&["repo:o@*/r@*:*"], &[("o/r", IMMUTABLE)]),
            (&["repo:o@1?/r@2*:x", "repo:o@*/s@7:x"], &[("o/r", IMMUTABLE), ("o/s", IMMUTABLE)]),
            (&["repo:*"], &[("*", BOTH)]),
            (&["*o/r:x"], &[("*o/r", CLASSIC)]),
            (&["repo:oo/r:x", "environment:prod"], &[]),
        ] {
            let condition = json!({"StringLike": {"token.actions.githubusercontent.com:sub": subjects}});
            let policy = json!({"Statement": {"Effect": "Allow", "Condition": condition}});
            let expected = expected.iter().map(|(name, forms)| ((*name).to_owned(), *forms)).collect();
            assert_eq!(unpaired_forms_of_owner(&policy, "O", None), expected, "{subjects:?}");
        }
    }

    #[test]
    fn a_form_is_alone_where_the_other_one_lacks_the_same_jobs() {
        for (subjects, classic, immutable) in [
            (&["repo:o/r:ref:refs/heads/main"][..], true, false),
            (&["repo:o@1/r@2:ref:refs/heads/main"], false, true),
            (&["repo:o/r:pull_request", "repo:o@1/r@2:pull_request"], false, false),
            (&["repo:o/r:ref:refs/heads/main", "repo:o@1/r@2:environment:prod"], true, true),
            (&["repo:o/r:ref:refs/heads/main", "repo:o@1/r@2:ref:refs/heads/*"], false, true),
            (&["repo:o/r*", "repo:o@1/r@2:*"], false, false),
            (&["live:repo:o/r", "repo:o@1/r@2"], true, true),
            (&["repo:o/r2:x", "repo:o@1/r2@2:x", "repo:p/r:x", "repo:oo@1/r@2:x"], false, false),
            // GitHub writes names in one case, and takes them in any.
            (&["repo:O/R:ref:refs/heads/main"], true, false),
            (&["repo:O@1/R@2:ref:refs/heads/main"], false, true),
            // Whole owners, and wildcards behind the name.
            (&["repo:o/*:ref:refs/heads/main"], true, false),
            (&["repo:o/*"], true, false),
            (&["repo:o@1/*:ref:refs/heads/main"], false, true),
            (&["repo:o/*:pull_request", "repo:o@1/*:pull_request"], false, false),
            (&["repo:o/r*"], true, false),
            (&["repo:o/?:*"], true, false),
            (&["environment:live:repo:o/r"], true, false),
            (&["*o/r:ref:refs/heads/main"], true, false),
            (&["*/r:x", "repo:o@1/r@2:x"], false, false),
            (&["*:o/r:x", "*:environment:prod"], false, false),
            // Patterns that stretch over the ids, too.
            (&["repo:o*/r*:*"], false, false),
            (&["repo:*"], false, false),
            (&["repo:o@*/r@*:*"], false, true),
            (&["repo:o@1/r@*:*"], false, true),
            (&["repo:o@*/r@2:*"], false, true),
            (&["repo:o@1*/r@*2:*"], false, true),
            (&["repo:o@1?/r@???"], false, true),
            (&["repo:o@/r@2", "repo:o@1/r@2x", "repo:o@1/x@*"], false, false),
            (&["repo:p/*", "repo:o/x*"], false, false),
            (&[], false, false),
        ] {
            let condition = json!({"StringLike": {"token.actions.githubusercontent.com:sub": subjects}});
            let policy = json!({"Statement": {"Effect": "Allow", "Condition": condition}});
            let forms = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
            assert_eq!(forms, UnpairedForms { classic, immutable }, "{subjects:?}");
        }
    }

    #[test]
    fn a_twin_has_no_further_conditions_and_no_other_id() {
        let statement = |subject: &str, claims: &[(&str, &str)]| {
            let mut condition = json!({"token.actions.githubusercontent.com:sub": subject});
            for (claim, value) in claims {
                condition[format!("token.actions.githubusercontent.com:{claim}")] = json!(value);
            }
            json!({"Effect": "Allow", "Condition": {"StringEquals": condition}})
        };
        let (classic, immutable) = ("repo:o/r:x", "repo:o@1/r@2:x");
        let both_actors: &[(&str, &str)] = &[("actor_id", "7")];
        for (of_classic, of_immutable, forms) in [
            (&[("repository_id", "2")][..], &[][..], (false, false)),
            (&[("repository_id", "3")], &[], (true, true)),
            (both_actors, both_actors, (false, false)),
            (both_actors, &[], (false, true)),
            (both_actors, &[("actor_id", "8")], (true, true)),
        ] {
            let policy = json!({"Statement": [statement(classic, of_classic), statement(immutable, of_immutable)]});
            let UnpairedForms { classic, immutable } =
                unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
            assert_eq!((classic, immutable), forms, "{policy}");
        }
    }

    #[test]
    fn subjects_that_nobody_has_or_that_are_kept_out_are_no_twins() {
        let key = "token.actions.githubusercontent.com:sub";
        let allow = |condition: Value| json!({"Effect": "Allow", "Condition": condition});
        let both = || allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@1/r@2:x"]}}));
        let deny = |condition: Value| json!({"Effect": "Deny", "Condition": condition});
        let like = |patterns: &[&str]| json!({"StringLike": {key: patterns}});
        let not_like = |patterns: &[&str]| json!({"StringNotLike": {key: patterns}});
        let wild = |condition: Value| {
            let mut statement = like(&["repo:o/r:*", "repo:o@*/r@*:*"]);
            statement.as_object_mut().unwrap().extend(condition.as_object().unwrap().clone());
            allow(statement)
        };
        for (statements, classic, immutable) in [
            (json!([both()]), false, false),
            // Ids of another repository or owner.
            (json!([allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@1/r@3:x"]}}))]), true, false),
            (json!([allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@9/r@2:x"]}}))]), true, false),
            (json!([both(), deny(like(&["repo:o@*"]))]), true, false),
            (json!([both(), deny(not_like(&["repo:o/*"]))]), true, false),
            (json!([both(), deny(like(&["repo:o/*"]))]), false, true),
            (json!([both(), deny(like(&["repo:p/*"]))]), false, false),
            (json!([both(), deny(json!({"StringLike": {key: "repo:o@*", "i:ref": "x"}}))]), true, false),
            (json!([wild(not_like(&["repo:*@*"]))]), true, false),
            (json!([wild(json!({}))]), false, false),
            // As much of either form.
            (json!([wild(not_like(&["*:*:*:*:*"]))]), false, false),
            (json!([wild(json!({})), deny(like(&["*:pull_request"]))]), false, false),
        ] {
            let policy = json!({"Statement": statements});
            let ids = RepositoryIds { owner: Some(1), repository: Some(2) };
            let forms = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), ids);
            assert_eq!(forms, UnpairedForms { classic, immutable }, "{statements}");
        }
        let policy = json!({"Statement": allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@9/r@2:x"]}}))});
        let forms = &unpaired_forms_of_owner(&policy, "o", Some(1))["o/r"];
        assert_eq!(*forms, UnpairedForms { classic: true, immutable: false });
    }

    /// A policy of others may be as long as IAM lets it be.
    #[test]
    fn the_forms_of_the_longest_policy_take_bounded_work() {
        const LONGEST: usize = 8192;
        let half = (0..170).map(|n| format!("repo:o*/*:{n}")).chain((0..170).map(|n| format!("repo:o/{n}:x")));
        let alike = (0..560).map(|_| "repo:o*/*:x".to_owned());
        let stars = (0..36).map(|n| format!("repo:o{}/{n}:{}!", "*".repeat(80), "*".repeat(80)));
        for subjects in [half.collect::<Vec<_>>(), alike.collect(), stars.collect()] {
            let condition = json!({"StringLike": {"token.actions.githubusercontent.com:sub": subjects}});
            let policy = json!({"Statement": {"Effect": "Allow", "Condition": condition}});
            assert!(policy.to_string().len() < LONGEST + 200, "{}", policy.to_string().len());
            let before = STEPS.get();
            let _ = unpaired_forms_of_owner(&policy, "o", None);
            let _ = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
            let steps = STEPS.get() - before;
            assert!(steps < LONGEST * LONGEST / 8, "{steps} steps for {}", subjects[0]);
        }
    }

    /// Each condition that keeps subjects out is held against each subject.
    #[test]
    fn the_exclusions_of_the_longest_policy_take_bounded_work() {
        const LONGEST: usize = 8192;
        let key = "token.actions.githubusercontent.com:sub";
        let subjects: Vec<String> = (0..180).map(|n| format!("repo:o*/r*:{n}*x")).collect();
        let excluded: Vec<String> = (0..180).map(|n| format!("repo:o*/*r*:*y{n}")).collect();
        for operator in ["StringLike", "StringNotLike"] {
            let allow = json!({"Effect": "Allow", "Condition": {"StringLike": {key: subjects}}});
            let deny = json!({"Effect": "Deny", "Condition": {operator: {key: excluded}}});
            let policy = json!({"Statement": [allow, deny]});
            assert!(policy.to_string().len() < LONGEST, "{}", policy.to_string().len());
            let before = STEPS.get();
            let _ = unpaired_forms_of_owner(&policy, "o", None);
            let _ = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
            let steps = STEPS.get() - before;
            assert!(steps < LONGEST * LONGEST, "{steps} steps for {operator}");
        }
    }
}
