//! Properties are read strictly and completely: every scalar may arrive as a string, every unknown name is a mistake,
//! and all mistakes are told at once, because each attempt costs its reader a stack update.

use std::fmt;

use serde_json::{Map, Value};

pub use super::problem::{PropertyError, PropertyErrors};
use super::request::excerpt;
use super::schema::{Count, Property, PropertyType, Text};

/// Reads the members of one object, as they are described. A method that finds a mistake notes it and gives nothing, so
/// that reading goes on.
#[derive(Debug)]
pub struct Fields<'a> {
    path: String,
    members: &'a Map<String, Value>,
    described: &'static [Property],
    known: Vec<&'static str>,
    problems: Vec<PropertyError>,
}

impl<'a> Fields<'a> {
    /// Reads a request's `ResourceProperties`.
    #[must_use]
    pub fn of_request(properties: &'a Map<String, Value>, described: &'static [Property]) -> Self {
        let mut fields = Self::at(String::new(), properties, described);
        // CloudFormation's own, in every custom resource.
        fields.known.extend(["ServiceToken", "ServiceTimeout"]);
        fields
    }

    fn at(path: String, members: &'a Map<String, Value>, described: &'static [Property]) -> Self {
        Self { path, members, described, known: Vec::new(), problems: Vec::new() }
    }

    /// The mistakes, where there are any, among them every name that was never asked for.
    ///
    /// # Errors
    /// When there is at least one.
    pub fn finish(mut self) -> Result<(), PropertyErrors> {
        self.note_unknown();
        if self.problems.is_empty() { Ok(()) } else { Err(PropertyErrors(self.problems)) }
    }

    fn note_unknown(&mut self) {
        for name in self.members.keys() {
            if !self.known.contains(&name.as_str()) {
                let mut known: Vec<_> =
                    self.known.iter().copied().filter(|name| !name.starts_with("Service")).collect();
                known.sort_unstable();
                self.problems.push(PropertyError::Unknown {
                    path: format!("{}{}", self.path, excerpt(name)),
                    nearest: nearest(name, known.iter().copied()),
                    known,
                });
            }
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// Notes that a value is not allowed.
    pub fn invalid(&mut self, name: &str, expected: impl Into<String>, found: impl fmt::Display) {
        let (path, expected, found) = (self.path(name), expected.into(), excerpt(&found.to_string()));
        self.problems.push(PropertyError::Invalid { path, expected, found });
    }

    /// Notes that a property which must be there is not.
    pub fn missing(&mut self, name: &str, expected: impl Into<String>) {
        let problem = PropertyError::Missing { path: self.path(name), expected: expected.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Returns true if a mistake was noted in this object.
    #[must_use]
    pub fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Returns true if the author wrote this member.
    pub fn has(&mut self, name: &'static str) -> bool {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.members.contains_key(name)
    }

    /// Returns the description of a member and its value. A required member that is missing is noted.
    fn member<T>(
        &mut self,
        name: &'static str,
        form: &'static str,
        of: impl Fn(PropertyType) -> Option<T>,
    ) -> Option<(&'static Property, T, &'a Value)> {
        let there = self.has(name);
        let property = self.described.iter().find(|property| property.name == name);
        let Some((property, limits)) = property.and_then(|property| Some((property, of(property.form)?))) else {
            let path = self.path(name);
            self.problems.push(PropertyError::Undescribed { path, form });
            return None;
        };
        if !there && property.required {
            self.missing(name, property.allowed());
        }
        Some((property, limits, self.members.get(name)?))
    }

    /// A string; an empty one, where it is not allowed, is what a careless `!If` leaves behind.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let (property, limits, value) = self.member(name, "a string", |form| match form {
            PropertyType::Text(text) => Some(text),
            _ => None,
        })?;
        match value {
            Value::String(text) if text.is_empty() && limits.min > 0 => {
                self.invalid(name, "a value (leave the property out with `!Ref AWS::NoValue`)", "\"\"");
                None
            }
            Value::String(text) if limits.allow(text) => Some(text.clone()),
            Value::String(text) => {
                self.invalid(name, property.allowed(), format_args!("{text:?}"));
                None
            }
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

    /// Reads one of few values; the default where the author left it out.
    pub fn choice(&mut self, name: &'static str) -> Option<&'static str> {
        if !self.has(name)
            && let Some(property) = self.described.iter().find(|property| property.name == name)
            && property.default.is_some()
        {
            return property.default;
        }
        let text = self.text(name)?;
        self.described.iter().find(|property| property.name == name)?.values().iter().copied().find(|one| *one == text)
    }

    /// A whole number within its range, as a number or a string of digits.
    pub fn integer(&mut self, name: &'static str) -> Option<u32> {
        let (property, allowed, value) = self.member(name, "a whole number", |form| match form {
            PropertyType::Integer(least, most, _) => Some(least..=most),
            _ => None,
        })?;
        let number = match value {
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let number = number.filter(|number| allowed.contains(number));
        if number.is_none() {
            self.invalid(name, property.allowed(), shown(value));
        }
        number
    }

    /// `true` or `false`, as a boolean or as the string that CloudFormation makes of it.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let (_, (), value) =
            self.member(name, "true or false", |form| matches!(form, PropertyType::Boolean).then_some(()))?;
        match value {
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
        let (property, (limits, count), value) = self.member(name, "a list of strings", |form| match form {
            PropertyType::Texts(text, count) => Some((text, count)),
            _ => None,
        })?;
        let items = match value {
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
        self.count(name, count, items.len());
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let member = format!("{name}[{index}]");
            match item {
                Value::String(text) if text.is_empty() => {
                    self.invalid(&member, "a value (leave it out with `!Ref AWS::NoValue`)", "\"\"");
                }
                Value::String(text) if !limits.allow(text) => {
                    self.invalid(&member, property.allowed(), format_args!("{text:?}"));
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

    fn count(&mut self, name: &str, allowed: Count, found: usize) {
        if !(allowed.min..=allowed.max).contains(&found) {
            let shown = if found == 0 { "an empty list".to_owned() } else { found.to_string() };
            self.invalid(name, allowed.expected(), shown);
        }
    }

    /// A list of objects, each read by `read`; a single object is a list of one.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (_, (object, count), value) = self.member(name, "a list of objects", |form| match form {
            PropertyType::Objects(object, count) => Some((object, count)),
            _ => None,
        })?;
        let items = match value {
            Value::Array(items) => items.as_slice(),
            single @ Value::Object(_) => std::slice::from_ref(single),
            other => {
                self.invalid(name, "a list of objects", kind_of(other));
                return None;
            }
        };
        let before = self.problems.len();
        self.count(name, count, items.len());
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let member = format!("{name}[{index}]");
            match item {
                Value::Object(members) => values.extend(self.nested(&member, members, object.properties, &mut read)),
                other => self.invalid(&member, "an object", kind_of(other)),
            }
        }
        (self.problems.len() == before).then_some(values)
    }

    /// Reads an object.
    pub fn object<T>(&mut self, name: &'static str, mut read: impl FnMut(&mut Fields<'_>) -> Option<T>) -> Option<T> {
        let (_, object, value) = self.member(name, "an object", |form| match form {
            PropertyType::Object(object) => Some(object),
            _ => None,
        })?;
        match value {
            Value::Object(members) => self.nested(name, members, object.properties, &mut read),
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
        described: &'static [Property],
        read: &mut impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut fields = Fields::at(format!("{}.", self.path(name)), members, described);
        let value = read(&mut fields);
        fields.note_unknown();
        self.problems.append(&mut fields.problems);
        value
    }

    /// A JSON document: an object, or the text of one.
    pub fn document(&mut self, name: &'static str) -> Option<Value> {
        let (_, (), value) =
            self.member(name, "a document", |form| matches!(form, PropertyType::Document).then_some(()))?;
        match value {
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

impl Text {
    fn allow(&self, text: &str) -> bool {
        (self.min..=self.max).contains(&text.chars().count()) && (self.values.is_empty() || self.values.contains(&text))
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
    nearest_few(name, known).into_iter().next()
}

/// Returns the known names that are most like a name: three at most, the most alike first.
pub(crate) fn nearest_few<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    const NEAR_ENOUGH: f64 = 0.8;
    let lower = name.to_lowercase();
    let likeness = |candidate: &str| strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase());
    let mut near: Vec<(f64, &str)> = known
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
        .collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::{Object, TEXT};
    use super::*;

    fn read<T>(
        described: &'static [Property],
        properties: &Value,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> (T, Vec<String>) {
        let Value::Object(members) = properties else { panic!("not an object") };
        let mut fields = Fields::of_request(members, described);
        let value = read(&mut fields);
        let problems = match fields.finish() {
            Ok(()) => Vec::new(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        };
        (value, problems)
    }

    const fn property(name: &'static str, form: PropertyType) -> Property {
        Property::new(name, form, "a thing", "")
    }

    const TEXTS: PropertyType = PropertyType::Texts(TEXT.at_most(3), Count::at_most(2, "things"));

    #[test]
    fn scalars_are_accepted_as_cloudformation_delivers_them() {
        const DESCRIBED: &[Property] = &[
            property("A", PropertyType::Integer(1, 9999, "seconds")),
            property("B", PropertyType::Integer(1, 9999, "seconds")),
            property("C", PropertyType::Boolean),
            property("D", PropertyType::Boolean),
            property("E", TEXTS),
        ];
        let properties = json!({"ServiceToken": "t", "A": "3600", "B": 3600, "C": "true", "D": false, "E": "x"});
        let (values, problems) = read(DESCRIBED, &properties, |fields| {
            (
                fields.integer("A"),
                fields.integer("B"),
                fields.boolean("C"),
                fields.boolean("D"),
                fields.texts("E", |text| Ok(text.to_owned())),
            )
        });
        assert_eq!(values, (Some(3600), Some(3600), Some(true), Some(false), Some(vec!["x".to_owned()])));
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn what_is_left_out_has_its_default_and_what_must_be_there_is_missed_once() {
        const DESCRIBED: &[Property] = &[
            property("Choice", PropertyType::Text(Text::one_of(&["This", "That"]))).default("That"),
            property("Wanted", PropertyType::Document).required(),
        ];
        let (choice, problems) = read(DESCRIBED, &json!({}), |fields| {
            fields.has("Wanted");
            fields.document("Wanted");
            fields.document("Wanted");
            fields.choice("Choice")
        });
        assert_eq!(choice, Some("That"));
        assert_eq!(problems, ["`Wanted` is required: a thing"]);
    }

    #[test]
    fn each_mistake_names_the_property_the_value_and_what_is_allowed() {
        const NESTED: Object = Object {
            name: "",
            doc: "",
            properties: &[property("Repository", PropertyType::Text(TEXT)).required()],
            any_of: &[],
        };
        const DESCRIBED: &[Property] = &[
            property("MaxSessionDuration", PropertyType::Integer(3600, 43200, "seconds")),
            property("Negative", PropertyType::Integer(0, 9, "things")),
            property("Flag", PropertyType::Boolean),
            property("Empty", PropertyType::Text(TEXT)),
            property("Null", PropertyType::Text(TEXT)),
            property("Choice", PropertyType::Text(Text::one_of(&["This", "That"]))),
            property("List", TEXTS),
            property("Holes", TEXTS),
            property("Many", TEXTS),
            property("Document", PropertyType::Document),
            property("Nested", PropertyType::Objects(&NESTED, Count { min: 3, max: 4, noun: "things" })),
            property("Wanted", PropertyType::Text(TEXT)).required(),
            property("Undescribed", PropertyType::Boolean),
        ];
        let properties = json!({
            "MaxSessionDuration": "900", "Negative": "-5", "Flag": "yes", "Empty": "", "Null": null, "Choice": "Those",
            "List": "a,b", "Nested": [{"Repositry": "x"}, 7], "Holes": ["", 3], "Many": ["a", "b", "cdef"], "Far": "x",
            "Document": "{", "Undescribed": "x",
        });
        let ((), problems) = read(DESCRIBED, &properties, |fields| {
            let any = |text: &str| Ok::<_, String>(text.to_owned());
            fields.integer("MaxSessionDuration");
            fields.integer("Negative");
            fields.boolean("Flag");
            fields.text("Empty");
            fields.text("Null");
            fields.choice("Choice");
            fields.texts("List", any);
            fields.texts("Holes", any);
            fields.texts("Many", any);
            fields.document("Document");
            fields.objects("Nested", |fields| fields.checked("Repository", any));
            fields.checked("Wanted", any);
            fields.text("Undescribed");
        });
        insta::assert_snapshot!(problems.join("\n"), @r#"
        `MaxSessionDuration`: expected 3600 to 43200 seconds, found "900"
        `Negative`: expected 0 to 9 things, found "-5"
        `Flag`: expected true or false, found "yes"
        `Empty`: expected a value (leave the property out with `!Ref AWS::NoValue`), found ""
        `Null`: expected a string, found null
        `Choice`: expected This or That, found "Those"
        `List`: expected a list of strings (turn a comma-separated string into one with `!Split [",", …]`), found "a,b"
        `Holes[0]`: expected a value (leave it out with `!Ref AWS::NoValue`), found ""
        `Holes[1]`: expected a string, found a number
        `Many`: expected at most 2 things, found 3
        `Many[2]`: expected a thing, found "cdef"
        `Document`: expected a JSON object, found "{"
        `Nested`: expected 3 to 4 things, found 2
        `Nested[0].Repository` is required: a thing
        unknown property `Nested[0].Repositry`; did you mean `Repository`?
        `Nested[1]`: expected an object, found a number
        `Wanted` is required: a thing
        `Undescribed` is not described as a string: a mistake in github-trust, not in the template
        unknown property `Far`; allowed are Choice, Document, Empty, Flag, Holes, List, Many, MaxSessionDuration, Negative, Nested, Null, Undescribed, Wanted
        "#);
    }
}
