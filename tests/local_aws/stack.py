"""One CloudFormation stack: an operation on it, what came of it, and why."""

from __future__ import annotations

import json
from typing import Any, Protocol

from local_aws import LocalAws, LocalAwsError, until

# A call that is denied on a new object is made again for a minute.
OPERATION_SECONDS = 100
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]

Template = str | dict[str, Any]


Resource = tuple[str, dict[str, Any]]


def template(token: str, resources: dict[str, Resource], outputs: dict[str, Any] | None = None) -> Template:
    """A template of custom resources: type and properties by logical id."""
    text: dict[str, Any] = {
        "Resources": {
            logical_id: {"Type": resource_type, "Properties": {"ServiceToken": token, **properties}}
            for logical_id, (resource_type, properties) in resources.items()
        }
    }
    if outputs:
        text["Outputs"] = {name: {"Value": value} for name, value in outputs.items()}
    return text


class Clients(Protocol):
    """An AWS: here or elsewhere."""

    def client(self, service: str) -> Any: ...


class Stack:
    def __init__(
        self,
        aws: Clients,
        name: str,
        *,
        seconds: float = OPERATION_SECONDS,
        pause: float = 0.05,
        tags: list[dict[str, str]] | None = None,
    ) -> None:
        self.name = name
        self._aws = aws
        self._seconds, self._pause, self._tags = seconds, pause, tags or []
        self._cloudformation = aws.client("cloudformation")
        self._id = ""
        self._seen = 0

    @classmethod
    def existing(cls, aws: LocalAws, name: str) -> Stack:
        """One that somebody else has created."""
        stack = cls(aws, name)
        stack.find()
        return stack

    def find(self) -> None:
        self._id = str(self._describe()["StackId"])

    @property
    def id(self) -> str:
        return self._id

    # Operations: each returns the status that the stack ends in.

    def create(self, template: Template, **parameters: str) -> str:
        self._seen = 0
        answer = self._cloudformation.create_stack(**self._request(template, parameters))
        self._id = answer["StackId"]
        return self.settle()

    def update(self, template: Template, **parameters: str) -> str:
        self._seen = len(self._all_events())
        self._cloudformation.update_stack(**self._request(template, parameters))
        return self.settle()

    def delete(self) -> str:
        self._seen = len(self._all_events())
        self._cloudformation.delete_stack(StackName=self._id or self.name)
        return self.settle()

    # What came of the last one

    def exists(self) -> bool:
        return bool(self._id) and self.status() != "DELETE_COMPLETE"

    def status(self) -> str:
        return str(self._describe()["StackStatus"])

    def outputs(self) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self._describe().get("Outputs", [])}

    def parameters(self) -> dict[str, str]:
        found = self._describe().get("Parameters", [])
        return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in found}

    def physical_ids(self) -> dict[str, str]:
        answer = self._cloudformation.describe_stack_resources(StackName=self._id or self.name)
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in answer["StackResources"]}

    def events(self) -> list[dict[str, Any]]:
        """The events of the last operation, oldest first."""
        return self._all_events()[self._seen :]

    def statuses(self, logical_id: str) -> list[str]:
        return [event["ResourceStatus"] for event in self.events() if event["LogicalResourceId"] == logical_id]

    def reasons(self) -> dict[str, str]:
        """Why resources of the last operation failed: the reason by logical id."""
        return {
            event["LogicalResourceId"]: event.get("ResourceStatusReason", "")
            for event in self.events()
            if event["ResourceStatus"].endswith("_FAILED")
        }

    def requests(self, logical_id: str | None = None) -> list[dict[str, Any]]:
        """The requests that CloudFormation has made of custom resources of this stack, since it was first created."""
        return [
            entry
            for entry in self._local().recording()
            if entry["kind"] == "request" and entry["stack"] == self.name and logical_id in (None, entry["logical_id"])
        ]

    def _local(self) -> LocalAws:
        assert isinstance(self._aws, LocalAws)
        return self._aws

    def _request(self, template: Template, parameters: dict[str, str]) -> dict[str, Any]:
        return {
            "StackName": self.name,
            "TemplateBody": template if isinstance(template, str) else json.dumps(template),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            "Capabilities": CAPABILITIES,
            **({"Tags": self._tags} if self._tags else {}),
        }

    def _describe(self) -> dict[str, Any]:
        stacks: list[dict[str, Any]] = self._cloudformation.describe_stacks(StackName=self._id or self.name)["Stacks"]
        return stacks[0]

    def _all_events(self) -> list[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self._id or self.name)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def settle(self) -> str:
        def settled() -> str | None:
            status = self.status()
            return None if status.endswith("_IN_PROGRESS") else status

        try:
            return until(settled, f"stack {self.name} to settle", self._seconds, every=self._pause)
        except LocalAwsError as error:
            last = "\n".join(
                f"  {event['LogicalResourceId']} {event['ResourceStatus']} {event.get('ResourceStatusReason', '')}"
                for event in self.events()[-5:]
            )
            raise LocalAwsError(f"{error}; it is {self.status()}, and its last events are:\n{last}") from None
