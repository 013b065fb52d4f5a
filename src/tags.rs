//! Tags as authors write them: a list of `Key` and `Value`, as in every native resource.

use crate::cloudformation::Fields;
use crate::owner::{PREFIX, Tags};

/// Reads `Tags`. `limit` is what is left of the 50 tags of an object beside our own.
pub(crate) fn parse(fields: &mut Fields<'_>, limit: usize) -> Tags {
    let pairs = fields.objects("Tags", |fields| {
        let key = fields.required("Key", "1 to 128 characters", key);
        let value = fields.text_or_empty("Value");
        if let Some(value) = value.as_ref().filter(|value| value.chars().count() > 256 || !allowed(value)) {
            fields.invalid("Value", "at most 256 letters, digits, spaces and _.:/=+-@", format_args!("{value:?}"));
        }
        Some((key?, value.unwrap_or_default()))
    });
    let pairs = pairs.unwrap_or_default();
    if pairs.len() > limit {
        fields.invalid("Tags", format!("at most {limit} tags"), pairs.len());
    }
    let mut tags = Tags::new();
    for (key, value) in pairs {
        // IAM's tag keys are not case-sensitive.
        if tags.keys().any(|other: &String| other.eq_ignore_ascii_case(&key)) {
            fields.invalid("Tags", "each key once", format_args!("{key:?} again"));
        }
        tags.insert(key, value);
    }
    tags
}

fn key(text: &str) -> Result<String, String> {
    if text.to_ascii_lowercase().starts_with(PREFIX) || text.to_ascii_lowercase().starts_with("aws:") {
        return Err(format!("a key that does not begin with `aws:` or `{PREFIX}`"));
    }
    if text.chars().count() > 128 || !allowed(text) {
        return Err("1 to 128 letters, digits, spaces and _.:/=+-@".to_owned());
    }
    Ok(text.to_owned())
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, by IAM's API model.
fn allowed(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || c == ' ' || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c))
}
