//! The parts of a job's subject that are other than those of a trusted subject, where one template makes both.

use crate::github::subject::{pairs, spans_words};
use crate::iam_policy::string_like::string_like;

/// The key of a template that stands for the ref, the environment or the pull request of a job.
pub(super) const CONTEXT: &str = "context";

/// Returns true if a trusted subject lets in that of a job. A wildcard stays within its word, unless it is a word by itself.
pub(super) fn fits(trusted: &str, subject: &str) -> bool {
    let words = |subject: &str| subject.split(':').count();
    (words(trusted) == words(subject) || spans_words(trusted)) && string_like(trusted, subject)
}

/// A part of a subject.
#[derive(Clone, Copy)]
pub(super) struct SubjectPart<'a> {
    /// The key of the template: `context`, or the key that the subject has.
    pub(super) template_key: &'a str,
    pub(super) key: &'a str,
    pub(super) value: Option<&'a str>,
}

impl SubjectPart<'_> {
    /// Returns true if this part of a trusted subject lets in that of a job. A `*` is the context of `AllJobs`.
    fn fits(&self, job: &SubjectPart<'_>) -> bool {
        let fits = |(trusted, value): (&str, &str)| string_like(trusted, value);
        self.key == "*" || (self.key == job.key && self.value.zip(job.value).is_none_or(fits))
    }
}

/// The rank of a part as the context of its subject; none for other claims. A job's context is `pull_request`, its environment,
/// or else its ref. A template can say the environment and the ref beside it, too, and a job without an environment has an
/// empty one there.
fn rank((key, value): &(&str, Option<&str>)) -> Option<u8> {
    match (*key, *value) {
        ("*" | "pull_request", _) => Some(0),
        ("ref", _) | ("environment", Some("")) => Some(2),
        ("environment", _) => Some(1),
        _ => None,
    }
}

/// The most parts of one rank: a template says `context`, `ref` and `environment` once each.
const MOST_OF_A_RANK: usize = 3;

/// Reads a subject in each way in which a template can make it. They differ in the part that is the context.
fn readings(subject: &str) -> Vec<Vec<SubjectPart<'_>>> {
    let pairs: Vec<(&str, Option<&str>)> = pairs(subject).collect();
    let Some(first) = pairs.iter().filter_map(rank).min() else { return vec![reading(&pairs, None)] };
    let places = (0..pairs.len()).filter(|place| rank(&pairs[*place]) == Some(first));
    places.take(MOST_OF_A_RANK).map(|place| reading(&pairs, Some(place))).collect()
}

fn reading<'a>(pairs: &[(&'a str, Option<&'a str>)], context: Option<usize>) -> Vec<SubjectPart<'a>> {
    let template_key = |place, key| if Some(place) == context { CONTEXT } else { key };
    let parts = pairs.iter().enumerate();
    parts.map(|(place, &(key, value))| SubjectPart { template_key: template_key(place, key), key, value }).collect()
}

fn keys<'a>(parts: &[SubjectPart<'a>]) -> Vec<&'a str> {
    parts.iter().map(|part| part.template_key).collect()
}

/// The keys of a template that makes a subject.
pub(super) fn template_keys(subject: &str) -> Vec<&str> {
    readings(subject).first().map(|parts| keys(parts)).unwrap_or_default()
}

/// The parts of a job's subject that a trusted subject does not have.
pub(super) struct OtherParts<'a> {
    /// The parts, but for the repository.
    pub(super) parts: Vec<SubjectPart<'a>>,
    /// The ref of the job, if it is among them.
    pub(super) reference: Option<&'a str>,
}

impl<'a> OtherParts<'a> {
    /// Compares the subject of a job with a trusted one. Returns `None` if no template makes both.
    pub(super) fn of(subject: &'a str, trusted: &str) -> Option<Self> {
        let trusted = readings(trusted);
        let (own, other) = readings(subject).into_iter().find_map(|own| {
            let other = trusted.iter().find(|other| keys(other) == keys(&own))?;
            Some((own, other))
        })?;
        let compared: Vec<(SubjectPart<'a>, bool)> =
            own.into_iter().zip(other).map(|(own, other)| (own, other.fits(&own))).collect();
        // A template can say the ref beside the context.
        let beside = compared.iter().find(|(part, _)| part.template_key == "ref");
        let on = beside.or_else(|| compared.iter().find(|(part, _)| part.key == "ref"));
        let reference = on.filter(|(_, fits)| !fits).and_then(|(part, _)| part.value);
        let is_other = |(part, fits): &(SubjectPart<'_>, bool)| !fits && !matches!(part.key, "repo" | "repository");
        let parts = compared.into_iter().filter(is_other).map(|(part, _)| part).collect();
        Some(Self { parts, reference })
    }

    /// Compares the subject of a job with the nearest trusted one of the same template.
    pub(super) fn nearest(subject: &'a str, trusted: &[&str]) -> Option<Self> {
        let compared = trusted.iter().filter_map(|trusted| Self::of(subject, trusted));
        compared.filter(|other| !other.parts.is_empty()).min_by_key(Self::distance)
    }

    /// The context, if it is among them.
    pub(super) fn context(&self) -> Option<&SubjectPart<'a>> {
        self.parts.iter().find(|part| part.template_key == CONTEXT)
    }

    /// The distance of the two subjects. Of two with the same number of other parts, the one with the same context is nearer.
    pub(super) fn distance(&self) -> (usize, bool) {
        (self.parts.len(), self.context().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the other parts, and the ref among them.
    fn other<'a>(subject: &'a str, trusted: &str) -> Option<(Vec<&'a str>, Option<&'a str>)> {
        OtherParts::of(subject, trusted).map(|other| (keys(&other.parts), other.reference))
    }

    const MAIN: &str = "refs/heads/main";
    const DEV: &str = "refs/heads/dev";

    #[test]
    fn the_context_is_told_from_the_claims_beside_it() {
        for (subject, trusted, parts, reference) in [
            ("ref:refs/heads/dev", "ref:refs/heads/main", &["context"][..], Some(DEV)),
            ("environment:dev", "ref:refs/heads/main", &["context"], None),
            ("pull_request", "ref:refs/heads/main", &["context"], None),
            ("pull_request:ref:refs/heads/dev", "pull_request:ref:refs/pull/*/merge", &["ref"], Some(DEV)),
            (
                "pull_request:ref:refs/heads/dev",
                "ref:refs/heads/main:ref:refs/heads/main",
                &["context", "ref"],
                Some(DEV),
            ),
            ("ref:refs/heads/dev:ref:refs/heads/dev", "environment:prod:ref:*", &["context"], None),
            ("ref:refs/heads/main:ref:refs/heads/main", "environment:prod:ref:refs/heads/main", &["context"], None),
            // `AllJobs`.
            ("ref:refs/heads/dev", "*", &[], None),
            ("environment:prod:ref:refs/heads/dev", "*:ref:refs/heads/main", &["ref"], Some(DEV)),
            ("ref:refs/heads/dev:ref:refs/heads/dev", "*:ref:refs/heads/main", &["ref"], Some(DEV)),
            ("ref:refs/heads/dev:job_workflow_ref:a", "*:job_workflow_ref:b", &["job_workflow_ref"], None),
            ("environment::ref:refs/heads/dev", "environment:*:ref:refs/heads/main", &["ref"], Some(DEV)),
            // The context behind the ref or the environment.
            ("ref:refs/heads/dev:environment:prod", "ref:refs/heads/main:environment:prod", &["ref"], Some(DEV)),
            (
                "ref:refs/heads/dev:ref:refs/heads/dev",
                "ref:refs/heads/main:environment:prod",
                &["ref", "context"],
                Some(DEV),
            ),
            (
                "environment::ref:refs/heads/dev",
                "environment:prod:environment:prod",
                &["environment", "context"],
                Some(DEV),
            ),
        ] {
            assert_eq!(other(subject, trusted), Some((parts.to_vec(), reference)), "{subject} {trusted}");
        }
    }

    #[test]
    fn subjects_of_two_templates_are_not_compared() {
        for (subject, trusted) in [
            ("repo:o/r:ref:refs/heads/main", "repo:o/r:ref:refs/heads/main:actor:x"),
            ("repo:o/r:ref:refs/heads/main:actor:x", "repo:o/r:*"),
            ("environment:prod:environment:prod", "environment:prod:ref:refs/heads/main"),
            ("environment:prod:ref:refs/heads/main", "environment:prod:environment:prod"),
            ("actor:x:pull_request", "pull_request:actor:x"),
        ] {
            assert_eq!(other(subject, trusted), None, "{subject} {trusted}");
        }
        assert_eq!(template_keys("repo:o/r:*:ref:*"), ["repo", "context", "ref"]);
        assert_eq!(template_keys("repo:o/r:job_workflow_ref:a"), ["repo", "job_workflow_ref"]);
    }

    #[test]
    fn the_nearest_subject_has_the_context_of_the_job() {
        let job = format!("pull_request:ref:{DEV}");
        let distance = |trusted: &str| OtherParts::of(&job, trusted).map(|other| other.distance());
        let same_context = distance("pull_request:ref:refs/pull/*/merge");
        assert_eq!(same_context, Some((1, false)));
        assert!(same_context < distance(&format!("ref:{DEV}:ref:{DEV}")));
        assert!(same_context < distance(&format!("environment:prod:ref:{MAIN}")));
    }

    #[test]
    fn a_subject_full_of_refs_is_read_a_few_times_only() {
        assert_eq!(readings(&"ref:x:".repeat(3000)).len(), MOST_OF_A_RANK);
    }
}
