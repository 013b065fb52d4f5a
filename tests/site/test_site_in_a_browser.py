"""The site in a browser: in light, in dark, and on a phone. `make look` builds it, and keeps pictures."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import ROOT, look, missing

SITE = ROOT / "target" / "site"
PICTURES = ROOT / "target" / "site-pictures"
PAGES = [
    "index.html",
    *sorted(f"docs/{path.stem}.html" for path in (ROOT / "docs").glob("*.md") if path.stem != "README"),
]
WAYS = ("light", "dark", "phone")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the site is: its search needs a server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def looked(address: str) -> dict[str, Any]:
    assert missing() is None, missing()
    PICTURES.mkdir(parents=True, exist_ok=True)
    addresses = [address + page for page in PAGES]
    found: dict[str, Any] = json.loads(look(PICTURES, *addresses, script=Path(__file__).with_name("look.mjs")))
    return found


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, looked: dict[str, Any], address: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = looked["pages"][address + request.param]
    return found


@pytest.mark.parametrize("way", WAYS)
def test_a_page_fits_its_window_and_draws_its_diagrams(page: dict[str, dict[str, Any]], way: str) -> None:
    assert not page[way]["wide"]
    assert page[way]["drawn"] == page[way]["diagrams"]
    assert page[way]["scheme"] == ("dark" if way == "dark" else "light")


@pytest.mark.parametrize("way", WAYS)
def test_a_page_asks_nobody_else_and_has_no_errors(page: dict[str, dict[str, Any]], way: str, address: str) -> None:
    assert [request for request in page[way]["requests"] if not request.startswith((address, "data:", "blob:"))] == []
    assert (page[way]["dialogs"], page[way]["problems"]) == ([], [])


@pytest.mark.parametrize("way", ["light", "dark"])
def test_a_page_meets_wcag_aa(page: dict[str, dict[str, Any]], way: str) -> None:
    assert page[way]["axe"] == []


def test_a_search_finds_the_pages_of_a_word(looked: dict[str, Any]) -> None:
    assert any("OIDC provider" in title for title in looked["found"]), looked["found"]
