"""An honest stack with an access entry behind guardrails, whatever the two condition keys hold that nothing defines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import deployment
from local_aws import READINGS, LocalAws
from stack import Stack, template

NAME, CLUSTER = "entries", "entries"
ENTRY = "Custom::EksAccessEntry"


@pytest.fixture(scope="module")
def token(aws: LocalAws, service_token: str) -> Iterator[str]:
    del service_token  # it has built the function
    deployment.create_cluster(aws, CLUSTER, "API")
    guardrails = ("AllowedKubernetesSubjects=team-*", "AllowedNamespaces=team-*", f"AllowedClusters={CLUSTER}")
    yield deployment.deploy_as(aws, NAME, *guardrails)["ServiceToken"]
    assert Stack.existing(aws, NAME).delete() == "DELETE_COMPLETE"


@pytest.fixture(params=READINGS)
def reading(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[str]:
    aws.let_eks_keys_hold(request.param)
    yield request.param
    aws.let_eks_keys_hold(None)


def an_entry(principal: str, team: str, **properties: Any) -> dict[str, Any]:
    scope = {"Type": "namespace", "Namespaces": [team]}
    policies = [{"PolicyArn": "AmazonEKSEditPolicy", "AccessScope": scope}]
    entry = {"ClusterName": CLUSTER, "PrincipalArn": principal, "AccessPolicies": policies, **properties}
    return {"Entry": (ENTRY, entry)}


def test_an_entry_without_username_changes_its_groups(
    eks: Any, stack: Stack, token: str, principal: str, reading: str
) -> None:
    made = stack.create(template(token, an_entry(principal, "team-a", KubernetesGroups=["team-a"])))
    assert made == "CREATE_COMPLETE", (reading, stack.reasons())
    updated = stack.update(template(token, an_entry(principal, "team-b", KubernetesGroups=["team-b"])))
    assert updated == "UPDATE_COMPLETE", (reading, stack.reasons())
    entry = eks.describe_access_entry(clusterName=CLUSTER, principalArn=principal)["accessEntry"]
    assert entry["kubernetesGroups"] == ["team-b"]
    assert stack.delete() == "DELETE_COMPLETE", (reading, stack.reasons())


def test_an_entry_gets_a_username_and_loses_it(
    eks: Any, stack: Stack, token: str, principal: str, reading: str
) -> None:
    assert stack.create(template(token, an_entry(principal, "team-a"))) == "CREATE_COMPLETE", stack.reasons()
    place = {"clusterName": CLUSTER, "principalArn": principal}
    default = eks.describe_access_entry(**place)["accessEntry"]["username"]
    named = an_entry(principal, "team-a", Username="team-a:{{SessionName}}")
    assert stack.update(template(token, named)) == "UPDATE_COMPLETE", (reading, stack.reasons())
    assert stack.update(template(token, an_entry(principal, "team-a"))) == "UPDATE_COMPLETE", (reading, stack.reasons())
    assert eks.describe_access_entry(**place)["accessEntry"]["username"] == default
    assert stack.delete() == "DELETE_COMPLETE"


def test_nodes_get_in_where_administrators_may_be_made(
    aws: LocalAws, eks: Any, stack: Stack, token: str, name: str, principal: str
) -> None:
    nodes = {"Entry": (ENTRY, {"ClusterName": CLUSTER, "PrincipalArn": principal, "Type": "EC2_LINUX"})}
    assert stack.create(template(token, nodes)) == "ROLLBACK_COMPLETE"
    assert any("AllowClusterAdmin" in reason for reason in stack.reasons().values()), stack.reasons()
    assert stack.delete() == "DELETE_COMPLETE"
    # EKS asks for iam:PassRole, which the function's role has with this parameter alone.
    admitting = deployment.deploy_as(aws, f"{NAME}-of-nodes", "AllowClusterAdmin=true")["ServiceToken"]
    again = Stack(aws, f"{name}-nodes")
    assert again.create(template(admitting, nodes)) == "CREATE_COMPLETE", again.reasons()
    entry = eks.describe_access_entry(clusterName=CLUSTER, principalArn=principal)["accessEntry"]
    assert entry["type"] == "EC2_LINUX"
    assert again.delete() == "DELETE_COMPLETE"
    assert Stack.existing(aws, f"{NAME}-of-nodes").delete() == "DELETE_COMPLETE"
