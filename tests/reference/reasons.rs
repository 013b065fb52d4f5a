//! Readers look for the reason that a stack shows them, so what `docs/troubleshooting.md` quotes has to be what the function
//! says; and what the README promises has to be shown by a test of that name.

use std::path::Path;

use super::root;

/// The source as its strings come out: continued lines joined, quotes as they are.
fn said() -> String {
    let mut files = Vec::new();
    super::page::sources(&root().join("src"), &mut files);
    let mut said = String::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            match line.strip_suffix('\\') {
                Some(begun) => {
                    said.push_str(begun);
                    if let Some(next) = lines.peek_mut() {
                        *next = next.trim_start();
                    }
                }
                None => said.push_str(line),
            }
            if !line.ends_with('\\') {
                said.push('\n');
            }
        }
    }
    said.replace("\\\"", "\"")
}

#[test]
fn every_reason_in_the_troubleshooting_is_one_that_the_function_gives() {
    let said = said();
    let text = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let mut quoted = 0;
    for reason in text.lines().filter_map(|line| line.strip_prefix("> ")) {
        // In backquotes an ellipsis is part of the text.
        let kept = reason.replace("`!Split [\",\", …]`", "`!Split [\",\", \u{0}]`");
        for part in kept.split('…').map(|part| part.trim_end_matches(['.', '?']).replace('\u{0}', "…")) {
            let placed = said.contains(part.trim_start_matches(". "));
            assert!(placed, "the function never says {part:?}, of which docs/troubleshooting.md tells: {reason}");
        }
        quoted += 1;
    }
    assert!(quoted > 30, "{quoted}");
}

#[test]
fn every_test_that_the_readme_names_is_where_it_says() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut named = 0;
    for link in text.split("[`").skip(1) {
        let Some((name, rest)) = link.split_once("`](") else { continue };
        let path = rest.split([')', '#']).next().unwrap_or_default();
        if !path.starts_with("tests/") && !path.starts_with("src/") {
            continue;
        }
        let file = root().join(path);
        let name = name.trim_end_matches('…');
        if file.is_dir() || Path::new(name).extension().is_some() {
            assert!(file.exists(), "README.md: {path} is not there");
            continue;
        }
        let body = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("README.md: {path}: {error}"));
        assert!(body.contains(name), "README.md: no {name} in {path}");
        named += 1;
    }
    assert!(named > 15, "{named}");
}
