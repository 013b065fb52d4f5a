//! The Query protocol of IAM and CloudFormation: a form in, XML out.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::model::Service;
use super::wire::{Answer, Refusal, Request, escape_xml, form};

/// The operation and its input, of a request.
pub(crate) fn parse(service: &Service, request: &Request) -> Result<(String, Value), Refusal> {
    let form = form(&request.text());
    let action = form.iter().find(|(key, _)| key == "Action").map(|(_, value)| value.clone()).unwrap_or_default();
    let Some(operation) = service.operations.get(&action) else {
        let version =
            form.iter().find(|(key, _)| key == "Version").map(|(_, value)| value.as_str()).unwrap_or_default();
        let message = format!("Could not find operation {action} for version {version}");
        return Err(Refusal::new("InvalidAction", 400, message));
    };
    let Some(shape) = &operation.input else { return Ok((action, json!({}))) };
    let input = service.read_form(shape, &form);
    let complaints = service.complaints(shape, &input);
    if complaints.is_empty() { Ok((action, input)) } else { Err(validation(&complaints)) }
}

fn validation(complaints: &[String]) -> Refusal {
    let count = complaints.len();
    let noun = if count == 1 { "error" } else { "errors" };
    let message = format!("{count} validation {noun} detected: {}", complaints.join("; "));
    Refusal::new("ValidationError", 400, message)
}

pub(crate) fn answer(
    service: &Service,
    namespace: &str,
    action: &str,
    reply: &Result<Value, Refusal>,
    request_id: &str,
) -> Answer {
    let mut body = String::new();
    let status = match reply {
        Ok(output) => {
            let _ = write!(body, "<{action}Response xmlns=\"{namespace}\">");
            if let Some(shape) = service.operations.get(action).and_then(|known| known.output.as_deref()) {
                let _ = write!(body, "<{action}Result>");
                service.write_xml(shape, output, &mut body);
                let _ = write!(body, "</{action}Result>");
            }
            let _ = write!(
                body,
                "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
            );
            200
        }
        Err(refusal) => {
            let kind = if refusal.status < 500 { "Sender" } else { "Receiver" };
            let _ = write!(
                body,
                "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                refusal.code,
                escape_xml(&refusal.message)
            );
            refusal.status
        }
    };
    Answer {
        status,
        headers: vec![("content-type", "text/xml".to_owned()), ("x-amzn-requestid", request_id.to_owned())],
        body,
    }
}
