//! The question: one resource, or a template.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Members;
use crate::cloudformation::strict_json::{self, JsonError};

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PlanQuestion {
    /// True if the equivalent native resources are asked for.
    #[serde(skip)]
    pub(super) render: bool,
    /// `Create`, `Update` or `Delete`; by default the first without and the second with an id.
    #[serde(default)]
    pub request_type: Option<String>,
    /// `Custom::…`.
    #[serde(default)]
    pub resource_type: Option<String>,
    /// As in the template, without functions.
    #[serde(default)]
    pub resource_properties: Members,
    /// The properties before.
    #[serde(default)]
    pub old_resource_properties: Option<Members>,
    /// The id of the object. With the stack and the logical id it is looked up.
    #[serde(default)]
    pub physical_resource_id: Option<String>,
    /// The stack; none for a new one.
    #[serde(default)]
    pub stack_id: Option<String>,
    /// The resource's name in its template.
    #[serde(default)]
    pub logical_resource_id: Option<String>,
    /// A template as JSON, or as the text of it.
    #[serde(default)]
    pub template: Option<Value>,
    /// The template's parameters that have other values than their defaults.
    #[serde(default)]
    pub parameters: Members,
}

/// The thing that is asked about.
pub(super) enum Subject {
    Resource(Declaration),
    Template(Value, Members),
}

/// The declaration of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Declaration {
    pub(super) request_type: Option<String>,
    pub(super) resource_type: String,
    pub(super) properties: Members,
    pub(super) old_properties: Option<Members>,
    pub(super) physical_id: Option<String>,
    pub(super) logical_id: Option<String>,
}

impl Declaration {
    /// The members of the request that would be made.
    pub(super) fn members(&self) -> BTreeMap<&'static str, Value> {
        let Self { request_type: _, resource_type, properties, old_properties, physical_id, logical_id } = self;
        let mut members = BTreeMap::from([
            ("ResourceType", Value::from(resource_type.as_str())),
            ("ResourceProperties", Value::Object(properties.clone())),
        ]);
        members.extend(old_properties.clone().map(|old| ("OldResourceProperties", Value::Object(old))));
        members.extend(physical_id.clone().map(|id| ("PhysicalResourceId", id.into())));
        members.extend(logical_id.clone().map(|id| ("LogicalResourceId", id.into())));
        members
    }
}

const EXPECTED: &str = r#"expected {"Plan": {"ResourceType": "Custom::…", "ResourceProperties": {…}}} or {"Plan": {"Template": {…}, "Parameters": {…}}}"#;

/// Returns true if one of the members of an event is a question.
fn is_question(event: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Head {
        plan: Option<IgnoredAny>,
        render: Option<IgnoredAny>,
    }
    serde_json::from_str(event).is_ok_and(|Head { plan, render }| plan.is_some() || render.is_some())
}

/// Reads an event, if it is a question.
///
/// # Errors
/// With what is wrong with it.
#[must_use]
pub fn read(event: &str) -> Option<Result<PlanQuestion, String>> {
    // Requests of CloudFormation are not parsed for it.
    (event.contains("\"Plan\"") || event.contains("\"Render\"")).then_some(())?;
    let mut event: Members = match strict_json::read(event) {
        Ok(Value::Object(members)) => members,
        Err(twice @ JsonError::Twice(_)) => return Some(Err(format!("{EXPECTED}: {twice}"))),
        Err(large @ JsonError::Large) => return is_question(event).then(|| Err(large.to_string())),
        Ok(_) | Err(JsonError::Syntax(_)) => return None,
    };
    let (plan, render) = match (event.remove("Plan"), event.remove("Render")) {
        (Some(plan), _) => (plan, false),
        (None, Some(render)) => (render, true),
        (None, None) => return None,
    };
    let question = serde_json::from_value(plan).map_err(|error| format!("{EXPECTED}: {error}"));
    Some(question.map(|question| PlanQuestion { render, ..question }))
}

impl PlanQuestion {
    /// Tells the two sorts of questions apart.
    pub(super) fn subject(self) -> Result<Subject, String> {
        match (self.template, self.resource_type) {
            (Some(template), None) => Ok(Subject::Template(template, self.parameters)),
            (None, Some(resource_type)) => Ok(Subject::Resource(Declaration {
                request_type: self.request_type,
                resource_type,
                properties: self.resource_properties,
                old_properties: self.old_resource_properties,
                physical_id: self.physical_resource_id,
                logical_id: self.logical_resource_id,
            })),
            (Some(_), Some(_)) => Err(format!("{EXPECTED}, and not both")),
            (None, None) => Err(EXPECTED.to_owned()),
        }
    }
}
