"""Exact trust, end to end: what the local GitHub says becomes a policy, and its tokens assume the role or do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tokens
from deployment import FUNCTION, example
from github.answers import answer, check
from local_aws import LocalAws
from stack import Stack, template


def test_tokens_assume_the_role_exactly_where_they_should(
    aws: LocalAws, service_token: str, github_provider: str, stack: Stack
) -> None:
    assert stack.create(example("exact-trust.yaml"), ProviderArn=github_provider) == "CREATE_COMPLETE", stack.reasons()
    role = stack.outputs()["RoleArn"]
    for what, wanted, refused in tokens.found(aws, role):
        assert (refused is None) is wanted, f"{what}: {refused}"
    assert tokens.assume(aws, role, tokens.forged(aws)) == "InvalidIdentityToken"


def test_where_sts_reads_no_claims_nobody_else_gets_in_and_ids_in_subjects_do(
    aws: LocalAws, service_token: str, github_provider: str, stack: Stack
) -> None:
    assert stack.create(example("exact-trust.yaml"), ProviderArn=github_provider) == "CREATE_COMPLETE", stack.reasons()
    with aws.sts_reading_no_claims():
        tried = tokens.found(aws, stack.outputs()["RoleArn"])
    admitted = {what for what, _, refused in tried if refused is None}
    assert admitted <= {what for what, wanted, _ in tried if wanted}
    assert admitted >= {"immutable, branch main", "immutable, branch release/1"}
    assert "immutable, environment 'production: eu'" not in admitted


def test_a_direct_invocation_explains_a_refusal(
    aws: LocalAws, service_token: str, github_provider: str, stack: Stack
) -> None:
    assert stack.create(example("exact-trust.yaml"), ProviderArn=github_provider) == "CREATE_COMPLETE", stack.reasons()
    name = stack.outputs()["RoleArn"].rsplit("/", 1)[-1]
    claims = {"sub": "repo:octo-org/immutable:ref:refs/heads/main", "aud": "sts.amazonaws.com"}
    event = {"Explain": {"RoleName": name, "Claims": claims}}
    answered = aws.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps(event))
    explained = json.loads(answered["Payload"].read())
    assert explained["Verdict"] == "refused"
    assert "the repository sends subjects without ids" in json.dumps(explained["Statements"])


def test_a_role_is_adopted_with_its_id_and_released(
    iam: Any, service_token: str, github_provider: str, stack: Stack, name: str
) -> None:
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    before = iam.create_role(RoleName=f"{name}-theirs", AssumeRolePolicyDocument=trust)["Role"]
    properties = {
        "ProviderArn": github_provider,
        "RoleName": before["RoleName"],
        "Trust": [{"Repository": "acme/app", "Branches": ["main"]}],
    }
    kind = "Custom::GitHubRole"
    refused = template(service_token, {"Role": (kind, properties)})
    assert stack.create(refused) == "ROLLBACK_COMPLETE"
    assert "`OnExisting: Adopt`" in stack.reasons()["Role"]
    stack.delete()
    adopting = template(service_token, {"Role": (kind, {**properties, "OnExisting": "Adopt"})})
    assert stack.create(adopting) == "CREATE_COMPLETE", stack.reasons()
    adopted = iam.get_role(RoleName=before["RoleName"])["Role"]
    assert adopted["RoleId"] == before["RoleId"]
    assert "Federated" in json.dumps(adopted["AssumeRolePolicyDocument"])
    assert stack.delete() == "DELETE_COMPLETE"
    released = iam.get_role(RoleName=before["RoleName"])["Role"]
    assert released["RoleId"] == before["RoleId"]
    assert not released.get("Tags")
    assert released["AssumeRolePolicyDocument"] == before["AssumeRolePolicyDocument"]
    iam.delete_role(RoleName=before["RoleName"])


def test_the_local_github_answers_as_github_s_description_says() -> None:
    status, body = answer("GET /repos/{owner}/{repo}", {})
    assert status == 200
    with pytest.raises(ValueError, match="does not answer this"):
        check("GET /repos/{owner}/{repo}", {**body, "id": "seven"})
