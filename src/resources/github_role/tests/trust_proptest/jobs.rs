//! Repositories and jobs, and the tokens that GitHub's documentation gives them.

use serde_json::{Map, Value, json};

use crate::github::subject_facts::SubjectFormat;

/// A repository as GitHub has it.
#[derive(Clone, Debug)]
pub(super) struct Repo {
    pub(super) name: &'static str,
    pub(super) owner_id: u64,
    pub(super) id: u64,
    pub(super) form: SubjectFormat,
    /// True if the function can look up the format.
    pub(super) form_is_known: bool,
    pub(super) template: Option<Vec<&'static str>>,
}

/// A job.
#[derive(Clone, Debug)]
pub(super) struct RandomJob {
    pub(super) repo: Repo,
    pub(super) event: Event,
    pub(super) environment: Option<&'static str>,
    pub(super) workflow: &'static str,
    pub(super) actor: u64,
    pub(super) enterprise: u64,
    pub(super) audience: &'static str,
    pub(super) tier: &'static str,
    /// The name of the workflow.
    pub(super) title: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    Branch(&'static str),
    Tag(&'static str),
    PullRequest,
    /// A pull request that has been merged into `main`.
    Merged,
}

pub(super) const RENAMED: (u64, &str) = (100, "acme/app2");
pub(super) const ORGANISATION: &str = "acme/*";
pub(super) const ACTORS: [(&str, u64); 3] = [("octocat", 11), ("hubot", 22), ("mona", 33)];
pub(super) const BRANCHES: [&str; 6] = ["main", "main-x", "release/1", "release/2/x", "v1", "x-${y}"];
pub(super) const TAGS: [&str; 3] = ["v1", "v10", "x"];
pub(super) const ENVIRONMENTS: [&str; 7] = ["prod", "prod-eu", "a:b", "a%3Ab", "Prod", "main", "pull_request"];
pub(super) const TITLES: [&str; 3] = ["Deploy", "Deploy all", "Test"];
pub(super) const TIERS: [&str; 3] = ["gold", "golden", "silver"];
pub(super) const WORKFLOWS: [&str; 4] = [
    "acme/app/.github/workflows/plan.yml@refs/pull/7/merge",
    "acme/ci/.github/workflows/d.yml@refs/heads/main",
    "acme/ci/.github/workflows/d.yml@refs/heads/release/1",
    "evil/ci/.github/workflows/d.yml@refs/heads/main",
];

/// The declared repositories, and neighbours that must not be taken for them. The last two have taken over a name.
pub(super) fn repos(server: bool) -> Vec<Repo> {
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

pub(super) fn templates() -> Vec<Option<Vec<&'static str>>> {
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
        Some(vec!["repo", "context", "actor"]),
        Some(vec!["repo", "context", "enterprise_id"]),
        Some(vec!["repository_owner", "context"]),
        Some(vec!["context", "job_workflow_ref"]),
    ]
}

impl RandomJob {
    pub(super) fn reference(&self) -> String {
        match &self.event {
            Event::Branch(name) => format!("refs/heads/{name}"),
            Event::Tag(name) => format!("refs/tags/{name}"),
            Event::PullRequest => "refs/pull/7/merge".to_owned(),
            Event::Merged => "refs/heads/main".to_owned(),
        }
    }

    pub(super) fn is_pull_request(&self) -> bool {
        matches!(self.event, Event::PullRequest | Event::Merged)
    }
}

/// The claims of a job's token.
pub(super) fn mint(issuer: &str, job: &RandomJob) -> Map<String, Value> {
    let RandomJob { repo, event: _, environment, workflow, actor, enterprise, audience, tier, title } = job;
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
        "actor" => format!("actor:{}", ACTORS.iter().find(|(_, id)| id == actor).unwrap().0),
        "actor_id" => format!("actor_id:{actor}"),
        "enterprise_id" => format!("enterprise_id:{enterprise}"),
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
