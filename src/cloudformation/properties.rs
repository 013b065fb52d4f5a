//! Properties are read strictly and completely: every scalar may arrive as a string, every unknown name is a mistake,
//! and all mistakes are told at once, because each attempt costs its reader a stack update.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::request::excerpt;

/// One mistake in the properties: where, what is allowed, what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A property that must be there is not.
    #[error("`{path}` is required: {expected}")]
    Missing {
        /// The property, from the top.
        path: String,
        /// What it should say.
        expected: String,
    },
    /// A value that is not allowed.
    #[error("`{path}`: expected {expected}, found {found}")]
    Invalid {
        /// The property, from the top.
        path: String,
        /// What is allowed.
        expected: String,
        /// What was there, cut to a readable length.
        found: String,
    },
    /// A property that this kind does not have.
    #[error("unknown property `{path}`; {}", match nearest { Some(name) => format!("did you mean `{name}`?"), None => format!("allowed are {}", known.join(", ")) })]
    Unknown {
        /// The property, from the top.
        path: String,
        /// The allowed name that looks most like it.
        nearest: Option<&'static str>,
        /// All allowed names.
        known: Vec<&'static str>,
    },
}

/// All mistakes of one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Reads the members of one object. A method that finds a mistake notes it and gives nothing, so that reading goes on.
#[derive(Debug)]
pub struct Fields<'a> {
    path: String,
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Reads a request's `ResourceProperties`.
    #[must_use]
    pub fn of_request(properties: &'a Map<String, Value>) -> Self {
        let mut fields = Self::at(String::new(), properties);
        // CloudFormation's own, in every custom resource.
        fields.known.extend(["ServiceToken", "ServiceTimeout"]);
        fields
    }

    fn at(path: String, members: &'a Map<String, Value>) -> Self {
        Self { path, members, known: Vec::new(), problems: Vec::new() }
    }

    /// The mistakes, where there are any, among them every name that was never asked for.
    ///
    /// # Errors
    /// When there is at least one.
    pub fn finish(mut self) -> Result<(), Problems> {
        self.note_unknown();
        if self.problems.is_empty() { Ok(()) } else { Err(Problems(self.problems)) }
    }

    fn note_unknown(&mut self) {
        for name in self.members.keys() {
            if !self.known.contains(&name.as_str()) {
                let mut known: Vec<_> =
                    self.known.iter().copied().filter(|name| !name.starts_with("Service")).collect();
                known.sort_unstable();
                self.problems.push(Problem::Unknown {
                    path: format!("{}{}", self.path, excerpt(name)),
                    nearest: nearest(name, known.iter().copied()),
                    known,
                });
            }
        }
    }

    /// The path of a member, as messages show it.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// Notes that a value is not allowed.
    pub fn invalid(&mut self, name: &str, expected: impl Into<String>, found: impl fmt::Display) {
        let (path, expected, found) = (self.path(name), expected.into(), excerpt(&found.to_string()));
        self.problems.push(Problem::Invalid { path, expected, found });
    }

    /// Notes that a property which must be there is not.
    pub fn missing(&mut self, name: &str, expected: impl Into<String>) {
        let (path, expected) = (self.path(name), expected.into());
        self.problems.push(Problem::Missing { path, expected });
    }

    /// Whether a mistake was noted in this object.
    #[must_use]
    pub fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Whether the author wrote this member.
    pub fn has(&mut self, name: &'static str) -> bool {
        self.value(name).is_some()
    }

    fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.members.get(name)
    }

    /// A string that is not empty: an empty one is what a careless `!If` leaves behind.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if text.is_empty() => {
                self.invalid(name, "a value (leave the property out with `!Ref AWS::NoValue`)", "\"\"");
                None
            }
            Value::String(text) => Some(text.clone()),
            other => {
                self.invalid(name, "a string", kind_of(other));
                None
            }
        }
    }

    /// A string that may be empty.
    pub fn text_or_empty(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.invalid(name, "a string", kind_of(other));
                None
            }
        }
    }

    /// A string that passes `check`, which answers with what is allowed where it does not.
    pub fn checked<T>(&mut self, name: &'static str, check: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        check(&text).map_err(|expected| self.invalid(name, expected, format_args!("{text:?}"))).ok()
    }

    /// Like [`Self::checked`], for a property that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(name) {
            self.missing(name, expected);
            return None;
        }
        self.checked(name, check)
    }

    /// A whole number within a range, as a number or a string of digits.
    pub fn integer(&mut self, name: &'static str, allowed: RangeInclusive<u32>, unit: &str) -> Option<u32> {
        let value = self.value(name)?;
        let number = match value {
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let number = number.filter(|number| allowed.contains(number));
        if number.is_none() {
            self.invalid(name, format!("{} to {} {unit}", allowed.start(), allowed.end()), shown(value));
        }
        number
    }

    /// `true` or `false`, as a boolean or as the string that CloudFormation makes of it.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            other => {
                self.invalid(name, "true or false", shown(other));
                None
            }
        }
    }

    /// A list of strings, each of which passes `check`; a single string is a list of one.
    pub fn texts<T>(&mut self, name: &'static str, check: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let items = match self.value(name)? {
            Value::Array(items) => items.as_slice(),
            Value::String(text) if text.contains(',') => {
                let expected = "a list of strings (turn a comma-separated string into one with `!Split [\",\", …]`)";
                self.invalid(name, expected, format_args!("{text:?}"));
                return None;
            }
            single @ Value::String(_) => std::slice::from_ref(single),
            other => {
                self.invalid(name, "a list of strings", kind_of(other));
                return None;
            }
        };
        let before = self.problems.len();
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let member = format!("{name}[{index}]");
            match item {
                Value::String(text) if text.is_empty() => {
                    self.invalid(&member, "a value (leave it out with `!Ref AWS::NoValue`)", "\"\"");
                }
                Value::String(text) => match check(text) {
                    Ok(value) => values.push(value),
                    Err(expected) => self.invalid(&member, expected, format_args!("{text:?}")),
                },
                other => self.invalid(&member, "a string", kind_of(other)),
            }
        }
        (self.problems.len() == before).then_some(values)
    }

    /// A list of objects, each read by `read`; a single object is a list of one.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = match self.value(name)? {
            Value::Array(items) => items.as_slice(),
            single @ Value::Object(_) => std::slice::from_ref(single),
            other => {
                self.invalid(name, "a list of objects", kind_of(other));
                return None;
            }
        };
        let before = self.problems.len();
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let member = format!("{name}[{index}]");
            match item {
                Value::Object(members) => values.extend(self.nested(&member, members, &mut read)),
                other => self.invalid(&member, "an object", kind_of(other)),
            }
        }
        (self.problems.len() == before).then_some(values)
    }

    /// One object.
    pub fn object<T>(&mut self, name: &'static str, mut read: impl FnMut(&mut Fields<'_>) -> Option<T>) -> Option<T> {
        match self.value(name)? {
            Value::Object(members) => self.nested(name, members, &mut read),
            other => {
                self.invalid(name, "an object", kind_of(other));
                None
            }
        }
    }

    fn nested<T>(
        &mut self,
        name: &str,
        members: &Map<String, Value>,
        read: &mut impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut fields = Fields::at(format!("{}.", self.path(name)), members);
        let value = read(&mut fields);
        fields.note_unknown();
        self.problems.append(&mut fields.problems);
        value
    }

    /// A JSON document: an object, or the text of one.
    pub fn document(&mut self, name: &'static str) -> Option<Value> {
        match self.value(name)? {
            object @ Value::Object(_) => Some(object.clone()),
            Value::String(text) => {
                if let Ok(object @ Value::Object(_)) = serde_json::from_str(text) {
                    Some(object)
                } else {
                    self.invalid(name, "a JSON object", format_args!("{text:?}"));
                    None
                }
            }
            other => {
                self.invalid(name, "a JSON object", kind_of(other));
                None
            }
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => kind_of(value).to_owned(),
        scalar => scalar.to_string(),
    }
}

/// The name that was most likely meant, if one is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.8;
    let lower = name.to_lowercase();
    known
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T>(properties: &Value, read: impl FnOnce(&mut Fields<'_>) -> T) -> (T, Vec<String>) {
        let Value::Object(members) = properties else { panic!("not an object") };
        let mut fields = Fields::of_request(members);
        let value = read(&mut fields);
        let problems = match fields.finish() {
            Ok(()) => Vec::new(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        };
        (value, problems)
    }

    #[test]
    fn scalars_are_accepted_as_cloudformation_delivers_them() {
        let properties = json!({"ServiceToken": "t", "A": "3600", "B": 3600, "C": "true", "D": false, "E": "x"});
        let (values, problems) = read(&properties, |fields| {
            (
                fields.integer("A", 1..=9999, "seconds"),
                fields.integer("B", 1..=9999, "seconds"),
                fields.boolean("C"),
                fields.boolean("D"),
                fields.texts("E", |text| Ok(text.to_owned())),
            )
        });
        assert_eq!(values, (Some(3600), Some(3600), Some(true), Some(false), Some(vec!["x".to_owned()])));
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn each_mistake_names_the_property_the_value_and_what_is_allowed() {
        let properties = json!({
            "MaxSessionDuration": "900", "Negative": "-5", "Flag": "yes", "Empty": "", "Null": null,
            "List": "a,b", "Nested": [{"Repositry": "x"}, 7], "Holes": ["", 3], "Far": "x", "Document": "{",
        });
        let ((), problems) = read(&properties, |fields| {
            let any = |text: &str| Ok::<_, String>(text.to_owned());
            fields.integer("MaxSessionDuration", 3600..=43200, "seconds");
            fields.integer("Negative", 0..=9, "things");
            fields.boolean("Flag");
            fields.text("Empty");
            fields.text("Null");
            fields.texts("List", any);
            fields.texts("Holes", any);
            fields.document("Document");
            fields.objects("Nested", |fields| fields.required("Repository", "\"owner/name\"", any));
            fields.required("Wanted", "the ARN of a role", any);
        });
        insta::assert_snapshot!(problems.join("\n"), @r#"
        `MaxSessionDuration`: expected 3600 to 43200 seconds, found "900"
        `Negative`: expected 0 to 9 things, found "-5"
        `Flag`: expected true or false, found "yes"
        `Empty`: expected a value (leave the property out with `!Ref AWS::NoValue`), found ""
        `Null`: expected a string, found null
        `List`: expected a list of strings (turn a comma-separated string into one with `!Split [",", …]`), found "a,b"
        `Holes[0]`: expected a value (leave it out with `!Ref AWS::NoValue`), found ""
        `Holes[1]`: expected a string, found a number
        `Document`: expected a JSON object, found "{"
        `Nested[0].Repository` is required: "owner/name"
        unknown property `Nested[0].Repositry`; did you mean `Repository`?
        `Nested[1]`: expected an object, found a number
        `Wanted` is required: the ARN of a role
        unknown property `Far`; allowed are Document, Empty, Flag, Holes, List, MaxSessionDuration, Negative, Nested, Null, Wanted
        "#);
    }
}
