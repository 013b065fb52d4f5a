//! The change that would meet a condition: the member of `Trust` that is about it, with a value that the member takes.

use serde_json::Value;

use super::subject_differences::{CONTEXT, OtherParts, SubjectPart, fits, template_keys};
use super::token_job::{TokenJob, Trusted, other_user, plain, repository_of, stranger};
use crate::github::Issuer;
use crate::github::name;
use crate::github::subject::{self, pairs};
use crate::iam_policy::evaluate::{FailedCondition, TokenClaims};
use crate::iam_policy::string_like::string_like;
use crate::resources::github_role::TrustedNames;

/// The claims of members that differ from job to job, beside the subject.
const OF_JOB: [&str; 7] = ["ref", "environment", "job_workflow_ref", WORKFLOW, "actor", "actor_id", "enterprise_id"];

/// Describes the change that would meet a condition of a statement, of which all these fail. No change lets in somebody who has the
/// name of another one whom the role trusts. The members of one entry are combined, so that a job that differs in several of them
/// is let in by an entry of its own.
pub(super) fn change(
    (failed, all): (&FailedCondition, &[FailedCondition]),
    token: &TokenClaims,
    known: &TrustedNames,
    statement: &Value,
    is_nearest: bool,
) -> String {
    let (job, trusted) = (TokenJob::of(token), Trusted::of(statement));
    let claim = claim_of(failed);
    let is_user = |key: &str| matches!(key, "actor" | "actor_id");
    let tells_user = is_user(claim) || (claim == "sub" && pairs(job.subject).any(|(key, _)| is_user(key)));
    let user = || other_user(known, &job, &trusted).filter(|_| tells_user);
    if let Some(told) = stranger(known, &job).or_else(user) {
        return told;
    }
    if !is_nearest {
        return "nothing: another statement is nearer to the job".to_owned();
    }
    let found = failed.found.as_ref().and_then(|values| values.first()).map(String::as_str);
    let about = trusted.about(&job);
    let is_of_job = |failed: &&FailedCondition| claim_of(failed) == "sub" || OF_JOB.contains(&claim_of(failed));
    let several = all.iter().filter(is_of_job).count() > 1 && !about.is_empty();
    match (claim, found) {
        (claim, Some(value)) if several && OF_JOB.contains(&claim) && !is_excluded(failed, value, &trusted) => {
            let of_claim = if claim == "ref" { refs(value) } else { member(claim, value, &job) };
            format!("{of_claim}, {}", in_second(&entry_of(&about)))
        }
        (_, Some(value)) if is_excluded(failed, value, &trusted) => {
            format!("the policy excludes {value:?}: change it where it is written")
        }
        ("sub", Some(subject)) if pattern_by_letter(failed, subject).is_some() => BY_LETTER.to_owned(),
        ("sub", Some(_)) => for_subject(&job, &trusted, several),
        ("aud", Some(audience)) => for_audience(audience, &failed.expected),
        ("repository" | "repository_id" | "repository_owner_id", Some(_)) => no_entry(&job, &trusted),
        ("ref", Some(value)) => for_ref(value, &job, &trusted),
        // A role compares users by their ids.
        ("actor", Some(name)) => list_user(name),
        (_, Some(value)) => member(claim, value, &job),
        (_, None) if token.claims.contains_key(claim) => format!(
            "STS reads no claim `{claim}` of this issuer's tokens, so that this is never met: compare a claim that it reads, or \
             the subject"
        ),
        ("environment", None) if !job.subject.contains("environment:") => {
            "the job has to name an environment (`environment:` in the workflow)".to_owned()
        }
        (_, None) => format!("the claims have no `{claim}`: give all claims of the token"),
    }
}

/// The claim of a condition's key.
pub(super) fn claim_of(failed: &FailedCondition) -> &str {
    failed.key.rsplit(':').next().unwrap_or_default()
}

/// Describes the change of a Deny that applies, but to a stranger.
pub(super) fn denied(token: &TokenClaims, known: &TrustedNames) -> String {
    let changed = || "change this `Deny`, if the job is meant to get in".to_owned();
    stranger(known, &TokenJob::of(token)).unwrap_or_else(changed)
}

/// The change of a pattern that is compared letter by letter.
pub(super) const BY_LETTER: &str = "write `StringLike`, or better the subjects that you mean";

/// The pattern that a value would fit, if `StringEquals` did not compare it letter by letter.
pub(super) fn pattern_by_letter<'a>(failed: &'a FailedCondition, value: &str) -> Option<&'a String> {
    let is_literal = failed.operator.ends_with("StringEquals");
    failed.expected.iter().find(|pattern| is_literal && string_like(pattern, value))
}

/// Returns true if a condition excludes a value. It is not about a subject that no trusted one fits word by word, which is of another
/// template.
fn is_excluded(failed: &FailedCondition, value: &str, trusted: &Trusted) -> bool {
    let is_subject = failed.key.ends_with(":sub");
    failed.operator.contains("Not") && (!is_subject || trusted.subjects.iter().any(|other| fits(other, value)))
}

fn for_audience(audience: &str, expected: &[String]) -> String {
    let asked = format!(
        "in the workflow, ask for the audience {} (`audience` of configure-aws-credentials)",
        expected.join(" or ")
    );
    if audience.contains(['*', '?']) || audience.contains("${") || name::in_policy(audience).is_err() {
        return asked;
    }
    format!("{asked}, or set the role's `Audience` to {audience}, which the provider has to have in its `ClientIdList`")
}

fn no_entry(job: &TokenJob<'_>, trusted: &Trusted) -> String {
    let Some(repository) = &job.repository else {
        return format!("no entry of `Trust` is about the repository {}: add one", job.subject);
    };
    if let Some(former) = trusted.former_name(job) {
        return format!(
            "the repository {former} was renamed or transferred, and its tokens say {repository}: write `Repository: {repository}`"
        );
    }
    let namesake = trusted.repositories().find(|other| {
        other.split_once('/').is_some_and(|(owner, name)| name == repository.name() && owner != repository.owner())
    });
    match namesake {
        Some(other) => format!(
            "no entry of `Trust` is about the repository {repository}, which may be a fork of {other}: let the job run in {other}, \
             or add an entry if you trust the owner of the fork"
        ),
        None => format!("no entry of `Trust` is about the repository {repository}: add one"),
    }
}

/// Describes the member that lets in a ref. Beside a context in the subject it is `Refs`. Without one, the policy does not tell.
fn for_ref(value: &str, job: &TokenJob<'_>, trusted: &Trusted) -> String {
    let about = trusted.about(job);
    let has_context = |subject: &str| template_keys(subject).contains(&CONTEXT);
    let is_beside_context = match job.repository {
        Some(_) => about.iter().any(|subject| has_context(subject)),
        None => trusted.subjects.iter().any(|subject| has_context(subject)),
    };
    if is_beside_context {
        return refs(value);
    }
    let entry = entry_of(&about);
    format!("{} in the entry of {entry}{}", member("ref", value, job), with_refs(value, &entry))
}

fn for_subject(job: &TokenJob<'_>, trusted: &Trusted, several: bool) -> String {
    let about = trusted.about(job);
    let subject = plain(job.subject);
    if let Some(other) = about.iter().find(|other| fits(&plain(other), &subject)) {
        return other_form(job, other, trusted.is_pinned(job));
    }
    let lower = plain(&job.subject.to_lowercase());
    // The context of another case is another one.
    let is_about = |other: &&String| about.contains(&other.as_str());
    let in_any_case = |other: &&String| !is_about(other) && fits(&plain(other).to_lowercase(), &lower);
    if let Some(other) = trusted.subjects.iter().find(in_any_case) {
        return format!("only the case differs from {other}: write the names as GitHub does");
    }
    if about.is_empty() {
        return no_entry(job, trusted);
    }
    match OtherParts::nearest(job.subject, &about) {
        Some(other) => for_parts(job, &other, &entry_of(&about), several),
        None => other_template(job, &about, trusted.is_pinned(job)),
    }
}

/// Describes the members that lead from a trusted subject of the same template to that of the job.
fn for_parts(job: &TokenJob<'_>, other: &OtherParts<'_>, entry: &str, several: bool) -> String {
    let context = other.context();
    let change = |part: &SubjectPart<'_>| match (part.template_key, context, part.value.unwrap_or_default()) {
        ("ref", None, value) => Some(refs(value)),
        // They are those of the other context.
        ("ref", Some(_), _) => None,
        ("environment", Some(context), _) if context.key == "environment" => None,
        (_, _, value) => Some(member(part.key, value, job)),
    };
    // No member of `Trust` lets in a job that says less than the template.
    if let Some(unnamed) = other.parts.iter().find(|part| part.key == "environment" && part.value == Some("")) {
        return member(unnamed.key, "", job);
    }
    let changes: Vec<String> = other.parts.iter().filter_map(change).collect();
    let is_second = several || (context.is_some() && changes.len() > 1);
    let changes = changes.join(" and ");
    if is_second {
        return format!("{changes} {}", in_second(entry));
    }
    let beside = other.reference.filter(|_| context.is_some()).map(|on| with_refs(on, entry)).unwrap_or_default();
    format!("{changes} in the entry of {entry}{beside}")
}

/// The entry for a job that differs in several members: the first one with all changes would let in every combination.
fn in_second(entry: &str) -> String {
    format!("in a second entry of {entry}, with the other narrowing members of the first")
}

/// The entry for a job on another ref, where the present one has `Refs`. A policy does not tell if they narrowed its subjects.
fn with_refs(on: &str, entry: &str) -> String {
    if name::full_ref(on).is_err() {
        return String::new();
    }
    format!("; if that has `Refs`, write a second entry of {entry} instead, with {:?} under `Refs`", ref_member(on))
}

/// Describes a subject whose ids alone are other than trusted.
fn other_form(job: &TokenJob<'_>, other: &str, is_pinned: bool) -> String {
    let has_ids = plain(job.subject) != job.subject;
    let (has, wants) = if has_ids { ("with", "without") } else { ("without", "with") };
    let ids = match (job.owner_id, job.repository_id) {
        // No id says who is meant: it may be somebody who has taken over the name.
        (Some(owner), Some(id)) if has_ids && !is_pinned => format!(
            ", and `OwnerId: {owner}` and `RepositoryId: {id}`, if these are the ids of the repository that you mean"
        ),
        _ => String::new(),
    };
    format!(
        "the repository sends subjects {has} ids, and the policy wants them {wants} ({other}): update the role's stack, with \
         `SubjectFormat: Auto` or the form that fits{ids}"
    )
}

/// The entry that subjects come from.
fn entry_of(about: &[&str]) -> String {
    let value = about.iter().find_map(|subject| repository_of(subject));
    value.map_or_else(|| "this repository".to_owned(), subject::without_ids)
}

fn other_template(job: &TokenJob<'_>, about: &[&str], is_pinned: bool) -> String {
    let entry = entry_of(about);
    let made_of = |subject: &str| template_keys(subject).join(", ");
    let difference = format!(
        "the subjects of the repository are made of {}, and those that the role trusts of {}",
        made_of(job.subject),
        about.first().map(|other| made_of(other)).unwrap_or_default()
    );
    match &job.repository {
        Some(repository) if entry.ends_with("/*") => format!(
            "{difference}: `{entry}` is about repositories without a subject template of their own, so add an entry for {repository}"
        ),
        _ => {
            // No id says who is meant: it may be somebody who has taken over the name.
            let condition = if is_pinned { "" } else { "if this is the repository that you mean, " };
            format!(
                "{difference}: {condition}update the role's stack, which writes them by the repository's template of today"
            )
        }
    }
}

fn refs(value: &str) -> String {
    checked(name::full_ref(value), value, |value| format!("add {:?} to `Refs`", ref_member(value)))
}

/// The ref as a member has it: that of one pull request, or of one entry of a merge queue, is of no use for the next.
fn ref_member(value: &str) -> String {
    match value.strip_prefix("refs/heads/").and_then(branch_of_queue) {
        _ if value.starts_with("refs/pull/") => "refs/pull/*/merge".to_owned(),
        Some(queue) => format!("refs/heads/{queue}"),
        None => value.to_owned(),
    }
}

fn workflow_member(workflow: &str) -> String {
    let (file, at) = name::split_workflow(workflow).unwrap_or((workflow, ""));
    format!("{file}@{}", ref_member(at))
}

/// The branches of a merge queue that an entry's branch is of.
fn branch_of_queue(branch: &str) -> Option<String> {
    let base = branch.strip_prefix("gh-readonly-queue/")?.rsplit_once("/pr-")?.0;
    Some(format!("gh-readonly-queue/{base}/*"))
}

/// Describes the member that lets in a value of a claim.
fn member(key: &str, value: &str, job: &TokenJob<'_>) -> String {
    match key {
        "environment" if value.is_empty() => {
            "the job has to name an environment (`environment:` in the workflow)".to_owned()
        }
        "environment" => environment(value, job),
        // The ref of the next pull request, or the next entry of a merge queue, is another one.
        "workflow_ref" => {
            let workflow = job.claim(key).unwrap_or(value);
            checked(name::workflow(workflow), workflow, |workflow| template_claim(key, &workflow_member(workflow)))
        }
        "ref" => match (value.strip_prefix("refs/heads/"), value.strip_prefix("refs/tags/")) {
            (Some(branch), _) => {
                let queue = branch_of_queue(branch);
                let add = |name: &str| format!("add the branch {:?} to `Branches`", queue.as_deref().unwrap_or(name));
                checked(name::branch(branch), branch, add)
            }
            (_, Some(tag)) => checked(name::tag(tag), tag, |name| format!("add the tag {name:?} to `Tags`")),
            _ => pull_requests(),
        },
        "pull_request" => pull_requests(),
        "job_workflow_ref" => {
            let workflow = job.claim(key).unwrap_or(value);
            checked(name::workflow(workflow), workflow, |workflow| {
                format!("list {:?} under `Workflows`", workflow_member(workflow))
            })
        }
        "actor_id" => format!("{}, if that is the id of the user whom you mean", list_user(value)),
        "actor" if issuer_of(job).is_some_and(|issuer| issuer.has_key("actor_id")) => list_user(value),
        "enterprise_id" => format!("write `EnterpriseId: {value}`"),
        "repository_id" => format!("write `RepositoryId: {value}`, if that is the id of the repository that you mean"),
        "repository_owner_id" => format!("write `OwnerId: {value}`, if that is the id of the owner whom you mean"),
        "repository_owner" => format!("write `Repository: {value}/…`, if {value} is the owner whom you mean"),
        "repository_visibility" => format!("update the role's stack, because the repository is {value} now"),
        _ if OF_ONE_RUN.contains(&key) => {
            format!("take `{key}` out of the repository's subject template, because the next run has another one")
        }
        _ if subject::claim(key).is_err() => {
            format!("`Trust` compares no claim `{key}`: change the policy where it is written")
        }
        _ if value.is_empty() && subject::OF_PULL_REQUESTS_ONLY.contains(&key) => {
            format!(
                "give jobs that are not of a pull request an entry of their own, without `{key}` in `TemplateClaims`"
            )
        }
        _ if value.is_empty() => {
            format!("the job has no `{key}`: take `{key}` out of the repository's subject template")
        }
        // STS reads the name by itself, so that it may be written alike in a subject.
        WORKFLOW if issuer_of(job).is_some_and(|issuer| issuer.has_key(WORKFLOW)) => {
            let workflow = job.claim(key).unwrap_or(value);
            match subject::claim_value(workflow) {
                Ok(workflow) if !workflow.contains('*') => template_claim(key, &workflow),
                Ok(_) => cannot(workflow, "`*` is a wildcard there"),
                Err(expected) => cannot(workflow, &format!("expected {expected}")),
            }
        }
        // In a subject, two values can be written alike.
        _ if !value.contains('?') && subject::template_value(value).is_err() && subject::claim_value(value).is_ok() => {
            format!("write whole `Subjects`, because no member takes {value:?} for `{key}`")
        }
        _ => checked(subject::template_value(value), value, |value| template_claim(key, value)),
    }
}

fn template_claim(key: &str, value: &str) -> String {
    format!("add {value:?} to the `Values` of `{key}` in `TemplateClaims`")
}

/// The name of a workflow, a claim that STS reads.
const WORKFLOW: &str = "workflow";

/// The claims that every run, or every commit, has anew.
const OF_ONE_RUN: [&str; 7] =
    ["check_run_id", "job_workflow_sha", "run_attempt", "run_id", "run_number", "sha", "workflow_sha"];

fn list_user(user: &str) -> String {
    format!("list the user {user} under `Actors`")
}

fn issuer_of(job: &TokenJob<'_>) -> Option<Issuer> {
    Issuer::parse_without_scheme(&job.token.issuer).ok()
}

fn pull_requests() -> String {
    "set `PullRequests: true`, which lets in what nobody has reviewed yet".to_owned()
}

/// Two environments can have one subject: GitHub writes `:` as `%3A` there and leaves `%` as it is. The claim tells them apart.
fn environment(said: &str, job: &TokenJob<'_>) -> String {
    let add = |name: &str| {
        format!(
            "the job names an environment, which then stands in place of the branch: add {name:?} to `Environments`"
        )
    };
    let name = match job.claim("environment") {
        Some(name) => name.to_owned(),
        None if said.contains("%3A") => {
            return format!(
                "{} (or {said:?}, as the token's claim `environment` says)",
                add(&said.replace("%3A", ":"))
            );
        }
        None => said.to_owned(),
    };
    let reads_claim = issuer_of(job).is_some_and(|issuer| issuer.has_key("environment"));
    if name::needs_claim(&name) && !reads_claim {
        return cannot(&name, "two environments can have its subject, and STS reads no claim to tell them apart");
    }
    checked(name::environment(&name), &name, add)
}

/// The advice, if the member takes the value.
fn checked(checked: Result<String, String>, value: &str, advice: impl Fn(&str) -> String) -> String {
    match checked {
        Ok(value) if !value.contains(['*', '?']) => advice(&value),
        Ok(_) => cannot(value, "`*` and `?` are wildcards there"),
        Err(expected) => cannot(value, &format!("expected {expected}")),
    }
}

fn cannot(value: &str, why: &str) -> String {
    format!("{value:?} cannot be declared ({why}): give it another name at GitHub")
}
