"""The lives of providers and roles, and a credential for GitHub, against moto's IAM and Secrets Manager.

moto adds and removes no client ids, so that no test changes them here.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from github.repositories import TOKEN, subject
from local_aws import until
from sender import ACCOUNT
from world import GITHUB, ISSUER, PRIVATE, World

PROVIDER, ROLE = "GitHubOidcProvider", "GitHubRole"
READ, AUDIT = (f"arn:aws:iam::aws:policy/{name}" for name in ("ReadOnlyAccess", "SecurityAudit"))
NOT_THERE = f"arn:aws:iam::{ACCOUNT}:policy/not-there"


def done(answer: dict[str, Any]) -> str:
    """The physical id."""
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    return str(answer["PhysicalResourceId"])


def refused(answer: dict[str, Any], *words: str) -> None:
    assert answer["Status"] == "FAILED"
    assert [word for word in words if word not in answer["Reason"]] == [], answer["Reason"]


def document(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}}


def authored(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("github-trust:")}


def provider_of(iam: Any, arn: str) -> dict[str, Any] | None:
    try:
        found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    except iam.exceptions.NoSuchEntityException:
        return None
    return {
        "clients": sorted(found["ClientIDList"]),
        "thumbprints": sorted(found["ThumbprintList"]),
        "tags": authored(found["Tags"]),
    }


def role_of(iam: Any, name: str) -> dict[str, Any] | None:
    """All that can be seen of it, under the names of its properties."""
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        return None
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "Path": role["Path"],
        "Description": role.get("Description", ""),
        "MaxSessionDuration": role["MaxSessionDuration"],
        "PermissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "ManagedPolicyArns": sorted(policy["PolicyArn"] for policy in attached),
        "Policies": {one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in inline},
        "Tags": authored(role["Tags"]),
        "Provider": statement["Principal"]["Federated"],
        "Condition": sorted(
            value
            for keys in statement["Condition"].values()
            for values in keys.values()
            for value in ([values] if isinstance(values, str) else values)
        ),
    }


@pytest.fixture(scope="module", autouse=True)
def provider(world: World) -> None:
    """The one that the roles name: a role of a provider that is not there is refused."""
    made = {"Url": f"https://{ISSUER}", "ClientIDList": ["sts.amazonaws.com"], "ThumbprintList": ["a" * 40]}
    world.client("iam").create_open_id_connect_provider(**made)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """An issuer that no other test uses."""
    return f"https://{request.node.name.replace('_', '-')[:60]}.example/_services/token"


def test_a_provider_is_made_changed_and_deleted(world: World, iam: Any, url: str) -> None:
    first = {"Url": url, "ClientIdList": ["one", "two"], "ThumbprintList": ["a" * 40], "Tags": [tag("a", "1")]}
    arn = done(world.ask("Create", PROVIDER, first))
    assert provider_of(iam, arn) == {"clients": ["one", "two"], "thumbprints": ["a" * 40], "tags": {"a": "1"}}
    # Once more, as Lambda does when an answer was lost.
    assert done(world.ask("Create", PROVIDER, first)) == arn
    second = {"Url": url, "ClientIdList": ["one", "two"], "ThumbprintList": ["b" * 40], "Tags": [tag("b", "2")]}
    assert done(world.ask("Update", PROVIDER, second, id=arn, old=first)) == arn
    assert provider_of(iam, arn) == {"clients": ["one", "two"], "thumbprints": ["b" * 40], "tags": {"b": "2"}}
    done(world.ask("Delete", PROVIDER, second, id=arn))
    assert provider_of(iam, arn) is None
    done(world.ask("Delete", PROVIDER, second, id=arn))


def test_two_stacks_share_a_provider_until_the_last_one_goes(world: World, iam: Any, url: str) -> None:
    first, second = ({"Url": url, "ThumbprintList": ["a" * 40], "Tags": [tag(name, "1")]} for name in ("a", "b"))
    arn = done(world.ask("Create", PROVIDER, first, stack="one"))
    assert done(world.ask("Create", PROVIDER, second, stack="two")) == arn
    assert (provider_of(iam, arn) or {})["tags"] == {"a": "1", "b": "1"}
    done(world.ask("Delete", PROVIDER, first, id=arn, stack="one"))
    assert (provider_of(iam, arn) or {})["tags"] == {"b": "1"}
    done(world.ask("Delete", PROVIDER, second, id=arn, stack="two"))
    assert provider_of(iam, arn) is None


def test_a_provider_of_others_is_joined_and_stays(world: World, iam: Any, url: str) -> None:
    made = {"Url": url, "ClientIDList": ["theirs"], "ThumbprintList": ["c" * 40]}
    arn = iam.create_open_id_connect_provider(**made)["OpenIDConnectProviderArn"]
    refused(world.ask("Create", PROVIDER, {"Url": url, "OnExisting": "Fail"}), url, "OnExisting")
    wanted = {"Url": url, "ClientIdList": ["theirs"], "ThumbprintList": ["c" * 40], "Tags": [tag("a", "1")]}
    before = provider_of(iam, arn)
    assert done(world.ask("Create", PROVIDER, wanted)) == arn
    assert (provider_of(iam, arn) or {})["tags"] == {"a": "1"}
    done(world.ask("Delete", PROVIDER, wanted, id=arn))
    assert provider_of(iam, arn) == before


def test_a_scheduled_run_follows_the_issuers_certificates(world: World, iam: Any, url: str) -> None:
    arn = done(world.ask("Create", PROVIDER, {"Url": url}))
    assert (provider_of(iam, arn) or {})["thumbprints"] == [world.thumbprint()]
    old = world.thumbprint()
    world.change_intermediates()

    def followed() -> bool:
        world.scheduled_run()
        return (provider_of(iam, arn) or {})["thumbprints"] == [world.thumbprint()] != [old]

    # Looks are told apart by the second.
    until(followed, "the thumbprints to follow", 20, every=0.5)
    done(world.ask("Delete", PROVIDER, {"Url": url}, id=arn))


def tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


MAIN = {"ProviderArn": GITHUB, "Trust": [{"Repository": "octo-org/web", "Branches": ["main"]}]}
MAIN_CONDITION = sorted(["sts.amazonaws.com", subject("octo-org/web", "ref:refs/heads/main")])
BARE = {
    "Path": "/",
    "Description": "",
    "MaxSessionDuration": 3600,
    "PermissionsBoundary": None,
    "ManagedPolicyArns": [],
    "Policies": {},
    "Tags": {},
    "Provider": GITHUB,
    "Condition": MAIN_CONDITION,
}
# Each change of one property, and what is seen of it.
CHANGES: list[tuple[str, Any, dict[str, Any]]] = [
    ("Description", "for deployments", {"Description": "for deployments"}),
    ("MaxSessionDuration", "7200", {"MaxSessionDuration": 7200}),
    ("PermissionsBoundary", AUDIT, {"PermissionsBoundary": AUDIT}),
    ("ManagedPolicyArns", [READ, AUDIT], {"ManagedPolicyArns": [READ, AUDIT]}),
    ("ManagedPolicyArns", [AUDIT], {"ManagedPolicyArns": [AUDIT]}),
    (
        "Policies",
        [{"PolicyName": "get", "PolicyDocument": document("s3:GetObject")}],
        {"Policies": {"get": document("s3:GetObject")}},
    ),
    (
        "Policies",
        [{"PolicyName": "get", "PolicyDocument": document("s3:ListBucket")}],
        {"Policies": {"get": document("s3:ListBucket")}},
    ),
    ("Tags", [tag("team", "a"), tag("Größe", "b c:/=+-@")], {"Tags": {"team": "a", "Größe": "b c:/=+-@"}}),
    (
        "Trust",
        [{"Repository": "octo-org/web", "Environments": ["prod eu"], "PullRequests": "true"}],
        {
            "Condition": sorted(
                [
                    "sts.amazonaws.com",
                    *(subject("octo-org/web", one) for one in ("environment:prod eu", "pull_request")),
                ]
            )
        },
    ),
    ("Audience", "elsewhere", {"Condition": sorted(["elsewhere", MAIN_CONDITION[0]])}),
]


def test_a_role_is_made_changed_in_each_property_and_deleted(world: World, iam: Any) -> None:
    name = done(world.ask("Create", ROLE, MAIN, logical_id="Role"))
    assert role_of(iam, name) == BARE
    before = MAIN
    for changed, value, seen in CHANGES:
        after = {**MAIN, changed: value}
        assert done(world.ask("Update", ROLE, after, logical_id="Role", id=name, old=before)) == name
        assert role_of(iam, name) == {**BARE, **seen}, changed
        before = after
    done(world.ask("Update", ROLE, MAIN, logical_id="Role", id=name, old=before))
    assert role_of(iam, name) == BARE
    done(world.ask("Delete", ROLE, MAIN, logical_id="Role", id=name))
    assert role_of(iam, name) is None
    done(world.ask("Delete", ROLE, MAIN, logical_id="Role", id=name))


def test_a_role_with_everything_is_made_at_once_and_goes_with_all_of_it(world: World, iam: Any) -> None:
    whole: dict[str, Any] = {**MAIN, "Path": "/ci/", "RoleName": "Whole"}
    expected = {**BARE, "Path": "/ci/"}
    for changed, value, seen in CHANGES[:-2]:
        whole[changed] = value
        expected.update(seen)
    assert done(world.ask("Create", ROLE, whole)) == "Whole"
    assert role_of(iam, "Whole") == expected
    done(world.ask("Delete", ROLE, whole, id="Whole"))
    assert role_of(iam, "Whole") is None
    # What was deleted behind our back is made again.
    done(world.ask("Create", ROLE, whole))
    for policy in expected["ManagedPolicyArns"]:
        iam.detach_role_policy(RoleName="Whole", PolicyArn=policy)
    iam.delete_role_policy(RoleName="Whole", PolicyName="get")
    iam.delete_role(RoleName="Whole")
    done(world.ask("Update", ROLE, whole, id="Whole", old=MAIN))
    assert role_of(iam, "Whole") == expected
    done(world.ask("Delete", ROLE, whole, id="Whole"))


def test_a_role_of_others_is_refused_or_adopted_and_given_back(world: World, iam: Any) -> None:
    service = {"Effect": "Allow", "Principal": {"Federated": GITHUB}, "Action": "sts:AssumeRoleWithWebIdentity"}
    service["Condition"] = {"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:octo-org/web:x"}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [service]})
    iam.create_role(RoleName="Theirs", AssumeRolePolicyDocument=trust, Description="old", Tags=[tag("by", "hand")])
    before = role_of(iam, "Theirs")
    refused(world.ask("Create", ROLE, {**MAIN, "RoleName": "Theirs"}), "Theirs", "OnExisting")
    assert role_of(iam, "Theirs") == before
    adopted = {**MAIN, "RoleName": "Theirs", "OnExisting": "Adopt", "Description": "new"}
    done(world.ask("Create", ROLE, adopted))
    assert role_of(iam, "Theirs") == {**BARE, "Description": "new", "Tags": {"by": "hand"}}
    done(world.ask("Delete", ROLE, adopted, id="Theirs"))
    assert role_of(iam, "Theirs") == before
    iam.delete_role(RoleName="Theirs")


def test_a_role_with_a_policy_that_is_not_there_is_refused_and_leaves_nothing(world: World, iam: Any) -> None:
    wrong = {**MAIN, "RoleName": "Wrong", "ManagedPolicyArns": [NOT_THERE]}
    answer = world.ask("Create", ROLE, wrong)
    refused(answer, NOT_THERE)
    done(world.ask("Delete", ROLE, wrong, id=answer["PhysicalResourceId"]))
    assert role_of(iam, "Wrong") is None


def test_the_credential_for_github_is_read_from_secrets_manager(
    world: World, without_credential: dict[str, Any]
) -> None:
    refused(without_credential, "octo-org/private", "ResourceNotFoundException", world.secret)
    answer = world.ask("Create", ROLE, PRIVATE, logical_id="Private")
    name = done(answer)
    assert answer["Data"]["Subjects"] == subject("octo-org/private", "ref:refs/heads/main")
    done(world.ask("Delete", ROLE, PRIVATE, logical_id="Private", id=name))
    assert TOKEN not in world.log()
