//! The evaluation of a resource's properties: intrinsic functions, as far as their arguments are known.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Members;
use crate::arn::host_suffix;
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::reconcile::DryRun;

/// Stands in the place of a value that is not known yet.
pub(super) const UNKNOWN: &str = "(not known yet)";
/// Stands for the same in a change set.
const AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";
/// The deepest nesting of conditions and functions.
const DEPTH: usize = 64;
/// The steps for one resource, and for all of a template. Conditions that name others twice could take as many as there are atoms.
pub(super) const STEPS: usize = 10_000;
pub(super) const ALL_STEPS: usize = 500_000;
/// The length of the text that a step makes or passes, in bytes.
const STEP: usize = 64;
const TOO_LONG: &str = "they take too long to evaluate";

/// The sections of a template that functions read.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) conditions: Members,
    pub(super) mappings: Members,
    pub(super) parameters: BTreeMap<String, Value>,
    /// The steps so far.
    pub(super) steps: Cell<usize>,
}

/// A resource with its properties evaluated.
pub(super) struct Evaluated {
    pub(super) resource_type: String,
    pub(super) properties: Members,
    /// The places that are not known yet, and the reason of each. An empty place is that of all properties.
    pub(super) unknown: Vec<(String, String)>,
}

/// The values of references.
pub(super) struct Known {
    pub(super) references: BTreeMap<String, String>,
    pub(super) attributes: BTreeMap<(String, String), String>,
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
    pub(super) fn learn(&mut self, logical_id: &str, dry_run: &DryRun) {
        let DryRun { physical_id, attributes, .. } = dry_run;
        self.references.extend(physical_id.clone().map(|id| (logical_id.to_owned(), id)));
        let attributes =
            attributes.iter().map(|(name, value)| ((logical_id.to_owned(), (*name).to_owned()), value.clone()));
        self.attributes.extend(attributes);
    }
}

pub(super) fn get_att(value: &Value) -> Option<(String, String)> {
    match value {
        Value::String(text) => text.split_once('.').map(|(name, attribute)| (name.to_owned(), attribute.to_owned())),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(name), Value::String(attribute)] => Some((name.clone(), attribute.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The evaluation of one resource.
pub(super) struct Evaluation<'a> {
    template: &'a Sections,
    known: &'a Known,
    steps: usize,
    /// The places whose values are not known yet, and the reason of each.
    pub(super) unknown: Vec<(String, String)>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(template: &'a Sections, known: &'a Known) -> Self {
        Self { template, known, steps: 0, unknown: Vec::new() }
    }
}

impl Evaluation<'_> {
    /// The end of the evaluation. Where it was given up, nothing is known of the properties.
    pub(super) fn ended(self, resource_type: String, properties: Members) -> Evaluated {
        if self.is_spent() {
            let unknown = vec![(String::new(), TOO_LONG.to_owned())];
            return Evaluated { resource_type, properties: Members::new(), unknown };
        }
        Evaluated { resource_type, properties, unknown: self.unknown }
    }

    /// Returns true if the evaluation is given up.
    pub(super) fn is_spent(&self) -> bool {
        self.steps > STEPS || self.template.steps.get() > ALL_STEPS
    }

    /// Takes the steps for a value of so many bytes. Returns false if it is given up. What is too long for its resource is not
    /// made, and leaves the other resources their steps.
    fn spend(&mut self, bytes: usize) -> bool {
        let steps = (1 + bytes / STEP).min(STEPS + 1);
        self.steps = self.steps.saturating_add(steps);
        self.template.steps.set(self.template.steps.get().saturating_add(steps));
        !self.is_spent()
    }

    /// Evaluates a value; nothing for `AWS::NoValue`.
    pub(super) fn value(&mut self, value: &Value, path: &str, depth: usize) -> Option<Value> {
        if !self.spend(path.len() + value.as_str().map_or(0, str::len)) || depth > DEPTH {
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
                        if self.is_spent() {
                            break;
                        }
                        let value = self.value(value, &format!("{path}.{name}"), depth + 1);
                        evaluated.extend(value.map(|value| (name.clone(), value)));
                    }
                    Some(Value::Object(evaluated))
                }
            },
            Value::Array(items) => {
                let mut evaluated = Vec::new();
                for item in items {
                    if self.is_spent() {
                        break;
                    }
                    evaluated.extend(self.value(item, &format!("{path}[{}]", evaluated.len()), depth + 1));
                }
                Some(Value::Array(evaluated))
            }
            scalar => Some(scalar.clone()),
        }
    }

    /// Completes a value of a change set by the one that the template writes there.
    pub(super) fn completed(
        &mut self,
        value: &Value,
        written: Option<&Value>,
        path: &str,
        depth: usize,
    ) -> Option<Value> {
        if !self.spend(path.len() + value.as_str().map_or(0, str::len)) || depth > DEPTH {
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
                    if self.is_spent() {
                        break;
                    }
                    let written = written.and_then(|written| written.get(name));
                    let value = self.completed(value, written, &format!("{path}.{name}"), depth + 1);
                    completed.extend(value.map(|value| (name.clone(), value)));
                }
                Some(Value::Object(completed))
            }
            (Value::Array(items), written) => {
                let mut completed = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    if self.is_spent() {
                        break;
                    }
                    let written = written.and_then(|written| written.get(index));
                    completed.extend(self.completed(item, written, &format!("{path}[{index}]"), depth + 1));
                }
                Some(Value::Array(completed))
            }
            (scalar, _) => Some(scalar.clone()),
        }
    }

    fn unknown(&mut self, path: &str, why: &str) -> Value {
        if self.spend(path.len() + why.len()) {
            self.unknown.push((path.to_owned(), why.to_owned()));
        }
        UNKNOWN.into()
    }

    /// A copy of a value that is known.
    fn copied(&mut self, value: &Value) -> Value {
        if self.spend(size(value)) { value.clone() } else { UNKNOWN.into() }
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
        let template = self.template;
        if let Some(value) = template.parameters.get(name) {
            return self.copied(value);
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
        let own = argument.get(1).and_then(Value::as_object);
        let before = self.unknown.len();
        self.spend(text.len());
        let mut result = String::new();
        let mut parts = text.split("${");
        result.push_str(parts.next().unwrap_or_default());
        for part in parts {
            if self.is_spent() {
                return UNKNOWN.into();
            }
            let Some((name, rest)) = part.split_once('}') else {
                result.extend(["${", part]);
                continue;
            };
            let value = match (name.strip_prefix('!'), own.and_then(|own| own.get(name)), name.split_once('.')) {
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
            self.spend(0);
        }
        if self.unknown.len() > before { UNKNOWN.into() } else { result.into() }
    }

    /// The functions whose arguments are known by now.
    fn computed(&mut self, name: &str, argument: &Value) -> Option<Value> {
        let text = |value: &Value| value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string()));
        match (name, argument.as_array().map(Vec::as_slice)) {
            ("Fn::Join", Some([Value::String(separator), Value::Array(parts)])) => {
                self.spend(separator.len().saturating_mul(parts.len())).then_some(())?;
                let parts: Option<Vec<String>> = parts.iter().map(text).collect();
                Some(parts?.join(separator).into())
            }
            ("Fn::Split", Some([Value::String(separator), Value::String(text)])) => {
                self.spend(STEP * text.matches(separator.as_str()).count()).then_some(())?;
                Some(text.split(separator.as_str()).map(Value::from).collect())
            }
            ("Fn::Select", Some([index, Value::Array(items)])) => {
                items.get(text(index)?.parse::<usize>().ok()?).cloned()
            }
            ("Fn::FindInMap", Some([map, first, second])) => {
                let template = self.template;
                let value = template.mappings.get(&text(map)?)?.get(text(first)?)?.get(text(second)?)?;
                Some(self.copied(value))
            }
            _ => None,
        }
    }

    /// Evaluates a condition; nothing if it is not known yet.
    pub(super) fn condition(&mut self, name: &str, path: &str, depth: usize) -> Option<bool> {
        if !self.spend(name.len()) || depth > DEPTH {
            return None;
        }
        let template = self.template;
        self.holds(template.conditions.get(name)?, path, depth + 1)
    }

    fn holds(&mut self, condition: &Value, path: &str, depth: usize) -> Option<bool> {
        if !self.spend(0) || depth > DEPTH {
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

/// The length of a value's texts, and a step for each value.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| STEP + size(item)).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| STEP + name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
