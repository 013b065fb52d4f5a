"""Moving over from other set-ups as docs/migration.md has it, while a workflow goes on assuming its role."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployment import example
from local_aws import LocalAws
from stack import Stack
from tokens import assume
from watch import MAIN, PROVIDER, Watch

ISSUER = "token.actions.githubusercontent.com"
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ROLE = "web-deploy"
FEATURE = {**MAIN, "ref": "refs/heads/feature"}
LATE = """  Late:
    Type: Custom::GitHubRole
    Properties:
      ServiceToken: !ImportValue github-trust-ServiceToken
      ProviderArn: !Sub no-provider-but-${Role.Arn}
"""
PERMISSION = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::octo-org-web/*"}],
}

pytestmark = pytest.mark.usefixtures("service_token")


def provider(iam: Any) -> dict[str, Any]:
    found: dict[str, Any] = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)
    return {name: found[name] for name in ("Url", "ClientIDList", "ThumbprintList")}


def permissions(iam: Any, name: str) -> tuple[list[str], dict[str, Any]]:
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    inline = {policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in names}
    return [policy["PolicyArn"] for policy in attached], inline


@pytest.fixture
def clean(iam: Any) -> Iterator[None]:
    """What was adopted or joined stays after its stack; nothing else here wants it."""
    yield
    for policy in iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=ROLE, PolicyArn=policy["PolicyArn"])
    for policy in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ROLE, PolicyName=policy)
    iam.delete_role(RoleName=ROLE)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)


def test_from_native_resources(aws: LocalAws, iam: Any, stack: Stack, clean: None) -> None:
    assert stack.create(example("migration/native-1-before.yaml")) == "CREATE_COMPLETE", stack.reasons()
    role = stack.outputs()["RoleArn"]
    before = (iam.get_role(RoleName=ROLE)["Role"]["RoleId"], provider(iam), permissions(iam, ROLE))
    assert assume(aws, role, aws.token(**FEATURE)) is None, "the old trust is wide"
    with Watch(aws, role) as watch:
        assert stack.update(example("migration/native-2-retained.yaml")) == "UPDATE_COMPLETE", stack.reasons()
        assert stack.update(example("migration/native-3-after.yaml")) == "UPDATE_COMPLETE", stack.reasons()
    # One call goes from the old trust to the new one, so there is nothing between them; all else are tags.
    assert watch.changes() == ["TagOpenIDConnectProvider", "TagRole", "TagRole", "UpdateAssumeRolePolicy"]
    assert (iam.get_role(RoleName=ROLE)["Role"]["RoleId"], provider(iam), permissions(iam, ROLE)) == before
    assert assume(aws, role, aws.token(**FEATURE)) is not None, "the new trust is exact"
    # Nor is anything gone when the stack is.
    with Watch(aws, role):
        assert stack.delete() == "DELETE_COMPLETE"


def test_a_second_step_that_is_rolled_back_interrupts_nothing(
    aws: LocalAws, iam: Any, stack: Stack, clean: None
) -> None:
    assert stack.create(example("migration/native-1-before.yaml")) == "CREATE_COMPLETE", stack.reasons()
    role = stack.outputs()["RoleArn"]
    before = (iam.get_role(RoleName=ROLE)["Role"]["RoleId"], provider(iam), permissions(iam, ROLE))
    after = example("migration/native-3-after.yaml")
    failing = after.replace("\nOutputs:", LATE + "\nOutputs:")
    with Watch(aws, role):
        assert stack.update(example("migration/native-2-retained.yaml")) == "UPDATE_COMPLETE", stack.reasons()
        assert stack.update(failing) == "UPDATE_ROLLBACK_COMPLETE"
        assert set(stack.reasons()) == {"Late"}
        assert (iam.get_role(RoleName=ROLE)["Role"]["RoleId"], provider(iam), permissions(iam, ROLE)) == before
        # And once more, as it should be.
        assert stack.update(after) == "UPDATE_COMPLETE", stack.reasons()


@pytest.fixture
def made_by_hand(iam: Any) -> str:
    """What tutorials have one type, and what Terraform makes of migration/terraform-1-before.tf."""
    iam.create_open_id_connect_provider(
        Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["6938fd4d98bab03faadb" * 2]
    )
    conditions = {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{ISSUER}:sub": "repo:octo-org/classic:*"},
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": conditions,
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=READ)
    iam.put_role_policy(RoleName=ROLE, PolicyName="deploy", PolicyDocument=json.dumps(PERMISSION))
    return str(role)


def test_from_what_was_made_by_hand_or_by_terraform(
    aws: LocalAws, iam: Any, stack: Stack, made_by_hand: str, clean: None
) -> None:
    before = (iam.get_role(RoleName=ROLE)["Role"]["RoleId"], provider(iam), permissions(iam, ROLE))
    with Watch(aws, made_by_hand) as watch:
        assert stack.create(example("migration/adopt.yaml")) == "CREATE_COMPLETE", stack.reasons()
    assert watch.changes() == ["TagOpenIDConnectProvider", "TagRole", "TagRole", "UpdateAssumeRolePolicy"]
    assert (iam.get_role(RoleName=ROLE)["Role"]["RoleId"], provider(iam), permissions(iam, ROLE)) == before
    assert assume(aws, made_by_hand, aws.token(**FEATURE)) is not None, "the new trust is exact"
    with Watch(aws, made_by_hand):
        assert stack.delete() == "DELETE_COMPLETE"


@pytest.fixture
def handler(aws: LocalAws, iam: Any, name: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=f"{name}-handler", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": "iam:*OpenIDConnectProvider*", "Resource": "*"}
    allowed = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName=f"{name}-handler", PolicyName="providers", PolicyDocument=allowed)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.write(Path(__file__).with_name("cdk_handler.py"), "index.py")
    function = aws.client("lambda").create_function(
        FunctionName=f"{name}-handler",
        Runtime="python3.12",
        Handler="index.handler",
        Role=role,
        Timeout=30,
        Code={"ZipFile": archive.getvalue()},
    )
    return str(function["FunctionArn"])


def test_from_the_cdk_s_custom_resource(aws: LocalAws, iam: Any, stack: Stack, handler: str) -> None:
    before = example("migration/cdk-1-before.yaml")
    assert stack.create(before, HandlerArn=handler) == "CREATE_COMPLETE", stack.reasons()
    role, found = stack.outputs()["RoleArn"], provider(iam)
    with Watch(aws, role) as watch:
        retained = example("migration/cdk-2-retained.yaml")
        assert stack.update(retained, HandlerArn=handler) == "UPDATE_COMPLETE", stack.reasons()
        assert stack.update(example("migration/cdk-3-after.yaml")) == "UPDATE_COMPLETE", stack.reasons()
    assert watch.changes() == ["TagOpenIDConnectProvider"]
    assert provider(iam) == found
    assert [request["request"] for request in stack.requests("GitHubProviderDD1D07DF")] == ["Create"]
    assert stack.delete() == "DELETE_COMPLETE"
    assert provider(iam) == found
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)


def test_an_access_entry_that_was_made_by_hand(
    aws: LocalAws, eks: Any, stack: Stack, cluster: str, principal: str
) -> None:
    place = {"clusterName": cluster, "principalArn": principal}
    entry = eks.create_access_entry(**place, kubernetesGroups=["web"], tags={"team": "a"})["accessEntry"]
    scope = {"type": "namespace", "namespaces": ["web"]}
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
    eks.associate_access_policy(**place, policyArn=policy, accessScope=scope)

    def seen() -> tuple[Any, ...]:
        now = eks.describe_access_entry(**place)["accessEntry"]
        (associated,) = eks.list_associated_access_policies(**place)["associatedAccessPolicies"]
        kept = (now["accessEntryArn"], now["createdAt"], now["username"], now["kubernetesGroups"])
        return *kept, associated["policyArn"], associated["accessScope"]

    before, start = seen(), len(aws.recording())
    template = example("migration/adopt-entry.yaml")
    made = stack.create(template, ClusterName=cluster, PrincipalArn=principal)
    assert made == "CREATE_COMPLETE", stack.reasons()
    assert stack.outputs() == {"AccessEntryArn": entry["accessEntryArn"]}
    assert seen() == before
    assert stack.delete() == "DELETE_COMPLETE"
    assert seen() == before
    assert eks.describe_access_entry(**place)["accessEntry"]["tags"] == {"team": "a"}
    changes = [call["action"] for call in aws.recording(start) if call["kind"] == "call" and call["changes"]]
    # From EKS' point of view, nothing but tags has changed, before and after.
    assert set(changes) == {"TagResource", "UntagResource"}
    eks.delete_access_entry(**place)
