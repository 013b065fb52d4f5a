//! One invocation, one answer: whatever happens to a request, and be it a panic, CloudFormation hears of it before its
//! patience and Lambda's time run out.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tracing::Instrument;

use crate::access_entry::AccessEntries;
use crate::cloudformation::properties::nearest;
use crate::cloudformation::schema::Resource;
use crate::cloudformation::{Answer, Attributes, Fields, Invocation, Outcome, Request, RequestType};
use crate::deliver::{Undelivered, deliver};
use crate::error::{Error, rendered};
use crate::explain::{self, Question};
use crate::github::rest::Client;
use crate::github_environment::GitHubEnvironments;
use crate::github_repository_oidc::GitHubRepositoryOidcs;
use crate::github_role::GitHubRoles;
use crate::github_variable::GitHubVariables;
use crate::guardrails::Guardrails;
use crate::oidc_provider::OidcProviders;
use crate::oidc_provider::thumbprint::Issuers;
use crate::owner::Owner;
use crate::reconcile::{Home, Kind, Progress, Task};
use crate::retry::Budget;
use crate::settings::Settings;
use crate::upkeep::{self, Unfinished};

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

/// What every invocation of a warm function shares: clients and settings, nothing of any request.
#[derive(Clone, Debug)]
pub struct Function {
    /// What the deployment decides.
    pub settings: Settings,
    /// IAM.
    pub iam: aws_sdk_iam::Client,
    /// EKS.
    pub eks: aws_sdk_eks::Client,
    /// Holds the credential for GitHub.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Shows the certificates of issuers.
    pub issuers: Arc<dyn Issuers>,
    /// Sends the answers, and asks GitHub.
    pub http: SharedHttpConnector,
    /// The time of day.
    pub clock: SharedTimeSource,
}

/// What Lambda says about one invocation.
#[derive(Clone, Debug)]
pub struct Context {
    /// When Lambda ends the process.
    pub deadline: SystemTime,
    /// `arn:<partition>:lambda:<region>:<account>:function:<name>`.
    pub function_arn: String,
}

/// Why an invocation fails, so that Lambda delivers its event again.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The answer did not get through.
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    /// The scheduled run did not do everything.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
    /// Lambda did not say where the function is.
    #[error("the function's ARN {0:?} cannot be read")]
    Nowhere(String),
}

/// What a request led to.
struct Done {
    physical_id: String,
    attributes: Attributes,
}

/// The surroundings of one request.
struct Work<'a> {
    owner: &'a Owner,
    home: &'a Home,
    guardrails: &'a Guardrails,
    budget: Budget,
    lag: Duration,
    progress: &'a Progress,
}

/// What the function handles.
pub const RESOURCES: [Resource; 6] = [
    OidcProviders::RESOURCE,
    GitHubRoles::RESOURCE,
    AccessEntries::RESOURCE,
    GitHubVariables::RESOURCE,
    GitHubEnvironments::RESOURCE,
    GitHubRepositoryOidcs::RESOURCE,
];

async fn dispatch(function: &Function, request: &Request, work: &Work<'_>) -> Result<Done, Error> {
    let Function { settings, iam, issuers, clock, .. } = function;
    let budget = work.budget;
    match request.resource_type.as_str() {
        OidcProviders::TYPE => {
            let (issuers, now, pace) = (Arc::clone(issuers), clock.now(), settings.pace);
            carry_out(&OidcProviders { iam: iam.clone(), budget, issuers, now, pace }, request, work).await
        }
        GitHubRoles::TYPE => carry_out(&function.roles(work.home.clone(), budget), request, work).await,
        AccessEntries::TYPE => carry_out(&function.entries(work.home.clone(), budget), request, work).await,
        GitHubVariables::TYPE => {
            carry_out(&GitHubVariables::new(function.github(budget), request), request, work).await
        }
        GitHubEnvironments::TYPE => {
            carry_out(&GitHubEnvironments::new(function.github(budget), request), request, work).await
        }
        GitHubRepositoryOidcs::TYPE => {
            let (github, iam) = (function.github(budget), iam.clone());
            carry_out(&GitHubRepositoryOidcs { github, iam, budget }, request, work).await
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

async fn carry_out<K: Kind>(kind: &K, request: &Request, work: &Work<'_>) -> Result<Done, Error> {
    let Work { owner, home, guardrails, budget, lag, progress } = work;
    let before = failure_id(request);
    let task = Task { kind, owner, home, budget: *budget, lag: *lag, progress, before: &before };
    match request.request_type()? {
        RequestType::Create | RequestType::Update => {
            let spec = parse::<K>(&request.properties()?, request, home)?;
            if let Err(refusal) = guardrails.permit(&K::demands(&spec), home) {
                return as_it_is(kind, owner, spec, request, home).await.ok_or(Error::Refused(refusal));
            }
            let (id, attributes) = task.present(spec, request.physical_id.as_deref()).await?;
            // A replacement whose every attempt was killed is rolled back under the old id, and CloudFormation never
            // hears of what it made. Only the other side's properties lead there; only our tags make it ours.
            let other_side =
                request.old_properties().and_then(|properties| parse::<K>(&properties, request, home).ok());
            let left = other_side.map(|spec| K::id(owner, &spec, home));
            if let Some(left) = left.filter(|left| {
                let known = request.physical_id.as_deref().and_then(K::id_from);
                !K::collide(left, &id) && !known.is_some_and(|known| K::collide(left, &known))
            }) {
                task.absent_for(&left, Duration::ZERO).await?;
            }
            Ok(Done { physical_id: id.to_string(), attributes })
        }
        RequestType::Delete => {
            let physical_id = request.physical_id.as_deref().unwrap_or_default();
            // What a Create without an answer may have made is found by the id that its properties lead to, and known by
            // its owner's tags.
            let derived = || {
                let spec = parse::<K>(&request.properties().ok()?, request, home).ok()?;
                Some(K::id(owner, &spec, home))
            };
            if let Some(id) = K::id_from(physical_id).filter(|_| !is_invented(request, physical_id)) {
                task.absent(&id).await?;
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
async fn as_it_is<K: Kind>(kind: &K, owner: &Owner, spec: K::Spec, request: &Request, home: &Home) -> Option<Done> {
    let known = K::id_from(request.physical_id.as_deref()?).filter(|known| *known == K::id(owner, &spec, home))?;
    let desired = kind.resolve(owner, &known, spec).await.ok()?;
    let observed = kind.observe(&known).await.ok()??;
    let plan = K::plan(owner, Some(&desired), Some(&observed)).ok()?;
    plan.is_empty().then(|| Done { physical_id: known.to_string(), attributes: K::attributes(&desired, &observed) })
}

fn deleted(request: &Request) -> Done {
    Done { physical_id: failure_id(request), attributes: Attributes::new() }
}

fn parse<K: Kind>(properties: &Map<String, Value>, request: &Request, home: &Home) -> Result<K::Spec, Error> {
    let mut fields = Fields::of_request(properties, K::RESOURCE.object.properties);
    let spec = K::parse(&mut fields, home);
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

impl Function {
    /// What asks GitHub.
    fn github(&self, budget: Budget) -> Client {
        let Settings { github_secret, github_api_root, .. } = &self.settings;
        Client {
            http: self.http.clone(),
            secrets: self.secrets.clone(),
            secret: github_secret.clone(),
            api_root: github_api_root.clone(),
            clock: self.clock.clone(),
            budget,
            credentials: RefCell::default(),
            tokens: RefCell::default(),
        }
    }

    /// What carries out the calls for roles.
    pub(crate) fn roles(&self, home: Home, budget: Budget) -> GitHubRoles {
        GitHubRoles { iam: self.iam.clone(), home, budget, github: self.github(budget) }
    }

    /// What carries out the calls for access entries.
    pub(crate) fn entries(&self, home: Home, budget: Budget) -> AccessEntries {
        let (eks, iam, secrets) = (self.eks.clone(), self.iam.clone(), self.secrets.clone());
        let process = format!("{:016x}", fastrand::u64(..));
        AccessEntries { eks, iam, secrets, process, now: self.clock.now(), home, budget }
    }

    /// Handles one event, given as the JSON that Lambda delivered, and gives what a direct invocation is answered.
    ///
    /// # Errors
    /// When the event must be delivered again: no answer got through.
    pub async fn handle(&self, event: &str, context: &Context) -> Result<Value, Failed> {
        let deadline = self.instant(context.deadline);
        if let Some(question) = explain::read(event) {
            return Ok(self.explain(question, context, deadline).await);
        }
        self.serve(event, context, deadline).await.map(|()| Value::Null)
    }

    /// Whoever invokes the function directly gets the answer back.
    async fn explain(&self, question: Result<Question, String>, context: &Context, deadline: Instant) -> Value {
        match question {
            Ok(question) => {
                // A local runtime gives no ARN, and IAM's answers name the account.
                let home = self.home(&context.function_arn).unwrap_or_else(|| self.at("aws", "", ""));
                let budget = Budget::until(deadline - WIND_DOWN);
                explain::answer(&self.iam, &home, &budget, &question).await
            }
            Err(problem) => json!({"Error": problem}),
        }
    }

    async fn serve(&self, event: &str, context: &Context, deadline: Instant) -> Result<(), Failed> {
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
                let home =
                    self.home(&context.function_arn).ok_or_else(|| Failed::Nowhere(context.function_arn.clone()))?;
                Ok(upkeep::run(self, &home, Budget::until(deadline - RESERVE)).await?)
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

    async fn answer(&self, request: &Request, context: &Context, deadline: Instant) -> Result<(), Failed> {
        // A local runtime gives the function no ARN; then it is where the stack is.
        let of_stack = || self.at(request.stack.partition(), request.stack.region(), request.stack.account());
        let home = self.home(&context.function_arn).unwrap_or_else(of_stack);
        let patience = self.patience(request);
        if self.expired(request) || patience <= self.clock.now() {
            tracing::warn!("CloudFormation no longer waits for this request; nothing was done");
            return Ok(());
        }
        let progress = Progress::new(failure_id(request));
        let now = Instant::now();
        let time = self.instant(patience).min(deadline) - now;
        let until = now + time - RESERVE.min(time / 2);
        let budget = Budget::until(until - WIND_DOWN.min(time / 4));
        let owner = Owner::new(&request.stack, &request.logical_id);
        let Settings { guardrails, iam_lag: lag, .. } = &self.settings;
        let work = Work { owner: &owner, home: &home, guardrails, budget, lag: *lag, progress: &progress };
        // Boxed: the future of all kinds together is large, and its type too deep for the compiler.
        let running = AssertUnwindSafe(Box::pin(self.checked(request, &work))).catch_unwind();
        let outcome = match tokio::time::timeout_at(until, running).await {
            Ok(Ok(Ok(done))) => Outcome::Success { physical_id: done.physical_id, attributes: done.attributes },
            Ok(Ok(Err(error))) => Outcome::Failure { physical_id: progress.physical_id(), reason: progress.told_after(&rendered(&error)) },
            Ok(Err(_panic)) => Outcome::Failure {
                physical_id: progress.physical_id(),
                reason: progress.told_after("github-trust failed unexpectedly (a defect): its log says where; the state will be looked at anew with the next update or rollback"),
            },
            Err(_elapsed) => Outcome::Failure {
                physical_id: progress.physical_id(),
                reason: progress.told_after("the time was up before everything was done: the function's log says which call did not end; the next update or rollback goes on from what is there"),
            },
        };
        match &outcome {
            Outcome::Success { physical_id, attributes: _ } => tracing::info!(physical_id, "succeeded"),
            Outcome::Failure { physical_id, reason } => tracing::error!(physical_id, reason, "failed"),
        }
        let answer = Answer::new(request, &outcome);
        Ok(deliver(&self.http, &request.response_url, &answer, deadline).await?)
    }

    async fn checked(&self, request: &Request, work: &Work<'_>) -> Result<Done, Error> {
        // The Delete of a Create that was refused for its time-out carries the same one.
        if request.request_type()? != RequestType::Delete {
            request.service_timeout()?;
            self.settings.guardrails.admit(request.stack.account(), work.home)?;
        }
        dispatch(self, request, work).await
    }

    /// Whether the pre-signed URL has ended: then CloudFormation has given up, and may have started something else.
    fn expired(&self, request: &Request) -> bool {
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        request.response_url.expires_at().is_some_and(|end| end <= now.as_secs())
    }

    /// When CloudFormation gives up. It counts from the request, which may have waited in Lambda's queue.
    fn patience(&self, request: &Request) -> SystemTime {
        let seconds = request.service_timeout().ok().flatten().unwrap_or(DEFAULT_SERVICE_TIMEOUT);
        let sent = request.response_url.signed_at().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let sent = sent.filter(|sent| *sent <= self.clock.now()).unwrap_or_else(|| self.clock.now());
        sent + Duration::from_secs(seconds.into())
    }

    /// A time of day on the clock that pauses and time-outs run on.
    fn instant(&self, time: SystemTime) -> Instant {
        Instant::now() + time.duration_since(self.clock.now()).unwrap_or_default()
    }

    /// Where the function is.
    fn home(&self, function_arn: &str) -> Option<Home> {
        let parts: Vec<&str> = function_arn.split(':').collect();
        let ["arn", partition, "lambda", region, account, "function", ..] = parts.as_slice() else { return None };
        Some(self.at(partition, region, account))
    }

    fn at(&self, partition: &str, region: &str, account: &str) -> Home {
        Home {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            role_path: self.settings.guardrails.role_path().to_owned(),
        }
    }
}
