"""The evaluator of our own says what the tables of IAM's documentation say."""

from __future__ import annotations

from typing import Any

import pytest

from iam_evaluator import ISSUER, admits

PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
KEYS = {f"{ISSUER}:sub": "repo:o/r:x", f"{ISSUER}:ref": "a$b*"}


def policy(operator: str, claim: str, values: Any, version: str = "2012-10-17") -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {operator: {f"{ISSUER}:{claim}": values}},
    }
    return {"Version": version, "Statement": statement}


@pytest.mark.parametrize(
    ("operator", "claim", "values", "expected"),
    [
        ("StringEquals", "sub", ["x", "repo:o/r:x"], True),
        ("StringEquals", "sub", "repo:*", False),
        ("StringLike", "Sub", "repo:?/*", True),
        ("StringLike", "sub", "REPO:*", False),
        ("StringEqualsIgnoreCase", "sub", "REPO:O/R:x", True),
        ("StringNotLike", "sub", ["x", "repo:*"], False),
        ("StringNotEquals", "environment", "x", True),
        ("StringEquals", "environment", "x", False),
        ("StringLikeIfExists", "environment", "x", True),
        ("ForAllValues:StringLike", "environment", "x", True),
        ("ForAnyValue:StringLike", "environment", "x", False),
        ("ForAnyValue:StringNotLike", "environment", "x", False),
        ("Null", "environment", "true", True),
        ("Null", "sub", "true", False),
        ("StringEquals", "ref", "a${$}b${*}", True),
        ("StringLike", "ref", "a${$}b*", True),
        ("StringEquals", "ref", f"${{{ISSUER}:ref}}", True),
        ("StringLike", "sub", "repo:${aws:username, 'o'}/*", True),
        ("StringLike", "sub", "repo:${aws:username}/*", False),
    ],
)
def test_operators_and_missing_keys(operator: str, claim: str, values: Any, expected: bool) -> None:
    assert admits(policy(operator, claim, values), PROVIDER, KEYS) is expected


def test_a_variable_is_text_in_the_older_language() -> None:
    assert not admits(policy("StringEquals", "ref", "a${$}b${*}", "2008-10-17"), PROVIDER, KEYS)


def test_a_denial_counts_more_than_an_allow() -> None:
    allow = policy("StringLike", "sub", "*")["Statement"]
    deny = {**policy("StringLike", "ref", "a*")["Statement"], "Effect": "Deny"}
    other = {**deny, "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/gitlab.com"}}
    assert not admits({"Version": "2012-10-17", "Statement": [allow, deny]}, PROVIDER, KEYS)
    assert admits({"Version": "2012-10-17", "Statement": [allow, other]}, PROVIDER, KEYS)
