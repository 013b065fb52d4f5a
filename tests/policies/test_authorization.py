"""Every action of our policies is one of AWS, and every condition has a key that the action knows."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Any

import pytest

from authorization import reference
from render import Template
from scp import service_control_policy

# Keys that hold for every action.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL = {"aws:calledvia", "aws:principalarn", "aws:principalisawsservice"}
# The reference leaves it out; Lambda documents it for calls in a function's name.
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
ELSEWHERE = {"lambda:sourcefunctionarn"}
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:github-1a2b3c"  # noqa: S105 - where it is
SETS: dict[str, dict[str, str]] = {
    "default": {},
    "no boundary": {"RolePermissionsBoundary": "None", "AllowInlinePolicies": "Always"},
    "everything": {
        "GitHubSecretArn": SECRET,
        "KmsKeyArn": KEY,
        "SubnetIds": "subnet-0a1",
        "SecurityGroupIds": "sg-0a1",
        "StackAccounts": "111122223333,444455556666",
        "PassableRoles": "arn:aws:iam::111122223333:role/tasks/*",
        "AssumableRoles": "arn:aws:iam::111122223333:role/cdk-*",
        "ExemptRoles": "arn:aws:iam::111122223333:role/github/pipeline",
    },
    "wide": {"AllowRoleAdoption": "true", "AllowClusterAdmin": "true", "RolePath": "/"},
}


def statements(parameters: dict[str, str]) -> Iterator[dict[str, Any]]:
    template = Template(**parameters)
    for document in (*template.function_policies().values(), template.boundary()):
        yield from document["Statement"] if document else []
    yield from service_control_policy()["Statement"]


def meant(pattern: str) -> list[str]:
    return fnmatch.filter(reference(), pattern.lower())


@pytest.mark.parametrize("parameters", SETS.values(), ids=SETS)
def test_aws_knows_every_action(parameters: dict[str, str]) -> None:
    patterns = {
        action
        for statement in statements(parameters)
        for name in ("Action", "NotAction")
        for action in as_list(statement.get(name, []))
    }
    assert len(patterns) > 50
    assert [pattern for pattern in sorted(patterns) if not meant(pattern)] == []


@pytest.mark.parametrize("parameters", SETS.values(), ids=SETS)
def test_every_action_knows_the_keys_of_its_conditions(parameters: dict[str, str]) -> None:
    pairs = {
        (action, key)
        for statement in statements(parameters)
        for keys in statement.get("Condition", {}).values()
        for key in keys
        for pattern in as_list(statement.get("Action", []))
        for action in meant(pattern)
        if key.lower() not in GLOBAL | ELSEWHERE
    }
    assert len(pairs) > 10
    assert sorted(pair for pair in pairs if not knows(*pair)) == []


def test_a_pair_that_the_reference_does_not_have_is_found() -> None:
    assert knows("iam:updateassumerolepolicy", "iam:PermissionsBoundary")
    assert knows("iam:deleterole", "aws:ResourceTag/github-trust:stack-id")
    assert not knows("iam:deleterole", "iam:PolicyARN")
    # The entry's own, and not the request's: what the key then holds, the reference does not say.
    assert not knows("eks:updateaccessentry", "eks:username")
    assert meant("iam:UpdateRoleTrust") == []


def knows(action: str, key: str) -> bool:
    """Whether the request has the key, or the tag of a resource that the action is about."""
    entry = reference()[action]
    of_resources = [known for known in entry.resource_keys if known.lower().startswith("aws:resourcetag/")]
    return any(same_key(known, key) for known in [*entry.keys, *of_resources])


def same_key(known: str, key: str) -> bool:
    """`${TagKey}` stands for what follows the slash, `kms:EncryptionContext:${…}` for what follows the colon."""
    beginning, variable, _ = known.partition("${")
    return key.lower().startswith(beginning.lower()) if variable else key.lower() == known.lower()


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
