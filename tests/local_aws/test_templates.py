"""The template and every example pass the linters that their users run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local_aws import REGION, ROOT, TOOLS

OURS = [ROOT / "template.yaml"]
TEMPLATES = [*OURS, *sorted((ROOT / "templates").glob("*.yaml")), *sorted((ROOT / "examples").glob("*.yaml"))]
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


def product() -> dict[str, Any]:
    found: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return found


def test_what_the_function_may_comes_before_it_and_goes_after_it() -> None:
    resources = product()["Resources"]
    policies = {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Policy"}
    assert len(policies) > 1
    # A reference makes an order, and unlike DependsOn it takes the condition of what it refers to.
    expected = [[resource["Condition"], {"Ref": name}, {"Ref": "AWS::NoValue"}] for name, resource in policies.items()]
    assert [choice["Fn::If"] for choice in resources["Function"]["Metadata"]["Permissions"]] == expected
    # No name of the role, so that a function in another region has its own.
    assert "RoleName" not in resources["Role"]["Properties"]


def test_every_parameter_is_described_in_a_group_and_has_a_default() -> None:
    template = product()
    parameters = template["Parameters"]
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(parameters)
    for name, parameter in parameters.items():
        assert "Default" in parameter, name
        assert parameter["Description"].endswith("."), name
        numbers = parameter["Type"] == "Number" and "MinValue" in parameter and "MaxValue" in parameter
        assert numbers or "AllowedValues" in parameter or "AllowedPattern" in parameter, name
        assert ("AllowedPattern" in parameter) == ("ConstraintDescription" in parameter), name


def test_the_serverless_application_repository_would_take_it() -> None:
    """https://docs.aws.amazon.com/serverlessrepo/latest/devguide/applications.html, CreateApplicationRequest."""
    metadata = product()["Metadata"]["AWS::ServerlessRepo::Application"]
    assert re.fullmatch(r"[a-zA-Z0-9-]{1,140}", metadata["Name"])
    assert re.fullmatch(r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", metadata["Author"])
    assert 1 <= len(metadata["Description"]) <= 256
    assert len(metadata["Labels"]) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label) for label in metadata["Labels"])
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert metadata["SemanticVersion"] == version[1]
    # Beside the template, in the repository and in the archive.
    assert {metadata["LicenseUrl"], metadata["ReadmeUrl"]} == {"LICENSE", "README.md"}


def test_there_are_examples() -> None:
    assert len(TEMPLATES) > 2
