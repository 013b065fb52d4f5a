//! The forms of subject under which trust policies admit a repository.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::allowed_values;
use super::string_like::string_like;
use crate::github::name::Repository;

/// The forms of a repository's subject that a policy admits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmittedForms {
    /// Subjects with names only.
    pub classic: bool,
    /// Subjects with ids.
    pub immutable: bool,
}

impl AdmittedForms {
    /// Returns true if one of the two forms is admitted and the other one is not.
    #[must_use]
    pub fn is_one(self) -> bool {
        self.classic != self.immutable
    }
}

/// Returns the forms under which a policy admits a repository. GitHub takes names in any case for the same, and so does
/// this: a role that is overlooked would be locked out.
#[must_use]
pub fn admitted_forms(policy: &Value, repository: &Repository) -> AdmittedForms {
    forms_of(&named(policy), &repository.to_string().to_ascii_lowercase())
}

/// Returns the forms under which a policy admits the repositories of an owner: one by its name, several by their pattern.
#[must_use]
pub fn admitted_forms_of_owner(policy: &Value, owner: &str) -> BTreeMap<String, AdmittedForms> {
    let (all, owner) = (named(policy), owner.to_ascii_lowercase());
    let is_of_owner = |name: &String| string_like(name.split('/').next().unwrap_or_default(), &owner);
    let plain = all.iter().map(|name| without_ids(name)).filter(is_of_owner);
    plain.map(|name| (name.clone(), forms_of(&all, &name))).collect()
}

/// The repositories that the subjects of a policy name, in lower case.
fn named(policy: &Value) -> Vec<String> {
    let mut named = Vec::new();
    for subject in allowed_values(policy, "sub") {
        let subject = subject.to_ascii_lowercase();
        let words: Vec<&str> = subject.split(':').collect();
        // The repository is at the beginning of a subject, or behind the keys that a template puts before it.
        named.extend(words.windows(2).filter(|pair| pair[0] == "repo").map(|pair| pair[1].to_owned()));
    }
    named
}

fn forms_of(named: &[String], repository: &str) -> AdmittedForms {
    // A policy may admit any ids, so all of them count as this one.
    let with_ids = format!("{}@0", repository.replace('/', "@0/"));
    AdmittedForms {
        classic: named.iter().any(|name| string_like(name, repository)),
        immutable: named.iter().any(|name| string_like(&with_one_id(name), &with_ids)),
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

    use super::*;

    #[test]
    fn the_repositories_of_an_owner_are_admitted_in_a_form_each() {
        const CLASSIC: AdmittedForms = AdmittedForms { classic: true, immutable: false };
        const IMMUTABLE: AdmittedForms = AdmittedForms { classic: false, immutable: true };
        const BOTH: AdmittedForms = AdmittedForms { classic: true, immutable: true };
        for (subjects, expected) in [
            (&["repo:O/r:pull_request", "repo:p/r:pull_request"][..], &[("o/r", CLASSIC)][..]),
            (&["repo:o/r:x", "repo:o@1/s@2:x"], &[("o/r", CLASSIC), ("o/s", IMMUTABLE)]),
            (&["repo:o/r:x", "repo:o@1/r@2:x"], &[("o/r", BOTH)]),
            (&["repo:o/*:x", "repo:o@1/r@2:x"], &[("o/*", CLASSIC), ("o/r", BOTH)]),
            (&["repo:o/*:x", "repo:o@1/*:x"], &[("o/*", BOTH)]),
            (&["repo:o@*/r@*:*"], &[("o/r", IMMUTABLE)]),
            (&["repo:o@1?/r@2*:x", "repo:o@*/s@7:x"], &[("o/r", IMMUTABLE), ("o/s", IMMUTABLE)]),
            (&["repo:*"], &[("*", BOTH)]),
            (&["repo:oo/r:x", "environment:prod"], &[]),
        ] {
            let condition = json!({"StringLike": {"token.actions.githubusercontent.com:sub": subjects}});
            let policy = json!({"Statement": {"Effect": "Allow", "Condition": condition}});
            let expected = expected.iter().map(|(name, forms)| ((*name).to_owned(), *forms)).collect();
            assert_eq!(admitted_forms_of_owner(&policy, "O"), expected, "{subjects:?}");
        }
    }

    #[test]
    fn a_policy_names_a_repository_in_either_form_and_not_its_neighbours() {
        for (subjects, classic, immutable) in [
            (&["repo:o/r:ref:refs/heads/main"][..], true, false),
            (&["repo:o@1/r@2:ref:refs/heads/main"], false, true),
            (&["repo:o/r:pull_request", "repo:o@1/r@2:pull_request"], true, true),
            (&["repo:o/r2:x", "repo:o@1/r2@2:x", "repo:p/r:x", "repo:oo@1/r@2:x"], false, false),
            // GitHub writes names in one case, and takes them in any.
            (&["repo:O/R:ref:refs/heads/main"], true, false),
            (&["repo:O@1/R@2:ref:refs/heads/main"], false, true),
            // Whole owners, and wildcards behind the name.
            (&["repo:o/*:ref:refs/heads/main"], true, false),
            (&["repo:o/*"], true, false),
            (&["repo:o@1/*:ref:refs/heads/main"], false, true),
            (&["repo:o/*:pull_request", "repo:o@1/*:pull_request"], true, true),
            (&["repo:o/r*"], true, false),
            (&["repo:o/?:*"], true, false),
            (&["environment:live:repo:o/r"], true, false),
            // Patterns that stretch over the ids, too.
            (&["repo:o*/r*:*"], true, true),
            (&["repo:*"], true, true),
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
            let forms = admitted_forms(&policy, &Repository::parse("o/r").unwrap());
            assert_eq!(forms, AdmittedForms { classic, immutable }, "{subjects:?}");
        }
    }
}
