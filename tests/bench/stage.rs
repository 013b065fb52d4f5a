//! What all connections share: the account, the events that wait, and what was seen.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::http::{Answer, Request, now};
use super::simulation::account::{ACCOUNT, Account};
use super::simulation::eks::Status;
use super::simulation::large_account::{self, Size};

/// Writes a line to the leader of this process.
pub(crate) fn say(what: &Value) {
    let mut out = std::io::stdout().lock();
    // A leader that no longer reads has gone, and this process ends with its input.
    let _gone = writeln!(out, "{what}").and_then(|()| out.flush());
}

pub(crate) struct Stage {
    state: Mutex<State>,
    /// Something happened that somebody may wait for.
    moved: Condvar,
}

struct State {
    account: Account,
    /// How long a call of a service takes.
    delay: Duration,
    events: VecDeque<Value>,
    /// Which process is measured: the polls of earlier ones still wait, and get nothing any more.
    process: u64,
    /// How many answers may be accepted.
    accepted: u64,
    calls: u64,
    seen: Vec<Value>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let state = State {
            account: account(),
            delay: Duration::ZERO,
            events: VecDeque::new(),
            process: 0,
            accepted: 0,
            calls: 0,
            seen: Vec::new(),
        };
        Self { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// A connection of a killed function may have left a call half done, which is no reason to stop.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a line of the input says.
    pub(crate) fn follow(&self, line: &str) {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let mut state = self.state();
        match line["do"].as_str() {
            Some("renew") => {
                state.account = account();
                state.delay = Duration::from_millis(line["delay_ms"].as_u64().unwrap_or_default());
            }
            Some("multiply") => {
                let number =
                    |name: &str| line[name].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(1);
                let size = Size {
                    providers: number("providers"),
                    roles: number("roles"),
                    clusters: number("clusters"),
                    stale: number("stale"),
                };
                large_account::multiply(&mut state.account, size, SystemTime::now());
                say(&json!({"is": "multiplied"}));
            }
            Some("begin") => {
                state.process += 1;
                state.accepted = 0;
                state.events = [line["event"].clone()].into();
                state.seen.clear();
                say(&json!({"is": "begun"}));
            }
            Some("invoke") => state.events.push_back(line["event"].clone()),
            Some("go") => state.accepted += 1,
            _ => panic!("there is nothing to do in {line}"),
        }
        self.moved.notify_all();
    }

    /// Notes a request and answers it by what the account says, after the time that a call takes.
    pub(crate) fn call(
        &self,
        what: &str,
        request: &Request,
        answers: impl FnOnce(&mut Account, &str) -> Answer,
    ) -> Answer {
        let (answer, delay) = {
            let mut state = self.state();
            state.calls += 1;
            let id = format!("00000000-0000-4000-8000-{:012x}", state.calls);
            (answers(&mut state.account, &id), state.delay)
        };
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        self.note(json!({"call": what, "from": request.at, "to": now(), "status": answer.status}));
        answer
    }

    pub(crate) fn note(&self, what: Value) {
        self.state().seen.push(what);
    }

    /// The next event; until there is one the function is idle. Nothing for a function that is no longer measured.
    pub(crate) fn next_event(&self) -> Option<Value> {
        let mut state = self.state();
        let process = state.process;
        if state.events.is_empty() {
            let seen = std::mem::take(&mut state.seen);
            say(&json!({"is": "idle", "seen": seen}));
        }
        while state.events.is_empty() && state.process == process {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.process != process {
            return None;
        }
        let event = state.events.pop_front()?;
        state.account.stacks.begin_event(&event.to_string(), SystemTime::now());
        state.seen.push(json!({"given": now()}));
        Some(event)
    }

    /// Reports an answer and waits until it may be accepted.
    pub(crate) fn answered(&self, request: &Request) {
        let mut state = self.state();
        let seen = std::mem::take(&mut state.seen);
        let body = String::from_utf8_lossy(&request.body);
        say(&json!({"is": "answered", "at": request.at, "body": body, "seen": seen}));
        let process = state.process;
        while state.accepted == 0 {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            if state.process != process {
                return;
            }
        }
        state.accepted -= 1;
    }
}

/// An account as the recorded events need it.
fn account() -> Account {
    let mut account = Account::new(1);
    let now = SystemTime::now();
    account.eks.add_cluster("demo", "API", Status::Active, now);
    account.iam.policies.insert(format!("arn:aws:iam::{ACCOUNT}:policy/ci-boundary"));
    account
}
