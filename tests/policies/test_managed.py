"""Which of AWS's managed policies lead to the function, to what it goes by, or to an administrator."""

from __future__ import annotations

import os
import re

import pytest

from managed import GOALS, PREFIX, SECRET, documents, leading_to, newest_date
from render import ROOT, Template

DOCUMENT = ROOT / "docs" / "guardrails.md"
BEGIN, END = "<!-- policies: written by tests/policies/test_managed.py -->\n", "<!-- end of policies -->\n"
HEADINGS = {
    "administrator": "changes permissions, or assumes any role",
    "function": "changes or asks the function, or passes its role",
    "credential": "reads or writes its secrets or dead letters",
    "cluster": "lets itself into a cluster",
    "passing": "passes any role to some service",
    "others": "works through what others made more powerful",
}
# Those of the function itself, and all that make an administrator.
GRAVEST = {action for action, _ in GOALS["administrator"]} | {
    action for action, _ in GOALS["function"] if action.startswith("lambda:")
}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, set[str]]]:
    """The actions by which each policy leads to each goal, without a boundary."""
    reached = {goal: {arn: leading_to(goal, arn) for arn in documents()} for goal in GOALS}
    return {goal: {arn: actions for arn, actions in policies.items() if actions} for goal, policies in reached.items()}


def test_within_the_boundary_none_leads_to_more_permissions(
    found: dict[str, dict[str, set[str]]],
) -> None:
    boundary = Template(GitHubSecretArn=SECRET).boundary()
    for goal in GOALS.keys() - {"others"}:
        assert {arn: actions for arn in found[goal] if (actions := leading_to(goal, arn, boundary))} == {}


def test_those_that_are_allowed_without_a_boundary_lead_nowhere(found: dict[str, dict[str, set[str]]]) -> None:
    roles = Template(RolePermissionsBoundary="None").function_policies()["roles"]
    [allowed] = [
        statement["Condition"]["ArnNotLike"]["iam:PolicyARN"]
        for statement in roles["Statement"]
        if "ArnNotLike" in statement.get("Condition", {})
    ]
    assert len(allowed) > 3
    for pattern in allowed:
        arn = pattern.replace("arn:*:", "arn:aws:")
        assert arn in documents()
        assert [goal for goal, policies in found.items() if arn in policies] == []
    # The function has the same list.
    guardrails = "".join(line.strip() for line in (ROOT / "src" / "guardrails" / "mod.rs").read_text().splitlines())
    assert ",".join(allowed) in guardrails.replace("\\", "")


def test_policies_that_change_permissions_are_always_forbidden(
    found: dict[str, dict[str, set[str]]],
) -> None:
    forbidden = Template().parameters["ForbiddenManagedPolicies"]
    grave = {arn for goal in ("administrator", "function") for arn in found[goal] if found[goal][arn] & GRAVEST}
    assert {arn for arn in grave if not any(matches(pattern, arn) for pattern in forbidden)} == set()
    # And each pattern forbids one.
    assert [pattern for pattern in forbidden if not any(matches(pattern, arn) for arn in grave)] == []


def matches(pattern: str, arn: str) -> bool:
    name = pattern.replace("arn:*:", "arn:aws:")
    return arn == name or (name.endswith("*") and arn.startswith(name[:-1]))


def test_the_guardrails_page_lists_them(found: dict[str, dict[str, set[str]]]) -> None:
    lines = ["", f"| {len(documents())} policies that a role can have | number | which |", "|---|---|---|"]
    for goal, heading in HEADINGS.items():
        names = ", ".join(f"`{arn.removeprefix(PREFIX).removeprefix('/')}`" for arn in found[goal])
        lines.append(f"| {heading} | {len(found[goal])} | {names} |")
    table = "\n".join([*lines, "", ""])
    text = DOCUMENT.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("GUARDRAILS") == "write":
        DOCUMENT.write_text(text[:start] + table + text[end:])
    else:
        assert text[start:end] == table, (
            "docs/guardrails.md is not what AWS's documents say; GUARDRAILS=write writes it"
        )


def test_the_guardrails_page_says_where_the_documents_are_from() -> None:
    pins = (ROOT / "requirements" / "catalogue.txt").read_text()
    [version] = re.findall(r"^moto==(\S+)", pins, re.MULTILINE)
    text = " ".join(DOCUMENT.read_text().split())
    assert f"installs moto {version} from PyPI" in text
    assert f"The newest document there is of {newest_date()}." in text
