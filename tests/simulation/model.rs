//! The vendor's description of the services, and what follows from it alone: which request is well-formed, and what
//! an answer looks like. `model.py` cuts `model.json` out of botocore; nothing here knows what an operation does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Map, Value};
use unicode_general_category::get_general_category;

use super::wire::escape_xml;

#[derive(Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) errors: BTreeMap<String, u16>,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    kind: String,
    min: Option<i64>,
    max: Option<i64>,
    pattern: Option<String>,
    #[serde(rename = "enum", default)]
    values: Vec<String>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    members: BTreeMap<String, Member>,
    member: Option<String>,
    key: Option<String>,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    shape: String,
    pub(crate) location: Option<String>,
    pub(crate) location_name: Option<String>,
}

static MODEL: OnceLock<BTreeMap<String, Service>> = OnceLock::new();

pub(crate) fn iam() -> &'static Service {
    service("iam")
}

pub(crate) fn eks() -> &'static Service {
    service("eks")
}

pub(crate) fn cloudformation() -> &'static Service {
    service("cloudformation")
}

pub(crate) fn secrets() -> &'static Service {
    service("secretsmanager")
}

fn service(name: &str) -> &'static Service {
    &MODEL.get_or_init(|| serde_json::from_str(include_str!("model.json")).expect("model.py wrote the model"))[name]
}

impl Service {
    fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }

    pub(crate) fn members(&self, shape: &str) -> &BTreeMap<String, Member> {
        &self.shape(shape).members
    }

    /// The form of the Query protocol as the tree its shape describes.
    pub(crate) fn read_form(&self, shape: &str, form: &[(String, String)]) -> Value {
        let form: BTreeMap<&str, &str> = form.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.read(shape, "", &form).unwrap_or(Value::Object(Map::new()))
    }

    fn read(&self, shape: &str, path: &str, form: &BTreeMap<&str, &str>) -> Option<Value> {
        let shape = self.shape(shape);
        match shape.kind.as_str() {
            "structure" => {
                let dot = if path.is_empty() { "" } else { "." };
                let members: Map<String, Value> = shape
                    .members
                    .iter()
                    .filter_map(|(name, member)| {
                        let value = self.read(&member.shape, &format!("{path}{dot}{name}"), form)?;
                        Some((name.clone(), value))
                    })
                    .collect();
                (!members.is_empty()).then_some(Value::Object(members))
            }
            "list" => {
                let element = shape.member.as_deref()?;
                let items: Vec<Value> =
                    (1..).map_while(|index| self.read(element, &format!("{path}.member.{index}"), form)).collect();
                // The Query protocol writes an empty list as its bare name.
                (!items.is_empty() || form.contains_key(path)).then_some(Value::Array(items))
            }
            "integer" => form.get(path).map(|text| text.parse::<i64>().map_or(Value::from(*text), Value::from)),
            "boolean" => form.get(path).map(|text| Value::from(*text == "true")),
            _ => form.get(path).map(|text| Value::from(*text)),
        }
    }

    /// Everything the model's own constraints say against an input, in the services' words.
    pub(crate) fn complaints(&self, shape: &str, input: &Value) -> Vec<String> {
        let mut complaints = Vec::new();
        self.complain(shape, input, "", &mut complaints);
        complaints
    }

    fn complain(&self, shape: &str, value: &Value, path: &str, out: &mut Vec<String>) {
        let shape = self.shape(shape);
        let mut refuse = |constraint: String| {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.push(format!("Value '{shown}' at '{path}' failed to satisfy constraint: Member must {constraint}"));
        };
        let length = match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        match (shape.kind.as_str(), value) {
            ("structure", Value::Object(members)) => {
                for name in &shape.required {
                    if !members.contains_key(name) {
                        let at = join(path, &lower_first(name));
                        out.push(format!("Value null at '{at}' failed to satisfy constraint: Member must not be null"));
                    }
                }
                for (name, value) in members {
                    if let Some(member) = shape.members.get(name) {
                        self.complain(&member.shape, value, &join(path, &lower_first(name)), out);
                    }
                }
            }
            ("list", Value::Array(items)) => {
                self.limits(shape, length, "have length", &mut refuse);
                for (index, item) in items.iter().enumerate() {
                    let at = format!("{path}.{}.member", index + 1);
                    self.complain(shape.member.as_deref().expect("a list has members"), item, &at, out);
                }
            }
            ("map", Value::Object(members)) => {
                self.limits(shape, length, "have length", &mut refuse);
                for (key, value) in members {
                    let at = format!("{path}.{key}.member");
                    self.complain(shape.key.as_deref().expect("a key"), &Value::from(key.as_str()), &at, out);
                    self.complain(shape.value.as_deref().expect("a value"), value, &at, out);
                }
            }
            ("string", Value::String(text)) => {
                self.limits(shape, length, "have length", &mut refuse);
                if let Some(pattern) = &shape.pattern
                    && !matches(pattern, text)
                {
                    refuse(format!("satisfy regular expression pattern: {pattern}"));
                }
                if !shape.values.is_empty() && !shape.values.contains(text) {
                    refuse(format!("satisfy enum value set: [{}]", shape.values.join(", ")));
                }
            }
            ("integer", Value::Number(number)) => {
                self.limits(shape, number.as_i64().unwrap_or(0), "have value", &mut refuse);
            }
            ("boolean", Value::Bool(_)) => {}
            (kind, _) => refuse(format!("be a {kind}")),
        }
    }

    #[allow(clippy::unused_self)]
    fn limits(&self, shape: &Shape, found: i64, what: &str, refuse: &mut impl FnMut(String)) {
        if let Some(min) = shape.min
            && found < min
        {
            refuse(format!("{what} greater than or equal to {min}"));
        }
        if let Some(max) = shape.max
            && found > max
        {
            refuse(format!("{what} less than or equal to {max}"));
        }
    }

    /// An output of the Query protocol. What the shape does not know stops the test: it would be our invention.
    pub(crate) fn write_xml(&self, shape: &str, value: &Value, out: &mut String) {
        let about = self.shape(shape);
        match (about.kind.as_str(), value) {
            ("structure", Value::Object(members)) => {
                for (name, value) in members {
                    let member = about.members.get(name).unwrap_or_else(|| panic!("{shape} has no member {name}"));
                    self.element(name, &member.shape, value, out);
                }
            }
            ("list", Value::Array(items)) => {
                for item in items {
                    self.element("member", about.member.as_deref().expect("members"), item, out);
                }
            }
            ("map", Value::Object(members)) => {
                for (key, value) in members {
                    out.push_str("<entry>");
                    let _ = write!(out, "<key>{}</key>", escape_xml(key));
                    self.element("value", about.value.as_deref().expect("values"), value, out);
                    out.push_str("</entry>");
                }
            }
            (_, Value::String(text)) => out.push_str(&escape_xml(text)),
            (_, Value::Number(_) | Value::Bool(_)) => out.push_str(&value.to_string()),
            (kind, value) => panic!("{shape} is a {kind}, not {value}"),
        }
    }

    fn element(&self, name: &str, shape: &str, value: &Value, out: &mut String) {
        let _ = write!(out, "<{name}>");
        self.write_xml(shape, value, out);
        let _ = write!(out, "</{name}>");
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The services name a member `maxSessionDuration` in a complaint and `MaxSessionDuration` in the API.
fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// The few regular expressions of the operations we have, each as the predicate it means; a new one stops the test.
fn matches(pattern: &str, text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // `\p{L}`, `\p{Z}` and `\p{N}` are these categories.
    let tag = |c: char| {
        let category = format!("{:?}", get_general_category(c));
        let is_allowed = ["Letter", "Number", "Separator"].iter().any(|class| category.ends_with(class));
        is_allowed || "_.:/=+-@".contains(c)
    };
    let all = |allowed: &dyn Fn(char) -> bool| text.chars().all(allowed);
    match pattern {
        r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+" | r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*" => all(&tag),
        r"[\u0020-\u00FF]+" => all(&|c| ('\u{20}'..='\u{ff}').contains(&c)),
        r"[\w+=,.@-]+" => all(&|c| word(c) || "+=,.@-".contains(c)),
        r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)" => {
            text.starts_with('/') && text.ends_with('/') && text != "//" && all(&|c| ('\u{21}'..='\u{7e}').contains(&c))
        }
        r"[\u0009\u000A\u000D\u0020-\u00FF]+" => all(&|c| "\t\n\r".contains(c) || ('\u{20}'..='\u{ff}').contains(&c)),
        r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*" => {
            all(&|c| "\t\n\r".contains(c) || ('\u{20}'..='\u{7e}').contains(&c) || ('\u{a1}'..='\u{ff}').contains(&c))
        }
        r"\u002F[\u0021-\u007F]*" => text.starts_with('/') && all(&|c| ('\u{21}'..='\u{7f}').contains(&c)),
        r"((/[A-Za-z0-9\.,\+@=_-]+)*)/" => {
            text.starts_with('/')
                && text.ends_with('/')
                && !text.contains("//")
                && all(&|c| c.is_ascii_alphanumeric() || "/.,+@=_-".contains(c))
        }
        r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$" => all(&|c| c.is_ascii_alphanumeric() || " :_@/+=.-!".contains(c)),
        other => panic!("no predicate for the pattern {other}"),
    }
}
