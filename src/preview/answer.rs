//! The answer: for programs, and as text.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::guardrails::guardrail_of;
use crate::reconcile::DryRun;

/// A resource and its dry run.
#[derive(Debug)]
pub(crate) struct Previewed {
    /// The resource's name in its template.
    pub(crate) logical_id: Option<String>,
    /// `Custom::…`.
    pub(crate) resource_type: String,
    /// The dry run.
    pub(crate) dry_run: DryRun,
}

/// The attribute with which a resource warns its author.
const WARNING: &str = "Warning";

impl Previewed {
    fn warnings(&self) -> Vec<&str> {
        self.dry_run.attributes.get(WARNING).map(String::as_str).into_iter().filter(|text| !text.is_empty()).collect()
    }

    fn json(&self) -> Value {
        let Self { logical_id, resource_type, dry_run } = self;
        let DryRun {
            physical_id,
            mistakes,
            refusals,
            exempted,
            actions,
            replaced,
            afterwards,
            unknown,
            attributes,
            native: _,
        } = dry_run;
        let mistakes: Vec<&str> = mistakes.iter().map(|mistake| mistake.text.as_str()).collect();
        let attributes: BTreeMap<&str, &String> =
            attributes.iter().filter(|(name, _)| **name != WARNING).map(|(name, value)| (*name, value)).collect();
        let refusal = |reason: &String| json!({"Guardrail": guardrail_of(reason), "Reason": reason});
        let refusals: Vec<Value> = refusals.iter().map(refusal).collect();
        json!({
            "LogicalResourceId": logical_id,
            "ResourceType": resource_type,
            "PhysicalResourceId": physical_id,
            "Mistakes": mistakes,
            "Refusals": refusals,
            "Exemptions": exempted,
            "Actions": actions,
            "Replacement": replaced.as_ref().map(|old| json!({"Of": old, "By": physical_id})),
            "Afterwards": afterwards,
            "NotKnownYet": unknown,
            "Warnings": self.warnings(),
            "Attributes": attributes,
        })
    }

    /// Returns true if the request would fail.
    pub(crate) fn would_fail(&self) -> bool {
        !self.dry_run.mistakes.is_empty() || !self.dry_run.refusals.is_empty()
    }

    /// The same as people read it.
    pub(crate) fn text(&self) -> String {
        let Self { logical_id, resource_type, dry_run } = self;
        let DryRun {
            physical_id,
            mistakes,
            refusals,
            exempted,
            actions,
            replaced,
            afterwards,
            unknown,
            attributes: _,
            native: _,
        } = dry_run;
        let name = logical_id.as_deref().or(physical_id.as_deref()).unwrap_or("the resource");
        let head = match (mistakes.len(), refusals.len(), actions.len(), replaced) {
            (1.., ..) => "it would fail, because its declaration has mistakes, and nothing would change".to_owned(),
            (0, 1.., ..) => "it would be refused, and nothing would change".to_owned(),
            (.., Some(old)) => {
                format!("it would replace {old}, which is deleted once the update has succeeded")
            }
            (.., 0, None) if physical_id.is_none() => "it cannot be planned yet".to_owned(),
            (.., 0, None) => "nothing changes".to_owned(),
            (.., 1, None) => "1 change".to_owned(),
            (.., count, None) => format!("{count} changes"),
        };
        let object = physical_id.as_deref().filter(|id| *id != name).map(|id| format!(", {id}")).unwrap_or_default();
        let mut text = format!("{name} ({resource_type}{object}): {head}\n");
        let mut lines = |mark: &str, items: &mut dyn Iterator<Item = &str>| {
            for item in items {
                text.extend(["  ", mark, " ", item, "\n"]);
            }
        };
        lines("mistake:", &mut mistakes.iter().map(|mistake| mistake.text.as_str()));
        lines("refused:", &mut refusals.iter().map(String::as_str));
        lines("exempt:", &mut exempted.iter().map(String::as_str));
        lines("-", &mut actions.iter().map(String::as_str));
        let then = replaced.as_ref().map_or("- afterwards:".to_owned(), |old| format!("- afterwards, on {old}:"));
        lines(&then, &mut afterwards.iter().map(String::as_str));
        lines("warning:", &mut self.warnings().into_iter());
        lines("not known yet:", &mut unknown.iter().map(String::as_str));
        text
    }
}

pub(super) fn json(all: &[Previewed]) -> Value {
    let resources: Vec<Value> = all.iter().map(Previewed::json).collect();
    let texts: Vec<String> = all.iter().map(Previewed::text).collect();
    let text = if texts.is_empty() { "no resource of this function\n".to_owned() } else { texts.join("\n") };
    json!({"Resources": resources, "Text": text})
}
