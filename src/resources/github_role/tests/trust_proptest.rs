//! For random declarations and random jobs: the policy that is emitted, evaluated by IAM's rules, lets in exactly the
//! tokens of the jobs that the entries describe.
//!
//! What a job's token says is built here from GitHub's documentation, and what an entry describes from ours; neither
//! looks at the compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use crate::cloudformation::Fields;
use crate::deployment::Deployment;
use crate::github::Issuer;
use crate::github::facts::{SubjectFacts, SubjectFormat, SubjectTemplate};
use crate::github::name::RepositoryScope;
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::reconcile::Resource;
use crate::resources::github_role::compile::compile;
use crate::resources::github_role::trust_declaration::{Actor, TrustEntry};
use crate::resources::github_role::{GitHubRoles, Spec};

const GITHUB: &str = "token.actions.githubusercontent.com";
const SERVER: &str = "github.example.com/_services/token";

/// A repository as GitHub has it.
#[derive(Clone, Debug)]
struct Repo {
    name: &'static str,
    owner_id: u64,
    id: u64,
    form: SubjectFormat,
    /// True if the function can look up the format.
    form_is_known: bool,
    template: Option<Vec<&'static str>>,
}

/// A job.
#[derive(Clone, Debug)]
struct Job {
    repo: Repo,
    event: Event,
    environment: Option<&'static str>,
    workflow: &'static str,
    actor: u64,
    enterprise: u64,
    audience: &'static str,
    tier: &'static str,
    /// The name of the workflow.
    title: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Branch(&'static str),
    Tag(&'static str),
    PullRequest,
    /// A pull request that has been merged into `main`.
    Merged,
}

/// The number of tokens that each declaration is tried with, unless `TRUST_TOKENS` says another.
const TOKENS: usize = 40;
const RENAMED: (u64, &str) = (100, "acme/app2");
const ORGANISATION: &str = "acme/*";
const ACTORS: [(&str, u64); 3] = [("octocat", 11), ("hubot", 22), ("mona", 33)];
const BRANCHES: [&str; 6] = ["main", "main-x", "release/1", "release/2/x", "v1", "x-${y}"];
const TAGS: [&str; 3] = ["v1", "v10", "x"];
const ENVIRONMENTS: [&str; 7] = ["prod", "prod-eu", "a:b", "a%3Ab", "Prod", "main", "pull_request"];
const TITLES: [&str; 3] = ["Deploy", "Deploy all", "Test"];
const TIERS: [&str; 3] = ["gold", "golden", "silver"];
const WORKFLOWS: [&str; 4] = [
    "acme/app/.github/workflows/plan.yml@refs/pull/7/merge",
    "acme/ci/.github/workflows/d.yml@refs/heads/main",
    "acme/ci/.github/workflows/d.yml@refs/heads/release/1",
    "evil/ci/.github/workflows/d.yml@refs/heads/main",
];

/// The declared repositories, and neighbours that must not be taken for them. The last two have taken over a name.
fn repos(server: bool) -> Vec<Repo> {
    let repo = |name, owner_id, id| Repo {
        name,
        owner_id,
        id,
        form: SubjectFormat::Classic,
        form_is_known: true,
        template: None,
    };
    let mut all = vec![
        repo("acme/app", 1, 100),
        repo("acme/app2", 1, 200),
        repo("acme2/app", 2, 300),
        repo("Acme/app", 3, 400),
        repo("acme-evil/app", 4, 500),
    ];
    if !server {
        // The last one is `acme/app`, renamed.
        all.extend([repo("acme/app", 1, 101), repo("acme/app2", 9, 201), repo("acme/app2", 1, 100)]);
    }
    all
}

fn templates() -> Vec<Option<Vec<&'static str>>> {
    vec![
        None,
        Some(vec!["repo"]),
        Some(vec!["repo", "context", "job_workflow_ref"]),
        Some(vec!["repo", "ref"]),
        Some(vec!["repo", "context", "ref"]),
        Some(vec!["repo", "context", "repo_property_tier"]),
        Some(vec!["repo_property_tier", "repo", "ref"]),
        Some(vec!["repository_owner", "context", "repository_id"]),
        Some(vec!["context"]),
        Some(vec!["job_workflow_ref", "repo", "context", "actor_id"]),
    ]
}

impl Job {
    fn reference(&self) -> String {
        match &self.event {
            Event::Branch(name) => format!("refs/heads/{name}"),
            Event::Tag(name) => format!("refs/tags/{name}"),
            Event::PullRequest => "refs/pull/7/merge".to_owned(),
            Event::Merged => "refs/heads/main".to_owned(),
        }
    }

    fn is_pull_request(&self) -> bool {
        matches!(self.event, Event::PullRequest | Event::Merged)
    }
}

/// The claims of a job's token.
fn mint(issuer: &str, job: &Job) -> Map<String, Value> {
    let Job { repo, event: _, environment, workflow, actor, enterprise, audience, tier, title } = job;
    let (owner, name) = repo.name.split_once('/').unwrap();
    let reference = job.reference();
    let context = match environment {
        Some(environment) => format!("environment:{}", environment.replace(':', "%3A")),
        None if job.is_pull_request() => "pull_request".to_owned(),
        None => format!("ref:{reference}"),
    };
    let prefix = match repo.form {
        SubjectFormat::Classic => format!("repo:{owner}/{name}"),
        SubjectFormat::Immutable => format!("repo:{owner}@{}/{name}@{}", repo.owner_id, repo.id),
    };
    let keys = repo.template.clone().unwrap_or_else(|| vec!["repo", "context"]);
    let parts = keys.iter().map(|key| match *key {
        "repo" => prefix.clone(),
        "context" => context.clone(),
        "ref" => format!("ref:{reference}"),
        "job_workflow_ref" => format!("job_workflow_ref:{workflow}"),
        "repository_owner" => format!("repository_owner:{owner}"),
        "repository_id" => format!("repository_id:{}", repo.id),
        "actor_id" => format!("actor_id:{actor}"),
        "repo_property_tier" => format!("repo_property_tier:{tier}"),
        other => panic!("{other}"),
    });
    let sub = parts.collect::<Vec<_>>().join(":");
    let mut claims = json!({
        "iss": format!("https://{issuer}"), "aud": audience, "sub": sub, "ref": reference,
        "repository": repo.name, "repository_id": repo.id.to_string(), "repository_owner": owner, "repository_owner_id": repo.owner_id.to_string(),
        "job_workflow_ref": workflow, "actor_id": actor.to_string(), "enterprise_id": enterprise.to_string(),
        "workflow": title,
    });
    if let Some(environment) = environment {
        claims["environment"] = json!(environment);
    }
    claims.as_object().unwrap().clone()
}

fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], text)
                || text.chars().next().is_some_and(|first| glob(pattern, &text[first.len_utf8()..]))
        }
        (Some('?'), Some(first)) => glob(&pattern[1..], &text[first.len_utf8()..]),
        (Some(wanted), Some(first)) if wanted == first => {
            glob(&pattern[wanted.len_utf8()..], &text[first.len_utf8()..])
        }
        _ => false,
    }
}

fn one_of(list: &Value, text: &str) -> bool {
    list.as_array().into_iter().flatten().any(|pattern| glob(pattern.as_str().unwrap(), text))
}

/// Returns true if an entry is about the repository of a job, and true if the subjects of that tell the ref and no context.
fn scope(entry: &Value, known: &[Repo], job: &Job) -> (bool, bool) {
    let Job { repo, .. } = job;
    if entry["Repository"] == ORGANISATION {
        // A repository with a template of its own needs an entry of its own, unless its subjects look like the default.
        let looks = [None, Some(vec!["repo", "ref"])].into_iter().position(|template| template == repo.template);
        let all =
            entry["AllJobs"] == true && repo.template.as_ref().is_none_or(|keys| keys[0] == "repo" && keys.len() > 1);
        return ((looks.is_some() || all) && repo.name.starts_with("acme/") && repo.owner_id == 1, looks == Some(1));
    }
    let meant = known.iter().find(|repo| Some(repo.name) == entry["Repository"].as_str()).unwrap();
    let by_ref = meant.template.as_ref().is_some_and(|keys| !keys.contains(&"context"));
    (meant.id == repo.id, by_ref)
}

/// Returns true if an entry describes the context of a job.
fn describes_context(entry: &Value, job: &Job, by_ref: bool) -> bool {
    let is_organisation = entry["Repository"] == ORGANISATION;
    if entry["AllJobs"] == true {
        return true;
    }
    let is_default = job.repo.template.is_none() || !is_organisation;
    if !is_default && !by_ref {
        return false;
    }
    if job.environment.is_some_and(|name| one_of(&entry["Environments"], name)) && !(is_organisation && by_ref) {
        return true;
    }
    let reference = job.reference();
    // Where the subject says nothing of the context, the refs are those of all jobs, also of such with an environment.
    if by_ref || (job.environment.is_none() && !job.is_pull_request()) {
        let named = |member: &str, prefix: &str| {
            reference.strip_prefix(prefix).is_some_and(|name| one_of(&entry[member], name))
        };
        if entry["AnyRef"] == true || named("Branches", "refs/heads/") || named("Tags", "refs/tags/") {
            return true;
        }
    }
    entry["PullRequests"] == true
        && if by_ref {
            reference.starts_with("refs/pull/") && !is_organisation
        } else {
            job.is_pull_request() && job.environment.is_none()
        }
}

/// Returns true if the documentation of an entry describes a job.
fn describes(entry: &Value, known: &[Repo], job: &Job) -> bool {
    let (is_about, by_ref) = scope(entry, known, job);
    let actor = |actor: &Value| {
        let text = actor.as_str().unwrap();
        ACTORS.iter().any(|(name, id)| (text == *name || text == id.to_string()) && *id == job.actor)
    };
    is_about
        && describes_context(entry, job, by_ref)
        && (entry["Refs"].is_null() || one_of(&entry["Refs"], &job.reference()))
        && entry["TemplateClaims"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|claim| one_of(&claim["Values"], if claim["Name"] == "workflow" { job.title } else { job.tier }))
        && (entry["Workflows"].is_null() || one_of(&entry["Workflows"], job.workflow))
        && entry["Actors"].as_array().is_none_or(|actors| actors.iter().any(actor))
        && entry["EnterpriseId"].as_str().is_none_or(|id| id == job.enterprise.to_string())
        && job.audience == "sts.amazonaws.com"
}

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
        return SubjectFacts { owner_id: Some(1), forms, users, ..SubjectFacts::default() };
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
        visibility: None,
        users,
        named: BTreeMap::new(),
        told: None,
    }
}

fn some(
    name: &'static str,
    values: &[&'static str],
    percent: f64,
) -> impl Strategy<Value = (&'static str, Value)> + use<> {
    let values = values.to_vec();
    let count = values.len();
    let chosen = subsequence(values, 1..=count).prop_map(|values| json!(values));
    prop::option::weighted(percent, chosen).prop_map(move |value| (name, value.unwrap_or(Value::Null)))
}

fn entries(server: bool) -> impl Strategy<Value = Vec<Value>> {
    let environments: &[&str] =
        if server { &["prod", "prod-*", "pr*"] } else { &["prod", "prod-*", "a:b", "a%3Ab", "main", "a?b", "*b"] };
    // STS reads none of these claims of an Enterprise Server.
    let narrowing = if server { f64::MIN_POSITIVE } else { 0.3 };
    let entry = (
        select(vec!["acme/app", "acme/app2", "acme2/app", ORGANISATION]),
        some("Branches", &["main", "release/*", "release/1", "release/2/?", "main*", "x-${y}"], 0.6),
        some("Tags", &["v1", "v*", "*"], 0.3),
        some("Environments", environments, 0.4),
        (any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
        some(
            "Workflows",
            &[
                "acme/ci/.github/workflows/d.yml@refs/heads/main",
                "acme/ci/.github/workflows/d.yml@refs/heads/release/*",
                "acme/app/.github/workflows/plan.yml@refs/pull/*/merge",
            ],
            narrowing,
        ),
        some("Actors", &["octocat", "22"], narrowing),
        prop::bool::weighted(narrowing / 2.0),
        (
            some(
                "Refs",
                &["refs/heads/main", "refs/heads/release/*", "refs/pull/*/merge", "refs/tags/v1"],
                narrowing / 2.0,
            ),
            some("Values", &["gold", "gold*"], 0.1),
            some("Values", &["Deploy", "Deploy*"], narrowing / 2.0),
        ),
    );
    let entry = entry.prop_map(
        |(
            repository,
            branches,
            tags,
            environments,
            (pulls, refs, all),
            workflows,
            actors,
            enterprise,
            (narrowed, tiers, titles),
        )| {
            let mut entry = json!({"Repository": repository, "PullRequests": pulls, "AnyRef": refs, "AllJobs": all});
            let claims: Vec<Value> = [("repo_property_tier", tiers.1), ("workflow", titles.1)]
                .into_iter()
                .filter(|(_, values)| !values.is_null())
                .map(|(name, values)| json!({"Name": name, "Values": values}))
                .collect();
            if !claims.is_empty() {
                entry["TemplateClaims"] = json!(claims);
            }
            for (name, value) in [branches, tags, environments, workflows, actors, narrowed] {
                if !value.is_null() {
                    entry[name] = value;
                }
            }
            if enterprise {
                entry["EnterpriseId"] = json!("77");
            }
            entry
        },
    );
    prop::collection::vec(entry, 1..4)
}

/// Every repository with a form and a template of its own, and jobs in any of them.
fn worlds(server: bool) -> impl Strategy<Value = (Vec<Repo>, Vec<Job>)> {
    let count = repos(server).len();
    let traits =
        prop::collection::vec((any::<bool>(), any::<bool>(), prop::option::weighted(0.3, select(templates()))), count);
    traits.prop_flat_map(move |traits| {
        let mut repos: Vec<Repo> = repos(server)
            .into_iter()
            .zip(traits)
            .map(|(mut repo, (immutable, form_is_known, template))| {
                if immutable && !server {
                    repo.form = SubjectFormat::Immutable;
                }
                repo.form_is_known = form_is_known;
                repo.template = template.flatten();
                repo
            })
            .collect();
        let before = repos[0].clone();
        for repo in repos.iter_mut().filter(|repo| (repo.id, repo.name) == RENAMED) {
            *repo = Repo { name: repo.name, ..before.clone() };
        }
        let event = prop_oneof![
            4 => select(BRANCHES.to_vec()).prop_map(Event::Branch),
            1 => select(TAGS.to_vec()).prop_map(Event::Tag),
            1 => Just(Event::PullRequest),
            1 => Just(Event::Merged),
        ];
        let job = (
            select(repos.clone()),
            event,
            prop::option::weighted(0.4, select(ENVIRONMENTS.to_vec())),
            select(WORKFLOWS.to_vec()),
            select(ACTORS.to_vec()),
            select(vec![77_u64, 78]),
            prop_oneof![9 => Just("sts.amazonaws.com"), 1 => Just("https://github.com/acme")],
            (select(TIERS.to_vec()), select(TITLES.to_vec())),
        );
        let job =
            job.prop_map(|(repo, event, environment, workflow, (_, actor), enterprise, audience, (tier, title))| Job {
                repo,
                event,
                environment,
                workflow,
                actor,
                enterprise,
                audience,
                tier,
                title,
            });
        (Just(repos), prop::collection::vec(job, number("TRUST_TOKENS").unwrap_or(TOKENS)))
    })
}

/// Counts the tokens that are let in and kept out, so that the test cannot pass by seeing only one of both.
fn check(
    server: bool,
    trust: &[Value],
    known: &[Repo],
    jobs: &[Job],
    seen: &mut [usize; 3],
    proof: Option<&mut Proof>,
) {
    let issuer = if server { SERVER } else { GITHUB };
    let Some(spec) = declared(trust, issuer) else {
        // Nothing that is generated is a mistake but an entry without any context.
        assert!(trust.iter().any(|entry| {
            ["Branches", "Tags", "Environments"].iter().all(|name| entry[*name].is_null())
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
                assert!(lack.contains("template") || lack.contains("`Refs`: no job is on"), "{lack}");
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
        let described = trust.iter().any(|entry| describes(entry, known, job));
        let admitted = verdict == Verdict::Admitted;
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
