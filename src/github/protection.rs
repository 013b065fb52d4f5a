//! The protection of an environment, which keeps out anybody who can push a workflow. GitHub creates an environment
//! without protection for the first workflow that names it.

use serde::Deserialize;

/// `GET /repos/{owner}/{repo}/environments/{environment_name}`, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Environment {
    #[serde(default)]
    protection_rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
struct Rule {
    r#type: String,
}

impl Environment {
    /// Returns true if the protection keeps anybody out. A wait timer keeps nobody out.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.protection_rules.iter().any(|rule| rule.r#type != "wait_timer")
    }
}

/// The knowledge about an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Something keeps people out.
    Protected,
    /// The environment exists without protection.
    Open,
    /// GitHub shows none of that name.
    Absent,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn branches_and_reviewers_protect_and_a_wait_does_not() {
        for (rules, protected) in [
            (json!([]), false),
            (json!([{"type": "wait_timer", "wait_timer": 30}]), false),
            (json!([{"type": "branch_policy"}]), true),
            (json!([{"type": "wait_timer", "wait_timer": 30}, {"type": "required_reviewers", "reviewers": []}]), true),
        ] {
            let environment: Environment = serde_json::from_value(json!({"protection_rules": rules})).unwrap();
            assert_eq!(environment.is_protected(), protected, "{rules}");
        }
        assert!(!serde_json::from_value::<Environment>(json!({})).unwrap().is_protected());
    }
}
