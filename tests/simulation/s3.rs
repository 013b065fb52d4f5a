//! The bucket that CloudFormation waits at: one pre-signed PUT per request, good for what was signed and until it
//! expires.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::clock::{compact, from_compact};
use super::wire::{Answer, Refusal, Request, escape_xml};

/// An answer that arrived, whether or not CloudFormation likes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) at: SystemTime,
    pub(crate) url: String,
    /// Whose answer it is.
    pub(crate) invocation: Option<u64>,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct S3 {
    /// The signatures given out, and the path each was made for.
    signed: BTreeMap<String, String>,
    pub(crate) uploads: Vec<Upload>,
}

impl S3 {
    /// A URL that a PUT may use until it expires. The signature is a number here: nobody computes it, everybody must
    /// send back all of it.
    pub(crate) fn presign(
        &mut self,
        region: &str,
        partition: &str,
        key: &str,
        now: SystemTime,
        good_for: Duration,
    ) -> String {
        let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let host = format!("cloudformation-custom-resource-response-{}.s3.{region}.{suffix}", region.replace('-', ""));
        let path = format!("/{}", super::wire::encode(key));
        let serial = self.signed.len() + 1;
        let signature = format!("{serial:064x}");
        self.signed.insert(signature.clone(), path.clone());
        let date = compact(now);
        format!(
            "https://{host}{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-SignedHeaders=host&X-Amz-Expires={}&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F{}%2F{region}%2Fs3%2Faws4_request&X-Amz-Signature={signature}",
            good_for.as_secs(),
            &date[..8]
        )
    }

    pub(crate) fn handle(
        &mut self,
        request: &Request,
        invocation: Option<u64>,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let denied = |message: &str| Refusal::new("AccessDenied", 403, message);
        let mismatch = || {
            let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
            Refusal::new("SignatureDoesNotMatch", 403, message)
        };
        let signature = request.parameter("X-Amz-Signature").ok_or_else(|| denied("Access Denied"))?;
        if request.method != "PUT" || self.signed.get(signature) != Some(&request.path) {
            return Err(mismatch());
        }
        // The URL is signed without a content type; one that is sent is one that was not signed.
        if request.header("content-type").is_some_and(|kind| !kind.is_empty()) {
            return Err(mismatch());
        }
        let expires = request
            .parameter("X-Amz-Date")
            .and_then(from_compact)
            .zip(request.parameter("X-Amz-Expires").and_then(|seconds| seconds.parse().ok()))
            .map(|(date, seconds)| date + Duration::from_secs(seconds))
            .ok_or_else(mismatch)?;
        if now > expires {
            return Err(denied("Request has expired"));
        }
        if !request.sized {
            let message = "You must provide the Content-Length HTTP header.";
            return Err(Refusal::new("MissingContentLength", 411, message));
        }
        if let Some(length) = request.header("content-length")
            && length != request.body.len().to_string()
        {
            let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
            return Err(Refusal::new("IncompleteBody", 400, message));
        }
        self.uploads.push(Upload { at: now, url: request.url.clone(), invocation, body: request.body.clone() });
        Ok(())
    }
}

pub(crate) fn answer(reply: &Result<(), Refusal>, request_id: &str) -> Answer {
    let headers = vec![("x-amz-request-id", request_id.to_owned())];
    match reply {
        Ok(()) => Answer { status: 200, headers, body: String::new() },
        Err(refusal) => Answer {
            status: refusal.status,
            headers,
            body: format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{request_id}</RequestId></Error>",
                refusal.code,
                escape_xml(&refusal.message)
            ),
        },
    }
}
