"""CloudFormation of the local AWS holds custom resources to the protocol."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from stack import Stack

HERE = Path(__file__).parent
Things = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def token(aws: LocalAws) -> str:
    """The ARN of the function in misbehaving_function.py."""
    name = "misbehaving"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.write(HERE / "misbehaving_function.py", "index.py")
    function = aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Handler="index.handler",
        Role=role,
        Timeout=10,
        Code={"ZipFile": archive.getvalue()},
    )
    return str(function["FunctionArn"])


def template(token: str, things: Things, outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    """`things`: properties by logical id; OnCreate and the like may be given as objects."""
    resources = {}
    for logical_id, properties in things.items():
        sent = {name: json.dumps(value) if name.startswith("On") else value for name, value in properties.items()}
        depends = sent.pop("DependsOn", None)
        resources[logical_id] = {"Type": "Custom::Thing", "Properties": {"ServiceToken": token, **sent}}
        if depends:
            resources[logical_id]["DependsOn"] = depends
    shown = {name: {"Value": value} for name, value in (outputs or {}).items()}
    return {"Resources": resources, **({"Outputs": shown} if shown else {})}


def summary(stack: Stack, logical_id: str) -> list[tuple[str, str | None]]:
    return [(request["request"], request["physical_id"]) for request in stack.requests(logical_id)]


def test_a_request_has_the_members_that_cloudformation_sends(stack: Stack, token: str) -> None:
    assert stack.create(template(token, {"Thing": {"Name": "x"}})) == "CREATE_COMPLETE"
    (request,) = stack.requests()
    event = request["event"]
    stack_id = event.pop("StackId")
    assert stack_id.startswith(f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack.name}/")
    assert event == {
        "RequestType": "Create",
        "ServiceToken": token,
        "RequestId": request["request_id"],
        "LogicalResourceId": "Thing",
        "ResourceType": "Custom::Thing",
        "ResourceProperties": {"ServiceToken": token, "Name": "x"},
    }


def test_the_response_url_is_a_pre_signed_put_as_the_real_one(aws: LocalAws, stack: Stack, token: str) -> None:
    url = {"Url": {"Fn::GetAtt": ["Thing", "Url"]}}
    assert stack.create(template(token, {"Thing": {}}, url)) == "CREATE_COMPLETE"
    parts = urlsplit(stack.outputs()["Url"])
    query = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}" == aws.url
    assert parts.path.startswith("/cloudformation-custom-resource-response-useast1/arn%3Aaws%3Acloudformation")
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert query["X-Amz-Expires"] == ["7200"]
    forged = stack.outputs()["Url"].replace("X-Amz-Signature=", "X-Amz-Signature=0")
    request = urllib.request.Request(forged, b"{}", {"Content-Type": ""}, method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


def test_scalars_are_sent_as_text_and_missing_values_not_at_all(stack: Stack, token: str) -> None:
    properties = {
        "Flag": True,
        "Number": 3600,
        "List": [1, False, {"Ref": "AWS::NoValue"}, "x"],
        "Map": {"Deep": {"Number": 1, "Gone": {"Ref": "AWS::NoValue"}}},
        "Gone": {"Ref": "AWS::NoValue"},
    }
    assert stack.create(template(token, {"Thing": properties})) == "CREATE_COMPLETE"
    (request,) = stack.requests()
    assert request["event"]["ResourceProperties"] == {
        "ServiceToken": token,
        "Flag": "true",
        "Number": "3600",
        "List": ["1", "false", "x"],
        "Map": {"Deep": {"Number": "1"}},
    }


def test_attributes_are_text_or_lists_of_it(stack: Stack, token: str) -> None:
    outputs = {
        "Ref": {"Ref": "Thing"},
        "Flag": {"Fn::GetAtt": ["Thing", "Flag"]},
        "Number": {"Fn::GetAtt": ["Thing", "Number"]},
        "List": {"Fn::Join": ["+", {"Fn::GetAtt": ["Thing", "List"]}]},
    }
    assert stack.create(template(token, {"Thing": {}}, outputs)) == "CREATE_COMPLETE"
    assert stack.outputs() == {"Ref": "made-Thing", "Flag": "true", "Number": "3600", "List": "a+b"}


def test_an_update_carries_the_old_properties_and_the_id(stack: Stack, token: str) -> None:
    stack.create(template(token, {"Thing": {"Size": 1}}))
    assert stack.update(template(token, {"Thing": {"Size": 2}})) == "UPDATE_COMPLETE"
    event = stack.requests()[-1]["event"]
    assert event["PhysicalResourceId"] == "made-Thing"
    assert event["ResourceProperties"]["Size"] == "2"
    assert event["OldResourceProperties"]["Size"] == "1"


LONG = {"Data": {"Text": "x" * 4096}}
WRONG = [
    ({"answer": LONG}, "Response object is too long."),
    ({"raw": "Success"}, "not JSON"),
    ({"raw": "[]"}, "not a JSON object"),
    ({"answer": {"StackId": "other"}}, "StackId is 'other'"),
    ({"answer": {"RequestId": "other"}}, "RequestId is 'other'"),
    ({"answer": {"LogicalResourceId": "Other"}}, "LogicalResourceId is 'Other'"),
    ({"answer": {"PhysicalResourceId": None}}, "Invalid PhysicalResourceId"),
    ({"answer": {"PhysicalResourceId": ""}}, "Invalid PhysicalResourceId"),
    ({"answer": {"PhysicalResourceId": "é" * 513}}, "Invalid PhysicalResourceId"),
    ({"answer": {"Status": "OK"}}, "Status is 'OK'"),
    ({"answer": {"Status": "FAILED"}}, "needs a Reason"),
    ({"answer": {"Status": "FAILED", "Reason": ""}}, "needs a Reason"),
]


@pytest.mark.parametrize(("wrong", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_an_answer_outside_the_protocol_fails_the_resource(
    stack: Stack, token: str, wrong: dict[str, Any], reason: str
) -> None:
    assert stack.create(template(token, {"Thing": {"OnCreate": wrong}})) == "ROLLBACK_COMPLETE"
    assert reason in stack.reasons()["Thing"]


def test_an_answer_of_4096_bytes_is_just_short_enough(stack: Stack, token: str) -> None:
    assert stack.create(template(token, {"Thing": {"Size": 1}})) == "CREATE_COMPLETE"
    event = stack.requests()[0]["event"]
    plain = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "made-Thing",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": "Thing",
        "Data": {"Text": ""},
    }
    room = 4096 - len(json.dumps(plain))
    fits = {"answer": {"Data": {"Text": "x" * room}}}
    assert stack.update(template(token, {"Thing": {"OnUpdate": fits}})) == "UPDATE_COMPLETE"
    too_long = {"answer": {"Data": {"Text": "x" * (room + 1)}}}
    assert stack.update(template(token, {"Thing": {"OnUpdate": too_long}})) == "UPDATE_ROLLBACK_COMPLETE"


def test_an_answer_with_a_content_type_is_not_accepted(stack: Stack, token: str) -> None:
    typed = {"content_type": "application/json"}
    assert stack.create(template(token, {"Thing": {"OnCreate": typed, "ServiceTimeout": 1}})) == "ROLLBACK_COMPLETE"
    assert "did not receive a response" in stack.reasons()["Thing"]


def test_the_reason_of_a_failure_is_shown(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "no room for a <thing> & more"}}
    assert stack.create(template(token, {"Thing": {"OnCreate": failed}})) == "ROLLBACK_COMPLETE"
    request_id = stack.requests()[0]["request_id"]
    assert stack.reasons()["Thing"] == (
        "Received response status [FAILED] from custom resource. Message returned: no room for a <thing> & more "
        f"(RequestId: {request_id})"
    )


def test_a_failed_create_is_followed_by_a_delete_of_the_id_it_answered(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "no", "PhysicalResourceId": "half-made"}}
    assert stack.create(template(token, {"Thing": {"OnCreate": failed}})) == "ROLLBACK_COMPLETE"
    assert summary(stack, "Thing") == [("Create", None), ("Delete", "half-made")]
    assert stack.statuses("Thing") == [
        "CREATE_IN_PROGRESS",
        "CREATE_FAILED",
        "DELETE_IN_PROGRESS",
        "DELETE_COMPLETE",
    ]


def test_a_create_without_an_id_is_followed_by_a_delete_of_an_invented(stack: Stack, token: str) -> None:
    assert stack.create(template(token, {"Thing": {"OnCreate": {"raw": "?"}}})) == "ROLLBACK_COMPLETE"
    (_, (request, physical_id)) = summary(stack, "Thing")
    assert request == "Delete"
    assert str(physical_id).startswith(f"{stack.name}-Thing-")


def test_a_failed_create_in_an_update_is_deleted_too(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "no", "PhysicalResourceId": "half-made"}}
    stack.create(template(token, {"Thing": {}}))
    things: Things = {"Thing": {}, "New": {"OnCreate": failed}}
    assert stack.update(template(token, things)) == "UPDATE_ROLLBACK_COMPLETE"
    assert summary(stack, "New") == [("Create", None), ("Delete", "half-made")]
    assert stack.physical_ids() == {"Thing": "made-Thing"}


def test_a_delete_that_fails_in_a_rollback_fails_the_rollback(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "no"}}
    things: Things = {"Thing": {"OnCreate": failed, "OnDelete": failed}}
    assert stack.create(template(token, things)) == "ROLLBACK_FAILED"


def test_what_was_made_before_a_failure_is_deleted_in_reverse(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "no"}}
    things: Things = {"First": {}, "Second": {"DependsOn": "First", "OnCreate": failed}}
    assert stack.create(template(token, things)) == "ROLLBACK_COMPLETE"
    deleted = [request["logical_id"] for request in stack.requests() if request["request"] == "Delete"]
    assert deleted == ["Second", "First"]


def test_a_new_id_in_an_update_is_a_replacement(stack: Stack, token: str) -> None:
    replaced = {"answer": {"PhysicalResourceId": "newer"}}
    stack.create(template(token, {"Thing": {}, "User": {"DependsOn": "Thing"}}))
    things: Things = {"Thing": {"OnUpdate": replaced}, "User": {"DependsOn": "Thing", "Of": {"Ref": "Thing"}}}
    assert stack.update(template(token, things)) == "UPDATE_COMPLETE"
    requests = [(request["request"], request["logical_id"], request["physical_id"]) for request in stack.requests()]
    assert requests[2:] == [
        ("Update", "Thing", "made-Thing"),
        ("Update", "User", "made-User"),
        ("Delete", "Thing", "made-Thing"),
    ]
    assert stack.physical_ids()["Thing"] == "newer"


def test_a_rolled_back_replacement_deletes_the_new_id_and_keeps_the_old(stack: Stack, token: str) -> None:
    replaced = {"answer": {"PhysicalResourceId": "newer"}}
    failed = {"answer": {"Status": "FAILED", "Reason": "no"}}
    stack.create(template(token, {"Thing": {}, "User": {"DependsOn": "Thing"}}))
    things: Things = {"Thing": {"OnUpdate": replaced}, "User": {"DependsOn": "Thing", "OnUpdate": failed}}
    # The rollback sends the failed one its old properties, which do not make it fail.
    assert stack.update(template(token, things)) == "UPDATE_ROLLBACK_COMPLETE"
    assert summary(stack, "Thing") == [("Create", None), ("Update", "made-Thing"), ("Delete", "newer")]
    assert stack.physical_ids()["Thing"] == "made-Thing"


def test_a_rollback_updates_back_to_the_old_properties(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "no"}}
    stack.create(template(token, {"Thing": {"Size": 1}, "User": {"DependsOn": "Thing"}}))
    things: Things = {"Thing": {"Size": 2}, "User": {"DependsOn": "Thing", "OnUpdate": failed}}
    assert stack.update(template(token, things)) == "UPDATE_ROLLBACK_COMPLETE"
    event = stack.requests("Thing")[-1]["event"]
    assert event["RequestType"] == "Update"
    assert (event["ResourceProperties"]["Size"], event["OldResourceProperties"]["Size"]) == ("1", "2")
    assert summary(stack, "User") == [("Create", None), ("Update", "made-User"), ("Update", "made-User")]


def test_a_failed_update_that_names_another_id_loses_what_that_id_names(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "no", "PhysicalResourceId": "somebody-elses"}}
    stack.create(template(token, {"Thing": {}}))
    assert stack.update(template(token, {"Thing": {"OnUpdate": failed}})) == "UPDATE_ROLLBACK_COMPLETE"
    assert ("Delete", "somebody-elses") in summary(stack, "Thing")
    assert stack.physical_ids() == {"Thing": "made-Thing"}


def test_a_failed_delete_keeps_the_resource_for_another_try(stack: Stack, token: str) -> None:
    failed = {"answer": {"Status": "FAILED", "Reason": "in use"}}
    stack.create(template(token, {"Thing": {"OnDelete": failed}}))
    assert stack.delete() == "DELETE_FAILED"
    assert "in use" in stack.reasons()["Thing"]
    assert stack.delete() == "DELETE_FAILED"
    assert len(stack.requests()) == 3


def test_a_failing_invocation_is_made_again_twice(stack: Stack, token: str) -> None:
    assert stack.create(template(token, {"Thing": {"OnCreate": {"fail": 2}}})) == "CREATE_COMPLETE"


def test_no_answer_within_the_service_timeout_is_a_failure(stack: Stack, token: str) -> None:
    for behaviour in ({"fail": 3}, {"silent": True}):
        things: Things = {"Thing": {"OnCreate": behaviour, "ServiceTimeout": 1}}
        assert stack.create(template(token, things)) == "ROLLBACK_COMPLETE"
        assert "did not receive a response from your Custom Resource" in stack.reasons()["Thing"]
        stack.delete()


@pytest.mark.parametrize("timeout", ["0", "3601", "soon"])
def test_a_service_timeout_has_limits(stack: Stack, token: str, timeout: str) -> None:
    assert stack.create(template(token, {"Thing": {"ServiceTimeout": timeout}})) == "ROLLBACK_COMPLETE"
    assert "between 1 and 3600" in stack.reasons()["Thing"]


def test_a_service_token_that_is_no_arn_fails_at_once(stack: Stack, token: str) -> None:
    name = token.rpartition(":")[2]
    assert stack.create(template(name, {"Thing": {}})) == "ROLLBACK_COMPLETE"
    assert "is not the ARN of a Lambda function" in stack.reasons()["Thing"]
    assert stack.requests() == []


def test_an_unknown_service_token_fails_at_once(stack: Stack, token: str) -> None:
    assert stack.create(template(f"{token}-not", {"Thing": {}})) == "ROLLBACK_COMPLETE"
    assert "names no Lambda function" in stack.reasons()["Thing"]
    assert stack.requests() == []


def test_conditions_take_texts_apart_and_put_them_together(stack: Stack) -> None:
    begins = {"Fn::Equals": [{"Fn::Select": [0, {"Fn::Split": [":", {"Ref": "Text"}]}]}, "arn"]}
    empty = {"Fn::Equals": [{"Fn::Join": ["", {"Ref": "List"}]}, ""]}
    conditions = {"Begins": begins, "Empty": empty, "Both": {"Fn::And": [{"Condition": "Begins"}, empty]}}
    found = {name: {"Value": {"Fn::If": [name, "yes", "no"]}} for name in conditions}
    whole = {
        "Parameters": {"Text": {"Type": "String"}, "List": {"Type": "CommaDelimitedList"}},
        "Conditions": conditions,
        "Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
        "Outputs": found,
    }
    assert stack.create(whole, Text="arn:aws", List="") == "CREATE_COMPLETE"
    assert stack.outputs() == {"Begins": "yes", "Empty": "yes", "Both": "yes"}
    assert stack.update(whole, Text="name", List="a,b") == "UPDATE_COMPLETE"
    assert stack.outputs() == {"Begins": "no", "Empty": "no", "Both": "no"}


@pytest.mark.parametrize("reference", [{"Ref": "Nothing"}, {"Fn::GetAtt": ["Nothing", "Arn"]}])
def test_a_reference_to_nothing_is_refused_before_there_is_a_stack(
    stack: Stack, token: str, refused: Any, reference: dict[str, Any]
) -> None:
    there = {"Fn::Join": ["", [{"Ref": "AWS::Region"}, {"Ref": "Other"}]]}
    with refused("ValidationError", "Unresolved resource dependencies [Nothing] in the Resources block"):
        stack.create(template(token, {"Thing": {"Name": {"Fn::Join": ["", [reference]]}}}))
    with refused("ValidationError", "Unresolved resource dependencies [Nothing] in the Outputs block"):
        stack.create(template(token, {"Thing": {}}, {"Found": reference}))
    assert not stack.exists()
    assert stack.create(template(token, {"Thing": {"Name": there}, "Other": {}}, {"Found": there})) == "CREATE_COMPLETE"
