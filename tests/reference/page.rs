//! Pages as CloudFormation's own reference has them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use github_trust::cloudformation::schema::{Count, Object, Property, PropertyType, ResourceSchema, Text, Update};
use github_trust::handler::RESOURCES;

use super::{root, schema, slug};

const WRITTEN: &str = "<!-- Written by tests/reference from the descriptions in the source; do not edit. -->";

pub(super) fn index() -> String {
    let mut text = format!(
        "# Reference\n\n{WRITTEN}\n\nIn all of them: scalars may be strings, a single item may stand for a list of one, an unknown \
         property is a\nmistake, and all mistakes are told at once.\n\n| type | keeps | guide |\n|---|---|---|\n"
    );
    for resource in &RESOURCES {
        let first = resource.doc.split_once(['.', ':']).map_or(resource.doc, |(first, _)| first);
        let (name, slug, guide) = (resource.name, slug(resource), resource.guide);
        let _ = writeln!(text, "| [`{name}`]({slug}.md) | {first} | [{guide}](../{guide}.md) |");
    }
    let _ = writeln!(text, "\nThe same for editors and linters: [../linting.md](../linting.md).");
    text
}

pub(super) fn page(resource: &ResourceSchema) -> String {
    let own = schema::of_cloudformation(resource);
    let mut properties: Vec<Property> = own.iter().chain(resource.object.properties).copied().collect();
    properties.sort_by_key(|property| property.name);
    let mut objects = Vec::new();
    schema::nested(resource.object.properties, &mut objects);

    let ResourceSchema { name, doc, guide, .. } = resource;
    let mut text = format!("# {name}\n\n{WRITTEN}\n\n{doc}\n\nThe guide: [{guide}.md](../{guide}.md).\n");
    text += &syntax(Some(name), &properties);
    text += "\n## Properties\n";
    for property in &properties {
        text += &described(property, true);
    }
    text += "\n## Return values\n\n### Ref\n\n";
    let _ = writeln!(text, "`Ref` gives {}.\n\n### Fn::GetAtt\n", resource.reference);
    for (attribute, says) in resource.attributes {
        let _ = writeln!(text, "`{attribute}`  \n{says}\n");
    }
    for object in objects {
        let Object { name, doc, properties, any_of: _ } = object;
        let _ = write!(text, "## {name}\n\n{doc}\n");
        text += &syntax(None, properties)
            .replace("\n## ", "\n### ")
            .replace("\n### JSON", "\n#### JSON")
            .replace("\n### YAML", "\n#### YAML");
        text += "\n### Properties\n";
        for property in *properties {
            text += &described(property, false);
        }
        text.push('\n');
    }
    text += &example(resource);
    text += &permissions(resource);
    text
}

fn syntax(name: Option<&str>, properties: &[Property]) -> String {
    let (mut json, mut yaml) = (Vec::new(), String::new());
    for property in properties {
        let (kind, _) = kind(property.form);
        json.push(format!("\"{}\" : {kind}", property.name));
        let value = match property.form {
            PropertyType::Objects(object, _) => format!("\n  - {}", object.name),
            PropertyType::Texts(..) => "\n  - String".to_owned(),
            PropertyType::Object(object) => format!("\n  {}", object.name),
            _ => format!(" {kind}"),
        };
        let _ = writeln!(yaml, "{}:{value}", property.name);
    }
    let Some(name) = name else {
        return format!(
            "\n## Syntax\n\n### JSON\n\n```text\n{{\n  {}\n}}\n```\n\n### YAML\n\n```yaml\n{yaml}```\n",
            json.join(",\n  ")
        );
    };
    let yaml = format!("  {}\n", yaml.trim_end().replace('\n', "\n  "));
    format!(
        "\n## Syntax\n\n### JSON\n\n```text\n{{\n  \"Type\" : \"{name}\",\n  \"Properties\" : {{\n    {}\n  }}\n}}\n```\n\n### YAML\n\n\
         ```yaml\nType: {name}\nProperties:\n{yaml}```\n",
        json.join(",\n    ")
    )
}

/// The type as CloudFormation writes it, without and with links.
fn kind(form: PropertyType) -> (String, String) {
    let link = |object: &Object| format!("[{}](#{})", object.name, object.name.to_lowercase());
    let same = |text: &str| (text.to_owned(), text.to_owned());
    match form {
        PropertyType::Text(_) => same("String"),
        PropertyType::Integer(..) => same("Integer"),
        PropertyType::Boolean => same("Boolean"),
        PropertyType::Document => same("Json"),
        PropertyType::Texts(..) => ("[ String, … ]".to_owned(), "Array of String".to_owned()),
        PropertyType::Objects(object, _) => (format!("[ {}, … ]", object.name), format!("Array of {}", link(object))),
        PropertyType::Object(object) => (object.name.to_owned(), link(object)),
    }
}

fn described(property: &Property, of_resource: bool) -> String {
    let Property { name, form, required, expected: _, default, update, doc } = property;
    let mut text = format!("\n`{name}`  \n{doc}\n\n");
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "- *{what}*: {value}");
    };
    line("Required", if *required { "Yes" } else { "No" });
    line("Type", &kind(*form).1);
    if let Some(default) = default {
        line("Default", &format!("`{default}`"));
    }
    let mut limits = |Text { min, max, pattern, values }: Text, each: &str| {
        if !values.is_empty() {
            line("Allowed values", &values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" | "));
            return;
        }
        if let Some(pattern) = pattern {
            line("Pattern", &format!("`{pattern}`{each}"));
        }
        // One character is what every string has that is not left out.
        if min != 1 {
            line("Minimum", &format!("`{min}`{each}"));
        }
        if max < usize::MAX {
            line("Maximum", &format!("`{max}`{each}"));
        }
    };
    match form {
        PropertyType::Text(text) => limits(*text, ""),
        PropertyType::Texts(text, _) => limits(*text, " (of each)"),
        PropertyType::Integer(least, most, _) => {
            line("Minimum", &format!("`{least}`"));
            line("Maximum", &format!("`{most}`"));
        }
        PropertyType::Boolean | PropertyType::Objects(..) | PropertyType::Object(_) | PropertyType::Document => {}
    }
    if let PropertyType::Texts(_, count) | PropertyType::Objects(_, count) = form {
        let Count { min, max, noun: _ } = count;
        let items = match (min, max) {
            (0, &usize::MAX) => None,
            (min, &usize::MAX) => Some(format!("at least {min}")),
            (0, max) => Some(format!("at most {max}")),
            (min, max) => Some(format!("{min} to {max}")),
        };
        if let Some(items) = items {
            line("Items", &items);
        }
    }
    if of_resource {
        line(
            "Update requires",
            match (*name, update) {
                ("ServiceToken", _) => "Updates are not supported",
                (_, Update::NoInterruption) => "No interruption",
                (_, Update::SomeInterruptions) => {
                    "Some interruptions: the object is deleted and made again under the same id"
                }
                (_, Update::Replacement) => "Replacement",
            },
        );
    }
    text
}

pub(super) fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The first resource of the type in the examples, the quick start before all others.
fn example(resource: &ResourceSchema) -> String {
    let mut files: Vec<_> = std::fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort_by_key(|path| (!path.ends_with("quickstart.yaml"), path.clone()));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let Some(at) = lines.iter().position(|line| line.trim() == format!("Type: {}", resource.name)) else {
            continue;
        };
        let body = lines[at..].iter().take_while(|line| line.is_empty() || line.starts_with("    "));
        let block: Vec<&str> = std::iter::once(lines[at - 1]).chain(body.copied()).collect();
        let name = file.file_name().unwrap().display();
        let block = block.join("\n");
        return format!(
            "## Example\n\nOut of [examples/{name}](../../examples/{name}):\n\n```yaml\nResources:\n{}\n```\n",
            block.trim_end()
        );
    }
    panic!("{} stands in no example", resource.name);
}

/// What the function calls, as its source names it.
fn permissions(resource: &ResourceSchema) -> String {
    let (guide, types) = (resource.guide.replace('-', "_"), root().join("src/resources"));
    let mut files = Vec::new();
    sources(&types, &mut files);
    files.retain(|file| {
        let folders: Vec<_> = file.strip_prefix(&types).unwrap().iter().map(|name| name.to_string_lossy()).collect();
        folders[0].ends_with(&guide) && !folders.contains(&"tests".into())
    });
    assert!(!files.is_empty(), "no source for {guide}");
    let mut actions = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if code.contains("iam::list_roles(") {
            actions.insert("iam:ListRoles".to_owned());
        }
        for quoted in code.split('"').skip(1).step_by(2) {
            if let Some(("iam" | "eks", action)) = quoted.split_once(':')
                && action.starts_with(|c: char| c.is_ascii_uppercase())
                && action.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                actions.insert(quoted.to_owned());
            }
        }
    }
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let mut text = String::from("\n## Permissions\n\n");
    text += match actions.len() {
        0 => "The function calls nothing in AWS for it.\n",
        _ => {
            "The function calls these, which its role in [template.yaml](../../template.yaml) allows within limits:\n\n"
        }
    };
    for action in &actions {
        assert!(template.contains(action.as_str()), "the function's role may not {action}");
        let _ = writeln!(text, "- `{action}`");
    }
    text += "\nAnybody who deploys a stack with this resource needs `lambda:InvokeFunction` on the function, or a service role that \
             has it: read [SECURITY.md](../../SECURITY.md) first.\n";
    text
}
