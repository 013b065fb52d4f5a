"""template.yaml deployed with one set of parameters and another, in two regions, again, and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

import deployment
from local_aws import ACCOUNT, REGION, LocalAws, LocalAwsError
from stack import Stack, template

OTHER_REGION = "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/github-boundary"
PROVIDER = "Custom::GitHubOidcProvider"
# IAM's quota for all inline policies of a role together, white space not counted.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
INLINE_QUOTA = 10_240
# And Lambda's for a function's environment.
ENVIRONMENT_QUOTA = 4096

EVERYTHING = (
    "LogRetentionInDays=30",
    "ReservedConcurrency=5",
    "SubnetIds=subnet-0a1,subnet-0a2",
    "SecurityGroupIds=sg-0a1",
    f"KmsKeyArn={KEY}",
    f"AlarmTopicArn={TOPIC}",
    f"StackAccounts={ACCOUNT},111122223333",
    "AllowedGitHubOwners=octo-org,ghe.example.com/_services/token/octo-lab",
    f"WritableGitHubRepositories=octo-org/app,{ACCOUNT}/team-*=ghe.example.com/octo-lab/*",
    "AllowGitHubAdoption=true",
    "AllowThumbprintPins=true",
    "AllowedAudiences=sts.amazonaws.com,https://vault.example.com",
    "AllowExplain=false",
    "AllowedIssuers=token.actions.githubusercontent.com,token.actions.octo.ghe.com,ghe.example.com/_services/token",
    "AllowBroadTrust=true",
    "GuardrailContact=platform@example.com",
    "RolePath=/platform/ci/",
    f"RolePermissionsBoundary={BOUNDARY}",
    "AllowedManagedPolicies=arn:*:iam::aws:policy/*,arn:*:iam::*:policy/platform/*",
    "MaxSessionDuration=3600",
    "AllowRoleAdoption=true",
    "AllowClusterAdmin=true",
    "AllowedKubernetesSubjects=team-*,viewers",
    "AllowedClusters=production,test-*",
    f"AllowedPrincipals=arn:aws:iam::{ACCOUNT}:role/platform/ci/*,arn:aws:iam::111122223333:role/deploy",
    "AllowedNamespaces=team-*,web",
    'RotationSchedule="cron(0 3 * * ? *)"',
)


def deployed(aws: LocalAws, name: str, *parameters: str) -> Iterator[str]:
    yield deployment.deploy_as(aws, name, *parameters)["ServiceToken"]
    assert Stack.existing(aws, name).delete() == "DELETE_COMPLETE"


@pytest.fixture
def by_default(aws: LocalAws, service_token: str, name: str) -> Iterator[str]:
    del service_token  # it has built the function
    yield from deployed(aws, name)


@pytest.fixture
def with_everything(aws: LocalAws, service_token: str, name: str) -> Iterator[str]:
    del service_token
    yield from deployed(aws, name, *EVERYTHING)


def inline_policies(aws: LocalAws, token: str) -> dict[str, Any]:
    """Those of the function's role."""
    role = aws.client("lambda").get_function_configuration(FunctionName=token)["Role"].rsplit("/")[-1]
    iam = aws.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}


def issuers(policies: dict[str, Any]) -> Any:
    """The providers that the function may make."""
    (resource,) = (
        statement["Resource"]
        for statement in policies["oidc-providers"]["Statement"]
        if "iam:CreateOpenIDConnectProvider" in statement["Action"]
    )
    return resource


def size(documents: dict[str, Any]) -> int:
    return sum(len("".join(json.dumps(document, separators=(",", ":")).split())) for document in documents.values())


def alarms(aws: LocalAws, name: str) -> dict[str, Any]:
    ids = Stack.existing(aws, name).physical_ids()
    found = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    mine = {alarm["AlarmName"]: alarm for alarm in found}
    return {logical_id: mine[physical_id] for logical_id, physical_id in ids.items() if physical_id in mine}


ALARMS = {"FailedInvocations", "WaitingRequests", "UnansweredRequests", "FailedRotations"}


def test_by_default_there_is_no_network_no_key_and_nobody_is_alarmed(aws: LocalAws, by_default: str, name: str) -> None:
    configuration = aws.client("lambda").get_function_configuration(FunctionName=by_default)
    assert not (configuration.get("VpcConfig") or {}).get("SubnetIds")
    assert not configuration.get("KMSKeyArn")
    assert configuration["Role"].startswith(f"arn:aws:iam::{ACCOUNT}:role/github-trust/")
    found = alarms(aws, name)
    assert found.keys() == ALARMS
    assert not any(alarm.get("AlarmActions") for alarm in found.values())
    policies = inline_policies(aws, by_default)
    assert policies.keys() == {
        "log",
        "dead-letters",
        "oidc-providers",
        "origin",
        "roles",
        "access-entries-remembered",
        "github-secret",
    }
    assert size(policies) < INLINE_QUOTA
    role = configuration["Role"].rsplit("/", 1)[1]
    [attached] = aws.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert attached["PolicyArn"] == Stack.existing(aws, name).physical_ids()["AccessEntriesPolicy"]
    # There is a boundary by default, which makes inline policies possible and cannot be taken away.
    roles = json.dumps(policies["roles"])
    assert Stack.existing(aws, name).physical_ids()["Boundary"] in roles
    assert "iam:PutRolePolicy" in roles
    assert "iam:DeleteRolePermissionsBoundary" not in roles
    assert issuers(policies) == [
        "arn:*:iam::*:oidc-provider/token.actions.githubusercontent.com",
        "arn:*:iam::*:oidc-provider/token.actions.githubusercontent.com/*",
    ]


def test_with_everything_set_everything_is_there(aws: LocalAws, with_everything: str, name: str) -> None:
    functions = aws.client("lambda")
    configuration = functions.get_function_configuration(FunctionName=with_everything)
    assert configuration["VpcConfig"]["SubnetIds"] == ["subnet-0a1", "subnet-0a2"]
    assert configuration["VpcConfig"]["SecurityGroupIds"] == ["sg-0a1"]
    assert configuration["KMSKeyArn"] == KEY
    variables = configuration["Environment"]["Variables"]
    assert variables["GITHUB_TRUST_ALLOWED_GITHUB_OWNERS"] == "octo-org,ghe.example.com/_services/token/octo-lab"
    assert sum(len(key) + len(text) for key, text in variables.items()) < ENVIRONMENT_QUOTA
    concurrency = functions.get_function_concurrency(FunctionName=with_everything)
    assert concurrency["ReservedConcurrentExecutions"] == 5
    found = alarms(aws, name)
    assert found.keys() == ALARMS
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC] for alarm in found.values())
    policies = inline_policies(aws, with_everything)
    assert {"key", "network"} <= policies.keys()
    assert size(policies) < INLINE_QUOTA
    roles = json.dumps(policies["roles"])
    assert "role/platform/ci/*" in roles
    assert "iam:PutRolePolicy" in roles
    assert "iam:DeleteRolePermissionsBoundary" not in roles
    assert f"arn:*:cloudformation:*:{ACCOUNT}:stack/*" in roles
    assert "arn:*:cloudformation:*:111122223333:stack/*" in roles
    assert issuers(policies) == [
        "arn:*:iam::*:oidc-provider/token.actions.githubusercontent.com",
        "arn:*:iam::*:oidc-provider/token.actions.octo.ghe.com",
        "arn:*:iam::*:oidc-provider/ghe.example.com/_services/token",
    ]


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("RolePath=github", "RolePath"),
        ("RolePath=/github-trust/", "RolePath"),
        ("RolePath=/aws-reserved/", "RolePath"),
        ("RolePath=/a*/", "RolePath"),
        ("StackAccounts=12345", "StackAccounts"),
        ("AllowedIssuers=https://token.actions.githubusercontent.com", "AllowedIssuers"),
        ("RolePermissionsBoundary=iam::aws:policy/x", "RolePermissionsBoundary"),
        ("MaxSessionDuration=900", "MaxSessionDuration"),
        ("AllowInlinePolicies=Sometimes", "AllowInlinePolicies"),
        ("GuardrailExemptions=RolePath:s:2027-01-01", "GuardrailExemptions"),
        ("GuardrailExemptions=AllowBroadTrust:s", "GuardrailExemptions"),
        ("GuardrailExemptions=AllowBroadTrust:s/:2027-01-01", "GuardrailExemptions"),
        ("GuardrailExemptions=AllowBroadTrust:12345/s:2027-01-01", "GuardrailExemptions"),
        ("KmsKeyArn=alias/mine", "KmsKeyArn"),
        ("SubnetIds=subnet-0a1", "SubnetIds need SecurityGroupIds"),
        ("SecurityGroupIds=sg-0a1", "SecurityGroupIds need SubnetIds"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(
    aws: LocalAws, service_token: str, name: str, parameter: str, said: str
) -> None:
    del service_token
    with pytest.raises(LocalAwsError) as raised:
        deployment.deploy_as(aws, name, parameter)
    assert said in str(raised.value)


def test_an_upgrade_keeps_the_service_token_and_what_was_made(aws: LocalAws, by_default: str, name: str) -> None:
    stack = Stack(aws, f"{name}-user")
    resources = {"Provider": (PROVIDER, {})}
    assert stack.create(template(by_default, resources)) == "CREATE_COMPLETE", stack.reasons()
    parameters = ("LogRetentionInDays=30", "AllowBroadTrust=true", "AllowedAudiences=sts.amazonaws.com,other")
    assert deployment.deploy_as(aws, name, *parameters)["ServiceToken"] == by_default
    changed = {"Provider": (PROVIDER, {"ClientIdList": ["sts.amazonaws.com", "other"]})}
    assert stack.update(template(by_default, changed)) == "UPDATE_COMPLETE", stack.reasons()
    assert stack.delete() == "DELETE_COMPLETE", stack.reasons()


def test_the_product_cannot_go_while_a_stack_imports_its_token(aws: LocalAws, by_default: str, name: str) -> None:
    product = Stack.existing(aws, name)
    importing, naming = (Stack(aws, f"{name}-{each}") for each in ("imports", "names"))
    imported = template({"Fn::ImportValue": f"{name}-ServiceToken"}, {"Provider": (PROVIDER, {})})  # type: ignore[arg-type]
    assert importing.create(imported) == "CREATE_COMPLETE", importing.reasons()
    assert naming.create(template(by_default, {"Provider": (PROVIDER, {})})) == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match=f"{name}-ServiceToken"):
        product.delete()
    aws.client("lambda").get_function_configuration(FunctionName=by_default)
    assert importing.delete() == "DELETE_COMPLETE"
    # Nothing keeps those who have the token from elsewhere …
    assert product.delete() == "DELETE_COMPLETE"
    # … but that it comes back under its name.
    assert deployment.deploy_as(aws, name)["ServiceToken"] == by_default
    assert naming.delete() == "DELETE_COMPLETE", naming.reasons()


def test_two_regions_of_one_account_do_not_get_in_each_others_way(
    aws: LocalAws, by_default: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = aws.settings()
    monkeypatch.setattr(aws, "settings", lambda: {**settings, "AWS_DEFAULT_REGION": OTHER_REGION})
    client = aws.new_client
    monkeypatch.setattr(aws, "_clients", {})
    monkeypatch.setattr(aws, "new_client", lambda service, *keys: client(service, *keys, region=OTHER_REGION))
    # Generated names hold nothing of the region here, and random letters in AWS: the stack needs another name.
    there = deployment.deploy_as(aws, name, stack=f"{name}-there")["ServiceToken"]
    assert there == by_default.replace(REGION, OTHER_REGION)
    role_there = aws.client("lambda").get_function_configuration(FunctionName=there)["Role"]
    mine_there = Stack(aws, f"{name}-user")
    assert mine_there.create(template(there, {"Provider": (PROVIDER, {})})) == "CREATE_COMPLETE", mine_there.reasons()
    monkeypatch.undo()
    assert role_there != aws.client("lambda").get_function_configuration(FunctionName=by_default)["Role"]
    mine_here = Stack(aws, f"{name}-user")
    assert mine_here.create(template(by_default, {"Provider": (PROVIDER, {})})) == "CREATE_COMPLETE", (
        mine_here.reasons()
    )
    # Both own it, and the last one takes it along.
    provider = mine_here.physical_ids()["Provider"]
    tags = aws.client("iam").list_open_id_connect_provider_tags(OpenIDConnectProviderArn=provider)["Tags"]
    assert sum(tag["Key"].startswith("github-trust:owner:") for tag in tags) == 2
    assert mine_here.delete() == "DELETE_COMPLETE"
    assert mine_there.delete() == "DELETE_COMPLETE", mine_there.reasons()
    with pytest.raises(aws.client("iam").exceptions.NoSuchEntityException):
        aws.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=provider)
