//! The one door to the outside: every request passes here, is numbered, meets its fault, reaches its service, and is
//! written down.
//!
//! A [`Cloud`] is the connector that the SDK's clients are given, and their clock. It can be renewed in place, so that
//! clients made once serve one history after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::account::{Account, Snapshot};
use super::author::Author;
use super::calls::{Call, Outcome};
use super::clock::Clock;
use super::faults::{At, Fault, Faults, Occasion, When};
use super::issuers::Shown;
use super::perform::{Parsed, outcome, perform, refuse};
use super::throttle::Throttles;
use super::wire::{Answer, Request};

/// Is shown every committed change, at once.
pub(crate) trait Witness: Send {
    fn changed(&mut self, before: &Snapshot, after: &Snapshot, call: &Call);
    /// Somebody else changed something.
    fn changed_by_hand(&mut self, _before: &Snapshot, _after: &Snapshot) {}
}

type ManualChange = Box<dyn FnOnce(&mut Account, SystemTime) + Send>;
type Elsewhere = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

/// An invocation as far as the outside knows it.
#[derive(Debug)]
struct Caller {
    author: Author,
    request: Option<String>,
    calls: u64,
    dead: bool,
    waker: Option<Waker>,
}

pub(crate) struct State {
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) account: Account,
    pub(crate) faults: Faults,
    pub(crate) calls: Vec<Call>,
    pub(crate) witnesses: Vec<Box<dyn Witness>>,
    /// What the issuers' servers show.
    pub(crate) issuers: Shown,
    /// Hosts that are none of the three services.
    pub(crate) elsewhere: Option<Elsewhere>,
    /// Raw requests and answers, where a test asks for them.
    pub(crate) transcript: Option<Vec<serde_json::Value>>,
    /// One way.
    pub(crate) latency: Duration,
    /// How fast the services let calls in; as fast as they come where there is nothing.
    pub(crate) throttles: Option<Throttles>,
    /// Calls that somebody waits for, and the most of them at any time.
    flying: usize,
    pub(crate) most_flying: usize,
    /// The current step of the history, and how many calls it has seen.
    step: (u64, u64),
    /// Requests whose events come more than once.
    pub(crate) duplicated: BTreeSet<String>,
    manual_changes: Vec<(Occasion, Option<ManualChange>)>,
    callers: BTreeMap<u64, Caller>,
    last: Snapshot,
}

#[derive(Clone)]
pub(crate) struct Cloud(Arc<Mutex<State>>);

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud")
    }
}

impl State {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            clock: Clock::start(),
            account: Account::new(seed ^ 0x1a),
            faults: Faults::new(seed ^ 0xfa),
            calls: Vec::new(),
            witnesses: Vec::new(),
            issuers: Shown::default(),
            elsewhere: None,
            transcript: None,
            latency: Duration::from_millis(20),
            throttles: None,
            flying: 0,
            most_flying: 0,
            step: (0, 0),
            duplicated: BTreeSet::new(),
            manual_changes: Vec::new(),
            callers: BTreeMap::new(),
            last: Snapshot::default(),
        }
    }

    /// Something that somebody else does just before a call.
    pub(crate) fn change_at(&mut self, at: At, change: impl FnOnce(&mut Account, SystemTime) + Send + 'static) {
        self.manual_changes.push((Occasion::new(at), Some(Box::new(change))));
    }

    /// Does something as somebody else, now.
    pub(crate) fn change_now<T>(&mut self, change: impl FnOnce(&mut Account, SystemTime) -> T) -> T {
        let before = self.account.snapshot();
        let done = change(&mut self.account, self.clock.now());
        self.show_witnesses(&before);
        done
    }

    fn show_witnesses(&mut self, before: &Snapshot) {
        let after = self.account.snapshot();
        for witness in &mut self.witnesses {
            witness.changed_by_hand(before, &after);
        }
        self.last = after;
    }
}

impl Cloud {
    /// A new account. Call it inside a runtime whose time is paused.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed))))
    }

    /// Forgets everything and begins another history, for the same clients.
    pub(crate) fn renew(&self, seed: u64) {
        *self.state() = State::new(seed);
        // The SDK's back-off draws its jitter from this thread's generator.
        fastrand::seed(seed);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn connector(&self) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    pub(crate) fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    pub(crate) fn time(&self) -> SharedTimeSource {
        SharedTimeSource::new(self.clone())
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.state().clock.now()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state().account.snapshot()
    }

    pub(crate) fn change_now<T>(&self, change: impl FnOnce(&mut Account, SystemTime) -> T) -> T {
        self.state().change_now(change)
    }

    /// The history so far, one call a line.
    pub(crate) fn story(&self) -> String {
        let lines: Vec<String> = self.state().calls.iter().map(ToString::to_string).collect();
        lines.join("\n") + "\n"
    }

    /// Announces an invocation, on whose behalf calls will be made.
    pub(crate) fn admit(&self, invocation: u64, author: Author, request: &str) {
        let caller = Caller { author, request: Some(request.to_owned()), calls: 0, dead: false, waker: None };
        self.state().callers.insert(invocation, caller);
    }

    /// Begins a step of the history.
    pub(crate) fn begin_step(&self, step: u64) {
        self.state().step = (step, 0);
    }

    /// Whether a fault has killed an invocation; wakes the asker when one does.
    pub(crate) fn is_dead(&self, invocation: u64, waker: &Waker) -> bool {
        match self.state().callers.get_mut(&invocation) {
            Some(caller) => {
                caller.waker = Some(waker.clone());
                caller.dead
            }
            None => false,
        }
    }

    pub(crate) fn call_count(&self) -> usize {
        self.state().calls.len()
    }

    /// How many calls an invocation has made.
    pub(crate) fn calls_of(&self, invocation: u64) -> u64 {
        self.state().callers.get(&invocation).map_or(0, |caller| caller.calls)
    }

    async fn carry(self, invocation: Option<u64>, request: Request) -> Result<Answer, ConnectorError> {
        let (number, parsed, fault, latency) = self.set_out(invocation, &request);
        let _flying = Flying::taken_off(self.clone());
        let mut outward = latency;
        if let Some((When::Before, fault)) = &fault {
            match fault {
                Fault::Slow(duration) => tokio::time::sleep(*duration).await,
                Fault::Late(duration) => outward += *duration,
                fault => {
                    tokio::time::sleep(latency).await;
                    return self.strike(number, invocation, fault, &request).await;
                }
            }
        }
        // A request that is on its way arrives, whether or not anybody still waits for the answer.
        let cloud = self.clone();
        let arrival = tokio::spawn(async move {
            tokio::time::sleep(outward).await;
            cloud.arrive(number, &parsed, &request)
        });
        let (answer, request) = match arrival.await {
            Ok(answered) => answered,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        if let Some((When::After, fault)) = &fault {
            match fault {
                Fault::Slow(duration) | Fault::Late(duration) => tokio::time::sleep(*duration).await,
                fault => return self.strike(number, invocation, fault, &request).await,
            }
        }
        tokio::time::sleep(latency).await;
        self.come_back(number, &answer);
        Ok(answer)
    }

    /// Numbers the call and draws its fault.
    fn set_out(&self, invocation: Option<u64>, request: &Request) -> (u64, Parsed, Option<(When, Fault)>, Duration) {
        let mut state = self.state();
        let number = state.calls.len() as u64 + 1;
        let of_invocation = invocation.and_then(|invocation| state.callers.get_mut(&invocation)).map_or(0, |caller| {
            caller.calls += 1;
            caller.calls
        });
        state.step.1 += 1;
        let caller = invocation.and_then(|invocation| state.callers.get(&invocation));
        let author = caller.map_or(Author::Someone, |caller| caller.author.clone());
        let on_behalf = caller.and_then(|caller| caller.request.clone());
        let parsed = Parsed::read(request);
        let mut call = Call {
            number,
            invocation,
            of_invocation,
            author,
            duplicated: on_behalf.as_ref().is_some_and(|request| state.duplicated.contains(request)),
            request: on_behalf,
            of_step: state.step,
            at: state.clock.elapsed(),
            service: parsed.service,
            action: parsed.action.clone(),
            resource: parsed.resource(),
            input: parsed.input.clone().unwrap_or_default(),
            changing: parsed.changes(),
            changed: false,
            fault: None,
            outcome: Outcome::Pending,
        };
        let fault = state.faults.next(&call);
        call.fault.clone_from(&fault);
        let mut due = Vec::new();
        for (occasion, change) in &mut state.manual_changes {
            if occasion.comes_with(&call)
                && let Some(change) = change.take()
            {
                due.push(change);
            }
        }
        state.calls.push(call);
        for change in due {
            state.change_now(change);
        }
        (number, parsed, fault, state.latency)
    }

    /// The service does what it is asked to.
    fn arrive(&self, number: u64, parsed: &Parsed, request: &Request) -> (Answer, Request) {
        let mut guard = self.state();
        let state = &mut *guard;
        let now = state.clock.now();
        let author = state.calls[usize::try_from(number - 1).expect("a number of ours")].author.clone();
        let request_id = format!("00000000-0000-4000-8000-{number:012x}");
        let watched = !state.witnesses.is_empty() && parsed.changes();
        if watched {
            state.last = state.account.snapshot();
        }
        let revision = state.account.revision();
        let invocation = state.calls[usize::try_from(number - 1).expect("a number of ours")].invocation;
        let since = state.clock.elapsed();
        let let_in = |throttles: &mut Throttles| throttles.admits(parsed.service, &parsed.action, since);
        let answer = if state.throttles.as_mut().is_none_or(let_in) {
            perform(&mut state.account, parsed, request, (&author, invocation), now, &request_id)
                .or_else(|| state.elsewhere.as_mut().and_then(|elsewhere| elsewhere(request)))
        } else {
            let call = &state.calls[usize::try_from(number - 1).expect("a number of ours")];
            let refusal = Fault::Throttle.refusal(call).expect("it is a refusal");
            let mut answer = refuse(request, refusal, number);
            let wait = state.throttles.as_ref().and_then(|throttles| throttles.retry_after);
            answer.headers.extend(wait.map(|seconds| ("retry-after", seconds.to_string())));
            Some(answer)
        };
        let call = &mut state.calls[usize::try_from(number - 1).expect("a number of ours")];
        call.changed = state.account.revision() != revision;
        let answer = answer.unwrap_or_else(|| {
            // Nobody is there. What is contacted without being expected shows in the record.
            Answer { status: 0, headers: Vec::new(), body: String::new() }
        });
        call.outcome = outcome(&answer);
        if call.changed && watched {
            let before = std::mem::take(&mut state.last);
            let after = state.account.snapshot();
            for witness in &mut state.witnesses {
                witness.changed(&before, &after, call);
            }
            state.last = after;
        }
        if let Some(transcript) = &mut state.transcript {
            transcript.push(serde_json::json!({
                "service": parsed.service, "action": parsed.action, "method": request.method, "url": request.url,
                "request": request.text(), "status": answer.status, "answer": answer.body,
                "headers": answer.headers.iter().cloned().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
            }));
        }
        (answer, request.clone())
    }

    fn come_back(&self, number: u64, answer: &Answer) {
        let mut state = self.state();
        state.calls[usize::try_from(number - 1).expect("a number of ours")].outcome = outcome(answer);
    }

    /// What the caller sees of a fault.
    async fn strike(
        &self,
        number: u64,
        invocation: Option<u64>,
        fault: &Fault,
        request: &Request,
    ) -> Result<Answer, ConnectorError> {
        let index = usize::try_from(number - 1).expect("a number of ours");
        match fault {
            Fault::Kill => {
                let waker = {
                    let mut state = self.state();
                    let caller = invocation.and_then(|invocation| state.callers.get_mut(&invocation));
                    caller.and_then(|caller| {
                        caller.dead = true;
                        caller.waker.take()
                    })
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
                pending().await
            }
            Fault::Hang => pending().await,
            Fault::Reset => {
                self.state().calls[index].outcome = Outcome::Broken;
                let reset = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "connection reset by peer");
                Err(ConnectorError::io(reset.into()))
            }
            Fault::Garbage(body) => {
                let headers = vec![("content-type", "text/xml".to_owned())];
                let answer = Answer { status: 200, headers, body: body.clone() };
                self.come_back(number, &answer);
                Ok(answer)
            }
            fault => {
                let refusal = {
                    let state = self.state();
                    fault.refusal(&state.calls[index]).expect("the other faults are refusals")
                };
                let answer = refuse(request, refusal, number);
                self.come_back(number, &answer);
                Ok(answer)
            }
        }
    }
}

/// A call that somebody waits for, until it has ended or nobody waits any more.
struct Flying(Cloud);

impl Flying {
    fn taken_off(cloud: Cloud) -> Self {
        {
            let mut state = cloud.state();
            state.flying += 1;
            state.most_flying = state.most_flying.max(state.flying);
        }
        Self(cloud)
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.flying = state.flying.saturating_sub(1);
    }
}

impl TimeSource for Cloud {
    fn now(&self) -> SystemTime {
        Cloud::now(self)
    }
}

impl HttpClient for Cloud {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector()
    }
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let invocation = super::lambda::current_invocation();
        let head = Request::head(&request);
        let body = request.into_body();
        let cloud = self.clone();
        HttpConnectorFuture::new(async move {
            let request = head.with_body(body).await?;
            let garbles = cloud.state().account.garbles;
            let answer = cloud.carry(invocation, request).await?;
            if answer.status == 0 {
                let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
                return Err(ConnectorError::io(refused.into()));
            }
            let answer = match garbles {
                Some(words) => answer.in_other_words(words),
                None => answer,
            };
            Ok(answer.into_response())
        })
    }
}
