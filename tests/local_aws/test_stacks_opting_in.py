"""Opting in to subjects with ids: trust both, switch, trust one; and the workflow can assume its role at every step."""

from __future__ import annotations

import base64
import json
from typing import Any

import tokens
from deployment import example
from github.repositories import CLASSIC
from local_aws import LocalAws
from stack import Stack, template


def declared(service_token: str, form: str, switched: bool | None) -> Any:
    trust = [{"Repository": CLASSIC, "Branches": ["main"], "SubjectFormat": form}]
    provider = {"Ref": "Provider"}
    resources: dict[str, Any] = {
        "Provider": ("Custom::GitHubOidcProvider", {}),
        "Role": ("Custom::GitHubRole", {"ProviderArn": provider, "Trust": trust}),
    }
    if switched is not None:
        wanted = {"Repository": CLASSIC, "UseImmutableSubject": switched}
        resources["Switch"] = ("Custom::GitHubRepositoryOidc", wanted)
    found: Any = template(service_token, resources, {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}})
    if switched is not None:
        found["Resources"]["Switch"]["DependsOn"] = "Role"
    return found


def subject_of(token: str) -> str:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["sub"])


def test_a_repository_opts_in_and_out_and_its_workflow_gets_in(aws: LocalAws, service_token: str, stack: Stack) -> None:
    start = len(aws.at_github()["seen"])

    def let_in() -> bool:
        token = aws.token(repository=CLASSIC, ref="refs/heads/main")
        return tokens.assume(aws, stack.outputs()["RoleArn"], token) is None

    def sends_ids() -> bool:
        return "@" in subject_of(aws.token(repository=CLASSIC, ref="refs/heads/main"))

    assert stack.create(declared(service_token, "Auto", None)) == "CREATE_COMPLETE", stack.reasons()
    assert let_in()
    assert not sends_ids()
    assert stack.update(declared(service_token, "Auto", True)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Let these trust both forms first" in stack.reasons()["Switch"]
    assert let_in()
    for form in ("Both", "Auto", "Both"):
        assert stack.update(declared(service_token, form, True)) == "UPDATE_COMPLETE", stack.reasons()
        assert let_in()
        assert sends_ids()
    assert stack.update(declared(service_token, "Both", None)) == "UPDATE_COMPLETE", stack.reasons()
    assert let_in()
    assert not sends_ids()
    assert 400 not in {status for _, status in aws.at_github()["seen"][start:]}


def test_the_example_opts_in_and_out(aws: LocalAws, service_token: str, stack: Stack) -> None:
    assert service_token
    text = example("opt-in.yaml")
    assert stack.create(text, Repository=CLASSIC) == "CREATE_COMPLETE", stack.reasons()
    for form in ("Auto", "Both"):
        assert stack.update(text, Repository=CLASSIC, SubjectFormat=form) == "UPDATE_COMPLETE", stack.reasons()
        token = aws.token(repository=CLASSIC, ref="refs/heads/main")
        assert tokens.assume(aws, stack.outputs()["RoleArn"], token) is None
    assert stack.delete() == "DELETE_COMPLETE"
    assert not subject_of(aws.token(repository=CLASSIC, ref="refs/heads/main")).startswith("repo:octo-org@")
