//! Laws of the descriptions: each described property is read, and a value beyond a described limit is refused.

use std::io::Write;

use github_trust::cloudformation::Fields;
use github_trust::cloudformation::schema::{Property, PropertyType, ResourceSchema};
use github_trust::deployment::Deployment;
use github_trust::handler::RESOURCES;
use github_trust::reconcile::Resource;
use github_trust::resources::eks_access_entry::AccessEntries;
use github_trust::resources::github_environment::GitHubEnvironments;
use github_trust::resources::github_repository_oidc::GitHubRepositoryOidcs;
use github_trust::resources::github_role::GitHubRoles;
use github_trust::resources::github_variable::GitHubVariables;
use github_trust::resources::oidc_provider::OidcProviders;
use serde_json::{Map, Value, json};

/// The mistakes in some properties, as their reader is told.
pub(super) fn mistakes(resource: &ResourceSchema, properties: &Map<String, Value>) -> String {
    fn of<K: Resource>(properties: &Map<String, Value>) -> String {
        let home = Deployment {
            partition: "aws".into(),
            region: "us-east-1".into(),
            account: "123456789012".into(),
            role_path: "/github/".into(),
            role_boundary: None,
        };
        let mut fields = Fields::of_request(properties);
        let _ = K::parse(&mut fields, &home);
        fields.finish().map_or_else(|problems| problems.to_string(), |()| String::new())
    }
    match resource.name {
        OidcProviders::TYPE => of::<OidcProviders>(properties),
        GitHubRoles::TYPE => of::<GitHubRoles>(properties),
        AccessEntries::TYPE => of::<AccessEntries>(properties),
        GitHubVariables::TYPE => of::<GitHubVariables>(properties),
        GitHubEnvironments::TYPE => of::<GitHubEnvironments>(properties),
        GitHubRepositoryOidcs::TYPE => of::<GitHubRepositoryOidcs>(properties),
        other => panic!("{other} is to be added here"),
    }
}

type Visit<'a> = dyn FnMut(&Property, &str, &dyn Fn(Value) -> Value) + 'a;

/// Every property, with the path that messages name and the value around it: `within` makes whole properties of a value.
fn each(properties: &'static [Property], path: &str, within: &dyn Fn(&str, Value) -> Value, visit: &mut Visit<'_>) {
    for property in properties {
        let name = property.name;
        visit(property, &format!("{path}{name}"), &|value| within(name, value));
        match property.form {
            PropertyType::Object(object) => each(
                object.properties,
                &format!("{path}{name}."),
                &|inner, value| within(name, json!({inner: value})),
                visit,
            ),
            PropertyType::Objects(object, _) => each(
                object.properties,
                &format!("{path}{name}[0]."),
                &|inner, value| within(name, json!([{inner: value}])),
                visit,
            ),
            _ => {}
        }
    }
}

fn each_of(resource: &ResourceSchema, mut visit: impl FnMut(&Property, &str, &dyn Fn(Value) -> Value)) {
    each(resource.object.properties, "", &|name, value| json!({name: value}), &mut visit);
}

#[test]
fn every_described_property_is_read_and_a_required_one_is_missed() {
    let mut seen = 0;
    for resource in &RESOURCES {
        each_of(resource, |property, path, around| {
            // No form takes it.
            let told = mistakes(resource, around(json!(7.5)).as_object().unwrap());
            let read = told.contains(&format!("`{path}`: expected "));
            assert!(read, "{} `{path}` ({:?}) is described, but not read: {told}", resource.name, property.form);
            seen += 1;
        });
        let told = mistakes(resource, &Map::new());
        for property in resource.object.properties {
            let missed = told.contains(&format!("`{}` is required", property.name));
            assert_eq!(missed, property.required, "{} `{}`: {told}", resource.name, property.name);
        }
    }
    assert!(seen > 40, "{seen}");
}

/// With `BEYOND` in the environment, all of them are written there, for `check_schemas.py` to hold the schemas against.
#[test]
fn what_is_beyond_a_described_limit_is_refused() {
    let mut file = std::env::var_os("BEYOND").map(|path| std::fs::File::create(path).unwrap());
    let mut seen = 0;
    for resource in &RESOURCES {
        each_of(resource, |property, path, around| {
            let long = |length: usize| json!("a".repeat(length));
            let many = |count: usize| json!(vec![json!("a"); count]);
            let beyond: Vec<Value> = match property.form {
                PropertyType::Text(text) if !text.values.is_empty() => vec![json!("neither")],
                PropertyType::Text(text) => {
                    [(text.min > 0).then(|| text.min - 1), (text.max < usize::MAX).then(|| text.max + 1)]
                        .into_iter()
                        .flatten()
                        .map(long)
                        .collect()
                }
                PropertyType::Integer(least, most, _) => {
                    vec![json!(i64::from(least) - 1), json!(most + 1), json!("many")]
                }
                PropertyType::Boolean => vec![json!("yes")],
                PropertyType::Texts(text, count) => {
                    let mut beyond = vec![json!([""])];
                    if count.min > 0 {
                        beyond.push(many(count.min - 1));
                    }
                    if count.max < usize::MAX {
                        beyond.push(many(count.max + 1));
                    }
                    if text.max < usize::MAX {
                        beyond.push(json!([long(text.max + 1)]));
                    }
                    beyond
                }
                PropertyType::Objects(_, count) => {
                    let mut beyond = vec![json!("text")];
                    beyond.extend((count.min > 0).then(|| json!([])));
                    beyond.extend((count.max < usize::MAX).then(|| json!(vec![json!({}); count.max + 1])));
                    beyond
                }
                PropertyType::Object(_) | PropertyType::Document => vec![json!(["a list"])],
            };
            for value in beyond {
                let properties = around(value);
                let told = mistakes(resource, properties.as_object().unwrap());
                let refused = ["", "[0]"].iter().any(|item| told.contains(&format!("`{path}{item}`: expected ")));
                assert!(refused, "{} takes {properties}: {told}", resource.name);
                if let Some(file) = &mut file {
                    let case = json!({"type": resource.name, "at": path, "properties": properties});
                    writeln!(file, "{case}").unwrap();
                }
                seen += 1;
            }
        });
    }
    assert!(seen > 80, "{seen}");
}
