//! An invocation leads to one response: CloudFormation hears of every request, also after a panic, before its own time-out and
//! before Lambda's.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Instrument;

use crate::app::App;
use crate::aws::Deadline;
use crate::cloudformation::{Invocation, Outcome, Request, RequestType, Response, ResponseUrl};
use crate::deployment::Deployment;
use crate::error::{Error, rendered};
use crate::explain::{self, Question};
use crate::hook;
use crate::ownership::Owner;
use crate::preview;
use crate::reconcile::{Progress, Reconciled, RequestContext, Resource, failure_id, reconcile_request};
use crate::request_origin::{FormerObjects, Origin, Witness};
use crate::resources;
use crate::resources::eks_access_entry::AccessEntries;
use crate::resources::github_environment::GitHubEnvironments;
use crate::resources::github_repository_oidc::GitHubRepositoryOidcs;
use crate::resources::github_role::GitHubRoles;
use crate::resources::github_variable::GitHubVariables;
use crate::resources::oidc_provider::OidcProviders;
use crate::scheduled::{self, Unfinished};
use crate::send_response::{SendError, respond};

pub use crate::resources::RESOURCES;

/// The context of one invocation.
#[derive(Clone, Debug)]
pub struct InvocationContext {
    /// The time at which Lambda ends the process.
    pub deadline: SystemTime,
    /// `arn:<partition>:lambda:<region>:<account>:function:<name>`.
    pub function_arn: String,
}

/// The failure of an invocation: Lambda delivers its event again.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The response was not accepted.
    #[error(transparent)]
    SendError(#[from] SendError),
    /// The scheduled run is not complete.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
    /// The context does not tell the account and region of the function.
    #[error("the function's ARN {0:?} cannot be read")]
    InvalidFunctionArn(String),
}

impl App {
    /// Handles one event, given as the JSON that Lambda delivered. Returns the answer to a direct invocation.
    ///
    /// # Errors
    /// When the event must be delivered again.
    pub async fn handle(&self, event: &str, context: &InvocationContext) -> Result<Value, HandlerError> {
        let deadline = self.instant(context.deadline);
        if let Some(question) = explain::read(event) {
            return Ok(self.explain(question, context, deadline).await);
        }
        if let Some(question) = preview::read(event) {
            return Ok(self.preview(question, context, deadline).await);
        }
        if let Some(event) = hook::read(event) {
            let here = self.deployment(&context.function_arn).unwrap_or_else(|| self.deployment_at("aws", "", ""));
            return Ok(hook::answer(self, &here, deadline - WIND_DOWN, event).await);
        }
        if preview::is_for_questions(&context.function_arn) {
            tracing::warn!("this alias answers questions only; nothing was done");
            return Ok(json!({"Error": QUESTIONS_ONLY}));
        }
        self.serve(event, context, deadline).await
    }

    async fn explain(
        &self,
        question: Result<Question, String>,
        context: &InvocationContext,
        deadline: Instant,
    ) -> Value {
        match question {
            Ok(question) => {
                // A local runtime gives no ARN, and the answers of IAM name the account.
                let here = self.deployment(&context.function_arn).unwrap_or_else(|| self.deployment_at("aws", "", ""));
                if let Err(refusal) = self.settings.guardrails.check_explain(&here) {
                    return json!({"Error": refusal.to_string()});
                }
                explain::answer(&self.iam, &here, &Deadline::until(deadline - WIND_DOWN), &question).await
            }
            Err(problem) => json!({"Error": problem}),
        }
    }

    async fn preview(
        &self,
        question: Result<preview::PlanQuestion, String>,
        context: &InvocationContext,
        deadline: Instant,
    ) -> Value {
        let question = match question {
            Ok(question) => question,
            Err(problem) => return json!({"Error": problem}),
        };
        let Some(here) = self.deployment(&context.function_arn) else {
            return json!({"Error": HandlerError::InvalidFunctionArn(context.function_arn.clone()).to_string()});
        };
        if let Err(refusal) = self.settings.guardrails.check_explain(&here) {
            return json!({"Error": refusal.to_string()});
        }
        let end = (deadline - WIND_DOWN).min(Instant::now() + PREVIEW);
        preview::answer(self, &here, Deadline::until(end), question).await
    }

    async fn serve(&self, event: &str, context: &InvocationContext, deadline: Instant) -> Result<Value, HandlerError> {
        match Invocation::classify(event, self.settings.response_origin.as_deref()) {
            Ok(Invocation::CloudFormation(request)) => {
                if let Some(here) = self.deployment(&context.function_arn)
                    && (request.stack.partition(), request.stack.region()) != (&here.partition, &here.region)
                {
                    tracing::error!(
                        stack_id = request.stack.as_str(),
                        "the stack is in another region; nothing was done"
                    );
                    return Ok(Value::Null);
                }
                let span = tracing::info_span!(
                    "request",
                    request_id = request.request_id,
                    stack_id = request.stack.as_str(),
                    logical_id = request.logical_id,
                    resource_type = request.resource_type,
                );
                self.answer(&request, context, deadline).instrument(span).await.map(|()| Value::Null)
            }
            Ok(Invocation::Schedule) => {
                let arn = &context.function_arn;
                let here = self.deployment(arn).ok_or_else(|| HandlerError::InvalidFunctionArn(arn.clone()))?;
                scheduled::run(self, &here, Deadline::until(deadline - RESERVE)).await?;
                Ok(Value::Null)
            }
            Ok(Invocation::Unknown) => {
                tracing::warn!("the event is neither a request of CloudFormation nor a schedule; nothing was done");
                Ok(json!({"Error": explain::unknown(event)}))
            }
            // A second delivery would not make it answerable.
            Err(why) => {
                tracing::error!(reason = %why, "a request cannot be answered; nothing was done");
                Ok(Value::Null)
            }
        }
    }

    async fn answer(
        &self,
        request: &Request,
        context: &InvocationContext,
        deadline: Instant,
    ) -> Result<(), HandlerError> {
        let service_deadline = self.service_deadline(request);
        if self.is_expired(request) || service_deadline <= self.clock.now() {
            tracing::warn!("CloudFormation no longer waits for this request; nothing was done");
            return Ok(());
        }
        let end = self.instant(service_deadline).min(deadline);
        let (outcome, proof) = match self.outcome(request, context, end).await {
            Ended::Answered => return Ok(()),
            Ended::With(outcome, proof) => (outcome, proof),
        };
        match &outcome {
            Outcome::Success { physical_id, attributes: _ } => tracing::info!(physical_id, "succeeded"),
            Outcome::Failure { physical_id, reason } => tracing::error!(physical_id, reason, "failed"),
        }
        let response = Response::new(request, &outcome);
        let Some(url) = &request.response_url else { return Ok(()) };
        let until = if proof == Proof::Given { deadline } else { deadline.min(Instant::now() + UNPROVEN) };
        let mut sent = respond(&self.http, url, &response, until).await;
        if sent.is_err() && proof == Proof::NotAsked && self.is_awaited(request, deadline).await {
            sent = respond(&self.http, url, &response, deadline).await;
        } else if proof != Proof::Given {
            // A second delivery would not prove more.
            return Ok(());
        }
        Ok(sent.inspect_err(|error| error.tell(&response))?)
    }

    /// Returns true unless CloudFormation shows that it does not wait for this request.
    async fn is_awaited(&self, request: &Request, end: Instant) -> bool {
        !matches!(self.confirmed(request, end).await, Err(Error::NotAwaited { .. }))
    }

    /// Returns true if CloudFormation shows soon that it has an answer to this request.
    async fn is_answered(&self, request: &Request, end: Instant) -> bool {
        let soon = end.min(Instant::now() + LAST_LOOK);
        matches!(self.confirmed(request, soon).await, Err(Error::NotAwaited { is_answered: true, .. }))
    }

    async fn confirmed(&self, request: &Request, end: Instant) -> Result<(), Error> {
        let deadline = Deadline::until(end);
        let witness = Witness { client: &self.cloudformation, deadline, clock: &self.clock };
        witness.confirm(request, None).await.map(drop)
    }

    /// Carries out a request until `end`. A panic and the end of the time are failures like any other.
    async fn outcome(&self, request: &Request, context: &InvocationContext, end: Instant) -> Ended {
        // A local runtime gives the function no ARN; then it is where the stack is.
        let of_stack =
            || self.deployment_at(request.stack.partition(), request.stack.region(), request.stack.account());
        let deployment = self.deployment(&context.function_arn).unwrap_or_else(of_stack);
        let now = Instant::now();
        let time = end - now;
        let work_end = now + time - RESERVE.min(time / 2);
        let progress = Progress::new(failure_id(request));
        let guardrails = self.settings.guardrails.at(self.clock.now(), &request.logical_id);
        let origin = Origin::default();
        let deadline = Deadline::until(work_end - WIND_DOWN.min(time / 4));
        // CloudFormation tells nothing of another account. One that is served is believed, and one that is not is not.
        let is_elsewhere = request.stack.account() != deployment.account;
        let witness = Witness { client: &self.cloudformation, deadline, clock: &self.clock };
        let former = FormerObjects { witness, request };
        let context = RequestContext {
            owner: &Owner::new(&request.stack, &request.logical_id),
            deployment: &deployment,
            guardrails: &guardrails,
            deadline,
            lag: self.settings.iam_lag,
            origin: &origin,
            former: (!is_elsewhere).then_some(&former),
            began: self.clock.now(),
            progress: &progress,
        };
        let is_strange = is_elsewhere && guardrails.check_account(request.stack.account(), &deployment).is_err();
        // Boxed: the future of all resource types together is large, and its type too deep for the compiler.
        let running = AssertUnwindSafe(Box::pin(self.checked(request, &context))).catch_unwind();
        let reason = match tokio::time::timeout_at(work_end, running).await {
            Ok(Ok(Ok(Reconciled { physical_id, attributes }))) => {
                let proof = if is_strange { Proof::Missing } else { Proof::Given };
                return Ended::With(Outcome::Success { physical_id, attributes }, proof);
            }
            Ok(Ok(Err(Error::NotAwaited { found, is_answered: true }))) => {
                tracing::warn!(found, "CloudFormation has an answer to this request; nothing was done");
                return Ended::Answered;
            }
            Ok(Ok(Err(error @ Error::NotAwaited { .. }))) => {
                let outcome = Outcome::Failure { physical_id: failure_id(request), reason: rendered(&error) };
                return Ended::With(outcome, Proof::Missing);
            }
            // Another copy of the event may have been answered while this one was at work.
            Ok(Ok(Err(_))) if !is_elsewhere && origin.has_begun() && self.is_answered(request, end).await => {
                tracing::warn!("CloudFormation has an answer to this request; this failure is not told");
                return Ended::Answered;
            }
            Ok(Ok(Err(error))) => progress.failure_reason(&rendered(&error)),
            Ok(Err(_panic)) => self.with_log(&progress.failure_reason(PANICKED), &deployment),
            Err(_elapsed) => self.with_log(&progress.failure_reason(TIME_UP), &deployment),
        };
        let proof = if is_strange {
            Proof::Missing
        } else if is_elsewhere || !origin.is_wanted() {
            Proof::Given
        } else {
            Proof::NotAsked
        };
        Ended::With(Outcome::Failure { physical_id: progress.physical_id(), reason }, proof)
    }

    /// Returns a reason that only the log explains, with the address of the log.
    fn with_log(&self, reason: &str, here: &Deployment) -> String {
        let log = self.settings.log.as_ref().and_then(|log| log.console_url(here));
        log.map_or_else(|| reason.to_owned(), |log| format!("{reason}; the log: {log}"))
    }

    async fn checked(&self, request: &Request, context: &RequestContext<'_>) -> Result<Reconciled, Error> {
        // The Delete of a Create that was refused for its `ServiceTimeout` carries the same one.
        if request.request_type()? != RequestType::Delete {
            request.service_timeout()?;
            self.settings.guardrails.check_account(request.stack.account(), context.deployment)?;
        }
        // CloudFormation is asked beside the first look, and not at all for a declaration that is refused.
        let work = async {
            let reconciled = Box::pin(self.dispatch(request, context)).await?;
            context.origin.proven().await;
            Ok(reconciled)
        };
        match select(pin!(work), pin!(self.prove(request, context))).await {
            Either::Left((done, _)) => done,
            Either::Right((unproven, _)) => Err(unproven),
        }
    }

    /// Proves that CloudFormation sent the request and waits for it, as often as a proof is wanted. Ends where it does not.
    /// The stacks of another account cannot be asked for.
    async fn prove(&self, request: &Request, context: &RequestContext<'_>) -> Error {
        if request.stack.account() != context.deployment.account {
            tracing::warn!("the stack is in another account, so that CloudFormation cannot be asked about the request");
            context.origin.open_without_proof();
        }
        let witness = Witness { client: &self.cloudformation, deadline: context.deadline, clock: &self.clock };
        let (mut since, mut is_proven) = (None, false);
        loop {
            context.origin.wanted().await;
            match witness.confirm(request, since).await {
                Ok(shown) => since = shown.or(since),
                // The first proof still counts.
                Err(Error::Call(error)) if is_proven => {
                    tracing::warn!(%error, "CloudFormation does not tell if it waits");
                }
                Err(error) => return error,
            }
            is_proven = true;
            context.origin.open();
        }
    }

    async fn dispatch(&self, request: &Request, context: &RequestContext<'_>) -> Result<Reconciled, Error> {
        let deadline = context.deadline;
        let here = || context.deployment.clone();
        match request.resource_type.as_str() {
            OidcProviders::TYPE => reconcile_request(&self.providers(here(), deadline), request, context).await,
            // Boxed, because its future is by far the largest.
            GitHubRoles::TYPE => {
                let roles = self.roles(here(), deadline).asked_by(context.origin);
                Box::pin(reconcile_request(&roles, request, context)).await
            }
            AccessEntries::TYPE => {
                Box::pin(reconcile_request(&self.entries(here(), deadline).asked_by(context.origin), request, context))
                    .await
            }
            GitHubVariables::TYPE => {
                let variables = GitHubVariables::new(self.github(deadline), request);
                reconcile_request(
                    &self.claimed(variables, request, deadline).asked_by(context.origin),
                    request,
                    context,
                )
                .await
            }
            GitHubEnvironments::TYPE => {
                let environments = GitHubEnvironments::new(self.github(deadline), request);
                // Boxed, because its future is large, too.
                Box::pin(reconcile_request(
                    &self.claimed(environments, request, deadline).asked_by(context.origin),
                    request,
                    context,
                ))
                .await
            }
            GitHubRepositoryOidcs::TYPE => {
                let (github, iam) = (self.github(deadline), self.iam.clone());
                let oidcs = GitHubRepositoryOidcs { github, iam, deadline, account: here().account };
                reconcile_request(&self.claimed(oidcs, request, deadline).asked_by(context.origin), request, context)
                    .await
            }
            // No object of an unknown type was ever created, so that its Delete, after the failed Create, succeeds.
            _ if request.request_type()? == RequestType::Delete => Ok(Reconciled::deleted(request)),
            other => Err(resources::unknown_type(other)),
        }
    }

    /// Returns true if the pre-signed URL has expired: CloudFormation has given up, and may have started something else.
    fn is_expired(&self, request: &Request) -> bool {
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        request.response_url.as_ref().and_then(ResponseUrl::expires_at).is_some_and(|end| end <= now.as_secs())
    }

    /// The time at which CloudFormation gives up. It counts from the request, which may have waited in Lambda's queue.
    fn service_deadline(&self, request: &Request) -> SystemTime {
        let seconds = request.service_timeout().ok().flatten().unwrap_or(DEFAULT_SERVICE_TIMEOUT);
        let sent = request.signed_at().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let sent = sent.filter(|sent| *sent <= self.clock.now()).unwrap_or_else(|| self.clock.now());
        sent + Duration::from_secs(seconds.into())
    }
}

/// The end of a request.
enum Ended {
    With(Outcome, Proof),
    /// CloudFormation has its answer.
    Answered,
}

/// The proof that CloudFormation waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Given,
    /// CloudFormation shows that it does not wait.
    Missing,
    /// The declaration was refused by itself, before CloudFormation told.
    NotAsked,
}

/// The time for a preview, for which somebody waits.
const PREVIEW: Duration = Duration::from_secs(23);
const QUESTIONS_ONLY: &str =
    "the alias `plan` of this function answers questions only (`Plan`, `Render`, `Explain`); nothing was done";
/// The time for an answer that CloudFormation may not wait for: the URL of a forged event takes none.
const UNPROVEN: Duration = Duration::from_secs(10);
/// The time between the end of the work and the end of all time, for the response; at most half of the time.
const RESERVE: Duration = Duration::from_secs(8);
/// The time between the last call that may start and the end of the work, so that a failure can still be told in its own
/// words; at most a quarter of the time.
const WIND_DOWN: Duration = Duration::from_secs(2);
/// The time for the question of whether another copy of the event was answered, before a failure is told.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// The time-out of CloudFormation, in seconds, where the author sets none.
const DEFAULT_SERVICE_TIMEOUT: u32 = 3600;
const PANICKED: &str = "github-trust failed unexpectedly (a defect): its log says where; the state will be looked at anew \
                        with the next update or rollback";
const TIME_UP: &str = "the time was up before everything was done: the function's log says which call did not end; the next \
                       update or rollback goes on from what is there";
