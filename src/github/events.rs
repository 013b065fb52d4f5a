//! The events that trigger workflows, with the refs that their jobs are on.
//!
//! Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>, "`GITHUB_REF`".

/// The refs of pull requests; after a merge, the ref is the branch that it was merged into.
pub const OF_PULL_REQUESTS: [&str; 2] = ["refs/heads/*", "refs/pull/*/merge"];

/// The ref that an event gives to its jobs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// The default branch, or the one that a pull request is for.
    Branch,
    /// A branch, a tag, or a commit without a ref, and never a pull request.
    Deployed,
    /// A branch or a tag.
    Either,
    /// The branch of a merge queue.
    Queue,
    /// The tag of a release.
    Tag,
    /// A pull request, of which the subject says so.
    PullRequest,
    /// Any ref, or none.
    Any,
}

impl On {
    fn refs(self) -> &'static [&'static str] {
        match self {
            Self::Branch => &["refs/heads/*"],
            Self::Either => &["refs/heads/*", "refs/tags/*"],
            Self::Queue => &["refs/heads/gh-readonly-queue/*"],
            Self::Tag => &["refs/tags/*"],
            Self::PullRequest => &OF_PULL_REQUESTS,
            Self::Deployed | Self::Any => &["*"],
        }
    }
}

/// The events, and `dynamic`, the one of GitHub's own workflows. A called workflow has the event of its caller. GitHub adds
/// events from time to time.
const EVENTS: [(&str, On); 36] = [
    ("branch_protection_rule", On::Branch),
    ("check_run", On::Branch),
    ("check_suite", On::Branch),
    ("create", On::Either),
    ("delete", On::Branch),
    ("deployment", On::Deployed),
    ("deployment_status", On::Deployed),
    ("discussion", On::Branch),
    ("discussion_comment", On::Branch),
    ("dynamic", On::Any),
    ("fork", On::Branch),
    ("gollum", On::Branch),
    ("image_version", On::Branch),
    ("issue_comment", On::Branch),
    ("issues", On::Branch),
    ("label", On::Branch),
    ("merge_group", On::Queue),
    ("milestone", On::Branch),
    ("page_build", On::Branch),
    ("project", On::Branch),
    ("project_card", On::Branch),
    ("project_column", On::Branch),
    ("public", On::Branch),
    ("pull_request", On::PullRequest),
    ("pull_request_review", On::PullRequest),
    ("pull_request_review_comment", On::PullRequest),
    ("pull_request_target", On::Branch),
    ("push", On::Either),
    ("registry_package", On::Either),
    ("release", On::Tag),
    ("repository_dispatch", On::Branch),
    ("schedule", On::Branch),
    ("status", On::Branch),
    ("watch", On::Branch),
    ("workflow_dispatch", On::Either),
    ("workflow_run", On::Branch),
];

/// Returns the events that a value of `event_name` fits, which may end with a `*`.
fn fitting(pattern: &str) -> impl Iterator<Item = (&'static str, On)> {
    let beginning = pattern.trim_end_matches('*');
    let fits = move |event: &str| event == pattern || (beginning != pattern && event.starts_with(beginning));
    EVENTS.iter().filter(move |(event, _)| fits(event)).copied()
}

/// Returns true for a value of `event_name` that GitHub documents, and for a pattern of such.
#[must_use]
pub fn is_known(pattern: &str) -> bool {
    fitting(pattern).next().is_some()
}

/// The refs of the jobs of an event; any for one that GitHub does not document.
#[must_use]
pub fn refs(pattern: &str) -> Vec<&'static str> {
    if is_known(pattern) { fitting(pattern).flat_map(|(_, on)| on.refs()).copied().collect() } else { vec!["*"] }
}

/// Returns true if the subjects of an event's jobs can say `pull_request`, or their ref.
#[must_use]
pub fn can_say(pattern: &str, pull_request: bool) -> bool {
    let can = |(_, on): (&str, On)| on == On::Any || (on == On::PullRequest) == pull_request;
    !is_known(pattern) || fitting(pattern).any(can)
}

/// Returns true if the jobs of an event can have the branches of a pull request, or can have none. Of reviews,
/// GitHub does not tell it.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>, "`GITHUB_BASE_REF`"
#[must_use]
pub fn can_have_base(pattern: &str, base: bool) -> bool {
    let can = |(event, on): (&str, On)| {
        let is_review = event.starts_with("pull_request_review");
        on == On::Any || is_review || matches!(event, "pull_request" | "pull_request_target") == base
    };
    !is_known(pattern) || fitting(pattern).any(can)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_refs_that_github_documents() {
        for (event, on) in [
            ("push", &["refs/heads/*", "refs/tags/*"][..]),
            ("schedule", &["refs/heads/*"]),
            ("release", &["refs/tags/*"]),
            ("merge_group", &["refs/heads/gh-readonly-queue/*"]),
            ("status", &["refs/heads/*"]),
            ("page_build", &["refs/heads/*"]),
            ("image_version", &["refs/heads/*"]),
            ("deployment", &["*"]),
            ("pull_request_target", &["refs/heads/*"]),
            ("pull_request_r*", &["refs/heads/*", "refs/pull/*/merge", "refs/heads/*", "refs/pull/*/merge"]),
            ("some_new_event", &["*"]),
        ] {
            assert_eq!(refs(event), on, "{event}");
        }
        assert!(["push", "pull_*", "*"].iter().all(|event| is_known(event)));
        assert!(["pushed", "pull_requests", "x*"].iter().all(|event| !is_known(event)));
    }

    /// The table of the guide: the events, their refs, and the members that let them in.
    #[test]
    fn the_guide_says_by_which_member_an_event_gets_in() {
        let guide = include_str!("../../docs/github-role.md");
        let table = guide.split("### What a branch does not say").nth(1).unwrap_or_default();
        let rows = table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let mut told = Vec::new();
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            for event in cells[1].split('`').skip(1).step_by(2) {
                told.push(event);
                assert!(EVENTS.iter().any(|(known, _)| *known == event), "{event}");
                let members = ["`Branches", "`Tags", "`PullRequests"].map(|member| cells[3].contains(member));
                let has = |reference: &str| refs(event).contains(&reference);
                let queue = "refs/heads/gh-readonly-queue/*";
                assert_eq!(members[0], can_say(event, false) && (has("refs/heads/*") || has(queue)), "{event}");
                assert!(!has("refs/tags/*") || members[1], "{event}");
                assert_eq!(members[2], can_say(event, true), "{event}");
                assert_eq!(has(queue), cells[3].contains("gh-readonly-queue/main/*"), "{event}");
            }
        }
        for event in ["pull_request_target", "workflow_run", "issue_comment", "merge_group", "pull_request"] {
            assert!(told.contains(&event), "{event}");
        }
        assert!(table.contains("| a job that somebody runs again | the ref of the first run |"));
    }

    #[test]
    fn an_event_of_pull_requests_is_told_by_the_subject() {
        for (event, pull_request, reference) in [
            ("pull_request", true, false),
            ("pull_request_target", false, true),
            ("pull_request*", true, true),
            ("push", false, true),
            ("deployment", false, true),
            ("deployment_status", false, true),
            ("dynamic", true, true),
            ("some_new_event", true, true),
        ] {
            assert_eq!((can_say(event, true), can_say(event, false)), (pull_request, reference), "{event}");
        }
    }

    #[test]
    fn the_branches_of_a_pull_request_are_those_of_its_events() {
        for (event, with, without) in [
            ("pull_request", true, false),
            ("pull_request_target", true, false),
            ("pull_request_review", true, true),
            ("pull_request*", true, true),
            ("push", false, true),
            ("merge_group", false, true),
            ("dynamic", true, true),
            ("some_new_event", true, true),
        ] {
            assert_eq!((can_have_base(event, true), can_have_base(event, false)), (with, without), "{event}");
        }
    }
}
