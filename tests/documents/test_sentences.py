"""A sentence of the documents is read once: it is short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from links import ROOT, documents

MOST_WORDS = 35
# The changelog has items, and no sentences to learn from.
PAGES = [page for page in documents(ROOT) if page.name != "CHANGELOG.md"]
PARSER = MarkdownIt("commonmark").enable("table")
END = re.compile(r"(?<=[.!?;])\s+(?=[\"(A-Z`])")


def sentences(text: str) -> Iterator[str]:
    """The sentences of paragraphs and of lists. A quoted message, or a cell of a table, is none."""
    quoted = 0
    tokens = PARSER.parse(text)
    for before, token in pairwise(tokens):
        quoted += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        if token.type == "inline" and before.type == "paragraph_open" and not quoted:
            # A name in code is one word, however many it has.
            shown = {"code_inline": "`code`", "softbreak": " "}
            yield from END.split("".join(shown.get(part.type, part.content) for part in token.children or []))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_sentence_has_more_than_35_words(path: Path) -> None:
    assert [sentence for sentence in sentences(path.read_text()) if len(sentence.split()) > MOST_WORDS] == []


def test_a_long_sentence_is_found() -> None:
    words = "word " * 40
    text = f"One. A {words}.\n\n> {words}\n\n| a |\n|---|\n| {words} |\n\n- `{words}` is one.\n"
    assert [len(sentence.split()) for sentence in sentences(text)] == [1, 42, 3]
