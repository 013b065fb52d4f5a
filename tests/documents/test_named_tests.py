"""Tests that the documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from links import ROOT

FUNCTION = re.compile(r"^\s*(?:async )?(?:fn|def) (\w+)", re.MULTILINE)


def functions() -> set[str]:
    """The names of all functions of the sources and tests."""
    files = [
        path for folder in ("src", "tests") for kind in ("rs", "py") for path in (ROOT / folder).rglob(f"*.{kind}")
    ]
    return {name for path in files for name in FUNCTION.findall(Path(path).read_text())}


def rows(page: str) -> list[str]:
    """The rows of the tables whose last column names tests."""
    text = (ROOT / "docs" / page).read_text()
    tables = re.findall(r"^\|[^\n]*\| tried (?:in|here) \|\n\|[-|: ]+\|\n((?:\|[^\n]*\n)+)", text, re.MULTILINE)
    return [row for table in tables for row in table.splitlines()]


@pytest.mark.parametrize(("page", "least"), [("threat-model.md", 25), ("beliefs.md", 28)])
def test_each_test_that_a_table_names_exists(page: str, least: int) -> None:
    known, found = functions(), rows(page)
    assert len(found) >= least
    for row in found:
        last = row.rstrip("| ").rsplit(" | ", 1)[1]
        for name in re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`", last):
            assert name in known, f"{page}: {name}"
