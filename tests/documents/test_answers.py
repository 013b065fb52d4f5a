"""The commands of the documents show the function's answer, and a pipeline ends where the answer is bad."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
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
FAILED = {"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}
TEMPLATE = {"Resources": {"Role": {"Type": "Custom::GitHubRole", "Properties": {}}}}
STACK = {
    "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/team-a/5b1c0e10-0000-11f0-8000-0a1b2c3d4e5f",
    "Parameters": [
        {"ParameterKey": "Branch", "ParameterValue": "next"},
        {"ParameterKey": "Names", "ParameterValue": "a,b"},
    ],
}
# Describes a stack, or says that there is none; keeps the question, and answers it.
AWS = """\
#!/bin/bash
if [ "$2" = describe-stacks ]; then
  [ -f "$FOLDER/stack.json" ] || { echo 'Stack with id team-a does not exist' >&2; exit 254; }
  cat "$FOLDER/stack.json"
else
  for argument; do
    [ "$last" = --payload ] && printf %s "$argument" > "$FOLDER/question.json"
    case "$argument" in *.json | /dev/stdout) cat "$FOLDER/answer.json" > "$argument" ;; esac
    last=$argument
  done
  echo '{"StatusCode": 200}'
fi
"""
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


@pytest.mark.parametrize(("page", "command"), FILTERS)
def test_a_filter_shows_why_the_function_failed(page: str, command: str) -> None:
    failed = {**METADATA, "FunctionError": "Unhandled"}
    assert "exit status 1" in piped(command, FAILED, failed), page


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
    assert not ended(tmp_path, FAILED)


def ended(folder: Path, said: dict[str, Any]) -> bool:
    """Whether the page's pipeline is a success."""
    result, _ = typed(folder, pipeline(), said=said, stack=STACK)
    shown = said.get("Text") or said.get("Error") or said["errorMessage"]
    assert shown in result.stdout
    return result.returncode == 0


def pipeline() -> str:
    [block] = [block for block in re.findall(r"```sh\n(.*?)```", PLAN, flags=re.DOTALL) if "--exit-status" in block]
    return block


def of_the_workflow() -> str:
    """What the example of a workflow runs before it comments."""
    [job] = yaml.safe_load((ROOT / "examples" / "workflows" / "plan-comment.yml").read_text())["jobs"].values()
    [asks] = [step["run"] for step in job["steps"] if "lambda invoke" in step.get("run", "")]
    return f"STACK={job['env']['STACK']}\n{asks}"


def typed(
    folder: Path, commands: str, *, said: dict[str, Any], stack: dict[str, Any] | None
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """What commands of a page print, and the question that they ask, in an account with this stack."""
    folder.mkdir(exist_ok=True)
    (folder / "template.json").write_text(json.dumps(TEMPLATE))
    (folder / "answer.json").write_text(json.dumps(said))
    if stack is not None:
        (folder / "stack.json").write_text(json.dumps(stack))
    aws = folder / "aws"
    aws.write_text(AWS)
    aws.chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "FOLDER": str(folder)}
    shell = ["bash", "-euo", "pipefail", "-c", commands]
    result = subprocess.run(shell, env=environment, cwd=folder, capture_output=True, text=True)
    return result, json.loads((folder / "question.json").read_text())


@pytest.mark.parametrize("commands", [pipeline, of_the_workflow])
def test_a_pipeline_asks_for_the_stack_with_its_parameters(tmp_path: Path, commands: Any) -> None:
    def asked(folder: str, stack: dict[str, Any] | None) -> dict[str, Any]:
        result, question = typed(tmp_path / folder, commands(), said=answer(), stack=stack)
        assert result.returncode == 0, result.stderr
        # A call that AWS denies looks like a stack that is not there: its message has to be seen.
        assert ("does not exist" in result.stderr) == (stack is None)
        found: dict[str, Any] = question["Plan"]
        return found

    told = {"StackId": STACK["StackId"], "Parameters": {"Branch": "next", "Names": "a,b"}}
    assert asked("there", STACK) == {"Template": TEMPLATE, **told}
    without = {"StackId": STACK["StackId"]}
    assert asked("bare", without) == {"Template": TEMPLATE, **without, "Parameters": {}}
    assert asked("new", None) == {"Template": TEMPLATE}


@pytest.mark.parametrize(("page", "kind"), [("leaving.md", "Render"), ("terraform-and-cdk.md", "Plan")])
def test_a_question_about_a_stack_has_its_parameters(tmp_path: Path, page: str, kind: str) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)
    [block] = [block for block in blocks if f"{{{kind}: " in block]
    (tmp_path / "cdk").write_text(f"#!/bin/bash\ncat <<'E'\n{json.dumps(TEMPLATE)}\nE\n")
    (tmp_path / "cdk").chmod(0o755)
    result, question = typed(tmp_path, block, said={"Template": TEMPLATE, "Text": "nothing changes"}, stack=STACK)
    assert result.returncode == 0, result.stderr
    told = {"StackId": STACK["StackId"], "Parameters": {"Branch": "next", "Names": "a,b"}}
    assert question == {kind: {"Template": TEMPLATE, **told}}
    shown = (tmp_path / "native.json").read_text() if kind == "Render" else result.stdout
    assert ("Resources" if kind == "Render" else "nothing changes") in shown


def test_the_import_of_the_page_adds_and_names_each_native_resource(tmp_path: Path) -> None:
    blocks = re.findall(r" *```sh\n(.*?)```", (ROOT / "docs" / "leaving.md").read_text(), flags=re.DOTALL)
    [block] = [block for block in blocks if "IMPORT" in block]
    role = "arn:aws:iam::123456789012:role/deploy"
    issuer = "token.actions.githubusercontent.com"
    native = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "deploy"}},
        "Provider": {"Type": "AWS::IAM::OIDCProvider", "Properties": {"Url": f"https://{issuer}"}},
        "Entry": {"Type": "AWS::EKS::AccessEntry", "Properties": {"ClusterName": "prod", "PrincipalArn": role}},
    }
    without = {"Parameters": {"Branch": {"Type": "String"}}, "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    (tmp_path / "native.json").write_text(json.dumps({"Resources": native}))
    (tmp_path / "without.json").write_text(json.dumps(without))
    commands, _ = block.split("aws cloudformation", 1)
    environment = {**os.environ, "STACK": json.dumps(STACK)}
    subprocess.run(["bash", "-euc", commands], env=environment, cwd=tmp_path, check=True)
    retained = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    added = {name: {**resource, **retained} for name, resource in native.items()}
    assert json.loads((tmp_path / "import.json").read_text()) == {
        **without,
        "Resources": {**without["Resources"], **added},
    }
    named = json.loads((tmp_path / "objects.json").read_text())
    assert {one["LogicalResourceId"]: one["ResourceType"] for one in named} == {
        name: resource["Type"] for name, resource in native.items()
    }
    assert {one["LogicalResourceId"]: one["ResourceIdentifier"] for one in named} == {
        "Role": {"RoleName": "deploy"},
        "Provider": {"Arn": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"},
        "Entry": {"PrincipalArn": role, "ClusterName": "prod"},
    }


def test_the_replacement_of_the_page_is_one_that_the_function_tells() -> None:
    [block] = [block for block in re.findall(r"```text\n(.*?)```", PLAN, flags=re.DOTALL) if "would replace" in block]
    assert [line for line in block.splitlines() if line not in TOLD.read_text().splitlines()] == []


def test_the_words_of_the_page_are_those_of_the_function() -> None:
    source = (ROOT / "src" / "preview" / "answer.rs").read_text()
    [table] = re.findall(r"^\| words \|[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\n)+)", PLAN, re.MULTILINE)
    words = [row.split("`")[1] for row in table.splitlines()]
    assert len(words) > 5
    parts = [part for text in words for part in text.split("…") if part.strip(" :")]
    assert [part for part in parts if part.strip(" :-") not in source] == []


def test_the_refusal_of_the_page_is_one_that_the_function_gives() -> None:
    [line] = re.findall(r"^  refused: .*$", PLAN, re.MULTILINE)
    assert line in TOLD.read_text().splitlines()
