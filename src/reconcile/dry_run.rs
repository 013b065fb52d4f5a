//! The dry run of a request: the decisions that it would lead to, made by the reading half of a resource type. Nothing
//! here can change anything.

use futures_util::future::join;

use super::adoption::AdoptionCheck;
use super::plan::Plan;
use super::request::{is_invented, parse, unchanged};
use super::resource::{DeletionIntent, NativeResource, ReadHint, Reader, Sharing};
use super::shared_deletion::grace_nonce;
use crate::aws::Deadline;
use crate::cloudformation::properties::PropertyError;
use crate::cloudformation::{Attributes, Request, RequestType};
use crate::deployment::Deployment;
use crate::error::{Error, rendered};
use crate::guardrails::Guardrails;
use crate::ownership::Owner;

/// The dry run of one request.
#[derive(Clone, Debug, Default)]
pub struct DryRun {
    /// The id that `Ref` would give.
    pub physical_id: Option<String>,
    /// The mistakes of the author.
    pub mistakes: Vec<Mistake>,
    /// The reasons for which the request would be refused.
    pub refusals: Vec<String>,
    /// The parts that only an exemption from a guardrail allows.
    pub exempted: Vec<String>,
    /// The actions by their effect, in order.
    pub actions: Vec<String>,
    /// The id of the object that is replaced.
    pub replaced: Option<String>,
    /// The actions of the deletion that follows: of the replaced object, or of one that an earlier attempt has left.
    pub afterwards: Vec<String>,
    /// The facts that cannot be looked up, or that change until then.
    pub unknown: Vec<String>,
    /// The attributes that are known by now.
    pub attributes: Attributes,
    /// The resource of CloudFormation's own that is equivalent.
    pub native: Option<NativeResource>,
}

/// A mistake of the author.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// The property, from the top.
    pub path: String,
    /// The mistake in words.
    pub text: String,
}

impl From<&PropertyError> for Mistake {
    fn from(error: &PropertyError) -> Self {
        Self { path: error.path().to_owned(), text: error.to_string() }
    }
}

/// The context of a dry run.
#[derive(Debug)]
pub struct DryRunContext<'a> {
    /// The owner that the request speaks for.
    pub owner: &'a Owner,
    /// The place of the function.
    pub deployment: &'a Deployment,
    /// The permissions of the deployment.
    pub guardrails: &'a Guardrails,
    /// The time after which no call starts.
    pub deadline: Deadline,
}

/// Tells what a request would do.
pub async fn dry_run<R: Reader>(reader: &R, request: &Request, context: &DryRunContext<'_>) -> DryRun {
    let mut dry_run = DryRun::default();
    let trial = Trial { reader, request, context };
    let result = match request.request_type() {
        Ok(RequestType::Create | RequestType::Update) => trial.presence(&mut dry_run).await,
        Ok(RequestType::Delete) => trial.deletion(&mut dry_run).await,
        Err(malformed) => Err(malformed.into()),
    };
    match result {
        Ok(()) => {}
        Err(Error::Properties { problems, resource_type: _ }) => {
            dry_run.mistakes.extend(problems.kept().iter().map(Mistake::from));
        }
        Err(Error::Malformed(malformed)) => {
            let text = malformed.to_string();
            let path = text.split('`').nth(1).unwrap_or_default().to_owned();
            dry_run.mistakes.push(Mistake { path, text });
        }
        // A refusal that comes when the time is up is about the time.
        Err(Error::Refused(refusal)) if context.deadline.allows(super::reconciler::WATCH_INTERVAL) => {
            dry_run.refusals.push(refusal.to_string());
        }
        Err(error) => dry_run.unknown.push(rendered(&error)),
    }
    dry_run
}

/// The parts of a dry run that is being made.
struct Trial<'a, R> {
    reader: &'a R,
    request: &'a Request,
    context: &'a DryRunContext<'a>,
}

impl<R: Reader> Trial<'_, R> {
    /// The same steps as those of a Create or an Update.
    async fn presence(&self, dry_run: &mut DryRun) -> Result<(), Error> {
        let Self { reader, request, context } = self;
        let DryRunContext { owner, deployment, guardrails, deadline: _ } = context;
        request.service_timeout()?;
        let spec = parse::<R>(&request.properties()?, request, deployment)?;
        if let Err(refusal) = guardrails.check_account(request.stack.account(), deployment) {
            dry_run.refusals.push(refusal.to_string());
            return Ok(());
        }
        let checks = R::guardrail_checks(&spec);
        dry_run.exempted = guardrails.exempted(&checks, &request.stack, deployment);
        let forbidden = guardrails.forbidden(&checks, &request.stack, deployment);
        if !forbidden.is_empty() {
            return self.forbidden(spec, forbidden, dry_run).await;
        }
        let id = R::id(owner, &spec, deployment);
        let old = request.physical_id.as_deref().and_then(R::id_from);
        let id = reader.resolve_id(id, old.as_ref()).await?;
        dry_run.physical_id = Some(id.to_string());
        let early = R::early_attributes(&id, &spec, deployment);
        if request.physical_id.is_some() {
            reader.prefetch(ReadHint::Object(&spec));
        }
        let (desired, observed) = join(reader.resolve(owner, &id, spec), reader.observe(&id)).await;
        let mut desired = desired?;
        dry_run.native = R::native(&desired);
        let observed = observed?;
        if let Some(observed) = &observed {
            reader.ask_about_owners(owner, &id, &mut desired, observed).await?;
        }
        let pending = observed.as_ref().and_then(|now| R::Sharing::pending_operation(owner, Some(&desired), now));
        if let Some(pending) = pending {
            dry_run.unknown.push(format!("another process is {} {id}, which is waited for", pending.doing));
        }
        let plan = R::plan(owner, Some(&desired), observed.as_ref())?;
        AdoptionCheck { guardrails, stack: &request.stack, deployment }.check::<R>(&plan, observed.as_ref())?;
        tracing::info!(%id, %owner, plan = ?shown::<R>(&plan), "dry run");
        let (state, actions) = effects::<R>(observed, &plan);
        dry_run.actions = actions;
        if let Some(state) = state {
            dry_run.attributes = R::attributes(&desired, &state);
            // The service tells the rest.
            dry_run.attributes.retain(|_, value| !value.is_empty());
            for (name, value) in early {
                dry_run.attributes.entry(name).or_insert(value);
            }
        }
        self.leftovers(&id, dry_run).await
    }

    /// Refuses, unless the declaration asks for what is there already.
    async fn forbidden(&self, spec: R::Spec, forbidden: Vec<String>, dry_run: &mut DryRun) -> Result<(), Error> {
        let Self { reader, request, context } = self;
        let DryRunContext { owner, deployment, .. } = context;
        let before = Deployment { role_boundary: None, ..(*deployment).clone() };
        let undemanding = parse::<R>(&request.properties()?, request, &before)?;
        for spec in [spec, undemanding] {
            if let Some(kept) = unchanged(*reader, owner, deployment, spec, request).await {
                (dry_run.physical_id, dry_run.attributes) = (Some(kept.physical_id), kept.attributes);
                return Ok(());
            }
        }
        dry_run.refusals = forbidden;
        Ok(())
    }

    /// The deletions that follow an Update: by CloudFormation's Delete of a replaced object, and by the request itself.
    async fn leftovers(&self, id: &R::Id, dry_run: &mut DryRun) -> Result<(), Error> {
        let Self { request, context, .. } = self;
        let known = request.physical_id.as_deref().and_then(R::id_from);
        let replaced = known.clone().filter(|known| known != id);
        dry_run.replaced = replaced.as_ref().map(ToString::to_string);
        let other_side = request.old_properties();
        let other_side = other_side.and_then(|properties| parse::<R>(&properties, request, context.deployment).ok());
        let leftover = other_side.map(|spec| R::id(context.owner, &spec, context.deployment));
        let leftover = leftover.filter(|leftover| leftover != id && known.as_ref() != Some(leftover));
        for old in leftover.iter().chain(&replaced) {
            dry_run.afterwards.extend(self.absence(old).await?);
        }
        Ok(())
    }

    async fn deletion(&self, dry_run: &mut DryRun) -> Result<(), Error> {
        let Self { reader, request, context } = self;
        reader.prefetch(ReadHint::Deletion);
        let physical_id = request.physical_id.as_deref().unwrap_or_default();
        let named = R::id_from(physical_id);
        dry_run.physical_id = named.as_ref().map(ToString::to_string);
        if let Some(id) = named.as_ref().filter(|_| !is_invented(request, physical_id))
            && reader.observe(id).await?.is_some()
        {
            dry_run.actions = self.absence(id).await?;
            return Ok(());
        }
        // Where there is no object under its id, the properties may lead to one.
        let Ok(spec) = parse::<R>(&request.properties()?, request, context.deployment) else { return Ok(()) };
        let id = R::id(context.owner, &spec, context.deployment);
        if named.as_ref() != Some(&id) {
            dry_run.actions = self.absence(&id).await?;
            dry_run.physical_id = Some(id.to_string());
        }
        Ok(())
    }

    /// The actions of a deletion, with the announcements before it.
    async fn absence(&self, id: &R::Id) -> Result<Vec<String>, Error> {
        let Self { reader, request, context } = self;
        let DryRunContext { owner, deployment, guardrails, deadline: _ } = context;
        let checks = R::deletion_checks(id);
        if !checks.is_empty() {
            guardrails.check_account(request.stack.account(), deployment)?;
            guardrails.check(&checks, &request.stack, deployment)?;
        }
        let mut state = reader.observe(id).await?;
        let mut lines = Vec::new();
        for has_announced in [false, true] {
            let Some(now) = &state else { break };
            let (announcement, is_deletion) = match R::Sharing::deletion_intent(owner, now, &grace_nonce()) {
                Some(DeletionIntent::Deleting(announcement)) => (announcement, true),
                Some(DeletionIntent::Staying(announcement)) if !has_announced => (announcement, false),
                Some(DeletionIntent::Staying(_)) | None => break,
            };
            lines.push(R::effect(Some(now), &announcement));
            if is_deletion {
                let details = R::Sharing::observe_for_delete(*reader, id).await?;
                state = details.and_then(|details| R::Sharing::announced(details, &announcement));
                break;
            }
            state = R::step(state, &announcement, R::ApplyOutput::default());
        }
        let plan = R::plan(owner, None, state.as_ref())?;
        tracing::info!(%id, %owner, plan = ?shown::<R>(&plan), "dry run");
        lines.extend(effects::<R>(state, &plan).1);
        Ok(lines)
    }
}

fn shown<R: Reader>(plan: &Plan<R::Action>) -> Vec<String> {
    plan.actions().map(ToString::to_string).collect()
}

/// The state after a plan, and each action by its effect on the state before it.
fn effects<R: Reader>(observed: Option<R::Observed>, plan: &Plan<R::Action>) -> (Option<R::Observed>, Vec<String>) {
    let mut state = observed;
    let mut lines = Vec::new();
    let stages = plan.stages();
    for (at, stage) in stages.iter().enumerate() {
        let before = state.clone();
        for (index, action) in stage.iter().enumerate() {
            let beside = stage.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
            let others: Vec<&R::Action> = beside.chain(stages[at + 1..].iter().flatten()).collect();
            let moment = R::moment(before.as_ref(), action, &others);
            let moment = moment.map(|moment| format!("; {moment}")).unwrap_or_default();
            lines.push(R::effect(state.as_ref(), action) + &moment);
            state = R::step(state, action, R::ApplyOutput::default());
        }
    }
    (state, lines)
}
