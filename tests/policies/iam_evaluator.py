"""IAM's evaluation of trust policies, written from IAM's documentation alone.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

ACTION = "sts:AssumeRoleWithWebIdentity"
ISSUER = "token.actions.githubusercontent.com"
# "Available keys for AWS OIDC federation": those of any provider, and those of GitHub's.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
CLAIMS = {
    *("amr", "aud", "sub"),
    *("actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref", "repository"),
    *("repository_id", "repository_owner_id", "workflow"),
}
VARIABLE = re.compile(r"\$\{([^}]*)\}")
Keys = dict[str, str]


def keys_of(claims: Keys) -> Keys:
    """The condition keys that STS makes of a token's claims."""
    return {f"{ISSUER}:{claim}": value for claim, value in claims.items() if claim in CLAIMS}


def admits(policy: dict[str, Any], provider: str, keys: Keys) -> bool:
    """Whether a policy lets the token with these condition keys in: an allow, and no denial."""
    has_variables = policy.get("Version") == "2012-10-17"
    lower = {key.lower(): value for key, value in keys.items()}
    effects = {
        statement["Effect"]
        for statement in _listed(policy["Statement"])
        if _has_action(statement) and _has_principal(statement, provider) and _is_met(statement, lower, has_variables)
    }
    return effects == {"Allow"}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _has_action(statement: dict[str, Any]) -> bool:
    def names(actions: Any) -> bool:
        return any(_glob(_split(action, {}, False) or [], ACTION, ignore_case=True) for action in _listed(actions))

    return names(statement["Action"]) if "Action" in statement else not names(statement["NotAction"])


def _has_principal(statement: dict[str, Any], provider: str) -> bool:
    principal = statement["Principal"]
    return principal == "*" or provider in _listed(principal.get("Federated", []))


def _is_met(statement: dict[str, Any], keys: Keys, has_variables: bool) -> bool:
    """All operators and all keys have to be met."""
    return all(
        _condition(operator, key.lower(), [str(value) for value in _listed(values)], keys, has_variables)
        for operator, compared in statement.get("Condition", {}).items()
        for key, values in compared.items()
    )


def _condition(operator: str, key: str, values: list[str], keys: Keys, has_variables: bool) -> bool:
    quantifier, _, operator = operator.rpartition(":")
    found = keys.get(key)
    if operator == "Null":
        return any((found is None) == (value.lower() == "true") for value in values)
    may_lack = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    is_negated = "Not" in operator
    if found is None:
        # "ForAllValues also returns true if there are no context keys in the request", "ForAnyValue returns false".
        return may_lack or (quantifier == "ForAllValues") or (is_negated and not quantifier)
    compare = _COMPARISONS[operator.replace("Not", "")]
    patterns = [pattern for value in values if (pattern := _split(value, keys, has_variables)) is not None]
    return any(compare(pattern, found) for pattern in patterns) != is_negated


# A pattern: characters, of which those of a wildcard are marked.
Pattern = list[tuple[str, bool]]


def _split(value: str, keys: Keys, has_variables: bool) -> Pattern | None:
    """The characters of a value with its variables replaced; nothing if one of them has no value."""
    pattern: Pattern = []
    end = 0
    for variable in VARIABLE.finditer(value) if has_variables else ():
        name, has_default, default = (part.strip() for part in variable[1].partition(","))
        text = name if name in {"*", "?", "$"} else keys.get(name.lower())
        if text is None and has_default:
            text = default.strip("'")
        if text is None:
            return None
        pattern += [(character, character in "*?") for character in value[end : variable.start()]]
        pattern += [(character, False) for character in text]
        end = variable.end()
    return pattern + [(character, character in "*?") for character in value[end:]]


def _glob(pattern: Pattern, text: str, ignore_case: bool = False) -> bool:
    wild = {"*": ".*", "?": "."}
    parts = (wild[character] if is_wild else re.escape(character) for character, is_wild in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _text(pattern: Pattern) -> str:
    return "".join(character for character, _ in pattern)


_COMPARISONS: dict[str, Callable[[Pattern, str], bool]] = {
    "StringEquals": lambda pattern, found: _text(pattern) == found,
    "StringEqualsIgnoreCase": lambda pattern, found: _text(pattern).lower() == found.lower(),
    "StringLike": _glob,
    "IpAddress": lambda pattern, found: ipaddress.ip_address(found) in ipaddress.ip_network(_text(pattern)),
}
