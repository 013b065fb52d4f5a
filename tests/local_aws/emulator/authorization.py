"""What AUTH=true needs to evaluate a least-privilege policy: resource ARNs, condition keys and tags of resources.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html and
…/list_amazonelastickubernetesservice.html say which action knows what.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import ministack.core.iam_actions as iam_actions
import ministack.core.iam_evaluator as iam_evaluator
import ministack.services.eks as eks
import ministack.services.iam as iam
import ministack.services.tagging as tagging

Tags = list[dict[str, str]]

# For these the key is the boundary in the request, for the rest that of the role.
_BOUNDARY_IN_REQUEST = {"CreateRole", "PutRolePermissionsBoundary"}
_BOUNDARY_OF_ROLE = {
    "AttachRolePolicy",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePolicy",
    "UpdateAssumeRolePolicy",
    "UpdateRole",
}
_POLICY_ARN = {"AttachRolePolicy", "DetachRolePolicy"}
_ALSO_TAG = {
    "iam:CreateRole": "iam:TagRole",
    "iam:CreateOpenIDConnectProvider": "iam:TagOpenIDConnectProvider",
    "eks:CreateAccessEntry": "eks:TagResource",
}
# The action and resource of such a second check that failed, for the answer to name.
_denied: ContextVar[tuple[str, str] | None] = ContextVar("denied", default=None)
_EKS_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "CreateAccessEntry": {
        "eks:principalArn": ("principalArn",),
        "eks:username": ("username",),
        "eks:kubernetesGroups": ("kubernetesGroups",),
        "eks:accessEntryType": ("type",),
        "eks:clusterName": ("clusterName",),
    },
    "UpdateAccessEntry": {"eks:username": ("username",), "eks:kubernetesGroups": ("kubernetesGroups",)},
    "AssociateAccessPolicy": {
        "eks:policyArn": ("policyArn",),
        "eks:accessScope": ("accessScope", "type"),
        "eks:namespaces": ("accessScope", "namespaces"),
    },
}


# EKS asks for this, too, to make an entry of these types.
# https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html
_ALSO_PASS = ("EC2_LINUX", "EC2_WINDOWS")
# The file that says what these two keys hold: the reference does not. `local_aws.READINGS` has the choices.
_READING = Path(os.environ.get("EMULATOR_EKS_KEYS", "/nonexistent"))
_UNDECIDED = ("eks:kubernetesGroups", "eks:username")

# What actions on an entry that is there find in the entry, where the request does not say it.
_EKS_KEYS_OF_ENTRY = {
    "eks:accessEntryType": "type",
    "eks:clusterName": "clusterName",
    "eks:kubernetesGroups": "kubernetesGroups",
    "eks:principalArn": "principalArn",
    "eks:username": "username",
}


def install() -> None:
    iam_evaluator._fnmatch_compile = _pattern
    for operator in ("arnequals", "arnlike"):
        iam_evaluator._CONDITION_OPS[operator] = _arn_like
    for operator in ("arnnotequals", "arnnotlike"):
        iam_evaluator._CONDITION_OPS[operator] = _arn_not_like
    iam_evaluator.enforce = _of_entries(iam_evaluator.enforce)
    iam_actions.extract_resource_arn = _resource_arns(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _conditions(iam_actions.request_tag_context)
    iam_evaluator.enforce = _demanding_to_tag(iam_evaluator.enforce)
    iam_actions.access_denied_response = _naming_the_resource(iam_actions.access_denied_response)
    collectors = tagging._RESOURCE_TAG_COLLECTORS
    collectors["iam"] = _iam_tags(collectors["iam"])
    collectors["eks"] = _eks_tags


@functools.lru_cache
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    """`${*}`, `${?}` and `${$}` stand for these characters themselves.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
    """
    parts = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    meaning = {"*": ".*", "?": "."}
    text = "".join(meaning.get(part) or re.escape(part[2] if part.startswith("${") else part) for part in parts if part)
    return re.compile(f"^{text}$", re.IGNORECASE if ignore_case else 0)


def _arn_like(actual: str, expected: str) -> bool:
    """Each of the six parts of an ARN is compared by itself.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
    """
    found, wanted = actual.split(":", 5), expected.split(":", 5)
    return len(found) == len(wanted) == 6 and all(map(iam_evaluator.fnmatch_iam_cs, found, wanted))


def _arn_not_like(actual: str, expected: str) -> bool:
    return not _arn_like(actual, expected)


def _resource_arns(stock: Callable[..., str]) -> Callable[..., str]:
    def extract(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found = None
        if service == "iam":
            found = _iam_arn(query, account)
        elif service == "eks":
            found = _eks_arn(path, region, account)
        return found or stock(service, method, path, headers, body, query, region, account)

    return extract


def _iam_arn(query: Any, account: str) -> str | None:
    if arn := iam_actions._query_param(query, "OpenIDConnectProviderArn"):
        return arn
    if iam_actions._query_param(query, "Action") == "CreateOpenIDConnectProvider":
        url = iam_actions._query_param(query, "Url")
        return f"arn:aws:iam::{account}:oidc-provider/{re.sub('^https?://', '', url).rstrip('/')}"
    if name := iam_actions._query_param(query, "InstanceProfileName"):
        # Also for adding or removing a role, which is no resource of these actions.
        profile = iam._instance_profiles.get(name) or {}
        return profile.get("Arn") or f"arn:aws:iam::{account}:instance-profile/{name}"
    if name := iam_actions._query_param(query, "RoleName"):
        role = iam._roles.get(name)
        path = role["Path"] if role else iam_actions._query_param(query, "Path") or "/"
        return f"arn:aws:iam::{account}:role{path}{name}"
    return None


def _eks_arn(path: str, region: str, account: str) -> str | None:
    if path.startswith("/tags/"):
        return unquote(path.removeprefix("/tags/"))
    match = re.fullmatch(r"/clusters/([^/]+)/access-entries/(.+?)(?:/access-policies(?:/.+)?)?", path)
    if match is None:
        return None
    cluster, principal = match[1], unquote(match[2])
    if entry := eks._access_entries.get(eks._ae_key(cluster, principal)):
        return entry["accessEntryArn"]
    return _unknown_entry_arn(cluster, principal, region, account)


def _unknown_entry_arn(cluster: str, principal: str, region: str, account: str) -> str:
    """An entry that does not exist has no UUID to show, but a policy for all of the cluster's entries covers it."""
    owner, _, principal_name = principal.rpartition("/")
    parts = f"{owner}:::::".split(":")
    kind = parts[5].partition("/")[0]
    return f"arn:aws:eks:{region}:{account}:access-entry/{cluster}/{kind}/{parts[4]}/{principal_name}/*"


def _conditions(stock: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        action = iam_action.partition(":")[2]
        found = dict(stock(service, iam_action, body, params))
        if service == "iam":
            found.update(_iam_conditions(action, params))
        elif service == "eks" and action in _EKS_KEYS:
            found.update(_eks_conditions(action, body))
        return found

    return context


def _iam_conditions(action: str, params: Any) -> dict[str, Any]:
    role = iam._roles.get(iam_actions._query_param(params, "RoleName")) or {}
    provider = iam._oidc_providers.get(iam_actions._query_param(params, "OpenIDConnectProviderArn")) or {}
    found: dict[str, Any] = {
        f"iam:ResourceTag/{tag['Key']}": tag["Value"] for tag in (role or provider).get("Tags") or []
    }
    boundary = ""
    if action in _BOUNDARY_IN_REQUEST:
        boundary = iam_actions._query_param(params, "PermissionsBoundary")
    elif action in _BOUNDARY_OF_ROLE:
        boundary = role.get("PermissionsBoundary") or ""
    if boundary:
        found["iam:PermissionsBoundary"] = boundary
    if action in _POLICY_ARN:
        found["iam:PolicyARN"] = iam_actions._query_param(params, "PolicyArn")
    return found


def _eks_conditions(action: str, body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}
    found = {}
    for key, path in _EKS_KEYS[action].items():
        value = request
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value:
            found[key] = value
    return found


def _reading() -> str:
    return _READING.read_text() if _READING.exists() else "request, else entry"


def _of_entries(stock: Callable[..., Any]) -> Callable[..., Any]:
    """An entry that is there brings its own conditions."""

    def enforce(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(service_context or {})
        if service == "eks":
            _complete(context, action, resource_arn)
        return stock(access_key, action, service, region, resource_arn=resource_arn, service_context=context)

    return enforce


def _complete(context: dict[str, Any], action: str, resource_arn: str) -> None:
    reading = _reading()
    entries = (entry for entry in eks._access_entries.values() if entry["accessEntryArn"] == resource_arn)
    entry = next(entries, {})
    for key, member in _EKS_KEYS_OF_ENTRY.items():
        held = entry.get(member)
        if held and (key not in _UNDECIDED or reading == "request, else entry"):
            context.setdefault(key, held)
        elif held and reading == "entry":
            context[key] = held
        elif entry and reading == "entry":
            context.pop(key, None)
        elif key in _UNDECIDED and reading == "request, else empty" and (entry or action == "eks:CreateAccessEntry"):
            context.setdefault(key, "")


def _demanding_to_tag(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Making something with tags takes the permission to tag it, too, and an entry for nodes that to pass its role."""

    def enforce(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = stock(access_key, action, service, region, resource_arn=resource_arn, service_context=service_context)
        context = service_context or {}
        if not denied and context.get("eks:accessEntryType") in _ALSO_PASS and action == "eks:CreateAccessEntry":
            passing, role = "iam:PassRole", context["eks:principalArn"]
            passed = {"iam:PassedToService": "eks.amazonaws.com"}
            denied = stock(access_key, passing, "iam", region, resource_arn=role, service_context=passed)
            _denied.set((passing, role) if denied else None)
        if denied or action not in _ALSO_TAG or "aws:TagKeys" not in context:
            return denied
        if service == "eks":
            _, _, _, _, account, cluster = resource_arn.split(":")
            name = cluster.removeprefix("cluster/")
            resource_arn = _unknown_entry_arn(name, context["eks:principalArn"], region, account)
        tagging = _ALSO_TAG[action]
        denied = stock(access_key, tagging, service, region, resource_arn=resource_arn, service_context=context)
        _denied.set((tagging, resource_arn) if denied else None)
        return denied

    return enforce


def _naming_the_resource(stock: Callable[..., Any]) -> Callable[..., Any]:
    """IAM and EKS say which resource a denied call was for."""

    def response(service: str, action: str, principal: str, request_id: str, **details: Any) -> Any:
        if denied := _denied.get():
            _denied.set(None)
            action, details["resource_arn"] = denied
        failed_otherwise = details.get("error_code") or details.get("message") or details.get("resource_policy_arn")
        if service in ("iam", "eks") and not failed_otherwise:
            details["message"] = iam_actions.identity_denial_message(
                action, principal, details.get("resource_arn", "*"), bool(details.get("explicit_deny"))
            )
        return stock(service, action, principal, request_id, **details)

    return response


def _iam_tags(stock: Callable[[], Iterator[tuple[str, Tags]]]) -> Callable[[], Iterator[tuple[str, Tags]]]:
    def collect() -> Iterator[tuple[str, Tags]]:
        yield from stock()
        for arn, provider in iam._oidc_providers.items():
            yield arn, provider["Tags"]

    return collect


def _eks_tags() -> Iterator[tuple[str, Tags]]:
    for arn, tags in eks._tags.items():
        yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]
