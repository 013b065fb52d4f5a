"""The page of the audit in a browser: it asks for nothing, can be read by everybody, and takes no name for markup.

The pages are those of tests/page/mod.rs: `make pages` writes them to target/pages.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from browser import ROOT, look, missing

PAGES = Path(os.environ.get("PAGES", ROOT / "target" / "pages"))
NAMES = ("five", "thousand", "hostile")
ROLES = {"five": 5, "thousand": 1000, "hostile": 6}

# In CI it fails.
pytestmark = pytest.mark.skipif(missing() is not None and "CI" not in os.environ, reason=str(missing()))
Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def seen() -> Seen:
    assert missing() is None, missing()
    found = json.loads(look(*(PAGES / f"{name}.html" for name in NAMES)))
    return {Path(name).stem: looked for name, looked in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_every_role_and_no_request_leaves_it(seen: Seen, name: str) -> None:
    page = seen[name]
    assert page["requests"] == [(PAGES / f"{name}.html").resolve().as_uri()]
    assert (page["dialogs"], page["problems"]) == ([], [])
    assert page["first"]["roles"] == ROLES[name]
    assert page["first"]["status"] == f"{ROLES[name]} of {ROLES[name]} roles shown"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark", "role"])
def test_a_page_meets_wcag_aa(seen: Seen, name: str, scheme: str) -> None:
    assert seen[name]["axe"][scheme] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_role_is_reached_and_left_by_keyboard(seen: Seen, name: str) -> None:
    page = seen[name]
    assert page["pointed"]["lines"] > 0
    assert page["inRole"]["one"]
    assert page["inRole"]["focus"] == "role-0"
    assert (page["inRole"]["articles"], page["inRole"]["roles"]) == (1, 0)
    assert page["back"]["roles"] == ROLES[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_printed_whole_and_fits_a_narrow_window(seen: Seen, name: str) -> None:
    page = seen[name]
    assert (page["printed"]["articles"], page["printed"]["controls"]) == (ROLES[name], False)
    assert not page["narrow"]["wide"]


def test_a_search_and_a_choice_leave_the_roles_that_fit(seen: Seen) -> None:
    assert seen["five"]["searched"]["roles"] == 4
    assert seen["five"]["chosen"]["roles"] == 1
    assert 0 < seen["thousand"]["chosen"]["roles"] < 1000


def test_hostile_names_are_text(seen: Seen) -> None:
    text = seen["hostile"]["text"]
    assert "onerror=alert(2)" in text
    assert "\u202e" not in text
    assert "x" * 256 in text
