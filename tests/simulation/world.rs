//! An account, Lambda, CloudFormation, the function and its log, in virtual time: the world of every test of whole behaviours.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::LocalBoxFuture;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::account::{Account, Id, Object, PARTITION, REGION, Snapshot};
use super::answer::Verdict;
use super::author::Author;
use super::calls::Call;
use super::cloud::Cloud;
use super::cloudformation::{CloudFormation, RequestType, SERVICE_TOKEN, Sent};
use super::faults::{At, Fault, When};
use super::function::{deliver, github_trust_with};
use super::invariants::{Ledger, Living, Watch, lock};
use super::lambda::{Function, Lambda};
use super::logs::Log;
use super::sdk::in_virtual_time;
use super::stack::Stack;

/// As in `template.yaml`.
pub(crate) const LAMBDA_TIMEOUT: Duration = Duration::from_mins(15);

pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) lambda: Lambda,
    pub(crate) cloudformation: CloudFormation,
    /// The invariants, which watch every call.
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) log: Log,
    /// The settings of the function that gets single requests.
    pub(crate) settings: Settings,
    requests: u64,
}

/// One request without a stack behind it.
pub(crate) struct Request<'a> {
    pub(crate) request: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) account: &'a str,
    pub(crate) logical: &'a str,
    pub(crate) physical: Option<&'a str>,
    pub(crate) properties: Value,
}

/// Tells a story in a new world, in which no call violates an invariant.
pub(crate) fn world<T>(
    settings: Settings,
    furnish: impl FnOnce(&mut Account, SystemTime),
    story: impl AsyncFnOnce(World) -> T,
) -> T {
    let function = settings.clone();
    World::with(
        settings,
        |cloud| github_trust_with(cloud, function),
        furnish,
        async |world| {
            let ledger = Arc::clone(&world.ledger);
            let result = story(world).await;
            let violations: Vec<String> = lock(&ledger).violations.iter().map(ToString::to_string).collect();
            assert!(violations.is_empty(), "{}", violations.join("\n"));
            result
        },
    )
}

impl World {
    /// Tells a story in a new world with another function, or with the same one made otherwise.
    pub(crate) fn with<T>(
        settings: Settings,
        function: impl FnOnce(&Cloud) -> Function,
        furnish: impl FnOnce(&mut Account, SystemTime),
        story: impl AsyncFnOnce(Self) -> T,
    ) -> T {
        let log = Log::default();
        let _listening = log.listen();
        in_virtual_time(async {
            let cloud = Cloud::new(1);
            cloud.change_now(furnish);
            let world = Self::of(&cloud, &function(&cloud), settings, &log);
            let story: LocalBoxFuture<'_, T> = Box::pin(story(world));
            tokio::task::LocalSet::new().run_until(story).await
        })
    }

    fn of(cloud: &Cloud, function: &Function, settings: Settings, log: &Log) -> Self {
        let lambda = Lambda::new(cloud, function, LAMBDA_TIMEOUT);
        let ledger = Watch::over(cloud);
        let mut cloudformation = CloudFormation::new(cloud, &lambda);
        cloudformation.ledger = Some(Arc::clone(&ledger));
        Self { cloud: cloud.clone(), lambda, cloudformation, ledger, log: log.clone(), settings, requests: 0 }
    }

    /// Delivers one request, as CloudFormation would send it, and returns the answer.
    pub(crate) async fn request(&mut self, request: Request<'_>) -> Value {
        self.requests += 1;
        let (key, now) = (format!("request-{}", self.requests), self.cloud.now());
        let url = self.cloud.state().account.s3.presign(REGION, PARTITION, &key, now, Duration::from_hours(2));
        let mut properties = request.properties;
        properties["ServiceToken"] = json!(SERVICE_TOKEN);
        let mut event = json!({
            "RequestType": request.request, "ResponseURL": url, "RequestId": key, "LogicalResourceId": request.logical,
            "StackId": format!("arn:{PARTITION}:cloudformation:{REGION}:{}:stack/s/1", request.account),
            "ResourceType": request.kind, "ResourceProperties": properties,
        });
        if let Some(physical) = request.physical {
            event["PhysicalResourceId"] = json!(physical);
        }
        deliver(&self.cloud, self.settings.clone(), &event).await;
        let state = self.cloud.state();
        serde_json::from_slice(&state.account.s3.uploads.last().expect("an answer").body).expect("JSON")
    }

    pub(crate) fn stack(&self, name: &str) -> Stack {
        self.cloudformation.stack(name)
    }

    /// A stack whose resources all carry a `ServiceTimeout`.
    pub(crate) fn hasty_stack(&self, name: &str, seconds: u64) -> Stack {
        let mut cloudformation = self.cloudformation.clone();
        cloudformation.service_timeout = Some(seconds);
        cloudformation.stack(name)
    }

    pub(crate) fn fault(&self, at: At, when: When, fault: Fault) {
        self.cloud.state().faults.plan(at, when, fault);
    }

    /// Somebody does something that must work.
    pub(crate) fn someone(&self, action: &str, input: &Value) {
        self.cloud.change_now(|account, now| {
            let reply = if action.contains("Access") || action == "TagResource" {
                account.eks_as(&Author::Someone, now, action, input)
            } else {
                account.iam_as(&Author::Someone, now, action, input)
            };
            reply.unwrap_or_else(|refusal| panic!("{action}: {refusal:?}"));
        });
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.cloudformation.sent()
    }

    /// The request sent last.
    pub(crate) fn last(&self) -> Sent {
        self.sent().pop().expect("a request")
    }

    /// The last request of this type.
    pub(crate) fn last_of(&self, kind: RequestType) -> Sent {
        self.sent().into_iter().rev().find(|sent| sent.kind == kind).expect("such a request")
    }

    /// The reason of a failure, and the physical id it was answered with.
    pub(crate) fn failure(&self, sent: &Sent) -> (String, String) {
        match &sent.verdict {
            Some(Verdict::Failure { physical: Some(physical), reason }) => (reason.clone(), physical.clone()),
            other => panic!("no failure: {other:?}\n{}", self.story()),
        }
    }

    pub(crate) fn physical(&self, sent: &Sent) -> String {
        match &sent.verdict {
            Some(Verdict::Success { physical, .. }) => physical.clone(),
            other => panic!("no success: {other:?}\n{}", self.story()),
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.cloud.state().calls.clone()
    }

    pub(crate) fn calls_of_step(&self, step: u64) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.of_step.0 == step).collect()
    }

    /// The calls made for one of CloudFormation's requests.
    pub(crate) fn calls_for(&self, sent: &Sent) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.request.as_ref() == Some(&sent.id)).collect()
    }

    /// The answers to a request, byte for byte.
    pub(crate) fn answers(&self, sent: &Sent) -> Vec<Vec<u8>> {
        let state = self.cloud.state();
        state.account.s3.uploads.iter().filter(|upload| upload.url == sent.url).map(|one| one.body.clone()).collect()
    }

    pub(crate) fn story(&self) -> String {
        let verdict =
            |sent: &Sent| format!("{:?} {} {:?} → {:?}\n", sent.kind, sent.logical, sent.physical, sent.verdict);
        let sent: String = self.sent().iter().map(verdict).collect();
        sent + &self.cloud.story()
    }

    /// What our function has made and is still there.
    pub(crate) fn ours(&self) -> Vec<(Id, Object)> {
        self.cloud.snapshot().only(|_, object| object.made_by.is_ours()).objects.into_iter().collect()
    }

    /// What others have made.
    pub(crate) fn theirs(&self) -> Snapshot {
        self.cloud.snapshot().only(|_, object| !object.made_by.is_ours())
    }

    /// When all is quiet: whatever we have made is what a resource of these stacks stands for.
    pub(crate) async fn nothing_left_but(&self, stacks: &[&Stack]) {
        self.lambda.settle().await;
        let now = self.cloud.snapshot();
        lock(&self.ledger).settled(&now);
        let mut living = Vec::new();
        for stack in stacks {
            living.extend(stack.resources.iter().map(|(logical, resource)| Living {
                stack: stack.id.clone(),
                logical: logical.clone(),
                resource: resource.clone(),
            }));
        }
        lock(&self.ledger).nothing_left(&now, &living);
    }

    /// Ends a story: nothing runs any more, and no invariant was violated.
    pub(crate) async fn close(&self) {
        self.lambda.settle().await;
        let now = self.cloud.snapshot();
        let mut ledger = lock(&self.ledger);
        ledger.settled(&now);
        ledger.one_answer_each(&self.cloud, &self.sent(), &self.lambda.attempts());
        ledger.nothing_leaked(&self.log.text(), &self.cloud);
        let violations: Vec<String> = ledger.violations.iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{}\n\n{}", violations.join("\n"), self.story());
    }

    /// Returns true if the log names an object that stays because it has no tag of the resource that goes.
    pub(crate) fn told_to_stay(&self, physical: &str) -> bool {
        let why = "no tag of this resource is on the object, which may be somebody else's: it stays";
        self.log_lines().iter().any(|line| line["message"] == why && line["id"] == physical)
    }

    /// The lines that were logged, as JSON.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        self.log.text().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}
