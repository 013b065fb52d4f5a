//! The stacks of an account as CloudFormation shows them: `DescribeStacks`, `DescribeStackResource`, `DescribeStackEvents`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::clock::iso;
use super::model;
use super::wire::{Answer, Refusal};

type Reply = Result<Value, Refusal>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct ShownResource {
    kind: String,
    physical: String,
    status: String,
    since: SystemTime,
}

#[derive(Clone, Debug)]
struct ShownEvent {
    logical: String,
    kind: String,
    physical: String,
    status: String,
    at: SystemTime,
}

#[derive(Clone, Debug, Default)]
struct ShownStack {
    status: String,
    resources: BTreeMap<String, ShownResource>,
    /// What each resource was, and since when.
    past: BTreeMap<String, Vec<(SystemTime, ShownResource)>>,
    /// In the order in which they came.
    events: Vec<ShownEvent>,
    /// False where a test makes the events of the stack itself.
    is_driven: bool,
}

impl ShownStack {
    fn note(&mut self, logical: &str, kind: &str, physical: &str, status: &str, at: SystemTime) {
        let [logical, kind, physical, status] = [logical, kind, physical, status].map(str::to_owned);
        self.events.push(ShownEvent { logical, kind, physical, status, at });
    }

    fn remember(&mut self, logical: &str, now: SystemTime) {
        if let Some(known) = self.resources.get(logical).cloned() {
            self.past.entry(logical.to_owned()).or_default().push((now, known));
        }
    }

    /// A resource as it was at some time.
    fn at(&self, logical: &str, time: SystemTime) -> Option<&ShownResource> {
        self.past.get(logical)?.iter().rfind(|(at, _)| *at <= time).map(|(_, resource)| resource)
    }

    /// The events up to some time, newest first.
    fn page(&self, id: &str, name: &str, token: Option<&str>, time: SystemTime) -> Value {
        const LENGTH: usize = 100;
        let first = token.and_then(|token| token.parse::<usize>().ok()).unwrap_or_default();
        let shown = |(number, event): (usize, &ShownEvent)| {
            json!({
                "StackId": id, "StackName": name, "EventId": number.to_string(), "Timestamp": iso(event.at),
                "LogicalResourceId": event.logical, "PhysicalResourceId": event.physical,
                "ResourceType": event.kind, "ResourceStatus": event.status,
            })
        };
        let newest = self.events.iter().enumerate().rev().filter(|(_, event)| event.at <= time);
        let events: Vec<Value> = newest.skip(first).take(LENGTH).map(shown).collect();
        let next = first + LENGTH;
        let mut page = json!({"StackEvents": events});
        if next < self.events.len() {
            page["NextToken"] = json!(next.to_string());
        }
        page
    }
}

#[derive(Debug)]
pub(crate) struct Stacks {
    by_id: BTreeMap<String, ShownStack>,
    /// The status of a stack whose events a test makes itself.
    pub(crate) event_status: &'static str,
    /// Resources and events become visible so long after they changed.
    pub(crate) lag: Duration,
    /// The clock of their times is so many seconds ahead of that of the signatures.
    pub(crate) clock_skew: i64,
}

impl Default for Stacks {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), event_status: "UPDATE_IN_PROGRESS", lag: Duration::ZERO, clock_skew: 0 }
    }
}

impl Stacks {
    fn shown_time(&self, time: SystemTime) -> SystemTime {
        let skew = Duration::from_secs(self.clock_skew.unsigned_abs());
        if self.clock_skew < 0 { time - skew } else { time + skew }
    }

    pub(crate) fn status(&self, stack: &str) -> String {
        self.by_id.get(stack).map(|stack| stack.status.clone()).unwrap_or_default()
    }

    pub(crate) fn set_status(&mut self, stack: &str, status: &str) {
        status.clone_into(&mut self.by_id.entry(stack.to_owned()).or_default().status);
    }

    /// A stack whose events CloudFormation sends: it has no resources yet.
    pub(crate) fn set_driven(&mut self, stack: &str) {
        let stack = self.by_id.entry(stack.to_owned()).or_default();
        stack.is_driven = true;
        "CREATE_COMPLETE".clone_into(&mut stack.status);
    }

    /// The object that a resource is now.
    pub(crate) fn set_current(&mut self, (stack, logical): (&str, &str), physical: &str, now: SystemTime) {
        let Some(stack) = self.by_id.get_mut(stack) else { return };
        match stack.resources.get_mut(logical) {
            Some(resource) if resource.physical != physical => physical.clone_into(&mut resource.physical),
            _ => return,
        }
        stack.remember(logical, now);
    }

    /// Shows a resource as it is while CloudFormation waits for an event, if a test has made the event itself.
    pub(crate) fn begin_event(&mut self, event: &str, now: SystemTime) {
        let Ok(outer) = serde_json::from_str::<Value>(event) else { return };
        let message = outer["Records"][0]["Sns"]["Message"].as_str();
        let event = message.and_then(|message| serde_json::from_str(message).ok()).unwrap_or(outer);
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let (stack, logical, physical) = (text("StackId"), text("LogicalResourceId"), text("PhysicalResourceId"));
        if self.by_id.get(stack).is_some_and(|stack| stack.is_driven) {
            return;
        }
        self.set_current((stack, logical), physical, now);
        self.show((stack, logical), text("ResourceType"), physical, text("RequestType"), now);
        self.set_status(stack, self.event_status);
    }

    /// Shows all stacks in this status.
    pub(crate) fn show_all(&mut self, status: &str) {
        self.by_id.values_mut().for_each(|stack| status.clone_into(&mut stack.status));
    }

    /// A request is sent: a Create, an Update or a Delete.
    pub(crate) fn begin(&mut self, names: (&str, &str), kind: &str, physical: &str, request: &str, at: SystemTime) {
        self.show(names, kind, physical, request, at);
        if let Some(stack) = self.by_id.get_mut(names.0) {
            stack.is_driven = true;
        }
    }

    fn show(&mut self, (stack, logical): (&str, &str), kind: &str, physical: &str, request: &str, at: SystemTime) {
        let stack = self.by_id.entry(stack.to_owned()).or_default();
        let status = format!("{}_IN_PROGRESS", request.to_uppercase());
        stack.note(logical, kind, physical, &status, at);
        let known = stack.resources.entry(logical.to_owned()).or_insert_with(|| ShownResource {
            kind: kind.to_owned(),
            physical: physical.to_owned(),
            status: String::new(),
            since: at,
        });
        // The clean-up deletes an object that the resource no longer is.
        if request == "Delete" && known.physical != physical {
            return;
        }
        kind.clone_into(&mut known.kind);
        known.status = status;
        known.since = at;
        stack.remember(logical, at);
    }

    /// Other resources of a stack have this many events.
    pub(crate) fn note_others(&mut self, stack: &str, count: usize, at: SystemTime) {
        let stack = self.by_id.entry(stack.to_owned()).or_default();
        for number in 0..count {
            stack.note(&format!("Topic{number}"), "AWS::SNS::Topic", "a topic", "UPDATE_COMPLETE", at);
        }
    }

    /// Takes the events of a stack away: CloudFormation never heard of the objects that a request has made.
    pub(crate) fn forget_events(&mut self, stack: &str) {
        if let Some(stack) = self.by_id.get_mut(stack) {
            stack.events.clear();
        }
    }

    /// The newest event of an object that a resource was.
    pub(crate) fn note_object(
        &mut self,
        (stack, logical): (&str, &str),
        kind: &str,
        physical: &str,
        status: &str,
        at: SystemTime,
    ) {
        self.by_id.entry(stack.to_owned()).or_default().note(logical, kind, physical, status, at);
    }

    /// A resource goes out of its stack, and its object stays (`DeletionPolicy: Retain`).
    pub(crate) fn skip(&mut self, (stack, logical): (&str, &str), now: SystemTime) {
        const STATUS: &str = "DELETE_SKIPPED";
        let Some(stack) = self.by_id.get_mut(stack) else { return };
        let Some(resource) = stack.resources.get_mut(logical) else { return };
        STATUS.clone_into(&mut resource.status);
        let ShownResource { kind, physical, .. } = resource.clone();
        stack.note(logical, &kind, &physical, STATUS, now);
    }

    /// The request of a resource is over.
    pub(crate) fn end(
        &mut self,
        (stack, logical): (&str, &str),
        request: &str,
        success: bool,
        physical: &str,
        now: SystemTime,
    ) {
        let Some(stack) = self.by_id.get_mut(stack) else { return };
        let Some(kind) = stack.resources.get(logical).map(|known| known.kind.clone()) else { return };
        let request = request.to_uppercase();
        let status = format!("{request}_{}", if success { "COMPLETE" } else { "FAILED" });
        stack.note(logical, &kind, physical, &status, now);
        let Some(known) = stack.resources.get_mut(logical) else { return };
        if !known.status.starts_with(&request) {
            return;
        }
        known.status = status;
        known.since = now;
        if success || request == "CREATE" {
            physical.clone_into(&mut known.physical);
        }
        stack.remember(logical, now);
    }

    pub(crate) fn handle(&self, action: &str, input: &Value, now: SystemTime) -> Reply {
        let visible = now - self.lag;
        let id = input["StackName"].as_str().unwrap_or_default();
        let missing = |what: String| Refusal::new("ValidationError", 400, what);
        let stack = self.by_id.get(id).ok_or_else(|| missing(format!("Stack with id {id} does not exist")))?;
        let name = id.split('/').nth(1).unwrap_or_default();
        if action == "DescribeStacks" {
            let stack = json!({"StackId": id, "StackName": name, "StackStatus": stack.status, "CreationTime": iso(SystemTime::UNIX_EPOCH)});
            return Ok(json!({"Stacks": [stack]}));
        }
        if action == "DescribeStackEvents" {
            return Ok(stack.page(id, name, input["NextToken"].as_str(), visible));
        }
        let logical = input["LogicalResourceId"].as_str().unwrap_or_default();
        let resource = if self.lag.is_zero() { stack.resources.get(logical) } else { stack.at(logical, visible) };
        let resource =
            resource.ok_or_else(|| missing(format!("Resource {logical} does not exist for stack {name}")))?;
        Ok(json!({"StackResourceDetail": {
            "StackId": id,
            "StackName": name,
            "LogicalResourceId": logical,
            "PhysicalResourceId": resource.physical,
            "ResourceType": resource.kind,
            "ResourceStatus": resource.status,
            "LastUpdatedTimestamp": iso(self.shown_time(resource.since)),
        }}))
    }
}

pub(crate) fn answer(action: &str, reply: &Reply, request_id: &str) -> Answer {
    const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";
    super::query::answer(model::cloudformation(), NAMESPACE, action, reply, request_id)
}
