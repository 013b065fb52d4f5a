//! The forms of subject of policies of others.

use serde_json::json;

use super::super::string_like::STEPS;
use super::*;

#[test]
fn the_repositories_of_an_owner_are_told_with_the_form_of_each() {
    const CLASSIC: UnpairedForms = UnpairedForms { classic: true, immutable: false };
    const IMMUTABLE: UnpairedForms = UnpairedForms { classic: false, immutable: true };
    const BOTH: UnpairedForms = UnpairedForms { classic: false, immutable: false };
    const EACH: UnpairedForms = UnpairedForms { classic: true, immutable: true };
    for (subjects, expected) in [
        (&["repo:O/r:pull_request", "repo:p/r:pull_request"][..], &[("o/r", CLASSIC)][..]),
        (&["repo:o/r:x", "repo:o@1/s@2:x"], &[("o/r", CLASSIC), ("o/s", IMMUTABLE)]),
        (&["repo:o/r:x", "repo:o@1/r@2:x"], &[("o/r", BOTH)]),
        (&["repo:o/r:x", "repo:o@1/r@2:y"], &[("o/r", EACH)]),
        (&["repo:o/r:x", "repo:o@1/r@2:*"], &[("o/r", IMMUTABLE)]),
        (&["repo:o/*:x", "repo:o@1/r@2:x"], &[("o/*", CLASSIC), ("o/r", BOTH)]),
        (&["repo:o/*:x", "repo:o@1/*:x"], &[("o/*", BOTH)]),
        (&["repo:o@*/r@*:*"], &[("o/r", IMMUTABLE)]),
        (&["repo:o@1?/r@2*:x", "repo:o@*/s@7:x"], &[("o/r", IMMUTABLE), ("o/s", IMMUTABLE)]),
        (&["repo:*"], &[("*", BOTH)]),
        (&["*o/r:x"], &[("*o/r", CLASSIC)]),
        (&["repo:oo/r:x", "environment:prod"], &[]),
    ] {
        let condition = json!({"StringLike": {"token.actions.githubusercontent.com:sub": subjects}});
        let policy = json!({"Statement": {"Effect": "Allow", "Condition": condition}});
        let expected = expected.iter().map(|(name, forms)| ((*name).to_owned(), *forms)).collect();
        assert_eq!(unpaired_forms_of_owner(&policy, "O", None), expected, "{subjects:?}");
    }
}

#[test]
fn a_form_is_alone_where_the_other_one_lacks_the_same_jobs() {
    for (subjects, classic, immutable) in [
        (&["repo:o/r:ref:refs/heads/main"][..], true, false),
        (&["repo:o@1/r@2:ref:refs/heads/main"], false, true),
        (&["repo:o/r:pull_request", "repo:o@1/r@2:pull_request"], false, false),
        (&["repo:o/r:ref:refs/heads/main", "repo:o@1/r@2:environment:prod"], true, true),
        (&["repo:o/r:ref:refs/heads/main", "repo:o@1/r@2:ref:refs/heads/*"], false, true),
        (&["repo:o/r*", "repo:o@1/r@2:*"], false, false),
        (&["live:repo:o/r", "repo:o@1/r@2"], true, true),
        (&["repo:o/r2:x", "repo:o@1/r2@2:x", "repo:p/r:x", "repo:oo@1/r@2:x"], false, false),
        // GitHub writes names in one case, and takes them in any.
        (&["repo:O/R:ref:refs/heads/main"], true, false),
        (&["repo:O@1/R@2:ref:refs/heads/main"], false, true),
        // Whole owners, and wildcards behind the name.
        (&["repo:o/*:ref:refs/heads/main"], true, false),
        (&["repo:o/*"], true, false),
        (&["repo:o@1/*:ref:refs/heads/main"], false, true),
        (&["repo:o/*:pull_request", "repo:o@1/*:pull_request"], false, false),
        (&["repo:o/r*"], true, false),
        (&["repo:o/?:*"], true, false),
        (&["environment:live:repo:o/r"], true, false),
        (&["*o/r:ref:refs/heads/main"], true, false),
        (&["*/r:x", "repo:o@1/r@2:x"], false, false),
        (&["*:o/r:x", "*:environment:prod"], false, false),
        // Patterns that stretch over the ids, too.
        (&["repo:o*/r*:*"], false, false),
        (&["repo:*"], false, false),
        (&["repo:o@1*:x"], false, true),
        (&["repo:o@1:x"], false, false),
        // A name without its key is no repository.
        (&["o/r:x"], false, false),
        // Each subject is compared with each other one.
        (&["repo:o/r:x", "repo:o/r:y", "repo:o@1/r@2:x"], true, false),
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
        let forms = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
        assert_eq!(forms, UnpairedForms { classic, immutable }, "{subjects:?}");
    }
}

#[test]
fn a_twin_has_no_further_conditions_and_no_other_id() {
    let statement = |subject: &str, claims: &[(&str, &str)]| {
        let mut condition = json!({"token.actions.githubusercontent.com:sub": subject});
        for (claim, value) in claims {
            condition[format!("token.actions.githubusercontent.com:{claim}")] = json!(value);
        }
        json!({"Effect": "Allow", "Condition": {"StringEquals": condition}})
    };
    let (classic, immutable) = ("repo:o/r:x", "repo:o@1/r@2:x");
    let both_actors: &[(&str, &str)] = &[("actor_id", "7")];
    for (of_classic, of_immutable, forms) in [
        (&[("repository_id", "2")][..], &[][..], (false, false)),
        (&[("repository_id", "3")], &[], (true, true)),
        (both_actors, both_actors, (false, false)),
        (both_actors, &[], (false, true)),
        (both_actors, &[("actor_id", "8")], (true, true)),
    ] {
        let policy = json!({"Statement": [statement(classic, of_classic), statement(immutable, of_immutable)]});
        let UnpairedForms { classic, immutable } =
            unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
        assert_eq!((classic, immutable), forms, "{policy}");
    }
}

#[test]
fn subjects_that_nobody_has_or_that_are_kept_out_are_no_twins() {
    let key = "token.actions.githubusercontent.com:sub";
    let allow = |condition: Value| json!({"Effect": "Allow", "Condition": condition});
    let both = || allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@1/r@2:x"]}}));
    let immutable = || allow(json!({"StringEquals": {key: "repo:o@1/r@2:x"}}));
    let classic = |condition: Value| {
        let mut statement = json!({"StringEquals": {key: "repo:o/r:x"}});
        statement.as_object_mut().unwrap().extend(condition.as_object().unwrap().clone());
        allow(statement)
    };
    let deny = |condition: Value| json!({"Effect": "Deny", "Condition": condition});
    let like = |patterns: &[&str]| json!({"StringLike": {key: patterns}});
    let not_like = |patterns: &[&str]| json!({"StringNotLike": {key: patterns}});
    let wild = |condition: Value| {
        let mut statement = like(&["repo:o/r:*", "repo:o@*/r@*:*"]);
        statement.as_object_mut().unwrap().extend(condition.as_object().unwrap().clone());
        allow(statement)
    };
    for (statements, classic, immutable) in [
        (json!([both()]), false, false),
        // Ids of another repository or owner.
        (json!([allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@1/r@3:x"]}}))]), true, false),
        (json!([allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@9/r@2:x"]}}))]), true, false),
        (json!([both(), deny(like(&["repo:o@*"]))]), true, false),
        (json!([both(), deny(not_like(&["repo:o/*"]))]), true, false),
        (json!([both(), deny(like(&["repo:o/*"]))]), false, true),
        (json!([both(), deny(like(&["repo:p/*"]))]), false, false),
        (json!([both(), deny(json!({"StringLike": {key: "repo:o@*", "i:ref": "x"}}))]), true, false),
        (json!([both(), deny(json!({"StringNotLike": {key: "repo:o/*"}, "StringLike": {"i:ref": "x"}}))]), true, false),
        // A subject that is always denied is alone in no form.
        (json!([immutable(), deny(like(&["repo:o@*"]))]), false, false),
        (json!([immutable(), deny(json!({"StringLike": {key: "repo:o@*", "i:ref": "x"}}))]), false, true),
        // Another statement admits the subjects that one leaves out.
        (json!([classic(not_like(&["repo:*@*"])), immutable()]), false, false),
        // A pattern of ids is no id.
        (
            json!([classic(json!({"StringLike": {"i:repository_id": "2"}})), allow(like(&["repo:o@1/r@*:x"]))]),
            false,
            false,
        ),
        (json!([wild(not_like(&["repo:*@*"]))]), true, false),
        (json!([wild(json!({}))]), false, false),
        // As much of either form.
        (json!([wild(not_like(&["*:*:*:*:*"]))]), false, false),
        (json!([wild(json!({})), deny(like(&["*:pull_request"]))]), false, false),
    ] {
        let policy = json!({"Statement": statements});
        let ids = RepositoryIds { owner: Some(1), repository: Some(2) };
        let forms = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), ids);
        assert_eq!(forms, UnpairedForms { classic, immutable }, "{statements}");
    }
    let policy = json!({"Statement": allow(json!({"StringEquals": {key: ["repo:o/r:x", "repo:o@9/r@2:x"]}}))});
    let forms = &unpaired_forms_of_owner(&policy, "o", Some(1))["o/r"];
    assert_eq!(*forms, UnpairedForms { classic: true, immutable: false });
}

/// A policy of others may be as long as IAM lets it be.
#[test]
fn the_forms_of_the_longest_policy_take_bounded_work() {
    const LONGEST: usize = 8192;
    let half = (0..170).map(|n| format!("repo:o*/*:{n}")).chain((0..170).map(|n| format!("repo:o/{n}:x")));
    let alike = (0..560).map(|_| "repo:o*/*:x".to_owned());
    let stars = (0..36).map(|n| format!("repo:o{}/{n}:{}!", "*".repeat(80), "*".repeat(80)));
    for subjects in [half.collect::<Vec<_>>(), alike.collect(), stars.collect()] {
        let condition = json!({"StringLike": {"token.actions.githubusercontent.com:sub": subjects}});
        let policy = json!({"Statement": {"Effect": "Allow", "Condition": condition}});
        assert!(policy.to_string().len() < LONGEST + 200, "{}", policy.to_string().len());
        let before = STEPS.get();
        let _ = unpaired_forms_of_owner(&policy, "o", None);
        let _ = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
        let steps = STEPS.get() - before;
        assert!(steps < LONGEST * LONGEST / 8, "{steps} steps for {}", subjects[0]);
    }
}

/// Each condition that keeps subjects out is held against each subject.
#[test]
fn the_exclusions_of_the_longest_policy_take_bounded_work() {
    const LONGEST: usize = 8192;
    let key = "token.actions.githubusercontent.com:sub";
    let subjects: Vec<String> = (0..180).map(|n| format!("repo:o*/r*:{n}*x")).collect();
    let excluded: Vec<String> = (0..180).map(|n| format!("repo:o*/*r*:*y{n}")).collect();
    for operator in ["StringLike", "StringNotLike"] {
        let allow = json!({"Effect": "Allow", "Condition": {"StringLike": {key: subjects}}});
        let deny = json!({"Effect": "Deny", "Condition": {operator: {key: excluded}}});
        let policy = json!({"Statement": [allow, deny]});
        assert!(policy.to_string().len() < LONGEST, "{}", policy.to_string().len());
        let before = STEPS.get();
        let _ = unpaired_forms_of_owner(&policy, "o", None);
        let _ = unpaired_forms(&policy, &Repository::parse("o/r").unwrap(), RepositoryIds::default());
        let steps = STEPS.get() - before;
        assert!(steps < LONGEST * LONGEST, "{steps} steps for {operator}");
    }
}
