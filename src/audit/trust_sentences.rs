//! A trust policy in sentences.

use serde_json::Value;

use crate::iam_policy::document::{names_action, one_or_many, statements};

/// A statement: the sentence that begins it, and one for each condition. All conditions have to be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The effect.
    pub effect: String,
    /// The conditions.
    pub conditions: Vec<String>,
}

/// The statements of a trust policy.
#[must_use]
pub fn explained(policy: &Value) -> Vec<Explained> {
    statements(policy).iter().map(statement).collect()
}

fn statement(statement: &Value) -> Explained {
    let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    let conditions: Vec<String> = operators
        .flat_map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, values)| condition(operator, key, one_or_many(Some(values))))
        })
        .collect();
    let is_of_jobs = names_action(statement, "sts:AssumeRoleWithWebIdentity");
    let principals = principals(statement);
    let effect = match (statement.get("Effect").and_then(Value::as_str), is_of_jobs) {
        (Some("Allow"), true) => format!("Lets in a token of {principals}"),
        (Some("Deny"), true) => format!("Keeps out a token of {principals}"),
        (Some("Deny"), false) => format!("Denies {principals} {}", actions(statement)),
        (_, _) => format!("Allows {principals} {}", actions(statement)),
    };
    let end = match conditions.len() {
        0 => ", without a condition.",
        1 => " on one condition:",
        _ => " if all of this is true:",
    };
    Explained { effect: effect + end, conditions }
}

fn principals(statement: &Value) -> String {
    let Some(principal) = statement.get("Principal") else { return "others than it names".to_owned() };
    let Some(kinds) = principal.as_object() else { return "anybody".to_owned() };
    let names = kinds.values().flat_map(|value| one_or_many(Some(value))).filter_map(Value::as_str);
    let names: Vec<&str> =
        names.map(|name| name.split_once(":oidc-provider/").map_or(name, |(_, issuer)| issuer)).collect();
    names.join(" or ")
}

fn actions(statement: &Value) -> String {
    let named = one_or_many(statement.get("Action")).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    if named.is_empty() { "other actions than it names".to_owned() } else { named }
}

fn condition(operator: &str, key: &str, values: &[Value]) -> String {
    let (set, operator) = match operator.split_once(':') {
        Some(("ForAnyValue", operator)) => ("a value of ", operator),
        Some(("ForAllValues", operator)) => ("each value, if there is any, of ", operator),
        _ => ("", operator),
    };
    let (operator, absent) =
        operator.strip_suffix("IfExists").map_or((operator, ""), |operator| (operator, ", or is absent"));
    let claim = match key.rsplit_once(':') {
        Some((issuer, _)) if issuer.eq_ignore_ascii_case("aws") => key.to_owned(),
        Some((_, "aud")) => "the audience".to_owned(),
        Some((_, "sub")) => "the subject".to_owned(),
        Some((_, claim)) => format!("the claim {claim}"),
        None => key.to_owned(),
    };
    let texts: Vec<String> =
        values.iter().map(|value| value.as_str().map_or(value.to_string(), str::to_owned)).collect();
    if operator == "Null" {
        let is_absent = texts.first().is_some_and(|text| text == "true");
        return format!("{claim} is {}", if is_absent { "absent" } else { "there" });
    }
    let (verb, is_pattern) = match operator {
        "StringEquals" => ("is", false),
        "StringEqualsIgnoreCase" => ("is, in capital or small letters,", false),
        "StringLike" => ("is like", true),
        "StringNotEquals" => ("is not", false),
        "StringNotEqualsIgnoreCase" => ("is not, in capital or small letters,", false),
        "StringNotLike" => ("is not like", true),
        other => return format!("{set}{claim} meets {other} {}{absent}", texts.join(", ")),
    };
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    let either = quoted.join(if verb.contains("not") { " nor " } else { " or " });
    let literal = !is_pattern && texts.iter().any(|text| text.contains(['*', '?']));
    let star = if literal { " (here * and ? stand for themselves)" } else { "" };
    format!("{set}{claim} {verb} {either}{absent}{star}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statements_are_told_in_sentences() {
        let g = "token.actions.githubusercontent.com";
        let arn = format!("arn:aws:iam::123456789012:oidc-provider/{g}");
        let statement = |effect: &str, condition: Value| json!({"Effect": effect, "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": arn}, "Condition": condition});
        for (condition, expected) in [
            (
                json!({"StringEquals": {format!("{g}:aud"): "sts.amazonaws.com"}}),
                "the audience is \"sts.amazonaws.com\"",
            ),
            (
                json!({"StringLike": {format!("{g}:sub"): ["repo:a/*", "repo:b/*"]}}),
                "the subject is like \"repo:a/*\" or \"repo:b/*\"",
            ),
            (json!({"StringNotLike": {format!("{g}:sub"): ["a", "b"]}}), "the subject is not like \"a\" nor \"b\""),
            (
                json!({"StringEquals": {format!("{g}:sub"): "repo:a/*"}}),
                "the subject is \"repo:a/*\" (here * and ? stand for themselves)",
            ),
            (
                json!({"StringEqualsIfExists": {format!("{g}:repository_id"): "12"}}),
                "the claim repository_id is \"12\", or is absent",
            ),
            (
                json!({"ForAllValues:StringLike": {format!("{g}:sub"): "repo:a/*"}}),
                "each value, if there is any, of the subject is like \"repo:a/*\"",
            ),
            (json!({"Null": {format!("{g}:environment"): true}}), "the claim environment is absent"),
            (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), "aws:SourceIp meets IpAddress 10.0.0.0/8"),
        ] {
            let found = explained(&json!({"Statement": statement("Allow", condition)}));
            assert_eq!(found[0].conditions, [expected]);
            assert_eq!(found[0].effect, format!("Lets in a token of {g} on one condition:"));
        }
        let policy = json!({"Statement": [
            statement("Deny", json!({})),
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}},
        ]});
        let effects: Vec<String> = explained(&policy).into_iter().map(|statement| statement.effect).collect();
        assert_eq!(
            effects,
            [
                format!("Keeps out a token of {g}, without a condition."),
                "Allows lambda.amazonaws.com sts:AssumeRole, without a condition.".to_owned(),
            ]
        );
    }
}
