//! Lambda's Runtime API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use serde_json::json;

use super::http::{Answer, Request, now};
use super::simulation::account::{ACCOUNT, REGION};
use super::stage::{Stage, say};

const NEXT: &str = "/2018-06-01/runtime/invocation/next";
/// Lambda's longest time-out, which the template sets.
const TIMEOUT_MS: u64 = 900_000;

pub(crate) fn answer(stage: &Stage, request: &Request) -> Answer {
    if request.target == NEXT {
        stage.note(json!({"polled": request.at}));
        let Some(event) = stage.next_event() else { return Answer::new(410, "") };
        let header = |name, value: &str| (name, value.to_owned());
        let headers = vec![
            header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
            header("lambda-runtime-deadline-ms", &(now() / 1_000_000 + TIMEOUT_MS).to_string()),
            header(
                "lambda-runtime-invoked-function-arn",
                &format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:github-trust"),
            ),
            header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
            header("content-type", "application/json"),
        ];
        return Answer { status: 200, headers, body: event.to_string().into_bytes() };
    }
    let body = String::from_utf8_lossy(&request.body);
    if request.target.ends_with("/error") {
        say(&json!({"is": "failed", "at": request.target, "body": body}));
    }
    Answer { headers: vec![("content-type", "application/json".to_owned())], ..Answer::new(202, r#"{"status":"OK"}"#) }
}
