//! The table in `docs/reliability.md` is made from the names of the tests: `WRITE_TABLE=1 cargo test --test suite
//! the_table` writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{FAULTS, NOT_YET};

const BEGIN: &str = "<!-- The table is written by a test: see tests/simulation/fault_matrix/table.rs. -->\n";
const END: &str = "<!-- The end of the table. -->\n";

/// A test of the matrix: its name, and why it does not hold yet, if it does not.
struct Test {
    name: String,
    ignored: Option<String>,
}

/// The tests by the number of their row, as the sources have them.
fn tests() -> BTreeMap<usize, Vec<Test>> {
    let folders = ["tests/simulation/fault_matrix", "tests/thumbprints"];
    let folders = folders.map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect();
    files.sort();
    let mut tests: BTreeMap<usize, Vec<Test>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut ignored = None;
        for line in text.lines() {
            let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
            if let Some(reason) = line.strip_prefix("#[ignore = ").and_then(quoted) {
                ignored = Some(reason);
            } else if let Some(name) =
                line.trim_start_matches("async ").strip_prefix("fn row_").and_then(|rest| rest.split('(').next())
            {
                let row = name[..2].parse().expect("two digits");
                tests.entry(row).or_default().push(Test { name: format!("row_{name}"), ignored: ignored.take() });
            }
        }
    }
    tests
}

fn table() -> String {
    let tests = tests();
    let mut table = String::from("| # | fault | test | result |\n|---|---|---|---|\n");
    for (row, fault) in (1..).zip(FAULTS) {
        let reason = NOT_YET.iter().find(|(not_yet, _)| *not_yet == row).map(|(_, reason)| *reason);
        let tests = tests.get(&row).map(Vec::as_slice).unwrap_or_default();
        assert!(tests.is_empty() == reason.is_some(), "row {row} has either tests or a reason why not");
        if let Some(reason) = reason {
            let _ = writeln!(table, "| {row} | {fault} | – | not yet: {reason} |");
        }
        for (index, test) in tests.iter().enumerate() {
            let (row, fault) = if index == 0 { (row.to_string(), fault) } else { (String::new(), "") };
            let result =
                test.ignored.as_ref().map_or("holds".to_owned(), |reason| format!("**does not hold**: {reason}"));
            let _ = writeln!(table, "| {row} | {fault} | `{}` | {result} |", test.name);
        }
    }
    table
}

#[test]
fn the_table_in_the_documentation_names_every_fault_and_every_test() {
    assert!(tests().keys().all(|row| (1..=FAULTS.len()).contains(row)), "a row that does not exist");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (written, after) = rest.split_once(END).expect("the end of the table");
    let table = table();
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(written == table, "the table is not what the tests are: write it with WRITE_TABLE=1");
}
