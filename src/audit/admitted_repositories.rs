//! The owners and repositories at GitHub that a role lets in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grade::{AuditFinding, Grade};
use super::made_up_job::Named;
use super::named_in_policy::named;
use crate::iam_policy::document::allowed_values;

/// An owner at GitHub and a repository, or `*` for every one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Source {
    /// The owner.
    pub owner: String,
    /// The repository.
    pub repository: String,
}

/// The owners and repositories that a policy lets in, by the names in it: owner, and repository or `*`. Where it names none,
/// those of the ids in it, or of a token that gets in.
pub(super) fn sources(policy: &Value, findings: &[AuditFinding]) -> BTreeSet<Source> {
    let source = |owner: &str, repository: &str| Source { owner: owner.to_owned(), repository: repository.to_owned() };
    if findings.iter().any(|finding| finding.grade == Grade::Open) {
        return [source("*", "*")].into();
    }
    let subjects = allowed_values(policy, "sub").into_iter().filter_map(named);
    let repositories = allowed_values(policy, "repository").into_iter().map(|name| format!("repo:{name}"));
    let owners = allowed_values(policy, "repository_owner").into_iter().map(|owner| format!("repo:{owner}/*"));
    let claims: Vec<String> = repositories.chain(owners).collect();
    let claims = claims.iter().filter_map(|subject| named(subject));
    let known = |named: Named| Some(source(&named.owner.ok()?, named.name.as_deref().unwrap_or("*")));
    let found: BTreeSet<Source> = subjects.chain(claims).filter_map(known).collect();
    if !found.is_empty() {
        return found;
    }
    let repository_ids =
        allowed_values(policy, "repository_id").into_iter().map(|id| source(&format!("repository id {id}"), "*"));
    let owner_ids =
        allowed_values(policy, "repository_owner_id").into_iter().map(|id| source(&format!("owner id {id}"), "*"));
    let found: BTreeSet<Source> = repository_ids.chain(owner_ids).collect();
    if !found.is_empty() {
        return found;
    }
    let proven = findings.iter().filter_map(|finding| finding.proof.get("repository")?.split_once('/'));
    proven.map(|(owner, repository)| source(owner, repository)).collect()
}
