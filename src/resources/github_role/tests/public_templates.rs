//! Public templates that trust GitHub, each with the declaration in its place. Over many jobs both let in the same, but for
//! an account that has taken over a trusted name: the declaration keeps these out. Some templates let in a repository that was renamed;
//! the declaration does not until it says the new name, so that it is not exact.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cloudformation::Fields;
use crate::deployment::Deployment;
use crate::github::name::RepositoryScope;
use crate::github::subject::{prefix, value};
use crate::github::subject_facts::{SubjectFacts, SubjectFormat, SubjectTemplate};
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::reconcile::Resource;
use crate::resources::github_role::compile::compile;
use crate::resources::github_role::trust_declaration::TrustDeclaration;
use crate::resources::github_role::{GitHubRoles, Spec};

const ISSUER: &str = "token.actions.githubusercontent.com";
const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
const STRANGER: u64 = 777;
const CONTEXTS: [&str; 8] = [
    "ref:refs/heads/main",
    "ref:refs/heads/dev",
    "ref:refs/heads/feature/x",
    "ref:refs/tags/v1",
    "ref:refs/tags/1",
    "environment:prod",
    "environment:dev",
    "pull_request",
];

#[derive(Deserialize)]
struct Sample {
    declared: Vec<Template>,
    /// Templates that let in nobody or everybody, beside the fifty.
    nobody_or_everybody: Vec<Reason>,
}

/// The trust of a template, and the declaration of the same.
#[derive(Deserialize)]
struct Template {
    source: String,
    says: String,
    subjects: Vec<String>,
    #[serde(default)]
    claims: BTreeMap<String, Vec<String>>,
    /// The subject template of the repositories.
    template: Option<Vec<String>>,
    trust: Value,
    /// The reason that the declaration is not exact: what it keeps out of a repository that was renamed.
    not_renamed: Option<String>,
}

#[derive(Deserialize)]
struct Reason {
    source: String,
    says: String,
    why: String,
}

fn sample() -> Sample {
    serde_json::from_str(include_str!("public_templates.json")).expect("the sample")
}

/// A repository with its ids.
#[derive(Clone)]
struct Repository {
    name: String,
    owner_id: u64,
    id: u64,
    /// True if somebody else has taken over the name.
    is_stranger: bool,
    /// True if it is a declared one under another name.
    is_renamed: bool,
}

impl Template {
    fn has_ids(&self) -> bool {
        self.prefixes().any(|prefix| prefix.ids.is_some())
    }

    fn prefixes(&self) -> impl Iterator<Item = crate::github::subject::Prefix> {
        self.subjects.iter().filter_map(|subject| value(subject, "repo").and_then(prefix))
    }

    /// The declared repositories; two for an organisation.
    fn repositories(&self) -> Vec<Repository> {
        let entries = self.trust.as_array().expect("entries");
        let declared = entries.iter().map(|entry| entry["Repository"].as_str().expect("a repository"));
        let names = declared.flat_map(|name| match name.strip_suffix('*') {
            Some(owner) => vec![format!("{owner}one"), format!("{owner}two")],
            None => vec![name.to_owned()],
        });
        let mut owners = Vec::new();
        let with_ids = |(index, name): (usize, String)| {
            let owner = name.split('/').next().expect("an owner").to_owned();
            let position = owners.iter().position(|known| *known == owner).unwrap_or_else(|| {
                owners.push(owner);
                owners.len() - 1
            });
            let told =
                self.prefixes().find(|prefix| prefix.repository.to_string() == name).and_then(|prefix| prefix.ids);
            let (owner_id, id) = told.unwrap_or((1 + 1000 * position as u64, 2 + index as u64));
            Repository { name, owner_id, id, is_stranger: false, is_renamed: false }
        };
        names.enumerate().map(with_ids).collect()
    }

    /// The same with neighbours and strangers.
    fn world(&self) -> Vec<Repository> {
        let mut world = Vec::new();
        for repository in self.repositories() {
            let Repository { name, owner_id, id, .. } = &repository;
            let (owner, short) = name.split_once('/').expect("owner/name");
            let other = |name: String, owner_id: u64, is_stranger| Repository {
                name,
                owner_id,
                id: 999,
                is_stranger,
                is_renamed: false,
            };
            world.extend([
                other(format!("{owner}x/{short}"), STRANGER, false),
                other(name.clone(), STRANGER, true),
                other(name.clone(), *owner_id, !self.is_of_owner()),
            ]);
            if !self.is_of_owner() {
                world.push(other(format!("{name}x"), *owner_id, false));
                world.push(Repository {
                    id: *id,
                    is_renamed: true,
                    ..other(format!("{name}-renamed"), *owner_id, false)
                });
            }
            world.push(repository);
        }
        world
    }

    fn is_of_owner(&self) -> bool {
        self.trust[0]["Repository"].as_str().is_some_and(|name| name.ends_with("/*"))
    }

    /// The contexts of jobs: some, and those that the subjects name.
    fn contexts(&self) -> BTreeSet<String> {
        let behind = |subject: &String| subject.splitn(3, ':').nth(2).map(|context| context.replace('*', "x"));
        let named = self.subjects.iter().filter_map(behind).filter(|context| context != "x");
        named.chain(CONTEXTS.map(str::to_owned)).collect()
    }

    fn values(&self, claim: &str, other: &str) -> Vec<String> {
        let named = self.claims.get(claim).cloned().unwrap_or_default();
        named.into_iter().chain([other.to_owned()]).collect()
    }

    /// The tokens of all jobs with their repositories.
    fn tokens(&self) -> Vec<(Repository, TokenClaims)> {
        let mut tokens = Vec::new();
        for repository in self.world() {
            for context in self.contexts() {
                for reference in ["refs/heads/main", "refs/heads/other"] {
                    for workflow in
                        self.values("job_workflow_ref", "octo-org/ci/.github/workflows/a.yml@refs/heads/main")
                    {
                        for title in self.values("workflow", "Another") {
                            let claims = self.claims_of(&repository, &context, reference, &workflow, &title);
                            tokens.push((repository.clone(), TokenClaims::of(&claims)));
                        }
                    }
                }
            }
        }
        tokens
    }

    fn claims_of(
        &self,
        repository: &Repository,
        context: &str,
        reference: &str,
        workflow: &str,
        title: &str,
    ) -> Map<String, Value> {
        let Repository { name, owner_id, id, .. } = repository;
        let (owner, short) = name.split_once('/').expect("owner/name");
        let prefix =
            if self.has_ids() { format!("repo:{owner}@{owner_id}/{short}@{id}") } else { format!("repo:{name}") };
        let sub = if self.template.is_some() { prefix } else { format!("{prefix}:{context}") };
        let reference = context.strip_prefix("ref:").unwrap_or(reference);
        let mut claims = json!({"aud": "sts.amazonaws.com", "sub": sub, "repository": name, "ref": reference,
            "repository_id": id.to_string(), "repository_owner_id": owner_id.to_string(),
            "job_workflow_ref": workflow, "workflow": title});
        if let Some(environment) = context.strip_prefix("environment:") {
            claims["environment"] = json!(environment);
        }
        claims.as_object().cloned().unwrap_or_default()
    }

    /// The policy of the template. The audience of a provider's client ids holds without a condition, too.
    fn theirs(&self) -> Value {
        let key = |claim: &str| format!("{ISSUER}:{claim}");
        let mut like = Map::new();
        like.insert(key("sub"), json!(self.subjects));
        like.extend(self.claims.iter().map(|(claim, values)| (key(claim), json!(values))));
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {key("aud"): "sts.amazonaws.com"}, "StringLike": like}}]})
    }

    /// The policy of the declaration.
    fn ours(&self) -> Value {
        let deployment = Deployment {
            partition: "aws".into(),
            region: "eu-west-1".into(),
            account: "123456789012".into(),
            role_path: "/".into(),
            role_boundary: None,
        };
        let properties = json!({"ProviderArn": PROVIDER, "Trust": self.trust});
        let mut fields = Fields::of_request(properties.as_object().expect("properties"));
        let spec = GitHubRoles::parse(&mut fields, &deployment);
        fields.finish().unwrap_or_else(|error| panic!("{}: {error:?}", self.source));
        let Spec { trust: TrustDeclaration { issuer, entries, provider_arn, audience, .. }, .. } =
            spec.expect("a role");
        let repositories = self.repositories();
        let rules = entries.iter().flat_map(|entry| {
            let scope = entry.scope.as_ref().expect("a repository");
            let is_meant = |one: &&Repository| match scope {
                RepositoryScope::Repository(name) => one.name == name.to_string(),
                RepositoryScope::Organisation(owner) => one.name.starts_with(&format!("{owner}/")),
            };
            let repository = repositories.iter().find(is_meant).expect("ids");
            let form = if self.has_ids() { SubjectFormat::Immutable } else { SubjectFormat::Classic };
            let facts = SubjectFacts {
                owner_id: Some(repository.owner_id),
                repository_id: Some(repository.id),
                forms: [form].into(),
                template: self.template.clone().map_or(SubjectTemplate::Default, SubjectTemplate::Custom),
                ..SubjectFacts::default()
            };
            compile(&issuer, entry, &facts).unwrap_or_else(|error| panic!("{}: {error}", self.source))
        });
        TrustPolicy::of(&provider_arn, &audience, rules).document()
    }
}

fn admits(policy: &Value, token: &TokenClaims) -> bool {
    evaluate(policy, PROVIDER, token).0 == Verdict::Admitted
}

#[test]
fn fifty_public_templates_are_declared_and_49_of_them_exactly() {
    let Sample { declared, nobody_or_everybody } = sample();
    assert_eq!(declared.len(), 50);
    assert_eq!(declared.iter().filter(|template| template.not_renamed.is_none()).count(), 49);
    let reasons = nobody_or_everybody.iter();
    let sources = declared.iter().map(|template| &template.source).chain(reasons.map(|reason| {
        assert!(!reason.says.is_empty() && !reason.why.is_empty(), "{}", reason.source);
        &reason.source
    }));
    let sources: Vec<_> = sources.collect();
    assert_eq!(sources.iter().collect::<BTreeSet<_>>().len(), sources.len(), "a repository twice");
    let (mut tried, mut kept_out) = (0, 0);
    for template in &declared {
        let (theirs, ours) = (template.theirs(), template.ours());
        let (mut admitted, mut renamed) = (0, 0);
        for (Repository { is_stranger, is_renamed, .. }, token) in template.tokens() {
            let (by_theirs, by_ours) = (admits(&theirs, &token), admits(&ours, &token));
            tried += 1;
            if is_stranger {
                assert!(!by_ours, "{}: {token:?}", template.source);
                kept_out += usize::from(by_theirs);
                continue;
            }
            if is_renamed && template.not_renamed.is_some() {
                assert!(!by_ours, "{}: {token:?}", template.source);
                renamed += usize::from(by_theirs);
                continue;
            }
            assert_eq!(by_ours, by_theirs, "{} ({}): {token:?}\n{ours:#}", template.source, template.says);
            admitted += usize::from(by_ours);
        }
        assert!(admitted > 0, "{}: nobody is let in", template.source);
        assert_eq!(renamed > 0, template.not_renamed.is_some(), "{}", template.source);
        assert!(!template.trust.to_string().contains("Subjects"), "{}", template.source);
    }
    println!("{tried} tokens; of strangers {kept_out} that the templates let in are kept out");
}
