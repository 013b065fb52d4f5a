"""The command `github-trust`, on an account with a role of the product beside roles as tutorials make them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import ACCOUNT, ROOT, LocalAws

ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
AUDIENCE = {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}}
# Built with the tests of Rust: by itself it would be built with other features of its dependencies, all of them anew.
BUILD = ["cargo", "test", "--quiet", "--locked", "--features", "cli", "--no-run"]
COMMAND = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "github-trust"
EXIT_FOUND = 3
EXIT_USAGE = 2

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


@pytest.fixture(scope="module", autouse=True)
def command() -> None:
    subprocess.run(BUILD, cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def account() -> Iterator[LocalAws]:
    """An account of its own, in which nothing of the product is deployed."""
    with LocalAws() as running:
        iam = running.client("iam")
        iam.create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["1" * 40]
        )
        for name, (condition, policy, _) in TUTORIALS.items():
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust(condition)))
            iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        yield running


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    given = environment or dict(os.environ)
    return subprocess.run([COMMAND, *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False)


def test_roles_of_tutorials_are_graded_and_only_read(account: LocalAws) -> None:
    audited = run("audit", "--output", "json", environment=account.environment())
    assert audited.returncode == 0, audited.stderr
    report = json.loads(audited.stdout)
    found = {role["Arn"].rsplit("/", 1)[-1]: [one["Grade"] for one in role["Findings"]] for role in report["Roles"]}
    assert found == {name: grades for name, (_, _, grades) in TUTORIALS.items()}
    assert report["Providers"] == [PROVIDER]


def test_the_table_shows_the_worst_first_and_the_proof(account: LocalAws) -> None:
    shown = run("audit", environment=account.environment()).stdout
    first = shown.split("\n\n")[1]
    assert first.startswith("open"), first
    assert "such as repo:a-stranger/anything:" in first
    assert "exact" in shown.split("\n\n")[-1]


def test_the_exit_status_follows_the_grades_that_are_named(account: LocalAws) -> None:
    assert run("audit", "--fail-on", "open,organisation", environment=account.environment()).returncode == EXIT_FOUND
    assert run("audit", "--fail-on", "not-judged", environment=account.environment()).returncode == 0
    wrong = run("audit", "--fail-on", "wide", environment=account.environment())
    assert wrong.returncode == EXIT_USAGE
    assert "possible values: open" in wrong.stderr


def test_a_refused_token_is_explained_offline(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(trust(TUTORIALS["one-branch"][0])), encoding="utf-8")
    claims = {
        "iss": f"https://{ISSUER}",
        "aud": "sts.amazonaws.com",
        "sub": "repo:octo-org/octo-repo:ref:refs/heads/master",
    }
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    (tmp_path / "token").write_text(f"e30.{part}.c2lnbmF0dXJl", encoding="utf-8")
    explained = run("explain", "--policy", str(tmp_path / "policy.json"), "--token", str(tmp_path / "token"))
    assert explained.returncode == EXIT_FOUND, explained.stderr
    answer = json.loads(explained.stdout)
    assert answer["Verdict"] == "refused"
    assert 'add the branch "master"' in explained.stdout.replace('\\"', '"')
    assert "c2lnbmF0dXJl" not in explained.stdout
