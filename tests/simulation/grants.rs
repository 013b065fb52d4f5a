//! What a role grants: to a subject a permission, within a boundary.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::account::Object;
use super::expected_state::{
    covers, declared_inline, declared_permissions, declared_subjects, granted_permissions, normal, trusted_subjects,
};
use super::hands::declared_ids;
use super::iam::one_or_many;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub(crate) subject: String,
    pub(crate) permission: String,
    /// Empty where there is none.
    boundary: String,
}

impl Grant {
    fn is_for(&self, other: &Self) -> bool {
        self.subject == other.subject && self.permission == other.permission
    }

    /// Whether all that the other grants is granted by this: within the same boundary or without one.
    fn covers(&self, other: &Self) -> bool {
        covers(&self.subject, &other.subject)
            && self.permission == other.permission
            && (self.boundary.is_empty() || self.boundary == other.boundary)
    }
}

fn inline(role: &Object) -> BTreeMap<String, String> {
    let facets = role.facets.iter().filter_map(|(facet, value)| Some((facet.strip_prefix("inline ")?, value)));
    facets
        .map(|(name, value)| (name.to_owned(), normal(&serde_json::from_str(value).unwrap_or_default()).to_string()))
        .collect()
}

pub(crate) fn of_role(role: &Object) -> BTreeSet<Grant> {
    let facet = |name: &str| role.facets.get(name).map(String::as_str).unwrap_or_default();
    all(&trusted_subjects(facet("trust")), &granted_permissions(role), facet("boundary"))
}

/// What a declaration grants. Without a boundary in it, the one that is found may stay or go.
pub(crate) fn declared(properties: &Value, boundary_found: &str) -> BTreeSet<Grant> {
    let boundaries = match properties["PermissionsBoundary"].as_str() {
        Some(boundary) => vec![boundary],
        None => vec![boundary_found, ""],
    };
    let grants = |boundary| all(&declared_subjects(properties), &declared_permissions(properties), boundary);
    boundaries.into_iter().flat_map(grants).collect()
}

fn all(subjects: &BTreeSet<String>, permissions: &BTreeSet<String>, boundary: &str) -> BTreeSet<Grant> {
    let grant = |subject: &String, permission: &String| Grant {
        subject: subject.clone(),
        permission: permission.clone(),
        boundary: boundary.to_owned(),
    };
    subjects.iter().flat_map(|subject| permissions.iter().map(move |permission| grant(subject, permission))).collect()
}

/// What is granted now and neither by the old state nor by the new one.
pub(crate) fn too_much(old: &BTreeSet<Grant>, new: &BTreeSet<Grant>, now: &BTreeSet<Grant>) -> Vec<Grant> {
    let covered = |grant: &&Grant| old.union(new).any(|known| known.covers(grant));
    now.iter().filter(|grant| !covered(grant)).cloned().collect()
}

/// Inline documents that go to another name which has another document now, or, while one boundary is swapped for
/// another, to any other name. No order of calls keeps those from being away for a moment (`github_role::plan` says so),
/// so their loss is not held against it.
pub(crate) fn passed_on(old: &Object, properties: &Value) -> BTreeSet<String> {
    let found = inline(old);
    let declared = declared_inline(properties);
    let boundary = old.facets.get("boundary").map(String::as_str).unwrap_or_default();
    let wanted = properties["PermissionsBoundary"].as_str().unwrap_or_default();
    let swapped = !boundary.is_empty() && !wanted.is_empty() && boundary != wanted;
    let moves = |document: &&String| {
        declared
            .iter()
            .filter(|(_, declared)| declared == document)
            .any(|(name, _)| found.get(name).map_or(swapped, |other| other != *document))
    };
    found.values().filter(moves).cloned().collect()
}

/// Whether an entry declares a form of subjects that the role does not trust. A token has one form, so that none fits both trusts.
fn declares_other_form(entry: &Value, trust: &str) -> bool {
    let Some(repository) = entry["Repository"].as_str() else { return false };
    let (owner, _) = repository.split_once('/').unwrap_or_default();
    match entry["SubjectFormat"].as_str() {
        Some("Classic") => !trust.contains(&format!("\"repo:{repository}:")),
        Some("Immutable") => !trust.contains(&format!("\"repo:{owner}@")),
        _ => false,
    }
}

/// Whether the author writes an id that the role has not pinned, a whole subject or a form of subjects that it has not trusted, or
/// the name of a user whom it trusts by no name: that is somebody else, from whom nothing is taken.
pub(crate) fn declares_others(old: &Object, properties: &Value) -> bool {
    let trust = old.facets.get("trust").map(String::as_str).unwrap_or_default();
    let entries = properties["Trust"].as_array().into_iter().flatten();
    let mut subjects = entries.clone().flat_map(|entry| one_or_many(&entry["Subjects"])).filter_map(Value::as_str);
    let mut users = entries.clone().flat_map(|entry| one_or_many(&entry["Actors"])).filter_map(Value::as_str);
    let record =
        |(facet, value): (&String, &String)| facet.starts_with("tag github-trust:names").then(|| format!(" {value}"));
    let names: String = old.facets.iter().filter_map(record).collect();
    let is_new = |user: &str| user.parse::<u64>().is_err() && !names.contains(&format!(" {}=", user.to_lowercase()));
    let is_other_form = entries.clone().any(|entry| declares_other_form(entry, trust));
    let mut ids = entries.flat_map(declared_ids);
    let pinned: BTreeSet<u64> =
        trust.split(|letter: char| !letter.is_ascii_digit()).filter_map(|id| id.parse().ok()).collect();
    let is_other = is_other_form || users.any(is_new) || ids.any(|id| !pinned.contains(&id));
    is_other || subjects.any(|subject| !trust.contains(&format!("\"{subject}\"")))
}

/// What both grant, within both their boundaries, and now nothing does.
pub(crate) fn too_little(old: &BTreeSet<Grant>, new: &BTreeSet<Grant>, now: &BTreeSet<Grant>) -> Vec<Grant> {
    let kept = old.iter().filter(|old| {
        let mut both = new.iter().filter(|new| new.is_for(old));
        both.any(|new| !now.iter().any(|now| now.covers(old) || now.covers(new)))
    });
    kept.cloned().collect()
}
