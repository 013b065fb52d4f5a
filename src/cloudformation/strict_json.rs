//! JSON of people and services, in which each key of an object stands once. Of a key that stands twice other readers take one value and drop
//! the other one, so that a policy would be wider than it reads. A text is measured before it is read: its values may take a
//! hundred times its memory.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The reason that a text is not read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// A key stands twice in an object.
    #[error("{0} twice")]
    Twice(String),
    /// The values would take too much memory.
    #[error("it has too many values, or too long ones, to be read")]
    Large,
    /// The text is not JSON. The error holds positions only, nothing of the document.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
}

/// The memory that the values of texts may take which are kept at the same time, in bytes. The largest template of CloudFormation, a
/// megabyte, takes less.
const ROOM: usize = 20_000_000;

/// The memory that is left for the values of texts.
#[derive(Debug)]
pub struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(ROOM)
    }
}

impl Room {
    /// Takes the memory for the values of a text.
    ///
    /// # Errors
    /// When less is left.
    pub fn take(&mut self, text: &str) -> Result<(), JsonError> {
        self.0 = self.0.checked_sub(memory(text)).ok_or(JsonError::Large)?;
        Ok(())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When it is not JSON, too little memory is left, or a key stands twice in an object.
    pub fn read(&mut self, text: &str) -> Result<Value, JsonError> {
        self.take(text)?;
        let place = RefCell::new(Place::default());
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Seed(&place).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        let twice = place.into_inner().twice;
        read.map_err(|error| twice.map_or(JsonError::Syntax(error), JsonError::Twice))
    }
}

/// The memory that the values of a text take at most, in bytes.
fn memory(text: &str) -> usize {
    /// An object with a member, which is a node of a tree with room for eleven.
    const OBJECT: usize = 700;
    /// A list with an item.
    const LIST: usize = 160;
    /// One more member or item.
    const MORE: usize = 128;
    let (mut size, mut is_text, mut is_escaped, mut before) = (text.len(), false, false, b' ');
    for byte in text.bytes() {
        if is_text {
            (is_text, is_escaped) = (is_escaped || byte != b'"', !is_escaped && byte == b'\\');
            continue;
        }
        size += match (before, byte) {
            (b'{', b'"') => OBJECT,
            (b'[', byte) if !byte.is_ascii_whitespace() && byte != b']' => LIST,
            (_, b',') => MORE,
            _ => 0,
        };
        is_text = byte == b'"';
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    size
}

/// Reads a text.
///
/// # Errors
/// When it is not JSON, has too many values, or a key stands twice in an object.
pub fn read(text: &str) -> Result<Value, JsonError> {
    Room::default().read(text)
}

/// The way to the value that is being read.
#[derive(Default)]
struct Place {
    steps: Vec<String>,
    twice: Option<String>,
}

#[derive(Clone, Copy)]
struct Seed<'a>(&'a RefCell<Place>);

impl Seed<'_> {
    /// Reads a value one step further.
    fn step<T>(self, step: String, read: impl FnOnce(Self) -> T) -> T {
        self.0.borrow_mut().steps.push(step);
        let value = read(self);
        self.0.borrow_mut().steps.pop();
        value
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = self.step(format!("[{}]", list.len()), |seed| items.next_element_seed(seed))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                let mut place = self.0.borrow_mut();
                let way: String = place.steps.concat();
                place.twice = Some(format!("`{}`", format!("{way}.{key}").trim_start_matches('.')));
                return Err(A::Error::custom("a key stands twice"));
            }
            let value = self.step(format!(".{key}"), |seed| members.next_value_seed(seed))?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_told_with_its_place() {
        for (text, place) in [
            (r#"{"a": 1, "a": 1}"#, "`a` twice"),
            (r#"{"a": {"b": [0, {"c": 1, "\u0063": 2}]}}"#, "`a.b[1].c` twice"),
            (r#"[[{"x": {}, "y": 0, "x": {}}]]"#, "`[0][0].x` twice"),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), place);
        }
    }

    #[test]
    fn values_are_measured_outside_of_texts() {
        for (text, more) in [
            ("[]", 0),
            ("[ ]", 0),
            ("{}", 0),
            ("[ 1]", 160),
            ("[1, 2]", 160 + 128),
            (r#"{ "a": [{}, {"b": 1, "c": 2}]}"#, 700 + 160 + 128 + 700 + 128),
            (r#""[1,{\"a\":\"b\",[1]}]""#, 0),
            (r#"["\\", "\"[1,"]"#, 160 + 128),
        ] {
            assert_eq!(memory(text), text.len() + more, "{text}");
        }
    }

    #[test]
    fn a_text_with_too_many_values_is_not_read() {
        let dense = format!("[{}0]", r#"{"a":0},"#.repeat(30_000));
        assert!(matches!(read(&dense), Err(JsonError::Large)));
        let mut room = Room::default();
        assert!(room.read(&dense[..20_000].replace("[{", "[[{")).is_err());
        let half = format!("[{}0]", r#"{"a":0},"#.repeat(15_000));
        assert!(room.read(&half).is_ok() && room.read(&half).is_err());
    }

    #[test]
    fn any_other_text_is_read_as_ever() {
        for text in [r#"{"a": [1, -2, 0.5, true, null, "\u00e9"], "b": {"a": {"a": {}}}}"#, "1", "\"a\"", "[]"] {
            assert_eq!(read(text).expect(text), serde_json::from_str::<Value>(text).expect(text));
        }
        for text in ["", "{", "{\"a\": 1} x", "[1,]", &"[".repeat(200)] {
            let expected = serde_json::from_str::<Value>(text).expect_err(text).to_string();
            assert_eq!(read(text).expect_err(text).to_string(), expected);
        }
    }
}
