"""Tokens of the local GitHub and whether they assume the role of examples/exact-trust.yaml, as STS finds."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from local_aws import LocalAws

OTHER = "octo-org/automation/.github/workflows/deploy.yml@refs/tags/v2"
DEPLOY = "octo-org/automation/.github/workflows/deploy.yml@refs/heads/main"
IMMUTABLE = {"repository": "octo-org/immutable"}
CLASSIC = {"repository": "octo-org/classic"}
CUSTOM = {"repository": "octo-org/custom"}

# What the job is, its token, and whether it is to be let in.
TABLE: list[tuple[str, dict[str, Any], bool]] = [
    ("immutable, branch main", {**IMMUTABLE}, True),
    ("immutable, branch release/1", {**IMMUTABLE, "ref": "refs/heads/release/1"}, True),
    ("immutable, environment 'production: eu'", {**IMMUTABLE, "environment": "production: eu"}, True),
    ("immutable, its twin 'production%3A eu'", {**IMMUTABLE, "environment": "production%3A eu"}, False),
    ("immutable, environment staging on main", {**IMMUTABLE, "environment": "staging"}, False),
    ("immutable, branch main-2", {**IMMUTABLE, "ref": "refs/heads/main-2"}, False),
    ("immutable, tag v1", {**IMMUTABLE, "ref": "refs/tags/v1"}, False),
    ("immutable, pull request", {**IMMUTABLE, "event": "pull_request"}, False),
    ("immutable, GitHub's default audience", {**IMMUTABLE, "audience": "https://github.com/octo-org"}, False),
    (
        "immutable's name without ids",
        {**IMMUTABLE, "claims": {"sub": "repo:octo-org/immutable:ref:refs/heads/main"}},
        False,
    ),
    ("classic, tag v1", {**CLASSIC, "ref": "refs/tags/v1"}, True),
    ("classic, branch main", {**CLASSIC}, False),
    (
        "classic's name, made anew by somebody",
        {**CLASSIC, "ref": "refs/tags/v1", "claims": {"repository_id": "7"}},
        False,
    ),
    ("custom, main, by the shared workflow", {**CUSTOM, "job_workflow_ref": DEPLOY}, True),
    ("custom, main, by a workflow of its own", {**CUSTOM}, False),
    (
        "custom, the shared workflow at v2",
        {**CUSTOM, "job_workflow_ref": OTHER},
        False,
    ),
    ("octo-org-2/immutable, branch main", {"repository": "octo-org-2/immutable"}, False),
    ("octo-org/immutable-2, branch main", {"repository": "octo-org/immutable-2"}, False),
]


def assume(aws: LocalAws, role_arn: str, token: str) -> str | None:
    """What STS refuses with, or None where it gives credentials."""
    try:
        aws.client("sts").assume_role_with_web_identity(
            RoleArn=role_arn, RoleSessionName="workflow", WebIdentityToken=token
        )
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def found(aws: LocalAws, role_arn: str) -> list[tuple[str, bool, str | None]]:
    """The table with STS' answers: the job, whether it is to be let in, and how it was refused."""
    return [(what, wanted, assume(aws, role_arn, aws.token(**job))) for what, job, wanted in TABLE]


def forged(aws: LocalAws) -> str:
    """A token that says what it should, with the signature of another."""
    return f"{aws.token(**IMMUTABLE).rpartition('.')[0]}.{aws.token(**CLASSIC).rpartition('.')[2]}"
