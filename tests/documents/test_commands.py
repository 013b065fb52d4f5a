"""A shell reads the commands of the documents, and those of the AWS CLI exist, with their options."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from links import ROOT, documents

SESSION = botocore.session.get_session()
# What the CLI has beside the operations of the services: https://docs.aws.amazon.com/cli/latest/reference/
OF_THE_CLI = {
    ("cloudformation", "deploy"): {
        "stack-name",
        "template-file",
        "parameter-overrides",
        "capabilities",
        "disable-rollback",
        "tags",
    },
    ("cloudformation", "wait"): {"change-set-name", "stack-name"},
    ("eks", "update-kubeconfig"): {"name", "region"},
    ("logs", "tail"): {"since", "filter-pattern", "follow"},
    ("s3", "cp"): set(),
    ("s3", "sync"): {"delete"},
}
GLOBAL = {"query", "output", "region", "profile", "cli-binary-format"}
COMMAND = re.compile(r"\baws ([a-z0-9]+(?:-[a-z]+)*) ([a-z]+[a-z0-9-]*)((?:[^|;`\n\\)]|\\\n)*)")


# A shell reads from a file of that name.
PLACEHOLDER = re.compile(r"<\w[\w-]*>")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|#[^\n]*")


def unreadable(block: str) -> list[str]:
    """What a shell does not read as it is meant: each unquoted placeholder, and its own complaint."""
    read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
    return [*PLACEHOLDER.findall(QUOTED.sub("", block)), *read.stderr.splitlines()]


def commands(text: str) -> list[tuple[str, str, set[str]]]:
    """Service, operation and options of each command, in blocks and in lines of code."""
    parts = [*re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL), *re.findall(r"`(aws [^`]+)`", text)]
    parts = [re.sub(r"'[^']*'", "x", part) for part in parts]
    found = []
    while parts:
        part = parts.pop()
        # A command within a command is another one.
        parts += re.findall(r"\$\(([^()]*)\)", part)
        outer = re.sub(r'"[^"]*"', "x", re.sub(r"\$\([^()]*\)", "x", part))
        found += COMMAND.findall(outer)
    return [(service, operation, set(re.findall(r"--([a-z-]+)", rest))) for service, operation, rest in found]


def problem(service: str, operation: str, options: set[str]) -> str | None:
    if (service, operation) in OF_THE_CLI:
        known = OF_THE_CLI[service, operation]
    else:
        if service not in SESSION.get_available_services():
            return f"aws {service}: there is no such service"
        model = SESSION.get_service_model(service)
        names = {xform_name(name, "-"): name for name in model.operation_names}
        if operation not in names:
            return f"aws {service} {operation}: there is no such command"
        shape = model.operation_model(names[operation]).input_shape
        members = {xform_name(name, "-") for name in (shape.members if shape else {})}
        known = members | {f"no-{name}" for name in members}
    wrong = sorted(options - known - GLOBAL)
    return f"aws {service} {operation}: unknown {wrong}" if wrong else None


@pytest.mark.parametrize("path", documents(ROOT), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_of_the_aws_cli_exist(path: Path) -> None:
    assert [why for command in commands(path.read_text()) if (why := problem(*command))] == []


def test_a_misspelt_command_and_a_misspelt_option_are_found() -> None:
    wrong = (
        "aws iam get-roll --role-name x",
        "aws iam get-role --roll-name x",
        "aws iamm get-role",
        'echo "$(aws eks wait)"',
    )
    for command in wrong:
        [found] = commands(f"```sh\n{command}\n```")
        assert problem(*found), command
    [found] = commands("`aws iam get-role --role-name x --query 'Role.Arn'`")
    assert problem(*found) is None


@pytest.mark.parametrize("path", documents(ROOT), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_shell_reads_each_block_of_commands(path: Path) -> None:
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", path.read_text(), flags=re.DOTALL)
    assert [(block, why) for block in blocks if (why := unreadable(block))] == []


def test_a_block_that_no_shell_reads_is_found() -> None:
    for block in ("aws iam get-role --role-name <name>", "tag <a> <b>", "echo 'x", "for x in 1; do", 'a "$(b"'):
        assert unreadable(f"{block}\n"), block
    for block in ("echo '<name>'", 'echo "<name>"', "cat < file", "wc <<< x"):
        assert unreadable(f"{block}\n") == [], block


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_a_template_that_a_command_deploys_is_found_from_the_root(path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(), flags=re.DOTALL)
    named = [name for block in blocks for name in re.findall(r"--template-file (\S+)", block)]
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_documents_have_commands() -> None:
    found = [command for path in documents(ROOT) for command in commands(path.read_text())]
    assert len(found) > 60
