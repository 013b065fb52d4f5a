"""Workflows and Terraform are read by those who know their languages."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def workflow(path: Path) -> dict[str, Any]:
    """By GitHub's names: YAML takes `on` for true."""
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {"on" if name is True else name: value for name, value in found.items()}


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_a_release_waits_for_tests_a_build_and_an_approval() -> None:
    release = workflow(OURS / "release.yml")
    assert release["on"] == {"push": {"tags": ["v*"]}}
    jobs = release["jobs"]
    assert jobs.keys() == {"test", "build", "release"}
    assert jobs["test"]["uses"].endswith("/.github/workflows/test.yml")
    assert jobs["build"]["uses"].endswith("/.github/workflows/build.yml")
    assert (jobs["build"]["needs"], jobs["release"]["needs"]) == ("test", "build")
    assert jobs["release"]["environment"] == "release"
    # A condition could let a job run after one that failed.
    assert [name for name, job in jobs.items() if "if" in job or "continue-on-error" in job] == []


def test_a_release_is_built_of_main_alone_by_a_job_without_credentials() -> None:
    jobs = workflow(OURS / "build.yml")["jobs"]
    bundle, attest = jobs["bundle"], jobs["attest"]
    assert bundle["permissions"] == {"contents": "read"}
    ran = commands(bundle)
    assert ran.index('git merge-base --is-ancestor "$GITHUB_SHA" origin/main') < ran.index("make bundle")
    assert attest["needs"] == "bundle"
    # A statement about a release that somebody then refuses could not be taken back.
    assert attest["environment"] == "release"
    assert commands(attest) == ["unzip -o -- *.zip sbom.cdx.json"]


def test_tests_at_github_ask_what_is_known_against_the_crates() -> None:
    tests = workflow(OURS / "test.yml")
    # For each change, and for a release.
    assert tests["on"].keys() == {"pull_request", "push", "workflow_call"}
    assert "cargo deny --locked check" in commands(tests["jobs"]["crates"])
    assert "make test" in commands(tests["jobs"]["test"])
    assert [job for job in tests["jobs"].values() if "if" in job or "continue-on-error" in job] == []


def test_the_pipeline_of_the_function_reads_no_variables() -> None:
    text = (EXAMPLES / "deploy-github-trust.yml").read_text()
    assert not re.search(r"\bvars\b", text)
    # The same pattern finds them where they are read.
    assert re.search(r"\bvars\b", (EXAMPLES / "smoke-test.yml").read_text())


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
