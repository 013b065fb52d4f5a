"""Follows every link of the Markdown files: relative ones to a file and a heading in it, and to what their text names.

    python tests/documents/links.py             what is in the repository; exits with 1 if a link leads nowhere
    python tests/documents/links.py --list      the addresses elsewhere, each with where it stands
    python tests/documents/links.py --fetch     asks for each of them

A link whose text is code (`a_test_that_…`) and that leads to source promises that the source has that name: it is
looked for, up to an ellipsis.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent.parent
_PARSER = MarkdownIt("commonmark").enable("table")
_SOURCES = (".rs", ".py")
_NAME = re.compile(r"\w+")
_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
SECONDS = 20


@dataclass(frozen=True)
class Link:
    file: Path
    line: int
    target: str
    names: tuple[str, ...]  # the link's text, where it is code

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.target}"


def documents(root: Path) -> list[Path]:
    """The Markdown files that git knows or would know."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    shown = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in (root / line for line in shown.splitlines()) if path.is_file())


def links(file: Path) -> Iterator[Link]:
    line = 0
    for block in _PARSER.parse(file.read_text()):
        line = block.map[0] + 1 if block.map else line
        children = block.children or []
        for index, token in enumerate(children):
            if token.type == "link_open":
                yield Link(file, line, str(token.attrs["href"]), tuple(_code(children[index + 1 :])))
            elif token.type == "image":
                yield Link(file, line, str(token.attrs["src"]), ())


def _code(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "link_close":
            return
        if token.type == "code_inline":
            yield token.content


def problem(link: Link, root: Path) -> str | None:
    """Why a link within the repository leads nowhere."""
    target, _, anchor = link.target.partition("#")
    place = (link.file.parent / unquote(target)).resolve() if target else link.file
    if not place.exists():
        return "there is no such file"
    if not place.is_relative_to(root):
        return "it leads out of the repository"
    if anchor and anchor not in (anchors(place) if place.suffix == ".md" else ()):
        return f"{place.relative_to(root)} has no heading #{anchor}"
    if place.suffix in _SOURCES:
        for name in link.names:
            wanted = name.partition("…")[0]
            if _NAME.fullmatch(wanted) and wanted not in place.read_text():
                return f"{place.relative_to(root)} does not name {wanted}"
    return None


@cache
def anchors(file: Path) -> frozenset[str]:
    """As GitHub makes them of headings (github.com/gjtorikian/html-pipeline, TableOfContentsFilter)."""
    tokens = _PARSER.parse(file.read_text())
    seen: Counter[str] = Counter()
    found = set(_ANCHOR.findall(file.read_text()))
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def elsewhere(link: Link) -> bool:
    return urlsplit(link.target).scheme in ("http", "https", "mailto")


def refused(address: str) -> str | None:
    """Why an address elsewhere does not answer."""
    request = urllib.request.Request(address.partition("#")[0], headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return None if answer.status < 400 else f"status {answer.status}"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except OSError as error:
        return str(error)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Follows the links of the documents.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--list", action="store_true", help="list the addresses elsewhere")
    mode.add_argument("--fetch", action="store_true", help="ask for the addresses elsewhere")
    options = parser.parse_args(arguments)
    files = documents(ROOT)
    found = [link for file in files for link in links(file)]
    outside: dict[str, Link] = {link.target: link for link in found if elsewhere(link)}
    if options.list:
        print("\n".join(f"{target}  {link.file.relative_to(ROOT)}" for target, link in sorted(outside.items())))
        return 0
    if options.fetch:
        problems = [f"{link}: {why}" for target, link in sorted(outside.items()) if (why := refused(target))]
        print(f"asked for {len(outside)} addresses")
    else:
        problems = [f"{link}: {why}" for link in found if not elsewhere(link) and (why := problem(link, ROOT))]
        print(f"followed {len(found) - sum(map(elsewhere, found))} links in {len(files)} documents")
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
