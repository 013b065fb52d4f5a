//! Dependencies point inward: decisions know neither the SDK nor a runtime nor a clock, kinds do not know each other, and
//! the protocol knows no kind.

use std::path::{Path, PathBuf};

const KINDS: [&str; 6] =
    ["oidc_provider", "github_role", "access_entry", "github_variable", "github_environment", "github_repository_oidc"];

/// What files whose path ends so must not mention.
fn forbidden(path: &str) -> Vec<&'static str> {
    let mut words = Vec::new();
    let folder = path.split('/').next().unwrap_or_default();
    if path.ends_with("/plan.rs")
        || ["pattern", "trust_policy", "declaration", "compile", "recall"]
            .iter()
            .any(|name| path.ends_with(&format!("/{name}.rs")))
        || path.contains("/evaluate/")
    {
        words.extend(["aws_", "tokio", "SystemTime", "Instant", "fastrand", "async ", "std::env"]);
    }
    if folder == "cloudformation" {
        words.extend(["aws_", "tokio", "SystemTime", "Instant", "crate::owner", "crate::reconcile", "crate::error"]);
        words.extend(KINDS);
    }
    if folder == "github" || path == "owner.rs" || path == "tags.rs" {
        words.extend(["crate::reconcile", "crate::handler"]);
        words.extend(KINDS);
        // These ask: GitHub, and Secrets Manager.
        if !["github/rest.rs", "github/transport.rs", "github/credential.rs"].contains(&path) {
            words.extend(["aws_", "tokio"]);
        }
    }
    if [
        "reconcile.rs",
        "reconcile/kind.rs",
        "reconcile/seen.rs",
        "reconcile/sharing.rs",
        "retry.rs",
        "error.rs",
        "deliver.rs",
    ]
    .contains(&path)
    {
        words.extend(["aws_sdk_", "crate::handler"]);
        words.extend(KINDS);
    }
    if KINDS.contains(&folder) {
        words.push("crate::handler");
        words.extend(KINDS.into_iter().filter(|kind| *kind != folder));
    }
    words
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn dependencies_point_inward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut checked = 0;
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        // Comments may name anything, and tests stand behind everything else.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for word in forbidden(&path) {
                assert!(!line.contains(word), "src/{path}:{} must not know {word}: {line}", number + 1);
                checked += 1;
            }
        }
    }
    assert!(checked > 10_000, "only {checked} lines were held against a rule");
}
