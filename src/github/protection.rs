//! The protection of an environment, which keeps out anybody who can push a workflow. GitHub creates an environment
//! without protection for the first workflow that names it.

use serde::Deserialize;

/// `GET /repos/{owner}/{repo}/environments/{environment_name}`, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Environment {
    #[serde(default)]
    protection_rules: Vec<Rule>,
    deployment_branch_policy: Option<BranchPolicy>,
}

#[derive(Clone, Debug, Deserialize)]
struct Rule {
    r#type: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct BranchPolicy {
    #[serde(default)]
    protected_branches: bool,
}

/// The protection by the rules of an environment alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleProtection {
    /// A rule keeps people out.
    Protected,
    /// Branches that are protected in the repository may deploy, and nothing else keeps people out.
    ProtectedBranches,
    /// No rule keeps anybody out.
    Open,
}

impl Environment {
    /// The protection by the rules. A wait timer keeps nobody out.
    #[must_use]
    pub fn rule_protection(&self) -> RuleProtection {
        let has = |is_it: fn(&str) -> bool| self.protection_rules.iter().any(|rule| is_it(&rule.r#type));
        match self.deployment_branch_policy {
            _ if has(|rule| !["wait_timer", "branch_policy"].contains(&rule)) => RuleProtection::Protected,
            Some(BranchPolicy { protected_branches: true }) => RuleProtection::ProtectedBranches,
            Some(BranchPolicy { protected_branches: false }) => RuleProtection::Protected,
            None if has(|rule| rule == "branch_policy") => RuleProtection::Protected,
            None => RuleProtection::Open,
        }
    }
}

/// The knowledge about an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Something keeps people out.
    Protected,
    /// The environment exists without protection.
    Open,
    /// Protected branches alone may deploy, and the repository has none: "If no branch protection rules are defined for any
    /// branch in the repository, then all branches can deploy."
    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments>
    NoProtectedBranch,
    /// GitHub shows none of that name.
    Absent,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn protection(environment: Value) -> RuleProtection {
        serde_json::from_value::<Environment>(environment).unwrap().rule_protection()
    }

    #[test]
    fn branches_and_reviewers_protect_and_a_wait_does_not() {
        use RuleProtection::{Open, Protected};
        for (rules, expected) in [
            (json!([]), Open),
            (json!([{"type": "wait_timer", "wait_timer": 30}]), Open),
            (json!([{"type": "branch_policy"}]), Protected),
            (
                json!([{"type": "wait_timer", "wait_timer": 30}, {"type": "required_reviewers", "reviewers": []}]),
                Protected,
            ),
        ] {
            assert_eq!(protection(json!({"protection_rules": rules})), expected, "{rules}");
        }
        assert_eq!(protection(json!({})), Open);
    }

    #[test]
    fn protected_branches_alone_depend_on_the_repository() {
        use RuleProtection::{Protected, ProtectedBranches};
        let policy = |is_protected: bool, rules: Value| {
            let policy = json!({"protected_branches": is_protected, "custom_branch_policies": !is_protected});
            protection(json!({"protection_rules": rules, "deployment_branch_policy": policy}))
        };
        let wait = json!({"type": "wait_timer", "wait_timer": 30});
        let branches = json!({"type": "branch_policy"});
        assert_eq!(policy(true, json!([branches])), ProtectedBranches);
        assert_eq!(policy(true, json!([wait, branches])), ProtectedBranches);
        assert_eq!(policy(true, json!([branches, {"type": "required_reviewers"}])), Protected);
        assert_eq!(policy(false, json!([branches])), Protected);
    }
}
