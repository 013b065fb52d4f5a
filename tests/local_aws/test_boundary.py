"""The recommended boundary holds back what it says, and lets work go on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import deployment
from local_aws import ACCOUNT, REGION, ROOT, LocalAws
from stack import Stack

TEMPLATE = (ROOT / "templates" / "permissions-boundary.yaml").read_text()
# IAM's quota, white space not counted.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
QUOTA = 6144
PASSED = f"arn:aws:iam::{ACCOUNT}:role/tasks/web"


def regional(service: str, rest: str, region: str = REGION) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


def global_(rest: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{rest}"


def statement_of(aws: LocalAws, arn: str) -> list[dict[str, Any]]:
    iam = aws.client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert len("".join(json.dumps(document, separators=(",", ":")).split())) <= QUOTA
    assert not any("Condition" in statement for statement in document["Statement"])
    found: list[dict[str, Any]] = document["Statement"]
    return found


def matches(patterns: str | list[str], text: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(re.fullmatch(re.escape(one).replace(r"\*", ".*"), text) for one in listed)


def most(statements: list[dict[str, Any]], action: str, resource: str) -> bool:
    """Whether the boundary leaves an action to the role's own policies: no statement has a condition."""
    effects = {
        statement["Effect"]
        for statement in statements
        if (
            matches(statement["Action"], action)
            if "Action" in statement
            else not matches(statement["NotAction"], action)
        )
        and matches(statement["Resource"], resource)
    }
    return effects == {"Allow"}


@pytest.fixture(scope="module")
def boundary(aws: LocalAws) -> list[dict[str, Any]]:
    """As it is by default."""
    return statement_of(aws, deployment.boundary(aws))


@pytest.fixture
def naming(aws: LocalAws, name: str) -> Iterator[list[dict[str, Any]]]:
    """One that names a role to pass, and one to assume."""
    stack = Stack(aws, f"{name}-boundary")
    parameters = {"PolicyName": f"{name}-boundary", "PassableRoles": PASSED, "AssumableRoles": f"{PASSED}-*"}
    assert stack.create(TEMPLATE, **parameters) == "CREATE_COMPLETE", stack.reasons()
    yield statement_of(aws, stack.outputs()["BoundaryArn"])
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        # Giving out permissions, or taking on others'.
        ("iam:CreateRole", global_("role/x")),
        ("iam:AttachRolePolicy", global_("role/github/own")),
        ("iam:PutRolePolicy", global_("role/github/own")),
        ("iam:DeleteRolePermissionsBoundary", global_("role/github/own")),
        ("iam:UpdateAssumeRolePolicy", global_("role/github/own")),
        ("iam:CreatePolicyVersion", global_("policy/github-boundary")),
        ("iam:CreateUser", global_("user/x")),
        ("iam:CreateAccessKey", global_("user/x")),
        ("iam:PassRole", global_("role/github-trust/github-trust-Role-x")),
        ("iam:PassRole", PASSED),
        ("sts:AssumeRole", global_("role/OrganizationAccountAccessRole")),
        ("sts:AssumeRole", global_("role/cdk-hnb659fds-deploy-role-x")),
        ("organizations:LeaveOrganization", "*"),
        ("account:PutAlternateContact", "*"),
        ("sso:CreatePermissionSet", "*"),
        # The function, its stack, and what it goes by.
        ("lambda:UpdateFunctionCode", regional("lambda", "function:github-trust")),
        ("lambda:UpdateFunctionConfiguration", regional("lambda", "function:github-trust", "eu-west-1")),
        ("lambda:AddPermission", regional("lambda", "function:github-trust")),
        ("lambda:DeleteFunction", regional("lambda", "function:github-trust")),
        ("lambda:PutFunctionConcurrency", regional("lambda", "function:github-trust")),
        ("cloudformation:UpdateStack", regional("cloudformation", "stack/github-trust/1")),
        ("cloudformation:ExecuteChangeSet", regional("cloudformation", "stack/github-trust/1")),
        ("cloudformation:DeleteStack", regional("cloudformation", "stack/StackSet-github-trust-1a/1")),
        ("ssm:PutParameter", regional("ssm", "parameter/github-trust/service-token")),
        ("ssm:DeleteParameter", regional("ssm", "parameter/github-trust/service-token")),
        ("secretsmanager:PutSecretValue", regional("secretsmanager", "secret:github-trust/access-entry/a-1")),
        ("secretsmanager:GetSecretValue", regional("secretsmanager", "secret:github-trust/github-1a")),
        ("sqs:ReceiveMessage", regional("sqs", "github-trust-DeadLetters-1A")),
        ("sqs:ReceiveMessage", regional("sqs", "StackSet-github-trust-1a-DeadLetters-1A")),
    ],
)
def test_what_leads_to_more_is_beyond_the_boundary(boundary: list[dict[str, Any]], action: str, resource: str) -> None:
    assert not most(boundary, action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:PutObject", "arn:aws:s3:::site/index.html"),
        ("ecr:PutImage", regional("ecr", "repository/web")),
        ("eks:DescribeCluster", regional("eks", "cluster/prod")),
        ("lambda:UpdateFunctionCode", regional("lambda", "function:web")),
        # What deploys a stack that uses the product.
        ("lambda:InvokeFunction", regional("lambda", "function:github-trust")),
        ("ssm:GetParameter", regional("ssm", "parameter/github-trust/service-token")),
        ("cloudformation:UpdateStack", regional("cloudformation", "stack/web/1")),
        ("cloudformation:DescribeStacks", regional("cloudformation", "stack/github-trust/1")),
        ("cloudformation:UpdateStack", regional("cloudformation", "stack/github-trust-organization/1")),
        ("secretsmanager:GetSecretValue", regional("secretsmanager", "secret:web/database-1a")),
        ("iam:GetRole", global_("role/x")),
        ("iam:CreateServiceLinkedRole", global_("role/aws-service-role/ecs.amazonaws.com/x")),
        ("sts:GetCallerIdentity", "*"),
    ],
)
def test_work_is_within_it(boundary: list[dict[str, Any]], action: str, resource: str) -> None:
    assert most(boundary, action, resource)


def test_roles_that_it_names_can_be_passed_or_assumed_and_no_others(naming: list[dict[str, Any]]) -> None:
    assert most(naming, "iam:PassRole", PASSED)
    assert not most(naming, "iam:PassRole", f"{PASSED}-a")
    assert most(naming, "sts:AssumeRole", f"{PASSED}-a")
    assert not most(naming, "sts:AssumeRole", PASSED)
