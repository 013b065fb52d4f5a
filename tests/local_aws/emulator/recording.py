"""Every call to IAM, EKS and STS, one JSON object a line, in the file that EMULATOR_RECORDING names.

    time        seconds since the epoch, when the call was answered
    kind        "call"
    service     iam, eks or sts
    action      CreateRole
    caller      the caller's ARN: the function's is its execution role's session, ours is the account's root user
    access_key  the caller's access key id
    resource    the ARN that the call was authorized for, or *
    changes     whether this action can change anything
    status      the HTTP status
    error       the error code of a call that failed, else null

Between them stand the requests that CloudFormation makes of custom resources (`cloudformation.py` writes those):

    kind        "request" when the function is about to be invoked, "answer" when its answer has been taken
    type        Custom::GitHubRole
    request     Create, Update or Delete
    …           stack, logical_id, physical_id, request_id, and of an answer: status, reason
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import ministack.app
from ministack.core import iam_actions
from ministack.core.iam_evaluator import resolve_caller_identity
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import detect_service, extract_access_key_id

Dispatch = Callable[..., Awaitable[tuple[int, dict[str, str], bytes]]]

SERVICES = ("iam", "eks", "sts")
_READS = re.compile(r"(Get|List|Describe|Simulate|Generate)|(AssumeRole|DecodeAuthorization)")
_lock = threading.Lock()


def install() -> None:
    ministack.app._dispatch_service_request = _recorded(ministack.app._dispatch_service_request)


def write(entry: dict[str, Any]) -> None:
    """Appends an entry, if a recording is wanted."""
    path = os.environ.get("EMULATOR_RECORDING")
    if path:
        with _lock, open(path, "a", encoding="utf-8") as recording:
            recording.write(json.dumps({"time": round(time.time(), 3), **entry}) + "\n")


def changes(action: str) -> bool:
    return _READS.match(action) is None


def _recorded(stock: Dispatch) -> Dispatch:
    async def dispatch(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]], request_id: str
    ) -> tuple[int, dict[str, str], bytes]:
        service = detect_service(method, path, headers, query)
        if service not in SERVICES:
            return await stock(method, path, headers, body, query, request_id)
        # Before the call: a deletion leaves nothing to find the ARN of.
        call = _describe(service, method, path, headers, body, query)
        status, response_headers, response = await stock(method, path, headers, body, query, request_id)
        write({**call, "status": status, "error": _error_code(response_headers, response) if status >= 400 else None})
        return status, response_headers, response

    return dispatch


def _describe(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> dict[str, Any]:
    parameters = ministack.app._routing_params(method, path, headers, body, query)
    name = iam_actions.extract_iam_action(service, method, path, headers, body, parameters)
    action = name.partition(":")[2] if name else f"{method} {path}"
    access_key = extract_access_key_id(headers, query)
    identity = resolve_caller_identity(access_key) or {}
    return {
        "kind": "call",
        "service": service,
        "action": action,
        "caller": identity.get("userArn"),
        "access_key": access_key,
        "resource": iam_actions.extract_resource_arn(
            service, method, path, headers, body, parameters, get_region(), get_account_id()
        ),
        "changes": changes(action),
    }


def _error_code(headers: dict[str, str], body: bytes) -> str | None:
    lower = {name.lower(): value for name, value in headers.items()}
    if code := lower.get("x-amzn-errortype"):
        return code.partition(":")[0]
    text = body.decode("utf-8", "replace")
    match = re.search(r"<Code>([^<]+)</Code>", text) or re.search(r'"__type":\s*"(?:[^"#]*#)?([^"]+)"', text)
    return match[1] if match else None
