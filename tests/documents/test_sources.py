"""A page that says how a service behaves says where that is written, or that it was not tried."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from links import ROOT

HOSTS = {
    "aws.amazon.com",
    "developer.hashicorp.com",
    "docs.aws.amazon.com",
    "docs.github.com",
    "github.com",
    "kubernetes.io",
}
WITHOUT = {
    "docs/README.md": "an index",
    "docs/beliefs.md": "its tables have the source in each row",
    "docs/decisions/02-three-traits.md": "about the code alone",
    "docs/decisions/03-iam-policy-module.md": "about the code alone",
    "docs/decisions/17-own-http-client.md": "about the code alone",
    "docs/decisions/README.md": "an index",
}
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "decisions").glob("*.md")])
HEAD = "| fact | source |\n|---|---|\n"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def rows(text: str) -> list[tuple[str, str]]:
    """The facts of the last section with their sources."""
    _, _, section = text.rpartition("\n## ")
    title, _, table = section.partition("\n\n")
    assert title == "Sources"
    assert table.startswith(HEAD)
    return [tuple(row.strip("| ").split(" | ", 1)) for row in table.removeprefix(HEAD).splitlines()]


def problem(source: str) -> str | None:
    """Why a cell names no source."""
    addresses = [target for target in re.findall(r"\]\(([^)]+)\)", source) if ":" in target]
    if not addresses and "not tried" not in source:
        return "neither a link nor 'not tried'"
    strange = [each for each in addresses if urlsplit(each).scheme != "https" or urlsplit(each).hostname not in HOSTS]
    return f"{strange[0]} is not of a provider" if strange else None


@pytest.mark.parametrize("page", [page for page in PAGES if name(page) not in WITHOUT], ids=name)
def test_a_page_ends_with_the_sources_of_its_facts(page: Path) -> None:
    found = rows(page.read_text())
    assert found
    assert [(fact, why) for fact, source in found if (why := problem(source))] == []
    assert len({fact for fact, _ in found}) == len(found)


def test_a_page_without_facts_of_services_is_known() -> None:
    for page, reason in WITHOUT.items():
        assert reason
        assert "\n## Sources\n" not in (ROOT / page).read_text()


def test_a_cell_without_a_source_is_found() -> None:
    assert problem("[IAM User Guide](https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html)") is None
    assert problem("not tried, see [beliefs](beliefs.md#not-settled)") is None
    assert problem("everybody knows") == "neither a link nor 'not tried'"
    assert problem("[a page](beliefs.md)") == "neither a link nor 'not tried'"
    assert problem("[a blog](https://example.com/x)") == "https://example.com/x is not of a provider"
    assert problem("[a guide](http://docs.aws.amazon.com/x)") == "http://docs.aws.amazon.com/x is not of a provider"
