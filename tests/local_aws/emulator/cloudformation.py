"""Custom resources as CloudFormation drives them.

The response URL is a pre-signed PUT into a bucket named like CloudFormation's own; the answer is read back from there,
as bytes, and held to the protocol. A failed Create is followed by a Delete; a failed invocation is made again.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

from __future__ import annotations

import contextvars
import functools
import json
import os
import random
import string
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import ministack.app
import ministack.services.cloudformation.custom_resource as custom_resource
import ministack.services.cloudformation.handlers as handlers
import ministack.services.cloudformation.stacks as stacks
import ministack.services.lambda_svc as lambda_svc
import ministack.services.s3 as s3
from botocore.config import Config
from ministack.core.responses import get_region
from ministack.services.cloudformation import _stacks

from emulator import recording

BUCKET = "cloudformation-custom-resource-response-useast1"
LONGEST_ANSWER = 4096
LONGEST_ID = 1024
LONGEST_TIMEOUT = 3600
URL_LIFETIME = 7200
POLL_SECONDS = 0.02
RETRIES = 2
# Lambda waits one minute and then two; here it is this many seconds and then twice as many.
RETRY_SECONDS = float(os.environ.get("EMULATOR_RETRY_SECONDS", "0.2"))

# Where a stack remembers what its failed resources left behind, for the rollback to delete.
_LEFT_BEHIND = "_left_behind"

# The states of resources whose requests are being waited for, by stack and logical id.
_in_progress: dict[tuple[str, str], dict[str, str]] = {}
# The objects whose deletions are being waited for, as the events of their stacks show them.
_deletions: list[tuple[str, dict[str, str]]] = []


@dataclass(frozen=True)
class Request:
    """One request to a custom resource, as the engine asks for it."""

    kind: str
    logical_id: str
    properties: dict[str, Any]
    stack_name: str
    stack_id: str
    resource_type: str
    physical_id: str | None
    old_properties: dict[str, Any] | None
    request_id: str

    def event(self, response_url: str) -> dict[str, Any]:
        as_sent = custom_resource._normalise_resource_properties
        event = {
            "RequestType": self.kind,
            "ServiceToken": self.properties["ServiceToken"],
            "ResponseURL": response_url,
            "StackId": self.stack_id,
            "RequestId": self.request_id,
            "LogicalResourceId": self.logical_id,
            "ResourceType": self.resource_type,
            "ResourceProperties": as_sent(self.properties),
        }
        if self.physical_id is not None:
            event["PhysicalResourceId"] = self.physical_id
        if self.old_properties is not None:
            event["OldResourceProperties"] = as_sent(self.old_properties)
        return event

    def invented_id(self) -> str:
        """What CloudFormation calls a resource that never told its id."""
        suffix = "".join(random.choices(string.ascii_uppercase + string.digits, k=13))
        return f"{self.stack_name}-{self.logical_id}-{suffix}"


class Failed(RuntimeError):
    """The resource failed, for this reason; `physical_id` is what the answer named, if it was usable."""

    def __init__(self, reason: str, physical_id: str | None = None) -> None:
        super().__init__(reason)
        self.physical_id = physical_id


def install() -> None:
    custom_resource.invoke_custom_resource = invoke_custom_resource
    handlers._ACTION_HANDLERS["DescribeStackResource"] = _describing_what_is_in_progress(
        handlers._describe_stack_resource
    )
    handlers._ACTION_HANDLERS["DescribeStackEvents"] = _telling_of_deletions(handlers._describe_stack_events)
    stacks._roll_back_operation = _deleting_what_is_left_behind(stacks._roll_back_operation)
    ministack.app._dispatch_service_request = _without_content_type(ministack.app._dispatch_service_request)


def invoke_custom_resource(
    request_type: str,
    logical_id: str,
    props: dict[str, Any],
    stack_name: str,
    stack_id: str,
    resource_type: str,
    physical_id: str | None = None,
    old_props: dict[str, Any] | None = None,
) -> tuple[str, dict[str, Any]]:
    """The physical id and the attributes of the resource; raises what the stack event is to say."""
    request = Request(
        request_type, logical_id, props, stack_name, stack_id, resource_type, physical_id, old_props, str(uuid.uuid4())
    )
    function = _function(props.get("ServiceToken"))
    timeout = _timeout(props.get("ServiceTimeout"))
    event = request.event(_response_url(_key(request)))
    _record("request", request, event={name: value for name, value in event.items() if name != "ResponseURL"})
    in_progress = (request.stack_id, request.logical_id)
    deletion = (request.stack_id, _shown(request))
    if request.kind == "Delete":
        _deletions.append(deletion)
    if not _is_of_the_past(request):
        _in_progress[in_progress] = _shown(request)
    _start(function, event)
    try:
        answer = _wait(request, timeout)
        _check(answer, request)
    except Failed as failure:
        _record("answer", request, status="FAILED", reason=str(failure), physical_id=failure.physical_id)
        _remember(request, failure)
        raise
    finally:
        _in_progress.pop(in_progress, None)
        if deletion in _deletions:
            _deletions.remove(deletion)
    _record("answer", request, status="SUCCESS", reason=None, physical_id=answer["PhysicalResourceId"])
    # Whatever Fn::GetAtt gives is text, as the properties are.
    return answer["PhysicalResourceId"], custom_resource._normalise_resource_properties(answer.get("Data") or {})


def _shown(request: Request) -> dict[str, str]:
    return {
        "LogicalResourceId": request.logical_id,
        "PhysicalResourceId": request.physical_id or "",
        "ResourceType": request.resource_type,
        "ResourceStatus": f"{request.kind.upper()}_IN_PROGRESS",
        "LastUpdatedTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _is_of_the_past(request: Request) -> bool:
    """The clean-up deletes an object that the resource no longer is: the resource is shown as it is now."""
    resource = (_stacks.get(request.stack_name) or {}).get("_resources", {}).get(request.logical_id) or {}
    current = resource.get("PhysicalResourceId")
    return request.kind == "Delete" and current is not None and current != request.physical_id


def _describing_what_is_in_progress(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def describe(params: Any) -> Any:
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        shown = stack and _in_progress.get((stack["StackId"], handlers._p(params, "LogicalResourceId")))
        if not shown:
            return stock(params)
        members = {**shown, "StackName": stack["StackName"], "StackId": stack["StackId"]}
        detail = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
        result = f"<StackResourceDetail>{detail}</StackResourceDetail>"
        body = f"<DescribeStackResourceResult>{result}</DescribeStackResourceResult>"
        return handlers._xml(200, "DescribeStackResourceResponse", body)

    return describe


def _telling_of_deletions(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The engine has no event for the beginning of a clean-up's deletion."""

    def describe(params: Any) -> Any:
        status, headers, body = stock(params)
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        if handlers._p(params, "NextToken"):
            return status, headers, body
        told = ""
        for stack_id, shown in list(_deletions):
            if stack and stack["StackId"] == stack_id:
                members = {**shown, "StackId": stack_id, "StackName": stack["StackName"], "EventId": str(uuid.uuid4())}
                members["Timestamp"] = members.pop("LastUpdatedTimestamp")
                told += "<member>" + "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
                told += "</member>"
        return status, headers, body.replace(b"<StackEvents>", f"<StackEvents>{told}".encode(), 1)

    return describe


def _record(kind: str, request: Request, **more: Any) -> None:
    recording.write(
        {
            "kind": kind,
            "type": request.resource_type,
            "request": request.kind,
            "stack": request.stack_name,
            "logical_id": request.logical_id,
            "request_id": request.request_id,
            "physical_id": request.physical_id,
            **more,
        }
    )


def _function(token: Any) -> dict[str, Any]:
    parts = token.split(":") if isinstance(token, str) else []
    if parts[:3] != ["arn", "aws", "lambda"] or len(parts) < 7:
        raise ValueError(f"Custom resource ServiceToken {token!r} is not the ARN of a Lambda function.")
    if parts[3] != get_region():
        raise ValueError(f"Custom resource ServiceToken {token!r} must be in the stack region {get_region()}.")
    record, config, _ = lambda_svc._get_func_record_for_ref(token or "")
    if record is None or config is None:
        raise ValueError(f"Custom resource ServiceToken {token!r} names no Lambda function.")
    return lambda_svc._execution_record_for_config(record, config)


def _timeout(value: Any) -> int:
    if value is None:
        return LONGEST_TIMEOUT
    text = str(value)
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_TIMEOUT:
        raise ValueError(f"ServiceTimeout must be an integer between 1 and {LONGEST_TIMEOUT}, not {text!r}.")
    return int(text)


def _key(request: Request) -> str:
    return f"{request.stack_id}|{request.logical_id}|{request.request_id}"


@functools.cache
def _client() -> Any:
    session = botocore.session.get_session()
    # The account's root user in ministack: the signer here is CloudFormation, not the function.
    session.set_credentials("test", "test")
    client: Any = session.create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=custom_resource._gateway_url(),
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=BUCKET)
    return client


def _response_url(key: str) -> str:
    return _client().generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=URL_LIFETIME)


def _start(function: dict[str, Any], event: dict[str, Any]) -> None:
    """Invokes asynchronously. A failed invocation is made again even when nobody waits for the answer any more."""

    def run() -> None:
        for attempt in range(RETRIES + 1):
            if attempt > 0:
                time.sleep(RETRY_SECONDS * attempt)
            result = lambda_svc._execute_function_with_config_scope(function, event)
            if not result.get("error"):
                return

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()


def _wait(request: Request, timeout: int) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        body = s3._get_object_data(BUCKET, _key(request))
        if body is not None:
            return _parse(body)
        time.sleep(POLL_SECONDS)
    raise Failed(
        "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId "
        f"[{request.request_id}]. If you are using the Python cfn-response module, you may need to update your Lambda "
        "function code so that CloudFormation can attach the updated version."
    )


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > LONGEST_ANSWER:
        raise Failed("Response object is too long.")
    try:
        answer = json.loads(body)
    except ValueError:
        raise Failed("Invalid response object: not JSON.") from None
    if not isinstance(answer, dict):
        raise Failed("Invalid response object: not a JSON object.")
    return answer


def _check(answer: dict[str, Any], request: Request) -> None:
    found = answer.get("PhysicalResourceId")
    if not isinstance(found, str) or not found or len(found.encode()) > LONGEST_ID:
        raise Failed("Invalid PhysicalResourceId")
    expected = {
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_id,
    }
    for name, value in expected.items():
        if answer.get(name) != value:
            raise Failed(f"Invalid response object: {name} is {answer.get(name)!r}, not {value!r}.", found)
    if answer.get("Status") not in ("SUCCESS", "FAILED"):
        raise Failed(f"Invalid response object: Status is {answer.get('Status')!r}, not SUCCESS or FAILED.", found)
    if not isinstance(answer.get("Data") or {}, dict):
        raise Failed("Invalid response object: Data is not an object.", found)
    if answer["Status"] == "FAILED":
        reason = answer.get("Reason")
        if not isinstance(reason, str) or not reason:
            raise Failed("Invalid response object: a FAILED response needs a Reason.", found)
        raise Failed(
            f"Received response status [FAILED] from custom resource. Message returned: {reason} "
            f"(RequestId: {request.request_id})",
            found,
        )


def _remember(request: Request, failure: Failed) -> None:
    """A failed Create has made something until a Delete says otherwise, and so has an Update that names a new id."""
    if request.kind == "Create":
        physical_id = failure.physical_id or request.invented_id()
    elif request.kind == "Update" and failure.physical_id not in (None, request.physical_id):
        physical_id = failure.physical_id
    else:
        return
    stack = _stacks.get(request.stack_name)
    if stack is None:
        return
    record = {
        "PhysicalResourceId": physical_id,
        "ResourceType": request.resource_type,
        "ResourceStatus": f"{request.kind.upper()}_FAILED",
        "LogicalResourceId": request.logical_id,
        "Properties": request.properties,
        "Attributes": {},
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    stack.setdefault(_LEFT_BEHIND, {})[request.logical_id] = record
    if request.kind == "Create":
        # Without a rollback it stays in the stack, for DeleteStack.
        stack["_resources"][request.logical_id] = record


def _deleting_what_is_left_behind(stock: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def roll_back(
        stack_name: str, stack_id: str, stack: dict[str, Any], operation: dict[str, Any], *more: Any, **options: Any
    ) -> None:
        for logical_id, record in stack.pop(_LEFT_BEHIND, {}).items():
            stack["_resources"][logical_id] = record
            operation["created"].append(logical_id)
        await stock(stack_name, stack_id, stack, operation, *more, **options)

    return roll_back


def _without_content_type(stock: recording.Dispatch) -> recording.Dispatch:
    """The URL is signed for no content type, so S3 refuses an answer that carries one."""

    async def dispatch(
        method: str, path: str, headers: dict[str, str], *more: Any
    ) -> tuple[int, dict[str, str], bytes]:
        if method == "PUT" and path.startswith(f"/{BUCKET}/") and headers.get("content-type"):
            return (
                403,
                {"Content-Type": "application/xml"},
                b"<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match "
                b"the signature you provided.</Message></Error>",
            )
        return await stock(method, path, headers, *more)

    return dispatch
