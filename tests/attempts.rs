//! The numbers of attempts in docs/threat-model.md: each list of attacks that a test performs is counted.

/// Holds a list of attacks against its line in the table of attempts.
pub(crate) fn counted(attacker: &str, list: &str, attempts: usize) {
    let model = include_str!("../docs/threat-model.md");
    let line = format!("| {attacker} | {list} | {attempts} |");
    assert!(model.contains(&line), "docs/threat-model.md, \"Attempts\": expected a line that begins with {line}");
}
