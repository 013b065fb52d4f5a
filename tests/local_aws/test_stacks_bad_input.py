"""Mistakes in a template fail within seconds, with a reason that names the property, and leave nothing behind."""

from __future__ import annotations

import time
from typing import Any

import pytest

from deployment import function_calls
from local_aws import ACCOUNT, LocalAws
from stack import Stack, template

PROVIDER = "Custom::GitHubOidcProvider"
ROLE = "Custom::GitHubRole"
ENTRY = "Custom::EksAccessEntry"
ISSUER = "token.actions.githubusercontent.com"
PLAIN: dict[str, dict[str, Any]] = {
    PROVIDER: {"Url": "https://bad-input.example/_services/token"},
    ROLE: {
        "ProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}",
        "Trust": [{"Repository": "acme/app", "Branches": ["main"]}],
    },
    ENTRY: {"ClusterName": "tests", "PrincipalArn": "arn:aws:iam::111122223333:role/bad-input"},
}
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
SOON = 5
LEFT_OUT = object()


def trust(**entry: Any) -> dict[str, Any]:
    return {"Trust": [{"Repository": "acme/app", "Branches": ["main"], **entry}]}


def scope(**entry: Any) -> dict[str, Any]:
    return {"AccessPolicies": [{"PolicyArn": VIEW, "AccessScope": entry}]}


MISTAKES: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
    # a missing property
    ("a role without a provider", ROLE, {"ProviderArn": LEFT_OUT}, ("`ProviderArn`",)),
    ("a role without trust", ROLE, {"Trust": LEFT_OUT}, ("`Trust`",)),
    ("trust without a repository", ROLE, {"Trust": [{"Branches": ["main"]}]}, ("`Trust[0].Repository`",)),
    ("an entry without a cluster", ENTRY, {"ClusterName": LEFT_OUT}, ("`ClusterName`",)),
    ("an entry without a principal", ENTRY, {"PrincipalArn": LEFT_OUT}, ("`PrincipalArn`",)),
    ("a policy without a scope", ENTRY, {"AccessPolicies": [{"PolicyArn": VIEW}]}, ("[0].AccessScope`",)),
    # a misspelt one
    (
        "a misspelt property within a list",
        ROLE,
        {"Trust": [{"Repositry": "acme/app", "Branches": ["main"]}]},
        ("unknown property `Trust[0].Repositry`", "did you mean `Repository`?"),
    ),
    ("a misspelt property of a role", ROLE, {"MaxSessionDuraton": 3600}, ("did you mean `MaxSessionDuration`?",)),
    ("a misspelt property of a provider", PROVIDER, {"ThumbprintsList": ["a" * 40]}, ("`ThumbprintList`?",)),
    ("a misspelt property of an entry", ENTRY, {"KubernetesGroup": ["a"]}, ("did you mean `KubernetesGroups`?",)),
    # a wrong type
    ("text for trust", ROLE, {"Trust": "acme/app"}, ("`Trust`",)),
    ("a map for a text", ROLE, {"Description": {"a": "b"}}, ("`Description`",)),
    ("a word for a number", ROLE, {"MaxSessionDuration": "an hour"}, ("`MaxSessionDuration`", "an hour")),
    ("a word for true or false", ROLE, trust(PullRequests="maybe"), (".PullRequests`", "maybe")),
    ("a map for a list of texts", PROVIDER, {"ClientIdList": {"a": "b"}}, ("`ClientIdList`",)),
    # a number out of range, or too many
    ("too short a session", ROLE, {"MaxSessionDuration": 900}, ("`MaxSessionDuration`", "3600 to 43200", "900")),
    ("too long a session", ROLE, {"MaxSessionDuration": "43201"}, ("`MaxSessionDuration`", "43200", "43201")),
    ("six thumbprints", PROVIDER, {"ThumbprintList": [c * 40 for c in "abcdef"]}, ("`ThumbprintList`", "5")),
    ("no thumbprints", PROVIDER, {"ThumbprintList": []}, ("`ThumbprintList`",)),
    ("a thumbprint that is none", PROVIDER, {"ThumbprintList": ["abc"]}, ("`ThumbprintList", "abc")),
    # trust
    ("an empty trust", ROLE, {"Trust": []}, ("`Trust`",)),
    ("trust in nothing of a repository", ROLE, {"Trust": [{"Repository": "acme/app"}]}, ("Branches",)),
    ("a repository without owner", ROLE, trust(Repository="app"), ("Repository", "app", "owner")),
    ("a repository with a wildcard", ROLE, trust(Repository="acme/a*"), ("Repository", "acme/a*")),
    ("a whole organisation", ROLE, trust(Repository="acme/*"), ("`Trust[0]`", "acme/*", "guardrail `AllowBroadTrust`")),
    ("every branch", ROLE, trust(AnyRef=True), ("`AnyRef`", "guardrail `AllowBroadTrust`")),
    ("a subject of anybody", ROLE, trust(Subjects=["environment:prod"]), ("`Trust[0].Subjects[0]`", "pins")),
    ("a short ref of a workflow", ROLE, trust(Workflows=["a/b/.github/workflows/c.yml@main"]), ("Workflows", "@main")),
    ("an adoption of nobody", ROLE, {"OnExisting": "Adopt"}, ("`OnExisting`", "`RoleName`")),
    # issuers
    ("an issuer with a port", PROVIDER, {"Url": "https://ghe.example:8443/_services/token"}, ("`Url`", "8443")),
    ("an issuer with a query", PROVIDER, {"Url": f"https://{ISSUER}?a=b"}, ("`Url`", "?a=b")),
    ("an issuer without tls", PROVIDER, {"Url": f"http://{ISSUER}"}, ("`Url`", "https")),
    ("an issuer of somebody else", PROVIDER, {"Url": "https://accounts.google.com"}, ("`Url`", "accounts.google.com")),
    ("a provider that is none", ROLE, {"ProviderArn": "github"}, ("`ProviderArn`", "github")),
    # entries
    ("an unknown type of entry", ENTRY, {"Type": "EC2_MAC"}, ("`Type`", "EC2_MAC", "STANDARD")),
    ("a cluster that does not exist", ENTRY, {"ClusterName": "no-such-cluster"}, ("no-such-cluster",)),
    ("a reserved username", ENTRY, {"Username": "system:admin"}, ("`Username`", "system:")),
    ("a reserved group", ENTRY, {"KubernetesGroups": ["system:masters"]}, ("`KubernetesGroups", "system:masters")),
    ("namespaces for a whole cluster", ENTRY, scope(Type="cluster", Namespaces=["a"]), ("Namespaces",)),
    ("an unknown scope", ENTRY, scope(Type="node"), ("Type", "node", "namespace")),
    ("groups for a node", ENTRY, {"Type": "EC2_LINUX", "KubernetesGroups": ["a"]}, ("`KubernetesGroups`", "EC2_LINUX")),
    # tags that are ours or AWS's
    ("a tag of ours", ROLE, {"Tags": [{"Key": "github-trust:stack-id", "Value": "x"}]}, ("github-trust:",)),
    ("a tag of aws", PROVIDER, {"Tags": [{"Key": "aws:x", "Value": "x"}]}, ("aws:",)),
]


@pytest.mark.parametrize(
    ("resource_type", "mistake", "texts"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_a_mistake_is_answered_soon_and_leaves_nothing(
    aws: LocalAws,
    stack: Stack,
    service_token: str,
    cluster: str,
    resource_type: str,
    mistake: dict[str, Any],
    texts: tuple[str, ...],
) -> None:
    properties = {**PLAIN[resource_type], **mistake}
    written = {name: value for name, value in properties.items() if value is not LEFT_OUT}
    start, began = len(aws.recording()), time.monotonic()
    assert stack.create(template(service_token, {"Thing": (resource_type, written)})) == "ROLLBACK_COMPLETE"
    assert time.monotonic() - began < SOON
    reason = stack.reasons()["Thing"]
    assert [text for text in texts if text not in reason] == [], reason
    # Nothing is left behind because nothing was made.
    assert [call["action"] for call in function_calls(aws.recording(start)) if call["changes"]] == []
    # What was never made has an id that can name nothing.
    assert stack.requests()[-1]["physical_id"].startswith("never-created/")


def test_an_unknown_resource_type_is_answered_with_the_nearest(stack: Stack, service_token: str) -> None:
    assert stack.create(template(service_token, {"Thing": ("Custom::GithubRole", PLAIN[ROLE])})) == "ROLLBACK_COMPLETE"
    assert "unknown resource type `Custom::GithubRole`" in stack.reasons()["Thing"]
    assert "did you mean `Custom::GitHubRole`?" in stack.reasons()["Thing"]


def test_a_resource_type_unlike_any_is_answered_with_all(stack: Stack, service_token: str) -> None:
    assert stack.create(template(service_token, {"Thing": ("Custom::Toaster", {})})) == "ROLLBACK_COMPLETE"
    for known in (PROVIDER, ROLE, ENTRY):
        assert known in stack.reasons()["Thing"]


def test_a_mistake_in_an_update_leaves_the_resource_as_it_was(
    iam: Any, stack: Stack, service_token: str, name: str
) -> None:
    properties = {**PLAIN[ROLE], "RoleName": name}
    assert stack.create(template(service_token, {"Thing": (ROLE, properties)})) == "CREATE_COMPLETE"
    before = iam.get_role(RoleName=name)["Role"]
    wrong = template(service_token, {"Thing": (ROLE, {**properties, "MaxSessionDuration": 1})})
    assert stack.update(wrong) == "UPDATE_ROLLBACK_COMPLETE"
    assert "`MaxSessionDuration`" in stack.reasons()["Thing"]
    assert iam.get_role(RoleName=name)["Role"] == before
    assert stack.physical_ids() == {"Thing": name}
