"""Public templates, retold in public_migrations.json by what they make, moved as docs/migration.md says.

`source` is the repository at GitHub and the path of a template in it.

Their workflows assume their roles all the time, and strangers try. A move opens the guardrails that the page names.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import deployment
from local_aws import ACCOUNT, ROOT, LocalAws
from stack import Stack
from test_migrations import permissions
from tokens import assume
from watch import MAIN, PROVIDER, STRANGERS, Watch

ISSUER = "token.actions.githubusercontent.com"
AWS_POLICY = "arn:aws:iam::aws:policy/"
PUBLIC = json.loads(Path(__file__).with_name("public_migrations.json").read_text())
# What the page asks for in every move.
OPENED = ("AllowRoleAdoption=true", "RolePath=/")
THUMBPRINT = "6938fd4d98bab03faadb97b34396831e3780aea1"
KEEP = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}

Case = dict[str, Any]


class Tag(yaml.SafeLoader):
    """Reads template.yaml without its functions."""


Tag.add_multi_constructor("!", lambda loader, suffix, node: None)


@pytest.fixture(scope="module")
def account(service_token: str) -> Iterator[LocalAws]:
    """An account of its own: a provider there is one of."""
    del service_token  # it has built the function
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="module")
def deployed(account: LocalAws) -> Callable[..., dict[str, str]]:
    """The outputs of a deployment that opens these guardrails."""

    @functools.cache
    def deploy(*guardrails: str) -> dict[str, str]:
        name = "-".join(["moving", *guardrails]).lower()
        return deployment.deploy_as(account, name, *opened(list(guardrails)))

    return deploy


def document(*actions: str, resource: Any = "*") -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]}


def trust(role: Case, provider: Any) -> dict[str, Any]:
    condition: dict[str, Any] = {}
    for operator, name in (("StringEquals", "equals"), ("StringLike", "like")):
        if name in role:
            condition[operator] = {f"{ISSUER}:sub": role[name]}
    if role.get("audience", True):
        condition.setdefault("StringEquals", {})[f"{ISSUER}:aud"] = "sts.amazonaws.com"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


class Move:
    """The templates of one move: as it was, retained, and ours."""

    def __init__(self, case: Case, name: str, token: str) -> None:
        self.case, self.name, self.token = case, name, token
        self.names: dict[str, str] = {}

    @property
    def makes_provider(self) -> bool:
        return self.case.get("provider") != "elsewhere"

    def native(self, *, retained: bool) -> dict[str, Any]:
        kept = KEEP if retained else {}
        resources = self._beside("Role")
        if self.makes_provider:
            provider = {
                "Url": f"https://{ISSUER}",
                "ClientIdList": ["sts.amazonaws.com"],
                "ThumbprintList": [THUMBPRINT],
                **self.case.get("provider", {}),
            }
            provider = {key: value for key, value in provider.items() if value is not None}
            resources["GitHubProvider"] = {"Type": "AWS::IAM::OIDCProvider", **kept, "Properties": provider}
        for index, role in enumerate(self.case["roles"]):
            properties = self._properties(role)
            provider_arn = {"Ref": "GitHubProvider"} if self.makes_provider else PROVIDER
            properties["AssumeRolePolicyDocument"] = trust(role, provider_arn)
            if "name" in role:
                properties["RoleName"] = f"{self.name}-{role['name']}"
            resources[f"Role{index}"] = {"Type": "AWS::IAM::Role", **kept, "Properties": properties}
        return {"Resources": resources}

    def ours(self) -> dict[str, Any]:
        token = {"ServiceToken": self.token}
        resources = self._beside("Job")
        if self.makes_provider:
            resources["Provider"] = {"Type": "Custom::GitHubOidcProvider", "Properties": token}
        for index, role in enumerate(self.case["roles"]):
            entry = {"Repository": role.get("repository", MAIN["repository"]), **role["trust"]}
            properties = {
                **token,
                **self._properties(role),
                "OnExisting": "Adopt",
                "RoleName": self.names[f"Role{index}"],
                "ProviderArn": {"Ref": "Provider"} if self.makes_provider else PROVIDER,
                "Trust": [entry],
            }
            resources[f"Job{index}"] = {"Type": "Custom::GitHubRole", "Properties": properties}
        return {"Resources": resources}

    def _beside(self, logical: str) -> dict[str, Any]:
        """What stays native: policies, the service role."""
        resources: dict[str, Any] = {}
        for index, role in enumerate(self.case["roles"]):
            for policy in role.get("own", []):
                properties = {"ManagedPolicyName": f"{self.name}-{policy}", "PolicyDocument": document("s3:GetObject")}
                resources[f"Own{policy.title()}"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
            for policy in role.get("separate", []):
                properties = {
                    "PolicyName": policy,
                    "PolicyDocument": document("ecr:PutImage"),
                    "Roles": [{"Ref": f"{logical}{index}"}],
                }
                resources[f"Separate{policy.title()}"] = {"Type": "AWS::IAM::Policy", "Properties": properties}
        if self.case.get("service_role"):
            principal = {"Service": "cloudformation.amazonaws.com"}
            statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
            properties = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
            resources["Service"] = {"Type": "AWS::IAM::Role", "Properties": properties}
        return resources

    def _properties(self, role: Case) -> dict[str, Any]:
        """Those that keep their names."""
        properties = dict(role.get("properties", {}))
        managed = [f"{AWS_POLICY}{policy}" for policy in role.get("aws", [])]
        managed += [{"Ref": f"Own{policy.title()}"} for policy in role.get("own", [])]
        if managed:
            properties["ManagedPolicyArns"] = managed
        passed = {"Fn::GetAtt": ["Service", "Arn"]} if self.case.get("service_role") else "*"
        inline = {policy: document("iam:PassRole", resource=passed) for policy in role.get("inline", [])}
        if inline:
            properties["Policies"] = [
                {"PolicyName": policy, "PolicyDocument": policy_document} for policy, policy_document in inline.items()
            ]
        return properties


def opened(guardrails: list[str]) -> list[str]:
    """The parameters that open guardrails, as the page says."""
    template = yaml.load((ROOT / "template.yaml").read_text(), Tag)  # noqa: S506 - a safe loader
    forbidden = template["Parameters"]["ForbiddenManagedPolicies"]["Default"].split(",")
    has = [f"{AWS_POLICY}{policy}" for case in PUBLIC for role in case["roles"] for policy in role.get("aws", [])]
    left = [pattern for pattern in forbidden if not any(fnmatch.fnmatch(policy, pattern) for policy in has)]
    values = {
        "AllowBroadTrust": "GuardrailExemptions=AllowBroadTrust:public-*:2099-12-31",
        "AllowedManagedPolicies": f"AllowedManagedPolicies={AWS_POLICY}*,arn:aws:iam::{ACCOUNT}:policy/public-*",
        "ForbiddenManagedPolicies": f"ForbiddenManagedPolicies={','.join(left)}",
    }
    return [*OPENED, *(values[guardrail] for guardrail in guardrails)]


def remove(iam: Any, names: list[str]) -> None:
    """What was adopted or joined stays after its stack; nothing else here wants it."""
    for name in names:
        attached, inline = permissions(iam, name)
        for policy in attached:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy)
        for policy in inline:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)


@pytest.mark.parametrize("number", range(len(PUBLIC)), ids=[case["says"] for case in PUBLIC])
def test_a_public_template_moves_as_the_page_says(
    account: LocalAws, deployed: Callable[..., dict[str, str]], number: int
) -> None:
    case, name = PUBLIC[number], f"public-{number}"
    outputs = deployed(*case.get("opens", []))
    iam, stack = account.client("iam"), Stack(account, name)
    move = Move(case, name, outputs["ServiceToken"])
    if not move.makes_provider:
        iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"])
    assert stack.create(move.native(retained=False)) == "CREATE_COMPLETE", stack.reasons()
    ids = stack.physical_ids()
    move.names = {logical: ids[logical] for logical in ids if logical.startswith("Role")}
    jobs = {ids[f"Role{index}"]: {**MAIN, **role.get("job", {})} for index, role in enumerate(case["roles"])}
    before = {role: (iam.get_role(RoleName=role)["Role"]["RoleId"], permissions(iam, role)) for role in jobs}
    with contextlib.ExitStack() as watches:
        for role, job in jobs.items():
            strangers = case["roles"][0].get("strangers", STRANGERS)
            arn = iam.get_role(RoleName=role)["Role"]["Arn"]
            watches.enter_context(Watch(account, arn, job, strangers))
            iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=outputs["RolePermissionsBoundary"])
        assert stack.update(move.native(retained=True)) == "UPDATE_COMPLETE", stack.reasons()
        assert stack.update(move.ours()) == "UPDATE_COMPLETE", stack.reasons()
    after = {role: (iam.get_role(RoleName=role)["Role"]["RoleId"], permissions(iam, role)) for role in jobs}
    assert after == before
    # The roles answer the same workflows when the stack is gone.
    assert stack.delete() == "DELETE_COMPLETE", stack.reasons()
    for role, job in jobs.items():
        assert assume(account, iam.get_role(RoleName=role)["Role"]["Arn"], account.token(**job)) is None
    remove(iam, list(jobs))
