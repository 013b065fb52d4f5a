"""IAM of the local AWS is as strict as the service."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from conftest import Refused
from local_aws import ACCOUNT, LocalAws

ISSUER = "token.actions.githubusercontent.com"
THUMBPRINT = "1c58a3a8518e8759bf075b76b750d4f2df264fcd"


def provider_of(iam: Any, name: str, **parameters: Any) -> str:
    answer = iam.create_open_id_connect_provider(Url=f"https://{name}.example/_services/token", **parameters)
    return str(answer["OpenIDConnectProviderArn"])


def read(iam: Any, arn: str) -> dict[str, Any]:
    answer: dict[str, Any] = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    return answer


def trust(issuer: str = ISSUER, condition: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{issuer}:sub": "repo:acme/x:ref:refs/heads/main"}}
                if condition is None
                else condition,
                **more,
            }
        ],
    }


def create_role(iam: Any, name: str, policy: Any = None, **parameters: Any) -> dict[str, Any]:
    document = policy if isinstance(policy, str) else json.dumps(policy or trust())
    role: dict[str, Any] = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **parameters)["Role"]
    return role


# OIDC providers


def test_a_provider_is_shown_without_its_scheme_and_with_its_tags(iam: Any, name: str) -> None:
    arn = provider_of(iam, name, ClientIDList=["one"], Tags=[{"Key": "a", "Value": "b/c @"}, {"Key": "e", "Value": ""}])
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}.example/_services/token"
    provider = read(iam, arn)
    assert provider["Url"] == f"{name}.example/_services/token"
    assert provider["ClientIDList"] == ["one"]
    assert provider["Tags"] == [{"Key": "a", "Value": "b/c @"}, {"Key": "e", "Value": ""}]


def test_a_provider_made_without_thumbprints_gets_one(iam: Any, name: str) -> None:
    assert len(read(iam, provider_of(iam, name))["ThumbprintList"]) == 1


@pytest.mark.parametrize(
    "url", ["http://a.example", "https://a.example:8443", "https://a.example?x=1", "a.example", "https://"]
)
def test_a_provider_needs_an_https_url_without_port_or_query(iam: Any, refused: Refused, url: str) -> None:
    with refused("ValidationError", "Invalid Open ID Connect Provider URL"):
        iam.create_open_id_connect_provider(Url=url)


def test_a_second_provider_for_a_url_is_refused(iam: Any, name: str, refused: Refused) -> None:
    provider_of(iam, name)
    with refused("EntityAlreadyExists"):
        provider_of(iam, name)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"ThumbprintList": [THUMBPRINT] * 6}, "InvalidInput"),
        ({"ThumbprintList": ["abc"]}, "ValidationError"),
        ({"ThumbprintList": ["g" * 40]}, "ValidationError"),
        ({"ClientIDList": [f"id{number}" for number in range(101)]}, "LimitExceeded"),
        ({"ClientIDList": ["x" * 256]}, "ValidationError"),
        ({"Tags": [{"Key": f"k{number}", "Value": "v"} for number in range(51)]}, "ValidationError"),
        ({"Tags": [{"Key": "aws:x", "Value": "v"}]}, "InvalidInput"),
        ({"Tags": [{"Key": "x", "Value": "a;b"}]}, "ValidationError"),
    ],
)
def test_a_provider_keeps_to_its_limits(
    iam: Any, name: str, refused: Refused, parameters: dict[str, Any], code: str
) -> None:
    with refused(code):
        provider_of(iam, name, **parameters)


def test_an_update_of_the_thumbprints_replaces_them(iam: Any, name: str) -> None:
    arn = provider_of(iam, name, ThumbprintList=["a" * 40, "b" * 40])
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=[THUMBPRINT])
    assert read(iam, arn)["ThumbprintList"] == [THUMBPRINT]


@pytest.mark.parametrize(("thumbprints", "code"), [([], "InvalidInput"), ([THUMBPRINT] * 6, "InvalidInput")])
def test_an_update_to_no_or_six_thumbprints_is_refused(
    iam: Any, name: str, refused: Refused, thumbprints: list[str], code: str
) -> None:
    arn = provider_of(iam, name, ThumbprintList=[THUMBPRINT])
    with refused(code):
        iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=thumbprints)
    assert read(iam, arn)["ThumbprintList"] == [THUMBPRINT]


def test_client_ids_are_added_and_removed_once(iam: Any, name: str) -> None:
    arn = provider_of(iam, name, ClientIDList=["one"])
    for _ in range(2):
        iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="two")
    assert read(iam, arn)["ClientIDList"] == ["one", "two"]
    for _ in range(2):
        iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="one")
    assert read(iam, arn)["ClientIDList"] == ["two"]


def test_tags_of_a_provider_are_set_listed_and_removed(iam: Any, name: str) -> None:
    arn = provider_of(iam, name, Tags=[{"Key": "a", "Value": "1"}])
    iam.tag_open_id_connect_provider(
        OpenIDConnectProviderArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    )
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["a", "absent"])
    answer = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)
    assert answer["Tags"] == [{"Key": "b", "Value": "3"}]


def test_a_provider_that_does_not_exist_is_not_found(iam: Any, refused: Refused) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/absent.example"
    for call in (iam.get_open_id_connect_provider, iam.list_open_id_connect_provider_tags):
        with refused("NoSuchEntity"):
            call(OpenIDConnectProviderArn=arn)
    with refused("NoSuchEntity"):
        iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=[THUMBPRINT])


# Roles


def test_a_role_is_shown_whole(iam: Any, name: str) -> None:
    boundary = iam.create_policy(PolicyName=f"{name}-boundary", PolicyDocument=_ALLOW)["Policy"]["Arn"]
    tags = [{"Key": "a", "Value": "b=c"}]
    create_role(
        iam,
        name,
        Path="/ci/",
        Description="for <one> & all",
        MaxSessionDuration=7200,
        PermissionsBoundary=boundary,
        Tags=tags,
    )
    role = iam.get_role(RoleName=name)["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/ci/{name}"
    assert role["RoleId"].startswith("AROA")
    assert role["Description"] == "for <one> & all"
    assert role["MaxSessionDuration"] == 7200
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert role["Tags"] == tags
    assert role["RoleLastUsed"] == {}
    assert role["AssumeRolePolicyDocument"] == trust()


def test_the_trust_policy_is_url_encoded_on_the_wire(aws: LocalAws, name: str) -> None:
    client = aws.new_client("iam")
    create_role(client, name)
    bodies: list[str] = []
    client.meta.events.register(
        "before-parse.iam.GetRole", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    client.get_role(RoleName=name)
    text = bytes(bodies[0]).decode() if not isinstance(bodies[0], str) else bodies[0]
    encoded = text.split("<AssumeRolePolicyDocument>")[1].split("<")[0]
    assert "{" not in encoded
    assert json.loads(unquote(encoded)) == trust()


def test_an_empty_description_clears_it(iam: Any, name: str) -> None:
    create_role(iam, name, Description="old")
    iam.update_role(RoleName=name, Description="")
    assert not iam.get_role(RoleName=name)["Role"].get("Description")


def test_role_names_are_unique_whatever_their_case_and_path(iam: Any, name: str, refused: Refused) -> None:
    create_role(iam, name.lower())
    with refused("EntityAlreadyExists"):
        create_role(iam, name.upper(), Path="/other/")


@pytest.mark.parametrize(
    "parameters",
    [
        {"RoleName": "a b"},
        {"RoleName": "x" * 65},
        {"Path": "no-slashes"},
        {"Description": "x" * 1001},
        {"MaxSessionDuration": 3599},
        {"MaxSessionDuration": 43201},
        {"Tags": [{"Key": f"k{number}", "Value": "v"} for number in range(51)]},
    ],
)
def test_a_role_keeps_to_its_limits(iam: Any, name: str, refused: Refused, parameters: dict[str, Any]) -> None:
    with refused("ValidationError"):
        iam.create_role(**{"RoleName": name, "AssumeRolePolicyDocument": json.dumps(trust()), **parameters})


def test_an_update_keeps_to_the_limits_of_a_session(iam: Any, name: str, refused: Refused) -> None:
    create_role(iam, name)
    with refused("ValidationError", "3600"):
        iam.update_role(RoleName=name, MaxSessionDuration=900)


@pytest.mark.parametrize(
    "policy",
    [
        "not json",
        "[]",
        {"Version": "2012-10-17"},
        trust(Principal=None),
        trust(Action=None),
        trust(Resource="*"),
        trust(Principal={"Federated": "arn:aws:iam::12:oidc-provider/x"}),
        trust(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/absent"}),
    ],
    ids=["text", "list", "no statement", "no principal", "no action", "resource", "bad provider", "absent role"],
)
def test_a_malformed_trust_policy_is_refused(iam: Any, name: str, refused: Refused, policy: Any) -> None:
    with refused("MalformedPolicyDocument"):
        create_role(iam, name, policy)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}},
        {"StringLike": {f"{ISSUER}:sub": "*"}},
        {"StringLike": {f"{ISSUER}:sub": ["*", "repo:acme/x:*"]}},
        {"ForAllValues:StringEquals": {f"{ISSUER}:sub": "repo:acme/x:*"}},
    ],
)
def test_a_trust_policy_for_github_needs_a_subject(
    iam: Any, name: str, refused: Refused, condition: dict[str, Any]
) -> None:
    with refused("MalformedPolicyDocument", "must evaluate", f"{ISSUER}:sub", "not scoped to all"):
        create_role(iam, name, trust(condition=condition))


def test_only_the_first_subject_of_a_list_is_looked_at(iam: Any, name: str) -> None:
    create_role(iam, name, trust(condition={"StringLike": {f"{ISSUER}:sub": ["repo:acme/x:*", "*"]}}))


def test_an_enterprises_own_issuer_needs_a_subject_too(iam: Any, name: str, refused: Refused) -> None:
    for issuer in (f"{ISSUER}/acme", "token.actions.acme.ghe.com"):
        with refused("MalformedPolicyDocument", f"{issuer}:sub"):
            create_role(iam, name, trust(issuer, {}))


def test_a_trust_policy_counts_without_white_space_towards_its_quota(iam: Any, name: str, refused: Refused) -> None:
    subjects = [f"repo:acme/{'x' * 90}{number:02}:pull_request" for number in range(14)]
    fits = trust(condition={"StringEquals": {f"{ISSUER}:sub": subjects}})
    assert len(json.dumps(fits, indent=40)) > 2048
    create_role(iam, name, json.dumps(fits, indent=40))
    too_long = trust(condition={"StringEquals": {f"{ISSUER}:sub": subjects * 2}})
    with refused("LimitExceeded", "ACLSizePerRole: 2048"):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(too_long))


def test_policies_that_do_not_exist_cannot_be_attached(iam: Any, name: str, refused: Refused) -> None:
    create_role(iam, name)
    with refused("NoSuchEntity"):
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/absent")
    with refused("NoSuchEntity"):
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAcess")
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaRole")


def test_an_eleventh_policy_cannot_be_attached(iam: Any, name: str, refused: Refused) -> None:
    create_role(iam, name)
    policies = [
        iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=_ALLOW)["Policy"]["Arn"] for number in range(11)
    ]
    for arn in [*policies[:10], policies[0]]:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    with refused("LimitExceeded", "PoliciesPerRole: 10"):
        iam.attach_role_policy(RoleName=name, PolicyArn=policies[10])


def test_the_quotas_are_reported(iam: Any) -> None:
    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["AssumeRolePolicySizeQuota"], summary["AttachedPoliciesPerRoleQuota"]) == (2048, 10)


def test_a_role_in_use_is_not_deleted(iam: Any, name: str, refused: Refused) -> None:
    create_role(iam, name)
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=name)
    iam.detach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=_ALLOW)
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=name)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_role(RoleName=name)


def test_tags_of_a_role_are_limited(iam: Any, name: str, refused: Refused) -> None:
    create_role(iam, name, Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)])
    iam.tag_role(RoleName=name, Tags=[{"Key": "k0", "Value": "new"}])
    with refused("LimitExceeded"):
        iam.tag_role(RoleName=name, Tags=[{"Key": "one-more", "Value": "v"}])


_ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
