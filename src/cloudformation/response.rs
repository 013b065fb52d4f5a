//! An answer is within CloudFormation's limits by construction: whatever the reason and the attributes are, the ids
//! arrive whole, because without them nobody can tell whose answer it was.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Request;

/// The whole body, in bytes. Past it CloudFormation answers "Response object is too long." in place of the reason.
pub const BODY_LIMIT: usize = 4096;
/// The physical id, in bytes.
pub const PHYSICAL_ID_LIMIT: usize = 1024;

/// What `Fn::GetAtt` reads.
pub type Attributes = BTreeMap<&'static str, String>;

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The desired state is reached.
    Success {
        /// The id that `Ref` gives.
        physical_id: String,
        /// What `Fn::GetAtt` gives.
        attributes: Attributes,
    },
    /// The request failed.
    Failure {
        /// The id under which CloudFormation goes on: the old one, a new one, or one that names nothing.
        physical_id: String,
        /// The reason in the events of the stack.
        reason: String,
    },
}

/// The JSON body that goes to the response URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response(Vec<u8>);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    status: &'static str,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Attributes>,
}

impl Response {
    /// Builds the answer to a request.
    ///
    /// Attributes that do not fit make it a failure that says so, because a template which reads a missing attribute
    /// would fail with less to go by. A reason that does not fit is cut in the middle: its head says what happened,
    /// its tail often carries the service's request id.
    #[must_use]
    pub fn new(request: &Request, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Success { physical_id, attributes } => {
                let body = body(request, "SUCCESS", physical_id, None, Some(attributes));
                if body.len() <= BODY_LIMIT && physical_id.len() <= PHYSICAL_ID_LIMIT {
                    return Self(body);
                }
                let reason = format!(
                    "The resource is as declared, but its answer of {} bytes passes CloudFormation's limit of {BODY_LIMIT} bytes: shorten or split it",
                    body.len()
                );
                Self::failure(request, physical_id, &reason)
            }
            Outcome::Failure { physical_id, reason } => Self::failure(request, physical_id, reason),
        }
    }

    fn failure(request: &Request, physical_id: &str, reason: &str) -> Self {
        // CloudFormation has no longer id, so that it made no request with one.
        let physical_id = &physical_id[..physical_id.floor_char_boundary(PHYSICAL_ID_LIMIT)];
        let build = |reason: &str| body(request, "FAILED", physical_id, Some(reason), None);
        let whole = build(reason);
        if whole.len() <= BODY_LIMIT {
            return Self(whole);
        }
        // The longest cut that fits; the length of the body grows with the number of characters kept.
        let (mut fits, mut too_long) = (0, reason.chars().count());
        while fits + 1 < too_long {
            let middle = usize::midpoint(fits, too_long);
            if build(&shortened(reason, middle)).len() <= BODY_LIMIT { fits = middle } else { too_long = middle }
        }
        Self(build(&shortened(reason, fits)))
    }

    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn body(
    request: &Request,
    status: &'static str,
    physical_resource_id: &str,
    reason: Option<&str>,
    data: Option<&Attributes>,
) -> Vec<u8> {
    let body = Body {
        status,
        physical_resource_id,
        stack_id: request.stack.as_str(),
        request_id: &request.request_id,
        logical_resource_id: &request.logical_id,
        reason,
        data,
    };
    // Strings and maps of strings always serialise.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Keeps `characters` of a text: two thirds from its head, one third from its tail.
fn shortened(text: &str, characters: usize) -> String {
    let tail = characters / 3;
    let head: String = text.chars().take(characters - tail).collect();
    let skipped = text.chars().count() - tail;
    let tail: String = text.chars().skip(skipped).collect();
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::Invocation;
    use super::*;

    fn request() -> Request {
        let event = r#"{"RequestType": "Create", "RequestId": "r-1", "LogicalResourceId": "Role",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1", "ResourceType": "Custom::GitHubRole",
            "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/k?X-Amz-Signature=1"}"#;
        match Invocation::classify(event, None) {
            Ok(Invocation::CloudFormation(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn answer(outcome: &Outcome) -> Value {
        let answer = Response::new(&request(), outcome);
        assert!(answer.as_bytes().len() <= BODY_LIMIT, "{} bytes", answer.as_bytes().len());
        serde_json::from_slice(answer.as_bytes()).unwrap()
    }

    #[test]
    fn a_success_carries_ids_and_attributes_and_no_reason() {
        let outcome =
            Outcome::Success { physical_id: "p".into(), attributes: [("Arn", "arn".to_owned())].into_iter().collect() };
        insta::assert_snapshot!(String::from_utf8_lossy(Response::new(&request(), &outcome).as_bytes()), @r#"{"Status":"SUCCESS","PhysicalResourceId":"p","StackId":"arn:aws:cloudformation:us-east-1:123456789012:stack/s/1","RequestId":"r-1","LogicalResourceId":"Role","Data":{"Arn":"arn"}}"#);
    }

    #[test]
    fn attributes_that_do_not_fit_are_a_failure_that_says_so() {
        let attributes = [("Subjects", "x".repeat(5000))].into_iter().collect();
        let answer = answer(&Outcome::Success { physical_id: "p".into(), attributes });
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["PhysicalResourceId"], "p");
        assert!(answer["Reason"].as_str().unwrap().contains("limit of 4096 bytes"));
    }

    #[test]
    fn a_reason_keeps_its_head_and_its_tail() {
        let reason = format!("iam:CreateRole was denied: {} (request id 7f3a)", "é".repeat(9000));
        let answer = answer(&Outcome::Failure { physical_id: "p".into(), reason });
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.starts_with("iam:CreateRole was denied") && reason.ends_with("(request id 7f3a)"), "{reason}");
    }

    #[test]
    fn two_thirds_of_a_cut_reason_are_of_its_head() {
        assert_eq!(shortened("0123456789abc", 9), "012345 … abc");
        assert_eq!(shortened("0123456789abc", 1), "0 … ");
    }

    #[test]
    fn an_id_that_cloudformation_cannot_have_given_is_cut() {
        let answer = answer(&Outcome::Failure { physical_id: "é".repeat(5000), reason: "no".into() });
        assert_eq!(answer["PhysicalResourceId"], "é".repeat(512));
        assert_eq!(answer["Reason"], "no");
    }

    proptest! {
        #[test]
        fn every_answer_fits_and_keeps_its_ids(reason in "(?s).{0,9000}", physical_id in "[ -~]{1,1024}") {
            let answer = answer(&Outcome::Failure { physical_id: physical_id.clone(), reason: reason.clone() });
            prop_assert_eq!(&answer["PhysicalResourceId"], &physical_id);
            prop_assert_eq!(&answer["RequestId"], "r-1");
            prop_assert_eq!(&answer["LogicalResourceId"], "Role");
            let kept = answer["Reason"].as_str().unwrap();
            prop_assert!(kept == reason || kept.contains(" … "));
        }
    }
}
