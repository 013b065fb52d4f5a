//! The declaration of a variable or a secret, checked before any call by what GitHub documents.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/variables#naming-conventions-for-configuration-variables>,
//! <https://docs.github.com/en/actions/reference/security/secrets>

use crate::cloudformation::Fields;
use crate::github::Issuer;
use crate::github::name::{self as github, Repository};
use crate::github::ownership_by_variables::CLAIM_PREFIX;

use super::properties::{
    ENVIRONMENT_EXPECTED, HOST_EXPECTED, NAME_EXPECTED, NAME_LIMIT, Properties, VISIBILITY_EXPECTED,
};
use super::{Location, Value, ValueKind};

/// "Individual variables are limited to 48 KB in size", and so are secrets.
const VALUE_LIMIT: usize = 48 * 1024;
const ENVIRONMENT_LIMIT: usize = 400;

/// The declaration of the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The GitHub that has the object.
    pub(super) issuer: Issuer,
    pub(super) place: Location,
    pub(super) name: String,
    pub(super) kind: ValueKind,
    pub(super) value: Value,
    /// The level, and the names of the selected repositories of an organisation.
    pub(super) visibility: Option<(&'static str, Vec<String>)>,
    pub(super) adopt: bool,
}

pub(super) fn parse(fields: &mut Fields<'_, Properties>) -> Option<Spec> {
    let issuer = if fields.has(Properties::HOST) {
        fields.checked(Properties::HOST, |host| Issuer::of_host(host).map_err(|_why| HOST_EXPECTED.to_owned()))
    } else {
        Issuer::of_host("github.com").ok()
    };
    let place = place(fields);
    let visibility = visibility(fields, place.as_ref());
    let name = fields.checked(Properties::NAME, name);
    let value = value(fields);
    let kind = if fields.boolean(Properties::SECRET) == Some(true) { ValueKind::Secret } else { ValueKind::Variable };
    let adopt = fields.choice(Properties::ON_EXISTING) == Some("Adopt");
    Some(Spec { issuer: issuer?, place: place?, name: name?, kind, value: value?, visibility, adopt })
}

/// A name in the case in which GitHub keeps it, whichever it is given in.
pub(super) fn name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let name = text.to_ascii_uppercase();
    let valid = (1..=NAME_LIMIT).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.starts_with("GITHUB_")
        && !name.starts_with(CLAIM_PREFIX);
    if valid { Ok(name) } else { Err(NAME_EXPECTED.to_owned()) }
}

/// The value is in no message: it may be a secret.
fn value(fields: &mut Fields<'_, Properties>) -> Option<Value> {
    let text = fields.text(Properties::VALUE)?;
    if text.len() > VALUE_LIMIT {
        fields.invalid(Properties::VALUE, "at most 48 KB", format_args!("{} bytes", text.len()));
        return None;
    }
    Some(Value::new(&text))
}

fn place(fields: &mut Fields<'_, Properties>) -> Option<Location> {
    let repository = fields.checked(Properties::REPOSITORY, Repository::parse);
    let environment = fields.checked(Properties::ENVIRONMENT, environment);
    let organization = fields.checked(Properties::ORGANIZATION, github::owner);
    match (fields.has(Properties::REPOSITORY), fields.has(Properties::ORGANIZATION)) {
        (true, true) => {
            fields.invalid(Properties::ORGANIZATION, "either `Repository` or `Organization`", "both");
            None
        }
        (false, false) => {
            fields.invalid(Properties::REPOSITORY, "\"owner/name\", or `Organization` in its place", "neither");
            None
        }
        (true, false) if fields.has(Properties::ENVIRONMENT) => Some(Location::Environment(repository?, environment?)),
        (true, false) => Some(Location::Repository(repository?)),
        (false, true) => {
            fields.forbid(Properties::ENVIRONMENT, "to be left out with `Organization`, which has none");
            organization.map(Location::Organization)
        }
    }
}

/// The name of one environment.
pub(crate) fn environment(text: &str) -> Result<String, String> {
    if text.contains(['*', '?']) || text.len() > ENVIRONMENT_LIMIT {
        return Err(ENVIRONMENT_EXPECTED.to_owned());
    }
    github::environment(text)
}

fn visibility(fields: &mut Fields<'_, Properties>, place: Option<&Location>) -> Option<(&'static str, Vec<String>)> {
    let visibility = fields.choice(Properties::VISIBILITY);
    let names = fields.texts(Properties::SELECTED_REPOSITORIES, |text| Ok(text.to_owned()));
    let Some(Location::Organization(organization)) = place else {
        if place.is_some() {
            fields.forbid(Properties::VISIBILITY, "to be left out without `Organization`");
            fields.forbid(Properties::SELECTED_REPOSITORIES, "to be left out without `Organization`");
        }
        return None;
    };
    if !fields.has(Properties::VISIBILITY) {
        fields.missing(Properties::VISIBILITY, VISIBILITY_EXPECTED);
        return None;
    }
    let visibility = visibility?;
    if visibility != "selected" && names.as_ref().is_some_and(|names| !names.is_empty()) {
        fields.invalid(Properties::SELECTED_REPOSITORIES, "nothing without `Visibility: selected`", "a list");
        return None;
    }
    let mut selected = Vec::new();
    for (index, text) in names.unwrap_or_default().into_iter().enumerate() {
        let whole = if text.contains('/') { text.clone() } else { format!("{organization}/{text}") };
        match Repository::parse(&whole) {
            Ok(repository) if repository.owner().eq_ignore_ascii_case(organization) => {
                selected.push(repository.name().to_owned());
            }
            _ => fields.invalid_item(
                Properties::SELECTED_REPOSITORIES,
                index,
                "the name of a repository of the organisation",
                format_args!("{text:?}"),
            ),
        }
    }
    if visibility == "selected" && selected.is_empty() {
        fields.missing(Properties::SELECTED_REPOSITORIES, "at least one repository with `Visibility: selected`");
    }
    Some((visibility, selected))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn describe(properties: &serde_json::Value) -> String {
        let members = properties.as_object().unwrap();
        let mut fields = Fields::of_request(members);
        let spec = parse(&mut fields);
        match fields.finish() {
            Ok(()) => format!(
                "{:?}",
                spec.map(|spec| (
                    spec.issuer.web_host(),
                    spec.place,
                    spec.kind,
                    spec.name,
                    spec.visibility,
                    spec.adopt
                ))
                .unwrap()
            ),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn names_and_values_are_taken_up_to_their_limits_and_no_further() {
        // In bytes, as GitHub counts: a letter with an accent has two.
        let of = |name: &str, value: &str| json!({"Repository": "o/r", "Name": name, "Value": value});
        for (size, letter, good) in [
            (48 * 1024, "x", true),
            (48 * 1024 + 1, "x", false),
            (24 * 1024, "\u{e9}", true),
            (24 * 1024 + 1, "\u{e9}", false),
        ] {
            let found = describe(&of("X", &letter.repeat(size)));
            assert_eq!(!found.contains("at most 48 KB"), good, "{size}");
            assert!(!found.contains(&letter.repeat(20)), "no value in a message");
        }
        for (size, good) in [(1, true), (255, true), (256, false)] {
            assert_eq!(describe(&of(&"X".repeat(size), "v")).starts_with('('), good, "{size}");
        }
    }

    #[test]
    fn a_declaration_is_read_or_told_what_is_wrong_without_its_value() {
        let value = "hunter2";
        let long = "x".repeat(VALUE_LIMIT + 1);
        let lines: Vec<String> = [
            json!({"Repository": "o/r", "Name": "aws_role_arn", "Value": value}),
            json!({"Repository": "o/r", "Environment": "eu: live", "Name": "X", "Value": value, "Secret": "true", "OnExisting": "Adopt"}),
            json!({"Organization": "o", "Visibility": "selected", "SelectedRepositories": ["r", "O/s"], "Name": "X", "Value": value, "Host": "octo.ghe.com"}),
            json!({"Organization": "o", "Name": "X", "Value": value}),
            json!({"Organization": "o", "Visibility": "everybody", "Name": "X", "Value": value}),
            json!({"Organization": "o", "Visibility": "selected", "Name": "X", "Value": value}),
            json!({"Organization": "o", "Visibility": "all", "SelectedRepositories": "r", "Name": "X", "Value": value}),
            json!({"Organization": "o", "Visibility": "selected", "SelectedRepositories": ["p/r"], "Name": "X", "Value": value}),
            json!({"Organization": "o", "Visibility": "all", "Environment": "e", "Name": "X", "Value": value}),
            json!({"Repository": "o/r", "Visibility": "all", "Name": "X", "Value": value}),
            json!({"Repository": "o/r", "Organization": "o", "Name": "X", "Value": value}),
            json!({"Name": "X", "Value": value}),
            json!({"Repository": "o", "Name": "X", "Value": value}),
            json!({"Repository": "o/r", "Environment": "prod-*", "Name": "X", "Value": value}),
            json!({"Repository": "o/r", "Name": "GITHUB_TOKEN", "Value": value}),
            json!({"Repository": "o/r", "Name": "github_token", "Value": value}),
            json!({"Repository": "o/r", "Name": "1ST", "Value": value}),
            json!({"Repository": "o/r", "Name": "A-B", "Value": value}),
            json!({"Repository": "o/r", "Value": value}),
            json!({"Repository": "o/r", "Name": "X"}),
            json!({"Repository": "o/r", "Name": "X", "Value": ""}),
            json!({"Repository": "o/r", "Name": "X", "Value": [value]}),
            json!({"Repository": "o/r", "Name": "X", "Value": long}),
            json!({"Repository": "o/r", "Name": "X", "Value": value, "Secret": "yes"}),
            json!({"Repository": "o/r", "Name": "X", "Value": value, "OnExisting": "Share"}),
            json!({"Repository": "o/r", "Name": "X", "Value": value, "Host": "https://github.com"}),
            json!({"Repository": "o/r", "Name": "X", "Valeu": value}),
        ]
        .iter()
        .map(describe)
        .collect();
        assert!(lines.iter().all(|line| !line.contains(value)), "{lines:#?}");
        insta::assert_snapshot!(lines.join("\n"));
    }
}
