"""Tests that the documents name exist."""

from __future__ import annotations

import re
from functools import cache

import pytest

from links import ROOT

FUNCTION = re.compile(r"^\s*(?:async )?(?:fn|def) (\w+)", re.MULTILINE)
NAME = r"[a-z0-9]+(?:_[a-z0-9]+){2,}"
IN_FILE = rf"`[\w./]+::{NAME}`"


@cache
def functions() -> frozenset[str]:
    """The names of all functions of the sources and tests, by themselves and behind their file."""
    files = [
        path for folder in ("src", "tests") for kind in ("rs", "py") for path in (ROOT / folder).rglob(f"*.{kind}")
    ]
    named = [(path.relative_to(ROOT), name) for path in files for name in FUNCTION.findall(path.read_text())]
    return frozenset(name for path, of in named for name in (of, f"{path.as_posix()}::{of}"))


def cells(page: str) -> list[str]:
    """The last cells of the tables whose last column names tests."""
    text = (ROOT / page).read_text()
    head = r"^\|[^\n]*\| (?:tried (?:in|here)|test) \|\n\|[-|: ]+\|\n"
    tables = re.findall(rf"{head}((?:\|[^\n]*\n)+)", text, re.MULTILINE)
    return [row.rstrip("| ").rsplit(" | ", 1)[1] for table in tables for row in table.splitlines()]


@pytest.mark.parametrize(
    ("page", "least"),
    [
        ("docs/threat-model.md", 25),
        ("docs/beliefs.md", 28),
        ("tests/cases/trust.md", 97),
        ("tests/cases/field.md", 123),
        ("tests/cases/beliefs.md", 112),
    ],
)
def test_each_test_that_a_table_names_exists(page: str, least: int) -> None:
    found = cells(page)
    assert len(found) >= least
    named = re.findall(rf"`((?:[\w./]+::)?{NAME})`", " ".join(found))
    assert [name for name in named if name not in functions()] == []


@pytest.mark.parametrize("page", ["tests/cases/trust.md", "tests/cases/field.md"])
def test_each_case_names_tests_with_their_files(page: str) -> None:
    assert [cell for cell in cells(page) if not re.fullmatch(rf"{IN_FILE}(?:, {IN_FILE})*", cell)] == []


def test_each_belief_has_a_row_with_tests_or_a_reason_why_there_is_none() -> None:
    page = "tests/cases/beliefs.md"
    wanted = rf"{IN_FILE}(?:, {IN_FILE})*|none: .+"
    assert [cell for cell in cells(page) if not re.fullmatch(wanted, cell)] == []
    numbers = re.findall(r"^\| (\d+) \|", (ROOT / page).read_text(), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 98)]
