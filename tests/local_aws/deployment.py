"""Deploys the real function to the local AWS as a user does: with `sam build` and `sam deploy` of template.yaml."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from github.repositories import TOKEN
from local_aws import ROOT, TOOLS, LocalAws, LocalAwsError, until

FUNCTION = "github-trust"
STACK = "github-trust"
EXAMPLES = ROOT / "examples"
# Each process of a run builds for itself, from what cargo has built once.
BUILD = ROOT / ".aws-sam" / os.environ.get("PYTEST_XDIST_WORKER", "local")

ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
# Link-time optimisation takes minutes, and a local run gains nothing by it. `make test` asks for the release, which the
# tests of the archive need too.
HOW_BUILT = {"CARGO_PROFILE": os.environ.get("CARGO_PROFILE", "local"), "ARCHITECTURE": ARCHITECTURE}
# The issuers are on the loopback interface.
PARAMETERS = (f"Architecture={ARCHITECTURE}", "PrivateIssuers=true")
# For what lies behind the guardrails; `test_guardrails_*.py` deploy the function with them.
WITHOUT_GUARDRAILS = (
    "RolePath=/",
    "AllowedIssuers=token.actions.githubusercontent.com,token.actions.githubusercontent.com/*,token.actions.*.ghe.com,*/_services/token",
    "RolePermissionsBoundary=None",
    "AllowInlinePolicies=Always",
    "AllowedManagedPolicies=arn:*:iam::*:policy/*",
    "ForbiddenManagedPolicies=arn:*:iam::aws:policy/AdministratorAccess",
    "MaxSessionDuration=43200",
    "AllowRoleAdoption=true",
    "WritableGitHubRepositories=*/*,*",
    "AllowGitHubAdoption=true",
    "AllowThumbprintPins=true",
    "AllowedAudiences=*",
    "AllowClusterAdmin=true",
    "AllowedPrincipals=arn:*:iam::*:*",
)
SECRET_NAME = "github-trust/github"  # noqa: S105 - where it is, not what it is
OUTPUT_SHOWN = 40

_CLUSTER_TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, '
    '"Action": "sts:AssumeRole"}]}'
)


@contextlib.contextmanager
def building() -> Iterator[None]:
    """One process at a time: what cargo-lambda has built stands in one place for all profiles."""
    directory = ROOT / "target"
    directory.mkdir(exist_ok=True)
    with (directory / ".building").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(aws: LocalAws) -> None:
    with building():
        sam(aws, "build", "--build-in-source", "--build-dir", str(BUILD), "--parameter-overrides", *PARAMETERS)


def deploy(aws: LocalAws, *parameters: str) -> dict[str, str]:
    """The outputs of the deployed stack, without guardrails."""
    return deploy_as(aws, FUNCTION, *WITHOUT_GUARDRAILS, *parameters)


def deploy_as(aws: LocalAws, name: str, *parameters: str, stack: str | None = None) -> dict[str, str]:
    """The outputs of a function and stack of this name. Its credential for the local GitHub is in a secret."""
    sam(
        aws,
        "deploy",
        *("--template-file", str(BUILD / "template.yaml")),
        *("--stack-name", stack or name),
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"),
        *("--parameter-overrides", f"FunctionName={name}", *PARAMETERS, f"GitHubSecretArn={_secret(aws)}", *parameters),
        "--resolve-s3",
        "--no-confirm-changeset",
        "--no-progressbar",
    )
    (deployed,) = aws.client("cloudformation").describe_stacks(StackName=stack or name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in deployed["Outputs"]}


def create_cluster(aws: LocalAws, name: str, mode: str | None = "API_AND_CONFIG_MAP") -> None:
    """An EKS cluster with this authentication mode, or with the API's default, which is CONFIG_MAP."""
    trust = {"RoleName": f"{name}-cluster", "AssumeRolePolicyDocument": _CLUSTER_TRUST}
    role = aws.client("iam").create_role(**trust)["Role"]
    access = {"accessConfig": {"authenticationMode": mode}} if mode else {}
    eks = aws.client("eks")
    eks.create_cluster(name=name, roleArn=role["Arn"], resourcesVpcConfig={}, **access)
    until(lambda: eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE", f"cluster {name}", 10)


def scheduled_run(aws: LocalAws) -> str | None:
    """Sends the function the event that its schedule sends. What it failed with, if it did."""
    functions = aws.client("lambda")
    event = json.dumps({"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    answer = functions.invoke(FunctionName=FUNCTION, InvocationType="RequestResponse", Payload=event)
    payload = answer["Payload"].read().decode()
    return json.loads(payload).get("errorMessage", payload) if answer.get("FunctionError") else None


def owned(aws: LocalAws) -> list[str]:
    """The ARNs of all providers, roles and access entries that carry a tag of ours."""
    iam, eks = aws.client("iam"), aws.client("eks")
    tagged: list[tuple[str, list[str]]] = []
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        found = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=provider["Arn"])["Tags"]
        tagged.append((provider["Arn"], _keys(found)))
    for role in iam.list_roles()["Roles"]:
        tagged.append((role["Arn"], _keys(iam.list_role_tags(RoleName=role["RoleName"])["Tags"])))
    for cluster in eks.list_clusters()["clusters"]:
        if eks.describe_cluster(name=cluster)["cluster"]["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
            continue
        for page in eks.get_paginator("list_access_entries").paginate(clusterName=cluster):
            for principal in page["accessEntries"]:
                entry = eks.describe_access_entry(clusterName=cluster, principalArn=principal)["accessEntry"]
                tagged.append((entry["accessEntryArn"], list(entry["tags"])))
    return sorted(arn for arn, keys in tagged if any(key.startswith("github-trust:") for key in keys))


def function_calls(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of a recording's calls that the function made, with the credentials of its execution role."""
    return [
        entry
        for entry in entries
        if entry["kind"] == "call" and ":assumed-role/" in (entry["caller"] or "") and _is_function(entry["caller"])
    ]


def sam(aws: LocalAws, *arguments: str) -> None:
    result = subprocess.run(
        [str(TOOLS / "bin" / "sam"), *arguments],
        cwd=ROOT,
        env={**aws.environment(), **HOW_BUILT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode != 0:
        shown = "\n".join(f"  {line}" for line in result.stdout.splitlines()[-OUTPUT_SHOWN:])
        raise LocalAwsError(f"sam {arguments[0]} failed with status {result.returncode}:\n{shown}")


def _secret(aws: LocalAws) -> str:
    """The ARN of the secret with the credential, which is made the first time."""
    secrets = aws.client("secretsmanager")
    try:
        return str(secrets.describe_secret(SecretId=SECRET_NAME)["ARN"])
    except secrets.exceptions.ResourceNotFoundException:
        return str(secrets.create_secret(Name=SECRET_NAME, SecretString=json.dumps({"token": TOKEN}))["ARN"])


def _keys(tags: list[dict[str, str]]) -> list[str]:
    return [tag["Key"] for tag in tags]


def _is_function(caller: str) -> bool:
    # Lambda names the session of an execution role after the function.
    return caller.rsplit("/", 1)[-1] == FUNCTION


def example(name: str) -> str:
    return Path(EXAMPLES / name).read_text()
