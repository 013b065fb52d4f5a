"""EKS access entries of the local AWS are as strict as the service."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Refused
from deployment import create_cluster
from local_aws import ACCOUNT, REGION, LocalAws

VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
OTHER_ACCOUNT = "arn:aws:iam::111122223333:role/elsewhere"


def create(eks: Any, cluster: str, principal: str, **more: Any) -> dict[str, Any]:
    entry: dict[str, Any] = eks.create_access_entry(clusterName=cluster, principalArn=principal, **more)["accessEntry"]
    return entry


def describe(eks: Any, cluster: str, principal: str) -> dict[str, Any]:
    entry: dict[str, Any] = eks.describe_access_entry(clusterName=cluster, principalArn=principal)["accessEntry"]
    return entry


def test_a_plain_entry_gets_a_type_and_a_username(eks: Any, cluster: str, principal: str, name: str) -> None:
    create(eks, cluster, principal)
    entry = describe(eks, cluster, principal)
    assert entry["type"] == "STANDARD"
    assert entry["username"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}-role/{{{{SessionName}}}}"
    assert entry["kubernetesGroups"] == []
    prefix = f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/{cluster}/role/{ACCOUNT}/{name}-role/"
    assert entry["accessEntryArn"].startswith(prefix)


def test_tags_are_shown_and_changed(eks: Any, cluster: str, principal: str) -> None:
    arn = create(eks, cluster, principal, tags={"a": "1", "b": "2", "c": "3"})["accessEntryArn"]
    eks.tag_resource(resourceArn=arn, tags={"b": "4"})
    eks.untag_resource(resourceArn=arn, tagKeys=["a", "c"])
    assert describe(eks, cluster, principal)["tags"] == {"b": "4"}


def test_tagging_names_its_errors_differently(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    arn = create(eks, cluster, principal)["accessEntryArn"]
    with refused("NotFoundException"):
        eks.tag_resource(resourceArn=f"{arn}0", tags={"a": "b"})
    with refused("BadRequestException"):
        eks.tag_resource(resourceArn="arn:aws:iam::1:role/x", tags={"a": "b"})


def test_a_second_entry_for_a_principal_is_refused(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    create(eks, cluster, principal)
    with refused("ResourceInUseException"):
        create(eks, cluster, principal)


def test_a_principal_that_does_not_exist_is_refused(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    with refused("InvalidParameterException", "invalid principal"):
        create(eks, cluster, f"{principal}-not")
    with refused("InvalidParameterException", "invalid principal"):
        create(eks, cluster, principal.replace("/team/", "/"))


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:sts::{ACCOUNT}:assumed-role/x/session",
        f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
        f"arn:aws:iam::{ACCOUNT}:group/x",
    ],
)
def test_only_roles_and_users_can_be_principals(eks: Any, cluster: str, refused: Refused, arn: str) -> None:
    with refused("InvalidParameterException", "principalArn"):
        create(eks, cluster, arn)


def test_only_a_standard_entry_can_be_for_another_account(eks: Any, cluster: str, refused: Refused) -> None:
    create(eks, cluster, OTHER_ACCOUNT)
    with refused("InvalidParameterException"):
        create(eks, cluster, f"{OTHER_ACCOUNT}-node", type="EC2_LINUX")


@pytest.mark.parametrize("prefix", ["system:", "eks:", "aws:", "amazon:", "iam:"])
def test_reserved_prefixes_are_refused(eks: Any, cluster: str, principal: str, refused: Refused, prefix: str) -> None:
    with refused("InvalidParameterException", f"The username must not begin with {prefix}"):
        create(eks, cluster, principal, username=f"{prefix}me")
    with refused("InvalidParameterException", f"cannot start with {prefix}"):
        create(eks, cluster, principal, kubernetesGroups=["good", f"{prefix}masters"])
    create(eks, cluster, principal)
    with refused("InvalidParameterException", prefix):
        eks.update_access_entry(clusterName=cluster, principalArn=principal, username=f"{prefix}me")


def test_a_session_name_needs_a_colon_before_it(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    with refused("InvalidParameterException", "{{SessionName}}"):
        create(eks, cluster, principal, username="me-{{SessionName}}")
    assert create(eks, cluster, principal, username="me:{{SessionName}}")["username"] == "me:{{SessionName}}"


@pytest.mark.parametrize("kind", ["EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"])
def test_types_for_nodes_set_their_own_identity(
    eks: Any, cluster: str, principal: str, refused: Refused, kind: str
) -> None:
    for setting in ({"username": "me"}, {"kubernetesGroups": ["mine"]}):
        with refused("InvalidParameterException", "STANDARD"):
            create(eks, cluster, principal, type=kind, **setting)
    create(eks, cluster, principal, type=kind)
    entry = describe(eks, cluster, principal)
    assert entry["username"].startswith("system:node:")
    assert "system:nodes" in entry["kubernetesGroups"]


def test_policies_are_for_standard_entries(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    create(eks, cluster, principal, type="EC2_LINUX")
    place = {"clusterName": cluster, "principalArn": principal}
    with refused("InvalidRequestException"):
        eks.associate_access_policy(**place, policyArn=VIEW, accessScope={"type": "cluster"})
    with refused("InvalidRequestException"):
        eks.list_associated_access_policies(**place)


def test_an_unknown_type_is_refused(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    with refused("InvalidParameterException"):
        create(eks, cluster, principal, type="LINUX")


def test_policies_are_associated_changed_and_taken_away(eks: Any, cluster: str, principal: str) -> None:
    create(eks, cluster, principal)
    place = {"clusterName": cluster, "principalArn": principal}
    eks.associate_access_policy(**place, policyArn=VIEW, accessScope={"type": "cluster"})
    eks.associate_access_policy(**place, policyArn=EDIT, accessScope={"type": "namespace", "namespaces": ["dev-*"]})
    eks.associate_access_policy(**place, policyArn=VIEW, accessScope={"type": "namespace", "namespaces": ["a"]})
    eks.disassociate_access_policy(**place, policyArn=EDIT)
    (policy,) = eks.list_associated_access_policies(**place)["associatedAccessPolicies"]
    assert (policy["policyArn"], policy["accessScope"]) == (VIEW, {"type": "namespace", "namespaces": ["a"]})


def test_unknown_policies_are_refused(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    create(eks, cluster, principal)
    place = {"clusterName": cluster, "principalArn": principal, "accessScope": {"type": "cluster"}}
    with refused("ResourceNotFoundException", "policyArn"):
        eks.associate_access_policy(**place, policyArn=f"{VIEW}er")
    with refused("InvalidParameterException", "policyArn"):
        eks.associate_access_policy(**place, policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")


def test_all_lists_are_paged(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    first = eks.list_access_policies()
    assert first["nextToken"]
    pages = list(eks.get_paginator("list_access_policies").paginate())
    assert VIEW in [policy["arn"] for page in pages for policy in page["accessPolicies"]]
    create(eks, cluster, principal)
    place = {"clusterName": cluster, "principalArn": principal}
    for policy in (VIEW, EDIT):
        eks.associate_access_policy(**place, policyArn=policy, accessScope={"type": "cluster"})
    first = eks.list_associated_access_policies(**place, maxResults=1)
    second = eks.list_associated_access_policies(**place, maxResults=1, nextToken=first["nextToken"])
    assert [page["associatedAccessPolicies"][0]["policyArn"] for page in (first, second)] == [VIEW, EDIT]
    assert "nextToken" not in second
    entries = [
        entry
        for page in eks.get_paginator("list_access_entries").paginate(
            clusterName=cluster, PaginationConfig={"PageSize": 1}
        )
        for entry in page["accessEntries"]
    ]
    assert principal in entries
    with refused("InvalidParameterException"):
        eks.list_access_entries(clusterName=cluster, nextToken="nonsense")


def test_a_cluster_in_config_map_mode_refuses_every_call(
    aws: LocalAws, eks: Any, principal: str, name: str, refused: Refused
) -> None:
    cluster = f"{name}-old"
    create_cluster(aws, cluster, mode=None)
    place = {"clusterName": cluster, "principalArn": principal}
    calls = [
        lambda: eks.create_access_entry(**place),
        lambda: eks.describe_access_entry(**place),
        lambda: eks.update_access_entry(**place, username="me"),
        lambda: eks.delete_access_entry(**place),
        lambda: eks.list_access_entries(clusterName=cluster),
        lambda: eks.associate_access_policy(**place, policyArn=VIEW, accessScope={"type": "cluster"}),
        lambda: eks.disassociate_access_policy(**place, policyArn=VIEW),
        lambda: eks.list_associated_access_policies(**place),
    ]
    for call in calls:
        with refused("InvalidRequestException", "authentication mode must be set to one of [API, API_AND_CONFIG_MAP]"):
            call()


def test_absent_clusters_and_entries_are_not_found(eks: Any, cluster: str, principal: str, refused: Refused) -> None:
    with refused("ResourceNotFoundException", "No cluster found for name: absent"):
        create(eks, "absent", principal)
    place = {"clusterName": cluster, "principalArn": principal}
    with refused("ResourceNotFoundException", "principalArn could not be found"):
        eks.describe_access_entry(**place)
    with refused("ResourceNotFoundException", "principalArn could not be found"):
        eks.associate_access_policy(**place, policyArn=VIEW, accessScope={"type": "cluster"})
