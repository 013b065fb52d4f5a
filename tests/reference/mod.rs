//! The JSON Schemas in `schemas/` and the pages in `docs/reference/` are written from what the kinds say of their properties:
//! `WRITE=1 cargo test --test suite reference` writes them, and without `WRITE` a difference fails.

mod laws;
mod page;
mod reasons;
mod schema;

use std::path::{Path, PathBuf};

use github_trust::cloudformation::schema::ResourceSchema;
use github_trust::handler::RESOURCES;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// `Custom::GitHubOidcProvider` is `github-oidc-provider`.
fn slug(resource: &ResourceSchema) -> String {
    let name = resource.name.trim_start_matches("Custom::").replace("GitHub", "Github");
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !slug.is_empty() {
            slug.push('-');
        }
        slug.push(c.to_ascii_lowercase());
    }
    slug
}

/// Everything that is written, by its path.
fn files() -> Vec<(String, String)> {
    let json = |value: &Value| format!("{value:#}\n");
    let mut files = vec![
        ("docs/reference/README.md".to_owned(), page::index()),
        ("schemas/template.json".to_owned(), json(&schema::template())),
    ];
    for resource in &RESOURCES {
        let slug = slug(resource);
        files.push((format!("schemas/resources/{slug}.json"), json(&schema::resource(resource))));
        files.push((format!("docs/reference/{slug}.md"), page::page(resource)));
    }
    files
}

#[test]
fn the_reference_is_what_the_kinds_say_of_themselves() {
    let files = files();
    for (path, text) in &files {
        let path = root().join(path);
        if std::env::var_os("WRITE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == *text, "{} is out of date: WRITE=1 cargo test --test suite reference", path.display());
    }
    for folder in ["docs/reference", "schemas/resources"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().display());
            assert!(files.iter().any(|(path, _)| *path == name), "{name} belongs to no kind");
        }
    }
}
