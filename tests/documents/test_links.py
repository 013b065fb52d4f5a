"""The link checker finds what leads nowhere, and lets pass what does not."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from links import Link, anchors, documents, links, problem, refused

TEXT = """\
# One heading: with `code`, and *more*

## Twice
## Twice
<a id="by-hand"></a>

| a table |
|---|
| [there](source.py) |
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "source.py").write_text("def test_that_it_works() -> None: ...\n")
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    return page


@pytest.mark.parametrize(
    "target",
    ["source.py", "page.md", "#twice", "#twice-1", "page.md#one-heading-with-code-and-more", "#by-hand", "./"],
)
def test_what_is_there_is_found(page: Path, target: str) -> None:
    assert problem(Link(page, 1, target, ()), page.parent) is None


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("missing.md", "there is no such file"),
        ("#twice-2", "page.md has no heading #twice-2"),
        ("page.md#Twice", "page.md has no heading #Twice"),
        ("source.py#L1", "source.py has no heading #L1"),
        ("../", "it leads out of the repository"),
    ],
)
def test_what_is_not_there_is_told(page: Path, target: str, why: str) -> None:
    assert problem(Link(page, 1, target, ()), page.parent) == why


def test_a_test_that_is_named_has_to_be_in_the_file(page: Path) -> None:
    def naming(name: str) -> str | None:
        return problem(Link(page, 1, "source.py", (name,)), page.parent)

    assert naming("test_that_it_works") is None
    assert naming("test_that…") is None
    assert naming("a file") is None
    assert naming("test_that_it_does_not") == "source.py does not name test_that_it_does_not"


def test_links_in_tables_and_with_code_are_seen(page: Path) -> None:
    page.write_text(TEXT + "\nSee [`test_x`](source.py) and ![a picture](picture.svg).\n")
    found = [(link.target, link.names) for link in links(page)]
    assert found == [("source.py", ()), ("source.py", ("test_x",)), ("picture.svg", ())]
    assert "twice-1" in anchors(page)


def test_there_are_documents() -> None:
    root = Path(__file__).resolve().parent.parent.parent
    assert root / "README.md" in documents(root)


def test_an_address_that_does_not_answer_is_told() -> None:
    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/there" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{site.server_port}"
        assert refused(f"{address}/there#part") is None
        assert refused(f"{address}/elsewhere") == "status 404"
        site.shutdown()
    assert "refused" in str(refused(f"{address}/there"))
