//! The envelope is parsed first, the properties second, because a request whose envelope is sound can be answered
//! however broken the rest is.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{ResponseUrl, StackId, response_url, strict_json};

/// The kind of an invocation.
#[derive(Debug)]
pub enum Invocation {
    /// A request of CloudFormation, sent directly or through SNS.
    CloudFormation(Box<Request>),
    /// EventBridge's schedule.
    Schedule,
    /// Neither: nobody waits for an answer.
    Unknown,
}

/// The reason that a request of CloudFormation cannot be answered at all. CloudFormation itself never sends such a
/// request.
#[derive(Debug, thiserror::Error)]
pub enum Unanswerable {
    /// A member without which no answer can be built or sent.
    #[error("the request has no `{0}` that is a non-empty string, so it cannot be answered")]
    Missing(&'static str),
    /// The stack's ARN cannot be read, so the response bucket cannot be checked.
    #[error(transparent)]
    Stack(#[from] super::stack::NotAStack),
    /// The URL is not one that we answer to.
    #[error(transparent)]
    Url(#[from] response_url::Refused),
}

/// The type of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// A new resource.
    Create,
    /// Other properties for an existing one; also what a rollback sends.
    Update,
    /// The resource, or what may exist of it, is to go.
    Delete,
}

/// The request can be answered, but not carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// `RequestType` is absent or unknown.
    #[error("`RequestType`: expected Create, Update or Delete, found {0}")]
    RequestType(String),
    /// `PhysicalResourceId` is absent where the protocol demands it.
    #[error("`PhysicalResourceId` is missing in an Update request")]
    PhysicalId,
    /// `ResourceProperties` cannot be read.
    #[error("`ResourceProperties`: {0}")]
    Properties(String),
    /// `ServiceTimeout` is not a number of seconds that CloudFormation allows.
    #[error("`ServiceTimeout`: expected 1 to 3600 seconds, found {0}")]
    ServiceTimeout(String),
}

/// A request whose answer can be built and sent.
#[derive(Debug)]
pub struct Request {
    /// The URL for the response. A request that is only planned has none.
    pub response_url: Option<ResponseUrl>,
    /// The stack that asks.
    pub stack: StackId,
    /// Names this request; the same request delivered again carries the same id.
    pub request_id: String,
    /// The resource's name in its template.
    pub logical_id: String,
    /// The id that an earlier answer gave, or that CloudFormation made up.
    pub physical_id: Option<String>,
    /// `Custom::…`.
    pub resource_type: String,
    request_type: Option<Box<RawValue>>,
    properties: Option<Box<RawValue>>,
    old_properties: Option<Box<RawValue>>,
}

impl Invocation {
    /// Tells what an event is. `allowed_origin` is one more origin that may receive answers (the local AWS).
    ///
    /// # Errors
    /// When the event is a request of CloudFormation that cannot be answered.
    pub fn classify(event: &str, allowed_origin: Option<&str>) -> Result<Self, Unanswerable> {
        if let Some(message) = sns_message(event) {
            return Self::classify_unwrapped(&message, allowed_origin);
        }
        Self::classify_unwrapped(event, allowed_origin)
    }

    fn classify_unwrapped(event: &str, allowed_origin: Option<&str>) -> Result<Self, Unanswerable> {
        let Some(members) = members(event) else { return Ok(Self::Unknown) };
        if members.contains_key("RequestType") || members.contains_key("ResponseURL") {
            return Request::parse(&members, allowed_origin).map(|request| Self::CloudFormation(Box::new(request)));
        }
        let is = |name, value| text(&members, name).as_deref() == Some(value);
        if is("source", "aws.events") || is("detail-type", "Scheduled Event") {
            return Ok(Self::Schedule);
        }
        Ok(Self::Unknown)
    }
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// A JSON object's members, unparsed: one that is nested too deeply to be read must not hide the others.
fn members(json: &str) -> Option<Members<'_>> {
    serde_json::from_str(json).ok()
}

fn text(members: &Members<'_>, name: &str) -> Option<String> {
    let value: String = serde_json::from_str(members.get(name)?.get()).ok()?;
    Some(value).filter(|value| !value.is_empty())
}

/// An SNS-backed custom resource carries the same JSON as the string `Records[0].Sns.Message`.
fn sns_message(event: &str) -> Option<String> {
    let members = members(event)?;
    let records: Vec<&RawValue> = serde_json::from_str(members.get("Records")?.get()).ok()?;
    let record = self::members(records.first()?.get())?;
    text(&self::members(record.get("Sns")?.get())?, "Message")
}

impl Request {
    fn parse(members: &Members<'_>, allowed_origin: Option<&str>) -> Result<Self, Unanswerable> {
        let required = |name| text(members, name).ok_or(Unanswerable::Missing(name));
        let stack = StackId::parse(&required("StackId")?)?;
        let response_url = ResponseUrl::check(&required("ResponseURL")?, &stack, allowed_origin)?;
        let raw = |name: &str| members.get(name).map(|&value| value.to_owned());
        Ok(Self {
            response_url: Some(response_url),
            request_id: required("RequestId")?,
            logical_id: required("LogicalResourceId")?,
            physical_id: text(members, "PhysicalResourceId"),
            resource_type: text(members, "ResourceType").unwrap_or_default(),
            request_type: raw("RequestType"),
            properties: raw("ResourceProperties"),
            old_properties: raw("OldResourceProperties"),
            stack,
        })
    }

    /// A request that nobody has made yet, from the same members. Their absence is no mistake.
    #[must_use]
    pub fn planned(members: &BTreeMap<&str, Value>, stack: StackId) -> Self {
        let text = |name| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let raw = |name| members.get(name).and_then(|value| RawValue::from_string(value.to_string()).ok());
        Self {
            response_url: None,
            request_id: "planned".to_owned(),
            logical_id: text("LogicalResourceId").unwrap_or_else(|| "Resource".to_owned()),
            physical_id: text("PhysicalResourceId"),
            resource_type: text("ResourceType").unwrap_or_default(),
            request_type: raw("RequestType"),
            properties: raw("ResourceProperties"),
            old_properties: raw("OldResourceProperties"),
            stack,
        }
    }

    /// The time at which CloudFormation signed the request, in seconds since the epoch, where it says so.
    #[must_use]
    pub fn signed_at(&self) -> Option<u64> {
        self.response_url.as_ref()?.signed_at()
    }

    /// Create, Update or Delete.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn request_type(&self) -> Result<RequestType, Malformed> {
        let raw = self.request_type.as_deref().map_or("nothing", RawValue::get);
        match raw {
            r#""Create""# => Ok(RequestType::Create),
            r#""Update""# if self.physical_id.is_none() => Err(Malformed::PhysicalId),
            r#""Update""# => Ok(RequestType::Update),
            r#""Delete""# => Ok(RequestType::Delete),
            other => Err(Malformed::RequestType(excerpt(other))),
        }
    }

    /// The properties as CloudFormation sent them: nearly every scalar is a string.
    ///
    /// # Errors
    /// When they are not an object, or nested too deeply.
    pub fn properties(&self) -> Result<Map<String, Value>, Malformed> {
        let Some(raw) = &self.properties else { return Ok(Map::new()) };
        match strict_json::read(raw.get()) {
            Ok(Value::Object(properties)) => Ok(properties),
            Ok(_) => Err(Malformed::Properties(format!("expected an object, found {}", excerpt(raw.get())))),
            Err(error) if error.to_string().contains("recursion") => {
                Err(Malformed::Properties("expected at most 127 levels of nesting, found more".to_owned()))
            }
            Err(error) => Err(Malformed::Properties(error.to_string())),
        }
    }

    /// The properties of an Update's other side. They say where something may have been left, never what there is: after
    /// a skipped rollback they are wrong.
    #[must_use]
    pub fn old_properties(&self) -> Option<Map<String, Value>> {
        match strict_json::read(self.old_properties.as_ref()?.get()) {
            Ok(Value::Object(properties)) => Some(properties),
            Ok(_) | Err(_) => None,
        }
    }

    /// The seconds after which CloudFormation gives up, where the author set them.
    ///
    /// # Errors
    /// When the property is not a whole number from 1 to 3600.
    pub fn service_timeout(&self) -> Result<Option<u32>, Malformed> {
        let Ok(properties) = self.properties() else { return Ok(None) };
        let Some(value) = properties.get("ServiceTimeout") else { return Ok(None) };
        let seconds = match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        match seconds.filter(|seconds| (1..=3600).contains(seconds)) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Malformed::ServiceTimeout(excerpt(&value.to_string()))),
        }
    }
}

/// At most eighty characters of a value, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LIMIT: usize = 80;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(changes: &[(&str, Option<&str>)]) -> String {
        let mut event: Map<String, Value> = serde_json::from_str(
            r#"{
                "RequestType": "Create",
                "RequestId": "r-1",
                "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
                "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/k?X-Amz-Signature=1",
                "ResourceType": "Custom::GitHubRole",
                "LogicalResourceId": "Role",
                "ResourceProperties": {"ServiceTimeout": "30", "Path": "/ci/"}
            }"#,
        )
        .unwrap();
        for (name, value) in changes {
            match value {
                Some(json) => event.insert((*name).to_owned(), serde_json::from_str(json).unwrap()),
                None => event.remove(*name),
            };
        }
        Value::Object(event).to_string()
    }

    fn request(event: &str) -> Request {
        match Invocation::classify(event, None) {
            Ok(Invocation::CloudFormation(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_read() {
        let request = request(&event(&[]));
        assert_eq!(request.request_type(), Ok(RequestType::Create));
        assert_eq!(request.service_timeout(), Ok(Some(30)));
        assert_eq!(request.properties().unwrap()["Path"], "/ci/");
        assert_eq!(request.physical_id, None);
    }

    #[test]
    fn a_request_that_came_through_sns_is_the_same_request() {
        let wrapped = serde_json::json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": event(&[])}}]});
        assert_eq!(request(&wrapped.to_string()).logical_id, "Role");
    }

    #[test]
    fn an_event_of_the_schedule_is_known_by_either_member() {
        for event in [r#"{"source": "aws.events"}"#, r#"{"detail-type": "Scheduled Event"}"#] {
            assert!(matches!(Invocation::classify(event, None), Ok(Invocation::Schedule)), "{event}");
        }
        assert!(matches!(Invocation::classify(r#"{"source": "aws.s3"}"#, None), Ok(Invocation::Unknown)));
    }

    #[test]
    fn a_time_out_is_a_number_or_its_text() {
        for value in ["30", "\"30\""] {
            let properties = format!("{{\"ServiceTimeout\": {value}}}");
            let request = request(&event(&[("ResourceProperties", Some(&properties))]));
            assert_eq!(request.service_timeout(), Ok(Some(30)), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_told_apart_from_what_can() {
        for name in ["StackId", "RequestId", "LogicalResourceId", "ResponseURL"] {
            for value in [None, Some("null"), Some("\"\""), Some("7"), Some("{}")] {
                assert!(Invocation::classify(&event(&[(name, value)]), None).is_err(), "{name} {value:?}");
            }
        }
        for (name, value) in [("RequestType", Some("7")), ("ResourceProperties", Some("[]")), ("ResourceType", None)] {
            assert!(Invocation::classify(&event(&[(name, value)]), None).is_ok(), "{name} {value:?}");
        }
    }

    #[test]
    fn broken_properties_leave_the_envelope_readable() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let text = event(&[]).replace("\"/ci/\"", &deep);
        let request = request(&text);
        assert_eq!(request.request_id, "r-1");
        assert!(matches!(request.properties(), Err(Malformed::Properties(why)) if why.contains("127 levels")));
        let twice = event(&[]).replace("\"/ci/\"", "\"/ci/\", \"Path\": \"/\"");
        let request = self::request(&twice);
        assert_eq!(request.request_id, "r-1");
        let error = request.properties().unwrap_err();
        assert_eq!(error.to_string(), "`ResourceProperties`: `Path` twice");
    }

    #[test]
    fn request_types_and_time_outs_are_checked() {
        let wrong = request(&event(&[("RequestType", Some("\"Replace\""))]));
        assert_eq!(
            wrong.request_type().unwrap_err().to_string(),
            "`RequestType`: expected Create, Update or Delete, found \"Replace\""
        );
        assert_eq!(request(&event(&[("RequestType", Some("\"Update\""))])).request_type(), Err(Malformed::PhysicalId));
        for value in ["\"0\"", "\"3601\"", "0", "\"soon\"", "[]", "-1", "1.5"] {
            let properties = format!("{{\"ServiceTimeout\": {value}}}");
            let request = request(&event(&[("ResourceProperties", Some(&properties))]));
            assert!(request.service_timeout().is_err(), "{value}");
        }
    }

    #[test]
    fn other_events_are_told_apart() {
        let schedule = r#"{"source": "aws.events", "detail-type": "Scheduled Event"}"#;
        assert!(matches!(Invocation::classify(schedule, None), Ok(Invocation::Schedule)));
        for unknown in
            ["{}", "[]", "7", "", "{\"Records\": []}", "{\"Records\": [{\"Sns\": {\"Message\": \"hello\"}}]}"]
        {
            assert!(matches!(Invocation::classify(unknown, None), Ok(Invocation::Unknown)), "{unknown}");
        }
    }
}
