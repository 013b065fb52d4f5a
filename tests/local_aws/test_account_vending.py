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
from github.repositories import PRIVATE, TOKEN
from local_aws import REGION, TOOLS, LocalAws
from stack import Stack

BUCKET, VERSION = "octo-code", "0.1.0-x86_64"
# A secret of the account itself. Only the StackSet names one here.
CREDENTIAL = "github-credential"
PREFIX = f"https://{BUCKET}-{REGION}.s3.{REGION}.amazonaws.com/"
# With what the boundary is for: an inline policy.
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
      Policies:
        - PolicyName: read
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{ Effect: Allow, Action: s3:GetObject, Resource: "*" }]
"""


@dataclass
class Vended:
    """One stack that a way of account vending deploys. They are in order."""

    stack: str
    template: str  # the file's name, or its address
    parameters: dict[str, str]
    capabilities: tuple[str, ...] | None = None  # where the way asks for them


def by_stackset() -> list[Vended]:
    text = example("account-vending/stackset.yaml").replace("${AWS::URLSuffix}", "amazonaws.com")
    known = {
        "StackSetName": "github-trust",
        "CodeBucket": BUCKET,
        "Version": VERSION,
        "AWS::Region": REGION,
        "GitHubOwners": "octo-org",
        "GitHubSecretArn": CREDENTIAL,
        "Issuers": "token.actions.githubusercontent.com,ghe.example.com/_services/token",
    }
    for name, value in known.items():
        text = text.replace(f"${{{name}}}", value).replace(f"!Ref {name}", value)
    found = []
    for resource in yaml_parse(text)["Resources"].values():
        properties = resource["Properties"]
        parameters = {one["ParameterKey"]: _plain(one["ParameterValue"]) for one in properties.get("Parameters", [])}
        url, capabilities = _plain(properties["TemplateURL"]), tuple(properties["Capabilities"])
        found.append(Vended(properties["StackSetName"], url, parameters, capabilities))
    return found


def by_aft() -> list[Vended]:
    configuration = EXAMPLES / "account-vending" / "aft" / "github-trust.tf"
    command = [str(TOOLS / "linters" / "bin" / "hcl2tojson"), str(configuration)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    (known,) = found["locals"]

    def value(text: str) -> str:
        while "${local." in text:
            text = re.sub(r"\$\{local\.(\w+)\}", lambda name: str(known[name[1]]).strip('"'), text)
        return text.replace("${data.aws_region.current.region}", REGION).strip('"')

    stacks = [stack for block in found["resource"] for named in block.values() for stack in named.values()]
    return [
        Vended(
            value(stack["name"]),
            value(stack["template_url"]),
            {name: value(text) for name, text in stack.get("parameters", {}).items()},
            tuple(value(text) for text in stack["capabilities"]),
        )
        for stack in stacks
    ]


def by_landing_zone_accelerator() -> list[Vended]:
    found = yaml.safe_load(example("account-vending/landing-zone-accelerator/customizations-config.yaml"))
    stacks = found["customizations"]["cloudFormationStacks"]
    # The members of ICloudFormationStack, https://awslabs.github.io/landing-zone-accelerator-on-aws/latest/typedocs/
    required = {"deploymentTargets", "name", "regions", "runOrder", "template", "terminationProtection"}
    assert all(required <= stack.keys() <= required | {"description", "parameters"} for stack in stacks)
    return [
        Vended(
            stack["name"],
            Path(stack["template"]).name,
            {one["name"]: one["value"] for one in stack.get("parameters", [])},
        )
        for stack in sorted(stacks, key=lambda stack: int(stack["runOrder"]))
    ]


def by_org_formation() -> list[Vended]:
    tasks = yaml_parse(example("account-vending/org-formation/organization-tasks.yml"))
    order = {"GitHubTrust": "OrganizationUpdate"}
    assert {name: task["DependsOn"] for name, task in tasks.items() if "DependsOn" in task} == order
    return [
        Vended(task["StackName"], Path(task["Template"]).name, task.get("Parameters", {}))
        for task in tasks.values()
        if task["Type"] == "update-stacks"
    ]


@pytest.fixture(scope="module")
def account(unpacked: Path) -> Iterator[LocalAws]:
    """A new account, beside buckets with the files of the bundle."""
    with LocalAws() as running:
        code = Stack(running, "code")
        bucket = example("account-vending/code-bucket.yaml")
        assert code.create(bucket, Name=BUCKET, OrganizationId="o-0123456789") == "CREATE_COMPLETE", code.reasons()
        for file in (unpacked / "function.zip", *_templates(unpacked).values()):
            key = f"github-trust/{VERSION}/{file.name}"
            running.client("s3").put_object(Bucket=f"{BUCKET}-{REGION}", Key=key, Body=file.read_bytes())
        running.client("secretsmanager").create_secret(Name=CREDENTIAL, SecretString=json.dumps({"token": TOKEN}))
        yield running


@pytest.mark.parametrize(
    "way", [by_stackset, by_aft, by_landing_zone_accelerator, by_org_formation], ids=lambda way: way.__name__
)
def test_an_account_that_was_vended_has_a_product_that_works(account: LocalAws, unpacked: Path, way: Any) -> None:
    stacks, role = [], ROLE
    for vended in way():
        if vended.parameters.get("GitHubSecretArn") == CREDENTIAL:
            role = ROLE.replace("octo-org/octo-repo", PRIVATE)
        template = _template(account, unpacked, vended.template)
        assert vended.capabilities in (None, _capabilities(yaml.safe_load(template)))
        # The issuers are on this machine.
        local = {"PrivateIssuers": "true"} if "CodeBucket" in vended.parameters else {}
        stacks.append(Stack(account, vended.stack))
        made = stacks[-1].create(template, **{**vended.parameters, **local})
        assert made == "CREATE_COMPLETE", stacks[-1].reasons()
    consumer = Stack(account, "consumer")
    assert consumer.create(role) == "CREATE_COMPLETE", consumer.reasons()
    assert consumer.delete() == "DELETE_COMPLETE"
    assert owned(account) == []
    for stack in reversed(stacks):
        assert stack.delete() == "DELETE_COMPLETE"


def test_no_parameter_of_the_stackset_is_left_for_the_accounts_to_fill_in(unpacked: Path) -> None:
    parameters = yaml.safe_load((unpacked / "github-trust.template.yaml").read_text())["Parameters"]
    without = {name for name, parameter in parameters.items() if "Default" not in parameter}
    assert without <= by_stackset()[-1].parameters.keys() <= parameters.keys()


def _templates(unpacked: Path) -> dict[str, Path]:
    file = unpacked / "github-trust.template.yaml"
    return {file.name: file}


def _template(account: LocalAws, unpacked: Path, place: str) -> str:
    if "/" not in place:
        return _templates(unpacked)[place].read_text()
    assert place.startswith(PREFIX)
    found = account.client("s3").get_object(Bucket=f"{BUCKET}-{REGION}", Key=place.removeprefix(PREFIX))
    return str(found["Body"].read().decode())


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
