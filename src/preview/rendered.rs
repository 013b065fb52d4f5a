//! The native resources that are equivalent to ours, as a template.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Members;
use super::answer::Previewed;
use crate::reconcile::NativeResource;

pub(super) fn json(all: &[Previewed]) -> Value {
    let mut resources = Members::new();
    let mut not_rendered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // The values by which a resource refers to another one, in place of `Ref` and `Fn::GetAtt`.
    let mut names: Vec<(String, String)> = Vec::new();
    for previewed in all {
        let dry_run = &previewed.dry_run;
        let logical_id = previewed.logical_id.clone().unwrap_or_else(|| "Resource".to_owned());
        let Some(NativeResource { resource_type, properties }) = &dry_run.native else {
            let mistakes = dry_run.mistakes.iter().map(|mistake| mistake.text.clone());
            let mut reasons: Vec<String> =
                mistakes.chain(dry_run.refusals.clone()).chain(dry_run.unknown.clone()).collect();
            if reasons.is_empty() {
                reasons.push(format!("CloudFormation has no type of its own for {}", previewed.resource_type));
            }
            not_rendered.insert(logical_id, reasons);
            continue;
        };
        let members = properties.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let properties: Members = members.map(|(name, value)| (name.clone(), value.clone())).collect();
        let text = Value::Object(properties.clone()).to_string();
        let needs: Vec<&String> =
            names.iter().filter(|(_, value)| text.contains(&format!("{value:?}"))).map(|(name, _)| name).collect();
        let mut resource = json!({"Type": resource_type, "Properties": properties});
        if !needs.is_empty() {
            resource["DependsOn"] = json!(needs);
        }
        let arn = dry_run.attributes.get("Arn").or(dry_run.physical_id.as_ref());
        names.extend(arn.map(|arn| (logical_id.clone(), arn.clone())));
        resources.insert(logical_id, resource);
    }
    json!({
        "Template": {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources},
        "NotRendered": not_rendered,
    })
}
