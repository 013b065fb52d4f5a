"""What the README shows on its first screen, tried."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from local_aws import ROOT, LocalAws
from stack import Stack

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def stack(default_account: LocalAws, name: str) -> Iterator[Stack]:
    """In an account with the product as it is by default."""
    stack = Stack(default_account, name)
    yield stack
    stack.delete()


@pytest.fixture
def shown() -> str:
    return next(block for block in blocks("yaml") if "Custom::GitHubRole" in block)


def test_the_first_template_is_deployed_and_admits_what_the_readme_says(stack: Stack, shown: str) -> None:
    assert len(shown.splitlines()) <= 15
    assert stack.create(shown) == "CREATE_COMPLETE"
    outputs = stack.outputs()
    [subjects] = [block for block in blocks("text") if block.startswith("repo:")]
    assert outputs["Subjects"] == " ".join(subjects.split())
    [arn] = re.findall(r"role-to-assume: (\S+)", README)
    assert ":role/github/" in arn
    assert ":role/github/" in outputs["RoleArn"]


def test_its_mistakes_are_answered_as_the_readme_says(stack: Stack, shown: str) -> None:
    wrong = shown.replace("Branches:", "Branchs:").replace(
        "      ManagedPolicyArns:", "      Tags: { team: web }\n      ManagedPolicyArns:"
    )
    assert wrong != shown
    assert stack.create(wrong) == "ROLLBACK_COMPLETE"
    quoted = " ".join(line.removeprefix("> ") for line in README.splitlines() if line.startswith("> "))
    assert quoted in stack.reasons()["Role"]
