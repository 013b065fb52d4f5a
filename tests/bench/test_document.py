"""What `make bench` writes into the document."""

from __future__ import annotations

import json
import xml.etree.ElementTree

import pytest

import bench
import document
import plot
from measure import ROOT
from spread import Spread

TEXT = "# Title\n\n<!-- one -->\n\nold\n\n<!-- end of one -->\n\nprose\n\n<!-- two -->\n<!-- end of two -->\n"


def test_only_what_is_between_the_markers_is_replaced() -> None:
    found = document.replaced(TEXT, "one", "new\n")
    assert found == TEXT.replace("old", "new")
    assert document.replaced(found, "one", "old") == TEXT
    assert "<!-- two -->\n\nnew\n\n<!-- end of two -->\n" in document.replaced(TEXT, "two", "new")


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("<!-- one -->", ""),
        TEXT.replace("<!-- end of one -->", ""),
        TEXT + "<!-- one -->",
        "<!-- end of one --> <!-- one -->",
    ],
)
def test_a_document_without_one_place_for_it_is_refused(text: str) -> None:
    with pytest.raises(document.NoMarker, match="<!-- one -->"):
        document.replaced(text, "one", "new")


def test_the_document_has_a_place_for_everything_that_is_written() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    for name in ("beside", "bars", "memory", "slow", "profile"):
        document.replaced(text, name, "")


def test_a_package_above_its_bar_is_told() -> None:
    size = json.loads((ROOT / "tests" / "bench" / "figures.json").read_text())["package_bytes"]
    text = (ROOT / "docs" / "performance.md").read_text()
    assert ("**The package is above its bar today**" in text) == (size > bench.PACKAGE_MB * 1e6)


def test_a_table_lines_up_its_figures() -> None:
    found = document.table(["", "a"], [["b", "1"]])
    assert found == "|  | a |\n| --- | ---: |\n| b | 1 |"


def test_a_bar_is_as_long_as_its_median_and_names_are_escaped() -> None:
    bars = [("a", Spread(1, 2, 3)), ("<b>", Spread(90, 100, 110)), ("c", Spread(9, 10, 11))]
    root = xml.etree.ElementTree.fromstring(plot.svg("a & b", [plot.Panel("time", "ms", 0, bars)]))  # noqa: S314 - ours
    widths = [float(bar.attrib["width"]) for bar in root.findall("{*}rect")][1:]
    assert [width / widths[0] for width in widths] == pytest.approx([1, 50, 5], rel=0.01)
    assert "<b>" in [text.text for text in root.findall("{*}text")]
