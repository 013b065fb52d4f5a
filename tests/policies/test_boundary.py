"""The template's boundary holds back what it says, and lets work go on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from render import ACCOUNT, BOUNDARY, DEAD_LETTERS, LOG_GROUP, REGION, ROOT, Template
from simulator import EVERYTHING, PRINCIPAL, Question, ask

# IAM's quota, white space not counted.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
QUOTA = 6144
PASSED = f"arn:aws:iam::{ACCOUNT}:role/tasks/web"
EXEMPT = f"arn:aws:iam::{ACCOUNT}:role/github/github-trust-pipeline"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:platform/github-app-1a2b3c"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:github-trust"
ENTRY = f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/prod/role/{ACCOUNT}/team/1a2b3c4d"


def regional(service: str, rest: str, region: str = REGION) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


def global_(rest: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{rest}"


def boundary(**parameters: str) -> dict[str, Any]:
    document = Template(**parameters).boundary()
    assert document is not None
    assert len("".join(json.dumps(document, separators=(",", ":")).split())) < QUOTA
    return document


def allowed(
    document: dict[str, Any],
    action: str,
    resource: str,
    principal: str = PRINCIPAL,
    **context: str | list[str],
) -> bool:
    """Whether the boundary leaves an action to the role's own policies, which allow everything."""
    keys = {name.replace("_", ":", 1): value for name, value in context.items()}
    [answer] = ask([Question(action, resource, [EVERYTHING], document, keys, principal)])
    return answer


# What gives out permissions, or takes on others'.
PERMISSIONS = [
    ("iam:CreateRole", global_("role/x")),
    ("iam:AttachRolePolicy", global_("role/github/own")),
    ("iam:PutRolePolicy", global_("role/github/own")),
    ("iam:DeleteRolePermissionsBoundary", global_("role/github/own")),
    ("iam:UpdateAssumeRolePolicy", global_("role/github/own")),
    ("iam:CreatePolicyVersion", BOUNDARY),
    ("iam:SetDefaultPolicyVersion", BOUNDARY),
    ("iam:DeletePolicy", BOUNDARY),
    ("iam:CreateUser", global_("user/x")),
    ("iam:CreateAccessKey", global_("user/x")),
    ("iam:PassRole", global_("role/github-trust/github-trust-Role-x")),
    ("iam:PassRole", PASSED),
    ("sts:AssumeRole", global_("role/OrganizationAccountAccessRole")),
    ("sts:AssumeRole", global_("role/cdk-hnb659fds-deploy-role-x")),
    ("organizations:LeaveOrganization", "*"),
    ("account:PutAlternateContact", "*"),
    ("sso:CreatePermissionSet", "arn:aws:sso:::instance/ssoins-1234567890abcdef"),
]
# What the function is, and what it goes by.
FUNCTION_S = [
    ("lambda:UpdateFunctionCode", FUNCTION),
    ("lambda:UpdateFunctionConfiguration", regional("lambda", "function:github-trust", "us-east-1")),
    ("lambda:AddPermission", FUNCTION),
    ("lambda:DeleteFunction", FUNCTION),
    ("lambda:PutFunctionConcurrency", FUNCTION),
    ("lambda:CreateFunctionUrlConfig", FUNCTION),
    ("lambda:PutFunctionEventInvokeConfig", FUNCTION),
    ("lambda:TagResource", FUNCTION),
    ("events:PutTargets", regional("events", "rule/github-trust-rotation")),
    ("events:RemoveTargets", regional("events", "rule/github-trust-rotation")),
    ("events:PutRule", regional("events", "rule/github-trust-rotation")),
    ("events:DisableRule", regional("events", "rule/github-trust-rotation")),
    ("events:DeleteRule", regional("events", "rule/github-trust-rotation", "us-east-1")),
    ("ssm:PutParameter", regional("ssm", "parameter/github-trust/service-token")),
    ("ssm:DeleteParameter", regional("ssm", "parameter/github-trust/service-token")),
    ("secretsmanager:PutSecretValue", regional("secretsmanager", "secret:github-trust/access-entry/a-1")),
    ("secretsmanager:CreateSecret", regional("secretsmanager", "secret:github-trust/access-entry/a-1")),
    ("secretsmanager:PutSecretValue", regional("secretsmanager", "secret:github-trust/role/a-1")),
    ("secretsmanager:CreateSecret", regional("secretsmanager", "secret:github-trust/role/a-1")),
    ("secretsmanager:GetSecretValue", regional("secretsmanager", "secret:github-trust/github-1a2b3c")),
    ("sqs:ReceiveMessage", DEAD_LETTERS),
    ("sqs:ReceiveMessage", regional("sqs", "StackSet-github-trust-1a-DeadLetters-1A", "us-east-1")),
    ("logs:DeleteLogGroup", LOG_GROUP),
    ("logs:PutRetentionPolicy", LOG_GROUP),
    ("logs:DeleteLogGroup", regional("logs", "log-group:StackSet-github-trust-1a-LogGroup-1A", "us-east-1")),
    ("logs:PutLogEvents", LOG_GROUP.removesuffix(":*") + ":log-stream:forged"),
    ("cloudwatch:DeleteAlarms", regional("cloudwatch", "alarm:github-trust-FailedInvocations-1A")),
    ("cloudwatch:DisableAlarmActions", regional("cloudwatch", "alarm:github-trust-UnansweredRequests-1A")),
    ("cloudwatch:PutMetricAlarm", regional("cloudwatch", "alarm:StackSet-github-trust-1a-FailedRotations-1A")),
]
# Who gets into clusters.
ENTRIES = [
    ("eks:CreateAccessEntry", regional("eks", "cluster/prod")),
    ("eks:AssociateAccessPolicy", ENTRY),
    ("eks:DisassociateAccessPolicy", ENTRY),
    ("eks:UpdateAccessEntry", ENTRY),
    ("eks:DeleteAccessEntry", ENTRY),
    ("eks:TagResource", ENTRY),
    ("eks:UntagResource", ENTRY),
    ("eks:CreatePodIdentityAssociation", regional("eks", "cluster/prod")),
    ("eks:UpdatePodIdentityAssociation", regional("eks", "podidentityassociation/prod/a-1a2b3c")),
    ("eks:AssociateIdentityProviderConfig", regional("eks", "cluster/prod")),
]
# What it is deployed by, and from.
DEPLOYMENT = [
    ("cloudformation:UpdateStack", regional("cloudformation", "stack/github-trust/1")),
    ("cloudformation:ExecuteChangeSet", regional("cloudformation", "stack/github-trust/1", "us-east-1")),
    ("cloudformation:SetStackPolicy", regional("cloudformation", "stack/github-trust/1")),
    ("cloudformation:DeleteStack", regional("cloudformation", "stack/StackSet-github-trust-1a/1")),
    ("cloudformation:DeleteStack", regional("cloudformation", "stack/StackSet-CustomControlTower-github-trust-1a/1")),
    ("cloudformation:UpdateStack", regional("cloudformation", "stack/github-trust-organization/1")),
    ("cloudformation:UpdateStackSet", regional("cloudformation", "stackset/github-trust:1a2b3c")),
    ("cloudformation:DeleteStackSet", regional("cloudformation", "stackset/github-trust:1a2b3c", "us-east-1")),
    ("cloudformation:CreateStackInstances", regional("cloudformation", "stackset/platform-github-trust:1a2b3c")),
    ("cloudformation:UpdateStackInstances", regional("cloudformation", "stackset-target/github-trust:1a2b3c/ou-1")),
    ("s3:PutObject", "arn:aws:s3:::octo-code-eu-west-1/github-trust/0.1.0-x86_64/function.zip"),
    ("s3:DeleteObject", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1a/github-trust/5f0c"),
    ("s3:PutBucketPolicy", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1a"),
    ("s3:PutBucketVersioning", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1a"),
]
WORK = [
    ("s3:PutObject", "arn:aws:s3:::site/index.html"),
    ("s3:PutObject", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1a/web/5f0c"),
    ("ecr:PutImage", regional("ecr", "repository/web")),
    ("eks:DescribeCluster", regional("eks", "cluster/prod")),
    ("eks:ListAccessEntries", regional("eks", "cluster/prod")),
    ("eks:UpdateNodegroupVersion", regional("eks", "nodegroup/prod/a/1a2b3c")),
    ("eks:TagResource", regional("eks", "cluster/prod")),
    ("lambda:UpdateFunctionCode", regional("lambda", "function:web")),
    ("lambda:InvokeFunction", regional("lambda", "function:web")),
    ("events:PutTargets", regional("events", "rule/web")),
    ("logs:DeleteLogGroup", regional("logs", "log-group:web")),
    ("logs:GetLogEvents", LOG_GROUP.removesuffix(":*") + ":log-stream:2026"),
    ("cloudwatch:PutMetricAlarm", regional("cloudwatch", "alarm:web")),
    ("ssm:GetParameter", regional("ssm", "parameter/github-trust/service-token")),
    ("cloudformation:UpdateStack", regional("cloudformation", "stack/web/1")),
    ("cloudformation:UpdateStackSet", regional("cloudformation", "stackset/web:1a2b3c")),
    ("cloudformation:DescribeStacks", regional("cloudformation", "stack/github-trust/1")),
    ("secretsmanager:GetSecretValue", regional("secretsmanager", "secret:web/database-1a2b3c")),
    ("iam:GetRole", global_("role/x")),
    ("iam:CreateServiceLinkedRole", global_("role/aws-service-role/ecs.amazonaws.com/x")),
    ("sts:GetCallerIdentity", "*"),
]


@pytest.fixture(scope="module")
def default() -> dict[str, Any]:
    return boundary()


@pytest.mark.parametrize(("action", "resource"), [*PERMISSIONS, *FUNCTION_S, *ENTRIES, *DEPLOYMENT])
def test_what_leads_to_more_is_beyond_the_boundary(default: dict[str, Any], action: str, resource: str) -> None:
    assert not allowed(default, action, resource)


def test_the_threat_model_says_how_many_calls_are_tried() -> None:
    calls = len([*PERMISSIONS, *FUNCTION_S, *ENTRIES, *DEPLOYMENT])
    line = f"| workflow with a role of the product | calls beyond the boundary | {calls} |"
    assert line in (ROOT / "docs" / "threat-model.md").read_text()


@pytest.mark.parametrize(("action", "resource"), WORK)
def test_work_is_within_it(default: dict[str, Any], action: str, resource: str) -> None:
    assert allowed(default, action, resource)


def test_the_function_is_asked_by_cloudformation_alone(default: dict[str, Any]) -> None:
    for action in ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl"):
        assert not allowed(default, action, FUNCTION)
        assert not allowed(default, action, FUNCTION, aws_CalledVia=["athena.amazonaws.com"])
    assert allowed(default, "lambda:InvokeFunction", FUNCTION, aws_CalledVia=["cloudformation.amazonaws.com"])
    through = ["servicecatalog.amazonaws.com", "cloudformation.amazonaws.com"]
    assert allowed(default, "lambda:InvokeFunction", FUNCTION, aws_CalledVia=through)


def test_roles_ask_the_alias_plan_where_the_deployment_lets_them(default: dict[str, Any]) -> None:
    plan = f"{FUNCTION}:plan"
    assert not allowed(default, "lambda:InvokeFunction", plan)
    planning = boundary(AllowPlanByRoles="true")
    assert allowed(planning, "lambda:InvokeFunction", plan)
    names = ("", "2", "-b", "plan", "-test", "_test", "-platform", "-test:plan")
    versions = ("$LATEST", "1", "12", "123", "1234", "12345")
    aliases = ("live", "prod", "beta", "Plan", "plans", "plan2", "_plan", "production")
    for other in (*names, *(f":{name}" for name in (*versions, *aliases))):
        assert not allowed(planning, "lambda:InvokeFunction", FUNCTION + other), other
    assert allowed(planning, "lambda:InvokeFunction", FUNCTION, aws_CalledVia=["cloudformation.amazonaws.com"])
    assert allowed(planning, "lambda:InvokeFunction", regional("lambda", "function:web"))
    for action, resource in [*PERMISSIONS, *FUNCTION_S, *ENTRIES, *DEPLOYMENT, ("lambda:UpdateAlias", plan)]:
        assert not allowed(planning, action, resource), action


def test_the_credential_for_github_is_beyond_it_whatever_it_is_called() -> None:
    assert allowed(boundary(), "secretsmanager:GetSecretValue", SECRET)
    named = boundary(GitHubSecretArn=SECRET)
    assert not allowed(named, "secretsmanager:GetSecretValue", SECRET)
    assert not allowed(named, "secretsmanager:PutSecretValue", SECRET)
    # A replica has the same ARN but for the region.
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html
    assert not allowed(named, "secretsmanager:GetSecretValue", SECRET.replace(REGION, "us-west-2"))
    assert allowed(named, "secretsmanager:GetSecretValue", SECRET.replace("github-app", "database"))


def test_a_credential_that_is_named_is_the_function_s_alone() -> None:
    name = "platform/github-app"
    assert not allowed(boundary(GitHubSecretArn=name), "secretsmanager:GetSecretValue", SECRET)
    policy = Template(GitHubSecretArn=name).function_policies()["github-secret"]
    assert allowed(policy, "secretsmanager:GetSecretValue", SECRET)
    assert not allowed(policy, "secretsmanager:GetSecretValue", SECRET.replace("github-app", "github-app-2"))
    [_, decrypt] = policy["Statement"]
    pattern = SECRET.replace("-1a2b3c", "-??????")
    assert decrypt["Condition"] == {"StringLike": {"kms:EncryptionContext:SecretARN": pattern}}


def test_code_buckets_of_another_name_are_beyond_it_where_they_are_named() -> None:
    named = boundary(CodeBuckets="octo-code-*")
    assert not allowed(named, "s3:PutBucketPolicy", "arn:aws:s3:::octo-code-eu-west-1")
    assert allowed(named, "s3:PutBucketPolicy", "arn:aws:s3:::site")


def test_an_exempt_role_deploys_the_product_and_does_nothing_else_more() -> None:
    exempting = boundary(ExemptRoles=EXEMPT)
    for action, resource in DEPLOYMENT:
        assert allowed(exempting, action, resource, EXEMPT), action
        assert not allowed(exempting, action, resource), action
        assert not allowed(exempting, action, resource, f"{EXEMPT}-2"), action
    for action, resource in [*PERMISSIONS, *FUNCTION_S, *ENTRIES]:
        assert not allowed(exempting, action, resource, EXEMPT), action


def test_roles_that_it_names_can_be_passed_or_assumed_and_no_others() -> None:
    naming = boundary(PassableRoles=PASSED, AssumableRoles=f"{PASSED}-*")
    assert allowed(naming, "iam:PassRole", PASSED)
    assert not allowed(naming, "iam:PassRole", f"{PASSED}-a")
    assert allowed(naming, "sts:AssumeRole", f"{PASSED}-a")
    assert not allowed(naming, "sts:AssumeRole", PASSED)


def test_the_function_s_role_is_not_among_those_that_a_wildcard_names() -> None:
    own = global_("role/github-trust/github-trust-Role-x")
    assert not allowed(boundary(PassableRoles=global_("role/*")), "iam:PassRole", own)


def test_there_is_none_where_another_one_is_named_or_none_is_wanted() -> None:
    for wanted in ("None", "platform-boundary", f"arn:aws:iam::{ACCOUNT}:policy/x"):
        assert Template(RolePermissionsBoundary=wanted).boundary() is None
    environment = Template().environment()
    assert environment["GITHUB_TRUST_ROLE_PERMISSIONS_BOUNDARY"] == BOUNDARY
    environment = Template(RolePermissionsBoundary="None").environment()
    assert environment["GITHUB_TRUST_ROLE_PERMISSIONS_BOUNDARY"] == ""
    environment = Template(RolePermissionsBoundary="platform-boundary").environment()
    assert environment["GITHUB_TRUST_ROLE_PERMISSIONS_BOUNDARY"] == f"arn:aws:iam::{ACCOUNT}:policy/platform-boundary"
