"""Workflows and Terraform are read by those who know their languages."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LINTERS = ROOT / ".venv" / "linters" / "bin"
EXAMPLES = ROOT / "examples" / "workflows"
OURS = ROOT / ".github" / "workflows"
WORKFLOWS = sorted([*EXAMPLES.glob("*.yml"), *OURS.glob("*.yml")])
TERRAFORM = sorted((ROOT / "examples").rglob("*.tf"))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{LINTERS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    # With shellcheck, which reads what their steps run.
    return run(LINTERS / "actionlint", "-shellcheck", LINTERS / "shellcheck", *files)


def zizmor(*files: Path, config: Path | None = EXAMPLES / "zizmor.yaml") -> subprocess.CompletedProcess[str]:
    return run(LINTERS / "zizmor", "--offline", *(["--config", config] if config else ["--no-config"]), *files)


def test_actionlint_finds_nothing() -> None:
    assert len(WORKFLOWS) > 5
    result = actionlint(*WORKFLOWS)
    assert result.returncode == 0, result.stdout


def test_zizmor_finds_nothing() -> None:
    result = zizmor(*EXAMPLES.glob("*.yml"))
    assert result.returncode == 0, result.stdout


def test_zizmor_finds_nothing_in_our_own_without_exceptions() -> None:
    result = zizmor(ROOT / ".github", config=None)
    assert result.returncode == 0, result.stdout


def test_every_action_is_named_by_a_commit_with_its_version() -> None:
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if match := re.search(r"uses: (?!\./|octo-org/)(\S+)@(\S+)(.*)", line):
                assert re.fullmatch(r"[0-9a-f]{40}", match[2]), f"{path.name}: {line}"
                assert re.fullmatch(r" # v\d+\.\d+\.\d+", match[3]), f"{path.name}: {line}"


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("id-token: write", "id-tokens: write"),
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-14.04"),
        ('"s3://$BUCKET"', "s3://$BUCKET"),
    ],
)
def test_actionlint_finds_mistakes(tmp_path: Path, good: str, bad: str) -> None:
    text = (EXAMPLES / "sync-site.yml").read_text()
    assert good in text
    (tmp_path / "bad.yml").write_text(text.replace(good, bad))
    assert actionlint(tmp_path / "bad.yml").returncode != 0


def test_zizmor_finds_an_injection(tmp_path: Path) -> None:
    text = (EXAMPLES / "reusable-deploy.yml").read_text()
    (tmp_path / "bad.yml").write_text(text.replace('"$STACK"', "${{ inputs.stack-name }}"))
    result = zizmor(tmp_path / "bad.yml")
    assert result.returncode != 0
    assert "template-injection" in result.stdout


@pytest.mark.parametrize("path", TERRAFORM, ids=lambda path: path.name)
def test_terraform_can_be_parsed(path: Path) -> None:
    result = run(LINTERS / "hcl2tojson", path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)


def test_terraform_forgets_everything_that_it_made_and_destroys_nothing() -> None:
    def blocks(name: str) -> dict[str, list[dict[str, object]]]:
        result = run(LINTERS / "hcl2tojson", ROOT / "examples" / "migration" / name)
        found: dict[str, list[dict[str, object]]] = json.loads(result.stdout)
        return found

    made = {
        f"{kind}.{name}".replace('"', "")
        for block in blocks("terraform-1-before.tf")["resource"]
        for kind, named in block.items()
        for name in named  # type: ignore[attr-defined]
    }
    forgotten = blocks("terraform-2-forgotten.tf")["removed"]
    assert {str(block["from"]).strip("${}") for block in forgotten} == made
    assert all(block["lifecycle"][0]["destroy"] is False for block in forgotten)  # type: ignore[index]
