//! Public templates that trust GitHub, and what the hook finds in each. `tests/policies/test_public_templates.py` asks another
//! evaluator if that is right.

use std::collections::BTreeMap;

use github_trust::hook::in_trust_policy;
use serde_json::{Map, Value, json};

use super::{ISSUER, policy};

/// The finding in a word; none is empty.
fn found(condition: &Value) -> &'static str {
    let with_issuer = |keys: &Value| {
        let keys = keys.as_object().expect("keys").iter();
        keys.map(|(claim, values)| (format!("{ISSUER}:{claim}"), values.clone())).collect::<Map<_, _>>()
    };
    let operators = condition.as_object().expect("operators").iter();
    let condition: Map<_, _> = operators.map(|(operator, keys)| (operator.clone(), with_issuer(keys).into())).collect();
    let findings = in_trust_policy(&policy(&condition.into()));
    let Some(finding) = findings.first() else { return "" };
    let words = [
        ("Jobs of anybody", "open"),
        ("Jobs of every repository", "organisation"),
        ("Every job of", "repository"),
        ("Nobody can", "nobody"),
    ];
    words.iter().find(|(begin, _)| finding.what.starts_with(begin)).expect("a word").1
}

#[test]
fn each_public_template_has_the_finding_of_its_table() {
    let table: Value = serde_json::from_str(include_str!("public_templates.json")).unwrap();
    let mut counts = BTreeMap::<&str, usize>::new();
    for row in table["templates"].as_array().unwrap() {
        let finding = found(&row["condition"]);
        assert_eq!(finding, row["found"], "{row}");
        *counts.entry(finding).or_default() += row["sources"].as_array().unwrap().len();
    }
    // Those that are held against their declarations, too.
    let declared = include_str!("../../src/resources/github_role/tests/public_templates.json");
    let declared: Value = serde_json::from_str(declared).unwrap();
    let mut of_declared = Map::new();
    for template in declared["declared"].as_array().unwrap() {
        let mut claims = template["claims"].as_object().cloned().unwrap_or_default();
        claims.insert("sub".to_owned(), template["subjects"].clone());
        let finding = found(&json!({"StringLike": claims, "StringEquals": {"aud": "sts.amazonaws.com"}}));
        *counts.entry(finding).or_default() += 1;
        let sources = of_declared.entry(finding).or_insert_with(|| json!([])).as_array_mut().unwrap();
        sources.push(template["source"].clone());
    }
    of_declared.remove("");
    assert_eq!(table["declared"], Value::Object(of_declared));
    println!("{counts:?}");
}
