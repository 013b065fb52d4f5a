"""The README is short, and its workflow is one that GitHub takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from test_workflows import ROOT, actionlint

README = (ROOT / "README.md").read_text()
LINES, CHARACTERS = 110, 100


def test_the_readme_has_at_most_110_lines_of_100_characters() -> None:
    lines = README.splitlines()
    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > CHARACTERS] == []


def test_actionlint_finds_nothing_in_the_workflow_of_the_readme(tmp_path: Path) -> None:
    [workflow] = [block for block in re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL) if "jobs:" in block]
    (tmp_path / "smoke-test.yml").write_text(workflow)
    result = actionlint(tmp_path / "smoke-test.yml")
    assert result.returncode == 0, result.stdout


def test_every_document_names_one_version_of_configure_aws_credentials() -> None:
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.yml")]
    pattern = r"configure-aws-credentials@(?:[0-9a-f]{40} # )?(v[0-9]+)"
    named = {version for file in files for version in re.findall(pattern, file.read_text())}
    assert len(named) == 1, named


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_a_page_begins_with_its_use(path: Path) -> None:
    first = next(line for line in path.read_text().splitlines()[1:] if line)
    assert first.startswith("After this page "), first
