"""The table of docs/audit-beside-others.md: what others find in the policies that we grade.

Checkov's column is what the pinned Checkov says, `WRITE=1` writes the table, and src/audit/tests/beside_others.rs holds
our column. Prowler's column is what its source does with each policy, read once.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from iam_evaluator import ISSUER, admits, keys_of
from render import ACCOUNT, ROOT

PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
ROWS = json.loads((ROOT / "tests" / "policies" / "beside_others.json").read_text())["policies"]
DOCUMENT = ROOT / "docs" / "audit-beside-others.md"
BEGIN = "<!-- The table, written by `WRITE=1 pytest tests/policies/test_beside_others.py`. -->\n"
END = "<!-- The end of the table. -->\n"
CHECKOV = ROOT / ".venv" / "checkov" / "bin" / "checkov"
WORKFLOW = "octo-org/ci/.github/workflows/d.yml@refs/heads/main"
# Grades of policies that let in only the subjects that they name, also if others take over a name.
NAMED_ALONE = {"exact", "repository", "pull-request", "dead"}
Row = dict[str, Any]


def policy(row: Row) -> dict[str, Any]:
    statements = []
    for statement in row["statements"]:
        condition = {
            operator: {key if ":" in key else f"{ISSUER}:{key}": values for key, values in keys.items()}
            for operator, keys in statement["Condition"].items()
        }
        whole = {
            "Effect": statement["Effect"],
            "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
        }
        statements.append({**whole, "Condition": condition} if condition else whole)
    return {"Version": "2012-10-17", "Statement": statements}


def strangers() -> list[dict[str, str]]:
    """The condition keys of jobs of strangers, from an address that the policies allow."""
    made = []
    owners = [("a-stranger", "999"), ("octo-orgx", "998"), ("octo-ors", "997")]
    contexts = ["ref:refs/heads/main", "environment:production", "pull_request"]
    for (owner, owner_id), name, context, has_ids in itertools.product(
        owners, ["octo-repo", "anything"], contexts, [False, True]
    ):
        prefix = f"repo:{owner}@{owner_id}/{name}@996" if has_ids else f"repo:{owner}/{name}"
        # A repository can choose the claims of its subjects, and anybody may call a public workflow.
        for subject in [f"{prefix}:{context}", f"job_workflow_ref:{WORKFLOW}", "environment:production"]:
            claims = {
                "aud": "sts.amazonaws.com",
                "sub": subject,
                "repository": f"{owner}/{name}",
                "repository_id": "996",
                "repository_owner_id": owner_id,
                "ref": "refs/heads/main",
                "job_workflow_ref": WORKFLOW,
                "environment": "production",
            }
            made.append({**keys_of(claims), "aws:SourceIp": "192.0.2.1"})
    return made


def test_those_are_open_that_let_strangers_in_by_another_evaluator() -> None:
    tokens = strangers()
    is_open = {row["says"]: any(admits(policy(row), PROVIDER, keys) for keys in tokens) for row in ROWS}
    assert is_open == {row["says"]: "open" in row["ours"] for row in ROWS}


def test_checkov_says_what_the_table_says(tmp_path: Path) -> None:
    roles = [
        f'resource "aws_iam_role" "r{number}" {{\n  name = "r{number}"\n  assume_role_policy = '
        f"{json.dumps(json.dumps(policy(row)).replace('${', '$${'))}\n}}\n"
        for number, row in enumerate(ROWS)
    ]
    (tmp_path / "main.tf").write_text("\n".join(roles))
    command = [CHECKOV, "--framework", "terraform", "--skip-download", "--check", "CKV_AWS_393", "--output", "json"]
    ran = subprocess.run([*command, "--directory", tmp_path], capture_output=True, text=True, check=False)
    results = json.loads(ran.stdout)["results"]
    said = {
        check["resource"].removeprefix("aws_iam_role.r"): verdict
        for verdict, checks in (("pass", "passed_checks"), ("fail", "failed_checks"))
        for check in results[checks]
    }
    assert {row["says"]: said.get(str(number)) for number, row in enumerate(ROWS)} == {
        row["says"]: row["checkov"] for row in ROWS
    }


def mark(row: Row, tool: str) -> str:
    """The verdict of another, bold if it is wrong about strangers."""
    verdict: str = row[tool]
    is_missed = verdict == "pass" and "open" in row["ours"]
    is_alarm = verdict == "fail" and set(row["ours"]) <= NAMED_ALONE
    return f"**{verdict}**" if is_missed or is_alarm else verdict


def test_the_table_is_that_of_the_policies() -> None:
    lines = ["| policy | github-trust | Prowler | Checkov |\n", "|---|---|---|---|\n"]
    for row in ROWS:
        grades = ", ".join(f"`{grade}`" for grade in row["ours"])
        lines.append(f"| {row['says']} | {grades} | {mark(row, 'prowler')} | {mark(row, 'checkov')} |\n")
    counts = Counter[str]()
    for row, tool in itertools.product(ROWS, ("prowler", "checkov")):
        if mark(row, tool).startswith("**"):
            counts[f"{tool} {row[tool]}"] += 1
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    if os.environ.get("WRITE"):
        DOCUMENT.write_text(before + BEGIN + "".join(lines) + END + after)
    else:
        assert table == "".join(lines)
    is_open = sum("open" in row["ours"] for row in ROWS)
    for tool, name in (("prowler", "Prowler"), ("checkov", "Checkov")):
        told = f"| {name} | {counts[f'{tool} pass']} of {is_open} | {counts[f'{tool} fail']} |"
        assert told in text, told
