//! Calls with a deadline. A failure that passes by itself is retried within the time of the request; any other failure
//! is returned at once.
//!
//! The SDK's own retries are turned off: they hide whether an attempt may have been carried out, give up early, and keep
//! a budget that one request would use up for the next.

use std::cell::Cell;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::call_error::{CallError, ErrorKind};

/// The time in which a new principal becomes visible everywhere: terraform-provider-aws#35535 reports up to two
/// minutes.
pub const PROPAGATION: Duration = Duration::from_secs(150);
/// The time after which an object that is there is visible to most reads.
const SOON: Duration = Duration::from_secs(12);
/// The time in which another change to the same object ends. The name of a deleted secret is free after as long:
/// terraform-provider-aws waits for two minutes.
const BUSY: Duration = Duration::from_mins(2);
/// The time for which a service may be out of reach or out of order.
const UNREACHABLE: Duration = Duration::from_mins(2);
/// An attempt ends so long after the deadline at the latest: no time-out of an attempt may take what is left for the answer.
const GRACE: Duration = Duration::from_secs(1);
/// A service that asks for more is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The time after which no call is started any more.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    until: Instant,
    once: bool,
    /// The patience with what a call refers to and the service does not see.
    propagation: Duration,
    /// The patience with another change of the same object.
    busy: Duration,
}

impl Deadline {
    /// Calls may start until then.
    #[must_use]
    pub fn until(until: Instant) -> Self {
        Self { until, once: false, propagation: PROPAGATION, busy: BUSY }
    }

    /// The same for a call that has to be decided anew before it is made again.
    #[must_use]
    pub fn once(&self) -> Self {
        Self { once: true, ..*self }
    }

    /// The same for a call that is looked after if the service does not soon see what it refers to.
    #[must_use]
    pub fn soon(&self) -> Self {
        Self { propagation: SOON, ..*self }
    }

    /// The same for a call whose object is looked after if it is busy.
    #[must_use]
    pub fn unless_busy(&self) -> Self {
        Self { busy: Duration::ZERO, ..*self }
    }

    /// The end of the deadline.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.until
    }

    /// The time until the end.
    #[must_use]
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// The moment at which an attempt that was started in time is given up.
    #[must_use]
    pub(crate) fn cut(&self) -> Instant {
        self.until.checked_add(GRACE).unwrap_or(self.until)
    }

    /// Returns true if there is time for a pause and a call after it.
    #[must_use]
    pub fn allows(&self, pause: Duration) -> bool {
        Instant::now().checked_add(pause).is_some_and(|start| start < self.until)
    }

    /// Makes a call, and makes it again while its failure is one that passes. One log line for each attempt.
    ///
    /// # Errors
    /// The last failure, when it does not pass or the time is up.
    pub async fn call<T, E, F>(
        &self,
        action: &'static str,
        resource: impl fmt::Display,
        mut send: impl FnMut() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: Error + ProvideErrorMetadata + 'static,
    {
        let resource = resource.to_string();
        let value = Cell::new(None);
        let mut attempt = || {
            let (answer, value, resource) = (send(), &value, &resource);
            let result = async move {
                match answer.await {
                    Ok(answer) => {
                        let request_id = answer.request_id().unwrap_or_default().to_owned();
                        value.set(Some(answer));
                        Ok(request_id)
                    }
                    Err(error) => Err((CallError::new(action, resource, &error), asked_to_wait(&error))),
                }
            };
            result.boxed_local()
        };
        self.repeat(action, &resource, &mut attempt).await?;
        // An attempt that succeeded has left its answer.
        value.take().ok_or_else(|| CallError::time_up(action, &resource))
    }

    /// The same for calls of every type, so that the compiler does not write it once for each.
    async fn repeat<'a>(
        &self,
        action: &'static str,
        resource: &str,
        attempt: &mut dyn FnMut() -> LocalBoxFuture<'a, Attempt>,
    ) -> Result<(), CallError> {
        // Each sort of failure has its own patience: one that comes after another has only begun.
        let mut since = HashMap::new();
        let mut pauses = Backoff::new();
        let mut uncertain = false;
        loop {
            let started = Instant::now();
            if !self.allows(Duration::ZERO) {
                return Err(CallError { uncertain, ..CallError::time_up(action, resource) });
            }
            let (error, wait) = match tokio::time::timeout_at(self.cut(), attempt()).await {
                Ok(Ok(request_id)) => {
                    tracing::info!(call = action, %resource, request_id, duration_ms = millis(started.elapsed()), "called");
                    return Ok(());
                }
                Ok(Err(failure)) => failure,
                Err(_elapsed) => (CallError::cut_off(action, resource), Duration::ZERO),
            };
            uncertain |= error.uncertain;
            let pause = pauses.pause().max(wait);
            let lasting = since.entry(error.kind).or_insert(started).elapsed();
            let again = !self.once
                && self
                    .max_retry_duration(error.kind)
                    .is_some_and(|max_retry_duration| lasting + pause <= max_retry_duration)
                && self.allows(pause);
            tracing::info!(
                call = action,
                %resource,
                request_id = error.request_id.as_deref().unwrap_or_default(),
                duration_ms = millis(started.elapsed()),
                code = error.code,
                again_in_ms = again.then(|| millis(pause)),
                "called"
            );
            if !again {
                return Err(CallError { uncertain, ..error });
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the time for which a failure of this kind is retried; `None` if it never passes by itself.
    fn max_retry_duration(&self, kind: ErrorKind) -> Option<Duration> {
        match kind {
            ErrorKind::Throttled => Some(Duration::MAX),
            ErrorKind::Unknown => Some(UNREACHABLE),
            ErrorKind::Busy => Some(self.busy),
            ErrorKind::Propagating => Some(self.propagation),
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::InUse
            | ErrorKind::Denied
            | ErrorKind::Quota
            | ErrorKind::TimeUp
            | ErrorKind::Invalid => None,
        }
    }
}

/// Returns the time that a service asks to wait before the same call, in seconds (RFC 9110, 10.2.3).
fn asked_to_wait<E>(error: &SdkError<E, HttpResponse>) -> Duration {
    let header = error.raw_response().and_then(|response| response.headers().get("retry-after"));
    let seconds = header.and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}

/// The request's id, or why it failed and how long to wait at least before the next attempt.
type Attempt = Result<String, (CallError, Duration)>;

/// Whole milliseconds, for a log line.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
