//! The schema of a resource type, stated once: requests are read by it, and the JSON Schemas and the reference are
//! written from it. A property that is read but not described fails every request of its type; one that is described
//! but never read fails a test.

/// A type of resource, as its author sees it.
#[derive(Clone, Copy, Debug)]
pub struct ResourceSchema {
    /// `Custom::…`
    pub name: &'static str,
    /// The purpose of the type, in a sentence or more.
    pub doc: &'static str,
    /// The page in `docs/` that explains it, and with other hyphens its module: `github-role`.
    pub guide: &'static str,
    /// Its properties, beside CloudFormation's own.
    pub object: Object,
    /// The value that `Ref` gives.
    pub reference: &'static str,
    /// What `Fn::GetAtt` gives: names and what they say.
    pub attributes: &'static [(&'static str, &'static str)],
}

/// An object: a resource's properties, or what such a property holds.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Its name in schemas and in the reference, as CloudFormation names property types: `AccessScope`.
    pub name: &'static str,
    /// The description.
    pub doc: &'static str,
    /// Its members.
    pub properties: &'static [Property],
    /// Of each of these, at least one has to be there.
    pub any_of: &'static [&'static [&'static str]],
}

/// A property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// As CloudFormation, GitHub or we name it.
    pub name: &'static str,
    /// The type of its value.
    pub form: PropertyType,
    /// True if it is required.
    pub required: bool,
    /// The allowed values, for the message about any other value.
    pub expected: &'static str,
    /// The default.
    pub default: Option<&'static str>,
    /// The effect of an update on the object; within another property, that of the whole.
    pub update: Update,
    /// The description, in Markdown.
    pub doc: &'static str,
}

/// The type of a property.
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
    /// An object.
    Object(&'static Object),
    /// A JSON document, or the text of one.
    Document,
}

/// The limits of a string. Resource types check more than can be stated here.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// In characters.
    pub min: usize,
    /// In characters.
    pub max: usize,
    /// A regular expression that every allowed value matches, for schemas and the reference.
    pub pattern: Option<&'static str>,
    /// The only values, where there are few.
    pub values: &'static [&'static str],
}

/// The limits of the length of a list.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
    /// The noun for the items.
    pub noun: &'static str,
}

/// The effect of an Update that changes a property, in CloudFormation's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The object is changed.
    NoInterruption,
    /// The object is deleted and made again under the same id.
    SomeInterruptions,
    /// Another object is made, and the old one deleted when the stack's update is done.
    Replacement,
}

/// A string that is not empty.
pub const TEXT: Text = Text { min: 1, max: usize::MAX, pattern: None, values: &[] };

impl Text {
    /// At most so many characters.
    #[must_use]
    pub const fn at_most(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// At least so many characters.
    #[must_use]
    pub const fn at_least(self, min: usize) -> Self {
        Self { min, ..self }
    }

    /// Empty, too.
    #[must_use]
    pub const fn or_empty(self) -> Self {
        Self { min: 0, ..self }
    }

    /// Matching a regular expression.
    #[must_use]
    pub const fn matching(self, pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), ..self }
    }

    /// A string that is one of these values.
    #[must_use]
    pub const fn one_of(values: &'static [&'static str]) -> Self {
        Self { values, ..TEXT }
    }
}

impl Count {
    /// At most so many.
    #[must_use]
    pub const fn at_most(max: usize, noun: &'static str) -> Self {
        Self { min: 0, max, noun }
    }

    /// At least one, at most so many.
    #[must_use]
    pub const fn some(max: usize, noun: &'static str) -> Self {
        Self { min: 1, max, noun }
    }

    /// Any number.
    #[must_use]
    pub const fn any(noun: &'static str) -> Self {
        Self::at_most(usize::MAX, noun)
    }

    /// The allowed values, for a message.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self { min: 0, max, noun } => format!("at most {max} {noun}"),
            Self { min: 1, max: usize::MAX, noun } => format!("at least one {noun}"),
            Self { min, max, noun } => format!("{min} to {max} {noun}"),
        }
    }
}

impl Property {
    /// A property that may be left out and is updated in place.
    #[must_use]
    pub const fn new(name: &'static str, form: PropertyType, expected: &'static str, doc: &'static str) -> Self {
        Self { name, form, required: false, expected, default: None, update: Update::NoInterruption, doc }
    }

    /// Makes the property required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// With what holds where it is left out.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Sets the effect of an update.
    #[must_use]
    pub const fn update(self, update: Update) -> Self {
        Self { update, ..self }
    }

    /// The only values, where there are few.
    #[must_use]
    pub fn values(&self) -> &'static [&'static str] {
        match self.form {
            PropertyType::Text(text) => text.values,
            _ => &[],
        }
    }

    /// What is allowed, for a message.
    #[must_use]
    pub fn allowed(&self) -> String {
        match (self.form, self.values()) {
            (PropertyType::Integer(least, most, unit), _) => format!("{least} to {most} {unit}"),
            (_, []) => self.expected.to_owned(),
            (_, [some @ .., last]) if some.len() < 4 => format!("{} or {last}", some.join(", ")),
            (_, all) => format!("one of {}", all.join(", ")),
        }
    }
}
