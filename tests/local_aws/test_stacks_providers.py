"""Custom::GitHubOidcProvider, from a stack to IAM and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

import deployment
from local_aws import ACCOUNT, LocalAws, until
from stack import Stack, Template, template

TYPE = "Custom::GitHubOidcProvider"
OUTPUTS = {
    "Ref": {"Ref": "Provider"},
    **{
        name: {"Fn::GetAtt": ["Provider", name]} for name in ("Arn", "Url", "Issuer", "ThumbprintList", "ThumbprintUse")
    },
}
ONE, TWO = "a" * 40, "b" * 40


class Providers:
    """Templates with one provider each, for an issuer that no other test uses."""

    def __init__(self, token: str, host: str) -> None:
        self.token = token
        self.url = f"https://{host}/_services/token"
        self.arn = arn(self.url)

    def __call__(self, **properties: Any) -> Template:
        return template(self.token, {"Provider": (TYPE, {"Url": self.url, **properties})}, OUTPUTS)


def arn(url: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{url.removeprefix('https://')}"


@pytest.fixture
def provider(service_token: str, name: str) -> Providers:
    return Providers(service_token, f"{name}.example")


def found(iam: Any, arn: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    except iam.exceptions.NoSuchEntityException:
        return None
    return answer


def authored(thing: dict[str, Any] | None) -> dict[str, str]:
    """The tags that the template's author wrote."""
    tags = (thing or {})["Tags"]
    return {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("github-trust:")}


def test_a_provider_without_properties_is_githubs(iam: Any, stack: Stack, service_token: str) -> None:
    assert stack.create(template(service_token, {"Provider": (TYPE, {})}, OUTPUTS)) == "CREATE_COMPLETE"
    outputs = stack.outputs()
    expected = arn("https://token.actions.githubusercontent.com")
    assert outputs.pop("ThumbprintList")
    assert outputs == {
        "Ref": expected,
        "Arn": expected,
        "Url": "https://token.actions.githubusercontent.com",
        "Issuer": "token.actions.githubusercontent.com",
        "ThumbprintUse": "Fallback",
    }
    made = found(iam, expected)
    assert made is not None
    assert made["ClientIDList"] == ["sts.amazonaws.com"]
    # Roles of other tests trust it, which would keep it.
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
    for role in iam.list_roles()["Roles"]:
        if expected in json.dumps(role["AssumeRolePolicyDocument"]):
            policy = json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
            iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=policy)
    assert stack.delete() == "DELETE_COMPLETE"
    assert found(iam, expected) is None


def test_a_provider_is_updated_in_place(iam: Any, stack: Stack, provider: Providers) -> None:
    stack.create(provider(ClientIdList=["one", "two"], ThumbprintList=[ONE], Tags=[{"Key": "a", "Value": "1"}]))
    changed = provider(ClientIdList=["two", "three"], ThumbprintList=[TWO], Tags=[{"Key": "b", "Value": "2"}])
    assert stack.update(changed) == "UPDATE_COMPLETE"
    made = found(iam, provider.arn)
    assert made is not None
    assert sorted(made["ClientIDList"]) == ["three", "two"]
    assert made["ThumbprintList"] == [TWO]
    assert authored(made) == {"b": "2"}
    assert [request["request"] for request in stack.requests()] == ["Create", "Update"]


def test_thumbprints_that_are_left_out_are_those_of_verified_certificates(
    aws: LocalAws, iam: Any, stack: Stack, provider: Providers
) -> None:
    assert stack.create(provider()) == "CREATE_COMPLETE"
    made = found(iam, provider.arn)
    assert made is not None
    assert made["ThumbprintList"] == [aws.thumbprint("public")]
    assert stack.outputs()["ThumbprintUse"] == "Fallback"
    # What somebody puts there by hand leaves after the overlap, as everything does that is no longer seen.
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=provider.arn, ThumbprintList=[ONE])
    rotated_to(aws, iam, provider.arn, ONE, aws.thumbprint("public"))
    # The metric is a line of the log that is nothing else, or CloudWatch would not take it.
    lines = [json.loads(line) for line in aws.function_log(deployment.FUNCTION).splitlines() if line.startswith("{")]
    (metric,) = (line for line in lines if line.get("RotatedThumbprints") and line["Provider"] == provider.arn)
    assert metric["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "RotatedThumbprints", "Unit": "Count"}]
    assert (metric["Old"], metric["New"]) == ([ONE], sorted([ONE, aws.thumbprint("public")]))
    assert metric["Subjects"] == ["CN=public intermediate 1"]


def thumbprints(iam: Any, arn: str) -> list[str]:
    return sorted((found(iam, arn) or {})["ThumbprintList"])


def rotated_to(aws: LocalAws, iam: Any, arn: str, *expected: str) -> None:
    """Looks are told apart by the second."""

    def after_a_run() -> bool:
        assert deployment.scheduled_run(aws) is None
        return thumbprints(iam, arn) == sorted(expected)

    until(after_a_run, "the thumbprints to follow", 10, every=0.5)


def test_an_enterprise_server_is_verified_with_the_ca_given(
    aws: LocalAws, iam: Any, stack: Stack, service_token: str, name: str
) -> None:
    server = Providers(service_token, f"private.{name}.example")
    ca = aws.ca_certificate("private")
    assert stack.create(server(CaCertificate=ca)) == "CREATE_COMPLETE", stack.reasons()
    assert thumbprints(iam, server.arn) == [aws.thumbprint("private")]
    assert stack.outputs()["ThumbprintUse"] == "InUse"
    # The schedule finds the CA on the provider; so does a stack that shares it and does not give it.
    old = aws.thumbprint("private")
    other = Stack(aws, f"{name}-other")
    assert other.create(server()) == "CREATE_COMPLETE", other.reasons()
    assert other.outputs()["ThumbprintUse"] == "InUse"
    aws.change_intermediates()
    assert deployment.scheduled_run(aws) is None
    rotated_to(aws, iam, server.arn, old, aws.thumbprint("private"))
    for each in (stack, other):
        assert each.delete() == "DELETE_COMPLETE"
    assert found(iam, server.arn) is None


def test_two_stacks_share_a_provider_and_the_last_one_out_deletes_it(
    aws: LocalAws, iam: Any, stack: Stack, provider: Providers, name: str
) -> None:
    other = Stack(aws, f"{name}-other")
    stack.create(provider(ClientIdList=["both", "first"]))
    assert other.create(provider(ClientIdList=["both", "second"])) == "CREATE_COMPLETE"
    assert sorted((found(iam, provider.arn) or {})["ClientIDList"]) == ["both", "first", "second"]
    assert stack.delete() == "DELETE_COMPLETE"
    assert sorted((found(iam, provider.arn) or {})["ClientIDList"]) == ["both", "second"]
    assert other.delete() == "DELETE_COMPLETE"
    assert found(iam, provider.arn) is None
