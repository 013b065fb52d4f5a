"""IAM OIDC providers: what the API refuses, and the six actions that ministack lacks.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html and its neighbours.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import ministack.services.iam as iam

from emulator import query_api as api
from emulator.query_api import Params, Refused, answers, before

THUMBPRINTS = 5
CLIENT_IDS = 100
# "If it is not included, IAM will retrieve and use the top intermediate CA thumbprint": nothing is retrieved here, so
# it is always this one, which was GitHub's until 2023.
RETRIEVED_THUMBPRINT = "6938fd4d98bab03faadb97b34396831e3780aea1"


@before("CreateOpenIDConnectProvider")
def _a_provider_can_be_made(params: Params) -> None:
    url = api.required(params, "Url")
    api.check_length(url, "url", 255, 1)
    _check_url(url)
    _check_thumbprints(api.members(params, "ThumbprintList"))
    client_ids = api.members(params, "ClientIDList")
    for client_id in client_ids:
        _check_client_id(client_id)
    _check_number_of_client_ids(len(client_ids))
    api.check_tags(api.tags(params))
    if not api.members(params, "ThumbprintList"):
        params["ThumbprintList.member.1"] = [RETRIEVED_THUMBPRINT]


@answers("GetOpenIDConnectProvider")
def _get(params: Params) -> str:
    provider = _provider(params)
    client_ids = "".join(f"<member>{escape(client_id)}</member>" for client_id in provider["ClientIDList"])
    thumbprints = "".join(f"<member>{thumbprint}</member>" for thumbprint in provider["ThumbprintList"])
    return (
        # IAM keeps the URL without its scheme.
        f"<Url>{escape(provider['Url'].removeprefix('https://'))}</Url>"
        f"<ClientIDList>{client_ids}</ClientIDList>"
        f"<ThumbprintList>{thumbprints}</ThumbprintList>"
        f"<CreateDate>{provider['CreateDate']}</CreateDate>"
        f"<Tags>{api.tags_xml(provider['Tags'])}</Tags>"
    )


@answers("UpdateOpenIDConnectProviderThumbprint")
def _update_thumbprint(params: Params) -> None:
    provider = _provider(params)
    thumbprints = api.members(params, "ThumbprintList")
    if not thumbprints:
        raise Refused(400, "InvalidInput", "Thumbprint list must contain at least one entry.")
    _check_thumbprints(thumbprints)
    provider["ThumbprintList"] = thumbprints


@answers("AddClientIDToOpenIDConnectProvider")
def _add_client_id(params: Params) -> None:
    provider = _provider(params)
    client_id = api.required(params, "ClientID")
    _check_client_id(client_id)
    if client_id not in provider["ClientIDList"]:
        _check_number_of_client_ids(len(provider["ClientIDList"]) + 1)
        provider["ClientIDList"].append(client_id)


@answers("RemoveClientIDFromOpenIDConnectProvider")
def _remove_client_id(params: Params) -> None:
    provider = _provider(params)
    client_id = api.required(params, "ClientID")
    # Idempotent: "it does not fail if you try to remove a client ID that does not exist".
    provider["ClientIDList"] = [known for known in provider["ClientIDList"] if known != client_id]


@answers("TagOpenIDConnectProvider")
def _tag(params: Params) -> None:
    provider = _provider(params)
    new = api.tags(params)
    api.check_tags(new, provider["Tags"])
    kept = [tag for tag in provider["Tags"] if tag["Key"] not in new]
    provider["Tags"] = kept + [{"Key": key, "Value": text} for key, text in new.items()]


@answers("UntagOpenIDConnectProvider")
def _untag(params: Params) -> None:
    provider = _provider(params)
    keys = api.members(params, "TagKeys")
    provider["Tags"] = [tag for tag in provider["Tags"] if tag["Key"] not in keys]


@answers("ListOpenIDConnectProviderTags")
def _list_tags(params: Params) -> str:
    return f"<Tags>{api.tags_xml(_provider(params)['Tags'])}</Tags><IsTruncated>false</IsTruncated>"


def _provider(params: Params) -> dict[str, Any]:
    arn = api.required(params, "OpenIDConnectProviderArn")
    provider = iam._oidc_providers.get(arn)
    if provider is None:
        raise Refused(404, "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    return provider


def _check_url(url: str) -> None:
    """The URL "must begin with https://", has no port and no query."""
    parts = urlsplit(url)
    authority = parts.netloc
    if parts.scheme != "https" or not authority or ":" in authority or "@" in authority or "?" in url or "#" in url:
        raise Refused(400, "ValidationError", "Invalid Open ID Connect Provider URL")


def _check_thumbprints(thumbprints: list[str]) -> None:
    if len(thumbprints) > THUMBPRINTS:
        raise Refused(400, "InvalidInput", f"Thumbprint list must contain fewer than {THUMBPRINTS} entries.")
    for thumbprint in thumbprints:
        if re.fullmatch(r"[0-9A-Fa-f]{40}", thumbprint) is None:
            raise api.invalid(thumbprint, "thumbprintList", "Member must be 40 hexadecimal digits")


def _check_client_id(client_id: str) -> None:
    api.check_length(client_id, "clientIDList", 255, 1)


def _check_number_of_client_ids(number: int) -> None:
    if number > CLIENT_IDS:
        raise Refused(409, "LimitExceeded", f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {CLIENT_IDS}")
