"""The template and every example pass the linters that their users run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local_aws import REGION, ROOT, TOOLS

OURS = [ROOT / "template.yaml", *sorted((ROOT / "templates").glob("*.yaml"))]
TEMPLATES = [*OURS, *sorted((ROOT / "examples").glob("*.yaml"))]
each_template = pytest.mark.parametrize("path", TEMPLATES, ids=[path.name for path in TEMPLATES])


def run(*command: str) -> None:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    result = subprocess.run(
        [str(TOOLS / "bin" / command[0]), *command[1:]],
        env={**mine, "AWS_DEFAULT_REGION": REGION, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@each_template
def test_cfn_lint_finds_nothing(path: Path) -> None:
    run("cfn-lint", "--include-checks", "I", "--", str(path))


@each_template
def test_sam_finds_nothing(path: Path) -> None:
    run("sam", "validate", "--lint", "--template", str(path))


@pytest.mark.parametrize("path", OURS, ids=[path.name for path in OURS])
def test_checkov_finds_nothing_but_what_the_template_explains(path: Path) -> None:
    run("../checkov/bin/checkov", "--framework", "cloudformation", "--compact", "--skip-download", "--file", str(path))


def test_there_are_examples() -> None:
    assert len(TEMPLATES) > 2
