"""What a command writes into a document stands between two markers; everything around them is written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class NoMarker(Exception):
    """The document has no place for it."""


def replaced(text: str, name: str, content: str) -> str:
    """The document with this content between `<!-- name -->` and `<!-- end of name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise NoMarker(f"expected one {begin} and behind it one {end}")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"


def write(path: Path, name: str, content: str) -> None:
    path.write_text(replaced(path.read_text(), name, content))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
