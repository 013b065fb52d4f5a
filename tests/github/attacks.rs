//! Attacks by those who administer what is at GitHub: its answers are theirs, and the tokens of their own repositories.

use serde_json::{Value, json};

use super::{Place, at, at_issuer, immutable};
use crate::attempts::counted;
use crate::simulation::wire::Answer;

const MAIN: &str = "ref:refs/heads/main";
/// The issuer that the role trusts.
const SERVER: &str = "github.example.com/_services/token";
const REPOSITORY: &str = "GET /repos/acme/app";
const TEMPLATE: &str = "GET /repos/acme/app/actions/oidc/customization/sub";

fn described(changes: &Value) -> Value {
    let (owner, id) = crate::simulation::github::ids("acme/app");
    let mut described = json!({
        "id": id, "full_name": "acme/app", "owner": {"login": "acme", "id": owner},
        "created_at": "2026-08-01T00:00:00Z", "visibility": "public",
    });
    for (name, value) in changes.as_object().unwrap() {
        described[name] = value.clone();
    }
    described
}

fn template(keys: &Value) -> Value {
    let prefix = immutable("acme/app", "");
    json!({"use_default": false, "include_claim_keys": keys, "sub_claim_prefix": prefix.trim_end_matches(':')})
}

fn says(place: &Place, question: &str, answer: Answer) {
    place.github(|github| {
        github.answers.insert(question.to_owned(), answer);
    });
}

fn ok(body: &Value) -> Answer {
    Answer { status: 200, headers: Vec::new(), body: body.to_string() }
}

fn moved(location: &str) -> Answer {
    Answer { status: 301, headers: vec![("location", location.to_owned())], body: "{}".into() }
}

/// What an administrator of an organisation, or of a server, lets GitHub say of a repository.
fn answers() -> Vec<(&'static str, Vec<(&'static str, Answer)>)> {
    let of = |changes: Value| vec![(REPOSITORY, ok(&described(&changes)))];
    let by = |keys: Value| vec![(TEMPLATE, ok(&template(&keys)))];
    let visible = |visibility: &str| {
        let keys = json!(["repo", "context", "repository_visibility"]);
        vec![(REPOSITORY, ok(&described(&json!({"visibility": visibility})))), (TEMPLATE, ok(&template(&keys)))]
    };
    vec![
        ("a visibility that is a wildcard", visible("*")),
        ("a visibility with one", visible("p*")),
        ("a visibility with the end of a subject", visible("public:*")),
        ("a template without the repository", by(json!(["repository_owner", "context"]))),
        ("a template of the context alone", by(json!(["context"]))),
        ("a template of a workflow that all may call", by(json!(["job_workflow_ref"]))),
        ("a template of a wildcard", by(json!(["*"]))),
        ("a template with one", by(json!(["repo", "*"]))),
        ("a template of a claim that nobody knows", by(json!(["repo", "context", "evil:*"]))),
        ("a template of nothing", by(json!([]))),
        ("a template that is no list", by(json!("repo"))),
        ("an id that is a wildcard", of(json!({"id": "*"}))),
        ("an id with one", of(json!({"id": "1*"}))),
        ("an id below zero", of(json!({"id": -1}))),
        ("no id", of(json!({"id": null}))),
        ("an owner's id that is a wildcard", of(json!({"owner": {"login": "acme", "id": "*"}}))),
        ("an owner's id with a separator", of(json!({"owner": {"login": "acme", "id": "1/*@"}}))),
        ("another repository's name", of(json!({"full_name": "evil/app"}))),
        ("a name that is a wildcard", of(json!({"full_name": "acme/*"}))),
        ("a redirect to another host", vec![(REPOSITORY, moved("https://api.github.com.evil.example/repos/acme/app"))]),
        ("a redirect without TLS", vec![(REPOSITORY, moved("http://api.github.com/repositories/5"))]),
        ("a redirect without end", vec![(REPOSITORY, moved("https://api.github.com/repos/acme/app"))]),
    ]
}

/// True for a statement that admits the declared branch of the declared repository only.
fn is_meant(statement: &Value) -> bool {
    let conditions = statement["Condition"].to_string();
    let (_, id) = crate::simulation::github::ids("acme/app");
    let subjects = [format!("repo:acme/app:{MAIN}"), immutable("acme/app", MAIN)];
    let names_it = subjects.iter().any(|subject| conditions.contains(&format!("{subject}\"")));
    let pins_it =
        conditions.contains(&format!("repository_id\":\"{id}\"")) && conditions.contains(&format!("{MAIN}\""));
    (names_it || pins_it) && !conditions.contains(['*', '?'])
}

#[test]
fn an_answer_of_github_lets_nobody_in_but_whom_the_author_meant() {
    let answers = answers();
    counted("administrator at GitHub", "answers about a repository", answers.len());
    for (what, answers) in answers {
        at(async |place| {
            place.token();
            for (question, answer) in answers {
                says(place, question, answer);
            }
            let outcome = place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await;
            let policy = place.policy();
            let mut statements = policy["Statement"].as_array().into_iter().flatten();
            assert!(statements.all(is_meant), "{what}: {policy:#} {outcome:?}");
            assert_eq!(outcome.succeeded, !policy.is_null(), "{what}: {outcome:?}");
        });
    }
}

/// Tokens that a shared Enterprise Server signs for a tenant of it, or that another GitHub signs: never the role's.
fn tokens() -> Vec<(&'static str, Value)> {
    let sub = |sub: &str| json!({"sub": sub});
    let from = |issuer: &str| json!({"sub": format!("repo:acme/app:{MAIN}"), "iss": format!("https://{issuer}")});
    vec![
        ("a repository of its own", sub("repo:evil/app:ref:refs/heads/main")),
        ("an owner that begins alike", sub("repo:acme-evil/app:ref:refs/heads/main")),
        ("an owner that ends alike", sub("repo:notacme/app:ref:refs/heads/main")),
        ("an owner in another case", sub("repo:Acme/app:ref:refs/heads/main")),
        ("a repository that begins alike", sub("repo:acme/app-fork:ref:refs/heads/main")),
        ("a repository in another case", sub("repo:acme/App:ref:refs/heads/main")),
        ("an environment named like the branch", sub("repo:evil/app:environment:ref:refs/heads/main")),
        ("an environment named like the subject", sub("repo:evil/app:environment:repo:acme/app:ref:refs/heads/main")),
        ("the same, escaped", sub("repo:evil/app:environment:repo%3Aacme%2Fapp%3Aref%3Arefs%2Fheads%2Fmain")),
        ("a branch named like the subject", sub("repo:evil/app:ref:refs/heads/repo:acme/app:ref:refs/heads/main")),
        ("a template that begins otherwise", sub("repository_owner:evil:repo:acme/app:ref:refs/heads/main")),
        ("a template of the context", sub("ref:refs/heads/main")),
        ("a template of an actor", sub("actor:repo:acme/app:ref:refs/heads/main")),
        ("a pull request of a fork", sub("repo:acme/app:pull_request")),
        ("a tag named like the branch", sub("repo:acme/app:ref:refs/tags/main")),
        ("a branch that begins alike", sub("repo:acme/app:ref:refs/heads/main2")),
        ("a branch below it", sub("repo:acme/app:ref:refs/heads/main/evil")),
        ("a branch in another case", sub("repo:acme/app:ref:refs/heads/Main")),
        ("more behind the subject", sub("repo:acme/app:ref:refs/heads/main:environment:production")),
        ("a line break", sub("repo:acme/app:ref:refs/heads/main\n")),
        ("a subject with ids", sub("repo:acme@1/app@2:ref:refs/heads/main")),
        ("a wildcard as its subject", sub("repo:acme/app:*")),
        ("no subject", json!({"sub": ""})),
        ("another audience", json!({"sub": format!("repo:acme/app:{MAIN}"), "aud": "https://github.example.com/acme"})),
        ("the same names at github.com", from("token.actions.githubusercontent.com")),
        ("at another server", from("github.evil.example/_services/token")),
        ("at an enterprise's own issuer", from("token.actions.githubusercontent.com/acme")),
        ("at a path below the issuer", from("github.example.com/_services/token/evil")),
    ]
}

#[test]
fn no_token_of_a_shared_server_s_tenant_is_let_in() {
    let tokens = tokens();
    counted("tenant of a shared Enterprise Server", "tokens of its own jobs", tokens.len());
    at_issuer(SERVER, async |place| {
        let outcome = place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let ask =
            async |claims: &Value| place.invoke(&json!({"Explain": {"RoleName": "deploy", "Claims": claims}})).await;
        let (audience, own) = (json!("sts.amazonaws.com"), json!(format!("https://{SERVER}")));
        let theirs = json!({"sub": format!("repo:acme/app:{MAIN}"), "aud": audience, "iss": own});
        let answer = ask(&theirs).await;
        assert_eq!(answer["Verdict"], "admitted", "{answer:#}");
        for (what, mut claims) in tokens {
            for (claim, value) in [("aud", &audience), ("iss", &own)] {
                if claims[claim].is_null() {
                    claims[claim] = value.clone();
                }
            }
            assert_eq!(ask(&claims).await["Verdict"], "refused", "{what}");
        }
    });
}
