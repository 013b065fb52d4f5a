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
SOON = 5
MISTAKES = {
    ROLE: ({"MaxSessionDuraton": 3600}, "did you mean `MaxSessionDuration`?"),
    PROVIDER: ({"Url": "https://accounts.google.com"}, "accounts.google.com"),
    ENTRY: ({"ClusterName": "no-such-cluster"}, "no-such-cluster"),
}


@pytest.mark.parametrize("resource_type", MISTAKES)
def test_a_mistake_is_answered_soon_and_leaves_nothing(
    aws: LocalAws, stack: Stack, service_token: str, cluster: str, resource_type: str
) -> None:
    """All mistakes and their reasons: tests/mistakes.rs."""
    mistake, text = MISTAKES[resource_type]
    start, began = len(aws.recording()), time.monotonic()
    things = {"Thing": (resource_type, {**PLAIN[resource_type], **mistake})}
    assert stack.create(template(service_token, things)) == "ROLLBACK_COMPLETE"
    assert time.monotonic() - began < SOON
    assert text in stack.reasons()["Thing"]
    # Nothing is left behind because nothing was made.
    assert [call["action"] for call in function_calls(aws.recording(start)) if call["changes"]] == []
    # What was never made has an id that can name nothing.
    assert stack.requests()[-1]["physical_id"].startswith("never-created/")


@pytest.mark.usefixtures("github_provider")
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
