//! The proof that CloudFormation sent a request and waits for it: the state in which it shows the resource.

mod stack_hold;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::StackEvent;
use aws_smithy_async::time::SharedTimeSource;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::aws::{Backoff, CallError, Deadline, ErrorKind};
use crate::cloudformation::{Request, RequestType, StackId};
use crate::error::Error;
use crate::lazy::Lazy;

pub use stack_hold::{Hold, OwnedObject, removes};

/// The time for which CloudFormation may show a state from before the request.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);
/// An event that is younger than this is a first delivery: Lambda delivers a failed one again after a minute.
const FIRST_DELIVERY: Duration = Duration::from_secs(30);
/// The difference between the clock that signs a request and the one that dates the state of its resource.
const CLOCK_SKEW: Duration = Duration::from_secs(2);
/// The pages of a stack's events, 100 on each, among which an object is looked for.
const EVENT_PAGES: usize = 10;
/// The same before an object is deleted that no request names. CloudFormation has the events of 90 days.
const ALL_EVENT_PAGES: usize = 100;

/// The time after which a proof counts no longer for what begins: another copy of the event may have been answered, and
/// the stack have gone on.
const PROOF_COUNTS: Duration = Duration::from_secs(1);

/// The gate before each change: it is open while the origin of the request is proven.
#[derive(Clone, Debug)]
pub struct Origin(Rc<watch::Sender<Proof>>);

#[derive(Debug)]
enum Proof {
    Wanted,
    Given(Instant),
    /// The request has begun to change something, and ends that.
    Begun,
    /// Nobody can be asked, or need be.
    NotNeeded,
}

impl Default for Origin {
    fn default() -> Self {
        Self(Rc::new(watch::Sender::new(Proof::Wanted)))
    }
}

impl Origin {
    /// The origin of a run of the function's own schedule.
    #[must_use]
    pub fn own() -> Self {
        Self(Rc::new(watch::Sender::new(Proof::NotNeeded)))
    }

    /// Waits for the proof. A request without proof ends while it waits.
    pub async fn proven(&self) {
        self.until(|proof| !matches!(proof, Proof::Wanted)).await;
    }

    /// Waits for the proof before a change. From then on the request wants no other proof.
    pub async fn proven_for_change(&self) {
        self.proven().await;
        self.0.send_replace(Proof::Begun);
    }

    /// Returns true if the request has begun to change something.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        matches!(*self.0.borrow(), Proof::Begun)
    }

    /// Waits for a new proof, if the last one is old and nothing was changed yet. Returns true if there was one to wait for.
    pub async fn proven_lately(&self) -> bool {
        self.want_if(|at| at.elapsed() > PROOF_COUNTS);
        let waits = self.is_wanted();
        self.proven().await;
        waits
    }

    /// Returns true if nobody has to prove anything.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(*self.0.borrow(), Proof::NotNeeded)
    }

    /// Wants a new proof before the next change.
    pub fn doubt(&self) {
        self.want_if(|_| true);
    }

    fn want_if(&self, is_old: impl Fn(Instant) -> bool) {
        self.0.send_if_modified(|proof| {
            let is_wanted = matches!(proof, Proof::Given(at) if is_old(*at));
            if is_wanted {
                *proof = Proof::Wanted;
            }
            is_wanted
        });
    }

    /// Returns true if a proof is wanted, and none was given since.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        matches!(*self.0.borrow(), Proof::Wanted)
    }

    /// Waits until a proof is wanted.
    pub async fn wanted(&self) {
        self.until(|proof| matches!(proof, Proof::Wanted)).await;
    }

    /// Opens the gate.
    pub fn open(&self) {
        self.0.send_replace(Proof::Given(Instant::now()));
    }

    /// Opens the gate for good.
    pub fn open_without_proof(&self) {
        self.0.send_replace(Proof::NotNeeded);
    }

    async fn until(&self, is_so: impl FnMut(&Proof) -> bool) {
        // The sender is here, so that the channel is open.
        let _ = self.0.subscribe().wait_for(is_so).await;
    }
}

/// CloudFormation, which shows the state of a resource.
#[derive(Debug)]
pub struct Witness<'a> {
    /// The client.
    pub client: &'a Client,
    /// The time after which no call starts.
    pub deadline: Deadline,
    /// The time of day.
    pub clock: &'a SharedTimeSource,
}

/// A resource as CloudFormation shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    resource_type: String,
    physical_id: String,
    status: String,
    since: SystemTime,
}

/// The answer of a resource's state to the question of whether CloudFormation waits for a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Awaited,
    /// The object is not the one that the resource is now. The events of the stack decide.
    AskEvents,
    Doubted(Doubt),
}

/// A state in which CloudFormation does not wait for a request.
#[derive(Debug, PartialEq, Eq)]
struct Doubt {
    found: String,
    answered: Answered,
}

/// Whether a request has its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    No,
    /// The state and the request are of about the same time. It may be the one before, which is shown for some time.
    Probably,
    Yes,
}

/// The newest status of an object in the events of a stack.
enum Newest {
    Status(String),
    /// The object was never the resource's.
    Never,
    /// There are more events than were read.
    NotRead,
}

/// The objects that a resource was, as the events of its stack show them.
#[derive(Debug)]
pub struct FormerObjects<'a> {
    /// CloudFormation.
    pub witness: Witness<'a>,
    /// The request, which names the resource.
    pub request: &'a Request,
}

impl FormerObjects<'_> {
    /// Returns true if CloudFormation deletes the resource, and the object of the request is the one that the resource is now.
    ///
    /// # Errors
    /// When CloudFormation cannot be asked.
    pub async fn is_deleted(&self) -> Result<bool, CallError> {
        let Request { stack, logical_id, resource_type, physical_id, .. } = self.request;
        let now = self.witness.object(stack, logical_id, resource_type).await?;
        Ok(now.physical_id == *physical_id && now.in_progress.as_deref() == Some("DELETE_IN_PROGRESS"))
    }

    /// Returns true if CloudFormation knows of this object, and has not tried to delete it: it deletes an object of a stack by
    /// its id, or leaves it to its owner (`Retain`).
    ///
    /// # Errors
    /// When CloudFormation cannot be asked.
    pub async fn keep(&self, physical_id: &str) -> Result<bool, CallError> {
        Ok(match self.witness.newest_status(self.request, physical_id, ALL_EVENT_PAGES).await? {
            Newest::Status(status) => !["DELETE_COMPLETE", "DELETE_FAILED"].contains(&status.as_str()),
            Newest::Never => false,
            Newest::NotRead => true,
        })
    }
}

/// The object that a stack has under a logical id.
#[derive(Debug, Default)]
pub struct StackObject {
    /// Its id, if there is one.
    pub physical_id: Option<String>,
    /// The status of a resource that CloudFormation is changing.
    pub in_progress: Option<String>,
}

impl Witness<'_> {
    /// Returns once CloudFormation shows that it waits for this request: the time since which it does. `before` is that
    /// time by an earlier proof.
    ///
    /// # Errors
    /// When CloudFormation shows another state, or cannot be asked.
    pub async fn confirm(&self, request: &Request, before: Option<SystemTime>) -> Result<Option<SystemTime>, Error> {
        let started = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            // A look that takes long shows what was there when it began.
            let left = VISIBLE_WITHIN.saturating_sub(started.elapsed());
            let shown = self.resource(&request.stack, &request.logical_id).await?;
            let doubt = match verdict(request, request.request_type()?, shown.as_ref(), before, self.clock.now()) {
                Verdict::Awaited => return Ok(shown.map(|shown| shown.since)),
                Verdict::AskEvents => self.doubt_of_former(request).await?,
                Verdict::Doubted(doubt) => Some(doubt),
            };
            let Some(Doubt { found, answered }) = doubt else { return Ok(None) };
            let is_answered = match answered {
                Answered::No => false,
                Answered::Probably => age(request, self.clock.now()) >= FIRST_DELIVERY,
                Answered::Yes => true,
            };
            let pause = backoff.pause().min(VISIBLE_WITHIN.saturating_sub(started.elapsed()));
            if is_answered || left.is_zero() || !self.deadline.allows(pause) {
                return Err(Error::NotAwaited { found, is_answered: answered != Answered::No });
            }
            let reason = "CloudFormation does not show that it waits for this request";
            backoff.announce(found, reason, VISIBLE_WITHIN);
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the object that a stack has under a logical id, if it is of this type.
    ///
    /// # Errors
    /// When CloudFormation cannot be asked.
    pub async fn object(
        &self,
        stack: &StackId,
        logical_id: &str,
        resource_type: &str,
    ) -> Result<StackObject, CallError> {
        let shown = self.resource(stack, logical_id).await?;
        let shown = shown.filter(|shown| shown.resource_type == resource_type && shown.status != "DELETE_COMPLETE");
        let Some(Shown { status, physical_id, .. }) = shown else { return Ok(StackObject::default()) };
        Ok(StackObject {
            physical_id: Some(physical_id).filter(|id| !id.is_empty()),
            in_progress: Some(status).filter(|status| is_in_progress(status)),
        })
    }

    /// Doubts a request for an object that the resource no longer is: the stack has to have had it under this logical id, and
    /// its deletion not to be over.
    async fn doubt_of_former(&self, request: &Request) -> Result<Option<Doubt>, Error> {
        let (id, stack) = (request.physical_id.as_deref().unwrap_or_default(), request.stack.name());
        let is_delete = request.request_type()? == RequestType::Delete;
        let status = match self.newest_status(request, id, EVENT_PAGES).await? {
            Newest::Status(status) if is_over(&status) => Some(status),
            Newest::Status(status) if !is_delete || status == "DELETE_IN_PROGRESS" => return Ok(None),
            Newest::Status(_) => stack_status(self.client, &self.deadline, request.stack.as_str()).await?,
            Newest::Never | Newest::NotRead => {
                let found = format!("no event of stack {stack} in which {} is {id}", request.logical_id);
                return Ok(Some(Doubt { found, answered: Answered::No }));
            }
        };
        Ok(match status {
            Some(status) if deletes_former(&status) => None,
            Some(status) => {
                let answered = if is_in_progress(&status) { Answered::No } else { Answered::Probably };
                Some(Doubt { found: format!("{id} of stack {stack} in {status}"), answered })
            }
            None => Some(Doubt { found: format!("no stack {}", request.stack), answered: Answered::No }),
        })
    }

    /// Returns the newest status of an object in the events of a stack.
    async fn newest_status(&self, request: &Request, physical_id: &str, pages: usize) -> Result<Newest, CallError> {
        let mut token: Option<String> = None;
        for _ in 0..pages {
            let call = || self.client.describe_stack_events().stack_name(request.stack.as_str());
            let send = || call().set_next_token(token.clone()).send();
            let page = match self.deadline.call("cloudformation:DescribeStackEvents", request.stack.name(), send).await
            {
                Ok(page) => page,
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(Newest::Never),
                Err(error) => return Err(error),
            };
            let is_of_object = |event: &&StackEvent| {
                event.logical_resource_id.as_deref() == Some(&request.logical_id)
                    && event.resource_type.as_deref() == Some(&request.resource_type)
                    && event.physical_resource_id.as_deref() == Some(physical_id)
            };
            // The newest comes first.
            if let Some(event) = page.stack_events().iter().find(is_of_object) {
                let status = event.resource_status.as_ref().map(|status| status.as_str().to_owned());
                return Ok(Newest::Status(status.unwrap_or_default()));
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(Newest::Never);
            }
        }
        Ok(Newest::NotRead)
    }

    async fn resource(&self, stack: &StackId, logical_id: &str) -> Result<Option<Shown>, CallError> {
        let name = format!("{logical_id} of stack {}", stack.name());
        let send = || {
            let call = self.client.describe_stack_resource().stack_name(stack.as_str());
            call.logical_resource_id(logical_id).send()
        };
        let answer = self.deadline.call("cloudformation:DescribeStackResource", name, send).await;
        let detail = match answer {
            // Another stack proves nothing.
            Ok(answer) => {
                answer.stack_resource_detail.filter(|detail| detail.stack_id.as_deref() == Some(stack.as_str()))
            }
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(detail.map(|detail| Shown {
            status: detail.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            resource_type: detail.resource_type.unwrap_or_default(),
            physical_id: detail.physical_resource_id.unwrap_or_default(),
            since: detail.last_updated_timestamp.and_then(|time| time.try_into().ok()).unwrap_or(UNIX_EPOCH),
        }))
    }
}

/// Returns the status of a stack, if there is such a stack.
///
/// # Errors
/// When CloudFormation does not tell.
pub async fn stack_status(client: &Client, deadline: &Deadline, stack: &str) -> Result<Option<String>, CallError> {
    let send = || client.describe_stacks().stack_name(stack).send();
    match deadline.call("cloudformation:DescribeStacks", stack, send).await {
        Ok(answer) => {
            let stack = answer.stacks.unwrap_or_default().into_iter().next();
            Ok(stack.and_then(|stack| stack.stack_status).map(|status| status.as_str().to_owned()))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks CloudFormation if a stack rolls back.
#[derive(Debug)]
pub struct RollbackCheck {
    client: Lazy<Client>,
    deadline: Deadline,
    origin: Origin,
    has_waited: Cell<bool>,
}

impl RollbackCheck {
    /// For a run that no request asked for.
    #[must_use]
    pub fn new(client: Lazy<Client>, deadline: Deadline) -> Self {
        Self { client, deadline, origin: Origin::own(), has_waited: Cell::new(false) }
    }

    /// For a request of this origin.
    #[must_use]
    pub fn asked_by(self, origin: &Origin) -> Self {
        Self { origin: origin.clone(), ..self }
    }

    /// Returns true if this stack rolls back. An Update of a rollback looks like any other, also like a copy of one that was
    /// refused, for which the stack rolls back. The resource shows that answer within seconds. Then the origin is proven again.
    ///
    /// # Errors
    /// When CloudFormation does not tell.
    pub async fn is_rolling_back(&self, stack: &str) -> Result<bool, CallError> {
        self.origin.doubt();
        let status = stack_status(&self.client, &self.deadline, stack).await?;
        let rolls_back = status.is_some_and(|status| status.contains("ROLLBACK") && is_in_progress(&status));
        if rolls_back && !self.origin.is_own() && self.deadline.allows(VISIBLE_WITHIN) && !self.has_waited.replace(true)
        {
            let at_most_seconds = VISIBLE_WITHIN.as_secs();
            tracing::info!(stack, at_most_seconds, "waiting: the stack may roll back for an answer to this request");
            tokio::time::sleep(VISIBLE_WITHIN).await;
            self.origin.doubt();
        }
        Ok(rolls_back)
    }
}

/// Returns true if the stack with this status is at work.
pub(crate) fn is_in_progress(status: &str) -> bool {
    status.ends_with("_IN_PROGRESS")
}

/// The status of an object that its stack has left (`Retain`).
const RETAINED: &str = "DELETE_SKIPPED";

/// Returns true for a resource that its stack no longer has.
fn is_over(status: &str) -> bool {
    status == "DELETE_COMPLETE" || status == RETAINED
}

/// Returns true while CloudFormation deletes objects that resources of a stack no longer are: after an update or its rollback,
/// while a Create goes back, and with the stack. The rollback of an update goes back to such objects.
fn deletes_former(stack_status: &str) -> bool {
    stack_status.ends_with("CLEANUP_IN_PROGRESS")
        || ["ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"].contains(&stack_status)
}

/// Decides by the state of the resource. An Update is also sent by a rollback; the Delete of a replaced object is sent while
/// the resource is another one.
fn verdict(
    request: &Request,
    request_type: RequestType,
    shown: Option<&Shown>,
    before: Option<SystemTime>,
    now: SystemTime,
) -> Verdict {
    let is_delete = request_type == RequestType::Delete;
    let doubted = |found, answered| Verdict::Doubted(Doubt { found, answered });
    let Some(shown) = shown else {
        let found = format!("no resource {} in stack {}", request.logical_id, request.stack);
        return if is_delete { Verdict::AskEvents } else { doubted(found, Answered::No) };
    };
    let Shown { resource_type, physical_id, status, since } = shown;
    if *resource_type != request.resource_type {
        return doubted(format!("{} as a {resource_type}", request.logical_id), Answered::No);
    }
    let is_other = request_type != RequestType::Create && request.physical_id.as_deref() != Some(physical_id);
    if is_delete && is_other {
        return Verdict::AskEvents;
    }
    let expected = match request_type {
        RequestType::Create => status == "CREATE_IN_PROGRESS",
        RequestType::Update => is_in_progress(status) && !status.starts_with("CREATE") && !status.starts_with("DELETE"),
        RequestType::Delete => status == "DELETE_IN_PROGRESS",
    };
    let sent = request.signed_at().map(|signed| UNIX_EPOCH + Duration::from_secs(signed));
    let found = format!("{} of stack {} in {status}", request.logical_id, request.stack.name());
    if !expected {
        return doubted(found, sent.map_or(Answered::No, |sent| answered(sent, *since, now)));
    }
    let is_later = |before| *since != before && sent.is_none_or(|sent| is_nearer(before, *since, sent));
    if before.is_some_and(is_later) || !is_delete && sent.is_some_and(|sent| is_superseded(sent, *since, now)) {
        return doubted(format!("a later change of {found}"), Answered::Yes);
    }
    if is_other { Verdict::AskEvents } else { Verdict::Awaited }
}

/// Whether a state in which CloudFormation does not wait for a request is one after its answer. An older one of a first delivery is
/// the state before it.
fn answered(sent: SystemTime, since: SystemTime, now: SystemTime) -> Answered {
    let is_first = now.duration_since(sent).unwrap_or_default() < FIRST_DELIVERY;
    match since.duration_since(sent) {
        Ok(later) if later > CLOCK_SKEW => Answered::Yes,
        Err(earlier) if is_first || earlier.duration() > CLOCK_SKEW => Answered::No,
        _ => Answered::Probably,
    }
}

/// The time since CloudFormation signed a request.
fn age(request: &Request, now: SystemTime) -> Duration {
    let sent = request.signed_at().map(|signed| UNIX_EPOCH + Duration::from_secs(signed));
    sent.and_then(|sent| now.duration_since(sent).ok()).unwrap_or_default()
}

/// Returns true if `before` is the nearer of two states to the time at which a request was sent: the state of that request. The
/// first proof may have seen an older state, which is shown for some time.
fn is_nearer(before: SystemTime, since: SystemTime, sent: SystemTime) -> bool {
    let distance = |state: SystemTime| state.duration_since(sent).unwrap_or_else(|early| early.duration());
    distance(before) < distance(since)
}

/// Returns true for an event that comes again while CloudFormation waits for a later one.
fn is_superseded(sent: SystemTime, since: SystemTime, now: SystemTime) -> bool {
    let after = |time: SystemTime| time.duration_since(sent).unwrap_or_default();
    after(now) >= FIRST_DELIVERY && after(since) > CLOCK_SKEW
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;

    use super::*;

    /// On the real clock, on which each call takes time.
    #[test]
    fn only_a_proof_that_is_not_there_is_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let origin = Origin::default();
            let (waits, ()) = join(origin.proven_lately(), async { origin.open() }).await;
            assert!(waits);
            origin.proven_for_change().await;
            assert!(!origin.proven_lately().await);
            assert!(!Origin::own().proven_lately().await);
        });
    }
}
