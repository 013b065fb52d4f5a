//! JSON Schemas. One for each kind, in the form of CloudFormation's registry; and one for whole templates, which editors
//! take, and in which an intrinsic function may stand for any value.

use github_trust::cloudformation::schema::{Count, Object, Property, PropertyType, ResourceSchema, Text, Update};
use github_trust::handler::RESOURCES;
use serde_json::{Map, Value, json};

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";
const TOKEN: &str =
    "The ARN of the function. Its stack exports it as `github-trust-ServiceToken` (after `FunctionName`).";
const TIMEOUT: &str = "The seconds that CloudFormation waits for an answer.";

/// CloudFormation's own properties of a custom resource, as far as the kind does not describe them itself.
pub(super) fn of_cloudformation(resource: &ResourceSchema) -> Vec<Property> {
    const TEXT: Text = github_trust::cloudformation::schema::TEXT;
    let own = [
        Property::text("ServiceToken", TEXT, "", TOKEN).required().update(Update::Replacement).property,
        Property::integer("ServiceTimeout", 1, 3600, "seconds", TIMEOUT).default("3600").property,
    ];
    let described = |name| resource.object.properties.iter().any(|property| property.name == name);
    own.into_iter().filter(|property| !described(property.name)).collect()
}

/// All that an object holds, beside what it is part of.
pub(super) fn nested(properties: &[Property], found: &mut Vec<&'static Object>) {
    for property in properties {
        if let PropertyType::Object(object) | PropertyType::Objects(object, _) = property.form {
            if !found.iter().any(|known| known.name == object.name) {
                found.push(object);
            }
            nested(object.properties, found);
        }
    }
}

/// How strictly values are held.
#[derive(Clone, Copy, PartialEq)]
enum For {
    /// What CloudFormation sends: the function's own rules.
    Requests,
    /// What authors write: CloudFormation makes strings of numbers, and functions stand for values.
    Templates,
}

/// A kind's schema.
pub(super) fn resource(resource: &ResourceSchema) -> Value {
    let mut schema = properties(resource, For::Requests, "#/definitions/");
    let path = |name: &str| json!(format!("/properties/{name}"));
    let replaced = resource.object.properties.iter().filter(|property| property.update == Update::Replacement);
    let attributes = resource.attributes.iter();
    schema.extend([
        ("$schema".to_owned(), json!(DRAFT)),
        ("typeName".to_owned(), json!(resource.name)),
        ("description".to_owned(), json!(resource.doc)),
        ("createOnlyProperties".to_owned(), replaced.map(|property| path(property.name)).collect()),
        // The registry would have them among the properties, where some of them are something else.
        (
            "attributes".to_owned(),
            attributes.map(|&(name, doc)| (name, json!({"type": "string", "description": doc}))).collect(),
        ),
        ("definitions".to_owned(), definitions(resource, For::Requests, "#/definitions/")),
    ]);
    Value::Object(schema)
}

/// A schema of whole templates, which says of these kinds what it knows and lets everything else be.
pub(super) fn template() -> Value {
    let mut definitions = json!({
        // An intrinsic function.
        "function": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "patternProperties": {"^(Ref|Condition|Fn::[A-Za-z:]+)$": {}},
            "additionalProperties": false,
        },
        // The short form of one, which to an editor is a list, as `!Ref` is a string: `!If [condition, this, that]`.
        "tagged": {"type": "array", "minItems": 2, "items": [{"type": ["string", "number"]}]},
    });
    let mut kinds = Vec::new();
    for resource in &RESOURCES {
        let name = resource.name.trim_start_matches("Custom::");
        let below = format!("#/definitions/{name}/definitions/");
        let mut schema = properties(resource, For::Templates, &below);
        schema.insert("definitions".into(), self::definitions(resource, For::Templates, &below));
        definitions[name] = Value::Object(schema);
        kinds.push(json!({
            "if": {"properties": {"Type": {"const": resource.name}}, "required": ["Type"]},
            "then": {
                "description": resource.doc,
                "required": ["Properties"],
                "properties": {"Properties": {"$ref": format!("#/definitions/{name}")}},
            },
        }));
    }
    let names: Value = RESOURCES.iter().map(|resource| resource.name).collect();
    json!({
        "$schema": DRAFT,
        "description": "A CloudFormation template with resources of github-trust.",
        "type": "object",
        "properties": {
            "Resources": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": {"Type": {"type": "string", "anyOf": [{"enum": names}, {"type": "string"}]}},
                    "allOf": kinds,
                },
            },
        },
        "definitions": definitions,
    })
}

fn definitions(resource: &ResourceSchema, purpose: For, below: &str) -> Value {
    let mut objects = Vec::new();
    nested(resource.object.properties, &mut objects);
    objects
        .iter()
        .map(|object| {
            let mut schema = members(object.properties.iter(), object.any_of, purpose, below);
            schema.insert("description".into(), json!(object.doc));
            (object.name, Value::Object(schema))
        })
        .collect()
}

fn properties(resource: &ResourceSchema, purpose: For, below: &str) -> Map<String, Value> {
    let own = of_cloudformation(resource);
    members(own.iter().chain(resource.object.properties), resource.object.any_of, purpose, below)
}

fn members<'a>(
    properties: impl Iterator<Item = &'a Property> + Clone,
    any_of: &[&[&str]],
    purpose: For,
    below: &str,
) -> Map<String, Value> {
    let required = properties.clone().filter(|property| property.required).map(|property| property.name);
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("required".into(), required.collect());
    object.insert(
        "properties".into(),
        properties.map(|property| (property.name, described(property, purpose, below))).collect(),
    );
    object.insert("additionalProperties".into(), json!(false));
    if !any_of.is_empty() {
        let groups = any_of
            .iter()
            .map(|names| json!({"anyOf": names.iter().map(|name| json!({"required": [name]})).collect::<Vec<_>>()}));
        object.insert("allOf".into(), groups.collect());
    }
    object
}

fn described(property: &Property, purpose: For, below: &str) -> Value {
    let mut schema = value(property.form, purpose, below);
    if purpose == For::Templates {
        schema = or_function(schema);
    }
    schema["description"] = json!(property.doc);
    if let Some(default) = property.default {
        schema["default"] = match property.form {
            PropertyType::Boolean => json!(default == "true"),
            PropertyType::Integer(..) => json!(default.parse::<u32>().expect("a number")),
            PropertyType::Texts(..) => json!([default]),
            _ => json!(default),
        };
    }
    schema
}

/// Either the value or a function.
fn or_function(schema: Value) -> Value {
    let mut all = vec![schema, json!({"$ref": "#/definitions/function"})];
    // A list of strings may begin like the short form of a function.
    if all[0].get("items").is_none() {
        all.push(json!({"$ref": "#/definitions/tagged"}));
    }
    json!({"anyOf": all})
}

fn value(form: PropertyType, purpose: For, below: &str) -> Value {
    let strict = purpose == For::Requests;
    match form {
        PropertyType::Text(limits) => text(limits, purpose, &["string"]),
        PropertyType::Integer(least, most, _) => {
            let mut number = json!({"type": ["integer", "string"], "minimum": least, "maximum": most});
            if strict {
                number["pattern"] = json!("^[0-9]+$");
            }
            number
        }
        PropertyType::Boolean if strict => {
            json!({"type": ["boolean", "string"], "enum": [true, false, "true", "false"]})
        }
        PropertyType::Boolean => json!({"type": ["boolean", "string"]}),
        // A single string is a list of one, so that what holds for each holds for it, too.
        PropertyType::Texts(limits, count) => {
            let mut list = text(limits, purpose, &["array", "string"]);
            let one = text(limits, purpose, &["string"]);
            // Within a function in its short form there are lists again.
            list["items"] = if strict { one } else { json!({"anyOf": [one, {"type": ["object", "array"]}]}) };
            counted(list, count)
        }
        PropertyType::Objects(object, count) => {
            let one = json!({"$ref": format!("{below}{}", object.name)});
            let item = if strict { one.clone() } else { or_function(one.clone()) };
            let list = counted(json!({"type": "array", "items": item}), count);
            // Else a function would be taken for a single object.
            let single = if strict { one } else { or_function(one) };
            json!({"if": {"type": "object"}, "then": single, "else": list})
        }
        PropertyType::Object(object) => json!({"allOf": [{"$ref": format!("{below}{}", object.name)}]}),
        PropertyType::Document => json!({"type": ["object", "string"]}),
    }
}

/// To an editor a function in its short form is a string, and one of which nothing more can be said.
fn text(limits: Text, purpose: For, types: &[&str]) -> Value {
    let Text { min, max, pattern, values } = limits;
    if purpose == For::Templates {
        let types: Vec<&str> = types.iter().copied().chain(["number", "boolean"]).collect();
        return match values {
            [] => json!({"type": types}),
            values => json!({"type": types, "anyOf": [{"enum": values}, {}]}),
        };
    }
    let mut schema = json!({"type": if let [only] = types { json!(only) } else { json!(types) }});
    if !values.is_empty() {
        schema["enum"] = json!(values);
        return schema;
    }
    schema["minLength"] = json!(min);
    if max < usize::MAX {
        schema["maxLength"] = json!(max);
    }
    if let Some(pattern) = pattern {
        schema["pattern"] = json!(pattern);
    }
    schema
}

fn counted(mut list: Value, count: Count) -> Value {
    if count.min > 0 {
        list["minItems"] = json!(count.min);
    }
    if count.max < usize::MAX {
        list["maxItems"] = json!(count.max);
    }
    list
}
