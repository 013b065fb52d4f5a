"""With AUTH=true the local AWS denies what a policy does not allow, by resource, by condition key and by tag."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import Refused
from deployment import create_cluster
from local_aws import ACCOUNT, LocalAws
from test_overlay_eks import EDIT, VIEW
from test_overlay_iam import THUMBPRINT, trust

ROOT_MAY_ASSUME = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}

HARMLESS = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"}}


class Caller:
    """A role that may do what its statements say, and nothing else."""

    def __init__(self, aws: LocalAws, name: str, *statements: dict[str, Any]) -> None:
        iam = aws.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ROOT_MAY_ASSUME))["Role"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        answer = aws.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
        self.iam = aws.client_of("iam", answer["Credentials"])
        self.eks = aws.client_of("eks", answer["Credentials"])


def provider(host: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"


def test_providers_are_told_apart_by_their_arn(aws: LocalAws, name: str, refused: Refused) -> None:
    mine, other = f"{name}-mine.example", f"{name}-other.example"
    caller = Caller(aws, name, {"Action": "iam:*OpenIDConnectProvider*", "Resource": provider(mine)})
    caller.iam.create_open_id_connect_provider(Url=f"https://{mine}")
    caller.iam.update_open_id_connect_provider_thumbprint(
        OpenIDConnectProviderArn=provider(mine), ThumbprintList=[THUMBPRINT]
    )
    with refused("AccessDenied"):
        caller.iam.create_open_id_connect_provider(Url=f"https://{other}")
    aws.client("iam").create_open_id_connect_provider(Url=f"https://{other}")
    with refused("AccessDenied", "iam:GetOpenIDConnectProvider"):
        caller.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider(other))


def test_roles_are_told_apart_by_their_path(aws: LocalAws, name: str, refused: Refused) -> None:
    caller = Caller(aws, name, {"Action": "iam:*Role", "Resource": f"arn:aws:iam::{ACCOUNT}:role/ci/*"})
    document = json.dumps(trust())
    caller.iam.create_role(RoleName=f"{name}-a", Path="/ci/", AssumeRolePolicyDocument=document)
    caller.iam.get_role(RoleName=f"{name}-a")
    with refused("AccessDenied"):
        caller.iam.create_role(RoleName=f"{name}-b", AssumeRolePolicyDocument=document)
    with refused("AccessDenied"):
        caller.iam.get_role(RoleName=name)


def test_a_boundary_can_be_demanded(aws: LocalAws, name: str, refused: Refused) -> None:
    iam = aws.client("iam")
    document = json.dumps(trust())
    boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
    caller = Caller(
        aws,
        name,
        {
            "Action": ["iam:CreateRole", "iam:AttachRolePolicy"],
            "Resource": "*",
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
        },
    )
    with refused("AccessDenied"):
        caller.iam.create_role(RoleName=f"{name}-a", AssumeRolePolicyDocument=document)
    caller.iam.create_role(RoleName=f"{name}-a", AssumeRolePolicyDocument=document, PermissionsBoundary=boundary)
    caller.iam.attach_role_policy(RoleName=f"{name}-a", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.create_role(RoleName=f"{name}-b", AssumeRolePolicyDocument=document)
    with refused("AccessDenied"):
        caller.iam.attach_role_policy(RoleName=f"{name}-b", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")


def test_policies_to_attach_can_be_listed(aws: LocalAws, name: str, refused: Refused) -> None:
    allowed = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    caller = Caller(
        aws,
        name,
        {
            "Action": "iam:AttachRolePolicy",
            "Resource": "*",
            "Condition": {"ArnEquals": {"iam:PolicyARN": allowed}},
        },
    )
    caller.iam.attach_role_policy(RoleName=name, PolicyArn=allowed)
    with refused("AccessDenied"):
        caller.iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def test_tags_in_a_request_can_be_demanded(aws: LocalAws, name: str, refused: Refused) -> None:
    caller = Caller(
        aws,
        name,
        {
            "Action": ["iam:CreateRole", "iam:CreateOpenIDConnectProvider", "iam:Tag*"],
            "Resource": "*",
            "Condition": {
                "StringLike": {"aws:RequestTag/owner": "*"},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["owner", "team"]},
            },
        },
    )
    document = json.dumps(trust())
    good, bad = {"Key": "owner", "Value": "me"}, {"Key": "other", "Value": "x"}
    for tags in ([], [bad], [good, bad]):
        with refused("AccessDenied"):
            caller.iam.create_role(RoleName=f"{name}-a", AssumeRolePolicyDocument=document, Tags=tags)
        with refused("AccessDenied"):
            caller.iam.create_open_id_connect_provider(Url=f"https://{name}.example", Tags=tags)
    caller.iam.create_role(RoleName=f"{name}-a", AssumeRolePolicyDocument=document, Tags=[good])
    caller.iam.create_open_id_connect_provider(Url=f"https://{name}.example", Tags=[good])


def test_making_something_with_tags_takes_the_permission_to_tag_it(aws: LocalAws, name: str, refused: Refused) -> None:
    cluster = f"{name}-cluster"
    create_cluster(aws, cluster)
    creations = ["iam:CreateRole", "iam:CreateOpenIDConnectProvider", "eks:CreateAccessEntry"]
    caller = Caller(aws, name, {"Action": creations, "Resource": "*"})
    tag = {"Key": "a", "Value": "b"}
    document = json.dumps(trust())
    with refused("AccessDenied", "iam:TagRole on resource", f":role/{name}-a"):
        caller.iam.create_role(RoleName=f"{name}-a", AssumeRolePolicyDocument=document, Tags=[tag])
    with refused("AccessDenied", "iam:TagOpenIDConnectProvider"):
        caller.iam.create_open_id_connect_provider(Url=f"https://{name}.example", Tags=[tag])
    principal = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    with refused("AccessDeniedException", "eks:TagResource", f":access-entry/{cluster}/role/{ACCOUNT}/{name}/*"):
        caller.eks.create_access_entry(clusterName=cluster, principalArn=principal, tags={"a": "b"})
    caller.iam.create_role(RoleName=f"{name}-a", AssumeRolePolicyDocument=document)
    caller.eks.create_access_entry(clusterName=cluster, principalArn=principal)


@pytest.mark.parametrize("key", ["aws:ResourceTag/owner", "iam:ResourceTag/owner"])
def test_tags_of_roles_and_providers_can_be_demanded(aws: LocalAws, name: str, refused: Refused, key: str) -> None:
    iam = aws.client("iam")
    caller = Caller(
        aws,
        name,
        {
            "Action": ["iam:DeleteRole", "iam:DeleteOpenIDConnectProvider"],
            "Resource": "*",
            "Condition": {"StringEquals": {key: "me"}},
        },
    )
    for suffix, owner in (("mine", "me"), ("theirs", "them")):
        tags = [{"Key": "owner", "Value": owner}]
        iam.create_role(RoleName=f"{name}-{suffix}", AssumeRolePolicyDocument=json.dumps(trust()), Tags=tags)
        iam.create_open_id_connect_provider(Url=f"https://{name}-{suffix}.example", Tags=tags)
    caller.iam.delete_role(RoleName=f"{name}-mine")
    caller.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider(f"{name}-mine.example"))
    with refused("AccessDenied"):
        caller.iam.delete_role(RoleName=f"{name}-theirs")
    with refused("AccessDenied"):
        caller.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider(f"{name}-theirs.example"))


def test_access_entries_are_told_apart_by_cluster_tag_and_policy(aws: LocalAws, name: str, refused: Refused) -> None:
    mine, other = f"{name}-mine", f"{name}-other"
    for cluster in (mine, other):
        create_cluster(aws, cluster)
    clusters = f"arn:aws:eks:*:{ACCOUNT}:cluster/{name}-mine"
    entries = f"arn:aws:eks:*:{ACCOUNT}:access-entry/{name}-mine/*"
    caller = Caller(
        aws,
        name,
        {"Action": "eks:CreateAccessEntry", "Resource": clusters},
        {"Action": ["eks:DescribeAccessEntry", "eks:TagResource"], "Resource": entries},
        {
            "Action": "eks:AssociateAccessPolicy",
            "Resource": entries,
            "Condition": {"StringEquals": {"eks:policyArn": VIEW}},
        },
        {
            "Action": "eks:DeleteAccessEntry",
            "Resource": entries,
            "Condition": {"StringEquals": {"aws:ResourceTag/owner": "me"}},
        },
    )
    principal = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    here = {"clusterName": mine, "principalArn": principal}
    with refused("ResourceNotFoundException"):
        caller.eks.describe_access_entry(**here)
    arn = caller.eks.create_access_entry(**here)["accessEntry"]["accessEntryArn"]
    with refused("AccessDeniedException"):
        caller.eks.create_access_entry(clusterName=other, principalArn=principal)
    caller.eks.associate_access_policy(**here, policyArn=VIEW, accessScope={"type": "cluster"})
    with refused("AccessDeniedException"):
        caller.eks.associate_access_policy(**here, policyArn=EDIT, accessScope={"type": "cluster"})
    with refused("AccessDeniedException"):
        caller.eks.delete_access_entry(**here)
    caller.eks.tag_resource(resourceArn=arn, tags={"owner": "me"})
    caller.eks.delete_access_entry(**here)


def test_a_denied_call_names_the_action_and_the_resource(aws: LocalAws, name: str, refused: Refused) -> None:
    caller = Caller(aws, name, {"Action": "iam:GetRole", "Resource": "*"})
    with refused("AccessDenied", "iam:DeleteRole", f"arn:aws:iam::{ACCOUNT}:role/{name}"):
        caller.iam.delete_role(RoleName=name)


def test_a_wildcard_in_an_arn_ends_where_its_part_does(aws: LocalAws, name: str, refused: Refused) -> None:
    aws_only = {"ArnLike": {"iam:PolicyARN": "arn:*:iam::aws:policy/*"}}
    caller = Caller(aws, name, {"Action": "iam:AttachRolePolicy", "Resource": "*", "Condition": aws_only})
    caller.iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    arn = aws.client("iam").create_policy(
        PolicyName=name, Path="/iam::aws:policy/", PolicyDocument=json.dumps(HARMLESS)
    )["Policy"]["Arn"]
    with refused("AccessDenied"):
        caller.iam.attach_role_policy(RoleName=name, PolicyArn=arn)


def test_a_wildcard_can_be_meant_literally(aws: LocalAws, name: str, refused: Refused) -> None:
    cluster = f"{name}-cluster"
    create_cluster(aws, cluster)
    literal = {"ForAnyValue:StringLike": {"eks:namespaces": ["k${*}*"]}}
    caller = Caller(
        aws,
        name,
        {"Action": "eks:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "eks:AssociateAccessPolicy", "Resource": "*", "Condition": literal},
    )
    here = {"clusterName": cluster, "principalArn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}
    caller.eks.create_access_entry(**here)

    def associate(*namespaces: str) -> None:
        scope = {"type": "namespace", "namespaces": list(namespaces)}
        caller.eks.associate_access_policy(**here, policyArn=VIEW, accessScope=scope)

    associate("kubeflow", "team-*")
    for denied in (["k*"], ["team", "k*-x"]):
        with refused("AccessDeniedException"):
            associate(*denied)


def test_groups_and_usernames_of_entries_can_be_listed(aws: LocalAws, name: str, refused: Refused) -> None:
    cluster = f"{name}-cluster"
    create_cluster(aws, cluster)
    changes = {"Effect": "Deny", "Action": ["eks:CreateAccessEntry", "eks:UpdateAccessEntry"], "Resource": "*"}
    caller = Caller(
        aws,
        name,
        {"Action": "eks:*", "Resource": "*"},
        {**changes, "Condition": {"ForAnyValue:StringNotLike": {"eks:kubernetesGroups": ["team-*"]}}},
        {
            **changes,
            "Condition": {"StringNotLike": {"eks:username": ["team-*"]}, "Null": {"eks:username": "false"}},
        },
    )
    here = {"clusterName": cluster, "principalArn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}
    for denied in ({"kubernetesGroups": ["team-a", "admins"]}, {"username": "boss"}):
        with refused("AccessDeniedException"):
            caller.eks.create_access_entry(**here, **denied)
    caller.eks.create_access_entry(**here, kubernetesGroups=["team-a"])
    caller.eks.update_access_entry(**here, kubernetesGroups=["team-b"], username="team-robot")
    with refused("AccessDeniedException"):
        caller.eks.update_access_entry(**here, kubernetesGroups=["admins"])
