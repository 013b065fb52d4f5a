//! Native roles and providers: trust that lets GitHub in too broadly, or lets nobody in. A finding is proven by IAM's
//! evaluation of the policy with a token that somebody can have; without such a proof there is none.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::arn::issuer_of_provider;
use crate::github::Issuer;
use crate::github::subject::without_ids;
use crate::iam_policy::document::{allowed_values, one_or_many, statements};
use crate::iam_policy::evaluate::{TokenClaims, Verdict, evaluate};

/// A finding about a native resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The guardrail by which a deployment may allow it; none for what nobody means.
    pub guardrail: Option<&'static str>,
    /// The finding in words.
    pub what: String,
    /// The `Trust` to write instead, where the policy tells it.
    pub instead: Option<Value>,
}

/// An owner and a repository that belong to somebody else.
const STRANGER: &str = "a-stranger";
const OTHER_REPOSITORY: &str = "another-repository";
const CONTEXTS: [&str; 3] = ["pull_request", "ref:refs/heads/any-branch", "environment:any"];
/// The id of objects that are not made yet.
const ID: u64 = 9_999_999_999;

/// Finds what a trust policy lets in beyond what people mean.
#[must_use]
pub fn in_trust_policy(policy: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (provider, issuer) in providers(policy) {
        let trust = Trust { policy, provider: &provider, issuer: &issuer };
        findings.extend(trust.stranger().or_else(|| trust.broad()).or_else(|| trust.nobody()));
    }
    findings
}

/// Finds out that no token of GitHub's has the URL of a provider as its issuer.
#[must_use]
pub fn in_provider(properties: &Map<String, Value>) -> Vec<Finding> {
    /// Hosts of GitHub that issue no tokens to jobs.
    const NO_ISSUERS: [&str; 4] =
        ["github.com", "api.github.com", "actions.githubusercontent.com", "vstoken.actions.githubusercontent.com"];
    let url = properties.get("Url").and_then(Value::as_str).unwrap_or_default();
    let host = url.trim_start_matches("https://").split('/').next().unwrap_or_default();
    let what = format!(
        "nobody is let in by the provider for {url}: GitHub issues the tokens of jobs as \
         https://token.actions.githubusercontent.com"
    );
    let finding = Finding { guardrail: None, what, instead: None };
    NO_ISSUERS.contains(&host).then_some(finding).into_iter().collect()
}

/// The providers of GitHub that a policy trusts.
fn providers(policy: &Value) -> Vec<(String, Issuer)> {
    let federated = statements(policy)
        .iter()
        .filter(|statement| statement.get("Effect").is_some_and(|effect| effect == "Allow"))
        .flat_map(|statement| one_or_many(statement.get("Principal").and_then(|principal| principal.get("Federated"))))
        .filter_map(Value::as_str);
    let arns: BTreeSet<&str> = federated.collect();
    let of = |arn: &&str| Some(((*arn).to_owned(), Issuer::parse_without_scheme(issuer_of_provider(arn)?).ok()?));
    arns.iter().filter_map(of).collect()
}

/// The trust in one provider.
struct Trust<'a> {
    policy: &'a Value,
    provider: &'a str,
    issuer: &'a Issuer,
}

impl Trust<'_> {
    /// Returns true if the policy admits the token of a job in a repository that the policy does not know by its ids.
    fn admits(&self, subject: &str) -> bool {
        let audiences = allowed_values(self.policy, "aud");
        let audiences = if audiences.is_empty() { vec!["sts.amazonaws.com"] } else { audiences };
        let plain = without_ids(subject);
        let (repository, context) = plain.trim_start_matches("repo:").split_once(':').unwrap_or_default();
        let git_ref = context.strip_prefix("ref:").unwrap_or("refs/heads/any-branch");
        audiences.iter().any(|audience| {
            // A condition that holds only where a claim is missing, such as `…IfExists`, has to see the claims of a real token.
            let mut claims = json!({
                "iss": self.issuer.url(), "aud": audience, "sub": subject, "ref": git_ref,
                "actor": STRANGER, "actor_id": ID, "repository": repository, "repository_id": ID,
                "repository_owner": repository.split('/').next(), "repository_owner_id": ID, "enterprise_id": ID,
                "workflow": "any", "run_id": ID,
                "job_workflow_ref": format!("{repository}/.github/workflows/any.yml@{git_ref}"),
            });
            if let Some(environment) = context.strip_prefix("environment:") {
                claims["environment"] = environment.into();
            }
            let claims = TokenClaims::of(claims.as_object().unwrap_or(&Map::new()));
            evaluate(self.policy, self.provider, &claims).0 == Verdict::Admitted
        })
    }

    fn subjects(&self) -> Vec<&str> {
        allowed_values(self.policy, "sub")
    }

    /// A job of anybody.
    fn stranger(&self) -> Option<Finding> {
        let mut owners: BTreeSet<String> = [STRANGER.to_owned()].into();
        // Anybody can register a name that begins alike.
        let prefixes = self.subjects().into_iter().filter_map(|subject| {
            let owner = subject.strip_prefix("repo:")?.split(['/', '*', '?']).next()?;
            let wild = subject["repo:".len() + owner.len()..].starts_with('*');
            let valid = owner.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (wild && valid && !owner.is_empty()).then(|| format!("{}-x", owner.trim_end_matches('-')))
        });
        owners.extend(prefixes);
        // They can name their repositories as they like.
        let named = self.subjects().into_iter().filter_map(|subject| {
            let repository = subject.strip_prefix("repo:")?.split_once('/')?.1.split([':', '@']).next()?;
            Some(repository).filter(|name| !name.contains(['*', '?']))
        });
        let repositories: BTreeSet<&str> = named.chain([OTHER_REPOSITORY]).collect();
        let subjects =
            owners.iter().flat_map(|owner| repositories.iter().flat_map(move |repository| forms(owner, repository)));
        let subject = subjects.into_iter().find(|subject| self.admits(subject))?;
        let what = format!(
            "jobs of repositories that belong to anybody may assume the role, such as one whose token says {subject:?}"
        );
        Some(Finding { guardrail: None, what, instead: self.instead() })
    }

    /// A job of the owner that is meant, but of any repository, branch or pull request.
    fn broad(&self) -> Option<Finding> {
        for written in self.subjects() {
            let Some((owner, rest)) = written.strip_prefix("repo:").and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            let (owner, owner_id) = owner.split_once('@').unwrap_or((owner, ""));
            if owner.contains(['*', '?']) {
                continue;
            }
            let repository = rest.split([':', '@', '*', '?']).next().unwrap_or_default();
            let with_id = |name: &str, id: &str| if id.is_empty() { name.to_owned() } else { format!("{name}@{id}") };
            let owner_part = with_id(owner, owner_id);
            let other =
                if owner_id.is_empty() { OTHER_REPOSITORY.to_owned() } else { format!("{OTHER_REPOSITORY}@{ID}") };
            let jobs: Vec<String> = CONTEXTS.map(|context| format!("repo:{owner_part}/{other}:{context}")).into();
            if let Some(subject) = jobs.iter().find(|subject| self.admits(subject)) {
                let what = format!("jobs of every repository of {owner} may assume the role, such as {subject:?}");
                return Some(Finding { guardrail: Some(BROAD), what, instead: self.instead() });
            }
            let repository_part = rest.split(':').next().unwrap_or_default();
            if repository_part.contains(['*', '?']) {
                continue;
            }
            let job = |context: &str| format!("repo:{owner_part}/{repository_part}:{context}");
            if CONTEXTS.iter().all(|context| self.admits(&job(context))) {
                let what = format!(
                    "every job of {owner}/{repository} may assume the role, also one of a pull request that nobody has \
                     reviewed"
                );
                return Some(Finding { guardrail: Some(BROAD), what, instead: self.instead() });
            }
        }
        None
    }

    /// No job at all: each value of the subject has a wildcard that its operator takes literally, where no name can have
    /// one.
    fn nobody(&self) -> Option<Finding> {
        let exact = |operator: &str| operator.ends_with("StringEquals");
        let mut subjects = Vec::new();
        for statement in statements(self.policy) {
            let operators = statement.get("Condition").and_then(Value::as_object)?;
            let keys =
                operators.iter().filter(|(operator, _)| exact(operator)).filter_map(|(_, keys)| keys.as_object());
            let key = format!("{}:sub", self.issuer).to_lowercase();
            let values = keys.flatten().filter(|(name, _)| name.to_lowercase() == key);
            let values: Vec<&str> =
                values.flat_map(|(_, value)| one_or_many(Some(value))).filter_map(Value::as_str).collect();
            // A statement that does not compare the subject so may let somebody in.
            if values.is_empty() || !values.iter().all(|value| is_impossible(value)) {
                return None;
            }
            subjects.extend(values);
        }
        let first = subjects.first()?;
        let what = format!(
            "nobody may assume the role: `StringEquals` takes the wildcard in {first:?} literally, and no token has one"
        );
        Some(Finding { guardrail: None, what, instead: self.instead() })
    }

    /// The `Trust` for the repositories, branches, tags and environments that the policy names without a wildcard before
    /// them.
    fn instead(&self) -> Option<Value> {
        let entries: Vec<Value> = self.subjects().into_iter().filter_map(entry).collect();
        (!entries.is_empty()).then_some(Value::Array(entries))
    }
}

/// The guardrail for broad trust.
pub(super) const BROAD: &str = "AllowBroadTrust";

/// The subjects of a job in both forms.
fn forms(owner: &str, repository: &str) -> Vec<String> {
    let of = |context: &str| {
        [format!("repo:{owner}/{repository}:{context}"), format!("repo:{owner}@{ID}/{repository}@{ID}:{context}")]
    };
    CONTEXTS.iter().flat_map(|context| of(context)).collect()
}

/// Returns true for a subject with a wildcard in the name of a repository or of a branch, which cannot have one, or in place
/// of the whole context.
fn is_impossible(subject: &str) -> bool {
    let Some(rest) = subject.strip_prefix("repo:") else { return false };
    let (repository, context) = rest.split_once(':').unwrap_or((rest, ""));
    repository.contains('*') || context == "*" || (context.starts_with("ref:refs/") && context.contains('*'))
}

/// The entry of `Trust` for a subject of a named repository.
fn entry(subject: &str) -> Option<Value> {
    let subject = without_ids(subject);
    let (repository, context) = subject.strip_prefix("repo:")?.split_once(':')?;
    if repository.contains(['*', '?']) || !repository.contains('/') {
        return None;
    }
    Some(if let Some(branch) = context.strip_prefix("ref:refs/heads/").filter(|branch| *branch != "*") {
        json!({"Repository": repository, "Branches": [branch]})
    } else if let Some(tag) = context.strip_prefix("ref:refs/tags/").filter(|tag| *tag != "*") {
        json!({"Repository": repository, "Tags": [tag]})
    } else if let Some(environment) = context.strip_prefix("environment:").filter(|name| !name.contains('*')) {
        json!({"Repository": repository, "Environments": [environment]})
    } else {
        json!({"Repository": repository, "Branches": ["main"]})
    })
}
