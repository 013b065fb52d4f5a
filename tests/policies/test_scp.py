"""The service control policy of SECURITY.md keeps everybody from the function but those that it names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from render import ACCOUNT, BOUNDARY, LOG_GROUP, REGION
from scp import beside_full_access, service_control_policy
from simulator import EVERYTHING, PRINCIPAL, Question, ask

DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/platform-deploy"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:github-trust"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/github-trust/github-trust-Role-1A2B3C"
EXECUTOR = f"arn:aws:iam::{ACCOUNT}:role/stacksets-exec-1a2b3c4d5e6f"
# Service control policies, white space not counted.
QUOTA = 5120
CHANGES = [
    ("lambda:UpdateFunctionCode", FUNCTION),
    ("lambda:UpdateFunctionConfiguration", FUNCTION),
    ("lambda:AddPermission", FUNCTION),
    ("events:PutTargets", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/github-trust-rotation"),
    ("ssm:PutParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/github-trust/service-token"),
    ("iam:PassRole", ROLE),
    ("iam:PutRolePolicy", ROLE),
    ("iam:UpdateAssumeRolePolicy", ROLE),
    ("iam:CreatePolicyVersion", BOUNDARY),
    ("logs:DeleteLogGroup", LOG_GROUP),
    ("logs:PutLogEvents", LOG_GROUP.removesuffix(":*") + ":log-stream:forged"),
    ("logs:PutAccountPolicy", "*"),
    ("logs:DeleteAccountPolicy", "*"),
    ("logs:PutResourcePolicy", "*"),
    ("events:PutPermission", "*"),
    # A second StackSet, for other organizational units.
    ("cloudformation:UpdateStackSet", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stackset/github-trust-sandbox:1"),
    (
        "cloudformation:CreateStackInstances",
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stackset-target/github-trust-sandbox:1/ou-1",
    ),
]
# By which somebody would be one of those that the policy names.
BECOMING = [
    (f"iam:{action}", role)
    for role in (DEPLOYER, EXECUTOR, f"{EXECUTOR}/within-a-path")
    for action in (
        *("CreateRole", "UpdateAssumeRolePolicy", "AttachRolePolicy", "PutRolePolicy", "DetachRolePolicy"),
        *("PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary", "TagRole", "DeleteRole", "PassRole"),
    )
]


@pytest.fixture(scope="module")
def policy() -> dict[str, Any]:
    assert len(json.dumps(service_control_policy(), separators=(",", ":"))) < QUOTA
    return beside_full_access()


def allowed(policy: dict[str, Any], action: str, resource: str, principal: str = PRINCIPAL, **context: Any) -> bool:
    keys = {"aws:PrincipalIsAWSService": "false", **{key.replace("_", ":", 1): value for key, value in context.items()}}
    [answer] = ask([Question(action, resource, [EVERYTHING], policy, keys, principal)])
    return answer


@pytest.mark.parametrize(("action", "resource"), CHANGES)
def test_only_the_deploying_role_changes_the_function(policy: dict[str, Any], action: str, resource: str) -> None:
    assert not allowed(policy, action, resource)
    assert allowed(policy, action, resource, DEPLOYER)


@pytest.mark.parametrize(("action", "resource"), BECOMING)
def test_nobody_else_makes_or_changes_a_role_that_deploys(policy: dict[str, Any], action: str, resource: str) -> None:
    assert not allowed(policy, action, resource)
    # A role that only has the name within a path is none of them.
    assert not allowed(policy, action, resource, DEPLOYER.replace("role/", "role/team/"))
    assert allowed(policy, action, resource, DEPLOYER)


def test_who_is_a_role_that_deploys_its_trust_policy_says(policy: dict[str, Any]) -> None:
    for role in (DEPLOYER, EXECUTOR):
        assert allowed(policy, "sts:AssumeRole", role)
        assert allowed(policy, "iam:GetRole", role)


def test_roles_of_other_names_are_left_to_everybody(policy: dict[str, Any]) -> None:
    for action, _ in BECOMING:
        assert allowed(policy, action, f"arn:aws:iam::{ACCOUNT}:role/github/deploy", aws_TagKeys=["team"])


def test_the_function_is_asked_by_cloudformation_alone(policy: dict[str, Any]) -> None:
    assert not allowed(policy, "lambda:InvokeFunction", FUNCTION)
    assert allowed(policy, "lambda:InvokeFunction", FUNCTION, aws_CalledVia=["cloudformation.amazonaws.com"])
    assert allowed(policy, "lambda:GetFunction", FUNCTION)


def test_the_function_writes_its_log_and_everybody_may_read_it(policy: dict[str, Any]) -> None:
    stream = LOG_GROUP.removesuffix(":*") + ":log-stream:2026"
    assert allowed(policy, "logs:PutLogEvents", stream, ROLE)
    assert allowed(policy, "logs:GetLogEvents", stream)
    assert allowed(policy, "logs:PutRetentionPolicy", LOG_GROUP.replace("github-trust", "web"))


def test_the_owner_s_tags_are_written_by_the_function_alone(policy: dict[str, Any]) -> None:
    theirs = f"arn:aws:iam::{ACCOUNT}:role/github/deploy"
    owner = {"aws_TagKeys": ["github-trust:stack-id"], "aws_RequestTag/github-trust:stack-id": "x"}
    assert not allowed(policy, "iam:TagRole", theirs, **owner)
    assert not allowed(policy, "iam:TagRole", theirs, DEPLOYER, **owner)
    assert allowed(policy, "iam:TagRole", theirs, ROLE, **owner)
    assert allowed(policy, "iam:TagRole", theirs, **{"aws_TagKeys": ["team"], "aws_RequestTag/team": "a"})
    # IAM takes the keys of tags in any case.
    for key in ("GitHub-Trust:stack-id", "GITHUB-TRUST:logical-id", "github-trust:made-by"):
        assert not allowed(policy, "iam:UntagRole", theirs, aws_TagKeys=[key])
        assert not allowed(policy, "iam:TagRole", theirs, **{"aws_TagKeys": [key], f"aws_RequestTag/{key}": "x"})
