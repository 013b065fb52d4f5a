//! Policy documents as IAM gives them.

use serde_json::Value;

use super::string_like::string_like;
use crate::cloudformation::strict_json;

/// Decodes a document, which IAM gives URL-encoded (RFC 3986). Returns `None` for a document that cannot be read: it equals no
/// document of ours, and each caller decides what else it means.
#[must_use]
pub fn decode(encoded: &str) -> Option<Value> {
    strict_json::read(&urlencoding::decode(encoded).ok()?).ok()
}

/// The reason for which a document cannot be read.
pub const UNREADABLE: &str = "it is no JSON, or a key stands twice in it";

/// Returns the one form that equal documents share: IAM reads a list of one like the item itself, and the order of a list
/// of strings means nothing.
#[must_use]
pub fn canonical(document: &Value) -> Value {
    match document {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), canonical(value))).collect())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(canonical).collect();
            if items.iter().all(Value::is_string) {
                items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                items.dedup();
            }
            match <[Value; 1]>::try_from(items) {
                Ok([single]) => single,
                Err(items) => Value::Array(items),
            }
        }
        scalar => scalar.clone(),
    }
}

/// Returns the items of a list. IAM's grammar allows one item in place of a list.
#[must_use]
pub fn one_or_many(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(list)) => list,
        Some(Value::Null) | None => &[],
        Some(one) => std::slice::from_ref(one),
    }
}

/// Returns the statements of a policy.
#[must_use]
pub fn statements(policy: &Value) -> &[Value] {
    one_or_many(policy.get("Statement"))
}

/// Returns true if the actions of a statement include this one. Actions have no case, and `*` and `?` as wildcards.
#[must_use]
pub fn names_action(statement: &Value, action: &str) -> bool {
    let action = action.to_lowercase();
    let matches = |value: &Value| value.as_str().is_some_and(|pattern| string_like(&pattern.to_lowercase(), &action));
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(actions), _) => one_or_many(Some(actions)).iter().any(matches),
        (None, Some(actions)) => !one_or_many(Some(actions)).iter().any(matches),
        (None, None) => false,
    }
}

/// Returns true if a statement allows something.
#[must_use]
pub fn allows(statement: &Value) -> bool {
    statement.get("Effect").is_some_and(|effect| effect == "Allow")
}

fn denies(statement: &Value) -> bool {
    statement.get("Effect").is_some_and(|effect| effect == "Deny")
}

/// Returns the federated principals of a statement.
pub fn federated(statement: &Value) -> impl Iterator<Item = &str> {
    let principal = statement.get("Principal");
    one_or_many(principal.and_then(|principal| principal.get("Federated"))).iter().filter_map(Value::as_str)
}

/// Returns the federated principals that the `Allow` statements of a trust policy name.
pub fn providers(policy: &Value) -> impl Iterator<Item = &str> {
    statements(policy).iter().filter(|statement| allows(statement)).flat_map(federated)
}

/// Returns true if a statement of a trust policy names this OIDC provider as a principal.
#[must_use]
pub fn trusts_provider(policy: &Value, provider_arn: &str) -> bool {
    statements(policy).iter().flat_map(federated).any(|arn| arn == provider_arn)
}

/// Returns the values that the `Allow` statements of a policy compare with a claim, whatever the issuer.
#[must_use]
pub fn allowed_values<'a>(policy: &'a Value, claim: &str) -> Vec<&'a str> {
    compared(policy, claim, |statement, operator| allows(statement) && is_positive(operator))
}

/// Returns the values of a claim that the `Deny` statements of a policy spare, whatever the issuer: a token needs one of them to get in.
#[must_use]
pub fn spared_values<'a>(policy: &'a Value, claim: &str) -> Vec<&'a str> {
    compared(policy, claim, |statement, operator| denies(statement) && is_negative(operator))
}

/// Returns the values that any statement of a policy compares with a claim by any operator, whatever the issuer.
#[must_use]
pub fn mentioned_values<'a>(policy: &'a Value, claim: &str) -> Vec<&'a str> {
    compared(policy, claim, |_, _| true)
}

fn compared<'a>(policy: &'a Value, claim: &str, counts: impl Fn(&Value, &str) -> bool) -> Vec<&'a str> {
    let mut values = Vec::new();
    for statement in statements(policy) {
        let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
        for (_, keys) in operators.filter(|(operator, _)| counts(statement, operator)) {
            let of_claim = |key: &str| key.rsplit(':').next().is_some_and(|name| name.eq_ignore_ascii_case(claim));
            let keys = keys.as_object().into_iter().flatten().filter(|(key, _)| of_claim(key));
            values.extend(keys.flat_map(|(_, value)| one_or_many(Some(value))).filter_map(Value::as_str));
        }
    }
    values
}

/// Returns true for an operator that admits the values it lists.
pub(super) fn is_positive(operator: &str) -> bool {
    let operator = operator.rsplit(':').next().unwrap_or_default();
    let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
    matches!(operator, "StringEquals" | "StringEqualsIgnoreCase" | "StringLike" | "NumericEquals")
}

/// Returns true for an operator that keeps out the values it lists.
pub(super) fn is_negative(operator: &str) -> bool {
    let operator = operator.rsplit(':').next().unwrap_or_default();
    let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
    matches!(operator, "StringNotEquals" | "StringNotEqualsIgnoreCase" | "StringNotLike" | "NumericNotEquals")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_documents_have_one_canonical_form() {
        let a = json!({"Statement": [{"Action": ["b", "a"], "Resource": ["*"]}]});
        let b = json!({"Statement": {"Action": ["a", "b"], "Resource": "*"}});
        assert_eq!(canonical(&a), canonical(&b));
    }

    #[test]
    fn a_document_is_decoded_or_is_none() {
        assert_eq!(decode("%7B%22a%22%3A1%7D"), Some(json!({"a": 1})));
        assert_eq!((decode("%7B"), decode(""), decode("%FF")), (None, None, None));
        assert_eq!(
            decode("%7B%22a%22%3A1%2C%22a%22%3A2%7D"),
            None,
            "of a key that stands twice, IAM may take either value"
        );
    }

    #[test]
    fn a_statement_names_an_action_by_what_it_lists_or_leaves_out() {
        for (statement, expected) in [
            (json!({"Action": "STS:Assume*"}), true),
            (json!({"Action": ["s3:*", "iam:?"]}), false),
            (json!({"NotAction": "s3:*"}), true),
            (json!({"NotAction": ["s3:*", "sts:*"]}), false),
            (json!({"NotAction": []}), true),
            (json!({}), false),
        ] {
            assert_eq!(names_action(&statement, "sts:AssumeRoleWithWebIdentity"), expected, "{statement}");
        }
    }

    #[test]
    fn a_role_trusts_a_provider_that_any_of_its_statements_names() {
        let arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
        for (policy, expected) in [
            (json!({"Statement": {"Principal": {"Federated": arn}}}), true),
            (json!({"Statement": [{"Principal": {"Service": "x"}}, {"Principal": {"Federated": ["x", arn]}}]}), true),
            (json!({"Statement": [{"Principal": {"Federated": format!("{arn}/slug")}}]}), false),
            (json!({"Statement": [{"Principal": {"AWS": arn}}]}), false),
            (json!({"Statement": [{"Principal": "*"}]}), false),
            (json!({}), false),
        ] {
            assert_eq!(trusts_provider(&policy, arn), expected, "{policy}");
        }
    }

    #[test]
    fn only_values_that_let_a_token_in_are_allowed_values() {
        let policy = json!({"Statement": [
            {"Effect": "Allow", "Condition": {
                "StringEquals": {"i.example:sub": "a", "i.example:aud": "x"},
                "ForAnyValue:StringLike": {"i.example:Sub": ["b", "c"]},
                "StringNotLike": {"i.example:sub": "d"},
                "StringLikeIfExists": {"i.example:sub": "e"},
                "StringLikeIfExistsIfExists": {"i.example:sub": "f"},
            }},
            {"Effect": "Deny", "Condition": {"StringLike": {"i.example:sub": "g"}}},
        ]});
        assert_eq!(allowed_values(&policy, "sub"), ["b", "c", "a", "e"]);
    }

    #[test]
    fn only_values_that_a_denial_spares_are_spared_values() {
        let policy = json!({"Statement": [
            {"Effect": "Deny", "Condition": {
                "StringNotEquals": {"i.example:repository_id": "2"},
                "ForAllValues:StringNotLikeIfExists": {"i.example:Repository_Id": ["3", "4"]},
                "NumericNotEquals": {"i.example:repository_id": "5"},
                "StringEquals": {"i.example:repository_id": "6"},
            }},
            {"Effect": "Allow", "Condition": {"StringNotEquals": {"i.example:repository_id": "7"}}},
        ]});
        assert_eq!(spared_values(&policy, "repository_id"), ["3", "4", "5", "2"]);
    }
}
