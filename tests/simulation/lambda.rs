//! AWS Lambda, invoked asynchronously: up to three attempts, one minute and then two minutes after the last; duplicates
//! without any error; a deadline; and processes that die.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use super::author::Author;
use super::cloud::Cloud;

/// The function under test: a cloud, an event and a deadline go in; "deliver it again" may come out.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<(), String>>>>;
pub(crate) type Function = Rc<dyn Fn(&Cloud, String, SystemTime) -> Running>;

/// Lambda waits this long before the second and the third attempt.
pub(crate) const PAUSES: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];

thread_local! {
    static CURRENT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The invocation whose code is running right now.
pub(crate) fn current_invocation() -> Option<u64> {
    CURRENT.get()
}

/// Marks what runs inside of it as an invocation's.
struct Inside<F> {
    invocation: u64,
    future: F,
}

impl<F: Future + Unpin> Future for Inside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let before = CURRENT.replace(Some(self.invocation));
        let polled = Pin::new(&mut self.future).poll(context);
        CURRENT.set(before);
        polled
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Returned(Result<(), String>),
    /// A panic that left the handler: Lambda hears of an error, CloudFormation of nothing.
    Panicked,
    /// The process died with it.
    Killed,
    /// It was still running at its deadline.
    TimedOut,
}

/// One attempt at one event.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) invocation: u64,
    /// CloudFormation's request, by its id.
    pub(crate) request: String,
    pub(crate) began: SystemTime,
    pub(crate) deadline: SystemTime,
    /// `None` while it runs.
    pub(crate) ended: Option<Ended>,
}

/// How an event comes in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    /// It waits in the queue for so long.
    pub(crate) delay: Duration,
    /// It comes again so long after its first arrival, with no error to blame.
    pub(crate) duplicates: Vec<Duration>,
}

#[derive(Clone)]
pub(crate) struct Lambda {
    cloud: Cloud,
    function: Function,
    timeout: Duration,
    attempts: Rc<RefCell<Vec<Attempt>>>,
    /// Events that may still be tried.
    queued: Rc<Cell<usize>>,
}

impl Lambda {
    pub(crate) fn new(cloud: &Cloud, function: &Function, timeout: Duration) -> Self {
        Self {
            cloud: cloud.clone(),
            function: Rc::clone(function),
            timeout,
            attempts: Rc::default(),
            queued: Rc::default(),
        }
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.borrow().clone()
    }

    /// Whether a request is being handled right now.
    pub(crate) fn runs(&self, request: &str) -> bool {
        self.attempts.borrow().iter().any(|attempt| attempt.request == request && attempt.ended.is_none())
    }

    /// Whether an event is still being handled or will be tried again.
    pub(crate) fn is_busy(&self) -> bool {
        self.queued.get() > 0
    }

    /// Waits until nothing runs and nothing will be tried again.
    pub(crate) async fn settle(&self) {
        while self.is_busy() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Takes an event; it is handled beside the invoker that waits for the answer.
    pub(crate) fn take(&self, author: Author, request: String, event: String, delivery: Delivery) {
        self.queued.set(self.queued.get() + 1);
        tokio::task::spawn_local(self.clone().handle(author, request, event, delivery));
    }

    async fn handle(self, author: Author, request: String, event: String, delivery: Delivery) {
        if !delivery.duplicates.is_empty() {
            self.cloud.state().duplicated.insert(request.clone());
        }
        tokio::time::sleep(delivery.delay).await;
        let one = |after: Duration| {
            let (this, author, request, event) = (&self, author.clone(), request.clone(), event.clone());
            async move {
                tokio::time::sleep(after).await;
                this.try_thrice(&author, &request, &event).await;
            }
        };
        let all = std::iter::once(Duration::ZERO).chain(delivery.duplicates).map(one);
        futures_util::future::join_all(all).await;
        self.queued.set(self.queued.get() - 1);
    }

    async fn try_thrice(&self, author: &Author, request: &str, event: &str) {
        let mut pauses = PAUSES.iter();
        while self.attempt(author, request, event).await != Ended::Returned(Ok(())) {
            let Some(pause) = pauses.next() else { break };
            tokio::time::sleep(*pause).await;
        }
    }

    /// One attempt.
    pub(crate) async fn attempt(&self, author: &Author, request: &str, event: &str) -> Ended {
        let began = self.cloud.now();
        let deadline = began + self.timeout;
        let invocation = self.attempts.borrow().len() as u64 + 1;
        self.attempts.borrow_mut().push(Attempt {
            invocation,
            request: request.to_owned(),
            began,
            deadline,
            ended: None,
        });
        self.cloud.admit(invocation, author.clone(), request);
        let until = self.cloud.state().clock.instant(deadline);
        let running = Inside { invocation, future: (self.function)(&self.cloud, event.to_owned(), deadline) };
        let death =
            poll_fn(
                |context| {
                    if self.cloud.is_dead(invocation, context.waker()) { Poll::Ready(()) } else { Poll::Pending }
                },
            );
        let ended = tokio::select! {
            biased;
            () = death => Ended::Killed,
            () = tokio::time::sleep_until(until) => Ended::TimedOut,
            result = AssertUnwindSafe(running).catch_unwind() => result.map_or(Ended::Panicked, Ended::Returned),
        };
        let index = usize::try_from(invocation - 1).expect("a number of ours");
        self.attempts.borrow_mut()[index].ended = Some(ended.clone());
        ended
    }
}
