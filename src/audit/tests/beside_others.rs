//! The grades of the policies that `docs/audit-beside-others.md` compares with the checks of others.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ARN, G, grades};

/// A trust policy of the conditions that a row writes without the issuer.
fn policy(row: &Value) -> Value {
    let statements = row["statements"].as_array().into_iter().flatten().map(|statement| {
        let mut full = json!({
            "Effect": statement["Effect"],
            "Principal": {"Federated": ARN},
            "Action": "sts:AssumeRoleWithWebIdentity",
        });
        let operators = statement["Condition"].as_object().into_iter().flatten().map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten().map(|(key, values)| {
                let is_whole = key.contains(':');
                (if is_whole { key.clone() } else { format!("{G}:{key}") }, values.clone())
            });
            (operator.clone(), Value::Object(keys.collect::<Map<String, Value>>()))
        });
        let condition: Map<String, Value> = operators.collect();
        if !condition.is_empty() {
            full["Condition"] = Value::Object(condition);
        }
        full
    });
    json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
}

#[test]
fn the_policies_that_others_judge_too_have_the_grades_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/beside_others.json");
    let mut table: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("the table")).expect("JSON");
    let rows = table["policies"].as_array_mut().expect("rows");
    assert_eq!(rows.len(), 60);
    let mut wrong = Vec::new();
    for row in rows.iter_mut() {
        let found = json!(grades(&policy(row)));
        if row["ours"] != found {
            wrong.push(format!("{}: {} is {found}", row["says"], row["ours"]));
            row["ours"] = found;
        }
    }
    if std::env::var_os("WRITE").is_some() {
        let rows: Vec<String> = rows.iter().map(|row| format!("  {row}")).collect();
        let text = format!("{{\n \"policies\": [\n{}\n ]\n}}\n", rows.join(",\n"));
        std::fs::write(&path, text).expect("the table");
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
