//! The breadth of whole subjects.

use super::*;

#[test]
fn what_pins_a_repository_and_a_context_or_a_workflow_is_narrow() {
    for text in [
        "repo:octo-org/octo-repo:ref:refs/heads/main",
        "repo:octo-org@1/octo-repo@2:ref:refs/heads/release/*",
        "repo:octo-org/octo-repo:pull_request",
        "repo:octo-org/octo-repo:environment:prod:job_workflow_ref:o/a/.github/workflows/x.yml@refs/heads/main",
        "repository_id:42:environment:prod",
        "repo:o/r:environment:prod:ref:refs/heads/*",
        "repo:o/r:environment:*:ref:refs/heads/main",
        "repo:o/r:pull_request:ref:refs/heads/*",
        "repository_id:42:job_workflow_ref:o/a/.github/workflows/x.yml@refs/heads/main",
    ] {
        assert_eq!(check(text, false), Ok(Breadth::Narrow), "{text}");
    }
}

#[test]
fn what_leaves_the_context_or_the_repository_of_an_owner_open_is_broad() {
    for text in [
        "repo:o/r",
        "repo:o@1/r@2",
        "repo:o/r:*",
        "repo:o/r:ref:refs/heads/*",
        "repo:o/r:ref:refs/*",
        "repo:o/r:ref:refs/heads/main*",
        "repo:o/r:environment:Production*",
        "repo:o/r:environment:*",
        "repo:o/r:environment:*:ref:refs/heads/*",
        "repository_owner:octo-org",
        "repository_owner:o:job_workflow_ref:o/a/.github/workflows/x.yml@refs/heads/main",
        "environment:prod:repository_owner:octo-org",
        "repository_id:42",
    ] {
        assert!(matches!(check(text, false), Ok(Breadth::Broad(_) | Breadth::Owners)), "{text}");
    }
    let workflow = "job_workflow_ref:o/a/.github/workflows/x.yml@refs/heads/main";
    assert_eq!(check(workflow, false), Ok(Breadth::Anybodys));
    for (text, is_narrow) in [
        (workflow, true),
        ("repository_owner:o:environment:prod", true),
        ("environment:prod", true),
        ("environment:*", false),
        ("actor_id:5", false),
        ("repository_owner:o", false),
        ("repository_owner:o:ref:refs/heads/*", false),
    ] {
        assert_eq!(check(text, true) == Ok(Breadth::Narrow), is_narrow, "{text}");
    }
}

#[test]
fn an_id_of_a_repository_is_told_from_another_at_sign() {
    for (text, has_id) in [
        ("repo:o@1/r@2:ref:refs/heads/main", true),
        ("environment:prod:repository_id:42", true),
        ("repo:o/r:ref:refs/heads/renovate/@types", false),
        ("repo:o/r:job_workflow_ref:o/a/.github/workflows/x.yml@refs/heads/main", false),
        ("repository_owner_id:1:environment:a@2", false),
        ("repository_id:0", false),
    ] {
        assert_eq!(has_repository_id(text), has_id, "{text}");
    }
}

#[test]
fn what_can_be_a_strangers_subject_or_nobodys_is_refused() {
    for text in [
        "*",
        "**?",
        "repo:*",
        "repo:octo-org/*",
        "repo:octo-org/*:ref:refs/heads/main",
        "repo:octo-org*/octo-repo*:ref:refs/heads/main",
        "repo:octo-org@*/octo-repo@*:ref:refs/heads/main",
        "repo:repo:o/r:ref:refs/heads/main",
        "repo:o/r:repo:o/r",
        "github.com/o/r:ref:refs/heads/main",
        "repo:github.com/o/r:ref:refs/heads/main",
        "repo:octo:ref:refs/heads/main",
        "environment:prod",
        "ref:refs/heads/main",
        "actor:octocat",
        "workflow:Deploy to production",
        "repo:o/r:environment:a%3Ab",
        "repo:o/r:ref:main",
        "repo:o/r:Environment:prod",
        "repo:o/r:branch:main",
        "repo:o/r:environment:🚀",
        "environment:production%3Aeastus:repository_owner:octo-org",
        "re*:o/r",
        "",
    ] {
        assert!(check(text, false).is_err(), "{text}: {:?}", check(text, false));
    }
}

#[test]
fn what_a_broad_subject_lets_in_is_told_in_a_sentence() {
    let refs = "every branch and tag (and every pull request where a template says `ref`)";
    let all = "every branch, tag, environment and pull request";
    for (rest, names) in [
        (":ref:refs/heads/*", "every branch"),
        (":ref:refs/heads/rel*", "every branch whose name begins with `rel`"),
        (":ref:refs/tags/*", "every tag"),
        (":ref:refs/*", refs),
        (":environment:*", "every environment"),
        (":*", all),
        ("", all),
    ] {
        let told = Breadth::Broad(format!("{names} of the repository is let in"));
        assert_eq!(check(&format!("repo:o/r{rest}"), false), Ok(told), "{rest}");
    }
}
