//! Readers look for the reason that a stack shows them, so what `docs/troubleshooting.md` quotes has to be what the function
//! says; and the tests that `docs/guarantees.md` names have to exist.

use std::path::Path;

use super::root;

/// The source as its strings come out: continued lines joined, quotes as they are.
fn said() -> String {
    let mut files = Vec::new();
    super::page::sources(&root().join("src"), &mut files);
    files.iter().map(|file| joined(&std::fs::read_to_string(file).unwrap())).collect::<String>().replace("\\\"", "\"")
}

/// With lines that a backslash continues made one.
fn joined(text: &str) -> String {
    let mut joined = String::new();
    // A quotation mark that is a character begins no string.
    let text = text.replace("'\"'", "' '");
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        match line.strip_suffix('\\') {
            Some(begun) => {
                joined.push_str(begun);
                if let Some(next) = lines.peek_mut() {
                    *next = next.trim_start();
                }
            }
            None => joined.extend([line, "\n"]),
        }
    }
    joined
}

/// What the troubleshooting quotes, a reason a line.
fn reasons_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("> "))
}

/// Where a refusal begins, up to its bracket. What is foreign or cannot be changed has the words of its error.
const REFUSALS: [&str; 5] =
    ["Refusal::PreconditionFailed {", "Error::LookupFailed {", "CallError {", "unfit(", "with("];
/// In these the errors that begin a reason have their words; elsewhere they end one, behind its colon.
const ERRORS: [&str; 3] = ["src/error.rs", "src/github/client.rs", "src/github/credential.rs"];
/// What a service, or an error, says more about than we.
const SAID_BY_OTHERS: [&str; 3] = ["was denied ({code})", " (request id {id})", "GitHub could not be asked: {0}"];

/// Whether a text says something by itself, and is neither a name nor a frame for other texts.
fn is_sentence(text: &str) -> bool {
    let (mut letters, mut depth) = (0, 0);
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 && c.is_alphabetic() => letters += 1,
            _ => {}
        }
    }
    text.contains(' ') && letters >= 8 && !SAID_BY_OTHERS.contains(&text)
}

/// The strings between a bracket and the one that closes it, of which the first is the text's first.
fn strings(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_usize, None, Vec::new());
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (from, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(begin), '"') => {
                found.push(&text[begin..at]);
                from = None;
            }
            (None, '"') => from = Some(at + 1),
            (None, '(' | '{' | '[') => depth += 1,
            (None, ')' | '}' | ']') => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns true for a file that is not compiled into the function.
fn is_for_tests(file: &Path) -> bool {
    file.iter().any(|folder| folder == "tests") || file.ends_with("src/laws.rs")
}

#[test]
fn every_refusal_of_the_source_is_in_the_troubleshooting() {
    let text = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    // Shorter ones would be found anywhere, and a later one, such as "it was left untouched", is part of several reasons.
    let first = |reason: &str| {
        let mut parts = reason.split('…').map(|part| part.trim_start_matches(". ").trim());
        parts.find(|part| part.len() >= 10).map(str::to_owned)
    };
    let parts: Vec<String> = reasons_of(&text).filter_map(first).collect();
    let mut files = Vec::new();
    super::page::sources(&root().join("src"), &mut files);
    let (mut missing, mut refusals) = (Vec::new(), 0);
    for file in files.iter().filter(|file| !is_for_tests(file)) {
        let path = file.strip_prefix(root()).unwrap().display().to_string();
        let text = joined(&std::fs::read_to_string(file).unwrap());
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let errors: &[&str] = if ERRORS.contains(&path.as_str()) { &["#[error(", "write!("] } else { &[] };
        for (at, start) in REFUSALS.iter().chain(errors).flat_map(|start| text.match_indices(start)) {
            let strings = strings(&text[at + start.len() - 1..]);
            let sentences: Vec<String> = strings
                .into_iter()
                .filter(|string| is_sentence(string))
                .map(|string| string.replace("\\\"", "\""))
                .collect();
            if sentences.is_empty() {
                continue;
            }
            refusals += 1;
            if !sentences.iter().any(|sentence| parts.iter().any(|part| sentence.contains(part.as_str()))) {
                missing.push(format!("{path}: {}", sentences.join(" | ")));
            }
        }
    }
    assert!(missing.is_empty(), "docs/troubleshooting.md tells nothing of\n{}", missing.join("\n"));
    assert!(refusals > 35, "{refusals}");
}

#[test]
fn every_guardrail_is_in_the_troubleshooting_and_in_its_own_page() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let mut files = Vec::new();
    super::page::sources(&root().join("src/guardrails"), &mut files);
    let source: String = files.iter().map(|file| joined(&std::fs::read_to_string(file).unwrap())).collect();
    let (troubles, guardrails) = (read("docs/troubleshooting.md"), read("docs/guardrails.md"));
    let mut names: Vec<&str> = source.split("guardrail `").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        assert!(troubles.contains(&format!("`{name}`")), "docs/troubleshooting.md: {name}");
        assert!(guardrails.contains(&format!("\n| `{name}`")), "docs/guardrails.md: {name}");
    }
}

#[test]
fn every_reason_in_the_troubleshooting_is_one_that_the_function_gives() {
    let said = said();
    let text = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let mut quoted = 0;
    for reason in reasons_of(&text) {
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
fn every_test_that_a_promise_names_is_where_it_says() {
    let mut named = 0;
    for document in ["README.md", "docs/guarantees.md"] {
        let document = root().join(document);
        let (text, shown) = (std::fs::read_to_string(&document).unwrap(), document.display());
        for link in text.split("[`").skip(1) {
            let Some((name, rest)) = link.split_once("`](") else { continue };
            let path = rest.split([')', '#']).next().unwrap_or_default();
            if !["tests/", "src/"].iter().any(|folder| path.trim_start_matches("../").starts_with(folder)) {
                continue;
            }
            let file = document.with_file_name(path);
            let name = name.trim_end_matches('…');
            if file.is_dir() || Path::new(name).extension().is_some() {
                assert!(file.exists(), "{shown}: {path} is not there");
                continue;
            }
            let body = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{shown}: {path}: {error}"));
            assert!(body.contains(name), "{shown}: no {name} in {path}");
            named += 1;
        }
    }
    assert!(named > 15, "{named}");
}
