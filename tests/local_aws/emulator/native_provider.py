"""AWS::IAM::OIDCProvider, which ministack does not know: enough of it to move away from. Its updates are missing.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-iam-oidcprovider.html
"""

from __future__ import annotations

import time
from typing import Any

import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.iam as iam
from ministack.core.responses import get_account_id

from emulator.iam_providers import RETRIEVED_THUMBPRINT

TYPE = "AWS::IAM::OIDCProvider"


def install() -> None:
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "delete": _delete}


def _create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    url = properties["Url"]
    arn = f"arn:aws:iam::{get_account_id()}:oidc-provider/{url.removeprefix('https://')}"
    if arn in iam._oidc_providers:
        raise ValueError(f"Provider with url {url} already exists.")
    iam._oidc_providers[arn] = {
        "Url": url,
        "Arn": arn,
        "ClientIDList": list(properties.get("ClientIdList", [])),
        "ThumbprintList": list(properties.get("ThumbprintList", [RETRIEVED_THUMBPRINT])),
        "CreateDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "Tags": list(properties.get("Tags", [])),
    }
    return arn, {"Arn": arn}


def _delete(physical_id: str, properties: dict[str, Any]) -> None:
    iam._oidc_providers.pop(physical_id, None)
