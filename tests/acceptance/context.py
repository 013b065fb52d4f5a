"""One run: what its stages and probes share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from local_aws import until
from preflight import NAME, Settings
from services import Services
from stack import Stack, Template, template
from transcript import Transcript

T = TypeVar("T")
# An operation of a stack, a run of a workflow.
OPERATION_SECONDS = 900
PATH = f"/{NAME}/"


class Run:
    def __init__(self, chosen: Settings, services: Services, transcript: Transcript) -> None:
        self.settings, self.services, self.transcript = chosen, services, transcript
        self.client, self.github = services.client, services.github
        self.tags = {NAME: chosen.run}
        # Of the function's stack.
        self.outputs: dict[str, str] = {}
        self.role: dict[str, str] = {}
        self.partition = "aws"

    @property
    def listed_tags(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def stack(self, part: str) -> Stack:
        name = f"{self.settings.name}-{part}" if part else self.settings.name
        return Stack(self.services, name, seconds=OPERATION_SECONDS, pause=self.settings.pause, tags=self.listed_tags)

    def declared(self, outputs: dict[str, Any] | None = None, /, **resources: tuple[str, dict[str, Any]]) -> Template:
        kinds = {name: (f"Custom::{kind}", properties) for name, (kind, properties) in resources.items()}
        return template(self.outputs["ServiceToken"], kinds, outputs)

    def wait(self, check: Callable[[], T | None], what: str, seconds: float = OPERATION_SECONDS) -> T:
        return until(check, what, seconds, every=self.settings.pause)

    def invoke(self, event: dict[str, Any]) -> str:
        """What the function answers, as text."""
        answer = self.client("lambda").invoke(FunctionName=self.outputs["ServiceToken"], Payload=json.dumps(event))
        text: str = answer["Payload"].read().decode()
        if answer.get("FunctionError"):
            raise AssertionError(text)
        return text


def expect(stack: Stack, ended: str, wanted: str) -> None:
    assert ended == wanted, f"{stack.name} is {ended}, not {wanted}: {stack.reasons()}"


def code_of(call: Callable[[], Any]) -> str:
    """The error code of a call, or `done`."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def text_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except ClientError as error:
        found = error.response["Error"]
        return f"{found['Code']}: {found['Message']}"
    return "done"
