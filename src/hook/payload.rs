//! The payload of a change set, behind a pre-signed URL: checked before it is contacted, and bounded in size and time.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::{Map, Value};

use super::event::member;
use crate::cloudformation::ResponseUrl;
use crate::deployment::Deployment;
use crate::preview::Change;

/// The largest payload, in bytes: a template has at most 1 MB, and the properties of its resources come besides.
const LIMIT: usize = 6_000_000;
/// The time for it.
const TIME: Duration = Duration::from_secs(6);

/// The changes of a change set.
pub(super) struct Payload {
    pub(super) changes: Vec<Change>,
    /// The template, where it is JSON.
    pub(super) template: Option<Value>,
}

/// Fetches the payload.
pub(super) async fn fetch(
    http: &SharedHttpConnector,
    data: &Value,
    here: &Deployment,
    allowed_origin: Option<&str>,
) -> Result<Payload, String> {
    let url = member(data, "payload").and_then(Value::as_str).ok_or("the event has no `payload`")?;
    let url = ResponseUrl::check_payload(url, &here.partition, &here.region, allowed_origin)
        .map_err(|refused| refused.to_string())?;
    let body = tokio::time::timeout(TIME, get(http, &url))
        .await
        .unwrap_or_else(|_elapsed| Err("the payload did not come in time".to_owned()))?;
    let payload: Value = serde_json::from_slice(&body).map_err(|_| "the payload is no JSON".to_owned())?;
    let template = member(&payload, "template").and_then(|template| match template {
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Object(_) => Some(template.clone()),
        _ => None,
    });
    let changes = member(&payload, "changedResources").and_then(Value::as_array);
    let changes = changes.ok_or("the payload has no `changedResources`")?;
    Ok(Payload { changes: changes.iter().map(change).collect(), template })
}

async fn get(http: &SharedHttpConnector, url: &ResponseUrl) -> Result<Vec<u8>, String> {
    let request = http::Request::get(url.expose()).body(SdkBody::empty());
    let request = request.ok().and_then(|request| HttpRequest::try_from(request).ok());
    let request = request.ok_or("the URL of the payload cannot be requested")?;
    // The text of such an error could show the URL. A redirect is not followed.
    let response = http.call(request).await.map_err(|_| "the payload could not be fetched".to_owned())?;
    if !response.status().is_success() {
        return Err(format!("the payload was answered with status {}", response.status().as_u16()));
    }
    let mut body = Vec::new();
    let mut stream = ByteStream::new(response.into_body());
    while let Some(chunk) = stream.try_next().await.map_err(|_| "the payload ended early".to_owned())? {
        if body.len() + chunk.len() > LIMIT {
            return Err(format!("the payload is larger than {LIMIT} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn change(change: &Value) -> Change {
    let text = |name| member(change, name).and_then(Value::as_str).unwrap_or_default().to_owned();
    // JSON text, in which every scalar is a string.
    let properties = |name| -> Option<Map<String, Value>> {
        let context = match member(change, name)? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            other => other.clone(),
        };
        member(&context, "Properties").and_then(Value::as_object).cloned()
    };
    let action = text("action").to_ascii_uppercase();
    Change {
        is_deletion: matches!(action.as_str(), "DELETE" | "REMOVE"),
        logical_id: text("logicalResourceId"),
        resource_type: text("resourceType"),
        before: properties("beforeContext"),
        after: properties("afterContext"),
    }
}
