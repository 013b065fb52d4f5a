"""How figures are compared; the comparison itself is tests/local_aws/test_figures.py."""

from __future__ import annotations

from dataclasses import replace

import figures
from figures import Figures

BEFORE = Figures("rustc 1.0.0", 1_000_000, 500_000, 4_000_000, 100)


def test_what_grew_beyond_its_tolerance_is_told() -> None:
    assert figures.grown(BEFORE, BEFORE) == []
    assert figures.grown(BEFORE, replace(BEFORE, cold_instructions=1_010_000)) == []
    (told,) = figures.grown(BEFORE, replace(BEFORE, cold_instructions=1_010_001))
    assert told.startswith("cold_instructions went from 1,000,000 to 1,010,001 (+1.0%, and 1% is tolerated)")
    assert len(figures.grown(BEFORE, Figures("rustc 1.0.0", 2_000_000, 600_000, 5_000_000, 101))) == 4


def test_another_compiler_may_make_more_bytes_but_not_more_crates() -> None:
    other = replace(BEFORE, compiler="rustc 1.1.0", package_bytes=4_200_000)
    assert figures.grown(BEFORE, other) == []
    assert figures.grown(BEFORE, replace(other, crates=101))
    assert figures.grown(BEFORE, replace(other, package_bytes=4_200_001))


def test_without_valgrind_the_rest_is_compared() -> None:
    without = replace(BEFORE, cold_instructions=None, warm_instructions=None)
    assert figures.grown(BEFORE, without) == []
    (told,) = figures.grown(BEFORE, replace(without, crates=101))
    assert "crates" in told


def test_what_became_much_better_is_to_be_written_down() -> None:
    assert figures.shrunk(BEFORE, replace(BEFORE, cold_instructions=990_000)) == []
    (told,) = figures.shrunk(BEFORE, replace(BEFORE, cold_instructions=989_999))
    assert "make figures" in told


def test_the_committed_figures_are_whole() -> None:
    assert all(vars(figures.committed()).values())
