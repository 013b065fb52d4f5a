//! The largest declarations that are accepted, and the work that they lead to; larger ones are refused before any.

use serde_json::{Map, Value, json};

use super::super::compile::compile;
use super::super::policy_limits::SUBJECT_LIMIT;
use super::super::properties::Properties;
use super::super::trust_declaration::{TrustEntry, entries};
use super::*;
use crate::cloudformation::Fields;
use crate::github::Issuer;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, SubjectTemplate};
use crate::iam_policy::pattern::COMPARISONS;
use crate::iam_policy::trust_policy::TrustPolicy;

const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";

fn issuer() -> Issuer {
    Issuer::parse_without_scheme("token.actions.githubusercontent.com").unwrap()
}

/// Reads `Trust`: the entries, or the mistakes.
fn read(trust: Value) -> Result<Vec<TrustEntry>, String> {
    let properties: Map<String, Value> = [("Trust".to_owned(), trust)].into_iter().collect();
    let mut fields = Fields::<Properties>::of_request(&properties);
    let found = entries(&mut fields, Some(&issuer()));
    let mistakes = fields.finish();
    found.ok_or_else(|| mistakes.unwrap_err().to_string())
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> Value {
    (0..count).map(item).collect()
}

fn entry(lists: &Value) -> Value {
    let mut entry = json!({"Repository": "o/r", "RepositoryId": "2", "OwnerId": "1"});
    entry.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
    json!([entry])
}

fn facts(template: SubjectTemplate) -> SubjectFacts {
    SubjectFacts {
        owner_id: Some(1),
        repository_id: Some(2),
        forms: [SubjectFormat::Classic, SubjectFormat::Immutable].into(),
        template,
        ..SubjectFacts::default()
    }
}

#[test]
fn the_largest_declarations_lead_to_bounded_work() {
    let workflow = |n| format!("o/r/.github/workflows/w{n}.yml@refs/heads/b");
    let custom = SubjectTemplate::Custom(["repo", "context", "job_workflow_ref", "actor_id"].map(str::to_owned).into());
    let silent = SubjectTemplate::Custom(["repo", "job_workflow_ref"].map(str::to_owned).into());
    for (what, trust) in [
        ("branches", entry(&json!({"Branches": numbered(380, |n| n.to_string())}))),
        ("patterns", entry(&json!({"Branches": numbered(330, |n| format!("r/{n}*"))}))),
        (
            "branches and actors",
            entry(&json!({
                "Branches": numbered(200, |n| n.to_string()), "Actors": numbered(600, |n| (n + 1).to_string()),
            })),
        ),
        (
            "all lists",
            entry(&json!({
                "Branches": numbered(90, |n| n.to_string()), "Tags": numbered(90, |n| format!("v{n}*")),
                "Actors": numbered(200, |n| (n + 1).to_string()), "Workflows": numbered(60, workflow),
            })),
        ),
        (
            "entries",
            (0..250)
                .map(|n| {
                    json!({"Repository": format!("o/r{n}"), "SubjectFormat": "Both", "OwnerId": "1",
            "RepositoryId": (n + 1).to_string(), "Branches": ["b"]})
                })
                .collect(),
        ),
        ("subjects", entry(&json!({"Subjects": numbered(300, |n| format!("repo:o/r:environment:{n}"))}))),
    ] {
        let entries = read(trust).unwrap_or_else(|mistakes| panic!("{what}: {mistakes}"));
        for template in [SubjectTemplate::Default, custom.clone(), silent.clone()] {
            let before = COMPARISONS.get();
            let compiled: Result<Vec<_>, String> =
                entries.iter().map(|entry| compile(&issuer(), entry, &facts(template.clone()))).collect();
            let Ok(compiled) = compiled else { continue };
            let rules: Vec<_> = compiled.into_iter().flatten().collect();
            assert!(rules.len() <= 2 * SUBJECT_LIMIT, "{what}: {} rules", rules.len());
            let values = rules.len();
            let _ = TrustPolicy::of(PROVIDER, "sts.amazonaws.com", rules);
            let comparisons = COMPARISONS.get() - before;
            assert!(comparisons <= 3 * values * values, "{what}: {comparisons} comparisons of {values} values");
        }
    }
}

#[test]
fn a_declaration_past_the_largest_quota_is_refused_before_any_comparison() {
    let before = COMPARISONS.get();
    for (trust, expected) in [
        (
            entry(&json!({"Branches": numbered(27_000, |n| format!("b{n}"))})),
            "`Trust[0].Branches`: expected at most 431 branches, found 27000",
        ),
        (
            entry(&json!({"Branches": numbered(100_000, |n| format!("b{n}/*"))})),
            "`Trust[0].Branches`: expected at most 431 branches, found 100000",
        ),
        (
            entry(&json!({"Branches": ["b"], "Actors": numbered(1_700, |n| (n + 1).to_string())})),
            "`Trust[0].Actors`: expected at most 1365 actors, found 1700",
        ),
        (
            entry(&json!({"Subjects": numbered(26_000, |n| format!("repo:o/r:environment:{n}"))})),
            "`Trust[0].Subjects`: expected at most 630 subjects, found 26000",
        ),
        (
            (0..3_000).map(|n| json!({"Repository": format!("o/r{n}"), "Branches": ["b"]})).collect(),
            "`Trust`: expected 1 to 630 entries, found 3000",
        ),
        (
            entry(&json!({"Branches": numbered(400, |n| format!("a-longer-name-{n}"))})),
            "`Trust`: expected values of at most 8192 characters together, as many as IAM lets a trust policy have, found 13890",
        ),
        (
            entry(&json!({"Branches": ["x".repeat(1_000_000)]})),
            "`Trust[0].Branches[0]`: expected the name of a branch as git allows it",
        ),
        (
            entry(&json!({"Environments": numbered(40, |n| format!("{n}{}", "x".repeat(250)))})),
            "`Trust`: expected values of at most 8192 characters together, as many as IAM lets a trust policy have, found 10670",
        ),
    ] {
        let mistakes = read(trust).unwrap_err();
        assert!(mistakes.starts_with(expected), "{mistakes}");
    }
    assert_eq!(COMPARISONS.get(), before);
}

#[test]
fn a_template_that_multiplies_lists_is_refused_before_its_subjects_are_written() {
    let workflow = |n| format!("o/r/.github/workflows/w{n}.yml@refs/heads/b");
    let trust = entry(&json!({
        "Branches": numbered(20, |n| n.to_string()), "Actors": numbered(200, |n| (n + 1).to_string()),
        "Workflows": numbered(60, workflow),
    }));
    let template =
        SubjectTemplate::Custom(["repo", "context", "job_workflow_ref", "actor_id"].map(str::to_owned).into());
    let told = compile(&issuer(), &read(trust).unwrap()[0], &facts(template)).unwrap_err();
    assert!(told.starts_with("with the repository's subject template it leads to more than 630 subjects"), "{told}");
}

#[test]
fn a_template_of_more_claims_than_are_taken_is_refused_at_once() {
    let entries = read(entry(&json!({"Branches": ["b"]}))).unwrap();
    let compiled = |count: usize| {
        let keys = ["repo", "context"].into_iter().chain(std::iter::repeat_n("repository_id", count - 2));
        let template = SubjectTemplate::Custom(keys.map(str::to_owned).collect());
        compile(&issuer(), &entries[0], &facts(template))
    };
    assert_eq!(compiled(100).unwrap().len(), 2, "a subject in each form");
    for count in [101, 150_000] {
        let told = compiled(count).unwrap_err();
        assert!(told.starts_with(&format!("the repository's subject template is made of {count} claims")), "{told}");
    }
}

#[test]
fn the_lower_bound_is_never_more_than_the_policy_takes() {
    let many = |count: usize| entry(&json!({"Branches": numbered(count, |n| format!("b{n}"))}));
    let templates: [&[&str]; 4] = [&[], &["repository_id", "context"], &["ref"], &["repo"]];
    for trust in [
        many(1),
        many(90),
        entry(&json!({"Branches": ["main", "release/*"], "AnyRef": "true"})),
        entry(&json!({"Branches": ["main"], "Actors": ["1", "22", "333"], "EnterpriseId": "7"})),
        json!([{"Repository": "o/r", "Branches": ["a"], "Actors": ["1"]}, {"Repository": "o/r", "Branches": ["a", "b"]}]),
        json!([{"Repository": "o/*", "Branches": ["a"], "OwnerId": "1"}, {"Repository": "o/r", "Branches": ["a", "b"]}]),
        json!([{"Repository": "o/r", "Branches": ["a"]}, {"Repository": "o/r", "Branches": ["a"]}]),
        json!([{"Repository": "o/r", "AnyRef": true}, {"Repository": "o/q", "Branches": ["a"]}]),
        json!([{"Repository": "o/r", "Subjects": ["repo:o/r:ref:refs/heads/*"]}, {"Repository": "o/r", "Branches": ["a"]}]),
        json!([{"Repository": "o/r", "Branches": ["a-long-name-of-a-branch", "b"], "Refs": ["refs/heads/b"]}]),
    ] {
        let entries = read(trust.clone()).unwrap();
        for template in templates {
            let template = match template {
                [] => SubjectTemplate::Default,
                keys => SubjectTemplate::Custom(keys.iter().map(|key| (*key).to_owned()).collect()),
            };
            let one = |entry| {
                compile(
                    &issuer(),
                    entry,
                    &SubjectFacts { forms: [SubjectFormat::Classic].into(), ..facts(template.clone()) },
                )
            };
            let rules: Result<Vec<_>, String> = entries.iter().map(one).collect();
            let Ok(rules) = rules else { continue };
            let size = TrustPolicy::of(PROVIDER, "sts.amazonaws.com", rules.into_iter().flatten()).size();
            assert!(least_size(&entries) <= size, "{trust}: {} is more than {size}", least_size(&entries));
        }
    }
    let entries = read(many(90)).unwrap();
    assert!(least_size(&entries) > 1_500, "{}", least_size(&entries));
}

#[test]
fn a_pattern_hides_the_size_of_its_own_repository_only() {
    let beside = |pattern: Value| {
        let many = (0..300).map(|n| json!({"Repository": format!("acme/app-{n:03}"), "Branches": ["b"]}));
        least_size(&read(many.chain([pattern]).collect()).unwrap())
    };
    for (pattern, is_hidden) in [
        (json!({"Repository": "acme/app-000", "Branches": ["*"]}), false),
        (json!({"Repository": "corp/*", "Branches": ["b"]}), false),
        (json!({"Subjects": ["repo:corp/web:ref:refs/heads/*"]}), false),
        (json!({"Repository": "acme/*", "Branches": ["b"]}), true),
    ] {
        let least = beside(pattern.clone());
        assert_eq!(least > 2_048, !is_hidden, "{pattern}: {least}");
    }
}
