"""The threat model says how many attacks the tests perform."""

from __future__ import annotations

import re

from links import ROOT

MODEL = (ROOT / "docs" / "threat-model.md").read_text()
LEAST = 120


def listed(heading: str) -> int:
    """The rows below a heading in the list of attempts of docs/guardrails.md."""
    text = (ROOT / "docs" / "guardrails.md").read_text()
    rows = text.split(f"| **{heading}** | | |\n", 1)[1].splitlines()
    ends = [number for number, row in enumerate(rows) if not row.startswith("| ") or row.startswith("| **")]
    return ends[0]


def test_the_list_of_attempts_is_counted() -> None:
    for attacker, heading in (
        ("author of a stack", "Through a template"),
        ("thief of the function's credentials", "With the function's credentials"),
    ):
        [(what, told)] = re.findall(rf"^\| {attacker} \| ([^|]+) \| (\d+) \|", MODEL, re.MULTILINE)
        assert int(told) == listed(heading), what


def test_the_sum_is_right_and_enough() -> None:
    numbers = [int(number) for number in re.findall(r"^\| [^|]+ \| [^|]+ \| (\d+) \| ", MODEL, re.MULTILINE)]
    [told] = re.findall(r"by the person who makes them: (\d+) in all", MODEL)
    assert int(told) == sum(numbers)
    assert sum(numbers) >= LEAST
    assert len(numbers) > 6


def test_what_an_attack_leaves_is_an_entry_of_what_is_not_prevented() -> None:
    [findings] = re.findall(r"^## An audit's findings.*?^\|---.*?\n(.*?)^## ", MODEL, re.MULTILINE | re.DOTALL)
    left = MODEL.split("## What is not prevented", 1)[1]
    entries = [name.lower() for name in re.findall(r"^- \*\*(.+?)\*\*", left, re.MULTILINE)]
    rows = re.findall(r"^\| (F\d+)? ?\| ([^|]+) \| ([^|]*)\| (.+) \|$", findings, re.MULTILINE)
    assert [number for number, *_ in rows if number] == [f"F{number}" for number in range(1, 15)]
    for number, _, named, _ in rows:
        for name in filter(None, re.sub(r"\[(.+?)\]\(.+?\)", r"\1", named).strip().split("; ")):
            assert any(entry.startswith(name.lower()) for entry in entries), f"{number}: {name}"


def test_each_guardrail_that_is_open_by_default_is_named_as_not_prevented() -> None:
    template = (ROOT / "template.yaml").read_text()
    parameters = re.findall(r"^  (Allowed\w+):\n    Type: \w+\n    Default: (.+)$", template, re.MULTILINE)
    is_open = [name for name, default in parameters if default == '"*"']
    assert len(is_open) > 2
    left = MODEL.split("## What is not prevented", 1)[1]
    assert [name for name in is_open if f"`{name}`" not in left] == []
