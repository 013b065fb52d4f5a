"""Custom::GitHubRole, from a stack to IAM and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from deployment import scheduled_run
from github.repositories import subject
from local_aws import ACCOUNT, LocalAws
from stack import Stack, Template, template

TYPE = "Custom::GitHubRole"
ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
MAIN = [{"Repository": "acme/app", "Branches": ["main"]}]
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
POWER = "arn:aws:iam::aws:policy/PowerUserAccess"
OUTPUTS = {
    "Ref": {"Ref": "Role"},
    **{name: {"Fn::GetAtt": ["Role", name]} for name in ("Arn", "RoleName", "RoleId", "Subjects")},
}
Roles = Callable[..., Template]


@pytest.fixture
def role(service_token: str, github_provider: str) -> Roles:
    """`role(Trust=…)`: a template with that role."""

    def build(**properties: Any) -> Template:
        whole = {"ProviderArn": github_provider, "Trust": MAIN, **properties}
        return template(service_token, {"Role": (TYPE, whole)}, OUTPUTS)

    return build


def policy(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}}


def plain(document: Any) -> Any:
    """A policy document with lists of one as what they hold, which to IAM is the same."""
    if isinstance(document, dict):
        return {key: plain(value) for key, value in document.items()}
    if isinstance(document, list):
        return plain(document[0]) if len(document) == 1 else [plain(value) for value in document]
    return document


def found(iam: Any, name: str) -> dict[str, Any] | None:
    try:
        role: dict[str, Any] = iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        return None
    return role


def everything(iam: Any, name: str) -> dict[str, Any]:
    """All that can be seen of a role."""
    role = found(iam, name)
    assert role is not None
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        **role,
        "Attached": sorted(
            policy["PolicyArn"] for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ),
        "Inline": {policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in names},
    }


def conditions(role: dict[str, Any]) -> dict[str, Any]:
    statement = plain(role["AssumeRolePolicyDocument"])["Statement"]
    assert statement["Principal"] == {"Federated": PROVIDER}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    return {key: values for operator in statement["Condition"].values() for key, values in operator.items()}


def listed(values: Any) -> list[str]:
    return sorted([values] if isinstance(values, str) else values)


def authored(role: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in role["Tags"] if not tag["Key"].startswith("github-trust:")}


def test_a_role_is_created_as_written(iam: Any, stack: Stack, role: Roles, name: str) -> None:
    wanted = role(
        RoleName=f"{name}-Deploy",
        Path="/ci/",
        Description="for deployments",
        MaxSessionDuration=7200,
        PermissionsBoundary=POWER,
        ManagedPolicyArns=[READ, AUDIT],
        Policies=[{"PolicyName": "get", "PolicyDocument": policy("s3:GetObject")}],
        Tags=[{"Key": "team", "Value": "a"}],
        Audience="https://github.com/acme",
        Trust=[
            {"Repository": "acme/app", "Branches": ["main", "release/1"], "Tags": ["v1"]},
            {"Repository": "Acme/Other", "Environments": ["prod eu"], "PullRequests": True},
        ],
    )
    assert stack.create(wanted) == "CREATE_COMPLETE"
    made = everything(iam, f"{name}-Deploy")
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/ci/{name}-Deploy"
    assert (made["Description"], made["MaxSessionDuration"]) == ("for deployments", 7200)
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == POWER
    assert made["Attached"] == [READ, AUDIT]
    assert made["Inline"] == {"get": policy("s3:GetObject")}
    assert authored(made) == {"team": "a"}
    assert {key: listed(values) for key, values in conditions(made).items()} == {
        f"{ISSUER}:aud": ["https://github.com/acme"],
        f"{ISSUER}:sub": [
            subject("Acme/Other", "environment:prod eu"),
            subject("Acme/Other", "pull_request"),
            subject("acme/app", "ref:refs/heads/main"),
            subject("acme/app", "ref:refs/heads/release/1"),
            subject("acme/app", "ref:refs/tags/v1"),
        ],
    }


def test_a_role_is_updated_in_place(iam: Any, stack: Stack, role: Roles) -> None:
    stack.create(
        role(
            Description="old",
            ManagedPolicyArns=[READ],
            Policies=[{"PolicyName": "one", "PolicyDocument": policy("s3:GetObject")}],
            Tags=[{"Key": "a", "Value": "1"}],
        )
    )
    name = stack.outputs()["Ref"]
    before = everything(iam, name)
    changed = role(
        Trust=[{"Repository": "acme/app", "Branches": ["release"]}],
        Description="new",
        MaxSessionDuration=3601,
        PermissionsBoundary=POWER,
        ManagedPolicyArns=[AUDIT],
        Policies=[{"PolicyName": "two", "PolicyDocument": policy("s3:PutObject")}],
        Tags=[{"Key": "b", "Value": "2"}],
    )
    assert stack.update(changed) == "UPDATE_COMPLETE"
    made = everything(iam, name)
    assert made["RoleId"] == before["RoleId"]
    assert listed(conditions(made)[f"{ISSUER}:sub"]) == [subject("acme/app", "ref:refs/heads/release")]
    assert (made["Description"], made["MaxSessionDuration"]) == ("new", 3601)
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == POWER
    assert (made["Attached"], made["Inline"]) == ([AUDIT], {"two": policy("s3:PutObject")})
    assert authored(made) == {"b": "2"}


def test_an_update_that_fails_half_way_is_rolled_back(
    iam: Any, stack: Stack, role: Roles, name: str, deny: Callable[..., None]
) -> None:
    old = {"RoleName": name, "Description": "old", "ManagedPolicyArns": [READ]}
    stack.create(role(**old))
    before = everything(iam, name)
    deny("iam:PutRolePolicy")
    inline = [{"PolicyName": "get", "PolicyDocument": policy("s3:GetObject")}]
    changed = role(**{**old, "Description": "new", "Policies": inline, "ManagedPolicyArns": [READ, AUDIT]})
    assert stack.update(changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert "iam:PutRolePolicy" in stack.reasons()["Role"]
    assert everything(iam, name) == before
    assert stack.physical_ids() == {"Role": name}


def test_a_role_that_others_put_to_use_is_deleted_all_the_same(iam: Any, stack: Stack, role: Roles) -> None:
    stack.create(role())
    name = stack.outputs()["Ref"]
    iam.attach_role_policy(RoleName=name, PolicyArn=AUDIT)
    iam.put_role_policy(RoleName=name, PolicyName="theirs", PolicyDocument=json.dumps(policy("s3:GetObject")))
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    assert stack.delete() == "DELETE_COMPLETE"
    assert found(iam, name) is None


def declarations(aws: LocalAws) -> list[str]:
    """The names of the secrets with the declarations of roles."""
    named = [{"Key": "name", "Values": ["github-trust/role/"]}]
    return [secret["Name"] for secret in aws.client("secretsmanager").list_secrets(Filters=named)["SecretList"]]


def test_a_scheduled_run_repairs_a_role_that_was_changed_by_hand(
    aws: LocalAws, iam: Any, stack: Stack, role: Roles
) -> None:
    inline = [{"PolicyName": "get", "PolicyDocument": policy("s3:GetObject")}]
    wanted = role(OnDrift="Repair", Description="deploys", ManagedPolicyArns=[READ], Policies=inline)
    assert stack.create(wanted) == "CREATE_COMPLETE"
    name = stack.outputs()["Ref"]
    before = everything(iam, name)
    assert len(declarations(aws)) == 1
    trust = json.dumps(before["AssumeRolePolicyDocument"]).replace("refs/heads/main", "refs/heads/dev")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
    iam.detach_role_policy(RoleName=name, PolicyArn=READ)
    iam.put_role_policy(RoleName=name, PolicyName="get", PolicyDocument=json.dumps(policy("s3:*")))
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=POWER)
    changed = everything(iam, name)
    assert changed["Attached"] == []
    assert scheduled_run(aws) is None
    made = everything(iam, name)
    # The stack declares no boundary, so that the one of somebody else stays.
    assert made.pop("PermissionsBoundary") == changed["PermissionsBoundary"]
    assert {key: plain(value) for key, value in made.items()} == {
        key: plain(value) for key, value in before.items() if key != "PermissionsBoundary"
    }
    assert stack.update(role(Description="deploys")) == "UPDATE_COMPLETE"
    assert declarations(aws) == []
