//! Tags on IAM's objects: keys are kept as written and compared without regard to case.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{invalid_input, limit_exceeded, texts};
use crate::simulation::wire::Refusal;

pub(crate) type Tags = BTreeMap<String, String>;

/// The tags of an input laid over those that are there.
pub(super) fn laid_over(existing: &Tags, input: &Value, limit: usize) -> Result<Tags, Refusal> {
    let mut tags = existing.clone();
    let mut seen: Vec<String> = Vec::new();
    for tag in input["Tags"].as_array().into_iter().flatten() {
        let (key, value) = (super::text(tag, "Key"), super::text(tag, "Value"));
        if key.to_lowercase().starts_with("aws:") {
            return Err(invalid_input("User tag key/values cannot begin with 'aws:'."));
        }
        let folded = key.to_lowercase();
        if seen.contains(&folded) {
            return Err(invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
        seen.push(folded.clone());
        tags.retain(|known, _| known.to_lowercase() != folded);
        tags.insert(key.to_owned(), value.to_owned());
    }
    if tags.len() > limit {
        return Err(limit_exceeded(format!("Cannot exceed quota for TagsPerResource: {limit}")));
    }
    Ok(tags)
}

pub(super) fn without(existing: &Tags, input: &Value) -> Tags {
    let gone: Vec<String> = texts(input, "TagKeys").iter().map(|key| key.to_lowercase()).collect();
    let mut tags = existing.clone();
    tags.retain(|key, _| !gone.contains(&key.to_lowercase()));
    tags
}

pub(super) fn list(tags: &Tags) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}
