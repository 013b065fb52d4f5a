//! What CloudFormation makes of the object in its bucket.

use serde_json::Value;

use super::cloudformation::{RequestType, Sent};

/// "The total size of the response body can't exceed 4096 bytes."
pub(crate) const LONGEST: usize = 4096;
/// "… non-empty and … up to 1 KB in size."
pub(crate) const LONGEST_ID: usize = 1024;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Success {
        physical: String,
        data: Value,
    },
    /// `physical` is the answered id, unless it was of no use.
    Failure {
        physical: Option<String>,
        reason: String,
    },
    /// Nobody answered in time.
    Silence,
}

impl Verdict {
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Success { .. })
    }
}

/// Reads an answer as CloudFormation does: a mistake in it is a failure whose reason is lost.
pub(crate) fn judge(body: &[u8], sent: &Sent) -> Verdict {
    let failure = |reason: &str| Verdict::Failure { physical: None, reason: reason.to_owned() };
    if body.len() > LONGEST {
        return failure("Response object is too long.");
    }
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return failure("Invalid response object: not JSON.");
    };
    for (name, expected) in [("StackId", &sent.stack), ("RequestId", &sent.id), ("LogicalResourceId", &sent.logical)] {
        if answer[name].as_str() != Some(expected) {
            return failure(&format!("Invalid response object: Value of property {name} is not that of the request."));
        }
    }
    let physical = answer["PhysicalResourceId"].as_str().unwrap_or_default().to_owned();
    if physical.is_empty() || physical.len() > LONGEST_ID {
        return failure("Invalid PhysicalResourceId");
    }
    match answer["Status"].as_str() {
        Some("SUCCESS") => Verdict::Success { physical, data: answer["Data"].clone() },
        Some("FAILED") => match answer["Reason"].as_str() {
            Some(reason) if !reason.is_empty() => {
                Verdict::Failure { physical: Some(physical), reason: reason.to_owned() }
            }
            _ => failure("See the details in CloudWatch Log Stream: no reason was given."),
        },
        _ => failure("Invalid response object: Value of property Status must be SUCCESS or FAILED"),
    }
}

/// What is wrong with an answer, whatever its status; nothing, if it keeps every rule.
pub(crate) fn mistakes(body: &[u8], sent: &Sent) -> Vec<String> {
    let mut mistakes = Vec::new();
    if body.len() > LONGEST {
        mistakes.push(format!("the answer has {} bytes", body.len()));
    }
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        mistakes.push("the answer is not JSON".to_owned());
        return mistakes;
    };
    for (name, expected) in [("StackId", &sent.stack), ("RequestId", &sent.id), ("LogicalResourceId", &sent.logical)] {
        if answer[name].as_str() != Some(expected) {
            mistakes.push(format!("{name} is {} instead of {expected:?}", answer[name]));
        }
    }
    let physical = answer["PhysicalResourceId"].as_str().unwrap_or_default();
    if physical.is_empty() || physical.len() > LONGEST_ID {
        mistakes.push(format!("the physical id has {} bytes", physical.len()));
    }
    if sent.kind == RequestType::Delete && sent.physical.as_deref() != Some(physical) {
        mistakes.push(format!("a Delete of {:?} was answered with the id {physical:?}", sent.physical));
    }
    match answer["Status"].as_str() {
        Some("SUCCESS") => {}
        Some("FAILED") if answer["Reason"].as_str().is_some_and(|reason| !reason.is_empty()) => {}
        Some("FAILED") => mistakes.push("FAILED without a reason".to_owned()),
        other => mistakes.push(format!("the status is {other:?}")),
    }
    mistakes
}
