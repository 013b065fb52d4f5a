//! A request of CloudFormation, carried out by the two doors.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::adoption::AdoptionCheck;
use super::ensure::Certainty;
use super::progress::Progress;
use super::reconciler::Reconciler;
use super::resource::{Api, Reader, Resource};
use crate::aws::Deadline;
use crate::cloudformation::{Attributes, Fields, Request, RequestType};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::guardrails::Guardrails;
use crate::ownership::Owner;
use crate::request_origin::{FormerObjects, Origin};

/// The result of a request.
#[derive(Debug)]
pub struct Reconciled {
    /// The id that `Ref` gives.
    pub physical_id: String,
    /// The attributes that `Fn::GetAtt` gives.
    pub attributes: Attributes,
}

impl Reconciled {
    /// The result of a Delete.
    #[must_use]
    pub fn deleted(request: &Request) -> Self {
        Self { physical_id: failure_id(request), attributes: Attributes::new() }
    }
}

/// The context of a request.
#[derive(Debug)]
pub struct RequestContext<'a> {
    /// The owner that the request speaks for.
    pub owner: &'a Owner,
    /// The place of the function.
    pub deployment: &'a Deployment,
    /// The permissions of the deployment.
    pub guardrails: &'a Guardrails,
    /// The time after which no call starts.
    pub deadline: Deadline,
    /// The time by which reads of IAM may lag behind its writes.
    pub lag: Duration,
    /// The gate before the first change.
    pub origin: &'a Origin,
    /// The objects that the resource was. None for a stack that CloudFormation tells nothing of here.
    pub former: Option<&'a FormerObjects<'a>>,
    /// The time of day at which the work on the request began.
    pub began: SystemTime,
    /// The progress for the response to a failure.
    pub progress: &'a Progress,
}

/// Begins the id of an object that was never created. No resource type has ids with a slash before a colon, or begins them
/// with a host without a dot.
const NEVER_CREATED: &str = "never-created/";

/// The id for the response to a failure before anything was created: the known one, or one that can never name an object.
#[must_use]
pub fn failure_id(request: &Request) -> String {
    request.physical_id.clone().unwrap_or_else(|| format!("{NEVER_CREATED}{}", request.request_id))
}

/// Carries out a request.
///
/// # Errors
/// When it cannot be done; the progress then holds the id for the response.
pub async fn reconcile_request<R: Api>(
    api: &R,
    request: &Request,
    context: &RequestContext<'_>,
) -> Result<Reconciled, Error> {
    let RequestContext { owner, deployment, guardrails, deadline, lag, origin, former, began, progress } = context;
    let (deadline, lag, former, began) = (*deadline, *lag, *former, *began);
    let adoption = Some(AdoptionCheck { guardrails, stack: &request.stack, deployment });
    let reconciler = Reconciler { api, owner, deployment, deadline, lag, origin, former, began, progress, adoption };
    match request.request_type()? {
        RequestType::Create | RequestType::Update => create_or_update(&reconciler, request, context.guardrails).await,
        RequestType::Delete => delete(&reconciler, request, context.guardrails).await,
    }
}

async fn create_or_update<R: Api>(
    reconciler: &Reconciler<'_, R>,
    request: &Request,
    guardrails: &Guardrails,
) -> Result<Reconciled, Error> {
    let Reconciler { owner, deployment, .. } = reconciler;
    let spec = parse::<R>(&request.properties()?, request, deployment)?;
    if let Err(refusal) = guardrails.check(&R::guardrail_checks(&spec), &request.stack, deployment) {
        // A role from before a boundary was demanded has none, and its stack has to get through all the same.
        let before = Deployment { role_boundary: None, ..(*deployment).clone() };
        let undemanding = parse::<R>(&request.properties()?, request, &before)?;
        let other = (undemanding != spec).then_some(undemanding);
        let api = reconciler.api;
        let mut outcome = unchanged(api, owner, deployment, spec, request).await;
        if let (None, Some(spec)) = (&outcome, other) {
            outcome = unchanged(api, owner, deployment, spec, request).await;
        }
        return outcome.ok_or(Error::Refused(refusal));
    }
    let (id, attributes) = reconciler.ensure_present(spec, request.physical_id.as_deref()).await?;
    // A replacement whose every attempt was killed is rolled back under the old id, and CloudFormation never hears of the
    // new object. Only the properties of the other side lead to it; only our tags make it ours.
    let other_side = request.old_properties().and_then(|properties| parse::<R>(&properties, request, deployment).ok());
    let leftover = other_side.map(|spec| R::id(owner, &spec, deployment));
    let known = request.physical_id.as_deref().and_then(R::id_from);
    if let Some(leftover) = leftover.filter(|leftover| *leftover != id && known.as_ref() != Some(leftover)) {
        ensure_absent(reconciler, request, guardrails, &leftover, Certainty::Leftover).await?;
    }
    Ok(Reconciled { physical_id: id.to_string(), attributes })
}

async fn delete<R: Api>(
    reconciler: &Reconciler<'_, R>,
    request: &Request,
    guardrails: &Guardrails,
) -> Result<Reconciled, Error> {
    let physical_id = request.physical_id.as_deref().unwrap_or_default();
    let named = R::id_from(physical_id);
    if let Some(id) = named.as_ref().filter(|_| !is_invented(request, physical_id))
        && ensure_absent(reconciler, request, guardrails, id, Certainty::Answered).await?
    {
        return Ok(Reconciled::deleted(request));
    }
    let spec = request
        .properties()
        .map_err(Error::from)
        .and_then(|properties| parse::<R>(&properties, request, reconciler.deployment));
    if let Ok(spec) = spec {
        // An object that a Create without a response may have made is found under the id that its properties lead to, and
        // known by the tags of its owner.
        let id = R::id(reconciler.owner, &spec, reconciler.deployment);
        let certainty = if physical_id.starts_with(NEVER_CREATED) {
            Certainty::NeverCreated
        } else if named.is_some() && !is_like_an_invented_one(request, physical_id) {
            Certainty::Leftover
        } else {
            Certainty::Unanswered
        };
        if named.as_ref() != Some(&id) {
            ensure_absent(reconciler, request, guardrails, &id, certainty).await?;
        }
    }
    Ok(Reconciled::deleted(request))
}

/// Deletes an object, also under the name that its place has now. Returns true if there was an object.
async fn ensure_absent<R: Api>(
    reconciler: &Reconciler<'_, R>,
    request: &Request,
    guardrails: &Guardrails,
    id: &R::Id,
    certainty: Certainty,
) -> Result<bool, Error> {
    let error = match ensure_permitted_absent(reconciler, request, guardrails, id, certainty).await {
        Err(Error::Call(error)) if certainty == Certainty::Answered => error,
        other => return other,
    };
    let moved = reconciler.api.moved(id, &error).await;
    let (Some(moved), Some(former)) = (moved, reconciler.former) else { return Err(error.into()) };
    // The resource may be the same object under its new name.
    if !former.is_deleted().await? {
        tracing::info!(%id, %moved, "the object has a new name, and the resource another id: it stays");
        return Ok(true);
    }
    ensure_permitted_absent(reconciler, request, guardrails, &moved, certainty).await
}

/// Deletes an object, unless a guardrail forbids this stack to change it: the object then stays, and the stack goes all the
/// same. A deletion that failed would keep the stack from ever going. Returns true if there was an object.
async fn ensure_permitted_absent<R: Api>(
    reconciler: &Reconciler<'_, R>,
    request: &Request,
    guardrails: &Guardrails,
    id: &R::Id,
    certainty: Certainty,
) -> Result<bool, Error> {
    let (checks, stack, deployment) = (R::deletion_checks(id), &request.stack, reconciler.deployment);
    if !checks.is_empty() {
        let account = guardrails.check_account(stack.account(), deployment);
        if let Err(refusal) = account.and_then(|()| guardrails.check(&checks, stack, deployment)) {
            tracing::warn!(%id, %refusal, "the object stays, because the guardrails of today forbid to change it");
            return Ok(true);
        }
    }
    reconciler.ensure_absent(id, certainty).await
}

/// The result of an Update that asks for nothing but the observed state. Guardrails may have become stricter since it was
/// created; a stack that leaves it alone, or rolls back to it, has to get through. No changing call is made.
pub(super) async fn unchanged<R: Reader>(
    api: &R,
    owner: &Owner,
    deployment: &Deployment,
    spec: R::Spec,
    request: &Request,
) -> Option<Reconciled> {
    let id = R::id_from(request.physical_id.as_deref()?).filter(|id| *id == R::id(owner, &spec, deployment))?;
    let desired = api.resolve(owner, &id, spec).await.ok()?;
    let observed = api.observe(&id).await.ok()??;
    let plan = R::plan(owner, Some(&desired), Some(&observed)).ok()?;
    let attributes = || R::attributes(&desired, &observed);
    plan.is_empty().then(|| Reconciled { physical_id: id.to_string(), attributes: attributes() })
}

pub(super) fn parse<R: Resource>(
    properties: &Map<String, Value>,
    request: &Request,
    deployment: &Deployment,
) -> Result<R::Spec, Error> {
    let mut fields = Fields::of_request(properties);
    let spec = R::parse(&mut fields, deployment);
    let problems = |problems| Error::Properties { resource_type: R::TYPE, problems };
    fields.finish().map_err(problems)?;
    // A parser that notes no mistake has read everything; a law of the resource types holds this.
    spec.ok_or_else(|| Error::Vanished(format!("the declaration of {}", request.logical_id)))
}

/// Returns true if CloudFormation invented this id, because a Create did not answer before the stack was rolled back: the
/// stack's name, the logical id, and letters and digits in upper case
/// (aws-cloudformation/cloudformation-coverage-roadmap#1814). It could be a role's name, but not a generated one.
pub(super) fn is_invented(request: &Request, physical_id: &str) -> bool {
    let suffix = physical_id.rsplit('-').next().unwrap_or_default();
    is_like_an_invented_one(request, physical_id)
        && suffix.len() >= 10
        && suffix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Returns true if the id holds the names of the stack and of the resource, as those that CloudFormation invents and those
/// that this function generates. The form of the rest is documented nowhere.
fn is_like_an_invented_one(request: &Request, physical_id: &str) -> bool {
    let beginning = |text: &str| text.chars().take(20).collect::<String>();
    let (stack, logical_id) = (beginning(request.stack.name()), beginning(&request.logical_id));
    physical_id.starts_with(&stack) && physical_id.contains(&format!("-{logical_id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudformation::StackId;

    #[test]
    fn ten_capitals_and_digits_or_more_end_an_invented_id() {
        let stack = StackId::parse("arn:aws:cloudformation:us-east-1:111122223333:stack/quickstart/1").unwrap();
        let request = Request::planned(&[("LogicalResourceId", Value::from("Role"))].into(), stack);
        for (id, expected) in [
            ("quickstart-Role-1A2B3C4D5E", true),
            ("quickstart-Role-1A2B3C4D5E6F", true),
            ("quickstart-Role-1A2B3C4D5E6FG", true),
            ("quickstart-Role-1A2B3C4D5", false),
            ("quickstart-Role-aBcDeFgHiJ12", false),
            ("quickstart-Role-1A2B3C4D5E6F-x", false),
            ("quickstart-Other-1A2B3C4D5E6F", false),
            ("other-Role-1A2B3C4D5E6F", false),
        ] {
            assert_eq!(is_invented(&request, id), expected, "{id}");
        }
    }
}
