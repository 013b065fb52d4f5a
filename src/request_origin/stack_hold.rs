//! The hold of a stack on an object, as CloudFormation shows it: an object changes its owner only where nobody holds it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Shown, VISIBLE_WITHIN, Witness, is_in_progress, is_over, stack_status};
use crate::aws::{Backoff, CallError};
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::ownership::{HandOver, Owner, Tags, owner_tags};

/// The possible difference between the clocks of CloudFormation and of the service of an object.
const CLOCKS: Duration = Duration::from_mins(1);

/// The hold of a resource on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The stack or the resource is gone, or the resource is another object by now.
    LetGo,
    /// The reason for which the object is not free.
    Held(String),
}

/// An object that may change its owner.
#[derive(Clone, Copy, Debug)]
pub struct OwnedObject<'a> {
    /// `Custom::…`.
    pub resource_type: &'a str,
    /// The physical id.
    pub id: &'a str,
    /// The tags.
    pub tags: &'a Tags,
}

impl Witness<'_> {
    /// Returns the hold of a resource on an object.
    ///
    /// # Errors
    /// When CloudFormation cannot be asked.
    pub async fn hold(&self, here: &Deployment, owner: &Owner, id: &str) -> Result<Hold, CallError> {
        let Ok(stack) = StackId::parse(owner.stack_id()) else {
            return Ok(Hold::Held("the tag of its stack cannot be read".to_owned()));
        };
        if !is_asked_here(&stack, here) {
            let place = format!("account {}, region {}", stack.account(), stack.region());
            return Ok(Hold::Held(format!("its stack is in {place}, which CloudFormation here knows nothing of")));
        }
        let shown = self.resource(&stack, owner.logical_id()).await?;
        let Some(Shown { physical_id, status, .. }) = shown.filter(|shown| !is_over(&shown.status)) else {
            return Ok(Hold::LetGo);
        };
        if physical_id.eq_ignore_ascii_case(id) {
            return Ok(Hold::Held(format!("CloudFormation shows it there, in {status}")));
        }
        match stack_status(self.client, &self.deadline, stack.as_str()).await? {
            // A rollback brings back what a resource was before.
            Some(status) if !status.ends_with("_COMPLETE") => {
                Ok(Hold::Held(format!("the stack is in {status}, and a rollback could need it again")))
            }
            _ => Ok(Hold::LetGo),
        }
    }

    /// Returns true if CloudFormation shows that an owner has an object of this id, and does not let it go.
    ///
    /// # Errors
    /// When CloudFormation cannot be asked.
    pub async fn has(&self, owner: &Owner, resource_type: &str, id: &str) -> Result<bool, CallError> {
        let Ok(stack) = StackId::parse(owner.stack_id()) else { return Ok(false) };
        let shown = self.resource(&stack, owner.logical_id()).await?;
        Ok(shown.is_some_and(|Shown { resource_type: shown, physical_id, status, .. }| {
            shown == resource_type && physical_id.eq_ignore_ascii_case(id) && !status.starts_with("DELETE")
        }))
    }

    /// Returns true if CloudFormation shows that an owner has an object of this id, and that it has made the one of this age. It
    /// may show an older state for some time. A stack that cannot be asked about is believed.
    ///
    /// # Errors
    /// When CloudFormation cannot be asked.
    pub async fn shows(
        &self,
        here: &Deployment,
        owner: &Owner,
        resource_type: &str,
        (id, created): (&str, SystemTime),
    ) -> Result<bool, CallError> {
        let Some(stack) = StackId::parse(owner.stack_id()).ok().filter(|stack| is_asked_here(stack, here)) else {
            return Ok(true);
        };
        let started = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let left = VISIBLE_WITHIN.saturating_sub(started.elapsed());
            let shown = self.resource(&stack, owner.logical_id()).await?;
            let is_maker = |Shown { resource_type: shown, physical_id, status, since }: &Shown| {
                let has_it = shown == resource_type && physical_id.eq_ignore_ascii_case(id);
                // The object of a request that is over is older than its end.
                has_it && !status.starts_with("DELETE") && (is_in_progress(status) || created <= *since + CLOCKS)
            };
            let is_shown = shown.as_ref().is_some_and(is_maker);
            let pause = backoff.pause().min(VISIBLE_WITHIN.saturating_sub(started.elapsed()));
            if is_shown || left.is_zero() || !self.deadline.allows(pause) {
                return Ok(is_shown);
            }
            backoff.announce(id, "CloudFormation does not show yet whose it is", VISIBLE_WITHIN);
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks whether an object of another owner, or of none, may become this owner's. `takes_over` is true if its author asks
    /// for that.
    ///
    /// # Errors
    /// When CloudFormation cannot be asked.
    pub async fn hand_over(
        &self,
        here: &Deployment,
        owner: &Owner,
        object: OwnedObject<'_>,
        takes_over: bool,
    ) -> Result<Option<HandOver>, CallError> {
        let OwnedObject { resource_type, id, tags } = object;
        let from = owner_tags(tags);
        if let Some(former) = Owner::of_tags(tags) {
            if former == *owner || !takes_over {
                return Ok(None);
            }
            // A stack that goes back keeps what it had taken over, which only its status tells.
            if !StackId::parse(owner.stack_id()).is_ok_and(|stack| is_asked_here(&stack, here)) {
                let why = "the stack that asks for it is of another account, which cannot be asked about a rollback";
                return Ok(Some(HandOver::Held { from, why: why.to_owned() }));
            }
            return Ok(Some(match self.hold(here, &former, id).await? {
                Hold::LetGo => HandOver::LetGo { from },
                Hold::Held(why) => HandOver::Held { from, why },
            }));
        }
        let ours = owner.tags();
        let is_lost = from.iter().all(|(key, value)| ours.get(key) == Some(value));
        let Some(stack) = StackId::parse(owner.stack_id()).ok().filter(|stack| is_lost && is_asked_here(stack, here))
        else {
            return Ok(None);
        };
        let known = self.object(&stack, owner.logical_id(), resource_type).await?;
        Ok(known.physical_id.filter(|known| known.eq_ignore_ascii_case(id)).map(|_| HandOver::Lost { from }))
    }
}

/// Returns true while CloudFormation removes what a stack no longer has, and not while it goes back.
///
/// # Errors
/// When CloudFormation cannot be asked.
pub async fn removes(witness: &Witness<'_>, owner: &Owner) -> Result<bool, CallError> {
    let status = stack_status(witness.client, &witness.deadline, owner.stack_id()).await?;
    Ok(status.is_none_or(|status| {
        status.starts_with("DELETE") || status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" || status == "UPDATE_COMPLETE"
    }))
}

fn is_asked_here(stack: &StackId, here: &Deployment) -> bool {
    (stack.partition(), stack.region(), stack.account()) == (&here.partition, &here.region, &here.account)
}
