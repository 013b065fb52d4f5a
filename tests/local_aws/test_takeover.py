"""A person who may only deploy stacks makes a role by which a workflow takes the function over: each step is tried."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

import deployment
from local_aws import LocalAws
from stack import Stack, template

WEB = "octo-org/web"
POLICY = "arn:aws:iam::aws:policy/"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# What a deployment without a boundary was once like by default.
OPEN = (
    "RolePermissionsBoundary=None",
    "AllowedManagedPolicies=arn:*:iam::aws:policy/*",
    "ForbiddenManagedPolicies=arn:*:iam::aws:policy/AdministratorAccess*",
)
LOOSE = OPEN[2]
_stacks = itertools.count(1)

Deploy = Callable[..., str]


@pytest.fixture
def deploy(aws: LocalAws, service_token: str, name: str) -> Iterator[Deploy]:
    """`deploy("Parameter=…")` deploys the product under the test's name, otherwise with its defaults."""
    del service_token  # it has built the function
    yield lambda *parameters: deployment.deploy_as(aws, name, *parameters)["ServiceToken"]
    aws.client("cloudformation").delete_stack(StackName=name)


def attack(aws: LocalAws, token: str, name: str, **role: Any) -> str:
    """Makes a role by a stack, assumes it as a workflow, and changes the function's settings: what stopped it."""
    stack = Stack(aws, f"{name}-attack-{next(_stacks)}")
    resources = {
        "Provider": ("Custom::GitHubOidcProvider", {}),
        "Role": (
            "Custom::GitHubRole",
            {
                "ProviderArn": {"Ref": "Provider"},
                "Trust": [{"Repository": WEB, "Branches": ["main"]}],
                **role,
            },
        ),
    }
    outputs = {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}
    try:
        if stack.create(template(token, resources, outputs)) != "CREATE_COMPLETE":
            return stack.reasons()["Role"]
        credentials = aws.client("sts").assume_role_with_web_identity(
            RoleArn=stack.outputs()["RoleArn"],
            RoleSessionName="workflow",
            WebIdentityToken=aws.token(repository=WEB),
        )["Credentials"]
        functions = aws.client_of("lambda", credentials)
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {"GITHUB_TRUST_ALLOWED_MANAGED_POLICIES": "arn:*:*:*:*:*"}}
        )
    except ClientError as error:
        return str(error)
    finally:
        stack.delete()
    return "nothing"


def test_the_attack_takes_a_deployment_over_that_was_opened_for_it(aws: LocalAws, name: str, deploy: Deploy) -> None:
    token = deploy(*OPEN)
    assert attack(aws, token, name, ManagedPolicyArns=[f"{POLICY}AWSLambda_FullAccess"]) == "nothing"
    configuration = aws.client("lambda").get_function_configuration(FunctionName=name)
    assert configuration["Environment"]["Variables"] == {"GITHUB_TRUST_ALLOWED_MANAGED_POLICIES": "arn:*:*:*:*:*"}


def test_by_default_the_policy_is_refused_and_no_other_way_leads_there(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    token = deploy()
    before = aws.client("lambda").get_function_configuration(FunctionName=name)
    refused = attack(aws, token, name, ManagedPolicyArns=[f"{POLICY}AWSLambda_FullAccess"])
    assert "guardrail `ForbiddenManagedPolicies`" in refused
    by_hand = attack(aws, token, name, Policies=[{"PolicyName": "all", "PolicyDocument": EVERYTHING}])
    assert "AccessDenied" in by_hand
    assert "lambda:UpdateFunctionConfiguration" in by_hand
    assert aws.client("lambda").get_function_configuration(FunctionName=name)["Environment"] == before["Environment"]


def test_the_boundary_holds_where_the_list_does_not(aws: LocalAws, name: str, deploy: Deploy) -> None:
    token = deploy(LOOSE)
    stopped = attack(aws, token, name, ManagedPolicyArns=[f"{POLICY}AWSLambda_FullAccess"])
    assert "AccessDenied" in stopped
    assert "lambda:UpdateFunctionConfiguration" in stopped
