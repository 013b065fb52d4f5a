//! A template, evaluated as far as it is known before a stack is made: parameters, conditions, mappings, and what is known of
//! our own resources.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Members;
use crate::arn::host_suffix;
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::reconcile::Foresight;
use crate::resources::RESOURCES;

/// Stands in the place of a value that is not known yet.
pub(super) const UNKNOWN: &str = "(not known yet)";
/// Stands for the same in a change set.
const AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";
/// The deepest nesting of conditions and functions.
const DEPTH: usize = 64;

/// A template.
pub(super) struct Template {
    resources: Members,
    conditions: Members,
    mappings: Members,
    parameters: BTreeMap<String, Value>,
}

/// A resource with its properties evaluated.
pub(super) struct Evaluated {
    pub(super) resource_type: String,
    pub(super) properties: Members,
    /// The properties that are not known yet, and the reason of each.
    pub(super) unknown: Vec<(String, String)>,
}

/// The values of references.
pub(super) struct Known {
    references: BTreeMap<String, String>,
    attributes: BTreeMap<(String, String), String>,
}

impl Known {
    /// The pseudo parameters.
    pub(super) fn of(here: &Deployment, stack: Option<&StackId>) -> Self {
        let Deployment { partition, region, account, role_path: _, role_boundary: _ } = here;
        let suffix = host_suffix(partition).unwrap_or("amazonaws.com");
        let mut references = BTreeMap::from([
            ("AWS::Partition".to_owned(), partition.clone()),
            ("AWS::Region".to_owned(), region.clone()),
            ("AWS::AccountId".to_owned(), account.clone()),
            ("AWS::URLSuffix".to_owned(), suffix.to_owned()),
        ]);
        if let Some(stack) = stack {
            references.insert("AWS::StackId".to_owned(), stack.to_string());
            references.insert("AWS::StackName".to_owned(), stack.name().to_owned());
        }
        Self { references, attributes: BTreeMap::new() }
    }

    /// Adds the id and the attributes of one of our resources.
    pub(super) fn learn(&mut self, logical_id: &str, foresight: &Foresight) {
        let Foresight { physical_id, attributes, .. } = foresight;
        self.references.extend(physical_id.clone().map(|id| (logical_id.to_owned(), id)));
        let attributes =
            attributes.iter().map(|(name, value)| ((logical_id.to_owned(), (*name).to_owned()), value.clone()));
        self.attributes.extend(attributes);
    }
}

impl Template {
    /// Parses a template in JSON.
    pub(super) fn parse(template: &Value, given: &Members) -> Result<Self, String> {
        let text = template.as_str().map(serde_json::from_str::<Value>);
        let template = match &text {
            Some(Ok(template)) => template,
            Some(Err(error)) => {
                return Err(format!(
                    "`Template`: expected a template in JSON (`aws cloudformation get-template`, or `sam build` and a \
                     conversion), found a text that is none: {error}"
                ));
            }
            None => template,
        };
        let section = |name: &str| template.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let resources = section("Resources");
        if resources.is_empty() {
            return Err("`Template`: expected an object with `Resources`, found none".to_owned());
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
        Ok(Self { resources, conditions, mappings, parameters })
    }

    /// The template of a change set, whose parameters have values that are not told.
    pub(super) fn of_change_set(template: Option<&Value>) -> Self {
        let parsed = template.and_then(|template| Self::parse(template, &Members::new()).ok());
        let empty = || Self {
            resources: Members::new(),
            conditions: Members::new(),
            mappings: Members::new(),
            parameters: BTreeMap::new(),
        };
        Self { parameters: BTreeMap::new(), ..parsed.unwrap_or_else(empty) }
    }

    /// Completes the properties that CloudFormation has evaluated, by what is known besides.
    pub(super) fn completed(&self, logical_id: &str, properties: &Members, known: &Known) -> Evaluated {
        let resource = self.resources.get(logical_id).unwrap_or(&Value::Null);
        let mut evaluation = Evaluation { template: self, known, unknown: Vec::new() };
        let mut completed = Members::new();
        for (name, value) in properties.iter().filter(|(name, _)| *name != "ServiceToken") {
            let value = evaluation.completed(value, resource["Properties"].get(name), name, 0);
            completed.extend(value.map(|value| (name.clone(), value)));
        }
        Evaluated { resource_type: String::new(), properties: completed, unknown: evaluation.unknown }
    }

    /// The logical ids of our resources, each after those that it refers to.
    pub(super) fn order(&self) -> Vec<String> {
        let ours = |resource: &Value| is_ours(resource["Type"].as_str().unwrap_or_default());
        let mut waiting: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
        for (name, resource) in self.resources.iter().filter(|(_, resource)| ours(resource)) {
            let mut references = BTreeSet::new();
            collect_references(resource, &mut references);
            references.remove(name);
            waiting.insert(name, references);
        }
        let mut order: Vec<String> = Vec::new();
        while !waiting.is_empty() {
            let is_free = |references: &BTreeSet<String>| !references.iter().any(|name| waiting.contains_key(name));
            // A circle, which CloudFormation refuses, is broken anywhere.
            let next = waiting.iter().find(|(_, references)| is_free(references)).or(waiting.iter().next());
            let Some(next) = next.map(|(name, _)| (*name).clone()) else { break };
            waiting.remove(&next);
            order.push(next);
        }
        order
    }

    /// Evaluates a resource; nothing if a condition leaves it out.
    pub(super) fn resource(&self, logical_id: &str, known: &Known) -> Option<Evaluated> {
        let resource = self.resources.get(logical_id)?;
        let mut evaluation = Evaluation { template: self, known, unknown: Vec::new() };
        if let Some(name) = resource["Condition"].as_str()
            && evaluation.condition(name, "Condition", 0) == Some(false)
        {
            return None;
        }
        let mut properties = resource["Properties"].as_object().cloned().unwrap_or_default();
        // It says which function is asked, and nothing of the object.
        properties.remove("ServiceToken");
        let mut evaluated = Map::new();
        for (name, value) in properties {
            evaluated.extend(evaluation.value(&value, &name, 0).map(|value| (name, value)));
        }
        Some(Evaluated {
            resource_type: resource["Type"].as_str().unwrap_or_default().to_owned(),
            properties: evaluated,
            unknown: evaluation.unknown,
        })
    }
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

fn get_att(value: &Value) -> Option<(String, String)> {
    match value {
        Value::String(text) => text.split_once('.').map(|(name, attribute)| (name.to_owned(), attribute.to_owned())),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(name), Value::String(attribute)] => Some((name.clone(), attribute.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The names in `${…}`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name.trim()));
    names.filter(|name| !name.starts_with('!'))
}

/// The evaluation of one resource.
struct Evaluation<'a> {
    template: &'a Template,
    known: &'a Known,
    unknown: Vec<(String, String)>,
}

impl Evaluation<'_> {
    /// Evaluates a value; nothing for `AWS::NoValue`.
    fn value(&mut self, value: &Value, path: &str, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return Some(self.unknown(path, "it is nested too deeply"));
        }
        match value {
            Value::Object(members) => match members.iter().next() {
                Some((name, argument)) if members.len() == 1 && (name == "Ref" || name.starts_with("Fn::")) => {
                    self.function(name, argument, path, depth + 1)
                }
                _ => {
                    let mut evaluated = Map::new();
                    for (name, value) in members {
                        let value = self.value(value, &format!("{path}.{name}"), depth + 1);
                        evaluated.extend(value.map(|value| (name.clone(), value)));
                    }
                    Some(Value::Object(evaluated))
                }
            },
            Value::Array(items) => {
                let mut evaluated = Vec::new();
                for item in items {
                    evaluated.extend(self.value(item, &format!("{path}[{}]", evaluated.len()), depth + 1));
                }
                Some(Value::Array(evaluated))
            }
            scalar => Some(scalar.clone()),
        }
    }

    /// Completes a value of a change set by the one that the template writes there.
    fn completed(&mut self, value: &Value, written: Option<&Value>, path: &str, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return Some(self.unknown(path, "it is nested too deeply"));
        }
        match (value, written) {
            (Value::String(text), Some(written)) if text.contains(AFTER_APPLY) => self.value(written, path, depth),
            (Value::String(text), None) if text.contains(AFTER_APPLY) => {
                Some(self.unknown(path, "it is known after the change set is executed"))
            }
            (Value::Object(members), written) => {
                let mut completed = Members::new();
                for (name, value) in members {
                    let written = written.and_then(|written| written.get(name));
                    let value = self.completed(value, written, &format!("{path}.{name}"), depth + 1);
                    completed.extend(value.map(|value| (name.clone(), value)));
                }
                Some(Value::Object(completed))
            }
            (Value::Array(items), written) => {
                let mut completed = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let written = written.and_then(|written| written.get(index));
                    completed.extend(self.completed(item, written, &format!("{path}[{index}]"), depth + 1));
                }
                Some(Value::Array(completed))
            }
            (scalar, _) => Some(scalar.clone()),
        }
    }

    fn unknown(&mut self, path: &str, why: &str) -> Value {
        self.unknown.push((path.to_owned(), why.to_owned()));
        UNKNOWN.into()
    }

    fn function(&mut self, name: &str, argument: &Value, path: &str, depth: usize) -> Option<Value> {
        let known = match (name, argument) {
            ("Ref", Value::String(name)) if name == "AWS::NoValue" => return None,
            ("Ref", Value::String(name)) => self.reference(name, path),
            ("Fn::GetAtt", argument) => match get_att(argument) {
                Some((name, attribute)) => self.attribute(&name, &attribute, path),
                None => self.unknown(path, "`Fn::GetAtt` cannot be read"),
            },
            ("Fn::Sub", argument) => self.substituted(argument, path, depth),
            ("Fn::If", Value::Array(parts)) if parts.len() == 3 => {
                let condition = parts[0].as_str().and_then(|name| self.condition(name, path, depth));
                return match condition {
                    Some(holds) => self.value(&parts[if holds { 1 } else { 2 }], path, depth),
                    None => Some(self.unknown(path, "its condition is not known yet")),
                };
            }
            _ => {
                let before = self.unknown.len();
                let argument = self.value(argument, path, depth)?;
                if self.unknown.len() > before {
                    // The place is that of the function, not that of its argument.
                    self.unknown[before..].iter_mut().for_each(|(place, _)| path.clone_into(place));
                    return Some(UNKNOWN.into());
                }
                match self.computed(name, &argument) {
                    Some(value) => value,
                    None => self.unknown(path, &format!("`{name}` is not evaluated before the deployment")),
                }
            }
        };
        Some(known)
    }

    fn reference(&mut self, name: &str, path: &str) -> Value {
        if let Some(value) = self.template.parameters.get(name) {
            return value.clone();
        }
        match self.known.references.get(name) {
            Some(value) => Value::from(value.as_str()),
            None => self.unknown(path, &format!("the value of {name}")),
        }
    }

    fn attribute(&mut self, name: &str, attribute: &str, path: &str) -> Value {
        match self.known.attributes.get(&(name.to_owned(), attribute.to_owned())) {
            Some(value) => Value::from(value.as_str()),
            None => self.unknown(path, &format!("the attribute {attribute} of {name}")),
        }
    }

    fn substituted(&mut self, argument: &Value, path: &str, depth: usize) -> Value {
        let Some(text) = argument.as_str().or_else(|| argument.get(0)?.as_str()) else {
            return self.unknown(path, "`Fn::Sub` cannot be read");
        };
        let own = argument.get(1).and_then(Value::as_object).cloned().unwrap_or_default();
        let before = self.unknown.len();
        let mut result = String::new();
        let mut parts = text.split("${");
        result.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else {
                result.extend(["${", part]);
                continue;
            };
            let value = match (name.strip_prefix('!'), own.get(name), name.split_once('.')) {
                (Some(literal), ..) => Value::from(format!("${{{literal}}}")),
                (None, Some(value), _) => self.value(value, path, depth).unwrap_or_default(),
                (None, None, Some((name, attribute))) => self.attribute(name, attribute, path),
                (None, None, None) => self.reference(name.trim(), path),
            };
            match &value {
                Value::String(text) => result.push_str(text),
                other => result.push_str(&other.to_string()),
            }
            result.push_str(rest);
        }
        if self.unknown.len() > before { UNKNOWN.into() } else { result.into() }
    }

    /// The functions whose arguments are known by now.
    fn computed(&self, name: &str, argument: &Value) -> Option<Value> {
        let text = |value: &Value| value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string()));
        match (name, argument.as_array().map(Vec::as_slice)) {
            ("Fn::Join", Some([Value::String(separator), Value::Array(parts)])) => {
                let parts: Option<Vec<String>> = parts.iter().map(text).collect();
                Some(parts?.join(separator).into())
            }
            ("Fn::Split", Some([Value::String(separator), Value::String(text)])) => {
                Some(text.split(separator.as_str()).map(Value::from).collect())
            }
            ("Fn::Select", Some([index, Value::Array(items)])) => {
                items.get(text(index)?.parse::<usize>().ok()?).cloned()
            }
            ("Fn::FindInMap", Some([map, first, second])) => {
                let mappings = &self.template.mappings;
                mappings.get(&text(map)?)?.get(text(first)?)?.get(text(second)?).cloned()
            }
            _ => None,
        }
    }

    /// Evaluates a condition; nothing if it is not known yet.
    fn condition(&mut self, name: &str, path: &str, depth: usize) -> Option<bool> {
        if depth > DEPTH {
            return None;
        }
        let condition = self.template.conditions.get(name)?.clone();
        self.holds(&condition, path, depth + 1)
    }

    fn holds(&mut self, condition: &Value, path: &str, depth: usize) -> Option<bool> {
        if depth > DEPTH {
            return None;
        }
        let (name, argument) = condition.as_object()?.iter().next()?;
        let mut each = || -> Option<Vec<Option<bool>>> {
            Some(argument.as_array()?.iter().map(|one| self.holds(one, path, depth + 1)).collect())
        };
        match name.as_str() {
            "Condition" => self.condition(argument.as_str()?, path, depth + 1),
            "Fn::Not" => each()?.first().copied().flatten().map(|holds| !holds),
            "Fn::And" => all(&each()?, true),
            "Fn::Or" => all(&each()?, false),
            "Fn::Equals" => {
                let before = self.unknown.len();
                let sides = self.value(argument, path, depth + 1)?;
                let is_known = self.unknown.len() == before;
                self.unknown.truncate(before);
                let [one, other] = sides.as_array()?.as_slice() else { return None };
                is_known.then(|| as_text(one) == as_text(other))
            }
            _ => None,
        }
    }
}

/// Combines several by `and` or `or`; one that decides makes up for those that are not known.
fn all(each: &[Option<bool>], wanted: bool) -> Option<bool> {
    if each.contains(&Some(!wanted)) {
        return Some(!wanted);
    }
    each.iter().all(Option::is_some).then_some(wanted)
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        let template = Template::parse(&template, &Map::new()).unwrap();
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
        assert_eq!(Template::parse(&template, &Map::new()).unwrap().order(), ["C", "B", "A", "D", "E"]);
    }
}
