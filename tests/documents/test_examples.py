"""The index of the examples is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from links import links

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
SUFFIXES = (".yaml", ".yml", ".tf")
FILES = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in SUFFIXES and path.name != "zizmor.yaml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_the_index_names_the_example(path: Path) -> None:
    named = {(EXAMPLES / link.target).resolve() for link in links(EXAMPLES / "README.md")}
    assert path in named, "examples/README.md does not name it"
