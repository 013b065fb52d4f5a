"""What IAM refuses in a role's trust policy."""

from __future__ import annotations

import json
import re
from typing import Any

import ministack.services.iam as iam
from ministack.core.responses import get_account_id

from emulator.query_api import Refused

SIZE_QUOTA = 2048
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(oidc|saml)-provider/(?P<issuer>\S+)")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_GITHUB = re.compile(r"token\.actions\.(githubusercontent\.com(/[^/]+)?|[^./]+\.ghe\.com)")
_OPERATORS = ("StringEquals", "StringLike", "StringEqualsIgnoreCase")


def check(document: str) -> None:
    """Raises what CreateRole and UpdateAssumeRolePolicy would answer."""
    try:
        policy = json.loads(document)
    except ValueError:
        raise _malformed("This policy contains invalid Json") from None
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise _malformed("Syntax errors in policy.")
    for statement in statements:
        _check_statement(statement)
    # White space does not count towards the quota.
    if len(re.sub(r"\s", "", document)) > SIZE_QUOTA:
        raise Refused(409, "LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {SIZE_QUOTA}")


def _check_statement(statement: Any) -> None:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        raise _malformed("Syntax errors in policy.")
    for field in ("Principal", "Action"):
        if not statement.get(field):
            raise _malformed(f"Missing required field {field}")
    if "Resource" in statement:
        raise _malformed("Has prohibited field Resource")
    principal = statement["Principal"]
    if not isinstance(principal, dict):
        return
    for arn in _list(principal.get("AWS")):
        _check_iam_principal(arn)
    for provider in _list(principal.get("Federated")):
        match = _PROVIDER.fullmatch(provider)
        if match is None and _DOMAIN.fullmatch(provider) is None:
            raise _malformed("Federated principals must be valid domain names or SAML metadata ARNs")
        if match and statement["Effect"] == "Allow" and _GITHUB.fullmatch(match["issuer"]):
            _check_subject(statement.get("Condition") or {}, match["issuer"])


def _check_iam_principal(arn: str) -> None:
    """A role or user of this account that does not exist (or not yet) is refused; others cannot be looked up."""
    match = re.fullmatch(r"arn:aws[a-z-]*:iam::(\d{12}):(role|user)/(?:.*/)?([^/]+)", arn)
    if match is None or match[1] != get_account_id():
        return
    found = (iam._roles if match[2] == "role" else iam._users).get(match[3])
    if found is None or found["Arn"] != arn:
        raise _malformed(f'Invalid principal in policy: "AWS":"{arn}"')


def _check_subject(conditions: dict[str, Any], issuer: str) -> None:
    keys = (f"{issuer}:sub", f"{issuer}:job_workflow_ref")
    for operator in _OPERATORS:
        for name, values in (conditions.get(operator) or {}).items():
            # IAM looks at the first value of a list only: ["repo:acme/x", "*"] passes.
            if name.lower() in keys and re.fullmatch(r"[*?]*", (_list(values) or [""])[0]) is None:
                return
    raise _malformed(
        f"The trust policy for the OIDC provider {issuer} must evaluate, using {', '.join(_OPERATORS[:-1])} or "
        f"{_OPERATORS[-1]}, the condition key {issuer}:sub or {issuer}:job_workflow_ref with a value which is "
        "not scoped to all"
    )


def _list(values: Any) -> list[str]:
    if values is None:
        return []
    return [str(value) for value in values] if isinstance(values, list) else [str(values)]


def _malformed(message: str) -> Refused:
    return Refused(400, "MalformedPolicyDocument", message)
