"""IAM roles: names, limits and quotas that the API keeps to and ministack does not."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import ministack.services.iam as iam

from emulator import query_api as api
from emulator import trust_policy
from emulator.query_api import Params, Refused, answers, before

# GetAccountSummary reports the same numbers.
ATTACHED_POLICIES_QUOTA = 10
INLINE_POLICIES_QUOTA = 10240
SHORTEST_SESSION, LONGEST_SESSION = 3600, 43200
_NAME = r"[\w+=,.@-]+"
_PATH = r"/|/[\x21-\x7e]+/"


@before("CreateRole")
def _a_role_can_be_made(params: Params) -> None:
    name = api.required(params, "RoleName")
    api.check_length(name, "roleName", 64, 1)
    if re.fullmatch(_NAME, name, re.ASCII) is None:
        raise Refused(
            400,
            "ValidationError",
            "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-",
        )
    path = api.value(params, "Path") or "/"
    api.check_length(path, "path", 512)
    api.check_pattern(path, "path", _PATH)
    _check_session_duration(params)
    api.check_tags(api.tags(params))
    # "Names are not distinguished by case", and the path is no part of the name.
    if any(name.lower() == known.lower() for known in iam._roles):
        raise Refused(409, "EntityAlreadyExists", f"Role with name {name} already exists.")
    trust_policy.check(api.required(params, "AssumeRolePolicyDocument"))


@before("UpdateAssumeRolePolicy")
def _a_trust_policy_can_be_set(params: Params) -> None:
    _role(params)
    trust_policy.check(api.required(params, "PolicyDocument"))


@before("UpdateRole")
def _check_session_duration(params: Params) -> None:
    text = api.value(params, "MaxSessionDuration")
    if text is None:
        return
    if not text.isdecimal() or int(text) < SHORTEST_SESSION:
        raise api.invalid(
            text, "maxSessionDuration", f"Member must have value greater than or equal to {SHORTEST_SESSION}"
        )
    if int(text) > LONGEST_SESSION:
        raise api.invalid(text, "maxSessionDuration", f"Member must have value less than or equal to {LONGEST_SESSION}")


@before("AttachRolePolicy")
def _a_policy_can_be_attached(params: Params) -> None:
    role = _role(params)
    arn = api.required(params, "PolicyArn")
    if iam._lookup_policy(arn) is None:
        raise Refused(404, "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    if len({*role["AttachedPolicies"], arn}) > ATTACHED_POLICIES_QUOTA:
        raise Refused(409, "LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {ATTACHED_POLICIES_QUOTA}")


@before("PutRolePolicy")
def _an_inline_policy_can_be_put(params: Params) -> None:
    role = _role(params)
    name = api.required(params, "PolicyName")
    api.check_length(name, "policyName", 128, 1)
    api.check_pattern(name, "policyName", _NAME)
    documents = {**role["InlinePolicies"], name: api.required(params, "PolicyDocument")}
    if sum(len(re.sub(r"\s", "", str(document))) for document in documents.values()) > INLINE_POLICIES_QUOTA:
        raise Refused(
            409,
            "LimitExceeded",
            f"Maximum policy size of {INLINE_POLICIES_QUOTA} bytes exceeded for role {role['RoleName']}",
        )


@before("TagRole")
def _a_role_can_be_tagged(params: Params) -> None:
    api.check_tags(api.tags(params), _role(params)["Tags"])


@answers("ListRoleTags")
def _list_tags(params: Params) -> str:
    return f"<Tags>{api.tags_xml(_role(params)['Tags'])}</Tags><IsTruncated>false</IsTruncated>"


def _role(params: Params) -> dict[str, Any]:
    name = api.required(params, "RoleName")
    role = iam._roles.get(name)
    if role is None:
        raise Refused(404, "NoSuchEntity", f"The role with name {name} cannot be found.")
    return role


def role_xml(name: str, boundary: bool = True) -> str:
    """A role as GetRole and CreateRole show it; without `boundary` as ListRoles does, which leaves tags out too."""
    role = iam._roles[name]
    trust = quote(role["AssumeRolePolicyDocument"] or "{}", safe="")
    fields = [
        f"<RoleName>{role['RoleName']}</RoleName>",
        f"<RoleId>{role['RoleId']}</RoleId>",
        f"<Arn>{role['Arn']}</Arn>",
        f"<Path>{role['Path']}</Path>",
        f"<CreateDate>{role['CreateDate']}</CreateDate>",
        f"<AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>",
        f"<MaxSessionDuration>{role['MaxSessionDuration']}</MaxSessionDuration>",
    ]
    if role.get("Description"):
        fields.append(f"<Description>{escape(role['Description'])}</Description>")
    if boundary:
        if role.get("PermissionsBoundary"):
            fields.append(
                "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>"
                f"<PermissionsBoundaryArn>{role['PermissionsBoundary']}</PermissionsBoundaryArn></PermissionsBoundary>"
            )
        if role.get("Tags"):
            fields.append(f"<Tags>{api.tags_xml(role['Tags'])}</Tags>")
        fields.append("<RoleLastUsed/>")
    return "".join(fields)


def install() -> None:
    iam._role_xml = role_xml
