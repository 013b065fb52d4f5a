//! Names and refs.

use super::*;

#[test]
fn repositories_are_told_from_what_people_write_instead() {
    for good in ["octo-org/octo-repo", "a/b", "user_corp/.github", "o/r.js", "1/2"] {
        assert_eq!(Repository::parse(good).map(|repository| repository.to_string()), Ok(good.to_owned()));
    }
    for (bad, hint) in [
        ("octo", "with its owner"),
        ("https://github.com/o/r", "without a host"),
        ("github.com/o/r", "without a host"),
        ("git@github.com:o/r.git", "without a host"),
        ("repo:o/r", "without the prefix"),
        ("o/*", "without wildcards"),
        ("*/r", "without wildcards"),
        ("*", "without wildcards"),
        ("o/r/x", "repository"),
        ("/r", "repository"),
        ("o/", "repository"),
        ("o o/r", "repository"),
        ("o/..", "repository"),
        ("octo-org@1/octo-repo@2", "write them as `OwnerId` and `RepositoryId`"),
        ("o/r.git", "without `.git`"),
    ] {
        let refused = Repository::parse(bad).unwrap_err();
        assert!(refused.contains(hint), "{bad}: {refused}");
    }
}

#[test]
fn refs_are_checked_as_git_does_and_names_as_iam_takes_them() {
    for good in ["main", "release/*", "release/1.?", "feature/a-b_c", "dependabot/npm/x-1.2", "*", "main*", "ä"] {
        assert!(branch(good).is_ok(), "{good}");
    }
    for bad in ["refs/heads/main", "a b", "a..b", "a:b", "/a", "a/", "a.lock", "-a", "a//b", "a~1", "環境"] {
        assert!(branch(bad).is_err(), "{bad}");
    }
    for (text, good) in [("v1", true), ("v*", true), ("*", true), ("refs/tags/v1", false)] {
        assert_eq!(tag(text).is_ok(), good, "{text}");
    }
    for (text, good) in [("production", true), ("eu: live", true), ("*", true), (" a", false), ("a\u{100}", false)] {
        assert_eq!(environment(text).is_ok(), good, "{text}");
    }
    assert!(environment("live 🚀").unwrap_err().contains("not '🚀' (U+1F680)"));
    for (text, good) in [
        ("refs/heads/main", true),
        ("refs/tags/v*", true),
        ("refs/pull/*/merge", true),
        ("refs/pull/7/merge", true),
        ("refs/pull/7/head", false),
        ("refs/pull/x/merge", false),
        ("main", false),
        ("refs/*", false),
    ] {
        assert_eq!(full_ref(text).is_ok(), good, "{text}");
    }
}

#[test]
fn a_pattern_is_open_where_no_separator_ends_its_beginning() {
    for (text, branches, tags, environments) in [
        ("main", None, None, None),
        ("*", Some("every branch"), Some("every tag"), Some("every environment")),
        ("release/*", None, None, None),
        ("prod-*", Some("every branch whose name begins with `prod-`"), None, None),
        (
            "prod*",
            Some("every branch whose name begins with `prod`"),
            None,
            Some("every environment whose name begins with `prod`"),
        ),
        ("?x", Some("every branch like `?x`"), Some("every tag like `?x`"), Some("every environment like `?x`")),
    ] {
        assert_eq!(open_branch(text).as_deref(), branches, "{text}");
        assert_eq!(open_tag(text).as_deref(), tags, "{text}");
        assert_eq!(open_environment(text).as_deref(), environments, "{text}");
    }
}

#[test]
fn a_subject_tells_an_environment_unless_it_can_be_another_s_escaped() {
    for (name, needed) in
        [("prod", false), ("review-*", false), ("a:b", true), ("a%3Ab", true), ("a?b", true), ("*A", true)]
    {
        assert_eq!(needs_claim(name), needed, "{name}");
    }
}

#[test]
fn only_an_owner_with_a_star_is_a_whole_organisation() {
    assert_eq!(RepositoryScope::parse("octo-org/*"), Ok(RepositoryScope::Organisation("octo-org".to_owned())));
    assert_eq!(RepositoryScope::parse("octo-org/x").map(|scope| scope.to_string()), Ok("octo-org/x".to_owned()));
    for bad in ["*", "*/*", "octo*/*", "octo-org/x*", "/*", "octo-org*/octo-repo*"] {
        assert!(RepositoryScope::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn workflows_are_written_as_the_claim_has_them() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    for (at, good) in [("refs/heads/main", true), ("refs/heads/release/*", true), ("refs/tags/v*", true), (sha, true)]
        .into_iter()
        .chain([("refs/pull/1/merge", true), ("refs/pull/*/merge", true), ("refs/heads/*", true)])
        .chain([("main", false), ("v1", false), ("*", true), ("refs/*", true), ("", false), (&sha[1..], false)])
    {
        assert_eq!(workflow(&format!("o/r/.github/workflows/deploy.yml@{at}")).is_ok(), good, "{at}");
    }
    assert!(workflow("o/r/.github/workflows/deploy to prod.yml@refs/heads/main").is_ok());
    assert!(workflow("o/r/.github/workflows/deploy.yaml@refs/heads/main").is_ok());
    for (text, parts) in [
        ("o/r/.github/workflows/a@b.yml@refs/heads/@c", ("o/r/.github/workflows/a@b.yml", "refs/heads/@c")),
        (
            "o/r/dynamic/pages/pages-build-deployment@refs/heads/main",
            ("o/r/dynamic/pages/pages-build-deployment", "refs/heads/main"),
        ),
    ] {
        assert_eq!((workflow(text).is_ok(), split_workflow(text)), (true, Some(parts)));
        assert_eq!(repository_of_workflow(text), "o/r");
    }
    for (text, hint) in [
        ("o/r/.github/workflows/a:b.yml@refs/heads/main".to_owned(), "rename a file that has `:` in its name"),
        ("o/r/.github/workflows/deploy@refs/heads/main".to_owned(), "GitHub runs files that end in .yml or .yaml"),
        (format!("o/r/.github/workflows/x.yml@{}", sha.to_uppercase()), "a SHA has small letters"),
    ] {
        let refused = workflow(&text).unwrap_err();
        assert!(refused.contains(hint), "{text}: {refused}");
    }
    for bad in [
        "Deploy to production",
        "o/r/.github/workflows/ .yml@refs/heads/main",
        "o/r/.github/workflows/*@refs/heads/main",
        "o/r@refs/heads/main",
        "o/r/dynamic/pages@refs/heads/main",
        "o/r/dynamic/a/b/c@refs/heads/main",
    ] {
        assert!(workflow(bad).is_err(), "{bad}");
    }
}
