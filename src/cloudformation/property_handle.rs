//! The typed handles by which a parser reads the properties of a schema.
//!
//! `object_type!` declares the properties of an object, each with the type that it is read as. The compiler holds the two
//! sides together: a property that is not declared has no [`Handle`] to read it with, and a handle that no parser uses is dead
//! code, which is denied.

use std::fmt::Debug;
use std::marker::PhantomData;

use super::schema::{Count, Object, Property, PropertyType, Text, Update};

/// A type of object, declared by `object_type!`.
pub trait ObjectType: Copy + Debug + 'static {
    /// The description.
    const OBJECT: &'static Object;
}

/// A property together with the type that it is read as.
#[derive(Clone, Copy, Debug)]
pub struct Typed<T> {
    /// The description.
    pub property: Property,
    pub(super) form: T,
}

/// The permission to read a property of the object type `O` as a `T`.
#[derive(Debug)]
pub struct Handle<O, T: 'static> {
    pub(super) typed: &'static Typed<T>,
    object: PhantomData<O>,
}

impl<O, T> Handle<O, T> {
    pub(crate) const fn new(typed: &'static Typed<T>) -> Self {
        Self { typed, object: PhantomData }
    }

    /// The name of the property.
    pub(crate) const fn name(self) -> &'static str {
        self.typed.property.name
    }
}

impl<O, T> Clone for Handle<O, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, T> Copy for Handle<O, T> {}

/// Declares a type of object: its name, its description and, as a constant each, the handles of its properties.
macro_rules! object_type {
    (
        $(#[$attribute:meta])*
        $visibility:vis $name:ident $(($doc:literal $(, any_of: $([$($any_of:literal),+]),+)?))? => {
            $($key:ident: $form:ty = $property:expr;)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug)]
        $visibility enum $name {}

        impl $name {
            $(
                pub(super) const $key: $crate::cloudformation::property_handle::Handle<Self, $form> =
                    $crate::cloudformation::property_handle::Handle::new(&$property);
            )+
        }

        impl $crate::cloudformation::property_handle::ObjectType for $name {
            const OBJECT: &'static $crate::cloudformation::schema::Object = &$crate::cloudformation::schema::Object {
                name: stringify!($name),
                doc: concat!($($doc)?),
                properties: &[$({
                    let typed: $crate::cloudformation::property_handle::Typed<$form> = $property;
                    typed.property
                }),+],
                any_of: &[$($($(&[$($any_of),+]),+)?)?],
            };
        }
    };
}
pub(crate) use object_type;

/// A whole number in a range.
#[derive(Clone, Copy, Debug)]
pub struct Integer {
    pub(super) min: u32,
    pub(super) max: u32,
}

/// A boolean.
#[derive(Clone, Copy, Debug)]
pub struct Boolean;

/// A list of strings.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    pub(super) each: Text,
    pub(super) count: Count,
}

/// A list of objects of the type `O`.
#[derive(Clone, Copy, Debug)]
pub struct Objects<O> {
    pub(super) count: Count,
    object: PhantomData<O>,
}

/// One object of the type `O`.
#[derive(Clone, Copy, Debug)]
pub struct Nested<O>(PhantomData<O>);

/// A JSON document.
#[derive(Clone, Copy, Debug)]
pub struct Document;

impl Property {
    /// Describes a string.
    #[must_use]
    pub const fn text(name: &'static str, text: Text, expected: &'static str, doc: &'static str) -> Typed<Text> {
        Typed { property: Self::new(name, PropertyType::Text(text), expected, doc), form: text }
    }

    /// Describes one of a few values.
    #[must_use]
    pub const fn choice(name: &'static str, values: &'static [&'static str], doc: &'static str) -> Typed<Text> {
        Self::text(name, Text::one_of(values), "", doc)
    }

    /// Describes a whole number from `min` to `max`.
    #[must_use]
    pub const fn integer(
        name: &'static str,
        min: u32,
        max: u32,
        unit: &'static str,
        doc: &'static str,
    ) -> Typed<Integer> {
        Typed { property: Self::new(name, PropertyType::Integer(min, max, unit), "", doc), form: Integer { min, max } }
    }

    /// Describes a boolean.
    #[must_use]
    pub const fn boolean(name: &'static str, expected: &'static str, doc: &'static str) -> Typed<Boolean> {
        Typed { property: Self::new(name, PropertyType::Boolean, expected, doc), form: Boolean }
    }

    /// Describes a list of strings.
    #[must_use]
    pub const fn texts(
        name: &'static str,
        each: Text,
        count: Count,
        expected: &'static str,
        doc: &'static str,
    ) -> Typed<Texts> {
        Typed {
            property: Self::new(name, PropertyType::Texts(each, count), expected, doc),
            form: Texts { each, count },
        }
    }

    /// Describes a list of objects.
    #[must_use]
    pub const fn objects<O: ObjectType>(
        name: &'static str,
        count: Count,
        expected: &'static str,
        doc: &'static str,
    ) -> Typed<Objects<O>> {
        let property = Self::new(name, PropertyType::Objects(O::OBJECT, count), expected, doc);
        Typed { property, form: Objects { count, object: PhantomData } }
    }

    /// Describes one object.
    #[must_use]
    pub const fn object<O: ObjectType>(
        name: &'static str,
        expected: &'static str,
        doc: &'static str,
    ) -> Typed<Nested<O>> {
        Typed { property: Self::new(name, PropertyType::Object(O::OBJECT), expected, doc), form: Nested(PhantomData) }
    }

    /// Describes a JSON document.
    #[must_use]
    pub const fn document(name: &'static str, expected: &'static str, doc: &'static str) -> Typed<Document> {
        Typed { property: Self::new(name, PropertyType::Document, expected, doc), form: Document }
    }
}

impl<T: Copy> Typed<T> {
    /// Makes the property required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { property: Property { required: true, ..self.property }, ..self }
    }

    /// Sets the value of a property that is left out.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Self { property: Property { default: Some(default), ..self.property }, ..self }
    }

    /// Sets the effect of a changed value.
    #[must_use]
    pub const fn update(self, update: Update) -> Self {
        Self { property: Property { update, ..self.property }, ..self }
    }
}

#[cfg(test)]
mod tests {
    /// The lints in `Cargo.toml` deny dead code, and warn of an expectation that nothing fulfils.
    #[expect(dead_code, reason = "proves that a property which is declared and not read does not compile")]
    mod unread {
        use crate::cloudformation::property_handle::ObjectType;
        use crate::cloudformation::schema::{Property, TEXT, Text};

        object_type! {
            Properties => {
                NAME: Text = Property::text("Name", TEXT, "a name", "");
            }
        }

        #[test]
        fn a_property_that_is_declared_and_not_read_is_dead_code() {
            assert_eq!(Properties::OBJECT.properties.len(), 1);
        }
    }
}
