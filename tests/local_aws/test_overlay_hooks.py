"""CloudFormation of the local AWS asks Lambda hooks before creations, updates and change sets, as AWS does."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hook_results import change_set, results
from local_aws import ACCOUNT, REGION, LocalAws
from stack import Stack

HERE = Path(__file__).parent
FUNCTION = "hook-of-a-test"
ALIAS = "Local::Overlay::Hook"
SUCCESS = {"hookStatus": "SUCCESS", "message": "fine"}
FAILED = {
    "hookStatus": "FAILED",
    "errorCode": "NonCompliant",
    "message": "not <allowed>",
    "annotations": [
        {"annotationName": "Rule", "status": "FAILED", "statusMessage": "too wide", "severityLevel": "HIGH"}
    ],
}


@pytest.fixture(scope="module")
def account() -> Iterator[LocalAws]:
    """An account of its own, so that no other test's stacks are asked about."""
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="module")
def execution_role(account: LocalAws) -> str:
    iam = account.client("iam")
    trust = statement(Principal={"Service": ["hooks.cloudformation.amazonaws.com", "lambda.amazonaws.com"]})
    made = iam.create_role(RoleName="hooks", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    policy = statement("lambda:InvokeFunction", Resource=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}:ask")
    iam.put_role_policy(RoleName="hooks", PolicyName="ask", PolicyDocument=policy)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.write(HERE / "hook_function.py", "index.py")
    functions = account.client("lambda")
    functions.create_function(
        FunctionName=FUNCTION,
        Runtime="python3.12",
        Handler="index.handler",
        Role=made,
        Code={"ZipFile": archive.getvalue()},
        Environment=environment(account, SUCCESS),
    )
    functions.create_alias(FunctionName=FUNCTION, Name="ask", FunctionVersion="$LATEST")
    return str(made)


def statement(action: str = "sts:AssumeRole", **members: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **members}]})


def environment(account: LocalAws, answer: object) -> dict[str, Any]:
    return {"Variables": {"ANSWER": json.dumps(answer), "EVENTS": str(account.directory / "events-of-hooks")}}


Hooked = Callable[..., None]


@pytest.fixture
def hooked(account: LocalAws, execution_role: str) -> Iterator[Hooked]:
    """`hooked(answer, mode)`: a stack with a hook whose function answers so."""
    stack = Stack(account, "hook")

    def make(answer: object, mode: str = "FAIL", **more: Any) -> None:
        account.client("lambda").update_function_configuration(
            FunctionName=FUNCTION, Environment=environment(account, answer)
        )
        properties = {
            "Alias": ALIAS,
            "ExecutionRole": execution_role,
            "FailureMode": mode,
            "HookStatus": "ENABLED",
            "LambdaFunction": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}:ask",
            "TargetOperations": ["RESOURCE", "CHANGE_SET"],
            "TargetFilters": {"TargetNames": ["AWS::SQS::*"], "Actions": ["CREATE", "UPDATE"]},
            **more,
        }
        resources = {"Hook": {"Type": "AWS::CloudFormation::LambdaHook", "Properties": properties}}
        assert stack.create({"Resources": resources}) == "CREATE_COMPLETE", stack.reasons()

    yield make
    stack.delete()


@pytest.fixture
def queue(account: LocalAws, name: str) -> Iterator[Stack]:
    stack = Stack(account, f"queue-{name}")
    yield stack
    if stack.exists():
        stack.delete()


def template(delay: int = 1) -> dict[str, Any]:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Queue"}}}
    return {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": delay}}, "Topic": topic}}


def events(account: LocalAws) -> list[dict[str, Any]]:
    shown = account.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps({"Show": True}))
    found: list[dict[str, Any]] = json.load(shown["Payload"])
    return found


def test_a_hook_is_asked_before_a_resource_is_made_and_changed(account: LocalAws, hooked: Hooked, queue: Stack) -> None:
    hooked(SUCCESS)
    assert queue.create(template()) == "CREATE_COMPLETE"
    assert queue.update(template(2)) == "UPDATE_COMPLETE"
    made, changed = events(account)[-2:]
    assert made["requestData"]["targetName"] == "AWS::SQS::Queue"
    assert made["actionInvocationPoint"] == "CREATE_PRE_PROVISION"
    assert made["invokedFunctionArn"].endswith(f":function:{FUNCTION}:ask")
    assert changed["actionInvocationPoint"] == "UPDATE_PRE_PROVISION"
    model = changed["requestData"]["targetModel"]
    assert model["previousResourceProperties"]["DelaySeconds"] == 1
    assert model["resourceProperties"]["DelaySeconds"] == 2


@pytest.mark.parametrize("answer", [FAILED, "fail", {"hookStatus": "FAILED", "errorCode": "InternalFailure"}, []])
@pytest.mark.parametrize("mode", ["FAIL", "WARN"])
def test_what_a_hook_refuses_is_not_made_unless_it_only_warns(
    account: LocalAws, hooked: Hooked, queue: Stack, mode: str, answer: object
) -> None:
    hooked(answer, mode)
    ended = queue.create(template())
    reason = queue.reasons().get("Queue")
    found = results(account, "RESOURCE", queue.events()[0]["StackId"])[-1]
    assert found["FailureMode"] == mode
    assert found["Status"] == ("HOOK_COMPLETE_FAILED" if answer == FAILED else "HOOK_FAILED")
    if answer == FAILED:
        assert found["HookStatusReason"] == "Hook failed with message: not <allowed>"
        assert found["Annotations"][0]["StatusMessage"] == "too wide"
    if mode == "FAIL":
        assert (ended, reason) == ("ROLLBACK_COMPLETE", f"The following hook(s) failed: [{ALIAS}]")
    else:
        assert (ended, reason) == ("CREATE_COMPLETE", None)


def test_a_hook_may_ask_for_more_time(account: LocalAws, hooked: Hooked, queue: Stack) -> None:
    hooked("later")
    assert queue.create(template()) == "CREATE_COMPLETE"
    assert [event["requestContext"]["invocation"] for event in events(account)[-3:]] == [1, 2, 3]


def test_a_change_set_is_shown_with_properties_as_text(account: LocalAws, hooked: Hooked, queue: Stack) -> None:
    hooked(SUCCESS)
    made = change_set(account, queue.name, json.dumps(template()))
    assert (made["Status"], made["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    event = events(account)[-1]
    assert (event["changeSetId"], event["requestData"]["targetType"]) == (made["ChangeSetId"], "CHANGE_SET")
    fetched = event["requestData"]["fetched"]
    assert json.loads(fetched["template"]) == template()
    found = {one["logicalResourceId"]: json.loads(one["afterContext"]) for one in fetched["changedResources"]}
    assert found["Queue"] == {"Properties": {"DelaySeconds": "1"}}
    assert found["Topic"] == {"Properties": {"DisplayName": "{{changeSet:KNOWN_AFTER_APPLY}}"}}


def test_a_change_set_that_a_hook_refuses_cannot_be_executed(account: LocalAws, hooked: Hooked, queue: Stack) -> None:
    hooked(FAILED)
    made = change_set(account, queue.name, json.dumps(template()))
    assert (made["Status"], made["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert made["StatusReason"] == f"The following hook(s) failed: [{ALIAS}]"
    (found,) = results(account, "CHANGE_SET", made["ChangeSetId"])
    assert found["Annotations"][0]["AnnotationName"] == "Rule"


def test_a_hook_without_permission_to_ask_fails(account: LocalAws, hooked: Hooked, queue: Stack) -> None:
    hooked(SUCCESS, LambdaFunction=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}")
    assert queue.create(template()) == "ROLLBACK_COMPLETE"
    found = results(account, "RESOURCE", queue.events()[0]["StackId"])[-1]
    assert "AccessDenied" in found["HookStatusReason"]


def test_a_custom_resource_cannot_be_a_target(account: LocalAws, execution_role: str) -> None:
    properties = {
        "Alias": ALIAS,
        "ExecutionRole": execution_role,
        "FailureMode": "WARN",
        "HookStatus": "ENABLED",
        "LambdaFunction": "arn:aws:lambda:us-east-1:000000000000:function:x",
        "TargetOperations": ["RESOURCE"],
        "TargetFilters": {"TargetNames": ["Custom::GitHubRole"]},
    }
    stack = Stack(account, "custom-target")
    assert (
        stack.create({"Resources": {"Hook": {"Type": "AWS::CloudFormation::LambdaHook", "Properties": properties}}})
        == "ROLLBACK_COMPLETE"
    )
    assert "has not three parts" in stack.reasons()["Hook"]
