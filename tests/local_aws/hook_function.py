"""A hook's function that answers as its environment says, and remembers its events: the overlay's tests deploy it."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any


def handler(event: dict[str, Any], context: Any) -> Any:
    if "Show" in event:
        with open(os.environ["EVENTS"]) as file:
            return [json.loads(line) for line in file]
    payload = event["requestData"].get("payload")
    if payload:
        event["requestData"]["fetched"] = json.load(urllib.request.urlopen(payload, timeout=10))
    event["invokedFunctionArn"] = context.invoked_function_arn
    with open(os.environ["EVENTS"], "a") as file:
        file.write(json.dumps(event) + "\n")
    answer = json.loads(os.environ["ANSWER"])
    if answer == "fail":
        raise RuntimeError("told to fail")
    if answer == "later" and event["requestContext"]["invocation"] < 3:
        return {"hookStatus": "IN_PROGRESS", "callbackContext": {"seen": True}}
    return {"hookStatus": "SUCCESS", "message": "fine"} if answer == "later" else answer
