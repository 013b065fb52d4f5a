//! Tags as authors write them: a list of `Key` and `Value`, as in every native resource.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

use crate::cloudformation::Fields;
use crate::cloudformation::property_handle::{Handle, ObjectType, Objects, Typed, object_type};
use crate::cloudformation::schema::{Count, Property, TEXT, Text};
use crate::ownership::{PREFIX, Tags};

object_type! {
    pub(crate) Tag(
        "A tag. Keys that begin with `aws:` or `github-trust:` are refused; so is a key that differs from another in its case only."
    ) => {
        KEY: Text = Property::text("Key", TEXT.at_most(128), KEY_EXPECTED, "The tag's key.").required();
        VALUE: Text = Property::text(
            "Value",
            TEXT.or_empty().at_most(256),
            VALUE_EXPECTED,
            "The tag's value, by default empty.",
        );
    }
}

const KEY_EXPECTED: &str = "1 to 128 letters, digits, spaces and _.:/=+-@";

const VALUE_EXPECTED: &str = "at most 256 letters, digits, spaces and _.:/=+-@";

/// Describes `Tags`. `limit` is the rest of the 50 tags of an object beside our own.
pub(crate) const fn property(limit: usize, doc: &'static str) -> Typed<Objects<Tag>> {
    Property::objects("Tags", Count::at_most(limit, "tags"), "a list of `Key` and `Value`", doc)
}

/// Parses `Tags`.
pub(crate) fn parse<O: ObjectType>(fields: &mut Fields<'_, O>, handle: Handle<O, Objects<Tag>>) -> Tags {
    let pairs = fields.objects(handle, |fields| {
        let key = fields.checked(Tag::KEY, key);
        let value = fields.checked(Tag::VALUE, |text| {
            if allowed(text) { Ok(text.to_owned()) } else { Err(VALUE_EXPECTED.to_owned()) }
        });
        Some((key?, value.unwrap_or_default()))
    });
    let mut tags = Tags::new();
    for (key, value) in pairs.unwrap_or_default() {
        // IAM's tag keys are not case-sensitive.
        if tags.keys().any(|other: &String| other.eq_ignore_ascii_case(&key)) {
            fields.invalid(handle, "each key once", format_args!("{key:?} again"));
        }
        tags.insert(key, value);
    }
    tags
}

fn key(text: &str) -> Result<String, String> {
    if text.to_ascii_lowercase().starts_with(PREFIX) || text.to_ascii_lowercase().starts_with("aws:") {
        return Err(format!("a key that does not begin with `aws:` or `{PREFIX}`"));
    }
    if !allowed(text) {
        return Err(KEY_EXPECTED.to_owned());
    }
    Ok(text.to_owned())
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, by IAM's API model.
fn allowed(text: &str) -> bool {
    let by_category = |c| {
        matches!(
            get_general_category(c),
            Category::UppercaseLetter
                | Category::LowercaseLetter
                | Category::TitlecaseLetter
                | Category::ModifierLetter
                | Category::OtherLetter
                | Category::SpaceSeparator
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::DecimalNumber
                | Category::LetterNumber
                | Category::OtherNumber
        )
    };
    text.chars().all(|c| "_.:/=+-@".contains(c) || by_category(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_takes_letters_and_numbers_of_any_script_and_no_signs() {
        for text in ["", "Team A_.:/=+-@", "größe", "名前", "Ⅷ", "½", "\u{a0}"] {
            assert!(allowed(text), "{text:?}");
        }
        // A circled letter is a symbol, and a vowel sign is a mark, although both are alphabetic.
        for text in ["Ⓐ", "\u{903}", "a\u{301}", "a,b", "a\tb", "☂"] {
            assert!(!allowed(text), "{text:?}");
        }
    }
}
