"""A handler as its users write it: crhelper for the protocol, boto3 for IAM, and the thumbprint of the issuer."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import boto3
from crhelper import CfnResource

helper = CfnResource(json_logging=False, log_level="INFO", boto_level="CRITICAL")
iam = None
try:
    iam = boto3.client("iam")
except Exception as error:
    helper.init_failure(error)


def thumbprint(url: str) -> str:
    """Of the last certificate that the issuer sends."""
    host = urlsplit(url).hostname or ""
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, int(os.environ["ISSUER_PORT"])), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=host) as tls,
    ):
        # Public since Python 3.13.
        if hasattr(tls, "get_unverified_chain"):
            chain = tls.get_unverified_chain()
        else:
            chain = [one.public_bytes(2) for one in tls._sslobj.get_unverified_chain()]
    return hashlib.sha1(chain[-1]).hexdigest()  # noqa: S324 - what IAM asks for


@helper.create
def create(event: dict[str, Any], _: object) -> str:
    properties = event["ResourceProperties"]
    made = iam.create_open_id_connect_provider(
        Url=properties["Url"],
        ClientIDList=properties["ClientIDList"],
        ThumbprintList=[thumbprint(properties["Url"])],
        Tags=properties.get("Tags", []),
    )
    return str(made["OpenIDConnectProviderArn"])


def handler(event: dict[str, Any], context: object) -> None:
    helper(event, context)
