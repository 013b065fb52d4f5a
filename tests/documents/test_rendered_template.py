"""The answer of Render is a template that linters of native resources read: docs/leaving.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from test_workflows import ROOT, run

TOOLS = ROOT / ".venv"
ANSWER = ROOT / "tests/preview/snapshots/suite__preview__the_native_resources_are_what_the_function_has_made.snap"
CFN_LINT = (TOOLS / "bin" / "cfn-lint", "--regions", "us-east-1", "--include-checks", "I", "--")
CHECKOV = (
    *(TOOLS / "checkov" / "bin" / "checkov", "--framework", "cloudformation"),
    *("--compact", "--quiet", "--skip-download", "--output", "json", "--file"),
)

# Fails a role that GitHub's tokens can assume and whose trust says nothing of the subject.
RULE = """
let roles = Resources.*[Type == 'AWS::IAM::Role']
rule a_role_names_its_subjects when %roles !empty {
    %roles.Properties.AssumeRolePolicyDocument.Statement[*] {
        Condition.StringEquals.'token.actions.githubusercontent.com:sub' exists
        Condition.StringEquals.'token.actions.githubusercontent.com:sub' !empty
    }
}
"""
CFN_GUARD = (
    "import json, sys, cfn_guard_rs; print(cfn_guard_rs.run_checks(json.load(open(sys.argv[1])), sys.argv[2]).status)"
)


@pytest.fixture
def native() -> dict[str, Any]:
    answer = json.loads(ANSWER.read_text().split("\n---\n", 1)[1])
    found: dict[str, Any] = answer["Template"]
    assert {resource["Type"] for resource in found["Resources"].values()} == {
        "AWS::EKS::AccessEntry",
        "AWS::IAM::OIDCProvider",
        "AWS::IAM::Role",
    }
    return found


def written(template: dict[str, Any], folder: Path) -> Path:
    path = folder / "native.json"
    path.write_text(json.dumps(template, indent=2))
    return path


def test_cfn_lint_finds_nothing_in_what_is_rendered(native: dict[str, Any], tmp_path: Path) -> None:
    result = run(*CFN_LINT, written(native, tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr


def test_cfn_lint_reads_each_native_resource(native: dict[str, Any], tmp_path: Path) -> None:
    for resource, wrong in ("Role", "Path"), ("Provider", "ThumbprintList"), ("Entry", "AccessPolicies"):
        native["Resources"][resource]["Properties"][wrong] = {"Wrong": 1}
    result = run(*CFN_LINT, written(native, tmp_path))
    assert result.returncode != 0
    assert result.stdout.count("E3012 {'Wrong': 1} is not of type") == 3, result.stdout


def test_checkov_finds_nothing_in_what_is_rendered(native: dict[str, Any], tmp_path: Path) -> None:
    result = run(*CHECKOV, written(native, tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads(result.stdout)["summary"]
    assert (summary["failed"], summary["parsing_errors"]) == (0, 0)
    assert summary["passed"] > 0


def test_checkov_reads_the_policies_that_are_written_out(native: dict[str, Any], tmp_path: Path) -> None:
    [policy] = native["Resources"]["Role"]["Properties"]["Policies"]
    policy["PolicyDocument"]["Statement"] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    result = run(*CHECKOV, written(native, tmp_path))
    assert result.returncode != 0
    failed = json.loads(result.stdout)["results"]["failed_checks"]
    assert {"CKV_AWS_62", "CKV_AWS_63"} <= {check["check_id"] for check in failed}


def test_cfn_guard_reads_the_trust_that_is_written_out(native: dict[str, Any], tmp_path: Path) -> None:
    def status() -> str:
        result = run(TOOLS / "linters" / "bin" / "python", "-c", CFN_GUARD, written(native, tmp_path), RULE)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    assert status() == "PASS"
    [statement] = native["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    del statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert status() == "FAIL"
