//! `Condition`: all operators and keys have to be met, of a key's values one. What a token lacks meets no positive
//! operator and every negated one; `…IfExists` and `ForAllValues:` are met by it, `ForAnyValue:` is not.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::iam_policy::document::one_or_many;
use crate::iam_policy::string_like::{Piece, like, literal, wild, with_variables};

/// The condition keys that a token leads to.
pub(super) struct ConditionContext {
    /// In lower case.
    pub(super) issuer: String,
    /// By name, in lower case.
    pub(super) keys: BTreeMap<String, Vec<String>>,
}

/// A condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCondition {
    /// As the policy writes it.
    pub operator: String,
    /// As the policy writes it.
    pub key: String,
    /// As the policy writes them.
    pub expected: Vec<String>,
    /// The values of the token; `None` if the key is absent.
    pub found: Option<Vec<String>>,
    /// True if the result depends on more than the token.
    pub depends: bool,
}

/// Evaluates all conditions, and returns those that are not met, if they are to be told.
pub(super) fn evaluate_all(
    condition: Option<&Value>,
    context: &ConditionContext,
    variables: bool,
    is_told: bool,
) -> (Option<bool>, Vec<FailedCondition>) {
    let (mut all, mut failed) = (Some(true), Vec::new());
    for (operator, keys) in condition.and_then(Value::as_object).into_iter().flatten() {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let expected: Vec<Cow<'_, str>> = one_or_many(Some(values)).iter().map(written).collect();
            let met = evaluate(operator, key, &expected, context, variables);
            all = match (all, met) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (None, _) | (_, None) => None,
                (Some(true), Some(true)) => Some(true),
            };
            if met != Some(true) && is_told {
                failed.push(FailedCondition {
                    operator: operator.clone(),
                    key: key.clone(),
                    expected: expected.into_iter().map(Cow::into_owned).collect(),
                    found: context.keys.get(&key.to_lowercase()).cloned(),
                    depends: met.is_none(),
                });
            }
        }
    }
    (all, failed)
}

fn written(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

/// A comparison of one value of the token with one of the policy.
#[derive(Clone, Copy)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    Boolean,
}

impl Comparison {
    /// Returns false if a pattern cannot match a value, because the letters before its first wildcard or variable are others. So
    /// it is with most values of a policy.
    fn may_hold(self, pattern: &str, value: &str) -> bool {
        let letters = pattern.chars().take_while(|letter| !matches!(letter, '*' | '?' | '$'));
        match self {
            Self::Equals | Self::Like => letters.zip(value.chars()).all(|(letter, found)| letter == found),
            Self::EqualsIgnoreCase | Self::Boolean => true,
        }
    }

    fn holds(self, pattern: &[Piece], value: &str) -> bool {
        match self {
            Self::Equals => literal(pattern) == value,
            Self::EqualsIgnoreCase | Self::Boolean => literal(pattern).to_lowercase() == value.to_lowercase(),
            Self::Like => like(pattern, value),
        }
    }
}

/// Evaluates one condition; `None` if the result depends on more than the token.
fn evaluate(
    operator: &str,
    key: &str,
    expected: &[Cow<'_, str>],
    context: &ConditionContext,
    variables: bool,
) -> Option<bool> {
    let (set, operator) = match operator.split_once(':') {
        Some((set, operator)) => (Some(set), operator),
        None => (None, operator),
    };
    let lower = key.to_lowercase();
    // Keys that are not of the token are of the request, which is not known here.
    if !lower.starts_with(&format!("{}:", context.issuer)) && !is_of_another_issuer(&lower) {
        return None;
    }
    let found = context.keys.get(&lower);
    if operator == "Null" {
        let absent = expected.iter().any(|value| value.eq_ignore_ascii_case("true"));
        return Some(found.is_none() == absent);
    }
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let (comparison, negated) = match operator {
        "StringEquals" => (Comparison::Equals, false),
        "StringNotEquals" => (Comparison::Equals, true),
        "StringEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, false),
        "StringNotEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, true),
        "StringLike" => (Comparison::Like, false),
        "StringNotLike" => (Comparison::Like, true),
        "Bool" => (Comparison::Boolean, false),
        // A number or a date in a claim is rare enough to say that it depends.
        _ => return None,
    };
    let Some(found) = found else {
        return Some(match set {
            Some("ForAllValues") => true,
            Some(_) => if_exists,
            None => if_exists || negated,
        });
    };
    let lookup = |name: &str| context.keys.get(&name.to_lowercase()).and_then(|values| values.first().cloned());
    let parsed = |text: &Cow<'_, str>| if variables { with_variables(text, lookup) } else { Some(wild(text)) };
    let meets = |value: &String| {
        let mut near = expected.iter().filter(|text| comparison.may_hold(text, value));
        near.any(|text| parsed(text).is_some_and(|pattern| comparison.holds(&pattern, value))) != negated
    };
    Some(match set {
        Some("ForAllValues") => found.iter().all(meets),
        Some("ForAnyValue") => found.iter().any(meets),
        Some(_) => return None,
        // A key with one value; `aud` may have several, of which one suffices.
        None if negated => found.iter().all(meets),
        None => found.iter().any(meets),
    })
}

/// A key of some other provider is never there; one of AWS's own (`aws:SourceIp`, `sts:RoleSessionName`) may be.
fn is_of_another_issuer(key: &str) -> bool {
    key.rsplit_once(':').is_some_and(|(prefix, _)| prefix.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(operator: &str, key: &str, expected: &[&str]) -> Option<bool> {
        let context = ConditionContext {
            issuer: "i.example".into(),
            keys: [
                ("i.example:sub".to_owned(), vec!["repo:o/r".to_owned()]),
                ("i.example:aud".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
                ("i.example:flag".to_owned(), vec!["true".to_owned()]),
            ]
            .into(),
        };
        let expected: Vec<Cow<'_, str>> = expected.iter().map(|value| Cow::Borrowed(*value)).collect();
        evaluate(operator, key, &expected, &context, true)
    }

    #[test]
    fn operators_mean_what_the_documentation_says() {
        for (operator, key, expected, result) in [
            ("StringEquals", "i.example:sub", &["x", "repo:o/r"][..], Some(true)),
            ("StringEquals", "I.Example:Sub", &["repo:o/r"], Some(true)),
            ("StringEquals", "i.example:sub", &["repo:O/r"], Some(false)),
            ("StringEquals", "i.example:sub", &["repo:*"], Some(false)),
            ("StringEqualsIgnoreCase", "i.example:sub", &["REPO:o/r"], Some(true)),
            ("StringLike", "i.example:sub", &["repo:o?r"], Some(true)),
            ("StringNotLike", "i.example:sub", &["repo:*"], Some(false)),
            ("StringNotEquals", "i.example:sub", &["x", "y"], Some(true)),
            ("StringNotEquals", "i.example:aud", &["b"], Some(false)),
            ("StringNotEqualsIgnoreCase", "i.example:sub", &["REPO:O/R"], Some(false)),
            ("StringNotEqualsIgnoreCase", "i.example:sub", &["repo:o/s"], Some(true)),
            ("Bool", "i.example:flag", &["True"], Some(true)),
            ("Bool", "i.example:flag", &["false"], Some(false)),
            ("StringEquals", "i.example:aud", &["b"], Some(true)),
            ("ForAllValues:StringEquals", "i.example:aud", &["b"], Some(false)),
            ("ForAllValues:StringEquals", "i.example:aud", &["b", "a"], Some(true)),
            ("ForAnyValue:StringEquals", "i.example:aud", &["b"], Some(true)),
            ("ForAnyValue:StringNotEquals", "i.example:aud", &["b"], Some(true)),
            ("ForSomeValue:StringEquals", "i.example:aud", &["b"], None),
            ("Null", "i.example:sub", &["false"], Some(true)),
            ("Null", "i.example:sub", &["true"], Some(false)),
            ("IpAddress", "aws:SourceIp", &["10.0.0.0/8"], None),
            ("StringEquals", "aws:SourceVpc", &["vpc-1"], None),
            ("NumericLessThan", "i.example:sub", &["3"], None),
        ] {
            assert_eq!(met(operator, key, expected), result, "{operator} {key} {expected:?}");
        }
    }

    #[test]
    fn the_letters_before_a_wildcard_or_a_variable_decide_first() {
        use Comparison::{Equals, EqualsIgnoreCase, Like};
        for (comparison, pattern, value, may) in [
            (Like, "repo:o/r:*", "repo:o/s:x", false),
            (Like, "repo:o/r:*", "repo:o/r:x", true),
            (Like, "repo:o/r", "repo:o/r:x", true),
            (Like, "*x", "y", true),
            (Like, "?", "", true),
            (Like, "${i.example:sub}", "y", true),
            (Like, "a${*}", "b", false),
            (Equals, "a*", "ab", true),
            (Equals, "M", "m", false),
            (EqualsIgnoreCase, "M", "m", true),
        ] {
            assert_eq!(comparison.may_hold(pattern, value), may, "{pattern} {value}");
            assert!(may || !comparison.holds(&wild(pattern), value), "{pattern} {value}");
        }
    }

    #[test]
    fn a_missing_claim_fails_unless_the_operator_allows_it() {
        for (operator, result) in [
            ("StringEquals", false),
            ("StringLike", false),
            ("StringNotEquals", true),
            ("StringEqualsIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringLike", false),
        ] {
            assert_eq!(met(operator, "i.example:environment", &["prod"]), Some(result), "{operator}");
        }
        assert_eq!(met("Null", "i.example:environment", &["true"]), Some(true));
        assert_eq!(met("StringEquals", "other.example:sub", &["x"]), Some(false));
    }
}
