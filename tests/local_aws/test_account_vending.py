"""What the examples of account vending give to an account is a product that works there.

StackSets, AFT, the Landing Zone Accelerator and org-formation are not here: what each of them would deploy is read from
its example, and deployed as it says.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from deployment import EXAMPLES, example, owned
from local_aws import REGION, TOOLS, LocalAws
from stack import Stack

BUCKET, VERSION = "octo-code", "0.1.0-x86_64"
PREFIX = f"https://{BUCKET}-{REGION}.s3.{REGION}.amazonaws.com/"
ROLE = """
Resources:
  Provider:
    Type: Custom::GitHubOidcProvider
    Properties: { ServiceToken: !ImportValue github-trust-ServiceToken }
  Role:
    Type: Custom::GitHubRole
    Properties:
      ServiceToken: !ImportValue github-trust-ServiceToken
      ProviderArn: !Ref Provider
      Trust: [{ Repository: octo-org/octo-repo, Branches: [main] }]
"""


@dataclass
class Vended:
    """What a way of account vending deploys."""

    stack: str
    parameters: dict[str, str]
    url: str | None = None
    capabilities: tuple[str, ...] = ("CAPABILITY_IAM",)


def by_stackset() -> Vended:
    text = example("account-vending/stackset.yaml")
    for name, value in {"CodeBucket": BUCKET, "Version": VERSION, "AWS::Region": REGION}.items():
        text = text.replace(f"${{{name}}}", value).replace(f"!Ref {name}", value)
    properties = yaml_parse(text.replace("${AWS::URLSuffix}", "amazonaws.com"))["Resources"]["StackSet"]["Properties"]
    parameters = {one["ParameterKey"]: _plain(one["ParameterValue"]) for one in properties["Parameters"]}
    url = _plain(properties["TemplateURL"])
    return Vended("github-trust", parameters, url, tuple(properties["Capabilities"]))


def by_aft() -> Vended:
    command = [
        str(TOOLS / "linters" / "bin" / "hcl2tojson"),
        str(EXAMPLES / "account-vending" / "aft" / "github-trust.tf"),
    ]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    (local_values,) = found["locals"]
    ((_, (stack,)),) = [(kind, list(one.values())) for block in found["resource"] for kind, one in block.items()]

    def value(text: str) -> str:
        for name, known in local_values.items():
            text = text.replace(f"${{local.{name}}}", str(known).strip('"'))
        return text.replace("${data.aws_region.current.region}", REGION).strip('"')

    parameters = {name: value(text) for name, text in stack["parameters"].items()}
    capabilities = tuple(value(text) for text in stack["capabilities"])
    return Vended(value(stack["name"]), parameters, value(stack["template_url"]), capabilities)


def by_landing_zone_accelerator() -> Vended:
    found = yaml.safe_load(example("account-vending/landing-zone-accelerator/customizations-config.yaml"))
    (stack,) = found["customizations"]["cloudFormationStacks"]
    # The members of ICloudFormationStack, https://awslabs.github.io/landing-zone-accelerator-on-aws/latest/typedocs/
    required = {"deploymentTargets", "name", "regions", "runOrder", "template", "terminationProtection"}
    assert required <= stack.keys() <= required | {"description", "parameters"}
    return Vended(stack["name"], {one["name"]: one["value"] for one in stack["parameters"]})


def by_org_formation() -> Vended:
    tasks = yaml_parse(example("account-vending/org-formation/organization-tasks.yml"))
    task = tasks["GitHubTrust"]
    assert task["Type"] == "update-stacks"
    assert tasks[task["DependsOn"]]["Type"] == "update-organization"
    return Vended(task["StackName"], task["Parameters"])


@pytest.fixture(scope="module")
def account(unpacked: Path) -> Iterator[LocalAws]:
    """A new account, beside buckets with the code."""
    with LocalAws() as running:
        code = Stack(running, "code")
        bucket = example("account-vending/code-bucket.yaml")
        assert code.create(bucket, Name=BUCKET, OrganizationId="o-0123456789") == "CREATE_COMPLETE", code.reasons()
        for file in ("function.zip", "github-trust.template.yaml"):
            key = f"github-trust/{VERSION}/{file}"
            running.client("s3").put_object(Bucket=f"{BUCKET}-{REGION}", Key=key, Body=(unpacked / file).read_bytes())
        yield running


@pytest.mark.parametrize(
    "way", [by_stackset, by_aft, by_landing_zone_accelerator, by_org_formation], ids=lambda way: way.__name__
)
def test_an_account_that_was_vended_has_a_product_that_works(account: LocalAws, unpacked: Path, way: Any) -> None:
    vended: Vended = way()
    template = (unpacked / "github-trust.template.yaml").read_text()
    if vended.url is not None:
        assert vended.url.startswith(PREFIX)
        key = vended.url.removeprefix(PREFIX)
        template = account.client("s3").get_object(Bucket=f"{BUCKET}-{REGION}", Key=key)["Body"].read().decode()
    assert vended.capabilities == _capabilities(yaml.safe_load(template))
    product, consumer = Stack(account, vended.stack), Stack(account, "consumer")
    # The issuers are on this machine.
    made = product.create(template, **{**vended.parameters, "PrivateIssuers": "true"})
    assert made == "CREATE_COMPLETE", product.reasons()
    assert consumer.create(ROLE) == "CREATE_COMPLETE", consumer.reasons()
    assert consumer.delete() == "DELETE_COMPLETE"
    assert owned(account) == []
    assert product.delete() == "DELETE_COMPLETE"


def test_no_parameter_of_the_stackset_is_left_for_the_accounts_to_fill_in(unpacked: Path) -> None:
    parameters = yaml.safe_load((unpacked / "github-trust.template.yaml").read_text())["Parameters"]
    without = {name for name, parameter in parameters.items() if "Default" not in parameter}
    assert without == by_stackset().parameters.keys()


def _capabilities(template: dict[str, Any]) -> tuple[str, ...]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html, Capabilities."""
    iam = [resource for resource in template["Resources"].values() if resource["Type"].startswith("AWS::IAM::")]
    names = {"RoleName", "ManagedPolicyName", "UserName", "GroupName", "InstanceProfileName"}
    named = any(names & resource["Properties"].keys() for resource in iam)
    return ("CAPABILITY_NAMED_IAM",) if named else ("CAPABILITY_IAM",)


def _plain(value: Any) -> str:
    text = value["Fn::Sub"] if isinstance(value, dict) else value
    assert re.search(r"\$\{", text) is None, f"something is left open: {text}"
    return str(text)
