"""Roles as tutorials make them, and the command `github-trust` that grades them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from local_aws import ACCOUNT, ROOT, LocalAws

ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
AUDIENCE = {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}}
# Built with the tests of Rust: by itself it would be built with other features of its dependencies, all of them anew.
_WITH_TESTS = ["cargo", "test", "--quiet", "--locked", "--features", "cli", "--no-run"]
# For `make run`, where nobody has built the tests.
_ALONE = ["cargo", "build", "--quiet", "--locked", "--features", "cli", "--profile", "local", "--bin", "github-trust"]
_TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COMMAND = _TARGET / "debug" / "github-trust"
COMMAND_ALONE = _TARGET / "local" / "github-trust"

# AWS has refused new roles without any condition on the subject since June 2025.
# A role as a tutorial makes it: its condition on the subject, its permissions, its grades.
TUTORIALS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "pull-requests": (
        {"StringEquals": {f"{ISSUER}:sub": "repo:octo-org@1/octo-repo@2:pull_request"}},
        "ReadOnlyAccess",
        ["pull-request"],
    ),
    "any-repository": ({"StringLike": {f"{ISSUER}:sub": "repo:*"}}, "ReadOnlyAccess", ["open"]),
    "owner-prefix": ({"StringLike": {f"{ISSUER}:sub": "repo:octo-org*"}}, "ReadOnlyAccess", ["open"]),
    "any-owner-on-main": ({"StringLike": {f"{ISSUER}:sub": "*:ref:refs/heads/main"}}, "ReadOnlyAccess", ["open"]),
    "whole-organisation": (
        {"StringLike": {f"{ISSUER}:sub": "repo:octo-org/*"}},
        "PowerUserAccess",
        ["organisation", "names-only"],
    ),
    "any-ids": (
        {"StringLike": {f"{ISSUER}:sub": "repo:octo-org@*/octo-repo@*:*"}},
        "ReadOnlyAccess",
        ["wildcard-id", "repository"],
    ),
    "whole-repository": (
        {"StringLike": {f"{ISSUER}:sub": "repo:octo-org/octo-repo:*"}},
        "AdministratorAccess",
        ["names-only", "repository"],
    ),
    "one-branch": (
        {"StringEquals": {f"{ISSUER}:sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}},
        "ReadOnlyAccess",
        ["names-only"],
    ),
    "literal-star": (
        {"StringEquals": {f"{ISSUER}:sub": "repo:octo-org/octo-repo:*"}},
        "ReadOnlyAccess",
        ["dead"],
    ),
    "with-ids": (
        {"StringEquals": {f"{ISSUER}:sub": "repo:octo-org@1/octo-repo@2:environment:production"}},
        "ReadOnlyAccess",
        ["exact"],
    ),
}


def trust(condition: dict[str, Any]) -> dict[str, Any]:
    operators = sorted({*AUDIENCE, *condition})
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            operator: {**AUDIENCE.get(operator, {}), **condition.get(operator, {})} for operator in operators
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def make(aws: LocalAws, *names: str) -> None:
    """Makes the roles of these names, or all."""
    iam = aws.client("iam")
    for name in names or TUTORIALS:
        condition, policy, _ = TUTORIALS[name]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust(condition)))
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")


def build_command(alone: bool = False) -> None:
    """Builds the command, which cargo does once."""
    subprocess.run(_ALONE if alone else _WITH_TESTS, cwd=ROOT, check=True)


def run(
    *arguments: str | Path, environment: dict[str, str] | None = None, command: Path = COMMAND
) -> subprocess.CompletedProcess[str]:
    """`github-trust` with these arguments."""
    given = environment or dict(os.environ)
    return subprocess.run([command, *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False)
