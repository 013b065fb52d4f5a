"""EKS access entries: ListAccessPolicies, paging, defaults, and what the API refuses.

https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html; wordings of errors are EKS's own where
a public report shows them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ministack.services.eks as eks
import ministack.services.iam as iam
from ministack.core.responses import get_account_id, get_region

Response = tuple[int, dict[str, str], bytes]
Body = dict[str, Any]

# A page is short, so that a client that does not ask for the next one is found out.
PAGE = 10
# The names of `aws eks list-access-policies`, by a published transcript of 2026. The Rust simulation reads them, too.
POLICIES = tuple(
    f"arn:aws:eks::aws:cluster-access-policy/{name}"
    for name in (Path(__file__).parent / "access_policies.txt").read_text(encoding="utf-8").split()
)
RESERVED_PREFIXES = ("system:", "eks:", "aws:", "amazon:", "iam:")
NODE = "system:node:{{EC2PrivateDNSName}}"
SESSION = "system:node:{{SessionName}}"
# For each type but STANDARD: the username and groups that EKS gives the entry, which nobody may set.
DEFAULTS: dict[str, tuple[str, list[str]]] = {
    "EC2": (NODE, ["system:nodes"]),
    "EC2_LINUX": (NODE, ["system:nodes"]),
    "EC2_WINDOWS": (NODE, ["system:nodes", "eks:kube-proxy-windows"]),
    "FARGATE_LINUX": (SESSION, ["system:bootstrappers", "system:nodes", "system:node-proxier"]),
    "HYBRID_LINUX": (SESSION, ["system:bootstrappers", "system:nodes"]),
    "HYPERPOD_LINUX": (SESSION, ["system:nodes"]),
}
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):(?P<kind>role|user)/(?P<path>.*/)?(?P<name>[^/]+)")


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _bad_parameter(message: str) -> Refused:
    return Refused(400, "InvalidParameterException", message)


def install() -> None:
    eks._VALID_ACCESS_ENTRY_TYPES = ("STANDARD", *DEFAULTS)
    eks._access_entry_arn = access_entry_arn
    eks._resolve_tag_resource_arn = _resolving_access_entries(eks._resolve_tag_resource_arn)
    # Tagging names its errors differently from the rest of the API.
    eks._invalid_tag_resource_arn = lambda arn: eks._error(400, "BadRequestException", f"Invalid resource ARN: {arn}")
    eks._tag_resource_not_found = lambda arn: eks._error(404, "NotFoundException", f"Resource not found: {arn}")
    eks._create_cluster = _with_defaults(eks._create_cluster)
    eks._handle_request_sync = _with_more_routes(eks._handle_request_sync)
    eks._create_access_entry = _checked(eks._create_access_entry, _complete_entry)
    eks._describe_access_entry = _checked(eks._describe_access_entry, _show_tags)
    eks._update_access_entry = _checked(eks._update_access_entry, _check_update)
    eks._delete_access_entry = _checked(eks._delete_access_entry, _check_found)
    eks._associate_access_policy = _checked(_also_for_ec2(eks._associate_access_policy), _check_association)
    eks._disassociate_access_policy = _checked(_also_for_ec2(eks._disassociate_access_policy), _check_has_policies)
    eks._list_access_entries = _paged(_checked(eks._list_access_entries), "accessEntries")
    eks._list_associated_access_policies = _paged(
        _checked(eks._list_associated_access_policies, _check_has_policies), "associatedAccessPolicies"
    )


def access_entry_arn(cluster: str, principal: str) -> str:
    match = _PRINCIPAL.fullmatch(principal)
    # The root user, which ministack makes the creator of a cluster, is the one principal that has no name.
    owner = f"{match['kind']}/{match['account']}/{match['name']}" if match else f"root/{get_account_id()}/root"
    return f"arn:aws:eks:{get_region()}:{get_account_id()}:access-entry/{cluster}/{owner}/{uuid.uuid4()}"


def _resolving_access_entries(stock: Callable[[str], tuple[str | None, Response | None]]) -> Callable[[str], Any]:
    def resolve(arn: str) -> tuple[str | None, Response | None]:
        if ":access-entry/" not in arn:
            return stock(arn)
        if any(entry["accessEntryArn"] == arn for entry in eks._access_entries.values()):
            return arn, None
        return None, eks._tag_resource_not_found(arn)

    return resolve


def _with_defaults(stock: Callable[..., Response]) -> Callable[..., Response]:
    def create_cluster(body: Body, creator_arn: str | None = None) -> Response:
        access = {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True}
        access.update(body.get("accessConfig") or {})
        if access["authenticationMode"] == "CONFIG_MAP" and not access["bootstrapClusterCreatorAdminPermissions"]:
            return eks._error(
                400,
                "InvalidParameterException",
                "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to "
                "CONFIG_MAP",
            )
        return stock({**body, "accessConfig": access}, creator_arn)

    return create_cluster


def _with_more_routes(stock: Callable[..., Response]) -> Callable[..., Response]:
    def handle(method: str, path: str, headers: Any, body: bytes, query: dict[str, list[str]]) -> Response:
        if path == "/access-policies" and method == "GET":
            return _list_access_policies({name: values[0] for name, values in query.items()})
        if path.startswith("/tags/") and method == "DELETE":
            # ministack reads the first of several keys only.
            for key in query.get("tagKeys", []):
                response = stock(method, path, headers, body, {"tagKeys": [key]})
                if response[0] != 200:
                    return response
        return stock(method, path, headers, body, query)

    return handle


def _list_access_policies(query: dict[str, str]) -> Response:
    policies = [{"name": arn.rsplit("/", 1)[-1], "arn": arn} for arn in POLICIES]
    try:
        return eks._json_resp(200, _page(query, "accessPolicies", policies))
    except Refused as refusal:
        return eks._error(refusal.status, refusal.code, refusal.message)


def _checked(stock: Callable[..., Response], check: Callable[..., None] | None = None) -> Callable[..., Response]:
    """Every operation on access entries needs a cluster that has them; `check` gets the operation's arguments."""

    def operation(cluster: str, *arguments: Any) -> Response:
        try:
            _check_cluster(cluster)
            if check is not None:
                check(cluster, *arguments)
        except Refused as refusal:
            return eks._error(refusal.status, refusal.code, refusal.message)
        return stock(cluster, *arguments)

    return operation


def _also_for_ec2(stock: Callable[..., Response]) -> Callable[..., Response]:
    """ministack knows access policies of STANDARD entries only. An entry of the type EC2 passes for one meanwhile."""

    def operation(cluster: str, principal: str, *arguments: Any) -> Response:
        entry = _found(cluster, principal)
        kind, entry["type"] = entry["type"], "STANDARD"
        try:
            return stock(cluster, principal, *arguments)
        finally:
            entry["type"] = kind

    return operation


def _paged(stock: Callable[..., Response], member: str) -> Callable[..., Response]:
    def operation(*arguments: Any) -> Response:
        *path, query = arguments
        status, headers, body = stock(*path, {**query, "maxResults": 1_000_000})
        if status != 200:
            return status, headers, body
        answer = json.loads(body)
        try:
            return eks._json_resp(200, {**answer, **_page(query, member, answer[member])})
        except Refused as refusal:
            return eks._error(refusal.status, refusal.code, refusal.message)

    return operation


def _page(query: dict[str, str], member: str, items: list[Any]) -> Body:
    size = int(query.get("maxResults") or PAGE)
    if not 1 <= size <= 100:
        raise _bad_parameter("maxResults must be between 1 and 100")
    start = 0
    if token := query.get("nextToken"):
        try:
            start = int(base64.urlsafe_b64decode(token))
        except (binascii.Error, ValueError):
            raise _bad_parameter("The nextToken is not valid") from None
    page: Body = {member: items[start : start + size]}
    if start + size < len(items):
        page["nextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return page


def _check_cluster(name: str) -> None:
    cluster = eks._clusters.get(name)
    if cluster is None:
        raise Refused(404, "ResourceNotFoundException", f"No cluster found for name: {name}.")
    if cluster["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise Refused(
            400,
            "InvalidRequestException",
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation.",
        )


def _complete_entry(cluster: str, body: Body) -> None:
    """Checks a new entry and fills in what EKS would."""
    kind = body.setdefault("type", "STANDARD")
    match = _check_principal(body.get("principalArn") or "", kind)
    if kind in DEFAULTS:
        _check_only_standard(kind, body)
        body["username"], body["kubernetesGroups"] = DEFAULTS[kind]
        return
    _check_identity(body)
    if not body.get("username"):
        # https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html, "Username"
        body["username"] = (
            f"arn:aws:sts::{match['account']}:assumed-role/{match['name']}/{{{{SessionName}}}}"
            if match["kind"] == "role"
            else body["principalArn"]
        )


def _check_principal(arn: str, kind: str) -> re.Match[str]:
    match = _PRINCIPAL.fullmatch(arn)
    if match is None or (match["path"] or "").startswith("aws-service-role/"):
        raise _bad_parameter("The principalArn parameter format is not valid")
    if match["account"] != get_account_id():
        if kind != "STANDARD":
            raise _bad_parameter(f"An access entry of type {kind} needs a principal of the cluster's account")
        return match
    found = (iam._roles if match["kind"] == "role" else iam._users).get(match["name"])
    if found is None or found["Arn"] != arn:
        raise _bad_parameter("The specified principalArn is invalid: invalid principal.")
    return match


def _check_only_standard(kind: str, body: Body) -> None:
    for field in ("kubernetesGroups", "username"):
        if body.get(field):
            raise _bad_parameter(f"{field} can only be set for access entries of type STANDARD, not {kind}")


def _check_identity(body: Body) -> None:
    for group in body.get("kubernetesGroups") or []:
        for prefix in RESERVED_PREFIXES:
            if group.startswith(prefix):
                raise _bad_parameter(f"The kubernetes group name {group} is invalid, it cannot start with {prefix}")
    username = body.get("username") or ""
    for prefix in RESERVED_PREFIXES:
        if username.startswith(prefix):
            raise _bad_parameter(f"The username must not begin with {prefix}")
    if "{{SessionName" in username and ":" not in username.split("{{SessionName")[0]:
        raise _bad_parameter("The username must have a colon before {{SessionName}}")


def _found(cluster: str, principal: str) -> Body:
    entry = eks._access_entries.get(eks._ae_key(cluster, principal))
    if entry is None:
        raise Refused(
            404,
            "ResourceNotFoundException",
            "The specified principalArn could not be found. You can view your available access entries with "
            "'list-access-entries'.",
        )
    return entry


def _check_found(cluster: str, principal: str) -> None:
    _found(cluster, principal)


def _show_tags(cluster: str, principal: str) -> None:
    entry = _found(cluster, principal)
    entry["tags"] = dict(eks._tags.get(entry["accessEntryArn"]) or {})


def _check_update(cluster: str, principal: str, body: Body) -> None:
    entry = _found(cluster, principal)
    if entry["type"] != "STANDARD":
        _check_only_standard(entry["type"], body)
    _check_identity(body)
    _show_tags(cluster, principal)


def _check_has_policies(cluster: str, principal: str, *_: Any) -> None:
    kind = _found(cluster, principal)["type"]
    # EC2 is the documented exception, for AmazonEKSAutoNodePolicy.
    if kind not in ("STANDARD", "EC2"):
        # aws-controllers-k8s/community#2144
        raise Refused(
            400,
            "InvalidRequestException",
            'This operation can only be performed on Access Entries with a type of "STANDARD".',
        )


def _check_association(cluster: str, principal: str, body: Body) -> None:
    _check_has_policies(cluster, principal)
    arn = body.get("policyArn") or ""
    if re.fullmatch(r"arn:aws[a-z-]*:eks::aws:cluster-access-policy/[A-Za-z0-9]+", arn) is None:
        raise _bad_parameter("The policyArn parameter format is not valid")
    if arn not in POLICIES:
        raise Refused(
            404,
            "ResourceNotFoundException",
            "The specified policyArn could not be found. You can view your available access policies with "
            "'list-access-policies'.",
        )
