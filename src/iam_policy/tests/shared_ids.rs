//! The tokens that a shared statement lets in, and the number of repositories that a role has room for.
//! `WRITE_TABLE=1 cargo test --lib room_for` writes the table of `docs/github-role.md`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::iam_policy::document::allowed_values;
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use crate::iam_policy::trust_policy::TrustPolicy;

const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
const BEGIN: &str = "<!-- The table of repositories is written by src/iam_policy/tests/shared_ids.rs. -->\n";
const END: &str = "<!-- The end of the table of repositories. -->\n";

fn rule(repository: &str, context: &str, id: u64) -> TrustRule {
    let id = Pattern::written(&id.to_string());
    TrustRule {
        subject: Pattern::within_words(&format!("repo:{repository}:{context}")),
        claims: [(Claim::RepositoryId, Rc::new([id].into()))].into(),
    }
}

fn policy(rules: Vec<TrustRule>) -> TrustPolicy {
    TrustPolicy::of(PROVIDER, "sts.amazonaws.com", rules)
}

fn admits(policy: &TrustPolicy, repository: &str, context: &str, id: u64) -> bool {
    let claims = json!({"aud": "sts.amazonaws.com", "sub": format!("repo:{repository}:{context}"), "repository_id": id.to_string()});
    evaluate(&policy.document(), PROVIDER, &TokenClaims::of(claims.as_object().unwrap())).0 == Verdict::Admitted
}

#[test]
fn a_name_with_another_id_gets_in_only_if_that_id_is_declared_for_the_job() {
    const MAIN: &str = "ref:refs/heads/main";
    const PROD: &str = "environment:prod";
    let declared =
        [("o/a", MAIN, 1), ("o/b", MAIN, 2), ("o/c", MAIN, 3), ("o/c", PROD, 3), ("p/d", PROD, 4), ("p/e", PROD, 5)];
    let policy = policy(declared.iter().map(|(name, context, id)| rule(name, context, *id)).collect());
    assert_eq!(policy.document()["Statement"].as_array().unwrap().len(), 3, "{policy}");
    for name in ["o/a", "o/b", "o/c", "p/d", "p/e", "o/f"] {
        for context in [MAIN, PROD, "pull_request"] {
            for id in 1..=6 {
                let is_admitted = admits(&policy, name, context, id);
                let is_declared = declared.contains(&(name, context, id));
                let id_is_declared = declared.iter().any(|(_, of, known)| (*of, *known) == (context, id));
                assert!(!is_declared || is_admitted, "{name} {context} {id}");
                assert!(!is_admitted || id_is_declared, "{name} {context} {id}");
            }
        }
    }
    assert!(!admits(&policy, "o/a", MAIN, 3), "o/c is let in for more jobs, so that it shares nothing");
    assert_eq!(TrustPolicy::read(&policy.document()), Some(policy), "each id is still that of its name");
}

#[test]
fn repositories_that_share_a_statement_keep_their_other_claims() {
    let by = |mut rule: TrustRule, actor: &str| {
        rule.claims.insert(Claim::ActorId, Rc::new([Pattern::written(actor)].into()));
        rule
    };
    let rules = [("o/a", 1, "7"), ("o/b", 2, "7"), ("o/c", 3, "8"), ("o/d", 4, "8")]
        .map(|(name, id, actor)| by(rule(name, "pull_request", id), actor));
    let policy = policy(rules.to_vec());
    let document = policy.document();
    assert_eq!(allowed_values(&document, "actor_id"), ["7", "8"], "{policy}");
    assert_eq!(TrustPolicy::read(&document), Some(policy));
}

#[test]
fn a_name_of_two_ids_and_an_id_of_two_names_share_nothing() {
    let twice =
        policy(vec![rule("o/a", "pull_request", 1), rule("o/a", "pull_request", 2), rule("o/b", "pull_request", 3)]);
    assert!(!twice.document().to_string().contains("Sid"), "{twice}");
    let renamed = policy(vec![rule("o/a", "pull_request", 1), rule("o/b", "pull_request", 1)]);
    assert!(!renamed.document().to_string().contains("Sid"), "{renamed}");
    for policy in [twice, renamed] {
        assert_eq!(TrustPolicy::read(&policy.document()), Some(policy));
    }
}

/// The number of repositories, one branch of each, whose policy fits a quota.
fn fitting(quota: usize, rules: &dyn Fn(usize) -> Vec<TrustRule>) -> usize {
    let size = |count: usize| policy((0..count).flat_map(rules).collect()).size();
    (1..200).take_while(|count| size(*count) <= quota).last().unwrap_or_default()
}

fn table() -> String {
    const MAIN: &str = "ref:refs/heads/main";
    let id = |number: usize| 456_789_000 + number as u64;
    let with_ids = |number: usize| format!("octo-org@123456/repository-{number:02}@{}", id(number));
    let old = |number: usize| vec![rule(&format!("octo-org/repository-{number:02}"), MAIN, id(number))];
    let new = |number: usize| vec![TrustRule::of(Pattern::within_words(&format!("repo:{}:{MAIN}", with_ids(number))))];
    // Without a credential, either form may be sent.
    let either = |number: usize| [old(number), vec![rule(&with_ids(number), MAIN, id(number))]].concat();
    // A branch of its own keeps each repository from sharing.
    let apart = |number: usize| {
        let context = format!("ref:refs/heads/m{number:03}");
        vec![rule(&format!("octo-org/repository-{number:02}"), &context, id(number))]
    };
    let mut table = String::from(
        "| quota | with ids in their subjects | without, each for another branch | without, for the same jobs | form unknown, \
         for the same jobs |\n|--:|--:|--:|--:|--:|\n",
    );
    for quota in [2048, 4096, 8192] {
        let _ = writeln!(
            table,
            "| {quota} | {} | {} | {} | {} |",
            fitting(quota, &new),
            fitting(quota, &apart),
            fitting(quota, &old),
            fitting(quota, &either)
        );
    }
    table
}

#[test]
fn the_table_says_how_many_repositories_a_role_has_room_for() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/github-role.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (written, after) = rest.split_once(END).expect("the end of the table");
    let table = table();
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(written == table, "the table is not what fits: write it with WRITE_TABLE=1\n{table}");
}
