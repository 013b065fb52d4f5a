//! The schema of a resource type. Requests are read by it, and the JSON Schemas and the reference are written from it.

/// The schema of a resource type.
#[derive(Clone, Copy, Debug)]
pub struct ResourceSchema {
    /// The name of the type: `Custom::…`.
    pub name: &'static str,
    /// The description, in a sentence or more.
    pub doc: &'static str,
    /// The page in `docs/` that explains the type. With other hyphens it is the module's name: `github-role`.
    pub guide: &'static str,
    /// The properties, beside CloudFormation's own.
    pub object: &'static Object,
    /// The value of `Ref`.
    pub reference: &'static str,
    /// The names and descriptions of the values of `Fn::GetAtt`.
    pub attributes: &'static [(&'static str, &'static str)],
}

/// An object: the properties of a resource, or a value of such a property.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// The name in schemas and in the reference, as CloudFormation names property types: `AccessScope`.
    pub name: &'static str,
    /// The description.
    pub doc: &'static str,
    /// The members.
    pub properties: &'static [Property],
    /// Groups of names; of each group at least one member is required.
    pub any_of: &'static [&'static [&'static str]],
}

/// The description of one property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The name in templates.
    pub name: &'static str,
    /// The type of the value.
    pub form: PropertyType,
    /// The property must be present.
    pub required: bool,
    /// The allowed values, for the message about a value that is not.
    pub expected: &'static str,
    /// The value of a property that is left out.
    pub default: Option<&'static str>,
    /// The effect of a changed value on the object; within another property, that of the whole.
    pub update: Update,
    /// The description, in Markdown.
    pub doc: &'static str,
}

/// The type of a property's value.
#[derive(Clone, Copy, Debug)]
pub enum PropertyType {
    /// A string.
    Text(Text),
    /// A whole number, in a unit.
    Integer(u32, u32, &'static str),
    /// `true` or `false`.
    Boolean,
    /// A list of strings; a single string is a list of one.
    Texts(Text, Count),
    /// A list of objects; a single object is a list of one.
    Objects(&'static Object, Count),
    /// One object.
    Object(&'static Object),
    /// A JSON document, or the text of one.
    Document,
}

/// The limits of a string. Parsers check more than can be said here.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The least number of characters.
    pub min: usize,
    /// The greatest number of characters.
    pub max: usize,
    /// A regular expression that every allowed value matches, for schemas and the reference.
    pub pattern: Option<&'static str>,
    /// The allowed values of an enumeration; else empty.
    pub values: &'static [&'static str],
}

/// The limits of a list.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// The least number of items.
    pub min: usize,
    /// The greatest number of items.
    pub max: usize,
    /// The noun for the items.
    pub noun: &'static str,
}

/// The effect of an Update that changes a property, in CloudFormation's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The object is changed.
    NoInterruption,
    /// The object is deleted and created again under the same id.
    SomeInterruptions,
    /// Another object is created, and the old one deleted when the stack's update is done.
    Replacement,
}

/// A string that is not empty.
pub const TEXT: Text = Text { min: 1, max: usize::MAX, pattern: None, values: &[] };

impl Text {
    /// Limits the string to `max` characters.
    #[must_use]
    pub const fn at_most(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// Requires `min` characters.
    #[must_use]
    pub const fn at_least(self, min: usize) -> Self {
        Self { min, ..self }
    }

    /// Allows the empty string.
    #[must_use]
    pub const fn or_empty(self) -> Self {
        Self { min: 0, ..self }
    }

    /// Adds a regular expression.
    #[must_use]
    pub const fn matching(self, pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), ..self }
    }

    /// Allows these values only.
    #[must_use]
    pub const fn one_of(values: &'static [&'static str]) -> Self {
        Self { values, ..TEXT }
    }
}

impl Count {
    /// Allows up to `max` items.
    #[must_use]
    pub const fn at_most(max: usize, noun: &'static str) -> Self {
        Self { min: 0, max, noun }
    }

    /// Allows one to `max` items.
    #[must_use]
    pub const fn some(max: usize, noun: &'static str) -> Self {
        Self { min: 1, max, noun }
    }

    /// Describes the allowed numbers, for a message.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self { min: 0, max, noun } => format!("at most {max} {noun}"),
            Self { min, max, noun } => format!("{min} to {max} {noun}"),
        }
    }
}

impl Property {
    pub(super) const fn new(name: &'static str, form: PropertyType, expected: &'static str, doc: &'static str) -> Self {
        Self { name, form, required: false, expected, default: None, update: Update::NoInterruption, doc }
    }

    /// Returns the allowed values of an enumeration; else none.
    #[must_use]
    pub fn values(&self) -> &'static [&'static str] {
        match self.form {
            PropertyType::Text(text) => text.values,
            _ => &[],
        }
    }

    /// Describes the allowed values, for a message.
    #[must_use]
    pub fn allowed(&self) -> String {
        match (self.form, self.values()) {
            (PropertyType::Integer(min, max, unit), _) => format!("{min} to {max} {unit}"),
            (_, []) => self.expected.to_owned(),
            (_, [some @ .., last]) if some.len() < 4 => format!("{} or {last}", some.join(", ")),
            (_, all) => format!("one of {}", all.join(", ")),
        }
    }
}
