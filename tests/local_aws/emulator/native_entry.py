"""AWS::EKS::AccessEntry, which ministack does not know, and the import of it and of AWS::IAM::OIDCProvider: enough of
both to leave custom resources for them. Their updates are missing.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-eks-accessentry.html
"""

from __future__ import annotations

import json
from typing import Any

import ministack.services.cloudformation.changesets as changesets
import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.eks as eks
import ministack.services.iam as iam

from emulator import native_provider

TYPE = "AWS::EKS::AccessEntry"


def install() -> None:
    handlers = provisioners._RESOURCE_HANDLERS
    handlers[TYPE] = {"create": _create, "delete": _delete, "import": _import}
    handlers[native_provider.TYPE]["import"] = _import_provider
    changesets._IMPORT_LOOKUPS[TYPE] = (("PrincipalArn", "ClusterName"), _problem)
    changesets._IMPORT_LOOKUPS[native_provider.TYPE] = (("Arn",), _provider_problem)


def _create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    cluster, principal = properties["ClusterName"], properties["PrincipalArn"]
    members = {"Type": "type", "Username": "username", "KubernetesGroups": "kubernetesGroups"}
    body = {member: properties[name] for name, member in members.items() if properties.get(name)}
    tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    entry = _done(eks._create_access_entry(cluster, {**body, "principalArn": principal, "tags": tags}))["accessEntry"]
    for policy in properties.get("AccessPolicies", []):
        scope = {name.lower(): value for name, value in policy["AccessScope"].items()}
        asked = {"policyArn": policy["PolicyArn"], "accessScope": scope}
        _done(eks._associate_access_policy(cluster, principal, asked))
    return f"{principal}|{cluster}", {"AccessEntryArn": entry["accessEntryArn"]}


def _done(response: tuple[int, dict[str, str], bytes]) -> dict[str, Any]:
    status, _, body = response
    found: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise ValueError(found.get("message", str(found)))
    return found


def _delete(physical_id: str, properties: dict[str, Any]) -> None:
    principal, cluster = physical_id.split("|")
    eks._delete_access_entry(cluster, principal)


def _entry(principal: str, cluster: str) -> dict[str, Any] | None:
    return eks._access_entries.get(eks._ae_key(cluster, principal))


def _problem(principal: str, cluster: str) -> str | None:
    return None if _entry(principal, cluster) else f"Access entry {principal}|{cluster} does not exist."


def _import(identifier: dict[str, str]) -> tuple[str, dict[str, Any]]:
    principal, cluster = identifier["PrincipalArn"], identifier["ClusterName"]
    entry = _entry(principal, cluster) or {}
    return f"{principal}|{cluster}", {"AccessEntryArn": entry["accessEntryArn"]}


def _provider_problem(arn: str) -> str | None:
    return None if arn in iam._oidc_providers else f"OpenIDConnect Provider not found for arn {arn}"


def _import_provider(identifier: dict[str, str]) -> tuple[str, dict[str, Any]]:
    return identifier["Arn"], {"Arn": identifier["Arn"]}
