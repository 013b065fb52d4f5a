//! Sends the response until it is accepted or the time is up: byte for byte the same each time, so that a connection lost
//! after acceptance does no harm.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::aws::Backoff;
use crate::cloudformation::{Response, ResponseUrl};

/// The time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(4);
/// The time that Lambda needs to hear that the invocation failed.
const MARGIN: Duration = Duration::from_millis(500);

/// The response was not accepted. Lambda delivers the event again.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be delivered: {0}")]
pub struct SendError(String);

impl SendError {
    /// Logs the response, and the way to send it by hand.
    pub fn tell(&self, response: &Response) {
        tracing::error!(
            problem = self.0,
            answer = %String::from_utf8_lossy(response.as_bytes()),
            "the answer could not be delivered. To answer by hand, write `answer` to a file and send it to the ResponseURL \
             of the event (it is not in this log; the dead letter queue and the event's sender have it): \
             curl -X PUT -H 'Content-Type:' --data-binary @answer.json \"$ResponseURL\""
        );
    }
}

/// Sends the response.
///
/// # Errors
/// When no attempt was accepted in time.
pub async fn respond(
    http: &SharedHttpConnector,
    url: &ResponseUrl,
    response: &Response,
    deadline: Instant,
) -> Result<(), SendError> {
    // Where no more than the margin is left, an answer is worth more than it.
    let deadline = deadline.checked_sub(MARGIN).filter(|end| *end > Instant::now()).unwrap_or(deadline);
    let mut backoff = Backoff::new();
    loop {
        let attempt = Instant::now() + ATTEMPT;
        // A panic in here would leave the request without a response.
        let sending = AssertUnwindSafe(put(http, url, response)).catch_unwind();
        let problem = match tokio::time::timeout_at(attempt.min(deadline), sending).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(problem))) => problem,
            Ok(Err(_panic)) => "sending it panicked".to_owned(),
            Err(_elapsed) => "no answer in time".to_owned(),
        };
        let pause = backoff.pause();
        tracing::warn!(problem, "the answer was not accepted");
        if Instant::now() + pause >= deadline {
            return Err(SendError(problem));
        }
        tokio::time::sleep(pause).await;
    }
}

async fn put(http: &SharedHttpConnector, url: &ResponseUrl, response: &Response) -> Result<(), String> {
    let request = http::Request::put(url.expose())
        // The signature covers an empty content type.
        .header(http::header::CONTENT_TYPE, "")
        .header(http::header::CONTENT_LENGTH, response.as_bytes().len())
        .body(SdkBody::from(response.as_bytes()));
    // Such errors could show the URL, so that none of their text is passed on.
    let request = request.ok().and_then(|request| HttpRequest::try_from(request).ok());
    let request = request.ok_or_else(|| "the URL cannot be requested".to_owned())?;
    match http.call(request).await {
        // A redirect is not followed: it would carry the response elsewhere.
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("status {}", response.status().as_u16())),
        Err(error) if error.is_timeout() => Err("the connection timed out".to_owned()),
        Err(error) if error.is_io() => Err("the connection failed".to_owned()),
        Err(_) => Err("the request failed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

    use super::*;
    use crate::cloudformation::{Invocation, Outcome};

    /// A store that answers after some time. Counts the requests.
    #[derive(Clone, Debug)]
    struct Store(Duration, Arc<AtomicUsize>);

    impl HttpConnector for Store {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            self.1.fetch_add(1, Ordering::Relaxed);
            let time = self.0;
            HttpConnectorFuture::new(async move {
                tokio::time::sleep(time).await;
                Ok(HttpResponse::new(200.try_into().expect("a status"), SdkBody::empty()))
            })
        }
    }

    /// The attempts to send an answer this long before the end, and whether one was accepted.
    fn sent(left: Duration, time: Duration) -> (usize, bool) {
        let event = r#"{"RequestType": "Create", "RequestId": "r-1", "LogicalResourceId": "Role",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1", "ResourceType": "Custom::GitHubRole",
            "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/k?X-Amz-Signature=1"}"#;
        let Ok(Invocation::CloudFormation(request)) = Invocation::classify(event, None) else { panic!("{event}") };
        let response =
            Response::new(&request, &Outcome::Failure { physical_id: "r".to_owned(), reason: "no".to_owned() });
        let store = Store(time, Arc::default());
        let http = SharedHttpConnector::new(store.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let is_accepted = Cell::new(false);
        runtime.expect("a runtime").block_on(async {
            let url = request.response_url.as_ref().expect("a URL");
            is_accepted.set(respond(&http, url, &response, Instant::now() + left).await.is_ok());
        });
        (store.1.load(Ordering::Relaxed), is_accepted.get())
    }

    #[test]
    fn an_answer_is_tried_once_in_the_last_half_second() {
        let millis = Duration::from_millis;
        for (left, time, expected) in [(5000, 100, (1, true)), (400, 100, (1, true)), (400, 500, (1, false))] {
            assert_eq!(sent(millis(left), millis(time)), expected, "{left} ms left, {time} ms");
        }
    }
}
