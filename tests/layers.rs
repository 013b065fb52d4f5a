//! The floors of the crate. A module imports from lower floors and from its own folder only, and no modules import each
//! other in a circle. Pure modules do not name the SDK, the runtime or a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules at the top of `src`, and the text of the table about them. A module also imports from those before it in the list.
struct Floor {
    modules: &'static [&'static str],
    holds: &'static str,
}

const fn floor(modules: &'static [&'static str], holds: &'static str) -> Floor {
    Floor { modules, holds }
}

/// From the ground up.
const FLOORS: [Floor; 15] = [
    floor(
        &["arn", "readable_list", "lazy", "metrics", "deployment"],
        "ARNs; lists in words; values made on first use; metrics; partition, region and account",
    ),
    floor(&["cloudformation"], "the custom resource protocol: request, properties and their schema, response"),
    floor(&["net"], "the HTTP client, TLS and root certificates"),
    floor(&["ownership"], "the owner of an object and the record of what was applied to it, as tags"),
    floor(&["aws"], "calls to AWS: deadline, retry, error kinds, pages"),
    floor(&["error"], "the errors of a request, and the reason that a stack shows"),
    floor(&["request_origin"], "the proof that CloudFormation waits for a request"),
    floor(&["github"], "issuers, names, subjects and the REST API of GitHub"),
    floor(&["iam_policy"], "IAM's policy language: patterns, documents, evaluation"),
    floor(&["audit"], "the grades of trust policies, each with the job that proves it"),
    floor(&["guardrails"], "what this deployment lets stacks ask for"),
    floor(&["reconcile"], "the algorithm: observe, plan, apply; and the traits of a resource type"),
    floor(&["resources"], "the resource types, one folder each"),
    floor(&["settings", "app"], "the environment variables; the clients that invocations share"),
    floor(
        &["explain", "preview", "hook", "scheduled", "send_response", "handler"],
        "an invocation: two sorts of questions, CloudFormation's hooks, the scheduled run, the response to CloudFormation, and the choice between them",
    ),
];

const PAGE: &str = "docs/architecture.md";
const BEGIN: &str = "<!-- The floors, written by `WRITE=1 cargo test --test suite the_table_of_floors`. -->\n";
const END: &str = "<!-- The end of the floors. -->\n";

/// Modules that decide. They do not name the SDK, the runtime, a clock or a source of chance.
const PURE: [&str; 15] = [
    "plan",
    "action",
    "listing",
    "grade",
    "pattern",
    "trust_policy",
    "trust_declaration",
    "compile",
    "facts_from_policy",
    "subject_difference",
    "evaluate",
    "effect",
    "template",
    "evaluation",
    "native",
];
const IMPURE: [&str; 7] = ["aws_", "tokio", "SystemTime", "Instant", "fastrand", "async ", "std::env"];

/// Words that a folder must not contain, beside the rule of the floors.
const FORBIDDEN: [(&str, &[&str]); 2] =
    [("cloudformation/", &["aws_", "tokio", "SystemTime", "Instant"]), ("reconcile/", &["aws_sdk_"])];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every source file by its path below `src`, without comments and without its unit tests.
fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let source = root().join("src");
    let mut files = Vec::new();
    walk(&source, &mut files);
    let name = |file: &Path| file.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/");
    files
        .into_iter()
        .map(|file| (name(&file), std::fs::read_to_string(&file).unwrap()))
        .filter(|(path, _)| !path.contains("/tests/"))
        .map(|(path, text)| {
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
            (path, lines.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

/// The module path of a file: `github/subject.rs` is `github::subject`, `github/mod.rs` is `github`.
fn module(path: &str) -> String {
    path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// The longest known module that a path of code begins with.
fn resolve(path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut path = path.to_owned();
    loop {
        if modules.contains(&path) {
            return Some(path);
        }
        path.truncate(path.rfind("::")?);
    }
}

/// The paths that a piece of code names: `crate::a::b`, `super::c`, each member of a group by itself.
fn named(code: &str, here: &str) -> Vec<String> {
    let parent = |module: &str| module.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned());
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((offset, start)) =
        ["crate::", "super::"].iter().filter_map(|start| code[at..].find(start).map(|offset| (offset, *start))).min()
    {
        let begin = at + offset;
        at = begin + start.len();
        if code[..begin].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let mut base = if start == "crate::" { String::new() } else { parent(here) };
        let mut rest = &code[at..];
        while let Some(after) = rest.strip_prefix("super::") {
            base = parent(&base);
            rest = after;
        }
        let prefix: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
        let join = |tail: &str| if base.is_empty() { tail.to_owned() } else { format!("{base}::{tail}") };
        match rest[prefix.len()..].strip_prefix('{') {
            Some(group) => {
                let group = group.split('}').next().unwrap_or_default();
                found.extend(
                    group
                        .split(',')
                        .map(|member| join(&format!("{prefix}{}", member.trim().split(' ').next().unwrap()))),
                );
            }
            None => found.push(join(prefix.trim_end_matches(':'))),
        }
    }
    found
}

/// Which module imports which.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let modules: BTreeSet<String> = sources.keys().map(|path| module(path)).collect();
    sources
        .iter()
        .map(|(path, code)| {
            let here = module(path);
            let targets = named(code, &here);
            let targets =
                targets.iter().filter_map(|target| resolve(target, &modules)).filter(|target| *target != here);
            (here.clone(), targets.collect())
        })
        .collect()
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.modules.contains(&top(module)))
}

#[test]
fn no_module_imports_one_above_it() {
    for (module, targets) in imports() {
        if ["main", "lib", "laws", "owner_claim_laws"].contains(&module.as_str()) || top(&module) == "bin" {
            continue;
        }
        let floor = floor_of(&module).unwrap_or_else(|| panic!("{module} is on no floor"));
        for target in targets.iter().filter(|target| top(target) != top(&module)) {
            let other = floor_of(target).unwrap_or_else(|| panic!("{module} imports {target}, which is on no floor"));
            let beside = FLOORS[floor].modules;
            let order = |module: &str| beside.iter().position(|one| *one == top(module));
            let is_below = other < floor || other == floor && order(target) < order(&module);
            assert!(is_below, "{module} imports {target}, which is not below it");
        }
    }
}

#[test]
fn resource_types_do_not_import_each_other() {
    let of = |module: &str| module.split("::").nth(1).map(str::to_owned);
    for (module, targets) in imports().into_iter().filter(|(module, _)| module.starts_with("resources::")) {
        for target in targets.iter().filter(|target| target.starts_with("resources::")) {
            assert_eq!(of(&module), of(target), "{module} imports {target}");
        }
    }
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    fn visit(
        at: &str,
        graph: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) {
        if let Some(start) = path.iter().position(|module| module == at) {
            panic!("{} -> {at}", path[start..].join(" -> "));
        }
        if !done.contains(at) {
            path.push(at.to_owned());
            // A folder and its files are one thing to each other: the folder's `mod.rs` holds their types.
            let inside =
                |target: &&String| !at.starts_with(&format!("{target}::")) && !target.starts_with(&format!("{at}::"));
            for target in graph[at].iter().filter(inside) {
                visit(target, graph, path, done);
            }
            path.pop();
            done.insert(at.to_owned());
        }
    }
    let graph = imports();
    let mut done = BTreeSet::new();
    for module in graph.keys() {
        visit(module, &graph, &mut Vec::new(), &mut done);
    }
}

#[test]
fn pure_modules_name_no_sdk_no_runtime_and_no_clock() {
    let mut checked = 0;
    for (path, code) in sources() {
        let module = module(&path);
        let is_pure = module.split("::").any(|part| PURE.contains(&part));
        let mut words: Vec<&str> = if is_pure { IMPURE.to_vec() } else { Vec::new() };
        let folders = FORBIDDEN.iter().filter(|(folder, _)| path.starts_with(folder));
        words.extend(folders.flat_map(|(_, words)| words.iter()));
        for (number, line) in code.lines().enumerate() {
            for word in &words {
                assert!(!line.contains(word), "src/{path}:{} names {word}: {line}", number + 1);
                checked += 1;
            }
        }
    }
    assert!(checked > 10_000, "only {checked} lines were held against a rule");
}

/// The floors as a table, the highest first, each module with a link to its source.
fn table() -> String {
    let link = |module: &&str| {
        let ending = if root().join("src").join(module).is_dir() { "" } else { ".rs" };
        format!("[{module}](../src/{module}{ending})")
    };
    let row = |(number, Floor { modules, holds }): (usize, &Floor)| {
        let links: Vec<String> = modules.iter().map(link).collect();
        format!("| {number} | {} | {holds} |\n", links.join(", "))
    };
    let rows: String = (1..).zip(&FLOORS).collect::<Vec<_>>().into_iter().rev().map(row).collect();
    format!("| floor | modules | holds |\n|--:|---|---|\n{rows}")
}

#[test]
fn the_table_of_floors_in_the_architecture_is_the_list_of_this_test() {
    let path = root().join(PAGE);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (written, after) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("WRITE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert!(written == table(), "{PAGE} has other floors: write them with WRITE=1");
}
