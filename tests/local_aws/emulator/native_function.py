"""What ministack forgets of an AWS::Lambda::Function that is created: its network, its key, and its concurrency.

It keeps them for who looks; no function runs in a network here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.lambda_svc as lambda_svc

TYPE = "AWS::Lambda::Function"

Create = Callable[[str, dict[str, Any], str], tuple[str, dict[str, Any]]]


def install() -> None:
    handlers = provisioners._RESOURCE_HANDLERS[TYPE]
    provisioners._RESOURCE_HANDLERS[TYPE] = {**handlers, "create": _remembering(handlers["create"])}


def _remembering(stock: Create) -> Create:
    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        name, attributes = stock(logical_id, properties, stack_name)
        function = lambda_svc._functions[name]
        for property_name, member in (("VpcConfig", "VpcConfig"), ("KmsKeyArn", "KMSKeyArn")):
            if property_name in properties:
                function["config"][member] = properties[property_name]
        if "ReservedConcurrentExecutions" in properties:
            function["concurrency"] = int(properties["ReservedConcurrentExecutions"])
        return name, attributes

    return create
