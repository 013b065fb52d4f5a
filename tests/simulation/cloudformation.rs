//! AWS CloudFormation, as far as a custom resource sees it: what is sent when, and what becomes of a stack by the
//! answers, by their absence and by their mistakes.
//!
//! CloudFormation's own rules are those of "Custom resources" and "Update behaviors of stack resources" in its user
//! guide. Where a request's form is concerned the protocol's traps are in: scalars as strings, ids that nobody ever
//! returned, a Delete beside a Create, old properties that no longer describe anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::account::{ACCOUNT, PARTITION, REGION};
use super::answer::{self, Verdict};
use super::author::Author;
use super::cloud::Cloud;
use super::invariants::{Ledger, lock};
use super::lambda::{Delivery, Lambda};
use super::stack::Stack;

/// Pre-signed URLs are good for this long.
const GOOD_FOR: Duration = Duration::from_hours(2);
pub(crate) const SERVICE_TOKEN: &str = "arn:aws:lambda:eu-west-1:111122223333:function:github-trust";

/// A resource as a template declares it; `{"Ref": …}` and `{"Fn::GetAtt": [… , …]}` refer to those before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) logical: String,
    pub(crate) kind: String,
    pub(crate) properties: Value,
}

/// One resource of a template.
pub(crate) fn declared(logical: &str, kind: &str, properties: Value) -> Declared {
    Declared { logical: logical.to_owned(), kind: kind.to_owned(), properties }
}

pub(crate) type Template = Vec<Declared>;

/// A resource as a stack has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) physical: String,
    /// As last sent.
    pub(crate) properties: Value,
    pub(crate) attributes: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    CreateComplete,
    RollbackComplete,
    UpdateComplete,
    UpdateRollbackComplete,
    UpdateRollbackFailed,
    DeleteComplete,
    DeleteFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestType {
    Create,
    Update,
    Delete,
}

/// A request and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) kind: RequestType,
    pub(crate) stack: String,
    pub(crate) logical: String,
    pub(crate) resource_type: String,
    pub(crate) physical: Option<String>,
    pub(crate) properties: Value,
    pub(crate) url: String,
    pub(crate) event: String,
    pub(crate) at: SystemTime,
    /// When CloudFormation stops waiting.
    pub(crate) patience: SystemTime,
    pub(crate) verdict: Option<Verdict>,
    /// CloudFormation stopped waiting early, because another resource failed.
    pub(crate) cancelled: bool,
    /// The stack goes back to what it was.
    pub(crate) rolls_back: bool,
}

/// Something unusual that is done to the next request of a resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disturbance {
    pub(crate) delivery: Delivery,
    /// Another resource failed: CloudFormation stops waiting for a Create after so long, and rolls back at once.
    pub(crate) cancelled_after: Option<Duration>,
}

/// What a request led to, as CloudFormation sees it.
#[derive(Clone, Debug)]
pub(crate) struct Result {
    pub(crate) success: bool,
    /// The answered one, or one of CloudFormation's own making.
    pub(crate) physical: String,
    pub(crate) attributes: Value,
    pub(crate) reason: String,
    /// Whether there was no answer.
    pub(crate) silent: bool,
}

#[derive(Clone)]
pub(crate) struct CloudFormation {
    pub(crate) cloud: Cloud,
    pub(crate) lambda: Lambda,
    pub(crate) sent: std::rc::Rc<std::cell::RefCell<Vec<Sent>>>,
    /// By logical id; used up by the next request.
    pub(crate) disturbances: std::rc::Rc<std::cell::RefCell<BTreeMap<String, Disturbance>>>,
    /// Is told of requests and verdicts.
    pub(crate) ledger: Option<Arc<Mutex<Ledger>>>,
    /// Where the author of a template has set one.
    pub(crate) service_timeout: Option<u64>,
    /// On rollback, whether a replaced resource gets an Update back under its new id before that is deleted.
    pub(crate) rolls_back_replacements_by_update: bool,
    /// The time before each request.
    pub(crate) between: std::rc::Rc<std::cell::Cell<Duration>>,
}

impl CloudFormation {
    pub(crate) fn new(cloud: &Cloud, lambda: &Lambda) -> Self {
        Self {
            cloud: cloud.clone(),
            lambda: lambda.clone(),
            sent: std::rc::Rc::default(),
            disturbances: std::rc::Rc::default(),
            ledger: None,
            service_timeout: None,
            rolls_back_replacements_by_update: false,
            between: std::rc::Rc::default(),
        }
    }

    pub(crate) fn stack(&self, name: &str) -> Stack {
        let serial = name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Stack {
            cloudformation: self.clone(),
            name: name.to_owned(),
            id: format!(
                "arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{serial:08x}-0000-11f0-8000-000000000000"
            ),
            resources: Vec::new(),
            before: None,
            silent: Vec::new(),
            owed: Vec::new(),
            status: None,
        }
    }

    /// All events as they were sent.
    pub(crate) fn events(&self) -> Vec<String> {
        self.sent.borrow().iter().map(|sent| sent.event.clone()).collect()
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.borrow().clone()
    }

    pub(crate) fn disturb(&self, logical: &str, disturbance: Disturbance) {
        self.disturbances.borrow_mut().insert(logical.to_owned(), disturbance);
    }

    /// Sends a request and waits for its answer, as long as CloudFormation would.
    pub(super) async fn exchange(
        &self,
        stack: &Stack,
        kind: RequestType,
        resource: &Declared,
        old: Option<&Resource>,
    ) -> Result {
        if !self.between.get().is_zero() {
            tokio::time::sleep(self.between.get()).await;
        }
        let disturbance = self.disturbances.borrow_mut().remove(&resource.logical).unwrap_or_default();
        let (index, event) = self.write(stack, kind, resource, old);
        let sent = self.sent.borrow()[index].clone();
        let author = Author::resource(&stack.id, &resource.logical);
        if let Some(ledger) = &self.ledger {
            let snapshot = self.cloud.snapshot();
            lock(ledger).sent(&sent, snapshot);
        }
        {
            let (names, physical) = ((&*sent.stack, &*sent.logical), sent.physical.as_deref().unwrap_or_default());
            let mut state = self.cloud.state();
            state.account.stacks.begin(names, &sent.resource_type, physical, &format!("{kind:?}"), sent.at);
        }
        self.lambda.take(author, sent.id.clone(), event, disturbance.delivery);
        let until = match disturbance.cancelled_after {
            Some(after) if kind == RequestType::Create => sent.patience.min(sent.at + after),
            _ => sent.patience,
        };
        let verdict = self.wait(&sent, until).await;
        {
            let mut all = self.sent.borrow_mut();
            all[index].cancelled = until < sent.patience && matches!(verdict, Verdict::Silence);
            all[index].verdict = Some(verdict.clone());
        }
        if let Some(ledger) = &self.ledger {
            let snapshot = self.cloud.snapshot();
            lock(ledger).judged(&sent, &verdict, &snapshot, !self.lambda.runs(&sent.id));
        }
        let now = self.cloud.now();
        let invented = format!("{}-{}-1A2B3C4D5E6F7", stack.name, resource.logical);
        let result = match verdict {
            Verdict::Success { physical, data } => {
                Result { success: true, physical, attributes: data, reason: String::new(), silent: false }
            }
            Verdict::Failure { physical, reason } => Result {
                success: false,
                physical: physical.or_else(|| sent.physical.clone()).unwrap_or(invented),
                attributes: json!({}),
                reason,
                silent: false,
            },
            Verdict::Silence => Result {
                success: false,
                physical: sent.physical.clone().unwrap_or(invented),
                attributes: json!({}),
                reason: "CloudFormation did not receive a response from your Custom Resource.".to_owned(),
                silent: true,
            },
        };
        let names = (&*sent.stack, &*sent.logical);
        let mut state = self.cloud.state();
        state.account.stacks.end(names, &format!("{kind:?}"), result.success, &result.physical, now);
        result
    }

    async fn wait(&self, sent: &Sent, until: SystemTime) -> Verdict {
        loop {
            let body = {
                let state = self.cloud.state();
                let upload = state.account.s3.uploads.iter().find(|upload| upload.url == sent.url);
                upload.map(|upload| upload.body.clone())
            };
            if let Some(body) = body {
                return answer::judge(&body, sent);
            }
            if self.cloud.now() >= until {
                return Verdict::Silence;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn write(&self, stack: &Stack, kind: RequestType, resource: &Declared, old: Option<&Resource>) -> (usize, String) {
        let now = self.cloud.now();
        let mut sent = self.sent.borrow_mut();
        let id = format!("{:08x}-1111-4222-8333-444444444444", sent.len() + 1);
        let key = format!("{}|{}|{id}", stack.id, resource.logical);
        let url = self.cloud.state().account.s3.presign(REGION, PARTITION, &key, now, GOOD_FOR);
        let mut properties = json!({"ServiceToken": SERVICE_TOKEN});
        let declared = resource.properties.as_object().into_iter().flatten();
        for (name, value) in declared {
            properties[name] = strings(value);
        }
        if let Some(seconds) = self.service_timeout {
            properties["ServiceTimeout"] = json!(seconds.to_string());
        }
        let mut event = json!({
            "RequestType": format!("{kind:?}"),
            "ServiceToken": SERVICE_TOKEN,
            "ResponseURL": url,
            "StackId": stack.id,
            "RequestId": id,
            "LogicalResourceId": resource.logical,
            "ResourceType": resource.kind,
            "ResourceProperties": properties,
        });
        if let Some(old) = old {
            event["PhysicalResourceId"] = json!(old.physical);
        }
        if let (RequestType::Update, Some(old)) = (kind, old) {
            let mut before = strings(&old.properties);
            before["ServiceToken"] = json!(SERVICE_TOKEN);
            event["OldResourceProperties"] = before;
        }
        sent.push(Sent {
            id,
            kind,
            stack: stack.id.clone(),
            logical: resource.logical.clone(),
            resource_type: resource.kind.clone(),
            physical: old.map(|old| old.physical.clone()),
            properties: resource.properties.clone(),
            url,
            event: event.to_string(),
            at: now,
            patience: now + Duration::from_secs(self.service_timeout.unwrap_or(3600)),
            verdict: None,
            cancelled: false,
            rolls_back: self.cloud.state().account.stacks.status(&stack.id).contains("ROLLBACK"),
        });
        (sent.len() - 1, event.to_string())
    }
}

/// "CloudFormation converts all values to strings."
pub(crate) fn strings(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::from(value.to_string()),
        Value::Array(list) => list.iter().map(strings).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), strings(value))).collect())
        }
        other => other.clone(),
    }
}
