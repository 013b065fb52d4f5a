//! The function, which is asked about each request right before it gets it: to render it, as a hook, and to plan it. The plan says
//! what the request then does, and no answer takes a call that changes anything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::SystemTime;

use github_trust::app::App;
use github_trust::handler::InvocationContext;
use github_trust::settings::Settings;
use serde_json::{Map, Value, json};
use url::Url;

use super::account::REGION;
use super::cloud::Cloud;
use super::cloudformation::SERVICE_TOKEN;
use super::function::function;
use super::lambda::{Function, current_invocation};
use super::logs::Log;
use super::wire::{Answer, Request};

/// The number of lifecycles of a test.
pub(crate) fn lifecycles() -> u64 {
    std::env::var("DRY_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// The facts about the requests so far.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) log: RefCell<Log>,
    requests: Cell<usize>,
    /// By the number of actions of the plans.
    actions: Cell<usize>,
    /// Those that the plan refuses or leaves open.
    refused: Cell<usize>,
    /// Those during which another one changed something.
    pub(crate) overtaken: Cell<usize>,
    wrong: RefCell<Vec<String>>,
}

impl Seen {
    /// Ends a test with the first request that was otherwise than its plan.
    pub(crate) fn check(&self, told: &str) {
        let wrong = self.wrong.borrow();
        assert!(wrong.is_empty(), "{told}: {} wrong:\n{}", wrong.len(), wrong[0]);
    }

    pub(crate) fn report(&self, histories: &str) -> String {
        let Self { requests, actions, refused, overtaken, log: _, wrong: _ } = self;
        let [requests, actions, refused, overtaken] = [requests, actions, refused, overtaken].map(Cell::get);
        format!(
            "{histories}, {requests} requests with {actions} actions, {refused} of them refused or not known, {overtaken} overtaken"
        )
    }
}

/// Asks about each request first.
pub(crate) fn asked_first(cloud: &Cloud, settings: Settings, seen: &Rc<Seen>) -> Function {
    let app = Rc::new(function(cloud, settings));
    let seen = Rc::clone(seen);
    Rc::new(move |cloud: &Cloud, event: String, deadline: SystemTime| {
        let context = InvocationContext { deadline, function_arn: SERVICE_TOKEN.to_owned() };
        let asker = Asker { app: Rc::clone(&app), seen: Rc::clone(&seen), cloud: cloud.clone(), context };
        let now = cloud.now();
        cloud.state().account.stacks.begin_event(&event, now);
        Box::pin(async move { asker.answered(&event).await })
    })
}

/// A request that is asked about.
struct Asker {
    app: Rc<App>,
    seen: Rc<Seen>,
    cloud: Cloud,
    context: InvocationContext,
}

/// A point in the log and in the record of calls.
#[derive(Clone, Copy)]
struct Moment {
    line: usize,
    call: usize,
}

impl Asker {
    fn moment(&self) -> Moment {
        Moment { line: self.seen.log.borrow().text().len(), call: self.cloud.call_count() }
    }

    /// The changing calls between two moments: those of this invocation, and those of others.
    fn changes(&self, from: Moment, to: Moment) -> (usize, usize) {
        let state = self.cloud.state();
        let changing = state.calls[from.call..to.call].iter().filter(|call| call.changing);
        let (own, others): (Vec<_>, Vec<_>) = changing.partition(|call| call.invocation == current_invocation());
        (own.len(), others.len())
    }

    async fn ask(&self, question: &Value) -> Result<Value, String> {
        self.app.handle(&question.to_string(), &self.context).await.map_err(|error| error.to_string())
    }

    async fn answered(&self, event: &str) -> Result<(), String> {
        let request: Value = serde_json::from_str(event).unwrap();
        let begin = self.moment();
        let rendered = self.ask(&question("Render", &request)).await?;
        let hooked = self.hook(&request).await?;
        let before = self.moment();
        let planned = self.ask(&question("Plan", &request)).await?;
        let between = self.moment();
        let result = self.app.handle(event, &self.context).await.map(drop).map_err(|error| error.to_string());
        let end = self.moment();
        let (own, _) = self.changes(begin, between);
        let wrong = |what: String| {
            let told = format!("{what}\n{request:#}\n{rendered:#}\n{hooked:#}\n{planned:#}");
            self.seen.wrong.borrow_mut().push(told);
        };
        if own > 0 {
            wrong(format!("{own} changing calls of questions"));
        }
        if !rendered["Template"].is_object() || !hooked["hookStatus"].is_string() {
            wrong("no answer".to_owned());
        }
        if let Err(what) = self.compare(&planned, &request, [before, between, end]) {
            wrong(what);
        }
        result
    }

    /// Asks as a hook, about a change set with this change and about the native resource.
    async fn hook(&self, request: &Value) -> Result<Value, String> {
        self.cloud.state().elsewhere = Some(Box::new(bucket));
        let stack = &request["StackId"];
        let event = |data: Value| json!({"actionInvocationPoint": "CREATE_PRE_PROVISION", "clientRequestToken": "t", "stackId": stack, "requestData": data});
        let payload = payload(request).to_string();
        let bucket = format!("https://hooks-payload.s3.{REGION}.amazonaws.com/change-set?X-Amz-Signature=0");
        let url = Url::parse_with_params(&bucket, [("payload", payload)]).unwrap();
        let data = json!({"targetName": "CHANGE_SET", "targetType": "CHANGE_SET", "payload": url.as_str()});
        let answer = self.ask(&event(data)).await?;
        let native = json!({"targetName": "AWS::IAM::Role", "targetType": "RESOURCE",
            "targetModel": {"resourceProperties": request["ResourceProperties"]}});
        self.ask(&event(native)).await?;
        Ok(answer)
    }

    /// Holds a plan against the request, unless another request changed something at the same time.
    fn compare(&self, answer: &Value, request: &Value, [before, between, end]: [Moment; 3]) -> Result<(), String> {
        let seen = &self.seen;
        let count = |counter: &Cell<usize>, more: usize| counter.set(counter.get() + more);
        let resource = &answer["Resources"][0];
        let counted = |name: &str| resource[name].as_array().map_or(0, Vec::len);
        // A Create has no object yet, and the stack says that it is on its way.
        let open = resource["NotKnownYet"].as_array().unwrap();
        let open = open.iter().filter(|one| !one.as_str().unwrap().contains("at this moment")).count();
        let refused = counted("Mistakes") + counted("Refusals") + open > 0;
        count(&seen.requests, 1);
        count(&seen.actions, counted("Actions"));
        count(&seen.refused, usize::from(refused));
        if self.changes(before, end).1 > 0 {
            count(&seen.overtaken, 1);
            return Ok(());
        }
        let text = seen.log.borrow().text();
        let owner = owner(request);
        let dry_run = plans(&text[before.line..between.line], "dry run", &owner);
        let planned = plans(&text[between.line..end.line], "planned", &owner);
        let first = planned.iter().find(|plan| *plan != "[]").or(planned.first());
        match (dry_run.first(), first) {
            (one, other) if one == other => {}
            // A Delete of what is not there plans nothing.
            (Some(one), None) if one == "[]" => {}
            (None, None) if refused => {}
            (one, other) => return Err(format!("dry run {one:?}, planned {other:?}")),
        }
        let (made, _) = self.changes(between, end);
        if made == counted("Actions") {
            return Ok(());
        }
        Err(format!("the dry run has {} actions, made {made} changing calls", counted("Actions")))
    }
}

/// The bucket of payloads, which come with their URLs.
fn bucket(asked: &Request) -> Option<Answer> {
    assert_eq!((asked.method.as_str(), asked.authority.starts_with("hooks-payload.s3.")), ("GET", true));
    let (_, payload) = asked.query.iter().find(|(name, _)| name == "payload")?;
    Some(Answer { status: 200, headers: Vec::new(), body: payload.clone() })
}

/// The question about the request that follows.
fn question(kind: &str, request: &Value) -> Value {
    let names = [
        "RequestType",
        "ResourceType",
        "ResourceProperties",
        "OldResourceProperties",
        "PhysicalResourceId",
        "StackId",
        "LogicalResourceId",
    ];
    let members = names.iter().filter(|name| !request[**name].is_null());
    json!({kind: members.map(|name| ((*name).to_owned(), request[*name].clone())).collect::<Map<_, _>>()})
}

/// The payload of a change set with the change that a request makes.
fn payload(request: &Value) -> Value {
    let kind = request["RequestType"].as_str().unwrap();
    let context = |properties: &Value| Value::from(json!({"Properties": properties}).to_string());
    let now = context(&request["ResourceProperties"]);
    let (before, after) = match kind {
        "Delete" => (now, Value::Null),
        "Update" => (context(&request["OldResourceProperties"]), now),
        _ => (Value::Null, now),
    };
    json!({"template": "{}", "changedResources": [{
        "action": kind.to_ascii_uppercase(), "logicalResourceId": request["LogicalResourceId"],
        "resourceType": request["ResourceType"], "beforeContext": before, "afterContext": after,
    }]})
}

/// The owner as the log names it.
fn owner(request: &Value) -> String {
    let stack: Vec<&str> = request["StackId"].as_str().unwrap().split([':', '/']).collect();
    format!("{}/{}/{}", stack[3], stack[6], request["LogicalResourceId"].as_str().unwrap())
}

/// The plans of an owner in log lines with this message, each as its actions.
fn plans(lines: &str, message: &str, owner: &str) -> Vec<String> {
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_owner = lines.filter(|line| line["message"] == message && line["owner"] == owner);
    of_owner.map(|line| line["plan"].as_str().unwrap().to_owned()).collect()
}
