//! A plan, carried out: CloudFormation, Lambda, the function and the account, with the invariants watching at every step
//! and looking once more when the dust has settled.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use github_trust::settings::Settings;

use super::cloud::Cloud;
use super::cloudformation::{CloudFormation, RequestType, Status};
use super::faults::{At, Fault, When};
use super::function::{github_trust, github_trust_with};
use super::github::SECRET;
use super::invariants::{Ledger, Living, Violation, Watch, lock};
use super::lambda::{Function, Lambda};
use super::logs::Log;
use super::plan::{Plan, Step, Trouble};
use super::sdk::in_virtual_time;
use super::stack::Stack;

/// Clients, made once, on which histories are played one after the other.
pub(crate) struct Stage {
    cloud: Cloud,
    function: Function,
    log: Log,
    /// Whether raw requests and answers are kept.
    pub(crate) transcribes: bool,
}

/// One invocation, for those who want to strike it the next time.
#[derive(Clone, Debug)]
pub(crate) struct Invoked {
    pub(crate) number: u64,
    pub(crate) step: u64,
    pub(crate) request: RequestType,
    pub(crate) logical: String,
    pub(crate) calls: u64,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) violations: Vec<Violation>,
    pub(crate) statuses: Vec<(u64, Status)>,
    pub(crate) struck: Vec<(At, When, Fault)>,
    pub(crate) tally: BTreeMap<&'static str, usize>,
    pub(crate) calls: usize,
    pub(crate) requests: usize,
    pub(crate) attempts: usize,
    pub(crate) elapsed: Duration,
    pub(crate) invocations: Vec<Invoked>,
    /// Raw requests and answers, where the stage keeps them.
    pub(crate) transcript: Vec<serde_json::Value>,
    /// Every call, one a line.
    pub(crate) story: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.story)?;
        writeln!(f, "{:?}", self.statuses)?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "{violation}"))
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let cloud = in_virtual_time(async { Cloud::new(0) });
        let function = github_trust(&cloud);
        Self { cloud, function, log: Log::default(), transcribes: false }
    }

    /// With another function in place of the real one.
    pub(crate) fn with(function: impl FnOnce(&Cloud) -> Function) -> Self {
        let cloud = in_virtual_time(async { Cloud::new(0) });
        let function = function(&cloud);
        Self { cloud, function, log: Log::default(), transcribes: false }
    }

    /// The log of the history that is played, or was played last.
    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    /// With a function that has a credential for GitHub.
    pub(crate) fn with_a_credential() -> Self {
        let settings = Settings { github_secret: Some(SECRET.to_owned()), ..Settings::default() };
        Self::with(|cloud| github_trust_with(cloud, settings))
    }

    pub(crate) fn play(&self, plan: &Plan) -> Outcome {
        self.log.clear();
        let _listening = self.log.listen();
        in_virtual_time(async {
            self.cloud.renew(plan.seed);
            self.cloud.state().transcript = self.transcribes.then(Vec::new);
            let history = History::begin(self, plan);
            tokio::task::LocalSet::new().run_until(history.play(plan)).await
        })
    }
}

struct History<'a> {
    cloud: &'a Cloud,
    log: &'a Log,
    lambda: Lambda,
    cloudformation: CloudFormation,
    ledger: Arc<Mutex<Ledger>>,
    stacks: BTreeMap<&'static str, RefCell<Option<Stack>>>,
    statuses: RefCell<Vec<(u64, Status)>>,
}

impl<'a> History<'a> {
    fn begin(stage: &'a Stage, plan: &Plan) -> Self {
        let cloud = &stage.cloud;
        cloud.change_now(|account, now| plan.setting.apply(account, now));
        match &plan.trouble {
            Trouble::None => {}
            Trouble::AtRandom(rates) => cloud.state().faults.at_random(rates.clone()),
            Trouble::Exactly(faults) => {
                for (at, when, fault) in faults {
                    cloud.state().faults.plan(at.clone(), *when, fault.clone());
                }
            }
        }
        let lambda = Lambda::new(cloud, &stage.function, Duration::from_secs(plan.setting.lambda_timeout));
        let ledger = Watch::over(cloud);
        lock(&ledger).hands.show(&cloud.state().account);
        let mut cloudformation = CloudFormation::new(cloud, &lambda);
        cloudformation.ledger = Some(Arc::clone(&ledger));
        cloudformation.service_timeout = plan.setting.service_timeout;
        cloudformation.rolls_back_replacements_by_update = plan.setting.rolls_back_replacements_by_update;
        if (plan.setting.states_lag, plan.setting.clock_skew) != (0, 0) {
            // Requests that follow each other at once are not told apart: docs/decisions/22-proof-of-origin.md.
            cloudformation.between.set(Duration::from_secs(5));
        }
        let stacks = ["one", "two"].map(|name| (name, RefCell::new(Some(cloudformation.stack(name)))));
        Self {
            cloud,
            log: &stage.log,
            lambda,
            cloudformation,
            ledger,
            stacks: stacks.into(),
            statuses: RefCell::default(),
        }
    }

    async fn play(self, plan: &Plan) -> Outcome {
        for (number, step) in &plan.steps {
            self.cloud.begin_step(*number);
            self.step(*number, step).await;
            // An event may be tried again long after CloudFormation has gone on; here it goes on when all is quiet.
            self.lambda.settle().await;
            self.check();
        }
        // Whatever happened, in the end somebody deletes everything on a quiet day.
        let struck = self.cloud.state().faults.struck.clone();
        let tally = self.cloud.state().faults.tally();
        self.cloud.state().faults.cease();
        self.cloud.begin_step(u64::MAX);
        self.cloudformation.disturbances.borrow_mut().clear();
        tokio::time::sleep(Duration::from_mins(10)).await;
        for place in self.stacks.values() {
            let mut stack = place.take().expect("no step is going on");
            // Who deletes a stack whose rollback has failed leaves behind what only the rollback would have found: a
            // replacement whose every attempt died.
            if stack.status == Some(Status::UpdateRollbackFailed) {
                stack.continue_rollback(&[]).await;
            }
            if stack.status.is_some() && stack.status != Some(Status::DeleteComplete) {
                let status = stack.delete_stack().await;
                if status != Status::DeleteComplete {
                    lock(&self.ledger).violated("I2", format!("{} cannot be deleted on a quiet day", stack.name));
                }
            }
            place.replace(Some(stack));
        }
        self.lambda.settle().await;
        self.check();
        if plan.must_succeed {
            self.all_succeeded();
        }
        if plan.must_not_stick {
            self.nothing_stuck();
        }
        let sent = self.cloudformation.sent();
        let attempts = self.lambda.attempts();
        let invocations = self.invocations();
        let transcript = self.cloud.state().transcript.take().unwrap_or_default();
        let (calls, story) = (self.cloud.call_count(), self.story());
        let elapsed = self.cloud.state().clock.elapsed();
        let mut ledger = lock(&self.ledger);
        ledger.one_answer_each(self.cloud, &sent, &attempts);
        ledger.nothing_leaked(&self.log.text(), self.cloud);
        Outcome {
            violations: std::mem::take(&mut ledger.violations),
            statuses: self.statuses.take(),
            struck,
            tally,
            calls,
            requests: sent.len(),
            attempts: attempts.len(),
            elapsed,
            invocations,
            transcript,
            story,
        }
    }

    fn step<'s>(&'s self, number: u64, step: &'s Step) -> Pin<Box<dyn Future<Output = ()> + 's>> {
        Box::pin(async move {
            let status = match step {
                Step::Create(name, _)
                | Step::Update(name, _)
                | Step::Delete(name)
                | Step::ContinueRollback(name, _) => {
                    let mut stack = self.stacks[name].take().expect("one step of a stack at a time");
                    let status = stack_step(&mut stack, step).await;
                    self.stacks[name].replace(Some(stack));
                    status
                }
                Step::Disturb(logical, disturbance) => {
                    return self.cloudformation.disturb(logical, disturbance.clone());
                }
                Step::Someone(manual_change) => {
                    let change_lag = self.cloud.change_now(|account, now| {
                        manual_change.apply(account, now);
                        account.iam.settings.change_lag
                    });
                    // Nobody can repair what nobody is shown yet.
                    return tokio::time::sleep(change_lag).await;
                }
                Step::AtGitHub(change) => {
                    let mut state = self.cloud.state();
                    change.apply(&mut state.account.github);
                    let now = state.account.snapshot();
                    return lock(&self.ledger).changed_at_github(&state.account, &now);
                }
                Step::Wait(duration) => return tokio::time::sleep(*duration).await,
                Step::Together(steps) => {
                    let all = steps.iter().map(|step| self.step(number, step));
                    futures_util::future::join_all(all).await;
                    return;
                }
            };
            self.statuses.borrow_mut().extend(status.map(|status| (number, status)));
        })
    }

    /// What must hold whenever nothing is going on.
    fn check(&self) {
        let unfinished =
            |stack: &Stack| matches!(stack.status, Some(Status::UpdateRollbackFailed | Status::DeleteFailed));
        let now = self.cloud.snapshot();
        lock(&self.ledger).settled(&now);
        let mut living = Vec::new();
        for stack in self.stacks.values() {
            let stack = stack.borrow();
            let stack = stack.as_ref().expect("no step is going on");
            if unfinished(stack) {
                return;
            }
            living.extend(stack.resources.iter().map(|(logical, resource)| Living {
                stack: stack.id.clone(),
                logical: logical.clone(),
                resource: resource.clone(),
            }));
        }
        lock(&self.ledger).nothing_left(&now, &living);
    }

    fn all_succeeded(&self) {
        let failed: Vec<String> = self
            .statuses
            .borrow()
            .iter()
            .filter(|(_, status)| {
                !matches!(status, Status::CreateComplete | Status::UpdateComplete | Status::DeleteComplete)
            })
            .map(|(number, status)| {
                let sent = self.cloudformation.sent();
                let reasons: Vec<String> = sent
                    .iter()
                    .filter_map(|sent| {
                        Some(format!(
                            "{:?} {}: {:?}",
                            sent.kind,
                            sent.logical,
                            sent.verdict.as_ref().filter(|verdict| !verdict.is_success())?
                        ))
                    })
                    .collect();
                format!("step {number} ended as {status:?}: {reasons:?}")
            })
            .collect();
        for failed in failed {
            lock(&self.ledger).violated("success", failed);
        }
    }

    fn nothing_stuck(&self) {
        for (number, status) in self.statuses.borrow().iter() {
            if matches!(status, Status::UpdateRollbackFailed | Status::DeleteFailed) {
                lock(&self.ledger).violated("success", format!("step {number} is stuck as {status:?}"));
            }
        }
    }

    fn invocations(&self) -> Vec<Invoked> {
        let sent = self.cloudformation.sent();
        let state = self.cloud.state();
        let invoked = |attempt: &super::lambda::Attempt| {
            let own = || state.calls.iter().filter(|call| call.invocation == Some(attempt.invocation));
            let sent = sent.iter().find(|sent| sent.id == attempt.request)?;
            Some(Invoked {
                number: attempt.invocation,
                step: own().next()?.of_step.0,
                request: sent.kind,
                logical: sent.logical.clone(),
                calls: own().count() as u64,
            })
        };
        self.lambda.attempts().iter().filter_map(invoked).collect()
    }

    fn story(&self) -> String {
        use std::fmt::Write as _;
        let mut story = String::new();
        let beginning = std::time::UNIX_EPOCH + super::clock::BEGINNING;
        for sent in self.cloudformation.sent() {
            let at = sent.at.duration_since(beginning).unwrap_or_default().as_secs_f64();
            let _ = writeln!(
                story,
                "{at:>13.2}s {:?} {} ({}) {:?} {} → {:?}",
                sent.kind, sent.logical, sent.id, sent.physical, sent.properties, sent.verdict
            );
        }
        story + &self.cloud.story()
    }
}

/// One step of one stack. A stack that is there already is updated where it should be created, and one that is not is
/// created or left alone, so every step of a plan can be left out.
async fn stack_step(stack: &mut Stack, step: &Step) -> Option<Status> {
    match (step, stack.status) {
        (
            Step::Create(_, template) | Step::Update(_, template),
            None | Some(Status::DeleteComplete | Status::RollbackComplete),
        ) => Some(stack.create(template).await),
        (
            Step::Create(_, template) | Step::Update(_, template),
            Some(Status::CreateComplete | Status::UpdateComplete | Status::UpdateRollbackComplete),
        ) => Some(stack.update(template).await),
        (Step::Delete(_), Some(Status::UpdateRollbackFailed)) => Some(stack.continue_rollback(&[]).await),
        (Step::Delete(_), Some(_)) => Some(stack.delete_stack().await),
        (Step::ContinueRollback(_, skip), Some(Status::UpdateRollbackFailed)) => {
            // What replaced a resource, and died in every attempt, is found by its rollback only; a history that passes over that
            // leaves it behind.
            let skip: Vec<&str> =
                skip.iter().filter(|name| !stack.silent.iter().any(|one| one == *name)).copied().collect();
            Some(stack.continue_rollback(&skip).await)
        }
        _ => None,
    }
}
