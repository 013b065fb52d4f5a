//! The calls, one for each action, and the looks before them.

use super::Spec;
use crate::error::Error;
use crate::ownership::Owner;
use crate::reconcile::Api;
use crate::reconcile::Exclusive;
use crate::reconcile::ReadHint;
use std::collections::BTreeMap;

use aws_smithy_types::date_time::{DateTime, Format};
use futures_util::future::{OptionFuture, join3, try_join};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Action, ApplyOutput, DeploymentBranchPolicy, EnvironmentId, Foreseen, GitHubEnvironments, Observed, RefPattern,
    Reviewer, Rules,
};
use crate::aws::{CallError, ErrorKind, ignore_not_found};
use crate::github::{ApiCall, Issuer};

/// An environment, as far as it is read.
#[derive(Deserialize)]
struct Shown {
    created_at: String,
    #[serde(default)]
    protection_rules: Vec<Rule>,
    deployment_branch_policy: Option<BranchPolicy>,
}

#[derive(Deserialize)]
struct Rule {
    r#type: String,
    #[serde(default)]
    wait_timer: u32,
    #[serde(default)]
    prevent_self_review: bool,
    #[serde(default)]
    reviewers: Vec<ShownReviewer>,
}

#[derive(Deserialize)]
struct ShownReviewer {
    r#type: String,
    reviewer: Numbered,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct BranchPolicy {
    protected_branches: bool,
}

#[derive(Deserialize)]
struct Patterns {
    branch_policies: Vec<ShownPattern>,
}

#[derive(Deserialize)]
struct ShownPattern {
    id: u64,
    name: String,
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    total_count: u64,
}

const PAGE: usize = 100;

impl EnvironmentId {
    fn what(&self) -> String {
        format!("environment {:?} of {}", self.name, self.repository)
    }

    fn call<'a>(&'a self, action: &'static str, method: &'static str, rest: &str, what: &'a String) -> ApiCall<'a> {
        let path = format!("/repos/{}/environments/{}{rest}", self.repository, urlencoding::encode(&self.name));
        ApiCall { action, method, path, resource: what, repository: Some(&self.repository), body: None }
    }
}

impl Api for GitHubEnvironments {
    type Sharing = Exclusive;

    /// An Update keeps the moment of the Create, as long as what that made is there.
    async fn resolve_id(&self, id: EnvironmentId, old: Option<&EnvironmentId>) -> Result<EnvironmentId, Error> {
        let known = old.filter(|old| **old == id);
        let created = match self.created(known.unwrap_or(&id)).await {
            Ok(created) => created,
            // Nothing was made by a function that may not even look.
            Err(error) if known.is_none() && !matches!(error.kind, ErrorKind::Denied | ErrorKind::Invalid) => None,
            Err(error) => return Err(error.into()),
        };
        let since = self.asked.kept(known.and_then(|known| known.since), created);
        Ok(EnvironmentId { since: Some(since), ..known.cloned().unwrap_or(id) })
    }

    fn prefetch(&self, what: ReadHint<'_, Spec>) {
        let custom =
            |spec: &Spec| spec.branches.as_ref().is_some_and(|(policy, _)| *policy == DeploymentBranchPolicy::Custom);
        self.read_plan.set(match what {
            ReadHint::Object(spec) if custom(spec) => Foreseen::Patterns,
            ReadHint::Object(_) => Foreseen::Nothing,
            ReadHint::Deletion => Foreseen::Deletion,
        });
    }

    async fn resolve(&self, _: &Owner, _: &EnvironmentId, spec: Spec) -> Result<Spec, Error> {
        Ok(spec)
    }

    /// What is there, and whether it is ours.
    async fn observe(&self, id: &EnvironmentId) -> Result<Option<Observed>, CallError> {
        let issuer = Self::issuer(id)?;
        let expected = self.read_plan.get();
        if expected != Foreseen::Nothing {
            // Whoever cannot have it is told by the first call.
            let _ = self.github.prepare(&issuer).await;
        }
        // All at once; where there is no environment, or one of others, the rest tells nothing.
        let patterns = (expected == Foreseen::Patterns).then(|| self.patterns(id, &issuer));
        let read_plan = OptionFuture::from(patterns);
        let inhabited = OptionFuture::from(self.deleting.then(|| self.is_occupied(id, &issuer)));
        let (shown, read_plan, inhabited) = join3(self.shown(id), read_plan, inhabited).await;
        let Some((shown, created)) = shown? else { return Ok(None) };
        let rules = rules(&shown);
        let patterns = match (rules.policy, read_plan) {
            (DeploymentBranchPolicy::Custom, Some(patterns)) => patterns?,
            (DeploymentBranchPolicy::Custom, None) if expected == Foreseen::Deletion => BTreeMap::new(),
            (DeploymentBranchPolicy::Custom, None) => self.patterns(id, &issuer).await?,
            (DeploymentBranchPolicy::Any | DeploymentBranchPolicy::Protected, _) => BTreeMap::new(),
        };
        // Nobody can tell whose it is without an id, and with it would go what others have put into it.
        let ours = id.since.is_some_and(|since| since.covers(created));
        let occupied = match inhabited {
            Some(inhabited) if ours => inhabited?,
            _ => false,
        };
        if occupied {
            tracing::warn!(%id, "the environment stays, because there are variables or secrets in it");
        }
        Ok(Some(Observed { rules, patterns, created, ours, occupied }))
    }

    async fn apply(&self, id: &EnvironmentId, action: &Action) -> Result<ApplyOutput, CallError> {
        let (issuer, what) = (Self::issuer(id)?, id.what());
        let mut output = ApplyOutput::default();
        match action {
            Action::Create(rules) | Action::Set(rules) => {
                let mut call = id.call("github:PutEnvironment", "PUT", "", &what);
                call.body = Some(body(rules));
                self.github.call(&issuer, &call).await?;
            }
            Action::Add(RefPattern { tag, name }) => {
                let mut call =
                    id.call("github:CreateDeploymentBranchPolicy", "POST", "/deployment-branch-policies", &what);
                call.body = Some(json!({"name": name, "type": if *tag { "tag" } else { "branch" }}));
                match self.github.call(&issuer, &call).await {
                    // "If the same branch name pattern already exists."
                    Err(error) if error.code == "303" => {}
                    other => output.id = other?.json::<Numbered>(&call)?.id,
                }
            }
            Action::Remove { pattern: _, id: pattern } => {
                let rest = format!("/deployment-branch-policies/{pattern}");
                let call = id.call("github:DeleteDeploymentBranchPolicy", "DELETE", &rest, &what);
                ignore_not_found(self.github.call(&issuer, &call).await)?;
            }
            Action::Delete => {
                ignore_not_found(
                    self.github.call(&issuer, &id.call("github:DeleteEnvironment", "DELETE", "", &what)).await,
                )?;
            }
        }
        Ok(ApplyOutput { at: self.github.now(), ..output })
    }
}

impl GitHubEnvironments {
    fn issuer(id: &EnvironmentId) -> Result<Issuer, CallError> {
        Issuer::of_host(&id.host).map_err(|why| CallError {
            action: "github:GetEnvironment",
            resource: id.to_string(),
            kind: ErrorKind::Invalid,
            code: "Host".to_owned(),
            message: why,
            request_id: None,
            uncertain: false,
        })
    }

    /// When the environment came into being, on our clock.
    pub(super) async fn created(&self, id: &EnvironmentId) -> Result<Option<i64>, CallError> {
        Ok(self.shown(id).await?.map(|(_, created)| created))
    }

    async fn shown(&self, id: &EnvironmentId) -> Result<Option<(Shown, i64)>, CallError> {
        let (issuer, what) = (Self::issuer(id)?, id.what());
        let call = id.call("github:GetEnvironment", "GET", "", &what);
        let reply = match self.github.call(&issuer, &call).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let shown: Shown = reply.json(&call)?;
        let created = DateTime::from_str(&shown.created_at, Format::DateTime).map(|time| time.secs() - reply.ahead);
        Ok(Some((shown, created.unwrap_or_default())))
    }

    async fn patterns(&self, id: &EnvironmentId, issuer: &Issuer) -> Result<BTreeMap<RefPattern, u64>, CallError> {
        let mut patterns = BTreeMap::new();
        for page in 1.. {
            let (what, rest) = (id.what(), format!("/deployment-branch-policies?per_page={PAGE}&page={page}"));
            let call = id.call("github:ListDeploymentBranchPolicies", "GET", &rest, &what);
            let shown = self.github.call(issuer, &call).await?.json::<Patterns>(&call)?.branch_policies;
            let last = shown.len() < PAGE;
            patterns.extend(shown.into_iter().map(|ShownPattern { id, name, r#type }| {
                (RefPattern { tag: r#type.as_deref() == Some("tag"), name }, id)
            }));
            if last {
                break;
            }
        }
        Ok(patterns)
    }

    async fn is_occupied(&self, id: &EnvironmentId, issuer: &Issuer) -> Result<bool, CallError> {
        let any = async |action, rest| {
            let (what, rest) = (id.what(), format!("{rest}?per_page=1"));
            let call = id.call(action, "GET", &rest, &what);
            Ok::<_, CallError>(self.github.call(issuer, &call).await?.json::<Counted>(&call)?.total_count > 0)
        };
        let (variables, secrets) =
            try_join(any("github:ListVariables", "/variables"), any("github:ListSecrets", "/secrets")).await?;
        Ok(variables || secrets)
    }
}

fn rules(shown: &Shown) -> Rules {
    let of = |name: &'static str| shown.protection_rules.iter().filter(move |rule| rule.r#type == name);
    let reviewers = of("required_reviewers").flat_map(|rule| &rule.reviewers);
    Rules {
        wait_timer: of("wait_timer").map(|rule| rule.wait_timer).next().unwrap_or_default(),
        prevent_self_review: of("required_reviewers").any(|rule| rule.prevent_self_review),
        reviewers: reviewers.map(|one| Reviewer { team: one.r#type == "Team", id: one.reviewer.id }).collect(),
        policy: match &shown.deployment_branch_policy {
            None => DeploymentBranchPolicy::Any,
            Some(BranchPolicy { protected_branches: true }) => DeploymentBranchPolicy::Protected,
            Some(BranchPolicy { protected_branches: false }) => DeploymentBranchPolicy::Custom,
        },
    }
}

/// "To allow all branches to deploy, set to `null`." The two members may not be the same.
fn body(rules: &Rules) -> Value {
    let Rules { wait_timer, prevent_self_review, reviewers, policy } = rules;
    let reviewers: Vec<Value> = reviewers
        .iter()
        .map(|Reviewer { team, id }| json!({"type": if *team { "Team" } else { "User" }, "id": id}))
        .collect();
    let policy = match policy {
        DeploymentBranchPolicy::Any => Value::Null,
        DeploymentBranchPolicy::Protected => json!({"protected_branches": true, "custom_branch_policies": false}),
        DeploymentBranchPolicy::Custom => json!({"protected_branches": false, "custom_branch_policies": true}),
    };
    json!({
        "wait_timer": wait_timer, "prevent_self_review": prevent_self_review, "reviewers": reviewers,
        "deployment_branch_policy": policy,
    })
}
