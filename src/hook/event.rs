//! The event of a hook, read leniently: AWS's page writes some members in two cases, and leaves some out.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cloudformation::strict_json::{self, JsonError};

/// The operation that a hook is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookTarget {
    /// A change set is made.
    ChangeSet,
    /// A resource of a stack is made or changed.
    Resource,
    /// A resource is made or changed by Cloud Control.
    CloudControl,
    /// A whole stack, or what is not known.
    Other,
    /// Anything, in an event that cannot be read, and why.
    Unreadable(String),
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct HookEvent {
    /// Tells one question from the next.
    pub token: Option<String>,
    /// The stack; empty where there is none.
    pub stack_id: String,
    /// The operation.
    pub target: HookTarget,
    /// The type of the resource.
    pub resource_type: String,
    /// The name of the resource in its template.
    pub logical_id: Option<String>,
    /// `requestData`.
    pub data: Value,
}

/// Returns a member, in any case.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The same, to be changed.
pub(super) fn member_mut<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    value.as_object_mut()?.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn text(value: &Value, name: &str) -> Option<String> {
    member(value, name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The members that are read of an event whose others cannot be read.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "actionInvocationPoint", alias = "ActionInvocationPoint")]
    point: String,
    #[serde(rename = "clientRequestToken", alias = "clientRequesttoken", default)]
    token: Option<String>,
}

impl HookEvent {
    fn unreadable(event: &str, why: &JsonError) -> Option<Self> {
        let Head { point, token } = serde_json::from_str(event).ok()?;
        (!point.is_empty()).then_some(())?;
        Some(Self {
            token,
            stack_id: String::new(),
            target: HookTarget::Unreadable(why.to_string()),
            resource_type: String::new(),
            logical_id: None,
            data: Value::Null,
        })
    }

    pub(super) fn read(event: &str) -> Option<Self> {
        // Other events are not parsed for it.
        event.contains("ctionInvocationPoint\"").then_some(())?;
        let event = match strict_json::read(event) {
            Ok(event) => event,
            Err(JsonError::Syntax(_)) => return None,
            Err(error) => return Self::unreadable(event, &error),
        };
        let point = text(&event, "actionInvocationPoint")?;
        let data = member(&event, "requestData").cloned().unwrap_or_default();
        let resource_type = text(&data, "targetName").unwrap_or_default();
        let is_deletion = point.to_ascii_uppercase().starts_with("DELETE");
        let target = match text(&data, "targetType").unwrap_or_default().to_ascii_uppercase().as_str() {
            _ if is_deletion => HookTarget::Other,
            "CHANGE_SET" => HookTarget::ChangeSet,
            "RESOURCE" => HookTarget::Resource,
            "CLOUD_CONTROL" => HookTarget::CloudControl,
            _ if resource_type.eq_ignore_ascii_case("CHANGE_SET") => HookTarget::ChangeSet,
            _ if resource_type.starts_with("AWS::") => HookTarget::Resource,
            _ => HookTarget::Other,
        };
        Some(Self {
            token: text(&event, "clientRequestToken"),
            stack_id: text(&event, "stackId").unwrap_or_default(),
            target,
            logical_id: text(&data, "targetLogicalId"),
            resource_type,
            data,
        })
    }

    /// The properties of the resource.
    pub(super) fn properties(&self) -> Map<String, Value> {
        let model = member(&self.data, "targetModel");
        let properties = model.and_then(|model| member(model, "resourceProperties"));
        properties.and_then(Value::as_object).cloned().unwrap_or_default()
    }
}
