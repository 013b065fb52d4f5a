//! REST with JSON: which operation a method and a path mean, where the model puts each member, and how an error looks.

use serde_json::{Map, Value, json};

use super::{Eks, invalid_parameter};
use crate::simulation::model;
use crate::simulation::wire::{Answer, Refusal, Request, decode};

impl Eks {
    /// The operation and its input, of a request.
    pub(crate) fn parse(request: &Request) -> Result<(String, Value), Refusal> {
        let segments: Vec<&str> = request.path.split('/').collect();
        let (action, operation, labels) = model::eks()
            .operations
            .iter()
            .find_map(|(action, operation)| {
                let labels = matched(&operation.uri, &segments)?;
                (operation.method == request.method).then_some((action, operation, labels))
            })
            .ok_or_else(|| {
                let message =
                    format!("Unable to determine service/operation name: {} {}", request.method, request.path);
                Refusal::new("UnknownOperationException", 404, message)
            })?;
        let shape = operation.input.as_deref().expect("every operation of EKS has an input");
        let body: Value = match request.body.as_slice() {
            [] => json!({}),
            body => serde_json::from_slice(body)
                .map_err(|_| Refusal::new("SerializationException", 400, "The body is not JSON."))?,
        };
        let mut input = Map::new();
        for (name, member) in model::eks().members(shape) {
            let wire_name = member.location_name.as_deref().unwrap_or(name);
            let value = match member.location.as_deref() {
                Some("uri") => {
                    labels.iter().find(|(label, _)| label == wire_name).map(|(_, value)| Value::from(value.as_str()))
                }
                Some("querystring") => from_query(request, name, wire_name),
                _ => body.get(wire_name).filter(|value| !value.is_null()).cloned(),
            };
            if let Some(value) = value {
                input.insert(name.clone(), value);
            }
        }
        let input = Value::Object(input);
        match model::eks().complaints(shape, &input).first() {
            Some(complaint) => Err(invalid_parameter(complaint.clone())),
            None => Ok((action.clone(), input)),
        }
    }
}

/// The labels of a template such as `/clusters/{name}/access-entries`, if the path fits it.
fn matched(template: &str, segments: &[&str]) -> Option<Vec<(String, String)>> {
    let parts: Vec<&str> = template.split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut labels = Vec::new();
    for (part, segment) in parts.iter().zip(segments) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(_) if segment.is_empty() => return None,
            Some(label) => labels.push((label.to_owned(), decode(segment))),
            None if part == segment => {}
            None => return None,
        }
    }
    Some(labels)
}

fn from_query(request: &Request, name: &str, wire_name: &str) -> Option<Value> {
    let values: Vec<&str> =
        request.query.iter().filter(|(key, _)| key == wire_name).map(|(_, value)| value.as_str()).collect();
    match name {
        _ if values.is_empty() => None,
        "tagKeys" => Some(json!(values)),
        "maxResults" => Some(values[0].parse::<i64>().map_or(json!(values[0]), |number| json!(number))),
        _ => Some(json!(values[0])),
    }
}

/// An operation's answer as JSON.
pub(crate) fn answer(reply: &Result<Value, Refusal>, request_id: &str) -> Answer {
    let mut headers =
        vec![("content-type", "application/json".to_owned()), ("x-amzn-requestid", request_id.to_owned())];
    match reply {
        Ok(output) => Answer { status: 200, headers, body: output.to_string() },
        Err(refusal) => {
            headers.push(("x-amzn-errortype", refusal.code.to_owned()));
            Answer { status: refusal.status, headers, body: json!({"message": refusal.message}).to_string() }
        }
    }
}
