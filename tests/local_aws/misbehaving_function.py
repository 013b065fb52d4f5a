"""A custom resource's function that does as its properties say: the overlay's tests deploy it into the local AWS.

`OnCreate`, `OnUpdate` and `OnDelete` are JSON objects of what to do at that request:

    answer        members that replace those of a good answer; null takes one out
    raw           the body to send instead, as text
    content_type  the Content-Type to send it with
    fail          how many invocations are to fail before one works
    silent        send nothing
"""

from __future__ import annotations

import json
import os
import tempfile
import urllib.request
from typing import Any


def handler(event: dict[str, Any], context: object) -> None:
    properties = event["ResourceProperties"]
    wanted = json.loads(properties.get("On" + event["RequestType"], "{}"))
    if _invocations(event["RequestId"]) <= wanted.get("fail", 0):
        raise RuntimeError("told to fail")
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId", "made-" + event["LogicalResourceId"]),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Url": event["ResponseURL"], "Flag": True, "Number": 3600, "List": ["a", "b"]},
    }
    for name, value in wanted.get("answer", {}).items():
        if value is None:
            del answer[name]
        else:
            answer[name] = value
    if not wanted.get("silent"):
        _put(event["ResponseURL"], wanted.get("raw", json.dumps(answer)), wanted.get("content_type", ""))


def _invocations(request_id: str) -> int:
    path = os.path.join(tempfile.gettempdir(), "invocations-" + request_id)
    with open(path, "a+") as file:
        file.write("x")
        return file.tell()


def _put(url: str, body: str, content_type: str) -> None:
    request = urllib.request.Request(url, body.encode(), {"Content-Type": content_type}, method="PUT")
    urllib.request.urlopen(request, timeout=10)
