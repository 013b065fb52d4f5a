//! The permissions of a role in groups that people know.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::iam_policy::document::{names_action, one_or_many, statements};

/// A group of permissions, the most powerful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Every action on everything.
    Administrator,
    /// Permissions of others.
    Iam,
    /// Secrets and the data of buckets, tables and streams.
    Data,
    /// Code, stacks, containers and clusters.
    Deploy,
    /// Anything else.
    Other,
}

/// Actions that stand for a group. A role that may do one of them is in it.
const ACTIONS: [(Group, &[&str]); 3] = [
    (
        Group::Iam,
        &[
            "iam:AttachRolePolicy",
            "iam:AttachUserPolicy",
            "iam:CreateAccessKey",
            "iam:CreatePolicyVersion",
            "iam:CreateRole",
            "iam:CreateUser",
            "iam:PassRole",
            "iam:PutRolePolicy",
            "iam:UpdateAssumeRolePolicy",
            "sso:CreatePermissionSet",
        ],
    ),
    (
        Group::Data,
        &[
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "kinesis:GetRecords",
            "kms:Decrypt",
            "rds-data:ExecuteStatement",
            "s3:GetObject",
            "s3:PutObject",
            "secretsmanager:GetSecretValue",
            "ssm:GetParameter",
        ],
    ),
    (
        Group::Deploy,
        &[
            "cloudformation:CreateStack",
            "cloudformation:ExecuteChangeSet",
            "codedeploy:CreateDeployment",
            "ecr:PutImage",
            "ecs:UpdateService",
            "eks:AccessKubernetesApi",
            "eks:DescribeCluster",
            "lambda:UpdateFunctionCode",
            "ec2:RunInstances",
        ],
    ),
];

/// Returns the groups of a role with these identity policies, within its boundary. Conditions and resources of `Allow` are
/// not judged: what may be allowed counts as allowed.
#[must_use]
pub fn groups(policies: &[Value], boundary: Option<&Value>) -> BTreeSet<Group> {
    let may = |action: &str| {
        allows(policies, action) && boundary.is_none_or(|boundary| allows(std::slice::from_ref(boundary), action))
    };
    // An action that no service has: allowed only by `*`.
    if may("anything:Anything") && may("iam:CreateUser") {
        return [Group::Administrator].into();
    }
    let mut groups: BTreeSet<Group> = ACTIONS
        .iter()
        .filter(|(_, actions)| actions.iter().any(|action| may(action)))
        .map(|(group, _)| *group)
        .collect();
    let any =
        policies.iter().flat_map(statements).any(|statement| statement.get("Effect").is_some_and(|e| e == "Allow"));
    if groups.is_empty() && any {
        groups.insert(Group::Other);
    }
    groups
}

fn allows(policies: &[Value], action: &str) -> bool {
    let all = || policies.iter().flat_map(statements);
    let of = |statement: &Value, effect: &str| {
        statement.get("Effect").is_some_and(|found| found == effect) && names_action(statement, action)
    };
    let denied = |statement: &Value| {
        of(statement, "Deny")
            && statement.get("Condition").is_none()
            && one_or_many(statement.get("Resource")).iter().any(|resource| resource == "*")
    };
    all().any(|statement| of(statement, "Allow")) && !all().any(denied)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_follow_from_actions_denials_and_the_boundary() {
        let policy = |effect: &str, actions: &[&str]| json!({"Statement": {"Effect": effect, "Action": actions, "Resource": "*"}});
        for (policies, boundary, expected) in [
            (vec![policy("Allow", &["*"])], None, &[Group::Administrator][..]),
            (vec![policy("Allow", &["*"])], Some(policy("Allow", &["s3:*"])), &[Group::Data]),
            (vec![policy("Allow", &["*"]), policy("Deny", &["iam:*", "sso:*"])], None, &[Group::Data, Group::Deploy]),
            (vec![policy("Allow", &["IAM:Pass*"])], None, &[Group::Iam]),
            (vec![policy("Allow", &["ec2:Describe*"])], None, &[Group::Other]),
            (vec![policy("Allow", &["s3:Get*", "ecr:*"])], None, &[Group::Data, Group::Deploy]),
            (vec![], None, &[]),
        ] {
            assert_eq!(groups(&policies, boundary.as_ref()), expected.iter().copied().collect(), "{policies:?}");
        }
    }
}
