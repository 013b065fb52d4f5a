//! The calls for environments: one for each action, and the reads before them.

use std::collections::BTreeMap;

use aws_smithy_types::date_time::{DateTime, Format};
use futures_util::future::{OptionFuture, join3, try_join};
use serde::Deserialize;
use serde_json::{Value, json};

use super::stricter::is_stricter;
use super::{
    Action, ApplyOutput, DeploymentBranchPolicy, Desired, EnvironmentId, GitHubEnvironments, Observed, Prefetch,
    RefKind, RefPattern, Reviewer, ReviewerKind, Rules, Spec,
};
use crate::aws::{CallError, ErrorKind, ignore_not_found};
use crate::error::Error;
use crate::github::ApiCall;
use crate::github::client::Client;
use crate::github::ownership_by_creation::CreationWindow;
use crate::github::ownership_by_variables::ClaimPlace;
use crate::ownership::Owner;
use crate::reconcile::{Api, Claimable, Exclusive, ReadHint, Reader};

/// An environment, as far as it is read.
#[derive(Deserialize)]
struct EnvironmentResponse {
    created_at: String,
    #[serde(default)]
    protection_rules: Vec<Rule>,
    deployment_branch_policy: Option<BranchPolicy>,
    can_admins_bypass: Option<bool>,
}

#[derive(Deserialize)]
struct Rule {
    r#type: String,
    #[serde(default)]
    wait_timer: u32,
    #[serde(default)]
    prevent_self_review: bool,
    #[serde(default)]
    reviewers: Vec<ReviewerResponse>,
}

#[derive(Deserialize)]
struct ReviewerResponse {
    r#type: Option<String>,
    reviewer: Option<Numbered>,
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
    branch_policies: Vec<PatternResponse>,
}

#[derive(Deserialize)]
struct PatternResponse {
    id: u64,
    name: String,
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    total_count: u64,
}

const PAGE: usize = 100;
/// GitHub sends this member and takes it, though it documents neither. An Enterprise Server may refuse it.
/// google/go-github#2725, integrations/terraform-provider-github#1804
const BYPASS: &str = "can_admins_bypass";
/// The remark about an environment whose branches nothing restricts.
const UNRESTRICTED: &str = "`ProtectedBranches` restricts nothing: no branch of the repository is protected, so that every \
                            branch may deploy. Protect one, or declare `Branches`";
/// The remark where GitHub does not tell.
const UNKNOWN: &str = "`ProtectedBranches` may restrict nothing: GitHub does not tell the function's credential if a branch is \
                       protected (Contents: read)";

impl EnvironmentId {
    fn environment_call(&self, action: &'static str, method: &'static str, rest: &str) -> ApiCall<'_> {
        let path =
            format!("/repos/{}/environments/{}{rest}", self.name.repository, urlencoding::encode(&self.name.name));
        self.call(action, method, path)
    }
}

impl Reader for GitHubEnvironments {
    type Sharing = Exclusive;

    fn prefetch(&self, hint: ReadHint<'_, Spec>) {
        let custom =
            |spec: &Spec| spec.branches.as_ref().is_some_and(|(policy, _)| *policy == DeploymentBranchPolicy::Custom);
        self.prefetch.set(match hint {
            ReadHint::Object(spec) if custom(spec) => Prefetch::Patterns,
            ReadHint::Object(_) => Prefetch::Nothing,
            ReadHint::Deletion => Prefetch::Deletion,
        });
    }

    async fn resolve(&self, _: &Owner, id: &EnvironmentId, spec: Spec) -> Result<Desired, Error> {
        let remark = self.remark(id, &spec).await;
        Ok(Desired { spec, before: self.before.clone().filter(|before| before.id() == *id), remark })
    }

    async fn observe(&self, id: &EnvironmentId) -> Result<Option<Observed>, CallError> {
        match self.look(id).await {
            // Another stack may have deleted the environment between two calls.
            Err(error) if error.kind == ErrorKind::NotFound => self.look(id).await,
            other => other,
        }
    }
}

impl GitHubEnvironments {
    /// The remark about `ProtectedBranches`, or an empty text.
    async fn remark(&self, id: &EnvironmentId, spec: &Spec) -> &'static str {
        if !matches!(spec.branches, Some((DeploymentBranchPolicy::Protected, _))) {
            return "";
        }
        match self.github.has_protected_branch(&id.issuer, &spec.repository).await {
            Some(true) => "",
            Some(false) => {
                tracing::warn!(%id, "no branch of the repository is protected, so that every branch may deploy");
                UNRESTRICTED
            }
            None => UNKNOWN,
        }
    }

    /// Reads the environment and what belongs to it.
    async fn look(&self, id: &EnvironmentId) -> Result<Option<Observed>, CallError> {
        let prefetch = self.prefetch.get();
        if prefetch != Prefetch::Nothing {
            // If no credential is available, the next call reports it.
            let _ = self.github.prepare(&id.issuer).await;
        }
        // All at once. Without an environment, or with one of others, the other results do not matter.
        let patterns = OptionFuture::from((prefetch == Prefetch::Patterns).then(|| self.patterns(id)));
        let occupied = OptionFuture::from(self.deleting.then(|| self.is_occupied(id)));
        let (environment, patterns, occupied) = join3(self.read(id), patterns, occupied).await;
        let Some((environment, created)) = environment? else { return Ok(None) };
        let rules = rules(&environment);
        let patterns = match (rules.policy, patterns) {
            (DeploymentBranchPolicy::Custom, Some(patterns)) => patterns?,
            (DeploymentBranchPolicy::Custom, None) if prefetch == Prefetch::Deletion => BTreeMap::new(),
            (DeploymentBranchPolicy::Custom, None) => self.patterns(id).await?,
            (DeploymentBranchPolicy::Any | DeploymentBranchPolicy::Protected, _) => BTreeMap::new(),
        };
        let occupied = occupied.transpose()?.unwrap_or_default();
        // A repository that got another name has the same environment.
        let is_same = |declared: &&Spec| declared.id().in_repository(&id.name.repository).as_ref() == Some(id);
        let declared = self.before.as_ref().filter(|_| self.deleting).filter(is_same);
        let stricter = declared.is_some_and(|declared| is_stricter(&rules, declared));
        Ok(Some(Observed { rules, patterns, created, ours: false, occupied, stricter }))
    }
}

impl Claimable for GitHubEnvironments {
    fn github(&self) -> &Client {
        &self.github
    }

    fn memory(observed: Option<&Observed>, requested: CreationWindow) -> String {
        requested.memory(observed.is_some())
    }

    fn recall(observed: Observed, memories: &[&str], is_owner: bool) -> Observed {
        let made = |memory: &&str| CreationWindow::parse(memory).is_some_and(|window| window.covers(observed.created));
        let ours = is_owner && memories.iter().any(made);
        if ours && observed.occupied {
            tracing::warn!("the environment stays, because there are variables or secrets in it");
        }
        if ours && observed.stricter {
            tracing::warn!("the environment stays, because somebody has made it stricter than it is declared");
        }
        let (occupied, stricter) = (ours && observed.occupied, ours && observed.stricter);
        Observed { ours, occupied, stricter, ..observed }
    }
}

impl Api for GitHubEnvironments {
    async fn apply(&self, id: &EnvironmentId, action: &Action) -> Result<ApplyOutput, CallError> {
        let mut output = ApplyOutput::default();
        match action {
            Action::Create(rules) | Action::Set(rules) => {
                self.put(id, rules).await?;
            }
            Action::Add(RefPattern { kind, name }) => {
                let call =
                    id.environment_call("github:CreateDeploymentBranchPolicy", "POST", "/deployment-branch-policies");
                let call = ApiCall { body: Some(json!({"name": name, "type": kind.to_string()})), ..call };
                match self.github.call(&id.issuer, &call).await {
                    // "If the same branch name pattern already exists" it is 303; of other names GitHub says so with 422.
                    Err(error) if ["303", "422"].contains(&error.code.as_str()) => {
                        let there = self.patterns(id).await?;
                        let pattern = RefPattern { kind: *kind, name: name.clone() };
                        output.id = *there.get(&pattern).ok_or(error)?;
                    }
                    other => output.id = other?.json::<Numbered>(&call)?.id,
                }
            }
            Action::Remove { pattern: _, id: pattern } => {
                let rest = format!("/deployment-branch-policies/{pattern}");
                let call = id.environment_call("github:DeleteDeploymentBranchPolicy", "DELETE", &rest);
                ignore_not_found(self.github.call(&id.issuer, &call).await)?;
            }
            Action::Delete => {
                let call = id.environment_call("github:DeleteEnvironment", "DELETE", "");
                ignore_not_found(self.github.call(&id.issuer, &call).await)?;
            }
        }
        Ok(ApplyOutput { at: self.github.now(), ..output })
    }
}

impl GitHubEnvironments {
    /// Sets the rules. A server that refuses the member for administrators gets the rest.
    async fn put(&self, id: &EnvironmentId, rules: &Rules) -> Result<(), CallError> {
        let call = |rules: &Rules| {
            let call = id.environment_call("github:PutEnvironment", "PUT", "");
            ApiCall { body: Some(body(rules)), ..call }
        };
        match self.github.call(&id.issuer, &call(rules)).await {
            Err(error) if rules.bars_administrators && error.code == "422" && error.message.contains(BYPASS) => {
                tracing::warn!(%id, %error, "GitHub does not take that administrators may not bypass the rules; see if it is still so");
                let rest = Rules { bars_administrators: false, ..rules.clone() };
                self.github.call(&id.issuer, &call(&rest)).await.map(drop)
            }
            set => set.map(drop),
        }
    }

    /// Reads the environment, and since when it exists on our clock.
    async fn read(&self, id: &EnvironmentId) -> Result<Option<(EnvironmentResponse, i64)>, CallError> {
        let call = id.environment_call("github:GetEnvironment", "GET", "");
        let response = match self.github.call(&id.issuer, &call).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let environment: EnvironmentResponse = response.json(&call)?;
        let created = DateTime::from_str(&environment.created_at, Format::DateTime);
        let created = created.map(|time| time.secs() - response.ahead).unwrap_or_default();
        Ok(Some((environment, created)))
    }

    async fn patterns(&self, id: &EnvironmentId) -> Result<BTreeMap<RefPattern, u64>, CallError> {
        let mut patterns = BTreeMap::new();
        for page in 1.. {
            let rest = format!("/deployment-branch-policies?per_page={PAGE}&page={page}");
            let call = id.environment_call("github:ListDeploymentBranchPolicies", "GET", &rest);
            let listed = self.github.call(&id.issuer, &call).await?.json::<Patterns>(&call)?.branch_policies;
            let last = listed.len() < PAGE;
            patterns.extend(listed.into_iter().map(|PatternResponse { id, name, r#type }| {
                let kind = if r#type.as_deref() == Some("tag") { RefKind::Tag } else { RefKind::Branch };
                (RefPattern { kind, name }, id)
            }));
            if last {
                break;
            }
        }
        Ok(patterns)
    }

    async fn is_occupied(&self, id: &EnvironmentId) -> Result<bool, CallError> {
        let any = async |action, rest| {
            let call = id.environment_call(action, "GET", &format!("{rest}?per_page=1"));
            Ok::<_, CallError>(self.github.call(&id.issuer, &call).await?.json::<Counted>(&call)?.total_count > 0)
        };
        let (variables, secrets) =
            try_join(any("github:ListVariables", "/variables"), any("github:ListSecrets", "/secrets")).await?;
        Ok(variables || secrets)
    }
}

fn rules(environment: &EnvironmentResponse) -> Rules {
    let of = |name: &'static str| environment.protection_rules.iter().filter(move |rule| rule.r#type == name);
    let reviewers = of("required_reviewers").flat_map(|rule| &rule.reviewers);
    Rules {
        wait_timer: of("wait_timer").map(|rule| rule.wait_timer).next().unwrap_or_default(),
        prevent_self_review: of("required_reviewers").any(|rule| rule.prevent_self_review),
        reviewers: reviewers.map(reviewer).collect(),
        policy: match &environment.deployment_branch_policy {
            None => DeploymentBranchPolicy::Any,
            Some(BranchPolicy { protected_branches: true }) => DeploymentBranchPolicy::Protected,
            Some(BranchPolicy { protected_branches: false }) => DeploymentBranchPolicy::Custom,
        },
        bars_administrators: environment.can_admins_bypass == Some(false),
    }
}

/// GitHub describes both members as optional.
fn reviewer(shown: &ReviewerResponse) -> Reviewer {
    let ReviewerResponse { r#type, reviewer } = shown;
    let kind = ReviewerKind::of(r#type.as_deref().unwrap_or_default());
    Reviewer { kind, id: reviewer.as_ref().filter(|_| r#type.is_some()).map(|reviewer| reviewer.id) }
}

/// "To allow all branches to deploy, set to `null`." The two members may not be the same.
fn body(rules: &Rules) -> Value {
    let Rules { wait_timer, prevent_self_review, reviewers, policy, bars_administrators } = rules;
    let reviewers: Vec<Value> =
        reviewers.iter().map(|Reviewer { kind, id }| json!({"type": format!("{kind:?}"), "id": id})).collect();
    let policy = match policy {
        DeploymentBranchPolicy::Any => Value::Null,
        DeploymentBranchPolicy::Protected => json!({"protected_branches": true, "custom_branch_policies": false}),
        DeploymentBranchPolicy::Custom => json!({"protected_branches": false, "custom_branch_policies": true}),
    };
    let mut body = json!({
        "wait_timer": wait_timer, "prevent_self_review": prevent_self_review, "reviewers": reviewers,
        "deployment_branch_policy": policy,
    });
    if *bars_administrators {
        body[BYPASS] = json!(false);
    }
    body
}
