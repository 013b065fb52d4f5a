//! The payload of a change set, behind a pre-signed URL: checked before it is contacted, and bounded in size and time.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::{Map, Value};

use super::event::{member, member_mut};
use crate::cloudformation::ResponseUrl;
use crate::cloudformation::strict_json::{JsonError, Room};
use crate::deployment::Deployment;
use crate::preview::{self, Change};

/// The largest payload, in bytes: a template has at most 1 MB, and the properties of its resources come besides.
const LIMIT: usize = 6_000_000;
/// The time for it.
const TIME: Duration = Duration::from_secs(6);

/// The changes of a change set to our resources.
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
    let mut room = Room::default();
    let mut payload = match String::from_utf8(body).map(|text| room.read(&text)) {
        Ok(Ok(payload)) => payload,
        Ok(Err(JsonError::Syntax(_))) | Err(_) => return Err("the payload is no JSON".to_owned()),
        Ok(Err(error)) => return Err(format!("the payload: {error}")),
    };
    let changes = member(&payload, "changedResources").and_then(Value::as_array);
    let changes = changes.ok_or("the payload has no `changedResources`")?;
    let ours = |change: &&Value| preview::is_ours(text(change, "resourceType"));
    let ours: Vec<&Value> = changes.iter().filter(ours).collect();
    if ours.len() > preview::RESOURCES_LIMIT {
        return Err(format!("expected at most {} changes, found {}", preview::RESOURCES_LIMIT, ours.len()));
    }
    let changes = ours.into_iter().map(|one| change(one, &mut room)).collect::<Result<Vec<_>, _>>()?;
    let template = member_mut(&mut payload, "template").map(Value::take).and_then(|template| match template {
        Value::String(text) => room.read(&text).ok(),
        Value::Object(_) => Some(template),
        _ => None,
    });
    Ok(Payload { changes, template })
}

fn text<'a>(change: &'a Value, name: &str) -> &'a str {
    member(change, name).and_then(Value::as_str).unwrap_or_default()
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

/// Reads a change. One that cannot be read may be right, so that it is not held against anybody.
fn change(change: &Value, room: &mut Room) -> Result<Change, String> {
    let logical_id = text(change, "logicalResourceId").to_owned();
    let unread = |name: &str, why: &str| format!("`{name}` of {logical_id} cannot be read: {why}");
    // JSON text, in which every scalar is a string.
    let mut properties = |name: &str| -> Result<Option<Map<String, Value>>, String> {
        let context = match member(change, name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => room.read(text).map_err(|error| unread(name, &error.to_string()))?,
            Some(other) => other.clone(),
        };
        let Value::Object(_) = context else { return Err(unread(name, "it is no object")) };
        let properties = member(&context, "Properties").and_then(Value::as_object).cloned();
        Ok(Some(properties.unwrap_or_default()))
    };
    let (before, after) = (properties("beforeContext")?, properties("afterContext")?);
    let action = text(change, "action").to_ascii_uppercase();
    let is_deletion = matches!(action.as_str(), "DELETE" | "REMOVE");
    if !is_deletion && after.is_none() {
        return Err(unread("afterContext", "there is none"));
    }
    let resource_type = text(change, "resourceType").to_owned();
    Ok(Change { is_deletion, logical_id, resource_type, before, after })
}
