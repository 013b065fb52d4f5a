"""The examples, and what must hold after all other stacks have come and gone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from deployment import FUNCTION, example, owned
from github.repositories import subject
from local_aws import LocalAws
from run import CHANGED, QUICKSTART, SHARED, retimed
from stack import Stack


@pytest.fixture
def other(aws: LocalAws, name: str) -> Iterator[Stack]:
    stack = Stack(aws, f"{name}-other")
    yield stack
    stack.delete()


def test_the_examples_come_change_and_go_together(
    aws: LocalAws, service_token: str, cluster: str, stack: Stack, other: Stack
) -> None:
    assert service_token
    before = owned(aws)
    quickstart = example("quickstart.yaml")
    assert stack.create(quickstart, **{**QUICKSTART, "ClusterName": cluster}) == "CREATE_COMPLETE"
    assert stack.outputs()["Subjects"] == subject("octo-org/octo-repo", "ref:refs/heads/main")
    assert len(owned(aws)) == len(before) + 3
    assert stack.update(quickstart, **{**CHANGED, "ClusterName": cluster}) == "UPDATE_COMPLETE"
    assert stack.outputs()["Subjects"] == subject("octo-org/octo-repo", "ref:refs/heads/release")
    assert stack.update(retimed(quickstart), **{**CHANGED, "ClusterName": cluster}) == "UPDATE_COMPLETE"
    assert other.create(example("shared-provider.yaml"), **SHARED) == "CREATE_COMPLETE"
    shared = other.outputs()
    assert shared["ProviderArn"] == stack.outputs()["ProviderArn"]
    assert stack.delete() == "DELETE_COMPLETE"
    assert owned(aws) == sorted([*before, shared["ProviderArn"], shared["RoleArn"]])
    assert other.delete() == "DELETE_COMPLETE"
    assert owned(aws) == before


def test_the_service_token_is_exported_and_kept_as_a_parameter(aws: LocalAws, service_token: str) -> None:
    exports = {export["Name"]: export["Value"] for export in aws.client("cloudformation").list_exports()["Exports"]}
    parameter = aws.client("ssm").get_parameter(Name=f"/{FUNCTION}/service-token")["Parameter"]
    assert exports[f"{FUNCTION}-ServiceToken"] == parameter["Value"] == service_token


def test_no_response_url_is_ever_logged(aws: LocalAws, service_token: str) -> None:
    assert service_token
    log = aws.function_log(FUNCTION)
    assert "succeeded" in log
    assert re.findall(r".*(?:X-Amz-|cloudformation-custom-resource-response).*", log) == []


def test_all_the_stacks_before_have_left_nothing(aws: LocalAws, service_token: str) -> None:
    assert service_token
    assert owned(aws) == []
