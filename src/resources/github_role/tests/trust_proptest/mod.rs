//! For random declarations and random jobs: the policy that is emitted, evaluated by IAM's rules, lets in exactly the
//! tokens of the jobs that the entries describe.
//!
//! The tokens of a job ([`jobs`]) are built from GitHub's documentation, and the jobs of an entry ([`description`]) from ours;
//! neither looks at the compiler.

mod description;
mod generator;
mod jobs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use self::description::describes;
use self::generator::{entries, worlds};
use self::jobs::{ACTORS, RENAMED, RandomJob, Repo, mint};
use crate::cloudformation::Fields;
use crate::deployment::Deployment;
use crate::github::Issuer;
use crate::github::name::RepositoryScope;
use crate::github::subject_facts::{NamedScope, SubjectFacts, SubjectFormat, SubjectTemplate, ToldSubjects};
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::reconcile::Resource;
use crate::resources::github_role::compile::compile;
use crate::resources::github_role::trust_declaration::{Actor, TrustEntry};
use crate::resources::github_role::{GitHubRoles, Spec};

const GITHUB: &str = "token.actions.githubusercontent.com";
const SERVER: &str = "github.example.com/_services/token";

fn declared(trust: &[Value], issuer: &str) -> Option<Spec> {
    let deployment = Deployment {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        role_path: "/".into(),
        role_boundary: None,
    };
    let properties =
        json!({"ProviderArn": format!("arn:aws:iam::123456789012:oidc-provider/{issuer}"), "Trust": trust});
    let mut fields = Fields::of_request(properties.as_object().unwrap());
    let spec = GitHubRoles::parse(&mut fields, &deployment);
    fields.finish().ok().and(spec)
}

fn facts(entry: &TrustEntry, known: &[Repo], server: bool) -> SubjectFacts {
    let names = entry.actors.iter().filter_map(|actor| match actor {
        Actor::Name(name) => Some(name.clone()),
        Actor::Id(_) => None,
    });
    let id = |name: &str| ACTORS.iter().find(|(known, _)| *known == name).unwrap().1;
    let users = names.map(|name| (name.clone(), id(&name))).collect();
    let both = [SubjectFormat::Classic, SubjectFormat::Immutable];
    let Some(RepositoryScope::Repository(repository)) = &entry.scope else {
        let forms = both.into_iter().take(if server { 1 } else { 2 }).collect();
        let mut scopes = BTreeMap::new();
        // The first one of a name is meant.
        for repo in known.iter().rev() {
            let scope = RepositoryScope::parse(repo.name).unwrap();
            scopes.insert(
                scope,
                NamedScope { id: repo.id, owner_id: Some(repo.owner_id), told: ToldSubjects::default() },
            );
        }
        let owner_id = entry.scope.as_ref().map(|_| 1);
        let repository_id = entry.repository_id;
        return SubjectFacts { owner_id, repository_id, forms, users, named: scopes, ..SubjectFacts::default() };
    };
    let repo = known.iter().find(|repo| repo.name == repository.to_string()).unwrap();
    let forms: BTreeSet<SubjectFormat> = if repo.form_is_known || server { [repo.form].into() } else { both.into() };
    SubjectFacts {
        owner_id: Some(repo.owner_id),
        repository_id: Some(repo.id),
        forms,
        template: repo.template.as_ref().map_or(SubjectTemplate::Default, |keys| {
            SubjectTemplate::Custom(keys.iter().map(|&key| key.to_owned()).collect())
        }),
        users,
        ..SubjectFacts::default()
    }
}

/// Counts the tokens that are let in and kept out, so that the test cannot pass by seeing only one of both.
fn check(
    server: bool,
    trust: &[Value],
    known: &[Repo],
    jobs: &[RandomJob],
    seen: &mut [usize; 3],
    proof: Option<&mut Proof>,
) {
    let issuer = if server { SERVER } else { GITHUB };
    let Some(spec) = declared(trust, issuer) else {
        // Nothing that is generated is a mistake but an entry without any context.
        assert!(trust.iter().any(|entry| {
            ["Branches", "Tags", "Environments", "Subjects"].iter().all(|name| entry[*name].is_null())
                && entry["PullRequests"] == false
                && entry["AnyRef"] == false
                && entry["AllJobs"] == false
        }));
        return;
    };
    let declaration = spec.trust;
    let mut rules = Vec::new();
    for entry in &declaration.entries {
        match compile(&declaration.issuer, entry, &facts(entry, known, server)) {
            Ok(compiled) => rules.extend(compiled),
            Err(lack) => {
                let is_void = ["`Refs`: no job is on", "`Subjects`: no job with", "no job has"]
                    .iter()
                    .any(|void| lack.contains(void));
                assert!(lack.contains("template") || is_void, "{lack}");
                seen[2] += 1;
                return;
            }
        }
    }
    let policy = TrustPolicy::of(&declaration.provider_arn, &declaration.audience, rules);
    let document = policy.document();
    assert_eq!(TrustPolicy::read(&document).as_ref(), Some(&policy), "what is written is read again");
    let mut tries = Vec::new();
    for job in jobs {
        let claims = mint(issuer, job);
        let (verdict, _) = evaluate(&document, &declaration.provider_arn, &TokenClaims::of(&claims));
        let described = trust.iter().any(|entry| describes(entry, known, job, claims["sub"].as_str().unwrap()));
        let admitted = verdict == Verdict::Admitted;
        // STS may read no claim but these of some issuers.
        let subject_only = claims.iter().filter(|(claim, _)| matches!(claim.as_str(), "iss" | "aud" | "sub"));
        let subject_only = subject_only.map(|(claim, value)| (claim.clone(), value.clone())).collect();
        let (unread, _) = evaluate(&document, &declaration.provider_arn, &TokenClaims::of(&subject_only));
        assert!(admitted || unread != Verdict::Admitted, "\n{claims:?}\n{trust:#?}\n{document:#}");
        // It can share the statement of the repository whose name it has, but for jobs that it is declared for.
        if (job.repo.id, job.repo.name) == RENAMED {
            assert!(!admitted || described, "\n{job:?}\n{claims:?}\n{trust:#?}\n{document:#}");
        } else {
            assert_eq!(admitted, described, "\n{job:?}\n{claims:?}\n{trust:#?}\n{document:#}");
            seen[usize::from(admitted)] += 1;
        }
        tries.push(json!({"keys": keys(&declaration.issuer, &claims), "expected": admitted}));
    }
    if let Some(proof) = proof {
        let line = json!({"policy": document, "provider": declaration.provider_arn, "tries": tries});
        writeln!(proof, "{line}").expect("a line of the proof");
    }
}

/// A file that another evaluator reads.
type Proof = std::io::BufWriter<std::fs::File>;

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The condition keys of a token, as STS makes them of its claims.
fn keys(issuer: &Issuer, claims: &Map<String, Value>) -> Map<String, Value> {
    let is_key = |claim: &str| matches!(claim, "aud" | "sub") || issuer.has_key(claim);
    let known = claims.iter().filter(|(claim, _)| is_key(claim));
    known.map(|(claim, value)| (format!("{issuer}:{claim}"), value.clone())).collect()
}

fn run(server: bool, cases: u32, proof: Option<Proof>) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let seen = std::cell::RefCell::new([0; 3]);
    let proof = std::cell::RefCell::new(proof);
    let outcome = runner.run(&(entries(server), worlds(server)), |(trust, (known, jobs))| {
        check(server, &trust, &known, &jobs, &mut seen.borrow_mut(), proof.borrow_mut().as_mut());
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let [refused, admitted, lacking] = *seen.borrow();
    println!("tokens let in: {admitted}, kept out: {refused}; declarations that a template did not allow: {lacking}");
    assert!(admitted > cases as usize / 4 && refused > cases as usize, "{admitted} {refused}");
}

#[test]
fn the_policy_admits_exactly_the_tokens_that_the_entries_describe() {
    run(false, 3000, None);
}

#[test]
fn so_it_does_for_an_enterprise_server() {
    run(true, 1000, None);
}

/// `TRUST_PROOF` names the file, `TRUST_DECLARATIONS` and `TRUST_TOKENS` the numbers: see `make trust-proof`.
#[test]
#[ignore = "only for tests/policies/trust_proof.mjs"]
fn declarations_and_tokens_for_another_evaluator() {
    let path = std::env::var("TRUST_PROOF").expect("the file");
    let file = std::fs::File::create(path).expect("a file");
    let declarations = number("TRUST_DECLARATIONS").and_then(|count| u32::try_from(count).ok()).unwrap_or(100);
    run(false, declarations, Some(Proof::new(file)));
}
