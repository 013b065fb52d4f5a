"""Lambda and CloudFormation, as the function sees them: events, a place for answers, and the states of resources."""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from local_aws import REGION

# Of moto.
ACCOUNT = "123456789012"
TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:github-trust"
IN_PROGRESS = {request: f"{request.upper()}_IN_PROGRESS" for request in ("Create", "Update", "Delete")}
# Unoptimised, on a busy machine.
ANSWER_SECONDS = 60


class Sender:
    def __init__(self) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        # By stack and logical id, as DescribeStackResource shows it.
        self.resources: dict[tuple[str, str], dict[str, str]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"sender": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.place = f"127.0.0.1:{self.server.server_port}"

    def send(self, event: dict[str, Any]) -> dict[str, Any]:
        """The response to an event with a ResponseURL, or how the invocation of another one ended."""
        while not self.answers.empty():
            self.answers.get()
        self.events.put(event)
        response: dict[str, Any] | None = None
        while True:
            by, content = self.answers.get(timeout=ANSWER_SECONDS)
            if by == "response":
                response = content
            else:
                return content if response is None else response

    def request(self, event: dict[str, Any], stack: str) -> dict[str, Any]:
        """The response to a request of a stack."""
        id = uuid.uuid5(uuid.NAMESPACE_DNS, stack)
        event = {
            **event,
            "ServiceToken": TOKEN,
            "ResponseURL": f"http://{self.place}/?X-Amz-Date={time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}",
            "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/{id}",
            "RequestId": str(uuid.uuid4()),
        }
        shown = self.resources[event["StackId"], event["LogicalResourceId"]] = {
            "LastUpdatedTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "LogicalResourceId": event["LogicalResourceId"],
            "PhysicalResourceId": event.get("PhysicalResourceId", ""),
            "ResourceStatus": IN_PROGRESS[event["RequestType"]],
            "ResourceType": event["ResourceType"],
            "StackId": event["StackId"],
        }
        response = self.send(event)
        end = "COMPLETE" if response["Status"] == "SUCCESS" else "FAILED"
        shown["ResourceStatus"] = f"{event['RequestType'].upper()}_{end}"
        shown["PhysicalResourceId"] = response["PhysicalResourceId"]
        return response


class _Handler(BaseHTTPRequestHandler):
    sender: Sender

    def do_GET(self) -> None:
        """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""
        event = json.dumps(self.sender.events.get()).encode()
        headers = {
            "lambda-runtime-aws-request-id": str(uuid.uuid4()),
            "lambda-runtime-deadline-ms": str(int((time.time() + 900) * 1000)),
            "lambda-runtime-invoked-function-arn": TOKEN,
        }
        self.answer(200, event, headers)

    def do_PUT(self) -> None:
        self.sender.answers.put(("response", json.loads(self.content())))
        self.answer(200, b"")

    def do_POST(self) -> None:
        content = self.content()
        if self.path.startswith("/cloudformation"):
            self.cloudformation({name: values[0] for name, values in parse_qs(content).items()})
            return
        self.sender.answers.put(("runtime", json.loads(content or "null") or {}))
        self.answer(202, b"{}")

    def cloudformation(self, asked: dict[str, str]) -> None:
        action, found = (
            asked["Action"],
            self.sender.resources.get((asked["StackName"], asked.get("LogicalResourceId", ""))),
        )
        if action == "DescribeStackResource" and found:
            members = "".join(f"<{name}>{value}</{name}>" for name, value in found.items())
            result = f"<StackResourceDetail>{members}</StackResourceDetail>"
            self.answer(200, f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>".encode())
            return
        error = f"<Type>Sender</Type><Code>ValidationError</Code><Message>{action}: there is no such thing</Message>"
        self.answer(400, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode())

    def content(self) -> str:
        return self.rfile.read(int(self.headers["content-length"])).decode()

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
