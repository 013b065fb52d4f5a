//! What goes wrong, and exactly when: at a call that is named by its number, by its place in an invocation or by its
//! action; or at random, from the seed, until a number of faults has been spent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::calls::Call;
use super::wire::Refusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies. Nobody is told.
    Kill,
    /// The connection breaks; the caller cannot know whether its request was done.
    Reset,
    /// Nothing comes back, ever.
    Hang,
    /// It takes this long: before the service does it, or after. A client that gives up meanwhile has not sent it.
    Slow(Duration),
    /// It takes this long before the service does it, and it does it even for somebody who has long given up.
    Late(Duration),
    /// 500.
    ServerError,
    /// 400 `Throttling` (IAM), 429 `ThrottlingException` (EKS), 503 `SlowDown` (S3).
    Throttle,
    /// 409: somebody else changes the same object.
    ConcurrentModification,
    /// 403.
    AccessDenied,
    /// Whatever else a service may say.
    Refuse(Refusal),
    /// 200, with this body.
    Garbage(String),
}

impl Fault {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Slow(_) => "slow",
            Self::Late(_) => "late",
            Self::ServerError => "server error",
            Self::Throttle => "throttle",
            Self::ConcurrentModification => "concurrent modification",
            Self::AccessDenied => "access denied",
            Self::Refuse(_) => "refusal",
            Self::Garbage(_) => "garbage",
        }
    }

    /// How the service in question words it.
    pub(crate) fn refusal(&self, call: &Call) -> Option<Refusal> {
        let refusal = match (self, call.service) {
            (Self::Refuse(refusal), _) => refusal.clone(),
            (Self::Throttle, "iam" | "cloudformation") => Refusal::new("Throttling", 400, "Rate exceeded"),
            (Self::Throttle, "s3") => Refusal::new("SlowDown", 503, "Please reduce your request rate."),
            (Self::Throttle, _) => Refusal::new("ThrottlingException", 429, "Rate exceeded"),
            (Self::ServerError, "iam" | "cloudformation") => Refusal::new(
                "ServiceFailure",
                500,
                "The request processing has failed because of an unknown error, exception or failure.",
            ),
            (Self::ServerError, "s3") => {
                Refusal::new("InternalError", 500, "We encountered an internal error. Please try again.")
            }
            (Self::ServerError, _) => Refusal::new("ServerException", 500, "Internal server error"),
            (Self::ConcurrentModification, _) => Refusal::new(
                "ConcurrentModification",
                409,
                "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again.",
            ),
            (Self::AccessDenied, service) => {
                let code = if service == "eks" { "AccessDeniedException" } else { "AccessDenied" };
                let message = format!(
                    "User: arn:aws:sts::111122223333:assumed-role/github-trust/github-trust is not authorized to perform: {service}:{} on resource: {} because no identity-based policy allows the {service}:{} action",
                    call.action, call.resource, call.action
                );
                Refusal::new(code, 403, message)
            }
            _ => return None,
        };
        Some(refusal)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// The service never hears of it.
    Before,
    /// The service has done it.
    After,
}

/// Which call is meant. Everything counts from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The n-th call of the whole history.
    Call(u64),
    /// The n-th call of an invocation, which has a number itself.
    OfInvocation { invocation: u64, call: u64 },
    /// The n-th call of a step of the history: what a history that is being shortened is addressed by.
    OfStep { step: u64, call: u64 },
    /// The n-th to m-th call of this action (`*` at the end matches any rest).
    Action { action: &'static str, from: u64, to: u64 },
}

impl At {
    /// Every call of an action, from the first on.
    pub(crate) fn every(action: &'static str) -> Self {
        Self::Action { action, from: 1, to: u64::MAX }
    }

    /// One call of an action.
    pub(crate) fn nth(action: &'static str, nth: u64) -> Self {
        Self::Action { action, from: nth, to: nth }
    }

    fn matches(&self, call: &Call, seen: &mut u64) -> bool {
        match self {
            Self::Call(number) => call.number == *number,
            Self::OfInvocation { invocation, call: nth } => {
                call.invocation == Some(*invocation) && call.of_invocation == *nth
            }
            Self::OfStep { step, call: nth } => call.of_step == (*step, *nth),
            Self::Action { action, from, to } => {
                let fits = match action.strip_suffix('*') {
                    Some(prefix) => call.action.starts_with(prefix),
                    None => call.action == *action,
                };
                *seen += u64::from(fits);
                fits && (*from..=*to).contains(seen)
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Occasion {
    at: At,
    seen: u64,
}

impl Occasion {
    pub(crate) fn new(at: At) -> Self {
        Self { at, seen: 0 }
    }

    pub(crate) fn comes_with(&mut self, call: &Call) -> bool {
        self.at.matches(call, &mut self.seen)
    }
}

/// How often each fault strikes, in thousandths of the calls it can strike.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    pub(crate) kill: u32,
    pub(crate) reset: u32,
    pub(crate) hang: u32,
    pub(crate) slow: u32,
    pub(crate) server_error: u32,
    pub(crate) throttle: u32,
    pub(crate) concurrent_modification: u32,
    pub(crate) access_denied: u32,
    /// After so many faults there are no more: a world in which everything fails for ever says little.
    pub(crate) at_most: u32,
}

impl Rates {
    /// A bad day.
    pub(crate) fn bad_day(at_most: u32) -> Self {
        Self {
            kill: 15,
            reset: 20,
            hang: 5,
            slow: 15,
            server_error: 20,
            throttle: 25,
            concurrent_modification: 25,
            access_denied: 2,
            at_most,
        }
    }
}

/// All that will go wrong.
#[derive(Debug)]
pub(crate) struct Faults {
    planned: Vec<(Occasion, When, Fault)>,
    rates: Option<Rates>,
    random: fastrand::Rng,
    /// What struck, and at which call, so that it can be planned again.
    pub(crate) struck: Vec<(At, When, Fault)>,
    spent: u32,
    /// Steps and the actions that are denied in them: what is not allowed now is not allowed a second later …
    denials: BTreeSet<(u64, String)>,
    /// … nor to another attempt at the same request, which may outlast its step.
    denials_of_requests: BTreeSet<(String, String)>,
    /// Steps and the actions that were let through in them.
    allowed: BTreeSet<(u64, String)>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            planned: Vec::new(),
            rates: None,
            random: fastrand::Rng::with_seed(seed),
            struck: Vec::new(),
            spent: 0,
            denials: BTreeSet::new(),
            denials_of_requests: BTreeSet::new(),
            allowed: BTreeSet::new(),
        }
    }

    pub(crate) fn plan(&mut self, at: At, when: When, fault: Fault) {
        self.planned.push((Occasion::new(at), when, fault));
    }

    pub(crate) fn at_random(&mut self, rates: Rates) {
        self.rates = Some(rates);
    }

    /// From now on nothing goes wrong.
    pub(crate) fn cease(&mut self) {
        self.planned.clear();
        self.rates = None;
    }

    /// What strikes this call. Called once for each, in order.
    pub(crate) fn next(&mut self, call: &Call) -> Option<(When, Fault)> {
        let mut found = None;
        for (occasion, when, fault) in &mut self.planned {
            if occasion.comes_with(call) && found.is_none() {
                found = Some((*when, fault.clone()));
            }
        }
        let right = (call.of_step.0, call.action.clone());
        let drawn = found.or_else(|| self.denied(call)).or_else(|| {
            self.draw(call).filter(|drawn| {
                // What was allowed a moment ago is allowed now.
                drawn.1 != Fault::AccessDenied || !self.allowed.contains(&right)
            })
        });
        if drawn.as_ref().is_none_or(|drawn| drawn.1 != Fault::AccessDenied) {
            self.allowed.insert(right);
        }
        let found = drawn?;
        if found.1 == Fault::AccessDenied && call.service != "s3" {
            self.denials.insert((call.of_step.0, call.action.clone()));
            self.denials_of_requests.extend(call.request.clone().map(|request| (request, call.action.clone())));
        }
        let (step, nth) = call.of_step;
        self.struck.push((At::OfStep { step, call: nth }, found.0, found.1.clone()));
        Some(found)
    }

    fn denied(&self, call: &Call) -> Option<(When, Fault)> {
        let of_request = |request: &String| self.denials_of_requests.contains(&(request.clone(), call.action.clone()));
        let denied = self.denials.contains(&(call.of_step.0, call.action.clone()))
            || call.request.as_ref().is_some_and(of_request);
        (denied && self.rates.is_some()).then_some((When::Before, Fault::AccessDenied))
    }

    fn draw(&mut self, call: &Call) -> Option<(When, Fault)> {
        let rates = self.rates.clone()?;
        // Drawn whether or not it is used, so that one call more or less does not shift all that follows.
        let (draw, late, length) = (self.random.u32(0..1000), self.random.bool(), self.random.u64(1..45));
        if self.spent >= rates.at_most {
            return None;
        }
        let when = if late { When::After } else { When::Before };
        let changing_iam = call.service == "iam" && call.changing;
        let scale = [
            (rates.kill, when, Fault::Kill),
            (rates.reset, when, Fault::Reset),
            (rates.hang, when, Fault::Hang),
            (rates.slow, when, Fault::Slow(Duration::from_secs(length))),
            (rates.server_error, when, Fault::ServerError),
            (rates.throttle, When::Before, Fault::Throttle),
            (if changing_iam { rates.concurrent_modification } else { 0 }, When::Before, Fault::ConcurrentModification),
            (rates.access_denied, When::Before, Fault::AccessDenied),
        ];
        let mut below = 0;
        for (rate, when, fault) in scale {
            below += rate;
            if draw < below {
                // Left out, as the documentation says: one copy of an event has answered, and the other has a change
                // under way for long.
                if call.duplicated && call.changing && matches!(fault, Fault::Slow(_)) {
                    return None;
                }
                self.spent += 1;
                return Some((when, fault));
            }
        }
        None
    }

    /// Faults by kind, for a report.
    pub(crate) fn tally(&self) -> BTreeMap<&'static str, usize> {
        let mut tally = BTreeMap::new();
        for (_, _, fault) in &self.struck {
            *tally.entry(fault.name()).or_default() += 1;
        }
        tally
    }
}
