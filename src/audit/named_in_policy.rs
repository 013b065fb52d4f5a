//! The words of a trust policy from which jobs are made that could fit it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::made_up_job::{Context, Named};
use crate::github::claim_values::number;
use crate::github::name::Repository;
use crate::github::subject::without_ids;
use crate::iam_policy::document::mentioned_values;

/// Replaces wildcards by letters: a value that the pattern matches.
pub(super) fn filled(pattern: &str) -> String {
    pattern.replace("${*}", "*").replace("${?}", "?").replace("${$}", "$").replace(['*', '?'], "x")
}

fn is_wild(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The repository that a subject names, as far as it names one.
pub(super) fn named(subject: &str) -> Option<Named> {
    let start = subject.find("repo:").or_else(|| subject.find("repository:").map(|at| at + "repository:".len() - 5))?;
    let text = subject[start + 5..].split(':').next().unwrap_or_default();
    let (owner, repository) = text.split_once('/').unwrap_or((text, "*"));
    let (owner, owner_id) = part(owner);
    let (name, id) = part(repository);
    Some(Named { owner, owner_id, name, id })
}

/// The repository of a subject, if no repository can have that name.
pub(super) fn no_repository(subject: &str) -> Option<String> {
    let repository = without_ids(subject.strip_prefix("repo:")?.split(':').next()?);
    // A variable of the policy may stand for a name.
    let is_open = is_wild(&repository) || repository.contains('$');
    (!is_open && Repository::parse(&repository).is_err()).then_some(repository)
}

/// A name, if it has no wildcard, and an id, if it is one number.
fn part(text: &str) -> (Result<String, String>, Option<u64>) {
    let (name, id) = text.split_once('@').map_or((text, None), |(name, id)| (name, number(id)));
    (if is_wild(name) { Err(filled(name)) } else { Ok(name.to_owned()) }, id)
}

/// The contexts of jobs that a subject may be about, beside those of every repository.
pub(super) fn contexts(subject: &str) -> BTreeSet<Context> {
    let mut found = BTreeSet::new();
    let behind = |key: &str| {
        let at = subject.find(key)? + key.len();
        subject.get(at..).map(|rest| rest.split(':').next().unwrap_or_default())
    };
    // A `*` may stand for letters or for nothing.
    let values = |text: &str| [filled(text), text.replace(['*', '?'], "")];
    for value in behind("ref:refs/heads/").into_iter().flat_map(values).filter(|value| !value.is_empty()) {
        found.insert(Context::Branch(value));
    }
    for value in behind("ref:refs/tags/").into_iter().flat_map(values).filter(|value| !value.is_empty()) {
        found.insert(Context::Tag(value));
    }
    for value in behind("environment:").into_iter().flat_map(values).filter(|value| !value.is_empty()) {
        found.insert(Context::Environment(value.replace("%3A", ":")));
    }
    found
}

/// The contexts that the claims `environment` and `ref` of a policy name.
pub(super) fn contexts_of_claims(policy: &Value) -> BTreeSet<Context> {
    let environments =
        mentioned_values(policy, "environment").into_iter().map(|name| Context::Environment(filled(name)));
    let refs = mentioned_values(policy, "ref").into_iter().filter_map(|name| {
        let name = filled(name);
        let branch = name.strip_prefix("refs/heads/").map(|name| Context::Branch(name.to_owned()));
        branch.or_else(|| name.strip_prefix("refs/tags/").map(|name| Context::Tag(name.to_owned())))
    });
    environments.chain(refs).collect()
}

/// The repositories that the claims `repository`, `repository_owner` and those of ids name.
pub(super) fn named_by_claims(policy: &Value) -> Vec<Named> {
    let repositories = mentioned_values(policy, "repository").into_iter().map(str::to_owned);
    let owners = mentioned_values(policy, "repository_owner").into_iter().map(|owner| format!("{owner}/*"));
    // Names do not matter where ids alone are compared.
    let by_id =
        mentioned_values(policy, "repository_id").into_iter().map(|id| format!("owner-of-{id}/repository-{id}"));
    let by_owner_id = mentioned_values(policy, "repository_owner_id").into_iter().map(|id| format!("owner-{id}/*"));
    let all = repositories.chain(owners).chain(by_id).chain(by_owner_id);
    all.filter_map(|name| named(&format!("repo:{name}"))).collect()
}

/// The ids that a claim of a policy names, a few of them.
pub(super) fn ids(policy: &Value, claim: &str) -> Vec<u64> {
    mentioned_values(policy, claim).into_iter().filter_map(number).take(20).collect()
}

/// The subjects that name nobody's account: anybody may have them by a subject template of their own.
pub(super) fn of_anybody(subject: &str) -> Option<String> {
    const IDENTITY: [&str; 7] =
        ["repo", "repository", "repository_id", "repository_owner", "repository_owner_id", "actor", "enterprise"];
    let keys = ["job_workflow_ref:", "environment:", "ref:", "workflow:", "workflow_ref:", "context:"];
    let is_template = keys.iter().any(|key| subject.starts_with(key));
    let names_somebody = subject.split(':').any(|word| IDENTITY.contains(&word));
    (is_template && !names_somebody).then(|| filled(subject))
}
