//! The strict and complete reading of properties. Every scalar may arrive as a string, every unknown name is a mistake, and
//! all mistakes are reported together, because each attempt costs the author a stack update.

use std::fmt;
use std::marker::PhantomData;

use serde_json::{Map, Value};

use super::nearest::nearest;
pub use super::property_error::{PropertyError, PropertyErrors};
use super::property_handle::{Boolean, Document, Handle, Integer, Nested, ObjectType, Objects, Texts, Typed};
use super::request::excerpt;
use super::schema::{Count, Object, Property, Text};
use super::strict_json::{self, JsonError};
use super::synonyms::meant;

/// The members of one object of the type `O`. A method that finds a mistake notes it and returns nothing, so that reading
/// goes on.
#[derive(Debug)]
pub struct Fields<'a, O> {
    path: String,
    members: &'a Map<String, Value>,
    errors: PropertyErrors,
    object: PhantomData<O>,
}

impl<'a, O: ObjectType> Fields<'a, O> {
    /// Returns the members of a request's `ResourceProperties`.
    #[must_use]
    pub fn of_request(properties: &'a Map<String, Value>) -> Self {
        Self::at(String::new(), properties)
    }

    fn at(path: String, members: &'a Map<String, Value>) -> Self {
        Self { path, members, errors: PropertyErrors::default(), object: PhantomData }
    }

    /// Returns the mistakes, unknown names included.
    ///
    /// # Errors
    /// When there is at least one.
    pub fn finish(mut self) -> Result<(), PropertyErrors> {
        note_unknown(&self.path, self.members, O::OBJECT, &mut self.errors);
        self.errors.put_misspelt_first();
        if self.errors.len() == 0 { Ok(()) } else { Err(self.errors) }
    }

    /// Notes that a value is not allowed.
    pub fn invalid<T>(&mut self, handle: Handle<O, T>, expected: impl Into<String>, found: impl fmt::Display) {
        self.note_invalid(handle.name(), expected, found);
    }

    /// Notes that an item of a list is not allowed.
    pub fn invalid_item<T>(
        &mut self,
        handle: Handle<O, T>,
        index: usize,
        expected: impl Into<String>,
        found: impl fmt::Display,
    ) {
        self.note_invalid(&format!("{}[{index}]", handle.name()), expected, found);
    }

    fn note_invalid(&mut self, name: &str, expected: impl Into<String>, found: impl fmt::Display) {
        let Self { path, errors, .. } = self;
        errors.push(|| PropertyError::Invalid {
            path: format!("{path}{name}"),
            expected: expected.into(),
            found: excerpt(&found.to_string()),
        });
    }

    /// Notes that a required property is absent.
    pub fn missing<T>(&mut self, handle: Handle<O, T>, expected: impl Into<String>) {
        let error =
            PropertyError::Missing { path: format!("{}{}", self.path, handle.name()), expected: expected.into() };
        if !self.errors.contains(&error) {
            self.errors.push(|| error);
        }
    }

    /// Notes that a property has to be left out, where it is present.
    pub fn forbid<T>(&mut self, handle: Handle<O, T>, expected: impl Into<String>) {
        if self.has(handle) {
            self.invalid(handle, expected, "a value");
        }
    }

    /// Returns true if a mistake was noted in this object.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors.len() > 0
    }

    /// Returns true if the author wrote this property.
    #[must_use]
    pub fn has<T>(&self, handle: Handle<O, T>) -> bool {
        self.members.contains_key(handle.name())
    }

    /// Returns the value, and notes the absence of a required one.
    fn member<T>(&mut self, handle: Handle<O, T>) -> Option<(&'static Property, &'static T, &'a Value)> {
        let Typed { property, form } = handle.typed;
        let value = self.members.get(property.name);
        if value.is_none() && property.required {
            self.missing(handle, property.allowed());
        }
        Some((property, form, value?))
    }

    /// Reads a string. An empty one, where it is not allowed, often comes from an `!If` without `!Ref AWS::NoValue`.
    pub fn text(&mut self, handle: Handle<O, Text>) -> Option<String> {
        let (property, limits, value) = self.member(handle)?;
        match value {
            Value::String(text) if text.is_empty() && limits.min > 0 => {
                self.invalid(handle, "a value (leave the property out with `!Ref AWS::NoValue`)", "\"\"");
                None
            }
            Value::String(text) if limits.allow(text) => Some(text.clone()),
            Value::String(text) => {
                self.invalid(handle, property.allowed(), format_args!("{text:?}"));
                None
            }
            other => {
                self.invalid(handle, "a string", type_of(other));
                None
            }
        }
    }

    /// Reads a string that passes `check`, whose error is the description of the allowed values.
    pub fn checked<T>(&mut self, handle: Handle<O, Text>, check: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(handle)?;
        check(&text).map_err(|expected| self.invalid(handle, expected, format_args!("{text:?}"))).ok()
    }

    /// Reads one of a few values, or returns its default.
    pub fn choice(&mut self, handle: Handle<O, Text>) -> Option<&'static str> {
        let Typed { property, form } = handle.typed;
        if !self.has(handle) && property.default.is_some() {
            return property.default;
        }
        let text = self.text(handle)?;
        form.values.iter().copied().find(|value| *value == text)
    }

    /// Reads a whole number within its range, as a number or a string of digits.
    pub fn integer(&mut self, handle: Handle<O, Integer>) -> Option<u32> {
        let (property, Integer { min, max }, value) = self.member(handle)?;
        let number = match value {
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let number = number.filter(|number| (min..=max).contains(&number));
        if number.is_none() {
            self.invalid(handle, property.allowed(), display(value));
        }
        number
    }

    /// Reads a boolean, or the string that CloudFormation makes of it.
    pub fn boolean(&mut self, handle: Handle<O, Boolean>) -> Option<bool> {
        let (_, Boolean, value) = self.member(handle)?;
        match value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            other => {
                self.invalid(handle, "true or false", display(other));
                None
            }
        }
    }

    /// Reads a list of strings, each of which passes `check`; a single string is a list of one.
    pub fn texts<T>(&mut self, handle: Handle<O, Texts>, check: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let (property, Texts { each, count }, value) = self.member(handle)?;
        let items = match value {
            Value::Array(items) => items.as_slice(),
            Value::String(text) if text.contains(',') => {
                let expected = "a list of strings (turn a comma-separated string into one with `!Split [\",\", …]`)";
                self.invalid(handle, expected, format_args!("{text:?}"));
                return None;
            }
            single @ Value::String(_) => std::slice::from_ref(single),
            other => {
                self.invalid(handle, "a list of strings", type_of(other));
                return None;
            }
        };
        let before = self.errors.len();
        if !self.count(handle, *count, items.len()) {
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::String(text) if text.is_empty() => {
                    self.invalid_item(handle, index, "a value (leave it out with `!Ref AWS::NoValue`)", "\"\"");
                }
                Value::String(text) if !each.allow(text) => {
                    self.invalid_item(handle, index, property.allowed(), format_args!("{text:?}"));
                }
                Value::String(text) => match check(text) {
                    Ok(value) => values.push(value),
                    Err(expected) => self.invalid_item(handle, index, expected, format_args!("{text:?}")),
                },
                other => self.invalid_item(handle, index, "a string", type_of(other)),
            }
        }
        (self.errors.len() == before).then_some(values)
    }

    /// Notes a wrong number of items, before any of them is read.
    fn count<T>(&mut self, handle: Handle<O, T>, allowed: Count, found: usize) -> bool {
        let is_allowed = (allowed.min..=allowed.max).contains(&found);
        if !is_allowed {
            let found = if found == 0 { "an empty list".to_owned() } else { found.to_string() };
            self.invalid(handle, allowed.expected(), found);
        }
        is_allowed
    }

    /// Reads a list of objects, each of them by `read`; a single object is a list of one.
    pub fn objects<I: ObjectType, T>(
        &mut self,
        handle: Handle<O, Objects<I>>,
        mut read: impl FnMut(&mut Fields<'_, I>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (property, Objects { count, .. }, value) = self.member(handle)?;
        let items = match value {
            Value::Array(items) => items.as_slice(),
            // A map, as other tools write tags.
            Value::Object(members) if !members.is_empty() && !members.keys().any(|name| knows(I::OBJECT, name)) => {
                let names: Vec<&str> = members.keys().map(String::as_str).collect();
                let found = if let [name] = *names {
                    format!("the member {name}")
                } else {
                    format!("the members {}", names.join(", "))
                };
                self.invalid(handle, property.expected, format_args!("an object with {found}"));
                return None;
            }
            single @ Value::Object(_) => std::slice::from_ref(single),
            other => {
                self.invalid(handle, "a list of objects", type_of(other));
                return None;
            }
        };
        let before = self.errors.len();
        if !self.count(handle, *count, items.len()) {
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::Object(members) => {
                    values.extend(self.nested(&format!("{}[{index}]", handle.name()), members, &mut read));
                }
                other => self.invalid_item(handle, index, "an object", type_of(other)),
            }
        }
        (self.errors.len() == before).then_some(values)
    }

    /// Reads one object.
    pub fn object<I: ObjectType, T>(
        &mut self,
        handle: Handle<O, Nested<I>>,
        mut read: impl FnMut(&mut Fields<'_, I>) -> Option<T>,
    ) -> Option<T> {
        let (_, _, value) = self.member(handle)?;
        match value {
            Value::Object(members) => self.nested(handle.name(), members, &mut read),
            other => {
                self.invalid(handle, "an object", type_of(other));
                None
            }
        }
    }

    fn nested<I: ObjectType, T>(
        &mut self,
        name: &str,
        members: &Map<String, Value>,
        read: &mut impl FnMut(&mut Fields<'_, I>) -> Option<T>,
    ) -> Option<T> {
        let mut fields = Fields::at(format!("{}{name}.", self.path), members);
        let value = read(&mut fields);
        note_unknown(&fields.path, members, I::OBJECT, &mut fields.errors);
        self.errors.append(fields.errors);
        value
    }

    /// Reads a JSON document: an object, or the text of one.
    pub fn document(&mut self, handle: Handle<O, Document>) -> Option<Value> {
        let (_, Document, value) = self.member(handle)?;
        match value {
            object @ Value::Object(_) => Some(object.clone()),
            Value::String(text) => {
                let (expected, found) = match strict_json::read(text) {
                    Ok(object @ Value::Object(_)) => return Some(object),
                    Ok(_) => ("a JSON object", format!("{text:?}")),
                    Err(JsonError::Twice(place)) => {
                        ("a JSON object in which each key stands once", format!("{place} twice"))
                    }
                    Err(large @ JsonError::Large) => ("a JSON object", format!("a text: {large}")),
                    Err(JsonError::Syntax(error)) => ("a JSON object", format!("{error} of {text:?}")),
                };
                self.invalid(handle, expected, found);
                None
            }
            other => {
                self.invalid(handle, "a JSON object", type_of(other));
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

/// Notes each member that the object does not describe. CloudFormation adds its own to the properties of every request.
fn note_unknown(path: &str, members: &Map<String, Value>, object: &Object, errors: &mut PropertyErrors) {
    const RESERVED: [&str; 2] = ["ServiceToken", "ServiceTimeout"];
    let is_known = |name: &str| knows(object, name) || (path.is_empty() && RESERVED.contains(&name));
    for name in members.keys().filter(|name| !is_known(name)) {
        errors.push(|| {
            let names = object.properties.iter().map(|property| property.name);
            let mut known: Vec<_> = names.filter(|name| !RESERVED.contains(name)).collect();
            known.sort_unstable();
            PropertyError::Unknown {
                path: format!("{path}{}", excerpt(name)),
                meant: meant(name, &known),
                nearest: nearest(name, known.iter().copied()),
                known,
            }
        });
    }
    errors.remove_followers(path, object.any_of);
}

fn knows(object: &Object, name: &str) -> bool {
    object.properties.iter().any(|property| property.name == name)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn display(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => type_of(value).to_owned(),
        scalar => scalar.to_string(),
    }
}
