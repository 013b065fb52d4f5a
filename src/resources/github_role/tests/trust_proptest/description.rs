//! The jobs that an entry describes, by our own documentation.

use serde_json::Value;

use super::jobs::{ACTORS, ORGANISATION, RandomJob, Repo};

fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], text)
                || text.chars().next().is_some_and(|first| glob(pattern, &text[first.len_utf8()..]))
        }
        (Some('?'), Some(first)) => glob(&pattern[1..], &text[first.len_utf8()..]),
        (Some(wanted), Some(first)) if wanted == first => {
            glob(&pattern[wanted.len_utf8()..], &text[first.len_utf8()..])
        }
        _ => false,
    }
}

fn one_of(list: &Value, text: &str) -> bool {
    list.as_array().into_iter().flatten().any(|pattern| glob(pattern.as_str().unwrap(), text))
}

/// Returns true if an entry is about the repository of a job, and true if the subjects of that tell the ref and no context.
fn scope(entry: &Value, known: &[Repo], job: &RandomJob) -> (bool, bool) {
    let RandomJob { repo, .. } = job;
    if entry["Repository"] == ORGANISATION {
        // A repository with a template of its own needs an entry of its own, unless its subjects look like the default.
        let looks = [None, Some(vec!["repo", "ref"])].into_iter().position(|template| template == repo.template);
        let all =
            entry["AllJobs"] == true && repo.template.as_ref().is_none_or(|keys| keys[0] == "repo" && keys.len() > 1);
        return ((looks.is_some() || all) && repo.name.starts_with("acme/") && repo.owner_id == 1, looks == Some(1));
    }
    let meant = known.iter().find(|repo| Some(repo.name) == entry["Repository"].as_str()).unwrap();
    let by_ref = meant.template.as_ref().is_some_and(|keys| !keys.contains(&"context"));
    (meant.id == repo.id, by_ref)
}

/// Returns true if an entry describes the context of a job.
fn describes_context(entry: &Value, job: &RandomJob, by_ref: bool) -> bool {
    let is_organisation = entry["Repository"] == ORGANISATION;
    if entry["AllJobs"] == true {
        return true;
    }
    let is_default = job.repo.template.is_none() || !is_organisation;
    if !is_default && !by_ref {
        return false;
    }
    if job.environment.is_some_and(|name| one_of(&entry["Environments"], name)) && !(is_organisation && by_ref) {
        return true;
    }
    let reference = job.reference();
    // Where the subject says nothing of the context, the refs are those of all jobs, also of such with an environment.
    if by_ref || (job.environment.is_none() && !job.is_pull_request()) {
        let named = |member: &str, prefix: &str| {
            reference.strip_prefix(prefix).is_some_and(|name| one_of(&entry[member], name))
        };
        let is_any =
            entry["AnyRef"] == true && ["refs/heads/", "refs/tags/"].iter().any(|kind| reference.starts_with(kind));
        if is_any || named("Branches", "refs/heads/") || named("Tags", "refs/tags/") {
            return true;
        }
    }
    entry["PullRequests"] == true
        && if by_ref {
            reference.starts_with("refs/pull/") && !is_organisation
        } else {
            job.is_pull_request() && job.environment.is_none()
        }
}

/// Returns true if one of the whole subjects of an entry is that of a job, of the repository that it names today, and of the
/// one that the entry says beside it. A wildcard stands for no colon, but for everything else at the end.
fn describes_subject(entry: &Value, known: &[Repo], (job, sub): (&RandomJob, &str)) -> bool {
    // A declared repository that has the name of another one is let in for the jobs that it is declared for.
    let name = known.iter().find(|repo| repo.id == job.repo.id).map_or(job.repo.name, |repo| repo.name);
    let sub = sub.replacen(&format!("repo:{}:", job.repo.name), &format!("repo:{name}:"), 1);
    let sub = sub.as_str();
    let meant = known.iter().find(|repo| {
        Some(repo.name) == entry["Repository"].as_str() || entry["RepositoryId"].as_str() == Some(&repo.id.to_string())
    });
    if meant.is_some_and(|meant| meant.id != job.repo.id) {
        return false;
    }
    let mut subjects = entry["Subjects"].as_array().into_iter().flatten().filter_map(Value::as_str);
    subjects.any(|subject| {
        let colons = |text: &str| text.matches(':').count();
        let fits = glob(subject, sub) && (subject.ends_with(":*") || colons(subject) == colons(sub));
        let named = known.iter().find(|repo| subject.contains(&format!("repo:{}:", repo.name)));
        fits && named.is_none_or(|meant| meant.id == job.repo.id)
    })
}

/// Returns true if the documentation of an entry describes a job, whose token has this subject.
pub(super) fn describes(entry: &Value, known: &[Repo], job: &RandomJob, sub: &str) -> bool {
    let is_whole = !entry["Subjects"].is_null();
    let (is_about, by_ref) =
        if is_whole { (describes_subject(entry, known, (job, sub)), false) } else { scope(entry, known, job) };
    let actor = |actor: &Value| {
        let text = actor.as_str().unwrap();
        ACTORS.iter().any(|(name, id)| (text == *name || text == id.to_string()) && *id == job.actor)
    };
    is_about
        && (is_whole || describes_context(entry, job, by_ref))
        && (entry["Refs"].is_null() || one_of(&entry["Refs"], &job.reference()))
        && entry["TemplateClaims"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|claim| one_of(&claim["Values"], if claim["Name"] == "workflow" { job.title } else { job.tier }))
        && (entry["Workflows"].is_null() || one_of(&entry["Workflows"], job.workflow))
        && entry["Actors"].as_array().is_none_or(|actors| actors.iter().any(actor))
        && entry["EnterpriseId"].as_str().is_none_or(|id| id == job.enterprise.to_string())
        && job.audience == "sts.amazonaws.com"
}
