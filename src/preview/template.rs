//! A template, evaluated as far as it is known before a stack is made: parameters, conditions, mappings, and what is known of
//! our own resources.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Members;
use super::evaluation::{Evaluated, Evaluation, Known, Sections, get_att};
use crate::cloudformation::strict_json::{self, JsonError};
use crate::resources::RESOURCES;

/// The number of resources that CloudFormation takes in a template.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
pub(crate) const RESOURCES_LIMIT: usize = 500;

/// A template.
pub(super) struct Template {
    resources: Members,
    sections: Sections,
}

impl Template {
    /// Parses a template in JSON.
    pub(super) fn parse(template: Value, given: &Members) -> Result<Self, String> {
        let mut template = match template {
            Value::String(text) => read(&text)?,
            other => other,
        };
        let mut section = |name: &str| match template.get_mut(name).map(Value::take) {
            Some(Value::Object(members)) => members,
            _ => Members::new(),
        };
        let resources = section("Resources");
        if resources.is_empty() {
            return Err("`Template`: expected an object with `Resources`, found none".to_owned());
        }
        if resources.len() > RESOURCES_LIMIT {
            let count = resources.len();
            return Err(format!("`Template`: expected at most {RESOURCES_LIMIT} resources, found {count}"));
        }
        let mut parameters = BTreeMap::new();
        for (name, declared) in section("Parameters") {
            let kind = declared["Type"].as_str().unwrap_or_default();
            let value = given.get(&name).or(declared.get("Default"));
            // The value is the name of a parameter of Systems Manager.
            let value = value.filter(|_| !kind.starts_with("AWS::SSM::Parameter::Value"));
            parameters.extend(value.map(|value| (name, parameter(kind, value))));
        }
        let (conditions, mappings) = (section("Conditions"), section("Mappings"));
        let sections = Sections { conditions, mappings, parameters, ..Sections::default() };
        Ok(Self { resources, sections })
    }

    /// The template of a change set, whose parameters have values that are not told.
    pub(super) fn of_change_set(template: Option<Value>) -> Self {
        let parsed = template.and_then(|template| Self::parse(template, &Members::new()).ok());
        let mut template = parsed.unwrap_or_else(|| Self { resources: Members::new(), sections: Sections::default() });
        template.sections.parameters.clear();
        template
    }

    /// Completes the properties that CloudFormation has evaluated, by what is known besides.
    pub(super) fn completed(&self, logical_id: &str, properties: &Members, known: &Known) -> Evaluated {
        let resource = self.resources.get(logical_id).unwrap_or(&Value::Null);
        let mut evaluation = Evaluation::new(&self.sections, known);
        let mut completed = Members::new();
        for (name, value) in properties.iter().filter(|(name, _)| *name != "ServiceToken") {
            if evaluation.is_spent() {
                break;
            }
            let value = evaluation.completed(value, resource["Properties"].get(name), name, 0);
            completed.extend(value.map(|value| (name.clone(), value)));
        }
        evaluation.ended(String::new(), completed)
    }

    /// The logical ids of our resources, each after those that it refers to.
    pub(super) fn order(&self) -> Vec<String> {
        let ours = |resource: &Value| is_ours(resource["Type"].as_str().unwrap_or_default());
        let resources = self.resources.iter().filter(|(_, resource)| ours(resource));
        let mut waiting: BTreeMap<&String, BTreeSet<String>> =
            resources.clone().map(|(name, _)| (name, BTreeSet::new())).collect();
        for (name, resource) in resources {
            let mut references = BTreeSet::new();
            collect_references(resource, &mut references);
            references.retain(|reference| reference != name && waiting.contains_key(reference));
            waiting.insert(name, references);
        }
        let mut order: Vec<String> = Vec::new();
        // A circle, which CloudFormation refuses, is broken anywhere.
        while let Some(next) = waiting.iter().find(|(_, references)| references.is_empty()).or(waiting.iter().next()) {
            let next = (*next.0).clone();
            waiting.remove(&next);
            for references in waiting.values_mut() {
                references.remove(&next);
            }
            order.push(next);
        }
        order
    }

    /// Evaluates a resource; nothing if a condition leaves it out.
    pub(super) fn resource(&self, logical_id: &str, known: &Known) -> Option<Evaluated> {
        let resource = self.resources.get(logical_id)?;
        let mut evaluation = Evaluation::new(&self.sections, known);
        if let Some(name) = resource["Condition"].as_str()
            && evaluation.condition(name, "Condition", 0) == Some(false)
        {
            return None;
        }
        let mut evaluated = Map::new();
        // The service token says which function is asked, and nothing of the object.
        let properties = resource["Properties"].as_object().into_iter().flatten();
        for (name, value) in properties.filter(|(name, _)| *name != "ServiceToken") {
            if evaluation.is_spent() {
                break;
            }
            evaluated.extend(evaluation.value(value, name, 0).map(|value| (name.clone(), value)));
        }
        Some(evaluation.ended(resource["Type"].as_str().unwrap_or_default().to_owned(), evaluated))
    }
}

fn read(text: &str) -> Result<Value, String> {
    strict_json::read(text).map_err(|error| match error {
        JsonError::Large => format!("`Template`: {error}"),
        JsonError::Twice(_) | JsonError::Syntax(_) => format!(
            "`Template`: expected a template in JSON (`aws cloudformation get-template`, or `sam build` and a conversion), \
             found a text that is none: {error}"
        ),
    })
}

/// Returns true for our types, and for those that were meant to be.
pub(crate) fn is_ours(resource_type: &str) -> bool {
    RESOURCES.iter().any(|resource| resource.name.eq_ignore_ascii_case(resource_type))
}

fn parameter(kind: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
            text.split(',').map(|item| Value::from(item.trim())).collect()
        }
        Value::Number(_) | Value::Bool(_) => Value::from(value.to_string()),
        other => other.clone(),
    }
}

/// The names that a part of a template refers to.
fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("Ref", Value::String(name)) => drop(found.insert(name.clone())),
                    ("Fn::GetAtt", value) => found.extend(get_att(value).map(|(name, _)| name)),
                    ("Fn::Sub", value) => {
                        let text = value.as_str().or_else(|| value.get(0)?.as_str()).unwrap_or_default();
                        found.extend(variables(text).map(|name| name.split('.').next().unwrap_or(name).to_owned()));
                        collect_references(value, found);
                    }
                    (_, value) => collect_references(value, found),
                }
            }
        }
        _ => {}
    }
}

/// The names in `${…}`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name.trim()));
    names.filter(|name| !name.starts_with('!'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::evaluation::{ALL_STEPS, STEPS, UNKNOWN};
    use super::*;
    use crate::deployment::Deployment;

    fn evaluated(properties: &Value) -> (Value, Vec<(String, String)>) {
        let template = json!({
            "Parameters": {
                "Branch": {"Type": "String", "Default": "main"},
                "Names": {"Type": "CommaDelimitedList", "Default": "a, b"},
                "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/x"},
                "Open": {"Type": "String"},
            },
            "Conditions": {
                "IsMain": {"Fn::Equals": [{"Ref": "Branch"}, "main"]},
                "IsOpen": {"Fn::Equals": [{"Ref": "Open"}, "yes"]},
                "Neither": {"Fn::Not": [{"Fn::Or": [{"Condition": "IsMain"}, {"Condition": "IsOpen"}]}]},
                "Itself": {"Condition": "Itself"},
            },
            "Mappings": {"Stages": {"main": {"name": "live"}}},
            "Resources": {"Role": {"Type": "Custom::GitHubRole", "Properties": properties}},
        });
        let here = Deployment {
            partition: "aws".to_owned(),
            region: "eu-west-1".to_owned(),
            account: "111122223333".to_owned(),
            role_path: "/".to_owned(),
            role_boundary: None,
        };
        let template = Template::parse(template, &Map::new()).unwrap();
        let found = template.resource("Role", &Known::of(&here, None)).unwrap();
        (Value::Object(found.properties), found.unknown)
    }

    #[test]
    fn functions_of_known_values_are_evaluated() {
        for (written, expected) in [
            (json!({"Ref": "Branch"}), json!("main")),
            (json!({"Ref": "Names"}), json!(["a", "b"])),
            (json!({"Fn::Sub": "${Branch}-${AWS::Region}-${!Literal}"}), json!("main-eu-west-1-${Literal}")),
            (json!({"Fn::Sub": ["${X}/${Branch}", {"X": {"Ref": "AWS::AccountId"}}]}), json!("111122223333/main")),
            (json!({"Fn::Join": [":", ["a", {"Ref": "Branch"}]]}), json!("a:main")),
            (json!({"Fn::Select": [1, {"Fn::Split": [",", "x,y"]}]}), json!("y")),
            (json!({"Fn::FindInMap": ["Stages", {"Ref": "Branch"}, "name"]}), json!("live")),
            (json!({"Fn::If": ["IsMain", "yes", {"Ref": "Open"}]}), json!("yes")),
            (json!({"Fn::If": ["Neither", {"Ref": "Open"}, ["no", {"Ref": "AWS::NoValue"}]]}), json!(["no"])),
            (json!({"Fn::If": ["IsMain", {"Ref": "AWS::NoValue"}, 1]}), json!(null)),
        ] {
            let (found, unknown) = evaluated(&json!({"P": written}));
            assert_eq!(found.get("P").cloned().unwrap_or_default(), expected, "{written}");
            assert_eq!(unknown, [], "{written}");
        }
    }

    #[test]
    fn values_that_are_not_known_yet_are_told_with_their_place() {
        for (written, path) in [
            (json!({"Ref": "Open"}), "P"),
            (json!({"Ref": "Stored"}), "P"),
            (json!([{"A": {"Fn::GetAtt": ["Cluster", "Arn"]}}]), "P[0].A"),
            (json!({"Fn::Sub": "${Cluster.Arn}/x"}), "P"),
            (json!({"Fn::If": ["IsOpen", "a", "b"]}), "P"),
            (json!({"Fn::If": ["Itself", "a", "b"]}), "P"),
            (json!({"Fn::ImportValue": "other"}), "P"),
            (json!({"Fn::Join": [",", [{"Ref": "Open"}]]}), "P"),
        ] {
            let (found, unknown) = evaluated(&json!({"P": written}));
            assert_eq!(unknown.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [path], "{written}");
            assert!(found.to_string().contains(UNKNOWN), "{written}: {found}");
        }
    }

    #[test]
    fn conditions_that_double_with_each_step_are_given_up() {
        let mut conditions = Map::new();
        for level in 0..60 {
            let next = json!({"Condition": format!("C{}", level + 1)});
            conditions.insert(format!("C{level}"), json!({"Fn::Or": [next.clone(), next]}));
        }
        conditions.insert("C60".to_owned(), json!({"Fn::Equals": ["a", "b"]}));
        let template = json!({"Conditions": conditions, "Resources": {
            "Role": {"Type": "Custom::GitHubRole", "Properties": {"P": {"Fn::If": ["C0", "a", "b"]}}},
        }});
        let template = Template::parse(template, &Members::new()).unwrap();
        let known = Known { references: BTreeMap::new(), attributes: BTreeMap::new() };
        let found = template.resource("Role", &known).unwrap();
        assert_eq!(found.unknown, [(String::new(), "they take too long to evaluate".to_owned())]);
    }

    /// Values that grow while they are evaluated, and conditions that double.
    fn growing() -> Vec<Value> {
        let long = "x".repeat(300_000);
        vec![
            json!({"Fn::If": ["C0", "a", "b"]}),
            json!({"Fn::Join": [long, vec!["a"; 9_000]]}),
            json!({"Fn::Sub": "${P}".repeat(75_000)}),
            json!({"Fn::Split": ["", long]}),
            json!(vec![json!({"Ref": "P"}); 10_000]),
            json!(vec![json!({"Fn::FindInMap": ["M", "a", "b"]}); 6_000]),
            json!(vec![json!({"Ref": "Open"}); 15_000]),
        ]
    }

    /// CloudFormation takes templates of a megabyte with 500 resources. A text with too many values is not read.
    #[test]
    fn the_largest_templates_take_a_bounded_number_of_steps() {
        let mut conditions = Map::new();
        for level in 0..60 {
            let next = json!({"Condition": format!("C{}", level + 1)});
            conditions.insert(format!("C{level}"), json!({"Fn::Or": [next.clone(), next]}));
        }
        let known = Known { references: BTreeMap::new(), attributes: BTreeMap::new() };
        for value in growing() {
            // The first one is large; the others are as many as there may be, and ask for the same conditions.
            let resource = |value: &Value| json!({"Type": "Custom::GitHubRole", "Properties": {"P": value}});
            let mut resources: Map<String, Value> = (1..RESOURCES_LIMIT)
                .map(|at| (format!("R{at}"), resource(&json!([{"Fn::If": ["C0", 1, 2]}, {"Ref": "P"}]))))
                .collect();
            resources.insert("R0".to_owned(), resource(&value));
            let template = json!({
                "Parameters": {"P": {"Type": "String", "Default": "x".repeat(200_000)}}, "Conditions": conditions,
                "Mappings": {"M": {"a": {"b": vec![1; 10_000]}}}, "Resources": resources,
            });
            assert!(template.to_string().len() <= 1_000_000, "{}", template.to_string().len());
            let template = Template::parse(template, &Members::new()).unwrap();
            for logical_id in template.order() {
                let _ = template.resource(&logical_id, &known);
                // As of a change set, whose values are all made by the template.
                let properties = json!({"P": "{{changeSet:KNOWN_AFTER_APPLY}}"});
                let _ = template.completed(&logical_id, properties.as_object().unwrap(), &known);
            }
            // The last values that are given up take as many as a resource may.
            let (steps, most) = (template.sections.steps.get(), ALL_STEPS + 4 * STEPS);
            assert!(steps > 0 && steps <= most, "{steps} steps of {most}");
        }
        let dense = format!(r#"{{"Resources": [{}0]}}"#, r#"{"a":0},"#.repeat(30_000));
        assert!(
            Template::parse(Value::String(dense), &Members::new()).is_err_and(|told| told.contains("too many values"))
        );
    }

    #[test]
    fn a_resource_comes_after_those_that_it_refers_to() {
        let of = |properties: Value| json!({"Type": "Custom::GitHubRole", "Properties": properties});
        let template = json!({"Resources": {
            "A": of(json!({"X": {"Fn::Sub": "${B.Arn}"}})),
            "B": of(json!({"X": [{"Fn::GetAtt": "C.Arn"}]})),
            "C": of(json!({"X": {"Ref": "Topic"}})),
            "Topic": {"Type": "AWS::SNS::Topic"},
            "D": of(json!({"X": {"Ref": "E"}})),
            "E": of(json!({"X": {"Ref": "D"}})),
        }});
        assert_eq!(Template::parse(template, &Map::new()).unwrap().order(), ["C", "B", "A", "D", "E"]);
    }
}
