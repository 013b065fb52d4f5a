"""AWS's managed policies, and where each of them leads in an account with the product."""

from __future__ import annotations

import ast
import fnmatch
import functools
import json
from collections.abc import Iterator
from typing import Any

from render import ACCOUNT, DEAD_LETTERS, REGION, ROOT
from simulator import Question, ask

# As IAM gives them out, read by moto's maintainers (`make aws_managed_policies`).
DATA = ROOT / ".venv" / "catalogue" / "moto" / "iam" / "aws_managed_policies.py"
PREFIX = "arn:aws:iam::aws:policy"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:platform/github-app-1a2b3c"


def _regional(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


_FUNCTION = _regional("lambda", "function:github-trust")
_ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/administrator"
_USER, _GROUP = f"arn:aws:iam::{ACCOUNT}:user/administrator", f"arn:aws:iam::{ACCOUNT}:group/administrators"
_POLICY = f"arn:aws:iam::{ACCOUNT}:policy/platform"
_INSTANCE = _regional("ec2", "instance/i-0123456789abcdef0")

# What leads to each goal, by the one call that a policy has to allow.
GOALS: dict[str, list[tuple[str, str]]] = {
    "administrator": [
        *((f"iam:{action}RolePolicy", _ADMINISTRATOR) for action in ("Attach", "Put")),
        ("iam:UpdateAssumeRolePolicy", _ADMINISTRATOR),
        ("iam:DeleteRolePermissionsBoundary", _ADMINISTRATOR),
        *((f"iam:{action}UserPolicy", _USER) for action in ("Attach", "Put")),
        ("iam:CreateAccessKey", _USER),
        ("iam:CreateLoginProfile", _USER),
        ("iam:UpdateLoginProfile", _USER),
        *((f"iam:{action}GroupPolicy", _GROUP) for action in ("Attach", "Put")),
        ("iam:AddUserToGroup", _GROUP),
        ("iam:CreatePolicyVersion", _POLICY),
        ("iam:SetDefaultPolicyVersion", _POLICY),
        ("sts:AssumeRole", _ADMINISTRATOR),
    ],
    # To a service of its choice, or one that the policy names: where that has an administrator's role, this is one too.
    "passing": [("iam:PassRole", _ADMINISTRATOR)],
    "function": [
        ("lambda:UpdateFunctionCode", _FUNCTION),
        ("lambda:UpdateFunctionConfiguration", _FUNCTION),
        ("lambda:AddPermission", _FUNCTION),
        ("lambda:InvokeFunction", _FUNCTION),
        ("events:PutTargets", _regional("events", "rule/github-trust-rotation")),
        ("cloudformation:UpdateStack", _regional("cloudformation", "stack/github-trust/1")),
        ("cloudformation:UpdateStackSet", _regional("cloudformation", "stackset/github-trust:1")),
        ("s3:PutObject", "arn:aws:s3:::octo-code-eu-west-1/github-trust/0.1.0-x86_64/function.zip"),
        ("ssm:PutParameter", _regional("ssm", "parameter/github-trust/service-token")),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/github-trust/github-trust-Role-1A2B3C"),
    ],
    "credential": [
        ("secretsmanager:GetSecretValue", SECRET),
        ("secretsmanager:PutSecretValue", SECRET),
        ("secretsmanager:PutSecretValue", _regional("secretsmanager", "secret:github-trust/access-entry/a-1a2b3c")),
        ("sqs:ReceiveMessage", DEAD_LETTERS),
    ],
    "cluster": [
        ("eks:CreateAccessEntry", _regional("eks", "cluster/prod")),
        ("eks:AssociateAccessPolicy", _regional("eks", f"access-entry/prod/role/{ACCOUNT}/job/1a2b3c4d")),
        ("eks:CreatePodIdentityAssociation", _regional("eks", "cluster/prod")),
    ],
    # No boundary ends this: the call is allowed work, and something else does more than its caller.
    "others": [
        ("cloudformation:UpdateStack", _regional("cloudformation", "stack/application/1")),
        ("codebuild:StartBuild", _regional("codebuild", "project/application")),
        ("ec2-instance-connect:SendSSHPublicKey", _INSTANCE),
        ("ec2:ModifyInstanceAttribute", _INSTANCE),
        ("ecs:ExecuteCommand", _regional("ecs", "task/application/0123456789abcdef0")),
        ("elasticmapreduce:AddJobFlowSteps", _regional("elasticmapreduce", "cluster/j-1")),
        ("glue:UpdateJob", _regional("glue", "job/application")),
        ("lambda:UpdateFunctionCode", _regional("lambda", "function:application")),
        ("sagemaker:CreatePresignedNotebookInstanceUrl", _regional("sagemaker", "notebook-instance/application")),
        ("ssm:SendCommand", _INSTANCE),
        ("ssm:StartAutomationExecution", _regional("ssm", "automation-definition/AWS-RunShellScript:1")),
        ("ssm:StartSession", _INSTANCE),
        ("states:StartExecution", _regional("states", "stateMachine:application")),
    ],
}
_CONTEXT: dict[str, str | list[str]] = {
    "aws:PrincipalAccount": ACCOUNT,
    "aws:ResourceAccount": ACCOUNT,
    "aws:RequestedRegion": REGION,
}


@functools.cache
def documents() -> dict[str, dict[str, Any]]:
    """The policies that a role can have, by their ARNs; those of service-linked roles are attached by AWS alone."""
    [assignment] = ast.parse(DATA.read_text()).body
    assert isinstance(assignment, ast.Assign)
    found = json.loads(ast.literal_eval(assignment.value))
    return {
        f"{PREFIX}{policy['Path']}{name}": policy["Document"]
        for name, policy in sorted(found.items())
        if policy["Path"] != "/aws-service-role/"
    }


def leading_to(goal: str, arn: str, boundary: dict[str, Any] | None = None) -> set[str]:
    """The actions by which a role with this policy, and perhaps a boundary, reaches the goal."""
    document = documents()[arn]
    questions = [
        Question(action, resource, [document], boundary, {**_CONTEXT, **context})
        for action, resource in GOALS[goal]
        if _mentions(document, action)
        for context in _contexts(document, action, resource)
    ]
    return {question.action for question, allowed in zip(questions, ask(questions), strict=True) if allowed}


def _mentions(document: dict[str, Any], action: str) -> bool:
    for statement in _statements(document):
        if statement["Effect"] != "Allow":
            continue
        if "NotAction" in statement or any(
            fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in _list(statement["Action"])
        ):
            return True
    return False


def _contexts(document: dict[str, Any], action: str, resource: str) -> Iterator[dict[str, str]]:
    """A role is passed to a service, any that the policy names; the function's trusts Lambda alone."""
    if action != "iam:PassRole":
        yield {}
        return
    services = {"lambda.amazonaws.com"}
    for statement in _statements(document) if resource == _ADMINISTRATOR else []:
        for keys in statement.get("Condition", {}).values():
            for key, values in keys.items():
                if key.lower() == "iam:passedtoservice":
                    services |= {value.replace("*", "x") for value in _list(values)}
    for service in sorted(services):
        yield {"iam:PassedToService": service}


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    return _list(document["Statement"])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
