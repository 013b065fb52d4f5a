"""The decision about the proof of origin shows the calls and chains of today."""

from __future__ import annotations

import os
import re

from links import ROOT

DECISION = ROOT / "docs" / "decisions" / "22-proof-of-origin.md"
TODAY = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- calls, written by tests/documents/test_proof_of_origin.py -->\n", "<!-- end of calls -->\n"
ROW = re.compile(r"^\| ([a-z][^|]+) \| (\d+) \| (\d+) \|(?: (\d+) \| (\d+) \| (\d+) \| (\d+) \||.*)$", re.MULTILINE)


def rows(text: str, begin: str, end: str) -> dict[str, list[int]]:
    """The numbers behind the name of each request."""
    between = text[text.index(begin) : text.index(end)]
    return {name: [int(number) for number in numbers if number] for name, *numbers in ROW.findall(between)}


def test_the_decision_shows_the_round_trips_of_today() -> None:
    text = DECISION.read_text()
    today = rows(TODAY.read_text(), "<!-- round trips", "<!-- end of round trips -->")
    recorded = rows(text, BEGIN, END)
    assert recorded.keys() == today.keys()
    lines = ["| request | calls before | with it | today | chain before | with it | today |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for name, (before, with_it, _, chain_before, chain_with_it, _) in recorded.items():
        calls, chain = today[name][:2]
        lines.append(f"| {name} | {before} | {with_it} | {calls} | {chain_before} | {chain_with_it} | {chain} |")
    table = "\n".join(["", *lines, "", ""])
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("ROUND_TRIPS") == "write":
        DECISION.write_text(text[:start] + table + text[end:])
        return
    assert text[start:end] == table, (
        "docs/decisions/22 is not what docs/performance.md says; ROUND_TRIPS=write writes it"
    )


def test_the_proof_took_one_call_beside_the_others() -> None:
    recorded = rows(DECISION.read_text(), BEGIN, END)
    assert len(recorded) > 20
    for name, (before, with_it, _, chain_before, chain_with_it, _) in recorded.items():
        assert (with_it, chain_with_it) == (before + 1, chain_before), name
