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
        ("s3:PutBucketPolicy", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1a"),
        ("ssm:PutParameter", _regional("ssm", "parameter/github-trust/service-token")),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/github-trust/github-trust-Role-1A2B3C"),
    ],
    "credential": [
        ("secretsmanager:GetSecretValue", SECRET),
        ("secretsmanager:PutSecretValue", SECRET),
        ("secretsmanager:PutSecretValue", _regional("secretsmanager", "secret:github-trust/access-entry/a-1a2b3c")),
        ("secretsmanager:PutSecretValue", _regional("secretsmanager", "secret:github-trust/role/a-1a2b3c")),
        ("sqs:ReceiveMessage", DEAD_LETTERS),
    ],
    "cluster": [
        ("eks:CreateAccessEntry", _regional("eks", "cluster/prod")),
        ("eks:AssociateAccessPolicy", _regional("eks", f"access-entry/prod/role/{ACCOUNT}/job/1a2b3c4d")),
        ("eks:CreatePodIdentityAssociation", _regional("eks", "cluster/prod")),
    ],
    # No boundary ends this: the call is allowed work, and something else does more than its caller.
    "others": [
        ("airflow:CreateCliToken", _regional("airflow", "environment/application")),
        ("apprunner:UpdateService", _regional("apprunner", "service/application/0123456789abcdef0")),
        ("batch:SubmitJob", _regional("batch", "job-definition/application")),
        (
            "bedrock-agentcore:InvokeCodeInterpreter",
            _regional("bedrock-agentcore", "code-interpreter-custom/application"),
        ),
        ("cloud9:CreateEnvironmentMembership", _regional("cloud9", "environment:0123456789abcdef0")),
        ("cloudformation:ExecuteChangeSet", _regional("cloudformation", "stack/application/1")),
        ("cloudformation:UpdateStack", _regional("cloudformation", "stack/application/1")),
        ("cloudformation:UpdateStackSet", _regional("cloudformation", "stackset/application:1")),
        (
            "codeartifact:PublishPackageVersion",
            _regional("codeartifact", "package/domain/repository/npm/scope/application"),
        ),
        ("codebuild:StartBuild", _regional("codebuild", "project/application")),
        ("codebuild:UpdateProject", _regional("codebuild", "project/application")),
        ("codecommit:GitPush", _regional("codecommit", "application")),
        ("codedeploy:CreateDeployment", _regional("codedeploy", "deploymentgroup:application/production")),
        ("datapipeline:PutPipelineDefinition", _regional("datapipeline", "pipeline/df-1")),
        ("ec2-instance-connect:SendSSHPublicKey", _INSTANCE),
        ("ec2:CreateLaunchTemplateVersion", _regional("ec2", "launch-template/lt-0123456789abcdef0")),
        ("ec2:ModifyInstanceAttribute", _INSTANCE),
        ("ecr:PutImage", _regional("ecr", "repository/application")),
        ("ecs:ExecuteCommand", _regional("ecs", "task/application/0123456789abcdef0")),
        ("elasticbeanstalk:UpdateEnvironment", _regional("elasticbeanstalk", "environment/application/production")),
        ("elasticmapreduce:AddJobFlowSteps", _regional("elasticmapreduce", "cluster/j-1")),
        ("emr-containers:StartJobRun", _regional("emr-containers", "/virtualclusters/application")),
        ("glue:StartJobRun", _regional("glue", "job/application")),
        ("glue:UpdateDevEndpoint", _regional("glue", "devEndpoint/application")),
        ("glue:UpdateJob", _regional("glue", "job/application")),
        ("kinesisanalytics:UpdateApplication", _regional("kinesisanalytics", "application/application")),
        ("lambda:UpdateFunctionCode", _regional("lambda", "function:application")),
        ("lambda:UpdateFunctionConfiguration", _regional("lambda", "function:application")),
        ("s3:CreateAccessGrant", _regional("s3", "access-grants/default/grant/1")),
        ("s3:PutObject", "arn:aws:s3:::application-artefacts/application.zip"),
        ("sagemaker:CreatePresignedDomainUrl", _regional("sagemaker", "user-profile/d-1/application")),
        ("sagemaker:CreatePresignedNotebookInstanceUrl", _regional("sagemaker", "notebook-instance/application")),
        (
            "sagemaker:UpdateNotebookInstanceLifecycleConfig",
            _regional("sagemaker", "notebook-instance-lifecycle-config/application"),
        ),
        ("ssm:CreateAssociation", _INSTANCE),
        ("ssm:SendCommand", _INSTANCE),
        ("ssm:StartAutomationExecution", _regional("ssm", "automation-definition/AWS-RunShellScript:1")),
        ("ssm:StartSession", _INSTANCE),
        ("ssm:UpdateDocument", _regional("ssm", "document/application")),
        ("states:StartExecution", _regional("states", "stateMachine:application")),
        ("states:UpdateStateMachine", _regional("states", "stateMachine:application")),
        ("synthetics:UpdateCanary", _regional("synthetics", "canary:application")),
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
    return {
        f"{PREFIX}{policy['Path']}{name}": policy["Document"]
        for name, policy in sorted(_data().items())
        if policy["Path"] != "/aws-service-role/"
    }


def newest_date() -> str:
    """The day of the newest document."""
    return max(policy["UpdateDate"] for policy in _data().values())[:10]


@functools.cache
def _data() -> dict[str, dict[str, Any]]:
    [assignment] = ast.parse(DATA.read_text()).body
    assert isinstance(assignment, ast.Assign)
    found: dict[str, dict[str, Any]] = json.loads(ast.literal_eval(assignment.value))
    return found


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
