//! One invocation, one answer: whatever happens to a request, and be it a panic, CloudFormation hears of it before its
//! patience and Lambda's time run out.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tracing::Instrument;

use crate::app::App;
use crate::aws::Deadline;
use crate::cloudformation::properties::nearest;
use crate::cloudformation::schema::ResourceSchema;
use crate::cloudformation::{Attributes, Fields, Invocation, Outcome, Request, RequestType, Response};
use crate::deployment::Deployment;
use crate::error::{Error, rendered};
use crate::explain::{self, Question};
use crate::guardrails::Guardrails;
use crate::ownership::Owner;
use crate::reconcile::{Progress, Reconciler, Resource};
use crate::resources::eks_access_entry::AccessEntries;
use crate::resources::github_environment::GitHubEnvironments;
use crate::resources::github_repository_oidc::GitHubRepositoryOidcs;
use crate::resources::github_role::GitHubRoles;
use crate::resources::github_variable::GitHubVariables;
use crate::resources::oidc_provider::OidcProviders;
use crate::respond::{SendError, respond};
use crate::scheduled::{self, Unfinished};
use crate::settings::Settings;

/// Between the last moment of work and the end of the time, for the answer; at most half of the time.
const RESERVE: Duration = Duration::from_secs(8);
/// Between the last call that may start and the last moment of work, so that a failure can still be told in its own words;
/// at most a quarter of the time.
const WIND_DOWN: Duration = Duration::from_secs(2);
/// How long after the Delete of a resource whose Create never answered something of it may still appear: Lambda delivers
/// an event again one minute, and then two minutes, after its process failed.
const STRAGGLERS: Duration = Duration::from_mins(5);
/// CloudFormation's patience where the author sets none.
const DEFAULT_SERVICE_TIMEOUT: u32 = 3600;

/// What Lambda says about one invocation.
#[derive(Clone, Debug)]
pub struct InvocationContext {
    /// When Lambda ends the process.
    pub deadline: SystemTime,
    /// `arn:<partition>:lambda:<region>:<account>:app:<name>`.
    pub function_arn: String,
}

/// Why an invocation fails, so that Lambda delivers its event again.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The answer did not get through.
    #[error(transparent)]
    SendError(#[from] SendError),
    /// The scheduled run did not do everything.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
    /// Lambda did not say where the function is.
    #[error("the function's ARN {0:?} cannot be read")]
    Nowhere(String),
}

/// What a request led to.
struct Reconciled {
    physical_id: String,
    attributes: Attributes,
}

/// The surroundings of one request.
struct Work<'a> {
    owner: &'a Owner,
    deployment: &'a Deployment,
    guardrails: &'a Guardrails,
    deadline: Deadline,
    lag: Duration,
    progress: &'a Progress,
}

/// What the function handles.
pub const RESOURCES: [ResourceSchema; 6] = [
    OidcProviders::RESOURCE,
    GitHubRoles::RESOURCE,
    AccessEntries::RESOURCE,
    GitHubVariables::RESOURCE,
    GitHubEnvironments::RESOURCE,
    GitHubRepositoryOidcs::RESOURCE,
];

async fn dispatch(app: &App, request: &Request, work: &Work<'_>) -> Result<Reconciled, Error> {
    let App { settings, iam, issuers, clock, .. } = app;
    let deadline = work.deadline;
    match request.resource_type.as_str() {
        OidcProviders::TYPE => {
            let (issuers, now, rotation_policy) = (Arc::clone(issuers), clock.now(), settings.rotation_policy);
            carry_out(&OidcProviders { iam: iam.clone(), deadline, issuers, now, rotation_policy }, request, work).await
        }
        GitHubRoles::TYPE => {
            // Boxed, because its future is by far the largest.
            Box::pin(carry_out(&app.roles(work.deployment.clone(), deadline), request, work)).await
        }
        AccessEntries::TYPE => carry_out(&app.entries(work.deployment.clone(), deadline), request, work).await,
        GitHubVariables::TYPE => carry_out(&GitHubVariables::new(app.github(deadline), request), request, work).await,
        GitHubEnvironments::TYPE => {
            carry_out(&GitHubEnvironments::new(app.github(deadline), request), request, work).await
        }
        GitHubRepositoryOidcs::TYPE => {
            let (github, iam) = (app.github(deadline), iam.clone());
            carry_out(&GitHubRepositoryOidcs { github, iam, deadline }, request, work).await
        }
        // Nothing of an unknown type was ever made, so its Delete, after the failed Create, has nothing to do.
        _ if request.request_type()? == RequestType::Delete => Ok(deleted(request)),
        other => Err(Error::UnknownType {
            found: other.to_owned(),
            nearest: nearest(other, RESOURCES.iter().map(|resource| resource.name)),
            known: RESOURCES.iter().map(|resource| resource.name).collect(),
        }),
    }
}

async fn carry_out<K: Resource>(kind: &K, request: &Request, work: &Work<'_>) -> Result<Reconciled, Error> {
    let Work { owner, deployment, guardrails, deadline, lag, progress } = work;
    let before = failure_id(request);
    let task = Reconciler { kind, owner, deployment, deadline: *deadline, lag: *lag, progress, before: &before };
    match request.request_type()? {
        RequestType::Create | RequestType::Update => {
            let spec = parse::<K>(&request.properties()?, request, deployment)?;
            if let Err(refusal) = guardrails.check(&K::guardrail_checks(&spec), deployment) {
                return as_it_is(kind, owner, spec, request, deployment).await.ok_or(Error::Refused(refusal));
            }
            let (id, attributes) = task.ensure_present(spec, request.physical_id.as_deref()).await?;
            // A replacement whose every attempt was killed is rolled back under the old id, and CloudFormation never
            // hears of what it made. Only the other side's properties lead there; only our tags make it ours.
            let other_side =
                request.old_properties().and_then(|properties| parse::<K>(&properties, request, deployment).ok());
            let left = other_side.map(|spec| K::id(owner, &spec, deployment));
            if let Some(left) = left.filter(|left| {
                let known = request.physical_id.as_deref().and_then(K::id_from);
                !K::is_same_object(left, &id) && !known.is_some_and(|known| K::is_same_object(left, &known))
            }) {
                task.absent_for(&left, Duration::ZERO).await?;
            }
            Ok(Reconciled { physical_id: id.to_string(), attributes })
        }
        RequestType::Delete => {
            let physical_id = request.physical_id.as_deref().unwrap_or_default();
            // What a Create without an answer may have made is found by the id that its properties lead to, and known by
            // its owner's tags.
            let derived = || {
                let spec = parse::<K>(&request.properties().ok()?, request, deployment).ok()?;
                Some(K::id(owner, &spec, deployment))
            };
            if let Some(id) = K::id_from(physical_id).filter(|_| !is_invented(request, physical_id)) {
                task.ensure_absent(&id).await?;
            } else if let Some(id) = derived() {
                if physical_id.starts_with(NEVER_CREATED) {
                    task.absent_after_all(&id).await?;
                } else {
                    task.absent_for(&id, STRAGGLERS).await?;
                }
            }
            Ok(deleted(request))
        }
    }
}

/// What is there, if an Update asks for nothing else. Guardrails may have become stricter since it was made; a stack that
/// leaves it alone, or rolls back to it, has to get through. No changing call is made.
async fn as_it_is<K: Resource>(
    kind: &K,
    owner: &Owner,
    spec: K::Spec,
    request: &Request,
    deployment: &Deployment,
) -> Option<Reconciled> {
    let known =
        K::id_from(request.physical_id.as_deref()?).filter(|known| *known == K::id(owner, &spec, deployment))?;
    let desired = kind.resolve(owner, &known, spec).await.ok()?;
    let observed = kind.observe(&known).await.ok()??;
    let plan = K::plan(owner, Some(&desired), Some(&observed)).ok()?;
    plan.is_empty()
        .then(|| Reconciled { physical_id: known.to_string(), attributes: K::attributes(&desired, &observed) })
}

fn deleted(request: &Request) -> Reconciled {
    Reconciled { physical_id: failure_id(request), attributes: Attributes::new() }
}

fn parse<K: Resource>(
    properties: &Map<String, Value>,
    request: &Request,
    deployment: &Deployment,
) -> Result<K::Spec, Error> {
    let mut fields = Fields::of_request(properties, K::RESOURCE.object.properties);
    let spec = K::parse(&mut fields, deployment);
    let problems = |problems| Error::Properties { resource_type: K::TYPE, problems };
    fields.finish().map_err(problems)?;
    // A parser that notes no problem has read everything; a law of the kinds holds this.
    spec.ok_or_else(|| Error::Vanished(format!("the declaration of {}", request.logical_id)))
}

/// The id for an answer before anything was made: the one that is known, or one that can never name a real object.
fn failure_id(request: &Request) -> String {
    request.physical_id.clone().unwrap_or_else(|| format!("{NEVER_CREATED}{}", request.request_id))
}

/// Begins the id of what was never made. No kind has ids with a slash before a colon, or begins them with a host without a
/// dot.
const NEVER_CREATED: &str = "never-created/";

/// Whether CloudFormation made this id up, because a Create did not answer before the stack was rolled back: the stack's
/// name, the logical id, and letters and digits in upper case (aws-cloudformation/cloudformation-coverage-roadmap#1814).
/// It could be a role's name, but not one that we would generate.
fn is_invented(request: &Request, physical_id: &str) -> bool {
    let beginning = |text: &str| text.chars().take(20).collect::<String>();
    let (stack, logical_id) = (beginning(request.stack.name()), beginning(&request.logical_id));
    let suffix = physical_id.rsplit('-').next().unwrap_or_default();
    physical_id.starts_with(&stack)
        && physical_id.contains(&format!("-{logical_id}"))
        && suffix.len() >= 10
        && suffix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

impl App {
    /// Handles one event, given as the JSON that Lambda delivered, and gives what a direct invocation is answered.
    ///
    /// # Errors
    /// When the event must be delivered again: no answer got through.
    pub async fn handle(&self, event: &str, context: &InvocationContext) -> Result<Value, HandlerError> {
        let deadline = self.instant(context.deadline);
        if let Some(question) = explain::read(event) {
            return Ok(self.explain(question, context, deadline).await);
        }
        self.serve(event, context, deadline).await.map(|()| Value::Null)
    }

    /// Whoever invokes the function directly gets the answer back.
    async fn explain(
        &self,
        question: Result<Question, String>,
        context: &InvocationContext,
        deadline: Instant,
    ) -> Value {
        match question {
            Ok(question) => {
                // A local runtime gives no ARN, and IAM's answers name the account.
                let deployment =
                    self.deployment(&context.function_arn).unwrap_or_else(|| self.deployment_at("aws", "", ""));
                let until = Deadline::until(deadline - WIND_DOWN);
                explain::answer(&self.iam, &deployment, &until, &question).await
            }
            Err(problem) => json!({"Error": problem}),
        }
    }

    async fn serve(&self, event: &str, context: &InvocationContext, deadline: Instant) -> Result<(), HandlerError> {
        match Invocation::classify(event, self.settings.response_origin.as_deref()) {
            Ok(Invocation::CloudFormation(request)) => {
                let span = tracing::info_span!(
                    "request",
                    request_id = request.request_id,
                    stack_id = request.stack.as_str(),
                    logical_id = request.logical_id,
                    resource_type = request.resource_type,
                );
                self.answer(&request, context, deadline).instrument(span).await
            }
            Ok(Invocation::Schedule) => {
                let deployment = self
                    .deployment(&context.function_arn)
                    .ok_or_else(|| HandlerError::Nowhere(context.function_arn.clone()))?;
                Ok(scheduled::run(self, &deployment, Deadline::until(deadline - RESERVE)).await?)
            }
            Ok(Invocation::Unknown) => {
                tracing::warn!("the event is neither a request of CloudFormation nor a schedule; nothing was done");
                Ok(())
            }
            // Delivering it again would not make it answerable.
            Err(why) => {
                tracing::error!(reason = %why, "a request cannot be answered; nothing was done");
                Ok(())
            }
        }
    }

    async fn answer(
        &self,
        request: &Request,
        context: &InvocationContext,
        deadline: Instant,
    ) -> Result<(), HandlerError> {
        // A local runtime gives the function no ARN; then it is where the stack is.
        let of_stack =
            || self.deployment_at(request.stack.partition(), request.stack.region(), request.stack.account());
        let deployment = self.deployment(&context.function_arn).unwrap_or_else(of_stack);
        let max_retry_duration = self.max_retry_duration(request);
        if self.expired(request) || max_retry_duration <= self.clock.now() {
            tracing::warn!("CloudFormation no longer waits for this request; nothing was done");
            return Ok(());
        }
        let progress = Progress::new(failure_id(request));
        let now = Instant::now();
        let time = self.instant(max_retry_duration).min(deadline) - now;
        let until = now + time - RESERVE.min(time / 2);
        let work_deadline = Deadline::until(until - WIND_DOWN.min(time / 4));
        let owner = Owner::new(&request.stack, &request.logical_id);
        let Settings { guardrails, iam_lag: lag, .. } = &self.settings;
        let work = Work {
            owner: &owner,
            deployment: &deployment,
            guardrails,
            deadline: work_deadline,
            lag: *lag,
            progress: &progress,
        };
        // Boxed: the future of all kinds together is large, and its type too deep for the compiler.
        let running = AssertUnwindSafe(Box::pin(self.checked(request, &work))).catch_unwind();
        let outcome = match tokio::time::timeout_at(until, running).await {
            Ok(Ok(Ok(done))) => Outcome::Success { physical_id: done.physical_id, attributes: done.attributes },
            Ok(Ok(Err(error))) => Outcome::Failure { physical_id: progress.physical_id(), reason: progress.failure_reason(&rendered(&error)) },
            Ok(Err(_panic)) => Outcome::Failure {
                physical_id: progress.physical_id(),
                reason: progress.failure_reason("github-trust failed unexpectedly (a defect): its log says where; the state will be looked at anew with the next update or rollback"),
            },
            Err(_elapsed) => Outcome::Failure {
                physical_id: progress.physical_id(),
                reason: progress.failure_reason("the time was up before everything was done: the function's log says which call did not end; the next update or rollback goes on from what is there"),
            },
        };
        match &outcome {
            Outcome::Success { physical_id, attributes: _ } => tracing::info!(physical_id, "succeeded"),
            Outcome::Failure { physical_id, reason } => tracing::error!(physical_id, reason, "failed"),
        }
        let answer = Response::new(request, &outcome);
        Ok(respond(&self.http, &request.response_url, &answer, deadline).await?)
    }

    async fn checked(&self, request: &Request, work: &Work<'_>) -> Result<Reconciled, Error> {
        // The Delete of a Create that was refused for its time-out carries the same one.
        if request.request_type()? != RequestType::Delete {
            request.service_timeout()?;
            self.settings.guardrails.check_account(request.stack.account(), work.deployment)?;
        }
        dispatch(self, request, work).await
    }

    /// Whether the pre-signed URL has ended: then CloudFormation has given up, and may have started something else.
    fn expired(&self, request: &Request) -> bool {
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        request.response_url.expires_at().is_some_and(|end| end <= now.as_secs())
    }

    /// When CloudFormation gives up. It counts from the request, which may have waited in Lambda's queue.
    fn max_retry_duration(&self, request: &Request) -> SystemTime {
        let seconds = request.service_timeout().ok().flatten().unwrap_or(DEFAULT_SERVICE_TIMEOUT);
        let sent = request.response_url.signed_at().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let sent = sent.filter(|sent| *sent <= self.clock.now()).unwrap_or_else(|| self.clock.now());
        sent + Duration::from_secs(seconds.into())
    }
}
