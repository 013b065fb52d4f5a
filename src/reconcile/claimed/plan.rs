//! Decisions about claims, around those about the object.

use super::{Claimable, Claimed, ClaimedAction, ClaimedDesired, ClaimedObject};
use crate::cloudformation::Attributes;
use crate::error::Refusal;
use crate::github::ownership_by_variables::{ClaimKey, ClaimState, OwnerClaim, OwnerClaims};
use crate::ownership::Owner;
use crate::reconcile::plan::Plan;
use crate::reconcile::resource::Planner;

/// The claim that an owner needs for an object, unless it has that.
fn claim_of<R: Claimable>(
    owner: &Owner,
    desired: &ClaimedDesired<R::Desired>,
    object: Option<&R::Observed>,
    claims: &OwnerClaims,
) -> Option<ClaimedAction<R::Action>> {
    let key = ClaimKey::of(owner);
    let known = claims.0.get(&key);
    let first = || R::memory(object, desired.requested);
    let memory = match (object, known) {
        (None, _) => first(),
        (Some(_), Some(known)) => known.memory.clone(),
        (Some(_), None) => claims.oldest().map_or_else(first, |oldest| oldest.memory.clone()),
    };
    if known.is_some_and(|known| known.state == ClaimState::Declares && known.memory == memory) {
        return None;
    }
    let (state, created) = (ClaimState::Declares, known.map_or(0, |known| known.created));
    let stack = owner.stack_id().to_owned();
    // Another logical id of the stack hands its time on. A stack that has left and comes again comes last.
    let came_again = || known.map(|_| desired.requested.seconds());
    let since = claims.since(&stack).or_else(came_again);
    let claim = OwnerClaim { owner: owner.to_string(), stack, state, memory, created, since, is_old: false };
    Some(ClaimedAction::Claim { key, claim, is_new: known.is_none() })
}

/// The same claim in another state.
pub(super) fn restated<A>(owner: &Owner, claim: &OwnerClaim, state: ClaimState) -> ClaimedAction<A> {
    let claim = OwnerClaim { owner: owner.to_string(), state, is_old: false, ..claim.clone() };
    ClaimedAction::Claim { key: ClaimKey::of(owner), claim, is_new: false }
}

impl<R: Claimable> Planner for Claimed<R> {
    fn plan(
        owner: &Owner,
        desired: Option<&Self::Desired>,
        observed: Option<&Self::Observed>,
    ) -> Result<Plan<Self::Action>, Refusal> {
        let none = OwnerClaims::default();
        let claims = observed.map_or(&none, |observed| &observed.claims);
        let object = observed.and_then(|observed| observed.object.as_ref());
        let Some(desired) = desired else { return plan_to_leave::<R>(owner, object, claims) };
        let decides =
            observed.is_some_and(|observed| observed.is_made_now) || !claims.are_decided_by_another(owner.stack_id());
        let plan = if desired.stays {
            Ok(Plan::nothing())
        } else {
            plan_of_object::<R>(owner, desired, object, claims, decides)
        };
        let plan = plan.map_err(|refusal| told_apart(owner, claims, refusal))?;
        let claim = claim_of::<R>(owner, desired, object, claims);
        let has_claim = claim.is_none();
        Ok(Plan::nothing().then(claim).followed_by(of_object(plan, !has_claim)))
    }

    fn step(
        observed: Option<Self::Observed>,
        action: &Self::Action,
        output: Self::ApplyOutput,
    ) -> Option<Self::Observed> {
        let none = ClaimedObject { object: None, claims: OwnerClaims::default(), is_made_now: false };
        let ClaimedObject { mut object, mut claims, mut is_made_now } = observed.unwrap_or(none);
        match action {
            ClaimedAction::Claim { key, claim, is_new } => {
                let created = if *is_new { output.at } else { claim.created };
                claims.0.insert(key.clone(), OwnerClaim { created, ..claim.clone() });
                let is_owner = claims.are_of_stack(&claim.stack);
                object = object.map(|object| R::recall(object, &claims.memories(), is_owner));
            }
            ClaimedAction::Withdraw { key } => {
                claims.0.remove(key);
            }
            ClaimedAction::Object { action, after_claim: _ } => {
                let was_absent = object.is_none();
                object = R::step(object, action, output.object);
                is_made_now |= was_absent && object.is_some();
            }
        }
        (object.is_some() || !claims.0.is_empty()).then_some(ClaimedObject { object, claims, is_made_now })
    }

    fn attributes(desired: &Self::Desired, observed: &Self::Observed) -> Attributes {
        let object = observed.object.as_ref();
        object.map_or_else(Attributes::new, |object| R::attributes(&desired.object, object))
    }

    fn effect(before: Option<&Self::Observed>, action: &Self::Action) -> String {
        match action {
            ClaimedAction::Object { action, after_claim: _ } => {
                R::effect(before.and_then(|before| before.object.as_ref()), action)
            }
            other => other.to_string(),
        }
    }
}

/// The plan for the object. A stack that has joined another one's object has it as that stack declares it, or adopts it.
fn plan_of_object<R: Claimable>(
    owner: &Owner,
    desired: &ClaimedDesired<R::Desired>,
    object: Option<&R::Observed>,
    claims: &OwnerClaims,
    decides: bool,
) -> Result<Plan<R::Action>, Refusal> {
    let of_others = object.filter(|_| !decides);
    let of_others = of_others.map(|object| R::recall(object.clone(), &claims.memories(), false));
    R::plan(owner, Some(&desired.object), of_others.as_ref().or(object))
}

/// Returns true if a stack that does not decide about the object makes it all the same.
pub(super) fn makes<R: Claimable>(
    owner: &Owner,
    desired: Option<&ClaimedDesired<R::Desired>>,
    observed: &ClaimedObject<R::Observed>,
) -> bool {
    let ClaimedObject { object, claims, is_made_now: _ } = observed;
    let plan = desired.map(|desired| plan_of_object::<R>(owner, desired, object.as_ref(), claims, false));
    plan.is_some_and(|plan| plan.is_ok_and(|plan| !plan.is_empty()))
}

/// The stages of a plan for the object. The first one waits for another look if a claim comes before it.
fn of_object<A>(plan: Plan<A>, after_claim: bool) -> Plan<ClaimedAction<A>> {
    let mut wrapped = Plan::nothing();
    for (index, stage) in plan.into_stages().into_iter().enumerate() {
        let after_claim = after_claim && index == 0;
        wrapped = wrapped.then(stage.into_iter().map(|action| ClaimedAction::Object { action, after_claim }));
    }
    wrapped
}

fn plan_to_leave<R: Claimable>(
    owner: &Owner,
    object: Option<&R::Observed>,
    claims: &OwnerClaims,
) -> Result<Plan<ClaimedAction<R::Action>>, Refusal> {
    let Some(ours) = claims.of(owner) else {
        if object.is_some() {
            tracing::warn!(%owner, "no claim of this resource is on the object, which may be somebody else's: it stays");
        }
        return Ok(Plan::nothing());
    };
    let withdraw = |key: &ClaimKey| ClaimedAction::Withdraw { key: key.clone() };
    let ours_goes = withdraw(&ClaimKey::of(owner));
    if claims.others(owner).any(|(_, claim)| claim.needs_object()) {
        let owners = named(owner, claims);
        tracing::info!(%owner, owners, "others declare the object too: it stays");
        let is_needed = claims.others(owner).all(|(_, claim)| claim.memory != ours.memory);
        let goes = if is_needed { restated(owner, ours, ClaimState::Left) } else { ours_goes };
        return Ok(Plan::nothing().then([goes]));
    }
    let left = claims.others(owner).filter(|(_, claim)| claim.state == ClaimState::Left);
    let left: Vec<_> = left.map(|(key, _)| withdraw(key)).collect();
    Ok(of_object(R::plan(owner, None, object)?, false).then(left).then([ours_goes]))
}

/// The other owners, for people.
fn named(owner: &Owner, claims: &OwnerClaims) -> String {
    let others = claims.others(owner).filter(|(_, claim)| claim.needs_object());
    others.map(|(_, claim)| claim.owner.as_str()).collect::<Vec<_>>().join(", ")
}

/// A refusal that names the other owners, if there are any.
fn told_apart(owner: &Owner, claims: &OwnerClaims, refusal: Refusal) -> Refusal {
    let owners = named(owner, claims);
    match refusal {
        Refusal::Foreign { what, owner: _, remedy } if !owners.is_empty() => {
            Refusal::Foreign { what, owner: format!("it belongs to {owners}"), remedy }
        }
        other => other,
    }
}
