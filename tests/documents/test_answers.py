"""The commands of the documents show the function's answer, and a pipeline ends where the answer is bad."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from links import ROOT, documents

PLAN = (ROOT / "docs" / "plan.md").read_text()
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "plan.json").read_text()))
TOLD = (
    ROOT / "tests" / "preview" / "snapshots" / "suite__preview__ten_typical_changes_are_told_as_people_read_them.snap"
)
# The CLI prints it behind the answer: https://docs.aws.amazon.com/cli/latest/reference/lambda/invoke.html
METADATA = {"StatusCode": 200, "ExecutedVersion": "$LATEST"}
FILTERS = [
    (page.relative_to(ROOT).as_posix(), found)
    for page in documents(ROOT)
    for found in re.findall(r"/dev/stdout \| (jq [^>\n]+)", page.read_text())
]
REFUSED = {
    "Guardrail": "AllowBroadTrust",
    "Reason": "`Trust[0]`: `AnyRef` is every branch (guardrail `AllowBroadTrust`)",
}
LISTS = ("Mistakes", "Refusals", "Exemptions", "Actions", "Afterwards", "NotKnownYet", "Warnings")


def answer(**members: list[Any]) -> dict[str, Any]:
    role: dict[str, Any] = {
        "LogicalResourceId": "Role",
        "ResourceType": "Custom::GitHubRole",
        "PhysicalResourceId": "release",
        "Replacement": None,
        "Attributes": {},
        **{name: [] for name in LISTS},
        **members,
    }
    return {"Resources": [role], "Text": "Role (Custom::GitHubRole, release): nothing changes\n"}


def piped(command: str, *documents: dict[str, Any]) -> str:
    text = "\n".join(map(json.dumps, documents))
    return subprocess.run(["bash", "-c", command], input=text, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("page", "command"), FILTERS)
def test_a_filter_shows_the_answer_and_nothing_else(page: str, command: str) -> None:
    template = {"Resources": {"Role": {"Type": "AWS::IAM::Role"}}}
    shown = piped(command, {**answer(), "Template": template}, METADATA)
    assert shown.strip(), page
    assert "null" not in shown.splitlines(), page


@pytest.mark.parametrize(("page", "command"), FILTERS)
def test_a_filter_shows_why_a_question_cannot_be_read(page: str, command: str) -> None:
    assert "expected a template in JSON" in piped(command, {"Error": "expected a template in JSON"}, METADATA), page


@pytest.mark.parametrize(
    ("said", "is_good"),
    [
        (answer(), True),
        (answer(Actions=["create the role"], Warnings=["a name"], NotKnownYet=["`Path`: a value"]), True),
        ({"Resources": [], "Text": "no resource of this function\n"}, True),
        (answer(Mistakes=["unknown property `Pth`"]), False),
        (answer(Refusals=[REFUSED]), False),
        ({"Error": "expected a template in JSON"}, False),
    ],
)
def test_a_pipeline_ends_at_a_mistake_or_a_refusal(tmp_path: Path, said: dict[str, Any], is_good: bool) -> None:
    assert [error.message for error in SCHEMA.iter_errors(said)] == []
    assert ended(tmp_path, said) is is_good


def test_a_pipeline_ends_where_the_function_fails(tmp_path: Path) -> None:
    assert not ended(tmp_path, {"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"})


def ended(folder: Path, said: dict[str, Any]) -> bool:
    """Whether the last lines of the page's pipeline are a success."""
    [block] = [block for block in re.findall(r"```sh\n(.*?)```", PLAN, flags=re.DOTALL) if "--exit-status" in block]
    commands = [line for line in block.splitlines() if line.startswith("jq ")]
    assert len(commands) == 2
    (folder / "plan.json").write_text(json.dumps(said))
    command = ["bash", "-eo", "pipefail", "-c", "\n".join(commands)]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


def test_the_refusal_of_the_page_is_one_that_the_function_gives() -> None:
    [line] = re.findall(r"^  refused: .*$", PLAN, re.MULTILINE)
    assert line in TOLD.read_text().splitlines()
