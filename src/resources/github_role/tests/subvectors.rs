//! The public catalogue of GitHub subjects against IAM conditions (`subvectors`, installed by requirements/catalogue.txt):
//! the evaluator agrees with every vector; nothing graded dangerous is emitted or accepted in `Trust`; nothing graded
//! safe is refused.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cloudformation::Fields;
use crate::deployment::Deployment;
use crate::github::subject_facts::{SubjectFacts, SubjectFormat};
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::reconcile::Resource;
use crate::resources::github_role::compile::compile;
use crate::resources::github_role::trust_declaration::{Actor, TrustDeclaration};
use crate::resources::github_role::{GitHubRoles, Spec};

const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
/// The ids that the catalogue gives its repository.
const OWNER_ID: u64 = 123_456;
const REPOSITORY_ID: u64 = 7_891_011;
/// The id of `octocat`, until somebody else takes the name.
const OCTOCAT: u64 = 583_231;

#[derive(Deserialize)]
struct Suite {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    subject: String,
    condition: Condition,
    claims: Option<Map<String, Value>>,
    expect: String,
    judgment: Option<Judgment>,
}

#[derive(Deserialize)]
struct Judgment {
    grade: String,
}

#[derive(Clone, Deserialize)]
struct Condition {
    consumer: String,
    claim: Option<String>,
    pattern: Option<Value>,
    qualifier: Option<String>,
    of: Option<Vec<Condition>>,
}

fn vectors() -> Vec<Vector> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/catalogue/subvectors/vectors/github-aws.json");
    let text = std::fs::read_to_string(path);
    let text = text.expect("the catalogue is not there: run `python3 requirements/install.py`");
    let suite: Suite = serde_json::from_str(&text).expect("a suite");
    assert_eq!(suite.vectors.len(), 56);
    suite.vectors
}

impl Condition {
    fn parts(&self) -> Vec<Self> {
        self.of.clone().unwrap_or_else(|| vec![self.clone()])
    }

    fn claim(&self) -> &str {
        self.claim.as_deref().unwrap_or("sub")
    }

    fn patterns(&self) -> Vec<String> {
        match &self.pattern {
            Some(Value::Array(list)) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
            Some(one) => vec![one.as_str().unwrap().to_owned()],
            None => Vec::new(),
        }
    }

    /// The policy of the vector.
    fn policy(&self) -> Value {
        let mut condition = json!({});
        for part in self.parts() {
            let operator = match part.consumer.as_str() {
                "aws-stringequals" => "StringEquals",
                "aws-stringlike" => "StringLike",
                other => panic!("{other}"),
            };
            let operator = part.qualifier.as_ref().map_or(operator.to_owned(), |set| format!("{set}:{operator}"));
            condition[operator][format!("token.actions.githubusercontent.com:{}", part.claim())] = json!(part.pattern);
        }
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": PROVIDER}, "Condition": condition}})
    }
}

impl Vector {
    fn claims(&self) -> Map<String, Value> {
        let mut claims = self.claims.clone().unwrap_or_default();
        claims.entry("sub").or_insert_with(|| json!(self.subject));
        claims
    }

    /// The claims with those that every token has, as GitHub would fill them in.
    fn token(&self) -> TokenClaims {
        let mut claims = self.claims();
        claims.entry("aud").or_insert_with(|| json!("sts.amazonaws.com"));
        let named = repository(&self.subject);
        let owner_id = if named.as_ref().is_some_and(|(owner, _, _)| *owner == "octo-org") { OWNER_ID } else { 998 };
        claims.entry("repository_owner_id").or_insert_with(|| json!(owner_id.to_string()));
        let id = match named.map(|(owner, name, _)| format!("{owner}/{name}")).as_deref() {
            Some("octo-org/octo-repo") => REPOSITORY_ID,
            Some("octo-org/repo-b") => REPOSITORY_ID + 1,
            _ => 999,
        };
        claims.entry("repository_id").or_insert_with(|| json!(id.to_string()));
        if let Some((_, environment)) = self.subject.split_once(":environment:") {
            let name = environment.split(':').next().unwrap_or_default().replace("%3A", ":");
            claims.entry("environment").or_insert_with(|| json!(name));
        }
        TokenClaims::of(&claims)
    }

    fn grade(&self) -> &str {
        self.judgment.as_ref().map_or("", |judgment| &judgment.grade)
    }

    /// Every way in which the vector's condition can be written as `Trust`.
    fn ways(&self) -> Vec<Value> {
        let parts = self.condition.parts();
        let mut narrowing = json!({});
        let mut subjects = Vec::new();
        for part in &parts {
            let patterns = part.patterns();
            let member = match part.claim() {
                "sub" => {
                    subjects = patterns;
                    continue;
                }
                // There is nothing to write a workflow's name under; people would try this.
                "job_workflow_ref" | "workflow" => "Workflows",
                "actor" | "actor_id" => "Actors",
                "environment" => "Environments",
                "ref" => {
                    narrowing["Branches"] = json!(patterns[0].trim_start_matches("refs/heads/"));
                    continue;
                }
                "repository" => "Repository",
                "repository_id" => "RepositoryId",
                "repository_owner_id" => "OwnerId",
                "enterprise_id" => "EnterpriseId",
                "aud" => continue,
                other => panic!("{other}"),
            };
            narrowing[member] = if patterns.len() == 1 { json!(patterns[0]) } else { json!(patterns) };
        }
        let mut ways = Vec::new();
        let with = |base: Value| {
            let mut entry = narrowing.clone();
            for (name, value) in base.as_object().unwrap() {
                entry[name] = value.clone();
            }
            entry
        };
        if subjects.is_empty() {
            // On its own, and with the repository and the branch that everybody writes.
            ways.push(json!([narrowing]));
            let mut entry = structured("repo:octo-org/octo-repo:ref:refs/heads/main").unwrap();
            if narrowing.get("Environments").is_some() {
                entry.as_object_mut().unwrap().remove("Branches");
            }
            ways.push(json!([with(entry)]));
            return ways;
        }
        ways.push(json!([with(json!({"Subjects": subjects}))]));
        if let Some(entries) = subjects.iter().map(|subject| structured(subject)).collect::<Option<Vec<Value>>>() {
            ways.push(entries.into_iter().map(with).collect());
        }
        ways
    }
}

/// Owner, name, and the rest of a subject in a default form.
fn repository(subject: &str) -> Option<(String, String, String)> {
    let rest = subject.strip_prefix("repo:")?;
    let (scope, context) = rest.split_once(':').unwrap_or((rest, ""));
    let plain = |part: &str| part.split('@').next().unwrap_or_default().to_owned();
    let (owner, name) = scope.split_once('/')?;
    Some((plain(owner), plain(name), context.to_owned()))
}

/// A subject as an entry, where it is one of a default form.
fn structured(subject: &str) -> Option<Value> {
    let (owner, name, context) = repository(subject)?;
    let mut entry = json!({"Repository": format!("{owner}/{name}")});
    if subject.contains('@') {
        entry["SubjectFormat"] = json!("Immutable");
    }
    if let Some(branch) = context.strip_prefix("ref:refs/heads/") {
        entry["Branches"] = json!([branch]);
    } else if let Some(environment) = context.strip_prefix("environment:").filter(|rest| !rest.contains(':')) {
        entry["Environments"] = json!([environment.replace("%3A", ":")]);
    } else if context == "pull_request" {
        entry["PullRequests"] = json!(true);
    } else if context.is_empty() || context == "*" {
        entry["AnyRef"] = json!(true);
    } else {
        return None;
    }
    Some(entry)
}

/// Compiles a declaration as a deployment that permits nothing broad.
fn emitted(trust: &Value) -> Result<TrustPolicy, String> {
    let deployment = Deployment {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        role_path: "/".into(),
        role_boundary: None,
    };
    let properties = json!({"ProviderArn": PROVIDER, "Trust": trust});
    let mut fields = Fields::of_request(properties.as_object().unwrap());
    let spec = GitHubRoles::parse(&mut fields, &deployment);
    fields.finish().map_err(|problems| problems.to_string())?;
    let Spec { trust: TrustDeclaration { provider_arn, issuer, audience, entries }, .. } = spec.unwrap();
    let mut rules = Vec::new();
    for entry in &entries {
        if let Some(why) = entry.broad.first() {
            return Err(why.clone());
        }
        let immutable = trust.to_string().contains("Immutable");
        let repository = entry.scope.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = if repository == "octo-org/octo-repo" { REPOSITORY_ID } else { REPOSITORY_ID + 1 };
        let names = entry.actors.iter().filter_map(|actor| match actor {
            Actor::Name(name) => Some((name.clone(), OCTOCAT)),
            Actor::Id(_) => None,
        });
        let facts = SubjectFacts {
            owner_id: Some(OWNER_ID),
            repository_id: entry.repository_id.or(entry.scope.as_ref().map(|_| id)),
            forms: [if immutable { SubjectFormat::Immutable } else { SubjectFormat::Classic }].into(),
            users: names.collect(),
            ..SubjectFacts::default()
        };
        rules.extend(compile(&issuer, entry, &facts)?);
    }
    Ok(TrustPolicy::of(&provider_arn, &audience, rules))
}

#[test]
fn the_evaluator_agrees_with_every_vector() {
    for vector in vectors() {
        let token = TokenClaims::of(&vector.claims());
        let (verdict, reports) = evaluate(&vector.condition.policy(), PROVIDER, &token);
        let expected = if vector.expect == "match" { Verdict::Admitted } else { Verdict::Refused };
        assert_eq!(verdict, expected, "{}: {reports:?}", vector.id);
    }
}

#[test]
fn nothing_dangerous_is_emitted_or_accepted_and_nothing_safe_is_refused() {
    let (mut dangerous, mut safe) = (0, 0);
    let mut table = String::new();
    for vector in vectors() {
        let mut line = format!("{} {}\n", vector.id.trim_start_matches("gh-aws-"), vector.grade());
        let mut accepted = 0;
        for way in vector.ways() {
            match emitted(&way) {
                Err(why) => {
                    let why: String = why.chars().take(110).collect();
                    writeln!(line, "    refused: {why}").unwrap();
                }
                Ok(policy) => {
                    accepted += 1;
                    let (verdict, _) = evaluate(&policy.document(), PROVIDER, &vector.token());
                    writeln!(
                        line,
                        "    {} by: {policy}",
                        if verdict == Verdict::Admitted { "let in" } else { "kept out" }
                    )
                    .unwrap();
                    let expected = if vector.expect == "match" { Verdict::Admitted } else { Verdict::Refused };
                    match vector.grade() {
                        "dangerous" => assert_eq!(verdict, Verdict::Refused, "{line}"),
                        "safe" => assert_eq!(verdict, expected, "{line}"),
                        _ => {}
                    }
                    // And no policy of ours is the vector's own.
                    if vector.grade() == "dangerous" {
                        assert_ne!(policy.document(), vector.condition.policy(), "{line}");
                    }
                }
            }
        }
        match vector.grade() {
            "dangerous" => dangerous += 1,
            "safe" => {
                safe += 1;
                assert!(accepted > 0, "{line}");
            }
            _ => {}
        }
        table.push_str(&line);
    }
    println!("{dangerous} dangerous, {safe} safe");
    insta::assert_snapshot!(table);
}
