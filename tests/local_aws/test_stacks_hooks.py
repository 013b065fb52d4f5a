"""templates/hook.yaml beside the real function: change sets show plans, and native roles are warned of or refused."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

from calls import changing
from deployment import FUNCTION
from hook_results import change_set, results
from local_aws import ACCOUNT, ROOT, LocalAws
from stack import Stack, template

ISSUER = "token.actions.githubusercontent.com"
HOOKS = (ROOT / "templates" / "hook.yaml").read_text()
NATIVE_TRUST = "Platform::GitHubTrust::NativeTrust"
CHANGE_SETS = "Platform::GitHubTrust::ChangeSets"
# The repository's subjects carry ids.
SUBJECT = r"repo:octo-org@\d+/octo-repo@\d+:ref:refs/heads/"
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"

Hooked = Callable[..., None]


@pytest.fixture
def hooked(default_account: LocalAws) -> Iterator[Hooked]:
    """`hooked(FailureMode="FAIL")` deploys the hooks."""
    stack = Stack(default_account, "github-trust-hook")

    def deploy(**parameters: str) -> None:
        assert stack.create(HOOKS, **parameters) == "CREATE_COMPLETE", stack.reasons()

    yield deploy
    assert stack.delete() == "DELETE_COMPLETE", stack.reasons()


@pytest.fixture
def theirs(default_account: LocalAws, name: str) -> Iterator[Stack]:
    """The stack of a team."""
    stack = Stack(default_account, f"team-{name}")
    yield stack
    with contextlib.suppress(ClientError):
        stack.delete()


def ours(account: LocalAws, *branches: str, **more: Any) -> dict[str, Any]:
    """A provider and a role of the product."""
    token = account.client("lambda").get_function_configuration(FunctionName=FUNCTION)["FunctionArn"]
    trust = [{"Repository": "octo-org/octo-repo", "Branches": list(branches)}]
    role = {
        "ProviderArn": {"Ref": "Provider"},
        "Trust": trust,
        "Path": "/github/",
        "ManagedPolicyArns": [READ],
        **more,
    }
    resources = {"Provider": ("Custom::GitHubOidcProvider", {}), "Role": ("Custom::GitHubRole", role)}
    made = template(token, resources)
    assert isinstance(made, dict)
    return made


def native(subject: str) -> dict[str, Any]:
    """The role of a tutorial."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
            "StringLike": {f"{ISSUER}:sub": subject},
        },
    }
    properties = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    return {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}}


def shown(account: LocalAws, made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the console shows of a change set: the annotations, by resource."""
    (found,) = results(account, "CHANGE_SET", made["ChangeSetId"])
    assert found["TypeName"] == CHANGE_SETS
    return {annotation["AnnotationName"]: annotation for annotation in found["Annotations"]}


def test_a_change_set_shows_the_plan_and_changes_nothing(
    default_account: LocalAws, hooked: Hooked, theirs: Stack
) -> None:
    hooked()
    begin = len(default_account.recording())
    made = change_set(default_account, theirs.name, json.dumps(ours(default_account, "main")))
    assert made["ExecutionStatus"] == "AVAILABLE"
    plan = shown(default_account, made)
    assert {name: one["Status"] for name, one in plan.items()} == {"Provider": "PASSED", "Role": "PASSED"}
    assert re.search(rf"let in {SUBJECT}main\n", plan["Role"]["StatusMessage"])
    assert READ in plan["Role"]["StatusMessage"]
    assert not changing(default_account.recording(begin))


def test_a_change_set_of_a_stack_shows_what_comes_and_goes(
    default_account: LocalAws, hooked: Hooked, theirs: Stack
) -> None:
    hooked()
    assert theirs.create(ours(default_account, "main")) == "CREATE_COMPLETE", theirs.reasons()
    text = json.dumps(ours(default_account, "release"))
    plan = shown(default_account, change_set(default_account, theirs.name, text, "UPDATE"))
    assert list(plan) == ["Role"]
    assert re.search(rf"let in {SUBJECT}release\n", plan["Role"]["StatusMessage"])
    assert re.search(rf"no longer let in {SUBJECT}main; let in ", plan["Role"]["StatusMessage"])


@pytest.mark.parametrize(("mode", "status"), [("FAIL", "FAILED"), ("WARN", "CREATE_COMPLETE")])
def test_a_change_set_with_a_mistake_is_refused_or_warned_of(
    default_account: LocalAws, hooked: Hooked, theirs: Stack, mode: str, status: str
) -> None:
    hooked(FailureMode=mode)
    mistaken = ours(default_account, "main", MaxSessionDuraton=3600)
    made = change_set(default_account, theirs.name, json.dumps(mistaken))
    assert made["Status"] == status
    plan = shown(default_account, made)
    assert plan["Role"]["Status"] == "FAILED"
    assert "MaxSessionDuration" in plan["Role"]["StatusMessage"]


@pytest.mark.parametrize(("mode", "ended"), [("FAIL", "ROLLBACK_COMPLETE"), ("WARN", "CREATE_COMPLETE")])
def test_a_native_role_that_is_too_broad_is_refused_or_warned_of(
    default_account: LocalAws, hooked: Hooked, theirs: Stack, mode: str, ended: str
) -> None:
    hooked(FailureMode=mode)
    assert theirs.create(native("repo:octo-org*")) == ended
    (found,) = results(default_account, "RESOURCE", theirs.events()[0]["StackId"])
    assert (found["TypeName"], found["Status"]) == (NATIVE_TRUST, "HOOK_COMPLETE_FAILED")
    assert "Jobs of anybody at GitHub" in found["HookStatusReason"]
    assert "Custom::GitHubRole" in found["Annotations"][0]["RemediationMessage"]
    if mode == "FAIL":
        assert theirs.reasons()["Role"] == f"The following hook(s) failed: [{NATIVE_TRUST}]"


def test_a_native_role_for_one_branch_is_made(default_account: LocalAws, hooked: Hooked, theirs: Stack) -> None:
    hooked(FailureMode="FAIL")
    assert theirs.create(native("repo:octo-org/octo-repo:ref:refs/heads/main")) == "CREATE_COMPLETE"
    assert theirs.update(native("repo:*")) == "UPDATE_ROLLBACK_COMPLETE"


def test_a_hook_that_learns_nothing_from_aws_lets_the_change_go_on(
    default_account: LocalAws, hooked: Hooked, theirs: Stack
) -> None:
    hooked(FailureMode="FAIL")
    configuration = default_account.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    place = {"RoleName": configuration["Role"].rsplit("/", 1)[-1], "PolicyName": "denied-by-a-test"}
    nothing = {"Effect": "Deny", "Action": ["iam:*", "eks:*"], "Resource": "*"}
    iam = default_account.client("iam")
    iam.put_role_policy(**place, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [nothing]}))
    try:
        made = change_set(default_account, theirs.name, json.dumps(ours(default_account, "main")))
    finally:
        iam.delete_role_policy(**place)
    assert made["ExecutionStatus"] == "AVAILABLE"
    plan = shown(default_account, made)
    assert "not known yet" in plan["Role"]["StatusMessage"]


def test_a_hook_whose_function_is_not_there_warns_and_goes_on(
    default_account: LocalAws, hooked: Hooked, theirs: Stack
) -> None:
    hooked(FunctionName="not-there")
    assert theirs.create(native("repo:octo-org*")) == "CREATE_COMPLETE"
    (found,) = results(default_account, "RESOURCE", theirs.events()[0]["StackId"])
    assert found["Status"] == "HOOK_FAILED"


def test_a_plan_is_as_its_schema_says(default_account: LocalAws) -> None:
    schema = json.loads((ROOT / "schemas" / "plan.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    mistaken = ours(default_account, "main", MaxSessionDuraton=3600)
    for question in (
        {"Template": ours(default_account, "main")},
        {"Template": mistaken},
        {"ResourceType": "Custom::No"},
    ):
        asked = json.dumps({"Plan": question})
        functions = default_account.client("lambda")
        answer = json.load(functions.invoke(FunctionName=FUNCTION, Qualifier="plan", Payload=asked)["Payload"])
        assert [error.message for error in Draft202012Validator(schema).iter_errors(answer)] == [], answer


def test_the_alias_of_the_hooks_refuses_what_cloudformation_sends(default_account: LocalAws) -> None:
    event = {"RequestType": "Create", "ResourceType": "Custom::GitHubRole", "ResourceProperties": {}}
    answer = default_account.client("lambda").invoke(FunctionName=FUNCTION, Qualifier="plan", Payload=json.dumps(event))
    assert "answers questions only" in json.load(answer["Payload"])["Error"]
